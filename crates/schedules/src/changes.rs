//! Schedules made and cancelled, as parts of an append: alone, or together with other events in one step.

use std::collections::HashSet;

use bytes::Bytes;
use headwater_eventlog::{Append, Condition, Guard, Part};
use headwater_records::{Batch, Compression, Event, Header, Position};

use crate::limits::RECORD_BATCH_BYTES;
use crate::promised::Promised;
use crate::schedule::key_of;
use crate::{SCHEDULES_STREAM, Schedule, ScheduleError, Tick};

/// The header of a record that says what became of a schedule.
const CHANGE_HEADER: &str = "change";

/// What a record says of its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It waits.
    Made,
    /// Its events were appended.
    Appended,
    /// It was cancelled.
    Cancelled,
    /// Its events could not be appended, and were parked.
    Parked,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Made => "made",
            Change::Appended => "appended",
            Change::Cancelled => "cancelled",
            Change::Parked => "parked",
        }
    }
}

/// Schedules to be made and cancelled in one step, on the condition that nobody else changes those of the same names meanwhile.
pub struct Changes {
    records: Vec<Event>,
    cancelled: Vec<String>,
    unchanged: Unchanged,
}

impl Changes {
    /// Nothing yet; `from` is the offset up to which is known what waits.
    pub(crate) fn new(from: u64) -> Changes {
        let mut after = Position::new();
        after.set(SCHEDULES_STREAM, 0, from);
        Changes {
            records: Vec::new(),
            cancelled: Vec::new(),
            unchanged: Unchanged {
                after,
                keys: HashSet::new(),
            },
        }
    }

    /// What becomes of this name is settled by these changes, and by nobody else meanwhile.
    pub(crate) fn settle(&mut self, name: &str) {
        self.unchanged.keys.insert(key_of(name));
    }

    pub(crate) fn make(&mut self, schedule: &Schedule, promised: Option<&Promised>) -> Result<(), ScheduleError> {
        let value = schedule
            .to_json(promised)
            .map_err(|error| ScheduleError::Log(error.to_string()))?;
        self.settle(&schedule.name);
        self.records
            .push(record(&schedule.name, Some(Bytes::from(value)), Change::Made));
        Ok(())
    }

    pub(crate) fn end(&mut self, name: &str, change: Change) {
        self.settle(name);
        self.records.push(record(name, None, change));
        if change == Change::Cancelled {
            self.cancelled.push(name.to_owned());
        }
    }

    /// A recurring schedule has come to this tick, on the condition that nobody else says so meanwhile.
    pub fn tick(&mut self, tick: &Tick) {
        let record = tick.record();
        self.unchanged.keys.extend(record.key.clone());
        self.records.push(record);
    }

    /// Which of the names that were to be cancelled wait, and are cancelled by this.
    pub fn cancelled(&self) -> &[String] {
        &self.cancelled
    }

    /// The records, as they go into the stream of schedules, in order.
    pub fn records(&self) -> &[Event] {
        &self.records
    }

    /// Puts a header on every record.
    pub fn mark(&mut self, header: &Header) {
        for record in &mut self.records {
            record.headers.push(header.clone());
        }
    }

    /// The records as parts of an append, each batch small.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let mut run: Vec<Event> = Vec::new();
        let mut bytes = 0;
        for record in &self.records {
            let more = record.value.as_ref().map_or(0, Bytes::len);
            if !run.is_empty() && bytes + more > RECORD_BATCH_BYTES {
                parts.push(part(&std::mem::take(&mut run)));
                bytes = 0;
            }
            bytes += more;
            run.push(record.clone());
        }
        if !run.is_empty() {
            parts.push(part(&run));
        }
        parts
    }

    /// What the append of the parts must be conditioned on.
    pub fn condition(self) -> Unchanged {
        self.unchanged
    }

    /// The append of these changes alone.
    pub(crate) fn append(self, principal: &str) -> Append {
        Append {
            parts: self.parts(),
            principal: principal.to_owned(),
            condition: Some(Condition::Guard(Box::new(self.unchanged))),
        }
    }
}

fn part(records: &[Event]) -> Part {
    Part {
        stream: SCHEDULES_STREAM.to_owned(),
        partition: 0,
        batch: Batch::encode(records, Compression::None, None),
    }
}

fn record(name: &str, value: Option<Bytes>, change: Change) -> Event {
    Event {
        key: Some(key_of(name)),
        value,
        headers: vec![Header {
            name: CHANGE_HEADER.to_owned(),
            value: Some(Bytes::from_static(change.word().as_bytes())),
        }],
        // When it was made is the log's append time.
        timestamp_ms: -1,
    }
}

/// Nobody changed these schedules since.
pub struct Unchanged {
    after: Position,
    keys: HashSet<Bytes>,
}

impl Unchanged {
    /// A condition that fails as long as the record at this offset says that the schedule waits.
    pub(crate) fn since(name: &str, offset: u64) -> Unchanged {
        let mut changes = Changes::new(offset);
        changes.settle(name);
        changes.unchanged
    }
}

impl Guard for Unchanged {
    fn after(&self) -> &Position {
        &self.after
    }

    fn conflicts(&mut self, stream: &str, _partition: u32, batch: &Batch) -> bool {
        if stream != SCHEDULES_STREAM || self.keys.is_empty() {
            return false;
        }
        // What cannot be looked at may be anything.
        let Ok(events) = batch.open() else { return true };
        let mut events = events.iter();
        events.any(|event| event.map_or(true, |event| event.key.is_some_and(|key| self.keys.contains(key))))
    }
}
