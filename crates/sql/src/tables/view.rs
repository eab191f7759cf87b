//! A materialized view as a table: its rows as of one position, looked up by key where the filter names keys.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use headwater_views::{GroupKey, Selection, View};

use super::keys::KeyColumns;
use crate::SqlError;
use crate::question::{Boundary, ViewReading};

/// A materialized view of one question.
pub(crate) struct ViewTable {
    reading: Arc<ViewReading>,
    keys: KeyColumns,
}

impl ViewTable {
    /// The view as this question reads it.
    pub(crate) fn new(view: &Arc<View>, boundary: &Boundary) -> ViewTable {
        ViewTable {
            reading: boundary.view(view),
            keys: KeyColumns::of(view),
        }
    }
}

impl fmt::Debug for ViewTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewTable({})", self.reading.view().definition().name)
    }
}

#[async_trait]
impl TableProvider for ViewTable {
    fn schema(&self) -> SchemaRef {
        self.reading.view().schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(self.keys.pushed(filters))
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let selection = match self.keys.wanted(self.reading.view(), filters)? {
            None => Selection::All,
            Some(wanted) => Selection::Keys(wanted.into_iter().map(|wanted| wanted.key).collect()),
        };
        self.reading.want(&selection);
        Ok(Arc::new(ViewScan::new(
            Arc::clone(&self.reading),
            selection,
            projection.cloned(),
        )?))
    }
}

/// One read of a view's store.
struct ViewScan {
    reading: Arc<ViewReading>,
    selection: Selection,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl ViewScan {
    fn new(reading: Arc<ViewReading>, selection: Selection, projection: Option<Vec<usize>>) -> Result<ViewScan> {
        let schema = reading.view().schema();
        let schema = match &projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => schema,
        };
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(ViewScan {
            reading,
            selection,
            projection,
            properties,
        })
    }
}

impl DisplayAs for ViewScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.reading.view();
        let definition = view.definition();
        let shape = definition.shape.as_ref().map_or("", |shape| shape.word());
        write!(f, "ViewScan: view={}, stored as={shape}", definition.name)?;
        let schema = view.schema();
        let names: Vec<&str> = view
            .key_columns()
            .iter()
            .map(|column| schema.field(*column).name().as_str())
            .collect();
        match &self.selection {
            Selection::All => write!(f, ", rows=all")?,
            Selection::Keys(keys) => write!(f, ", keys={} of ({})", keys.len(), names.join(", "))?,
        }
        if let Some(columns) = &self.projection {
            let columns: Vec<&str> = columns
                .iter()
                .map(|column| schema.field(*column).name().as_str())
                .collect();
            write!(f, ", columns=[{}]", columns.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ViewScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl ExecutionPlan for ViewScan {
    fn name(&self) -> &str {
        "ViewScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reading = Arc::clone(&self.reading);
        let selection = self.selection.clone();
        let projection = self.projection.clone();
        let read = async move {
            let (rows, exact) = reading.rows(&selection).await?;
            let mut batches: Vec<Result<RecordBatch>> = Vec::new();
            for batch in &rows.batches {
                let batch = match (exact, &selection) {
                    (false, Selection::Keys(keys)) => only(reading.view(), batch, keys)?,
                    _ => batch.clone(),
                };
                batches.push(Ok(match &projection {
                    Some(columns) => batch.project(columns)?,
                    None => batch,
                }));
            }
            Ok::<_, DataFusionError>(futures::stream::iter(batches))
        };
        let rows = futures::stream::once(read).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// The rows of these keys, where the view was read for other mentions too.
fn only(view: &View, batch: &RecordBatch, keys: &[GroupKey]) -> Result<RecordBatch> {
    let keys: HashSet<&GroupKey> = keys.iter().collect();
    let mut wanted: Vec<bool> = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut values: Vec<ScalarValue> = Vec::new();
        for column in view.key_columns() {
            values.push(ScalarValue::try_from_array(batch.column(*column), row)?);
        }
        let key = view.key(&values).map_err(SqlError::from)?;
        wanted.push(keys.contains(&key));
    }
    Ok(filter_record_batch(batch, &BooleanArray::from(wanted))?)
}
