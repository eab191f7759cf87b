//! How far a reader is behind the end of its streams, in events and in seconds.

use headwater_eventlog::EventLog;
use headwater_records::Position;

/// What a reader has not taken yet.
pub(crate) struct Lag {
    /// Events.
    pub events: u64,
    /// Seconds since the oldest of them was appended; 0 when there is none.
    pub seconds: f64,
}

/// What is in streams up to an end, beyond a position. What is no longer kept does not count.
pub(crate) fn of(log: &EventLog, end: &Position, position: &Position) -> Lag {
    let mut events = 0;
    let mut oldest_us: Option<i64> = None;
    for (stream, partition, end) in end.iter() {
        let start = log.offsets(stream, partition).map_or(0, |offsets| offsets.start);
        let from = position.get(stream, partition).max(start);
        if from >= end {
            continue;
        }
        events += end - from;
        let read = log.read(stream, partition, from, 1).ok();
        if let Some(first) = read.and_then(|batches| batches.into_iter().next()) {
            oldest_us = Some(oldest_us.map_or(first.appended_at_us, |oldest| oldest.min(first.appended_at_us)));
        }
    }
    let seconds = oldest_us.map_or(0.0, |oldest| (log.now_us() - oldest).max(0) as f64 / 1e6);
    Lag { events, seconds }
}
