//! Bytes that begin at a multiple of a disk's block in memory, so that they can be written past the page cache.

use std::ops::{Deref, DerefMut};

/// Places, lengths and addresses of writes past the page cache are multiples of this: the largest block that disks have today.
pub const BLOCK_BYTES: usize = 4096;

/// Bytes that grow and always begin at a multiple of [`BLOCK_BYTES`] in memory.
#[derive(Debug, Default)]
pub struct AlignedBytes {
    /// `start` bytes that only fill up to the first multiple, then the content.
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBytes {
    /// No bytes, and no memory yet.
    pub fn new() -> AlignedBytes {
        AlignedBytes::default()
    }

    /// Forgets the content and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.start);
    }

    /// How many bytes there is memory for.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() - self.start
    }

    /// Makes room for `more` bytes after what is there.
    pub fn reserve(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() >= more {
            return;
        }
        let content = (self.len() + more).max(self.len() * 2);
        let mut grown: Vec<u8> = Vec::with_capacity(content + BLOCK_BYTES);
        let start = grown.as_ptr().addr().next_multiple_of(BLOCK_BYTES) - grown.as_ptr().addr();
        grown.resize(start, 0);
        grown.extend_from_slice(self);
        *self = AlignedBytes { bytes: grown, start };
    }

    /// Adds bytes.
    pub fn extend_from_slice(&mut self, more: &[u8]) {
        self.reserve(more.len());
        self.bytes.extend_from_slice(more);
    }

    /// Adds one byte.
    pub fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    /// Cuts or grows (with zeros) to a length.
    pub fn resize(&mut self, length: usize) {
        self.reserve(length.saturating_sub(self.len()));
        self.bytes.resize(self.start + length, 0);
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }
}

impl<'a> Extend<&'a u8> for AlignedBytes {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, more: T) {
        for byte in more {
            self.push(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_stays_and_begins_at_a_block_however_it_grows() {
        let mut bytes = AlignedBytes::new();
        let mut plain: Vec<u8> = Vec::new();
        for step in 1..200_usize {
            let more = vec![step as u8; step * 37];
            bytes.extend_from_slice(&more);
            plain.extend_from_slice(&more);
            assert_eq!(bytes.as_ptr().addr() % BLOCK_BYTES, 0, "step {step}");
            assert_eq!(&*bytes, &plain, "step {step}");
        }
        bytes.resize(5);
        bytes.resize(9);
        assert_eq!(&*bytes, &[1, 1, 1, 1, 1, 0, 0, 0, 0]);
        bytes.clear();
        assert!(bytes.is_empty());
        bytes.push(3);
        assert_eq!((&*bytes, bytes.as_ptr().addr() % BLOCK_BYTES), (&[3][..], 0));
    }
}
