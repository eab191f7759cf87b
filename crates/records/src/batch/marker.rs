//! The end of a transaction in a partition: a control batch of one record.
//!
//! ```text
//! key    version i16 = 0 | kind i16: 0 aborted, 1 committed
//! value  version i16 = 0 | coordinator epoch i32 = 0
//! ```
//!
//! Source: KIP-98, "Control Messages"; KIP-890 for the epoch that such a batch carries.

use bytes::{Bytes, BytesMut};

use super::header::{ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL, ATTRIBUTES_AT, LAST_OFFSET_DELTA_AT, seal};
use super::{Batch, Compression, Producer, encode, varint};
use crate::Event;
use crate::limits::BATCH_HEADER_BYTES;

const KIND_ABORTED: i16 = 0;
const KIND_COMMITTED: i16 = 1;
/// No kind of Kafka's, whose clients pass by kinds that they do not know.
const KIND_LOST: i16 = i16::MAX;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Its events count.
    Committed,
    /// Its events are passed by.
    Aborted,
}

impl Batch {
    /// The batch that ends a producer's transaction in a partition, at offset 0.
    pub fn encode_marker(marker: Marker, producer_id: i64, epoch: i16, timestamp_ms: i64) -> Batch {
        let kind = match marker {
            Marker::Aborted => KIND_ABORTED,
            Marker::Committed => KIND_COMMITTED,
        };
        let mut key: Vec<u8> = vec![0, 0];
        key.extend_from_slice(&kind.to_be_bytes());
        let event = Event {
            key: Some(Bytes::from(key)),
            value: Some(Bytes::from_static(&[0; 6])),
            headers: Vec::new(),
            timestamp_ms,
        };
        let producer = Producer {
            id: producer_id,
            epoch,
            base_sequence: -1,
        };
        let attributes = ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_CONTROL;
        Batch::of(encode::batch(&[event], Compression::None, Some(producer), attributes))
    }
}

impl Batch {
    /// A batch without events that stands for offsets whose events are lost, from `base` up to `next`, or as far as one batch reaches. It is a control batch
    /// of a kind that means nothing, which every reader passes by.
    pub fn encode_lost(base: u64, next: u64) -> Batch {
        let mut key: Vec<u8> = vec![0, 0];
        key.extend_from_slice(&KIND_LOST.to_be_bytes());
        let event = Event {
            key: Some(Bytes::from(key)),
            ..Event::default()
        };
        let batch = encode::batch(&[event], Compression::None, None, ATTRIBUTE_CONTROL);
        let mut bytes = BytesMut::from(batch.as_ref());
        let last = next.saturating_sub(base).clamp(1, 1 << 31) - 1;
        bytes[LAST_OFFSET_DELTA_AT..LAST_OFFSET_DELTA_AT + 4].copy_from_slice(&(last as i32).to_be_bytes());
        seal(&mut bytes);
        Batch::of(bytes.freeze()).at(base)
    }
}

/// The marker in a control batch, where it is one; other control batches have other kinds.
pub(super) fn decode(batch: &[u8]) -> Option<Marker> {
    let mut rest = batch.get(BATCH_HEADER_BYTES..)?;
    let _length = varint::take_i32(&mut rest).ok()?;
    rest = rest.get(1..)?;
    let _timestamp_delta = varint::take_i64(&mut rest).ok()?;
    let _offset_delta = varint::take_i32(&mut rest).ok()?;
    let key_length = usize::try_from(varint::take_i32(&mut rest).ok()?).ok()?;
    let key = rest.get(..key_length)?;
    match (key, batch.get(ATTRIBUTES_AT + 1).map(|bits| bits & 7)) {
        ([0, 0, high, low, ..], Some(0)) => match i16::from_be_bytes([*high, *low]) {
            KIND_ABORTED => Some(Marker::Aborted),
            KIND_COMMITTED => Some(Marker::Committed),
            _ => None,
        },
        _ => None,
    }
}
