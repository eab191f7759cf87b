//! Deciding: try it at the end of the log, and append what comes of it on the condition that nothing read has changed.
//!
//! ```text
//! wait for the views ── try ── no: refused
//!        ^               │ yes
//!        │         take the locks of the rows read ── append on condition ── done
//!        └──── somebody came in between: wait until the views have seen it ────┘
//!              (again and again: hold the streams for the next try; where the index of entities that were read does not answer: any event of
//!              their stream is in the way)
//! ```
//!
//! A view is waited for only where an event that it has not folded may change a row that is read: mostly it is known that none does
//! ([`crate::decide::lately`]), and then the row is already what it will be when the view has got there.
//!
//! Nothing is decided on a view that does not read its streams as they are defined, since one of them was altered: the version that does is waited for,
//! and where one came to be that way meanwhile, the append does not come through. Nor on a stream that is being defined otherwise.

mod basis;
pub(crate) mod coming;
mod evaluate;
pub(crate) mod explain;
pub(crate) mod lately;
pub(crate) mod locks;
pub(crate) mod outcome;
mod proposal;
pub(crate) mod refusal;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use headwater_catalog::Catalog;
use headwater_eventlog::{Append, AppendError, Appended, Condition, Hold};
use headwater_records::{Address, Position};
use headwater_schedules::{Changes, SCHEDULES_STREAM, Schedule, ScheduleError, Tick};
use headwater_sql::encode::{Packed, pack};
use headwater_sql::{Engine, Parameters, Session, SqlError, SqlState};
use headwater_views::{GroupKey, View, ViewError};
use tokio::time::Instant;

use crate::call::compiled::Compiled;
use crate::commands::Inner;
use crate::decide::basis::{Basis, is_unchanged};
use crate::decide::evaluate::Try;
use crate::decide::explain::{Explanation, ProposedEvent, Trace};
use crate::decide::locks::{Held, Lock};
use crate::decide::outcome::outcome_of;
use crate::decide::proposal::{Proposal, Verdict};
use crate::error::{Refused, SCHEDULE_EXISTS_CODE};
use crate::limits::{CONFLICTS_BEFORE_HOLD, HOLD_MAX, REPLACED_MAX};
use crate::metrics::count;
use crate::once::idempotency::Call;
use crate::{CommandError, CommandOutcome};

/// One call on its way.
pub(crate) struct Decision {
    pub(crate) engine: Engine,
    pub(crate) commands: Arc<Inner>,
    pub(crate) session: Session,
    pub(crate) command: Arc<Compiled>,
    /// The values of the parameters.
    pub(crate) values: Parameters,
    /// The idempotency key, where the call has one.
    pub(crate) call: Option<Call>,
    /// The tick, where the clock calls.
    pub(crate) tick: Option<Tick>,
    /// When it came, microseconds since 1970: what `now()` says in all of it.
    pub(crate) now_us: i64,
    pub(crate) deadline: Instant,
    /// The whole time that a decision may take, for the error.
    pub(crate) decide_max: Duration,
}

/// What was appended.
pub(crate) struct Decided {
    pub(crate) packed: Vec<Packed>,
    pub(crate) appended: Appended,
}

/// Why an append did not come through though it is worth deciding again.
enum Again {
    /// Somebody came in between.
    Outrun {
        /// How far the views must be.
        end: Position,
        /// Events that are in the way, where they are known: they must be there to be read.
        came: Vec<Address>,
    },
    /// The index of an entity that was read does not answer.
    Unanswered,
}

impl Decided {
    /// Where the event of its last part stands: of a call with an idempotency key that which remembers it.
    pub(crate) fn last_offset(&self) -> u64 {
        self.appended.base_offsets.last().copied().unwrap_or_default()
    }
}

impl Decision {
    /// How many bytes it holds and is going to make, as far as that was seen of its command before.
    pub(crate) fn bytes(&self) -> usize {
        let arguments = self.values.values().iter().map(ScalarValue::size);
        arguments.sum::<usize>() + self.command.made_bytes.load(Ordering::Relaxed)
    }

