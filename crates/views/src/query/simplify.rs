//! Expressions as they are evaluated. Some functions (`coalesce`, `nvl2`) are no more than another way to write an expression, and are never called.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;

use super::choice::chosen;

/// An expression, ready to be evaluated.
pub fn physical(session: &SessionState, expression: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let expression = session.create_physical_expr(simplified(session, expression.clone(), input)?, input)?;
    chosen(expression, input.as_arrow())
}

/// An aggregate whose arguments, filter and order are ready to be evaluated.
pub(super) fn aggregate(session: &SessionState, expression: &Expr, input: &DFSchema) -> Result<Expr> {
    let aggregate = expression.clone().unalias();
    let simplify = |part| Ok(Transformed::yes(simplified(session, part, input)?));
    Ok(aggregate.map_children(simplify)?.data)
}

fn simplified(session: &SessionState, expression: Expr, input: &DFSchema) -> Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(input.clone()))
        .with_config_options(Arc::clone(session.config_options()))
        .build();
    ExprSimplifier::new(context).simplify(expression)
}
