//! CALL and EXPLAIN CALL: what is handed to whoever runs commands. Arguments and idempotency key are constant expressions.

use std::ops::ControlFlow;

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast;

use super::explain::explained;
use super::parked_again;
use crate::inner::Inner;
use crate::question::Moments;
use crate::syntax::{Argument, Name};
use crate::{Call, CallArgument, Outcome, Session, SqlError, SqlState, postgres};

/// Calls a command, or what the program has under such a name.
pub(crate) async fn call(
    inner: &Inner,
    session: &Session,
    command: &Name,
    arguments: &[Argument],
    key: Option<&ast::Expr>,
    parameters: &[ScalarValue],
) -> Result<Outcome, SqlError> {
    let command = command.value.as_str();
    if parked_again::is_meant(inner, command) {
        if key.is_some() {
            let message = format!("{command} takes no idempotency key: done twice, it is as done once");
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
        }
        return parked_again::replay_parked(inner, session, arguments, parameters).await;
    }
    let call = Call {
        session,
        command,
        arguments: call_arguments(inner, arguments, parameters)?,
        idempotency_key: idempotency_key(inner, key, parameters)?,
    };
    let (schema, rows) = inner.calls()?.call(call).await?;
    // Its rows say where its events are.
    let (position, seen) = (None, None);
    Ok(Outcome::Rows {
        schema,
        rows,
        position,
        seen,
    })
}

/// Says what a call would do, and why.
pub(crate) async fn explain_call(
    inner: &Inner,
    session: &Session,
    command: &Name,
    arguments: &[Argument],
    json: bool,
    parameters: &[ScalarValue],
) -> Result<Outcome, SqlError> {
    let call = Call {
        session,
        command: &command.value,
        arguments: call_arguments(inner, arguments, parameters)?,
        idempotency_key: None,
    };
    let text = inner.calls()?.explain(call, json).await?;
    explained(&text)
}

/// A call's arguments with their values.
pub(super) fn call_arguments(
    inner: &Inner,
    arguments: &[Argument],
    parameters: &[ScalarValue],
) -> Result<Vec<CallArgument>, SqlError> {
    let expressions: Vec<ast::Expr> = arguments.iter().map(|argument| argument.value.clone()).collect();
    let values = constants(inner, &expressions, parameters)?;
    let named = arguments.iter().zip(values).map(|(argument, value)| CallArgument {
        name: argument.name.as_ref().map(|name| name.value.clone()),
        value,
    });
    Ok(named.collect())
}

/// The idempotency key of a call, where it has one.
fn idempotency_key(
    inner: &Inner,
    key: Option<&ast::Expr>,
    parameters: &[ScalarValue],
) -> Result<Option<String>, SqlError> {
    let Some(key) = key else { return Ok(None) };
    let values = constants(inner, std::slice::from_ref(key), parameters)?;
    match values.first().and_then(|value| value.try_as_str().flatten()) {
        Some(text) => Ok(Some(text.to_owned())),
        None => {
            let error = SqlError::new(
                SqlState::INVALID_PARAMETER,
                format!("an idempotency key is a text, and {key} is none"),
            );
            Err(error.hint(
                "take a new one for each thing that is to be done once, such as a UUID: the same for every retry",
            ))
        }
    }
}

/// The values of constant expressions. `parameters` are those of `$1`, `$2`, …
pub(crate) fn constants(
    inner: &Inner,
    expressions: &[ast::Expr],
    parameters: &[ScalarValue],
) -> Result<Vec<ScalarValue>, SqlError> {
    constants_at(inner, inner.log.now_us(), expressions, parameters)
}

fn no_query_in(expression: &ast::Expr) -> Result<(), SqlError> {
    let found = ast::visit_expressions(expression, |part| match part {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let error = SqlError::new(SqlState::NOT_SUPPORTED, "a query is no constant");
            Err(error.hint("work it out with SELECT first"))
        }
    }
}

/// The same where `now()` is this moment, microseconds since 1970.
pub(crate) fn constants_at(
    inner: &Inner,
    now_us: i64,
    expressions: &[ast::Expr],
    parameters: &[ScalarValue],
) -> Result<Vec<ScalarValue>, SqlError> {
    let state = inner.starting_at(now_us);
    let constants = Moments::new(&state, Some(parameters));
    let mut values: Vec<ScalarValue> = Vec::new();
    for expression in expressions {
        let mut expr = expression.clone();
        no_query_in(&expr)?;
        postgres::part_as_engine_knows_it(&mut expr, None)?;
        let named = ast::ExprWithAlias { expr, alias: None };
        let planned = state.create_logical_expr_from_sql_expr(named, &DFSchema::empty())?;
        match constants.constant(planned)? {
            Expr::Literal(value, _) => values.push(value),
            other => {
                let message = format!("{other} is no constant");
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("work it out with SELECT first"));
            }
        }
    }
    Ok(values)
}