    /// Decides, or repeats the answer to an earlier call with the same idempotency key.
    pub(crate) async fn answer(&self) -> Result<CommandOutcome, CommandError> {
        count(&self.commands.counters.alone);
        let Some(call) = &self.call else {
            return outcome(self.engine.catalog(), &self.decide().await?);
        };
        // Held until the call is answered: a second one with the same key waits, and then finds the answer.
        let turn = [Lock::Call(call.command.clone(), call.key.clone())];
        let _turn = self.in_time(self.commands.locks().take(turn)).await?;
        if let Some(answer) = self.commands.repeated(call).await? {
            return Ok(answer);
        }
        let decided = self.decide().await?;
        let appended_at_us = decided.appended.appended_at_us;
        self.commands
            .memory()
            .decided(call, decided.last_offset(), appended_at_us);
        outcome(self.engine.catalog(), &decided)
    }

    /// Whether its time is over.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline <= Instant::now()
    }

    /// What would be decided now, and why. Nothing is appended.
    pub(crate) async fn explain(&self) -> Result<Explanation, CommandError> {
        self.views_are_built()?;
        self.settle().await?;
        evaluate::check(&self.engine, &self.asking(), &self.command, &self.values).await?;
        let mut trace = Trace::default();
        let after = self.log_end();
        let tried = {
            let mut tried = self.a_try(Some(&after));
            tried.trace = Some(&mut trace);
            self.in_time(tried.run()).await?.map_err(|error| self.built(error))
        };
        let verdict = tried.map(|(verdict, _)| verdict);
        trace.explanation(&self.command, self.values.values(), &after, verdict)
    }

    /// What would be appended, as of a position; a refusal is an error.
    pub(crate) async fn try_out(&self) -> Result<(Vec<ProposedEvent>, Position), CommandError> {
        self.views_are_built()?;
        self.settle().await?;
        evaluate::check(&self.engine, &self.asking(), &self.command, &self.values).await?;
        let after = self.log_end();
        let (_, proposal) = self.propose(&after, &self.foreseen()).await?;
        Ok((proposal.made.iter().flat_map(explain::proposed).collect(), after))
    }

    /// Decides, again and again until it comes through, somebody says no, or the time is over. Where others keep coming in between, the
    /// streams that are read are held for the moment that a decision takes.
    async fn decide(&self) -> Result<Decided, CommandError> {
        self.views_are_built()?;
        evaluate::check(&self.engine, &self.asking(), &self.command, &self.values).await?;
        let foreseen = self.foreseen();
        let mut locks = locks_of(&foreseen);
        locks.extend(self.command.read_whole.lock().iter().cloned().map(Lock::Stream));
        let mut turn: Held = self.in_time(self.commands.locks().take(locks.clone())).await?;
        let mut after = self.log_end();
        let mut conflicts = 0;
        let mut asks_indexes = true;
        loop {
            self.settle().await?;
            let mut hold: Option<Hold> = None;
            if conflicts >= CONFLICTS_BEFORE_HOLD {
                hold = Some(self.in_time(self.engine.log().hold(&self.command.reads)).await?);
                after = self.log_end();
            }
            let proposed = match &hold {
                None => self.propose(&after, &foreseen).await?,
                Some(_) => match tokio::time::timeout(HOLD_MAX, self.propose(&after, &foreseen)).await {
                    Ok(proposed) => proposed?,
                    Err(_) => {
                        conflicts = 0;
                        continue;
                    }
                },
            };
            let (mut basis, proposal) = proposed;
            if !asks_indexes {
                basis.widen(&self.engine);
            }
            // Whoever holds the streams waits for nobody: who has the lock of a row may be waiting for them.
            if hold.is_none() && !basis.locks().is_subset(&locks) {
                // Only now is it known what was read. All of it is taken anew, in the one order in which everybody does.
                locks.extend(basis.locks().iter().cloned());
                self.command
                    .read_whole
                    .lock()
                    .extend(basis.streams_read_whole().cloned());
                drop(turn);
                turn = self.in_time(self.commands.locks().take(locks.clone())).await?;
                if !turn.at_once {
                    // Another decided on these rows while this one waited: what was read is old.
                    after = self.log_end();
                    continue;
                }
            }
            match self.append(proposal, basis, hold).await? {
                Ok(decided) => return Ok(decided),
                Err(Again::Outrun { end, came }) => {
                    self.in_time(self.readable(&came)).await?;
                    // Where a transaction is open, only its end helps, and a hold would keep just that out.
                    conflicts = if self.is_undecided() { 0 } else { conflicts + 1 };
                    after.advance_all(&end);
                }
                Err(Again::Unanswered) => asks_indexes = false,
            }
        }
    }

    /// The rows that the arguments alone say will be read, each of a view: whoever decides on them waits for its turn before it looks.
    fn foreseen(&self) -> Vec<(String, GroupKey)> {
        let questions = self.command.questions();
        questions
            .flat_map(|question| question.keys(self.now_us, &self.values))
            .collect()
    }

    /// What would be appended, and what that rests on.
    async fn propose(
        &self,
        after: &Position,
        foreseen: &[(String, GroupKey)],
    ) -> Result<(Basis, Proposal), CommandError> {
        let mut tried = match self.try_at_hand(after, foreseen).await? {
            Some(tried) => Ok(tried),
            None => self.in_time(self.a_try(Some(after)).run()).await?,
        };
        for _ in 0..REPLACED_MAX {
            match &tried {
                // A view was replaced by a newer version just now: that one is asked.
                Err(CommandError::Sql(error)) if error.state == SqlState::CONFLICT => {
                    tried = self.in_time(self.a_try(Some(after)).run()).await?;
                }
                _ => break,
            }
        }
        match tried {
            Ok((Verdict::Append(proposal), basis)) => Ok((basis, proposal)),
            // A tick that its own REQUIRE does not want is passed over: nothing but that it came is appended.
            Ok((Verdict::Refused(_), basis)) if self.tick.is_some() => Ok((basis, Proposal::default())),
            Ok((Verdict::Refused(refused), _)) => Err(CommandError::Refused(refused)),
            Err(CommandError::Sql(error)) if error.state == SqlState::CANCELED => Err(self.late()),
            Err(error) => Err(self.built(error)),
        }
    }

    /// An error, where it is not that a view is still asked as it was before: what it gets by its new definition is not there until that is built.
    fn built(&self, error: CommandError) -> CommandError {
        let is_of_names = matches!(&error, CommandError::Sql(error) if error.state == SqlState::UNKNOWN_COLUMN);
        let next = |view: &String| {
            let next = self.engine.views().next(view).filter(|_| is_of_names)?;
            let (folded, total) = next.building().unwrap_or_default();
            let view = view.clone();
            Some(SqlError::from(ViewError::Building { view, folded, total }).into())
        };
        self.command.views.iter().find_map(next).unwrap_or(error)
    }

    /// A try on rows as the views have them now, where it is known that these are the rows as of `after`; `None` where the views must be waited
    /// for. What goes wrong with it goes wrong again, or does not, once they have been.
    async fn try_at_hand(
        &self,
        after: &Position,
        foreseen: &[(String, GroupKey)],
    ) -> Result<Option<(Verdict, Basis)>, CommandError> {
        // What takes a plan takes longer than the views do.
        if !self.command.is_direct || !self.are_at_hand(after, foreseen) {
            return Ok(None);
        }
        let tried = self.in_time(self.a_try(None).run()).await?;
        let lately = |view: &Arc<View>, stream: &str| self.commands.lately(view, stream);
        Ok(tried.ok().filter(|(_, basis)| basis.stands_at(after, lately)))
    }

    /// Whether the rows that the arguments alone say will be read are the same at `after`: so that no try is made for nothing.
    fn are_at_hand(&self, after: &Position, foreseen: &[(String, GroupKey)]) -> bool {
        foreseen.iter().all(|(view, key)| {
            let Some(view) = self.engine.views().get(view) else {
                return false;
            };
            let lately = |view: &Arc<View>, stream: &str| self.commands.lately(view, stream);
            is_unchanged(&view, [key], &view.position(), after, lately)
        })
    }

    fn a_try(&self, after: Option<&Position>) -> Try<'_> {
        Try::new(&self.engine, &self.command, self.asking(), self.values.clone(), after)
    }

    /// Who asks, in the time that is left.
    fn asking(&self) -> Session {
        Session {
            principal: self.session.principal.clone(),
            after: None,
            timeout: Some(self.deadline.saturating_duration_since(Instant::now())),
            now_us: Some(self.now_us),
            ..Session::default()
        }
    }

    /// A view that is being built would be waited for until the time is over: said at once instead.
    fn views_are_built(&self) -> Result<(), CommandError> {
        for name in &self.command.views {
            let building = self.engine.views().get(name).and_then(|view| view.building());
            if let Some((folded, total)) = building {
                let view = name.clone();
                return Err(SqlError::from(ViewError::Building { view, folded, total }).into());
            }
        }
        Ok(())
    }

    /// Waits until every stream that is read is defined as it will be, and every view reads its streams so: one that stands still has the rows of
    /// another reading.
    async fn settle(&self) -> Result<(), CommandError> {
        for stream in &self.command.reads {
            self.in_time(self.engine.settled(stream)).await?;
        }
        for name in &self.command.views {
            while let Some(view) = self.outdated(name) {
                self.in_time(view.settled()).await?;
                // Where no other version is there to be asked, the read says why.
                if self.outdated(name).is_some_and(|now| Arc::ptr_eq(&now, &view)) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The view of a name, where it does not read its streams as they are defined.
    fn outdated(&self, name: &str) -> Option<Arc<View>> {
        let view = self.engine.views().get(name)?;
        (!view.reads_as_defined()).then_some(view)
    }

    /// The time is over: because of the log, where it stopped, since then no view ever gets to its end; or because of a view that is made anew.
    fn late(&self) -> CommandError {
        if let Some(why) = self.engine.log().stopped() {
            return CommandError::Log(format!(
                "the log stopped writing: {why}; restart when the cause is mended"
            ));
        }
        let mut views = self.command.views.iter();
        if let Some(view) = views.find(|name| self.outdated(name).is_some()) {
            return SqlError::from(ViewError::Outdated { view: view.clone() }).into();
        }
        CommandError::Late(self.decide_max.as_millis() as u64)
    }

    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, CommandError> {
        tokio::time::timeout_at(self.deadline, step)
            .await
            .map_err(|_| self.late())
    }

    /// The end of every stream that is read, events that are being flushed included: a view that has got there has seen them all.
    /// No view gets past the first event of an open transaction; what comes after it is for the append's condition to look at.
    fn log_end(&self) -> Position {
        let log = self.engine.log();
        let mut end = Position::new();
        for stream in &self.command.reads {
            for (partition, offsets) in (0..).zip(log.all_offsets(stream)) {
                let is_decided = offsets.stable == offsets.high_watermark;
                let seen = if is_decided { offsets.end } else { offsets.stable };
                end.set(stream, partition, seen);
            }
        }
        end
    }

    /// Waits until events are there to be read: those of a transaction are not before its end.
    async fn readable(&self, events: &[Address]) {
        let log = self.engine.log();
        let partition = |event: &Address| Some((log.stream(&event.stream)?.id, event.partition));
        let watch = log.watch(events.iter().filter_map(partition).collect());
        let is_open = |event: &Address| {
            let offsets = log.offsets(&event.stream, event.partition);
            offsets.is_some_and(|offsets| offsets.stable <= event.offset)
        };
        while events.iter().any(is_open) {
            watch.news().await;
        }
    }

    /// Whether a transaction is open in a stream that is read.
    fn is_undecided(&self) -> bool {
        let log = self.engine.log();
        let open_in = |stream: &String| {
            let mut offsets = log.all_offsets(stream).into_iter();
            offsets.any(|offsets| offsets.stable < offsets.high_watermark)
        };
        self.command.reads.iter().any(open_in)
    }

    /// What is made and cancelled of schedules, where something is. A name that is taken refuses the command.
    fn changes(&self, proposal: &Proposal) -> Result<Option<Changes>, CommandError> {
        let mut made: Vec<Schedule> = Vec::new();
        for output in &proposal.made {
            if let Some(due) = &output.due
                && !output.events.is_empty()
            {
                made.push(Schedule {
                    name: due.name.clone(),
                    due_us: due.due_us,
                    stream: output.stream.clone(),
                    events: output.events.clone(),
                });
            }
        }
        if made.is_empty() && proposal.cancelled.is_empty() && self.tick.is_none() {
            return Ok(None);
        }
        match self.engine.schedules()?.changes(&made, &proposal.cancelled) {
            Ok(mut changes) => {
                if let Some(tick) = &self.tick {
                    changes.tick(tick);
                }
                Ok(Some(changes))
            }
            Err(error @ (ScheduleError::Exists(_) | ScheduleError::Twice(_))) => Err(CommandError::Refused(Refused {
                text: error.to_string(),
                code: Some(SCHEDULE_EXISTS_CODE.to_owned()),
            })),
            Err(error) => Err(SqlError::from(error).into()),
        }
    }

    /// Appends all of it or nothing.
    async fn append(
        &self,
        proposal: Proposal,
        basis: Basis,
        hold: Option<Hold>,
    ) -> Result<Result<Decided, Again>, CommandError> {
        let mut changes = self.changes(&proposal)?;
        let mut packed: Vec<Packed> = Vec::new();
        // Of each part, the rows that it holds, where they are those of one output.
        let mut rows: Vec<Option<RecordBatch>> = Vec::new();
        for mut output in proposal.made {
            if output.due.is_some() {
                continue;
            }
            if let Some(call) = &self.call {
                for event in &mut output.events {
                    event.headers.push(call.header());
                }
            }
            let one = pack(
                &output.stream,
                output.partitions,
                output.events,
                self.engine.next_spread(),
            );
            match one.parts.len() {
                1 => rows.push(Some(output.rows)),
                parts => rows.resize(rows.len() + parts, None),
            }
            packed.push(one);
        }
        if let Some(changes) = &mut changes {
            if let Some(call) = &self.call {
                changes.mark(&call.header());
            }
            packed.push(pack(SCHEDULES_STREAM, 1, changes.records().to_vec(), 0));
        }
        let mut parts: Vec<headwater_eventlog::Part> = packed.iter().flat_map(|packed| packed.parts.clone()).collect();
        if let Some(call) = &self.call {
            parts.extend(call.part(&packed, self.engine.now_ms()));
        }
        if parts.is_empty() {
            let appended = Appended {
                base_offsets: Vec::new(),
                appended_at_us: 0,
                duplicate: false,
            };
            return Ok(Ok(Decided { packed, appended }));
        }
        rows.resize(parts.len(), None);
        let lately = |view: &Arc<View>, stream: &str| self.commands.lately(view, stream);
        let read = basis.condition(&self.engine, &parts, &rows, lately);
        let append = Append {
            parts,
            principal: self.session.principal.clone(),
            condition: together(read, changes),
        };
        // Once handed over it may be in the log, so the time limit does not cut this short.
        let appended = match hold {
            Some(hold) => hold.append(append).await,
            None => self.engine.log().append(append).await,
        };
        match appended {
            Ok(appended) => Ok(Ok(Decided { packed, appended })),
            Err(error) => self.again(error).await.map(Err),
        }
    }

    /// Why it is to be decided again, where that is worth it.
    async fn again(&self, error: AppendError) -> Result<Again, CommandError> {
        let (end, came) = match error {
            AppendError::Conflict { end } => (end, Vec::new()),
            AppendError::ConditionFailed(failed) => (failed.end, failed.came),
            AppendError::Condition(error) => {
                tracing::debug!("an entity is decided on by all of its stream: {error}");
                return Ok(Again::Unanswered);
            }
            error => return Err(error.into()),
        };
        if self.deadline <= Instant::now() {
            return Err(self.late());
        }
        count(&self.commands.counters.outrun);
        if let Ok(schedules) = self.engine.schedules() {
            self.in_time(schedules.caught_up(&end)).await?.map_err(SqlError::from)?;
        }
        Ok(Again::Outrun { end, came })
    }
}

/// What whoever decides on these rows waits for.
fn locks_of(rows: &[(String, GroupKey)]) -> BTreeSet<Lock> {
    let locks = rows.iter().map(|(view, key)| Lock::Row(view.clone(), key.clone()));
    locks.collect()
}

/// The conditions of an append: nothing that was read changed, and no schedule that is made or cancelled.
fn together(read: Option<Condition>, changes: Option<Changes>) -> Option<Condition> {
    let unchanged = changes.map(|changes| Condition::Guard(Box::new(changes.condition())));
    match (read, unchanged) {
        (Some(read), Some(unchanged)) => Some(Condition::All(vec![read, unchanged])),
        (read, unchanged) => read.or(unchanged),
    }
}

/// The answer to a call that was decided just now.
fn outcome(catalog: &Catalog, decided: &Decided) -> Result<CommandOutcome, CommandError> {
    let mut landed: Vec<(Address, Bytes)> = Vec::new();
    let mut first_part = 0;
    for packed in &decided.packed {
        let values = packed.values().map_err(|error| CommandError::Log(error.to_string()))?;
        landed.extend(packed.addresses(&decided.appended, first_part).into_iter().zip(values));
        first_part += packed.parts.len();
    }
    let landed = landed.iter().map(|(address, value)| (address.clone(), value.as_ref()));
    Ok(outcome_of(catalog, decided.appended.appended_at_us, landed))
}
