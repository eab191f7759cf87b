//! What an append may depend on.

use bytes::Bytes;
use headwater_records::{Address, Batch, Position, Version};

use crate::entities::query::QueryItem;

/// What must hold for an append to be taken, in the same step that assigns its offsets.
pub enum Condition {
    /// Nothing that came after a position is in the way, as somebody says who looks at each batch.
    Guard(Box<dyn Guard>),
    /// An entity has this version still.
    Entity(EntityVersion),
    /// No event that matches a query came.
    Boundary(Boundary),
    /// All of them.
    All(Vec<Condition>),
}

/// A check on everything that came after a position, run by the sequencer: fast, never blocking.
pub trait Guard: Send {
    /// The condition speaks of exactly the partitions named here, from these offsets on.
    fn after(&self) -> &Position;
    /// Whether it holds apart from what came. Asked first, in the sequencer's step.
    fn stands(&self) -> bool {
        true
    }
    /// What it knows already of the events of a partition from an offset on; they are not shown to it then. Asked before anything is shown.
    fn known(&mut self, stream: &str, partition: u32, from: u64) -> Foreknown {
        let _ = (stream, partition);
        Foreknown {
            upto: from,
            conflicts: false,
        }
    }
    /// Whether a batch that came after the position is in the way. Called for durable and for waiting batches alike.
    fn conflicts(&mut self, stream: &str, partition: u32, batch: &Batch) -> bool;
    /// The append was taken: the offset of the first event of each of its parts.
    fn taken(&mut self, base_offsets: &[u64]) {
        let _ = base_offsets;
    }
}

/// What a guard knows of the events of a partition without being shown any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreknown {
    /// Up to where.
    pub upto: u64,
    /// Whether one of them is in the way.
    pub conflicts: bool,
}

/// The last event of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityVersion {
    /// The stream.
    pub stream: String,
    /// The key.
    pub key: Bytes,
    /// Where the key's last event stands; `None`: there is none.
    pub version: Option<Version>,
}

impl EntityVersion {
    /// Nothing was appended under this key before.
    pub fn none(stream: &str, key: impl Into<Bytes>) -> EntityVersion {
        EntityVersion {
            stream: stream.to_owned(),
            key: key.into(),
            version: None,
        }
    }

    /// The key's last event is this one.
    pub fn at(stream: &str, key: impl Into<Bytes>, version: Version) -> EntityVersion {
        EntityVersion {
            stream: stream.to_owned(),
            key: key.into(),
            version: Some(version),
        }
    }
}

/// A consistency boundary: what must not have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// From here on; `None`, and a partition that is not named: from the first event kept.
    pub after: Option<Position>,
    /// No event matches one of these.
    pub none_of: Vec<QueryItem>,
}

/// What is in the way of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionFailed {
    /// The first of the events that are in the way, in the order in which they were appended.
    pub came: Vec<Address>,
    /// Whether there are more of them.
    pub more: bool,
    /// Below here nothing is in the way but what is among those: who decides on them decides as of here.
    pub seen: Position,
    /// Which condition fails: the how-manieth, from 0, of those on entities and boundaries that the append depends on.
    pub condition: usize,
    /// The entity that has another version than expected; `None` where a boundary was crossed.
    pub entity: Option<(String, Bytes)>,
    /// The version that it has; `None` where it has no events.
    pub version: Option<Version>,
    /// Up to where the log had got: read up to here before deciding again.
    pub end: Position,
}
