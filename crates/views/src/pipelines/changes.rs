//! The changes of a view, as a pipeline takes them: for each event that changes a row, the row after it and the row before.
//!
//! ```text
//! events ── waves ── rows before ── fold ── rows after ── changes, in the order of the events
//! ```
//!
//! A wave is a run of events no two of which have a row in common, so that what the wave did to a row is what one event did.
//!
//! The fold is the pipeline's own, with a store of its own. The store is written only where everything that came of it is durable, together with
//! the pipeline's position; after a start the events between the two are folded again and nothing is said of them. So each change is told once.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, StringArray, StructArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{concat_batches, filter_record_batch, sort_to_indices, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use hashbrown::HashSet;
use headwater_eventlog::{EventLog, StoredBatch};
use headwater_records::Position;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::columns::{BEFORE_COLUMN, CHANGE_COLUMN, DELETE, OFFSET};
use super::limits::{DECODE_EVENTS, NOTE_EVERY, READ_BYTES};
use super::slice::offset_of;
use crate::decode::{SYSTEM_COLUMNS, StreamDecoder, portions};
use crate::fold::Counts;
use crate::query::{RowsOf, Source};
use crate::{GroupKey, Panicked, View, ViewError, ViewOptions, caught};

/// The columns of `CHANGES OF` a view: those of its rows, those that the event has besides its own, and what happened.
pub fn changes_schema(rows: &Schema, event: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> = nullable(rows).iter().map(|field| field.as_ref().clone()).collect();
    fields.extend(
        SYSTEM_COLUMNS
            .iter()
            .filter_map(|name| event.field_with_name(name).ok().cloned()),
    );
    fields.push(Field::new(CHANGE_COLUMN, DataType::Utf8, false));
    fields.push(Field::new(BEFORE_COLUMN, DataType::Struct(nullable(rows)), true));
    Arc::new(Schema::new(fields))
}

fn nullable(rows: &Schema) -> Fields {
    let open = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    rows.fields().iter().map(open).collect()
}

/// Says of an event whether it is a tombstone; beside what is decoded of it.
const TOMBSTONE: &str = "_tombstone";

/// The fold whose changes are told.
pub(super) struct Changes {
    view: View,
    /// The streams that the view reads, by name.
    streams: Vec<ReadStream>,
    schema: SchemaRef,
    options: ViewOptions,
    /// When the rows were written last, and how far they had come.
    written: Mutex<(Instant, Position)>,
}

/// A stream that the view reads.
struct ReadStream {
    name: String,
    /// How its events are decoded: the columns that the view reads, and the system columns.
    events: Decoding,
    /// And its tombstones, where they delete rows.
    tombstones: Option<Decoding>,
}

impl ReadStream {
    fn of(view: &View, name: &str) -> Result<ReadStream, ViewError> {
        let decoder = view.decoder(name);
        let decoder = decoder.ok_or_else(|| ViewError::Failed(format!("'{name}' is no stream")))?;
        let tombstones = match view.query.follows_tombstones(name) {
            true => Some(Decoding::of(
                view,
                Source::Tombstones(name.to_owned()),
                decoder.of_tombstones(),
            )?),
            false => None,
        };
        Ok(ReadStream {
            name: name.to_owned(),
            events: Decoding::of(view, Source::Events(name.to_owned()), decoder.as_ref().clone())?,
            tombstones,
        })
    }

    /// The events of a partition, tombstones among them.
    fn decode(&self, partition: u32, portion: &[StoredBatch], from: u64, to: u64) -> Result<RecordBatch, ArrowError> {
        let decode = |decoding: &Decoding| {
            let Decoding {
                decoder, projection, ..
            } = decoding;
            decoder.decode(partition, portion, from, to, Some(projection)).rows
        };
        let events = decode(&self.events);
        let open = nullable(&events.schema());
        let mut fields: Vec<Field> = open.iter().map(|field| field.as_ref().clone()).collect();
        fields.push(Field::new(TOMBSTONE, DataType::Boolean, false));
        let schema = Arc::new(Schema::new(fields));
        let marked = |rows: &RecordBatch, is_tombstone: bool| {
            let column = |field: &Arc<Field>| match rows.column_by_name(field.name()) {
                Some(column) => Arc::clone(column),
                None => new_null_array(field.data_type(), rows.num_rows()),
            };
            let mut columns: Vec<ArrayRef> = open.iter().map(column).collect();
            columns.push(Arc::new(BooleanArray::from(vec![is_tombstone; rows.num_rows()])));
            RecordBatch::try_new(Arc::clone(&schema), columns)
        };
        let rows = marked(&events, false)?;
        let tombstones = self.tombstones.as_ref().map(decode);
        let Some(tombstones) = tombstones.filter(|rows| rows.num_rows() > 0) else {
            return Ok(rows);
        };
        let both = concat_batches(&schema, &[rows, marked(&tombstones, true)?])?;
        match both.column_by_name(OFFSET) {
            Some(offsets) => take_record_batch(&both, &sort_to_indices(offsets, None, None)?),
            None => Ok(both),
        }
    }
}

