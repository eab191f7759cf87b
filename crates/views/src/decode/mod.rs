//! From a stream's bytes to Arrow.
//!
//! The columns of a stream as a table: its declared columns (or one `value` of JSON text where it is schema-free), then
//! `_partition` INTEGER, `_offset` BIGINT, `_key` TEXT (a key that is no UTF-8 as `\x` and hex), `_headers` TEXT (a JSON object, NULL without),
//! `_timestamp` TIMESTAMPTZ (the writer's), `_appended_at` TIMESTAMPTZ (ours), `_principal` TEXT.
//!
//! What fits
//! - A stream with columns takes JSON objects, or what its format makes JSON objects of ([`headwater_catalog::Codec`]). Unknown fields are ignored, missing ones are NULL, of a name that repeats the last counts.
//!   An event fits as a whole or not at all, whichever columns are asked for, so that every reader sees the same rows.
//! - Numbers are exact: a DECIMAL, INTEGER or BIGINT is written as a number or as a string, and one that the column cannot hold digit for digit
//!   does not fit (`1.005` in a `DECIMAL(18,2)`). Dates and timestamps are ISO 8601; a TIMESTAMPTZ without a zone is UTC, digits below a
//!   microsecond are cut off. BYTEA is base64.
//! - A tombstone (no value at all) has no columns: it is no row of a stream with columns, and it is not parked either. In a schema-free stream it
//!   is a row whose `value` is NULL. What it deletes is read by [`StreamDecoder::of_tombstones`].
//! - A schema-free stream has no schema that JSON could miss: any UTF-8 text is a row, and `value->>'path'` of text that is no JSON is NULL.
//!
//! Whoever reads rows of a stream reads them here, also those of events that were written with an earlier schema:
//!
//! ```text
//! events by the version they were written with       1 ─┐         2 ── 3 ─┐          4
//! decoded with the columns that can read them           1 ─ upcaster ──── 3 ─ upcaster ── 4
//! ```

mod cell;
mod decoding;
mod one;
mod row;
mod system;
mod tombstones;
mod upcast;

use std::ops::Range;
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use headwater_catalog::{Codec, Column, StreamDefinition};
use headwater_eventlog::StoredBatch;
use headwater_records::Compression;
use headwater_schemas::Schemas;

use decoding::{Part, Reading, Takes, VALUE_COLUMN};
use row::Fields;

pub use decoding::{Decoded, Parked};
pub use row::default_values;
pub use system::{SYSTEM_COLUMNS, text_or_hex};
pub use upcast::Upcaster;

/// Decodes the batches of one stream.
#[derive(Debug, Clone)]
pub struct StreamDecoder {
    definition: StreamDefinition,
    codec: Codec,
    schema: SchemaRef,
    /// What is looked for in values of the newest schema; none where it is schema-free, or tombstones are decoded.
    fields: Option<Arc<Fields>>,
    /// The version that every event counts as written with; `None`: each is of the version of its place.
    written_with: Option<u32>,
    /// The upcasters, by the version whose rows they take.
    upcasters: Vec<Arc<Upcaster>>,
    /// The columns of a tombstone's key, where tombstones are decoded and nothing else.
    tombstones: Option<Vec<Column>>,
}

/// Equal where they make the same rows of the same events.
impl PartialEq for StreamDecoder {
    fn eq(&self, other: &StreamDecoder) -> bool {
        let by = |decoder: &StreamDecoder| (decoder.written_with, decoder.schema.clone());
        by(self) == by(other)
            && self.definition.name == other.definition.name
            && self.definition.columns == other.definition.columns
            && self.definition.earlier == other.definition.earlier
            && self.definition.format == other.definition.format
            && self.upcasters == other.upcasters
    }
}

