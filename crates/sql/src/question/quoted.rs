//! Texts in quotes that are no value of the type in whose place they stand: `n > 'b'` of an INTEGER fails whenever it is asked.

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Says of a plan whose types are settled which text in it cannot be read, where there is one; wherever it stands, as PostgreSQL does.
pub(super) fn check_readable(state: &SessionState, plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|inner| {
                if is_quoted(inner) {
                    read(state, inner)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

fn is_quoted(expr: &Expr) -> bool {
    let Expr::Cast(Cast { expr, .. }) = expr else {
        return false;
    };
    matches!(
        expr.as_ref(),
        Expr::Literal(ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_)), _)
    )
}

fn read(state: &SessionState, expr: &Expr) -> Result<()> {
    let physical = state.create_physical_expr(expr.clone(), &DFSchema::empty())?;
    let row: ArrayRef = std::sync::Arc::new(BooleanArray::from(vec![true]));
    physical.evaluate(&RecordBatch::try_from_iter([("row", row)])?)?;
    Ok(())
}
