//! Blocks of runs in memory, bounded, for all indexes together.
//!
//! Two tables take turns: a block that is used goes into the younger one; when that is full it becomes the older one, and what the older one held
//! is forgotten.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use headwater_host::{Disk, OpenMode};
use parking_lot::Mutex;

use crate::entities::reach::Reach;
use crate::entities::run::format::{BLOCK_BYTES, Block};
use crate::files::{DiskError, Files};

/// A block: its run, which has a number of its own in this process, and its number.
type Place = (u64, u32);

/// Reads blocks.
pub(crate) struct Blocks {
    files: Files,
    tables: Mutex<[HashMap<Place, Block>; 2]>,
    /// How many blocks the younger table takes.
    most: usize,
}

/// Why a block was not read.
#[derive(Debug)]
pub(crate) enum BlockError {
    /// It is not what was written.
    Damaged(String),
    /// The disk refused.
    Disk(DiskError),
    /// It is not in memory, and the disk is not to be waited for.
    Missed,
}

/// The blocks, as far as one look reaches.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    blocks: &'a Blocks,
    reach: &'a Reach,
}

impl Blocks {
    /// At most about so many bytes in memory.
    pub(crate) fn new(disk: Arc<dyn Disk>, bytes_max: usize) -> Blocks {
        Blocks {
            files: Files::new(disk, OpenMode::Read),
            tables: Mutex::default(),
            most: (bytes_max / 2 / BLOCK_BYTES).max(1),
        }
    }

    /// The blocks, as far as a look reaches.
    pub(crate) fn reading<'a>(&'a self, reach: &'a Reach) -> Reading<'a> {
        Reading { blocks: self, reach }
    }

    fn read(&self, place: Place, path: &Path) -> Result<Block, BlockError> {
        let (_, number) = place;
        let mut bytes = vec![0; BLOCK_BYTES];
        let file = self.files.get(path).map_err(BlockError::Disk)?;
        let read = file.read_exact_at(&mut bytes, u64::from(number) * BLOCK_BYTES as u64);
        read.map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => BlockError::Damaged(format!("{} is cut short", path.display())),
            _ => BlockError::Disk(DiskError::new(path, source)),
        })?;
        let block = Block::take(Bytes::from(bytes), number).ok_or_else(|| {
            let what = format!("block {number} of {} is not what was written", path.display());
            BlockError::Damaged(what)
        })?;
        self.keep(place, block.clone());
        Ok(block)
    }

    /// Closes a file that is to be removed, or all below a folder.
    pub(crate) fn forget(&self, path: &Path) {
        self.files.forget(path);
    }

    /// A block that is in memory.
    fn known(&self, place: Place) -> Option<Block> {
        let mut tables = self.tables.lock();
        if let Some(block) = tables[0].get(&place) {
            return Some(block.clone());
        }
        let block = tables[1].remove(&place)?;
        drop(tables);
        self.keep(place, block.clone());
        Some(block)
    }

    fn keep(&self, place: Place, block: Block) {
        let mut tables = self.tables.lock();
        if tables[0].len() >= self.most {
            tables[1] = std::mem::take(&mut tables[0]);
        }
        tables[0].insert(place, block);
    }
}

impl Reading<'_> {
    /// A block of a run.
    pub(crate) fn get(&self, run: u64, path: &Path, number: u32) -> Result<Block, BlockError> {
        let place = (run, number);
        match self.blocks.known(place) {
            Some(block) => Ok(block),
            None if self.reach.goes_on() => self.blocks.read(place, path),
            None => Err(BlockError::Missed),
        }
    }
}
