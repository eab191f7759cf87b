//! What the log tells of itself: its streams, their offsets and producers, what was done and what is counted.

use std::sync::Arc;

use crate::streams::settings::StreamSettings;

/// What recovery found, for the start-up lines.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// Bytes of the journal read again.
    pub journal_bytes: u64,
    /// Batches that were in the journal and not yet in a segment.
    pub batches_replayed: u64,
    /// Bytes cut off the unflushed tail.
    pub tail_bytes_cut: u64,
    /// How far the clock is behind the last append, microseconds: it went back, or it was ahead then. Append times stand still until it has
    /// caught up; nothing is lost.
    pub clock_behind_us: i64,
    /// Damage that cost nothing, because what it hit stood elsewhere too; it was put right.
    pub mended: Vec<String>,
    /// Damage below the durable end: reported, never skipped. Reading there fails with [`crate::ReadError::Damaged`].
    pub damage: Vec<String>,
}

/// A stream as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The name.
    pub name: String,
    /// Never given out again, also not to a later stream of the same name.
    pub id: u128,
    /// The number of partitions.
    pub partitions: u32,
    /// What was set of it.
    pub settings: Arc<StreamSettings>,
}

/// The offsets of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionOffsets {
    /// The first offset still kept: what stood below is gone.
    pub start: u64,
    /// Up to here compaction took out what newer events superseded; from here on every event is there.
    pub compacted: u64,
    /// The durable end: the next offset a reader may not see yet.
    pub high_watermark: u64,
    /// The last stable offset: no event below it is part of a transaction that is still open. At most the high watermark.
    pub stable: u64,
    /// The next offset to be given out.
    pub end: u64,
}

/// What is known of an idempotent or transactional producer in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerInfo {
    /// The producer.
    pub id: i64,
    /// The newest epoch seen.
    pub epoch: i16,
    /// The sequence number of its last event; `None` where only the end of a transaction is known.
    pub last_sequence: Option<i32>,
    /// When it was last heard of, microseconds since 1970.
    pub heard_at_us: i64,
    /// The first offset of its transaction, where one is open.
    pub open_since: Option<u64>,
}

/// What a round of retention and compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tended {
    /// Partitions whose oldest events were deleted.
    pub starts_moved: u64,
    /// Segments written by compaction.
    pub segments_compacted: u64,
}

/// What the log counts, for metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMetrics {
    /// Events appended since start.
    pub events: u64,
    /// Bytes of batches appended since start.
    pub bytes: u64,
    /// Group commits (flushes) since start.
    pub commits: u64,
    /// Time spent flushing since start, microseconds.
    pub flush_us: u64,
    /// The longest flush since start, microseconds.
    pub flush_us_max: u64,
}

/// Why appends are refused although the log goes on: what did not fit on the disk, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    /// What could not be written, and what is wanting.
    pub why: String,
    /// When that was, microseconds since 1970.
    pub since_us: i64,
}
