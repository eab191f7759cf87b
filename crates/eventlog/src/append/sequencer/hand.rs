//! The open group on its way into a hand that writes it: the writer thread's, or that of an append that is alone.
//!
//! Handing a lone append to the writer thread and waiting for it wakes two threads one after the other, which takes as long as a short flush does. So whoever
//! waits for the flush at once writes the group itself, where nobody writes, the groups before were of one append each, and their flushes were short: a
//! thread of a runtime is kept from its other tasks for no longer than that. Who comes meanwhile waits as always, and is the writer thread's next group.
//!
//! Those who were answered together come again together, as a rule, each when it has read its answer. If the first of them were flushed by itself, the others
//! would wait for its flush and their own. So the writer thread looks out for as many as were answered, for no longer than their flush took.
//!
//! Invariants
//! - One hand at a time has a group, and groups leave in the order in which they were sequenced.
//! - A group that is left to the append that is alone in it is in a hand from then on, until it is written or left to the writer thread.

use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use super::{Pending, Sequencer, State};
use crate::limits::{ALONE_BEFORE_LEADING, COMPANY_BYTES_MAX, LED_BYTES_MAX, LED_FLUSH_US_MAX};

/// Those who were answered together, and are looked out for.
pub(super) struct Company {
    appends: usize,
    until: Instant,
}

/// A group in a hand: nobody else has one until this is dropped.
pub(crate) struct InHand<'a> {
    sequencer: &'a Sequencer,
    pub(crate) group: Vec<Pending>,
    is_one: bool,
    /// How many in it wait for their answer.
    awaited: usize,
    bytes: usize,
    flush_us: u64,
}

impl Sequencer {
    /// Puts into the open group what may wait for its flush for so long, and wakes the writer where there is a reason. `leads`: whoever appends writes the
    /// group itself where nobody else does; says whether it is to.
    pub(super) fn put(
        &self,
        mut state: MutexGuard<'_, State>,
        pending: Pending,
        patience: Option<Duration>,
        leads: bool,
    ) -> bool {
        let first = state.open.is_empty();
        let leads = leads && first && patience.is_none() && pending.bytes <= LED_BYTES_MAX;
        let before = state.patience;
        state.open_bytes += pending.bytes;
        state.open.push_back(pending);
        state.patience = match (first, before, patience) {
            (false, Some(before), Some(patience)) => Some(before.min(patience)),
            (false, None, _) => None,
            (_, _, patience) => patience,
        };
        if state.in_hand {
            // Whoever has a group in hand sees to it that the next one goes.
            return false;
        }
        if leads && state.alone >= ALONE_BEFORE_LEADING {
            state.in_hand = true;
            return true;
        }
        let wakes = match &state.company {
            // The writer thread looks for itself when it is time.
            Some(company) => state.has_come(company),
            None => first || state.patience != before || state.open_bytes >= self.group_bytes_max,
        };
        drop(state);
        if wakes {
            self.filled.notify_one();
        }
        false
    }

    /// The open group waits for no more company: somebody waits for its flush.
    pub(crate) fn hasten(&self) {
        let mut state = self.state.lock();
        let was_patient = state.patience.take().is_some();
        let is_left = was_patient && !state.open.is_empty() && !state.in_hand;
        drop(state);
        if is_left {
            self.filled.notify_one();
        }
    }

    /// The next group for the writer thread, waiting for one; `None` when there will be none.
    pub(crate) fn next_group(&self) -> Option<InHand<'_>> {
        let mut state = self.state.lock();
        loop {
            if state.in_hand {
                self.filled.wait(&mut state);
                continue;
            }
            let stopped = state.stopped.is_some();
            if let Some(company) = &state.company {
                let (has_come, until) = (state.has_come(company), company.until);
                if !stopped && !has_come && !self.filled.wait_until(&mut state, until).timed_out() {
                    continue;
                }
                state.company = None;
            }
            match state.patience {
                _ if state.open.is_empty() && stopped => return None,
                _ if state.open.is_empty() => self.filled.wait(&mut state),
                // Nobody is woken for those that may wait too, so that this is the time since the first of them.
                Some(patience) if !stopped && state.open_bytes < self.group_bytes_max => {
                    if self.filled.wait_for(&mut state, patience).timed_out() {
                        break;
                    }
                }
                _ => break,
            }
        }
        if state.stopped.is_some() && !state.closing {
            return None;
        }
        state.in_hand = true;
        Some(self.hand_out(&mut state))
    }

    /// The group that was left to an append that is alone.
    pub(crate) fn group_left(&self) -> InHand<'_> {
        self.hand_out(&mut self.state.lock())
    }

    /// Whoever was to write the open group does not: it is the writer thread's.
    pub(crate) fn leave(&self) {
        self.state.lock().in_hand = false;
        self.filled.notify_one();
    }

    fn hand_out(&self, state: &mut State) -> InHand<'_> {
        let mut group: Vec<Pending> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = state.open.front() {
            if !group.is_empty() && bytes + next.bytes > self.group_bytes_max {
                break;
            }
            bytes += next.bytes;
            group.extend(state.open.pop_front());
        }
        state.open_bytes -= bytes;
        InHand {
            sequencer: self,
            is_one: group.len() == 1,
            awaited: group.iter().filter(|pending| pending.reply.is_some()).count(),
            group,
            bytes,
            flush_us: 0,
        }
    }
}

