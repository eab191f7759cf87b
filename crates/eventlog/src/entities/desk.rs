//! Between the indexes and the thread that writes them: the bell, how much memory all of them take, and what of runs and of the log they have in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_host::Disk;
use parking_lot::{Condvar, Mutex};

use crate::entities::opened::OpenBatches;
use crate::entities::run::blocks::Blocks;
use crate::limits::POSTING_MEMORY_BYTES;

/// The desk.
pub(crate) struct Desk {
    pub(crate) blocks: Blocks,
    /// Batches that events were found in.
    pub(crate) opened: OpenBatches,
    /// How many postings are in memory, in all indexes, and how many may be before they are written.
    postings: AtomicUsize,
    postings_max: usize,
    /// Held while an index is made of a folder, and while a folder is removed.
    pub(crate) folders: Mutex<()>,
    bell: Mutex<Bell>,
    rings: Condvar,
}

#[derive(Default)]
struct Bell {
    rang: bool,
    ending: Option<Ending>,
    /// Streams whose index went.
    gone: Vec<u128>,
}

/// How the thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It writes what is in memory first, so that the next start has nothing to read.
    Written,
    /// At once.
    AtOnce,
}

impl Desk {
    /// Half of so many bytes are for postings before they are written, a quarter for those being written, an eighth for blocks, an
    /// eighth for batches that events were found in.
    pub(crate) fn new(disk: Arc<dyn Disk>, bytes_max: usize) -> Desk {
        Desk {
            blocks: Blocks::new(disk, bytes_max / 8),
            opened: OpenBatches::new(bytes_max / 8),
            postings: AtomicUsize::new(0),
            postings_max: (bytes_max / 2 / POSTING_MEMORY_BYTES).max(1),
            folders: Mutex::default(),
            bell: Mutex::default(),
            rings: Condvar::new(),
        }
    }

    /// So many postings more; whether it is time to write some.
    pub(crate) fn add(&self, postings: usize) -> bool {
        self.postings.fetch_add(postings, Ordering::Relaxed) + postings > self.postings_max
    }

    pub(crate) fn remove(&self, postings: usize) {
        self.postings.fetch_sub(postings, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.postings.load(Ordering::Relaxed) > self.postings_max
    }

    /// There is something to do.
    pub(crate) fn ring(&self) {
        self.bell.lock().rang = true;
        self.rings.notify_one();
    }

    /// A stream's index went.
    pub(crate) fn leave(&self, stream: u128) {
        self.bell.lock().gone.push(stream);
        self.ring();
    }

    /// Waits for the bell: the streams whose indexes went since, or how to end.
    pub(crate) fn wait(&self) -> Result<Vec<u128>, Ending> {
        let mut bell = self.bell.lock();
        loop {
            if let Some(ending) = bell.ending {
                return Err(ending);
            }
            if std::mem::take(&mut bell.rang) {
                return Ok(std::mem::take(&mut bell.gone));
            }
            self.rings.wait(&mut bell);
        }
    }

    pub(crate) fn end(&self, ending: Ending) {
        self.bell.lock().ending.get_or_insert(ending);
        self.rings.notify_one();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.bell.lock().ending.is_some()
    }
}
