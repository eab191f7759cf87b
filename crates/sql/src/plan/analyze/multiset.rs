//! `EXCEPT ALL` and `INTERSECT ALL` count: a row that is three times on the left and once on the right is left twice, or once.
//!
//! The query engine plans both as a join that asks whether the right has the row at all. With the rows of each side numbered among their equals, the same join
//! takes away or keeps as many as the right has.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

/// The columns of the numbers, of the left and of the right: like nothing that a user names.
const NUMBERS: [&str; 2] = ["?number", "?number of the right"];

/// Makes such joins count; runs before any other rule makes joins.
#[derive(Debug)]
pub(crate) struct CountedSets;

impl AnalyzerRule for CountedSets {
    fn name(&self) -> &str {
        "counted_sets"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if is_of_all(&join) => counted(join).map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(counted.data)
    }
}

/// Whether a join stands for `EXCEPT ALL` or `INTERSECT ALL`: without ALL its left side has each row once.
fn is_of_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let mut on = join.on;
    let [left, right] = NUMBERS.map(|name| Expr::Column(Column::new_unqualified(name)));
    on.push((left, right));
    let left = numbered(&join.left, NUMBERS[0])?;
    let right = numbered(&join.right, NUMBERS[1])?;
    let joined = LogicalPlan::Join(Join {
        left: Arc::new(left),
        right: Arc::new(right),
        on,
        ..join
    });
    LogicalPlanBuilder::from(joined.recompute_schema()?)
        .project(columns)?
        .build()
}

/// Each row with its number among its equals.
fn numbered(plan: &LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns).build()?.alias(name);
    LogicalPlanBuilder::from(plan.clone()).window(vec![number])?.build()
}
