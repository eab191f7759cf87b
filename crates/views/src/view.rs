//! One view: its rows as of a position.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use headwater_catalog::ViewDefinition;
use headwater_records::{Batch, Position};

/// What it takes to run a view: its definition and the plan of its query over its stream's table
/// (a `TableScan` by the stream's name, with the schema of [`crate::decode::StreamDecoder::schema`]).
pub struct ViewSpec {
    /// The definition.
    pub definition: ViewDefinition,
    /// The analyzed, not optimized plan of its query.
    pub plan: LogicalPlan,
    /// Makes physical expressions from logical ones.
    pub session: SessionState,
}

/// The bytes of a group's key: equal groups have equal bytes, in the order of the key's columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub Vec<u8>);

/// Which rows are asked for.
#[derive(Debug, Clone)]
pub enum Selection {
    /// All of them.
    All,
    /// Those of these keys, where they exist.
    Keys(Vec<GroupKey>),
}

/// Rows of a view, all as of one position.
pub struct Rows {
    /// The rows, in the view's output schema.
    pub batches: Vec<RecordBatch>,
    /// The position they stand at.
    pub position: Position,
}

/// How a view stands, for `SHOW VIEWS` and metrics.
#[derive(Debug, Clone)]
pub struct ViewStatus {
    /// The view's name.
    pub name: String,
    /// Up to where it has folded.
    pub position: Position,
    /// Events of its stream it has not folded yet.
    pub lag_events: u64,
    /// Seconds since the oldest event it has not folded yet was appended; 0 when there is none.
    pub lag_seconds: f64,
    /// Rows, as far as known.
    pub rows: u64,
    /// Bytes of resident rows.
    pub resident_bytes: u64,
    /// Bytes of its store on disk.
    pub store_bytes: u64,
    /// Events parked since the view began.
    pub parked: u64,
    /// Where it is being built: events folded and events to fold.
    pub building: Option<(u64, u64)>,
    /// Why it stopped, where it did.
    pub stopped: Option<String>,
}

/// Why a view was not made or not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ViewError {
    /// Its query contains what cannot be kept exact event by event.
    #[error("{part} cannot be kept up to date event by event{hint}")]
    Refused {
        /// The part of the query.
        part: String,
        /// What to do.
        hint: String,
    },
    /// The view had not got there in time.
    #[error("the view '{view}' is at {at} and did not reach {wanted} within {waited_ms} ms")]
    Late {
        /// The view.
        view: String,
        /// Where it is.
        at: Position,
        /// What was waited for.
        wanted: Position,
        /// How long.
        waited_ms: u64,
    },
    /// The view stopped.
    #[error("the view '{view}' stopped: {why}")]
    Stopped {
        /// The view.
        view: String,
        /// What went wrong.
        why: String,
    },
    /// The query engine or the store failed.
    #[error("{0}")]
    Failed(String),
}

/// A running view.
pub struct View {}

impl View {
    /// Its definition.
    pub fn definition(&self) -> &ViewDefinition {
        todo!()
    }

    /// The schema of its rows.
    pub fn schema(&self) -> SchemaRef {
        todo!()
    }

    /// The columns of [`View::schema`] that are its key, in the key's order; empty where the key is not part of the output (then only `Selection::All` works).
    pub fn key_columns(&self) -> &[usize] {
        todo!()
    }

    /// The key of a row, from the values of its key columns (cast to the columns' types). An error where a value does not fit.
    pub fn key(&self, values: &[ScalarValue]) -> Result<GroupKey, ViewError> {
        let _ = values;
        todo!()
    }

    /// Up to where it has folded.
    pub fn position(&self) -> Position {
        todo!()
    }

    /// Waits until it has folded everything below `position` (only the streams it reads count).
    pub async fn wait_for(&self, position: &Position, timeout: Duration) -> Result<(), ViewError> {
        let _ = (position, timeout);
        todo!()
    }

    /// Reads rows, all as of one position. Fast for keys; blocking on the disk for what is not resident.
    pub fn read(&self, selection: &Selection) -> Result<Rows, ViewError> {
        let _ = selection;
        todo!()
    }

    /// The keys of the rows that the events of a batch would change: the boundary of a command's check. Events that do not fit the schema change nothing.
    pub fn touched(&self, stream: &str, partition: u32, batch: &Batch) -> Result<Vec<GroupKey>, ViewError> {
        let _ = (stream, partition, batch);
        todo!()
    }

    /// How it stands.
    pub fn status(&self) -> ViewStatus {
        todo!()
    }
}
