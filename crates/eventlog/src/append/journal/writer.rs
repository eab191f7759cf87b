//! Writes frames one after another into journal files: one write and one flush a frame, past the page cache.
//!
//! The files go round. One more, the spare, waits for a full disk: it takes what was sequenced before anybody knew, and what leads to room. It has
//! another name from the moment at which it may hold frames, so that a start looks into it only then.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_host::{AlignedBytes, Disk, File, OpenMode};

use crate::append::journal::format::{Entry, HEADER_BYTES, mark};
use crate::append::journal::frame::Frame;
use crate::files::DiskError;
use crate::limits::FRAME_ALIGN;

/// How much of a new journal file is filled with zeros at a time.
const FILL_BYTES: usize = 1024 * 1024;

/// One journal file, ready to be written from its beginning.
pub(crate) struct JournalFile {
    pub(crate) number: u16,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(crate) length: u64,
    /// Whether its name is durable.
    is_named: bool,
}

/// The folder of journal files.
pub(crate) fn journal_dir(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// The number of the spare.
pub(crate) const SPARE: u16 = u16::MAX;

const SPARE_NAME: &str = "spare";

/// The name of the spare once it may hold frames.
const SPILLED_NAME: &str = "spilled";

/// Where the spare stands as long as it holds no frames.
pub(crate) fn spare_path(dir: &Path) -> PathBuf {
    journal_dir(dir).join(SPARE_NAME)
}

/// The path of one journal file.
pub(crate) fn journal_path(dir: &Path, number: u16) -> PathBuf {
    let folder = journal_dir(dir);
    match number {
        SPARE => folder.join(SPILLED_NAME),
        number => folder.join(number.to_string()),
    }
}

/// The number of the journal file with this path, where it is one that may hold frames.
pub(crate) fn journal_number(path: &Path) -> Option<u16> {
    match path.file_name()?.to_str()? {
        SPILLED_NAME => Some(SPARE),
        name => {
            let number = name.parse::<u16>().ok()?;
            (number != SPARE && number.to_string() == name).then_some(number)
        }
    }
}

impl JournalFile {
    /// Makes a journal file, or grows one, so that it has `length` bytes that were written once: a later write into them
    /// changes no metadata, which makes its flush cheap. One that has any is not all zeros ([`mark`]). Durable when this returns.
    pub(crate) fn prepare(
        disk: &dyn Disk,
        dir: &Path,
        key: u64,
        number: u16,
        length: u64,
    ) -> Result<JournalFile, DiskError> {
        let path = journal_path(dir, number);
        let failed = |source| DiskError::new(&path, source);
        let file = disk.open(&path, OpenMode::ReadWrite).map_err(failed)?;
        let mut filled = file.len().map_err(failed)?;
        let length = length.max(filled);
        if filled < length {
            file.preallocate(length).map_err(failed)?;
            let zeros = vec![0; FILL_BYTES.min((length - filled) as usize)];
            while filled < length {
                let part = zeros.len().min((length - filled) as usize);
                file.write_all_at(&zeros[..part], filled).map_err(failed)?;
                filled += part as u64;
            }
            file.sync_data().map_err(|source| DiskError::in_flush(&path, source))?;
        }
        if number != SPARE && length >= FRAME_ALIGN {
            let mut head = [0; HEADER_BYTES];
            file.read_exact_at(&mut head, 0).map_err(failed)?;
            if head == [0; HEADER_BYTES] {
                file.write_all_at(&mark(key, number), 0).map_err(failed)?;
                file.sync_data().map_err(|source| DiskError::in_flush(&path, source))?;
            }
        }
        JournalFile::ready(disk, path, number, length)
    }

    /// Makes the spare, or grows it: its room is reserved and not written, so that its flushes are dear and it costs no time now.
    pub(crate) fn lay_aside(disk: &dyn Disk, dir: &Path, length: u64) -> Result<JournalFile, DiskError> {
        let path = spare_path(dir);
        let failed = |source| DiskError::new(&path, source);
        let file = disk.open(&path, OpenMode::ReadWrite).map_err(failed)?;
        let there = file.len().map_err(failed)?;
        if there < length {
            if let Err(source) = file.preallocate(length) {
                // What was reserved of it is given back: others need it more. That it is gone already is fine.
                let _ = disk.remove_file(&path);
                return Err(failed(source));
            }
            file.sync_data().map_err(|source| DiskError::in_flush(&path, source))?;
        }
        JournalFile::ready(disk, path, SPARE, length.max(there))
    }

    fn ready(disk: &dyn Disk, path: PathBuf, number: u16, length: u64) -> Result<JournalFile, DiskError> {
        // Also where it has its length: whoever made it may have ended before its name was durable.
        sync_folder_of(disk, &path)?;
        let file = disk.open(&path, OpenMode::Direct);
        let file = Arc::from(file.map_err(|source| DiskError::new(&path, source))?);
        Ok(JournalFile {
            number,
            path,
            file,
            length,
            is_named: true,
        })
    }

    /// Gives the spare its other name: `spills` where it may hold frames from here on. Durable when this returns.
    pub(crate) fn rename(&mut self, disk: &dyn Disk, dir: &Path, spills: bool) -> Result<(), DiskError> {
        let path = match spills {
            true => journal_path(dir, SPARE),
            false => spare_path(dir),
        };
        if self.number == SPARE && self.path != path {
            disk.rename(&self.path, &path)
                .map_err(|source| DiskError::new(&self.path, source))?;
            self.path = path;
            self.is_named = false;
        }
        // Also where a call before renamed it, and could not open the folder.
        if !self.is_named {
            sync_folder_of(disk, &self.path)?;
            self.is_named = true;
        }
        Ok(())
    }

    /// Makes everything in it durable.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.file
            .sync_data()
            .map_err(|source| DiskError::in_flush(&self.path, source))
    }

    /// Makes what begins at a place no frame; not durable yet.
    pub(crate) fn wipe(&self, key: u64, place: u64) -> Result<(), DiskError> {
        let mut page = AlignedBytes::new();
        page.extend_from_slice(&mark(key, self.number));
        page.resize(FRAME_ALIGN as usize);
        self.file
            .write_all_at(&page, place)
            .map_err(|source| DiskError::new(&self.path, source))
    }
}

