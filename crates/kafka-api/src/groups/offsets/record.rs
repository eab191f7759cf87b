//! A commit as an event of the stream of committed positions.
//!
//! ```text
//! key    {"group":"billing","stream":"transactions","partition":0}
//! value  {"offset":42,"leader_epoch":-1,"metadata":"","stream_id":"8a3…"}      none: forgotten
//! ```
//!
//! The event's timestamp is when it was committed. The last event for a key counts, so the stream may be compacted.

use std::borrow::Cow;

use bytes::Bytes;
use headwater_records::Event;
use serde::{Deserialize, Serialize};

use super::commit::{Commit, Committed, Place};

#[derive(Serialize, Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    partition: u32,
}

#[derive(Serialize, Deserialize)]
struct Value {
    offset: i64,
    leader_epoch: i32,
    metadata: String,
    stream_id: String,
    /// Milliseconds since 1970; where the client named none, the door's rules decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_ms: Option<u64>,
}

/// The event of a commit.
pub(super) fn commit(group: &str, commit: &Commit, now_ms: u64) -> serde_json::Result<Event> {
    let value = Value {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: commit.metadata.clone(),
        stream_id: format!("{:032x}", commit.stream_id),
        expires_ms: commit.expires_ms,
    };
    event(group, &(commit.stream.clone(), commit.partition), Some(&value), now_ms)
}

/// The event that forgets what a group committed for a partition.
pub(super) fn forgotten(group: &str, place: &Place, now_ms: u64) -> serde_json::Result<Event> {
    event(group, place, None, now_ms)
}

/// What an event says: of which group and partition, and what is committed, where it is not forgotten.
pub(super) fn read(at: u64, event: &Event) -> serde_json::Result<(String, Place, Option<Committed>)> {
    let key: Key = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
    let place = (key.stream.into_owned(), key.partition);
    let committed = match &event.value {
        None => None,
        Some(value) => {
            let value: Value = serde_json::from_slice(value)?;
            let stream_id = u128::from_str_radix(&value.stream_id, 16).map_err(serde::de::Error::custom)?;
            Some(Committed {
                offset: value.offset,
                leader_epoch: value.leader_epoch,
                metadata: value.metadata,
                committed_ms: event.timestamp_ms.max(0).unsigned_abs(),
                expires_ms: value.expires_ms,
                stream_id,
                at,
            })
        }
    };
    Ok((key.group.into_owned(), place, committed))
}

fn event(group: &str, place: &Place, value: Option<&Value>, now_ms: u64) -> serde_json::Result<Event> {
    let key = Key {
        group: group.into(),
        stream: place.0.as_str().into(),
        partition: place.1,
    };
    Ok(Event {
        key: Some(Bytes::from(serde_json::to_vec(&key)?)),
        value: value.map(serde_json::to_vec).transpose()?.map(Bytes::from),
        headers: Vec::new(),
        timestamp_ms: now_ms.cast_signed(),
    })
}
