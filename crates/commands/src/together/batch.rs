//! A batch of calls, from the queue to the answers.
//!
//! ```text
//! calls of each command ─ the rows that their arguments name ─ rounds: no two calls of one read the same of these rows
//!   round: decided over columns ─ calls that read a row which another of the round changes wait for the last round ─ next round
//! all events ─ one append ─ durable: answers; somebody came in between: the calls are decided anew
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_eventlog::{Append, AppendError, Appended, Awaited, Condition, EventLog, Hold};
use headwater_sql::SqlError;
use headwater_sql::many::Callers;
use headwater_views::{GroupKey, caught};

use super::Waiting;
use super::condition::Unchanged;
use super::made::{Made, MadeEvent, Placed, StreamEvents};
use super::round::{self, Fate};
use super::rows::RowsAtHand;
use crate::call::compiled::Compiled;
use crate::commands::Inner;
use crate::decide::lately::Lately;
use crate::decide::locks::Lock;
use crate::decide::outcome::outcome_of;
use crate::limits::{TOGETHER_BYTES_MAX, TOGETHER_TRIES_MAX};
use crate::metrics::count;
use crate::once::idempotency::Call;
use crate::{CommandError, CommandOutcome};

/// A row of a view: the view's place among those that are read, and the key.
type RowRead = (usize, GroupKey);

/// Decides calls, answers those that append nothing, and hands the others to the log, past a hold where there is one.
pub(super) fn decide(inner: &Arc<Inner>, calls: Vec<Waiting>, hold: Option<Hold>) -> Option<Submitted> {
    // Whose time is over is told so by itself.
    let (late, calls): (Vec<Waiting>, Vec<Waiting>) = calls.into_iter().partition(|call| call.decision.is_late());
    late.into_iter().for_each(Waiting::decide_alone);
    let calls = calls.into_iter().filter_map(|call| first_of_its_key(inner, call));
    let mut batch = Batch::of(inner, calls.collect());
    let rounds = batch.rounds();
    for calls in rounds {
        batch.round(&calls);
    }
    let deferred = std::mem::take(&mut batch.deferred);
    batch.is_last = true;
    batch.round(&deferred);
    batch.finish(hold)
}

/// The streams that are to be held while calls are decided, since others came before some of them: who waits there comes behind.
pub(super) fn held(calls: &[Waiting]) -> Vec<String> {
    let mut streams: Vec<String> = Vec::new();
    if calls.iter().any(|call| call.tries > 0) {
        streams.extend(
            calls
                .iter()
                .flat_map(|call| call.decision.command.reads.iter().cloned()),
        );
    }
    streams
}

/// A call that is decided here: the first with its idempotency key, where it has one. Of any other the answer is looked for by itself.
fn first_of_its_key(inner: &Inner, mut call: Waiting) -> Option<Waiting> {
    let Some(key) = call.decision.call.clone().filter(|_| call.turn.is_none()) else {
        return Some(call);
    };
    call.turn = inner
        .locks()
        .take_free(Lock::Call(key.command.clone(), key.key.clone()));
    match call.turn.as_ref().map(|_| inner.memory().knows(&key)) {
        Some(Ok(false)) => return Some(call),
        Some(Err(error)) => call.answer(Err(error)),
        Some(Ok(true)) | None => call.decide_alone(),
    }
    None
}

/// What calls append, on its way into the log.
pub(super) struct Submitted {
    inner: Arc<Inner>,
    submitting: BoxFuture<'static, Awaited>,
    outcome: Option<Awaited>,
    placed: Placed,
    calls: Vec<Appending>,
}

/// A call whose events are being appended.
struct Appending {
    call: Waiting,
    /// Where they stand among the events of the batch: the stream and the place.
    events: Vec<(usize, usize)>,
}

/// The calls of one command.
struct Group {
    command: Arc<Compiled>,
    /// Which of the batch's calls.
    calls: Vec<usize>,
    callers: Callers,
}

struct Batch<'a> {
    inner: &'a Arc<Inner>,
    principal: String,
    /// Those that were answered, or are decided alone, are gone.
    calls: Vec<Option<Waiting>>,
    groups: Vec<Group>,
    rows: RowsAtHand<'a>,
    made: Made,
    appending: Vec<Appending>,
    /// Bytes of the events.
    bytes: usize,
    /// The calls for whose events there is no room any more.
    again: Vec<Waiting>,
    /// Of each view the keys of the rows that calls read which append.
    read: Vec<HashSet<GroupKey>>,
    /// The calls that read a row which another of their round changes.
    deferred: Vec<usize>,
    /// Whether nothing can be deferred any more.
    is_last: bool,
}

