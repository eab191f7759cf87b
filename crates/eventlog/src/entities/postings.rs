//! Postings: where the events of a term stand; and a table of them in memory.
//!
//! Invariant: the postings of a term ascend by [`Order`]. Append times ascend from append to append, so that this is the order of appending.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use headwater_records::limits::PARTITIONS_MAX;

use crate::entities::query::Direction;
use crate::entities::terms::{BatchTerms, KindHash, Term};

const _: () = assert!(
    PARTITIONS_MAX <= u16::MAX as u32 + 1,
    "a posting holds the partition in 16 bits"
);

/// One event under one of its terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) appended_at_us: i64,
    pub(crate) offset: u64,
    pub(crate) kind: KindHash,
    pub(crate) partition: u16,
    /// It counts once its transaction is committed.
    pub(crate) transactional: bool,
}

/// The place of an event in the order of appending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    pub(crate) appended_at_us: i64,
    pub(crate) partition: u16,
    pub(crate) offset: u64,
}

impl Posting {
    pub(crate) fn order(&self) -> Order {
        Order {
            appended_at_us: self.appended_at_us,
            partition: self.partition,
            offset: self.offset,
        }
    }
}

/// A table of postings in memory.
#[derive(Default)]
pub(crate) struct Memory {
    terms: HashMap<Term, List, BuildHasherDefault<AsItIs>>,
    pub(crate) postings: usize,
}

/// Most terms of a short time have one event.
enum List {
    One(Posting),
    Many(Vec<Posting>),
}

/// A term is a hash already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl List {
    fn as_slice(&self) -> &[Posting] {
        match self {
            List::One(one) => std::slice::from_ref(one),
            List::Many(many) => many,
        }
    }

    fn put(&mut self, posting: Posting) {
        if let List::One(one) = self {
            *self = List::Many(vec![*one]);
        }
        if let List::Many(many) = self {
            // At the end, but for the parts of one append.
            let mut at = many.len();
            while at > 0 && many[at - 1].order() > posting.order() {
                at -= 1;
            }
            many.insert(at, posting);
        }
    }
}

impl Memory {
    pub(crate) fn put(&mut self, term: Term, posting: Posting) {
        self.postings += 1;
        self.terms
            .entry(term)
            .and_modify(|list| list.put(posting))
            .or_insert(List::One(posting));
    }

    /// The postings of a term, in order.
    pub(crate) fn of(&self, term: Term) -> &[Posting] {
        self.terms.get(&term).map_or(&[], List::as_slice)
    }

    /// At most so many postings of a term: those at `from` and behind it, in the direction.
    pub(crate) fn take(&self, term: Term, from: Order, direction: Direction, most: usize) -> Vec<Posting> {
        let all = self.of(term);
        match direction {
            Direction::Forward => {
                let first = all.partition_point(|posting| posting.order() < from);
                all[first..].iter().take(most).copied().collect()
            }
            Direction::Backward => {
                let behind = all.partition_point(|posting| posting.order() <= from);
                all[..behind].iter().rev().take(most).copied().collect()
            }
        }
    }

    /// Every term and its postings, in order.
    pub(crate) fn sorted(&self) -> Vec<(Term, &[Posting])> {
        let mut all: Vec<(Term, &[Posting])> = self.terms.iter().map(|(term, list)| (*term, list.as_slice())).collect();
        all.sort_unstable_by_key(|(term, _)| *term);
        all
    }

    /// Puts the events of a batch.
    pub(crate) fn put_batch(&mut self, partition: u32, base: u64, appended_at_us: i64, batch: &BatchTerms) {
        for (delta, kind, term) in &batch.terms {
            let posting = Posting {
                appended_at_us,
                offset: base + u64::from(*delta),
                kind: *kind,
                partition: partition as u16,
                transactional: batch.transactional,
            };
            self.put(*term, posting);
        }
    }

    /// Puts what another table holds.
    pub(crate) fn put_all(&mut self, other: Memory) {
        for (term, list) in other.terms {
            list.as_slice().iter().for_each(|posting| self.put(term, *posting));
        }
    }

    pub(crate) fn holds(&self, term: Term, order: Order) -> bool {
        self.of(term).binary_search_by_key(&order, Posting::order).is_ok()
    }
}
