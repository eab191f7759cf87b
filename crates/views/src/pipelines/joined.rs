//! What a pipeline looked up in the views that it joins, noted with each result in a header of its own: which row, and where the view stood then.
//!
//! ```text
//! headwater-joined: {"view":"products","version":1,"key":["p1"],"at":"product_changes/0@42,1@17"}
//! ```
//!
//! Values of a key are texts, as they stand in the path of a row over HTTP. A key that is too long to be written beside every event is null, and such a position is left out.

use arrow::array::{ArrayRef, StringArray};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use headwater_catalog::ViewDefinition;
use headwater_records::Position;
use serde_json::Value;

use super::limits::{JOINED_KEY_BYTES_MAX, JOINED_POSITION_BYTES_MAX};

/// The header.
pub const JOINED_HEADER: &str = "headwater-joined";

/// A row that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The view.
    pub view: String,
    /// Which version of it was asked.
    pub version: u32,
    /// The values of its key; `None` where that is too long to be noted.
    pub key: Option<Vec<String>>,
    /// Where it stood; `None` where that is not noted: somewhere between the event and its result.
    pub at: Option<Position>,
}

impl Joined {
    /// As it is noted. `None`: this is no such note.
    pub fn read(header: &[u8]) -> Option<Joined> {
        let value: Value = serde_json::from_slice(header).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Joined {
            view: text(value.get("view")?)?,
            version: u32::try_from(value.get("version")?.as_u64()?).ok()?,
            key: match value.get("key")? {
                Value::Null => None,
                key => Some(key.as_array()?.iter().map(text).collect::<Option<_>>()?),
            },
            at: match value.get("at") {
                Some(at) => Some(at.as_str()?.parse().ok()?),
                None => None,
            },
        })
    }
}

/// The note of each row: what was looked up for it by the values of these columns; none where one of them is NULL, which is no key of a row.
pub(super) fn notes(
    view: &ViewDefinition,
    key: &[ArrayRef],
    rows: usize,
    at: &Position,
) -> Result<StringArray, ArrowError> {
    let at = at.to_string();
    let at = match at.len() <= JOINED_POSITION_BYTES_MAX {
        true => format!(",\"at\":{}", Value::from(at)),
        false => String::new(),
    };
    let (view, version) = (Value::from(view.name.as_str()), view.version);
    let mut notes: Vec<Option<String>> = Vec::with_capacity(rows);
    for row in 0..rows {
        if key.iter().any(|column| column.is_null(row)) {
            notes.push(None);
            continue;
        }
        let mut values: Vec<String> = Vec::with_capacity(key.len());
        for column in key {
            values.push(Value::from(array_value_to_string(column, row)?).to_string());
        }
        let key = values.join(",");
        let key = match key.len() <= JOINED_KEY_BYTES_MAX {
            true => format!("[{key}]"),
            false => "null".to_owned(),
        };
        notes.push(Some(format!(
            "{{\"view\":{view},\"version\":{version},\"key\":{key}{at}}}"
        )));
    }
    Ok(StringArray::from(notes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Int64Array};
    use headwater_catalog::ViewSettings;

    use super::*;

    fn products(version: u32) -> ViewDefinition {
        ViewDefinition {
            name: "products".to_owned(),
            shape: None,
            query: String::new(),
            key: Vec::new(),
            settings: ViewSettings::default(),
            sources: Vec::new(),
            spelled_out: None,
            statement: String::new(),
            version,
            before: None,
        }
    }

    #[test]
    fn a_note_comes_back_as_it_was_written() {
        let key: [ArrayRef; 2] = [
            Arc::new(StringArray::from(vec![Some("a \"b\""), None])),
            Arc::new(Int64Array::from(vec![7, 8])),
        ];
        let position: Position = "s/0@42,1@17".parse().expect("a position");
        let notes = notes(&products(3), &key, 2, &position).expect("notes");
        let expected = Joined {
            view: "products".to_owned(),
            version: 3,
            key: Some(vec!["a \"b\"".to_owned(), "7".to_owned()]),
            at: Some(position),
        };
        assert_eq!(Joined::read(notes.value(0).as_bytes()), Some(expected));
        assert!(notes.is_null(1), "NULL is no key of a row");
    }

    #[test]
    fn a_key_beside_every_event_is_bounded() {
        let position: Position = "s/0@42".parse().expect("a position");
        for (bytes, is_noted) in [(JOINED_KEY_BYTES_MAX, true), (JOINED_KEY_BYTES_MAX + 1, false)] {
            // As it stands in the note, in quotes.
            let text = "k".repeat(bytes - 2);
            let key: [ArrayRef; 1] = [Arc::new(StringArray::from(vec![text.as_str()]))];
            let notes = notes(&products(1), &key, 1, &position).expect("notes");
            let read = Joined::read(notes.value(0).as_bytes()).expect("a note");
            assert_eq!(read.key, is_noted.then(|| vec![text]), "{bytes} bytes");
        }
    }

    #[test]
    fn a_position_beside_every_event_is_bounded() {
        let key: [ArrayRef; 1] = [Arc::new(StringArray::from(vec!["a"]))];
        for (bytes, is_noted) in [
            (JOINED_POSITION_BYTES_MAX, true),
            (JOINED_POSITION_BYTES_MAX + 1, false),
        ] {
            let mut position = Position::new();
            position.set(&"s".repeat(bytes - "/0@1".len()), 0, 1);
            let notes = notes(&products(1), &key, 1, &position).expect("notes");
            let read = Joined::read(notes.value(0).as_bytes()).expect("a note");
            assert_eq!(read.at, is_noted.then_some(position), "{bytes} bytes");
        }
    }

    #[test]
    fn what_is_no_note_is_none() {
        for header in [
            "",
            "{}",
            "7",
            r#"{"view":1,"version":1,"key":[]}"#,
            r#"{"view":"v","key":[]}"#,
            r#"{"view":"v","version":-1,"key":[]}"#,
            r#"{"view":"v","version":1,"key":[1]}"#,
            r#"{"view":"v","version":1,"key":[],"at":"x"}"#,
        ] {
            assert_eq!(Joined::read(header.as_bytes()), None, "{header}");
        }
    }
}
