//! One value of a column as JSON: exact, and readable back into the same column.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int32Array, Int64Array, TimestampMicrosecondArray,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use headwater_catalog::{Column, ColumnType};
use jiff::Span;
use jiff::civil::{Date, DateTime, date};

use crate::{SqlError, SqlState};

const EPOCH: Date = date(1970, 1, 1);
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Writes the columns of a row as an object. NULL fields are left out, but where a missing one would read a default.
pub(super) fn write_object(
    out: &mut Vec<u8>,
    rows: &RecordBatch,
    columns: &[Column],
    row: usize,
) -> Result<(), SqlError> {
    out.push(b'{');
    let mut first = true;
    for (array, column) in rows.columns().iter().zip(columns) {
        if array.is_null(row) && column.default.is_none() {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        write_text(out, &column.name);
        out.push(b':');
        write(out, array, column.column_type, row)?;
    }
    out.push(b'}');
    Ok(())
}

/// Writes one value; NULL as `null`. The array has the column type's Arrow type; any other is written as text.
pub(super) fn write(out: &mut Vec<u8>, array: &ArrayRef, column_type: ColumnType, row: usize) -> Result<(), SqlError> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let any = array.as_any();
    match column_type {
        ColumnType::Boolean => match any.downcast_ref::<BooleanArray>() {
            Some(array) => push(out, if array.value(row) { "true" } else { "false" }),
            None => write_any(out, array, row)?,
        },
        ColumnType::Integer => match any.downcast_ref::<Int32Array>() {
            Some(array) => push(out, &array.value(row).to_string()),
            None => write_any(out, array, row)?,
        },
        ColumnType::BigInt => match any.downcast_ref::<Int64Array>() {
            Some(array) => push(out, &array.value(row).to_string()),
            None => write_any(out, array, row)?,
        },
        ColumnType::Real => match any.downcast_ref::<Float32Array>() {
            Some(array) => write_number(out, array.value(row).is_finite(), &format!("{:?}", array.value(row)))?,
            None => write_any(out, array, row)?,
        },
        ColumnType::Double => match any.downcast_ref::<Float64Array>() {
            Some(array) => write_number(out, array.value(row).is_finite(), &format!("{:?}", array.value(row)))?,
            None => write_any(out, array, row)?,
        },
        ColumnType::Decimal(..) => match any.downcast_ref::<Decimal128Array>() {
            Some(array) => push(out, &array.value_as_string(row)),
            None => write_any(out, array, row)?,
        },
        ColumnType::Bytes => match any.downcast_ref::<BinaryArray>() {
            Some(array) => {
                out.push(b'"');
                write_base64(out, array.value(row));
                out.push(b'"');
            }
            None => write_any(out, array, row)?,
        },
        ColumnType::Date => match any.downcast_ref::<Date32Array>() {
            Some(array) => write_text(out, &day(array.value(row))?),
            None => write_any(out, array, row)?,
        },
        ColumnType::Timestamp => match any.downcast_ref::<TimestampMicrosecondArray>() {
            Some(array) => write_text(out, &moment(array.value(row))?.to_string()),
            None => write_any(out, array, row)?,
        },
        ColumnType::TimestampTz => match any.downcast_ref::<TimestampMicrosecondArray>() {
            Some(array) => write_text(out, &format!("{}Z", moment(array.value(row))?)),
            None => write_any(out, array, row)?,
        },
        ColumnType::Json => match array.as_string_opt::<i32>() {
            Some(array) => push(out, array.value(row)),
            None => write_any(out, array, row)?,
        },
        ColumnType::Text => match array.as_string_opt::<i32>() {
            Some(array) => write_text(out, array.value(row)),
            None => write_any(out, array, row)?,
        },
    }
    Ok(())
}

/// The text inside of a JSON string, or the JSON of anything else as it stands.
pub(super) fn plain_text(value: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<String>(value) {
        Ok(text) => text.into_bytes(),
        Err(_) => value.to_vec(),
    }
}

fn write_any(out: &mut Vec<u8>, array: &ArrayRef, row: usize) -> Result<(), SqlError> {
    let text = array_value_to_string(array, row).map_err(datafusion::common::DataFusionError::from)?;
    write_text(out, &text);
    Ok(())
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// JSON's string with its escapes (RFC 8259).
fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing a text into memory as JSON does not fail.
    if serde_json::to_writer(&mut *out, text).is_err() {
        push(out, "null");
    }
}

fn write_number(out: &mut Vec<u8>, is_finite: bool, text: &str) -> Result<(), SqlError> {
    if !is_finite {
        let message = format!("{text} cannot be written: JSON has numbers only");
        return Err(SqlError::new(SqlState::OUT_OF_RANGE, message).hint("leave it NULL, or use a TEXT column"));
    }
    push(out, text);
    Ok(())
}

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(
        SqlState::OUT_OF_RANGE,
        format!("{what} lies outside of the years -9999 to 9999"),
    )
}

fn day(days: i32) -> Result<String, SqlError> {
    Ok(after_epoch(days.into())
        .ok_or_else(|| out_of_range("a date"))?
        .to_string())
}

