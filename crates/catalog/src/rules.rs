//! What a definition must hold, whoever writes it: a statement, a Kafka client or the HTTP door.

use headwater_records::limits::{NAME_BYTES_MAX, PARTITIONS_MAX};

use crate::facets::has_text;
use crate::limits::TAGS_MAX;
use crate::{CatalogError, ColumnType, Definition, Format, INTERNAL_PREFIX, StreamDefinition};

/// The most digits of a DECIMAL: what 128 bits hold.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// Whether users may give this name: what Kafka allows as a topic's name, and not one of ours.
pub fn check_name(name: &str) -> Result<(), CatalogError> {
    let refuse = |why: String| Err(CatalogError::Invalid(why));
    if name.is_empty() {
        return refuse("a name is empty: give it at least one letter".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return refuse(format!(
            "a name has {} bytes, more than the {NAME_BYTES_MAX} that are taken: choose a shorter one",
            name.len()
        ));
    }
    if name == "." || name == ".." {
        return refuse(format!(
            "'{name}' cannot be a name: it means a folder; choose another one"
        ));
    }
    if let Some(wrong) = name.chars().find(|c| !is_name_char(*c)) {
        return refuse(format!(
            "the name '{name}' contains {wrong:?}: only letters (a-z, A-Z), digits, '.', '_' and '-' are taken"
        ));
    }
    if name.starts_with(INTERNAL_PREFIX) {
        return refuse(format!(
            "the name '{name}' begins with '{INTERNAL_PREFIX}', which is kept for the program's own streams: choose another one"
        ));
    }
    Ok(())
}

/// The stream among `names` whose name differs from this one in nothing but `.` and `_`. Kafka's tools write both as `_` in the names of
/// metrics, so Kafka allows one of them at a time; and what looks the same is not told apart by people either.
pub(crate) fn colliding<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let same = |other: &str| {
        let alike = |(a, b): (u8, u8)| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_'));
        other.len() == name.len() && other != name && other.bytes().zip(name.bytes()).all(alike)
    };
    match name.contains(['.', '_']) {
        true => names.map(String::as_str).find(|other| same(other)),
        false => None,
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Whether a definition agrees with itself. What it depends on is looked at by the catalog.
pub(crate) fn check_definition(definition: &Definition) -> Result<(), CatalogError> {
    check_name(definition.name())?;
    match definition {
        Definition::Stream(stream) => check_stream(stream),
        Definition::View(_) | Definition::Command(_) | Definition::Schedule(_) | Definition::Graph(_) => Ok(()),
    }
}

/// Whether the definition of a stream agrees with itself.
pub(crate) fn check_stream(stream: &StreamDefinition) -> Result<(), CatalogError> {
    let name = &stream.name;
    let refuse = |why: String| Err(CatalogError::Invalid(format!("stream '{name}': {why}")));
    if stream.partitions > PARTITIONS_MAX {
        return refuse(format!(
            "{} partitions are more than the {PARTITIONS_MAX} that one stream may have",
            stream.partitions
        ));
    }
    let columns = stream.columns.as_deref().unwrap_or_default();
    if stream.columns.is_some() && columns.is_empty() {
        return refuse("it declares an empty list of columns: name some, or leave the list out".to_owned());
    }
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|earlier| earlier.name == column.name) {
            return refuse(format!("column '{}' is there twice", column.name));
        }
        if let ColumnType::Decimal(precision, scale) = column.column_type
            && !(1..=DECIMAL_PRECISION_MAX).contains(&precision)
        {
            return refuse(format!(
                "column '{}' is DECIMAL({precision},{scale}): the precision must be from 1 to {DECIMAL_PRECISION_MAX}",
                column.name
            ));
        }
    }
    for (index, key) in stream.key.iter().enumerate() {
        if !columns.iter().any(|column| column.name == *key) {
            return refuse(format!("KEY names '{key}', which is none of its columns"));
        }
        if stream.key[..index].contains(key) {
            return refuse(format!("KEY names '{key}' twice"));
        }
    }
    check_format(stream)?;
    check_facets(stream)?;
    match &stream.time {
        Some(time) => check_time(stream, time),
        None => Ok(()),
    }
}

