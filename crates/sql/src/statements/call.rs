//! The arguments of CALL: constant expressions.

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast;

use crate::engine::Inner;
use crate::question::Moments;
use crate::{SqlError, SqlState};

/// The values of a call's arguments.
pub(crate) fn call_arguments(
    inner: &Inner,
    arguments: &[ast::Expr],
    parameters: &[ScalarValue],
) -> Result<Vec<ScalarValue>, SqlError> {
    let state = inner.starting();
    let constants = Moments::new(&state, Some(parameters));
    let mut values: Vec<ScalarValue> = Vec::new();
    for argument in arguments {
        let named = ast::ExprWithAlias {
            expr: argument.clone(),
            alias: None,
        };
        let planned = state.create_logical_expr_from_sql_expr(named, &DFSchema::empty())?;
        match constants.constant(planned)? {
            Expr::Literal(value, _) => values.push(value),
            other => {
                let message = format!("the argument {other} is no constant");
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("work it out with SELECT first"));
            }
        }
    }
    Ok(values)
}
