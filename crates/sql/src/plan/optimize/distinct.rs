//! `count(DISTINCT a)` beside `sum(b)`.
//!
//! The query engine groups by `a` first and sums the sums of the groups, where nothing else is asked for. A sum of sums of decimals has another type
//! than the sum: what comes out is no longer what the plan says. With a sum in it such a query is left as it is.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The engine's own rule, for queries without sums.
#[derive(Debug, Default)]
pub(crate) struct DistinctWithoutSums(SingleDistinctToGroupBy);

impl OptimizerRule for DistinctWithoutSums {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match has_sum(&plan) {
            true => Ok(Transformed::no(plan)),
            false => self.0.rewrite(plan, config),
        }
    }
}

/// Whether a node sums anything as it comes, and not its different values.
fn has_sum(plan: &LogicalPlan) -> bool {
    let is_sum = |expression: &Expr| match expression {
        Expr::AggregateFunction(aggregate) => aggregate.func.name() == "sum" && !aggregate.params.distinct,
        _ => false,
    };
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.iter().any(is_sum),
        _ => false,
    }
}
