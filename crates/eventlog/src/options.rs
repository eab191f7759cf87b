//! How the log is laid out and bounded.

use std::time::Duration;

use headwater_records::limits::BATCH_BYTES_MAX;

use crate::limits::{COMPACTION_KEYS_MAX, ENTITY_MEMORY_BYTES, PRODUCER_SILENT_MAX};

/// How the log is laid out and bounded.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The largest batch taken, in bytes.
    pub batch_bytes_max: usize,
    /// The size of one journal file.
    pub journal_bytes: u64,
    /// Settings of streams are taken as by a log whose journal files have this size; `None`: as this one's. For a log that stands for another.
    pub stands_for_journal_bytes: Option<u64>,
    /// A segment is closed at this size.
    pub segment_bytes: u64,
    /// The most bytes of appends waiting for the disk; more wait at the door.
    pub pending_bytes_max: usize,
    /// A producer that is silent for so long is forgotten: its next batch may begin anywhere.
    pub producer_silent_max: Duration,
    /// How often retention and compaction look at every stream.
    pub tend_every: Duration,
    /// How many keys one pass of compaction compares at once, about 40 bytes each; more keys take more passes.
    pub compaction_keys_max: usize,
    /// How much memory the entity indexes of all streams take together: postings that are not on the disk yet, and blocks of those that are.
    pub entity_memory_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            batch_bytes_max: BATCH_BYTES_MAX,
            journal_bytes: 64 * 1024 * 1024,
            stands_for_journal_bytes: None,
            segment_bytes: 256 * 1024 * 1024,
            pending_bytes_max: 64 * 1024 * 1024,
            producer_silent_max: PRODUCER_SILENT_MAX,
            tend_every: Duration::from_secs(5),
            compaction_keys_max: COMPACTION_KEYS_MAX,
            entity_memory_bytes: ENTITY_MEMORY_BYTES,
        }
    }
}
