//! The door's own streams: read from the beginning, written in batches that the log takes.

use bytes::Bytes;
use headwater_eventlog::{EventLog, Part};
use headwater_records::{Batch, Compression, Event};

use crate::broker::BrokerError;
use crate::limits::OWN_BATCH_BYTES;

const READ_BYTES: usize = 1 << 20;

/// Shows every event of a stream's only partition, with its offset. One that cannot be read ends it.
pub(crate) fn fold(
    log: &EventLog,
    stream: &'static str,
    mut fold: impl FnMut(u64, &Event) -> Result<(), serde_json::Error>,
) -> Result<(), BrokerError> {
    let unreadable = |why: String| BrokerError::Read { stream, why };
    let mut next = log.offsets(stream, 0).map_or(0, |offsets| offsets.start);
    loop {
        let batches = log
            .read(stream, 0, next, READ_BYTES)
            .map_err(|error| unreadable(error.to_string()))?;
        let Some(last) = batches.last() else {
            return Ok(());
        };
        next = last.batch.next_offset();
        for stored in &batches {
            let mut failed: Option<String> = None;
            let folded = stored.batch.for_each_event(|at, event| {
                if failed.is_none()
                    && let Err(error) = fold(at, &event)
                {
                    failed = Some(format!("the event at offset {at} is not one of the door's: {error}"));
                }
            });
            folded.map_err(|error| unreadable(error.to_string()))?;
            if let Some(why) = failed {
                return Err(unreadable(why));
            }
        }
    }
}

/// The events in runs that make batches of a size that the log takes.
pub(crate) fn split(events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut runs: Vec<Vec<Event>> = Vec::new();
    let mut room = 0;
    for event in events {
        let bytes: usize = [&event.key, &event.value].into_iter().flatten().map(Bytes::len).sum();
        match runs.last_mut() {
            Some(run) if bytes <= room => {
                room -= bytes;
                run.push(event);
            }
            _ => {
                room = OWN_BATCH_BYTES.saturating_sub(bytes);
                runs.push(vec![event]);
            }
        }
    }
    runs
}

/// A run of events as a part of an append.
pub(crate) fn part(stream: &str, events: &[Event]) -> Part {
    Part {
        stream: stream.to_owned(),
        partition: 0,
        batch: Batch::encode(events, Compression::None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stay_below_the_size_or_are_one_event() {
        let check = |sizes: &[usize], expected: &[usize]| {
            let event = |bytes: &usize| Event {
                value: Some(Bytes::from(vec![0; *bytes])),
                ..Event::default()
            };
            let runs = split(sizes.iter().map(event).collect());
            assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{sizes:?}");
        };
        check(&[], &[]);
        check(&[1, 2, 3], &[3]);
        check(&[OWN_BATCH_BYTES - 1, 1], &[2]);
        check(&[OWN_BATCH_BYTES, 1], &[1, 1]);
        check(&[1, OWN_BATCH_BYTES, 1], &[1, 1, 1]);
        check(&[2 * OWN_BATCH_BYTES, 1, 1], &[1, 2]);
    }
}
