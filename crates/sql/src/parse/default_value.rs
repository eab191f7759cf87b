//! `DEFAULT constant`: worked out where it is read, so that it means the same for every event and at every start.

use std::sync::{Arc, LazyLock};

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::ExprWithAlias;
use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::Column;

use super::cursor::Cursor;
use crate::encode::{assign_value, json_text};
use crate::exact::MomentTypes;
use crate::{SqlError, SqlState};

/// The functions that a constant may be made with.
static FUNCTIONS: LazyLock<SessionState> = LazyLock::new(|| {
    SessionStateBuilder::new()
        .with_default_features()
        .with_type_planner(Arc::new(MomentTypes))
        .build()
});

/// Reads the expression and gives the column its value. NULL is no default.
pub(super) fn default_value(cursor: &mut Cursor, column: &mut Column) -> Result<(), SqlError> {
    let start = cursor.clone();
    // Of `x NOT NULL` the last two words are the column's, not the expression's.
    let mut own = cursor.part(cursor.length_until(|rest| match rest {
        [first, second, ..] if first.is_word("NOT") && second.is_word("NULL") => true,
        [first, ..] => first.is(&Token::Comma) || first.is(&Token::RParen),
        [] => true,
    }));
    let written = own.expression()?;
    own.expect_end()?;
    let at = |error: SqlError| SqlError {
        at: error.at.clone().or_else(|| start.error(SqlState::SYNTAX, "").at),
        ..error
    };
    let named = ExprWithAlias {
        expr: written,
        alias: None,
    };
    let refuse = |why: String| {
        start
            .error(
                SqlState::INVALID_DEFINITION,
                format!("a DEFAULT is a constant, and this is none: {why}"),
            )
            .hint("write a value; the time of an event is in _timestamp and _appended_at")
    };
    let planned = FUNCTIONS
        .create_logical_expr_from_sql_expr(named, &DFSchema::empty())
        .map_err(|error| refuse(SqlError::from(error).message))?;
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().build());
    let constant = simplifier
        .coerce(planned, &DFSchema::empty())
        .and_then(|expr| simplifier.simplify(expr))
        .map_err(|error| refuse(SqlError::from(error).message))?;
    let value: ScalarValue = match constant {
        Expr::Literal(value, _) => value,
        other => return Err(refuse(other.to_string())),
    };
    if value.is_null() {
        return Ok(());
    }
    let value = assign_value(&value, &column.name, column.column_type).map_err(at)?;
    column.default = Some(json_text(&value, column.column_type).map_err(at)?);
    Ok(())
}
