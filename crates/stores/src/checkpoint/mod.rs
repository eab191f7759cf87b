//! A view's rows as of a position, in a file of their own: where a rewind of all rows begins.
//!
//! ```text
//! FOLDER/<number>.rows         a checkpoint: written once, whole when it has this name
//! FOLDER/<number>.making       one under way
//! ```
//!
//! Invariants
//! - Whatever a kill leaves is either a whole checkpoint or none: a file gets its name when all of it is written.
//! - What a power cut, or anybody, leaves torn is recognized and never believed.
//! - It is derived and saves work alone: each may be deleted at any time.

mod format;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

use headwater_records::Position;

pub use reader::{Checkpoint, CheckpointRows};

use crate::{Rows, StoreError, files};

/// The ending of a checkpoint's name,
const WHOLE: &str = "rows";
/// and of one that is not whole yet.
const MAKING: &str = "making";

/// The checkpoints of one view.
#[derive(Debug)]
pub struct CheckpointFolder {
    dir: PathBuf,
    /// What the rows' bytes mean: those of another layout are not read.
    layout: u64,
}

/// A checkpoint that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Later ones have larger numbers.
    pub number: u64,
    /// Where its rows stand.
    pub position: Position,
    /// How much of the disk it takes.
    pub bytes: u64,
}

impl CheckpointFolder {
    /// Those in a folder, in the order of their numbers; there need be no such folder. What was not finished goes, and what is of another layout.
    pub fn open(dir: &Path, layout: u64) -> (CheckpointFolder, Vec<Listed>) {
        let folder = CheckpointFolder {
            dir: dir.to_owned(),
            layout,
        };
        let mut listed: Vec<Listed> = Vec::new();
        for path in files::list(dir) {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let Some(number) = number else { continue };
            let is_whole = path.extension().is_some_and(|ending| ending == WHOLE);
            match Checkpoint::position_in(&path, layout) {
                Ok((position, bytes)) if is_whole => listed.push(Listed {
                    number,
                    position,
                    bytes,
                }),
                _ => {
                    let _ = files::remove_file(&path);
                }
            }
        }
        listed.sort_by_key(|checkpoint| checkpoint.number);
        (folder, listed)
    }

    /// Writes rows, which come in the order of their keys, as of a position; `None`: it was given up, as `goes_on` says. The bytes that it takes.
    pub fn write(
        &self,
        number: u64,
        position: &Position,
        rows: Rows,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, StoreError> {
        files::make(&self.dir)?;
        writer::write(&self.path(number), self.layout, position, rows, goes_on)
    }

    /// Opens one, which is looked at whole.
    pub fn read(&self, number: u64) -> Result<Checkpoint, StoreError> {
        Checkpoint::open(&self.path(number), self.layout)
    }

    /// Removes one. Who reads it goes on.
    pub fn remove(&self, number: u64) -> Result<(), StoreError> {
        files::remove_file(&self.path(number))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}.{WHOLE}"))
    }
}

fn failed(path: &Path, why: &str) -> StoreError {
    StoreError::Failed {
        path: path.display().to_string(),
        why: why.to_owned(),
    }
}
