//! What a log may change in a batch that came: where and when it was appended, and how its events are compressed. Never an event.

use bytes::{Bytes, BytesMut};

use super::header::{
    ATTRIBUTE_APPEND_TIME, ATTRIBUTES_AT, LENGTH_AT, LENGTH_COUNTS_FROM, MAGIC_AT, MAX_TIMESTAMP_AT, seal,
};
use super::{Batch, BatchError, Compression};
use crate::limits::{BATCH_HEADER_BYTES, BATCH_INFLATED_BYTES_MAX};

/// Where the epoch of the leader stands that took the batch.
const LEADER_EPOCH_AT: usize = 12;

/// The only leader epoch there is. A writer may send any: a reader would take a larger one for news of another leader.
const LEADER_EPOCH: [u8; 4] = [0; 4];

impl Batch {
    /// The same batch at another base offset, and of the only leader epoch there is. The CRC covers neither (so that a broker can set them).
    /// Copies the bytes only where someone else holds them too.
    ///
    /// # Panics
    /// When the last event's offset would pass `i64::MAX`.
    pub fn at(self, base_offset: u64) -> Batch {
        if base_offset == self.base_offset() && self.bytes[LEADER_EPOCH_AT..MAGIC_AT] == LEADER_EPOCH {
            return self;
        }
        let last = i64::try_from(base_offset)
            .ok()
            .and_then(|base| base.checked_add(i64::from(self.last_offset_delta) + 1));
        assert!(
            last.is_some(),
            "offset {base_offset} is beyond the last one there can be"
        );
        let mut bytes = writable(self.bytes);
        bytes[..LENGTH_AT].copy_from_slice(&base_offset.to_be_bytes());
        bytes[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&LEADER_EPOCH);
        Batch::of(bytes.freeze())
    }

    /// The same batch in memory of its own: what it was a part of need not stay for it.
    pub fn detached(self) -> Batch {
        Batch::of(Bytes::copy_from_slice(&self.bytes))
    }

    /// The same batch, every event of which carries this moment (milliseconds since 1970) instead of its writer's timestamp.
    pub fn appended_at(self, timestamp_ms: i64) -> Batch {
        let attributes = self.attributes() | ATTRIBUTE_APPEND_TIME;
        let mut bytes = writable(self.bytes);
        bytes[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
        bytes[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp_ms.to_be_bytes());
        sealed(bytes)
    }

    /// The same events, compressed in another way. Their bytes are expanded (bounded by [`BATCH_INFLATED_BYTES_MAX`]) and not looked at.
    pub fn recompressed(self, compression: Compression) -> Result<Batch, BatchError> {
        if compression == self.compression() {
            return Ok(self);
        }
        let packed = self.bytes.slice(BATCH_HEADER_BYTES..);
        let plain = self.compression().expand(packed, BATCH_INFLATED_BYTES_MAX)?;
        let packed = compression.compress(plain.to_vec());
        let length = i32::try_from(BATCH_HEADER_BYTES - LENGTH_COUNTS_FROM + packed.len())
            .map_err(|_| BatchError::Malformed("it is larger than 2 GiB when compressed in another way"))?;
        let attributes = self.attributes() & !0b111 | compression.attributes();
        let mut bytes = BytesMut::with_capacity(BATCH_HEADER_BYTES + packed.len());
        bytes.extend_from_slice(&self.bytes[..BATCH_HEADER_BYTES]);
        bytes.extend_from_slice(&packed);
        bytes[LENGTH_AT..LENGTH_COUNTS_FROM].copy_from_slice(&length.to_be_bytes());
        bytes[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
        Ok(sealed(bytes))
    }
}

fn writable(bytes: Bytes) -> BytesMut {
    match bytes.try_into_mut() {
        Ok(bytes) => bytes,
        Err(shared) => BytesMut::from(shared.as_ref()),
    }
}

/// The batch with its CRC made right.
fn sealed(mut bytes: BytesMut) -> Batch {
    seal(&mut bytes);
    Batch::of(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Producer};

    fn batch(compression: Compression) -> Batch {
        let event = |number: i64| Event {
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from(format!("{number} {}", "text ".repeat(30)))),
            timestamp_ms: 1_000 + number,
            ..Event::default()
        };
        let producer = Producer {
            id: 7,
            epoch: 1,
            base_sequence: 3,
        };
        Batch::encode(&[event(0), event(1), event(2)], compression, Some(producer)).at(40)
    }

    const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    #[test]
    fn events_stay_whatever_they_are_compressed_with() {
        for from in ALL {
            for to in ALL {
                let batch = batch(from);
                let other = batch.clone().recompressed(to).unwrap();
                assert_eq!(other.compression(), to);
                assert_eq!(other.events(), batch.events(), "{from:?} {to:?}");
                assert_eq!((other.producer(), other.base_offset()), (batch.producer(), 40));
                let mut bytes = other.bytes().clone();
                assert_eq!(Batch::take(&mut bytes), Ok(other));
            }
        }
    }

    #[test]
    fn an_append_time_is_every_events_timestamp() {
        for compression in ALL {
            let appended = batch(compression).appended_at(9_999);
            assert!(appended.is_append_time());
            let timestamps = appended.events().unwrap();
            assert!(timestamps.iter().all(|(_, event)| event.timestamp_ms == 9_999));
            let mut bytes = appended.bytes().clone();
            assert_eq!(Batch::take(&mut bytes), Ok(appended));
        }
    }

    #[test]
    fn a_writers_leader_epoch_is_not_kept() {
        let batch = batch(Compression::None).at(0);
        let mut forged = batch.bytes().to_vec();
        forged[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&9_i32.to_be_bytes());
        let forged = Batch::take(&mut Bytes::from(forged)).unwrap();
        assert_eq!(forged.at(0), batch);
    }
}
