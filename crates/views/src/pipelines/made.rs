//! How far a pipeline has come by what its results say: each names the event that it was made of.
//!
//! A position is appended in one step with its results, so that it is never behind them, unless the log was damaged and its repair gave up the end of the
//! stream of positions. Then those results are there already, and are not made once more.

use headwater_eventlog::{EventLog, StoredBatch};
use headwater_records::{Event, Position};

use super::limits::RESULTS_READ_BYTES;
use super::results::{FROM_HEADER, PRINCIPAL};

/// The position behind the events of its sources that the results in a stream were made of; `None` where they are all below the noted one. Looks at the newest
/// results, and at all of them where one of those is not below it.
pub(super) fn beyond(
    log: &EventLog,
    stream: &str,
    sources: &[String],
    noted: &Position,
) -> Result<Option<Position>, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("the results in '{stream}' could not be read: {error}");
    // A source that is another of the same name by now may have fewer events than the results name.
    let end = log.position_of_all(sources.iter().map(String::as_str));
    let mut reached = noted.clone();
    for (partition, offsets) in log.all_offsets(stream).into_iter().enumerate() {
        let partition = partition as u32;
        let last = offsets.end.saturating_sub(1).max(offsets.start);
        let newest = log.read(stream, partition, last, 1);
        let newest = newest.map_err(|error| unreadable(&error))?;
        advance(&mut reached, &end, &newest).map_err(|error| unreadable(&error))?;
    }
    if reached == *noted {
        return Ok(None);
    }
    for (partition, offsets) in log.all_offsets(stream).into_iter().enumerate() {
        let mut next = offsets.start;
        loop {
            let read = log.read(stream, partition as u32, next, RESULTS_READ_BYTES);
            let read = read.map_err(|error| unreadable(&error))?;
            let Some(last) = read.last() else { break };
            next = last.batch.next_offset();
            advance(&mut reached, &end, &read).map_err(|error| unreadable(&error))?;
        }
    }
    Ok(Some(reached))
}

/// Goes behind the events that results were made of.
fn advance(reached: &mut Position, end: &Position, batches: &[StoredBatch]) -> Result<(), String> {
    // What others append to the stream says nothing of the pipeline.
    for stored in batches.iter().filter(|stored| *stored.principal == *PRINCIPAL) {
        for (_, event) in stored.batch.events().map_err(|error| error.to_string())? {
            for (stream, partition, offset) in from(&event).unwrap_or_default().iter() {
                if offset < end.get(stream, partition) {
                    reached.advance(stream, partition, offset + 1);
                }
            }
        }
    }
    Ok(())
}

/// The event that a result was made of.
fn from(event: &Event) -> Option<Position> {
    let header = event.headers.iter().find(|header| header.name == FROM_HEADER)?;
    std::str::from_utf8(header.value.as_deref()?).ok()?.parse().ok()
}
