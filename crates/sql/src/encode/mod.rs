//! From rows to events: what an INSERT, a command and a JSON body have in common.
//!
//! Invariants
//! - An event's value is one JSON object (exact decimals as numbers, times as ISO 8601, NULL fields left out), or what the stream's format makes of it.
//! - The key is made of the stream's `KEY` columns: of one column its text, of several a JSON array of their values; NULL in it means no key.
//!   The same row has the same key through every door.

pub mod array_text;
pub(crate) mod as_read;
mod assign;
pub mod calendar;
mod encoders;
pub mod float_text;
pub mod interval_text;
mod json;
mod json_floats;
mod json_values;
pub(crate) mod moment_text;
pub(crate) mod number_text;
mod pack;
mod results;
pub(crate) mod zone;

use std::sync::Arc;

use arrow::json::writer::make_encoder;
use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, ScalarValue};
use headwater_catalog::{Codec, Column, ColumnType, INTERNAL_PREFIX, StreamDefinition, utf8};
use headwater_eventlog::StoredBatch;
use headwater_records::{Batch, Compression, Event};
use headwater_schemas::Schemas;
use headwater_views::decode::{StreamDecoder, default_values};

use crate::{SqlError, SqlState};

pub use assign::assign_value;
pub(crate) use assign::bytes_written;
pub(crate) use encoders::Encoders;
use json_floats::json_floats;
pub use json_values::{JSON_OPTIONS, in_utc};
pub use pack::{Packed, pack};
pub(crate) use pack::{pack_within, position_after};
pub(crate) use results::Results;

/// Makes the events of one stream.
pub struct EventEncoder {
    stream: String,
    columns: Vec<Column>,
    /// Indexes into the columns.
    key: Vec<usize>,
    schema: SchemaRef,
    schema_free: bool,
    codec: Codec,
    decoder: StreamDecoder,
}

/// A value that does not fit its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Which of the values, from 0.
    pub index: usize,
    /// What does not fit.
    pub reason: String,
}

impl EventEncoder {
    /// For a stream that may be written to: internal ones are refused.
    pub fn new(definition: &StreamDefinition, schemas: &Schemas) -> Result<EventEncoder, SqlError> {
        if definition.name.starts_with(INTERNAL_PREFIX) {
            let message = format!("'{}' is written by the program itself", definition.name);
            return Err(SqlError::new(SqlState::NOT_ALLOWED, message).hint("append to a stream of your own"));
        }
        let schema_free = definition.columns.is_none();
        let columns = definition
            .columns
            .clone()
            .unwrap_or_else(|| vec![Column::new("value", ColumnType::Json, false)]);
        let mut key: Vec<usize> = Vec::new();
        for name in &definition.key {
            key.extend(columns.iter().position(|column| column.name == *name));
        }
        let mut fields: Vec<Field> = Vec::new();
        for column in &columns {
            fields.push(Field::new(
                &column.name,
                column.column_type.data_type(),
                column.nullable,
            ));
        }
        let schema = Arc::new(Schema::new(fields));
        let decoder = StreamDecoder::naming(definition, schemas);
        Ok(EventEncoder {
            stream: definition.name.clone(),
            columns,
            key,
            schema,
            schema_free,
            codec: Codec::of(definition, schemas),
            decoder,
        })
    }

