//! A materialized view as it was at a position of its stream.
//!
//! Single rows are made from the newest snapshot that is old enough and the row's own events from there on; all rows by the view's query over
//! the events below the position. Both give the same rows.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, col, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_views::decode::StreamDecoder;
use headwater_views::{Past, View};

use super::StreamTable;
use super::keys::{KeyColumns, Wanted};
use super::node::{Node, Read, projected};
use crate::SqlError;
use crate::limits::ROWS_REWOUND_MAX;

/// A materialized view at an earlier position.
pub(crate) struct RewoundTable {
    pub(crate) log: EventLog,
    /// How its stream's events are read.
    pub(crate) decoder: StreamDecoder,
    pub(crate) view: Arc<View>,
    pub(crate) at: Position,
    /// The view's query over the events below the position.
    pub(crate) query: LogicalPlan,
}

impl fmt::Debug for RewoundTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RewoundTable({} at {})", self.view.definition().name, self.at)
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
        let keys = KeyColumns::of(&self.view).pushed(filters);
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
        let wanted = match self.view.only_key() {
            Some(key) => Some(vec![Wanted {
                key,
                values: Vec::new(),
            }]),
            None => KeyColumns::of(&self.view).wanted(&self.view, filters)?,
        };
        match wanted.filter(|wanted| wanted.len() <= ROWS_REWOUND_MAX) {
            Some(wanted) => self.rows(state, projection, wanted).await,
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
        let mut pasts: Vec<Past> = Vec::with_capacity(wanted.len());
        let mut events: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let past = self.past(&wanted).await?;
            events.push(self.events(state, &wanted, &past).await?);
            pasts.push(past);
        }
        let rows = RewoundRows {
            view: Arc::clone(&self.view),
            stream: self.decoder.stream().to_owned(),
            at: self.at.clone(),
            pasts,
            events,
            projection: projection.cloned(),
        };
        Ok(Node::plan(rows, projected(self.schema(), projection)?, 1))
    }

    async fn past(&self, wanted: &Wanted) -> Result<Past> {
        let (view, key, at) = (Arc::clone(&self.view), wanted.key.clone(), self.at.clone());
        // Snapshots are on the disk: not on the runtime's own threads.
        let past = tokio::task::spawn_blocking(move || view.past(&key, &at)).await;
        let past = past.map_err(|join| DataFusionError::ExecutionJoin(Box::new(join)))?;
        Ok(past.map_err(SqlError::from)?)
    }

    /// The events of one row from its past on; others may be among them.
    async fn events(&self, state: &dyn Session, wanted: &Wanted, past: &Past) -> Result<Arc<dyn ExecutionPlan>> {
        let table = StreamTable::between(
            self.log.clone(),
            self.decoder.clone(),
            past.from.clone(),
            self.at.clone(),
        );
        let schema = table.schema();
        let stream = self.decoder.stream();
        let columns = self
            .view
            .columns_read(stream)
            .into_iter()
            .map(|column| schema.index_of(column));
        let columns: Vec<usize> = columns.collect::<Result<_, _>>()?;
        let sources = self.view.key_sources(stream).unwrap_or_default();
        let filters: Vec<Expr> = sources
            .iter()
            .zip(&wanted.values)
            .map(|(column, value)| match value.is_null() {
                true => col(Column::from_name(column)).is_null(),
                false => col(Column::from_name(column)).eq(lit(value.clone())),
            })
            .collect();
        table.scan(state, Some(&columns), &filters, None).await
    }
}

/// Rows as they were, each made from its past and its events.
#[derive(Clone)]
struct RewoundRows {
    view: Arc<View>,
    stream: String,
    at: Position,
    pasts: Vec<Past>,
    /// For each row its events.
    events: Vec<Arc<dyn ExecutionPlan>>,
    projection: Option<Vec<usize>>,
}

impl Read for RewoundRows {
    const NAME: &'static str = "RewoundRows";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.view.definition().name;
        let kept = self.pasts.iter().filter(|past| !past.from.is_empty()).count();
        write!(
            f,
            "view={name}, at={}, rows={}, from snapshots={kept}",
            self.at,
            self.pasts.len()
        )
    }

    fn inputs(&self) -> &[Arc<dyn ExecutionPlan>] {
        &self.events
    }

    fn read_from(&mut self, inputs: Vec<Arc<dyn ExecutionPlan>>) {
        self.events = inputs;
    }

    fn rows(
        &self,
        _partition: usize,
        schema: SchemaRef,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let shown = Arc::clone(&schema);
        let rows = self.pasts.iter().cloned().zip(self.events.clone());
        let (view, projection) = (Arc::clone(&self.view), self.projection.clone());
        let stream: Arc<str> = self.stream.as_str().into();
        let made = futures::stream::iter(rows.collect::<Vec<_>>()).then(move |(past, events)| {
            let (view, context) = (Arc::clone(&view), Arc::clone(&context));
            let (projection, schema, stream) = (projection.clone(), Arc::clone(&schema), Arc::clone(&stream));
            async move {
                let mut rewinding = view.rewinding(past).map_err(SqlError::from)?;
                let mut events = events.execute(0, context)?;
                while let Some(batch) = events.try_next().await? {
                    rewinding.fold(&stream, &batch).map_err(SqlError::from)?;
                }
                let Some(row) = rewinding.row().map_err(SqlError::from)? else {
                    return Ok(None);
                };
                let row = match &projection {
                    Some(columns) => row.project(columns)?,
                    None => row,
                };
                Ok(Some(row.with_schema(schema)?))
            }
        });
        let rows = made.try_filter_map(|row| async move { Ok(row) }).boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(shown, rows)))
    }
}
