//! What all rows of a view were at some moments, so that a rewind of all of them need not begin at the first event.
//!
//! ```text
//! events ───────┬──────────────────┬──────────────────┬────────────> now
//!               │ checkpoint       │ checkpoint       │ checkpoint
//!               │                  └── a rewind folds ──> at
//! ```
//!
//! When a commit has brought the rows into the store and enough events went into them since the last checkpoint, the store is read as of that
//! commit, and its rows go into a file (`headwater_stores::checkpoint`) on a thread of its own: who folds and who appends waits for nothing. Rows in
//! memory are copied for it a portion at a time ([`crate::rows::copying`]). A few are kept, the older the farther apart.
//!
//! Invariants
//! - A checkpoint is the rows as of its position, what deleted rows leave behind included: folding the events from there on makes the rows of any later one.
//! - It saves work and nothing else: without any the answer is the same, as long as the stream keeps its events.
//! - It lies in the folder of its version, and goes with it.

mod maker;
mod thinning;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_records::Position;
use headwater_stores::checkpoint::{Checkpoint, CheckpointFolder, Listed};
use headwater_stores::{Direction, Rows, Span};
use parking_lot::Mutex;

pub(crate) use maker::Maker;
use thinning::Weighed;

use crate::View;
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::rows::copying::Copied;
use crate::rows::folder::StoreFolder;
use crate::rows::resident::Resident;

/// The folder of a version's checkpoints, within its own.
const FOLDER: &str = "checkpoints";

/// The checkpoints of one version of a view.
pub(crate) struct Checkpoints {
    folder: CheckpointFolder,
    /// After so many events one is kept, where its definition does not say; `None`: as its rows say.
    every: Option<u64>,
    maker: Maker,
    known: Mutex<Known>,
}

/// What is known of them.
#[derive(Default)]
struct Known {
    /// In the order of their numbers, which is that of their positions.
    kept: Vec<Listed>,
    /// How many events were below when one was begun last.
    begun_at: u64,
    /// Whether one is to be written, and is not yet.
    is_making: bool,
}

impl Checkpoints {
    /// Those in the folder of a version.
    pub(crate) fn open(version: &Path, layout: u64, every: Option<u64>, maker: Maker) -> Checkpoints {
        let dir: PathBuf = version.join(FOLDER);
        let (folder, kept) = CheckpointFolder::open(&dir, layout);
        let begun_at = kept.last().map_or(0, |newest| events(&newest.position));
        Checkpoints {
            folder,
            every,
            maker,
            known: Mutex::new(Known {
                kept,
                begun_at,
                is_making: false,
            }),
        }
    }

    /// Whether one of these rows is to be written now. `said`: after how many events, where the view's definition says.
    fn begins(&self, resident: &Resident, said: Option<u64>) -> bool {
        let mut known = self.known.lock();
        let here = events(&resident.position);
        let since = here.saturating_sub(known.begun_at);
        let begins = !known.is_making && thinning::is_due(since, resident.rows, said.or(self.every));
        if begins {
            known.begun_at = here;
            known.is_making = true;
        }
        begins
    }

    /// Writes rows, which come in the order of their keys, as of a position.
    fn make(&self, rows: Rows, position: &Position, goes_on: &dyn Fn() -> bool) {
        let newest = self.known.lock().kept.last().map(|newest| newest.number);
        let number = newest.map_or(0, |newest| newest + 1);
        match self.folder.write(number, position, rows, goes_on) {
            Ok(Some(bytes)) => self.known.lock().kept.push(Listed {
                number,
                position: position.clone(),
                bytes,
            }),
            Ok(None) => {}
            Err(error) => tracing::warn!("a checkpoint was not written, and rewinds fold more events: {error}"),
        }
    }

    /// Removes those that nobody begins at any more, and what is too much.
    fn thin(&self, is_useless: impl Fn(&Position) -> bool) {
        self.remove_if(is_useless);
        self.remove(|kept| {
            let weighed = kept.iter().map(|checkpoint| Weighed {
                events: events(&checkpoint.position),
                bytes: checkpoint.bytes,
            });
            thinning::superfluous(&weighed.collect::<Vec<Weighed>>(), CHECKPOINT_BYTES_MAX)
        });
    }

