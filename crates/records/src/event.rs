//! One immutable record, and where it stands.

use std::fmt;

use bytes::Bytes;

/// One record of a stream, as its writer sent it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// What the event is about; decides the partition where a door chooses one. `None`: spread.
    pub key: Option<Bytes>,
    /// The payload; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Name and value pairs, in the writer's order; names may repeat.
    pub headers: Vec<Header>,
    /// The writer's clock, milliseconds since 1970-01-01 UTC. Never used to order events.
    pub timestamp_ms: i64,
}

/// One header of an [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// The header's value; Kafka allows none.
    pub value: Option<Bytes>,
}

/// Where an event stands: printed `transactions/2@17`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The stream's name.
    pub stream: String,
    /// The partition within the stream, from 0.
    pub partition: u32,
    /// The offset within the partition, dense from 0.
    pub offset: u64,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.stream, self.partition, self.offset)
    }
}
