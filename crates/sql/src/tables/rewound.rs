//! A materialized view as it was at a position of its streams.
//!
//! Single rows are made from the newest snapshot that is old enough and the row's own events from there on; all rows by the view's query over
//! the events below the position. Both give the same rows.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_records::Position;
use headwater_views::Past;

use super::keys::{KeyColumns, Wanted};
use super::node::{Node, Read, Start, of_columns, projected};
use super::rest::filtered;
use super::sources::Sources;
use crate::limits::ROWS_REWOUND_MAX;

/// A materialized view at an earlier position.
pub(crate) struct RewoundTable {
    /// What it was made of, up to the position.
    pub(crate) sources: Sources,
    /// The view's query over that.
    pub(crate) query: LogicalPlan,
}

impl fmt::Debug for RewoundTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RewoundTable({} at {})", self.sources.name(), self.sources.at)
    }
}

#[async_trait]
impl TableProvider for RewoundTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.query.schema().inner())
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let keys = KeyColumns::of(&self.sources.view).pushed(filters);
        // What no key answers narrows the query down where all rows are made.
        let pushed = keys.into_iter().map(|key| match key {
            TableProviderFilterPushDown::Unsupported => TableProviderFilterPushDown::Inexact,
            exact => exact,
        });
        Ok(pushed.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let keys = KeyColumns::of(&self.sources.view);
        let wanted = match self.sources.view.only_key() {
            Some(key) => Some(vec![Wanted {
                key,
                values: Vec::new(),
            }]),
            None => keys.wanted(&self.sources.view, filters)?,
        };
        match wanted.filter(|wanted| wanted.len() <= ROWS_REWOUND_MAX) {
            Some(wanted) => {
                let read = async |columns: Option<&Vec<usize>>| self.rows(state, columns, wanted).await;
                filtered(state, self.schema(), projection, keys.rest(filters), read).await
            }
            None => self.all_rows(state, projection, filters).await,
        }
    }
}

impl RewoundTable {
    /// Every row, by the query.
    async fn all_rows(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.sources.check_whole(&Position::new())?;
        self.sources.check_length(&Position::new())?;
        let mut query = LogicalPlanBuilder::from(self.query.clone());
        for filter in filters {
            query = query.filter(filter.clone())?;
        }
        if let Some(columns) = projection {
            let columns = columns
                .iter()
                .map(|index| Expr::Column(Column::from(self.query.schema().qualified_field(*index))));
            query = query.project(columns)?;
        }
        state.create_physical_plan(&query.build()?).await
    }

    /// Some rows, each from a snapshot on.
    async fn rows(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        wanted: Vec<Wanted>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sources = &self.sources;
        let mut pasts: Vec<Past> = Vec::with_capacity(wanted.len());
        let mut events: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(wanted.len() * sources.each.len());
        for wanted in wanted {
            let (past, of_row) = sources.parts_of_row(state, wanted.key, &wanted.values).await?;
            pasts.push(past);
            events.extend(of_row);
        }
        let rows = RewoundRows {
            sources: sources.clone(),
            pasts,
            projection: projection.cloned(),
        };
        Ok(Node::over(rows, projected(self.schema(), projection)?, events))
    }
}

/// Rows as they were, each made from its past and its events: those of each source, row by row.
#[derive(Clone)]
struct RewoundRows {
    sources: Sources,
    pasts: Vec<Past>,
    projection: Option<Vec<usize>>,
}

impl Read for RewoundRows {
    const NAME: &'static str = "RewoundRows";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.sources.name();
        let kept = self.pasts.iter().filter(|past| !past.from.is_empty()).count();
        write!(
            f,
            "view={name}, at={}, rows={}, from snapshots={kept}",
            self.sources.at,
            self.pasts.len()
        )
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let Start {
            schema,
            context,
            inputs,
            ..
        } = start;
        let shown = Arc::clone(&schema);
        let sources: Arc<Sources> = Arc::new(self.sources.clone());
        let events = inputs.chunks(sources.each.len().max(1)).map(<[_]>::to_vec);
        let rows: Vec<(Past, Vec<Arc<dyn ExecutionPlan>>)> = self.pasts.iter().cloned().zip(events).collect();
        let projection = self.projection.clone();
        let made = futures::stream::iter(rows).then(move |(past, events)| {
            let (sources, context) = (Arc::clone(&sources), Arc::clone(&context));
            let (projection, schema) = (projection.clone(), Arc::clone(&schema));
            async move {
                let Some(row) = sources.row(past, events, &context).await? else {
                    return Ok(None);
                };
                let row = of_columns(row, projection.as_ref())?;
                Ok(Some(row.with_schema(schema)?))
            }
        });
        let rows = made.try_filter_map(|row| async move { Ok(row) }).boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(shown, rows)))
    }
}
