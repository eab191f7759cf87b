//! How far each group has got: one event for each commit in the stream of committed positions, the last one for a partition counts.
//!
//! ```text
//! commit.rs   a commit
//! record.rs   as an event
//! pending.rs  commits of transactions that have not ended
//! expiry.rs   which commits have been kept long enough
//! here        the commits of all groups, folded into memory
//! ```
//!
//! Invariants
//! - A commit is answered, and seen by readers, once its event is durable.
//! - A commit belongs to the stream with the id it names: a later stream of the same name starts without.
//! - A commit that was answered is not forgotten by a decision that was taken without it.
//! - A commit of a transaction becomes an event in the append that ends the transaction, or never.

mod commit;
mod expiry;
mod pending;
mod record;

use std::collections::{BTreeMap, HashMap};

use headwater_eventlog::{Append, EventLog, Part};
use headwater_records::Event;
use kafka_protocol::ResponseError;
use parking_lot::{Mutex, RwLock};

use super::clock::Clock;
use crate::own_streams::{self, BrokerError, OFFSETS_STREAM, Unwritten};

pub(crate) use commit::{Commit, Committed, Place};
pub(crate) use expiry::Basis;
use pending::Pending;

/// The commits of all groups.
pub(crate) struct Offsets {
    log: EventLog,
    clock: Clock,
    groups: RwLock<HashMap<String, Partitions>>,
    pending: Mutex<Pending>,
    /// Commits pass side by side; who forgets is alone: what he decides on must not change before it is forgotten.
    gate: tokio::sync::RwLock<()>,
}

/// One group's commits.
type Partitions = BTreeMap<Place, Committed>;

/// Changes to commits, ready to be appended: [`CommitEvents::parts`] goes into an append, and when that is durable
/// [`Offsets::landed`] makes them seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommitEvents {
    batches: Vec<Vec<Event>>,
}

impl CommitEvents {
    fn new(events: Vec<Event>) -> CommitEvents {
        CommitEvents {
            batches: own_streams::split(events),
        }
    }

    /// The parts of an append, in order; each takes one of its base offsets.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let part = |events: &Vec<Event>| own_streams::part(OFFSETS_STREAM, events);
        self.batches.iter().map(part).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

impl Offsets {
    /// Folds the stream from its beginning.
    pub(crate) fn open(log: EventLog, clock: Clock) -> Result<Offsets, BrokerError> {
        let offsets = Offsets {
            log: log.clone(),
            clock,
            groups: RwLock::default(),
            pending: Mutex::default(),
            gate: tokio::sync::RwLock::default(),
        };
        own_streams::fold(&log, OFFSETS_STREAM, |at, event| offsets.fold(at, event))?;
        Ok(offsets)
    }

    /// The events of commits, not yet written.
    pub(crate) fn events(&self, group: &str, commits: &[Commit]) -> Result<CommitEvents, ResponseError> {
        let now_ms = self.clock.now_ms();
        let mut events: Vec<Event> = Vec::with_capacity(commits.len());
        for commit in commits {
            events.push(record::commit(group, commit, now_ms).map_err(unwritable)?);
        }
        Ok(CommitEvents::new(events))
    }

    /// The events that forget what a group committed for these partitions, not yet written.
    pub(crate) fn forgetting(&self, group: &str, places: &[Place]) -> Result<CommitEvents, ResponseError> {
        let now_ms = self.clock.now_ms();
        let mut events: Vec<Event> = Vec::with_capacity(places.len());
        for place in places {
            events.push(record::forgotten(group, place, now_ms).map_err(unwritable)?);
        }
        Ok(CommitEvents::new(events))
    }

    /// Makes events seen that are durable, the first of each batch at its base offset.
    pub(crate) fn landed(&self, events: &CommitEvents, base_offsets: &[u64]) {
        for (events, base) in events.batches.iter().zip(base_offsets) {
            for (at, event) in (*base..).zip(events) {
                if let Err(error) = self.fold(at, event) {
                    tracing::error!("a commit that was just written cannot be read: {error}");
                }
            }
        }
    }

