//! What is due, made into one append. Decides only: it is told what is due and what streams there are.

use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_catalog::PARKED_STREAM;
use headwater_eventlog::{Append, Condition, Part};
use headwater_records::{Batch, Compression, Event, Header, partition_of};

use crate::changes::{Change, Changes};
use crate::limits::DUE_BYTES_MAX;
use crate::schedule::printed;
use crate::{SCHEDULES_STREAM, Schedule};

/// The header of an appended event that names its schedule.
pub const SCHEDULE_HEADER: &str = "headwater-schedule";

/// The header of an appended event that says when it was due.
pub const DUE_HEADER: &str = "headwater-due";

/// A schedule that is due, as its record was read.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// The record's offset.
    pub(crate) offset: u64,
    /// Who made it: its events are appended in this name.
    pub(crate) principal: String,
    pub(crate) schedule: Schedule,
    /// Its events as they are to be appended, and how many partitions their stream has; or why they are not to be.
    pub(crate) kept: Result<(u32, Vec<Event>), String>,
}

/// How many of them, from the first on, go into one append: those of one principal, and not too many bytes.
pub(crate) fn together(due: &[Due]) -> usize {
    let Some(first) = due.first() else { return 0 };
    let mut bytes = 0;
    let mut count = 0;
    for next in due {
        let values = next.schedule.events.iter().filter_map(|event| event.value.as_ref());
        bytes += values.map(Bytes::len).sum::<usize>();
        if count > 0 && (next.principal != first.principal || bytes > DUE_BYTES_MAX) {
            break;
        }
        count += 1;
    }
    count
}

/// One append of the events of all these and of the ends of their schedules. Those that cannot be appended are parked. Events without a key take turns
/// over the partitions, from `spread` on.
pub(crate) fn append(due: &[Due], known_to: u64, mut spread: u32) -> Append {
    let mut parts: Vec<Part> = Vec::new();
    let mut changes = Changes::new(known_to);
    for due in due {
        let schedule = &due.schedule;
        match &due.kept {
            Ok((partitions, events)) => {
                parts.extend(parts_of(schedule, events, *partitions, spread));
                spread = spread.wrapping_add(1);
                changes.end(&schedule.name, Change::Appended);
            }
            Err(why) => {
                parts.push(parked(due, why));
                changes.end(&schedule.name, Change::Parked);
            }
        }
    }
    finish(due, parts, changes)
}

/// The append that parks one whose events the log does not take.
pub(crate) fn append_parked(due: &Due, known_to: u64, why: &str) -> Append {
    let mut changes = Changes::new(known_to);
    changes.end(&due.schedule.name, Change::Parked);
    finish(std::slice::from_ref(due), vec![parked(due, why)], changes)
}

fn finish(due: &[Due], mut parts: Vec<Part>, changes: Changes) -> Append {
    parts.extend(changes.parts());
    Append {
        parts,
        principal: due.first().map(|due| due.principal.clone()).unwrap_or_default(),
        condition: Some(Condition::Guard(Box::new(changes.condition()))),
    }
}

/// A schedule's events in batches for their partitions, in order.
fn parts_of(schedule: &Schedule, events: &[Event], partitions: u32, spread: u32) -> Vec<Part> {
    let header = |name: &str, value: String| Header {
        name: name.to_owned(),
        value: Some(Bytes::from(value)),
    };
    let mut lanes: BTreeMap<u32, Vec<Event>> = BTreeMap::new();
    for event in events {
        let partition = match &event.key {
            Some(key) => partition_of(key, partitions),
            None => spread.checked_rem(partitions).unwrap_or(0),
        };
        let mut event = event.clone();
        event.headers.push(header(SCHEDULE_HEADER, schedule.name.clone()));
        event.headers.push(header(DUE_HEADER, printed(schedule.due_us)));
        if event.timestamp_ms == -1 {
            event.timestamp_ms = schedule.due_us.div_euclid(1_000);
        }
        lanes.entry(partition).or_default().push(event);
    }
    let lanes = lanes.into_iter();
    lanes
        .map(|(partition, events)| Part {
            stream: schedule.stream.clone(),
            partition,
            batch: Batch::encode(&events, Compression::None, None),
        })
        .collect()
}

