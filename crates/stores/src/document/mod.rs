//! Rows by key, in order of the key's bytes, in a log-structured merge tree on disk.
//!
//! A row may be found under other prefixes besides its key (links): an edge from where it leads to. Beside the rows stand snapshots: what rows were at earlier moments. They save work and nothing else: a row as it was can always be made
//! again from the events.
//!
//! Invariants
//! - Rows, entries, links, snapshots and the position they stand at are one batch of the database's journal: a crash keeps all of a commit or nothing of it.
//! - A commit is handed to the operating system, not flushed to the disk: killing the process loses nothing, a power cut may lose the
//!   last commits, whole ones, and their events are folded again from the log.
//! - A store that cannot be read, or that was written with another layout, is emptied: its rows are derived.
//! - The library takes nothing any more once a write failed. So a store whose disk was full is opened again by the first commit that finds room, and
//!   is read meanwhile as the last commit left it.

mod format;
mod opened;
mod reader;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use fjall::Readable;
use headwater_records::Position;
use parking_lot::{MappedRwLockReadGuard, Mutex, RwLock, RwLockReadGuard};

use crate::{Header, Reader, Store, StoreError, files};
use opened::Opened;
use reader::ClosedReader;

/// One view's rows by key.
pub struct DocumentStore {
    path: PathBuf,
    layout: u64,
    /// `None`: it was closed to be opened again, and could not be.
    opened: RwLock<Option<Opened>>,
    /// Whether a commit failed: the library takes no other then before the store is opened again.
    is_broken: AtomicBool,
    position: Mutex<Option<Position>>,
}

impl DocumentStore {
    /// Opens the store in `dir`. One that was written with another `layout` (a hash of what the bytes mean) is emptied: its rows are derived.
    pub fn open(dir: &Path, layout: u64) -> Result<DocumentStore, StoreError> {
        let (opened, position) = opened::open(dir, layout)?;
        Ok(DocumentStore {
            path: dir.to_owned(),
            layout,
            opened: RwLock::new(Some(opened)),
            is_broken: AtomicBool::new(false),
            position: Mutex::new(position),
        })
    }

    fn failed(&self, error: &fjall::Error) -> StoreError {
        failed(&self.path, error)
    }

    fn malformed(&self) -> StoreError {
        malformed(&self.path)
    }

    /// The trees as they are open.
    fn opened(&self) -> Result<MappedRwLockReadGuard<'_, Opened>, StoreError> {
        let opened = RwLockReadGuard::try_map(self.opened.read(), Option::as_ref);
        opened.map_err(|_| closed(&self.path))
    }

    /// Opens the trees again, where a commit failed and nobody reads them any more. What that commit was about to write is in them as a whole, or not
    /// at all.
    fn reopen(&self) -> Result<(), StoreError> {
        if let Some(shortage) = files::shortage(&self.path) {
            return Err(full(&self.path, &format!("{shortage}: nothing can be written")));
        }
        let mut opened = self.opened.write();
        if opened.as_ref().is_some_and(Opened::is_read) {
            return Err(full(
                &self.path,
                "it can be written again, and is opened anew once nobody reads it",
            ));
        }
        // Only one can be open at a time.
        *opened = None;
        let (anew, _) = opened::reopen(&self.path, self.layout)?;
        *opened = Some(anew);
        self.is_broken.store(false, Ordering::Release);
        Ok(())
    }

    fn write(&self, rows: &[(&[u8], Option<&[u8]>)], header: &Header<'_>) -> Result<(), StoreError> {
        let opened = self.opened()?;
        opened.wait_for_room();
        let batch = opened.batch(rows, header);
        batch.commit().map_err(|error| {
            self.is_broken.store(true, Ordering::Release);
            refused(&self.path, &error)
        })
    }
}

