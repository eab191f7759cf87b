//! The events that went into one row of a view, in the order in which they were appended, each with the row after it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, SortExpr, TableType, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_catalog::StreamDefinition;
use headwater_views::decode::SYSTEM_COLUMNS;
use headwater_views::{GroupKey, Lineage, View};

use super::StreamTable;
use super::node::{Node, Read, projected};
use crate::SqlError;
use crate::limits::LINEAGE_EVENTS_AT_ONCE;

/// What of an event only the log knows, shown before its own columns.
const SHOWN: [&str; 4] = ["_partition", "_offset", "_appended_at", "_principal"];
/// What tells a column of the row from one of the event that has the same name.
const AFTER: &str = "_after";

/// A row of a view.
#[derive(Clone)]
pub(crate) struct LineageKey {
    pub(crate) key: GroupKey,
    /// The values of the key's columns.
    pub(crate) values: Vec<ScalarValue>,
}

/// The history of one row of a view, up to where the stream's table ends.
pub(crate) struct LineageTable {
    view: Arc<View>,
    stream: String,
    events: Arc<StreamTable>,
    /// `None` where the question is only described and its parameters are not known.
    key: Option<LineageKey>,
    columns: Arc<Columns>,
}

/// Which columns of the event and of the row after it are shown.
struct Columns {
    stream: String,
    schema: SchemaRef,
    event: Vec<usize>,
    row: Vec<usize>,
}

impl LineageTable {
    pub(crate) fn new(
        view: Arc<View>,
        stream: &StreamDefinition,
        events: StreamTable,
        key: Option<LineageKey>,
    ) -> Result<LineageTable> {
        let columns = Columns::of(&view, &stream.name, &events.schema())?;
        Ok(LineageTable {
            view,
            stream: stream.name.clone(),
            events: Arc::new(events),
            key,
            columns: Arc::new(columns),
        })
    }

    /// The filter that finds the row's events by the columns that its key is made of; others may be found too.
    fn filter(&self, values: &[ScalarValue]) -> Option<Expr> {
        let sources = self.view.key_sources(&self.stream)?;
        let equal = |(column, value): (&String, &ScalarValue)| {
            let column = col(Column::from_name(column));
            match value.is_null() {
                true => column.is_null(),
                false => column.eq(lit(value.clone())),
            }
        };
        // 0.0 and -0.0 are equal and two keys: what is found by a float is told apart by the row's key, which is looked at in any case.
        sources.iter().zip(values).map(equal).reduce(Expr::and)
    }

    /// The plan of the events among which those of the row are, in order.
    async fn plan(&self, state: &dyn Session, key: &LineageKey) -> Result<Arc<dyn ExecutionPlan>> {
        let table: Arc<dyn TableProvider> = self.events.clone();
        let mut events = LogicalPlanBuilder::scan(self.stream.as_str(), provider_as_source(table), None)?;
        if let Some(filter) = self.filter(&key.values) {
            events = events.filter(filter)?;
        }
        let order = ["_appended_at", "_partition", "_offset"].map(|column| SortExpr::new(col(column), true, false));
        state.create_physical_plan(&events.sort(order)?.build()?).await
    }
}

impl Columns {
    fn of(view: &View, stream: &str, events: &Schema) -> Result<Columns> {
        let mut event: Vec<usize> = Vec::new();
        for name in SHOWN {
            event.push(events.index_of(name)?);
        }
        let is_own = |index: &usize| !SYSTEM_COLUMNS.contains(&events.field(*index).name().as_str());
        event.extend((0..events.fields().len()).filter(is_own));
        let mut fields: Vec<Field> = event.iter().map(|index| events.field(*index).clone()).collect();
        let after = view.lineage_schema();
        let mut row: Vec<usize> = Vec::new();
        for (index, field) in after.fields().iter().enumerate() {
            if is_of_event(view, stream, index, field.name()) {
                continue;
            }
            let mut name = field.name().clone();
            while fields.iter().any(|known| *known.name() == name) {
                name.push_str(AFTER);
            }
            row.push(index);
            fields.push(field.as_ref().clone().with_name(name));
        }
        Ok(Columns {
            stream: stream.to_owned(),
            schema: Arc::new(Schema::new(fields)),
            event,
            row,
        })
    }