impl<'a> Batch<'a> {
    fn of(inner: &'a Arc<Inner>, calls: Vec<Waiting>) -> Batch<'a> {
        let mut streams: Vec<String> = Vec::new();
        let mut groups: Vec<(Arc<Compiled>, Vec<usize>)> = Vec::new();
        for (number, call) in calls.iter().enumerate() {
            let command = &call.decision.command;
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, command)) {
                Some((_, of)) => of.push(number),
                None => {
                    streams.extend_from_slice(&command.reads);
                    groups.push((Arc::clone(command), vec![number]));
                }
            }
        }
        streams.sort_unstable();
        streams.dedup();
        let principal = calls.first().map(|call| call.decision.session.principal.clone());
        let mut batch = Batch {
            inner,
            principal: principal.unwrap_or_default(),
            calls: calls.into_iter().map(Some).collect(),
            groups: Vec::with_capacity(groups.len()),
            rows: RowsAtHand::new(inner, &streams),
            made: Made::default(),
            appending: Vec::new(),
            bytes: 0,
            again: Vec::new(),
            read: Vec::new(),
            deferred: Vec::new(),
            is_last: false,
        };
        for (command, calls) in groups {
            let callers = match inner.stands_ready(&command) {
                true => batch.callers(&command, &calls),
                false => None,
            };
            match callers {
                Some(callers) => batch.groups.push(Group {
                    command,
                    calls,
                    callers,
                }),
                None => calls.into_iter().for_each(|call| batch.alone(call)),
            }
        }
        batch
    }

    /// The arguments of calls, column by column.
    fn callers(&self, command: &Compiled, calls: &[usize]) -> Option<Callers> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(command.parameters.len());
        for parameter in 0..command.parameters.len() {
            let mut values: Vec<ScalarValue> = Vec::with_capacity(calls.len());
            for call in calls {
                let values_of = self.calls[*call].as_ref()?.decision.values.values();
                values.push(values_of.get(parameter)?.clone());
            }
            columns.push(ScalarValue::iter_to_array(values).ok()?);
        }
        let came = calls
            .iter()
            .map(|call| Some(self.calls[*call].as_ref()?.decision.now_us));
        Some(Callers::new(came.collect::<Option<Vec<i64>>>()?, columns))
    }

    /// Looks up the rows that the arguments alone name, and divides the calls into rounds: in each a row is read by one.
    fn rounds(&mut self) -> Vec<Vec<usize>> {
        let mut named: Vec<Vec<RowRead>> = vec![Vec::new(); self.calls.len()];
        for place in 0..self.groups.len() {
            if self.name_rows(place, &mut named).is_err() {
                let calls = std::mem::take(&mut self.groups[place].calls);
                calls.into_iter().for_each(|call| self.alone(call));
            }
        }
        self.read.resize_with(self.rows.views.len(), HashSet::new);
        for view in 0..self.rows.views.len() {
            let of_view = named.iter().flatten().filter(|(of, _)| *of == view);
            let keys = of_view.map(|(_, key)| key.clone()).collect();
            // What cannot be looked up is no certain row, and whoever reads it is decided alone.
            if let Err(error) = self.rows.look_up(view, keys) {
                tracing::debug!("rows were not looked up together: {error}");
            }
        }
        let mut rounds: Vec<Vec<usize>> = Vec::new();
        let mut next: HashMap<&RowRead, usize> = HashMap::new();
        for (call, rows) in named.iter().enumerate() {
            if self.calls[call].is_none() {
                continue;
            }
            let round = rows.iter().filter_map(|row| next.get(row)).max().copied().unwrap_or(0);
            if rounds.len() <= round {
                rounds.resize_with(round + 1, Vec::new);
            }
            rounds[round].push(call);
            for row in rows {
                next.insert(row, round + 1);
            }
        }
        rounds
    }

    /// Adds the rows that the arguments of a group's calls name.
    fn name_rows(&mut self, place: usize, named: &mut [Vec<RowRead>]) -> Result<(), SqlError> {
        let group = &self.groups[place];
        for question in group.command.questions() {
            for lookup in self.inner.engine.sought(question, &group.callers)? {
                let view = self.rows.add_view(&lookup.view);
                for (call, key) in group.calls.iter().zip(lookup.keys) {
                    let Some(key) = key else { continue };
                    let row = (view, key);
                    if !named[*call].contains(&row) {
                        named[*call].push(row);
                    }
                }
            }
        }
        Ok(())
    }

    /// Decides calls that read none of the rows that another of them is known to read.
    fn round(&mut self, calls: &[usize]) {
        let mut changed: HashSet<RowRead> = HashSet::new();
        for place in 0..self.groups.len() {
            let group = &self.groups[place];
            let is_now = |(_, call): &(usize, &usize)| calls.binary_search(call).is_ok();
            let own = group.calls.iter().enumerate().filter(is_now);
            let (places, own): (Vec<u32>, Vec<usize>) = own.map(|(place, call)| (place as u32, *call)).unzip();
            if own.is_empty() {
                continue;
            }
            let callers = match places.len() == group.calls.len() {
                true => Ok(group.callers.clone()),
                false => group.callers.only(&places),
            };
            let command = Arc::clone(&group.command);
            let decided =
                callers.and_then(|callers| caught(|| round::decide(self.inner, &command, &mut self.rows, callers)));
            let Ok(decided) = decided else {
                // One of them may be to blame: which one, and why, is said to it alone.
                own.into_iter().for_each(|call| self.alone(call));
                continue;
            };
            for (call, (fate, reads)) in own.into_iter().zip(decided.calls) {
                match fate {
                    Fate::Alone => self.alone(call),
                    _ if reads.iter().any(|row| changed.contains(row)) => match self.is_last {
                        true => self.alone(call),
                        false => self.deferred.push(call),
                    },
                    // Nothing looks at what it rests on, where nothing is appended.
                    Fate::Appends(events) if events.is_empty() && !self.rows.are_durable(&reads) => self.alone(call),
                    Fate::Refused(refused) => self.answer(call, Err(CommandError::Refused(refused))),
                    Fate::Appends(events) if !self.has_room(&events) => self.again(call),
                    Fate::Appends(events) => {
                        for (view, key) in reads {
                            self.read[view].insert(key);
                        }
                        self.append(call, &decided.streams, events, &mut changed);
                    }
                }
            }
        }
        self.deferred.sort_unstable();
    }

    /// Whether events may be appended with those of the calls before.
    fn has_room(&self, events: &[(usize, MadeEvent)]) -> bool {
        let bytes: usize = events.iter().map(|(_, event)| event.bytes()).sum();
        self.appending.is_empty() || self.bytes + bytes <= TOGETHER_BYTES_MAX
    }

    /// Appends a call's events, and lets the rows take them.
    fn append(
        &mut self,
        call: usize,
        streams: &[StreamEvents],
        events: Vec<(usize, MadeEvent)>,
        changed: &mut HashSet<RowRead>,
    ) {
        let Some(call) = self.calls[call].take() else { return };
        let mark = call.decision.call.as_ref().map(Call::header);
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(events.len());
        for (stream, mut event) in events {
            let stream = &streams[stream];
            self.take(&stream.views, &event, changed);
            self.bytes += event.bytes();
            event.event.headers.extend(mark.clone());
            places.push(self.made.add(stream, event));
        }
        self.appending.push(Appending { call, events: places });
    }

    /// Lets the rows take an event.
    fn take(&mut self, views: &[Arc<Lately>], event: &MadeEvent, changed: &mut HashSet<RowRead>) {
        for (lately, keys) in views.iter().zip(&event.touches) {
            for key in keys.iter().flatten() {
                let view = self.rows.take(lately, key, &event.taken);
                changed.extend(view.map(|view| (view, key.clone())));
            }
        }
    }

    /// Lets a call be decided with the next ones.
    fn again(&mut self, call: usize) {
        self.again.extend(self.calls[call].take());
    }

    fn answer(&mut self, call: usize, answer: Result<CommandOutcome, CommandError>) {
        if let Some(call) = self.calls[call].take() {
            call.answer(answer);
        }
    }

    fn alone(&mut self, call: usize) {
        if let Some(call) = self.calls[call].take() {
            call.decide_alone();
        }
    }

    /// Hands what the calls append together to the log, where they append anything.
    fn finish(self, hold: Option<Hold>) -> Option<Submitted> {
        let Batch {
            inner,
            principal,
            calls,
            rows,
            made,
            appending,
            again,
            read,
            ..
        } = self;
        // Of those nobody said anything.
        calls.into_iter().flatten().for_each(Waiting::decide_alone);
        inner.decide_again(again);
        let keys: Vec<(&Call, &[(usize, usize)])> = appending.iter().filter_map(Appending::key).collect();
        if made.is_empty() && keys.is_empty() {
            for Appending { call, .. } in appending {
                call.answer(Ok(CommandOutcome::default()));
            }
            return None;
        }
        let (parts, placed, lessons) = made.placed(inner, &keys);
        let unchanged = Unchanged::new(rows.views.iter().zip(&read), &parts, lessons);
        let append = Append {
            parts,
            principal,
            condition: Some(Condition::Guard(Box::new(unchanged))),
        };
        let mut submitted = Submitted {
            inner: Arc::clone(inner),
            submitting: submitting(inner.engine.log().clone(), append, hold),
            outcome: None,
            placed,
            calls: appending,
        };
        // Mostly it is in its place already when this comes back.
        submitted.is_in_place();
        count(&inner.counters.appends);
        Some(submitted)
    }
}

