//! Open files, bounded; whole files, read and replaced; and what the disk said with the path it said it of.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_host::{Disk, File, OpenMode};
use parking_lot::Mutex;

use crate::limits::OPEN_FILES_MAX;

/// A refusal of the disk.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}{}", path.display(), advice(source))]
pub(crate) struct DiskError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
    /// A flush failed: nobody knows what the disk holds of what was written before.
    pub(crate) in_flush: bool,
}

impl DiskError {
    pub(crate) fn new(path: &Path, source: io::Error) -> DiskError {
        DiskError {
            path: path.to_owned(),
            source,
            in_flush: false,
        }
    }

    pub(crate) fn in_flush(path: &Path, source: io::Error) -> DiskError {
        DiskError {
            in_flush: true,
            ..DiskError::new(path, source)
        }
    }

    /// Whether a write did not fit, so that it may be tried again when there is room. After a failed flush nothing may be tried again.
    pub(crate) fn is_full(&self) -> bool {
        !self.in_flush && is_full(&self.source)
    }
}

/// Whether the disk refused because it is full.
fn is_full(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What to do about a refusal of the disk, in brackets, where that can be said.
pub(crate) fn advice(source: &io::Error) -> &'static str {
    if is_full(source) {
        " (the disk is full: free space on it)"
    } else {
        ""
    }
}

/// Files kept open, the least recently used closed first.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    mode: OpenMode,
    open: Mutex<OpenFiles>,
}

#[derive(Default)]
struct OpenFiles {
    files: HashMap<PathBuf, (Arc<dyn File>, u64)>,
    uses: u64,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, mode: OpenMode) -> Files {
        Files {
            disk,
            mode,
            open: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        let mut open = self.open.lock();
        open.uses += 1;
        let now = open.uses;
        if let Some((file, used)) = open.files.get_mut(path) {
            *used = now;
            return Ok(file.clone());
        }
        let file: Arc<dyn File> = Arc::from(
            self.disk
                .open(path, self.mode)
                .map_err(|source| DiskError::new(path, source))?,
        );
        if open.files.len() >= OPEN_FILES_MAX {
            let oldest = open
                .files
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(path, _)| path.clone());
            if let Some(oldest) = oldest {
                open.files.remove(&oldest);
            }
        }
        open.files.insert(path.to_owned(), (file.clone(), now));
        Ok(file)
    }

    /// Closes every file below a folder.
    pub(crate) fn forget(&self, dir: &Path) {
        self.open.lock().files.retain(|path, _| !path.starts_with(dir));
    }
}

/// All bytes of a file.
pub(crate) fn read_whole(file: &dyn File, path: &Path) -> Result<Vec<u8>, DiskError> {
    let length = file.len().map_err(|source| DiskError::new(path, source))?;
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0)
        .map_err(|source| DiskError::new(path, source))?;
    Ok(bytes)
}

/// Replaces a file by these bytes, all or nothing; durable when this returns.
pub(crate) fn write_atomically(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let (path, draft) = (dir.join(name), dir.join(format!("{name}.new")));
    let failed = |source| DiskError::new(&draft, source);
    let file = disk.open(&draft, OpenMode::ReadWrite).map_err(failed)?;
    file.set_len(0).map_err(failed)?;
    file.write_all_at(bytes, 0).map_err(failed)?;
    file.sync_data().map_err(|source| DiskError::in_flush(&draft, source))?;
    disk.rename(&draft, &path).map_err(failed)?;
    disk.sync_dir(dir).map_err(|source| DiskError::in_flush(dir, source))
}
