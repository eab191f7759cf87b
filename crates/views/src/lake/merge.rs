//! One merge of a view's rows into its table: which rows changed, and what they are now, as of one position.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use parking_lot::Mutex;

use super::pending::Pending;
use super::table::{LakeTable, Replaced, Standing};
use crate::flush::Note;
use crate::history::LastFolded;
use crate::reader::ViewReader;
use crate::{View, ViewError};

/// How many rows are looked up at once.
const ROWS_PER_BATCH: usize = 8_192;

/// A merge that is to take place. It stays the same however often it is tried.
pub(super) struct Merge {
    replaced: Replaced,
    reader: ViewReader,
    /// Says which events were folded last.
    note: Vec<u8>,
}

impl Merge {
    /// Takes what changed since the last one, and the rows as they are now.
    pub(super) fn begin(view: &Arc<View>, pending: &Mutex<Pending>) -> Result<Merge, ViewError> {
        let (reader, replaced) = view.reader_with(|| pending.lock().take())?;
        let mut last = LastFolded::default();
        last.moved_to(&view.log, reader.position());
        let note = Note {
            last,
            ..Note::default()
        };
        Ok(Merge {
            replaced,
            reader,
            note: note.bytes(),
        })
    }

    /// Brings it into the table.
    pub(super) fn commit(&self, table: &dyn LakeTable) -> Result<(), ViewError> {
        let standing = Standing {
            position: self.reader.position().clone(),
            note: self.note.clone(),
        };
        match &self.replaced {
            Replaced::All => table.replace(&self.replaced, &mut self.reader.batches(), &standing),
            Replaced::Keys(keys) => {
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let rows = |keys: &[&[u8]]| -> Result<RecordBatch, ViewError> { Ok(self.reader.find(keys)?.0) };
                let mut rows = keys.chunks(ROWS_PER_BATCH).map(rows);
                table.replace(&self.replaced, &mut rows, &standing)
            }
        }
    }
}