    /// The columns that rows are made of: the stream's own, or one `value` of JSON where it is schema-free.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What reads and writes the stream's values.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Rows as the stream's columns take them: each array is cast to its column's type as PostgreSQL assigns values; `None` is NULL throughout.
    pub fn assign(&self, rows: usize, arrays: &[Option<ArrayRef>]) -> Result<RecordBatch, SqlError> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let array = match arrays.get(index).and_then(Option::as_ref) {
                Some(array) => assign::column(array, column)?,
                None => default_values(column, rows),
            };
            if !column.nullable && array.null_count() > 0 {
                return Err(self.null_in(column));
            }
            columns.push(array);
        }
        Ok(RecordBatch::try_new(self.schema(), columns).map_err(datafusion::common::DataFusionError::from)?)
    }

    /// The events of rows that [`EventEncoder::assign`] made. `timestamp_ms` is the writer's clock.
    pub fn encode(&self, rows: &RecordBatch, timestamp_ms: i64) -> Result<Vec<Event>, SqlError> {
        let mut events: Vec<Event> = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let mut value: Vec<u8> = Vec::new();
            if self.schema_free {
                json::write(&mut value, rows.column(0), ColumnType::Json, row)?;
            } else {
                json::write_object(&mut value, rows, &self.columns, row)?;
            }
            if !self.codec.is_json() {
                let written = utf8(&value).and_then(|json| self.codec.write(json));
                value = written.map_err(|why| self.unwritable(why))?;
            }
            let key = self.key(rows, row)?;
            events.push(Event {
                key,
                value: Some(Bytes::from(value)),
                headers: Vec::new(),
                timestamp_ms,
            });
        }
        Ok(events)
    }

    /// Whether one value fits the stream; `Err` holds the reason.
    pub fn check(&self, value: Option<&[u8]>) -> Result<(), String> {
        self.decoder.check(value)
    }

    /// The events of JSON values, which stand as they came where the stream's format is JSON, with the key that the same row would get by INSERT.
    pub fn events_from_json(&self, values: Vec<Bytes>, timestamp_ms: i64) -> Result<Vec<Event>, Unfit> {
        let mut events: Vec<Event> = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let unfit = |reason| Unfit { index, reason };
            let value = self.in_format(value).map_err(unfit)?;
            // Where there is a key, it is checked as its columns are read.
            if self.key.is_empty() {
                self.decoder.check(Some(&value)).map_err(unfit)?;
            }
            events.push(Event {
                key: None,
                value: Some(value),
                headers: Vec::new(),
                timestamp_ms,
            });
        }
        let unfit = |reason: String| Unfit { index: 0, reason };
        match events.as_mut_slice() {
            _ if self.key.is_empty() => return Ok(events),
            [] => return Ok(events),
            // One alone is not worth a batch.
            [only] => {
                let columns = self
                    .decoder
                    .read_one(only.value.as_deref().unwrap_or_default(), &self.key);
                let key = self.key_of(columns.map_err(unfit)?.iter(), 0);
                only.key = key.map_err(|error| unfit(error.message))?;
                return Ok(events);
            }
            _ => {}
        }
        let count = events.len() as u64;
        let stored = not_yet_appended(&events);
        let decoded = self.decoder.decode(0, &[stored], 0, count, Some(&self.key));
        if decoded.rows.num_rows() != events.len() {
            let parked = decoded.parked.into_iter().next();
            return Err(parked.map_or_else(
                || unfit("it does not fit the stream".to_owned()),
                |parked| Unfit {
                    index: parked.address.offset as usize,
                    reason: parked.reason,
                },
            ));
        }
        for (row, event) in events.iter_mut().enumerate() {
            let columns = (0..self.key.len()).map(|column| decoded.rows.column(column));
            event.key = self.key_of(columns, row).map_err(|error| Unfit {
                index: row,
                reason: error.message,
            })?;
        }
        Ok(events)
    }

    /// The event that deletes the row of a key, with the key as the row's events have it.
    pub fn tombstone(&self, key: Bytes, timestamp_ms: i64) -> Result<Event, String> {
        let mut event = Event {
            key: Some(key),
            value: None,
            headers: Vec::new(),
            timestamp_ms,
        };
        if self.key.is_empty() {
            return Ok(event);
        }
        let stored = not_yet_appended(std::slice::from_ref(&event));
        let columns: Vec<usize> = (0..self.key.len()).collect();
        let decoded = self.decoder.of_tombstones().decode(0, &[stored], 0, 1, Some(&columns));
        if let Some(parked) = decoded.parked.into_iter().next() {
            return Err(parked.reason);
        }
        event.key = self
            .key_of(decoded.rows.columns().iter(), 0)
            .map_err(|error| error.message)?;
        Ok(event)
    }

    /// A JSON value as the stream's format writes it.
    fn in_format(&self, value: Bytes) -> Result<Bytes, String> {
        match self.codec.is_json() {
            true => Ok(value),
            false => Ok(Bytes::from(self.codec.write(utf8(&value)?)?)),
        }
    }

    fn unwritable(&self, why: String) -> SqlError {
        let message = format!(
            "a row cannot be written as the format of stream \"{}\" asks for: {why}",
            self.stream
        );
        SqlError::new(SqlState::INVALID_TEXT, message).hint("DESCRIBE the stream")
    }

    fn key(&self, rows: &RecordBatch, row: usize) -> Result<Option<Bytes>, SqlError> {
        self.key_of(self.key.iter().map(|column| rows.column(*column)), row)
    }

    fn key_of<'a>(&self, arrays: impl Iterator<Item = &'a ArrayRef>, row: usize) -> Result<Option<Bytes>, SqlError> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for (array, column) in arrays.zip(&self.key) {
            let (true, Some(column)) = (array.is_valid(row), self.columns.get(*column)) else {
                return Ok(None);
            };
            let mut part: Vec<u8> = Vec::new();
            json::write(&mut part, array, column.column_type, row)?;
            parts.push(part);
        }
        match parts.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(Bytes::from(json::plain_text(only)))),
            parts => {
                let mut key: Vec<u8> = vec![b'['];
                key.extend(parts.join(&b','));
                key.push(b']');
                Ok(Some(Bytes::from(key)))
            }
        }
    }

    fn null_in(&self, column: &Column) -> SqlError {
        let message = format!(
            "column \"{}\" of stream \"{}\" is NOT NULL, and a row has no value for it",
            column.name, self.stream
        );
        SqlError::new(SqlState::NOT_NULL, message).hint("give it a value")
    }
}

