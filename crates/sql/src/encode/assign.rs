//! Assigning values to columns, as PostgreSQL does: texts are read, numbers are rounded to the column's scale, and what does not fit is refused.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::util::display::{FormatOptions, array_value_to_string};
use datafusion::common::ScalarValue;
use headwater_catalog::{Column, ColumnType};

use super::as_read::{as_read, is_written_otherwise};
use crate::exact;
use crate::wording::state_of_moment;
use crate::{SqlError, SqlState};

/// character_not_in_repertoire
const NO_CHARACTER: SqlState = SqlState("22021");

/// One value as a column of the type takes it; `name` is what an error calls it.
pub fn assign_value(value: &ScalarValue, name: &str, column_type: ColumnType) -> Result<ScalarValue, SqlError> {
    let column = Column::new(name, column_type, true);
    let array = self::column(&value.to_array()?, &column)?;
    Ok(ScalarValue::try_from_array(&array, 0)?)
}

/// The values of an array as the column takes them.
pub(super) fn column(array: &ArrayRef, column: &Column) -> Result<ArrayRef, SqlError> {
    let wanted = column.column_type.data_type();
    if column.column_type == ColumnType::Text {
        without_nul(array, column)?;
    }
    match column.column_type {
        ColumnType::Json => json(array, column),
        ColumnType::Bytes => bytes(array, column),
        ColumnType::Boolean if is_text(array.data_type()) => boolean(array, column),
        _ if *array.data_type() == wanted => Ok(Arc::clone(array)),
        _ if *array.data_type() == DataType::Null => convert(array, &wanted, column),
        ColumnType::Text => convert(array, &wanted, column),
        _ if !fits(array.data_type(), column.column_type) => {
            let message = format!(
                "column \"{}\" is of type {} but the expression is of type {}",
                column.name,
                column.column_type,
                array.data_type()
            );
            Err(SqlError::new(SqlState::TYPE_MISMATCH, message).hint("cast it"))
        }
        ColumnType::Integer | ColumnType::BigInt => convert(&rounded(array, column)?, &wanted, column),
        ColumnType::Real | ColumnType::Double if array.data_type().is_decimal() => {
            convert(&exact::floats(array)?, &wanted, column)
        }
        _ => convert(array, &wanted, column),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether PostgreSQL would assign the one to the other without being told.
fn fits(from: &DataType, to: ColumnType) -> bool {
    let is_time = matches!(from, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
    match to {
        ColumnType::Boolean => *from == DataType::Boolean,
        ColumnType::Integer | ColumnType::BigInt | ColumnType::Real | ColumnType::Double | ColumnType::Decimal(..) => {
            from.is_numeric() || is_text(from)
        }
        ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz => is_time || is_text(from),
        ColumnType::Text | ColumnType::Json | ColumnType::Bytes => true,
    }
}

/// A text holds no U+0000, as PostgreSQL's: its clients would cut it off there.
fn without_nul(array: &ArrayRef, column: &Column) -> Result<(), SqlError> {
    let Some(texts) = array.as_string_opt::<i32>() else {
        return Ok(());
    };
    match texts.iter().flatten().any(|text| text.contains('\0')) {
        true => {
            let message = format!("column \"{}\": a text holds U+0000, which no TEXT does", column.name);
            Err(SqlError::new(NO_CHARACTER, message).hint("leave it out, or take a BYTEA"))
        }
        false => Ok(()),
    }
}

/// Casts; the first value that becomes NULL on the way is the one that does not fit.
fn convert(array: &ArrayRef, wanted: &DataType, column: &Column) -> Result<ArrayRef, SqlError> {
    let options = CastOptions {
        safe: true,
        format_options: FormatOptions::default(),
    };
    let read = match is_text(array.data_type()) && is_written_otherwise(wanted) {
        true => as_read(array, wanted).map_err(datafusion::common::DataFusionError::from)?,
        false => Arc::clone(array),
    };
    let converted = cast_with_options(&read, wanted, &options).map_err(|_| {
        let message = format!(
            "column \"{}\" is of type {} but the expression is of type {}",
            column.name,
            column.column_type,
            array.data_type()
        );
        SqlError::new(SqlState::TYPE_MISMATCH, message).hint("cast it")
    })?;
    if converted.null_count() > array.logical_null_count() {
        let lost = (0..array.len())
            .find(|row| array.is_valid(*row) && converted.is_null(*row))
            .unwrap_or(0);
        return Err(does_not_fit(array, lost, column));
    }
    Ok(converted)
}

fn does_not_fit(array: &ArrayRef, row: usize, column: &Column) -> SqlError {
    let value = array_value_to_string(array, row).unwrap_or_default();
    let value: String = value.chars().take(100).collect();
    let number = value.trim().parse::<f64>().is_ok();
    let numeric = matches!(
        column.column_type,
        ColumnType::Integer | ColumnType::BigInt | ColumnType::Real | ColumnType::Double | ColumnType::Decimal(..)
    );
    let is_whole = matches!(column.column_type, ColumnType::Integer | ColumnType::BigInt);
    if is_whole && number && value.contains(['.', 'e', 'E']) && is_text(array.data_type()) {
        let message = format!(
            "'{value}' is no whole number, as column \"{}\" of type {} takes",
            column.name, column.column_type
        );
        let hint = format!("write it without quotes, and it is rounded: {value}");
        return SqlError::new(SqlState::INVALID_TEXT, message).hint(hint);
    }
    if numeric && number {
        let message = format!(
            "{value} is out of range for column \"{}\" of type {}",
            column.name, column.column_type
        );
        return SqlError::new(SqlState::OUT_OF_RANGE, message).hint("the column takes no larger numbers");
    }
    let message = format!(
        "'{value}' is no {}, the type of column \"{}\"",
        column.column_type, column.name
    );
    let hint = match column.column_type {
        ColumnType::Date => "write it as 2025-12-31",
        ColumnType::Timestamp | ColumnType::TimestampTz => "write it as 2025-12-31T23:59:59Z",
        _ => "write it as the type asks for",
    };
    let state = match column.column_type {
        ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz => state_of_moment(&value),
        _ => SqlState::INVALID_TEXT,
    };
    SqlError::new(state, message).hint(hint)
}

/// Fractions are rounded, not cut off, on their way into an integer.
fn rounded(array: &ArrayRef, column: &Column) -> Result<ArrayRef, SqlError> {
    match array.data_type() {
        DataType::Decimal128(precision, scale) if *scale > 0 => {
            convert(array, &DataType::Decimal128(*precision, 0), column)
        }
        DataType::Decimal256(precision, scale) if *scale > 0 => {
            convert(array, &DataType::Decimal256(*precision, 0), column)
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let floats = convert(array, &DataType::Float64, column)?;
            let rounded = floats
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(f64::round_ties_even);
            Ok(Arc::new(rounded))
        }
        _ => Ok(Arc::clone(array)),
    }
}

fn texts(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    Ok(cast(array, &DataType::Utf8).map_err(datafusion::common::DataFusionError::from)?)
}

fn json(array: &ArrayRef, column: &Column) -> Result<ArrayRef, SqlError> {
    let texts = texts(array)?;
    let is_text = is_text(array.data_type());
    for row in 0..texts.len() {
        let text = texts.as_string::<i32>();
        if text.is_valid(row)
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text.value(row))
        {
            let shown: String = text.value(row).chars().take(100).collect();
            let message = format!("'{shown}' is no JSON for column \"{}\": {error}", column.name);
            let hint = if is_text {
                "a text is JSON only in double quotes"
            } else {
                "write it as JSON"
            };
            return Err(SqlError::new(SqlState::INVALID_TEXT, message).hint(hint));
        }
    }
    Ok(texts)
}

/// PostgreSQL's own input of bytes: `\x` and hex, or the text's bytes.
fn bytes(array: &ArrayRef, column: &Column) -> Result<ArrayRef, SqlError> {
    if !is_text(array.data_type()) {
        return convert(array, &DataType::Binary, column);
    }
    let texts = texts(array)?;
    let mut values: Vec<Option<Vec<u8>>> = Vec::new();
    for (row, text) in texts.as_string::<i32>().iter().enumerate() {
        values.push(match text {
            None => None,
            Some(text) => Some(bytes_written(text).ok_or_else(|| does_not_fit(array, row, column))?),
        });
    }
    Ok(Arc::new(BinaryArray::from_iter(values)))
}

/// The bytes that a text writes, as PostgreSQL reads them.
pub(crate) fn bytes_written(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("\\x") {
        None => Some(text.as_bytes().to_vec()),
        Some(hex) => from_hex(hex),
    }
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8))
        .collect()
}

