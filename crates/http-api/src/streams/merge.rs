//! The events of a stream's partitions as one sequence, in the order in which they were appended.
//!
//! Invariants
//! - A partition's events come in the order of their offsets; between partitions the append time decides, then the partition.
//! - At most one batch of each partition is held, where there are many.
//! - An event costs a look at its own partition, whatever the number of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use headwater_catalog::{Catalog, Codec};
use headwater_eventlog::{EventLog, ReadError, StoredBatch};
use headwater_records::{BatchError, Compression, Event, Position};

use crate::json::event::Shown;

/// How much is asked of the log at once of a partition, and of all of them together; one batch at least comes of each.
const READ_BYTES: usize = 64 * 1024;
const ALL_BYTES: usize = 4 * 1024 * 1024;

/// Reads a stream's partitions side by side.
pub(crate) struct Merge {
    log: EventLog,
    catalog: Catalog,
    stream: String,
    /// The stream's number, which no other has.
    id: Option<u128>,
    /// Reads what the lanes hold: as of when the last of it came from the log.
    codec: Option<Codec>,
    lanes: Vec<Lane>,
    /// The lanes where something waits, by its append time, then the partition; each with its place among the lanes.
    ready: BinaryHeap<Reverse<(i64, u32, usize)>>,
    /// The others: looked at when nothing is ready.
    empty: Vec<usize>,
    /// The one that the last event was taken of, where it was its last.
    emptied: Option<usize>,
}

/// One partition.
struct Lane {
    partition: u32,
    /// The next offset to be read from the log.
    next: u64,
    /// The next offset to be given out.
    given: u64,
    waiting: VecDeque<(u64, Event, i64, std::sync::Arc<str>)>,
}

/// One event with its place.
pub(crate) struct Merged {
    pub partition: u32,
    pub offset: u64,
    pub event: Event,
    pub appended_at_us: i64,
    pub principal: std::sync::Arc<str>,
}

/// Why the sequence broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error(
        "the batch of the offsets {base} to {last} of {stream}/{partition} cannot be read: {why}; its writer sent it so. Read on from offset {next}"
    )]
    Batch {
        stream: String,
        partition: u32,
        base: u64,
        last: u64,
        next: u64,
        why: BatchError,
    },
}

impl Merge {
    /// From a position on, over the partitions it names.
    pub(crate) fn new(log: EventLog, catalog: Catalog, stream: &str, from: &Position) -> Merge {
        let lane = |(_, partition, next)| Lane {
            partition,
            next,
            given: next,
            waiting: VecDeque::new(),
        };
        let lanes: Vec<Lane> = from.of(stream).iter().map(lane).collect();
        Merge {
            id: log.stream(stream).map(|stream| stream.id),
            log,
            catalog,
            stream: stream.to_owned(),
            codec: None,
            ready: BinaryHeap::with_capacity(lanes.len()),
            empty: (0..lanes.len()).collect(),
            emptied: None,
            lanes,
        }
    }

    /// The next event that is durable and counts; `None` at the end, or where a transaction is open. What is appended later is seen by a later call.
    pub(crate) fn next(&mut self) -> Result<Option<Merged>, MergeError> {
        let looks = match self.ready.is_empty() {
            true => std::mem::take(&mut self.empty),
            false => Vec::new(),
        };
        for place in looks.into_iter().chain(self.emptied.take()) {
            self.look(place)?;
        }
        let Some(Reverse((appended_at_us, partition, place))) = self.ready.pop() else {
            return Ok(None);
        };
        let Some(lane) = self.lanes.get_mut(place) else {
            return Ok(None);
        };
        let Some((offset, event, _, principal)) = lane.waiting.pop_front() else {
            return Ok(None);
        };
        lane.given = offset + 1;
        match lane.waiting.front() {
            Some((_, _, next_us, _)) => self.ready.push(Reverse((*next_us, partition, place))),
            None => self.emptied = Some(place),
        }
        Ok(Some(Merged {
            partition,
            offset,
            event,
            appended_at_us,
            principal,
        }))
    }

    /// Reads on in a lane where nothing waits.
    fn look(&mut self, place: usize) -> Result<(), MergeError> {
        let bytes = (ALL_BYTES / self.lanes.len().max(1)).min(READ_BYTES);
        let Some(lane) = self.lanes.get_mut(place) else {
            return Ok(());
        };
        let filled = lane.fill(&self.log, &self.stream, bytes);
        match lane.waiting.front().filter(|_| filled.is_ok()) {
            Some((_, _, next_us, _)) => {
                self.ready.push(Reverse((*next_us, lane.partition, place)));
                self.codec = self.catalog.codec(&self.stream);
            }
            // Also where it cannot be read: the next look says so again.
            None => self.empty.push(place),
        }
        filled
    }

    /// One of its events as JSON on one line.
    pub(crate) fn write(&self, merged: &Merged, out: &mut Vec<u8>) {
        let shown = Shown {
            partition: merged.partition,
            offset: merged.offset,
            appended_at_us: merged.appended_at_us,
            principal: &merged.principal,
            ..Shown::of(&merged.event)
        };
        shown.write(self.codec.as_ref(), out);
    }

    /// Whether the stream is still the one that is read: not dropped, and not made anew under its name.
    pub(crate) fn is_there(&self) -> bool {
        self.log
            .stream(&self.stream)
            .is_some_and(|stream| Some(stream.id) == self.id)
    }

    /// The partitions read, by stream id and number.
    pub(crate) fn partitions(&self) -> Vec<(u128, u32)> {
        let number = |lane: &Lane| Some((self.id?, lane.partition));
        self.lanes.iter().filter_map(number).collect()
    }

    /// Just after the events given out.
    pub(crate) fn position(&self) -> Position {
        let mut position = Position::new();
        for lane in &self.lanes {
            position.set(&self.stream, lane.partition, lane.given);
        }
        position
    }
}

impl Lane {
    /// Reads on, until something waits or there is nothing more.
    fn fill(&mut self, log: &EventLog, stream: &str, bytes: usize) -> Result<(), MergeError> {
        while self.waiting.is_empty() {
            let stable = log.offsets(stream, self.partition).map_or(0, |offsets| offsets.stable);
            if self.next >= stable {
                break;
            }
            let batches = log.read(stream, self.partition, self.next, bytes)?;
            if batches.is_empty() {
                break;
            }
            for stored in &batches {
                // A compressed one may be far larger than it looks: it waits until the others were given out.
                if stored.batch.compression() != Compression::None && !self.waiting.is_empty() {
                    break;
                }
                match self.take(stored, stream) {
                    Ok(()) => {}
                    // What stands before a batch that cannot be read is given out first.
                    Err(_) if !self.waiting.is_empty() => break,
                    Err(error) => return Err(error),
                }
            }
            if self.waiting.is_empty() {
                // Only what transactions took back, and the marks of their ends: passed by.
                self.given = self.next;
            }
        }
        Ok(())
    }

    fn take(&mut self, stored: &StoredBatch, stream: &str) -> Result<(), MergeError> {
        let batch = &stored.batch;
        if !batch.is_control() {
            let events = batch.events().map_err(|why| MergeError::Batch {
                stream: stream.to_owned(),
                partition: self.partition,
                base: batch.base_offset(),
                last: batch.next_offset() - 1,
                next: batch.next_offset(),
                why,
            })?;
            for (offset, event) in events {
                if offset >= self.next {
                    self.waiting
                        .push_back((offset, event, stored.appended_at_us, stored.principal.clone()));
                }
            }
        }
        self.next = self.next.max(stored.batch.next_offset());
        Ok(())
    }
}
