//! What a checkpoint's bytes mean.
//!
//! A file is frames, one behind the other:
//!
//! ```text
//! kind u8   length u32   crc u32   body                                   numbers little endian
//!
//! 1 head                           layout u64, position as text           the first, once
//! 2 rows                           length u32 and lz4 of rows, in order   each: length u32 of the key, of the value u32, key, value
//! 3 end                            rows u64: how many there are           the last, once
//! ```
//!
//! The CRC-32C covers kind, length and body, so that no bytes are taken for a frame that are not one.

use headwater_records::Position;

use crate::Row;

/// The first frame.
pub(super) const HEAD: u8 = 1;
/// A frame of rows.
pub(super) const ROWS: u8 = 2;
/// The last frame.
pub(super) const END: u8 = 3;
/// What stands before a frame's body.
pub(super) const PREFIX_BYTES: usize = 9;
/// lz4 makes at most so many bytes of one.
const GROWTH_MAX: usize = 255;

/// What stands before a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    pub(super) kind: u8,
    pub(super) length: u32,
    crc: u32,
}

impl Prefix {
    /// Of a body; `None`: it is too long for a frame.
    pub(super) fn of(kind: u8, body: &[u8]) -> Option<Prefix> {
        let length = u32::try_from(body.len()).ok()?;
        let crc = crc(kind, length, body);
        Some(Prefix { kind, length, crc })
    }

    pub(super) fn read(bytes: [u8; PREFIX_BYTES]) -> Prefix {
        let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = bytes;
        Prefix {
            kind,
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
        }
    }

    pub(super) fn bytes(self) -> [u8; PREFIX_BYTES] {
        let [l0, l1, l2, l3] = self.length.to_le_bytes();
        let [c0, c1, c2, c3] = self.crc.to_le_bytes();
        [self.kind, l0, l1, l2, l3, c0, c1, c2, c3]
    }

    /// Whether this is the body that it was made of.
    pub(super) fn is_of(self, body: &[u8]) -> bool {
        crc(self.kind, self.length, body) == self.crc
    }
}

fn crc(kind: u8, length: u32, body: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[kind]), &length.to_le_bytes());
    crc32c::crc32c_append(crc, body)
}

/// The body of the first frame.
pub(super) fn head(layout: u64, position: &Position) -> Vec<u8> {
    let mut body = layout.to_le_bytes().to_vec();
    body.extend_from_slice(position.to_string().as_bytes());
    body
}

/// The layout and the position in it.
pub(super) fn read_head(body: &[u8]) -> Option<(u64, Position)> {
    let (layout, position) = body.split_first_chunk::<8>()?;
    let position = std::str::from_utf8(position).ok()?.parse().ok()?;
    Some((u64::from_le_bytes(*layout), position))
}

/// Puts a row behind others; `false`: it is too long.
pub(super) fn push_row(rows: &mut Vec<u8>, key: &[u8], value: &[u8]) -> bool {
    let (Ok(key_length), Ok(value_length)) = (u32::try_from(key.len()), u32::try_from(value.len())) else {
        return false;
    };
    rows.extend_from_slice(&key_length.to_le_bytes());
    rows.extend_from_slice(&value_length.to_le_bytes());
    rows.extend_from_slice(key);
    rows.extend_from_slice(value);
    true
}

/// The first of some rows, and how many bytes it takes; `None` where these are no rows.
pub(super) fn first_row(rows: &[u8]) -> Option<(Row, usize)> {
    let (key_length, rest) = rows.split_first_chunk::<4>()?;
    let (value_length, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_length) as usize)?;
    Some(((key.to_vec(), value.to_vec()), rows.len() - rest.len()))
}

/// The body of a frame of rows.
pub(super) fn packed(rows: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(rows)
}

/// The rows in it; `None` where there are none, or what is said of their length cannot be.
pub(super) fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    let (length, packed) = body.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > packed.len().saturating_mul(GROWTH_MAX) {
        return None;
    }
    lz4_flex::block::decompress(packed, length).ok()
}
