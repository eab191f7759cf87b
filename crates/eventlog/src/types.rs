//! What goes into the log and what comes out of it.

use headwater_records::{Batch, Position};

use crate::entities::{Condition, ConditionFailed, QueryError};
use crate::files::advice;
use crate::limits::{COMPACTION_KEYS_MAX, ENTITY_MEMORY_BYTES};
use crate::settings::{SettingError, StreamSettings};

/// How the log is laid out and bounded.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The largest batch taken, in bytes.
    pub batch_bytes_max: usize,
    /// The size of one journal file.
    pub journal_bytes: u64,
    /// A segment is closed at this size.
    pub segment_bytes: u64,
    /// The most bytes of appends waiting for the disk; more wait at the door.
    pub pending_bytes_max: usize,
    /// How often retention and compaction look at every stream.
    pub tend_every: std::time::Duration,
    /// How many keys one pass of compaction compares at once, about 40 bytes each; more keys take more passes.
    pub compaction_keys_max: usize,
    /// How much memory the entity indexes of all streams take together: postings that are not on the disk yet, and blocks of those that are.
    pub entity_memory_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            batch_bytes_max: headwater_records::limits::BATCH_BYTES_MAX,
            journal_bytes: 64 * 1024 * 1024,
            segment_bytes: 256 * 1024 * 1024,
            pending_bytes_max: 64 * 1024 * 1024,
            tend_every: std::time::Duration::from_secs(5),
            compaction_keys_max: COMPACTION_KEYS_MAX,
            entity_memory_bytes: ENTITY_MEMORY_BYTES,
        }
    }
}

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
    /// Damage below the durable end: reported, never skipped. Reading there fails with [`ReadError::Damaged`].
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
    pub settings: std::sync::Arc<StreamSettings>,
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

/// One step of writing: all parts or none, under one condition.
pub struct Append {
    /// What goes where. Batches for one partition take offsets in the order of the list.
    pub parts: Vec<Part>,
    /// Who writes.
    pub principal: String,
    /// What must hold, looked at by the sequencer in the same step that assigns the offsets.
    pub condition: Option<Condition>,
}

/// One batch for one partition.
#[derive(Debug, Clone)]
pub struct Part {
    /// The stream's name.
    pub stream: String,
    /// The partition.
    pub partition: u32,
    /// The batch; its base offset is set by the log.
    pub batch: Batch,
}

/// Where an append landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// For each part in order: the offset of its first event.
    pub base_offsets: Vec<u64>,
    /// When it was appended, microseconds since 1970: one clock for the whole log, never going back.
    pub appended_at_us: i64,
    /// Whether it was in the log already: an idempotent producer's retry, answered as the first time.
    pub duplicate: bool,
}

/// A batch read back, with what the log keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// The bytes as they came, at their base offset.
    pub batch: Batch,
    /// When it was appended, microseconds since 1970.
    pub appended_at_us: i64,
    /// By whom.
    pub principal: std::sync::Arc<str>,
}

