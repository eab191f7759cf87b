//! From a stream's bytes to Arrow.
//!
//! The columns of a stream as a table: its declared columns (or one `value` of JSON text where it is schema-free), then
//! `_partition` INTEGER, `_offset` BIGINT, `_key` TEXT (a key that is no UTF-8 as `\x` and hex), `_headers` TEXT (a JSON object, NULL without),
//! `_timestamp` TIMESTAMPTZ (the writer's), `_appended_at` TIMESTAMPTZ (ours), `_principal` TEXT.
//!
//! What fits
//! - A stream with columns takes JSON objects. Unknown fields are ignored, missing ones are NULL, of a name that repeats the last counts.
//!   An event fits as a whole or not at all, whichever columns are asked for, so that every reader sees the same rows.
//! - Numbers are exact: a DECIMAL, INTEGER or BIGINT is written as a number or as a string, and one that the column cannot hold digit for digit
//!   does not fit (`1.005` in a `DECIMAL(18,2)`). Dates and timestamps are ISO 8601; a TIMESTAMPTZ without a zone is UTC, digits below a
//!   microsecond are cut off. BYTEA is base64.
//! - A tombstone (no value at all) has no columns: it is no row of a stream with columns, and it is not parked either. In a schema-free stream it
//!   is a row whose `value` is NULL.
//! - A schema-free stream has no schema that JSON could miss: any UTF-8 text is a row, and `value->>'path'` of text that is no JSON is NULL.

mod cell;
mod system;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use headwater_catalog::value::json::{self, JsonError};
use headwater_catalog::{Column, StreamDefinition};
use headwater_eventlog::StoredBatch;
use headwater_records::{Address, Batch, BatchError, Compression, Event, Events};

use cell::{Builder, Cell};
use system::SystemBuilder;
pub(crate) use system::text_or_hex;

/// The columns that every stream has besides its own, in order.
pub const SYSTEM_COLUMNS: [&str; 7] = [
    "_partition",
    "_offset",
    "_key",
    "_headers",
    "_timestamp",
    "_appended_at",
    "_principal",
];

/// The one column of a schema-free stream.
const VALUE_COLUMN: &str = "value";
/// How much of a value an explanation repeats, in characters.
const QUOTED_MAX: usize = 80;

/// Decodes the batches of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamDecoder {
    stream: String,
    /// `None`: schema-free.
    columns: Option<Vec<Column>>,
    schema: SchemaRef,
}

/// What came of decoding.
#[derive(Debug)]
pub struct Decoded {
    /// The events that fit, in order.
    pub rows: RecordBatch,
    /// Those that did not.
    pub parked: Vec<Parked>,
}

/// An event whose value does not fit its stream's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Where it stands.
    pub address: Address,
    /// What does not fit: column, value, why.
    pub reason: String,
    /// The value as it came.
    pub value: Option<Bytes>,
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
    /// A decoder for the stream's definition.
    pub fn new(definition: &StreamDefinition) -> StreamDecoder {
        let mut fields = match definition.columns {
            Some(_) => definition.fields(),
            None => vec![Field::new(VALUE_COLUMN, DataType::Utf8, true)],
        };
        fields.extend(system::fields());
        StreamDecoder {
            stream: definition.name.clone(),
            columns: definition.columns.clone(),
            schema: Arc::new(Schema::new(fields)),
        }
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
        let rows: usize = batches.iter().map(|stored| stored.batch.event_count() as usize).sum();
        let mut decoding = Decoding::new(self, partition, projection, rows);
        for stored in batches {
            if stored.batch.is_control() || stored.batch.next_offset() <= from || stored.batch.base_offset() >= to {
                continue;
            }
            match readable(&stored.batch) {
                Ok(events) => decoding.batch(stored, &events, from..to),
                Err(error) => decoding.unreadable(&stored.batch, from, &error),
            }
        }
        decoding.finish()
    }

    /// Whether one value fits the stream's schema: for doors that refuse at once. `Err` holds the reason.
    pub fn check(&self, value: Option<&[u8]>) -> Result<(), String> {
        match (value, &self.columns) {
            (None, _) => Ok(()),
            (Some(value), None) => text(value).map(drop),
            (Some(value), Some(columns)) => RowReader::new(columns).read(text(value)?),
        }
    }

    fn own_columns(&self) -> usize {
        self.schema.fields().len() - SYSTEM_COLUMNS.len()
    }
}