impl Appending {
    /// Its idempotency key, where it has one, with its events.
    fn key(&self) -> Option<(&Call, &[(usize, usize)])> {
        let call = self.call.decision.call.as_ref()?;
        Some((call, &self.events))
    }
}

impl Submitted {
    /// Whether the append is in its place: sequenced, or refused.
    pub(super) fn is_in_place(&mut self) -> bool {
        if self.outcome.is_none() {
            self.outcome = (&mut self.submitting).now_or_never();
        }
        self.outcome.is_some()
    }

    /// Waits until it is.
    pub(super) async fn in_place(&mut self) {
        if !self.is_in_place() {
            self.outcome = Some((&mut self.submitting).await);
        }
    }

    /// Whether something is noted once it is durable.
    pub(super) fn is_remembered(&self) -> bool {
        self.calls.iter().any(|appending| appending.key().is_some())
    }

    /// Answers the calls once their events are durable; where somebody came in between, they are decided anew.
    pub(super) async fn answer(mut self) {
        self.in_place().await;
        let Submitted {
            inner,
            outcome,
            placed,
            calls,
            ..
        } = self;
        let Some(outcome) = outcome else { return };
        match outcome.await {
            Ok(appended) => done(&inner, &placed, &appended, calls),
            Err(AppendError::Conflict { .. }) => {
                count(&inner.counters.outrun);
                let mut again: Vec<Waiting> = Vec::with_capacity(calls.len());
                for Appending { mut call, .. } in calls {
                    call.tries += 1;
                    match is_tried_again(call.tries) {
                        true => again.push(call),
                        false => call.decide_alone(),
                    }
                }
                inner.decide_again(again);
            }
            // What one of them appends may be to blame.
            Err(AppendError::TooLarge { .. } | AppendError::Keyless { .. } | AppendError::Unknown { .. })
                if calls.len() > 1 =>
            {
                calls.into_iter().for_each(|Appending { call, .. }| call.decide_alone());
            }
            Err(error) => {
                for Appending { call, .. } in calls {
                    call.answer(Err(error.clone().into()));
                }
            }
        }
    }
}

