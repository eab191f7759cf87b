//! One merge of a view's rows into its table: which rows changed, and what they are now, as of one position.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::pending::Pending;
use super::table::{LakeTable, Replaced, Standing};
use crate::query::RowsOf;
use crate::read::reader::ViewReader;
use crate::rows::flush::Note;
use crate::rows::history::LastFolded;
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

    /// Brings it into the table, but for the rows that cannot be worked out.
    pub(super) fn commit(&self, table: &dyn LakeTable) -> Result<(), ViewError> {
        let standing = Standing {
            position: self.reader.position().clone(),
            note: self.note.clone(),
        };
        let mut unmade: BTreeMap<Vec<u8>, ViewError> = BTreeMap::new();
        let mut rows = |(keys, found): (Vec<Vec<u8>>, RowsOf)| {
            for (number, error) in found.unmade {
                unmade.insert(keys.get(number).cloned().unwrap_or_default(), error);
            }
            found.rows
        };
        let left_out = &self.reader.view().left_out;
        match &self.replaced {
            Replaced::All => {
                let mut portions = self.reader.portions().map(|portion| portion.map(&mut rows));
                table.replace(&self.replaced, &mut portions, &standing)?;
                left_out.forget();
            }
            Replaced::Keys(keys) => {
                let all: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let find = |keys: &[&[u8]]| {
                    let found = self.reader.rows_of(keys)?;
                    Ok(rows((keys.iter().map(|key| key.to_vec()).collect(), found)))
                };
                table.replace(&self.replaced, &mut all.chunks(ROWS_PER_BATCH).map(find), &standing)?;
            }
        }
        let keys = match &self.replaced {
            Replaced::All => None,
            Replaced::Keys(keys) => Some(keys),
        };
        let keys = keys.into_iter().flatten().map(Vec::as_slice);
        left_out.wrote(keys, unmade.iter().map(|(key, error)| (key.as_slice(), error)));
        Ok(())
    }
}
