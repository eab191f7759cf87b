//! What is told of a table's columns before they are read, in the types of the view.
//!
//! The library gives rows the types that they are asked for in, and says of their least and largest values what the files say, in the files' own types: a
//! moment in UTC, where the rows have one at +00:00. The query engine compares the two and finds them to be apart.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// The scan of a table, told in the types of its rows.
#[derive(Debug)]
pub(crate) struct Told {
    input: Arc<dyn ExecutionPlan>,
}

impl Told {
    /// Over the scan of a table; the scan itself where its rows have the types of the files.
    pub(crate) fn over(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let schema = input.schema();
        let has_zone = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
        match schema.fields().iter().any(|field| has_zone(field.data_type())) {
            true => Arc::new(Told { input }),
            false => input,
        }
    }
}

impl DisplayAs for Told {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypesOfTheView")
    }
}

impl ExecutionPlan for Told {
    fn name(&self) -> &str {
        "TypesOfTheView"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match inputs.into_iter().next() {
            Some(input) => Told::over(input),
            None => self,
        })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.input.supports_limit_pushdown()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let schema = self.schema();
        let Some(told) = inputs.first() else {
            return Ok(Arc::new(Statistics::new_unknown(&schema)));
        };
        let mut told = told.as_ref().clone();
        for (column, field) in told.column_statistics.iter_mut().zip(schema.fields()) {
            for value in [&mut column.min_value, &mut column.max_value] {
                *value = in_type(value, field.data_type());
            }
        }
        Ok(Arc::new(told))
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let offered = ChildFilterDescription::from_child(&filters, &self.input)?;
        Ok(FilterDescription::new().with_child(offered))
    }
}

/// A value in a column's type; nothing is told where it has none there.
fn in_type(value: &Precision<ScalarValue>, data_type: &DataType) -> Precision<ScalarValue> {
    let cast = |value: &ScalarValue| value.cast_to(data_type).ok();
    let (cast, is_exact) = match value {
        Precision::Exact(value) => (cast(value), true),
        Precision::Inexact(value) => (cast(value), false),
        Precision::Absent => (None, false),
    };
    match (cast, is_exact) {
        (Some(value), true) => Precision::Exact(value),
        (Some(value), false) => Precision::Inexact(value),
        (None, _) => Precision::Absent,
    }
}
