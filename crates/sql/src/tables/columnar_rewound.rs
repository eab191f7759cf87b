//! A view with one row for each event, as it was at a position: an earlier version of its table, and the events from there on.
//!
//! ```text
//! version of the table, as of p ─┐
//! events from p up to the moment ┴─> rows
//! ```
//!
//! Where no version is kept that is old enough, all rows are made of the stream's events.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_records::Position;
use headwater_views::LakeVersion;

use super::columnar::{pushed, united};
use super::node::{Node, Read, Start, of_columns, projected};
use super::sources::Sources;
use crate::SqlError;
use crate::off_thread::off_thread;

/// Such a view at an earlier position.
pub(crate) struct RewoundColumnarTable {
    /// What it was made of, up to the position.
    pub(crate) sources: Sources,
}

impl fmt::Debug for RewoundColumnarTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RewoundColumnarTable({} at {})",
            self.sources.name(),
            self.sources.at
        )
    }
}

#[async_trait]
impl TableProvider for RewoundColumnarTable {
    fn schema(&self) -> SchemaRef {
        self.sources.view.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The rows that are made of events are not filtered below.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (view, at) = (Arc::clone(&self.sources.view), self.sources.at.clone());
        let version = off_thread(move || view.lake_as_of(&at)).await?;
        let from = version
            .as_ref()
            .map_or_else(Position::new, |version| version.position.clone());
        self.sources.check_whole(&from).map_err(|error| {
            error.hint(
                "ask for a later moment, or for the position of a version of its table; or let it select _partition, _offset and _appended_at, too: then its own \
                 rows say what was there",
            )
        })?;
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if let Some(LakeVersion { rows, .. }) = version {
            let filters = pushed(rows.as_ref(), filters)?;
            parts.push(rows.scan(state, projection, &filters, limit).await?);
        }
        if parts.is_empty() || !from.covers(&self.sources.at) {
            parts.push(self.rest(state, projection, from).await?);
        }
        united(parts)
    }
}

impl RewoundColumnarTable {
    /// The rows that the events from a position on are.
    async fn rest(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        from: Position,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (events, read) = self.sources.all_events(state, &from, None).await?;
        self.sources.check_length(read)?;
        let rows = RewoundEvents {
            sources: self.sources.clone(),
            from,
            projection: projection.cloned(),
        };
        Ok(Node::over(rows, projected(self.schema(), projection)?, events))
    }
}

/// The rows that the events of each source are.
#[derive(Clone)]
struct RewoundEvents {
    sources: Sources,
    from: Position,
    projection: Option<Vec<usize>>,
}

impl Read for RewoundEvents {
    const NAME: &'static str = "RewoundEvents";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view={}, at={}", self.sources.name(), self.sources.at)?;
        match self.from.is_empty() {
            true => Ok(()),
            false => write!(f, ", from version={}", self.from),
        }
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let mut made = Vec::with_capacity(start.inputs.len());
        for ((source, _), events) in self.sources.each.iter().zip(&start.inputs) {
            let events = events.execute(0, Arc::clone(&start.context))?;
            let (view, source, projection) = (Arc::clone(&self.sources.view), source.clone(), self.projection.clone());
            made.push(events.map(move |events| {
                let rows = view.rows_of_events(&source, &events?).map_err(SqlError::from)?;
                let rows = rows.into_iter().map(|rows| of_columns(rows, projection.as_ref()));
                Ok::<_, DataFusionError>(futures::stream::iter(rows.collect::<Vec<Result<RecordBatch>>>()))
            }));
        }
        let rows = futures::stream::iter(made).flatten().try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(start.schema, rows.boxed())))
    }
}
