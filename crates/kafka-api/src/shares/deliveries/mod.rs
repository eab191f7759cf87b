//! Which events of a partition a share group has been given, by whom they were taken, and what became of them. Pure: it knows
//! neither the log nor the clock.
//!
//! ```text
//!          start                                            end
//!  done      |  runs of events, each in one state             |  not looked at yet
//! -----------+------------------------------------------------+---------------------> offsets
//!
//! Available --acquired--> Acquired --accepted--> Acknowledged
//!     ^                      |  \----rejected--> Archived
//!     +--released, or its ---+
//!        time is over          (Archived instead, where it was delivered too often)
//! ```
//!
//! Invariants
//! - The runs follow one another without gaps from the start to the end; the first one is neither acknowledged nor archived.
//! - An event is acquired by one member at a time, for a limited time, a limited number of times.
//!
//! Source: KIP-932, "In-flight records".

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Available,
    Acquired { member: Arc<str>, until_ms: u64 },
    Acknowledged,
    Archived,
}

/// Events in a row in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) last: u64,
    pub(crate) state: State,
    /// How often they were given to somebody.
    pub(crate) count: u16,
}

/// Events that a member was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acquired {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u16,
}

/// What a member says of events it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no event at this offset: compaction took it, or it is a transaction's marker.
    Gap,
    Accept,
    Release,
    Reject,
    /// None yet: it is held on to, its time begins anew (KIP-1222).
    Renew,
}

/// A verdict on each of some offsets in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdicts {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// One for all, or one for each.
    pub(crate) verdicts: Vec<Verdict>,
}

/// A batch of the log, by its first and last offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Whether there is nothing in it to give: a marker, or what compaction left of a batch.
    pub(crate) is_empty: bool,
}

/// How many events a member is given at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) events: u64,
    /// Whether a batch is cut for it (KIP-1206). Else the one that reaches it is given whole.
    pub(crate) is_strict: bool,
}

/// How deliveries are bounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// An event is given away for so long.
    pub(crate) lock_ms: u64,
    /// And so often.
    pub(crate) deliveries_max: u16,
    /// So many offsets from the start on are looked at.
    pub(crate) window: u64,
}

impl Rules {
    /// From so many deliveries on a batch is given in portions.
    fn throttled_from(self) -> u16 {
        self.deliveries_max.div_ceil(2).max(2)
    }

    /// Whether what was given so often is given for the last time, which is alone unless it is but the second.
    fn is_last(self, count: u16) -> bool {
        self.deliveries_max > 2 && count.saturating_add(1) >= self.deliveries_max
    }

    /// How much is given at once of a batch of so many events that were given so often; `None`: all of it.
    fn portion(self, count: u16, events: u64) -> Option<u64> {
        if self.is_last(count) {
            return Some(1);
        }
        let halvings = count.checked_sub(self.throttled_from())?.saturating_add(1);
        Some(events.checked_shr(halvings.into()).unwrap_or_default().max(1))
    }
}

/// The deliveries of one partition to one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deliveries {
    start: u64,
    /// By their first offset.
    runs: BTreeMap<u64, Run>,
}

impl Deliveries {
    /// Nothing was delivered yet; the first event is at `start`.
    pub(crate) fn new(start: u64) -> Deliveries {
        Deliveries {
            start,
            runs: BTreeMap::new(),
        }
    }

    /// What was kept: the runs from the start on.
    pub(super) fn restore(start: u64, runs: impl IntoIterator<Item = (u64, Run)>) -> Deliveries {
        Deliveries {
            start,
            runs: runs.into_iter().collect(),
        }
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// How many events behind the start are done with.
    pub(crate) fn done(&self) -> u64 {
        let done = self
            .runs
            .iter()
            .filter(|(_, run)| matches!(run.state, State::Acknowledged | State::Archived));
        done.map(|(first, run)| run.last + 1 - first).sum()
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, &Run)> {
        self.runs.iter().map(|(first, run)| (*first, run))
    }

    fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(self.start, |(_, run)| run.last + 1)
    }

    /// The first offset that may be given to somebody; `None` while too many wait for a verdict.
    pub(crate) fn next(&self, rules: Rules) -> Option<u64> {
        let available = self.runs.iter().find(|(_, run)| run.state == State::Available);
        match available {
            Some((first, _)) => Some(*first),
            None => Some(self.end()).filter(|end| *end < self.start + rules.window),
        }
    }

