//! The names of a segment's files and the bytes of an index entry; the table stands in docs/format.md.
//!
//! Invariant: an entry counts only in the partition that it was written for, and speaks of one batch, by that batch's CRC: a file in another's place is
//! taken neither for an index nor for the batches of one.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use headwater_records::Batch;

use super::extent::Segment;
use crate::codec::Decoder;
use crate::streams::transactions::Aborted;

/// What the CRCs of all entries of one partition begin with: its stream's id and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal(u32);

impl Seal {
    pub(crate) fn of(stream: u128, partition: u32) -> Seal {
        let stream = crc32c::crc32c(&stream.to_le_bytes());
        Seal(crc32c::crc32c_append(stream, &partition.to_le_bytes()))
    }

    fn crc(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

/// The bytes of one index entry.
pub(crate) const INDEX_ENTRY_BYTES: usize = 60;

/// One batch in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) base: u64,
    pub(crate) next: u64,
    /// Where the batch begins in the file of batches.
    pub(crate) place: u64,
    pub(crate) appended_at_us: i64,
    pub(crate) timestamp_ms_max: i64,
    pub(crate) length: u32,
    pub(crate) principal: u32,
    /// When compaction came by first, seconds since 1970; 0: it did not yet.
    pub(crate) compacted_at_s: u32,
    /// The CRC that the batch says of itself.
    pub(crate) batch_crc: u32,
}

impl IndexEntry {
    /// Whether the entry is this batch's, wherever that stands.
    pub(crate) fn is_of(&self, batch: &Batch) -> bool {
        self.base == batch.base_offset()
            && self.next == batch.next_offset()
            && self.length as usize == batch.bytes().len()
            && self.batch_crc == batch.crc()
    }

    pub(crate) fn encode(&self, seal: Seal, into: &mut Vec<u8>) {
        let begin = into.len();
        for number in [self.base, self.next, self.place] {
            into.extend_from_slice(&number.to_le_bytes());
        }
        into.extend_from_slice(&self.appended_at_us.to_le_bytes());
        into.extend_from_slice(&self.timestamp_ms_max.to_le_bytes());
        into.extend_from_slice(&self.length.to_le_bytes());
        into.extend_from_slice(&self.principal.to_le_bytes());
        into.extend_from_slice(&self.compacted_at_s.to_le_bytes());
        into.extend_from_slice(&self.batch_crc.to_le_bytes());
        let crc = seal.crc(&into[begin..]);
        into.extend_from_slice(&crc.to_le_bytes());
    }