#[expect(
    clippy::async_yields_async,
    reason = "an append is in its place before it is durable, and both are waited for"
)]
fn submitting(log: EventLog, append: Append, hold: Option<Hold>) -> BoxFuture<'static, Awaited> {
    match hold {
        Some(hold) => async move { hold.submit(append).await }.boxed(),
        None => async move { log.submit_awaited(append).await }.boxed(),
    }
}

/// Whether a call that others came before so often is decided together once more.
fn is_tried_again(tries: u32) -> bool {
    tries < TOGETHER_TRIES_MAX
}

/// Answers calls whose events are durable. What their idempotency keys stand for is known before anybody else with such a key has a turn.
fn done(inner: &Inner, placed: &Placed, appended: &Appended, calls: Vec<Appending>) {
    let keys = calls.iter().filter_map(Appending::key).map(|(call, _)| call);
    for (call, offset) in keys.zip(placed.remembered(appended)) {
        inner.memory().decided(call, offset, appended.appended_at_us);
    }
    let landed = placed.landed(appended);
    for Appending { call, events } in calls {
        let own = events.iter().map(|(stream, place)| landed[*stream][*place].clone());
        call.answer(Ok(outcome_of(inner.engine.catalog(), appended.appended_at_us, own)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_others_come_before_is_decided_alone_in_the_end() {
        for (tries, expected) in [(1, true), (TOGETHER_TRIES_MAX - 1, true), (TOGETHER_TRIES_MAX, false)] {
            assert_eq!(is_tried_again(tries), expected, "{tries}");
        }
    }
}
