//! Bytes on their way past the page cache: what is small is copied into one buffer, what is large is written from where it stands in memory.
//!
//! ```text
//! memory    ..#####|########|########|###....              a large batch, in blocks of 4,096 bytes
//! file      small things, filler, ##### | ######## ######## | ###, small things
//!           buffer                      | memory            | buffer
//! ```
//!
//! A write past the page cache takes whole blocks from memory that begins at a block. So filler before a large batch brings it to the same place
//! within a block of the file as it has in memory, and all but its two ends are written without a copy.

use std::ops::Range;

use bytes::Bytes;
use headwater_host::{AlignedBytes, BLOCK_BYTES};

use crate::limits::{DIRECT_BYTES_MIN, GROUP_BYTES_MAX};

/// A buffer larger than this is given back: only one append that is larger than a group makes one.
const BUFFER_KEPT_BYTES: usize = 2 * GROUP_BYTES_MAX;

/// Whether bytes are written from where they stand.
pub(crate) fn is_large(bytes: &[u8]) -> bool {
    bytes.len() >= DIRECT_BYTES_MIN
}

/// How much filler stands before bytes that would else begin at `place` of a file.
pub(crate) fn filler_bytes(place: u64, bytes: &[u8]) -> usize {
    match is_large(bytes) {
        true => bytes.as_ptr().addr().wrapping_sub(place as usize) % BLOCK_BYTES,
        false => 0,
    }
}

/// How much filler stands behind a large batch that ends a run at `end` of a file: what is written past the page cache ends with a block, so that nothing
/// of it goes through the cache.
pub(crate) fn padding_bytes(end: u64, last: &[u8]) -> u64 {
    match is_large(last) {
        true => end.next_multiple_of(BLOCK_BYTES as u64) - end,
        false => 0,
    }
}

/// How much of both may stand between a batch that ends at `end` of a file and the next one.
pub(crate) fn filler_bytes_max(end: u64) -> u64 {
    let block = BLOCK_BYTES as u64;
    end.wrapping_neg() % block + block - 1
}

/// Bytes that are gathered from the beginning of a block on; its memory is used again.
#[derive(Default)]
pub(crate) struct Gather {
    buffer: AlignedBytes,
    pieces: Vec<Piece>,
    /// Where in the buffer the piece begins that is gathered now: a multiple of a block.
    cut: usize,
    /// Bytes that are not in the buffer: a multiple of a block.
    bytes_elsewhere: usize,
}

enum Piece {
    Buffer(Range<usize>),
    Memory(Bytes),
}

