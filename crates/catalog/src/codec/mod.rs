//! The values of a stream, whichever format they are written in, as the JSON of their rows and back.
//!
//! ```text
//! value ── row ──> JSON object ──> the columns         (views and questions, kind and tags)
//! value ── document ──> JSON                           (what an answer shows of an event)
//! value <── write ── JSON object, or a document        (INSERT, commands, appends over HTTP)
//! ```
//!
//! So every rule of what fits a column (exact numbers, moments, defaults, names that a column had) stands once, in what reads JSON.
//!
//! Invariants
//! - What was written is read back as the same row, and what is shown of an event can be appended again as the same event.
//! - A value is read by the schema that it was written with, found by its place: fields without names are those of that version.
//! - What bytes say costs time and memory in proportion to their length.

mod avro;
mod csv;
mod fields;
mod protobuf;
mod registered;
mod single;

use std::sync::Arc;

use headwater_schemas::Schemas;

pub use registered::{misfit, subject_of};

use crate::{Format, StreamDefinition};

/// Reads and writes the values of one stream.
#[derive(Debug, Clone)]
pub struct Codec {
    definition: Arc<StreamDefinition>,
    /// What the values of some formats name their schemas in.
    schemas: Schemas,
}

/// Equal where they read and write alike.
impl PartialEq for Codec {
    fn eq(&self, other: &Codec) -> bool {
        self.definition == other.definition
    }
}

/// What is known of a value beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version of the stream's schema that it was written with.
    pub version: u32,
    /// When it was appended, microseconds since 1970.
    pub appended_at_us: i64,
}

impl Codec {
    /// The codec of a stream.
    pub fn of(definition: &StreamDefinition, schemas: &Schemas) -> Codec {
        Codec::sharing(Arc::new(definition.clone()), schemas)
    }

    /// [`Codec::of`], without a copy of the definition.
    pub(crate) fn sharing(definition: Arc<StreamDefinition>, schemas: &Schemas) -> Codec {
        Codec {
            definition,
            schemas: schemas.clone(),
        }
    }

    /// What is known of a value that is appended now.
    pub fn now(&self) -> Written {
        Written {
            version: self.definition.version(),
            appended_at_us: i64::MAX,
        }
    }

    /// What tells how values are read: equal where they are read alike.
    pub fn reading(&self) -> String {
        let columns = self.definition.columns.iter().flatten();
        let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
        format!("{:?} {names:?}", self.definition.format)
    }

    /// Whether values are the JSON of their rows.
    pub fn is_json(&self) -> bool {
        self.definition.format == Format::Json
    }

    /// The JSON of the row that a value is, made in `scratch` where it does not stand in the value; `Err` says why it is none.
    pub fn row<'a>(&self, value: &'a [u8], written: Written, scratch: &'a mut String) -> Result<&'a str, String> {
        scratch.clear();
        let columns = self.definition.columns_of(written.version).unwrap_or_default();
        match self.definition.format {
            Format::Json => return utf8(self.unframed(value, written)),
            Format::Csv { delimiter } => csv::row(utf8(value)?, delimiter, columns, scratch)?,
            Format::Avro | Format::Protobuf => self.read_registered(value, written, scratch)?,
            Format::Text => single::row(columns, &single::text(utf8(value)?), scratch),
            Format::Bytes => single::row(columns, &single::bytes(value), scratch),
        }
        Ok(scratch)
    }

    /// What an answer shows of a value, as JSON; `None`: it is shown as it stands.
    pub fn document(&self, value: &[u8], written: Written) -> Option<String> {
        match self.definition.format {
            Format::Json => {
                let json = self.unframed(value, written);
                (json.len() < value.len()).then(|| utf8(json).ok().map(str::to_owned))?
            }
            Format::Text => Some(single::text(utf8(value).ok()?)),
            Format::Bytes => Some(single::bytes(value)),
            Format::Csv { .. } | Format::Avro | Format::Protobuf => {
                let mut scratch = String::new();
                self.row(value, written, &mut scratch).ok().map(str::to_owned)
            }
        }
    }

    /// The version of the schema that the event which stands there was written with, where the stream had another before or has another by now.
    pub fn version_told(&self, partition: u32, offset: u64) -> Option<u32> {
        let is_altered = self.definition.version() > 1;
        is_altered.then(|| self.definition.version_at(partition, offset))
    }

    /// What an answer shows of the value of an event that stands there, as JSON; `None`: it is shown as it stands.
    pub fn document_at(&self, partition: u32, offset: u64, appended_at_us: i64, value: &[u8]) -> Option<String> {
        let version = self.definition.version_at(partition, offset);
        self.document(
            value,
            Written {
                version,
                appended_at_us,
            },
        )
    }

    /// The value that a row's JSON is, or a document's; `Err` says why it is none.
    pub fn write(&self, json: &str) -> Result<Vec<u8>, String> {
        match self.definition.format {
            Format::Json => Ok(json.as_bytes().to_vec()),
            Format::Csv { delimiter } => {
                let columns = self.definition.columns.as_deref().unwrap_or_default();
                csv::write(json, delimiter, columns)
            }
            Format::Avro | Format::Protobuf => self.write_registered(json),
            Format::Text => single::write_text(&self.definition, json),
            Format::Bytes => single::write_bytes(&self.definition, json),
        }
    }
}

/// The text of a value's bytes.
#[inline]
pub fn utf8(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|error| {
        format!(
            "the value is no UTF-8 text: the byte {} is not part of a character",
            error.valid_up_to()
        )
    })
}

#[cfg(test)]
mod tests;
