//! A schema's text, understood.

use crate::avro::AvroSchema;
use crate::json::JsonSchema;
use crate::limits::{REFERENCES_MAX, SCHEMA_BYTES_MAX};
use crate::protobuf::ProtobufSchema;
use crate::{Schema, SchemaType};

/// What a schema says, by its language.
#[derive(Debug)]
pub enum Parsed {
    /// Avro.
    Avro(AvroSchema),
    /// Protocol Buffers.
    Protobuf(ProtobufSchema),
    /// JSON Schema.
    Json(JsonSchema),
}

impl Parsed {
    /// Parses a schema with what it needs, each named as its text names it and behind what it needs itself.
    pub(crate) fn of(schema: &Schema, needs: &[(&str, &Schema)]) -> Result<Parsed, String> {
        if schema.text.len() > SCHEMA_BYTES_MAX {
            return Err(format!(
                "its text has {} bytes, more than the {SCHEMA_BYTES_MAX} that are taken; split it by references",
                schema.text.len()
            ));
        }
        if needs.len() > REFERENCES_MAX {
            return Err(format!(
                "it comes to {} references, more than the {REFERENCES_MAX} that are taken",
                needs.len()
            ));
        }
        if let Some((name, other)) = needs.iter().find(|(_, need)| need.schema_type != schema.schema_type) {
            return Err(format!(
                "it is {} and refers to '{name}', which is {}",
                schema.schema_type, other.schema_type
            ));
        }
        let needs: Vec<(&str, &str)> = needs.iter().map(|(name, need)| (*name, need.text.as_str())).collect();
        match schema.schema_type {
            SchemaType::Avro => AvroSchema::parse(&schema.text, &needs).map(Parsed::Avro),
            SchemaType::Protobuf => ProtobufSchema::parse(&schema.text, &needs).map(Parsed::Protobuf),
            SchemaType::Json => JsonSchema::parse(&schema.text, &needs).map(Parsed::Json),
        }
    }

    /// What two texts have in common that are one schema.
    pub(crate) fn identity(&self) -> String {
        match self {
            Parsed::Avro(schema) => schema.identity().to_owned(),
            Parsed::Protobuf(schema) => schema.identity(),
            Parsed::Json(schema) => schema.identity(),
        }
    }

    /// Why a reader with the one schema may not understand what a writer with the other wrote; nothing where it always does.
    pub(crate) fn obstacles(reader: &Parsed, writer: &Parsed) -> Vec<String> {
        match (reader, writer) {
            (Parsed::Avro(reader), Parsed::Avro(writer)) => reader.obstacles(writer),
            (Parsed::Protobuf(reader), Parsed::Protobuf(writer)) => reader.obstacles(writer),
            (Parsed::Json(reader), Parsed::Json(writer)) => reader.obstacles(writer),
            _ => vec!["the schemas are of different types".to_owned()],
        }
    }
}
