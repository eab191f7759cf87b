//! The one text that a value has, whatever its writer spelt: what kinds, tags and keys are compared by.

use crate::value::json::{self, JsonError, Value};
use crate::value::{moment, number};
use crate::{Column, ColumnType};

/// Why there is nothing to be read from a value.
pub(super) struct Unreadable;

impl From<JsonError> for Unreadable {
    fn from(_: JsonError) -> Unreadable {
        Unreadable
    }
}

/// The text of a column's default.
pub(super) fn default_of(column: &Column) -> Option<String> {
    text_of_json(column.column_type, column.default.as_deref()?)
}

/// The one text of a value of the type that is written as JSON; `None` of null, and where it is none.
pub(super) fn text_of_json(column_type: ColumnType, json: &str) -> Option<String> {
    let mut text = None;
    let value = format!("{{\"value\":{json}}}");
    let read = json::each_field::<Unreadable>(&value, |_, _, value, _| {
        text = text_of(column_type, value)?;
        Ok(())
    });
    read.ok().and(text)
}

/// Whether every value of the type has one text.
pub(crate) fn has_text(column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Boolean
        | ColumnType::Integer
        | ColumnType::BigInt
        | ColumnType::Decimal(..)
        | ColumnType::Text
        | ColumnType::Date => true,
        ColumnType::Real
        | ColumnType::Double
        | ColumnType::Bytes
        | ColumnType::Timestamp
        | ColumnType::TimestampTz
        | ColumnType::Json => false,
    }
}

/// The one text of a value of the type; `None` of null.
pub(super) fn text_of(column_type: ColumnType, value: Value<'_>) -> Result<Option<String>, Unreadable> {
    if value == Value::Null {
        return Ok(None);
    }
    let literal = || value.literal().map(str::as_bytes).ok_or(Unreadable);
    let text = match column_type {
        ColumnType::Boolean => match value {
            Value::Bool(value) => value.to_string(),
            _ => return Err(Unreadable),
        },
        ColumnType::Integer => {
            let value = number::integer(literal()?).map_err(|_| Unreadable)?;
            i32::try_from(value).map_err(|_| Unreadable)?.to_string()
        }
        ColumnType::BigInt => number::integer(literal()?).map_err(|_| Unreadable)?.to_string(),
        ColumnType::Decimal(precision, scale) => {
            let value = number::decimal(literal()?, precision, scale).map_err(|_| Unreadable)?;
            decimal_text(value, scale)
        }
        ColumnType::Date => {
            let date = value.plain().ok_or(Unreadable)?;
            moment::date(date.as_bytes()).ok_or(Unreadable)?;
            date.to_owned()
        }
        ColumnType::Text => match value {
            Value::Text {
                raw,
                has_escapes: false,
            } => raw.to_owned(),
            Value::Text { raw, has_escapes: true } => {
                let mut unescaped: Vec<u8> = Vec::new();
                json::unescape(raw, &mut unescaped).map_err(|_| Unreadable)?;
                String::from_utf8(unescaped).map_err(|_| Unreadable)?
            }
            _ => return Err(Unreadable),
        },
        // No definition with such a column is taken.
        _ => return Err(Unreadable),
    };
    Ok(Some(text))
}

/// The one text of a value of the type that is written without quotes, as in a tag; `None` where it is none.
pub(super) fn written_text(column_type: ColumnType, written: &str) -> Option<String> {
    let value = match column_type {
        ColumnType::Text => return Some(written.to_owned()),
        ColumnType::Boolean => Value::Bool(written.parse().ok()?),
        ColumnType::Date => Value::Text {
            raw: written,
            has_escapes: false,
        },
        _ => Value::Number(written),
    };
    text_of(column_type, value).ok().flatten()
}

/// A whole number of units of `10^-scale`, with all its digits after the point.
pub(crate) fn decimal_text(value: i128, scale: i8) -> String {
    let places = usize::from(scale.max(0).unsigned_abs());
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    match places {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}
