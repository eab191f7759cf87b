//! Every decoder of the log's bytes on the disk, for whoever throws arbitrary bytes at them: the fuzz targets and the test here.
//!
//! Checksums are made right first, so that what lies behind them is reached.

use bytes::Bytes;

use crate::append::journal::format::{HEADER_BYTES, Header, decode_payload};
use crate::codec::{Decoder, take_settings};
use crate::keep::checkpoint;
use crate::keep::image::Image;
use crate::keep::segment::format::{ABORTED_ENTRY_BYTES, INDEX_ENTRY_BYTES, IndexEntry, Seal, decode_aborted};

/// Decodes bytes as everything that stands on the disk. Neither panics nor takes more memory than the bytes do, whatever they are.
#[doc(hidden)]
pub fn decode_arbitrary(bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk::<HEADER_BYTES>() {
        // The header's own checksum is keyed: no bytes that are thrown pass it.
        assert!(Header::decode(head, 7).is_none());
    }
    // A kind first, so that entries of every kind are begun.
    for entries in 1..3 {
        let payload = Bytes::copy_from_slice(bytes);
        let header = Header {
            file: 0,
            sequence: 1,
            place: 0,
            payload_bytes: payload.len() as u32,
            entries,
            payload_crc: crc32c::crc32c(&payload),
        };
        let mut image = Image::empty(0);
        for entry in decode_payload(&header, payload).unwrap_or_default() {
            // What is missing before it is none of this test's business.
            let _ = image.apply(&entry);
        }
    }
    // Refusals are what is expected.
    let _ = checkpoint::decode(with_crc(b"HWC1", bytes));
    let _ = take_settings(&mut Decoder::new(Bytes::copy_from_slice(bytes)));
    if let Some(entry) = bytes.get(..INDEX_ENTRY_BYTES - 4) {
        let entry = IndexEntry::decode(Seal::of(0, 0), &sealed(entry));
        assert!(entry.is_none_or(|entry| entry.base < entry.next));
    }
    if let Some(range) = bytes.get(..ABORTED_ENTRY_BYTES - 4) {
        let range = decode_aborted(Seal::of(0, 0), &sealed(range));
        assert!(range.is_none_or(|range| range.first < range.marker));
    }
}

fn with_crc(before: &[u8], bytes: &[u8]) -> Bytes {
    let mut all = [before, bytes].concat();
    let crc = crc32c::crc32c(&all);
    all.extend_from_slice(&crc.to_le_bytes());
    Bytes::from(all)
}

/// An entry of partition 0 of the stream whose id is 0.
fn sealed(entry: &[u8]) -> Bytes {
    let whose = [0; 16 + 4];
    with_crc(&whose, entry).slice(whose.len()..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_or_taken(kind in 0_u8..10, bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            decode_arbitrary(&bytes);
            decode_arbitrary(&[&[kind], bytes.as_slice()].concat());
        }

        #[test]
        fn counts_and_lengths_that_lie_are_refused(kind in 0_u8..10, zeros in 0_usize..80, ones in 0_usize..80) {
            let bytes = [vec![kind], vec![0; zeros], vec![0xff; ones]].concat();
            decode_arbitrary(&bytes);
            decode_arbitrary(&bytes[1..]);
        }
    }

    #[test]
    fn a_principal_far_ahead_takes_no_memory() {
        let named = |number: u32| {
            let mut image = Image::empty(0);
            let name = std::sync::Arc::from("p");
            let applied = image.apply(&crate::append::journal::format::Entry::Principal { number, name });
            (applied.is_ok(), image.principals.len())
        };
        let most = crate::limits::PRINCIPALS_MISSING_MAX;
        assert_eq!(named(0), (true, 1));
        assert_eq!(named(most as u32), (false, most + 1));
        assert_eq!(named(most as u32 + 1), (false, 0));
        assert_eq!(named(u32::MAX), (false, 0));
    }
}
