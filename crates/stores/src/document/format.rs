//! What a document store's bytes mean.
//!
//! One ordered tree holds everything, so that rows and position go into one atomic batch:
//!
//! ```text
//! key                                  value
//! 00 'layout'                          u64, little endian: what the rows' bytes mean to their writer
//! 00 'position'                        the position the rows stand at, as text
//! 00 'note'                            what the writer keeps beside it
//! 01 key                               the row's value                       keys up to KEY_BYTES_MAX
//! 01 key[..KEY_BYTES_MAX] sha256(key)  u32 length of the key, the key, value longer ones
//! 02 sha256(key) u64 number            the row's value when the moment of that number came: a snapshot
//! 03 u64 number                        the position of that moment, as text
//! 04 prefix key                        nothing: the row is found under the prefix, too; the key where it is long
//! ```
//!
//! A second tree of the same database holds the entries of rows, written in the same batch:
//!
//! ```text
//! key place                            the entry's value
//! ```
//!
//! No row's key is the beginning of another's, so that no entry can be taken for one of another row. Key and place are each kept as a row's key
//! is, places up to [`PLACE_BYTES_MAX`] whole.
//!
//! A link's prefix and its key are each kept as a row's key is: whole, or by their beginning and digest where they are long.
//!
//! Numbers of moments are big endian, so that a row's snapshots stand in the order of their moments.
//!
//! The tree takes keys of 65,535 bytes; a group's key is as long as a client likes. A longer one is kept by its beginning and
//! its digest, so the tree has rows in the order of their keys' first [`KEY_BYTES_MAX`] bytes.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::{PLACE_BYTES_MAX, Span, behind};

/// Under this key stands the layout.
pub(super) const LAYOUT_KEY: &[u8] = b"\x00layout";
/// Under this key stands the position.
pub(super) const POSITION_KEY: &[u8] = b"\x00position";
/// Under this key stands the note.
pub(super) const NOTE_KEY: &[u8] = b"\x00note";
/// The first byte of every row's key.
pub(super) const ROW: u8 = 1;
/// The byte after it: where a scan of all rows ends.
pub(super) const ROW_END: u8 = 2;
/// The first byte of every snapshot's key.
pub(super) const SNAPSHOT: u8 = 2;
/// The first byte of every moment's key.
pub(super) const MOMENT: u8 = 3;
/// The byte after it: where a scan of all moments ends.
pub(super) const MOMENT_END: u8 = 4;
/// The first byte of every link's key.
pub(super) const LINK: u8 = 4;
/// The longest key that is kept as it is.
pub(super) const KEY_BYTES_MAX: usize = 32_000;

/// The tree's key of a row.
pub(super) fn stored_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(1 + key.len().min(KEY_BYTES_MAX));
    write_key(key, &mut stored);
    stored
}

/// The same, written over what is in `stored`.
pub(super) fn write_key(key: &[u8], stored: &mut Vec<u8>) {
    stored.clear();
    stored.push(ROW);
    keep(key, stored);
}

/// The keys of the tree among which all rows of a span are; of long keys others may be among them.
pub(super) fn stored_span(span: &Span) -> (Vec<u8>, Vec<u8>) {
    let kept = |key: &[u8]| {
        let mut stored = vec![ROW];
        stored.extend_from_slice(&key[..key.len().min(KEY_BYTES_MAX)]);
        stored
    };
    let end = match &span.to {
        Some(to) if is_long(to) => behind(&kept(to)).unwrap_or_else(|| vec![ROW_END]),
        Some(to) => kept(to),
        None => vec![ROW_END],
    };
    (kept(&span.from), end)
}

/// What the keys of a row's entries begin with, in the tree of entries.
pub(super) fn entries_of(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len().min(KEY_BYTES_MAX));
    keep(key, &mut stored);
    stored
}

