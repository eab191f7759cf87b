//! Batches, appends and readings for the tests of the log.

use headwater_eventlog::{Append, EventLog, LogOptions, Part, ReadError};
use headwater_records::{Batch, Compression, Event, Producer};

/// A batch of events with these values, one millisecond apart from `timestamp_ms` on.
pub fn batch(values: &[&str], timestamp_ms: i64, producer: Option<Producer>) -> Batch {
    let mut events: Vec<Event> = Vec::new();
    for (number, value) in values.iter().enumerate() {
        events.push(Event {
            key: Some("k".into()),
            value: Some(value.to_string().into()),
            headers: Vec::new(),
            timestamp_ms: timestamp_ms + number as i64,
        });
    }
    Batch::encode(&events, Compression::None, producer)
}

/// One batch for one partition.
pub fn part(stream: &str, partition: u32, values: &[&str]) -> Part {
    Part {
        stream: stream.to_owned(),
        partition,
        batch: batch(values, 1_000, None),
    }
}

/// An append without a condition, by alice.
pub fn append(parts: Vec<Part>) -> Append {
    Append {
        parts,
        principal: "alice".to_owned(),
        condition: None,
    }
}

/// Every value of a partition from an offset on, in order; offsets are dense.
pub fn values_from(log: &EventLog, stream: &str, partition: u32, from: u64) -> Result<Vec<String>, ReadError> {
    let mut found: Vec<String> = Vec::new();
    let mut at = from;
    loop {
        let batches = log.read(stream, partition, at, 1 << 20)?;
        if batches.is_empty() {
            return Ok(found);
        }
        for stored in batches {
            assert_eq!(stored.principal.as_ref(), "alice");
            for (offset, event) in stored.batch.events().unwrap() {
                if offset >= at {
                    assert_eq!(offset, at);
                    at += 1;
                    found.push(String::from_utf8(event.value.unwrap().to_vec()).unwrap());
                }
            }
        }
    }
}

/// Every value of a partition.
pub fn values(log: &EventLog, stream: &str, partition: u32) -> Vec<String> {
    values_from(log, stream, partition, 0).unwrap()
}

/// Small files, so that a short run makes many of them.
pub fn small() -> LogOptions {
    LogOptions {
        batch_bytes_max: 8 * 1024,
        journal_bytes: 64 * 1024,
        segment_bytes: 4 * 1024,
        pending_bytes_max: 64 * 1024,
        tend_every: std::time::Duration::from_secs(3600),
        compaction_keys_max: 1_000,
        // Few postings, so that runs are written and joined.
        entity_memory_bytes: 16 * 1024,
        ..LogOptions::default()
    }
}
