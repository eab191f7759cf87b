//! Values that name the schema they were written with: Avro and Protobuf.
//!
//! A stream's own schema, by which it is written, is the latest of the subject `NAME-value`. It is read by the schema that a value names, whichever
//! subject that is registered under; its fields are the columns of their names.

use std::sync::Arc;

use headwater_schemas::{Deleted, Frame, Parsed, Registered, Schema, SchemaType, Wanted, frame};

use super::{Codec, Written, avro, protobuf};
use crate::{Column, ColumnType, Format};

/// The subject whose latest schema a stream is written with: what the registry's clients take for a topic's values.
pub fn subject_of(stream: &str) -> String {
    format!("{stream}-value")
}

impl Format {
    /// The language of the schemas that its values name.
    pub fn schema_type(self) -> Option<SchemaType> {
        match self {
            Format::Avro => Some(SchemaType::Avro),
            Format::Protobuf => Some(SchemaType::Protobuf),
            _ => None,
        }
    }

    /// The columns that the values of a schema have.
    pub fn schema_columns(self, registered: &Registered) -> Result<Vec<Column>, String> {
        match registered.parsed()? {
            Parsed::Avro(schema) if self == Format::Avro => Ok(avro::columns(schema)),
            Parsed::Protobuf(schema) if self == Format::Protobuf => Ok(protobuf::columns(schema)),
            _ => Err(format!(
                "it is {}, and the format of the stream '{self}'",
                registered.schema.schema_type
            )),
        }
    }

    /// A schema whose values have these columns.
    pub fn schema_of(self, stream: &str, columns: &[Column]) -> Result<Schema, String> {
        let (schema_type, text) = match self {
            Format::Avro => (SchemaType::Avro, avro::schema_of(stream, columns)?),
            Format::Protobuf => (SchemaType::Protobuf, protobuf::schema_of(stream, columns)?),
            other => return Err(format!("values of the format '{other}' have no schema")),
        };
        Ok(Schema {
            schema_type,
            text,
            references: Vec::new(),
        })
    }
}

/// Why declared columns do not read what a schema's values have; nothing where they do.
pub fn misfit(declared: &[Column], given: &[Column]) -> Option<String> {
    declared.iter().find_map(|column| {
        let Some(other) = given.iter().find(|other| other.name == column.name) else {
            let may_miss = column.nullable || column.default.is_some();
            return (!may_miss).then(|| format!("it has no field for the column '{column}'"));
        };
        let reads = reads(column.column_type, other.column_type);
        (!reads).then(|| format!("its field for the column '{column}' is {}", other.column_type))
    })
}

/// Whether a column reads the values of another type from their JSON.
fn reads(column: ColumnType, given: ColumnType) -> bool {
    use ColumnType::{BigInt, Date, Decimal, Double, Integer, Json, Real, Text, Timestamp, TimestampTz};
    column == given
        || matches!(
            (column, given),
            (Json, _)
                | (
                    Integer | BigInt | Decimal(..) | Double | Real,
                    Integer | BigInt | Decimal(..)
                )
                | (Double | Real, Double | Real)
                | (Date | Timestamp | TimestampTz | Decimal(..), Text)
                | (TimestampTz, Timestamp)
        )
}

impl Codec {
    /// The schema that a value names, and what is behind it.
    pub(super) fn writer<'a>(&self, value: &'a [u8], written: Written) -> Result<(Arc<Registered>, &'a [u8]), String> {
        let format = self.definition.format;
        let Some(Frame { id, body }) = Frame::of(value) else {
            return Err(format!(
                "the value does not begin with a 0 byte and the id of its schema, as {format} written through a schema registry does"
            ));
        };
        match self.schemas.id_at(id, written.appended_at_us) {
            Some(registered) => Ok((registered, body)),
            None => Err(format!(
                "the value names the schema {id}, which the registry did not have when it was appended"
            )),
        }
    }

    /// The JSON of the row that a value is.
    pub(super) fn read_registered(&self, value: &[u8], written: Written, out: &mut String) -> Result<(), String> {
        let (registered, body) = self.writer(value, written)?;
        let columns = self.definition.columns_of(written.version).unwrap_or_default();
        let read = match (self.definition.format, registered.parsed()?) {
            (Format::Avro, Parsed::Avro(schema)) => avro::read(schema, body, columns, out),
            (Format::Protobuf, Parsed::Protobuf(schema)) => protobuf::read(schema, body, columns, out),
            (format, _) => Err(format!(
                "it is {}, and the stream's format '{format}'",
                registered.schema.schema_type
            )),
        };
        read.map_err(|why| {
            format!(
                "the value was not written with the schema {} that it names: {why}",
                registered.id
            )
        })
    }

    /// The value of a row's JSON, by the latest schema of the stream's subject.
    pub(super) fn write_registered(&self, json: &str) -> Result<Vec<u8>, String> {
        let subject = subject_of(&self.definition.name);
        let latest = self.schemas.version(&subject, Wanted::Latest, Deleted(false));
        let latest = latest
            .map_err(|_| format!("there is no schema to write it with: register one under the subject '{subject}'"))?;
        let registered = latest.registered;
        let columns = self.definition.columns.as_deref().unwrap_or_default();
        let body = match (self.definition.format, registered.parsed()?) {
            (Format::Avro, Parsed::Avro(schema)) => avro::write(schema, json, columns),
            (Format::Protobuf, Parsed::Protobuf(schema)) => protobuf::write(schema, json, columns),
            (format, _) => Err(format!(
                "it is {}, and the stream's format '{format}'",
                registered.schema.schema_type
            )),
        };
        let body = body.map_err(|why| format!("version {} of the subject '{subject}': {why}", latest.version))?;
        let mut value = frame(registered.id);
        value.extend_from_slice(&body);
        Ok(value)
    }

    /// The JSON behind the id of a JSON schema, where a value is framed so: no JSON begins with a 0 byte.
    pub(super) fn unframed<'a>(&self, value: &'a [u8], written: Written) -> &'a [u8] {
        let Some(Frame { id, body }) = Frame::of(value) else {
            return value;
        };
        let registered = self.schemas.id_at(id, written.appended_at_us);
        match registered.is_some_and(|registered| registered.schema.schema_type == SchemaType::Json) {
            true => body,
            false => value,
        }
    }
}
