//! The operators on JSON: `value -> 'a'` is JSON again, as its text; `value #>> '{a,0}'` follows a path.
//!
//! The query engine's own `->` gives a value of many types, which nothing but a cast can take. Below a cast it stays, so that a number is read as one.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, Value};

use super::super::dialect::{call, text};
use crate::encode::array_text::{NoArray, from_text};
use crate::{SqlError, SqlState};

/// JSON as the text that stands for it.
const AS_JSON: &str = "json_get_json";
/// JSON of whatever type it has, for a cast.
const AS_ANY: &str = "json_get";
/// A string without its quotes, anything else as its text.
const AS_TEXT: &str = "json_as_text";

/// What an operator on JSON is called by the query engine; `None` where it is no such operator.
pub(in crate::postgres) fn operator(expr: &Expr) -> Result<Option<Expr>, SqlError> {
    let Expr::BinaryOp { left, op, right } = expr else {
        return Ok(None);
    };
    let (function, path) = match op {
        BinaryOperator::Arrow => (AS_JSON, vec![right.as_ref().clone()]),
        BinaryOperator::HashArrow => (AS_JSON, path(right)?),
        BinaryOperator::HashLongArrow => (AS_TEXT, path(right)?),
        _ => return Ok(None),
    };
    let mut arguments = vec![left.as_ref().clone()];
    arguments.extend(path);
    Ok(Some(call(function, arguments)))
}

/// Below a cast to anything but text and JSON a value is read by its own type.
pub(in crate::postgres) fn below_cast(inner: &mut Expr, data_type: &DataType) {
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
        && function.name.to_string() == AS_JSON
        && let Expr::Function(any) = call(AS_ANY, Vec::new())
    {
        function.name = any.name;
    }
}

/// The parts of `'{a,0}'`: names, and places in arrays.
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
        Ok(match part.parse::<u32>() {
            Ok(_) => Expr::Value(Value::Number(part, false).with_empty_span()),
            Err(_) => text(&part),
        })
    };
    parts.into_iter().map(part).collect()
}
