//! Pieces over an empty log that goes away: for looking at an application, and for its tests.

use headwater_eventlog::LogOptions;
use tempfile::TempDir;

use crate::exit::{Exit, Failure, OrExit};
use crate::pieces::Pieces;

/// The journal of a scratch log: made for a few events.
const JOURNAL_BYTES: u64 = 1024 * 1024;

/// Pieces in a folder of their own, closed and removed when dropped.
pub struct Scratch {
    /// The pieces.
    pub pieces: Pieces,
    _folder: TempDir,
}

impl Scratch {
    /// An empty log and everything over it. Blocking: called outside of a runtime.
    pub fn open() -> Result<Scratch, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("headwater-")
            .tempdir()
            .or_exit(Exit::Failed)?;
        let options = LogOptions {
            journal_bytes: JOURNAL_BYTES,
            ..LogOptions::default()
        };
        let (pieces, _) = Pieces::open(folder.path(), options)?;
        Ok(Scratch {
            pieces,
            _folder: folder,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.pieces.close();
    }
}
