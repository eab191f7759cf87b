//! Streams and partitions as they stand in memory: offsets, the newest batches, and the list of segments.
//!
//! Invariants
//! - `tail.end` is the next offset to be given out; `high_watermark` the durable end; the second never passes the first.
//! - A batch leaves the tail only after it stands in a segment of the list.
//! - `start` only moves forward, after the move is durable; nobody reads below it.

pub(crate) mod definitions;
pub(crate) mod partitions;
pub(crate) mod settings;
pub(crate) mod transactions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::append::producers::Producers;
use crate::append::turnstile::Turnstile;
use crate::entities::index::Slot;
use crate::keep::image::{Edge, PartitionImage, StreamImage};
use crate::keep::segment::Segment;
use crate::read::stored::StoredBatch;
use crate::streams::settings::StreamSettings;
use crate::streams::transactions::Transactions;
use crate::told::{PartitionOffsets, StreamInfo};

/// One stream.
pub(crate) struct Stream {
    pub(crate) name: Arc<str>,
    pub(crate) id: u128,
    pub(crate) settings: RwLock<Arc<StreamSettings>>,
    pub(crate) partitions: Vec<Arc<Partition>>,
    /// Where appends to it pass.
    pub(crate) turnstile: Turnstile,
    /// Where its events are found by what they are about.
    pub(crate) index: Arc<Slot>,
}

/// One partition.
pub(crate) struct Partition {
    pub(crate) stream: u128,
    pub(crate) number: u32,
    high_watermark: AtomicU64,
    pub(crate) transactions: Transactions,
    /// Where what is kept begins.
    start: Mutex<Edge>,
    /// Up to where compaction took superseded events out.
    compacted: Mutex<Edge>,
    pub(crate) tail: Mutex<Tail>,
    pub(crate) segments: Mutex<Vec<Segment>>,
}

/// The newest batches, waiting or durable, in order.
#[derive(Default)]
pub(crate) struct Tail {
    pub(crate) batches: VecDeque<StoredBatch>,
    pub(crate) end: u64,
}

impl Stream {
    pub(crate) fn info(&self) -> StreamInfo {
        StreamInfo {
            name: self.name.to_string(),
            id: self.id,
            partitions: self.partitions.len() as u32,
            settings: self.settings.read().clone(),
        }
    }

    pub(crate) fn partition(&self, number: u32) -> Option<&Arc<Partition>> {
        self.partitions.get(number as usize)
    }

    /// A stream as the image has it, with the transactions open in it. What it holds in segments is durable.
    pub(crate) fn new(id: u128, image: &StreamImage, producers: &Producers) -> Stream {
        let mut made: Vec<Arc<Partition>> = Vec::with_capacity(image.partitions.len());
        for (number, partition) in image.partitions.iter().enumerate() {
            let transactions = Transactions::new(producers.open_in(id, number as u32));
            made.push(Arc::new(Partition::new(id, number as u32, partition, transactions)));
        }
        Stream {
            name: image.name.clone(),
            id,
            settings: RwLock::new(image.settings.clone()),
            partitions: made,
            turnstile: Turnstile::default(),
            index: Arc::default(),
        }
    }

    /// The same stream with so many partitions: those that are there, shared, and new ones after them.
    pub(crate) fn grown(&self, partitions: u32) -> Stream {
        let mut all = self.partitions.clone();
        for number in all.len() as u32..partitions {
            all.push(Arc::new(Partition::new(
                self.id,
                number,
                &PartitionImage::default(),
                Transactions::new(std::iter::empty()),
            )));
        }
        Stream {
            name: self.name.clone(),
            id: self.id,
            settings: RwLock::new(self.settings.read().clone()),
            partitions: all,
            turnstile: self.turnstile.clone(),
            index: self.index.clone(),
        }
    }
}

impl Partition {
    fn new(stream: u128, number: u32, image: &PartitionImage, transactions: Transactions) -> Partition {
        // What is below the start is gone, also where no segment is left to say where it ended.
        let end = image.segments.last().map_or(0, |segment| segment.end);
        let end = end.max(image.start);
        Partition {
            stream,
            number,
            high_watermark: AtomicU64::new(end),
            transactions,
            start: Mutex::new(image.start_edge()),
            compacted: Mutex::new(image.compacted_edge()),
            tail: Mutex::new(Tail {
                batches: VecDeque::new(),
                end,
            }),
            segments: Mutex::new(image.segments.clone()),
        }
    }

    pub(crate) fn high_watermark(&self) -> u64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// The last stable offset: below it no event is part of an open transaction.
    pub(crate) fn stable(&self) -> u64 {
        // In this order: what is open is known before the high watermark passes it.
        let high_watermark = self.high_watermark();
        // What a transaction wrote below the start is gone, and nobody waits for its end.
        self.transactions.stable(high_watermark).max(self.start().offset)
    }

