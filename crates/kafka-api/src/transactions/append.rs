//! A step of a transactional id as one append, all or none: the id's event, the groups' offsets, a marker in every partition.

use headwater_eventlog::{Append, EventLog, Part};
use headwater_records::{Batch, Marker};
use kafka_protocol::ResponseError;

use super::events;
use super::transaction::{End, Step, Transaction};
use crate::groups::{Commit, CommitEvents, Offsets};
use crate::limits::TRANSACTION_STATE_BYTES_MAX;
use crate::own_streams::TRANSACTIONS_STREAM;

/// The append, and the groups' events in it with the number of parts that each takes. The id's event is the first part, then come
/// the groups' offsets, then the markers.
pub(super) fn of_step(
    log: &EventLog,
    offsets: &Offsets,
    id: &str,
    step: &Step,
    principal: &str,
) -> Result<(Append, Vec<(CommitEvents, usize)>), ResponseError> {
    let mut parts = vec![event_part(id, Some(&step.next))?];
    let mut commits: Vec<(CommitEvents, usize)> = Vec::new();
    if let Some(end) = &step.end {
        if end.committed {
            for group in &end.open.groups {
                let of_group = end.open.offsets.iter().filter(|(of, _)| of == group);
                let of_group: Vec<Commit> = of_group.map(|(_, commit)| commit.clone()).collect();
                let events = offsets.events(group, &of_group)?;
                let written = events.parts();
                commits.push((events, written.len()));
                parts.extend(written);
            }
        }
        parts.extend(markers(log, end, step.next.updated_ms));
    }
    let append = Append {
        parts,
        principal: principal.to_owned(),
        condition: None,
    };
    Ok((append, commits))
}

/// The event that says what is known of an id now.
pub(super) fn event_part(id: &str, state: Option<&Transaction>) -> Result<Part, ResponseError> {
    let now_ms = state.map_or(0, |state| state.updated_ms);
    let batch = events::encode(id, state, now_ms).map_err(|_| ResponseError::UnknownServerError)?;
    if batch.bytes().len() > TRANSACTION_STATE_BYTES_MAX {
        tracing::warn!(id, "a transaction has too many partitions and offsets: split it");
        return Err(ResponseError::TransactionAbortable);
    }
    Ok(Part {
        stream: TRANSACTIONS_STREAM.to_owned(),
        partition: 0,
        batch,
    })
}

/// A marker for every partition that is still there.
fn markers(log: &EventLog, end: &End, now_ms: i64) -> Vec<Part> {
    let marker = if end.committed {
        Marker::Committed
    } else {
        Marker::Aborted
    };
    let mut parts: Vec<Part> = Vec::new();
    for (stream, (id, numbers)) in &end.open.streams {
        if log.stream(stream).is_none_or(|info| info.id != *id) {
            continue;
        }
        for partition in numbers {
            parts.push(Part {
                stream: stream.clone(),
                partition: *partition,
                batch: Batch::encode_marker(marker, end.producer_id, end.epoch, now_ms),
            });
        }
    }
    parts
}
