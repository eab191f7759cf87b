//! A key as somebody writes it who asks for an entity, made the one that its columns' values have.

use serde_json::value::RawValue;

use super::key::key_text;
use super::text::{has_text, text_of_json, written_text};
use crate::{Column, ColumnType, StreamDefinition};

/// The key of an entity, however its columns' values are written: of a DECIMAL(9,2) `1.5` is `1.50`, and of several columns spaces between them do not count. `None` where the columns
/// cannot have what is written. Where a value of theirs has several texts, or there are none, a key is what it is.
pub(crate) fn key_as_made(stream: &StreamDefinition, written: &str) -> Option<String> {
    let columns: Option<Vec<&Column>> = stream.key.iter().map(|name| stream.column(name)).collect();
    let columns = columns.unwrap_or_default();
    if columns.is_empty() || !columns.iter().all(|column| has_text(column.column_type)) {
        return Some(written.to_owned());
    }
    if let [only] = columns.as_slice() {
        return written_text(only.column_type, written);
    }
    let values: Vec<&RawValue> = serde_json::from_str(written).ok()?;
    if values.len() != columns.len() {
        return None;
    }
    let mut texts: Vec<(ColumnType, String)> = Vec::with_capacity(columns.len());
    for (column, value) in columns.iter().zip(values) {
        texts.push((column.column_type, text_of_json(column.column_type, value.get())?));
    }
    let texts = texts.iter().map(|(column_type, text)| (*column_type, text.as_str()));
    Some(key_text(texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &[ColumnType], written: &str, expected: Option<&str>) {
        let name = |place: usize| format!("c{place}");
        let columns = key.iter().enumerate();
        let columns = columns.map(|(place, column_type)| Column::new(name(place), *column_type, false));
        let stream = StreamDefinition {
            columns: Some(columns.collect()),
            key: (0..key.len()).map(name).collect(),
            ..StreamDefinition::default()
        };
        assert_eq!(key_as_made(&stream, written).as_deref(), expected, "{written}");
    }

    #[test]
    fn a_key_is_made_of_its_columns_values_however_they_are_written() {
        let decimal = ColumnType::Decimal(9, 2);
        for (written, expected) in [
            ("1.5", Some("1.50")),
            ("1.50", Some("1.50")),
            ("abc", None),
            ("[1]", None),
            ("", None),
        ] {
            check(&[decimal], written, expected);
        }
        check(&[ColumnType::Integer], "7.0", Some("7"));
        check(&[ColumnType::Integer], "07", None);
        check(&[ColumnType::Boolean], "true", Some("true"));
        check(&[ColumnType::Boolean], "TRUE", None);
        check(&[ColumnType::Date], "2024-01-05", Some("2024-01-05"));
        check(&[ColumnType::Date], "5.1.2024", None);
        check(&[ColumnType::Text], "[\"a\", 1]", Some("[\"a\", 1]"));
        check(&[ColumnType::Text], "", Some(""));
        let several = [ColumnType::Integer, decimal, ColumnType::Date];
        let made = Some("[1,1.50,\"2024-01-05\"]");
        for written in [
            "[1,1.50,\"2024-01-05\"]",
            "[1,1.5,\"2024-01-05\"]",
            "[\"1\",\"1.50\",\"2024-01-05\"]",
            " [1, 1.50 , \"2024-01-05\"] ",
        ] {
            check(&several, written, made);
        }
        for written in [
            "[1]",
            "x",
            "[1,1.5,null]",
            "[1,1.5,\"2024-01-05\",2]",
            "{}",
            "[1,1.505,\"2024-01-05\"]",
        ] {
            check(&several, written, None);
        }
        check(
            &[ColumnType::Text, ColumnType::Text],
            "[\"a\\u00e9\",\"\\n\"]",
            Some("[\"aé\",\"\\n\"]"),
        );
    }

    #[test]
    fn what_has_several_texts_or_no_columns_is_what_it_is() {
        for written in ["2024-01-05T00:00:00Z", "x"] {
            check(&[ColumnType::Timestamp], written, Some(written));
            check(&[ColumnType::Integer, ColumnType::Double], written, Some(written));
            check(&[], written, Some(written));
        }
    }
}
