//! The fields of a row and the columns that they hold: what the formats have in common.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{Column, ColumnType};

/// The fields of a JSON object, each as it is written.
pub(super) type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Refuses a row that has a value for a column that none of the fields written holds.
pub(super) fn nothing_is_lost(columns: &[Column], written: &[&str], members: &Members<'_>) -> Result<(), String> {
    let is_lost = |column: &&Column| {
        let value = members.get(&column.name).map(|value| value.get());
        !written.contains(&column.name.as_str()) && value.is_some_and(|value| value != "null")
    };
    match columns.iter().find(is_lost) {
        None => Ok(()),
        Some(column) => Err(format!(
            "the schema has no field for the column '{}': register one that has it",
            column.name
        )),
    }
}

/// The column that a field holds: by its name, or one that it had.
pub(super) fn column_of<'a>(columns: &'a [Column], field: &str) -> Option<&'a Column> {
    let mut found = columns.iter();
    found.find(|column| column.name == field || column.former.iter().any(|former| former.name == field))
}

/// Whether a field holds a column of JSON.
pub(super) fn is_json(columns: &[Column], field: &str) -> bool {
    column_of(columns, field).is_some_and(|column| column.column_type == ColumnType::Json)
}

/// The JSON that a JSON string holds, where it holds any.
pub(super) fn held(json: &str) -> Option<String> {
    let text: String = serde_json::from_str(json).ok()?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).ok()?;
    Some(text)
}

/// The name of a type after a stream: letters, digits and `_`.
pub(super) fn type_name(stream: &str) -> String {
    let name: String = stream
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// A text as JSON writes it, behind what is there.
pub(super) fn push_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
