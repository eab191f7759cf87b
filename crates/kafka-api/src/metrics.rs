//! What this door counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A moment's figures; all but the open connections count from the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KafkaMetrics {
    /// Connections open now.
    pub connections: u64,
    /// Requests answered or acted upon.
    pub requests: u64,
    /// Requests, frames and connections refused because they were malformed or broke a limit.
    pub refused: u64,
    /// Events appended.
    pub events_in: u64,
    /// Bytes of batches appended.
    pub bytes_in: u64,
    /// Bytes of batches sent to readers.
    pub bytes_out: u64,
}

/// The counters behind [`KafkaMetrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) events_in: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

impl Counters {
    pub(crate) fn now(&self) -> KafkaMetrics {
        KafkaMetrics {
            connections: self.connections.load(Relaxed),
            requests: self.requests.load(Relaxed),
            refused: self.refused.load(Relaxed),
            events_in: self.events_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}