    /// Writes events; durable and seen when this returns.
    pub(crate) async fn append(&self, events: CommitEvents, principal: &str) -> Result<(), ResponseError> {
        if events.is_empty() {
            return Ok(());
        }
        let _passing = self.gate.read().await;
        let appended = self.log.append(Append {
            parts: events.parts(),
            principal: principal.to_owned(),
            condition: None,
        });
        let appended = appended.await.map_err(|error| Unwritten::of(&error).code())?;
        self.landed(&events, &appended.base_offsets);
        Ok(())
    }

    /// Waits until every commit on its way has landed, and holds up others until the guard is dropped.
    pub(crate) async fn alone(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// What a group committed for a partition of a stream, by the stream's id.
    pub(crate) fn committed(&self, group: &str, stream: &str, stream_id: u128, partition: u32) -> Option<Committed> {
        let groups = self.groups.read();
        let committed = groups.get(group)?.get(&(stream.to_owned(), partition))?;
        (committed.stream_id == stream_id).then(|| committed.clone())
    }

    /// The partitions that a group has committed.
    pub(crate) fn partitions(&self, group: &str) -> Vec<Place> {
        let groups = self.groups.read();
        let committed = groups.get(group);
        committed
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

    /// The partitions whose commit's time is over or whose stream is gone.
    pub(crate) fn expired(
        &self,
        group: &str,
        basis: &Basis,
        retention_ms: u64,
        is_stream: impl Fn(u128) -> bool,
    ) -> Vec<Place> {
        let now_ms = self.clock.now_ms();
        let groups = self.groups.read();
        let pending = self.pending.lock();
        let mut expired: Vec<Place> = Vec::new();
        for (place, committed) in groups.get(group).into_iter().flatten() {
            let over = expiry::is_over(basis, place, committed, retention_ms, now_ms);
            if (over || !is_stream(committed.stream_id)) && !pending.holds(group, place) {
                expired.push(place.clone());
            }
        }
        expired
    }

    /// A producer's open transaction is going to commit these partitions for a group.
    pub(crate) fn hold(&self, producer_id: i64, group: &str, places: impl IntoIterator<Item = Place>) {
        self.pending.lock().hold(producer_id, group, places);
    }

    /// A producer's transaction has ended, one way or the other.
    pub(crate) fn release(&self, producer_id: i64) {
        self.pending.lock().release(producer_id);
    }

    /// Whether an open transaction is going to commit a partition.
    pub(crate) fn is_pending(&self, group: &str, stream: &str, partition: u32) -> bool {
        self.pending.lock().holds(group, &(stream.to_owned(), partition))
    }

    /// Whether an open transaction is going to commit anything for a group.
    pub(crate) fn has_pending(&self, group: &str) -> bool {
        self.pending.lock().holds_any(group)
    }

    /// Commits may be folded in another order than they stand in the stream: the later place wins.
    fn fold(&self, at: u64, event: &Event) -> Result<(), serde_json::Error> {
        let (group, place, committed) = record::read(at, event)?;
        let mut groups = self.groups.write();
        let known = groups.get(&group).and_then(|group| group.get(&place));
        if known.is_some_and(|known| known.at > at) {
            return Ok(());
        }
        match committed {
            Some(committed) => {
                groups.entry(group).or_default().insert(place, committed);
            }
            None => {
                if let Some(places) = groups.get_mut(&group) {
                    places.remove(&place);
                    if places.is_empty() {
                        groups.remove(&group);
                    }
                }
            }
        }
        Ok(())
    }
}

fn unwritable(error: serde_json::Error) -> ResponseError {
    tracing::error!("a commit cannot be written: {error}");
    ResponseError::UnknownServerError
}