/// How one source of a view is decoded.
struct Decoding {
    source: Source,
    decoder: StreamDecoder,
    projection: Vec<usize>,
}

impl Decoding {
    fn of(view: &View, source: Source, decoder: StreamDecoder) -> Result<Decoding, ViewError> {
        let mut projection = view.projection(&source, &decoder)?;
        let schema = decoder.schema();
        for name in SYSTEM_COLUMNS {
            let index = schema
                .index_of(name)
                .map_err(|error| ViewError::Failed(error.to_string()))?;
            if !projection.contains(&index) {
                projection.push(index);
            }
        }
        Ok(Decoding {
            source,
            decoder,
            projection,
        })
    }
}

/// What events changed.
pub(super) struct Told {
    /// The changes, in the order of the events.
    pub changes: RecordBatch,
    /// The offset of each event after which a row cannot be worked out, and why.
    pub unmade: Vec<(u64, String)>,
}

impl Changes {
    pub(super) fn new(view: View, options: ViewOptions) -> Result<Changes, ViewError> {
        let streams = view.streams().into_iter().map(|name| ReadStream::of(&view, name));
        let streams: Vec<ReadStream> = streams.collect::<Result<_, _>>()?;
        // What an event has besides its own columns is the same in every stream.
        let event = streams.first().map(|stream| stream.events.decoder.schema());
        let event = event.ok_or_else(|| ViewError::Failed("the view reads no stream".to_owned()))?;
        Ok(Changes {
            schema: changes_schema(&view.schema(), &event),
            written: Mutex::new((Instant::now(), view.position())),
            streams,
            view,
            options,
        })
    }

    /// The streams that the view reads, by name.
    pub(super) fn streams(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(|stream| stream.name.as_str())
    }

    fn stream(&self, name: &str) -> Result<&ReadStream, ViewError> {
        let found = self.streams.iter().find(|stream| stream.name == name);
        found.ok_or_else(|| ViewError::Failed(format!("the view does not read '{name}'")))
    }

    /// The events of a partition, tombstones among them, as [`Changes::take`] takes them.
    pub(super) fn decode(
        &self,
        stream: &str,
        partition: u32,
        portion: &[StoredBatch],
        from: u64,
    ) -> Result<RecordBatch, ArrowError> {
        let stream = self.stream(stream);
        let stream = stream.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        stream.decode(partition, portion, from, u64::MAX)
    }

