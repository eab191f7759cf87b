//! The real machine.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::process::{Resource, Rlimit};

use crate::{Clock, Dice, Disk, File, OpenMode};

/// How many slices the kernel takes in one write.
const SLICES_MAX: usize = 1024;

/// The operating system's file system.
pub(crate) struct RealDisk;

struct RealFile(fs::File);

impl File for RealFile {
    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_exact_at(into, at)
    }

    /// Into memory that nobody fills with zeros first.
    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let from = at + bytes.len() as u64;
            match rustix::io::pread(&self.0, spare_capacity(&mut bytes), from) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    fn read_cached_at(&self, into: &mut [u8], at: u64) -> io::Result<bool> {
        let wanted = into.len();
        match rustix::io::preadv2(&self.0, &mut [IoSliceMut::new(into)], at, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(read == wanted),
            // Not there, or a file system that cannot tell.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn pass_on(&self, to: BorrowedFd<'_>, at: u64, length: usize) -> io::Result<Option<usize>> {
        let mut from = at;
        match rustix::fs::sendfile(to, &self.0, Some(&mut from), length) {
            Ok(passed) => Ok(Some(passed)),
            // A file system whose files cannot be passed on.
            Err(Errno::INVAL | Errno::NOSYS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn will_read(&self, at: u64, length: u64) {
        // A file system that takes no hints reads as well without.
        let _ = rustix::fs::fadvise(&self.0, at, NonZeroU64::new(length), Advice::WillNeed);
    }

    fn write_all_at(&self, from: &[u8], at: u64) -> io::Result<()> {
        match self.0.write_all_at(from, at) {
            // A file system or a disk that asks for more alignment than we give: through the page cache then.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                rustix::fs::fcntl_setfl(&self.0, OFlags::empty())?;
                self.0.write_all_at(from, at)
            }
            written => written,
        }
    }

    fn write_all_vectored_at(&self, parts: &[&[u8]], mut at: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = match rustix::io::pwritev(&self.0, &rest[..rest.len().min(SLICES_MAX)], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => 0,
                // As above; one after another knows what to do.
                Err(Errno::INVAL) => {
                    for slice in rest {
                        self.write_all_at(slice, at)?;
                        at += slice.len() as u64;
                    }
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            at += written as u64;
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length) {
            Ok(()) => Ok(()),
            // Some file systems (tmpfs of old kernels, NFS, FUSE) cannot reserve: the length alone is still right.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(length),
            Err(error) => Err(error.into()),
        }
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        let found = self.0.metadata()?;
        Ok((found.dev(), found.ino()))
    }

    fn try_lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Disk for RealDisk {
    fn open_files_max(&self) -> usize {
        let mut limit = rustix::process::getrlimit(Resource::Nofile);
        // Nobody asks for fewer than the system allows; where they may not be had, what was allowed before stays.
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if rustix::process::setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
        limit.current.map_or(usize::MAX, |files| files as usize)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Direct => return open_direct(path),
            OpenMode::ReadWrite => {
                options.write(true).create(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        let file = options.open(path)?;
        // The kernel opens a folder for reading, and says what it is when it is read.
        if mode == OpenMode::Read && file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(RealFile(file)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path)? {
            entries.push(entry?.path());
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn identity(&self, path: &Path) -> io::Result<Option<(u64, u64)>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some((found.dev(), found.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(fs::File::open(path)?)?)
    }
}

/// Opens past the page cache, or, where the file system cannot (tmpfs of old kernels), through it.
fn open_direct(path: &Path) -> io::Result<Box<dyn File>> {
    let direct = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, direct, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::INVAL) => rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?,
        Err(error) => return Err(error.into()),
    };
    Ok(Box::new(RealFile(fs::File::from(file))))
}

/// The operating system's time of day.
pub(crate) struct RealClock;

impl Clock for RealClock {
    fn now_us(&self) -> i64 {
        // A clock set before 1970 reads as negative; one beyond i64 microseconds (292,000 years) as the last moment.
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
        }
    }
}

/// The operating system's randomness.
pub(crate) struct RealDice;

impl Dice for RealDice {
    fn roll(&self) -> u64 {
        // A machine without randomness cannot give out ids that never repeat: there is nothing to go on with.
        getrandom::u64().expect("the operating system gives random bytes")
    }
}