impl InHand<'_> {
    /// It is flushed, which took so many microseconds, and nobody is answered yet: now it is known whether somebody came meanwhile.
    pub(crate) fn flushed(&mut self, flush_us: u64) {
        self.flush_us = flush_us;
        let mut state = self.sequencer.state.lock();
        let is_alone = self.is_one && state.open.is_empty() && flush_us <= LED_FLUSH_US_MAX;
        state.alone = if is_alone { state.alone.saturating_add(1) } else { 0 };
    }

    /// Whom the next group is to wait for.
    fn company(&self) -> Option<Company> {
        let flush = Duration::from_micros(self.flush_us).min(self.sequencer.company_max);
        let is_worth_it = self.awaited > 1 && self.bytes <= COMPANY_BYTES_MAX && !flush.is_zero();
        is_worth_it.then(|| Company {
            appends: self.awaited,
            until: Instant::now() + flush,
        })
    }
}

impl State {
    /// Whether there is no more to look out for.
    fn has_come(&self, company: &Company) -> bool {
        self.open.len() >= company.appends || self.open_bytes > COMPANY_BYTES_MAX
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let company = self.company();
        let mut state = self.sequencer.state.lock();
        state.in_hand = false;
        let is_awaited = !state.open.is_empty() || state.stopped.is_some() || company.is_some();
        state.company = company;
        drop(state);
        if is_awaited {
            self.sequencer.filled.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::append::Appended;
    use crate::append::producers::Producers;

    const LONG: Duration = Duration::from_secs(600);
    const LONG_US: u64 = 600_000_000;

    fn sequencer(company_max: Duration) -> Sequencer {
        Sequencer::new(Producers::default(), &[], 0, usize::MAX, company_max)
    }

    /// Somebody who waits for the flush of so many bytes.
    fn put(sequencer: &Sequencer, bytes: usize) {
        let (reply, _) = tokio::sync::oneshot::channel();
        let pending = Pending {
            entries: Vec::new(),
            watermarks: Vec::new(),
            turns: Vec::new(),
            bytes,
            permits: 0,
            reply: Some(reply),
            answer: Ok(Appended {
                base_offsets: Vec::new(),
                appended_at_us: 0,
                duplicate: false,
            }),
        };
        assert!(!sequencer.put(sequencer.state.lock(), pending, None, false));
    }

    /// Flushes the next group; how many were in it.
    fn flush(sequencer: &Sequencer, flush_us: u64) -> usize {
        let mut hand = sequencer.next_group().expect("a group");
        hand.flushed(flush_us);
        hand.group.len()
    }

    /// Lets so many come one after another, and meanwhile flushes the next group; how many were in it.
    fn flushed_of(sequencer: &Sequencer, come: usize, bytes: usize) -> usize {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..come {
                    thread::sleep(Duration::from_millis(20));
                    put(sequencer, bytes);
                }
            });
            flush(sequencer, 0)
        })
    }

    #[test]
    fn those_who_were_answered_together_are_flushed_together() {
        let sequencer = sequencer(LONG);
        (0..3).for_each(|_| put(&sequencer, 1));
        assert_eq!(flush(&sequencer, LONG_US), 3);
        assert_eq!(flushed_of(&sequencer, 3, 1), 3);
        // Their flush took no time: there is none to be won.
        assert_eq!(flushed_of(&sequencer, 1, 1), 1);
    }

    #[test]
    fn who_does_not_come_is_waited_for_as_long_as_the_flush_took() {
        for (company_max, flush_us) in [(LONG, 20_000), (Duration::from_millis(20), LONG_US)] {
            let sequencer = sequencer(company_max);
            (0..3).for_each(|_| put(&sequencer, 1));
            let began = Instant::now();
            assert_eq!(flush(&sequencer, flush_us), 3);
            put(&sequencer, 1);
            put(&sequencer, 1);
            assert_eq!(flush(&sequencer, flush_us), 2);
            let waited = began.elapsed();
            assert!(Duration::from_millis(20) <= waited && waited < LONG / 2, "{waited:?}");
        }
    }

    #[test]
    fn nobody_is_looked_out_for_behind_one_or_behind_much() {
        for (appends, bytes) in [(1, 1), (2, COMPANY_BYTES_MAX / 2 + 1)] {
            let sequencer = sequencer(LONG);
            (0..appends).for_each(|_| put(&sequencer, bytes));
            assert_eq!(flush(&sequencer, LONG_US), appends);
            assert_eq!(flushed_of(&sequencer, 1, 1), 1);
        }
        // Nor where as much is there already.
        let sequencer = sequencer(LONG);
        (0..3).for_each(|_| put(&sequencer, 1));
        assert_eq!(flush(&sequencer, LONG_US), 3);
        assert_eq!(flushed_of(&sequencer, 1, COMPANY_BYTES_MAX + 1), 1);
    }

    #[test]
    fn a_log_that_stops_waits_for_nobody() {
        let sequencer = sequencer(LONG);
        (0..3).for_each(|_| put(&sequencer, 1));
        assert_eq!(flush(&sequencer, LONG_US), 3);
        put(&sequencer, 1);
        sequencer.close("it is closed");
        assert_eq!(flush(&sequencer, 0), 1);
        assert!(sequencer.next_group().is_none());
    }
}
