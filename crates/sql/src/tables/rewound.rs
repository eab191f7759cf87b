//! A materialized view as it was at a position of its streams.
//!
//! Single rows are made from the newest snapshot that is old enough and the row's own events from there on; all rows from the newest checkpoint
//! that is, as the view folds, or else by the view's query over all events below the position. All give the same rows, and which way is taken is which
//! reads less.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt};
use headwater_records::Position;
use headwater_views::{Checkpoint, Past};

use super::keys::{KeyColumns, Wanted};
use super::node::{Node, Read, Start, named, of_columns, projected};
use super::refolded::{Folded, OrFolded};
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
        // What is kept of a row is made of all of its events, whenever they hold.
        let is_kept = self.sources.business.is_none();
        if let Some(wanted) = wanted.filter(|wanted| is_kept && wanted.len() <= ROWS_REWOUND_MAX)
            && let Some(found) = self.found(state, wanted).await?
        {
            let read = async |columns: Option<&Vec<usize>>| self.rows(found, columns);
            return filtered(state, self.schema(), projection, keys.rest(filters), read).await;
        }
        self.all_rows(state, projection, filters).await
    }
}

impl RewoundTable {
    /// Every row: from a checkpoint on, else by the query, or as the view folds where the query cannot be asked.
    async fn all_rows(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(checkpoint) = self.sources.checkpoint().await? {
            return self.folded(state, projection, filters, Some(checkpoint)).await;
        }
        self.sources.check_whole(&Position::new())?;
        self.sources.check_length(self.sources.length(&Position::new()))?;
        let mut query = LogicalPlanBuilder::from(self.query.clone());
        for kept in self.sources.view.kept_rows() {
            query = query.filter(kept)?;
        }
        for filter in filters {
            query = query.filter(filter.clone())?;
        }
        if let Some(columns) = projection {
            let columns = columns
                .iter()
                .map(|index| Expr::Column(Column::from(self.query.schema().qualified_field(*index))));
            query = query.project(columns)?;
        }
        let by_query = state.create_physical_plan(&query.build()?).await?;
        let folded = self.folded(state, projection, filters, None).await?;
        let schema = projected(self.schema(), projection)?;
        let rows = OrFolded {
            sources: self.sources.clone(),
        };
        Ok(Node::over(rows, schema, vec![by_query, folded]))
    }

    /// The same rows, as the view folds, from a checkpoint on or from the beginning.
    async fn folded(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        checkpoint: Option<Arc<Checkpoint>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut sources = self.sources.clone();
        if checkpoint.is_none() {
            // These events are read in the place of others that are counted.
            sources.progress = Arc::default();
        }
        let from = checkpoint.as_ref().map(|checkpoint| checkpoint.position().clone());
        let (events, _) = sources.all_events(state, &from.unwrap_or_default(), None).await?;
        let read = async |columns: Option<&Vec<usize>>| {
            let folded = Folded {
                sources,
                checkpoint,
                projection: columns.cloned(),
            };
            Ok(Node::over(folded, projected(self.schema(), columns)?, events))
        };
        filtered(state, self.schema(), projection, filters.to_vec(), read).await
    }

    /// What some rows are made of, each from a snapshot on; `None` where several of them would read more than all rows together do.
    async fn found(&self, state: &dyn Session, wanted: Vec<Wanted>) -> Result<Option<Found>> {
        let sources = &self.sources;
        let is_one = wanted.len() == 1;
        let mut found = Found {
            pasts: Vec::with_capacity(wanted.len()),
            events: Vec::with_capacity(wanted.len() * sources.each.len()),
        };
        let mut all_read: u64 = 0;
        for wanted in wanted {
            let of_row = sources.parts_of_row(state, wanted.key, &wanted.values).await?;
            found.pasts.push(of_row.past);
            found.events.extend(of_row.events);
            all_read = all_read.saturating_add(of_row.read);
        }
        let beginning = Position::new();
        // All rows together are made of all events, where those are all kept.
        if !is_one && all_read > sources.length(&beginning) && sources.check_whole(&beginning).is_ok() {
            return Ok(None);
        }
        sources.check_length(all_read)?;
        Ok(Some(found))
    }

    /// Those rows.
    fn rows(&self, found: Found, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = RewoundRows {
            sources: self.sources.clone(),
            pasts: found.pasts,
            projection: projection.cloned(),
        };
        Ok(Node::over(rows, projected(self.schema(), projection)?, found.events))
    }
}

/// What rows are made of: the past of each, and its events of each source.
struct Found {
    pasts: Vec<Past>,
    events: Vec<Arc<dyn ExecutionPlan>>,
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
        let (inputs, context) = (start.inputs, start.context);
        let sources: Arc<Sources> = Arc::new(self.sources.clone());
        let events = inputs.chunks(sources.each.len().max(1)).map(<[_]>::to_vec);
        let rows: Vec<(Past, Vec<Arc<dyn ExecutionPlan>>)> = self.pasts.iter().cloned().zip(events).collect();
        let projection = self.projection.clone();
        let made = futures::stream::iter(rows).then(move |(past, events)| {
            let (sources, context) = (Arc::clone(&sources), Arc::clone(&context));
            let projection = projection.clone();
            async move {
                let row = sources.row(past, events, &context).await?;
                row.map(|row| of_columns(row, projection.as_ref())).transpose()
            }
        });
        let rows = made.try_filter_map(|row| async move { Ok(row) });
        Ok(named(start.schema, rows))
    }
}
