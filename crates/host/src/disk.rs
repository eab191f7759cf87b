//! Files and folders, as narrow as the log needs them.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; never written.
    Read,
    /// Read and write; created when missing.
    ReadWrite,
    /// Read and write; must not exist.
    CreateNew,
    /// It must exist; written only, in whole blocks ([`crate::BLOCK_BYTES`]) from aligned memory, past the page cache where the
    /// file system can: no copy is made and no cache of readers is pushed out. Still not durable before [`File::sync_data`].
    Direct,
}

/// One open file. Reads and writes name their place, so that threads share it.
pub trait File: Send + Sync {
    /// Fills `into` from `at`; an error of kind `UnexpectedEof` where the file ends before.
    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()>;
    /// So many bytes from `at` on; errors as [`File::read_exact_at`] has them.
    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
    /// [`File::read_exact_at`] where the bytes are in memory already. `false`: the disk would have to be waited for, and `into` holds anything.
    fn read_cached_at(&self, into: &mut [u8], at: u64) -> io::Result<bool> {
        self.read_exact_at(into, at).map(|()| true)
    }
    /// Passes bytes on into a socket without a copy of them here (`sendfile`): how many went, 0 at the end of the file, or an error of kind `WouldBlock` as the socket gives
    /// it. `None` where that cannot be done.
    fn pass_on(&self, _to: BorrowedFd<'_>, _at: u64, _length: usize) -> io::Result<Option<usize>> {
        Ok(None)
    }
    /// These bytes will be read soon: the disk may begin. Only a hint.
    fn will_read(&self, _at: u64, _length: u64) {}
    /// Writes all of `from` at `at`, growing the file where needed. Not durable before [`File::sync_data`].
    fn write_all_at(&self, from: &[u8], at: u64) -> io::Result<()>;
    /// [`File::write_all_at`] of parts one after another, in one write.
    fn write_all_vectored_at(&self, parts: &[&[u8]], at: u64) -> io::Result<()> {
        self.write_all_at(&parts.concat(), at)
    }
    /// Makes everything written so far durable, with the length (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or grows (with zeros) to `length`.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Reserves the space up to `length` and sets it as the file's length, so that later writes inside change no metadata.
    fn preallocate(&self, length: u64) -> io::Result<()>;
    /// Takes the exclusive lock, without waiting: `false` when another process has it.
    fn try_lock(&self) -> io::Result<bool>;
    /// Which file of the machine it is, whatever it is called by now (device and inode).
    fn identity(&self) -> io::Result<(u64, u64)>;
}

/// A file system.
pub trait Disk: Send + Sync {
    /// How many files and sockets the process may have open at once.
    fn open_files_max(&self) -> usize {
        1024
    }
    /// Opens one file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>>;
    /// Creates a folder and those above it; fine when it exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The entries of a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Whether the path is there.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Which file of the machine has this name now, as [`File::identity`] says it; `None`: none has. Opens nothing.
    fn identity(&self, path: &Path) -> io::Result<Option<(u64, u64)>>;
    /// Renames a file over another, atomically; durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the folder's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything in and below the folder durable, files and names, with one flush of the file system it is on
    /// (`syncfs`): for many files this is faster than a flush of each, however much else that file system holds.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
}