/// The key of an entry, in the tree of entries.
pub(super) fn entry_key(key: &[u8], place: &[u8]) -> Vec<u8> {
    let mut stored = entries_of(key);
    keep_upto(place, PLACE_BYTES_MAX, &mut stored);
    stored
}

/// What the tree's keys of all links under a prefix begin with.
pub(super) fn link_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut stored = vec![LINK];
    keep(prefix, &mut stored);
    stored
}

/// The tree's key of a link, and its value.
pub(super) fn link(prefix: &[u8], key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut stored = link_prefix(prefix);
    keep(key, &mut stored);
    let value = if is_long(key) { key.to_vec() } else { Vec::new() };
    (stored, value)
}

/// The key of the row that a link leads to, from the tree's key and value; `None` where the bytes are not of this format.
pub(super) fn linked_key(link_prefix: &[u8], stored_key: &[u8], stored_value: &[u8]) -> Option<Vec<u8>> {
    let kept = stored_key.strip_prefix(link_prefix)?;
    match is_long(kept) {
        true => Some(stored_value.to_vec()),
        false => Some(kept.to_vec()),
    }
}

/// A key as it stands in the tree's: whole, or its beginning and its digest.
fn keep(key: &[u8], stored: &mut Vec<u8>) {
    keep_upto(key, KEY_BYTES_MAX, stored);
}

fn keep_upto(key: &[u8], bytes_max: usize, stored: &mut Vec<u8>) {
    stored.extend_from_slice(&key[..key.len().min(bytes_max)]);
    if key.len() > bytes_max {
        stored.extend_from_slice(&Sha256::digest(key));
    }
}

/// The tree's value of a row.
pub(super) fn stored_value<'a>(key: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
    if !is_long(key) {
        return Cow::Borrowed(value);
    }
    let mut stored = Vec::with_capacity(4 + key.len() + value.len());
    stored.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
    stored.extend_from_slice(key);
    stored.extend_from_slice(value);
    Cow::Owned(stored)
}

/// The row's key and value from the tree's; `None` where the bytes are not of this format.
pub(super) fn row(stored_key: &[u8], stored_value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (&ROW, kept) = stored_key.split_first()? else {
        return None;
    };
    if !is_long(kept) {
        return Some((kept.to_vec(), stored_value.to_vec()));
    }
    let (length, rest) = stored_value.split_first_chunk::<4>()?;
    let (key, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((key.to_vec(), value.to_vec()))
}

/// The row's value alone; `None` where the bytes are not of this format.
pub(super) fn row_value(key: &[u8], stored_value: &[u8]) -> Option<Vec<u8>> {
    if !is_long(key) {
        return Some(stored_value.to_vec());
    }
    stored_value.get(4 + key.len()..).map(<[u8]>::to_vec)
}

/// The tree's key of a row's snapshot.
pub(super) fn snapshot_key(key: &[u8], moment: u64) -> Vec<u8> {
    let mut stored = Vec::with_capacity(1 + 32 + 8);
    stored.push(SNAPSHOT);
    stored.extend_from_slice(&Sha256::digest(key));
    stored.extend_from_slice(&moment.to_be_bytes());
    stored
}

/// The tree's key of a moment.
pub(super) fn moment_key(moment: u64) -> [u8; 9] {
    let mut stored = [MOMENT; 9];
    stored[1..].copy_from_slice(&moment.to_be_bytes());
    stored
}

/// The number of the moment that a snapshot's or a moment's key ends with.
pub(super) fn moment_of(stored_key: &[u8]) -> Option<u64> {
    stored_key.last_chunk::<8>().map(|number| u64::from_be_bytes(*number))
}

/// Whether two rows' keys are kept by the same beginning, so that the tree does not have them in order.
pub(super) fn is_unordered(one: &[u8], other: &[u8]) -> bool {
    is_long(one) && is_long(other) && one[..KEY_BYTES_MAX] == other[..KEY_BYTES_MAX]
}

pub(super) fn is_long(key: &[u8]) -> bool {
    key.len() > KEY_BYTES_MAX
}
