//! The schedules of one log: made, cancelled, listed.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use headwater_eventlog::{AppendError, EventLog, ReadError, StoredBatch, StreamError, StreamSettings};
use headwater_records::{Event, Position};
use parking_lot::Mutex;

use crate::changes::{Change, Changes, Unchanged};
use crate::due::Due;
use crate::limits::{COMPACTION_LAG_MS, PENDING_MAX_DEFAULT, READ_BYTES};
use crate::pending::{Pending, Place};
use crate::promised::{Promised, Streams};
use crate::schedule::{check_name, name_of};
use crate::{SCHEDULES_STREAM, Schedule, ScheduleError, Tick, tick};

/// Everything that is to be appended later. Clones share it.
#[derive(Clone)]
pub struct Schedules {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones share.
pub(crate) struct Inner {
    pub(crate) log: EventLog,
    pub(crate) options: SchedulesOptions,
    state: Mutex<State>,
    /// Held while what is due is appended.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Counts schedules whose events have no key: they take turns over the partitions.
    pub(crate) spread: AtomicU32,
    /// Who knows the schemas of streams, where somebody does.
    streams: OnceLock<Arc<dyn Streams>>,
}

/// The fold of the stream.
#[derive(Default)]
struct State {
    /// The next offset to be folded.
    next: u64,
    pending: Pending,
    ticks: BTreeMap<String, Tick>,
}

/// Bounds of what waits.
#[derive(Debug, Clone)]
pub struct SchedulesOptions {
    /// The most schedules that wait at once.
    pub pending_max: usize,
}

impl Default for SchedulesOptions {
    fn default() -> SchedulesOptions {
        SchedulesOptions {
            pending_max: PENDING_MAX_DEFAULT,
        }
    }
}

/// A schedule that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The schedule.
    pub schedule: Schedule,
    /// The offset of its record in the stream of schedules.
    pub offset: u64,
    /// When it was made, microseconds since 1970.
    pub made_at_us: i64,
    /// Who made it.
    pub principal: String,
    /// What its stream was then.
    pub(crate) promised: Option<Promised>,
}

impl Waiting {
    /// Where it stands among all that wait.
    pub fn place(&self) -> Place {
        (self.schedule.due_us, self.offset)
    }
}

impl Schedules {
    /// Folds the stream of schedules, which is made where it is missing. Blocks on the disk.
    pub fn open(log: EventLog, options: SchedulesOptions) -> Result<Schedules, ScheduleError> {
        if log.stream(SCHEDULES_STREAM).is_none() {
            let settings = StreamSettings {
                compaction_lag_ms_min: Some(COMPACTION_LAG_MS),
                ..StreamSettings::newest_of_each_key()
            };
            match log.create_stream(SCHEDULES_STREAM, 1, settings) {
                Ok(_) | Err(StreamError::Exists(_)) => {}
                Err(error) => return Err(log_error(error)),
            }
        }
        let schedules = Schedules {
            inner: Arc::new(Inner {
                log,
                options,
                state: Mutex::default(),
                turn: tokio::sync::Mutex::new(()),
                spread: AtomicU32::new(0),
                streams: OnceLock::new(),
            }),
        };
        schedules.inner.fold()?;
        Ok(schedules)
    }

    /// Names who knows the schemas of streams; once, at start.
    pub fn set_streams(&self, streams: Arc<dyn Streams>) {
        if self.inner.streams.set(streams).is_err() {
            tracing::warn!("who knows the schemas of streams was named twice: the first one stays");
        }
    }

