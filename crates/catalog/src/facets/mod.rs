//! What kind of event it is and what it is about, read from its value: the columns of `KIND (…)` and `TAGS (…)`, and those of `KEY (…)` where an
//! event's own key says something else.
//!
//! Invariants
//! - A value has one text, however its writer spelt it: `7`, `"7"` and `7.0` in a BIGINT are all `7`, in a DECIMAL(9,2) `7.00`.
//! - The same columns are read of the values that any schema of the stream was written with: their places stay (where fields have places),
//!   and the names of those of kind and tags do. Columns of the key are read by every name that they had.
//! - Only the columns named are read. A missing one has its default; one without, or a null one, gives no tag; where one of kind and tags does not
//!   fit its type, or the value is no row, the event has neither kind nor tags: views park it.

mod found_by;
mod key;
mod text;
mod written;

use headwater_eventlog::{EventFacets, Facets, NoSuchTerm};
use headwater_records::Event;
use headwater_schemas::Schemas;

use crate::value::json;
use crate::{Codec, ColumnType, StreamDefinition};
pub use found_by::{FoundBy, found_by};
use key::KeyColumns;
use text::{Unreadable, default_of, text_of, written_text};
pub(crate) use text::{decimal_text, has_text};
pub(crate) use written::key_as_made;

/// Reads the kind, the tags and the key of one stream's events.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnFacets {
    columns: Vec<FacetColumn>,
    key: KeyColumns,
    /// What makes JSON of the values.
    codec: Codec,
}

/// A column that is read, by one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FacetColumn {
    name: String,
    column_type: ColumnType,
    /// The text of what a missing one has.
    default: Option<String>,
    is_kind: bool,
    is_tag: bool,
}

/// What an event has for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Missing,
    /// The text of its value, or null.
    Is(Option<String>),
    /// No value of the column's type.
    Unfit,
}

impl FacetColumn {
    /// The one text of a value that somebody wrote who asks for it.
    fn term(&self, written: &str) -> Result<String, NoSuchTerm> {
        let text = written_text(self.column_type, written);
        text.ok_or_else(|| NoSuchTerm::Unfit(self.column_type.to_string()))
    }
}

impl ColumnFacets {
    /// For a stream that declares a kind, tags, or a key; `None` for any other.
    pub fn of(stream: &StreamDefinition, schemas: &Schemas) -> Option<ColumnFacets> {
        let mut columns = columns_of(stream);
        let key = KeyColumns::of(stream, &mut columns);
        (!columns.is_empty()).then(|| ColumnFacets {
            columns,
            key,
            codec: Codec::of(stream, &schemas.reader()),
        })
    }

    /// What an event with this key and value is about; nothing for a tombstone and for what cannot be read.
    fn read(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> EventFacets {
        let mut scratch = String::new();
        let text = value.and_then(|value| self.codec.row(value, self.codec.now(), &mut scratch).ok());
        let Some(fields) = text.and_then(|text| self.fields(text).ok()) else {
            return EventFacets::default();
        };
        let mut facets = EventFacets {
            keys: self.key.others(key, &fields),
            ..EventFacets::default()
        };
        let facet_columns = || {
            self.columns
                .iter()
                .zip(&fields)
                .filter(|(column, _)| column.is_kind || column.is_tag)
        };
        if facet_columns().any(|(_, field)| *field == Field::Unfit) {
            return facets;
        }
        for (column, field) in facet_columns() {
            let text = match field {
                Field::Missing => column.default.as_ref(),
                Field::Is(text) => text.as_ref(),
                Field::Unfit => None,
            };
            let Some(text) = text else { continue };
            if column.is_tag {
                facets.tags.push(format!("{}:{text}", column.name));
            }
            if column.is_kind {
                facets.kind = Some(text.clone());
            }
        }
        facets
    }

    /// What a row has for each column, in order.
    fn fields(&self, row: &str) -> Result<Vec<Field>, Unreadable> {
        let mut fields: Vec<Field> = vec![Field::Missing; self.columns.len()];
        let mut unescaped: Vec<u8> = Vec::new();
        json::each_field::<Unreadable>(row, |raw_name, has_escapes, value, _| {
            let mut name = raw_name.as_bytes();
            if has_escapes {
                unescaped.clear();
                // A name that is no text is no column's name.
                if json::unescape(raw_name, &mut unescaped).is_err() {
                    return Ok(());
                }
                name = &unescaped;
            }
            let found = self.columns.iter().position(|column| column.name.as_bytes() == name);
            if let Some(index) = found {
                // Of a name that repeats the last counts, as everywhere.
                fields[index] = match text_of(self.columns[index].column_type, value) {
                    Ok(text) => Field::Is(text),
                    Err(Unreadable) => Field::Unfit,
                };
            }
            Ok(())
        })?;
        Ok(fields)
    }
}

impl Facets for ColumnFacets {
    fn fingerprint(&self) -> u64 {
        let mut text = String::new();
        for column in &self.columns {
            let (name, column_type) = (&column.name, column.column_type);
            text.push_str(&format!(
                "{}:{name} {column_type} {} {} {:?};",
                name.len(),
                column.is_kind,
                column.is_tag,
                column.default
            ));
        }
        text.push_str(&self.key.said());
        if !self.codec.is_json() {
            text.push_str(&self.codec.reading());
        }
        fnv(text.as_bytes())
    }

    fn of(&self, event: &Event) -> EventFacets {
        self.read(event.key.as_deref(), event.value.as_deref())
    }

    fn has_tags(&self) -> bool {
        self.columns.iter().any(|column| column.is_kind || column.is_tag)
    }

    fn kind(&self, written: &str) -> Result<String, NoSuchTerm> {
        let column = self.columns.iter().find(|column| column.is_kind);
        column.ok_or(NoSuchTerm::Undeclared(Vec::new()))?.term(written)
    }

    fn tag(&self, written: &str) -> Result<String, NoSuchTerm> {
        let tags = || self.columns.iter().filter(|column| column.is_tag);
        // A name may hold a colon itself.
        let of = |column: &'_ FacetColumn| written.strip_prefix(&column.name)?.strip_prefix(':');
        let Some((column, value)) = tags().find_map(|column| Some((column, of(column)?))) else {
            let names = tags().map(|column| column.name.clone());
            return Err(NoSuchTerm::Undeclared(names.collect()));
        };
        Ok(format!("{}:{}", column.name, column.term(value)?))
    }
}

/// The columns of a stream that are its kind and its tags.
fn columns_of(stream: &StreamDefinition) -> Vec<FacetColumn> {
    let mut columns: Vec<FacetColumn> = Vec::new();
    for column in stream.columns.iter().flatten() {
        let name = &column.name;
        let (is_kind, is_tag) = (stream.kind.as_ref() == Some(name), stream.tags.contains(name));
        if is_kind || is_tag {
            columns.push(FacetColumn {
                name: name.clone(),
                column_type: column.column_type,
                default: default_of(column),
                is_kind,
                is_tag,
            });
        }
    }
    // Tags are told in the order in which they are declared.
    let place = |column: &FacetColumn| stream.tags.iter().position(|tag| *tag == column.name);
    columns.sort_by_key(|column| place(column).unwrap_or(usize::MAX));
    columns
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): an index on the disk is compared by it, so it must be the same at every start.
fn fnv(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    bytes.iter().fold(BASIS, mix)
}

#[cfg(test)]
mod tests;