/// Events as the log would give them.
fn not_yet_appended(events: &[Event]) -> StoredBatch {
    StoredBatch {
        batch: Batch::encode(events, Compression::None, None),
        // Not before the schema that they name.
        appended_at_us: i64::MAX,
        principal: "".into(),
    }
}

/// The position of a column by name, or the error that names those there are.
pub(crate) fn column_index(schema: &Schema, stream: &str, name: &str) -> Result<usize, SqlError> {
    schema.index_of(name).map_err(|_| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let message = format!("column \"{name}\" of stream \"{stream}\" does not exist");
        SqlError::new(SqlState::UNKNOWN_COLUMN, message).hint(format!("its columns are {}", names.join(", ")))
    })
}

/// One value as a JSON value's text: what an API shows of a column of any type.
pub fn json_of(value: &ScalarValue) -> Result<String, SqlError> {
    let array = value.to_array()?;
    let mut text: Vec<u8> = Vec::new();
    match json_floats(&array) {
        Some(mut floats) if !value.is_null() => floats.encode(0, &mut text),
        _ if array.data_type().is_nested() && !value.is_null() => {
            let field: FieldRef = Arc::new(Field::new("value", array.data_type().clone(), true));
            let mut encoder = make_encoder(&field, &array, &JSON_OPTIONS).map_err(DataFusionError::from)?;
            encoder.encode(0, &mut text);
        }
        _ => json::write(&mut text, &array, column_type(array.data_type()), 0)?,
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A row as a JSON object of its columns.
pub(crate) fn object_of(rows: &RecordBatch, row: usize) -> Result<String, SqlError> {
    let mut fields: Vec<String> = Vec::with_capacity(rows.num_columns());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let value = json_of(&ScalarValue::try_from_array(column, row)?)?;
        fields.push(format!("{}:{value}", serde_json::Value::from(field.name().as_str())));
    }
    Ok(format!("{{{}}}", fields.join(",")))
}

/// One value as people write it: as in JSON, a text without its quotes.
pub fn plain_text_of(value: &ScalarValue) -> Result<String, SqlError> {
    let text = json_of(value)?;
    Ok(String::from_utf8_lossy(&json::plain_text(text.as_bytes())).into_owned())
}

/// One value of a column's type as that column's JSON.
pub(crate) fn json_text(value: &ScalarValue, column_type: ColumnType) -> Result<String, SqlError> {
    let mut text: Vec<u8> = Vec::new();
    json::write(&mut text, &value.to_array()?, column_type, 0)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The column type that values of an Arrow type are written as.
fn column_type(data_type: &DataType) -> ColumnType {
    match data_type {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => ColumnType::Bytes,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(_, None) => ColumnType::Timestamp,
        DataType::Timestamp(_, Some(_)) => ColumnType::TimestampTz,
        DataType::Float32 => ColumnType::Real,
        DataType::Float64 => ColumnType::Double,
        DataType::Int32 => ColumnType::Integer,
        DataType::Int64 => ColumnType::BigInt,
        DataType::Decimal128(precision, scale) => ColumnType::Decimal(*precision, *scale),
        _ => ColumnType::Text,
    }
}
