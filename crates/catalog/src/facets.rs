//! What kind of event it is and what it is about, read from its value: the columns of `KIND (…)` and `TAGS (…)`, and those of `KEY (…)` where an
//! event's own key says something else.
//!
//! Invariants
//! - A value has one text, however its writer spelt it: `7`, `"7"` and `7.0` in a BIGINT are all `7`, in a DECIMAL(9,2) `7.00`.
//! - The same columns are read of the values that any schema of the stream was written with: their places stay (where fields have places),
//!   and their names do.
//! - Only the columns named are read. A missing one has its default; one without, or a null one, gives no tag; where one does not fit its
//!   type, or the value is no JSON object, the event has neither kind nor tags: views park it.

mod text;

use headwater_eventlog::{EventFacets, Facets, NoSuchTerm};
use headwater_records::Event;
use headwater_schemas::Schemas;

use crate::value::json;
use crate::{Codec, Column, ColumnType, Format, StreamDefinition};
use text::{Unreadable, default_of, text_of, written_text};
pub(crate) use text::{decimal_text, has_text};

/// Reads the kind and the tags of one stream's events.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnFacets {
    columns: Vec<FacetColumn>,
    key: KeyColumns,
    /// What makes JSON of the values.
    codec: Codec,
}

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FacetColumn {
    name: String,
    column_type: ColumnType,
    /// The text of what a missing one has.
    default: Option<String>,
    is_kind: bool,
    is_tag: bool,
}

impl FacetColumn {
    /// The one text of a value that somebody wrote who asks for it.
    fn term(&self, written: &str) -> Result<String, NoSuchTerm> {
        let text = written_text(self.column_type, written);
        text.ok_or_else(|| NoSuchTerm::Unfit(self.column_type.to_string()))
    }
}

/// The columns of the stream's key in its order, as places among those that are read; none where events are not found by them.
type KeyColumns = Vec<usize>;

/// Columns by whose values events are found, as by a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBy {
    /// The columns: all that the stream's key is made of, or one that is a tag.
    pub columns: Vec<(String, ColumnType)>,
    /// Whether they are the stream's key: an event whose own key is made of the values is found by that, any other by [`EventFacets::column`].
    pub is_key: bool,
}

impl FoundBy {
    /// What an event is found by that has these values, in the order of the columns: a tag, a key, or what [`EventFacets::column`] says.
    pub fn text(&self, values: &[String]) -> String {
        let types = self.columns.iter().map(|(_, column_type)| *column_type);
        key_text(types.zip(values.iter().map(String::as_str)))
    }

    /// The columns' names, as they stand before the text.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        names.join(",")
    }
}

impl ColumnFacets {
    /// For a stream that declares a kind, tags, or one column as its key; `None` for any other.
    pub fn of(stream: &StreamDefinition, schemas: &Schemas) -> Option<ColumnFacets> {
        let (columns, key) = columns_of(stream);
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
        let texts = text.and_then(|text| self.texts(text).ok());
        let texts = texts.unwrap_or_default();
        let mut facets = EventFacets {
            column: self.other_key(key, &texts),
            ..EventFacets::default()
        };
        for (column, text) in self.columns.iter().zip(texts) {
            let Some(text) = text else { continue };
            if column.is_tag {
                facets.tags.push(format!("{}:{text}", column.name));
            }
            if column.is_kind {
                facets.kind = Some(text);
            }
        }
        facets
    }

    /// The key that an event's columns make, with their names before it, where its own is another; `None` where they make none.
    fn other_key(&self, own: Option<&[u8]>, texts: &[Option<String>]) -> Option<String> {
        let mut values: Vec<(&FacetColumn, &str)> = Vec::with_capacity(self.key.len());
        for place in &self.key {
            values.push((self.columns.get(*place)?, texts.get(*place)?.as_deref()?));
        }
        if values.is_empty() {
            return None;
        }
        let made = key_text(values.iter().map(|(column, text)| (column.column_type, *text)));
        let names: Vec<&str> = values.iter().map(|(column, _)| column.name.as_str()).collect();
        (own != Some(made.as_bytes())).then(|| format!("{}:{made}", names.join(",")))
    }

