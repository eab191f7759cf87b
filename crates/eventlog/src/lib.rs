//! Here is a partition and a position: give me the events; here are events: where did they land?
//!
//! An append goes from [`EventLog`] (log.rs) to the sequencer, from there in a group to the writer, which flushes one journal frame for all of
//! it (where nobody else appends, whoever waits for it does that itself), and then to the keeper, which writes segments behind and checkpoints. docs/format.md has the bytes, the invariants and the crash cases.
//!
//! Invariants
//! - Nothing is acknowledged before it is as durable as its writer asked; a reader never sees an event above the
//!   high watermark, and the high watermark is the durable offset.
//! - Offsets are dense per partition and assigned in the order of the sequencer, one for the whole log.
//! - A batch's bytes are kept as they came (but for the base offset); when it was appended and by whom is kept beside it, just as durable.
//! - After a failed write or flush nothing is written again until restart.
//! - This crate knows neither views, SQL nor the Kafka protocol.

mod append;
mod awaited;
mod behind;
mod checkpoint;
mod chunks;
mod codec;
mod compaction;
mod damage;
mod damaged;
mod decoders;
mod definitions;
mod entities;
mod error;
mod expire;
mod files;
mod folder;
mod gather;
mod hold;
mod image;
mod journal;
mod keeper;
mod limits;
mod log;
mod options;
mod partitions;
mod passing;
mod prefix;
mod producers;
mod read;
mod recovery;
mod repair;
mod restore;
mod room;
mod segment;
mod sequencer;
mod settings;
mod shared;
mod start;
mod stored;
mod streams;
mod stretch;
mod taken_back;
mod tend;
mod tending;
mod threads;
mod told;
mod transactions;
mod turnstile;
mod verify;
mod wait;
mod watching;
mod writer;

pub use append::{Append, AppendError, Appended, Part};
pub use awaited::Awaited;
pub use damage::Damage;
pub use damaged::DamagedPlace;
#[doc(hidden)]
pub use decoders::decode_arbitrary;
pub use entities::{
    Boundary, Condition, ConditionFailed, Direction, EntityPage, EntityVersion, EventFacets, Facets, Foreknown,
    FoundEvent, Guard, Matching, NoSuchTerm, QueryError, QueryItem, SeenEvent, SeenPage,
};
pub use error::{OpenError, ReadError, StreamError};
pub use hold::Hold;
pub use limits::QUERY_ITEMS_MAX;
pub use log::{AppendOutcome, EventLog};
pub use options::LogOptions;
pub use prefix::{Prefix, PrefixBatch, PrefixPartition, Until};
pub use repair::{Repaired, repair};
pub use settings::*;
pub use stored::StoredBatch;
pub use stretch::{ReadAhead, Stretch, Taken};
pub use told::{Full, LogMetrics, PartitionOffsets, ProducerInfo, Recovery, StreamInfo, Tended};
pub use transactions::Aborted;
pub use verify::{Progress, StreamVerified, Verified, verify};
pub use watching::Watch;
