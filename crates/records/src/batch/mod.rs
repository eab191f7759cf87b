//! The record batch: Kafka's v2 batch, which is also the disk format and what a fetch sends.
//!
//! Invariants
//! - A [`Batch`] passed every check of [`Batch::take`]; what is compressed inside is looked at only when events are asked for.
//! - The bytes are exactly the writer's but for the base offset and the leader epoch, which the CRC does not cover, unless its stream says
//!   that the moment of the append or another compression takes the place of the writer's.
//! - A transaction ends in a partition with a [`Marker`], a control batch of one record; it takes one offset and is no event.

mod compression;
mod encode;
mod error;
mod events;
mod header;
mod indexed;
mod marker;
mod retain;
mod rewrite;
mod varint;

use bytes::{Bytes, BytesMut};

use header::{
    ATTRIBUTE_APPEND_TIME, ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL, ATTRIBUTES_AT, BASE_SEQUENCE_AT,
    BASE_TIMESTAMP_AT, COMPRESSION_BITS, CRC_AT, CRC_COVERS_FROM, EVENT_COUNT_AT, LAST_OFFSET_DELTA_AT, LENGTH_AT,
    LENGTH_COUNTS_FROM, MAX_TIMESTAMP_AT, NO_EVENTS, PRODUCER_EPOCH_AT, PRODUCER_ID_AT, batch_bytes, check_header,
    field, seal,
};

use crate::Event;
use crate::limits::BATCH_HEADER_BYTES;

pub use compression::Compression;
pub use error::BatchError;
pub use events::{EventSlice, Events, EventsIter};
pub use header::Producer;
pub use indexed::{EventPlace, IndexedEvents};
pub use marker::Marker;
pub use retain::Retained;

/// One valid record batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
    /// What of the bytes tells batches apart, beside them: whoever looks for one among many looks at these of some, and would wait for the memory of each.
    base_offset: u64,
    last_offset_delta: u32,
}

impl Batch {
    /// The batch that these bytes are.
    fn of(bytes: Bytes) -> Batch {
        Batch {
            base_offset: u64::from_be_bytes(field(&bytes, 0)),
            last_offset_delta: u32::from_be_bytes(field(&bytes, LAST_OFFSET_DELTA_AT)),
            bytes,
        }
    }

    /// Checks the first batch in `bytes` (length, magic, counts, CRC) and takes exactly it; whatever follows it stays in `bytes`.
    pub fn take(bytes: &mut Bytes) -> Result<Batch, BatchError> {
        let batch = Batch::take_stored(bytes)?;
        if batch.event_count() == 0 {
            return Err(NO_EVENTS);
        }
        let dense = batch.event_count() == batch.last_offset_delta + 1;
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
        Ok(Batch::of(bytes.split_to(length_bytes)))
    }

    /// Encodes events as one batch with base offset 0. The batch's first timestamp is the first event's.
    ///
    /// # Panics
    /// When `events` is empty: a batch holds at least one event. When the events take 2 GiB: the writer bounds them long before.
    pub fn encode(events: &[Event], compression: Compression, producer: Option<Producer>) -> Batch {
        Batch::of(encode::batch(events, compression, producer, 0))
    }

    /// How many bytes [`Batch::encode`] makes of this event alone, not compressed: the smallest batch that it fits into.
    pub fn bytes_alone(event: &Event) -> usize {
        encode::bytes_alone(event)
    }

    /// [`Batch::encode`], as part of a transaction of the producer.
    ///
    /// # Panics
    /// As [`Batch::encode`].
    pub fn encode_transactional(events: &[Event], compression: Compression, producer: Producer) -> Batch {
        Batch::of(encode::batch(
            events,
            compression,
            Some(producer),
            ATTRIBUTE_TRANSACTIONAL,
        ))
    }

    /// The batch as it stands on the wire and on the disk.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The offset of the first event.
    pub fn base_offset(&self) -> u64 {
        self.base_offset
    }

    /// The offset after the last event.
    pub fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.last_offset_delta) + 1
    }

    /// How many events the batch holds.
    pub fn event_count(&self) -> u32 {
        u32::from_be_bytes(field(&self.bytes, EVENT_COUNT_AT))
    }

    /// The CRC-32C that the batch says of itself: of everything but its base offset, its length and its leader epoch.
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(field(&self.bytes, CRC_AT))
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
        seal(&mut head);
        Batch::of(head.freeze())
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
}

#[cfg(test)]
mod tests;