    /// Folds everything up to a position, saying nothing of it. Blocks for as long as that takes; `is_stopping` is asked now and then.
    pub(super) fn catch_up(
        &self,
        log: &EventLog,
        upto: &Position,
        is_stopping: impl Fn() -> bool,
    ) -> Result<(), String> {
        for (name, partition, end) in upto.iter() {
            let Ok(stream) = self.stream(name) else { continue };
            let mut from = self.view.position().get(name, partition);
            while from < end && !is_stopping() {
                from = from.max(log.offsets(name, partition).map_or(0, |offsets| offsets.start));
                let batches = log
                    .read(name, partition, from, READ_BYTES)
                    .map_err(|error| error.to_string())?;
                let Some(last) = batches.last() else { break };
                for portion in portions(&batches, DECODE_EVENTS) {
                    let events = stream
                        .decode(partition, portion, from, end)
                        .map_err(|error| error.to_string())?;
                    self.fold(stream, &events).map_err(|error| error.to_string())?;
                }
                from = last.batch.next_offset().min(end);
                self.stand_at(name, partition, from)
                    .map_err(|error| error.to_string())?;
                self.view
                    .keep_bounds(&self.options)
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Folds events of a partition, those up to an offset; what they changed, in the order of the events.
    pub(super) fn take(
        &self,
        events: &RecordBatch,
        stream: &str,
        partition: u32,
        upto: u64,
    ) -> Result<Told, ViewError> {
        let stream = self.stream(stream)?;
        let mut told: Vec<RecordBatch> = Vec::new();
        let mut unmade: Vec<(u64, String)> = Vec::new();
        let mut at = 0;
        while at < events.num_rows() {
            let wave = self.wave(stream, &events.slice(at, events.num_rows() - at))?;
            told.extend(self.changed(stream, &events.slice(at, wave.events), &wave.keys, &mut unmade)?);
            at += wave.events;
        }
        self.stand_at(&stream.name, partition, upto)?;
        let changes = concat_batches(&self.schema, &told);
        let changes = changes.map_err(|error| ViewError::Failed(error.to_string()))?;
        Ok(Told { changes, unmade })
    }

    fn stand_at(&self, stream: &str, partition: u32, offset: u64) -> Result<(), ViewError> {
        let mut position = Position::new();
        position.set(stream, partition, offset);
        self.view
            .end_turn(vec![self.view.turn()?], &position, Counts::default())
    }

    /// Whether rows have come further than they are written.
    pub(super) fn is_ahead(&self) -> bool {
        self.written.lock().1 != self.view.position()
    }

    /// Writes the rows, now and then (what they were made of may go) and where enough has changed, or `at_once`. Only where everything that came of them is
    /// durable.
    pub(super) fn keep_bounds(&self, at_once: bool) -> Result<(), ViewError> {
        let is_due = self.written.lock().0.elapsed() >= NOTE_EVERY && self.is_ahead();
        if at_once || is_due {
            match self.view.flush_then(Position::clone) {
                Ok(position) => *self.written.lock() = (Instant::now(), position),
                // What is not written is folded again.
                Err(ViewError::Full(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.view.keep_bounds(&self.options)
    }

    /// Folds events: together, or where that breaks off, each half of them for itself. Those that do it change nothing; which they are, by their places, and why.
    fn fold(&self, stream: &ReadStream, events: &RecordBatch) -> Result<Vec<(usize, Panicked)>, ViewError> {
        let count = events.num_rows();
        match caught(|| self.fold_together(stream, events)) {
            Ok(()) => Ok(Vec::new()),
            Err(ViewError::BrokeOff(why)) if self.view.is_whole() && count == 1 => Ok(vec![(0, why)]),
            Err(ViewError::BrokeOff(_)) if self.view.is_whole() && count > 1 => {
                let half = count / 2;
                let mut broke_off = self.fold(stream, &events.slice(0, half))?;
                let second = self.fold(stream, &events.slice(half, count - half))?;
                broke_off.extend(second.into_iter().map(|(place, why)| (half + place, why)));
                Ok(broke_off)
            }
            Err(error) => Err(error),
        }
    }

    fn fold_together(&self, stream: &ReadStream, events: &RecordBatch) -> Result<(), ViewError> {
        let mut turn = self.view.turn()?;
        for decoding in std::iter::once(&stream.events).chain(&stream.tombstones) {
            let are_tombstones = matches!(decoding.source, Source::Tombstones(_));
            let is_own = |is_tombstone: Option<bool>| Some((is_tombstone == Some(true)) == are_tombstones);
            let is_wanted: BooleanArray = tombstones(events).iter().map(is_own).collect();
            let own = filter_record_batch(events, &is_wanted).map_err(|error| ViewError::Failed(error.to_string()))?;
            // What the query cannot take changes nothing; the view itself parks it.
            turn.take(&decoding.source, &own)?;
        }
        self.view.end_turn(vec![turn], &Position::new(), Counts::default())
    }

    /// The longest run of events that have no row in common, and the row, or rows, of each.
    fn wave(&self, stream: &ReadStream, events: &RecordBatch) -> Result<Wave, ViewError> {
        let mut wave = Wave::default();
        let mut seen: HashSet<GroupKey> = HashSet::new();
        for row in 0..events.num_rows() {
            let decoding = match &stream.tombstones {
                Some(decoding) if tombstones(events).value(row) => decoding,
                _ => &stream.events,
            };
            let event = events.slice(row, 1);
            let keys = self.view.query.groups(&decoding.source, &event).unwrap_or_default();
            if keys.iter().any(|key| seen.contains(key)) {
                break;
            }
            seen.extend(keys.iter().cloned());
            wave.keys.extend(keys.into_iter().map(|key| (row, key)));
            wave.events += 1;
        }
        Ok(wave)
    }

    /// Folds a wave; the changes. An event after which a row cannot be worked out is noted, and nothing is told of that row: the next change of it is.
    fn changed(
        &self,
        stream: &ReadStream,
        events: &RecordBatch,
        keys: &[(usize, GroupKey)],
        unmade: &mut Vec<(u64, String)>,
    ) -> Result<Option<RecordBatch>, ViewError> {
        let wanted: Vec<&GroupKey> = keys.iter().map(|(_, key)| key).collect();
        let before = self.view.rows_of(&wanted)?;
        for (place, why) in self.fold(stream, events)? {
            unmade.push((offset_of(events, place), why.to_string()));
        }
        let after = self.view.rows_of(&wanted)?;
        for (at, why) in &after.unmade {
            let offset = offset_of(events, keys[*at].0);
            if unmade.iter().all(|(known, _)| *known != offset) {
                unmade.push((offset, why.to_string()));
            }
        }
        let differ = differ(&before, &after)?;
        let is_told = |at: &usize| differ[*at] && !after.unmade.contains_key(at);
        let told: Vec<usize> = (0..keys.len()).filter(is_told).collect();
        if told.is_empty() {
            return Ok(None);
        }
        self.told(events, keys, &told, &before, &after).map(Some)
    }

    /// The changes of these rows, as a batch.
    fn told(
        &self,
        events: &RecordBatch,
        keys: &[(usize, GroupKey)],
        told: &[usize],
        before: &RowsOf,
        after: &RowsOf,
    ) -> Result<RecordBatch, ViewError> {
        let failed = |error: ArrowError| ViewError::Failed(error.to_string());
        let key_columns = self.view.key_columns();
        let rows = self.view.schema();
        let (was, is) = (
            taken(before, told).map_err(failed)?,
            taken(after, told).map_err(failed)?,
        );
        let told_keys: Vec<&[u8]> = told.iter().map(|at| keys[*at].1.0.as_slice()).collect();
        let told_keys = self.view.query.key_columns_of(&told_keys)?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (index, column) in is.iter().enumerate() {
            // Of a row that is gone the key is still said.
            columns.push(match key_columns.iter().position(|key| *key == index) {
                Some(place) => zip(&is_there(after, told), column, &told_keys[place]).map_err(failed)?,
                None => Arc::clone(column),
            });
        }
        let origins = UInt32Array::from_iter_values(told.iter().map(|at| keys[*at].0 as u32));
        for name in SYSTEM_COLUMNS {
            if let Some(column) = events.column_by_name(name) {
                columns.push(take(column, &origins, None).map_err(failed)?);
            }
        }
        // One that could not be worked out was there all the same.
        let was_there = |at: &usize| before.places[*at].is_some() || before.unmade.contains_key(at);
        let word = |at: &usize| match (was_there(at), after.places[*at]) {
            (false, _) => "insert",
            (true, Some(_)) => "update",
            (true, None) => DELETE,
        };
        columns.push(Arc::new(StringArray::from_iter_values(told.iter().map(word))));
        let was_there = NullBuffer::from_iter(told.iter().map(|at| before.places[*at].is_some()));
        let was = StructArray::try_new(nullable(&rows), was, Some(was_there)).map_err(failed)?;
        columns.push(Arc::new(was));
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)
    }
}

/// For each event whether it is a tombstone.
fn tombstones(events: &RecordBatch) -> BooleanArray {
    let column = events
        .column_by_name(TOMBSTONE)
        .and_then(|column| column.as_boolean_opt());
    column.map_or_else(
        || BooleanArray::from(vec![false; events.num_rows()]),
        BooleanArray::clone,
    )
}

/// Some events, and their rows.
#[derive(Default)]
struct Wave {
    events: usize,
    /// The event, by its place in the wave, and a row that it may change.
    keys: Vec<(usize, GroupKey)>,
}

/// The columns of the rows at these places of the keys; NULL where there is none.
fn taken(of: &RowsOf, told: &[usize]) -> Result<Vec<ArrayRef>, ArrowError> {
    let indexes = UInt64Array::from_iter(told.iter().map(|at| of.places[*at].map(|place| place as u64)));
    let columns = of.rows.columns().iter();
    let taken = columns.map(|column| match column.len() {
        0 => Ok(new_null_array(column.data_type(), indexes.len())),
        _ => take(column, &indexes, None),
    });
    taken.collect()
}

fn is_there(of: &RowsOf, told: &[usize]) -> BooleanArray {
    told.iter().map(|at| Some(of.places[*at].is_some())).collect()
}

/// For each key whether its row is another one after than before.
fn differ(before: &RowsOf, after: &RowsOf) -> Result<Vec<bool>, ViewError> {
    let failed = |error: ArrowError| ViewError::Failed(error.to_string());
    let types = before.rows.schema();
    let sorts = types
        .fields()
        .iter()
        .map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(sorts.collect()).map_err(failed)?;
    let (was, is) = (
        converter.convert_columns(before.rows.columns()).map_err(failed)?,
        converter.convert_columns(after.rows.columns()).map_err(failed)?,
    );
    let places = before.places.iter().zip(&after.places).enumerate();
    let differs = places.map(|(at, (one, other))| match (one, other) {
        // What cannot be worked out may have been anything.
        (None, None) => before.unmade.contains_key(&at),
        (Some(one), Some(other)) => was.row(*one) != is.row(*other),
        _ => true,
    });
    Ok(differs.collect())
}
