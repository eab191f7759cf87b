//! The open log: the one type the rest of the program holds.

use std::path::Path;
use std::sync::Arc;

use headwater_host::Host;
use headwater_records::Position;
use tokio::sync::{oneshot, watch};

use crate::types::*;

/// The log. Clones share it.
#[derive(Clone)]
pub struct EventLog {
    _inner: Arc<()>,
}

/// Resolves when the append is durable, or was refused.
pub type AppendOutcome = oneshot::Receiver<Result<Appended, AppendError>>;

impl EventLog {
    /// Opens the log in `dir`, creating it where there is none; recovers what a crash left.
    pub fn open(host: Host, dir: &Path, options: LogOptions) -> Result<(EventLog, Recovery), OpenError> {
        let _ = (host, dir, options);
        todo!()
    }

    /// Creates a stream; durable when this returns.
    pub fn create_stream(&self, name: &str, partitions: u32) -> Result<StreamInfo, StreamError> {
        let _ = (name, partitions);
        todo!()
    }

    /// Drops a stream and its events; durable when this returns.
    pub fn drop_stream(&self, name: &str) -> Result<(), StreamError> {
        let _ = name;
        todo!()
    }

    /// Every stream, by name.
    pub fn streams(&self) -> Vec<StreamInfo> {
        todo!()
    }

    /// One stream.
    pub fn stream(&self, name: &str) -> Option<StreamInfo> {
        let _ = name;
        todo!()
    }

    /// Hands an append to the sequencer, which checks it, looks at the condition and assigns the offsets before this returns.
    /// The outcome resolves after the flush; a refusal resolves at once. Waits (async) while too many bytes are pending.
    pub async fn submit(&self, append: Append) -> AppendOutcome {
        let _ = append;
        todo!()
    }

    /// [`EventLog::submit`], and waits for the outcome.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let _ = append;
        todo!()
    }

    /// [`EventLog::append`] for threads outside of a runtime.
    pub fn append_blocking(&self, append: Append) -> Result<Appended, AppendError> {
        let _ = append;
        todo!()
    }

    /// Whole batches from the one that holds `from` on, below the high watermark: at least one where there is one, then as many as fit in `bytes_max`.
    /// Empty at the high watermark.
    pub fn read(
        &self,
        stream: &str,
        partition: u32,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, ReadError> {
        let _ = (stream, partition, from, bytes_max);
        todo!()
    }

    /// The offsets of a partition.
    pub fn offsets(&self, stream: &str, partition: u32) -> Option<PartitionOffsets> {
        let _ = (stream, partition);
        todo!()
    }

    /// The high watermark of every partition of a stream; `None` where there is no such stream.
    pub fn position(&self, stream: &str) -> Option<Position> {
        let _ = stream;
        todo!()
    }

    /// The position of a stream that holds exactly the events appended at or before the moment (microseconds since 1970).
    pub fn position_at(&self, stream: &str, appended_at_us: i64) -> Result<Position, ReadError> {
        let _ = (stream, appended_at_us);
        todo!()
    }

    /// The first event whose writer's timestamp is at or after `timestamp_ms`: its offset and timestamp (Kafka's ListOffsets by time).
    pub fn offset_for_timestamp(
        &self,
        stream: &str,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<Option<(u64, i64)>, ReadError> {
        let _ = (stream, partition, timestamp_ms);
        todo!()
    }

    /// A number that grows with every group commit and every change of the set of streams: wait for it to change, then look.
    pub fn commits(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// The first producer id not given out yet; ids are never given out twice, also not over restarts.
    pub fn new_producer_id(&self) -> Result<i64, StreamError> {
        todo!()
    }

    /// Why the log stopped writing, where it did.
    pub fn stopped(&self) -> Option<String> {
        todo!()
    }

    /// What the log counts.
    pub fn metrics(&self) -> LogMetrics {
        todo!()
    }

    /// Flushes what waits, writes a checkpoint and stops writing. Later appends are refused.
    pub fn close(&self) {
        todo!()
    }
}
