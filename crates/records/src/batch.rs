//! The record batch: Kafka's v2 batch, which is also the disk format and what a fetch sends.
//!
//! ```text
//!  0 base offset i64        8 length i32 (of what follows)   12 leader epoch i32    16 magic i8 = 2
//! 17 CRC-32C u32 (of what follows)                           21 attributes i16      23 last offset delta i32
//! 27 base timestamp i64    35 max timestamp i64              43 producer id i64     51 producer epoch i16
//! 53 base sequence i32     57 event count i32                61 events, together in one compressed block or plain
//! ```
//!
//! Attributes: bits 0–2 compression, 3 timestamps are append times, 4 transactional, 5 control.
//!
//! Invariants
//! - A [`Batch`] passed every check of [`Batch::take`]; what is compressed inside is looked at only when events are asked for.
//! - The bytes are exactly the writer's but for the base offset and the leader epoch, which the CRC does not cover, unless its stream says
//!   that the moment of the append or another compression takes the place of the writer's.
//! - A transaction ends in a partition with a [`Marker`], a control batch of one record; it takes one offset and is no event.
//!
//! Source: Apache Kafka's protocol guide, "Record Batch"; KIP-98 and KIP-482 for the fields.

mod compression;
mod encode;
mod events;
mod indexed;
mod marker;
mod retain;
mod rewrite;
mod varint;

use bytes::{Bytes, BytesMut};

use crate::Event;
use crate::limits::{BATCH_CRC_COVERS_FROM, BATCH_HEADER_BYTES, BATCH_INFLATED_BYTES_MAX, EVENT_BYTES_MIN, EVENTS_MAX};

pub use compression::Compression;
pub use events::{EventSlice, Events, EventsIter};
pub use indexed::IndexedEvents;
pub use marker::Marker;
pub use retain::Retained;

const LENGTH_AT: usize = 8;
const LENGTH_COUNTS_FROM: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = BATCH_CRC_COVERS_FROM;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const EVENT_COUNT_AT: usize = 57;

const MAGIC: i8 = 2;
const COMPRESSION_BITS: i16 = 7;
const ATTRIBUTE_APPEND_TIME: i16 = 1 << 3;
const ATTRIBUTE_TRANSACTIONAL: i16 = 1 << 4;
const ATTRIBUTE_CONTROL: i16 = 1 << 5;

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

const NO_EVENTS: BatchError = BatchError::Malformed("it holds no events");

impl Batch {
    /// Checks the first batch in `bytes` (length, magic, counts, CRC) and takes exactly it; whatever follows it stays in `bytes`.
    pub fn take(bytes: &mut Bytes) -> Result<Batch, BatchError> {
        let batch = Batch::take_stored(bytes)?;
        if batch.event_count() == 0 {
            return Err(NO_EVENTS);
        }
        let dense = batch.event_count() == batch.last_offset_delta() + 1;
        match dense || batch.is_control() {
            true => Ok(batch),
            false => Err(BatchError::Malformed(
                "its event count differs from its last offset delta + 1",
            )),
        }
    }

    /// [`Batch::take`] of what the log holds: events may have been taken out of a batch, whose offsets then stay free, if need be all of them.
    pub fn take_stored(bytes: &mut Bytes) -> Result<Batch, BatchError> {
        let length_bytes = batch_bytes(bytes)?;
        let head = bytes.get(..length_bytes).ok_or(BatchError::Short {
            need: length_bytes,
            have: bytes.len(),
        })?;
        let stated = u32::from_be_bytes(field(head, CRC_AT));
        let computed = crc32c::crc32c(&head[CRC_COVERS_FROM..]);
        if stated != computed {
            return Err(BatchError::Crc { stated, computed });
        }
        check_header(head)?;
        Ok(Batch {
            bytes: bytes.split_to(length_bytes),
        })
    }

    /// Encodes events as one batch with base offset 0. The batch's first timestamp is the first event's.
    ///
    /// # Panics
    /// When `events` is empty: a batch holds at least one event. When the events take 2 GiB: the writer bounds them long before.
    pub fn encode(events: &[Event], compression: Compression, producer: Option<Producer>) -> Batch {
        Batch {
            bytes: encode::batch(events, compression, producer, 0),
        }
    }

    /// [`Batch::encode`], as part of a transaction of the producer.
    ///
    /// # Panics
    /// As [`Batch::encode`].
    pub fn encode_transactional(events: &[Event], compression: Compression, producer: Producer) -> Batch {
        Batch {
            bytes: encode::batch(events, compression, Some(producer), ATTRIBUTE_TRANSACTIONAL),
        }
    }

