//! Rows as JSON and CSV: decimals as exact numbers, times as ISO 8601, bytes as base64, floats that are no numbers as texts (`"Infinity"`, `"NaN"`).

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;
use headwater_sql::encode::{JSON_OPTIONS, in_utc};
use serde_json::{Value, json};

/// How a row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowForm {
    /// `{"account":"BradA","balance":100.00}`
    Object,
    /// `["BradA",100.00]`
    Array,
    /// `BradA,100.00` (RFC 4180)
    Csv,
}

/// Writes every row of a batch, each through `each` with its bytes.
pub(crate) fn write_rows(batch: &RecordBatch, form: RowForm, mut each: impl FnMut(&[u8])) -> Result<(), ArrowError> {
    write_rows_while(batch, form, |row| {
        each(row);
        true
    })
}

/// The same for as long as `each` says that it goes on.
pub(crate) fn write_rows_while(
    batch: &RecordBatch,
    form: RowForm,
    mut each: impl FnMut(&[u8]) -> bool,
) -> Result<(), ArrowError> {
    let (fields, columns) = prepared(batch)?;
    let mut encoders: Vec<NullableEncoder<'_>> = Vec::with_capacity(columns.len());
    for (field, column) in fields.iter().zip(&columns) {
        encoders.push(make_encoder(field, column, &JSON_OPTIONS)?);
    }
    let names: Vec<String> = fields
        .iter()
        .map(|field| Value::from(field.name().as_str()).to_string())
        .collect();
    let mut row_bytes: Vec<u8> = Vec::new();
    let mut csv_value: Vec<u8> = Vec::new();
    for row in 0..batch.num_rows() {
        row_bytes.clear();
        match form {
            RowForm::Object => row_bytes.push(b'{'),
            RowForm::Array => row_bytes.push(b'['),
            RowForm::Csv => {}
        }
        for (index, encoder) in encoders.iter_mut().enumerate() {
            if index > 0 {
                row_bytes.push(b',');
            }
            if let (RowForm::Object, Some(name)) = (form, names.get(index)) {
                row_bytes.extend_from_slice(name.as_bytes());
                row_bytes.push(b':');
            }
            match (form, encoder.is_null(row)) {
                (RowForm::Csv, true) => {}
                (RowForm::Csv, false) => {
                    csv_value.clear();
                    encoder.encode(row, &mut csv_value);
                    put_csv(&mut row_bytes, &csv_value);
                }
                (_, true) => row_bytes.extend_from_slice(b"null"),
                (_, false) => encoder.encode(row, &mut row_bytes),
            }
        }
        match form {
            RowForm::Object => row_bytes.push(b'}'),
            RowForm::Array => row_bytes.push(b']'),
            RowForm::Csv => row_bytes.extend_from_slice(b"\r\n"),
        }
        if !each(&row_bytes) {
            break;
        }
    }
    Ok(())
}

/// Writes one value of a column behind what is in `out`.
pub(crate) fn write_value(
    field: &FieldRef,
    column: &ArrayRef,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    let (field, column) = in_utc(field, column)?;
    let mut encoder = make_encoder(&field, &column, &JSON_OPTIONS)?;
    match encoder.is_null(row) {
        true => out.extend_from_slice(b"null"),
        false => encoder.encode(row, out),
    }
    Ok(())
}

/// The names of the columns as the first line of CSV.
pub(crate) fn csv_header(schema: &Schema) -> Vec<u8> {
    let mut line: Vec<u8> = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        put_csv_text(&mut line, field.name());
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// The columns of a schema: names and types as SQL writes them.
pub(crate) fn columns_of(schema: &Schema) -> Value {
    let column = |field: &FieldRef| json!({"name": field.name(), "type": sql_type(field.data_type())});
    schema.fields().iter().map(column).collect()
}

/// A type as SQL writes it.
pub(crate) fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "TEXT".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "SMALLINT".into(),
        DataType::Int32 | DataType::UInt16 => "INTEGER".into(),
        DataType::Int64 | DataType::UInt32 => "BIGINT".into(),
        DataType::UInt64 => "DECIMAL(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "REAL".into(),
        DataType::Float64 => "DOUBLE PRECISION".into(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "BYTEA".into()
        }
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".into(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::Dictionary(_, values) => sql_type(values),
        _ => "JSON".into(),
    }
}

