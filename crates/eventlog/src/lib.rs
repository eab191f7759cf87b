//! Here is a partition and a position: give me the events; here are events: where did they land?
//!
//! The folders are the way of an event. An append goes from [`EventLog`] (log.rs) into `append`: to the sequencer, from there in a group to the
//! writer, which flushes one journal frame for all of it (where nobody else appends, whoever waits for it does that itself). Behind it `keep`
//! writes segments and checkpoints, `read` gives events back, and `tend` takes away what is no longer kept. `open` finds all of it again, and
//! `mend` names what it finds damaged. `streams` is what is in memory of each stream, `entities` finds events without a scan. docs/format.md has
//! the bytes, the invariants and the crash cases.
//!
//! Invariants
//! - Nothing is acknowledged before it is as durable as its writer asked; a reader never sees an event above the
//!   high watermark, and the high watermark is the durable offset.
//! - Offsets are dense per partition and assigned in the order of the sequencer, one for the whole log.
//! - A batch's bytes are kept as they came (but for the base offset); when it was appended and by whom is kept beside it, just as durable.
//! - After a failed write or flush nothing is written again until restart.
//! - This crate knows neither views, SQL nor the Kafka protocol.

mod append;
mod codec;
mod decoders;
mod entities;
mod error;
mod files;
mod keep;
mod limits;
mod log;
mod mend;
mod open;
mod options;
mod read;
mod shared;
mod streams;
mod tend;
mod threads;
mod told;
mod wait;

pub use append::awaited::Awaited;
pub use append::hold::Hold;
pub use append::{Append, AppendError, Appended, Part};
#[doc(hidden)]
pub use decoders::decode_arbitrary;
pub use entities::{
    Boundary, Condition, ConditionFailed, Direction, EntityPage, EntityVersion, EventFacets, Facets, Foreknown,
    FoundEvent, Guard, Matching, NoSuchTerm, QueryError, QueryItem, SeenEvent, SeenPage,
};
pub use error::{OpenError, ReadError, StreamError};
pub use limits::QUERY_ITEMS_MAX;
pub use log::{AppendOutcome, EventLog};
pub use mend::damage::Damage;
pub use mend::repair::{Repaired, repair};
pub use mend::verify::{Progress, StreamVerified, Verified, verify};
pub use options::LogOptions;
pub use read::damaged::DamagedPlace;
pub use read::prefix::{Lacking, Prefix, PrefixBatch, PrefixPartition, Until};
pub use read::stored::StoredBatch;
pub use read::stretch::{ReadAhead, Stretch, Taken};
pub use read::watching::Watch;
pub use streams::settings::{
    Cleanup, Durability, Entities, Keep, Packing, SETTING_NAMES, SettingError, StreamSettings, Timestamps,
};
pub use streams::transactions::Aborted;
pub use tend::folded::Folded;
pub use told::{Full, LogMetrics, PartitionOffsets, ProducerInfo, Recovery, StreamInfo, Tended};
