//! Giving a log the history of another: batches at the offsets, with the times and principals that they had there.
//!
//! The log's clock is in the hands of whoever restores: it stands at a batch's append time when the batch is given. Batches come in the order of
//! their append times, and those of a partition in the order of their offsets.

use headwater_records::Batch;
use tokio::sync::oneshot;

use crate::append::Part;
use crate::append::checks::Checks;
use crate::append::journal::format::{BATCH_ENTRY_BYTES, principal_entry_bytes};
use crate::append::sequencer::Waiting;
use crate::error::StreamError;
use crate::keep::behind::{Replacement, Task};
use crate::log::{AppendOutcome, EventLog};
use crate::read::PartitionReader;

impl EventLog {
    /// Puts a batch of another log into a partition, at the offset that it has. What the other log no longer had before it becomes a gap without events.
    /// It was taken once: neither its producer's sequence nor the stream's settings are looked at. The outcome resolves after the flush.
    pub async fn restore(&self, part: Part, principal: &str) -> AppendOutcome {
        let end = self
            .offsets(&part.stream, part.partition)
            .map_or(0, |offsets| offsets.end);
        self.restore_gap(&part.stream, part.partition, end, part.batch.base_offset(), principal)
            .await;
        self.restore_batch(part, principal).await
    }

    /// Offsets of a partition up to `to` that have no events: those of a partition whose events were all deleted, say.
    pub async fn restore_end(&self, stream: &str, partition: u32, to: u64, principal: &str) {
        let end = self.offsets(stream, partition).map_or(0, |offsets| offsets.end);
        self.restore_gap(stream, partition, end, to, principal).await;
    }

    /// Notes up to where a partition was compacted, and when the last event below was appended: what it was before cannot be told.
    pub fn restore_compacted(&self, stream: &str, partition: u32, upto: u64, at_us: i64) -> Result<(), StreamError> {
        let unknown = || StreamError::Unknown(stream.to_owned());
        let reader = PartitionReader::new(&self.shared, stream, partition).map_err(|_| unknown())?;
        let replacement = Replacement {
            stream: reader.partition.stream,
            partition,
            old: Vec::new(),
            new: Vec::new(),
            compacted: Some((upto, at_us)),
        };
        match self.shared.behind.ask(Task::Replace(Box::new(replacement))) {
            true => Ok(()),
            false => Err(StreamError::Stopped("it takes nothing any more".to_owned())),
        }
    }

    /// When the last event that compaction may have taken from a partition was appended.
    pub(crate) fn compacted_at_us(&self, stream: &str, partition: u32) -> i64 {
        let stream = self.shared.stream(stream);
        let partition = stream.as_ref().and_then(|stream| stream.partition(partition));
        partition.map_or(i64::MIN, |partition| partition.compacted().appended_at_us)
    }

    async fn restore_gap(&self, stream: &str, partition: u32, from: u64, to: u64, principal: &str) {
        let mut from = from;
        while from < to {
            let batch = Batch::encode_lost(from, to);
            // One batch does not reach further than its count of offsets.
            from += batch.next_offset() - batch.base_offset();
            let part = Part {
                stream: stream.to_owned(),
                partition,
                batch,
            };
            // Whoever restores waits for the batch behind it, which is durable no earlier.
            drop(self.restore_batch(part, principal).await);
        }
    }

    async fn restore_batch(&self, part: Part, principal: &str) -> AppendOutcome {
        let (reply, outcome) = oneshot::channel();
        let bytes = part.batch.bytes().len() + BATCH_ENTRY_BYTES + principal_entry_bytes(principal);
        let permits = bytes.min(self.shared.options.pending_bytes_max) as u32;
        if let Ok(permit) = self.shared.pending.acquire_many(permits).await {
            permit.forget();
        }
        let parts = vec![part];
        self.sequence(Waiting {
            prepared: self.prepare(&parts),
            parts,
            principal: principal.to_owned(),
            checks: Checks::of(None),
            permits,
            reply,
            looked_at: Vec::new(),
            restored: true,
            leads: false,
        });
        outcome
    }
}
