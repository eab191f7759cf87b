//! The key that the columns of `KEY (…)` make, read from an event's value: the entity that an event is of though its own key is another.
//!
//! A column that was renamed has other names in older events, and which name counts depends on the version that an event was written with. That is
//! not asked here: an event is told by every key that one of the versions reads in it, so that none is missed. They differ only where an event
//! has fields of both names.

use super::text::{default_of, has_text};
use super::{FacetColumn, Field};
use crate::{ColumnType, StreamDefinition};

/// How the key is read of events' values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct KeyColumns {
    /// None where events are not found by them.
    columns: Vec<KeyColumn>,
    /// A way to read them for each set of names that they had, the newest first.
    readings: Vec<Reading>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyColumn {
    column_type: ColumnType,
    default: Option<String>,
}

/// For each column the fields that may hold it, as places among those that are read; the first that an event has counts.
type Reading = Vec<Vec<usize>>;

impl KeyColumns {
    /// The key of a stream. The fields that it is read from are put to those that are read already.
    pub(super) fn of(stream: &StreamDefinition, fields: &mut Vec<FacetColumn>) -> KeyColumns {
        let mut key = KeyColumns::default();
        let columns: Option<Vec<_>> = stream.key.iter().map(|name| stream.column(name)).collect();
        let columns = columns.unwrap_or_default();
        // What a value of several texts makes is not found by one of them.
        if columns.is_empty() || !columns.iter().all(|column| has_text(column.column_type)) {
            return key;
        }
        for version in (1..=stream.version()).rev() {
            let mut reading: Reading = Vec::with_capacity(columns.len());
            for column in &columns {
                let names = column.names_in(version);
                reading.push(
                    names
                        .iter()
                        .map(|name| place_of(name, column.column_type, fields))
                        .collect(),
                );
            }
            if !key.readings.contains(&reading) {
                key.readings.push(reading);
            }
        }
        key.columns = columns
            .iter()
            .map(|column| KeyColumn {
                column_type: column.column_type,
                default: default_of(column),
            })
            .collect();
        key
    }

    /// The keys that an event's columns make, where its own is another.
    pub(super) fn others(&self, own: Option<&[u8]>, fields: &[Field]) -> Vec<String> {
        let mut others: Vec<String> = Vec::new();
        for reading in &self.readings {
            let Some(values) = self.values(reading, fields) else {
                continue;
            };
            let made = key_text(values.into_iter());
            if own != Some(made.as_bytes()) && !others.contains(&made) {
                others.push(made);
            }
        }
        others
    }

    /// The text of each column; `None` where one has none.
    fn values<'a>(&'a self, reading: &Reading, fields: &'a [Field]) -> Option<Vec<(ColumnType, &'a str)>> {
        let mut values: Vec<(ColumnType, &str)> = Vec::with_capacity(self.columns.len());
        for (column, places) in self.columns.iter().zip(reading) {
            let mut held = places.iter().filter_map(|place| fields.get(*place));
            let text = match held.find(|field| **field != Field::Missing) {
                None => column.default.as_deref()?,
                Some(Field::Is(text)) => text.as_deref()?,
                Some(_) => return None,
            };
            values.push((column.column_type, text));
        }
        Some(values)
    }

    /// What tells how the key is read: the same where it is read alike.
    pub(super) fn said(&self) -> String {
        match self.columns.is_empty() {
            true => String::new(),
            false => format!("key {:?} {:?};", self.columns, self.readings),
        }
    }
}

/// The place of a field among those that are read, where it is put if it was not.
fn place_of(name: &str, column_type: ColumnType, fields: &mut Vec<FacetColumn>) -> usize {
    let known = fields.iter().position(|field| field.name == name);
    known.unwrap_or_else(|| {
        fields.push(FacetColumn {
            name: name.to_owned(),
            column_type,
            default: None,
            is_kind: false,
            is_tag: false,
        });
        fields.len() - 1
    })
}

/// The key that the texts of its columns' values make, as whoever writes a row makes it: of one column its text, of several a JSON array of their values.
pub(super) fn key_text<'a>(values: impl ExactSizeIterator<Item = (ColumnType, &'a str)>) -> String {
    let is_alone = values.len() == 1;
    let mut key = String::new();
    for (column_type, text) in values {
        if is_alone {
            return text.to_owned();
        }
        key.push(if key.is_empty() { '[' } else { ',' });
        match column_type {
            ColumnType::Text | ColumnType::Date => key.push_str(&serde_json::Value::from(text).to_string()),
            _ => key.push_str(text),
        }
    }
    key.push(']');
    key
}
