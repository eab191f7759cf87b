//! Values that are one column: a text, or bytes.
//!
//! In JSON both are a string, the bytes in base64 (RFC 4648). A row that is NULL is no value at all, and is not written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::push_text;
use crate::value::json::{self, JsonError, Value};
use crate::{Column, StreamDefinition};

/// Why a JSON text is no value; completes "the value …".
enum Misfit {
    Json(JsonError),
    Missing,
    Other(String),
}

impl From<JsonError> for Misfit {
    fn from(error: JsonError) -> Misfit {
        Misfit::Json(error)
    }
}

/// The document of a text.
pub(super) fn text(value: &str) -> String {
    let mut document = String::with_capacity(value.len() + 2);
    push_text(&mut document, value);
    document
}

/// The document of bytes.
pub(super) fn bytes(value: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(value))
}

/// The row whose one column, as the columns name it, has this document.
pub(super) fn row(columns: &[Column], document: &str, out: &mut String) {
    out.push('{');
    push_text(out, columns.first().map_or("value", |column| &column.name));
    out.push(':');
    out.push_str(document);
    out.push('}');
}

/// The value that a text's row or document is.
pub(super) fn write_text(definition: &StreamDefinition, json: &str) -> Result<Vec<u8>, String> {
    string(definition, json).map_err(|misfit| explain(definition, misfit, "a JSON string"))
}

/// The value that bytes' row or document is.
pub(super) fn write_bytes(definition: &StreamDefinition, json: &str) -> Result<Vec<u8>, String> {
    let decoded = string(definition, json).and_then(|text| {
        let refuse = |_| Misfit::Other("is no base64".to_owned());
        STANDARD.decode(text).map_err(refuse)
    });
    decoded.map_err(|misfit| explain(definition, misfit, "a JSON string of base64"))
}

fn column(definition: &StreamDefinition) -> Option<&Column> {
    definition.columns.as_ref()?.first()
}

/// The text of the one string: the document itself, or the row's field.
fn string(definition: &StreamDefinition, json: &str) -> Result<Vec<u8>, Misfit> {
    if !json.trim_start().starts_with('{') {
        let text: String = serde_json::from_str(json).map_err(|_| Misfit::Other("is none".to_owned()))?;
        return Ok(text.into_bytes());
    }
    let name = column(definition).map_or("value", |column| &column.name);
    let mut found = None;
    json::each_field::<Misfit>(json, |raw_name, has_escapes, value, _| {
        let mut field = raw_name.as_bytes().to_vec();
        if has_escapes {
            field.clear();
            let _ = json::unescape(raw_name, &mut field);
        }
        if field == name.as_bytes() {
            found = match value {
                Value::Null => None,
                Value::Text { raw, .. } => {
                    let mut text: Vec<u8> = Vec::new();
                    json::unescape(raw, &mut text).map_err(|why| Misfit::Other(why.to_owned()))?;
                    Some(text)
                }
                _ => return Err(Misfit::Other("is none".to_owned())),
            };
        }
        Ok(())
    })?;
    found.ok_or(Misfit::Missing)
}

fn explain(definition: &StreamDefinition, misfit: Misfit, expected: &str) -> String {
    match misfit {
        Misfit::Json(error) => format!("the value is no JSON: {} at byte {}", error.what, error.at),
        Misfit::Missing => {
            "the value is missing or null, and an event of a text or of bytes is nothing else".to_owned()
        }
        Misfit::Other(why) => format!(
            "the value must be {expected}, the format is '{}': it {why}",
            definition.format
        ),
    }
}
