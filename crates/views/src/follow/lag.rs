//! How far a reader is behind the end of its streams, in events and in seconds.

use std::ops::Range;

use headwater_eventlog::EventLog;
use headwater_records::Position;

/// What a reader has not taken yet.
pub(crate) struct Lag {
    /// Events.
    pub events: u64,
    /// Seconds since the oldest of them was appended; 0 when there is none.
    pub seconds: f64,
}

/// The offsets of a partition from one on, up to an end, that are still kept.
pub(crate) fn kept(log: &EventLog, stream: &str, partition: u32, offsets: Range<u64>) -> Range<u64> {
    let start = log.offsets(stream, partition).map_or(0, |offsets| offsets.start);
    offsets.start.max(start).min(offsets.end)..offsets.end
}

/// How many events a range of offsets holds.
pub(crate) fn events_in(offsets: Range<u64>) -> u64 {
    offsets.end - offsets.start
}

/// What is in streams up to an end, beyond a position. What is no longer kept does not count.
pub(crate) fn of(log: &EventLog, end: &Position, position: &Position) -> Lag {
    let mut events = 0;
    let mut oldest_us: Option<i64> = None;
    for (stream, partition, end) in end.iter() {
        let left = kept(log, stream, partition, position.get(stream, partition)..end);
        if left.is_empty() {
            continue;
        }
        let read = log.read(stream, partition, left.start, 1).ok();
        events += events_in(left);
        if let Some(first) = read.and_then(|batches| batches.into_iter().next()) {
            oldest_us = Some(oldest_us.map_or(first.appended_at_us, |oldest| oldest.min(first.appended_at_us)));
        }
    }
    let seconds = oldest_us.map_or(0.0, |oldest| log.now_us().saturating_sub(oldest).max(0) as f64 / 1e6);
    Lag { events, seconds }
}
