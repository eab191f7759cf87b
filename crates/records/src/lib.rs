//! The nouns of Headwater: event, batch, position, limits.
//!
//! Everything above the disk speaks of these types, and only of these: a door turns a wire request
//! into [`Batch`]es, the log keeps their bytes, and every reader gets [`Event`]s with an [`Address`] back.
//!
//! Invariants
//! - A [`Batch`] in hand is valid: its length, counts and CRC were checked when it was parsed.
//! - Offsets are `u64`, partitions `u32`; what arrives negative from a wire is refused at the door.

pub mod batch;
pub mod event;
pub mod limits;
pub mod partition;
pub mod position;

pub use batch::{
    Batch, BatchError, Compression, EventPlace, EventSlice, Events, EventsIter, IndexedEvents, Marker, Producer,
    Retained,
};
pub use event::{Address, Event, Header, Version, VersionError};
pub use partition::partition_of;
pub use position::{Position, PositionError};
