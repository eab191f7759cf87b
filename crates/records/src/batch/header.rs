//! What stands before the events of a batch: where each field is, and whether they agree with each other.
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
//! Source: Apache Kafka's protocol guide, "Record Batch"; KIP-98 and KIP-482 for the fields.

use super::{BatchError, Compression};
use crate::limits::{BATCH_CRC_COVERS_FROM, BATCH_HEADER_BYTES, BATCH_INFLATED_BYTES_MAX, EVENT_BYTES_MIN, EVENTS_MAX};

pub(super) const LENGTH_AT: usize = 8;
pub(super) const LENGTH_COUNTS_FROM: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
pub(super) const CRC_COVERS_FROM: usize = BATCH_CRC_COVERS_FROM;
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const LAST_OFFSET_DELTA_AT: usize = 23;
pub(super) const BASE_TIMESTAMP_AT: usize = 27;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;
pub(super) const PRODUCER_ID_AT: usize = 43;
pub(super) const PRODUCER_EPOCH_AT: usize = 51;
pub(super) const BASE_SEQUENCE_AT: usize = 53;
pub(super) const EVENT_COUNT_AT: usize = 57;

pub(super) const MAGIC: i8 = 2;
pub(super) const COMPRESSION_BITS: i16 = 7;
pub(super) const ATTRIBUTE_APPEND_TIME: i16 = 1 << 3;
pub(super) const ATTRIBUTE_TRANSACTIONAL: i16 = 1 << 4;
pub(super) const ATTRIBUTE_CONTROL: i16 = 1 << 5;

pub(super) const NO_EVENTS: BatchError = BatchError::Malformed("it holds no events");

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

/// How long the batch at the beginning of `bytes` is, by its own word, which must be possible and of format v2.
pub(super) fn batch_bytes(bytes: &[u8]) -> Result<usize, BatchError> {
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
pub(super) fn check_header(head: &[u8]) -> Result<(), BatchError> {
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

/// Makes the CRC of a batch right whose bytes were written or changed.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_COVERS_FROM..]);
    batch[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
}

/// The bytes of one fixed field. Only called with at least a whole header in hand.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
