//! The next frame on its way to the disk. Large batches are not copied into it, see `gather.rs`, and what a batch's own CRC covers is not summed
//! again.

use headwater_host::{AlignedBytes, BLOCK_BYTES};
use headwater_records::limits::BATCH_CRC_COVERS_FROM;

use crate::append::gather::{Gather, filler_bytes};
use crate::append::journal::format::{
    BATCH_ENTRY_BYTES, BatchEntry, Entry, HEADER_BYTES, Header, encode_batch_head, encode_entry, frame_bytes,
};

/// A frame that is laid out; its memory is used for the next one.
#[derive(Default)]
pub(crate) struct Frame {
    gather: Gather,
    entries: u32,
    payload_bytes: usize,
    payload_crc: u32,
}

impl Frame {
    /// Lays out the entries of the next frame and says how many bytes it takes.
    pub(crate) fn lay_out<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> u64 {
        self.clear();
        self.gather.buffer().resize(HEADER_BYTES);
        for entry in entries {
            self.entries += 1;
            match entry {
                Entry::Batch(batch) => self.put_batch(batch),
                entry => self.put(|buffer| encode_entry(buffer, entry)),
            }
        }
        self.payload_bytes = self.gather.bytes() - HEADER_BYTES;
        let buffer = self.gather.buffer();
        buffer.resize(buffer.len().next_multiple_of(BLOCK_BYTES));
        frame_bytes(self.payload_bytes)
    }

    /// Makes it a frame of this place and sequence, and gives its pieces in order.
    pub(crate) fn seal(&mut self, key: u64, file: u16, sequence: u64, place: u64) -> Vec<&[u8]> {
        let header = Header {
            file,
            sequence,
            place,
            payload_bytes: self.payload_bytes as u32,
            entries: self.entries,
            payload_crc: self.payload_crc,
        };
        self.gather.buffer()[..HEADER_BYTES].copy_from_slice(&header.encode(key));
        self.gather.pieces(0..self.gather.bytes())
    }

    /// Lets go of what was laid out.
    pub(crate) fn clear(&mut self) {
        self.gather.clear();
        self.entries = 0;
        self.payload_crc = 0;
    }

    fn put_batch(&mut self, entry: &BatchEntry) {
        let bytes = entry.batch.bytes();
        let filler = filler_bytes((self.gather.bytes() + BATCH_ENTRY_BYTES) as u64, bytes);
        self.put(|buffer| encode_batch_head(buffer, entry, filler as u16));
        self.payload_crc = crc32c::crc32c_append(self.payload_crc, &bytes[..BATCH_CRC_COVERS_FROM]);
        self.gather.add(bytes);
    }

    fn put(&mut self, put: impl FnOnce(&mut AlignedBytes)) {
        let buffer = self.gather.buffer();
        let begin = buffer.len();
        put(buffer);
        self.payload_crc = crc32c::crc32c_append(self.payload_crc, &buffer[begin..]);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_records::{Batch, Compression, Event};

    use super::*;
    use crate::append::journal::format::decode_payload;
    use crate::limits::DIRECT_BYTES_MIN;

    /// A batch of so many bytes, which stands `shift` bytes behind a block in memory.
    fn entry(number: u64, batch_bytes: usize, shift: usize) -> Entry {
        let event = |value_bytes: usize| Event {
            value: Some(Bytes::from(vec![number as u8; value_bytes])),
            ..Event::default()
        };
        let overhead = Batch::encode(&[event(batch_bytes)], Compression::None, None)
            .bytes()
            .len()
            - batch_bytes;
        let batch = Batch::encode(&[event(batch_bytes - overhead)], Compression::None, None).at(number);
        let mut memory = vec![0_u8; 2 * BLOCK_BYTES + batch_bytes];
        let begin = memory.as_ptr().addr().next_multiple_of(BLOCK_BYTES) - memory.as_ptr().addr() + shift;
        let end = begin + batch.bytes().len();
        memory[begin..end].copy_from_slice(batch.bytes());
        let batch = Batch::take(&mut Bytes::from(memory).slice(begin..end)).unwrap();
        assert_eq!(batch.bytes().as_ptr().addr() % BLOCK_BYTES, shift);
        Entry::Batch(BatchEntry {
            stream: 1 << 100,
            partition: 2,
            appended_at_us: -1,
            principal: 0,
            batch,
        })
    }

    fn check(entries: &[Entry]) {
        let mut frame = Frame::default();
        let bytes = frame.lay_out(entries.iter());
        let pieces = frame.seal(7, 1, 99, 8192);
        for piece in &pieces {
            assert_eq!((piece.as_ptr().addr() % BLOCK_BYTES, piece.len() % BLOCK_BYTES), (0, 0));
        }
        let whole = pieces.concat();
        assert_eq!(whole.len() as u64, bytes);
        let header = Header::decode(whole[..HEADER_BYTES].try_into().unwrap(), 7).unwrap();
        assert_eq!(frame_bytes(header.payload_bytes as usize), bytes);
        let end = HEADER_BYTES + header.payload_bytes as usize;
        let payload = Bytes::copy_from_slice(&whole[HEADER_BYTES..end]);
        assert!(decode_payload(&header, payload).unwrap() == entries);
        assert!(whole[end..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn large_batches_come_back_wherever_they_stand_in_memory() {
        let large = DIRECT_BYTES_MIN;
        for shift in [0, 1, 20, 21, 39, BLOCK_BYTES - 20, BLOCK_BYTES - 1] {
            check(&[entry(0, large, shift)]);
            check(&[entry(0, large - 1, shift), entry(1, large, 7), entry(2, 100, shift)]);
            check(&[
                entry(0, large + 1, 7),
                entry(1, large + BLOCK_BYTES - 1, shift),
                entry(2, 3 * large, 0),
            ]);
        }
    }

    #[test]
    fn every_changed_byte_of_a_large_batch_is_seen() {
        let entries = [entry(0, DIRECT_BYTES_MIN, 4000), entry(1, 100, 0)];
        let mut frame = Frame::default();
        frame.lay_out(entries.iter());
        let whole = frame.seal(7, 1, 99, 8192).concat();
        let header = Header::decode(whole[..HEADER_BYTES].try_into().unwrap(), 7).unwrap();
        let end = HEADER_BYTES + header.payload_bytes as usize;
        for at in (HEADER_BYTES..HEADER_BYTES + 5000).chain((HEADER_BYTES + 5000..end).step_by(97)) {
            let mut changed = whole[HEADER_BYTES..end].to_vec();
            changed[at - HEADER_BYTES] ^= 4;
            assert!(decode_payload(&header, Bytes::from(changed)).is_err(), "byte {at}");
        }
    }
}