/// A moment of UTC, up to the last of the year 9999.
fn moment(moment_us: i64) -> Result<DateTime, SqlError> {
    let of_day = Span::new().try_microseconds(moment_us.rem_euclid(DAY_US));
    let moment = after_epoch(moment_us.div_euclid(DAY_US)).zip(of_day.ok());
    let moment = moment.and_then(|(day, of_day)| day.at(0, 0, 0, 0).checked_add(of_day).ok());
    moment.ok_or_else(|| out_of_range("a timestamp"))
}

/// So many days after the first of 1970; `None` beyond what a date may be.
fn after_epoch(days: i64) -> Option<Date> {
    EPOCH.checked_add(Span::new().try_days(days).ok()?).ok()
}

/// RFC 4648, with padding.
pub(super) fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut word = [0u8; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for place in 0..4 {
            match place <= chunk.len() {
                true => out.push(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]),
                false => out.push(b'='),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::common::ScalarValue;

    use super::*;

    fn check(value: ScalarValue, column_type: ColumnType, expected: &str) {
        let array = value.to_array().expect("a value is an array of one");
        let mut out = Vec::new();
        let written = match write(&mut out, &array, column_type, 0) {
            Ok(()) => String::from_utf8(out).expect("JSON is UTF-8"),
            Err(error) => error.to_string(),
        };
        assert_eq!(written, expected);
    }

    #[test]
    fn values_are_exact() {
        check(
            ScalarValue::Decimal128(Some(-10), 18, 2),
            ColumnType::Decimal(18, 2),
            "-0.10",
        );
        check(
            ScalarValue::Decimal128(Some(i128::from(i64::MAX) * 100), 38, 2),
            ColumnType::Decimal(38, 2),
            "9223372036854775807.00",
        );
        check(
            ScalarValue::Int64(Some(i64::MIN)),
            ColumnType::BigInt,
            "-9223372036854775808",
        );
        check(ScalarValue::Float64(Some(0.1)), ColumnType::Double, "0.1");
        check(ScalarValue::Float64(Some(1e300)), ColumnType::Double, "1e300");
        check(ScalarValue::Float32(Some(0.1)), ColumnType::Real, "0.1");
        check(
            ScalarValue::from("a\"b\n\u{1}é"),
            ColumnType::Text,
            r#""a\"b\n\u0001é""#,
        );
        check(ScalarValue::from(r#"{"a":[1]}"#), ColumnType::Json, r#"{"a":[1]}"#);
        check(ScalarValue::Boolean(Some(true)), ColumnType::Boolean, "true");
        check(ScalarValue::Date32(Some(-1)), ColumnType::Date, "\"1969-12-31\"");
        check(
            ScalarValue::TimestampMicrosecond(Some(1_500_000), None),
            ColumnType::Timestamp,
            "\"1970-01-01T00:00:01.5\"",
        );
        check(
            ScalarValue::TimestampMicrosecond(Some(0), Some("+00:00".into())),
            ColumnType::TimestampTz,
            "\"1970-01-01T00:00:00Z\"",
        );
        for (moment_us, expected) in [
            (-1, "\"1969-12-31T23:59:59.999999\""),
            (253_402_300_799_999_999, "\"9999-12-31T23:59:59.999999\""),
            (-377_705_116_800_000_000, "\"-009999-01-01T00:00:00\""),
        ] {
            check(
                ScalarValue::TimestampMicrosecond(Some(moment_us), None),
                ColumnType::Timestamp,
                expected,
            );
        }
        check(ScalarValue::Int32(None), ColumnType::Integer, "null");
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        check(
            ScalarValue::Float64(Some(f64::NAN)),
            ColumnType::Double,
            "NaN cannot be written: JSON has numbers only; leave it NULL, or use a TEXT column",
        );
        check(
            ScalarValue::Date32(Some(i32::MAX)),
            ColumnType::Date,
            "a date lies outside of the years -9999 to 9999",
        );
        for beyond in [i64::MIN, -377_705_116_800_000_001, 253_402_300_800_000_000, i64::MAX] {
            check(
                ScalarValue::TimestampMicrosecond(Some(beyond), None),
                ColumnType::Timestamp,
                "a timestamp lies outside of the years -9999 to 9999",
            );
        }
        check(
            ScalarValue::TimestampMicrosecond(Some(i64::MAX), Some("+00:00".into())),
            ColumnType::TimestampTz,
            "a timestamp lies outside of the years -9999 to 9999",
        );
    }

    #[test]
    fn bytes_are_base64() {
        for (bytes, expected) in [
            ("", "\"\""),
            ("f", "\"Zg==\""),
            ("fo", "\"Zm8=\""),
            ("foo", "\"Zm9v\""),
            ("foob", "\"Zm9vYg==\""),
        ] {
            check(
                ScalarValue::Binary(Some(bytes.as_bytes().to_vec())),
                ColumnType::Bytes,
                expected,
            );
        }
    }

    #[test]
    fn null_fields_are_left_out() {
        let column = |name: &str| Column::new(name, ColumnType::Integer, true);
        let columns = [column("a"), column("b"), column("c")];
        let array = |value: Option<i32>| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
        let rows = RecordBatch::try_from_iter_with_nullable([
            ("a", array(None), true),
            ("b", array(Some(1)), true),
            ("c", array(Some(2)), true),
        ])
        .expect("rows");
        let mut out = Vec::new();
        write_object(&mut out, &rows, &columns, 0).expect("a row");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), r#"{"b":1,"c":2}"#);
    }
}
