//! A simulated disk that notes which threads flush the journal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use headwater_host::simulated::{SimulatedDisk, Simulation};
use headwater_host::{Disk, File, Host, OpenMode};

/// A disk that notes who flushes. Clones share their notes.
#[derive(Clone)]
pub struct WatchedDisk {
    disk: SimulatedDisk,
    flushed_by: Arc<Mutex<Vec<String>>>,
}

struct WatchedFile {
    file: Box<dyn File>,
    disk: WatchedDisk,
    is_journal: bool,
}

impl WatchedDisk {
    pub fn of(machine: &Simulation) -> WatchedDisk {
        WatchedDisk {
            disk: machine.disk.clone(),
            flushed_by: Arc::default(),
        }
    }

    /// The machine with this disk.
    pub fn host(&self, machine: &Simulation) -> Host {
        Host {
            disk: Arc::new(self.clone()),
            ..machine.host()
        }
    }

    /// The threads that flushed the journal since this was asked, by name.
    pub fn flushed_by(&self) -> Vec<String> {
        std::mem::take(&mut self.flushed_by.lock().unwrap())
    }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        Ok(Box::new(WatchedFile {
            file: self.disk.open(path, mode)?,
            disk: self.clone(),
            is_journal: path.parent().is_some_and(|folder| folder.ends_with("journal")),
        }))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn identity(&self, path: &Path) -> io::Result<Option<(u64, u64)>> {
        self.disk.identity(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_all(path)
    }
}

impl File for WatchedFile {
    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
    fn write_all_at(&self, from: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(from, at)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.is_journal {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            self.disk.flushed_by.lock().unwrap().push(name);
        }
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.file.preallocate(length)
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.identity()
    }
}
