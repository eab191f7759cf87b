//! The bytes of a block, as docs/format.md has them.
//!
//! ```text
//!  0  entries, 32 bytes each: term u64, append time i64, offset u64, kind u32, partition u16, flags u16
//!  4064  entries u16, level u16, number of the block u32, CRC-32C of what stands before it u32; zeros to 4096
//! ```
//!
//! Level 0 holds postings. An entry of a higher level names the first posting of a block below, whose number stands in the place of the kind. A
//! block stands behind those that it names, so that the root is the last.

use bytes::Bytes;

use crate::entities::postings::{Order, Posting};
use crate::entities::terms::Term;

/// The bytes of a block: what a disk reads at once.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// The bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 32;

/// How many entries a block holds.
pub(crate) const BLOCK_ENTRIES: usize = 127;

const TRAILER_AT: usize = BLOCK_ENTRIES * ENTRY_BYTES;
const CRC_AT: usize = TRAILER_AT + 8;
const TRANSACTIONAL: u16 = 1;

/// One posting under its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) posting: Posting,
}

/// What entries are sorted by.
pub(crate) type Key = (Term, Order);

/// A block that was looked at: its checksum is right.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    bytes: Bytes,
}

impl Entry {
    pub(crate) fn key(&self) -> Key {
        (self.term, self.posting.order())
    }

    /// The number of the block below that it names.
    pub(crate) fn child(&self) -> u32 {
        self.posting.kind
    }

    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let posting = &self.posting;
        into.extend_from_slice(&self.term.0.to_le_bytes());
        into.extend_from_slice(&posting.appended_at_us.to_le_bytes());
        into.extend_from_slice(&posting.offset.to_le_bytes());
        into.extend_from_slice(&posting.kind.to_le_bytes());
        into.extend_from_slice(&posting.partition.to_le_bytes());
        let flags = if posting.transactional { TRANSACTIONAL } else { 0 };
        into.extend_from_slice(&flags.to_le_bytes());
    }
}

/// Makes a block of entries that were encoded.
pub(crate) fn block(mut entries: Vec<u8>, level: u16, number: u32) -> Vec<u8> {
    let count = (entries.len() / ENTRY_BYTES) as u16;
    entries.resize(TRAILER_AT, 0);
    entries.extend_from_slice(&count.to_le_bytes());
    entries.extend_from_slice(&level.to_le_bytes());
    entries.extend_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&entries);
    entries.extend_from_slice(&crc.to_le_bytes());
    entries.resize(BLOCK_BYTES, 0);
    entries
}

impl Block {
    /// The block in these bytes; `None` where they are not what was written as the block of this number.
    pub(crate) fn take(bytes: Bytes, number: u32) -> Option<Block> {
        let block = Block { bytes };
        let whole = block.bytes.len() == BLOCK_BYTES
            && block.field::<4>(CRC_AT) == { crc32c::crc32c(&block.bytes[..CRC_AT]).to_le_bytes() };
        let count = usize::from(u16::from_le_bytes(block.field(TRAILER_AT)));
        let named = u32::from_le_bytes(block.field(TRAILER_AT + 4));
        (whole && named == number && (1..=BLOCK_ENTRIES).contains(&count)).then_some(block)
    }

    pub(crate) fn count(&self) -> usize {
        usize::from(u16::from_le_bytes(self.field(TRAILER_AT)))
    }

    pub(crate) fn level(&self) -> u16 {
        u16::from_le_bytes(self.field(TRAILER_AT + 2))
    }

    /// The entry of a number below the count.
    pub(crate) fn entry(&self, number: usize) -> Entry {
        let at = number * ENTRY_BYTES;
        Entry {
            term: Term(u64::from_le_bytes(self.field(at))),
            posting: Posting {
                appended_at_us: i64::from_le_bytes(self.field(at + 8)),
                offset: u64::from_le_bytes(self.field(at + 16)),
                kind: u32::from_le_bytes(self.field(at + 24)),
                partition: u16::from_le_bytes(self.field(at + 28)),
                transactional: u16::from_le_bytes(self.field(at + 30)) & TRANSACTIONAL != 0,
            },
        }
    }

    /// The number of the first entry at or behind a key.
    pub(crate) fn search(&self, key: &Key) -> usize {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle).key() < *key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        if let Some(bytes) = self.bytes.get(at..at + N) {
            field.copy_from_slice(bytes);
        }
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_and_any_changed_bit_is_seen() {
        let entry = |number: u64| Entry {
            term: Term(number * 3),
            posting: Posting {
                appended_at_us: -(number as i64),
                offset: number << 40,
                kind: number as u32,
                partition: number as u16,
                transactional: number % 2 == 1,
            },
        };
        let mut bytes: Vec<u8> = Vec::new();
        for number in 0..5 {
            entry(number).encode(&mut bytes);
        }
        let bytes = block(bytes, 2, 7);
        let made = Block::take(Bytes::from(bytes.clone()), 7).unwrap();
        assert_eq!((made.count(), made.level()), (5, 2));
        for number in 0..5 {
            assert_eq!(made.entry(number), entry(number as u64));
            assert_eq!(made.search(&entry(number as u64).key()), number);
        }
        assert!(Block::take(Bytes::from(bytes.clone()), 8).is_none());
        for bit in 0..(CRC_AT + 4) * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Block::take(Bytes::from(changed), 7).is_none(), "bit {bit}");
        }
        assert!(Block::take(Bytes::from(bytes[..4095].to_vec()), 7).is_none());
    }
}
