//! What a partition's readers know of transactions: how far everything is decided, and what was taken back.
//!
//! A transaction is open in a partition from its first batch there to the marker that ends it. The last stable offset is the
//! first offset of the oldest open one: below it every event either counts or was taken back. What was taken back is a
//! range of offsets of one producer. Ranges stand beside the segment that holds their marker ([`crate::keep::segment`]); those whose
//! marker is in no segment yet are kept here.
//!
//! Invariant: what is known here is durable; it changes in the step in which the high watermark moves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a batch does to the transactions of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is the first of a transaction here.
    Begins { producer_id: i64, first: u64 },
    /// It is the marker of the end of one.
    Ends { aborted: bool, range: Aborted },
}

/// A transaction that ended without effect: the batches of this producer between the two offsets do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    /// Whose.
    pub producer_id: i64,
    /// The offset of its first event in the partition.
    pub first: u64,
    /// The offset of the marker that ended it.
    pub marker: u64,
    /// The last stable offset once it had ended: no transaction that ended later has an event below.
    pub stable: u64,
}

impl Aborted {
    /// Whether a batch of this producer at this offset is part of it.
    pub fn holds(&self, producer_id: i64, offset: u64) -> bool {
        self.producer_id == producer_id && (self.first..self.marker).contains(&offset)
    }
}

/// The transactions of one partition, as durable.
pub(crate) struct Transactions {
    /// The first offset of the oldest open one; `u64::MAX` where none is.
    oldest: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// First offsets, and whose they are.
    open: BTreeMap<u64, i64>,
    /// Ranges whose markers are in no segment yet, in the order of the markers.
    aborted: VecDeque<Aborted>,
}

impl Transactions {
    pub(crate) fn new(open: impl Iterator<Item = (u64, i64)>) -> Transactions {
        let known = Known {
            open: open.collect(),
            aborted: VecDeque::new(),
        };
        Transactions {
            oldest: AtomicU64::new(known.oldest()),
            known: Mutex::new(known),
        }
    }

    /// The last stable offset under this high watermark.
    pub(crate) fn stable(&self, high_watermark: u64) -> u64 {
        high_watermark.min(self.oldest.load(Ordering::Acquire))
    }

    /// Takes in what a durable batch did. Called before the high watermark moves past the batch.
    pub(crate) fn turn(&self, turn: Turn) {
        let mut known = self.known.lock();
        match turn {
            Turn::Begins { producer_id, first } => {
                known.open.insert(first, producer_id);
            }
            Turn::Ends { aborted, range } => {
                if aborted {
                    known.aborted.push_back(range);
                }
                known.open.remove(&range.first);
            }
        }
        self.oldest.store(known.oldest(), Ordering::Release);
    }

    /// The ranges in memory that reach into these offsets.
    pub(crate) fn aborted(&self, from: u64, to: u64) -> Vec<Aborted> {
        let known = self.known.lock();
        let reach = known
            .aborted
            .iter()
            .filter(|range| range.first < to && range.marker >= from);
        reach.copied().collect()
    }

    /// Forgets the ranges whose markers lie below an offset: they stand beside segments.
    pub(crate) fn evict_below(&self, offset: u64) {
        let mut known = self.known.lock();
        while known.aborted.front().is_some_and(|range| range.marker < offset) {
            known.aborted.pop_front();
        }
    }
}

impl Known {
    fn oldest(&self) -> u64 {
        self.open.keys().next().copied().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_transaction_bounds_what_is_stable() {
        let transactions = Transactions::new([(7, 1)].into_iter());
        assert_eq!((transactions.stable(5), transactions.stable(9)), (5, 7));
        transactions.turn(Turn::Begins {
            producer_id: 2,
            first: 9,
        });
        let range = Aborted {
            producer_id: 1,
            first: 7,
            marker: 12,
            stable: 9,
        };
        transactions.turn(Turn::Ends { aborted: true, range });
        assert_eq!(transactions.stable(20), 9);
        let check = |from: u64, to: u64, found: bool| {
            assert_eq!(transactions.aborted(from, to).len(), usize::from(found), "{from}..{to}");
        };
        check(0, 7, false);
        check(0, 8, true);
        check(12, 13, true);
        check(13, 20, false);
        transactions.evict_below(12);
        check(0, 20, true);
        transactions.evict_below(13);
        check(0, 20, false);
    }
}