    /// The time by which it is decided what is due: the host's, microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.inner.log.now_us()
    }

    /// How many schedules wait.
    pub fn pending(&self) -> usize {
        self.inner.fold_or_say();
        self.inner.state.lock().pending.len()
    }

    /// When the first that waits is due, microseconds since 1970.
    pub fn next_us(&self) -> Option<i64> {
        self.inner.fold_or_say();
        self.inner.state.lock().pending.next_us()
    }

    /// Makes schedules: all of them, durable when this returns, or none.
    pub async fn make(&self, made: &[Schedule], principal: &str) -> Result<Position, ScheduleError> {
        let (_, position) = self.settle(made, &[], principal).await?;
        Ok(position)
    }

    /// Cancels a schedule; `false` where none of that name waits (any more).
    pub async fn cancel(&self, name: &str, principal: &str) -> Result<bool, ScheduleError> {
        check_name(name)?;
        let (cancelled, _) = self.settle(&[], &[name.to_owned()], principal).await?;
        Ok(!cancelled.is_empty())
    }

    async fn settle(
        &self,
        made: &[Schedule],
        cancelled: &[String],
        principal: &str,
    ) -> Result<(Vec<String>, Position), ScheduleError> {
        loop {
            let changes = self.changes(made, cancelled)?;
            let names = changes.cancelled().to_vec();
            let mut position = Position::new();
            if changes.records().is_empty() {
                return Ok((names, position));
            }
            let count = changes.records().len() as u64;
            match self.inner.log.append(changes.append(principal)).await {
                Ok(appended) => {
                    let first = appended.base_offsets.first().copied().unwrap_or(0);
                    position.set(SCHEDULES_STREAM, 0, first + count);
                    self.inner.fold()?;
                    return Ok((names, position));
                }
                Err(AppendError::Conflict { end }) => self.inner.folded_to(&end).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What making and cancelling these means for the stream, for an append together with other events on the condition that comes with it. Where
    /// that fails, ask again. A name to be cancelled under which nothing waits is left alone; a schedule may take the place of one cancelled here.
    pub fn changes(&self, made: &[Schedule], cancelled: &[String]) -> Result<Changes, ScheduleError> {
        self.inner.fold()?;
        let state = self.inner.state.lock();
        let mut changes = Changes::new(state.next);
        let mut free: HashSet<&str> = HashSet::new();
        for name in cancelled {
            check_name(name)?;
            let is_first = free.insert(name);
            match state.pending.get(name) {
                Some(_) if is_first => changes.end(name, Change::Cancelled),
                _ => changes.settle(name),
            }
        }
        let after = (state.pending.len() + made.len()).saturating_sub(changes.cancelled().len());
        if after > self.inner.options.pending_max && !made.is_empty() {
            return Err(ScheduleError::Full(state.pending.len()));
        }
        let mut names: HashSet<&str> = HashSet::new();
        for schedule in made {
            schedule.check()?;
            let name = schedule.name.as_str();
            if !names.insert(name) {
                return Err(ScheduleError::Twice(schedule.name.clone()));
            }
            if state.pending.get(name).is_some() && !free.contains(name) {
                return Err(ScheduleError::Exists(schedule.name.clone()));
            }
            let promised = Promised::of(schedule, &self.inner.log, self.inner.streams());
            changes.make(schedule, promised.as_ref())?;
        }
        Ok(changes)
    }

    /// A condition that fails while a schedule of this name waits; `None` where none does. Whoever repeats an append that made the schedule is
    /// told its first answer before any condition is looked at: with this one, nobody else is.
    pub fn standing(&self, name: &str) -> Result<Option<Unchanged>, ScheduleError> {
        self.inner.fold()?;
        let place = self.inner.state.lock().pending.get(name);
        Ok(place.map(|(_, offset)| Unchanged::since(name, offset)))
    }

    /// Waits until what came in between, up to this position, is known here: before changes are tried again whose condition failed.
    pub async fn caught_up(&self, end: &Position) -> Result<(), ScheduleError> {
        self.inner.folded_to(end).await
    }

    /// One that waits. Reads the log (blocking).
    pub fn get(&self, name: &str) -> Result<Option<Waiting>, ScheduleError> {
        self.inner.fold()?;
        let place = self.inner.state.lock().pending.get(name);
        Ok(match place {
            Some(place) => self.inner.waiting(&[place])?.pop(),
            None => None,
        })
    }

    /// The first that are due, after the place of one, which need not wait any more. Reads the log (blocking).
    pub fn list(&self, after: Option<Place>, most: usize) -> Result<Vec<Waiting>, ScheduleError> {
        self.inner.fold()?;
        let places = self.inner.state.lock().pending.after(after, most);
        self.inner.waiting(&places)
    }

    /// Up to where the recurring schedule of this name has come, where it was created at this moment.
    pub fn last_tick(&self, schedule: &str, created_us: i64) -> Result<Option<i64>, ScheduleError> {
        self.inner.fold()?;
        let state = self.inner.state.lock();
        let tick = state.ticks.get(schedule);
        Ok(tick
            .filter(|tick| tick.created_us == created_us)
            .map(|tick| tick.tick_us))
    }
}

impl Inner {
    fn streams(&self) -> Option<&dyn Streams> {
        self.streams.get().map(AsRef::as_ref)
    }

    /// Folds what is new.
    pub(crate) fn fold(&self) -> Result<(), ScheduleError> {
        let mut state = self.state.lock();
        let Some(offsets) = self.log.offsets(SCHEDULES_STREAM, 0) else {
            return Ok(());
        };
        state.next = state.next.max(offsets.start);
        while state.next < offsets.high_watermark {
            let batches = self.read(state.next, READ_BYTES)?;
            let Some(last) = batches.last() else { break };
            let next = last.batch.next_offset();
            for stored in &batches {
                for (offset, event) in stored.batch.events().map_err(log_error)? {
                    if offset >= state.next {
                        state.fold(offset, &event).map_err(|why| {
                            ScheduleError::Log(format!(
                                "{SCHEDULES_STREAM}/0@{offset} is no record of a schedule: {why}"
                            ))
                        })?;
                    }
                }
            }
            state.next = next;
        }
        Ok(())
    }

    /// Folds what is new, for answers that cannot fail: what cannot be read says so again when it is due.
    fn fold_or_say(&self) {
        if let Err(error) = self.fold() {
            tracing::warn!("what waits is not known to the end: {error}");
        }
    }

    /// Waits until what came in between is durable, and folds it.
    pub(crate) async fn folded_to(&self, end: &Position) -> Result<(), ScheduleError> {
        let wanted = end.get(SCHEDULES_STREAM, 0);
        let mut commits = self.log.commits();
        loop {
            let seen = self.log.offsets(SCHEDULES_STREAM, 0);
            if seen.is_none_or(|offsets| offsets.high_watermark >= wanted) {
                return self.fold();
            }
            if let Some(why) = self.log.stopped() {
                return Err(AppendError::Stopped { why }.into());
            }
            if commits.changed().await.is_err() {
                return Err(ScheduleError::Log("the log is closed".to_owned()));
            }
        }
    }

    /// What is due at this time, in order, and up to where that is known.
    pub(crate) fn due(&self, now_us: i64, most: usize) -> Result<(Vec<Due>, u64), ScheduleError> {
        self.fold()?;
        let (places, known_to) = {
            let state = self.state.lock();
            (state.pending.due(now_us, most), state.next)
        };
        let due = self.waiting(&places)?.into_iter().map(|waiting| Due {
            offset: waiting.offset,
            principal: waiting.principal,
            kept: Promised::kept(waiting.promised.as_ref(), &waiting.schedule, &self.log, self.streams()),
            schedule: waiting.schedule,
        });
        Ok((due.collect(), known_to))
    }

    /// The number of the next schedule whose events have no key.
    pub(crate) fn next_spread(&self, count: usize) -> u32 {
        self.spread.fetch_add(count as u32, Ordering::Relaxed)
    }

    /// The records at these places, in their order. One that was superseded and taken out meanwhile is left out.
    fn waiting(&self, places: &[Place]) -> Result<Vec<Waiting>, ScheduleError> {
        let mut found: Vec<Waiting> = Vec::with_capacity(places.len());
        // Schedules that were made together are mostly due together, and stand in one batch.
        let mut open: Option<(StoredBatch, BTreeMap<u64, Event>)> = None;
        for (_, offset) in places {
            let holds = |(stored, _): &(StoredBatch, BTreeMap<u64, Event>)| {
                (stored.batch.base_offset()..stored.batch.next_offset()).contains(offset)
            };
            if !open.as_ref().is_some_and(holds) {
                let Some(stored) = self.read(*offset, 1)?.into_iter().next() else {
                    continue;
                };
                let events = stored.batch.events().map_err(log_error)?;
                open = Some((stored, events.into_iter().collect()));
            }
            let Some((stored, events)) = &open else { continue };
            let Some(value) = events.get(offset).and_then(|event| event.value.as_ref()) else {
                continue;
            };
            let (schedule, promised) = Schedule::from_json(value).map_err(|why| {
                ScheduleError::Log(format!(
                    "{SCHEDULES_STREAM}/0@{offset} is no record of a schedule: {why}"
                ))
            })?;
            found.push(Waiting {
                schedule,
                offset: *offset,
                made_at_us: stored.appended_at_us,
                principal: stored.principal.to_string(),
                promised,
            });
        }
        Ok(found)
    }

    fn read(&self, from: u64, bytes: usize) -> Result<Vec<StoredBatch>, ScheduleError> {
        let read = self.log.read(SCHEDULES_STREAM, 0, from, bytes);
        read.map_err(|error: ReadError| log_error(error))
    }
}

impl State {
    fn fold(&mut self, offset: u64, event: &Event) -> Result<(), String> {
        let key = event.key.as_deref().ok_or("it has no key")?;
        let key = std::str::from_utf8(key).map_err(|error| error.to_string())?;
        match (name_of(key), tick::name_of(key)) {
            (Some(name), _) => match &event.value {
                Some(value) => {
                    let due_us = Schedule::due_in_json(value)?;
                    self.pending.put(name, (due_us, offset));
                }
                None => self.pending.remove(name),
            },
            (None, Some(name)) => match &event.value {
                Some(value) => {
                    let tick = serde_json::from_slice(value).map_err(|error| error.to_string())?;
                    self.ticks.insert(name.to_owned(), tick);
                }
                None => {
                    self.ticks.remove(name);
                }
            },
            (None, None) => return Err(format!("its key is '{key}'")),
        }
        Ok(())
    }
}

fn log_error(error: impl std::fmt::Display) -> ScheduleError {
    ScheduleError::Log(error.to_string())
}
