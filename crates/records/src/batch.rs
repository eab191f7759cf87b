//! The record batch: Kafka's v2 batch, which is also the disk format and what a fetch sends.

use bytes::Bytes;

use crate::Event;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
    /// snappy, plain or in Java's framing.
    Snappy,
    /// lz4 frames.
    Lz4,
    /// zstd.
    Zstd,
}

/// Who wrote a batch idempotently, and where it stands in that writer's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// The producer's id, given out by the broker.
    pub id: i64,
    /// The producer's epoch; a newer one fences an older.
    pub epoch: i16,
    /// The sequence number of the batch's first event in its partition.
    pub base_sequence: i32,
}

/// One valid record batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
}

/// Why bytes are no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the header or the batch's own length says.
    #[error("the batch is cut short: {need} bytes needed, {have} there")]
    Short {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// The CRC-32C does not match.
    #[error(
        "the batch's CRC-32C is {computed:08x}, its header says {stated:08x}: its bytes were changed on the way or on the disk"
    )]
    Crc {
        /// What the header says.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// Another message format than v2.
    #[error("message format {magic} is not kept here, only 2 (Kafka 0.11 and newer): configure the client for it")]
    Magic {
        /// The magic byte.
        magic: i8,
    },
    /// Counts, lengths or sizes inside that contradict each other or break a limit.
    #[error("the batch is malformed: {0}")]
    Malformed(&'static str),
}

impl Batch {
    /// Checks the first batch in `bytes` (length, magic, counts, CRC) and takes exactly it; whatever follows it stays in `bytes`.
    pub fn take(bytes: &mut Bytes) -> Result<Batch, BatchError> {
        let _ = bytes;
        todo!()
    }

    /// Encodes events as one batch with base offset 0. The batch's first timestamp is the first event's.
    ///
    /// # Panics
    /// When `events` is empty: a batch holds at least one event.
    pub fn encode(events: &[Event], compression: Compression, producer: Option<Producer>) -> Batch {
        let _ = (events, compression, producer);
        todo!()
    }

    /// The batch as it stands on the wire and on the disk.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same batch at another base offset. The CRC does not cover the base offset (so that a broker can set it).
    pub fn at(self, base_offset: u64) -> Batch {
        let _ = base_offset;
        todo!()
    }

    /// The offset of the first event.
    pub fn base_offset(&self) -> u64 {
        todo!()
    }

    /// The offset after the last event.
    pub fn next_offset(&self) -> u64 {
        todo!()
    }

    /// How many events the batch holds.
    pub fn event_count(&self) -> u32 {
        todo!()
    }

    /// The writer's largest timestamp, milliseconds since 1970.
    pub fn timestamp_ms_max(&self) -> i64 {
        todo!()
    }

    /// How the events are compressed.
    pub fn compression(&self) -> Compression {
        todo!()
    }

    /// Who wrote it, where the writer is idempotent.
    pub fn producer(&self) -> Option<Producer> {
        todo!()
    }

    /// Whether it is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        todo!()
    }

    /// Whether it is a control batch (a transaction's marker), never an event for readers.
    pub fn is_control(&self) -> bool {
        todo!()
    }

    /// Decompresses (bounded by [`crate::limits::BATCH_INFLATED_BYTES_MAX`]) and decodes every event with its offset.
    pub fn events(&self) -> Result<Vec<(u64, Event)>, BatchError> {
        todo!()
    }
}