fn sync_folder_of(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let folder = path.parent().unwrap_or(path);
    disk.sync_dir(folder)
        .map_err(|source| DiskError::in_flush(folder, source))
}

/// The end of the journal.
pub(crate) struct JournalWriter {
    current: JournalFile,
    place: u64,
    next_sequence: u64,
    key: u64,
    frame: Frame,
}

impl JournalWriter {
    /// Goes on at a place in a file.
    pub(crate) fn new(current: JournalFile, place: u64, next_sequence: u64, key: u64) -> JournalWriter {
        JournalWriter {
            current,
            place,
            next_sequence,
            key,
            frame: Frame::default(),
        }
    }

    /// Whether a frame of this size fits into the current file.
    pub(crate) fn fits(&self, frame_bytes: u64) -> bool {
        self.place + frame_bytes <= self.current.length
    }

    /// Whether the current file is more than half full.
    pub(crate) fn is_half_full(&self) -> bool {
        self.place > self.current.length / 2
    }

    /// The last frame written.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    /// Goes on in another file and gives the full one back.
    pub(crate) fn turn_to(&mut self, next: JournalFile) -> JournalFile {
        self.place = 0;
        std::mem::replace(&mut self.current, next)
    }

    /// The file turned to may be written.
    pub(crate) fn begin_file(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
        self.current.rename(disk, dir, true)
    }

    /// Lays out the next frame and says how many bytes it takes.
    pub(crate) fn lay_out<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> u64 {
        self.frame.lay_out(entries)
    }

    /// Writes the frame that was laid out; the caller has made sure that it fits into the file. Where the disk was full it may be tried again: what
    /// was written of the frame is not flushed, and is written over.
    pub(crate) fn write(&mut self) -> Result<(), DiskError> {
        let number = self.current.number;
        let pieces = self.frame.seal(self.key, number, self.next_sequence, self.place);
        let written = self.current.file.write_all_vectored_at(&pieces, self.place);
        written.map_err(|source| DiskError::new(&self.current.path, source))?;
        self.place += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        self.next_sequence += 1;
        self.frame.clear();
        Ok(())
    }

    /// Flushes what was written.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.current.sync()
    }
}
