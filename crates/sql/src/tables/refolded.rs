//! All rows of a view as they were, where an event that the view left out keeps its query from being asked.
//!
//! A view leaves out an event that it cannot take, and goes on. The engine knows no such thing: its query over the same events ends with the error.
//! Then the rows are folded as the view folds them.
//!
//! ```text
//! the view's query over the events ──┬─ rows
//!                                    └─ an error of a value (class 22), before any row ─> the view's fold over the same events ─> rows
//! ```
//!
//! Invariant: what the fold holds is counted against the memory that questions have, and it ends where that is not enough.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::node::{Read, Start, of_columns};
use super::sources::Sources;
use crate::SqlError;

/// The rows of the first input, or, where its values are at fault, those of the second.
#[derive(Clone)]
pub(super) struct OrFolded;

impl Read for OrFolded {
    const NAME: &'static str = "OrFolded";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("by the query, or as the view folds where an event has no place in it")
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let Start {
            schema,
            context,
            inputs,
            ..
        } = start;
        let shown = Arc::clone(&schema);
        let rows = futures::stream::once(chosen(inputs, context)).try_flatten();
        let rows = rows.map(move |rows| Ok(rows?.with_schema(Arc::clone(&schema))?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(shown, rows)))
    }
}

type Batches = BoxStream<'static, Result<RecordBatch>>;

async fn chosen(inputs: Vec<Arc<dyn ExecutionPlan>>, context: Arc<TaskContext>) -> Result<Batches> {
    let [by_query, folded] = <[Arc<dyn ExecutionPlan>; 2]>::try_from(inputs)
        .map_err(|_| DataFusionError::Internal("a choice of two has two inputs".to_owned()))?;
    let mut rows = execute_stream(by_query, Arc::clone(&context))?;
    match rows.next().await {
        Some(Err(error)) => {
            let error = SqlError::from(error);
            match error.state.0.starts_with("22") {
                true => Ok(execute_stream(folded, context)?.boxed()),
                false => Err(error.into()),
            }
        }
        first => Ok(futures::stream::iter(first).chain(rows).boxed()),
    }
}

/// The rows that the view's fold makes of the events of its sources.
#[derive(Clone)]
pub(super) struct Folded {
    pub(super) sources: Sources,
    pub(super) projection: Option<Vec<usize>>,
}

impl Read for Folded {
    const NAME: &'static str = "Folded";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view={}, at={}", self.sources.name(), self.sources.at)
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let Start {
            schema,
            context,
            inputs,
            ..
        } = start;
        let Folded { sources, projection } = self.clone();
        let shown = Arc::clone(&schema);
        let made = async move {
            let rows = sources.folded(inputs, &context).await?;
            let shown = move |rows| Ok(of_columns(rows, projection.as_ref())?.with_schema(Arc::clone(&schema))?);
            Ok::<_, DataFusionError>(futures::stream::iter(rows).map(shown))
        };
        let rows = futures::stream::once(made).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(shown, rows)))
    }
}

impl Sources {
    /// All rows that the events of each source make.
    async fn folded(
        &self,
        events: Vec<Arc<dyn ExecutionPlan>>,
        context: &Arc<TaskContext>,
    ) -> Result<Vec<RecordBatch>> {
        let held = MemoryConsumer::new("rows folded anew").register(context.memory_pool());
        let mut refold = self.view.refold().map_err(SqlError::from)?;
        for ((source, _), events) in self.each.iter().zip(events) {
            let mut events = execute_stream(events, Arc::clone(context))?;
            while let Some(batch) = events.try_next().await? {
                refold.fold(source, &batch).map_err(SqlError::from)?;
                held.try_resize(refold.memory())?;
            }
        }
        Ok(refold.rows().map_err(SqlError::from)?)
    }
}