impl Gather {
    /// The bytes gathered.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len() + self.bytes_elsewhere
    }

    /// Where small things are put.
    pub(crate) fn buffer(&mut self) -> &mut AlignedBytes {
        &mut self.buffer
    }

    /// Adds bytes that belong behind the filler that is there already.
    pub(crate) fn add(&mut self, bytes: &Bytes) {
        let front = self.buffer.len().next_multiple_of(BLOCK_BYTES) - self.buffer.len();
        let is_in_place = (bytes.as_ptr().addr() + front).is_multiple_of(BLOCK_BYTES);
        if !is_large(bytes) || !is_in_place {
            return self.buffer.extend_from_slice(bytes);
        }
        // Up to the next block, then whole blocks, then the rest.
        let rest = bytes.len() - (bytes.len() - front) % BLOCK_BYTES;
        self.buffer.extend_from_slice(&bytes[..front]);
        self.pieces.push(Piece::Buffer(self.cut..self.buffer.len()));
        self.pieces.push(Piece::Memory(bytes.slice(front..rest)));
        self.cut = self.buffer.len();
        self.bytes_elsewhere += rest - front;
        self.buffer.extend_from_slice(&bytes[rest..]);
    }

    /// A range of what was gathered, in pieces, in order.
    pub(crate) fn pieces(&self, range: Range<usize>) -> Vec<&[u8]> {
        let mut found: Vec<&[u8]> = Vec::with_capacity(self.pieces.len() + 1);
        let mut at = 0;
        let before = self.pieces.iter().map(|piece| match piece {
            Piece::Buffer(range) => &self.buffer[range.clone()],
            Piece::Memory(bytes) => &bytes[..],
        });
        for bytes in before.chain([&self.buffer[self.cut..]]) {
            let begin = range.start.clamp(at, at + bytes.len()) - at;
            let end = range.end.clamp(at, at + bytes.len()) - at;
            if begin < end {
                found.push(&bytes[begin..end]);
            }
            at += bytes.len();
        }
        found
    }

    /// Forgets what was gathered, all but the last so many bytes: fewer than a block, so that they are in the buffer.
    pub(crate) fn clear_but(&mut self, kept: usize) {
        let rest = self.buffer[self.buffer.len() - kept..].to_vec();
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() > BUFFER_KEPT_BYTES {
            buffer = AlignedBytes::new();
        }
        buffer.clear();
        buffer.extend_from_slice(&rest);
        *self = Gather {
            buffer,
            ..Gather::default()
        };
    }

    /// Forgets what was gathered.
    pub(crate) fn clear(&mut self) {
        self.clear_but(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that begin so far behind a block in memory.
    fn bytes_at(shift: usize, length: usize) -> Bytes {
        let memory: Vec<u8> = (0..length + 2 * BLOCK_BYTES).map(|at| (at * 31) as u8).collect();
        let begin = memory.as_ptr().addr().next_multiple_of(BLOCK_BYTES) - memory.as_ptr().addr() + shift;
        Bytes::from(memory).slice(begin..begin + length)
    }

    /// Gathers parts, each by where it stands in memory and its length, behind their filler.
    fn check(parts: &[(usize, usize)]) {
        let mut gather = Gather::default();
        let mut expected: Vec<u8> = Vec::new();
        for (shift, length) in parts {
            let part = bytes_at(*shift, *length);
            let filler = filler_bytes(gather.bytes() as u64, &part);
            assert!(filler < BLOCK_BYTES);
            let buffer = gather.buffer();
            buffer.resize(buffer.len() + filler);
            expected.resize(expected.len() + filler, 0);
            gather.add(&part);
            expected.extend_from_slice(&part);
        }
        let length = gather.bytes();
        assert_eq!(length, expected.len());
        let pieces = gather.pieces(0..length);
        for piece in &pieces {
            assert_eq!(piece.as_ptr().addr() % BLOCK_BYTES, 0, "{parts:?}");
        }
        for piece in &pieces[..pieces.len() - 1] {
            assert_eq!(piece.len() % BLOCK_BYTES, 0, "{parts:?}");
        }
        let large = parts.iter().filter(|(_, length)| *length >= DIRECT_BYTES_MIN).count();
        let copied = gather.buffer.len();
        assert!(
            copied <= length - large * (DIRECT_BYTES_MIN - 2 * BLOCK_BYTES),
            "{parts:?}"
        );
        assert!(pieces.concat() == expected, "{parts:?}");
        for range in [0..0, 1..length, BLOCK_BYTES..length - 1, length / 3..length / 2] {
            assert!(gather.pieces(range.clone()).concat() == expected[range]);
        }
        let rest = length % BLOCK_BYTES;
        gather.clear_but(rest);
        assert!(gather.bytes() == rest && gather.pieces(0..rest).concat() == expected[length - rest..]);
    }

    #[test]
    fn parts_stand_one_after_another_wherever_they_stand_in_memory() {
        let large = DIRECT_BYTES_MIN;
        for shift in [0, 1, 100, BLOCK_BYTES - 1] {
            check(&[(shift, large)]);
            check(&[(shift, large - 1)]);
            check(&[(0, 5000), (shift, large), (3, 10), (shift, large + 1)]);
            check(&[(shift, large + BLOCK_BYTES - 1), (shift, 3 * large), (7, large)]);
        }
    }
}
