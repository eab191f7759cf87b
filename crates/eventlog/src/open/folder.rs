//! The log's folder: its lock, the marker that says that there is a log, and the making of an empty one.

use std::io;
use std::path::{Path, PathBuf};

use headwater_host::{Disk, File, Host, OpenMode};

use crate::append::journal::writer::journal_dir;
use crate::error::OpenError;
use crate::files::{DiskError, absence, read_whole, write_atomically};
use crate::keep::checkpoint;
use crate::keep::image::Image;
use crate::keep::segment::format::streams_dir;

/// The newest format this program knows; it is also the one it writes.
const FORMAT: u32 = 1;

const FORMAT_PREFIX: &str = "headwater log, format ";

/// What the marker says.
pub(crate) enum Marker {
    /// There is a log that can be read.
    Log,
    /// There is none yet.
    Nothing,
    /// There is a log, and the marker is missing or not what was written.
    Damaged(String),
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> OpenError {
        OpenError::Disk {
            path: error.path.display().to_string(),
            said: error.source,
        }
    }
}

/// A folder that is this process's, as long as it has the file open that is locked.
pub(crate) struct Claim {
    path: PathBuf,
    locked: Box<dyn File>,
}

impl Claim {
    /// Takes the folder.
    pub(crate) fn take(disk: &dyn Disk, dir: &Path) -> Result<Claim, OpenError> {
        let path = dir.join("LOCK");
        let failed = |source| DiskError::new(&path, source);
        let locked = disk.open(&path, OpenMode::ReadWrite).map_err(failed)?;
        match locked.try_lock().map_err(failed)? {
            true => Ok(Claim { path, locked }),
            false => Err(OpenError::InUse(dir.display().to_string())),
        }
    }

    /// Looks whether the folder at its path still is the one that was taken: where that was removed, moved or replaced meanwhile, what is written by
    /// path would go into somebody else's. Opens nothing: it is looked also where no file can be opened.
    pub(crate) fn check(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let failed = |source| DiskError::new(&self.path, source);
        let found = disk.identity(&self.path).map_err(failed)?;
        let locked = self.locked.identity().map_err(failed)?;
        match found == Some(locked) {
            true => Ok(()),
            false => Err(failed(io::Error::other(
                "the data folder was removed, moved or replaced while it was in use; nothing more is written",
            ))),
        }
    }
}

/// Where the marker stands.
pub(crate) fn marker_path(dir: &Path) -> PathBuf {
    dir.join("FORMAT")
}

/// Whether there is a log, of a format that can be read.
pub(crate) fn marker(disk: &dyn Disk, dir: &Path) -> Result<Marker, OpenError> {
    let path = marker_path(dir);
    let failed = |source| DiskError::new(&path, source);
    if !disk.exists(&path).map_err(failed)? {
        // The marker is written last when a log is made, and a journal file is made only after it.
        return Ok(
            match is_empty(disk, &journal_dir(dir))? && is_empty(disk, &streams_dir(dir))? {
                true => Marker::Nothing,
                false => Marker::Damaged("it is missing although a log stands here".to_owned()),
            },
        );
    }
    let file = match disk.open(&path, OpenMode::Read) {
        Ok(file) => file,
        Err(source) => {
            let absent = absence(&source).map(|what| Marker::Damaged(what.to_owned()));
            return absent.ok_or_else(|| failed(source).into());
        }
    };
    let bytes = read_whole(file.as_ref(), &path)?;
    let text = String::from_utf8_lossy(&bytes);
    let found = text
        .strip_prefix(FORMAT_PREFIX)
        .and_then(|rest| rest.trim_end().parse::<u32>().ok());
    match found {
        Some(found) if found > FORMAT => Err(OpenError::Newer {
            path: dir.display().to_string(),
            found,
            known: FORMAT,
        }),
        Some(_) => Ok(Marker::Log),
        None => Ok(Marker::Damaged(
            "it does not say which format the folder has".to_owned(),
        )),
    }
}

/// Writes the marker; durable when this returns.
pub(crate) fn write_marker(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    write_atomically(disk, dir, "FORMAT", format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes())
}

fn is_empty(disk: &dyn Disk, folder: &Path) -> Result<bool, DiskError> {
    match disk.list(folder) {
        Ok(entries) => Ok(entries.is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(DiskError::new(folder, source)),
    }
}

/// Makes an empty log. The marker comes last: without it, and without a journal, the folder holds no log.
pub(crate) fn create(host: &Host, dir: &Path) -> Result<(), OpenError> {
    let disk = host.disk.as_ref();
    for folder in [journal_dir(dir), streams_dir(dir)] {
        disk.create_dir_all(&folder)
            .map_err(|source| DiskError::new(&folder, source))?;
    }
    let image = Image::empty(host.dice.roll());
    checkpoint::write(disk, dir, &image)?;
    write_marker(disk, dir)?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk.sync_dir(parent)
            .map_err(|source| DiskError::in_flush(parent, source))?;
    }
    Ok(())
}
