//! Rows of a catalog table, by the names of their columns.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder, UInt32Array,
    new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;

/// A value of a catalog table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Flag(bool),
    Whole(i64),
    Text(String),
    Texts(Vec<String>),
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(whole: i64) -> Value {
        Value::Whole(whole)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Value {
        Value::Texts(texts)
    }
}

/// One row: the columns that say something.
pub(super) type Row = Vec<(&'static str, Value)>;

/// The columns of a table from their short description: `name:kind`, where the kind is `i` (a number, 0 where a row says nothing), `o` (an object id likewise), `n`
/// (a number or NULL), `b` (a flag), `f` (a fraction), `t` (a text or NULL), `l` (a list of texts or NULL) or `m` (a list of
/// numbers, NULL in every row).
pub(super) fn columns(described: &str) -> SchemaRef {
    let fields: Vec<Field> = described
        .split_whitespace()
        .filter_map(|column| column.rsplit_once(':'))
        .map(|(name, kind)| {
            let data_type = match kind {
                "i" | "n" => DataType::Int64,
                "o" => DataType::UInt32,
                "b" => DataType::Boolean,
                "f" => DataType::Float64,
                "l" => DataType::new_list(DataType::Utf8, true),
                "m" => DataType::new_list(DataType::Int64, true),
                _ => DataType::Utf8,
            };
            Field::new(name, data_type, !matches!(kind, "i" | "o" | "b" | "f"))
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The rows as one batch.
pub(super) fn batch(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for field in schema.fields() {
        let values = rows.iter().map(|row| {
            let found = row.iter().find(|(name, _)| name == field.name());
            found.map(|(_, value)| value)
        });
        let unsaid = (!field.is_nullable()).then_some(0);
        let array: ArrayRef = match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from_iter(values.map(|value| match value {
                Some(Value::Whole(whole)) => Some(*whole),
                _ => unsaid,
            }))),
            DataType::UInt32 => Arc::new(UInt32Array::from_iter_values(values.map(|value| match value {
                Some(Value::Whole(whole)) => u32::try_from(*whole).unwrap_or(0),
                _ => 0,
            }))),
            DataType::Boolean => Arc::new(BooleanArray::from_iter(
                values.map(|value| Some(matches!(value, Some(Value::Flag(true))))),
            )),
            DataType::Float64 => Arc::new(Float64Array::from_iter(values.map(|value| match value {
                Some(Value::Whole(whole)) => Some(*whole as f64),
                _ => Some(0.0),
            }))),
            DataType::Utf8 => Arc::new(StringArray::from_iter(values.map(|value| match value {
                Some(Value::Text(text)) => Some(text.clone()),
                _ => None,
            }))),
            DataType::List(element) if element.data_type() == &DataType::Utf8 => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for value in values {
                    match value {
                        Some(Value::Texts(texts)) => lists.append_value(texts.iter().map(Some)),
                        _ => lists.append_null(),
                    }
                }
                Arc::new(lists.finish())
            }
            other => new_null_array(other, rows.len()),
        };
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}
