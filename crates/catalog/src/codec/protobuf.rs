//! Values in Protobuf: the fields of a message are the columns of their names.
//!
//! | Protobuf | column |
//! | --- | --- |
//! | `bool`, `int32` and its like, `int64` and its like, `float`, `double` | BOOLEAN, INTEGER, BIGINT, REAL, DOUBLE PRECISION |
//! | `uint32`, `uint64` | BIGINT, DECIMAL(20,0) |
//! | `string`, an enum, a `Duration` | TEXT |
//! | `bytes` | BYTEA |
//! | `google.protobuf.Timestamp` | TIMESTAMPTZ |
//! | a message, a list, a map | JSON |
//!
//! What can be unset (`optional`, messages, members of a oneof) may be NULL. What Protobuf has no type for is a string: DECIMAL, DATE, TIMESTAMP, JSON.

use std::fmt::Write as _;

use headwater_schemas::protobuf::{FieldKind, ProtobufSchema};
use serde_json::Value;

use super::fields::{Members, column_of, held, is_json, nothing_is_lost, push_text, type_name};
use crate::{Column, ColumnType};

/// The columns that the values of a schema's first message have.
pub(super) fn columns(schema: &ProtobufSchema) -> Vec<Column> {
    let column = |(name, kind, nullable): (String, FieldKind, bool)| Column::new(name, column_type(kind), nullable);
    schema.fields().into_iter().map(column).collect()
}

fn column_type(kind: FieldKind) -> ColumnType {
    match kind {
        FieldKind::Boolean => ColumnType::Boolean,
        FieldKind::Int32 => ColumnType::Integer,
        FieldKind::Int64 | FieldKind::Uint32 => ColumnType::BigInt,
        FieldKind::Uint64 => ColumnType::Decimal(20, 0),
        FieldKind::Float => ColumnType::Real,
        FieldKind::Double => ColumnType::Double,
        FieldKind::Text => ColumnType::Text,
        FieldKind::Bytes => ColumnType::Bytes,
        FieldKind::Timestamp => ColumnType::TimestampTz,
        FieldKind::Nested => ColumnType::Json,
    }
}

/// The text of a schema whose values have these columns; `Err` where their names cannot be those of fields.
pub(super) fn schema_of(stream: &str, columns: &[Column]) -> Result<String, String> {
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if columns
        .iter()
        .any(|column| column.column_type == ColumnType::TimestampTz)
    {
        text.push_str("import \"google/protobuf/timestamp.proto\";\n");
    }
    // Writing into a text does not fail.
    let _ = writeln!(text, "message {} {{", type_name(stream));
    for (index, column) in columns.iter().enumerate() {
        let is_name = |index: usize, c: char| c == '_' || c.is_ascii_alphabetic() || (index > 0 && c.is_ascii_digit());
        if !column.name.chars().enumerate().all(|(index, c)| is_name(index, c)) {
            return Err(format!(
                "'{}' cannot be the name of a field in Protobuf: letters, digits and '_' can",
                column.name
            ));
        }
        let field_type = match column.column_type {
            ColumnType::Boolean => "bool",
            ColumnType::Integer => "int32",
            ColumnType::BigInt => "int64",
            ColumnType::Real => "float",
            ColumnType::Double => "double",
            ColumnType::Bytes => "bytes",
            ColumnType::TimestampTz => "google.protobuf.Timestamp",
            ColumnType::Text
            | ColumnType::Decimal(..)
            | ColumnType::Date
            | ColumnType::Timestamp
            | ColumnType::Json => "string",
        };
        let optional = if column.nullable { "optional " } else { "" };
        let _ = writeln!(text, "  {optional}{field_type} {} = {};", column.name, index + 1);
    }
    text.push_str("}\n");
    Ok(text)
}

