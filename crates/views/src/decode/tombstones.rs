//! The tombstones of a stream as rows: which key each of them deletes.
//!
//! A tombstone has no value, so that only its key says what it is about: of a stream with one `KEY` column the key is that column's text, with
//! several it is a JSON array of their values, as every door writes it. A tombstone's row has those columns, then the system columns. One whose
//! key does not fit is parked.

use headwater_catalog::{Column, ColumnType, StreamDefinition};
use serde_json::value::RawValue;

/// The columns of `KEY (…)` as a key alone tells them.
pub(super) fn key_columns(definition: &StreamDefinition) -> Vec<Column> {
    let column = |name: &String| definition.column(name);
    let told = |column: &Column| Column::new(&column.name, column.column_type, true);
    definition.key.iter().filter_map(column).map(told).collect()
}

/// A key as the JSON object of its columns, or why it is none.
pub(super) fn object_of(key: Option<&[u8]>, columns: &[Column]) -> Result<String, String> {
    if columns.is_empty() {
        return Ok("{}".to_owned());
    }
    let refuse = |why: String| format!("a tombstone, and which row it deletes cannot be told: {why}");
    let Some(key) = key else {
        return Err(refuse("it has no key".to_owned()));
    };
    let key = std::str::from_utf8(key).map_err(|_| refuse("its key is no UTF-8 text".to_owned()))?;
    let parts: Vec<String> = match columns {
        [only] => vec![json_of(key, only.column_type)],
        _ => serde_json::from_str::<Vec<&RawValue>>(key)
            .map_err(|_| refuse(format!("its key is no JSON array of {} values: {key}", columns.len())))?
            .into_iter()
            .map(|part| part.get().to_owned())
            .collect(),
    };
    if parts.len() != columns.len() {
        let why = format!("its key has {} values and not {}: {key}", parts.len(), columns.len());
        return Err(refuse(why));
    }
    let fields: Vec<String> = columns
        .iter()
        .zip(parts)
        .map(|(column, part)| format!("{}:{part}", serde_json::Value::from(column.name.as_str())))
        .collect();
    Ok(format!("{{{}}}", fields.join(",")))
}

/// A column's text as JSON: numbers, dates and texts may all be written in quotes.
fn json_of(text: &str, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Boolean | ColumnType::Json if serde_json::from_str::<&RawValue>(text).is_ok() => text.to_owned(),
        _ => serde_json::Value::from(text).to_string(),
    }
}
