//! The real disk, with whatever is read in memory already: how much of its cache a machine keeps is not up to a test.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_host::{Disk, File, Host, OpenMode};

struct CachedDisk(Arc<dyn Disk>);

struct CachedFile(Box<dyn File>);

/// The machine with this disk.
pub fn host() -> Host {
    let real = Host::real();
    Host {
        disk: Arc::new(CachedDisk(Arc::clone(&real.disk))),
        ..real
    }
}

impl Disk for CachedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        Ok(Box::new(CachedFile(self.0.open(path, mode)?)))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.list(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }
    fn identity(&self, path: &Path) -> io::Result<Option<(u64, u64)>> {
        self.0.identity(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.0.sync_all(path)
    }
}

impl File for CachedFile {
    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_exact_at(into, at)
    }
    fn read_cached_at(&self, into: &mut [u8], at: u64) -> io::Result<bool> {
        self.0.read_exact_at(into, at).map(|()| true)
    }
    fn pass_on(&self, to: BorrowedFd<'_>, at: u64, length: usize) -> io::Result<Option<usize>> {
        self.0.pass_on(to, at, length)
    }
    fn write_all_at(&self, from: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(from, at)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.0.preallocate(length)
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }
    fn identity(&self) -> io::Result<(u64, u64)> {
        self.0.identity()
    }
}