    /// The events and the rows after them, side by side.
    fn join(&self, lineage: &mut Lineage, events: &RecordBatch) -> Result<RecordBatch> {
        let steps = lineage.take(&self.stream, events).map_err(SqlError::from)?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.event.len() + self.row.len());
        for index in &self.event {
            columns.push(take(events.column(*index), &steps.events, None)?);
        }
        columns.extend(self.row.iter().map(|index| Arc::clone(steps.rows.column(*index))));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// Whether a column of the row is part of its key and the event has the same column: it would be shown twice.
fn is_of_event(view: &View, stream: &str, index: usize, name: &str) -> bool {
    let place = view.key_columns().iter().position(|column| *column == index);
    let source = place.and_then(|place| view.key_sources(stream)?.get(place));
    source.is_some_and(|source| source == name)
}

impl fmt::Debug for LineageTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineageTable({})", self.view.definition().name)
    }
}

#[async_trait]
impl TableProvider for LineageTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let key = self
            .key
            .as_ref()
            .ok_or_else(|| SqlError::new(crate::SqlState::PARAMETERS, "the key of the row is not known"))?;
        let scan = LineageScan {
            view: Arc::clone(&self.view),
            key: key.clone(),
            columns: Arc::clone(&self.columns),
            events: self.plan(state, key).await?,
            projection: projection.cloned(),
            limit,
        };
        Ok(Node::plan(scan, projected(self.schema(), projection)?, 1))
    }
}

/// Follows a row over the events below it.
#[derive(Clone)]
struct LineageScan {
    view: Arc<View>,
    key: LineageKey,
    columns: Arc<Columns>,
    /// The events among which those of the row are, in order.
    events: Arc<dyn ExecutionPlan>,
    projection: Option<Vec<usize>>,
    /// More steps than this are not asked for.
    limit: Option<usize>,
}

impl LineageScan {
    /// Whether the lists of the rows are asked for.
    fn asks_lists(&self) -> bool {
        let is_list = |shown: &usize| {
            let row = shown.checked_sub(self.columns.event.len());
            let column = row.and_then(|row| self.columns.row.get(row));
            column.is_some_and(|column| self.view.list_columns().any(|list| list == *column))
        };
        match &self.projection {
            Some(columns) => columns.iter().any(is_list),
            None => true,
        }
    }
}

impl Read for LineageScan {
    const NAME: &'static str = "LineageScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.key.values.iter().map(ToString::to_string).collect();
        let name = &self.view.definition().name;
        write!(f, "view={name}, row=({})", values.join(", "))?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }

    fn inputs(&self) -> &[Arc<dyn ExecutionPlan>] {
        std::slice::from_ref(&self.events)
    }

    fn read_from(&mut self, inputs: Vec<Arc<dyn ExecutionPlan>>) {
        for events in inputs {
            self.events = events;
        }
    }

    fn rows(
        &self,
        _partition: usize,
        schema: SchemaRef,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let lineage = self.view.lineage(self.key.key.clone());
        let following = Following {
            lineage: match self.asks_lists() {
                true => lineage,
                false => lineage.without_lists(),
            },
            events: self.events.execute(0, context)?,
            batch: None,
            left: self.limit.unwrap_or(usize::MAX),
        };
        let (columns, projection) = (Arc::clone(&self.columns), self.projection.clone());
        let steps = futures::stream::try_unfold(following, move |mut following| {
            let (columns, projection) = (Arc::clone(&columns), projection.clone());
            async move {
                let Some(steps) = following.next(&columns).await? else {
                    return Ok(None);
                };
                let steps = match &projection {
                    Some(columns) => steps.project(columns)?,
                    None => steps,
                };
                Ok(Some((steps, following)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, steps.boxed())))
    }
}

/// Where a scan stands.
struct Following {
    lineage: Lineage,
    events: SendableRecordBatchStream,
    /// What was read and not followed yet.
    batch: Option<RecordBatch>,
    /// How many steps are still asked for.
    left: usize,
}

impl Following {
    /// The next steps; `None` at the end. A few events at a time, so that who asks for few waits for few.
    async fn next(&mut self, columns: &Columns) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            let batch = match self.batch.take() {
                Some(batch) => Some(batch),
                None => self.events.try_next().await?,
            };
            let Some(batch) = batch else { return Ok(None) };
            let at_once = match self.lineage.shows_lists() {
                true => 1,
                false => LINEAGE_EVENTS_AT_ONCE,
            };
            let now = batch.num_rows().min(at_once);
            let rest = batch.num_rows() - now;
            self.batch = (rest > 0).then(|| batch.slice(now, rest));
            let steps = columns.join(&mut self.lineage, &batch.slice(0, now))?;
            // Events are followed without waiting: others are let in between.
            tokio::task::yield_now().await;
            let steps = steps.slice(0, steps.num_rows().min(self.left));
            self.left -= steps.num_rows();
            if steps.num_rows() > 0 {
                return Ok(Some(steps));
            }
        }
        Ok(None)
    }
}
