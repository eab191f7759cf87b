//! What a join will not find is dropped where it is read.
//!
//! A join knows all keys of its smaller side before it asks for the first row of the other. The query engine offers that as a filter to whatever reads those rows,
//! and a reader of files leaves out what its statistics exclude, and nothing more: all other rows are decoded, joined and aggregated, and dropped at last. So a
//! sieve stands above each reader and asks such filters of each row.
//!
//! ```text
//! HashJoin ── keys of this side ──────────┐ filter
//!   ├── smaller side                      v
//!   └── Aggregate ── other joins ── Sieve ── Filter ── reader
//! ```
//!
//! Invariants
//! - A sieve drops only rows that no answer needs: what the filter is for is asked again above. So it may leave a filter out at any time, and does where most rows
//!   pass it ([`rows`]).
//! - It evaluates columns alone. An expression may fail for a row that something in between would have dropped.

mod rows;

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// The engine's rule that brings filters of running joins down, with sieves to take them.
#[derive(Debug)]
pub(crate) struct Sieves(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Sieves {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !has_join(&plan) {
            return self.0.optimize(plan, config);
        }
        let plan = self.0.optimize(above_readers(plan)?, config)?;
        without_empty_ones(plan)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>() || plan.children().into_iter().any(has_join)
}

/// The plan with a sieve above each of its readers, and the filters over it: those that are written are asked first.
fn above_readers(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    // It runs its part again and again, with other keys each time.
    if plan.is::<RecursiveQueryExec>() {
        return Ok(plan);
    }
    if is_reader(&plan) {
        return Ok(Sieve::over(plan, Vec::new()));
    }
    let inputs = plan
        .children()
        .into_iter()
        .map(|input| above_readers(Arc::clone(input)));
    let inputs = inputs.collect::<Result<Vec<Arc<dyn ExecutionPlan>>>>()?;
    replace_children_if_necessary(plan, inputs)
}

fn is_reader(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children().as_slice() {
        [] => true,
        [input] => (plan.is::<FilterExec>() || plan.is::<CooperativeExec>()) && is_reader(input),
        _ => false,
    }
}

fn without_empty_ones(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        let empty = node.downcast_ref::<Sieve>().filter(|sieve| sieve.filters.is_empty());
        Ok(match empty.map(|sieve| Arc::clone(&sieve.input)) {
            Some(input) => Transformed::yes(input),
            None => Transformed::no(node),
        })
    })?;
    Ok(plan.data)
}

/// The rows of a plan that pass the filters of joins above.
#[derive(Debug)]
struct Sieve {
    input: Arc<dyn ExecutionPlan>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    metrics: ExecutionPlanMetricsSet,
}

impl Sieve {
    fn over(input: Arc<dyn ExecutionPlan>, filters: Vec<Arc<dyn PhysicalExpr>>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Sieve {
            input,
            filters,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

/// Whether a filter is one that a running plan makes, of columns alone.
fn is_taken(filter: &Arc<dyn PhysicalExpr>) -> bool {
    filter.is::<DynamicFilterPhysicalExpr>() && filter.children().into_iter().all(|part| part.is::<Column>())
}

impl DisplayAs for Sieve {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters: Vec<String> = self.filters.iter().map(ToString::to_string).collect();
        write!(f, "Sieve: {}", filters.join(" AND "))
    }
}

impl ExecutionPlan for Sieve {
    fn name(&self) -> &str {
        "Sieve"
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
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.filters {
            if visit(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match inputs.into_iter().next() {
            Some(input) => Sieve::over(input, self.filters.clone()),
            None => self,
        })
    }

    /// The same without filters: a join that runs once more does not give its new keys to those of before.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Sieve::over(Arc::clone(&self.input), Vec::new()))
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

    /// Takes what comes by on its way to the reader, which answers as if there were no sieve.
    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let offered = result.parent_filters.iter().map(|offered| &offered.filter);
        let taken: Vec<Arc<dyn PhysicalExpr>> = offered.filter(|filter| is_taken(filter)).cloned().collect();
        let sieve = Sieve::over(Arc::clone(&self.input), taken);
        Ok(FilterPushdownPropagation::if_all(result).with_updated_node(sieve))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batch_rows = context.session_config().batch_size();
        let rows = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        Ok(rows::sifted(rows, &self.filters, batch_rows, metrics))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

#[cfg(test)]
mod tests;