    /// The text of each column, in order.
    fn texts(&self, text: &str) -> Result<Vec<Option<String>>, Unreadable> {
        let mut texts: Vec<Option<String>> = self.columns.iter().map(|column| column.default.clone()).collect();
        let mut unescaped: Vec<u8> = Vec::new();
        json::each_field::<Unreadable>(text, |raw_name, has_escapes, value, _| {
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
                texts[index] = text_of(self.columns[index].column_type, value)?;
            }
            Ok(())
        })?;
        Ok(texts)
    }
}

impl Facets for ColumnFacets {
    fn fingerprint(&self) -> u64 {
        let mut text = String::new();
        for (place, column) in self.columns.iter().enumerate() {
            let (name, column_type) = (&column.name, column.column_type);
            let (kind, tag, key) = (
                column.is_kind,
                column.is_tag,
                self.key.iter().position(|at| *at == place),
            );
            text.push_str(&format!(
                "{}:{name} {column_type} {kind} {tag} {key:?} {:?};",
                name.len(),
                column.default
            ));
        }
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

/// The columns of a stream that are read of its events, and which of them are its key.
fn columns_of(stream: &StreamDefinition) -> (Vec<FacetColumn>, KeyColumns) {
    let mut columns: Vec<FacetColumn> = Vec::new();
    let of_key = key_of(stream);
    for column in stream.columns.iter().flatten() {
        let name = &column.name;
        let (is_kind, is_tag) = (stream.kind.as_ref() == Some(name), stream.tags.contains(name));
        if is_kind || is_tag || of_key.contains(name) {
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
    let at = |name: &String| columns.iter().position(|column| column.name == *name);
    let key = of_key.iter().filter_map(at).collect();
    (columns, key)
}

/// The columns of a stream's key, where events are found by their values; none where they are not.
fn key_of(stream: &StreamDefinition) -> &[String] {
    // By the columns of other formats nothing is found, as nobody promises that older events had the same places for them.
    let is_text = |name: &String| {
        let column = column_of(stream.columns.as_deref(), name);
        column.is_some_and(|column| has_text(column.column_type))
    };
    match stream.format == Format::Json && stream.key.iter().all(is_text) {
        true => &stream.key,
        false => &[],
    }
}

/// The key that the texts of its columns' values make, as whoever writes a row makes it: of one column its text, of several a JSON array of their values.
fn key_text<'a>(values: impl ExactSizeIterator<Item = (ColumnType, &'a str)>) -> String {
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

/// The columns of a stream by whose values its entity index finds events exactly as a scan of its rows does.
///
/// What an event is found by is read from its bytes with the newest schema, its row with the one it was written with. So every column that is read
/// here must be what it was in all of them; else events may be missed, and none of the columns is promised.
pub fn found_by(stream: &StreamDefinition) -> Vec<FoundBy> {
    let (columns, key) = columns_of(stream);
    let is_as_ever = |read: &FacetColumn| {
        let Some(now) = column_of(stream.columns.as_deref(), &read.name) else {
            return false;
        };
        let mut earlier = stream.earlier.iter();
        now.former.is_empty()
            && earlier.all(|schema| {
                let then = column_of(schema.columns.as_deref(), &read.name);
                then.is_some_and(|then| then.column_type == now.column_type && then.default == now.default)
            })
    };
    if stream.format != Format::Json || !columns.iter().all(is_as_ever) {
        return Vec::new();
    }
    let named = |column: &FacetColumn| (column.name.clone(), column.column_type);
    let is_alone = |place: usize| key == [place];
    let mut found: Vec<FoundBy> = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        if column.is_tag || is_alone(place) {
            found.push(FoundBy {
                columns: vec![named(column)],
                is_key: is_alone(place),
            });
        }
    }
    if key.len() > 1 {
        found.push(FoundBy {
            columns: key.iter().map(|place| named(&columns[*place])).collect(),
            is_key: true,
        });
    }
    found
}

fn column_of<'a>(columns: Option<&'a [Column]>, name: &str) -> Option<&'a Column> {
    columns?.iter().find(|column| column.name == name)
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
