//! The events of a slice, decoded once for all views that take them.
//!
//! ```text
//! slice ─> stretches, each with its takers ─> portions ─> decode, by several threads ─> rows, tombstones, what does not fit
//! ```
//!
//! Invariant: those who take a stretch read alike, so that one decoder serves them; what is decoded has every column that any of them reads, and the
//! offset of each event.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use headwater_eventlog::StoredBatch;

use crate::decode::{Parked, StreamDecoder, portions};
use crate::follow::reading::{Slice, Stretch, Unreadable};
use crate::follow::side_by_side::on_threads;
use crate::query::Source;
use crate::{View, ViewError};

/// How many events are decoded into one Arrow batch.
const DECODE_EVENTS: usize = 8_192;

/// How the events of a stream are decoded for views that stand at the same place.
struct Reader {
    events: (Arc<StreamDecoder>, Vec<usize>),
    /// Where a view of them asks for them.
    tombstones: Option<(StreamDecoder, Vec<usize>)>,
}

/// Decoded events of one partition.
pub(crate) struct Events<'a> {
    /// The stretch of the slice that they are of.
    pub stretch: usize,
    pub partition: u32,
    /// The batches that they were decoded from.
    pub from: &'a [StoredBatch],
    pub rows: RecordBatch,
    pub tombstones: Option<Tombstones>,
    /// Those that did not fit.
    pub parked: Vec<Parked>,
    /// How many of them a view meets that does not ask for tombstones.
    pub unfit: u64,
}

/// Decoded tombstones of one partition.
pub(crate) struct Tombstones {
    pub rows: RecordBatch,
    /// The offsets of all of them, also of those whose keys do not fit.
    pub offsets: Vec<u64>,
}

/// Decodes a slice, by several threads at once: portions in the order of its stretches.
pub(crate) fn decode<'a>(stream: &str, slice: &'a Slice, views: &[Arc<View>]) -> Result<Vec<Events<'a>>, Unreadable> {
    let mut readers: Vec<Reader> = Vec::new();
    let mut work: Vec<(usize, usize, &'a [StoredBatch])> = Vec::new();
    let mut takers: Option<&[usize]> = None;
    for (at, stretch) in slice.stretches.iter().enumerate() {
        if takers != Some(&stretch.takers) {
            takers = Some(&stretch.takers);
            let views: Vec<Arc<View>> = stretch.takers.iter().map(|place| Arc::clone(&views[*place])).collect();
            let reader = Reader::of(&views, stream).map_err(|why| Unreadable {
                why: ViewError::Failed(why),
                takers: stretch.takers.clone(),
            });
            readers.push(reader?);
        }
        let reader = readers.len() - 1;
        work.extend(portions(&stretch.batches, DECODE_EVENTS).map(|portion| (reader, at, portion)));
    }
    Ok(on_threads(slice.threads(), work, |(reader, at, portion)| {
        let Stretch { partition, from, .. } = &slice.stretches[at];
        Events {
            stretch: at,
            ..readers[reader].decode(*partition, portion, *from)
        }
    }))
}

impl Reader {
    /// Decodes what any of these views reads, and the offset, by which an event is found again.
    fn of(views: &[Arc<View>], stream: &str) -> Result<Reader, String> {
        let decoder = views.first().and_then(|view| view.decoder(stream));
        let decoder = decoder.ok_or_else(|| format!("nobody reads the stream '{stream}'"))?;
        let columns = |source: &Source, decoder: &StreamDecoder| -> Result<Vec<usize>, String> {
            let mut columns: BTreeSet<usize> = BTreeSet::new();
            for view in views {
                columns.extend(view.projection(source, decoder).map_err(|error| error.to_string())?);
            }
            columns.insert(
                decoder
                    .schema()
                    .index_of("_offset")
                    .map_err(|error| error.to_string())?,
            );
            Ok(columns.into_iter().collect())
        };
        let tombstones = match views.iter().any(|view| view.query.is_keyed) {
            true => {
                let decoder = decoder.of_tombstones();
                let columns = columns(&Source::Tombstones(stream.to_owned()), &decoder)?;
                Some((decoder, columns))
            }
            false => None,
        };
        let columns = columns(&Source::Events(stream.to_owned()), &decoder)?;
        Ok(Reader {
            events: (decoder, columns),
            tombstones,
        })
    }

    /// Decodes the events of a partition from an offset on.
    fn decode<'a>(&self, partition: u32, from: &'a [StoredBatch], first: u64) -> Events<'a> {
        let (decoder, columns) = &self.events;
        let decoded = decoder.decode(partition, from, first, u64::MAX, Some(columns));
        let mut events = Events {
            stretch: 0,
            partition,
            from,
            rows: decoded.rows,
            tombstones: None,
            unfit: decoded.parked.len() as u64,
            parked: decoded.parked,
        };
        if let Some((decoder, columns)) = &self.tombstones {
            let mut decoded = decoder.decode(partition, from, first, u64::MAX, Some(columns));
            // A batch that cannot be read has no tombstones either.
            decoded
                .parked
                .retain(|parked| events.parked.iter().all(|known| known.address != parked.address));
            let mut offsets: Vec<u64> = (0..decoded.rows.num_rows())
                .map(|row| offset_of(&decoded.rows, row))
                .collect();
            offsets.extend(decoded.parked.iter().map(|parked| parked.address.offset));
            offsets.sort_unstable();
            events.parked.append(&mut decoded.parked);
            events.tombstones = Some(Tombstones {
                rows: decoded.rows,
                offsets,
            });
        }
        events
    }
}

/// Those of some events that are of a range of offsets.
pub(crate) fn within(rows: &RecordBatch, offsets: &Range<u64>) -> RecordBatch {
    let Some(column) = rows.column_by_name("_offset") else {
        return rows.slice(0, 0);
    };
    let all = column.as_primitive::<Int64Type>().values();
    let place = |offset: u64| all.partition_point(|at| (*at as u64) < offset);
    let (from, to) = (place(offsets.start), place(offsets.end));
    rows.slice(from, to - from)
}

/// The offset of an event, by its row among those decoded.
pub(crate) fn offset_of(rows: &RecordBatch, row: usize) -> u64 {
    rows.column_by_name("_offset")
        .map_or(0, |column| column.as_primitive::<Int64Type>().value(row) as u64)
}

/// The offset behind the last of these events; 0 where there is none.
pub(crate) fn after_last(rows: &RecordBatch) -> u64 {
    match rows.num_rows() {
        0 => 0,
        rows_total => offset_of(rows, rows_total - 1) + 1,
    }
}

/// The value of the event at an offset.
pub(crate) fn value_at(batches: &[StoredBatch], offset: u64) -> Option<bytes::Bytes> {
    let stored = batches.iter().find(|stored| offset < stored.batch.next_offset())?;
    let (_, event) = stored.batch.events().ok()?.into_iter().find(|(at, _)| *at == offset)?;
    event.value
}
