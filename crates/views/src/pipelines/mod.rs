//! Pipelines: continuous queries whose results are appended to another stream (`CREATE STREAM … AS SELECT`).
//!
//! ```text
//!              views, as they stand
//!                      │ by key
//! source ── read ── decode ── filter, join, project ── encode ──┐
//!                      │                                        ├── one append: results, parked events, position
//!                      └── what does not fit, or cannot be ─────┘
//!                          worked out
//! ```
//!
//! Where the source is `CHANGES OF` a view, the events are folded between the decoding and the query (see [`changes`]).
//!
//! Each pipeline has a thread of its own: it waits, for views and for room on the disk, and nobody waits with it.
//!
//! Invariants
//! - Results, what was parked and the position they were made from are one append: after a crash nothing is made twice and nothing is missing.
//! - An event that joins a view is taken once the view has folded everything that was in the log when the event was read. So it finds at
//!   least what was appended before it, whatever was faster.
//! - Results of one source partition with one key come in the order of their events; of `CHANGES OF` a view, those of all partitions of all its
//!   streams (see [`in_order`]).
//! - What waits to be appended is bounded; while the disk is full a pipeline stands still and goes on by itself.

mod changes;
mod columns;
mod compile;
mod flow;
mod in_order;
mod join;
mod join_compile;
mod joined;
mod limits;
mod made;
mod parked_again;
mod positions;
mod refuse;
mod registry;
mod results;
mod runner;
mod seed;
mod shared;
mod slice;
mod spec;
mod status;
mod trouble;

pub use changes::changes_schema;
pub use columns::{BEFORE_COLUMN, CHANGE_COLUMN};
pub use joined::{JOINED_HEADER, Joined};
pub use parked_again::Replayed;
pub use positions::PIPELINES_STREAM;
pub(crate) use registry::Pipelines;
pub use results::{FROM_HEADER, PRINCIPAL};
pub use spec::{CHANGES_OF, PipelineColumns, PipelineSpec, ResultEncoder};
pub use status::PipelineStatus;
