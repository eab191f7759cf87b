//! The keys of rows as they stand in addresses: a segment for each column, percent-encoded, so that a value may hold any character.
//!
//! ```text
//! /views/by_day/BradA/2025-11-23      /views/by_day/;null/2025-11-23  where the account is NULL
//!                                     /views/by_day/;empty/2025-11-23 where it is the empty text
//! ```
//!
//! A segment is never empty: proxies make one slash of two, and whoever has lost a value would be answered for another.
//!
//! Invariant: a key that was written by [`text`] is read as the same key.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_sql::ScalarValue;
use headwater_views::View;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::problem::Problem;
use crate::request::decoded;

/// What stands as it is in a path segment (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The segment of a column that is NULL, and of an empty text. Where a text that reads so is meant, its first letter is encoded, as [`encode`] does it: `%3Bnull`.
const NULL: &str = ";null";
const EMPTY: &str = ";empty";

/// The texts of a key's columns; `None` for NULL.
pub(crate) type Key = Vec<Option<String>>;

/// Reads the part of a path, or of a parameter, that is a key.
pub(crate) fn read(path: &str) -> Result<Key, Problem> {
    let segment = |segment| match segment {
        NULL => Ok(None),
        written => decoded(plain(written)?).map(Some),
    };
    path.split('/').map(segment).collect()
}

/// A segment that stands for a value, percent-encoded.
pub(crate) fn plain(segment: &str) -> Result<&str, Problem> {
    match segment {
        "" => {
            let detail = format!("a part of the key is missing in the address: the empty text is written {EMPTY}");
            Err(Problem::bad_request(detail).code("malformed_key"))
        }
        EMPTY => Ok(""),
        written => Ok(written),
    }
}

/// A key for people.
pub(crate) fn shown(key: &Key) -> String {
    let texts: Vec<&str> = key.iter().map(|text| text.as_deref().unwrap_or("NULL")).collect();
    texts.join("/")
}

/// The values of a view's key columns.
pub(crate) fn values(view: &View, key: &Key) -> Result<Vec<ScalarValue>, Problem> {
    let name = &view.definition().name;
    let columns = view.key_columns();
    if columns.is_empty() {
        return Err(Problem::bad_request(format!(
            "the rows of '{name}' have no key in them: read the page, or ask by POST /sql"
        ))
        .code("malformed_key"));
    }
    if key.len() != columns.len() {
        let (given, wanted, path) = (key.len(), columns.len(), names(view).join("}/{"));
        let detail =
            format!("the key of '{name}' has {wanted} column(s) and {given} were given: /views/{name}/{{{path}}}");
        return Err(Problem::bad_request(detail).code("malformed_key"));
    }
    let schema = view.schema();
    let mut values: Vec<ScalarValue> = Vec::with_capacity(key.len());
    for (index, text) in columns.iter().zip(key) {
        if let Some(field) = schema.fields().get(*index) {
            values.push(value(field, text.as_deref())?);
        }
    }
    Ok(values)
}

fn value(field: &Field, text: Option<&str>) -> Result<ScalarValue, Problem> {
    let data_type = field.data_type();
    let value = match (text, data_type) {
        // What nearly every key is, without a cast.
        (Some(text), DataType::Utf8) => return Ok(ScalarValue::Utf8(Some(text.to_owned()))),
        // As answers show them.
        (Some(text), DataType::Binary) => STANDARD
            .decode(text)
            .map(|bytes| ScalarValue::Binary(Some(bytes)))
            .map_err(|_| ()),
        (Some(text), _) => ScalarValue::try_from_string(text.to_owned(), data_type).map_err(|_| ()),
        (None, _) => ScalarValue::try_from(data_type).map_err(|_| ()),
    };
    value.map_err(|()| {
        let (wanted, column) = (crate::json::rows::sql_type(data_type), field.name());
        let detail = format!(
            "'{}' is no {wanted}, the type of the key column {column}",
            text.unwrap_or("NULL")
        );
        Problem::bad_request(detail).code("malformed_key")
    })
}

