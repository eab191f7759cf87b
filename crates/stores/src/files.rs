//! Folders of stores, whose libraries keep files of their own, and the files that are ours: made, measured, removed. What they hold is derived.

pub(crate) use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use headwater_host::Shortage;

use crate::StoreError;

/// Makes a folder, and those above it.
pub(crate) fn make(dir: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(dir).map_err(|error| StoreError::Failed {
        path: dir.display().to_string(),
        why: format!("the folder was not made: {error}"),
    })
}

/// Removes a folder with all that is in it; fine when there is none. Whatever is open in it must be closed (dropped).
pub fn remove(dir: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Failed {
            path: dir.display().to_string(),
            why: format!("the folder was not removed: {error}"),
        }),
        _ => Ok(()),
    }
}

/// What a disk must take for a store to be opened again on it: what is written next is not much at first.
const LITTLE_BYTES: usize = 1024 * 1024;

/// A write that failed with less room than this failed for that: the libraries write files of so many bytes at once, take away what they began, and may
/// not say why they did.
const COMMIT_BYTES: usize = 32 * 1024 * 1024;

/// What a write into a folder failed for, where that may be over by itself. `said`: by a library, in whose words the operating system's are, or nothing
/// of them.
pub(crate) fn shortage_of(dir: &Path, said: &str) -> Option<Shortage> {
    Shortage::said_in(said).or_else(|| lacking(dir, COMMIT_BYTES))
}

/// What a store lacks to be opened again in a folder.
pub(crate) fn shortage(dir: &Path) -> Option<Shortage> {
    lacking(dir, LITTLE_BYTES)
}

fn lacking(dir: &Path, bytes: usize) -> Option<Shortage> {
    let probe = dir.join("probe");
    let written = std::fs::write(&probe, vec![1; bytes]);
    // One that stays behind is written over by the next.
    let _ = std::fs::remove_file(&probe);
    Shortage::of(&written.err()?)
}

/// Begins a file, in the place of one of the same name.
pub(crate) fn create(path: &Path) -> Result<File, StoreError> {
    File::create(path).map_err(|error| failed(path, "was not made", &error))
}

/// Opens a file to read it.
pub(crate) fn open(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|error| failed(path, "was not opened", &error))
}

/// Gives a file another name, and takes that from whoever had it.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(|error| failed(to, "did not get its name", &error))
}

/// Removes a file; fine when there is none.
pub(crate) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, "was not removed", &error)),
        _ => Ok(()),
    }
}

/// What is in a folder, in no order; nothing where there is no such folder.
pub(crate) fn list(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

fn failed(path: &Path, what: &str, error: &io::Error) -> StoreError {
    let (path, why) = (path.display().to_string(), format!("the file {what}: {error}"));
    match Shortage::of(error) {
        Some(_) => StoreError::Full { path, why },
        None => StoreError::Failed { path, why },
    }
}

/// Whether there is nothing in it, or no such folder.
pub(crate) fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none()) || !dir.exists()
}

/// Bytes that files take on the disk: one that is laid out larger than it is filled counts as what it really takes.
pub(crate) fn bytes_under(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
    entries
        .iter()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
            Ok(metadata) => bytes_taken(&metadata),
            // Removed since it was listed.
            Err(_) => 0,
        })
        .sum()
}

#[cfg(unix)]
fn bytes_taken(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn bytes_taken(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}
