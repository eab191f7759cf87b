//! Folders of stores, whose libraries keep files of their own: made, measured, removed. What they hold is derived.

use std::io;
use std::path::Path;

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