/// PostgreSQL's spellings of a truth value.
fn boolean(array: &ArrayRef, column: &Column) -> Result<ArrayRef, SqlError> {
    let texts = texts(array)?;
    let texts: &StringArray = texts.as_string::<i32>();
    let mut values: Vec<Option<bool>> = Vec::new();
    for (row, text) in texts.iter().enumerate() {
        values.push(match text.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            None => None,
            Some("t" | "true" | "y" | "yes" | "on" | "1") => Some(true),
            Some("f" | "false" | "n" | "no" | "off" | "0") => Some(false),
            Some(_) => return Err(does_not_fit(array, row, column)),
        });
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: ScalarValue, column_type: ColumnType, expected: Result<&str, &str>) {
        let assigned = assign_value(&value, "c", column_type);
        match (assigned, expected) {
            (Ok(assigned), Ok(expected)) => assert_eq!(assigned.to_string(), expected, "{value:?}"),
            (Err(error), Err(state)) => assert_eq!(error.state.0, state, "{error}"),
            (assigned, expected) => panic!("{value:?}: {assigned:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn values_are_assigned_as_postgresql_does() {
        let text = |text: &str| ScalarValue::from(text);
        check(text("5"), ColumnType::Integer, Ok("5"));
        check(text("five"), ColumnType::Integer, Err("22P02"));
        check(
            ScalarValue::Int64(Some(2_147_483_647)),
            ColumnType::Integer,
            Ok("2147483647"),
        );
        check(
            ScalarValue::Int64(Some(2_147_483_648)),
            ColumnType::Integer,
            Err("22003"),
        );
        check(ScalarValue::Decimal128(Some(25), 2, 1), ColumnType::Integer, Ok("3"));
        check(ScalarValue::Float64(Some(2.6)), ColumnType::BigInt, Ok("3"));
        check(ScalarValue::Float64(Some(1e30)), ColumnType::BigInt, Err("22003"));
        check(text("12.345"), ColumnType::Decimal(18, 2), Ok("12.35"));
        check(
            ScalarValue::Decimal128(Some(9_999), 4, 2),
            ColumnType::Decimal(4, 2),
            Ok("99.99"),
        );
        check(
            ScalarValue::Decimal128(Some(10_000), 5, 2),
            ColumnType::Decimal(4, 2),
            Err("22003"),
        );
        check(text("x"), ColumnType::Decimal(4, 2), Err("22P02"));
        check(text("2025-12-31"), ColumnType::Date, Ok("2025-12-31"));
        check(text("2025-02-30"), ColumnType::Date, Err("22008"));
        check(text("noon"), ColumnType::Date, Err("22007"));
        check(text("2025/2/3"), ColumnType::Date, Ok("2025-02-03"));
        check(ScalarValue::Int64(Some(1)), ColumnType::Date, Err("42804"));
        check(text("yes"), ColumnType::Boolean, Ok("true"));
        check(text("perhaps"), ColumnType::Boolean, Err("22P02"));
        check(ScalarValue::Int64(Some(1)), ColumnType::Boolean, Err("42804"));
        check(ScalarValue::Int64(Some(1)), ColumnType::Text, Ok("1"));
        check(text("{\"a\":1}"), ColumnType::Json, Ok("{\"a\":1}"));
        check(text("{a}"), ColumnType::Json, Err("22P02"));
        check(text("\\x00ff"), ColumnType::Bytes, Ok("00FF"));
        check(text("\\x0"), ColumnType::Bytes, Err("22P02"));
        check(ScalarValue::Null, ColumnType::Date, Ok("NULL"));
        check(
            text("2025-12-31T23:59:59+01:00"),
            ColumnType::TimestampTz,
            Ok("1767221999000000"),
        );
    }
}