    /// Gives a member events out of batches that were looked at, in order, until it has enough.
    ///
    /// What was given back often is given in ever smaller portions, and the last time one by one, so that an event which brings its readers down
    /// does not take its neighbours along: nothing else comes with such a portion.
    pub(crate) fn acquire(
        &mut self,
        member: &Arc<str>,
        batches: &[Found],
        limit: Limit,
        rules: Rules,
        now_ms: u64,
    ) -> Vec<Acquired> {
        let mut acquired: Vec<Acquired> = Vec::new();
        let mut events: u64 = 0;
        for batch in batches {
            if events >= limit.events {
                break;
            }
            let mut of_batch: u64 = 0;
            let mut portion: Option<u64> = None;
            for (first, last, count) in self.available_within(batch.first, batch.last) {
                let is_last = rules.is_last(count);
                if is_last && !acquired.is_empty() {
                    return acquired;
                }
                portion = portion.or_else(|| rules.portion(count, batch.last - batch.first + 1));
                let mut room = match limit.is_strict {
                    true => limit.events.saturating_sub(events),
                    false => u64::MAX,
                };
                if let Some(portion) = portion {
                    room = room.min(portion.saturating_sub(of_batch));
                }
                if room == 0 {
                    break;
                }
                let last = last.min(first.saturating_add(room - 1));
                self.cut(first, last);
                if let Some(run) = self.runs.get_mut(&first) {
                    run.count = run.count.saturating_add(1);
                    run.state = State::Acquired {
                        member: Arc::clone(member),
                        until_ms: now_ms + rules.lock_ms,
                    };
                    let count = run.count;
                    acquired.push(Acquired { first, last, count });
                    events += last - first + 1;
                    of_batch += last - first + 1;
                }
                if is_last {
                    return acquired;
                }
            }
            if portion.is_some() {
                return acquired;
            }
        }
        acquired
    }

    /// Makes runs of what a read of the log found that was not looked at yet, up to the window's end; what lies between two batches is in none, and is done
    /// with, as is a batch with nothing to give. Whether something was passed by like that.
    pub(crate) fn look_at(&mut self, batches: &[Found], rules: Rules) -> bool {
        let mut passed = false;
        for batch in batches {
            passed |= self.look_at_one(batch, rules);
            // The window ends in this batch. What follows in it is not known, so that a later batch would make a gap of it.
            if self.end() <= batch.last {
                break;
            }
        }
        passed
    }

    /// Takes a member's verdicts, all or none.
    pub(crate) fn acknowledge(
        &mut self,
        member: &str,
        verdicts: &[Verdicts],
        rules: Rules,
        now_ms: u64,
    ) -> Result<(), ResponseError> {
        for of in verdicts {
            self.check(member, of)?;
        }
        for of in verdicts {
            for (first, last, verdict) in spread(of) {
                // What lies below the start is done with.
                let first = first.max(self.start);
                if first > last {
                    continue;
                }
                self.set(first, last, |run| match (verdict, &mut run.state) {
                    (Verdict::Accept, _) => run.state = State::Acknowledged,
                    (Verdict::Gap | Verdict::Reject, _) => run.state = State::Archived,
                    (Verdict::Release, _) => release(run, rules),
                    (Verdict::Renew, State::Acquired { until_ms, .. }) => *until_ms = now_ms + rules.lock_ms,
                    // Only what the member holds gets here.
                    (Verdict::Renew, _) => {}
                });
            }
        }
        self.advance();
        Ok(())
    }

    /// Everything that a member holds is free again; whether there was something.
    pub(crate) fn release_all_of(&mut self, member: &str, rules: Rules) -> bool {
        self.release_where(rules, |of, _| of == member)
    }

    /// What was held for too long is free again, and what was given as often as is allowed by now is given to nobody any more; whether there was
    /// something.
    pub(crate) fn expire(&mut self, rules: Rules, now_ms: u64) -> bool {
        let released = self.release_where(rules, |_, until_ms| until_ms <= now_ms);
        let mut spent = false;
        for run in self.runs.values_mut() {
            if run.state == State::Available && run.count >= rules.deliveries_max {
                run.state = State::Archived;
                spent = true;
            }
        }
        if spent {
            self.advance();
        }
        released || spent
    }

