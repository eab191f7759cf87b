//! A join that waits for all of its partitions is not put below one that may not ask for all of them.
//!
//! A join that gathers its one side, and tells the other side by a filter what it is looking for, waits until each of its partitions has said what it has. A join of
//! partitions above it does not ask for a partition of which its own one side is empty; then the others wait for ever. Between the two stands nothing that asks for
//! all partitions where the lower join's rows are spread as the upper one needs them, as behind a subquery that depends on the row. Such plans run without these filters.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// The rule that makes these filters, for plans in which nobody waits for ever.
#[derive(Debug)]
pub(crate) struct AllPolled(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for AllPolled {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        match may_wait(plan.as_ref()) {
            true => Ok(plan),
            false => self.0.optimize(plan, config),
        }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether there is such a pair of joins.
fn may_wait(plan: &dyn ExecutionPlan) -> bool {
    let is_above = plan.downcast_ref::<HashJoinExec>().is_some_and(|join| {
        *join.partition_mode() == PartitionMode::Partitioned && waits_for_all(join.right().as_ref())
    });
    is_above || plan.children().into_iter().any(|child| may_wait(child.as_ref()))
}

/// Whether there is a join that waits, and nothing above it that asks for all of its partitions.
fn waits_for_all(plan: &dyn ExecutionPlan) -> bool {
    let asks_for_all = plan.downcast_ref::<RepartitionExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan.downcast_ref::<SortPreservingMergeExec>().is_some();
    if asks_for_all {
        return false;
    }
    let waits = plan.downcast_ref::<HashJoinExec>().is_some_and(|join| {
        *join.partition_mode() == PartitionMode::CollectLeft && join.right().output_partitioning().partition_count() > 1
    });
    waits || plan.children().into_iter().any(|child| waits_for_all(child.as_ref()))
}