    /// All of its offsets.
    pub(crate) fn offsets(&self) -> PartitionOffsets {
        // The end first: what is decided meanwhile lies below it or was not there yet.
        let end = self.tail.lock().end;
        PartitionOffsets {
            start: self.start().offset,
            compacted: self.compacted().offset,
            high_watermark: self.high_watermark(),
            stable: self.stable(),
            end,
        }
    }

    /// Where what is kept begins.
    pub(crate) fn start(&self) -> Edge {
        *self.start.lock()
    }

    /// Up to where compaction took superseded events out.
    pub(crate) fn compacted(&self) -> Edge {
        *self.compacted.lock()
    }

    /// Moves the start forward, once that is durable.
    pub(crate) fn move_start(&self, to: Edge) {
        self.start.lock().advance(to);
    }

    /// Shows readers the segments and boundaries of the image.
    pub(crate) fn show(&self, image: &PartitionImage) {
        // The boundaries first: who finds a segment gone looks at them.
        self.start.lock().advance(image.start_edge());
        self.compacted.lock().advance(image.compacted_edge());
        self.segments.lock().clone_from(&image.segments);
        // Memory holds what was taken back and what is superseded; from here on the segments say what is left of it.
        let left = image.start.max(image.compacted.min(image.written()));
        let evicted = self.tail.lock().evict_below(left);
        drop(evicted);
    }

    /// Only the writer moves it, and only forward.
    pub(crate) fn set_high_watermark(&self, next_offset: u64) {
        self.high_watermark.store(next_offset, Ordering::Release);
    }
}

/// How many of so many things in order are `before`, which the first of them are: looked for from a guess on in steps that double, and between the last
/// two of those by halving.
fn partition_point_near(guess: usize, length: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    let mut step = 1;
    if guess < length && is_before(guess) {
        low = guess + 1;
        while low + step <= high {
            let at = low + step - 1;
            if !is_before(at) {
                high = at;
                break;
            }
            (low, step) = (at + 1, step * 2);
        }
    } else {
        high = guess.min(length);
        while step <= high {
            let at = high - step;
            if is_before(at) {
                low = at + 1;
                break;
            }
            (high, step) = (at, step * 2);
        }
    }
    while low < high {
        let middle = low + (high - low) / 2;
        match is_before(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

impl Tail {
    /// The index of the batch that holds `offset`, or of the first one after it.
    fn index_of(&self, offset: u64) -> usize {
        let is_before = |index: usize| {
            let stored = self.batches.get(index);
            stored.is_some_and(|stored| stored.batch.next_offset() <= offset)
        };
        // Where it would stand if all batches were as long: offsets are dense, and writers tend to send batches alike. Each batch that is looked at is a
        // miss of the processor's cache, of which halving hundreds of thousands of them takes seventeen.
        let (start, length) = (self.start(), self.batches.len());
        let offsets = u128::from(self.end.saturating_sub(start)).max(1);
        let guess = u128::from(offset.saturating_sub(start)) * length as u128 / offsets;
        partition_point_near(guess.min(length as u128) as usize, length, is_before)
    }

    /// The first offset in memory, the end where there is none.
    pub(crate) fn start(&self) -> u64 {
        self.batches
            .front()
            .map_or(self.end, |stored| stored.batch.base_offset())
    }

    /// The batches in memory from the one that holds `offset` on, none where that one is not in memory.
    pub(crate) fn from(&self, offset: u64) -> impl Iterator<Item = &StoredBatch> {
        let index = self.index_of(offset);
        let there = self
            .batches
            .get(index)
            .is_some_and(|stored| stored.batch.base_offset() <= offset);
        let skip = if there { index } else { self.batches.len() };
        self.batches.iter().skip(skip)
    }

    /// Takes out the batches below an offset, which stand in segments. They are to be dropped without the lock on this: giving so much memory back
    /// takes longer than an append should wait.
    #[must_use = "they are dropped after the lock"]
    pub(crate) fn evict_below(&mut self, offset: u64) -> Vec<StoredBatch> {
        let below = self.index_of(offset);
        let evicted: Vec<StoredBatch> = self.batches.drain(..below).collect();
        if self.batches.is_empty() {
            self.batches.shrink_to_fit();
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_before_is_found_from_any_guess() {
        for length in 0..40 {
            for before in 0..=length {
                for guess in 0..=length + 1 {
                    let looked_at = |index: usize| {
                        assert!(index < length, "{index} of {length}");
                        index < before
                    };
                    let found = partition_point_near(guess, length, looked_at);
                    assert_eq!(found, before, "{length} from {guess}");
                }
            }
        }
    }

    #[test]
    fn a_good_guess_is_looked_at_and_its_neighbour() {
        let looks = Cell::new(0);
        let found = partition_point_near(70_000, 100_000, |index| {
            looks.set(looks.get() + 1);
            index < 70_000
        });
        assert_eq!((found, looks.get()), (70_000, 2));
    }
}
