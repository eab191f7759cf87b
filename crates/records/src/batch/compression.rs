//! How the events of a batch are compressed, and how far they may expand.
//!
//! Invariant: memory grows with the bytes that really come out, never by a length that the input states;
//! nothing grows past the limit given.

use std::io::{Read, Write};

use bytes::Bytes;

use super::BatchError;
use crate::limits::{SNAPPY_RATIO_MAX, ZSTD_WINDOW_LOG_MAX};

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
    /// snappy, plain or in Java's framing.
    Snappy,
    /// lz4 frames.
    Lz4,
    /// zstd.
    Zstd,
}

/// What the Java library puts before its blocks: a magic, a version and the oldest version that can read it.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

const TOO_LARGE: BatchError = BatchError::Malformed("it expands beyond the limit");

impl Compression {
    /// The compression that a batch's attributes name.
    pub(super) fn from_attributes(attributes: i16) -> Option<Compression> {
        match attributes & 0b111 {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    pub(super) fn attributes(self) -> i16 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    pub(super) fn compress(self, plain: Vec<u8>) -> Vec<u8> {
        match self {
            Compression::None => plain,
            Compression::Gzip => gzip(&plain),
            Compression::Snappy => snappy(&plain),
            Compression::Lz4 => lz4(&plain),
            Compression::Zstd => zstd::bulk::compress(&plain, 0).expect("zstd compresses any bytes into memory"),
        }
    }

    /// Expands to at most `bytes_max` bytes. What is not compressed is not copied.
    pub(super) fn expand(self, packed: Bytes, bytes_max: usize) -> Result<Bytes, BatchError> {
        match self {
            Compression::None => Ok(packed),
            Compression::Gzip => read_bounded(
                flate2::bufread::MultiGzDecoder::new(packed.as_ref()),
                bytes_max,
                BatchError::Malformed("its events are no gzip stream"),
            ),
            Compression::Snappy => expand_snappy(&packed, bytes_max),
            Compression::Lz4 => read_bounded(
                lz4_flex::frame::FrameDecoder::new(packed.as_ref()),
                bytes_max,
                BatchError::Malformed("its events are no lz4 frame"),
            ),
            Compression::Zstd => expand_zstd(&packed, bytes_max),
        }
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("gzip compresses any bytes into memory")
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    let mut packed = XERIAL_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder
            .compress_vec(block)
            .expect("snappy compresses a block of 32 KiB");
        packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        packed.extend_from_slice(&block);
    }
    packed
}

fn lz4(plain: &[u8]) -> Vec<u8> {
    // Java's reader knows independent blocks only.
    let frame = lz4_flex::frame::FrameInfo::new()
        .block_mode(lz4_flex::frame::BlockMode::Independent)
        .block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, Vec::new());
    let written = encoder.write_all(plain);
    written.expect("lz4 compresses any bytes into memory");
    encoder.finish().expect("lz4 compresses any bytes into memory")
}

fn read_bounded(reader: impl Read, bytes_max: usize, fault: BatchError) -> Result<Bytes, BatchError> {
    let mut plain: Vec<u8> = Vec::new();
    // One byte more than allowed tells a batch at the limit from one beyond it.
    let read = reader.take(bytes_max as u64 + 1).read_to_end(&mut plain);
    if plain.len() > bytes_max {
        return Err(TOO_LARGE);
    }
    match read {
        Ok(_) => Ok(Bytes::from(plain)),
        Err(_) => Err(fault),
    }
}

fn expand_zstd(packed: &[u8], bytes_max: usize) -> Result<Bytes, BatchError> {
    let fault = BatchError::Malformed("its events are no zstd frame");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(|_| fault.clone())?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| fault.clone())?;
    read_bounded(decoder, bytes_max, fault)
}