    /// The entry in these bytes, `None` where they are not what was written for this partition.
    pub(crate) fn decode(seal: Seal, bytes: &Bytes) -> Option<IndexEntry> {
        let mut rest = Decoder::new(bytes.clone());
        let entry = IndexEntry {
            base: rest.u64()?,
            next: rest.u64()?,
            place: rest.u64()?,
            appended_at_us: rest.i64()?,
            timestamp_ms_max: rest.i64()?,
            length: rest.u32()?,
            principal: rest.u32()?,
            compacted_at_s: rest.u32()?,
            batch_crc: rest.u32()?,
        };
        let crc = rest.u32()?;
        let computed = seal.crc(bytes.get(..INDEX_ENTRY_BYTES - 4)?);
        (crc == computed && entry.base < entry.next).then_some(entry)
    }
}

/// The bytes of one entry about what was taken back.
pub(crate) const ABORTED_ENTRY_BYTES: usize = 40;

/// Writes a range that was taken back.
pub(crate) fn encode_aborted(range: &Aborted, seal: Seal, into: &mut Vec<u8>) {
    let begin = into.len();
    into.extend_from_slice(&range.producer_id.to_le_bytes());
    for offset in [range.first, range.marker, range.stable] {
        into.extend_from_slice(&offset.to_le_bytes());
    }
    into.extend_from_slice(&[0; 4]);
    let crc = seal.crc(&into[begin..]);
    into.extend_from_slice(&crc.to_le_bytes());
}

/// The range in these bytes, `None` where they are not what was written for this partition.
pub(crate) fn decode_aborted(seal: Seal, bytes: &Bytes) -> Option<Aborted> {
    let mut rest = Decoder::new(bytes.clone());
    let range = Aborted {
        producer_id: rest.i64()?,
        first: rest.u64()?,
        marker: rest.u64()?,
        stable: rest.u64()?,
    };
    let (_, crc) = (rest.u32()?, rest.u32()?);
    let computed = seal.crc(bytes.get(..ABORTED_ENTRY_BYTES - 4)?);
    (crc == computed && range.first < range.marker).then_some(range)
}

/// The folder of all streams.
pub(crate) fn streams_dir(dir: &Path) -> PathBuf {
    dir.join("streams")
}

/// The folder of one stream.
pub(crate) fn stream_dir(dir: &Path, stream: u128) -> PathBuf {
    streams_dir(dir).join(format!("{stream:032x}"))
}

/// The folder of one partition.
pub(crate) fn partition_dir(dir: &Path, stream: u128, partition: u32) -> PathBuf {
    stream_dir(dir, stream).join(partition.to_string())
}

/// The file of a segment's batches.
pub(crate) fn batches_path(partition_dir: &Path, segment: &Segment) -> PathBuf {
    partition_dir.join(format!("{}.batches", stem(segment)))
}

/// The file of a segment's index.
pub(crate) fn index_path(partition_dir: &Path, segment: &Segment) -> PathBuf {
    partition_dir.join(format!("{}.index", stem(segment)))
}

/// The file of the ranges that were taken back; there only where there are some.
pub(crate) fn aborted_path(partition_dir: &Path, segment: &Segment) -> PathBuf {
    partition_dir.join(format!("{}.aborted", stem(segment)))
}

/// Every file that a segment may have.
pub(crate) fn segment_paths(partition_dir: &Path, segment: &Segment) -> [PathBuf; 3] {
    [
        batches_path(partition_dir, segment),
        index_path(partition_dir, segment),
        aborted_path(partition_dir, segment),
    ]
}

fn stem(segment: &Segment) -> String {
    match segment.generation {
        0 => format!("{:020}", segment.base),
        generation => format!("{:020}-{generation}", segment.base),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal(7);

    #[test]
    fn entries_are_of_one_partition() {
        let seals =
            [(1, 0), (1, 1), (2, 0), (0, 2), (1 << 64, 0)].map(|(stream, partition)| Seal::of(stream, partition));
        for (number, seal) in seals.iter().enumerate() {
            assert!(!seals[..number].contains(seal), "{number}");
        }
    }

    #[test]
    fn an_entry_comes_back_and_any_changed_bit_is_seen() {
        let entry = IndexEntry {
            base: 41,
            next: 43,
            place: 1 << 33,
            appended_at_us: -5,
            timestamp_ms_max: 1_700_000_000_000,
            length: 97,
            principal: 3,
            compacted_at_s: 1_700_000_000,
            batch_crc: 0x0102_0304,
        };
        let mut bytes: Vec<u8> = Vec::new();
        entry.encode(SEAL, &mut bytes);
        assert_eq!(bytes.len(), INDEX_ENTRY_BYTES);
        assert_eq!(IndexEntry::decode(SEAL, &Bytes::from(bytes.clone())), Some(entry));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(IndexEntry::decode(SEAL, &Bytes::from(changed)), None, "bit {bit}");
        }
        assert_eq!(IndexEntry::decode(SEAL, &Bytes::from(bytes[..59].to_vec())), None);
        assert_eq!(IndexEntry::decode(Seal(8), &Bytes::from(bytes)), None);
    }

    #[test]
    fn a_range_comes_back_and_any_changed_bit_is_seen() {
        let range = Aborted {
            producer_id: 7,
            first: 41,
            marker: 44,
            stable: 45,
        };
        let mut bytes: Vec<u8> = Vec::new();
        encode_aborted(&range, SEAL, &mut bytes);
        assert_eq!(bytes.len(), ABORTED_ENTRY_BYTES);
        assert_eq!(decode_aborted(SEAL, &Bytes::from(bytes.clone())), Some(range));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_aborted(SEAL, &Bytes::from(changed)), None, "bit {bit}");
        }
        assert_eq!(decode_aborted(SEAL, &Bytes::from(bytes[..39].to_vec())), None);
        assert_eq!(decode_aborted(Seal(8), &Bytes::from(bytes)), None);
    }
}
