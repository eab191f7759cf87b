//! Rows are sorted by a column of an outer join's other side also where a condition below the join makes that column one value: the join makes it NULL, too.
//!
//! The query engine takes what is one value below the join for one value above it, and leaves it out of the sort. So it is given as the result of a
//! function of which it knows nothing.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::plan::itself::{hidden, is_hidden};

/// Puts that function into the keys of sorts above outer joins; runs behind the engine's own rules.
#[derive(Debug)]
pub(crate) struct OrderAboveOuterJoins;

impl OptimizerRule for OrderAboveOuterJoins {
    fn name(&self) -> &str {
        "order_above_outer_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Sort(mut sort) if is_above_outer_join(&sort.input)? => {
                let hidden = hide(&mut sort.expr);
                Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), hidden))
            }
            LogicalPlan::Window(window) if is_above_outer_join(&window.input)? => {
                let plan = LogicalPlan::Window(window);
                let names = NamePreserver::new(&plan);
                plan.map_expressions(|expr| {
                    let name = names.save(&expr);
                    let hidden = expr.transform_up(|part| Ok(in_window(part)))?;
                    Ok(hidden.update_data(|expr| name.restore(expr)))
                })
            }
            plan => Ok(Transformed::no(plan)),
        }
    }
}

fn is_above_outer_join(input: &LogicalPlan) -> Result<bool> {
    input.exists(|node| match node {
        LogicalPlan::Join(join) => Ok(matches!(
            join.join_type,
            JoinType::Left | JoinType::Right | JoinType::Full
        )),
        _ => Ok(false),
    })
}

fn in_window(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::WindowFunction(mut function) => {
            let WindowFunction { params, .. } = function.as_mut();
            let hidden = hide(&mut params.order_by);
            Transformed::new_transformed(Expr::WindowFunction(function), hidden)
        }
        expr => Transformed::no(expr),
    }
}

/// Whether there was one to hide among the keys.
fn hide(keys: &mut [SortExpr]) -> bool {
    let mut is_changed = false;
    for key in keys {
        if !is_hidden(&key.expr) && !key.expr.column_refs().is_empty() {
            key.expr = hidden(std::mem::take(&mut key.expr));
            is_changed = true;
        }
    }
    is_changed
}
