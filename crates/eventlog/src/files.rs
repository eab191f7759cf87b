//! Open files, bounded; whole files, read and replaced; and what the disk said with the path it said it of.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_host::{Disk, File, OpenMode, Shortage};
use parking_lot::Mutex;

use crate::limits::{OPEN_FILES_CLOSED_PART, OPEN_FILES_LEAST, OPEN_FILES_MOST, OPEN_FILES_PART};

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

    /// What was wanting, where that is all: it may be tried again when it is to be had. After a failed flush nothing may be tried again; one for which
    /// no file could be opened was not begun.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        Shortage::of(&self.source).filter(|shortage| !self.in_flush || *shortage == Shortage::OpenFiles)
    }

    /// Whether it may be over by itself.
    pub(crate) fn is_shortage(&self) -> bool {
        self.shortage().is_some()
    }
}

/// What is wanting and what to do about it, in brackets, where that is why the disk refused.
pub(crate) fn advice(source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::IsADirectory {
        return format!(" ({FOLDER_THERE}: move it away, or let `headwater log repair` do that)");
    }
    let shortage = Shortage::of(source);
    shortage.map_or_else(String::new, |shortage| format!(" ({shortage}: {})", shortage.advice()))
}

const FOLDER_THERE: &str = "a folder stands in the place of a file";

/// What is wrong where there is no file, if that is why it was not opened.
pub(crate) fn absence(source: &io::Error) -> Option<&'static str> {
    match source.kind() {
        io::ErrorKind::NotFound => Some("it is missing"),
        io::ErrorKind::IsADirectory => Some(FOLDER_THERE),
        _ => None,
    }
}

/// Files kept open, up to so many.
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
    /// Closes some files at once, so that choosing them costs little for each: one of so many, spread evenly from the longest unused to the last used.
    /// Whoever goes round over somewhat more files than may be open finds most of them open so; the longest unused are just those that come next.
    fn close_some(&mut self) {
        let mut uses: Vec<u64> = self.files.values().map(|(_, used)| *used).collect();
        uses.sort_unstable();
        let closed: Vec<u64> = uses.into_iter().step_by(OPEN_FILES_CLOSED_PART).collect();
        self.files.retain(|_, (_, used)| closed.binary_search(used).is_err());
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
        let mut opened = self.disk.open(path, self.mode);
        if let Err(source) = &opened
            && Shortage::of(source) == Some(Shortage::OpenFiles)
            && !open.files.is_empty()
        {
            // Those that are kept open for later are wanted now.
            open.files.clear();
            opened = self.disk.open(path, self.mode);
        }
        let file: Arc<dyn File> = Arc::from(opened.map_err(|source| DiskError::new(path, source))?);
        if open.files.len() >= self.max {
            open.close_some();
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
    file.read_at(0, length as usize)
        .map_err(|source| DiskError::new(path, source))
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

    /// Goes round over so many files more than may be open, and says how many of a later round were open still.
    fn check(more: usize, least_open: usize) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(Host::real().disk, OpenMode::ReadWrite);
        let path = |number: usize| folder.path().join(number.to_string());
        let is_open = |number: usize| files.open.lock().files.contains_key(&path(number));
        let mut found = 0;
        for round in 0..3 {
            for number in 0..files.max + more {
                found += usize::from(round == 2 && is_open(number));
                files.get(&path(number)).unwrap();
                assert!(is_open(number) && files.open.lock().files.len() <= files.max);
            }
        }
        assert!(found >= least_open, "{found} of {}", files.max + more);
        files.forget(folder.path());
        assert!(!is_open(0));
    }

    #[test]
    fn who_goes_round_over_more_files_than_may_be_open_finds_most_of_them_open() {
        let max = Files::new(Host::real().disk, OpenMode::ReadWrite).max;
        check(0, max);
        check(1, max * 9 / 10);
        check(max / 20, max * 8 / 10);
    }
}
