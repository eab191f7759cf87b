//! Why something was not read, a stream not changed, a log not opened.

use crate::files::advice;
use crate::streams::settings::SettingError;

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
        "{stream}/{partition} no longer keeps all its events: those appended up to {} are gone in part, so that its state at {} cannot be told",
        moment(*expired_at_us),
        moment(*asked_us)
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
    /// Too little of what reading takes is to be had just now: it may be tried again.
    #[error("reading {stream}/{partition} has to wait: {why}")]
    Short {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// What is wanting.
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
    /// What was made of the events is not written yet.
    #[error("events stay until what was made of them is written: {0}")]
    Needed(String),
    /// Nothing is taken until there is room on the disk.
    #[error("the disk is full and nothing is taken until there is room: {0}")]
    Full(String),
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

/// Microseconds since 1970 as people read a moment; the number itself where it lies outside of the years that can be written.
fn moment(moment_us: i64) -> String {
    jiff::Timestamp::from_microsecond(moment_us).map_or_else(|_| moment_us.to_string(), |moment| moment.to_string())
}
