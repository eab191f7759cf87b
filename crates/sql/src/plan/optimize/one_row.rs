//! A condition on nothing but constants stays above an aggregate that gives one row, whatever it reads: `WHERE what = 'views'` over `SELECT 'total' AS what, count(*) …`
//! leaves none. Below it, it would leave nothing to count, and a row that says 0.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The engine's own rule, for conditions that read a column.
#[derive(Debug, Default)]
pub(crate) struct FiltersAboveOneRow(PushDownFilter);

impl OptimizerRule for FiltersAboveOneRow {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match is_above_one_row(&plan) {
            true => Ok(Transformed::no(plan)),
            false => self.0.rewrite(plan, config),
        }
    }
}

/// Whether a filter of constants stands right above an aggregate that gives a row also of nothing.
fn is_above_one_row(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Filter(filter) = plan else {
        return false;
    };
    let LogicalPlan::Aggregate(aggregate) = filter.input.as_ref() else {
        return false;
    };
    let groups = &aggregate.group_expr;
    let gives_one = groups.is_empty() || groups.iter().any(|group| matches!(group, Expr::GroupingSet(_)));
    let mut conditions = split_conjunction(&filter.predicate).into_iter();
    gives_one && conditions.any(|condition| condition.column_refs().is_empty())
}
