//! A scalar subquery that finds no row is NULL, also where its column never is.
//!
//! The query engine takes the column's word for the subquery's, and would decide `(SELECT entries FROM … WHERE …) IS NULL` without looking. So such a
//! subquery becomes the argument of a function that gives back what it gets, and says that it may be NULL.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::plan::itself::or_null;

/// The plan, told that its scalar subqueries may find nothing.
pub(super) fn may_be(plan: LogicalPlan) -> Result<LogicalPlan> {
    let told = plan.transform_up_with_subqueries(|node| {
        let told = node.map_expressions(|expr| expr.transform_up(tell))?;
        match told.transformed {
            true => told.map_data(LogicalPlan::recompute_schema),
            false => Ok(told),
        }
    })?;
    Ok(told.data)
}

fn tell(expr: Expr) -> Result<Transformed<Expr>> {
    match &expr {
        Expr::ScalarSubquery(subquery) if may_be_never_null(&subquery.subquery)? => Ok(Transformed::yes(or_null(expr))),
        _ => Ok(Transformed::no(expr)),
    }
}

/// Whether what a subquery gives is never NULL, or may turn out so: what is worked out may, once its constants are folded and its parameters are there.
fn may_be_never_null(subquery: &LogicalPlan) -> Result<bool> {
    let is_never_null = subquery
        .schema()
        .fields()
        .first()
        .is_some_and(|field| !field.is_nullable());
    let works_out = |node: &LogicalPlan| match node {
        LogicalPlan::Projection(projection) => {
            let is_column = |expr: &Expr| matches!(expr.clone().unalias_nested().data, Expr::Column(_));
            Ok(!projection.expr.iter().all(is_column))
        }
        _ => Ok(false),
    };
    Ok(is_never_null || subquery.exists(works_out)?)
}
