//! Rows by key, in order of the key's bytes, in a log-structured merge tree on disk.

use std::path::Path;

use headwater_records::Position;

/// One view's rows by key.
pub struct DocumentStore {}

/// Why a store did not open, read or commit.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the tree refused.
    #[error("store {path}: {why}")]
    Failed {
        /// The folder.
        path: String,
        /// What went wrong.
        why: String,
    },
}

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

impl DocumentStore {
    /// Opens the store in `dir`. One that was written with another `layout` (a hash of what the bytes mean) is emptied: its rows are derived.
    pub fn open(dir: &Path, layout: u64) -> Result<DocumentStore, StoreError> {
        let _ = (dir, layout);
        todo!()
    }

    /// The position of the last commit; `None` in a new store.
    pub fn position(&self) -> Option<Position> {
        todo!()
    }

    /// The value under a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = key;
        todo!()
    }

    /// All rows whose key is in `from..to` (`None`: open), in order, as of the last commit.
    pub fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<Box<dyn Iterator<Item = Result<Row, StoreError>> + Send>, StoreError> {
        let _ = (from, to);
        todo!()
    }

    /// Writes rows (`None` deletes) and the position they stand at, all or nothing.
    pub fn commit(&self, rows: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, position: &Position) -> Result<(), StoreError> {
        let _ = (rows, position);
        todo!()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        todo!()
    }
}