/// The event that says where the schedule's record stands, and why its events were not appended.
fn parked(due: &Due, why: &str) -> Part {
    let value = due.schedule.to_json(None).unwrap_or_default();
    let value = serde_json::json!({
        "stream": SCHEDULES_STREAM,
        "partition": 0,
        "offset": due.offset,
        "reason": format!("the schedule '{}' was due and its events were not appended: {why}", due.schedule.name),
        "value": String::from_utf8_lossy(&value),
    });
    let event = Event {
        value: Some(Bytes::from(value.to_string())),
        timestamp_ms: due.schedule.due_us.div_euclid(1_000),
        ..Event::default()
    };
    Part {
        stream: PARKED_STREAM.to_owned(),
        partition: 0,
        batch: Batch::encode(&[event], Compression::None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(name: &str, principal: &str, stream: &str, keys: &[Option<&str>], value_bytes: usize) -> Due {
        let event = |key: &Option<&str>| Event {
            key: key.map(|key| Bytes::from(key.to_owned())),
            value: Some(Bytes::from(vec![b'7'; value_bytes])),
            headers: Vec::new(),
            timestamp_ms: -1,
        };
        let events: Vec<Event> = keys.iter().map(event).collect();
        Due {
            offset: 5,
            principal: principal.to_owned(),
            kept: match stream {
                "s" => Ok((2, events.clone())),
                _ => Err("there is no such stream".to_owned()),
            },
            schedule: Schedule {
                name: name.to_owned(),
                due_us: 2_500,
                stream: stream.to_owned(),
                events,
            },
        }
    }

    #[test]
    fn one_append_is_of_one_principal_and_not_too_large() {
        let check = |dues: &[(&str, usize)], expected: usize| {
            let dues: Vec<Due> = dues
                .iter()
                .map(|(who, bytes)| due("n", who, "s", &[None], *bytes))
                .collect();
            assert_eq!(together(&dues), expected);
        };
        check(&[], 0);
        check(&[("a", 1), ("a", 1), ("b", 1), ("a", 1)], 2);
        check(&[("a", DUE_BYTES_MAX / 2), ("a", DUE_BYTES_MAX / 2)], 2);
        check(&[("a", DUE_BYTES_MAX / 2), ("a", DUE_BYTES_MAX / 2 + 1)], 1);
        check(&[("a", 2 * DUE_BYTES_MAX), ("a", 1)], 1);
    }

    /// Each part as `stream/partition: key|timestamp|headers, …`.
    fn shown(append: &Append) -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        for part in &append.parts {
            let events = part.batch.events().unwrap();
            let events: Vec<String> = events
                .iter()
                .map(|(_, event)| {
                    let text = |bytes: &Option<Bytes>| {
                        bytes
                            .as_ref()
                            .map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
                    };
                    let headers = event.headers.iter();
                    let headers: Vec<String> = headers.map(|header| text(&header.value)).collect();
                    format!("{}|{}|{}", text(&event.key), event.timestamp_ms, headers.join(" "))
                })
                .collect();
            shown.push(format!("{}/{}: {}", part.stream, part.partition, events.join(", ")));
        }
        shown
    }

    fn check(due: &[Due], expected: &[&str]) {
        let append = append(due, 9, 1);
        assert_eq!(shown(&append), expected);
        let Some(Condition::Guard(guard)) = append.condition else {
            panic!("the append has a guard")
        };
        assert_eq!(guard.after().to_string(), "_headwater.schedules/0@9");
    }

    #[test]
    fn events_and_the_ends_of_their_schedules_go_together() {
        let foobar = partition_of(b"foobar", 2);
        let a = "a 1970-01-01T00:00:00.0025Z";
        check(
            &[due("a", "p", "s", &[Some("foobar"), Some("foobar")], 1)],
            &[
                &format!("s/{foobar}: foobar|2|{a}, foobar|2|{a}"),
                "_headwater.schedules/0: schedule/a|-1|appended",
            ],
        );
        check(
            &[due("a", "p", "s", &[None], 1), due("b", "p", "s", &[None], 1)],
            &[
                &format!("s/1: -|2|{a}"),
                "s/0: -|2|b 1970-01-01T00:00:00.0025Z",
                "_headwater.schedules/0: schedule/a|-1|appended, schedule/b|-1|appended",
            ],
        );
        check(
            &[due("a", "p", "gone", &[None], 1)],
            &[
                "_headwater.parked/0: -|2|",
                "_headwater.schedules/0: schedule/a|-1|parked",
            ],
        );
    }
}
