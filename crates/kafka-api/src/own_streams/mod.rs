//! The door's own streams: opened when it opens, read from the beginning, written in batches that the log takes.
//!
//! The last event for a key counts in each of them.

mod writer;

use bytes::Bytes;
use headwater_catalog::INTERNAL_PREFIX;
use headwater_eventlog::{AppendError, EventLog, Part, StreamError, StreamInfo, StreamSettings};
use headwater_records::{Batch, Compression, Event};
use kafka_protocol::ResponseError;

use crate::limits::OWN_BATCH_BYTES;

pub(crate) use writer::Writer;

/// The stream of what is kept of groups over restarts.
pub const GROUPS_STREAM: &str = "_headwater.groups";

/// The stream of the positions that consumer groups committed.
pub const OFFSETS_STREAM: &str = "_headwater.offsets";

/// The stream of what became of the events that share groups were given.
pub const SHARES_STREAM: &str = "_headwater.shares";

/// The stream of where transactional ids stand.
pub const TRANSACTIONS_STREAM: &str = "_headwater.transactions";

/// The stream of the quotas that clients were given.
pub const QUOTAS_STREAM: &str = "_headwater.quotas";

const READ_BYTES: usize = 1 << 20;

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// One of the door's own streams cannot be created.
    #[error("the stream {stream} cannot be created: {why}")]
    Create {
        /// The stream.
        stream: &'static str,
        /// What the log said.
        why: StreamError,
    },
    /// One of the door's own streams cannot be read.
    #[error("what the Kafka door keeps in {stream} cannot be read: {why}; 'headwater log verify' says what is damaged")]
    Read {
        /// The stream.
        stream: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Whether a topic is one of the program's own: readable, never written by a client.
pub(crate) fn is_internal(name: &str) -> bool {
    name.starts_with(INTERNAL_PREFIX)
}

/// One of the door's own streams, created where it is not there.
pub(crate) fn open(log: &EventLog, stream: &'static str) -> Result<StreamInfo, BrokerError> {
    let refuse = |why| BrokerError::Create { stream, why };
    match log.create_stream(stream, 1, StreamSettings::newest_of_each_key()) {
        Err(StreamError::Exists(_)) => log
            .stream(stream)
            .ok_or_else(|| refuse(StreamError::Unknown(stream.to_owned()))),
        created => created.map_err(refuse),
    }
}

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

/// Why the log did not take what a group asked to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// There is no room, or no more files can be opened. It passes by itself.
    Full,
    /// The log takes nothing any more.
    Stopped,
    /// Something else, that was said where it happened.
    Failed,
}

impl Unwritten {
    pub(crate) fn of(error: &AppendError) -> Unwritten {
        match error {
            // The log says so itself, once.
            AppendError::Full { .. } => return Unwritten::Full,
            _ => tracing::error!("what a group asked to be kept was not written: {error}"),
        }
        match error {
            AppendError::Stopped { .. } => Unwritten::Stopped,
            _ => Unwritten::Failed,
        }
    }

    /// What a client is told.
    pub(crate) fn code(self) -> ResponseError {
        match self {
            Unwritten::Stopped => ResponseError::KafkaStorageError,
            // Clients try again.
            Unwritten::Full | Unwritten::Failed => ResponseError::CoordinatorNotAvailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use headwater_eventlog::LogOptions;
    use headwater_host::simulated::Simulation;

    use super::*;

    #[test]
    fn what_a_start_reads_whole_is_compacted_in_small_segments() {
        let machine = Simulation::new(1);
        let (log, _) = EventLog::open(machine.host(), Path::new("/data"), LogOptions::default()).unwrap();
        let settings = open(&log, OFFSETS_STREAM).unwrap().settings;
        assert!(settings.cleanup().compact);
        assert_eq!(settings.segment_bytes, Some(16 * 1024 * 1024));
    }

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
