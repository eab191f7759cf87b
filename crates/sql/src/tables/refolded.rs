//! All rows of a view as they were, as the view folds: from a checkpoint on, or where an event that the view left out keeps its query from being asked.
//!
//! A view leaves out an event that it cannot take, and goes on. The engine knows no such thing: its query over the same events ends with the error.
//! Then the rows are folded as the view folds them.
//!
//! ```text
//! the view's query over the events ──┬─ rows
//!                                    ├─ an error of a value (class 22), or a panic, before any row ─> the view's fold over the same events ─> rows
//!                                    └─ the same behind rows: one of them cannot be worked out ─> the view's fold says which ─> that error
//! ```
//!
//! Invariant: what the fold holds is counted against the memory that questions have, and it ends where that is not enough.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use headwater_records::Position;
use headwater_views::{Checkpoint, RowsAnew, ViewError};

use super::node::{Read, Start, named, of_columns};
use super::sources::Sources;
use crate::off_thread::off_thread;
use crate::{SqlError, SqlState};

/// The rows of the first input, or, where its values are at fault, those of the second.
#[derive(Clone)]
pub(super) struct OrFolded {
    pub(super) sources: Sources,
}

impl Read for OrFolded {
    const NAME: &'static str = "OrFolded";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("by the query, or as the view folds where an event has no place in it")
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let rows = futures::stream::once(chosen(start.inputs, start.context));
        // Events may have gone while they were read: then these are rows of what happened to be left.
        let sources = self.sources.clone();
        let end =
            futures::stream::once(async move { Ok::<(), DataFusionError>(sources.check_whole(&Position::new())?) });
        let end = end.try_filter_map(|()| async { Ok(None) });
        Ok(named(start.schema, rows.try_flatten().chain(end)))
    }
}

type Batches = BoxStream<'static, Result<RecordBatch>>;

async fn chosen(inputs: Vec<Arc<dyn ExecutionPlan>>, context: Arc<TaskContext>) -> Result<Batches> {
    let [by_query, folded] = <[Arc<dyn ExecutionPlan>; 2]>::try_from(inputs)
        .map_err(|_| DataFusionError::Internal("a choice of two has two inputs".to_owned()))?;
    let mut rows = execute_stream(by_query, Arc::clone(&context))?;
    // What a function panics over, the view left out as well.
    let Ok(first) = AssertUnwindSafe(rows.next()).catch_unwind().await else {
        return Ok(execute_stream(folded, context)?.boxed());
    };
    match first {
        Some(Err(error)) => {
            let error = SqlError::from(error);
            match is_of_value(&error) {
                true => Ok(execute_stream(folded, context)?.boxed()),
                false => Err(error.into()),
            }
        }
        first => {
            let rows = futures::stream::iter(first).chain(rows);
            let told = move |rows| told(rows, Arc::clone(&folded), Arc::clone(&context));
            Ok(rows.then(told).boxed())
        }
    }
}

/// Whether an event's values may be at fault: what a task of the engine panics over comes as a fault of the program.
fn is_of_value(error: &SqlError) -> bool {
    error.state.0.starts_with("22") || error.state == SqlState::INTERNAL
}

/// Rows, or why there are no more: where one of them cannot be worked out, the fold names it.
async fn told(
    rows: Result<RecordBatch>,
    folded: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<RecordBatch> {
    let error = match rows {
        Ok(rows) => return Ok(rows),
        Err(error) => SqlError::from(error),
    };
    if is_of_value(&error) {
        execute_stream(folded, context)?.try_for_each(async |_| Ok(())).await?;
    }
    Err(error.into())
}

/// The rows that the view's fold makes of the events of its sources.
#[derive(Clone)]
pub(super) struct Folded {
    pub(super) sources: Sources,
    /// What is in the rows already; `None`: nothing.
    pub(super) checkpoint: Option<Arc<Checkpoint>>,
    pub(super) projection: Option<Vec<usize>>,
}

impl Read for Folded {
    const NAME: &'static str = "Folded";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view={}, at={}", self.sources.name(), self.sources.at)?;
        match &self.checkpoint {
            Some(checkpoint) => {
                let (rows, from) = (checkpoint.row_count(), checkpoint.position());
                write!(f, ", from checkpoint={from} with {rows} rows")
            }
            None => Ok(()),
        }
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let Folded {
            sources,
            checkpoint,
            projection,
        } = self.clone();
        let made = async move {
            let rows = sources.folded(checkpoint, start.inputs, &start.context).await?;
            let shown = move |rows: std::result::Result<RecordBatch, ViewError>| {
                of_columns(rows.map_err(SqlError::from)?, projection.as_ref())
            };
            Ok::<_, DataFusionError>(futures::stream::iter(rows).map(shown))
        };
        Ok(named(start.schema, futures::stream::once(made).try_flatten()))
    }
}

impl Sources {
    /// Where a rewind of all rows begins, if not at the first event; `None` where that reads no more.
    pub(super) async fn checkpoint(&self) -> Result<Option<Arc<Checkpoint>>> {
        // What is kept of rows is made of all of their events, whenever they hold.
        if self.business.is_some() {
            return Ok(None);
        }
        let (view, at) = (Arc::clone(&self.view), self.at.clone());
        let found = off_thread(move || Ok::<_, SqlError>(view.checkpoint(&at))).await?;
        let Some(checkpoint) = found.filter(|checkpoint| self.check_whole(checkpoint.position()).is_ok()) else {
            return Ok(None);
        };
        let (beginning, behind) = (Position::new(), self.length(checkpoint.position()));
        let reads_more = behind.saturating_add(checkpoint.row_count()) > self.length(&beginning);
        if reads_more && self.check_whole(&beginning).is_ok() {
            return Ok(None);
        }
        self.check_length(behind)?;
        Ok(Some(checkpoint))
    }

    /// All rows that the events of each source make, those behind a checkpoint or all of them.
    async fn folded(
        &self,
        checkpoint: Option<Arc<Checkpoint>>,
        events: Vec<Arc<dyn ExecutionPlan>>,
        context: &Arc<TaskContext>,
    ) -> Result<RowsAnew> {
        let held = MemoryConsumer::new("rows folded anew").register(context.memory_pool());
        let from = checkpoint.as_ref().map(|checkpoint| checkpoint.position().clone());
        let mut refold = self.view.refold(checkpoint).map_err(SqlError::from)?;
        for ((source, _), events) in self.each.iter().zip(events) {
            let mut events = execute_stream(events, Arc::clone(context))?;
            while let Some(batch) = events.try_next().await? {
                refold.fold(source, &batch).map_err(SqlError::from)?;
                held.try_resize(refold.memory())?;
            }
        }
        // They may have gone while they were read.
        self.check_whole(&from.unwrap_or_default())?;
        Ok(refold.rows().map_err(SqlError::from)?)
    }
}
