//! One row as a JSON object, written straight from its columns.
//!
//! [`super::rows`] sets up an encoder for each column, which pays for many rows and costs more than the row itself where there is one. The bytes are
//! the same: what is not written here is left to those encoders.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, FieldRef, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::digits::{put_digits, put_second};
use super::rows::write_value;
use super::text::put_text;

/// Writes the first row of a batch behind what is in `out`; nothing where there is none.
pub(crate) fn write_first(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let mut before = b'{';
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        out.push(before);
        before = b',';
        put_text(field.name(), out);
        out.push(b':');
        match column.is_null(0) {
            true => out.extend_from_slice(b"null"),
            false => put_value(field, column, out)?,
        }
    }
    out.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
    Ok(())
}

fn put_value(field: &FieldRef, column: &ArrayRef, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    match column.data_type() {
        DataType::Boolean => {
            let text: &[u8] = if column.as_boolean().value(0) {
                b"true"
            } else {
                b"false"
            };
            out.extend_from_slice(text);
        }
        DataType::Int8 => put_number(column.as_primitive::<Int8Type>().value(0).into(), out),
        DataType::Int16 => put_number(column.as_primitive::<Int16Type>().value(0).into(), out),
        DataType::Int32 => put_number(column.as_primitive::<Int32Type>().value(0).into(), out),
        DataType::Int64 => put_number(column.as_primitive::<Int64Type>().value(0), out),
        DataType::Decimal128(_, scale @ 0..) => {
            put_decimal(column.as_primitive::<Decimal128Type>().value(0), *scale as usize, out);
        }
        DataType::Utf8 => put_text(column.as_string::<i32>().value(0), out),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let microseconds = column.as_primitive::<TimestampMicrosecondType>().value(0);
            if !put_moment(microseconds, zone.is_some(), out) {
                return write_value(field, column, 0, out);
            }
        }
        _ => return write_value(field, column, 0, out),
    }
    Ok(())
}

fn put_number(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    put_digits(number.unsigned_abs().into(), 1, out);
}

/// A decimal with all of its digits, `-0.05`.
fn put_decimal(unscaled: i128, scale: usize, out: &mut Vec<u8>) {
    if unscaled < 0 {
        out.push(b'-');
    }
    put_digits(unscaled.unsigned_abs(), scale + 1, out);
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
}

/// A moment as ISO 8601, `"2025-11-26T03:12:00.500Z"`, with as many thousandths as it has; `false`, and nothing written, for years of other than four digits.
fn put_moment(microseconds: i64, is_utc: bool, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    out.push(b'"');
    let Some(fraction) = put_second(microseconds, out) else {
        out.truncate(before);
        return false;
    };
    let (number, width) = match fraction % 1_000 {
        0 => (fraction / 1_000, 3),
        _ => (fraction, 6),
    };
    if number > 0 {
        out.push(b'.');
        put_digits(number.into(), width, out);
    }
    out.extend_from_slice(if is_utc { b"Z\"" } else { b"\"" });
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int8Array, Int64Array, NullArray,
        StringArray, TimestampMicrosecondArray, TimestampSecondArray,
    };

    use super::*;
    use crate::json::rows::{RowForm, write_rows};

    /// Each row by itself, against all rows by their encoders.
    fn check(column: impl Array + 'static) {
        let batch = RecordBatch::try_from_iter([("a \"b\"", Arc::new(column) as ArrayRef)]).unwrap();
        let mut expected: Vec<String> = Vec::new();
        write_rows(&batch, RowForm::Object, |row| {
            expected.push(String::from_utf8(row.to_vec()).unwrap())
        })
        .unwrap();
        for (row, expected) in expected.iter().enumerate() {
            let mut out = b"before".to_vec();
            write_first(&batch.slice(row, 1), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
        }
    }

    #[test]
    fn a_row_is_written_as_many_are() {
        check(BooleanArray::from(vec![Some(true), Some(false), None]));
        check(Int8Array::from(vec![i8::MIN, -1, 0, 9, i8::MAX]));
        check(Int64Array::from(vec![i64::MIN, -10, 0, 10, i64::MAX]));
        for (precision, scale) in [(38, 0), (38, 2), (38, 38), (5, 3)] {
            let largest = 10_i128.pow(u32::from(precision)) - 1;
            let values = vec![
                Some(-largest),
                Some(-1),
                Some(0),
                Some(1),
                Some(12345),
                Some(largest),
                None,
            ];
            let values = Decimal128Array::from(values);
            check(values.with_precision_and_scale(precision, scale).unwrap());
        }
        let small = Decimal128Array::from(vec![-7_i128, 12]);
        check(small.with_precision_and_scale(5, -2).unwrap());
        check(StringArray::from(vec!["", "é \"\\ \n\u{1}\u{2028}😀", "plain"]));
        check(Float64Array::from(vec![0.1, -0.0, 1e300, f64::NAN]));
        check(BinaryArray::from(vec![&b"\x00\xff"[..]]));
        let second = 1_000_000_i64;
        let moments = TimestampMicrosecondArray::from(vec![
            Some(0),
            Some(-1),
            Some(1_500_000),
            Some(1_000_001),
            Some(951_782_400 * second),
            Some(253_402_300_799 * second),
            Some(253_402_300_800 * second),
            Some(-62_167_219_200 * second),
            Some(-62_167_219_201 * second),
            Some(i64::MAX / 100),
            None,
        ]);
        check(moments.clone());
        check(moments.clone().with_timezone("+00:00"));
        check(moments.with_timezone("+02:00"));
        check(TimestampSecondArray::from(vec![1]));
        check(NullArray::new(2));
        check(DictionaryArray::<Int32Type>::from_iter([Some("a"), None]));
    }

    #[test]
    fn of_no_row_nothing_is_written() {
        let none = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        let mut out: Vec<u8> = Vec::new();
        write_first(&none.slice(0, 0), &mut out).unwrap();
        assert!(out.is_empty());
    }
}
