//! The events of a stream's partitions as one sequence, in the order in which they were appended.
//!
//! Invariants
//! - A partition's events come in the order of their offsets; between partitions the append time decides, then the partition.
//! - At most one batch of each partition is held.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_eventlog::{EventLog, ReadError, StoredBatch};
use headwater_records::{BatchError, Compression, Event, Position};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::moment;

/// How much is asked of the log at once; one batch at least comes.
const READ_BYTES: usize = 64 * 1024;

/// Reads a stream's partitions side by side.
pub(crate) struct Merge {
    log: EventLog,
    stream: String,
    lanes: Vec<Lane>,
}

/// One partition.
struct Lane {
    partition: u32,
    /// The next offset to be read from the log.
    next: u64,
    /// The next offset to be given out.
    given: u64,
    waiting: VecDeque<(u64, Event, i64, std::sync::Arc<str>)>,
}

/// One event with its place.
pub(crate) struct Merged {
    pub partition: u32,
    pub offset: u64,
    pub event: Event,
    pub appended_at_us: i64,
    pub principal: std::sync::Arc<str>,
}

/// Why the sequence broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error(
        "the batch of the offsets {base} to {last} of {stream}/{partition} cannot be read: {why}; its writer sent it so. Read on from offset {next}"
    )]
    Batch {
        stream: String,
        partition: u32,
        base: u64,
        last: u64,
        next: u64,
        why: BatchError,
    },
}

impl Merge {
    /// From a position on, over the partitions it names.
    pub(crate) fn new(log: EventLog, stream: &str, from: &Position) -> Merge {
        let lane = |(_, partition, next)| Lane {
            partition,
            next,
            given: next,
            waiting: VecDeque::new(),
        };
        let lanes = from.of(stream).iter().map(lane).collect();
        Merge {
            log,
            stream: stream.to_owned(),
            lanes,
        }
    }

    /// The next event that is durable and counts; `None` at the end, or where a transaction is open. What is appended later is seen by a later call.
    pub(crate) fn next(&mut self) -> Result<Option<Merged>, MergeError> {
        for lane in &mut self.lanes {
            lane.fill(&self.log, &self.stream)?;
        }
        let first = self.lanes.iter_mut().filter_map(|lane| {
            let appended_at_us = lane.waiting.front()?.2;
            Some((appended_at_us, lane.partition, lane))
        });
        let Some((_, _, lane)) = first.min_by_key(|(at, partition, _)| (*at, *partition)) else {
            return Ok(None);
        };
        let Some((offset, event, appended_at_us, principal)) = lane.waiting.pop_front() else {
            return Ok(None);
        };
        lane.given = offset + 1;
        Ok(Some(Merged {
            partition: lane.partition,
            offset,
            event,
            appended_at_us,
            principal,
        }))
    }

    /// Just after the events given out.
    pub(crate) fn position(&self) -> Position {
        let mut position = Position::new();
        for lane in &self.lanes {
            position.set(&self.stream, lane.partition, lane.given);
        }
        position
    }
}

impl Lane {
    fn fill(&mut self, log: &EventLog, stream: &str) -> Result<(), MergeError> {
        while self.waiting.is_empty() {
            let stable = log.offsets(stream, self.partition).map_or(0, |offsets| offsets.stable);
            if self.next >= stable {
                return Ok(());
            }
            let batches = log.read(stream, self.partition, self.next, READ_BYTES)?;
            if batches.is_empty() {
                return Ok(());
            }
            for stored in &batches {
                // A compressed one may be far larger than it looks: it waits until the others were given out.
                if stored.batch.compression() != Compression::None && !self.waiting.is_empty() {
                    break;
                }
                match self.take(stored, stream) {
                    Ok(()) => {}
                    // What stands before a batch that cannot be read is given out first.
                    Err(_) if !self.waiting.is_empty() => break,
                    Err(error) => return Err(error),
                }
            }
            if self.waiting.is_empty() {
                // Only what transactions took back, and the marks of their ends: passed by.
                self.given = self.next;
            }
        }
        Ok(())
    }

    fn take(&mut self, stored: &StoredBatch, stream: &str) -> Result<(), MergeError> {
        let batch = &stored.batch;
        if !batch.is_control() {
            let events = batch.events().map_err(|why| MergeError::Batch {
                stream: stream.to_owned(),
                partition: self.partition,
                base: batch.base_offset(),
                last: batch.next_offset() - 1,
                next: batch.next_offset(),
                why,
            })?;
            for (offset, event) in events {
                if offset >= self.next {
                    self.waiting
                        .push_back((offset, event, stored.appended_at_us, stored.principal.clone()));
                }
            }
        }
        self.next = self.next.max(stored.batch.next_offset());
        Ok(())
    }
}