/// One plain block, or Java's framing: blocks, each with its compressed length before it.
fn expand_snappy(packed: &[u8], bytes_max: usize) -> Result<Bytes, BatchError> {
    let mut plain: Vec<u8> = Vec::new();
    if !packed.starts_with(XERIAL_MAGIC) {
        expand_snappy_block(packed, bytes_max, &mut plain)?;
        return Ok(Bytes::from(plain));
    }
    let cut = BatchError::Malformed("a snappy block inside is cut short");
    let mut rest = packed.get(XERIAL_HEADER.len()..).ok_or(cut.clone())?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(cut.clone())?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, after) = after.split_at_checked(length).ok_or(cut.clone())?;
        expand_snappy_block(block, bytes_max, &mut plain)?;
        rest = after;
    }
    Ok(Bytes::from(plain))
}

fn expand_snappy_block(block: &[u8], bytes_max: usize, plain: &mut Vec<u8>) -> Result<(), BatchError> {
    let fault = BatchError::Malformed("its events are no snappy block");
    let length = snap::raw::decompress_len(block).map_err(|_| fault.clone())?;
    if length > bytes_max.saturating_sub(plain.len()) {
        return Err(TOO_LARGE);
    }
    // The stated length is believed only as far as so many bytes can expand at all.
    if length > block.len() * SNAPPY_RATIO_MAX {
        return Err(fault);
    }
    let start = plain.len();
    plain.resize(start + length, 0);
    let mut decoder = snap::raw::Decoder::new();
    match decoder.decompress(block, &mut plain[start..]) {
        Ok(_) => Ok(()),
        Err(_) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKED: [Compression; 4] = [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    #[test]
    fn both_sides_of_the_limit() {
        let plain = vec![7; 100_000];
        for compression in PACKED {
            let packed = Bytes::from(compression.compress(plain.clone()));
            let at_limit = compression.expand(packed.clone(), plain.len());
            assert_eq!(at_limit.as_deref(), Ok(plain.as_slice()), "{compression:?}");
            assert_eq!(
                compression.expand(packed, plain.len() - 1),
                Err(TOO_LARGE),
                "{compression:?}"
            );
        }
    }

    #[test]
    fn what_other_writers_write_is_read() {
        let check = |compression: Compression, packed: Vec<u8>, expected: &[u8]| {
            let plain = compression.expand(Bytes::from(packed), 1000);
            assert_eq!(plain.as_deref(), Ok(expected), "{compression:?}");
        };
        let raw = snap::raw::Encoder::new().compress_vec(b"one block").unwrap();
        check(Compression::Snappy, raw, b"one block");
        check(
            Compression::Gzip,
            [gzip(b"two "), gzip(b"members")].concat(),
            b"two members",
        );
        let zstd = |plain: &[u8]| Compression::Zstd.compress(plain.to_vec());
        check(
            Compression::Zstd,
            [zstd(b"two "), zstd(b"frames")].concat(),
            b"two frames",
        );
        check(Compression::Snappy, XERIAL_HEADER.to_vec(), b"");
    }

    #[test]
    fn lengths_that_lie_are_refused_before_memory_is_taken() {
        // A raw snappy block of six bytes that says it holds 200 MiB.
        let lie = Bytes::from_static(&[0x80, 0x80, 0x80, 0x64, 0x00, 0x41]);
        let refused = Compression::Snappy.expand(lie, 256 << 20);
        assert_eq!(refused, Err(BatchError::Malformed("its events are no snappy block")));
        let mut cut = XERIAL_HEADER.to_vec();
        cut.extend_from_slice(&u32::MAX.to_be_bytes());
        let refused = Compression::Snappy.expand(Bytes::from(cut), 256 << 20);
        assert_eq!(
            refused,
            Err(BatchError::Malformed("a snappy block inside is cut short"))
        );
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        for compression in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
            let bomb = Bytes::from(compression.compress(vec![0; 64 << 20]));
            assert!(bomb.len() < 1 << 20, "{compression:?}");
            assert_eq!(compression.expand(bomb, 1 << 20), Err(TOO_LARGE), "{compression:?}");
        }
    }

    #[test]
    fn garbage_is_named() {
        for compression in PACKED {
            let refused = compression.expand(Bytes::from_static(&[0xff; 40]), 1000);
            assert!(
                matches!(refused, Err(BatchError::Malformed(_))),
                "{compression:?}: {refused:?}"
            );
        }
    }
}
