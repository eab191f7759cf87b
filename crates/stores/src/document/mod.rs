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

mod format;
mod reader;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fjall::config::PartitioningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use headwater_records::Position;
use parking_lot::Mutex;

use crate::{EntryOf, Header, Link, Moment, Reader, Snapshot, Store, StoreError, ascending, files};
use reader::DocumentReader;

/// The name of the tree of rows, links, snapshots and the position.
const TREE: &str = "rows";
/// The name of the tree of entries.
const ENTRIES: &str = "entries";
/// Blocks read lately; the rows that matter are resident above the store.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Rows collected in memory before they become a sorted file.
const MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;
/// A commit waits until no more than this waits in memory to be written into files: twice what the two trees collect anyway. One thread writes the files and puts
/// them in order, and while it does the one, rows would pile up for the other.
const UNWRITTEN_BYTES_MAX: u64 = 2 * MEMTABLE_BYTES;
/// It looks so often,
const UNWRITTEN_WAIT: Duration = Duration::from_millis(1);
/// and so many times at most: a tree that does not get on says so to whoever writes.
const UNWRITTEN_WAITS_MAX: u32 = 10_000;
/// All journal files together, before memtables are written out to free them.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;

/// One view's rows by key.
pub struct DocumentStore {
    path: PathBuf,
    database: Database,
    tree: Keyspace,
    entries: Keyspace,
    position: Mutex<Option<Position>>,
}

/// What an existing folder turned out to be.
enum Found {
    Usable(DocumentStore),
    /// Not readable, or of another layout; its rows must be derived again.
    Useless(String),
}

impl DocumentStore {
    /// Opens the store in `dir`. One that was written with another `layout` (a hash of what the bytes mean) is emptied: its rows are derived.
    pub fn open(dir: &Path, layout: u64) -> Result<DocumentStore, StoreError> {
        match open_existing(dir, layout)? {
            Some(Found::Usable(store)) => return Ok(store),
            Some(Found::Useless(why)) => {
                tracing::warn!(store = %dir.display(), "the store is emptied and derived again from the log: {why}");
                files::remove(dir)?;
            }
            None => {}
        }
        let store = open_tree(dir).map_err(|error| failed(dir, &error))?;
        let mut batch = store.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&store.tree, format::LAYOUT_KEY, layout.to_le_bytes());
        batch.commit().map_err(|error| failed(dir, &error))?;
        Ok(store)
    }

    fn failed(&self, error: &fjall::Error) -> StoreError {
        failed(&self.path, error)
    }

    fn malformed(&self) -> StoreError {
        malformed(&self.path)
    }

    /// Lets the trees write out what waits in memory, where that is much.
    fn wait_for_room(&self) {
        for _ in 0..UNWRITTEN_WAITS_MAX {
            if self.database.write_buffer_size() <= UNWRITTEN_BYTES_MAX {
                return;
            }
            std::thread::sleep(UNWRITTEN_WAIT);
        }
    }
}

impl Store for DocumentStore {
    fn position(&self) -> Option<Position> {
        self.position.lock().clone()
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let note = self.tree.get(format::NOTE_KEY).map_err(|error| self.failed(&error))?;
        Ok(note.map(|note| note.to_vec()))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self
            .tree
            .get(format::stored_key(key))
            .map_err(|error| self.failed(&error))?;
        match stored {
            None => Ok(None),
            Some(stored) => match format::row_value(key, &stored) {
                Some(value) => Ok(Some(value)),
                None => Err(self.malformed()),
            },
        }
    }

    fn entry(&self, key: &[u8], place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self.entries.get(format::entry_key(key, place));
        let stored = stored.map_err(|error| self.failed(&error))?;
        Ok(stored.map(|value| value.to_vec()))
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(DocumentReader {
            snapshot: self.database.snapshot(),
            tree: self.tree.clone(),
            entries: self.entries.clone(),
            path: self.path.clone(),
        })
    }

