//! The node that a read of ours is in a plan. What is read differs; how a plan sees it does not.
//!
//! Invariants
//! - A node takes each of its inputs whole and in its order: a row's events are followed one after another, whichever partition they stand in.
//! - Rows are finite and come as they are found.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    SortOrderPushdownResult,
};
use futures::{Stream, StreamExt};

/// What a node reads.
pub(crate) trait Read: Clone + Send + Sync + 'static {
    /// The name that EXPLAIN shows.
    const NAME: &'static str;

    /// What EXPLAIN shows behind the name.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Starts reading.
    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream>;

    /// The order in which the rows come, where there is one.
    fn order(&self) -> Option<PhysicalSortExpr> {
        None
    }

    /// The most rows that it gives; `None`: all.
    fn limit(&self) -> Option<usize> {
        None
    }

    /// Lets it give no more rows than this; `false`: it knows no limits.
    fn limit_to(&mut self, _limit: Option<usize>) -> bool {
        false
    }

    /// The same in this order; `None` where it cannot keep to it.
    fn ordered(&self, _order: &[PhysicalSortExpr]) -> Option<Self> {
        None
    }

    /// The same for what a projection makes of its rows: the read that gives what this needs, with the schema of its rows, and the projection over
    /// those. `None` where it reads no less for it.
    fn projected(&self, _projection: &[ProjectionExpr]) -> Result<Option<(Self, SchemaRef, Vec<ProjectionExpr>)>> {
        Ok(None)
    }
}

/// What a read is started with.
pub(crate) struct Start {
    /// Which of the node's partitions is read.
    pub(crate) partition: usize,
    /// The schema of the rows.
    pub(crate) schema: SchemaRef,
    pub(crate) context: Arc<TaskContext>,
    /// The plans that the node reads; none where it is a leaf.
    pub(crate) inputs: Vec<Arc<dyn ExecutionPlan>>,
}

/// The columns of a table that a question reads.
pub(crate) fn projected(schema: SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    Ok(match projection {
        Some(columns) => Arc::new(schema.project(columns)?),
        None => schema,
    })
}

/// Those of some rows.
pub(crate) fn of_columns(rows: RecordBatch, projection: Option<&Vec<usize>>) -> Result<RecordBatch> {
    Ok(match projection {
        Some(columns) => rows.project(columns)?,
        None => rows,
    })
}

/// Rows as they come, under the names that the plan has for their columns.
pub(crate) fn named(
    schema: SchemaRef,
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> SendableRecordBatchStream {
    let shown = Arc::clone(&schema);
    let rows = rows.map(move |rows| {
        let rows = rows?;
        let (columns, count) = (rows.columns().to_vec(), rows.num_rows());
        // What made the rows may not know of a column that it is never NULL: then the rows themselves are held to it.
        Ok(rows.with_schema(Arc::clone(&schema)).or_else(|_| {
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
        })?)
    });
    Box::pin(RecordBatchStreamAdapter::new(shown, rows))
}

/// A read as a node of a plan.
pub(crate) struct Node<R> {
    read: R,
    properties: Arc<PlanProperties>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    /// The order in which each input came when the node was made. It is asked for: a sort that nothing asks for is taken out of a plan.
    orders: Vec<Option<OrderingRequirements>>,
}

impl<R: Read> Node<R> {
    /// A leaf, whose rows have this schema and come in so many partitions.
    pub(crate) fn leaf(read: R, schema: SchemaRef, partitions: usize) -> Arc<dyn ExecutionPlan> {
        Self::plan(read, schema, partitions, Vec::new())
    }

    /// A node that reads plans.
    pub(crate) fn over(read: R, schema: SchemaRef, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        Self::plan(read, schema, 1, inputs)
    }

    fn plan(
        read: R,
        schema: SchemaRef,
        partitions: usize,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Arc<dyn ExecutionPlan> {
        let equivalences = EquivalenceProperties::new_with_orderings(schema, read.order().map(|order| [order]));
        let properties = PlanProperties::new(
            equivalences,
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let order = |input: &Arc<dyn ExecutionPlan>| input.output_ordering().cloned().map(OrderingRequirements::from);
        let orders = inputs.iter().map(order).collect();
        Arc::new(Node {
            read,
            properties: Arc::new(properties),
            inputs,
            orders,
        })
    }

    /// The same with another read, and other promises.
    fn with(&self, read: R, properties: Arc<PlanProperties>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Node {
            read,
            properties,
            inputs: self.inputs.clone(),
            orders: self.orders.clone(),
        })
    }
}

impl<R: Read> DisplayAs for Node<R> {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", R::NAME)?;
        self.read.describe(f)
    }
}

impl<R: Read> fmt::Debug for Node<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl<R: Read> ExecutionPlan for Node<R> {
    fn name(&self) -> &str {
        R::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition; self.inputs.len()]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.orders.clone()
    }

    // Its columns are not those of its inputs, so an order asked of its rows means nothing to them.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Node {
            read: self.read.clone(),
            properties: Arc::clone(&self.properties),
            inputs: children,
            orders: self.orders.clone(),
        }))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let mut read = self.read.clone();
        let is_limited = read.limit_to(limit);
        is_limited.then(|| self.with(read, Arc::clone(&self.properties)))
    }

    fn fetch(&self) -> Option<usize> {
        self.read.limit()
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        // An order that was promised is of columns that may stand elsewhere then.
        if self.properties.output_ordering().is_some() {
            return Ok(None);
        }
        let Some((read, schema, over)) = self.read.projected(projection.expr())? else {
            return Ok(None);
        };
        let partitions = self.properties.output_partitioning().partition_count();
        let node = Node::plan(read, schema, partitions, self.inputs.clone());
        let given = node.schema();
        let is_given = |(place, made): (usize, &ProjectionExpr)| {
            let column = made.expr.downcast_ref::<Column>();
            column.is_some_and(|column| column.index() == place) && given.field(place).name() == &made.alias
        };
        if given.fields().len() == over.len() && over.iter().enumerate().all(is_given) {
            return Ok(Some(node));
        }
        Ok(Some(Arc::new(ProjectionExec::try_new(over, node)?)))
    }

    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let Some(read) = self.read.ordered(order) else {
            return Ok(SortOrderPushdownResult::Unsupported);
        };
        let ordering = EquivalenceProperties::new_with_orderings(self.schema(), [order.to_vec()]);
        let properties = self.properties.as_ref().clone().with_eq_properties(ordering);
        let inner = self.with(read, Arc::new(properties));
        Ok(SortOrderPushdownResult::Exact { inner })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.read.rows(Start {
            partition,
            schema: self.schema(),
            context,
            inputs: self.inputs.clone(),
        })
    }
}
