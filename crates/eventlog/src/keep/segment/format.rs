//! The names of a segment's files and the bytes of an index entry; the table stands in docs/format.md.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::extent::Segment;
use crate::codec::Decoder;
use crate::streams::transactions::Aborted;

/// The bytes of one index entry.
pub(crate) const INDEX_ENTRY_BYTES: usize = 56;

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
}

impl IndexEntry {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let begin = into.len();
        for number in [self.base, self.next, self.place] {
            into.extend_from_slice(&number.to_le_bytes());
        }
        into.extend_from_slice(&self.appended_at_us.to_le_bytes());
        into.extend_from_slice(&self.timestamp_ms_max.to_le_bytes());
        into.extend_from_slice(&self.length.to_le_bytes());
        into.extend_from_slice(&self.principal.to_le_bytes());
        into.extend_from_slice(&self.compacted_at_s.to_le_bytes());
        let crc = crc32c::crc32c(&into[begin..]);
        into.extend_from_slice(&crc.to_le_bytes());
    }

    /// The entry in these bytes, `None` where they are not what was written.
    pub(crate) fn decode(bytes: &Bytes) -> Option<IndexEntry> {
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
        };
        let crc = rest.u32()?;
        let computed = crc32c::crc32c(bytes.get(..INDEX_ENTRY_BYTES - 4)?);
        (crc == computed && entry.base < entry.next).then_some(entry)
    }
}

/// The bytes of one entry about what was taken back.
pub(crate) const ABORTED_ENTRY_BYTES: usize = 40;

/// Writes a range that was taken back.
pub(crate) fn encode_aborted(range: &Aborted, into: &mut Vec<u8>) {
    let begin = into.len();
    into.extend_from_slice(&range.producer_id.to_le_bytes());
    for offset in [range.first, range.marker, range.stable] {
        into.extend_from_slice(&offset.to_le_bytes());
    }
    into.extend_from_slice(&[0; 4]);
    let crc = crc32c::crc32c(&into[begin..]);
    into.extend_from_slice(&crc.to_le_bytes());
}

/// The range in these bytes, `None` where they are not what was written.
pub(crate) fn decode_aborted(bytes: &Bytes) -> Option<Aborted> {
    let mut rest = Decoder::new(bytes.clone());
    let range = Aborted {
        producer_id: rest.i64()?,
        first: rest.u64()?,
        marker: rest.u64()?,
        stable: rest.u64()?,
    };
    let (_, crc) = (rest.u32()?, rest.u32()?);
    let computed = crc32c::crc32c(bytes.get(..ABORTED_ENTRY_BYTES - 4)?);
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
        };
        let mut bytes: Vec<u8> = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(bytes.len(), INDEX_ENTRY_BYTES);
        assert_eq!(IndexEntry::decode(&Bytes::from(bytes.clone())), Some(entry));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(IndexEntry::decode(&Bytes::from(changed)), None, "bit {bit}");
        }
        assert_eq!(IndexEntry::decode(&Bytes::from(bytes[..55].to_vec())), None);
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
        encode_aborted(&range, &mut bytes);
        assert_eq!(bytes.len(), ABORTED_ENTRY_BYTES);
        assert_eq!(decode_aborted(&Bytes::from(bytes.clone())), Some(range));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_aborted(&Bytes::from(changed)), None, "bit {bit}");
        }
        assert_eq!(decode_aborted(&Bytes::from(bytes[..39].to_vec())), None);
    }
}