    /// When [`Deliveries::expire`] has something to do.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let until = self.runs.values().filter_map(|run| match run.state {
            State::Acquired { until_ms, .. } => Some(until_ms),
            _ => None,
        });
        until.min()
    }

    /// Events below an offset are no longer there; whether that changes anything.
    pub(crate) fn start_at_least(&mut self, offset: u64) -> bool {
        if offset <= self.start {
            return false;
        }
        if offset < self.end() {
            self.split(offset);
        }
        self.runs = self.runs.split_off(&offset);
        self.start = offset;
        self.advance();
        true
    }

    fn look_at_one(&mut self, batch: &Found, rules: Rules) -> bool {
        let end = self.end();
        let first = batch.first.max(end);
        if batch.last >= end && first > end {
            let gap = Run {
                last: first - 1,
                state: State::Archived,
                count: 0,
            };
            self.runs.insert(end, gap);
            self.advance();
        }
        let last = batch
            .last
            .min(self.start.saturating_add(rules.window).saturating_sub(1));
        if last >= first {
            let run = Run {
                last,
                state: State::Available,
                count: 0,
            };
            self.runs.insert(first, run);
        }
        batch.is_empty && self.pass(batch.first, batch.last)
    }

    /// Nothing at these offsets is to be given to anybody; whether that is news.
    fn pass(&mut self, first: u64, last: u64) -> bool {
        let free = self.available_within(first, last);
        for (first, last, _) in &free {
            self.set(*first, *last, |run| run.state = State::Archived);
        }
        self.advance();
        !free.is_empty()
    }

    /// Runs of events that may be given, by first and last offset, and how often they were.
    fn available_within(&self, first: u64, last: u64) -> Vec<(u64, u64, u16)> {
        let mut free: Vec<(u64, u64, u16)> = Vec::new();
        for (of_run, run) in self.runs.range(..=last) {
            if run.last >= first && run.state == State::Available {
                free.push((first.max(*of_run), last.min(run.last), run.count));
            }
        }
        free
    }

    /// Whether every one of these offsets is the member's to judge.
    fn check(&self, member: &str, of: &Verdicts) -> Result<(), ResponseError> {
        let offsets = of.last.checked_sub(of.first).ok_or(ResponseError::InvalidRequest)?;
        if of.verdicts.len() != 1 && of.verdicts.len() as u64 != offsets.saturating_add(1) {
            return Err(ResponseError::InvalidRequest);
        }
        let mut next = of.first.max(self.start);
        while next <= of.last {
            let run = self.runs.range(..=next).next_back().map(|(_, run)| run);
            match run {
                Some(run) if run.last >= next => match &run.state {
                    State::Acquired { member: of_run, .. } if **of_run == *member => next = run.last + 1,
                    _ => return Err(ResponseError::InvalidRecordState),
                },
                _ => return Err(ResponseError::InvalidRecordState),
            }
        }
        Ok(())
    }

    fn release_where(&mut self, rules: Rules, holds: impl Fn(&str, u64) -> bool) -> bool {
        let mut released = false;
        for run in self.runs.values_mut() {
            if let State::Acquired { member, until_ms } = &run.state
                && holds(member, *until_ms)
            {
                release(run, rules);
                released = true;
            }
        }
        if released {
            self.advance();
        }
        released
    }

    /// Changes the runs of exactly these offsets.
    fn set(&mut self, first: u64, last: u64, change: impl Fn(&mut Run)) {
        self.cut(first, last);
        for (_, run) in self.runs.range_mut(first..=last) {
            change(run);
        }
    }

    /// Makes run borders before `first` and after `last`.
    fn cut(&mut self, first: u64, last: u64) {
        self.split(first);
        self.split(last + 1);
    }

    fn split(&mut self, at: u64) {
        let Some((first, run)) = self.runs.range_mut(..at).next_back() else {
            return;
        };
        if *first < at && run.last >= at {
            let rest = run.clone();
            run.last = at - 1;
            self.runs.insert(at, rest);
        }
    }

    /// Moves the start past what is done with, and joins runs that are alike.
    fn advance(&mut self) {
        while let Some(entry) = self.runs.first_entry()
            && matches!(entry.get().state, State::Acknowledged | State::Archived)
        {
            self.start = entry.remove().last + 1;
        }
        let mut joined: BTreeMap<u64, Run> = BTreeMap::new();
        for (first, run) in std::mem::take(&mut self.runs) {
            match joined.last_entry() {
                Some(mut before) if before.get().state == run.state && before.get().count == run.count => {
                    before.get_mut().last = run.last;
                }
                _ => {
                    joined.insert(first, run);
                }
            }
        }
        self.runs = joined;
    }
}

fn release(run: &mut Run, rules: Rules) {
    run.state = match run.count >= rules.deliveries_max {
        true => State::Archived,
        false => State::Available,
    };
}

/// The verdicts on runs of offsets.
fn spread(of: &Verdicts) -> Vec<(u64, u64, Verdict)> {
    match of.verdicts.as_slice() {
        [one] => vec![(of.first, of.last, *one)],
        each => (of.first..)
            .zip(each)
            .map(|(offset, verdict)| (offset, offset, *verdict))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
