//! What comes of a few events: results, and those that have none because they cannot be worked out.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use hashbrown::HashMap;
use headwater_records::{Batch, Event, Header};

use super::columns::{CHANGE_COLUMN, DELETE, OFFSET, TIMESTAMP};
use super::flow::Flow;
use super::joined::JOINED_HEADER;
use super::results::FROM_HEADER;
use super::spec::ResultEncoder;
use super::trouble::Trouble;
use crate::caught;
use crate::view::ViewByName;

/// How results are made.
pub(super) struct Making<'a> {
    pub flow: &'a Flow,
    pub views: &'a ViewByName,
    pub encoder: &'a dyn ResultEncoder,
    /// The partition that the events stand in.
    pub source: &'a str,
    pub partition: u32,
    /// The keys of events, by their offsets, for results that have none.
    pub keys: &'a HashMap<u64, Bytes>,
    /// The largest batch that the stream takes.
    pub batch_bytes_max: usize,
    /// Whether the result of a row that is gone says no more than that: it is a tombstone of its key.
    pub has_tombstones: bool,
}

/// What came of events, in their order.
#[derive(Default)]
pub(super) struct Made {
    /// The results, each with where it came from.
    pub results: Vec<Event>,
    /// The offset of each event that cannot be worked out, and why.
    pub unfit: Vec<(u64, String)>,
}

impl Making<'_> {
    /// Takes events of the flow's columns, `_offset` and `_timestamp`. Where one of them fails, the halves are tried, so that the others do not suffer.
    pub(super) fn take(&self, events: &RecordBatch, made: &mut Made) -> Result<(), Trouble> {
        let count = events.num_rows();
        if count == 0 {
            return Ok(());
        }
        match caught(|| self.results(events)) {
            Ok(results) => {
                made.results.extend(results);
                Ok(())
            }
            Err(Trouble::Event(why)) if count == 1 => {
                made.unfit.push((offset_of(events, 0), why));
                Ok(())
            }
            Err(Trouble::Event(_)) => {
                let half = count / 2;
                self.take(&events.slice(0, half), made)?;
                self.take(&events.slice(half, count - half), made)
            }
            Err(other) => Err(other),
        }
    }

    fn results(&self, events: &RecordBatch) -> Result<Vec<Event>, Trouble> {
        let schema = events.schema();
        let columns = self.flow.columns.iter().map(|column| schema.index_of(column));
        let own = events.project(&columns.collect::<Result<Vec<usize>, _>>()?)?;
        let flowing = self.flow.results(&own, self.views)?;
        let mut encoded = self.encoder.events(&flowing.rows).map_err(Trouble::Event)?;
        let kinds = events.column_by_name(CHANGE_COLUMN).filter(|_| self.has_tombstones);
        let kinds = kinds.map(|column| column.as_string::<i32>());
        let timestamps = events
            .column_by_name(TIMESTAMP)
            .map(|column| column.as_primitive::<TimestampMicrosecondType>());
        let mut results: Vec<Event> = Vec::with_capacity(encoded.len());
        for (row, (mut event, origin)) in encoded.drain(..).zip(flowing.origins.values()).enumerate() {
            let notes = flowing.notes.iter().filter(|notes| notes.is_valid(row));
            event.headers.extend(notes.map(|notes| Header {
                name: JOINED_HEADER.to_owned(),
                value: Some(notes.value(row).to_owned().into()),
            }));
            let origin = *origin as usize;
            let offset = offset_of(events, origin);
            if event.key.is_some() && kinds.is_some_and(|kinds| kinds.value(origin) == DELETE) {
                event.value = None;
            }
            if event.key.is_none() {
                event.key = self.keys.get(&offset).cloned();
            }
            event.headers.push(Header {
                name: FROM_HEADER.to_owned(),
                value: Some(format!("{}/{}@{offset}", self.source, self.partition).into()),
            });
            event.timestamp_ms = timestamps.map_or(-1, |timestamps| timestamps.value(origin).div_euclid(1_000));
            self.check_fits(&event)?;
            results.push(event);
        }
        Ok(results)
    }

    /// Whether the stream takes an event, alone if need be.
    fn check_fits(&self, event: &Event) -> Result<(), Trouble> {
        let bytes = Batch::bytes_alone(event);
        match bytes <= self.batch_bytes_max {
            true => Ok(()),
            false => Err(Trouble::Event(format!(
                "its result takes {bytes} bytes with its headers, and batches of the stream have {} at most: set its batch_bytes_max higher",
                self.batch_bytes_max
            ))),
        }
    }
}

/// The offset of an event, by its row.
pub(super) fn offset_of(events: &RecordBatch, row: usize) -> u64 {
    let column = events
        .column_by_name(OFFSET)
        .map(|column| column.as_primitive::<Int64Type>());
    column
        .filter(|column| row < column.len())
        .map_or(0, |column| column.value(row) as u64)
}
