//! The operators on JSON: `value -> 'a'` is JSON again, as its text; `value #>> '{a,0}'` follows a path.
//!
//! The query engine's own `->` gives a value of many types, which nothing but a cast can take. Below a cast it stays, so that a number is read as one.
//! For the engine a text that is a number is a place in an array, too, as it is in a path. Behind `->` and `->>` it is a name and nothing else: steps
//! that may be such texts are taken by functions of ours.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, Ident, ObjectName, ObjectNamePart, Value};

use super::steps::{STEP, STEP_TEXT};
use crate::encode::array_text::{NoArray, from_text};
use crate::postgres::ast::{call, text};
use crate::{SqlError, SqlState};

/// JSON as the text that stands for it.
const AS_JSON: &str = "json_get_json";
/// JSON of whatever type it has, for a cast.
const AS_ANY: &str = "json_get";
/// A string without its quotes, anything else as its text.
const AS_TEXT: &str = "json_as_text";

/// What an operator on JSON is called by the query engine; `None` where it is no such operator.
pub(crate) fn operator(expr: &Expr) -> Result<Option<Expr>, SqlError> {
    let Expr::BinaryOp { left, op, right } = expr else {
        return Ok(None);
    };
    let step = || vec![right.as_ref().clone()];
    let (function, path) = match op {
        BinaryOperator::Arrow if is_plain(right) => (AS_JSON, step()),
        BinaryOperator::Arrow => (STEP, step()),
        BinaryOperator::LongArrow if !is_plain(right) => (STEP_TEXT, step()),
        BinaryOperator::HashArrow => (AS_JSON, path(right)?),
        BinaryOperator::HashLongArrow => (AS_TEXT, path(right)?),
        _ => return Ok(None),
    };
    let mut arguments = vec![left.as_ref().clone()];
    arguments.extend(path);
    Ok(Some(call(function, arguments)))
}

/// Whether a step is written out, and is the same for the query engine: a place, or a name that is no number.
fn is_plain(step: &Expr) -> bool {
    match step {
        Expr::Nested(inner) => is_plain(inner),
        Expr::UnaryOp { expr, .. } => is_plain(expr),
        Expr::Value(value) => match &value.value {
            Value::Number(place, _) => place.parse::<i64>().is_ok(),
            Value::SingleQuotedString(name) => name.parse::<i64>().is_err(),
            _ => false,
        },
        _ => false,
    }
}

/// Below a cast to anything but text and JSON a value is read by its own type.
pub(crate) fn below_cast(inner: &mut Expr, data_type: &DataType) {
    let is_text = matches!(
        data_type,
        DataType::Text | DataType::Varchar(_) | DataType::JSON | DataType::JSONB
    );
    let inner = match inner {
        Expr::Nested(inner) => inner.as_mut(),
        inner => inner,
    };
    if let Expr::Function(function) = inner
        && !is_text
    {
        let by_type = match function.name.to_string().as_str() {
            AS_JSON => AS_ANY,
            STEP => STEP_TEXT,
            _ => return,
        };
        function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(by_type))]);
    }
}

/// The parts of `'{a,0}'`: names, or places where they lead into an array.
fn path(expr: &Expr) -> Result<Vec<Expr>, SqlError> {
    let refuse = |why: &str| {
        SqlError::new(
            SqlState::NOT_SUPPORTED,
            format!("a path into JSON is not understood: {why}"),
        )
        .hint("write it as '{name,0}', or -> and ->> one behind the other")
    };
    let Expr::Value(value) = expr else {
        return Err(refuse("it is no text that is written out"));
    };
    let Value::SingleQuotedString(written) = &value.value else {
        return Err(refuse("it is no text that is written out"));
    };
    let parts = from_text(written).map_err(|NoArray(why)| refuse(why))?;
    let part = |part: Option<String>| {
        let part = part.ok_or_else(|| refuse("a part of it is NULL"))?;
        Ok(text(&part))
    };
    parts.into_iter().map(part).collect()
}
