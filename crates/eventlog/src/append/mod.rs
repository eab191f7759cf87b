//! What is appended, where it landed, and why it was not taken.

pub(crate) mod awaited;
pub(crate) mod checks;
pub(crate) mod gather;
pub(crate) mod hasten;
pub(crate) mod hold;
pub(crate) mod journal;
pub(crate) mod producers;
pub(crate) mod restore;
pub(crate) mod room;
pub(crate) mod sequencer;
mod submit;
pub(crate) mod turnstile;
pub(crate) mod writer;

use headwater_records::{Batch, Position};

use crate::entities::{Condition, ConditionFailed, QueryError};
use crate::error::ReadError;

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
    /// A transaction begins with a sequence that one before it used: its producer counted wrong after it gave that one up.
    #[error(
        "producer {producer_id} sent sequence {sequence}, which it used in a transaction that has ended: abort, and begin again with a new epoch"
    )]
    UsedSequence {
        /// The producer.
        producer_id: i64,
        /// The sequence that came.
        sequence: i32,
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
    /// The disk is full, or no more files can be opened. Appends are taken again by themselves when that is over.
    #[error("nothing is appended for now: {why}; it goes on by itself when that is over")]
    Full {
        /// What could not be written, and what is wanting.
        why: String,
    },
    /// The log stopped writing.
    #[error("the log stopped writing: {why}; restart when the cause is mended")]
    Stopped {
        /// What failed.
        why: String,
    },
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
