//! The entity index of one stream.
//!
//! Invariants
//! - Whatever is sequenced into the stream is put in the same step; [`Cut`] says up to where that is.
//! - What stood in the stream before the index was made is built beside it; until then nothing is answered.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::entities::facets::Facets;
use crate::entities::postings::{Memory, Order, Posting};
use crate::entities::query::Direction;
use crate::entities::terms::{BatchTerms, KindHash, Term, Terms};
use crate::types::ReadError;

/// Where a stream has its index, while it has one.
#[derive(Default)]
pub(crate) struct Slot {
    index: RwLock<Option<Arc<EntityIndex>>>,
    /// What the next index is to say of events.
    pub(crate) facets: Mutex<Option<Arc<dyn Facets>>>,
}

/// The index of one stream, under one way of saying what events are about.
pub(crate) struct EntityIndex {
    pub(crate) terms: Terms,
    inner: Mutex<Inner>,
    built: Mutex<bool>,
    bell: Condvar,
}

struct Inner {
    /// What was in the stream when the index was made.
    older: Memory,
    /// What was sequenced since.
    newer: Memory,
    cut: Cut,
}

/// Up to where a stream's events are in its index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut {
    /// Of each partition the next offset; partitions that are not there yet have none.
    pub(crate) ends: Vec<u64>,
    /// When the last of them was appended.
    pub(crate) appended_at_us: i64,
}

/// What a condition must hear of: events with all of these terms, of one of these kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) terms: Vec<Term>,
    /// None: of any kind.
    pub(crate) kinds: Vec<KindHash>,
}

impl Slot {
    pub(crate) fn get(&self) -> Option<Arc<EntityIndex>> {
        self.index.read().clone()
    }

    pub(crate) fn set(&self, index: Option<Arc<EntityIndex>>) {
        *self.index.write() = index;
    }

    /// Whether this is the index that the stream has.
    pub(crate) fn holds(&self, index: Option<&Arc<EntityIndex>>) -> bool {
        match (&*self.index.read(), index) {
            (None, None) => true,
            (Some(held), Some(index)) => Arc::ptr_eq(held, index),
            _ => false,
        }
    }
}

impl Cut {
    fn end(&self, partition: u16) -> u64 {
        self.ends.get(usize::from(partition)).copied().unwrap_or(0)
    }

    fn advance(&mut self, partition: u32, next: u64) {
        let partition = partition as usize;
        if self.ends.len() <= partition {
            self.ends.resize(partition + 1, 0);
        }
        self.ends[partition] = next;
    }
}

impl EntityIndex {
    /// An index of what comes after `cut`.
    pub(crate) fn new(terms: Terms, cut: Cut) -> EntityIndex {
        EntityIndex {
            terms,
            inner: Mutex::new(Inner {
                older: Memory::default(),
                newer: Memory::default(),
                cut,
            }),
            built: Mutex::new(false),
            bell: Condvar::new(),
        }
    }

    /// Puts a batch that was sequenced.
    pub(crate) fn put(&self, partition: u32, base: u64, next: u64, appended_at_us: i64, batch: &BatchTerms) {
        let mut inner = self.inner.lock();
        inner.newer.put_batch(partition, base, appended_at_us, batch);
        inner.cut.advance(partition, next);
        inner.cut.appended_at_us = appended_at_us;
    }

    /// Puts a batch that stood in the stream before.
    pub(crate) fn put_older(&self, partition: u32, base: u64, appended_at_us: i64, batch: &BatchTerms) {
        self.inner
            .lock()
            .older
            .put_batch(partition, base, appended_at_us, batch);
    }

    pub(crate) fn cut(&self) -> Cut {
        self.inner.lock().cut.clone()
    }

    /// Whether something was sequenced since the cut that may be what is watched for.
    pub(crate) fn has_news(&self, cut: &Cut, watched: &Watched) -> bool {
        let inner = self.inner.lock();
        let Some((first, rest)) = watched.terms.split_first() else {
            let ends = inner.cut.ends.iter().enumerate();
            return ends
                .map(|(partition, end)| (partition as u16, *end))
                .any(|(partition, end)| end > cut.end(partition));
        };
        let since = inner.newer.of(*first).iter().rev();
        // What came in one append may stand on both sides of the cut.
        since
            .take_while(|posting| posting.appended_at_us >= cut.appended_at_us)
            .filter(|posting| posting.offset >= cut.end(posting.partition))
            .filter(|posting| watched.kinds.is_empty() || watched.kinds.contains(&posting.kind))
            .any(|posting| rest.iter().all(|term| inner.newer.holds(*term, posting.order())))
    }

    /// At most so many postings of a term: those at `from` and behind it, in the direction.
    pub(crate) fn take(
        &self,
        term: Term,
        from: Order,
        direction: Direction,
        most: usize,
    ) -> Result<Vec<Posting>, ReadError> {
        let inner = self.inner.lock();
        let mut found = inner.older.take(term, from, direction, most);
        found.extend(inner.newer.take(term, from, direction, most));
        drop(inner);
        found.sort_unstable_by_key(Posting::order);
        if direction == Direction::Backward {
            found.reverse();
        }
        found.truncate(most);
        Ok(found)
    }

    /// What stood in the stream before is in it.
    pub(crate) fn is_built(&self) {
        *self.built.lock() = true;
        self.bell.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut built = self.built.lock();
        while !*built {
            self.bell.wait(&mut built);
        }
    }
}

impl Memory {
    fn put_batch(&mut self, partition: u32, base: u64, appended_at_us: i64, batch: &BatchTerms) {
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

    fn holds(&self, term: Term, order: Order) -> bool {
        self.of(term).binary_search_by_key(&order, Posting::order).is_ok()
    }
}
