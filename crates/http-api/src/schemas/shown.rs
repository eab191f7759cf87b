//! A schema as an answer shows it.

use headwater_schemas::{Parsed, Reference, Registered, SchemaType, SubjectVersion};
use serde::Serialize;

use super::asked::Parameters;

/// A schema as an answer shows it. Avro goes without saying.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_type: Option<SchemaType>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<Reference>,
    pub(super) schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_id: Option<u32>,
}

impl Shown {
    pub(super) fn of(registered: &Registered, parameters: &Parameters) -> Shown {
        let schema = &registered.schema;
        Shown {
            subject: None,
            version: None,
            id: None,
            schema_type: Some(schema.schema_type).filter(|kind| *kind != SchemaType::Avro),
            references: schema.references.clone(),
            schema: text(registered, parameters),
            max_id: None,
        }
    }

    pub(super) fn version(found: &SubjectVersion, parameters: &Parameters) -> Shown {
        Shown {
            subject: Some(found.subject.clone()),
            version: Some(found.version),
            id: Some(found.registered.id),
            ..Shown::of(&found.registered, parameters)
        }
    }
}

/// The text of a schema; `format=serialized` asks for the descriptor of a Protobuf one.
pub(super) fn text(registered: &Registered, parameters: &Parameters) -> String {
    let is_serialized = parameters.get("format").is_some_and(|format| format == "serialized");
    match registered.parsed() {
        Ok(Parsed::Protobuf(schema)) if is_serialized => schema.serialized(),
        _ => registered.schema.text.clone(),
    }
}
