//! Stores and tables in memory that outlast those who opened them, as a disk does, and that fail when they are told to.
//!
//! A commit is whole or not at all here: that real stores keep to this is tried by killing the program (`crates/headwater/tests/kill_views.rs`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use headwater_records::Position;
use headwater_stores::memory::MemoryStore;
use headwater_stores::{Direction, Entries, Header, Keys, Reader, Rows, Span, Store, StoreError};
use headwater_views::Stores;
use parking_lot::{Mutex, MutexGuard};

use super::bugs::Bug;

/// How many commits are left when nothing fails.
const ENDLESS: i64 = i64::MAX;

/// All stores of a machine, by their folders.
pub struct Shelf {
    stores: Mutex<HashMap<PathBuf, (u64, Arc<Shelved>)>>,
    /// So many commits more take place, then every one fails.
    commits_left: Arc<AtomicI64>,
    /// Whether there is no room for any commit.
    is_full: Arc<AtomicBool>,
    /// No commit takes place while somebody holds it.
    gate: Arc<Mutex<()>>,
    bug: Option<Bug>,
}

impl Shelf {
    pub fn new(bug: Option<Bug>) -> Shelf {
        Shelf {
            stores: Mutex::default(),
            commits_left: Arc::new(AtomicI64::new(ENDLESS)),
            is_full: Arc::default(),
            gate: Arc::default(),
            bug,
        }
    }

    /// Lets every commit wait until what comes back goes.
    pub fn hold_commits(&self) -> MutexGuard<'_, ()> {
        self.gate.lock()
    }

    /// Leaves room for commits, or none.
    pub fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Lets so many commits more take place.
    pub fn fail_after(&self, commits: i64) {
        self.commits_left.store(commits, Ordering::SeqCst);
    }

    /// Everything works again.
    pub fn mend(&self) {
        self.fail_after(ENDLESS);
    }

    pub fn is_failing(&self) -> bool {
        self.commits_left.load(Ordering::SeqCst) < ENDLESS / 2
    }
}

impl Stores for Shelf {
    fn open(&self, folder: &Path, layout: u64) -> Result<Box<dyn Store>, StoreError> {
        let mut stores = self.stores.lock();
        // Without its folder the store is gone, too.
        let is_there = folder.exists();
        std::fs::create_dir_all(folder).expect("a folder");
        if let Some((of, store)) = stores.get(folder)
            && is_there
            && *of == layout
        {
            return Ok(Box::new(Opened(Arc::clone(store))));
        }
        let store = Arc::new(Shelved {
            path: folder.to_owned(),
            rows: MemoryStore::default(),
            before: Mutex::default(),
            commits_left: Arc::clone(&self.commits_left),
            is_full: Arc::clone(&self.is_full),
            gate: Arc::clone(&self.gate),
            bug: self.bug,
        });
        stores.insert(folder.to_owned(), (layout, Arc::clone(&store)));
        Ok(Box::new(Opened(store)))
    }
}

/// One store.
struct Shelved {
    path: PathBuf,
    rows: MemoryStore,
    /// What rows were before the last commit that changed them: a planted bug reads that.
    before: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    commits_left: Arc<AtomicI64>,
    is_full: Arc<AtomicBool>,
    gate: Arc<Mutex<()>>,
    bug: Option<Bug>,
}

/// An open one.
struct Opened(Arc<Shelved>);

impl Store for Opened {
    fn position(&self) -> Option<Position> {
        self.0.rows.position()
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.rows.note()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.0.bug == Some(Bug::OldRowRead)
            && let Some(before) = self.0.before.lock().get(key)
        {
            return Ok(Some(before.clone()));
        }
        self.0.rows.get(key)
    }

    fn entry(&self, key: &[u8], place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.rows.entry(key, place)
    }

    fn reader(&self) -> Box<dyn Reader> {
        let reader = self.0.rows.reader();
        match self.0.bug {
            Some(Bug::ScanShort) => Box::new(Short(reader)),
            _ => reader,
        }
    }

    fn commit(
        &self,
        rows: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
        header: Header<'_>,
    ) -> Result<(), StoreError> {
        let Shelved { rows: stored, bug, .. } = &*self.0;
        let _open = self.0.gate.lock();
        if self.0.is_full.load(Ordering::SeqCst) {
            return Err(StoreError::Full {
                path: self.0.path.display().to_string(),
                why: "it was told to be".to_owned(),
            });
        }
        if self.0.commits_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::Failed {
                path: self.0.path.display().to_string(),
                why: "the disk was told to fail".to_owned(),
            });
        }
        let mut rows: Vec<(&[u8], Option<&[u8]>)> = rows.collect();
        if *bug == Some(Bug::OldRowRead) {
            for (key, _) in &rows {
                let before = stored.get(key)?;
                self.0.before.lock().extend(before.map(|before| (key.to_vec(), before)));
            }
        }
        let is_first = stored.position().is_none();
        let before = stored.position().unwrap_or_default();
        let mut header = header;
        match bug {
            Some(Bug::RowLost) if rows.len() > 1 => drop(rows.pop()),
            Some(Bug::RowsLost) => rows.clear(),
            Some(Bug::CommitLost) if !is_first => return Ok(()),
            Some(Bug::PositionBehind) if !is_first => header.position = &before,
            Some(Bug::LinksLost) => header.links = &[],
            _ => {}
        }
        stored.commit(&mut rows.into_iter(), header)
    }

    fn snapshot(&self, key: &[u8], upto: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        match self.0.bug {
            // The newest one there is, whenever that was.
            Some(Bug::SnapshotTooNew) => self.0.rows.snapshot(key, u64::MAX),
            _ => self.0.rows.snapshot(key, upto),
        }
    }

    fn moment(&self, number: u64) -> Result<Option<Position>, StoreError> {
        self.0.rows.moment(number)
    }

    fn last_moment(&self) -> Result<Option<u64>, StoreError> {
        self.0.rows.last_moment()
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// Reads all rows but the last.
struct Short(Box<dyn Reader>);

impl Reader for Short {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key)
    }

    fn rows(&self, span: &Span, direction: Direction) -> Rows {
        let mut rows: Vec<_> = self.0.rows(span, direction).collect();
        rows.pop();
        Box::new(rows.into_iter())
    }

    fn entries(&self, key: &[u8], places: &Span, direction: Direction) -> Entries {
        self.0.entries(key, places, direction)
    }

    fn linked(&self, prefix: &[u8]) -> Keys {
        self.0.linked(prefix)
    }
}