/// Cuts a run of batches into portions to be decoded one at a time: about `events` events each, and never so many compressed ones
/// that their values could outgrow a column (2 GiB) or the memory at once.
pub fn portions(batches: &[StoredBatch], events: usize) -> impl Iterator<Item = &[StoredBatch]> {
    const COMPRESSED_MAX: usize = 4;
    let mut rest = batches;
    std::iter::from_fn(move || {
        let (mut count, mut compressed) = (0, 0);
        let end = rest.iter().position(|stored| {
            let is_full = count >= events || compressed >= COMPRESSED_MAX;
            count += stored.batch.event_count() as usize;
            compressed += usize::from(stored.batch.compression() != Compression::None);
            is_full
        });
        let (portion, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        (!portion.is_empty()).then_some(portion)
    })
}

impl StreamDecoder {
    /// Decodes events that are written now, with the stream's newest schema, and name no schema of their own.
    pub fn new(definition: &StreamDefinition) -> StreamDecoder {
        StreamDecoder::naming(definition, &Schemas::default())
    }

    /// Decodes events that are written now, with the stream's newest schema. `schemas`: what their values name.
    pub fn naming(definition: &StreamDefinition, schemas: &Schemas) -> StreamDecoder {
        StreamDecoder {
            written_with: Some(definition.version()),
            ..StreamDecoder::with_history(definition, schemas, Vec::new())
        }
    }

    /// Decodes the events of a stream, each by the schema that it was written with. `upcasters`: those of the definition, compiled, in their order.
    pub fn with_history(
        definition: &StreamDefinition,
        schemas: &Schemas,
        upcasters: Vec<Arc<Upcaster>>,
    ) -> StreamDecoder {
        let mut fields = match definition.columns {
            Some(_) => definition.fields(),
            None => vec![Field::new(VALUE_COLUMN, DataType::Utf8, true)],
        };
        fields.extend(system::fields());
        let declared = definition.columns.as_ref();
        StreamDecoder {
            definition: definition.clone(),
            fields: declared.map(|columns| Arc::new(Fields::of(columns, definition.version()))),
            codec: Codec::of(definition, schemas),
            schema: Arc::new(Schema::new(fields)),
            written_with: definition.earlier.is_empty().then(|| definition.version()),
            upcasters,
            tombstones: None,
        }
    }

    /// Decodes events as if all of them had been written with a version of the stream's schema.
    pub fn written_with(&self, version: u32) -> StreamDecoder {
        StreamDecoder {
            written_with: Some(version),
            ..self.clone()
        }
    }

    /// Decodes the stream's tombstones, and nothing else of it.
    pub fn of_tombstones(&self) -> StreamDecoder {
        let columns = tombstones::key_columns(&self.definition);
        let mut fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&column.name, column.column_type.data_type(), true))
            .collect();
        fields.extend(system::fields());
        StreamDecoder {
            schema: Arc::new(Schema::new(fields)),
            fields: None,
            written_with: Some(self.definition.version()),
            upcasters: Vec::new(),
            codec: self.codec.clone(),
            definition: self.definition.clone(),
            tombstones: Some(columns),
        }
    }

    /// The stream that is decoded.
    pub fn stream(&self) -> &str {
        &self.definition.name
    }

    /// The definition that it decodes by.
    pub fn definition(&self) -> &StreamDefinition {
        &self.definition
    }

    /// All columns of the stream as a table.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Decodes the events of one partition with `from <= offset < to`; only the columns of `projection` (indexes into [`StreamDecoder::schema`]) where given.
    /// A batch whose events cannot be read fits as a whole or not at all, and is parked at the first offset that is asked for.
    pub fn decode(
        &self,
        partition: u32,
        batches: &[StoredBatch],
        from: u64,
        to: u64,
        projection: Option<&[usize]>,
    ) -> Decoded {
        let all: Vec<usize>;
        let projection = match projection {
            Some(projection) => projection,
            None => {
                all = (0..self.schema.fields().len()).collect();
                &all
            }
        };
        let newest = self.definition.version();
        if self.written_with == Some(newest) {
            return self.newest(newest, partition, batches, &(from..to), projection);
        }
        let first = batches.first().map_or(from, |stored| stored.batch.base_offset());
        let end = batches.last().map_or(from, |stored| stored.batch.next_offset());
        let mut pieces: Vec<RecordBatch> = Vec::new();
        let mut parked: Vec<Parked> = Vec::new();
        for (version, range) in self.versions(partition, from.max(first)..to.min(end)) {
            let decoded = match self.definition.read_with(version) {
                last if last == newest => self.newest(version, partition, batches, &range, projection),
                _ => self.upcast(version, partition, batches, &range, projection),
            };
            pieces.push(decoded.rows);
            parked.extend(decoded.parked);
        }
        let rows = match pieces.as_slice() {
            [only] => only.clone(),
            _ => {
                let schema = Arc::new(self.schema.project(projection).expect("the columns are the schema's"));
                concat_batches(&schema, &pieces).expect("every piece has the columns asked for")
            }
        };
        Decoded { rows, parked }
    }

    /// The versions that events of a range of offsets were written with, in order.
    fn versions(&self, partition: u32, range: Range<u64>) -> Vec<(u32, Range<u64>)> {
        if let Some(version) = self.written_with {
            return vec![(version, range)];
        }
        let mut versions = Vec::new();
        let mut from = range.start;
        for (index, schema) in self.definition.earlier.iter().enumerate() {
            let until = schema
                .until
                .get(partition as usize)
                .copied()
                .unwrap_or(0)
                .min(range.end);
            if from < until {
                versions.push((index as u32 + 1, from..until));
                from = until;
            }
        }
        if from < range.end || versions.is_empty() {
            versions.push((self.definition.version(), from..range.end));
        }
        versions
    }

    /// Events that the newest columns can read.
    fn newest(
        &self,
        version: u32,
        partition: u32,
        batches: &[StoredBatch],
        range: &Range<u64>,
        projection: &[usize],
    ) -> Decoded {
        let own_columns = self.own_columns();
        let columns = self.tombstones.as_ref().or(self.definition.columns.as_ref());
        let part = |index: &usize| match columns {
            _ if *index >= own_columns => Part::System(index - own_columns),
            Some(_) => Part::Declared(*index),
            None => Part::Value,
        };
        let parts: Vec<Part> = projection.iter().map(part).collect();
        let fields: Vec<_> = projection
            .iter()
            .map(|index| self.schema.fields()[*index].clone())
            .collect();
        let reading = Reading {
            stream: &self.definition.name,
            partition,
            codec: &self.codec,
            columns: columns.map(Vec::as_slice),
            version,
            fields: self.fields.as_ref().filter(|fields| fields.version == version),
            takes: match (&self.tombstones, &self.definition.columns) {
                (Some(_), _) => Takes::Tombstones,
                (None, Some(_)) => Takes::Values,
                (None, None) => Takes::Everything,
            },
        };
        reading.decode(batches, range, &parts, Arc::new(Schema::new(fields)))
    }

    /// Events that go through one upcaster after another. An event is worked out whole, whichever columns are asked for, so that every reader sees the same rows.
    fn upcast(
        &self,
        version: u32,
        partition: u32,
        batches: &[StoredBatch],
        range: &Range<u64>,
        projection: &[usize],
    ) -> Decoded {
        let columns = self.definition.columns_of(self.definition.read_with(version));
        let (parts, schema) = upcast::input(columns);
        let reading = Reading {
            stream: &self.definition.name,
            partition,
            codec: &self.codec,
            columns,
            version,
            fields: None,
            takes: Takes::Values,
        };
        let mut decoded = reading.decode(batches, range, &parts, schema);
        for upcaster in self.upcasters.iter().filter(|upcaster| upcaster.version() >= version) {
            decoded = upcaster.apply(&self.definition.name, decoded);
        }
        let own_columns = self.own_columns();
        let place = |index: &usize| if *index < own_columns { *index } else { index + 1 };
        let places: Vec<usize> = projection.iter().map(place).collect();
        let rows = decoded.rows.project(&places).expect("an upcaster gives every column");
        Decoded { rows, ..decoded }
    }

    fn own_columns(&self) -> usize {
        self.schema.fields().len() - SYSTEM_COLUMNS.len()
    }
}

#[cfg(test)]
mod tests;
