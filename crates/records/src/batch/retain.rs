//! Taking events out of a batch: what compaction does, and who appends a part of a batch only.
//!
//! What stays keeps its offset, its bytes, its timestamp and its place in the producer's sequence; the batch keeps its first and last offset.

use bytes::BytesMut;

use super::header::{EVENT_COUNT_AT, LENGTH_AT, LENGTH_COUNTS_FROM, MAX_TIMESTAMP_AT, PRODUCER_ID_AT, seal};
use super::{Batch, BatchError};
use crate::EventSlice;
use crate::limits::BATCH_HEADER_BYTES;

/// What taking events out of a batch left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retained {
    /// Every event.
    All,
    /// These.
    Some(Batch),
    /// None.
    None,
}

impl Batch {
    /// The batch without the events that `keep` does not want.
    pub fn retain(&self, keep: impl FnMut(&EventSlice<'_>) -> bool) -> Result<Retained, BatchError> {
        let (kept, count, timestamp_ms_max) = self.open()?.retain(keep)?;
        if count == self.event_count() {
            return Ok(Retained::All);
        }
        if count == 0 {
            return Ok(Retained::None);
        }
        let packed = self.compression().compress(kept);
        let mut bytes = BytesMut::with_capacity(BATCH_HEADER_BYTES + packed.len());
        bytes.extend_from_slice(&self.bytes[..BATCH_HEADER_BYTES]);
        bytes.extend_from_slice(&packed);
        let length = i32::try_from(bytes.len() - LENGTH_COUNTS_FROM)
            .map_err(|_| BatchError::Malformed("what is left of it takes 2 GiB"))?;
        bytes[LENGTH_AT..LENGTH_COUNTS_FROM].copy_from_slice(&length.to_be_bytes());
        // Where all events carry the moment of their append, that stays.
        bytes[MAX_TIMESTAMP_AT..PRODUCER_ID_AT].copy_from_slice(&timestamp_ms_max.to_be_bytes());
        bytes[EVENT_COUNT_AT..BATCH_HEADER_BYTES].copy_from_slice(&count.to_be_bytes());
        seal(&mut bytes);
        Ok(Retained::Some(Batch::of(bytes.freeze())))
    }

    /// The batch without some of its events; without any it still has its place and its producer's sequence.
    pub fn without(&self, mut leave_out: impl FnMut(&EventSlice<'_>) -> bool) -> Result<Batch, BatchError> {
        Ok(match self.retain(|event| !leave_out(event))? {
            Retained::All => self.clone(),
            Retained::Some(rest) => rest,
            Retained::None => self.without_events(),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Compression, Event, Producer};

    #[test]
    fn what_stays_stays_as_it_was() {
        let mut events: Vec<Event> = Vec::new();
        for number in 0..100_i64 {
            events.push(Event {
                key: Some(Bytes::from(format!("k{}", number % 7))),
                value: (number % 3 != 0).then(|| Bytes::from(format!("value {number}"))),
                headers: Vec::new(),
                timestamp_ms: 1_000 + (number * 37) % 50,
            });
        }
        let producer = Producer {
            id: 4,
            epoch: 2,
            base_sequence: 17,
        };
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            let batch = Batch::encode(&events, compression, Some(producer)).at(40);
            assert_eq!(batch.retain(|_| true), Ok(Retained::All));
            assert_eq!(batch.retain(|_| false), Ok(Retained::None));
            assert_eq!(batch.without(|_| false), Ok(batch.clone()));
            let empty = batch.without(|_| true).unwrap();
            assert_eq!((empty.event_count(), empty.producer()), (0, Some(producer)));
            assert_eq!((empty.base_offset(), empty.next_offset()), (40, 140));
            assert!(
                Batch::take(&mut empty.bytes().clone()).is_err(),
                "a writer may not send it"
            );
            assert_eq!(Batch::take_stored(&mut empty.bytes().clone()), Ok(empty.clone()));
            let Ok(Retained::Some(left)) = batch.retain(|event| event.offset % 5 == 1) else {
                panic!("some stay");
            };
            assert!(
                Batch::take(&mut left.bytes().clone()).is_err(),
                "a writer may not send it"
            );
            assert_eq!(Batch::take_stored(&mut left.bytes().clone()), Ok(left.clone()));
            let expected: Vec<(u64, Event)> = batch.events().unwrap();
            let expected: Vec<(u64, Event)> = expected.into_iter().filter(|(offset, _)| offset % 5 == 1).collect();
            assert_eq!(left.events().unwrap(), expected);
            assert_eq!((left.base_offset(), left.next_offset()), (40, 140));
            assert_eq!((left.producer(), left.compression()), (Some(producer), compression));
            let newest = expected.iter().map(|(_, event)| event.timestamp_ms).max();
            assert_eq!(Some(left.timestamp_ms_max()), newest);
            // And once more, of what has gaps already.
            let Ok(Retained::Some(less)) = left.retain(|event| event.offset > 100) else {
                panic!("some stay");
            };
            assert_eq!(
                less.events().unwrap(),
                expected
                    .into_iter()
                    .filter(|(offset, _)| *offset > 100)
                    .collect::<Vec<_>>()
            );
        }
    }
}