impl Merged {
    /// The event as JSON on one line. Its value stands as it was written where it is JSON; `value_text` and `value_base64` hold what is not.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut head = json!({"partition": self.partition, "offset": self.offset});
        if let Value::Object(members) = &mut head {
            match self.event.key.as_deref().map(std::str::from_utf8) {
                None => members.insert("key".into(), Value::Null),
                Some(Ok(key)) => members.insert("key".into(), key.into()),
                Some(Err(_)) => {
                    let key = self.event.key.as_deref().unwrap_or_default();
                    members.insert("key_base64".into(), STANDARD.encode(key).into())
                }
            };
            members.insert("headers".into(), self.event.headers.iter().map(header).collect());
            members.insert(
                "timestamp".into(),
                moment(self.event.timestamp_ms.saturating_mul(1000)).into(),
            );
            members.insert("appended_at".into(), moment(self.appended_at_us).into());
            members.insert("principal".into(), self.principal.as_ref().into());
        }
        let head = head.to_string();
        out.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
        put_value(out, self.event.value.as_deref());
        out.push(b'}');
    }
}

fn header(header: &headwater_records::Header) -> Value {
    match header.value.as_deref().map(std::str::from_utf8) {
        None => json!({"name": header.name, "value": null}),
        Some(Ok(value)) => json!({"name": header.name, "value": value}),
        Some(Err(_)) => {
            json!({"name": header.name, "value_base64": STANDARD.encode(header.value.as_deref().unwrap_or_default())})
        }
    }
}

fn put_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else {
        out.extend_from_slice(b",\"value\":null");
        return;
    };
    if serde_json::from_slice::<IgnoredAny>(value).is_ok() {
        out.extend_from_slice(b",\"value\":");
        // A line break in JSON can only stand between its parts: inside of a text it is escaped.
        out.extend(
            value
                .iter()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
        return;
    }
    let (name, text) = match std::str::from_utf8(value) {
        Ok(text) => ("value_text", text.to_owned()),
        Err(_) => ("value_base64", STANDARD.encode(value)),
    };
    out.extend_from_slice(format!(",\"{name}\":{}", Value::from(text)).as_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_records::Header;

    use super::*;

    fn check(event: Event, expected: Value) {
        let merged = Merged {
            partition: 1,
            offset: 2,
            event,
            appended_at_us: 1_500_000,
            principal: "ann".into(),
        };
        let mut line = Vec::new();
        merged.write(&mut line);
        assert!(!line.contains(&b'\n'));
        let mut written: Value = serde_json::from_slice(&line).unwrap();
        for (name, value) in [
            ("partition", json!(1)),
            ("offset", json!(2)),
            ("timestamp", json!("1970-01-01T00:00:00Z")),
            ("appended_at", json!("1970-01-01T00:00:01.5Z")),
            ("principal", json!("ann")),
        ] {
            assert_eq!(written.as_object_mut().unwrap().remove(name), Some(value), "{name}");
        }
        assert_eq!(written, expected);
    }

    #[test]
    fn events_are_shown_whatever_they_hold() {
        let bytes = |text: &'static [u8]| Some(Bytes::from_static(text));
        check(
            Event {
                key: bytes(b"k"),
                value: bytes(b"{\"a\":\n1.50}"),
                ..Event::default()
            },
            json!({"key": "k", "headers": [], "value": {"a": 1.5}}),
        );
        check(Event::default(), json!({"key": null, "headers": [], "value": null}));
        check(
            Event {
                value: bytes(b"no json"),
                ..Event::default()
            },
            json!({"key": null, "headers": [], "value_text": "no json"}),
        );
        check(
            Event {
                key: bytes(b"\xff"),
                value: bytes(b"\xfe"),
                headers: vec![
                    Header {
                        name: "h".into(),
                        value: None,
                    },
                    Header {
                        name: "h".into(),
                        value: bytes(b"x"),
                    },
                ],
                ..Event::default()
            },
            json!({
                "key_base64": "/w==", "value_base64": "/g==",
                "headers": [{"name": "h", "value": null}, {"name": "h", "value": "x"}],
            }),
        );
    }
}