/// Writes the JSON of a value's row. A string that becomes a JSON column is the JSON that it holds, where it holds any.
pub(super) fn read(schema: &ProtobufSchema, body: &[u8], columns: &[Column], out: &mut String) -> Result<(), String> {
    let json = schema.json(body)?;
    if !columns.iter().any(|column| column.column_type == ColumnType::Json) {
        out.push_str(&json);
        return Ok(());
    }
    let members: Members<'_> = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    let inside = |name: &str, value: &str| {
        let text = held(value).filter(|_| is_json(columns, name));
        text.unwrap_or_else(|| value.to_owned())
    };
    let members = members.iter();
    put_object(
        out,
        members.map(|(name, value)| (name.as_str(), inside(name, value.get()))),
    );
    Ok(())
}

/// The body of a value from the JSON of its row. What the row has and the schema does not is refused where it is a column's: it would be lost.
pub(super) fn write(schema: &ProtobufSchema, json: &str, columns: &[Column]) -> Result<Vec<u8>, String> {
    let members: Members<'_> = serde_json::from_str(json).map_err(|error| format!("it is no JSON object: {error}"))?;
    let fields = schema.fields();
    let mut adapted: Vec<(&str, String)> = Vec::new();
    let mut written: Vec<&str> = Vec::new();
    for (field, kind, _) in &fields {
        let column = column_of(columns, field);
        let name = column.map_or(field.as_str(), |column| &column.name);
        written.push(name);
        let default = column.and_then(|column| column.default.as_deref());
        let Some(value) = members.get(name).map(|value| value.get()).or(default) else {
            continue;
        };
        let is_json = column.is_some_and(|column| column.column_type == ColumnType::Json);
        let is_text = value.starts_with('"');
        adapted.push((
            field,
            match *kind == FieldKind::Text && value != "null" && (is_json || !is_text) {
                true => Value::from(value).to_string(),
                false => value.to_owned(),
            },
        ));
    }
    nothing_is_lost(columns, &written, &members)?;
    let mut row = String::new();
    put_object(&mut row, adapted.into_iter());
    schema.write(&row)
}

fn put_object<'a>(out: &mut String, members: impl Iterator<Item = (&'a str, String)>) {
    out.push('{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_text(out, name);
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(columns_given: &[Column], row: &str, expected: &str) {
        let text = schema_of("s", columns_given).expect("a schema");
        let schema = ProtobufSchema::parse(&text, &[]).expect("it is a schema");
        let body = write(&schema, row, columns_given).expect("it is written");
        let mut out = String::new();
        read(&schema, &body, columns_given, &mut out).expect("it is read");
        let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(parsed(&out), parsed(expected), "{text}");
    }

    #[test]
    fn rows_come_back() {
        let column = |name: &str, column_type| Column::new(name, column_type, true);
        let columns = [
            column("t", ColumnType::Text),
            column("n", ColumnType::BigInt),
            column("d", ColumnType::Decimal(18, 2)),
            column("j", ColumnType::Json),
            column("at", ColumnType::TimestampTz),
            column("x", ColumnType::Bytes),
        ];
        check(
            &columns,
            r#"{"t":"a","n":9007199254740993,"d":1.50,"j":{"k":[1]},"at":"2026-01-02T03:04:05Z","x":"AP8="}"#,
            r#"{"t":"a","n":9007199254740993,"d":"1.50","j":{"k":[1]},"at":"2026-01-02T03:04:05Z","x":"AP8="}"#,
        );
        check(&columns, r#"{"j":"text"}"#, r#"{"j":"text"}"#);
        check(&columns, "{}", "{}");
    }

    #[test]
    fn what_the_schema_has_no_field_for_is_refused() {
        let a = Column::new("a", ColumnType::Text, true);
        let schema =
            ProtobufSchema::parse(&schema_of("s", std::slice::from_ref(&a)).expect("a schema"), &[]).expect("a schema");
        let both = [a, Column::new("b", ColumnType::Text, true)];
        assert!(
            write(&schema, r#"{"a":"x","b":"y"}"#, &both)
                .expect_err("b is lost")
                .contains("'b'")
        );
    }
}