/// A format must have the columns that it can hold.
fn check_format(stream: &StreamDefinition) -> Result<(), CatalogError> {
    if stream.format == Format::Json {
        return Ok(());
    }
    let (name, format) = (&stream.name, stream.format);
    let refuse = |why: &str| {
        Err(CatalogError::Invalid(format!(
            "stream '{name}' has the format '{format}': {why}"
        )))
    };
    let types: Vec<ColumnType> = stream
        .columns
        .iter()
        .flatten()
        .map(|column| column.column_type)
        .collect();
    match (format, types.as_slice()) {
        (Format::Csv { .. }, []) => {
            refuse("its fields have no names, declare the columns: CREATE STREAM name (column TYPE, …)")
        }
        (Format::Avro | Format::Protobuf, []) => refuse("its schema says its columns, or they are declared"),
        (Format::Text, [ColumnType::Text]) | (Format::Bytes, [ColumnType::Bytes]) => match &stream.columns {
            Some(columns) if columns.iter().any(|column| column.default.is_some()) => {
                refuse("the value is its one column, which has no DEFAULT; leave it out")
            }
            _ => Ok(()),
        },
        (Format::Text, _) => refuse("the value is its one column, a TEXT; declare that, or leave the columns out"),
        (Format::Bytes, _) => refuse("the value is its one column, a BYTEA; declare that, or leave the columns out"),
        _ => Ok(()),
    }
}

/// Kind and tags are texts made of columns, and conditions are found by them: each value must have one text.
fn check_facets(stream: &StreamDefinition) -> Result<(), CatalogError> {
    let refuse = |why: String| Err(CatalogError::Invalid(format!("stream '{}': {why}", stream.name)));
    let columns = stream.columns.as_deref().unwrap_or_default();
    let named = stream.kind.iter().map(|name| ("KIND", name));
    for (clause, name) in named.chain(stream.tags.iter().map(|name| ("TAGS", name))) {
        let found = columns.iter().find(|column| column.name == *name);
        match found.map(|column| column.column_type) {
            None => return refuse(format!("{clause} names '{name}', which is none of its columns")),
            Some(column_type) if has_text(column_type) => {}
            Some(other) => {
                return refuse(format!(
                    "{clause} names '{name}', which is {other}: take a TEXT, INTEGER, BIGINT, DECIMAL, BOOLEAN or DATE, whose values have one text each"
                ));
            }
        }
    }
    for (index, tag) in stream.tags.iter().enumerate() {
        if stream.tags[..index].contains(tag) {
            return refuse(format!("TAGS names '{tag}' twice"));
        }
    }
    match stream.tags.len() {
        count if count > TAGS_MAX => refuse(format!("TAGS names {count} columns, and at most {TAGS_MAX} are taken")),
        _ => Ok(()),
    }
}

fn check_time(stream: &StreamDefinition, time: &str) -> Result<(), CatalogError> {
    let columns = stream.columns.as_deref().unwrap_or_default();
    let found = columns.iter().find(|column| column.name == time);
    let why = match found.map(|column| column.column_type) {
        None => "which is none of its columns".to_owned(),
        Some(ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz) => return Ok(()),
        Some(other) => format!("which is {other}: business time is a DATE, TIMESTAMP or TIMESTAMPTZ"),
    };
    Err(CatalogError::Invalid(format!(
        "stream '{}': TIME names '{time}', {why}",
        stream.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Result<(), &str>) {
        match (check_name(name), expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{name}: {error}"),
            (found, expected) => panic!("{name}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        let names: Vec<String> = ["a.b", "ab", "a-b", "_x.y"].map(str::to_owned).into();
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(colliding(name, names.iter()), expected, "{name}");
        };
        check("a_b", Some("a.b"));
        check("a.b", None);
        check("ab", None);
        check("a.bc", None);
        check("..x.y", None);
        check(".x_y", Some("_x.y"));
        check("a+b", None);
    }

    #[test]
    fn names_are_what_kafka_takes_and_not_ours() {
        check("transactions", Ok(()));
        check("Orders-2.eu_1", Ok(()));
        check(&"n".repeat(NAME_BYTES_MAX), Ok(()));
        check(&"n".repeat(NAME_BYTES_MAX + 1), Err("250 bytes, more than the 249"));
        check("", Err("a name is empty"));
        check(".", Err("cannot be a name"));
        check("..", Err("cannot be a name"));
        check("a b", Err("contains ' '"));
        check("größe", Err("contains 'ö'"));
        check("a/b", Err("contains '/'"));
        check("_headwater.catalog", Err("kept for the program's own"));
        check("_headwater", Ok(()));
    }
}
