//! What it takes to run a pipeline, and what comes of its query.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use headwater_catalog::StreamDefinition;
use headwater_eventlog::Part;
use headwater_records::Event;

use crate::ViewSpec;
use crate::decode::StreamDecoder;

/// What a table is called that stands for the changes of a view: no stream or view can have this name.
pub const CHANGES_OF: &str = "changes of ";

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
    /// Whether what it cannot take is recorded among the parked events: not where its own events come of those, as each record would be its next event.
    pub records_parked: bool,
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

/// What a pipeline's query comes to.
#[derive(Debug, Clone)]
pub struct PipelineColumns {
    /// The columns of its results.
    pub output: SchemaRef,
    /// The streams that it reads.
    pub sources: Vec<String>,
}
