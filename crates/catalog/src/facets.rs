//! What kind of event it is and what it is about, read from its value: the columns of `KIND (…)` and `TAGS (…)`, and those of `KEY (…)` where an
//! event's own key says something else.
//!
//! Invariants
//! - A value has one text, however its writer spelt it: `7`, `"7"` and `7.0` in a BIGINT are all `7`, in a DECIMAL(9,2) `7.00`.
//! - The same columns are read of the values that any schema of the stream was written with: their places stay (where fields have places),
//!   and their names do.
//! - Only the columns named are read. A missing one has its default; one without, or a null one, gives no tag; where one does not fit its
//!   type, or the value is no JSON object, the event has neither kind nor tags: views park it.

use headwater_eventlog::{EventFacets, Facets};
use headwater_records::Event;
use headwater_schemas::Schemas;

use crate::value::json::{self, JsonError, Value};
use crate::value::{moment, number};
use crate::{Codec, Column, ColumnType, Format, StreamDefinition};

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

/// Why there is nothing to be read from a value.
struct Unreadable;

impl From<JsonError> for Unreadable {
    fn from(_: JsonError) -> Unreadable {
        Unreadable
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

    fn tag_names(&self) -> Option<Vec<&str>> {
        let tags = self.columns.iter().filter(|column| column.is_tag);
        Some(tags.map(|column| column.name.as_str()).collect())
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

/// The text of a column's default.
fn default_of(column: &Column) -> Option<String> {
    let mut text = None;
    let value = format!("{{\"default\":{}}}", column.default.as_deref()?);
    let read = json::each_field::<Unreadable>(&value, |_, _, value, _| {
        text = text_of(column.column_type, value)?;
        Ok(())
    });
    read.ok().and(text)
}

/// Whether every value of the type has one text.
pub(crate) fn has_text(column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Boolean
        | ColumnType::Integer
        | ColumnType::BigInt
        | ColumnType::Decimal(..)
        | ColumnType::Text
        | ColumnType::Date => true,
        ColumnType::Real
        | ColumnType::Double
        | ColumnType::Bytes
        | ColumnType::Timestamp
        | ColumnType::TimestampTz
        | ColumnType::Json => false,
    }
}

/// The one text of a value of the type; `None` of null.
fn text_of(column_type: ColumnType, value: Value<'_>) -> Result<Option<String>, Unreadable> {
    if value == Value::Null {
        return Ok(None);
    }
    let literal = || value.literal().map(str::as_bytes).ok_or(Unreadable);
    let text = match column_type {
        ColumnType::Boolean => match value {
            Value::Bool(value) => value.to_string(),
            _ => return Err(Unreadable),
        },
        ColumnType::Integer => {
            let value = number::integer(literal()?).map_err(|_| Unreadable)?;
            i32::try_from(value).map_err(|_| Unreadable)?.to_string()
        }
        ColumnType::BigInt => number::integer(literal()?).map_err(|_| Unreadable)?.to_string(),
        ColumnType::Decimal(precision, scale) => {
            let value = number::decimal(literal()?, precision, scale).map_err(|_| Unreadable)?;
            decimal_text(value, scale)
        }
        ColumnType::Date => {
            let date = value.plain().ok_or(Unreadable)?;
            moment::date(date.as_bytes()).ok_or(Unreadable)?;
            date.to_owned()
        }
        ColumnType::Text => match value {
            Value::Text {
                raw,
                has_escapes: false,
            } => raw.to_owned(),
            Value::Text { raw, has_escapes: true } => {
                let mut unescaped: Vec<u8> = Vec::new();
                json::unescape(raw, &mut unescaped).map_err(|_| Unreadable)?;
                String::from_utf8(unescaped).map_err(|_| Unreadable)?
            }
            _ => return Err(Unreadable),
        },
        // No definition with such a column is taken.
        _ => return Err(Unreadable),
    };
    Ok(Some(text))
}

/// A whole number of units of `10^-scale`, with all its digits after the point.
pub(crate) fn decimal_text(value: i128, scale: i8) -> String {
    let places = usize::from(scale.max(0).unsigned_abs());
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    match places {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EarlierSchema, internal};

    fn stream() -> StreamDefinition {
        let column = |name: &str, column_type| Column::new(name, column_type, true);
        StreamDefinition {
            columns: Some(vec![
                column("kind", ColumnType::Text),
                column("course", ColumnType::Text),
                column("seat", ColumnType::BigInt),
                column("price", ColumnType::Decimal(9, 2)),
                column("day", ColumnType::Date),
                column("open", ColumnType::Boolean),
                column("other", ColumnType::Integer),
            ]),
            kind: Some("kind".to_owned()),
            tags: ["course", "seat", "price", "day", "open"].map(str::to_owned).into(),
            ..internal::schema_free("s", 1)
        }
    }

    fn check(value: &str, kind: Option<&str>, tags: &[&str]) {
        let facets = ColumnFacets::of(&stream(), &Schemas::default())
            .expect("it has tags")
            .read(None, Some(value.as_bytes()));
        let found: Vec<&str> = facets.tags.iter().map(String::as_str).collect();
        assert_eq!((facets.kind.as_deref(), found.as_slice()), (kind, tags), "{value}");
    }

    #[test]
    fn a_value_has_one_text() {
        check(r#"{"kind":"opened","course":"c1"}"#, Some("opened"), &["course:c1"]);
        check(r#"{"seat":7}"#, None, &["seat:7"]);
        check(r#"{"seat":"7"}"#, None, &["seat:7"]);
        check(r#"{"seat":70e-1}"#, None, &["seat:7"]);
        check(r#"{"seat":-0}"#, None, &["seat:0"]);
        check(r#"{"seat":9223372036854775807}"#, None, &["seat:9223372036854775807"]);
        check(r#"{"price":7}"#, None, &["price:7.00"]);
        check(r#"{"price":"-0.05"}"#, None, &["price:-0.05"]);
        check(r#"{"price":1234567.8}"#, None, &["price:1234567.80"]);
        check(
            r#"{"day":"2025-11-23","open":true}"#,
            None,
            &["day:2025-11-23", "open:true"],
        );
        check(r#"{"course":"a\u00e9\n","cours\u0065":"b:c"}"#, None, &["course:b:c"]);
        check(r#"{"course":"\u00e9\"\n"}"#, None, &["course:é\"\n"]);
        check(r#"{"course":""}"#, None, &["course:"]);
        check(
            r#"{"open":false,"course":"x","kind":"k"}"#,
            Some("k"),
            &["course:x", "open:false"],
        );
    }

    #[test]
    fn what_is_missing_or_cannot_be_read_has_no_facets() {
        check("{}", None, &[]);
        check(r#"{"course":null,"kind":null}"#, None, &[]);
        // A column that nobody asked for may hold anything.
        check(r#"{"course":"c1","other":"no number"}"#, None, &["course:c1"]);
        for unreadable in [
            r#"{"course":"c1","seat":1.5}"#,
            r#"{"course":"c1","seat":9223372036854775808}"#,
            r#"{"course":"c1","seat":"x"}"#,
            r#"{"course":"c1","price":1.005}"#,
            r#"{"course":"c1","day":"2025-02-30"}"#,
            r#"{"course":"c1","open":"true"}"#,
            r#"{"course":7}"#,
            r#"{"course":"\ud800"}"#,
            r#"{"course":"c1""#,
            r#"{"course":"c1"} x"#,
            "[]",
            "",
        ] {
            check(unreadable, None, &[]);
        }
        let facets = ColumnFacets::of(&stream(), &Schemas::default()).expect("it has tags");
        assert_eq!(facets.read(None, None), EventFacets::default());
        assert_eq!(facets.read(None, Some(b"\xff")), EventFacets::default());
    }

    #[test]
    fn the_fingerprint_follows_the_columns() {
        let print = |change: fn(&mut StreamDefinition)| {
            let mut definition = stream();
            change(&mut definition);
            ColumnFacets::of(&definition, &Schemas::default())
                .expect("it has tags")
                .fingerprint()
        };
        let first = print(|_| {});
        assert_eq!(first, print(|definition| definition.partitions = 9));
        assert_ne!(first, print(|definition| definition.kind = None));
        assert_ne!(first, print(|definition| definition.tags.truncate(4)));
    }

    #[test]
    fn a_missing_column_has_its_default() {
        let mut definition = stream();
        for column in definition.columns.iter_mut().flatten() {
            column.default = match column.name.as_str() {
                "kind" => Some("\"opened\"".to_owned()),
                "price" => Some("7".to_owned()),
                _ => None,
            };
        }
        let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has tags");
        let check = |value: &str, kind: Option<&str>, tags: &[&str]| {
            let found = facets.read(None, Some(value.as_bytes()));
            let expected = tags.iter().map(|tag| (*tag).to_owned()).collect();
            assert_eq!(
                found,
                EventFacets {
                    kind: kind.map(str::to_owned),
                    tags: expected,
                    column: None,
                },
                "{value}"
            );
        };
        check("{}", Some("opened"), &["price:7.00"]);
        check(r#"{"kind":null,"price":8}"#, None, &["price:8.00"]);
    }

    #[test]
    fn the_column_of_the_key_is_told_where_the_key_is_another() {
        let check = |column: &str, key: Option<&str>, value: &str, expected: Option<&str>| {
            let definition = StreamDefinition {
                key: vec![column.to_owned()],
                kind: None,
                tags: Vec::new(),
                ..stream()
            };
            let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has a key");
            assert!(!facets.has_tags());
            let found = facets.read(key.map(str::as_bytes), Some(value.as_bytes()));
            assert_eq!((found.kind, found.tags), (None, Vec::new()));
            assert_eq!(found.column.as_deref(), expected, "{column} {key:?} {value}");
        };
        check("course", Some("c1"), r#"{"course":"c1"}"#, None);
        check("course", Some("c2"), r#"{"course":"c1"}"#, Some("course:c1"));
        check("course", None, r#"{"course":"c1"}"#, Some("course:c1"));
        check("course", Some("c1"), "{}", None);
        check("seat", Some("7"), r#"{"seat":"7.0"}"#, None);
        check("seat", Some("7.0"), r#"{"seat":7.0}"#, Some("seat:7"));
        check("price", Some("7"), r#"{"price":7}"#, Some("price:7.00"));
    }

    #[test]
    fn the_columns_of_a_key_of_several_are_told_where_the_key_is_another() {
        let check = |key: Option<&str>, value: &str, expected: Option<&str>| {
            let definition = StreamDefinition {
                key: ["seat", "course", "day"].map(str::to_owned).into(),
                kind: None,
                tags: Vec::new(),
                ..stream()
            };
            let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has a key");
            let found = facets.read(key.map(str::as_bytes), Some(value.as_bytes()));
            assert_eq!(found.column.as_deref(), expected, "{key:?} {value}");
        };
        let value = r#"{"course":"c\"1","seat":"7.0","day":"2025-11-23"}"#;
        check(Some(r#"[7,"c\"1","2025-11-23"]"#), value, None);
        let told = r#"seat,course,day:[7,"c\"1","2025-11-23"]"#;
        check(Some(r#"[7.0,"c\"1","2025-11-23"]"#), value, Some(told));
        check(None, value, Some(told));
        check(None, r#"{"course":"c1","seat":7}"#, None);
        check(None, r#"{"course":"c1","seat":7.5,"day":"2025-11-23"}"#, None);
        // By what has several texts nothing is found.
        let of_floats = StreamDefinition {
            columns: Some(vec![
                Column::new("a", ColumnType::Text, true),
                Column::new("b", ColumnType::Double, true),
            ]),
            key: vec!["a".to_owned(), "b".to_owned()],
            ..internal::schema_free("s", 1)
        };
        assert_eq!(ColumnFacets::of(&of_floats, &Schemas::default()), None);
    }

    #[test]
    fn only_columns_that_are_as_ever_are_promised() {
        let check = |change: &dyn Fn(&mut StreamDefinition), expected: &[&str]| {
            let mut definition = StreamDefinition {
                key: vec!["course".to_owned()],
                tags: vec!["seat".to_owned()],
                ..stream()
            };
            change(&mut definition);
            let found = found_by(&definition);
            let found: Vec<String> = found.iter().map(FoundBy::name).collect();
            assert_eq!(found, expected);
        };
        let earlier = |change: &dyn Fn(&mut Vec<Column>)| {
            let mut columns = stream().columns.unwrap_or_default();
            change(&mut columns);
            EarlierSchema {
                columns: Some(columns),
                until: Vec::new(),
                upcaster: None,
                statement: String::new(),
            }
        };
        check(&|_| {}, &["seat", "course"]);
        let of_several = |definition: &mut StreamDefinition| definition.key.push("seat".to_owned());
        check(&of_several, &["seat", "course,seat"]);
        let unread = |columns: &mut Vec<Column>| columns.retain(|column| column.name != "other");
        check(
            &|definition| definition.earlier.push(earlier(&unread)),
            &["seat", "course"],
        );
        let missing = |columns: &mut Vec<Column>| columns.retain(|column| column.name != "seat");
        check(&|definition| definition.earlier.push(earlier(&missing)), &[]);
        let narrower = |columns: &mut Vec<Column>| columns[2].column_type = ColumnType::Integer;
        check(&|definition| definition.earlier.push(earlier(&narrower)), &[]);
        let other_default = |columns: &mut Vec<Column>| columns[1].default = Some("\"c\"".to_owned());
        check(&|definition| definition.earlier.push(earlier(&other_default)), &[]);
    }

    #[test]
    fn one_column_may_be_kind_and_tag() {
        let definition = StreamDefinition {
            tags: vec!["kind".to_owned()],
            ..stream()
        };
        let facets = ColumnFacets::of(&definition, &Schemas::default())
            .expect("it has tags")
            .read(None, Some(br#"{"kind":"k"}"#));
        assert_eq!(
            (facets.kind.as_deref(), facets.tags.as_slice()),
            (Some("k"), ["kind:k".to_owned()].as_slice())
        );
        let plain = StreamDefinition {
            tags: Vec::new(),
            kind: None,
            ..stream()
        };
        assert_eq!(ColumnFacets::of(&plain, &Schemas::default()), None);
    }
}
