//! Records that are to be appended later, as their headers say it; docs/kafka.md is for those who write them.
//!
//! ```text
//! headwater-append-at      2026-12-31T09:00:00Z     when; one of both
//! headwater-append-after   3 days | PT72H
//! headwater-schedule       late-42                  what it is cancelled by; without it one is made up
//! ```
//!
//! Invariants
//! - What is promised and what is appended of a batch are one step of the log.
//! - A record that is promised leaves its offset empty, and every other record has the offset that its client works out for it.
//! - The batch goes into the log without those records, if need be without any: its producer's sequence goes on, and a retry gets its first
//!   answer and promises nothing again.

use std::collections::{BTreeSet, HashSet};

use headwater_eventlog::{Append, AppendOutcome, Condition, EventLog, Part};
use headwater_records::{Batch, Event, EventSlice, Events};
use headwater_schedules::{
    AFTER_HEADER, AT_HEADER, SCHEDULE_HEADER, Schedule, ScheduleError, Schedules, written_due_us,
};
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use super::admission::Refusal;

/// What is to be appended later of a batch.
pub(super) struct Later {
    /// The promises, one for each record.
    schedules: Vec<Schedule>,
    /// The records that they come from, by their place in the batch.
    records: Vec<i32>,
    /// The batch without them.
    rest: Batch,
}

/// What the headers of one record say.
#[derive(Default)]
struct Written {
    at: Option<String>,
    after: Option<String>,
    name: Option<String>,
}

/// Whether a header of this name says that its record is to be appended later.
pub(super) fn says_when(name: &str) -> bool {
    matches!(name, AT_HEADER | AFTER_HEADER)
}

/// Whether a record is to be appended later.
pub(super) fn is_later(record: &EventSlice<'_>) -> bool {
    let mut found = false;
    // Headers that cannot be read say nothing.
    let read = record.for_each_header(|name, _| found |= says_when(name));
    found && read.is_ok()
}

impl Later {
    /// Reads what the records of a batch for this stream ask for.
    pub(super) fn of(batch: &Batch, events: &Events, stream: &str, now_us: i64) -> Result<Later, Refusal> {
        let mut schedules: Vec<Schedule> = Vec::new();
        let mut records: Vec<i32> = Vec::new();
        let mut offsets: BTreeSet<u64> = BTreeSet::new();
        let mut names: HashSet<String> = HashSet::new();
        for (index, slice) in events.iter().enumerate() {
            let slice = slice?;
            if !is_later(&slice) {
                continue;
            }
            let schedule = schedule(events.event(&slice)?, stream, now_us);
            let index = index as i32;
            let schedule = schedule.map_err(|why| Refusal::of_record(index, format!("malformed_schedule: {why}")))?;
            if !names.insert(schedule.name.clone()) {
                let why = format!(
                    "schedule_exists: an earlier record of the same batch is named '{}'",
                    schedule.name
                );
                return Err(Refusal::of_record(index, why));
            }
            schedules.push(schedule);
            records.push(index);
            offsets.insert(slice.offset);
        }
        Ok(Later {
            schedules,
            records,
            rest: batch.without(|event| offsets.contains(&event.offset))?,
        })
    }

    /// Hands what is promised and the rest of the batch to the log, in one step. `append` has the whole batch for its only part.
    pub(super) async fn append(
        self,
        schedules: &Schedules,
        log: &EventLog,
        append: Append,
    ) -> Result<AppendOutcome, Refusal> {
        let Append {
            parts,
            principal,
            condition,
        } = append;
        let rest = |part: Part| Part {
            batch: self.rest.clone(),
            ..part
        };
        let mut parts: Vec<Part> = parts.into_iter().map(rest).collect();
        let (guard, name) = match schedules.changes(&self.schedules, &[]) {
            Ok(changes) => {
                parts.extend(changes.parts());
                (changes.condition(), None)
            }
            // Who tries again finds the name taken by the first try.
            Err(ScheduleError::Exists(name)) => match schedules.standing(&name) {
                Ok(Some(standing)) => (standing, Some(name)),
                Ok(None) => return Err(changed_just_now()),
                Err(error) => return Err(self.refusal(&error)),
            },
            Err(error) => return Err(self.refusal(&error)),
        };
        let mut conditions: Vec<Condition> = condition.into_iter().collect();
        conditions.push(Condition::Guard(Box::new(guard)));
        let outcome = log
            .submit(Append {
                parts,
                principal,
                condition: Some(Condition::All(conditions)),
            })
            .await;
        match name {
            None => Ok(outcome),
            Some(name) => self.only_repeated(outcome, name).await,
        }
    }

    /// What a transaction is told: it could be taken back, and what was promised could not.
    pub(super) fn in_transaction(&self) -> Refusal {
        let why =
            "malformed_schedule: a record of a transaction cannot be appended later: send it outside of one".to_owned();
        Refusal::of_record(self.records.first().copied().unwrap_or_default(), why)
    }

    /// The outcome of a batch that only the first answer of an earlier try can make good: its name is taken.
    async fn only_repeated(&self, outcome: AppendOutcome, name: String) -> Result<AppendOutcome, Refusal> {
        match outcome.await {
            Ok(Ok(appended)) if appended.duplicate => {
                let (reply, outcome) = oneshot::channel();
                // Whoever asked listens, or needs no answer.
                let _ = reply.send(Ok(appended));
                Ok(outcome)
            }
            _ => Err(self.refusal(&ScheduleError::Exists(name))),
        }
    }

