//! What can be set of a stream: how long events are kept, how segments are cut, what is taken and how durable it is made.
//!
//! A setting that nobody set has its default, and the two are told apart: a door can show where a value comes from, and taking a setting
//! back is not the same as setting it to what the default happens to be.
//!
//! Invariants
//! - This is the one place where a stream's settings live: doors and the catalog read and write them here.
//! - On the disk a setting stands by its name, as text ([`StreamSettings::pairs`]); unknown names are refused.

mod names;

use std::collections::BTreeMap;

use headwater_records::Compression;

pub use names::{SETTING_NAMES, SettingError};

/// Everything set of one stream; `None`: the default. The functions of the same name say what holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamSettings {
    /// What becomes of old events.
    pub cleanup: Option<Cleanup>,
    /// How long events are kept, milliseconds.
    pub retention_ms: Option<Keep>,
    /// How many bytes of a partition are kept.
    pub retention_bytes: Option<Keep>,
    /// A segment is closed at this size.
    pub segment_bytes: Option<u64>,
    /// A segment is closed this long after its first event came, milliseconds.
    pub segment_ms: Option<u64>,
    /// How long a compacted stream keeps a tombstone, milliseconds.
    pub tombstone_ms: Option<u64>,
    /// How long an event is safe from compaction, milliseconds.
    pub compaction_lag_ms_min: Option<u64>,
    /// When an event may wait no longer for compaction, milliseconds.
    pub compaction_lag_ms_max: Option<Keep>,
    /// Which part of a partition's closed bytes must be new before it is compacted, in millionths.
    pub dirty_ratio_min: Option<u32>,
    /// The largest batch taken, bytes.
    pub batch_bytes_max: Option<u32>,
    /// Whose clock the events' timestamps are.
    pub timestamps: Option<Timestamps>,
    /// How far a writer's timestamp may be in the past, milliseconds.
    pub timestamp_before_ms_max: Option<Keep>,
    /// How far a writer's timestamp may be in the future, milliseconds.
    pub timestamp_after_ms_max: Option<Keep>,
    /// How batches are compressed.
    pub compression: Option<Packing>,
    /// Whether events are acknowledged before they are flushed.
    pub relaxed: Option<bool>,
    /// How long a relaxed stream's events wait for their flush at most, milliseconds.
    pub flush_ms: Option<u64>,
    /// Whether the events of one key, tag or kind are found without a scan, and conditions may speak of them.
    pub entities: Option<Entities>,
    /// What a door wants kept beside the stream; the log makes nothing of it.
    pub labels: BTreeMap<String, String>,
}

/// What becomes of old events: any, none or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup {
    /// What is beyond the retention goes.
    pub delete: bool,
    /// What a newer event of the same key supersedes goes.
    pub compact: bool,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    Forever,
    /// So much.
    AtMost(u64),
}

/// Whose clock the timestamps of a stream's events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// The writer's.
    Create,
    /// The log's: the moment of the append replaces the writer's.
    Append,
}

/// How the batches of a stream are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As their writer did.
    AsSent,
    /// All in one way.
    Always(Compression),
}

/// Whether a stream has an entity index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entities {
    /// It has none, and pays for none.
    None,
    /// It has one.
    Indexed,
}

/// What an acknowledgement of a stream's events means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// They are flushed.
    Flushed,
    /// They are in memory, and flushed before long: a power cut may take the last of them back.
    Relaxed {
        /// How long they wait for their flush at most, milliseconds.
        flush_ms: u64,
    },
}

const HOUR_MS: u64 = 60 * 60 * 1000;

/// A segment is closed after a week: Kafka's default.
const SEGMENT_MS_DEFAULT: u64 = 7 * 24 * HOUR_MS;
/// A tombstone is kept for a day: Kafka's default.
const TOMBSTONE_MS_DEFAULT: u64 = 24 * HOUR_MS;
/// Half of a partition's closed bytes must be new: Kafka's default, in millionths.
const DIRTY_RATIO_DEFAULT: u32 = 500_000;
/// A writer's clock may run an hour ahead: Kafka's default.
const TIMESTAMP_AFTER_MS_DEFAULT: u64 = HOUR_MS;
/// A relaxed stream is flushed twice a second.
const FLUSH_MS_DEFAULT: u64 = 500;