/// A type as JSON Schema describes its values.
pub(crate) fn json_schema(data_type: &DataType) -> Value {
    match sql_type(data_type).as_str() {
        "BOOLEAN" => json!({"type": "boolean"}),
        "SMALLINT" | "INTEGER" => json!({"type": "integer", "format": "int32"}),
        "BIGINT" => json!({"type": "integer", "format": "int64"}),
        "REAL" | "DOUBLE PRECISION" => {
            json!({"type": "number", "description": "NaN, Infinity and -Infinity come as texts"})
        }
        "DATE" => json!({"type": "string", "format": "date"}),
        "TIMESTAMP" | "TIMESTAMPTZ" => json!({"type": "string", "format": "date-time"}),
        "BYTEA" => json!({"type": "string", "contentEncoding": "base64"}),
        "JSON" => json!({}),
        decimal if decimal.starts_with("DECIMAL") => json!({"type": "number", "description": decimal}),
        _ => json!({"type": "string"}),
    }
}

fn prepared(batch: &RecordBatch) -> Result<(Fields, Vec<ArrayRef>), ArrowError> {
    let mut fields: Vec<FieldRef> = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let (field, column) = in_utc(field, column)?;
        fields.push(field);
        columns.push(column);
    }
    Ok((fields.into(), columns))
}

/// A JSON value as a field of CSV: texts without their JSON quotes, quoted anew where they must be.
fn put_csv(line: &mut Vec<u8>, value: &[u8]) {
    match serde_json::from_slice::<String>(value) {
        Ok(text) => put_csv_text(line, &text),
        Err(_) => put_csv_text(line, &String::from_utf8_lossy(value)),
    }
}

fn put_csv_text(line: &mut Vec<u8>, text: &str) {
    // An empty text is quoted: an empty field is NULL.
    if !text.is_empty() && !text.contains([',', '"', '\r', '\n']) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(b'"');
    line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Array, BinaryArray, Decimal128Array, Float32Array, Float64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    fn check(array: impl Array + 'static, json: &str, csv: &str) {
        let batch = RecordBatch::try_from_iter([("a b", Arc::new(array) as ArrayRef)]).unwrap();
        for (form, expected) in [
            (RowForm::Object, format!("{{\"a b\":{json}}}")),
            (RowForm::Array, format!("[{json}]")),
            (RowForm::Csv, format!("{csv}\r\n")),
        ] {
            let mut rows: Vec<String> = Vec::new();
            write_rows(&batch, form, |row| rows.push(String::from_utf8(row.to_vec()).unwrap())).unwrap();
            assert_eq!(rows, [expected]);
        }
    }

    #[test]
    fn values_are_exact_and_plain() {
        let decimals = |unscaled| {
            Decimal128Array::from(vec![unscaled])
                .with_precision_and_scale(38, 2)
                .unwrap()
        };
        check(
            decimals(123_456_789_012_345_678_901_234_567),
            "1234567890123456789012345.67",
            "1234567890123456789012345.67",
        );
        check(
            StringArray::from(vec!["a \"b\", c"]),
            "\"a \\\"b\\\", c\"",
            "\"a \"\"b\"\", c\"",
        );
        check(StringArray::from(vec![None::<&str>]), "null", "");
        check(StringArray::from(vec![""]), "\"\"", "\"\"");
        check(BinaryArray::from(vec![&b"\x00\xff"[..]]), "\"AP8=\"", "AP8=");
        check(Float64Array::from(vec![0.1]), "0.1", "0.1");
        check(Float64Array::from(vec![f64::INFINITY]), "\"Infinity\"", "Infinity");
        check(
            Float64Array::from(vec![f64::NEG_INFINITY]),
            "\"-Infinity\"",
            "-Infinity",
        );
        check(Float32Array::from(vec![f32::NAN]), "\"NaN\"", "NaN");
        check(Float64Array::from(vec![None]), "null", "");
        let moments = TimestampMicrosecondArray::from(vec![1_500_000]);
        check(
            moments.clone(),
            "\"1970-01-01T00:00:01.500\"",
            "1970-01-01T00:00:01.500",
        );
        check(
            moments.clone().with_timezone("+00:00"),
            "\"1970-01-01T00:00:01.500Z\"",
            "1970-01-01T00:00:01.500Z",
        );
        check(
            moments.with_timezone("+02:00"),
            "\"1970-01-01T00:00:01.500Z\"",
            "1970-01-01T00:00:01.500Z",
        );
    }
}
