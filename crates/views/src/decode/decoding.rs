//! The events of one version of a schema, decoded into a batch.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use headwater_catalog::{Codec, Column, Written};
use headwater_eventlog::StoredBatch;
use headwater_records::{Address, Batch, BatchError, EventSlice, Events};

use super::cell::Builder;
use super::row::{Fields, RowReader};
use super::system::SystemBuilder;
use super::tombstones;

/// The one column of a schema-free stream.
pub(super) const VALUE_COLUMN: &str = "value";

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

/// What a column of the batch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A declared column, by its index.
    Declared(usize),
    /// The whole value as text.
    Value,
    /// A system column, by its index.
    System(usize),
}

/// Events of one version of a schema, to be read into these columns.
pub(super) struct Reading<'a> {
    pub stream: &'a str,
    pub partition: u32,
    /// What makes JSON of the values.
    pub codec: &'a Codec,
    /// `None`: schema-free.
    pub columns: Option<&'a [Column]>,
    pub version: u32,
    /// What is looked for in the values; `None`: to be found out.
    pub fields: Option<&'a Arc<Fields>>,
    pub takes: Takes,
}

/// Which events are rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Those that have a value.
    Values,
    /// All: there is nothing to a row but the value, which may be none.
    Everything,
    /// Those that have none, by their keys.
    Tombstones,
}

impl Reading<'_> {
    /// Decodes the events of a range of offsets into these parts, which have this schema.
    pub(super) fn decode(
        &self,
        batches: &[StoredBatch],
        range: &Range<u64>,
        parts: &[Part],
        schema: SchemaRef,
    ) -> Decoded {
        let touches =
            |batch: &Batch| !batch.is_control() && batch.next_offset() > range.start && batch.base_offset() < range.end;
        let touched: Vec<&StoredBatch> = batches.iter().filter(|stored| touches(&stored.batch)).collect();
        let rows: usize = touched.iter().map(|stored| stored.batch.event_count() as usize).sum();
        // Next to all batches can be read, and are walked through once.
        let mut decoding = Decoding::new(self, parts, Arc::clone(&schema), rows);
        let mut taking = touched.iter();
        if taking.all(|stored| decoding.batch(stored, range).is_ok()) {
            return decoding.finish();
        }
        // A batch is taken whole or not at all: once one cannot be read, each is looked through before any event of it is taken.
        let mut decoding = Decoding::new(self, parts, schema, rows);
        for stored in touched {
            if let Err(error) = readable(&stored.batch).and_then(|()| decoding.batch(stored, range)) {
                decoding.unreadable(&stored.batch, range.start, &error);
            }
        }
        decoding.finish()
    }
}

/// Whether every event of a batch can be read. None of them is kept meanwhile, so that a batch of a million small events takes no more memory than
/// its bytes.
fn readable(batch: &Batch) -> Result<(), BatchError> {
    let events = batch.open()?;
    for slice in events.iter() {
        slice?.check_headers()?;
    }
    Ok(())
}

/// One call of [`Reading::decode`].
struct Decoding<'a> {
    reading: &'a Reading<'a>,
    reader: Option<RowReader<'a>>,
    /// In the order of the parts.
    builders: Vec<PartBuilder>,
    schema: SchemaRef,
    rows: usize,
    parked: Vec<Parked>,
    /// The JSON of a row that does not stand in its value.
    json: String,
}

enum PartBuilder {
    Declared(usize, Builder),
    Value(StringBuilder),
    System(SystemBuilder),
}

impl<'a> Decoding<'a> {
    fn new(reading: &'a Reading<'a>, parts: &[Part], schema: SchemaRef, rows: usize) -> Decoding<'a> {
        let columns = reading.columns.unwrap_or_default();
        let builder = |part: &Part| match part {
            Part::Declared(index) => PartBuilder::Declared(*index, Builder::new(columns[*index].column_type, rows)),
            Part::Value => PartBuilder::Value(StringBuilder::with_capacity(rows, rows * 64)),
            Part::System(index) => PartBuilder::System(SystemBuilder::new(*index, rows)),
        };
        Decoding {
            reading,
            reader: reading.columns.map(|columns| {
                let fields = reading
                    .fields
                    .map_or_else(|| Arc::new(Fields::of(columns, reading.version)), Arc::clone);
                RowReader::new(columns, fields)
            }),
            builders: parts.iter().map(builder).collect(),
            schema,
            rows: 0,
            parked: Vec::new(),
            json: String::new(),
        }
    }

    /// The events of a batch. Where not all of them can be read, some may have been taken.
    fn batch(&mut self, stored: &StoredBatch, range: &Range<u64>) -> Result<(), BatchError> {
        let events = stored.batch.open()?;
        for slice in events.iter() {
            let slice = slice?;
            slice.check_headers()?;
            if range.contains(&slice.offset) {
                self.event(stored, &events, &slice);
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, batch: &Batch, from: u64, error: &BatchError) {
        self.parked.push(Parked {
            address: self.address(batch.base_offset().max(from)),
            reason: format!(
                "the batch of the offsets {} to {} cannot be read: {error}",
                batch.base_offset(),
                batch.next_offset() - 1
            ),
            value: None,
        });
    }

    fn address(&self, offset: u64) -> Address {
        Address {
            stream: self.reading.stream.to_owned(),
            partition: self.reading.partition,
            offset,
        }
    }

    fn event(&mut self, stored: &StoredBatch, events: &Events, event: &EventSlice<'_>) {
        let written = Written {
            version: self.reading.version,
            appended_at_us: stored.appended_at_us,
        };
        let key: String;
        let text = match (event.value, &mut self.reader) {
            (None, _) if self.reading.takes == Takes::Values => return,
            (Some(_), _) if self.reading.takes == Takes::Tombstones => return,
            (None, Some(reader)) => {
                let columns = self.reading.columns.unwrap_or_default();
                match tombstones::object_of(event.key, columns) {
                    Ok(object) => {
                        key = object;
                        reader.read(&key).map(|()| Some(key.as_str()))
                    }
                    Err(reason) => Err(reason),
                }
            }
            (None, None) => Ok(None),
            (Some(value), None) => self.reading.codec.row(value, written, &mut self.json).map(Some),
            (Some(value), Some(reader)) => {
                let row = self.reading.codec.row(value, written, &mut self.json);
                row.and_then(|row| reader.read(row).map(|()| Some(row)))
            }
        };
        let text = match text {
            Ok(text) => text,
            Err(reason) => {
                let address = Address {
                    stream: self.reading.stream.to_owned(),
                    partition: self.reading.partition,
                    offset: event.offset,
                };
                let value = events.event(event).ok().and_then(|event| event.value);
                self.parked.push(Parked { address, reason, value });
                return;
            }
        };
        self.rows += 1;
        for builder in &mut self.builders {
            match builder {
                PartBuilder::Declared(column, builder) => {
                    if let (Some(reader), Some(text)) = (&self.reader, text) {
                        builder.append(&reader.cells[*column], text, &reader.scratch);
                    }
                }
                PartBuilder::Value(builder) => builder.append_option(text),
                PartBuilder::System(builder) => builder.append(self.reading.partition, stored, event),
            }
        }
    }

    fn finish(self) -> Decoded {
        let columns: Vec<ArrayRef> = self
            .builders
            .into_iter()
            .map(|builder| match builder {
                PartBuilder::Declared(_, builder) => builder.finish(),
                PartBuilder::Value(mut builder) => Arc::new(builder.finish()) as ArrayRef,
                PartBuilder::System(builder) => builder.finish(),
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
