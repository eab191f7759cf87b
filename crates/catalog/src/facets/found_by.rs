//! By which columns' values an entity index finds events exactly as a scan of the rows does.
//!
//! What an event is found by is read from its bytes as the newest schema says, its row with the one it was written with. So a column is promised
//! only where it was the same in all of them.

use super::key::key_text;
use super::text::{default_of, has_text};
use crate::{Column, ColumnType, Format, StreamDefinition};

/// Columns by whose values events are found, as by a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBy {
    /// The columns: all that the stream's key is made of, or one that is a tag.
    pub columns: Vec<(String, ColumnType)>,
    /// Whether they are the stream's key: the events that have the values are found as an entity, by their own key or by
    /// [`EventFacets::keys`](headwater_eventlog::EventFacets::keys).
    pub is_key: bool,
}

impl FoundBy {
    /// What an event is found by that has these values, in the order of the columns: the text of a tag, or a key.
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

/// The columns of a stream by whose values its entity index finds every event whose row has them.
pub fn found_by(stream: &StreamDefinition) -> Vec<FoundBy> {
    let mut found: Vec<FoundBy> = Vec::new();
    let named = |column: &Column| (column.name.clone(), column.column_type);
    let columns = || stream.columns.iter().flatten();
    let makes_tags =
        |column: &&Column| stream.tags.contains(&column.name) || stream.kind.as_ref() == Some(&column.name);
    // Where one of them does not fit, an event has no tag at all.
    if columns()
        .filter(makes_tags)
        .all(|column| is_tag_as_ever(stream, column))
    {
        for name in &stream.tags {
            found.extend(stream.column(name).map(|column| FoundBy {
                columns: vec![named(column)],
                is_key: false,
            }));
        }
    }
    let key: Option<Vec<&Column>> = stream.key.iter().map(|name| stream.column(name)).collect();
    let key = key.unwrap_or_default();
    let is_found = |column: &&Column| has_text(column.column_type) && is_key_as_ever(stream, column);
    if !key.is_empty() && key.iter().all(is_found) {
        found.push(FoundBy {
            columns: key.into_iter().map(named).collect(),
            is_key: true,
        });
    }
    found
}

/// Whether a column of kind or tags was the same in all versions.
fn is_tag_as_ever(stream: &StreamDefinition, now: &Column) -> bool {
    is_as_ever(stream, now, |then, _| {
        then.name == now.name && then.column_type == now.column_type
    })
}

/// Whether a column of the key was the same in all versions, whatever its name. Its type can only have become one that writes the same values alike.
fn is_key_as_ever(stream: &StreamDefinition, now: &Column) -> bool {
    is_as_ever(stream, now, |then, version| {
        now.names_in(version).first() == Some(&then.name.as_str())
    })
}

fn is_as_ever(stream: &StreamDefinition, now: &Column, is_it: impl Fn(&Column, u32) -> bool) -> bool {
    let place = |columns: &[Column], is_it: &dyn Fn(&Column) -> bool| columns.iter().position(is_it);
    let newest = stream.columns.as_deref().unwrap_or_default();
    let place_now = place(newest, &|column| column.name == now.name);
    let has_places = matches!(stream.format, Format::Csv { .. });
    (1..stream.version()).all(|version| {
        let columns = stream.columns_of(version).unwrap_or_default();
        let place_then = place(columns, &|column| is_it(column, version));
        let same_place = !has_places || place_then == place_now;
        same_place && place_then.is_some_and(|at| default_of(&columns[at]) == default_of(now))
    })
}