    fn commit(
        &self,
        rows: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
        header: Header<'_>,
    ) -> Result<(), StoreError> {
        self.wait_for_room();
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        let rows: Vec<(&[u8], Option<&[u8]>)> = rows.collect();
        let keys: Vec<&[u8]> = rows.iter().map(|(key, _)| *key).collect();
        let mut stored_key: Vec<u8> = Vec::new();
        for at in ascending(&keys) {
            let (key, value) = rows[at as usize];
            format::write_key(key, &mut stored_key);
            match value {
                Some(value) => batch.insert(&self.tree, &*stored_key, &*format::stored_value(key, value)),
                None => batch.remove(&self.tree, &*stored_key),
            }
        }
        for Snapshot { key, moment, value } in header.snapshots {
            batch.insert(&self.tree, format::snapshot_key(key, *moment), value.as_slice());
        }
        for Link { prefix, key, is_there } in header.links {
            let (stored_key, stored_value) = format::link(prefix, key);
            match is_there {
                true => batch.insert(&self.tree, stored_key, stored_value),
                false => batch.remove(&self.tree, stored_key),
            }
        }
        for EntryOf { key, place, value } in header.entries {
            batch.insert(&self.entries, format::entry_key(key, place), *value);
        }
        for Moment { number, position } in header.moments {
            batch.insert(
                &self.tree,
                format::moment_key(*number),
                position.to_string().into_bytes(),
            );
        }
        batch.insert(
            &self.tree,
            format::POSITION_KEY,
            header.position.to_string().into_bytes(),
        );
        batch.insert(&self.tree, format::NOTE_KEY, header.note);
        batch.commit().map_err(|error| self.failed(&error))?;
        *self.position.lock() = Some(header.position.clone());
        Ok(())
    }

    fn snapshot(&self, key: &[u8], upto: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let earlier = format::snapshot_key(key, 0)..=format::snapshot_key(key, upto);
        let Some(newest) = self.database.snapshot().range(&self.tree, earlier).next_back() else {
            return Ok(None);
        };
        let (key, value) = newest.into_inner().map_err(|error| self.failed(&error))?;
        let moment = format::moment_of(&key).ok_or_else(|| self.malformed())?;
        Ok(Some((moment, value.to_vec())))
    }

    fn moment(&self, number: u64) -> Result<Option<Position>, StoreError> {
        let stored = self.tree.get(format::moment_key(number));
        let Some(stored) = stored.map_err(|error| self.failed(&error))? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&stored).map_err(|_| self.malformed())?;
        text.parse().map(Some).map_err(|_| self.malformed())
    }

    fn last_moment(&self) -> Result<Option<u64>, StoreError> {
        let all = [format::MOMENT].as_slice()..[format::MOMENT_END].as_slice();
        let Some(newest) = self.database.snapshot().range(&self.tree, all).next_back() else {
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

fn open_existing(dir: &Path, layout: u64) -> Result<Option<Found>, StoreError> {
    if files::is_empty(dir) {
        return Ok(None);
    }
    let mut store = match open_tree(dir) {
        Ok(store) => store,
        // Another holder is no reason to delete the rows under its feet.
        Err(error @ fjall::Error::Locked) => return Err(failed(dir, &error)),
        Err(error) => return Ok(Some(Found::Useless(format!("it cannot be read ({error})")))),
    };
    Ok(Some(match read_header(&store.tree, layout) {
        Ok(position) => {
            store.position = Mutex::new(position);
            Found::Usable(store)
        }
        Err(why) => Found::Useless(why),
    }))
}

fn read_header(tree: &Keyspace, layout: u64) -> Result<Option<Position>, String> {
    let read = |key: &[u8]| tree.get(key).map_err(|error| format!("it cannot be read ({error})"));
    match read(format::LAYOUT_KEY)? {
        Some(found) if *found == layout.to_le_bytes() => {}
        Some(_) => return Err("its rows have another layout".to_owned()),
        None => return Err("it was never completed".to_owned()),
    }
    let Some(position) = read(format::POSITION_KEY)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&position).map_err(|_| "its position is no text".to_owned())?;
    text.parse().map(Some).map_err(|error| format!("{error}"))
}

fn open_tree(dir: &Path) -> Result<DocumentStore, fjall::Error> {
    let database = Database::builder(dir)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(1)
        .open()?;
    // Filters and indexes of the newest, small files stay in memory; those below are read in parts of 4 KiB. Whole, they outgrow the cache, and every look at a key of
    // a large view reads and checks megabytes.
    let parts_below_the_top = || PartitioningPolicy::new([false, true]);
    let options = || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(MEMTABLE_BYTES)
            .filter_block_partitioning_policy(parts_below_the_top())
            .index_block_partitioning_policy(parts_below_the_top())
    };
    let tree = database.keyspace(TREE, options)?;
    let entries = database.keyspace(ENTRIES, options)?;
    Ok(DocumentStore {
        path: dir.to_owned(),
        database,
        tree,
        entries,
        position: Mutex::new(None),
    })
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

fn malformed(path: &Path) -> StoreError {
    StoreError::Failed {
        path: path.display().to_string(),
        why: "a row's bytes are not of this store's format: delete the folder, it is derived again from the log"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
