//! How far each group has got: one event for each commit in the stream of committed positions, the last one for a partition counts.
//!
//! ```text
//! key    {"group":"billing","stream":"transactions","partition":0}
//! value  {"offset":42,"leader_epoch":-1,"metadata":"","stream_id":"8a3…"}      none: forgotten
//! ```
//!
//! Invariants
//! - A commit is answered, and seen by readers, once its event is durable.
//! - A commit belongs to the stream with the id it names: a later stream of the same name starts without.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use headwater_eventlog::{Append, AppendError, EventLog, Part};
use headwater_records::{Batch, Compression, Event};
use kafka_protocol::ResponseError;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::OFFSETS_STREAM;
use crate::broker::BrokerError;
use crate::limits::COMMITS_A_BATCH;

const READ_BYTES: usize = 1 << 20;

/// The commits of all groups.
pub(crate) struct Offsets {
    log: EventLog,
    groups: RwLock<HashMap<String, Partitions>>,
}

/// One group's commits, by stream and partition.
type Partitions = BTreeMap<(String, u32), Committed>;

/// What one group committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    stream_id: u128,
    /// Where the commit's own event stands: a later one wins.
    at: u64,
}

/// A commit that a client asks for.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) stream: String,
    pub(crate) stream_id: u128,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

#[derive(Serialize, Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    group: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    stream: std::borrow::Cow<'a, str>,
    partition: u32,
}

#[derive(Serialize, Deserialize)]
struct Value {
    offset: i64,
    leader_epoch: i32,
    metadata: String,
    stream_id: String,
}

impl Offsets {
    /// Folds the stream from its beginning.
    pub(crate) fn open(log: EventLog) -> Result<Offsets, BrokerError> {
        let offsets = Offsets {
            log,
            groups: RwLock::default(),
        };
        let unreadable = |error: &dyn std::fmt::Display| BrokerError::Read(error.to_string());
        let mut next = 0;
        loop {
            let batches = offsets
                .log
                .read(OFFSETS_STREAM, 0, next, READ_BYTES)
                .map_err(|error| unreadable(&error))?;
            let Some(last) = batches.last() else { break };
            next = last.batch.next_offset();
            for stored in &batches {
                let mut failed: Option<String> = None;
                let folded = stored.batch.for_each_event(|at, event| {
                    if let Err(error) = offsets.fold(at, &event) {
                        failed = Some(format!("the event at offset {at} is no commit: {error}"));
                    }
                });
                folded.map_err(|error| unreadable(&error))?;
                if let Some(error) = failed {
                    return Err(BrokerError::Read(error));
                }
            }
        }
        Ok(offsets)
    }

    /// Writes commits of one group; durable and visible when this returns.
    pub(crate) async fn commit(&self, group: &str, commits: &[Commit], principal: &str) -> Result<(), ResponseError> {
        let mut events: Vec<Event> = Vec::with_capacity(commits.len());
        for commit in commits {
            let value = Value {
                offset: commit.offset,
                leader_epoch: commit.leader_epoch,
                metadata: commit.metadata.clone(),
                stream_id: format!("{:032x}", commit.stream_id),
            };
            events.push(event(group, &commit.stream, commit.partition, Some(&value))?);
        }
        self.append(events, principal).await
    }

    /// Forgets everything that a group committed; whether there was something.
    pub(crate) async fn forget(&self, group: &str, principal: &str) -> Result<bool, ResponseError> {
        let partitions: Vec<(String, u32)> = match self.groups.read().get(group) {
            Some(committed) => committed.keys().cloned().collect(),
            None => return Ok(false),
        };
        let mut events: Vec<Event> = Vec::with_capacity(partitions.len());
        for (stream, partition) in partitions {
            events.push(event(group, &stream, partition, None)?);
        }
        self.append(events, principal).await?;
        Ok(true)
    }

    /// What a group committed for a partition of a stream, by the stream's id.
    pub(crate) fn committed(&self, group: &str, stream: &str, stream_id: u128, partition: u32) -> Option<Committed> {
        let groups = self.groups.read();
        let committed = groups.get(group)?.get(&(stream.to_owned(), partition))?;
        (committed.stream_id == stream_id).then(|| committed.clone())
    }

    /// The partitions that a group has committed.
    pub(crate) fn partitions(&self, group: &str) -> Vec<(String, u32)> {
        let groups = self.groups.read();
        groups
            .get(group)
            .map(|committed| committed.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether a group has commits.
    pub(crate) fn holds(&self, group: &str) -> bool {
        self.groups.read().contains_key(group)
    }

    /// Every group with commits.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.groups.read().keys().cloned().collect()
    }

    async fn append(&self, events: Vec<Event>, principal: &str) -> Result<(), ResponseError> {
        for events in events.chunks(COMMITS_A_BATCH) {
            let appended = self.log.append(Append {
                parts: vec![Part {
                    stream: OFFSETS_STREAM.to_owned(),
                    partition: 0,
                    batch: Batch::encode(events, Compression::None, None),
                }],
                principal: principal.to_owned(),
                condition: None,
            });
            let appended = appended.await.map_err(|error| refusal(&error))?;
            let base = appended.base_offsets.first().copied().unwrap_or_default();
            for (at, event) in (base..).zip(events) {
                if let Err(error) = self.fold(at, event) {
                    tracing::error!("a commit that was just written cannot be read: {error}");
                    return Err(ResponseError::UnknownServerError);
                }
            }
        }
        Ok(())
    }

    /// Commits may be folded in another order than they stand in the stream: the later place wins.
    fn fold(&self, at: u64, event: &Event) -> Result<(), serde_json::Error> {
        let key: Key = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
        let place = (key.stream.into_owned(), key.partition);
        let mut groups = self.groups.write();
        let known = groups.get(key.group.as_ref()).and_then(|group| group.get(&place));
        if known.is_some_and(|known| known.at > at) {
            return Ok(());
        }
        match &event.value {
            Some(value) => {
                let value: Value = serde_json::from_slice(value)?;
                let committed = Committed {
                    offset: value.offset,
                    leader_epoch: value.leader_epoch,
                    metadata: value.metadata,
                    stream_id: u128::from_str_radix(&value.stream_id, 16).unwrap_or_default(),
                    at,
                };
                groups
                    .entry(key.group.into_owned())
                    .or_default()
                    .insert(place, committed);
            }
            None => {
                if let Some(group) = groups.get_mut(key.group.as_ref()) {
                    group.remove(&place);
                    if group.is_empty() {
                        groups.remove(key.group.as_ref());
                    }
                }
            }
        }
        Ok(())
    }
}

fn event(group: &str, stream: &str, partition: u32, value: Option<&Value>) -> Result<Event, ResponseError> {
    let key = Key {
        group: group.into(),
        stream: stream.into(),
        partition,
    };
    let write = || -> Result<Event, serde_json::Error> {
        Ok(Event {
            key: Some(Bytes::from(serde_json::to_vec(&key)?)),
            value: value.map(serde_json::to_vec).transpose()?.map(Bytes::from),
            headers: Vec::new(),
            timestamp_ms: unix_ms(),
        })
    };
    write().map_err(|_| ResponseError::UnknownServerError)
}

fn refusal(error: &AppendError) -> ResponseError {
    tracing::error!("a commit was not written: {error}");
    match error {
        AppendError::Stopped { .. } => ResponseError::KafkaStorageError,
        _ => ResponseError::UnknownServerError,
    }
}

/// The writer's clock; nothing is ordered by it.
fn unix_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