impl Store for DocumentStore {
    fn position(&self) -> Option<Position> {
        self.position.lock().clone()
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let note = self.opened()?.tree.get(format::NOTE_KEY);
        Ok(note.map_err(|error| self.failed(&error))?.map(|note| note.to_vec()))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self.opened()?.tree.get(format::stored_key(key));
        match stored.map_err(|error| self.failed(&error))? {
            None => Ok(None),
            Some(stored) => match format::row_value(key, &stored) {
                Some(value) => Ok(Some(value)),
                None => Err(self.malformed()),
            },
        }
    }

    fn entry(&self, key: &[u8], place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self.opened()?.entries.get(format::entry_key(key, place));
        let stored = stored.map_err(|error| self.failed(&error))?;
        Ok(stored.map(|value| value.to_vec()))
    }

    fn reader(&self) -> Box<dyn Reader> {
        match self.opened() {
            Ok(opened) => Box::new(opened.reader(&self.path)),
            Err(_) => Box::new(ClosedReader {
                path: self.path.clone(),
            }),
        }
    }

    fn commit(
        &self,
        rows: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
        header: Header<'_>,
    ) -> Result<(), StoreError> {
        let rows: Vec<(&[u8], Option<&[u8]>)> = rows.collect();
        if self.is_broken.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let mut written = self.write(&rows, &header);
        if matches!(written, Err(StoreError::Failed { .. })) {
            // What failed may have been a write behind the scenes, while the disk was full.
            self.reopen()?;
            written = self.write(&rows, &header);
        }
        written?;
        *self.position.lock() = Some(header.position.clone());
        Ok(())
    }

    fn snapshot(&self, key: &[u8], upto: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let earlier = format::snapshot_key(key, 0)..=format::snapshot_key(key, upto);
        let opened = self.opened()?;
        let Some(newest) = opened.database.snapshot().range(&opened.tree, earlier).next_back() else {
            return Ok(None);
        };
        let (key, value) = newest.into_inner().map_err(|error| self.failed(&error))?;
        let moment = format::moment_of(&key).ok_or_else(|| self.malformed())?;
        Ok(Some((moment, value.to_vec())))
    }

    fn moment(&self, number: u64) -> Result<Option<Position>, StoreError> {
        let stored = self.opened()?.tree.get(format::moment_key(number));
        let Some(stored) = stored.map_err(|error| self.failed(&error))? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&stored).map_err(|_| self.malformed())?;
        text.parse().map(Some).map_err(|_| self.malformed())
    }

    fn last_moment(&self) -> Result<Option<u64>, StoreError> {
        let all = [format::MOMENT].as_slice()..[format::MOMENT_END].as_slice();
        let opened = self.opened()?;
        let Some(newest) = opened.database.snapshot().range(&opened.tree, all).next_back() else {
            return Ok(None);
        };
        let key = newest.key().map_err(|error| self.failed(&error))?;
        format::moment_of(&key).map(Some).ok_or_else(|| self.malformed())
    }

    // The journal is laid out larger than it is filled: only what is really taken counts.
    fn bytes(&self) -> u64 {
        files::bytes_under(&self.path)
    }
}

fn failed(path: &Path, error: &fjall::Error) -> StoreError {
    let why = match error {
        fjall::Error::Locked => "another process uses it: stop that one, or name another data folder".to_owned(),
        error => error.to_string(),
    };
    StoreError::Failed {
        path: path.display().to_string(),
        why,
    }
}

/// The error of a commit: one that lacked something may succeed later.
fn refused(path: &Path, error: &fjall::Error) -> StoreError {
    match files::shortage_of(path, &error.to_string()) {
        Some(shortage) => full(path, &format!("{shortage}: nothing can be written")),
        None => failed(path, error),
    }
}

fn full(path: &Path, why: &str) -> StoreError {
    StoreError::Full {
        path: path.display().to_string(),
        why: why.to_owned(),
    }
}

fn closed(path: &Path) -> StoreError {
    full(path, "it was closed to be opened again, and could not be yet")
}

fn malformed(path: &Path) -> StoreError {
    StoreError::Failed {
        path: path.display().to_string(),
        why: "a row's bytes are not of this store's format: delete the folder, it is derived again from the log"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
