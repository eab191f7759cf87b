//! How far each pipeline has come, in `_headwater.pipelines`; the last record of a name counts.
//!
//! ```text
//! key     the pipeline
//! value   {"stream": id of its stream, "position": "ratings/0@42", "events": …, "results": …, "parked": …, "lacking": …}
//! ```
//!
//! Invariant: a record is appended in the same step as the results of the events below its position, so that after a crash none of them is made
//! again and none is missing. A stream that was dropped and made again has another id, and begins anew.

use std::collections::HashMap;

use bytes::Bytes;
use headwater_eventlog::{EventLog, Part, StreamError, StreamSettings};
use headwater_records::{Batch, Compression, Event, Position};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::limits::POSITIONS_READ_BYTES;

/// The stream of positions.
pub const PIPELINES_STREAM: &str = "_headwater.pipelines";

/// How far a pipeline has come, and what it has counted since it began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reached {
    pub position: Position,
    /// Events taken.
    pub events: u64,
    /// Results appended.
    pub results: u64,
    /// Events parked.
    pub parked: u64,
    /// Offsets that its source no longer kept when it came to them.
    pub lacking: u64,
}

/// The positions of all pipelines.
pub(super) struct Positions {
    log: EventLog,
    /// By the id of a pipeline's stream; read when the first one is asked for.
    known: Mutex<Option<HashMap<u128, Reached>>>,
}

impl Positions {
    pub(super) fn new(log: EventLog) -> Positions {
        Positions {
            log,
            known: Mutex::new(None),
        }
    }

    /// How far the pipeline into the stream of this id has come; `None` where it has not begun. Makes the stream of positions where it is missing.
    pub(super) fn of(&self, stream_id: u128) -> Result<Option<Reached>, String> {
        let mut known = self.known.lock();
        if known.is_none() {
            self.make()?;
            *known = Some(self.read()?);
        }
        Ok(known.as_ref().and_then(|known| known.get(&stream_id).cloned()))
    }

    /// Remembers what was appended.
    pub(super) fn remember(&self, stream_id: u128, reached: &Reached) {
        if let Some(known) = self.known.lock().as_mut() {
            known.insert(stream_id, reached.clone());
        }
    }

    fn make(&self) -> Result<(), String> {
        if self.log.stream(PIPELINES_STREAM).is_some() {
            return Ok(());
        }
        match self
            .log
            .create_stream(PIPELINES_STREAM, 1, StreamSettings::newest_of_each_key())
        {
            Ok(_) | Err(StreamError::Exists(_)) => Ok(()),
            Err(error) => Err(format!("the stream '{PIPELINES_STREAM}' was not made: {error}")),
        }
    }

    fn read(&self) -> Result<HashMap<u128, Reached>, String> {
        let unreadable = |why: String| format!("how far the pipelines have come could not be read: {why}");
        let mut known = HashMap::new();
        let mut next = self.log.offsets(PIPELINES_STREAM, 0).map_or(0, |offsets| offsets.start);
        loop {
            let batches = self
                .log
                .read(PIPELINES_STREAM, 0, next, POSITIONS_READ_BYTES)
                .map_err(|error| unreadable(error.to_string()))?;
            let Some(last) = batches.last() else {
                return Ok(known);
            };
            next = last.batch.next_offset();
            for stored in &batches {
                let events = stored.batch.events().map_err(|error| unreadable(error.to_string()))?;
                for (offset, event) in events {
                    let read = event.value.as_deref().and_then(read);
                    let Some((stream_id, reached)) = read else {
                        return Err(unreadable(format!(
                            "{PIPELINES_STREAM}/0@{offset} is none of its records"
                        )));
                    };
                    known.insert(stream_id, reached);
                }
            }
        }
    }
}

/// The record of how far a pipeline has come, as a part of an append.
pub(super) fn part(pipeline: &str, stream_id: u128, reached: &Reached, now_us: i64) -> Part {
    let value = json!({
        "stream": format!("{stream_id:032x}"),
        "position": reached.position.to_string(),
        "events": reached.events,
        "results": reached.results,
        "parked": reached.parked,
        "lacking": reached.lacking,
    });
    let event = Event {
        key: Some(Bytes::copy_from_slice(pipeline.as_bytes())),
        value: Some(Bytes::from(value.to_string())),
        timestamp_ms: now_us / 1_000,
        ..Event::default()
    };
    Part {
        stream: PIPELINES_STREAM.to_owned(),
        partition: 0,
        batch: Batch::encode(&[event], Compression::None, None),
    }
}

fn read(value: &[u8]) -> Option<(u128, Reached)> {
    let value: Value = serde_json::from_slice(value).ok()?;
    let text = |name: &str| value.get(name)?.as_str();
    let number = |name: &str| value.get(name)?.as_u64();
    let position = match text("position")? {
        "" => Position::new(),
        text => text.parse().ok()?,
    };
    let reached = Reached {
        position,
        events: number("events")?,
        results: number("results")?,
        parked: number("parked")?,
        lacking: number("lacking")?,
    };
    Some((u128::from_str_radix(text("stream")?, 16).ok()?, reached))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let check = |position: &str| {
            let reached = Reached {
                position: position.parse().unwrap_or_default(),
                events: 5,
                results: 4,
                parked: 1,
                lacking: 2,
            };
            let part = part("p", 7, &reached, 1_000);
            let (_, event) = part.batch.events().expect("a batch").remove(0);
            assert_eq!(read(&event.value.expect("a value")), Some((7, reached)), "{position}");
        };
        check("");
        check("ratings/0@42,1@17");
        check("a/0@1;b.c/3@9");
    }
}
