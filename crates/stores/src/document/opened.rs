//! The trees of a store as they are open: how they are found in a folder, and what is written into them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fjall::config::PartitioningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use headwater_records::Position;

use super::reader::DocumentReader;
use super::{closed, failed, format, refused};
use crate::{EntryOf, Header, Link, Moment, Snapshot, StoreError, ascending, files};

/// The name of the tree of rows, links, snapshots and the position.
const TREE: &str = "rows";
/// The name of the tree of entries.
const ENTRIES: &str = "entries";
/// Blocks read lately; the rows that matter are resident above the store.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Rows collected in memory before they become a sorted file. Twice as much is no faster with 10,000,000 rows.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// A commit waits until no more than this waits in memory to be written into files: twice what the two trees collect anyway. One thread writes the files and puts
/// them in order, and while it does the one, rows would pile up for the other.
pub(super) const UNWRITTEN_BYTES_MAX: u64 = 2 * MEMTABLE_BYTES;
/// It looks so often,
const UNWRITTEN_WAIT: Duration = Duration::from_millis(1);
/// and so many times at most: a tree that does not get on says so to whoever writes.
const UNWRITTEN_WAITS_MAX: u32 = 10_000;
/// All journal files together, before memtables are written out to free them.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;

/// The trees, open.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) tree: Keyspace,
    pub(super) entries: Keyspace,
    /// Held by every reader.
    readers: Arc<()>,
}

/// What an existing folder turned out to be.
enum Found {
    Usable(Opened, Option<Position>),
    /// Not readable, or of another layout; its rows must be derived again.
    Useless(String),
}

/// Opens what is in a folder, or begins anew there; and the position that it stands at.
pub(super) fn open(dir: &Path, layout: u64) -> Result<(Opened, Option<Position>), StoreError> {
    match existing(dir, layout)? {
        Some(Found::Usable(opened, position)) => return Ok((opened, position)),
        Some(Found::Useless(why)) => {
            tracing::warn!(store = %dir.display(), "the store is emptied and derived again from the log: {why}");
            files::remove(dir)?;
        }
        None => {}
    }
    let opened = trees(dir).map_err(|error| refused(dir, &error))?;
    let mut batch = opened.database.batch().durability(Some(PersistMode::SyncAll));
    batch.insert(&opened.tree, format::LAYOUT_KEY, layout.to_le_bytes());
    batch.commit().map_err(|error| refused(dir, &error))?;
    Ok((opened, None))
}

/// Opens what is in a folder, which was open a moment ago.
pub(super) fn reopen(dir: &Path, layout: u64) -> Result<(Opened, Option<Position>), StoreError> {
    // Where it cannot be opened at all, somebody has it open still, or there is no room to do it.
    let found = existing(dir, layout).map_err(|_| closed(dir))?;
    match found {
        Some(Found::Usable(opened, position)) => Ok((opened, position)),
        Some(Found::Useless(why)) => Err(StoreError::Failed {
            path: dir.display().to_string(),
            why,
        }),
        None => Err(StoreError::Failed {
            path: dir.display().to_string(),
            why: "its folder is gone".to_owned(),
        }),
    }
}

fn existing(dir: &Path, layout: u64) -> Result<Option<Found>, StoreError> {
    if files::is_empty(dir) {
        return Ok(None);
    }
    let opened = match trees(dir) {
        Ok(opened) => opened,
        // Another holder is no reason to delete the rows under its feet.
        Err(error @ fjall::Error::Locked) => return Err(failed(dir, &error)),
        Err(error) => {
            return match refused(dir, &error) {
                full @ StoreError::Full { .. } => Err(full),
                _ => Ok(Some(Found::Useless(format!("it cannot be read ({error})")))),
            };
        }
    };
    Ok(Some(match read_header(&opened.tree, layout) {
        Ok(position) => Found::Usable(opened, position),
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

fn trees(dir: &Path) -> Result<Opened, fjall::Error> {
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
    Ok(Opened {
        database,
        tree,
        entries,
        readers: Arc::default(),
    })
}

impl Opened {
    /// Whether somebody reads them.
    pub(super) fn is_read(&self) -> bool {
        Arc::strong_count(&self.readers) > 1
    }

    /// The rows as they are now.
    pub(super) fn reader(&self, path: &Path) -> DocumentReader {
        DocumentReader {
            snapshot: self.database.snapshot(),
            tree: self.tree.clone(),
            entries: self.entries.clone(),
            path: path.to_owned(),
            _held: Arc::clone(&self.readers),
        }
    }

    /// Lets the trees write out what waits in memory, where that is much.
    pub(super) fn wait_for_room(&self) {
        for _ in 0..UNWRITTEN_WAITS_MAX {
            if self.database.write_buffer_size() <= UNWRITTEN_BYTES_MAX {
                return;
            }
            std::thread::sleep(UNWRITTEN_WAIT);
        }
    }

    /// Rows and what stands beside them, as one write.
    pub(super) fn batch(&self, rows: &[(&[u8], Option<&[u8]>)], header: &Header<'_>) -> OwnedWriteBatch {
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
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
        batch
    }
}
