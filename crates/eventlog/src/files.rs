//! Open files, bounded; whole files, read and replaced; and what the disk said with the path it said it of.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_host::{Disk, File, OpenMode};
use parking_lot::Mutex;

use crate::limits::{OPEN_FILES_LEAST, OPEN_FILES_MOST, OPEN_FILES_PART};

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
    /// How many stay open at most.
    max: usize,
    open: Mutex<OpenFiles>,
}

#[derive(Default)]
struct OpenFiles {
    files: HashMap<PathBuf, (Arc<dyn File>, u64)>,
    uses: u64,
}

impl OpenFiles {
    /// Closes a quarter of the files at once, so that looking for the oldest costs little for each.
    fn close_oldest(&mut self) {
        let mut uses: Vec<u64> = self.files.values().map(|(_, used)| *used).collect();
        let quarter = uses.len() / 4;
        let (_, newest, _) = uses.select_nth_unstable(quarter);
        let newest = *newest;
        self.files.retain(|_, (_, used)| *used > newest);
    }
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, mode: OpenMode) -> Files {
        Files {
            max: (disk.open_files_max() / OPEN_FILES_PART).clamp(OPEN_FILES_LEAST, OPEN_FILES_MOST),
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
        if open.files.len() >= self.max {
            open.close_oldest();
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

#[cfg(test)]
mod tests {
    use headwater_host::Host;

    use super::*;

    #[test]
    fn the_least_recently_used_are_closed_a_quarter_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(Host::real().disk, OpenMode::ReadWrite);
        let path = |number: usize| folder.path().join(number.to_string());
        for number in 0..files.max {
            files.get(&path(number)).unwrap();
        }
        files.get(&path(0)).unwrap();
        let is_open = |number: usize| files.open.lock().files.contains_key(&path(number));
        assert_eq!(files.open.lock().files.len(), files.max);
        files.get(&path(files.max)).unwrap();
        assert_eq!(files.open.lock().files.len(), files.max - files.max / 4);
        assert!(is_open(0) && is_open(files.max) && is_open(files.max - 1));
        assert!(!is_open(1) && !is_open(files.max / 4));
        files.forget(folder.path());
        assert!(!is_open(0));
    }
}
