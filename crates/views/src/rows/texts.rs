//! What readers made of rows, as text: who asks for a row again gets it without its columns being worked out.
//!
//! ```text
//! row ─ read ─> columns ─ written ─> text, kept here ─ read again ─> text
//! row ─ changed, dropped ─> its text goes
//! ```
//!
//! Invariants
//! - A text is of its row as it is, and the position's of the position.
//! - All readers write a row in the same way.
//! - Where there is no room for one more all go: those that are asked for are soon there again.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use headwater_records::Position;
use parking_lot::Mutex;

use crate::rows::row;
use crate::{GroupKey, View, ViewError};

/// What a text costs besides its bytes: its place in the table, where there is room for as many again, and the allocation.
const TEXT_OVERHEAD: usize = 56;

/// What a row reads, and where it stands.
pub struct RowText {
    /// `None`: there is no row.
    pub text: Option<Vec<u8>>,
    /// The position, as text.
    pub position: Arc<str>,
}

/// The texts of a view's resident rows, by their slots.
pub(crate) struct Texts {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Default)]
struct Kept {
    of_rows: HashMap<u32, Box<[u8]>>,
    bytes: usize,
    of_position: Option<Arc<str>>,
}

impl Texts {
    /// None yet, and so many bytes at most.
    pub(crate) fn new(bytes_max: usize) -> Texts {
        Texts {
            kept: Mutex::default(),
            bytes_max,
        }
    }

    /// None, and as many at most.
    pub(crate) fn anew(&self) -> Texts {
        Texts::new(self.bytes_max)
    }

    /// The text of the row in a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<Vec<u8>> {
        self.kept.lock().of_rows.get(&slot).map(|text| text.to_vec())
    }

    /// Keeps the text of the row in a slot.
    pub(crate) fn keep(&self, slot: u32, text: &[u8]) {
        let costs = text.len() + TEXT_OVERHEAD;
        if costs > self.bytes_max {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.bytes + costs > self.bytes_max {
            kept.of_rows.clear();
            kept.bytes = 0;
        }
        kept.bytes += costs;
        if let Some(before) = kept.of_rows.insert(slot, text.into()) {
            kept.bytes -= before.len() + TEXT_OVERHEAD;
        }
    }

    /// The text of where the rows stand.
    pub(crate) fn position(&self, position: &Position) -> Arc<str> {
        let mut kept = self.kept.lock();
        let text = kept.of_position.get_or_insert_with(|| position.to_string().into());
        Arc::clone(text)
    }

    /// The row in a slot is about to change, or to go.
    pub(crate) fn forget(&mut self, slot: u32) {
        let kept = self.kept.get_mut();
        if let Some(before) = kept.of_rows.remove(&slot) {
            kept.bytes -= before.len() + TEXT_OVERHEAD;
        }
    }

    /// The position moves.
    pub(crate) fn moves(&mut self) {
        self.kept.get_mut().of_position = None;
    }
}

impl View {
    /// The row of a key as it is written, where memory alone says what it is; `None` where the disk must be asked. Never blocks on the disk.
    /// Lists are left out: they are NULL.
    pub fn text<E: From<ViewError>>(
        &self,
        key: &GroupKey,
        write: impl FnOnce(&RecordBatch) -> Result<Vec<u8>, E>,
    ) -> Result<Option<RowText>, E> {
        let GroupKey(key) = key;
        self.check_readable()?;
        let resident = self.resident.read();
        self.check_whole(&resident)?;
        let hash = resident.hasher().hash_one(key.as_slice());
        let Some((slot, value)) = resident.find(hash, key) else {
            let none = || RowText {
                text: None,
                position: resident.texts.position(&resident.position),
            };
            return Ok(resident.is_complete.then(none));
        };
        let position = resident.texts.position(&resident.position);
        if let Some(text) = resident.texts.get(slot) {
            let text = Some(text);
            return Ok(Some(RowText { text, position }));
        }
        let value = value.to_vec();
        drop(resident);
        let row = self.query.rows(&[key], &[row::state(&value)])?;
        // A HAVING may leave none.
        let text = (row.num_rows() > 0).then(|| write(&row)).transpose()?;
        if let Some(text) = &text {
            let resident = self.resident.read();
            if let Some((slot, now)) = resident.find(hash, key)
                && now == value
            {
                resident.texts.keep(slot, text);
            }
        }
        Ok(Some(RowText { text, position }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &Texts, expected: [Option<&[u8]>; 3], bytes: usize) {
        assert_eq!(
            [0, 1, 2].map(|slot| texts.get(slot)),
            expected.map(|text| text.map(<[u8]>::to_vec))
        );
        assert_eq!(texts.kept.lock().bytes, bytes);
    }

    #[test]
    fn so_many_are_kept_until_their_rows_change() {
        let each = TEXT_OVERHEAD + 2;
        let mut texts = Texts::new(2 * each);
        check(&texts, [None, None, None], 0);
        texts.keep(0, b"aa");
        texts.keep(1, b"bb");
        check(&texts, [Some(b"aa"), Some(b"bb"), None], 2 * each);
        texts.keep(2, b"cc");
        check(&texts, [None, None, Some(b"cc")], each);
        texts.keep(2, b"d");
        check(&texts, [None, None, Some(b"d")], each - 1);
        texts.forget(1);
        texts.forget(2);
        check(&texts, [None, None, None], 0);
        texts.keep(0, &vec![b'e'; 2 * each]);
        check(&texts, [None, None, None], 0);
    }

    #[test]
    fn the_position_is_written_once_while_it_stands() {
        let position: Position = "s/0@7".parse().unwrap();
        let mut texts = Texts::new(0);
        let first = texts.position(&position);
        assert_eq!(&*first, "s/0@7");
        assert!(Arc::ptr_eq(&first, &texts.position(&position)));
        texts.moves();
        assert_eq!(&*texts.position(&"s/0@8".parse().unwrap()), "s/0@8");
    }
}
