//! The open group on its way into a hand that writes it: the writer thread's, or that of an append that is alone.
//!
//! Handing a lone append to the writer thread and waiting for it wakes two threads one after the other, which takes as long as a short flush does. So whoever
//! waits for the flush at once writes the group itself, where nobody writes, the groups before were of one append each, and their flushes were short: a
//! thread of a runtime is kept from its other tasks for no longer than that. Who comes meanwhile waits as always, and is the writer thread's next group.
//!
//! Invariants
//! - One hand at a time has a group, and groups leave in the order in which they were sequenced.
//! - A group that is left to the append that is alone in it is in a hand from then on, until it is written or left to the writer thread.

use std::time::Duration;

use parking_lot::MutexGuard;

use super::{Pending, Sequencer, State};
use crate::limits::{ALONE_BEFORE_LEADING, LED_BYTES_MAX, LED_FLUSH_US_MAX};

/// A group in a hand: nobody else has one until this is dropped.
pub(crate) struct InHand<'a> {
    sequencer: &'a Sequencer,
    pub(crate) group: Vec<Pending>,
    is_one: bool,
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
        let wakes = first || state.patience != before || state.open_bytes >= self.group_bytes_max;
        drop(state);
        if wakes {
            self.filled.notify_one();
        }
        false
    }

    /// The next group for the writer thread, waiting for one; `None` when there will be none.
    pub(crate) fn next_group(&self) -> Option<InHand<'_>> {
        let mut state = self.state.lock();
        loop {
            let stopped = state.stopped.is_some();
            match state.patience {
                _ if state.in_hand => self.filled.wait(&mut state),
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
            group,
        }
    }
}

impl InHand<'_> {
    /// It is flushed, which took so many microseconds, and nobody is answered yet: now it is known whether somebody came meanwhile.
    pub(crate) fn flushed(&self, flush_us: u64) {
        let mut state = self.sequencer.state.lock();
        let is_alone = self.is_one && state.open.is_empty() && flush_us <= LED_FLUSH_US_MAX;
        state.alone = if is_alone { state.alone.saturating_add(1) } else { 0 };
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut state = self.sequencer.state.lock();
        state.in_hand = false;
        let is_awaited = !state.open.is_empty() || state.stopped.is_some();
        drop(state);
        if is_awaited {
            self.sequencer.filled.notify_one();
        }
    }
}
