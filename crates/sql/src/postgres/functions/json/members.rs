//! The members of a JSON text, each as its own text, in their order.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{SqlError, SqlState};

/// An object's members.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &RawValue)> = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Each).map(Members)
    }
}

/// A JSON text by what it is.
pub(super) enum Json<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Array(Vec<&'a RawValue>),
    Scalar(&'a str),
}

/// Reads a text that is to be JSON.
pub(super) fn read(text: &str) -> Result<Json<'_>, SqlError> {
    let trimmed = text.trim();
    let read = match trimmed.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<Members<'_>>(trimmed).map(|members| Json::Object(members.0)),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(trimmed).map(Json::Array),
        _ => serde_json::from_str::<&RawValue>(trimmed).map(|value| Json::Scalar(value.get())),
    };
    read.map_err(|_| no_json(text))
}

/// A text that is no JSON.
pub(super) fn no_json(text: &str) -> SqlError {
    let shown: String = text.chars().take(100).collect();
    SqlError::new(
        SqlState::INVALID_TEXT,
        format!("invalid input syntax for type JSON: \"{shown}\""),
    )
    .hint("a text is JSON only in double quotes")
}

/// A value as `->>` shows it: a string without its quotes, null as NULL, anything else as its text.
pub(super) fn as_text(value: &str) -> Option<String> {
    match value {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok(),
        other => Some(other.to_owned()),
    }
}