/// The events of a batch, every one of which can be read. They are looked through first, so that a batch is taken whole or not at all, and
/// kept packed, so that a batch of a million small events takes no more memory than its bytes.
fn readable(batch: &Batch) -> Result<Events, BatchError> {
    let events = batch.open()?;
    for slice in events.iter() {
        slice?.check_headers()?;
    }
    Ok(events)
}

/// One call of [`StreamDecoder::decode`].
struct Decoding<'a> {
    decoder: &'a StreamDecoder,
    partition: u32,
    reader: Option<RowReader<'a>>,
    /// In the order of the projection.
    builders: Vec<ProjectedBuilder>,
    schema: SchemaRef,
    rows: usize,
    parked: Vec<Parked>,
}

enum ProjectedBuilder {
    /// A declared column, by its index.
    Declared(usize, Builder),
    /// The whole value as text.
    Value(StringBuilder),
    System(SystemBuilder),
}

impl<'a> Decoding<'a> {
    fn new(decoder: &'a StreamDecoder, partition: u32, projection: &[usize], rows: usize) -> Decoding<'a> {
        let own_columns = decoder.own_columns();
        let builders = projection.iter().map(|index| match &decoder.columns {
            _ if *index >= own_columns => ProjectedBuilder::System(SystemBuilder::new(index - own_columns, rows)),
            Some(columns) => ProjectedBuilder::Declared(*index, Builder::new(columns[*index].column_type, rows)),
            None => ProjectedBuilder::Value(StringBuilder::with_capacity(rows, rows * 64)),
        });
        Decoding {
            decoder,
            partition,
            reader: decoder.columns.as_deref().map(RowReader::new),
            builders: builders.collect(),
            schema: Arc::new(Schema::new(
                projection
                    .iter()
                    .map(|index| decoder.schema.fields()[*index].clone())
                    .collect::<Vec<_>>(),
            )),
            rows: 0,
            parked: Vec::new(),
        }
    }

    /// The events of a batch that was looked through.
    fn batch(&mut self, stored: &StoredBatch, events: &Events, range: Range<u64>) {
        for slice in events.iter().map_while(Result::ok) {
            if range.contains(&slice.offset)
                && let Ok(event) = events.event(&slice)
            {
                self.event(slice.offset, stored, &event);
            }
        }
    }

    fn unreadable(&mut self, batch: &Batch, from: u64, error: &BatchError) {
        self.parked.push(Parked {
            address: Address {
                stream: self.decoder.stream.clone(),
                partition: self.partition,
                offset: batch.base_offset().max(from),
            },
            reason: format!(
                "the batch of the offsets {} to {} cannot be read: {error}",
                batch.base_offset(),
                batch.next_offset() - 1
            ),
            value: None,
        });
    }

    fn event(&mut self, offset: u64, stored: &StoredBatch, event: &Event) {
        let text = match (&event.value, &mut self.reader) {
            (None, None) => Ok(None),
            (None, Some(_)) => return,
            (Some(value), None) => text(value).map(Some),
            (Some(value), Some(reader)) => text(value).and_then(|text| reader.read(text).map(|()| Some(text))),
        };
        let text = match text {
            Ok(text) => text,
            Err(reason) => {
                self.parked.push(Parked {
                    address: Address {
                        stream: self.decoder.stream.clone(),
                        partition: self.partition,
                        offset,
                    },
                    reason,
                    value: event.value.clone(),
                });
                return;
            }
        };
        self.rows += 1;
        for builder in &mut self.builders {
            match builder {
                ProjectedBuilder::Declared(column, builder) => {
                    if let (Some(reader), Some(text)) = (&self.reader, text) {
                        builder.append(&reader.cells[*column], text, &reader.scratch);
                    }
                }
                ProjectedBuilder::Value(builder) => builder.append_option(text),
                ProjectedBuilder::System(builder) => builder.append(self.partition, offset, stored, event),
            }
        }
    }

    fn finish(self) -> Decoded {
        let columns: Vec<ArrayRef> = self
            .builders
            .into_iter()
            .map(|builder| match builder {
                ProjectedBuilder::Declared(_, builder) => builder.finish(),
                ProjectedBuilder::Value(mut builder) => Arc::new(builder.finish()) as ArrayRef,
                ProjectedBuilder::System(builder) => builder.finish(),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let rows = RecordBatch::try_new_with_options(self.schema, columns, &options)
            .expect("every builder took every row, and NOT NULL was checked before");
        Decoded {
            rows,
            parked: self.parked,
        }
    }
}

/// Reads one value after another into cells.
struct RowReader<'a> {
    columns: &'a [Column],
    cells: Vec<Cell>,
    /// Unescaped texts and decoded bytes of the row.
    scratch: Vec<u8>,
    /// An escaped field name, resolved.
    name: Vec<u8>,
}

/// Why a value is no row.
enum RowError {
    Json(JsonError),
    Misfit(String),
}

impl From<JsonError> for RowError {
    fn from(error: JsonError) -> RowError {
        RowError::Json(error)
    }
}

impl<'a> RowReader<'a> {
    fn new(columns: &'a [Column]) -> RowReader<'a> {
        RowReader {
            columns,
            cells: vec![Cell::Null; columns.len()],
            scratch: Vec::new(),
            name: Vec::new(),
        }
    }

    /// Reads a value's cells, or says why it does not fit.
    fn read(&mut self, text: &str) -> Result<(), String> {
        self.scratch.clear();
        self.cells.fill(Cell::Null);
        let RowReader {
            columns,
            cells,
            scratch,
            name: name_buffer,
        } = self;
        // Writers mostly keep the order of the columns: the one after the last is the first guess.
        let mut guess = 0;
        let read = json::each_field(text, |raw_name, has_escapes, value, whole| {
            let mut name = raw_name.as_bytes();
            if has_escapes {
                name_buffer.clear();
                // A name that is no text is no column's name.
                if json::unescape(raw_name, name_buffer).is_err() {
                    return Ok(());
                }
                name = name_buffer;
            }
            let is_it = |index: usize| columns.get(index).is_some_and(|column| column.name.as_bytes() == name);
            let index = if is_it(guess) {
                guess
            } else {
                (0..columns.len()).find(|index| is_it(*index)).unwrap_or(columns.len())
            };
            let (Some(column), Some(cell)) = (columns.get(index), cells.get_mut(index)) else {
                return Ok(());
            };
            guess = index + 1;
            *cell = cell::read(column.column_type, value, whole, text, scratch).map_err(|why| {
                RowError::Misfit(format!(
                    "column '{}' {}: {} {why}",
                    column.name,
                    column.column_type,
                    quoted(whole)
                ))
            })?;
            Ok(())
        });
        match read {
            Ok(()) => self.check_not_null(),
            Err(RowError::Misfit(reason)) => Err(reason),
            Err(RowError::Json(_)) if text.is_empty() => {
                Err("the value is empty, a JSON object was expected".to_owned())
            }
            Err(RowError::Json(error)) => Err(format!(
                "the value is no JSON object: {} at byte {}: {}",
                error.what,
                error.at,
                quoted(text)
            )),
        }
    }

    fn check_not_null(&self) -> Result<(), String> {
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            if *cell == Cell::Null && !column.nullable {
                return Err(format!(
                    "column '{}' {} NOT NULL: it is missing or null",
                    column.name, column.column_type
                ));
            }
        }
        Ok(())
    }
}

fn text(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|error| {
        format!(
            "the value is no UTF-8 text: the byte {} is not part of a character",
            error.valid_up_to()
        )
    })
}

/// A value for an explanation, shortened.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
