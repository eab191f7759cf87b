//! The rows of a document store as one commit left them.

use std::path::PathBuf;

use fjall::{Keyspace, Readable};

use super::{failed, format, malformed};
use crate::{Keys, Reader, Rows, StoreError};

/// A snapshot of the tree.
pub(super) struct DocumentReader {
    pub(super) snapshot: fjall::Snapshot,
    pub(super) tree: Keyspace,
    pub(super) path: PathBuf,
}

impl Reader for DocumentReader {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self.snapshot.get(&self.tree, format::stored_key(key));
        let Some(stored) = stored.map_err(|error| failed(&self.path, &error))? else {
            return Ok(None);
        };
        let value = format::row_value(key, &stored).ok_or_else(|| malformed(&self.path))?;
        Ok(Some(value))
    }

    fn under(&self, prefix: &[u8]) -> Rows {
        let rows = self.snapshot.prefix(&self.tree, format::stored_prefix(prefix));
        let (path, prefix) = (self.path.clone(), prefix.to_vec());
        let rows = rows.map(move |guard| {
            let (key, value) = guard.into_inner().map_err(|error| failed(&path, &error))?;
            format::row(&key, &value).ok_or_else(|| malformed(&path))
        });
        Box::new(rows.filter(move |row| row.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix))))
    }

    fn linked(&self, prefix: &[u8]) -> Keys {
        let prefix = format::link_prefix(prefix);
        let links = self.snapshot.prefix(&self.tree, prefix.clone());
        let path = self.path.clone();
        Box::new(links.map(move |guard| {
            let (key, value) = guard.into_inner().map_err(|error| failed(&path, &error))?;
            format::linked_key(&prefix, &key, &value).ok_or_else(|| malformed(&path))
        }))
    }
}
