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
//! - Results of one source partition with one key come in the order of their events; of `CHANGES OF` a view, those of all partitions (see [`in_order`]).
//! - What waits to be appended is bounded; while the disk is full a pipeline stands still and goes on by itself.

mod changes;
mod compile;
mod flow;
mod in_order;
mod join;
mod join_compile;
mod joined;
mod limits;
mod positions;
mod refuse;
mod registry;
mod replay;
mod results;
mod runner;
mod slice;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use headwater_catalog::StreamDefinition;
use headwater_eventlog::Part;
use headwater_records::{Event, Position};

pub use changes::{BEFORE_COLUMN, CHANGE_COLUMN, changes_schema};
pub use joined::{JOINED_HEADER, Joined};
pub use positions::PIPELINES_STREAM;
pub(crate) use registry::Pipelines;
pub use replay::Replayed;
pub use results::{FROM_HEADER, PRINCIPAL};

use crate::decode::StreamDecoder;
use crate::{View, ViewSpec};

/// What a table is called that stands for the changes of a view: no stream or view can have this name.
pub const CHANGES_OF: &str = "changes of ";

/// Finds running views.
pub(crate) type ViewByName = Arc<dyn Fn(&str) -> Option<Arc<View>> + Send + Sync>;

/// What it takes to run a pipeline.
pub struct PipelineSpec {
    /// The stream that its results are appended to.
    pub stream: StreamDefinition,
    /// How the streams that its query reads are decoded.
    pub decoders: Vec<StreamDecoder>,
    /// The analyzed, not optimized plan of its query, over tables called as the streams and views are.
    pub plan: LogicalPlan,
    /// What it takes to fold the view whose changes it reads, where it reads those of one.
    pub changes: Option<ViewSpec>,
    /// Makes physical expressions from logical ones.
    pub session: SessionState,
    /// Makes events of its results.
    pub encoder: Arc<dyn ResultEncoder>,
}

/// Makes events of a pipeline's results, as its stream's format and key ask for.
pub trait ResultEncoder: Send + Sync {
    /// An event for each row, in order. The error says what does not fit the stream.
    fn events(&self, rows: &RecordBatch) -> Result<Vec<Event>, String>;
    /// The events in batches for their partitions. Those without a key go to the partition `spread`, modulo their number.
    fn parts(&self, events: Vec<Event>, spread: u32) -> Vec<Part>;
}

/// How a pipeline stands, for `SHOW PIPELINES`, health and metrics.
#[derive(Debug, Clone, Default)]
pub struct PipelineStatus {
    /// Its stream.
    pub name: String,
    /// Up to where events were taken and their results are durable.
    pub position: Position,
    /// Events of its source that it has not taken yet.
    pub lag_events: u64,
    /// Seconds since the oldest of them was appended; 0 when there is none.
    pub lag_seconds: f64,
    /// Events taken since it began.
    pub events: u64,
    /// Results appended since it began.
    pub results: u64,
    /// Events parked since it began.
    pub parked: u64,
    /// Offsets that its source no longer kept when it came to them: there are no results of those events.
    pub lacking: u64,
    /// What it waits for, where it does not get on.
    pub waiting: Option<String>,
    /// Why it stopped, where it did.
    pub stopped: Option<String>,
}

/// What a pipeline's query comes to.
#[derive(Debug, Clone)]
pub struct PipelineColumns {
    /// The columns of its results.
    pub output: SchemaRef,
    /// The stream that it reads.
    pub source: String,
}

/// What keeps results from being made.
#[derive(Debug)]
enum Trouble {
    /// It is an event's: it is parked.
    Event(String),
    /// It may pass: the same is tried again.
    Wait(String),
    /// It stops the pipeline.
    Pipeline(String),
}

impl From<DataFusionError> for Trouble {
    fn from(error: DataFusionError) -> Trouble {
        Trouble::Event(crate::error::why(&error))
    }
}

impl From<ArrowError> for Trouble {
    fn from(error: ArrowError) -> Trouble {
        Trouble::Event(crate::error::why_not(&error))
    }
}
