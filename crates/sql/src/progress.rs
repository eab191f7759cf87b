//! How far a question has got with the events that it reads.
//!
//! Each scan of a stream says how much it is to read when it begins, and counts what it read: scans that are planned and thrown away say nothing, and the
//! total grows where one scan begins after another has ended. What an index finds is not counted: it is soon done.

use std::sync::atomic::{AtomicU64, Ordering};

/// The events of a question. Its scans share it with whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Events read, and events to be read as far as that is known.
    pub fn events(&self) -> (u64, u64) {
        let total = self.total.load(Ordering::Relaxed);
        (self.read.load(Ordering::Relaxed).min(total), total)
    }

    /// The question is planned, perhaps once more.
    pub(crate) fn begin(&self) {
        self.read.store(0, Ordering::Relaxed);
        self.total.store(0, Ordering::Relaxed);
    }

    /// So many more are to be read.
    pub(crate) fn expect(&self, events: u64) {
        self.total.fetch_add(events, Ordering::Relaxed);
    }

    /// So many more were read.
    pub(crate) fn took(&self, events: u64) {
        self.read.fetch_add(events, Ordering::Relaxed);
    }
}