    /// What a client is told of promises that cannot be made.
    fn refusal(&self, error: &ScheduleError) -> Refusal {
        let (code, word) = match error {
            ScheduleError::Exists(_) | ScheduleError::Twice(_) => (ResponseError::InvalidRecord, "schedule_exists: "),
            ScheduleError::Invalid(_) | ScheduleError::TooLarge(_) => {
                (ResponseError::InvalidRecord, "malformed_schedule: ")
            }
            ScheduleError::Full(_) => (ResponseError::PolicyViolation, "schedules_full: "),
            ScheduleError::Append(_) | ScheduleError::Log(_) => (ResponseError::KafkaStorageError, ""),
        };
        let is_at_fault = |schedule: &Schedule| match error {
            ScheduleError::Exists(name) | ScheduleError::Twice(name) => schedule.name == *name,
            _ => true,
        };
        let record = self.schedules.iter().position(is_at_fault).unwrap_or_default();
        let index = self.records.get(record).copied().unwrap_or_default();
        Refusal {
            code,
            ..Refusal::of_record(index, format!("{word}{error}"))
        }
    }
}

/// Somebody settled a schedule of the same name in this very moment: clients try such an error again by themselves.
pub(super) fn changed_just_now() -> Refusal {
    let why = "a schedule of the same name was made, appended or cancelled just now: try again".to_owned();
    Refusal::new(ResponseError::KafkaStorageError, why)
}

/// What one record asks for.
fn schedule(mut event: Event, stream: &str, now_us: i64) -> Result<Schedule, String> {
    let mut written = Written::default();
    for header in &event.headers {
        let place = match header.name.as_str() {
            AT_HEADER => &mut written.at,
            AFTER_HEADER => &mut written.after,
            SCHEDULE_HEADER => &mut written.name,
            _ => continue,
        };
        let text = header.value.as_deref().unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| format!("{} is no UTF-8", header.name))?;
        if place.replace(text.trim().to_owned()).is_some() {
            return Err(format!("{} is there several times", header.name));
        }
    }
    let due_us =
        written_due_us(written.at.as_deref(), written.after.as_deref(), now_us).map_err(|why| why.to_string())?;
    let due_us = due_us.ok_or("it does not say when")?;
    event
        .headers
        .retain(|header| !says_when(&header.name) && header.name != SCHEDULE_HEADER);
    // It has the moment at which it is due.
    event.timestamp_ms = -1;
    Ok(Schedule {
        name: written.name.unwrap_or_else(Schedule::new_name),
        due_us,
        stream: stream.to_owned(),
        events: vec![event],
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_records::{Compression, Header, Producer};

    use super::*;

    const NOW_US: i64 = 1_000_000;

    fn event(value: &str, headers: &[(&str, &str)]) -> Event {
        let header = |(name, value): &(&str, &str)| Header {
            name: (*name).to_owned(),
            value: Some(Bytes::from((*value).to_owned())),
        };
        Event {
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from(value.to_owned())),
            headers: headers.iter().map(header).collect(),
            timestamp_ms: 77,
        }
    }

    fn of(batch: &Batch) -> Result<Later, Refusal> {
        Later::of(batch, &batch.open().unwrap(), "s", NOW_US)
    }

    #[test]
    fn records_that_wait_leave_their_offsets_empty() {
        let producer = Producer {
            id: 4,
            epoch: 0,
            base_sequence: 9,
        };
        let now = event("now", &[("headwater-schedule", "a header like any other")]);
        let later = |name: &str| {
            let headers = [
                ("headwater-append-after", "1 s"),
                ("trace", "t"),
                ("headwater-schedule", name),
            ];
            event("later", &headers)
        };
        for compression in [Compression::None, Compression::Zstd] {
            let mixed = Batch::encode(&[later("n"), now.clone(), later("m")], compression, Some(producer));
            let found = of(&mixed).unwrap();
            assert_eq!(found.records, [0, 2]);
            assert_eq!(found.rest.events().unwrap(), [(1, now.clone())]);
            assert_eq!((found.rest.base_offset(), found.rest.next_offset()), (0, 3));
            let [first, _] = &found.schedules[..] else {
                panic!("two wait")
            };
            assert_eq!(
                (first.name.as_str(), first.due_us, first.stream.as_str()),
                ("n", 2 * NOW_US, "s")
            );
            let kept = Event {
                timestamp_ms: -1,
                ..event("later", &[("trace", "t")])
            };
            assert_eq!(first.events, [kept]);

            let all = Batch::encode(&[later("n")], compression, Some(producer));
            let found = of(&all).unwrap();
            assert_eq!((found.rest.event_count(), found.rest.next_offset()), (0, 1));
            assert_eq!(found.rest.producer(), Some(producer));
            let stored = Batch::take_stored(&mut found.rest.bytes().clone());
            assert_eq!(stored, Ok(found.rest), "the log keeps it");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused_record_by_record() {
        let check = |headers: &[(&str, &str)], why: &str| {
            let batch = Batch::encode(&[event("a", &[]), event("b", headers)], Compression::None, None);
            let refusal = of(&batch).err().expect("it is refused");
            assert_eq!(refusal.code, ResponseError::InvalidRecord);
            assert_eq!(refusal.events.len(), 1, "{refusal:?}");
            let (record, told) = &refusal.events[0];
            assert_eq!(*record, 1);
            assert!(told.starts_with("malformed_schedule: ") && told.contains(why), "{told}");
        };
        check(&[("headwater-append-at", "tomorrow")], "no moment");
        check(&[("headwater-append-at", "")], "no moment");
        check(&[("headwater-append-after", "5")], "no span");
        check(&[("headwater-append-after", "9000 years")], "no span");
        check(
            &[
                ("headwater-append-after", "1 s"),
                ("headwater-append-at", "2030-01-01T00:00:00Z"),
            ],
            "contradict",
        );
        check(
            &[("headwater-append-after", "1 s"), ("headwater-append-after", "2 s")],
            "several times",
        );
    }
}