    fn remove_if(&self, goes: impl Fn(&Position) -> bool) {
        self.remove(|kept| {
            let places = (0..kept.len()).filter(|place| goes(&kept[*place].position));
            places.collect()
        });
    }

    /// Removes those at some places: nobody begins at them from then on, and then their files go.
    fn remove(&self, places: impl FnOnce(&[Listed]) -> Vec<usize>) {
        let mut known = self.known.lock();
        let mut places = places(&known.kept);
        places.sort_unstable();
        let gone: Vec<Listed> = places.iter().rev().map(|place| known.kept.remove(*place)).collect();
        drop(known);
        for checkpoint in gone {
            if let Err(error) = self.folder.remove(checkpoint.number) {
                tracing::warn!("an old checkpoint stays on the disk: {error}");
            }
        }
    }

    /// The newest whole one that holds no event at or beyond `at`. One that is not whole goes.
    fn newest(&self, at: &Position) -> Option<Checkpoint> {
        loop {
            let listed = {
                let known = self.known.lock();
                let is_earlier = |checkpoint: &&Listed| at.covers(&checkpoint.position);
                known.kept.iter().rev().find(is_earlier)?.clone()
            };
            match self.folder.read(listed.number) {
                Ok(checkpoint) if *checkpoint.position() == listed.position => return Some(checkpoint),
                Ok(_) => tracing::warn!("a checkpoint stands elsewhere than it did, and is removed"),
                // One that was thinned out meanwhile is not there, and not in the list any more.
                Err(error) => tracing::warn!("a checkpoint is not used, and removed: {error}"),
            }
            self.remove_if(|position| *position == listed.position);
        }
    }
}

impl View {
    /// Has a checkpoint written, where one is due. Right behind a commit, under the lock of the resident rows: the store has exactly these.
    pub(crate) fn offer_checkpoint(&self, resident: &mut Resident) {
        let Some(checkpoints) = &self.folder.checkpoints else {
            return;
        };
        let said = self.said().settings.checkpoint_events;
        if said.or(checkpoints.every) == Some(0) {
            checkpoints.remove_if(|_| true);
        }
        if !checkpoints.begins(resident, said) {
            return;
        }
        let rows: Rows = match self.is_in_memory() {
            true => {
                let taking = resident.begin_copy();
                Box::new(Copied::of(Arc::clone(&self.resident), taking))
            }
            false => self.folder.store.reader().rows(&Span::all(), Direction::Ascending),
        };
        let (position, starts) = (resident.position.clone(), self.starts());
        let folder = Arc::clone(&self.folder);
        let work = move |goes_on: &dyn Fn() -> bool| write(&folder, rows, &position, &starts, goes_on);
        checkpoints.maker.begin(Box::new(work));
    }

    /// From where on its streams have all of their events.
    fn starts(&self) -> Position {
        let mut starts = Position::new();
        for stream in self.query.streams() {
            let partitions = self.log.stream(stream).map_or(0, |info| info.partitions);
            for partition in 0..partitions {
                if let Some(offsets) = self.log.offsets(stream, partition) {
                    starts.set(stream, partition, offsets.start.max(offsets.compacted));
                }
            }
        }
        starts
    }

    /// The newest checkpoint of its rows that holds no event at or beyond a position, looked at whole. Blocks on the disk.
    pub fn checkpoint(&self, at: &Position) -> Option<Arc<Checkpoint>> {
        let checkpoints = self.folder.checkpoints.as_ref()?;
        checkpoints.newest(at).map(Arc::new)
    }
}

fn write(folder: &StoreFolder, rows: Rows, position: &Position, starts: &Position, goes_on: &dyn Fn() -> bool) {
    let Some(checkpoints) = &folder.checkpoints else { return };
    checkpoints.make(rows, position, &|| goes_on() && !folder.is_to_be_removed());
    // What comes behind one of these is not all there any more: nothing can be made of it.
    checkpoints.thin(|position| !position.covers(starts));
    checkpoints.known.lock().is_making = false;
}

/// How many events are below a position.
fn events(position: &Position) -> u64 {
    position.iter().map(|(_, _, next)| next).fold(0, u64::saturating_add)
}