    /// The batch as it stands on the wire and on the disk.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The offset of the first event.
    pub fn base_offset(&self) -> u64 {
        u64::from_be_bytes(field(&self.bytes, 0))
    }

    /// The offset after the last event.
    pub fn next_offset(&self) -> u64 {
        self.base_offset() + self.last_offset_delta() as u64 + 1
    }

    /// How many events the batch holds.
    pub fn event_count(&self) -> u32 {
        u32::from_be_bytes(field(&self.bytes, EVENT_COUNT_AT))
    }

    /// The writer's timestamp that the events' own are counted from, milliseconds since 1970.
    pub fn timestamp_ms_base(&self) -> i64 {
        i64::from_be_bytes(field(&self.bytes, BASE_TIMESTAMP_AT))
    }

    /// The writer's largest timestamp, milliseconds since 1970.
    pub fn timestamp_ms_max(&self) -> i64 {
        i64::from_be_bytes(field(&self.bytes, MAX_TIMESTAMP_AT))
    }

    /// How the events are compressed.
    pub fn compression(&self) -> Compression {
        // `take` and `encode` let no other code in.
        Compression::from_attributes(self.attributes()).unwrap_or(Compression::None)
    }

    /// Who wrote it, where the writer is idempotent.
    pub fn producer(&self) -> Option<Producer> {
        let id = i64::from_be_bytes(field(&self.bytes, PRODUCER_ID_AT));
        (id >= 0).then(|| Producer {
            id,
            epoch: i16::from_be_bytes(field(&self.bytes, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(field(&self.bytes, BASE_SEQUENCE_AT)),
        })
    }

    /// Whether it is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes() & ATTRIBUTE_TRANSACTIONAL != 0
    }

    /// Whether it is a control batch (a transaction's marker), never an event for readers.
    pub fn is_control(&self) -> bool {
        self.attributes() & ATTRIBUTE_CONTROL != 0
    }

    /// How the transaction ended that this batch marks the end of; `None` where it is no such marker.
    pub fn marker(&self) -> Option<Marker> {
        self.is_control().then(|| marker::decode(&self.bytes)).flatten()
    }

    /// The same place without its events: what a reader gets for events that were taken back, so that it goes on behind them, and what the log
    /// keeps of a batch none of whose events is appended. [`Batch::take`] lets no batch without events in.
    pub fn without_events(&self) -> Batch {
        let mut head = BytesMut::from(&self.bytes[..BATCH_HEADER_BYTES]);
        let length = (BATCH_HEADER_BYTES - LENGTH_COUNTS_FROM) as i32;
        let attributes = self.attributes() & !COMPRESSION_BITS;
        head[LENGTH_AT..LENGTH_COUNTS_FROM].copy_from_slice(&length.to_be_bytes());
        head[ATTRIBUTES_AT..LAST_OFFSET_DELTA_AT].copy_from_slice(&attributes.to_be_bytes());
        head[EVENT_COUNT_AT..BATCH_HEADER_BYTES].copy_from_slice(&0_i32.to_be_bytes());
        let crc = crc32c::crc32c(&head[CRC_COVERS_FROM..]);
        head[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        Batch { bytes: head.freeze() }
    }

    /// Whether the events' timestamps were replaced by the moment of the append (the log here never does that; a mirrored batch may come so).
    pub fn is_append_time(&self) -> bool {
        self.attributes() & ATTRIBUTE_APPEND_TIME != 0
    }

    /// Decompresses (bounded by [`crate::limits::BATCH_INFLATED_BYTES_MAX`]) and decodes every event with its offset.
    /// A control batch holds none.
    pub fn events(&self) -> Result<Vec<(u64, Event)>, BatchError> {
        let reserved = (self.event_count() as usize).min(crate::limits::EVENTS_RESERVED_MAX);
        let mut events: Vec<(u64, Event)> = Vec::with_capacity(reserved);
        self.for_each_event(|offset, event| events.push((offset, event)))?;
        Ok(events)
    }

    /// Decompresses and hands every event to `fold`: no list, and keys and values are slices of the batch's own bytes.
    /// Where the batch turns out malformed, `fold` has seen the events before the fault.
    pub fn for_each_event(&self, mut fold: impl FnMut(u64, Event)) -> Result<(), BatchError> {
        let events = self.open()?;
        for slice in events.iter() {
            let slice = slice?;
            let event = events.event(&slice)?;
            fold(slice.offset, event);
        }
        Ok(())
    }

    /// Decompresses, for a reader that borrows: [`Events::iter`] neither allocates nor counts references.
    pub fn open(&self) -> Result<Events, BatchError> {
        Events::open(self)
    }

    /// Decompresses and decodes everything, keeps nothing: whether every reader will be able to read the batch.
    pub fn check_events(&self) -> Result<(), BatchError> {
        for slice in self.open()?.iter() {
            slice?.check_headers()?;
        }
        Ok(())
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(field(&self.bytes, ATTRIBUTES_AT))
    }

    fn last_offset_delta(&self) -> u32 {
        u32::from_be_bytes(field(&self.bytes, LAST_OFFSET_DELTA_AT))
    }
}

/// How long the batch at the beginning of `bytes` is, by its own word, which must be possible and of format v2.
fn batch_bytes(bytes: &[u8]) -> Result<usize, BatchError> {
    let short = BatchError::Short {
        need: BATCH_HEADER_BYTES,
        have: bytes.len(),
    };
    // The magic byte stands at the same place in every format, and older batches may be shorter than this header.
    let magic = bytes.get(MAGIC_AT).ok_or(short.clone())?.cast_signed();
    if magic != MAGIC {
        return Err(BatchError::Magic { magic });
    }
    if bytes.len() < BATCH_HEADER_BYTES {
        return Err(short);
    }
    let length = i32::from_be_bytes(field(bytes, LENGTH_AT));
    let length = usize::try_from(length).map_err(|_| BatchError::Malformed("its length is negative"))?;
    let total = length + LENGTH_COUNTS_FROM;
    if total < BATCH_HEADER_BYTES {
        return Err(BatchError::Malformed("its length is less than its header's"));
    }
    Ok(total)
}

/// Checks that the fields of a header agree with each other and with the batch's size.
fn check_header(head: &[u8]) -> Result<(), BatchError> {
    let attributes = i16::from_be_bytes(field(head, ATTRIBUTES_AT));
    let base_offset = i64::from_be_bytes(field(head, 0));
    let last_offset_delta = i32::from_be_bytes(field(head, LAST_OFFSET_DELTA_AT));
    let event_count = i32::from_be_bytes(field(head, EVENT_COUNT_AT));
    let compression = Compression::from_attributes(attributes).ok_or(BatchError::Malformed(
        "its compression is none of none, gzip, snappy, lz4, zstd",
    ))?;
    if event_count < 0 {
        return Err(NO_EVENTS);
    }
    if base_offset < 0 || last_offset_delta < 0 {
        return Err(BatchError::Malformed("an offset is negative"));
    }
    if base_offset.checked_add(i64::from(last_offset_delta) + 1).is_none() {
        return Err(BatchError::Malformed("its last offset is beyond the largest there is"));
    }
    let is_control = attributes & ATTRIBUTE_CONTROL != 0;
    if i64::from(event_count) > i64::from(last_offset_delta) + 1 && !is_control {
        return Err(BatchError::Malformed("it states more events than offsets"));
    }
    let room = match compression {
        Compression::None => head.len() - BATCH_HEADER_BYTES,
        _ => BATCH_INFLATED_BYTES_MAX,
    };
    if event_count as usize > EVENTS_MAX {
        return Err(BatchError::Malformed(
            "it states more than the 1,000,000 events that one batch may have: send smaller batches",
        ));
    }
    if event_count as usize > room / EVENT_BYTES_MIN {
        return Err(BatchError::Malformed("it states more events than its bytes can hold"));
    }
    check_producer(head, is_control)
}

/// Checks the fields of an idempotent writer.
fn check_producer(head: &[u8], is_control: bool) -> Result<(), BatchError> {
    let id = i64::from_be_bytes(field(head, PRODUCER_ID_AT));
    let epoch = i16::from_be_bytes(field(head, PRODUCER_EPOCH_AT));
    let base_sequence = i32::from_be_bytes(field(head, BASE_SEQUENCE_AT));
    // A transaction's marker carries no sequence.
    if id >= 0 && (epoch < 0 || (base_sequence < 0 && !is_control)) {
        return Err(BatchError::Malformed(
            "it names an idempotent producer without its epoch and sequence",
        ));
    }
    Ok(())
}

/// The bytes of one fixed field. Only called with at least a whole header in hand.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests;
