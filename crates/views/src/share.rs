//! The events of a turn, decoded once, and each view's share in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use headwater_eventlog::StoredBatch;
use headwater_records::{Address, Position};

use crate::decode::{Parked, StreamDecoder};
use crate::fold::Counts;
use crate::parking::Parking;
use crate::query::Source;
use crate::turn::Turn;
use crate::{View, ViewError, ViewOptions};

/// How the events of a stream are decoded for views that stand at the same place.
pub(crate) struct Reader {
    events: (Arc<StreamDecoder>, Vec<usize>),
    /// Where a view of them asks for them.
    tombstones: Option<(StreamDecoder, Vec<usize>)>,
}

/// Decoded events of one partition.
pub(crate) struct Events<'a> {
    partition: u32,
    /// The batches that they were decoded from.
    from: &'a [StoredBatch],
    rows: RecordBatch,
    tombstones: Option<Tombstones>,
    /// Those that did not fit.
    pub parked: Vec<Parked>,
    /// How many of them a view meets that does not ask for tombstones.
    unfit: u64,
}

struct Tombstones {
    rows: RecordBatch,
    /// The offsets of all of them, also of those whose keys do not fit.
    offsets: Vec<u64>,
}

impl Reader {
    /// Decodes what any of these views reads, and the offset, by which an event is found again.
    pub(crate) fn of(views: &[Arc<View>], stream: &str) -> Result<Reader, String> {
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
    pub(crate) fn decode<'a>(&self, partition: u32, from: &'a [StoredBatch], first: u64) -> Events<'a> {
        let (decoder, columns) = &self.events;
        let decoded = decoder.decode(partition, from, first, u64::MAX, Some(columns));
        let mut events = Events {
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

/// One view's part in a turn. A view that fails stops, the others go on.
pub(crate) struct Share<'a> {
    view: &'a Arc<View>,
    stream: &'a str,
    turn: Result<Turn<'a>, ViewError>,
    counts: Counts,
}

impl<'a> Share<'a> {
    /// Begins a view's part in a turn over a stream.
    pub(crate) fn new(view: &'a Arc<View>, stream: &'a str) -> Share<'a> {
        Share {
            view,
            stream,
            turn: view.turn(),
            counts: Counts::default(),
        }
    }

    /// Notes events that were not there any more.
    pub(crate) fn lacks(&mut self, events: u64) {
        self.counts.lacking += events;
    }

    /// Takes decoded events; those that the view cannot take are parked. `before`: where the turn has got to in other partitions. Where a row's
    /// snapshot comes due on the way, the view's turn ends there and another begins.
    pub(crate) fn take(&mut self, events: &Events<'_>, before: &Position, parking: &mut Parking) -> Result<(), String> {
        let rows = &events.rows;
        let due = self.view.snapshot_events;
        let step = match self.view.is_concentrated.load(Ordering::Relaxed) {
            true => due as usize,
            false => rows.num_rows(),
        };
        let mut parked: Vec<Parked> = Vec::new();
        let tombstones = events.tombstones.as_ref().filter(|_| self.view.query.is_keyed);
        let deleted = match tombstones {
            Some(_) if self.view.query.follows_tombstones(self.stream) => {
                self.counts.parked += events.parked.len() as u64;
                tombstones
            }
            Some(tombstones) => {
                self.counts.parked += events.unfit;
                self.refuse(tombstones, events, &mut parked);
                None
            }
            None => {
                self.counts.parked += events.unfit;
                None
            }
        };
        let (mut at, mut deleted_at, mut came_due) = (0, 0, false);
        loop {
            let some = rows.slice(at, step.min(rows.num_rows() - at));
            at += some.num_rows();
            self.take_some(&Source::Events(self.stream.to_owned()), &some, events, &mut parked);
            let mut next_offset = after_last(&some);
            if let Some(Tombstones { rows: tombstones, .. }) = deleted {
                let is_before = |row: usize| at == rows.num_rows() || offset_of(tombstones, row) < next_offset;
                let end = (deleted_at..tombstones.num_rows()).find(|row| !is_before(*row));
                let end = end.unwrap_or(tombstones.num_rows());
                let some = tombstones.slice(deleted_at, end - deleted_at);
                deleted_at = end;
                self.take_some(&Source::Tombstones(self.stream.to_owned()), &some, events, &mut parked);
                next_offset = next_offset.max(after_last(&some));
            }
            if self.turn.as_ref().is_ok_and(|turn| turn.events_most() >= due) {
                came_due = true;
                parking.park(&parked)?;
                parked.clear();
                let mut position = before.clone();
                position.set(self.stream, events.partition, next_offset);
                self.end_turn(&position);
            }
            if at == rows.num_rows() {
                break;
            }
        }
        self.view.is_concentrated.store(came_due, Ordering::Relaxed);
        parking.park(&parked)
    }

    /// Takes events, leaving out those that the view's query cannot evaluate: they are parked, too.
    fn take_some(&mut self, source: &Source, rows: &RecordBatch, events: &Events<'_>, parked: &mut Vec<Parked>) {
        let Ok(turn) = &mut self.turn else {
            return;
        };
        match turn.take(source, rows) {
            Ok(unfit) => {
                self.counts.parked += unfit.len() as u64;
                for event in unfit {
                    let reason = format!("the view '{}' cannot take it: {}", self.view.definition.name, event.why);
                    parked.push(self.parked(offset_of(rows, event.row), reason, events));
                }
            }
            Err(error) => self.turn = Err(error.into()),
        }
    }

    /// Parks tombstones that do not say which of the view's rows they delete.
    fn refuse(&mut self, tombstones: &Tombstones, events: &Events<'_>, parked: &mut Vec<Parked>) {
        let definition = &self.view.definition;
        let reason = format!(
            "a tombstone, and the view '{}' cannot tell which row it deletes: its KEY ({}) is not what the event's key is made of",
            definition.name,
            definition.key.join(", ")
        );
        self.counts.parked += tombstones.offsets.len() as u64;
        for offset in &tombstones.offsets {
            parked.push(self.parked(*offset, reason.clone(), events));
        }
    }

    fn parked(&self, offset: u64, reason: String, events: &Events<'_>) -> Parked {
        Parked {
            address: Address {
                stream: self.stream.to_owned(),
                partition: events.partition,
                offset,
            },
            reason,
            value: value_at(events.from, offset),
        }
    }

    /// Ends the view's turn where it has got to, and begins another.
    fn end_turn(&mut self, position: &Position) {
        let ended = std::mem::replace(&mut self.turn, self.view.turn());
        if let Err(error) = ended.and_then(|turn| self.view.end_turn(turn, position, Counts::default())) {
            self.turn = Err(error);
        }
    }

    /// Ends its part: what it changed becomes visible.
    pub(crate) fn finish(mut self, events: u64, position: &Position, options: &ViewOptions) -> Result<(), ViewError> {
        self.counts.events = events;
        self.view.end_turn(self.turn?, position, self.counts)?;
        self.view.keep_bounds(options)
    }
}

/// The offset of an event, by its row among those decoded.
fn offset_of(rows: &RecordBatch, row: usize) -> u64 {
    rows.column_by_name("_offset")
        .map_or(0, |column| column.as_primitive::<Int64Type>().value(row) as u64)
}

/// The offset behind the last of these events; 0 where there is none.
fn after_last(rows: &RecordBatch) -> u64 {
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
