//! Buffers that chunks of segments are read into, used again and again.
//!
//! Invariant: a buffer comes back only when nobody holds a part of its chunk any more, and never more of them are kept than are allowed.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::limits::{CHUNK_BUFFERS_MAX, CHUNK_BYTES};

/// The buffers that are free.
#[derive(Default)]
pub(crate) struct Chunks {
    free: Mutex<Vec<Vec<u8>>>,
}

/// A buffer on loan, as long as was asked for.
pub(crate) struct Chunk {
    buffer: Vec<u8>,
    length: usize,
    home: Arc<Chunks>,
}

impl Chunks {
    /// A chunk of so many bytes; what stands in it is left over from others.
    pub(crate) fn lend(self: &Arc<Chunks>, length: usize) -> Chunk {
        let mut buffer = self.free.lock().pop().unwrap_or_default();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        Chunk {
            buffer,
            length,
            home: Arc::clone(self),
        }
    }
}

impl Chunk {
    /// The chunk as bytes that can be shared; the buffer is free again when the last of them is dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.length]
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut free = self.home.free.lock();
        // Larger ones come from batches larger than a chunk: half as much again is kept, for batches that are one with their header.
        if free.len() < CHUNK_BUFFERS_MAX && buffer.capacity() <= CHUNK_BYTES * 3 / 2 {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_the_last_part_of_its_chunk_and_only_so_many_are_kept() {
        let chunks = Arc::new(Chunks::default());
        let free = || chunks.free.lock().len();
        let mut chunk = chunks.lend(3);
        chunk.copy_from_slice(b"abc");
        let whole = chunk.freeze();
        let part = whole.slice(1..2);
        drop(whole);
        assert_eq!((free(), &part[..]), (0, &b"b"[..]));
        drop(part);
        assert_eq!(free(), 1);
        assert_eq!(chunks.lend(2).len(), 2);
        let many: Vec<Chunk> = (0..CHUNK_BUFFERS_MAX + 2).map(|_| chunks.lend(1)).collect();
        drop(many);
        assert_eq!(free(), CHUNK_BUFFERS_MAX);
        let large = chunks.lend(2 * CHUNK_BYTES);
        assert_eq!(large.len(), 2 * CHUNK_BYTES);
        drop(large);
        assert_eq!(free(), CHUNK_BUFFERS_MAX - 1);
    }
}
