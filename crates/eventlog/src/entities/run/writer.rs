//! Writes a run, entry by entry in ascending order. One open block for each level of the tree is in memory, however large the run is.

use std::path::{Path, PathBuf};

use headwater_host::{Disk, File, OpenMode};

use crate::entities::run::format::{BLOCK_BYTES, BLOCK_ENTRIES, Entry, block};
use crate::files::DiskError;
use crate::limits::RUN_BYTES;

/// A run being written.
pub(crate) struct RunWriter {
    path: PathBuf,
    file: Box<dyn File>,
    /// Blocks that are not written yet.
    buffer: Vec<u8>,
    written: u64,
    blocks: u32,
    postings: u64,
    /// Of each level the open block: its entries, how many, and the first.
    open: Vec<Open>,
}

#[derive(Default)]
struct Open {
    entries: Vec<u8>,
    count: usize,
    first: Option<Entry>,
}

impl RunWriter {
    pub(crate) fn begin(disk: &dyn Disk, path: &Path) -> Result<RunWriter, DiskError> {
        let opened = disk.open(path, OpenMode::ReadWrite);
        let file = opened.and_then(|file| file.set_len(0).map(|()| file));
        Ok(RunWriter {
            path: path.to_owned(),
            file: file.map_err(|source| DiskError::new(path, source))?,
            buffer: Vec::new(),
            written: 0,
            blocks: 0,
            postings: 0,
            open: vec![Open::default()],
        })
    }

    /// Puts an entry, which comes after every one before.
    pub(crate) fn put(&mut self, entry: &Entry) -> Result<(), DiskError> {
        self.postings += 1;
        self.put_at(0, *entry)?;
        match self.buffer.len() >= RUN_BYTES {
            true => self.write(),
            false => Ok(()),
        }
    }

    /// Flushes the run; says how many blocks and how many postings it has. One without postings has no blocks.
    pub(crate) fn end(mut self) -> Result<(u32, u64), DiskError> {
        // Each level has an open block; where there is no level above, it is the only one of its level, and the root.
        for level in 0.. {
            let is_root = level + 1 == self.open.len();
            if self.postings > 0 {
                self.close(level)?;
            }
            if is_root {
                break;
            }
        }
        self.write()?;
        self.file
            .sync_data()
            .map_err(|source| DiskError::in_flush(&self.path, source))?;
        Ok((self.blocks, self.postings))
    }

    fn put_at(&mut self, level: usize, entry: Entry) -> Result<(), DiskError> {
        if self.open.len() == level {
            self.open.push(Open::default());
        }
        if self.open[level].count == BLOCK_ENTRIES {
            self.close(level)?;
        }
        let open = &mut self.open[level];
        entry.encode(&mut open.entries);
        open.count += 1;
        open.first.get_or_insert(entry);
        Ok(())
    }

    /// Closes the open block of a level, and names it in the level above.
    fn close(&mut self, level: usize) -> Result<(), DiskError> {
        let Open { entries, first, .. } = std::mem::take(&mut self.open[level]);
        let number = self.blocks;
        self.blocks = self.blocks.checked_add(1).ok_or_else(|| self.too_large())?;
        self.buffer.extend(block(entries, level as u16, number));
        let Some(mut first) = first else { return Ok(()) };
        first.posting.kind = number;
        self.put_at(level + 1, first)
    }

    fn write(&mut self) -> Result<(), DiskError> {
        self.file
            .write_all_at(&self.buffer, self.written)
            .map_err(|source| DiskError::new(&self.path, source))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn too_large(&self) -> DiskError {
        let most = u64::from(u32::MAX) * BLOCK_BYTES as u64;
        let source = std::io::Error::other(format!("a run would have more than {most} bytes"));
        DiskError::new(&self.path, source)
    }
}
