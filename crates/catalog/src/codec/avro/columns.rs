//! The columns of a schema, and a schema for columns.
//!
//! | Avro | column |
//! | --- | --- |
//! | `boolean`, `int`, `long`, `float`, `double` | BOOLEAN, INTEGER, BIGINT, REAL, DOUBLE PRECISION |
//! | `string`, an enum, a UUID, a time of day, a duration | TEXT |
//! | `bytes`, a fixed | BYTEA |
//! | a decimal | DECIMAL of its precision and scale |
//! | `date`, `timestamp-…`, `local-timestamp-…` | DATE, TIMESTAMPTZ, TIMESTAMP |
//! | a record, an array, a map, a union of several types | JSON |
//! | a union of null and one type | that type, NULL allowed |
//!
//! A schema that is no record has one column, `value`.

use headwater_schemas::avro::{AvroSchema, FixedLogical, NamedKind, Type};
use serde_json::{Value, json};

use super::super::fields::type_name;
use crate::{Column, ColumnType, DECIMAL_PRECISION_MAX};

/// The column of a schema that is no record.
pub(super) const VALUE_COLUMN: &str = "value";

/// The columns that a schema's values have.
pub(in super::super) fn columns(schema: &AvroSchema) -> Vec<Column> {
    let of = |name: &str, field_type: &Type| {
        let (column_type, nullable) = column_type(schema, field_type);
        Column::new(name, column_type, nullable)
    };
    match schema.fields() {
        Some(fields) => fields.iter().map(|field| of(&field.name, &field.field_type)).collect(),
        None => vec![of(VALUE_COLUMN, &schema.root)],
    }
}

/// The column type of an Avro type, and whether it may be null.
fn column_type(schema: &AvroSchema, field_type: &Type) -> (ColumnType, bool) {
    let decimal = |precision: usize, scale: usize| match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=DECIMAL_PRECISION_MAX), Ok(scale)) => ColumnType::Decimal(precision, scale),
        _ => ColumnType::Json,
    };
    let column_type = match field_type {
        Type::Boolean => ColumnType::Boolean,
        Type::Int => ColumnType::Integer,
        Type::Long => ColumnType::BigInt,
        Type::Float => ColumnType::Real,
        Type::Double => ColumnType::Double,
        Type::Bytes => ColumnType::Bytes,
        Type::String | Type::Uuid | Type::UuidBytes | Type::TimeMillis | Type::TimeMicros => ColumnType::Text,
        Type::Date => ColumnType::Date,
        Type::Timestamp { is_local: true, .. } => ColumnType::Timestamp,
        Type::Timestamp { is_local: false, .. } => ColumnType::TimestampTz,
        Type::Decimal { precision, scale } => decimal(*precision, *scale),
        Type::BigDecimal | Type::Array(_) | Type::Map(_) => ColumnType::Json,
        Type::Null => return (ColumnType::Text, true),
        Type::Union(branches) => {
            let others: Vec<&Type> = branches.iter().filter(|branch| **branch != Type::Null).collect();
            let nullable = others.len() < branches.len();
            return match others.as_slice() {
                [] => (ColumnType::Text, true),
                [only] => (column_type(schema, only).0, nullable),
                _ => (ColumnType::Json, nullable),
            };
        }
        Type::Named(index) => match schema.named.get(*index).map(|named| &named.kind) {
            Some(NamedKind::Enum { .. }) => ColumnType::Text,
            Some(NamedKind::Fixed { logical, .. }) => match logical {
                None => ColumnType::Bytes,
                Some(FixedLogical::Decimal { precision, scale }) => decimal(*precision, *scale),
                Some(FixedLogical::Uuid | FixedLogical::Duration) => ColumnType::Text,
            },
            _ => ColumnType::Json,
        },
    };
    (column_type, false)
}

/// The text of a schema whose values have these columns; `Err` where their names cannot be those of fields.
pub(in super::super) fn schema_of(stream: &str, columns: &[Column]) -> Result<String, String> {
    let mut fields: Vec<Value> = Vec::with_capacity(columns.len());
    for column in columns {
        let is_name = |index: usize, c: char| c == '_' || c.is_ascii_alphabetic() || (index > 0 && c.is_ascii_digit());
        if !column.name.chars().enumerate().all(|(index, c)| is_name(index, c)) {
            return Err(format!(
                "'{}' cannot be the name of a field in Avro: letters, digits and '_' can",
                column.name
            ));
        }
        let of = type_of(column.column_type);
        fields.push(match column.nullable {
            true => json!({"name": column.name, "type": ["null", of], "default": null}),
            false => json!({"name": column.name, "type": of}),
        });
    }
    let schema = json!({"type": "record", "name": type_name(stream), "fields": fields});
    Ok(schema.to_string())
}

fn type_of(column_type: ColumnType) -> Value {
    match column_type {
        ColumnType::Boolean => json!("boolean"),
        ColumnType::Integer => json!("int"),
        ColumnType::BigInt => json!("long"),
        ColumnType::Real => json!("float"),
        ColumnType::Double => json!("double"),
        ColumnType::Decimal(precision, scale) => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
        }
        ColumnType::Text | ColumnType::Json => json!("string"),
        ColumnType::Bytes => json!("bytes"),
        ColumnType::Date => json!({"type": "int", "logicalType": "date"}),
        ColumnType::Timestamp => json!({"type": "long", "logicalType": "local-timestamp-micros"}),
        ColumnType::TimestampTz => json!({"type": "long", "logicalType": "timestamp-micros"}),
    }
}
