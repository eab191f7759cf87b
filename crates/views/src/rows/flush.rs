//! Committing what a view has folded: the rows that changed, what its shape keeps beside them, and the position.
//!
//! ```text
//! turn ─> resident rows ─> flush: 1. image.commit(changed rows, position)
//!                                 2. store.commit(changed rows, entries, snapshots, links, position, note)     one atomic write
//!                                 3. image.settle; the rows are clean, and places of deleted rows are gone
//!                                 4. where that is due, a checkpoint of the rows is begun elsewhere: see `checkpoints`
//! ```
//!
//! Invariants
//! - What is committed stands at one position. A view that stopped commits nothing any more, nor one in whose rows a turn broke off: what they had
//!   not committed is folded again after a start.
//! - A version whose place another took commits nothing: the store may be the other's by now.
//! - A view whose commit found the disk full keeps its rows, folds nothing more, and tries the same again until there is room.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use headwater_records::Position;
use headwater_stores::{EntryOf, Header};
use parking_lot::RwLockUpgradableReadGuard;
use tokio::time::Instant;

use crate::limits::FULL_RETRY;
use crate::rows::entries::{EntriesOf, Lists};
use crate::rows::history::LastFolded;
use crate::rows::resident::Resident;
use crate::{View, ViewError, ViewOptions};

/// What a view's store keeps beside the position: `built u8, rows u64, parked u64, lacking u64`, little endian, and what was folded last, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Note {
    pub is_built: bool,
    pub rows: u64,
    pub parked: u64,
    pub lacking: u64,
    pub last: LastFolded,
}

impl View {
    /// What is kept beside the position. Under the lock of the resident rows, so that it speaks of the same events.
    pub(crate) fn note(&self, resident: &Resident) -> Vec<u8> {
        let last = {
            let mut last = self.last_folded.lock();
            last.moved_to(&self.log, &resident.position);
            last.clone()
        };
        let note = Note {
            is_built: self.is_built.load(Ordering::Acquire),
            rows: resident.rows,
            parked: self.parked.load(Ordering::Relaxed),
            lacking: self.lacking.load(Ordering::Relaxed),
            last,
        };
        note.bytes()
    }

    /// Commits the changed rows and the position in one write, where anything changed.
    pub(crate) fn flush(&self) -> Result<(), ViewError> {
        self.flush_then(|_| ())
    }

    /// Commits, and does a step before any row changes again: the store has all rows then, as of the position given. Where the disk is full the view is
    /// held up until a commit succeeds.
    pub(crate) fn flush_then<T>(&self, then: impl FnOnce(&Position) -> T) -> Result<T, ViewError> {
        let flushed = self.try_flush(then);
        let held_up = match &flushed {
            Err(ViewError::Full(why)) => {
                self.freshness.retry_after(FULL_RETRY);
                Some(why.clone())
            }
            _ => None,
        };
        let before = std::mem::replace(&mut *self.held_up.lock(), held_up);
        match (before, &flushed) {
            (None, Err(ViewError::Full(why))) => {
                tracing::warn!(view = self.definition.name, "the view waits: {why}");
            }
            (Some(_), Ok(_)) => {
                tracing::info!(view = self.definition.name, "the view goes on");
                self.hurry.wake();
            }
            _ => {}
        }
        flushed
    }

    fn try_flush<T>(&self, then: impl FnOnce(&Position) -> T) -> Result<T, ViewError> {
        // Readers go on meanwhile; who would change rows, or commit too, waits.
        let resident = self.resident.upgradable_read();
        self.check_whole(&resident)?;
        if let Some(lake) = &self.lake
            && self.is_built.load(Ordering::Acquire)
            && !self.table_says_built()
        {
            // Its table is written by a thread of its own.
            lake.commit_now();
        }
        let note = self.note(&resident);
        if self.is_per_event() || self.is_committed(&resident, &note)? {
            self.freshness.flushed();
            return Ok(then(&resident.position));
        }
        let begun = Instant::now();
        let gone = self.sweepable(&resident)?;
        self.write(&resident, &note, &gone)?;
        let look = self.look_for_places(&resident, &gone)?;
        self.freshness.flushed();
        self.freshness.took(begun.elapsed());
        let mut resident = RwLockUpgradableReadGuard::upgrade(resident);
        resident.committed();
        self.offer_checkpoint(&mut resident);
        self.swept(&mut resident, &gone, look);
        Ok(then(&resident.position))
    }

    /// Whether its store has all of this already.
    fn is_committed(&self, resident: &Resident, note: &[u8]) -> Result<bool, ViewError> {
        let store = &self.folder.store;
        let is_there = store.position().as_ref() == Some(&resident.position);
        Ok(is_there && store.note()?.is_some_and(|known| known == note))
    }