impl Keep {
    /// The bound, `None` where there is none.
    pub fn at_most(self) -> Option<u64> {
        match self {
            Keep::Forever => None,
            Keep::AtMost(most) => Some(most),
        }
    }
}

/// A start reads the program's own streams whole, so that what is superseded there goes soon: it goes by segments.
const OWN_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

impl StreamSettings {
    /// Those of a stream of the program's own in which the newest event of each key counts.
    pub fn newest_of_each_key() -> StreamSettings {
        StreamSettings {
            cleanup: Some(Cleanup {
                delete: false,
                compact: true,
            }),
            segment_bytes: Some(OWN_SEGMENT_BYTES),
            ..StreamSettings::default()
        }
    }

    /// What becomes of old events; unless set, what is beyond the retention goes.
    pub fn cleanup(&self) -> Cleanup {
        self.cleanup.unwrap_or(Cleanup {
            delete: true,
            compact: false,
        })
    }

    /// How long events are kept, `None`: for ever, which is the default.
    pub fn retention_ms(&self) -> Option<u64> {
        self.retention_ms.and_then(Keep::at_most)
    }

    /// How many bytes of a partition are kept, `None`: all, which is the default.
    pub fn retention_bytes(&self) -> Option<u64> {
        self.retention_bytes.and_then(Keep::at_most)
    }

    /// When a segment is closed whatever its size.
    pub fn segment_ms(&self) -> u64 {
        self.segment_ms.unwrap_or(SEGMENT_MS_DEFAULT)
    }

    /// How long a compacted stream keeps a tombstone.
    pub fn tombstone_ms(&self) -> u64 {
        self.tombstone_ms.unwrap_or(TOMBSTONE_MS_DEFAULT)
    }

    /// How long an event is safe from compaction; unless set, not at all.
    pub fn compaction_lag_ms_min(&self) -> u64 {
        self.compaction_lag_ms_min.unwrap_or(0)
    }

    /// When an event may wait no longer for compaction; `None`: it waits for the dirty ratio, which is the default.
    pub fn compaction_lag_ms_max(&self) -> Option<u64> {
        self.compaction_lag_ms_max.and_then(Keep::at_most)
    }

    /// Which part of a partition's closed bytes must be new before it is compacted, in millionths.
    pub fn dirty_ratio_min(&self) -> u32 {
        self.dirty_ratio_min.unwrap_or(DIRTY_RATIO_DEFAULT)
    }

    /// Whose clock the timestamps are; unless set, the writer's.
    pub fn timestamps(&self) -> Timestamps {
        self.timestamps.unwrap_or(Timestamps::Create)
    }

    /// How far a writer's timestamp may be in the past; `None`: as far as it likes, which is the default.
    pub fn timestamp_before_ms_max(&self) -> Option<u64> {
        self.timestamp_before_ms_max.and_then(Keep::at_most)
    }

    /// How far a writer's timestamp may be in the future; `None`: as far as it likes.
    pub fn timestamp_after_ms_max(&self) -> Option<u64> {
        match self.timestamp_after_ms_max {
            None => Some(TIMESTAMP_AFTER_MS_DEFAULT),
            Some(set) => set.at_most(),
        }
    }

    /// How batches are compressed; unless set, as their writer did.
    pub fn compression(&self) -> Packing {
        self.compression.unwrap_or(Packing::AsSent)
    }

    /// What an acknowledgement means; unless set, that the events are flushed.
    pub fn durability(&self) -> Durability {
        match self.relaxed {
            Some(true) => Durability::Relaxed {
                flush_ms: self.flush_ms(),
            },
            _ => Durability::Flushed,
        }
    }

    /// How long a relaxed stream's events wait for their flush at most.
    pub fn flush_ms(&self) -> u64 {
        self.flush_ms.unwrap_or(FLUSH_MS_DEFAULT)
    }

    /// Whether the stream has an entity index; unless set, not.
    pub fn is_indexed(&self) -> bool {
        self.entities == Some(Entities::Indexed)
    }
}