/// The names of a view's key columns.
pub(crate) fn names(view: &View) -> Vec<String> {
    let schema = view.schema();
    let name = |index: &usize| schema.fields().get(*index).map(|field| field.name().clone());
    view.key_columns().iter().filter_map(name).collect()
}

/// The key of a row, as in its path.
pub(crate) fn text(view: &View, rows: &RecordBatch, row: usize) -> Result<String, ArrowError> {
    let mut texts: Vec<String> = Vec::new();
    for column in view.key_columns() {
        let column = rows.column(*column);
        texts.push(match column.is_null(row) {
            true => NULL.to_owned(),
            false => encode(&segment(column, row)?),
        });
    }
    Ok(texts.join("/"))
}

/// A value as a text: bytes in base64, as answers show them.
fn segment(column: &dyn Array, row: usize) -> Result<String, ArrowError> {
    match column.as_binary_opt::<i32>() {
        Some(bytes) => Ok(STANDARD.encode(bytes.value(row))),
        None => array_value_to_string(column, row),
    }
}

/// A text as a segment of a path.
pub(crate) fn encode(text: &str) -> String {
    match text {
        // As they are, they would be addresses of their own below the view's.
        "changes" => "%63hanges".to_owned(),
        "search" => "%73earch".to_owned(),
        "lineage" => "%6Cineage".to_owned(),
        "origins" => "%6Frigins".to_owned(),
        "" => EMPTY.to_owned(),
        text => utf8_percent_encode(text, ENCODED).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::BinaryArray;

    use super::*;

    #[test]
    fn a_key_is_a_segment_for_each_column() {
        for (path, expected) in [
            ("BradA", Ok(vec![Some("BradA")])),
            ("a%2Fb/c%20d", Ok(vec![Some("a/b"), Some("c d")])),
            ("a+b", Ok(vec![Some("a+b")])),
            ("%ff", Err("no UTF-8")),
            ("", Err("the empty text is written ;empty")),
            (";empty", Ok(vec![Some("")])),
            ("%3Bempty", Ok(vec![Some(";empty")])),
            (";null", Ok(vec![None])),
            ("x/;null/;empty", Ok(vec![Some("x"), None, Some("")])),
            ("x//y", Err("missing in the address")),
            ("x/", Err("missing in the address")),
            ("%3Bnull", Ok(vec![Some(";null")])),
            (";nullx", Ok(vec![Some(";nullx")])),
        ] {
            let found = read(path).map_err(|problem| problem.detail);
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
                    assert_eq!(found, expected, "{path}");
                }
                (Err(detail), Err(why)) => assert!(detail.contains(why), "{path}: {detail}"),
                (found, expected) => panic!("{path}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn bytes_stand_in_addresses_as_answers_show_them() {
        let field = Field::new("b", DataType::Binary, false);
        let bytes = BinaryArray::from_vec(vec![b"\x00\xff", b""]);
        for (row, expected) in ["AP8%3D", EMPTY].into_iter().enumerate() {
            let written = encode(&segment(&bytes, row).unwrap());
            assert_eq!(written, expected);
            let read = read(&written).unwrap().remove(0);
            let value = value(&field, read.as_deref()).unwrap();
            assert_eq!(value, ScalarValue::Binary(Some(bytes.value(row).to_vec())));
        }
        let refused = value(&field, Some("00ff!")).unwrap_err();
        assert!(refused.detail.contains("is no BYTEA"), "{}", refused.detail);
    }

    #[test]
    fn what_is_encoded_is_read_as_it_was() {
        for text in [
            "a/b", NULL, EMPTY, "changes", "search", "lineage", "origins", "", "ü %2F",
        ] {
            assert_eq!(read(&encode(text)).ok(), Some(vec![Some(text.to_owned())]), "{text}");
        }
    }
}