    /// Writes the changed rows into the image, then into the store. `gone`: the keys that are deleted there.
    fn write(&self, resident: &Resident, note: &[u8], gone: &BTreeSet<Vec<u8>>) -> Result<(), ViewError> {
        if let Some(image) = &self.image {
            let entries = EntriesOf {
                pending: &resident.entries,
                store: None,
            };
            let changes = self.changes(resident.dirty(), &Lists::of(entries, self.lists_shown))?;
            image.commit(&changes, &resident.position)?;
            let unmade = changes.unmade.iter();
            self.left_out.wrote(
                changes.keys.iter().map(Vec::as_slice),
                unmade.map(|(number, error)| (changes.keys[*number].as_slice(), error)),
            );
        }
        let stays = resident.dirty().filter(|(key, _)| !gone.contains(*key));
        let goes = gone.iter().map(Vec::as_slice);
        let links = match &self.edges {
            Some(edges) if !self.is_in_memory() => {
                let stays = stays.clone().map(|(key, _)| (key, true));
                edges.links(stays.chain(goes.clone().map(|key| (key, false))))?
            }
            _ => Vec::new(),
        };
        let entries: Vec<EntryOf<'_>> = match self.is_in_memory() {
            true => Vec::new(),
            false => resident.entries.to_write().collect(),
        };
        let (snapshots, moments) = resident.snapshots.waiting();
        let header = Header {
            position: &resident.position,
            note,
            snapshots,
            moments,
            links: &links,
            entries: &entries,
        };
        // Rows in memory stay where they are, unless an image is read together with them as of a commit.
        let written = stays.take_while(|_| !self.is_in_memory() || self.image.is_some());
        let written = written.map(|(key, value)| (key, Some(value)));
        let store = &self.folder.store;
        store.commit(&mut written.chain(goes.map(|key| (key, None))), header)?;
        if let Some(image) = &self.image {
            image.settle(store.reader(), &resident.position)?;
        }
        Ok(())
    }

    /// Keeps to the bounds: flushes where much has changed, drops clean rows where many are resident.
    pub(crate) fn keep_bounds(&self, options: &ViewOptions) -> Result<(), ViewError> {
        if self.is_in_memory() {
            return self.check_memory();
        }
        let (dirty_bytes, bytes) = {
            let resident = self.resident.read();
            (resident.dirty_bytes(), resident.bytes())
        };
        let bytes_max = options.rows_bytes_max();
        if dirty_bytes >= options.flush_bytes || (bytes > bytes_max && dirty_bytes > 0) {
            match self.flush() {
                // It stands still, with the rows that it has.
                Err(ViewError::Full(_)) => return Ok(()),
                flushed => flushed?,
            }
        }
        if bytes > bytes_max {
            self.resident.write().evict(bytes_max);
        }
        Ok(())
    }

    /// Whether it would be known to be built after a crash, too: a version is asked in the place of another only then.
    pub(crate) fn is_known_built(&self) -> Result<bool, ViewError> {
        if !self.is_built.load(Ordering::Acquire) || (self.lake.is_some() && !self.table_says_built()) {
            return Ok(false);
        }
        let note = self.folder.store.note()?;
        Ok(self.is_per_event() || note.is_some_and(|note| Note::read(&note).is_built))
    }

    /// Whether its table says that it is built: in its note, or by having any rows at all.
    fn table_says_built(&self) -> bool {
        let standing = self.lake.as_ref().and_then(|lake| lake.table.standing());
        standing.is_some_and(|standing| !self.is_per_event() || Note::read(&standing.note).is_built)
    }
}

impl Note {
    /// Whether another says more than that events were folded.
    pub(crate) fn says_the_same(&self, other: &Note) -> bool {
        let counted = |note: &Note| (note.is_built, note.rows, note.parked, note.lacking);
        counted(self) == counted(other)
    }

    pub(crate) fn read(bytes: &[u8]) -> Note {
        let number = |at: usize| {
            bytes
                .get(at..at + 8)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, u64::from_le_bytes)
        };
        Note {
            is_built: bytes.first() == Some(&1),
            rows: number(1),
            parked: number(9),
            lacking: number(17),
            last: LastFolded::read(std::str::from_utf8(bytes.get(25..).unwrap_or_default()).unwrap_or_default()),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_built)];
        bytes.extend_from_slice(&self.rows.to_le_bytes());
        bytes.extend_from_slice(&self.parked.to_le_bytes());
        bytes.extend_from_slice(&self.lacking.to_le_bytes());
        bytes.extend_from_slice(self.last.text().as_bytes());
        bytes
    }
}