/// Why an append was not taken. Nothing of it is in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The stream or partition does not exist.
    #[error("there is no partition {partition} of a stream '{stream}'")]
    Unknown {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
    },
    /// The batch is larger than the log takes.
    #[error("the batch has {bytes} bytes, more than the {max} that are taken: send smaller batches or raise the limit")]
    TooLarge {
        /// The batch's size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The stream is compacted, which is by key, and an event has none.
    #[error(
        "an event without a key cannot be appended to '{stream}': it keeps the newest event of each key (cleanup = 'compact')"
    )]
    Keyless {
        /// The stream.
        stream: String,
    },
    /// A guard said no.
    #[error("events that came in between are in the way")]
    Conflict {
        /// Up to where the log had got when the condition failed; wait for this before trying again.
        end: Position,
    },
    /// An entity has another version, or events came that a boundary excludes.
    #[error("{}", failed(.0))]
    ConditionFailed(Box<ConditionFailed>),
    /// The condition cannot be asked.
    #[error("{0}")]
    Condition(#[from] QueryError),
    /// An idempotent producer's sequence has a gap.
    #[error("producer {producer_id} sent sequence {got} where {expected} was expected")]
    OutOfSequence {
        /// The producer.
        producer_id: i64,
        /// The sequence that came.
        got: i32,
        /// The sequence that would follow.
        expected: i32,
    },
    /// A newer instance of the producer has written.
    #[error("producer {producer_id} was fenced: epoch {epoch} is older than {current}")]
    Fenced {
        /// The producer.
        producer_id: i64,
        /// Its epoch.
        epoch: i16,
        /// The newest epoch seen.
        current: i16,
    },
    /// A producer whose transaction is open in a partition wrote there outside of it.
    #[error("producer {producer_id} has a transaction open in the partition and sent a batch that is no part of it")]
    OutsideTransaction {
        /// The producer.
        producer_id: i64,
    },
    /// Too many transactions are open.
    #[error(
        "{open} transactions are open in partitions, as many as are allowed: end some, or wait until they time out"
    )]
    TransactionsOpen {
        /// How many.
        open: usize,
    },
    /// The condition could not be looked at: older events that it speaks of cannot be read.
    #[error("the condition could not be checked: {0}")]
    Unreadable(#[from] ReadError),
    /// The disk is full. Appends are taken again by themselves when there is room.
    #[error("the disk is full and nothing is taken until there is room: {why}; free space on it, or drop streams")]
    Full {
        /// What did not fit.
        why: String,
    },
    /// The log stopped writing.
    #[error("the log stopped writing: {why}; restart when the cause is mended")]
    Stopped {
        /// What failed.
        why: String,
    },
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The stream or partition does not exist.
    #[error("there is no partition {partition} of a stream '{stream}'")]
    Unknown {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
    },
    /// The offset is below the first kept or above the end.
    #[error("offset {offset} of {stream}/{partition} is outside of {start}..{end}")]
    OutOfRange {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        offset: u64,
        /// The first kept.
        start: u64,
        /// The high watermark.
        end: u64,
    },
    /// Events appended after the moment asked for are no longer kept, so that the state at that moment cannot be told.
    #[error(
        "{stream}/{partition} no longer keeps all its events: those appended up to {expired_at_us} (microseconds since 1970) are gone \
         in part, so that its state at {asked_us} cannot be told; ask for a later moment, or keep events longer"
    )]
    Expired {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// The moment asked for, microseconds since 1970.
        asked_us: i64,
        /// When the last event that is gone was appended, microseconds since 1970.
        expired_at_us: i64,
    },
    /// The bytes on disk are not what was written.
    #[error("{stream}/{partition} is damaged at offset {offset}: {what}")]
    Damaged {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// The first offset that cannot be read.
        offset: u64,
        /// File, place and what is wrong there.
        what: String,
    },
    /// The disk refused.
    #[error("reading {stream}/{partition} failed: {why}")]
    Disk {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// What the disk said.
        why: String,
    },
}

/// Why a stream was not created, altered or dropped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamError {
    /// The name is taken.
    #[error("a stream '{0}' exists already")]
    Exists(String),
    /// There is no such stream.
    #[error("there is no stream '{0}'")]
    Unknown(String),
    /// The name or the number of partitions breaks a limit.
    #[error("{0}")]
    Invalid(String),
    /// A setting cannot be had.
    #[error("stream '{name}': {error}")]
    Setting {
        /// The stream.
        name: String,
        /// The setting, and why.
        error: SettingError,
    },
    /// The offset up to which events are to be deleted is beyond the high watermark.
    #[error("events of {stream}/{partition} below {before} cannot be deleted: its high watermark is {high_watermark}")]
    Beyond {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        before: u64,
        /// The high watermark.
        high_watermark: u64,
    },
    /// The log stopped writing.
    #[error("the log stopped writing: {0}; restart when the cause is mended")]
    Stopped(String),
}

/// Why the log did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data folder {0} is in use by another process: stop that one, or name another folder with --data")]
    InUse(String),
    /// A newer program wrote it.
    #[error(
        "the data folder {path} was written in format {found}, this program knows up to {known}: use the newer program"
    )]
    Newer {
        /// The folder.
        path: String,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// It is no data folder, or damaged where nothing can be derived.
    #[error("{path}: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// The disk refused.
    #[error("{path}: {said}{}", advice(said))]
    Disk {
        /// The file.
        path: String,
        /// What the disk said. It stands in the text, so that it is no source of its own.
        said: std::io::Error,
    },
}

/// What a round of retention and compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tended {
    /// Partitions whose oldest events were deleted.
    pub starts_moved: u64,
    /// Segments written by compaction.
    pub segments_compacted: u64,
}

/// Why appends are refused although the log goes on: what did not fit on the disk, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    /// What did not fit.
    pub why: String,
    /// When that was, microseconds since 1970.
    pub since_us: i64,
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

/// What came in between, in words.
fn failed(failed: &ConditionFailed) -> String {
    let came: Vec<String> = failed.came.iter().take(3).map(ToString::to_string).collect();
    let more = match failed.came.len() - came.len() {
        0 => "",
        _ => " and more",
    };
    match (&failed.entity, failed.version) {
        (Some((stream, key)), Some(version)) => format!(
            "the version of '{}' in '{stream}' is {version}, not the one expected: read what came, and decide again",
            String::from_utf8_lossy(key)
        ),
        (Some((stream, key)), None) => format!(
            "'{}' has no events in '{stream}', and was expected to have some",
            String::from_utf8_lossy(key)
        ),
        (None, _) => format!(
            "events came that the condition excludes ({}{more}): read what came, and decide again",
            came.join(", ")
        ),
    }
}
