//! A disk in memory that can lose its power at any operation. Here: its names, its power and its room; `content.rs` has the bytes of a file, `file.rs` one
//! that is open.
//!
//! Invariants
//! - What a flush covered survives: `sync_data` the bytes and length of one file, `sync_dir` the names in one folder.
//! - When the power is cut, each write since the last flush of its file is kept, lost or torn between sectors, in any order;
//!   of the changes to a folder's names since its last flush a prefix is kept, each rename whole or not at all.
//! - A name whose folder is lost is lost too.

mod content;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use content::{Content, Unflushed};
use file::SimulatedFile;

use super::random::Random;
use crate::{Disk, File, OpenMode};

/// How the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The device gave an error (EIO).
    Device,
    /// The disk is full (ENOSPC).
    Full,
    /// The process has as many files open as it may (EMFILE).
    OpenFiles,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Device => io::Error::from_raw_os_error(5),
            Fault::Full => io::Error::from_raw_os_error(28),
            Fault::OpenFiles => io::Error::from_raw_os_error(24),
        }
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

struct State {
    random: Random,
    contents: BTreeMap<u64, Content>,
    next_content: u64,
    /// The names as programs see them.
    names: BTreeMap<PathBuf, Node>,
    /// The names that survive.
    names_durable: BTreeMap<PathBuf, Node>,
    /// Changes to names that are not durable yet, in order.
    changes: Vec<Change>,
    locked: BTreeSet<u64>,
    /// How often the power was switched on: a file opened before the last time is dead.
    power: u64,
    powered: bool,
    /// Changing operations since the start.
    operations: u64,
    cut_at: Option<u64>,
    failing_writes: Option<Fault>,
    failing_syncs: Option<Fault>,
    failing_opens: Option<Fault>,
    /// Of which files and folders a flush answers without flushing.
    lying: Option<fn(&Path) -> bool>,
    space: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(u64),
}

#[derive(Debug, Clone)]
enum Change {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl SimulatedDisk {
    pub(super) fn new(seed: u64) -> SimulatedDisk {
        let root = BTreeMap::from([(PathBuf::from("/"), Node::Folder)]);
        SimulatedDisk(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            contents: BTreeMap::new(),
            next_content: 0,
            names: root.clone(),
            names_durable: root,
            changes: Vec::new(),
            locked: BTreeSet::new(),
            power: 0,
            powered: true,
            operations: 0,
            cut_at: None,
            failing_writes: None,
            failing_syncs: None,
            failing_opens: None,
            lying: None,
            space: None,
        })))
    }

    /// Changing operations (writes, flushes, changes of names) since the start.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Cuts the power during the changing operation of this number, counted from 1 since the start.
    pub fn cut_power_at(&self, operation: u64) {
        self.0.lock().cut_at = Some(operation);
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        self.0.lock().powered = false;
    }

    /// Whether the power was cut.
    pub fn is_off(&self) -> bool {
        !self.0.lock().powered
    }

    /// Switches the power on again: the disk holds what survived, open files are dead, locks are free, and nothing fails any more.
    pub fn restart(&self) {
        let mut state = self.0.lock();
        state.lose();
        state.powered = true;
        state.power += 1;
        state.cut_at = None;
        state.failing_writes = None;
        state.failing_syncs = None;
        state.failing_opens = None;
        state.locked.clear();
    }

    /// Lets every write fail from now on, or none.
    pub fn fail_writes(&self, fault: Option<Fault>) {
        self.0.lock().failing_writes = fault;
    }

    /// Lets every flush of a file fail from now on, or none.
    pub fn fail_syncs(&self, fault: Option<Fault>) {
        self.0.lock().failing_syncs = fault;
    }

    /// Lets everything fail from now on that opens a file or a folder, be it to flush it, or nothing.
    pub fn fail_opens(&self, fault: Option<Fault>) {
        self.0.lock().failing_opens = fault;
    }

    /// Gives the disk room for so many bytes of files, or any number: a write that would need more keeps a part of itself and fails as on a full disk.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.0.lock().space = bytes;
    }

    /// Bytes of all files that have a name.
    pub fn used_bytes(&self) -> u64 {
        self.0.lock().used_bytes()
    }

    /// Lets flushes of some files and folders answer without flushing: what a program does that forgets them. A checker that does not notice the loss
    /// is broken.
    pub fn let_flushes_lie(&self, lying: Option<fn(&Path) -> bool>) {
        self.0.lock().lying = lying;
    }
}

/// What an operation is to do when the power is cut in it.
enum Step {
    Done,
    /// The power goes; the operation takes effect all the same.
    CutAfter,
}

impl State {
    fn check_power(&self) -> io::Result<()> {
        if self.powered { Ok(()) } else { Err(power_is_off()) }
    }

    fn check_opens(&self) -> io::Result<()> {
        self.check_power()?;
        match self.failing_opens {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    /// Counts a changing operation. An error: the power is off, or goes before the operation takes effect.
    fn step(&mut self) -> io::Result<Step> {
        self.check_power()?;
        self.operations += 1;
        if self.cut_at != Some(self.operations) {
            return Ok(Step::Done);
        }
        self.powered = false;
        if self.random.coin() {
            Ok(Step::CutAfter)
        } else {
            Err(power_is_off())
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        let step = self.step()?;
        apply(&mut self.names, &change);
        self.changes.push(change);
        step.end()
    }

    /// Keeps what was flushed and, as the dice say, parts of the rest.
    fn lose(&mut self) {
        let mut lost: BTreeSet<PathBuf> = BTreeSet::new();
        for change in std::mem::take(&mut self.changes) {
            let folder = change.folder().to_owned();
            // The first change that is lost takes the later ones of its folder with it.
            if lost.contains(&folder) || self.random.below(3) == 0 {
                lost.insert(folder);
            } else {
                apply(&mut self.names_durable, &change);
            }
        }
        let durable = self.names_durable.clone();
        let has_folders = |path: &Path| path.ancestors().skip(1).all(|above| durable.contains_key(above));
        self.names_durable.retain(|path, _| has_folders(path));
        self.names = self.names_durable.clone();
        for content in self.contents.values_mut() {
            content.lose(&mut self.random);
        }
    }
}

impl Step {
    fn end(self) -> io::Result<()> {
        match self {
            Step::Done => Ok(()),
            Step::CutAfter => Err(power_is_off()),
        }
    }
}

impl Change {
    /// The folder whose flush makes it durable.
    fn folder(&self) -> &Path {
        let (Change::Add(path, _) | Change::Remove(path) | Change::Rename(_, path)) = self;
        path.parent().unwrap_or(Path::new("/"))
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Node>, change: &Change) {
    match change {
        Change::Add(path, node) => {
            names.insert(path.clone(), *node);
        }
        Change::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        Change::Rename(from, to) => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let mut state = self.0.lock();
        state.check_opens()?;
        let content = match (state.names.get(path), mode) {
            (Some(Node::Folder), _) => return Err(io::Error::from(ErrorKind::IsADirectory)),
            (Some(Node::File(_)), OpenMode::CreateNew) => return Err(io::Error::from(ErrorKind::AlreadyExists)),
            (Some(Node::File(content)), _) => *content,
            (None, OpenMode::Read | OpenMode::Direct) => return Err(not_found(path)),
            (None, OpenMode::ReadWrite | OpenMode::CreateNew) => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                if state.names.get(folder) != Some(&Node::Folder) {
                    return Err(not_found(folder));
                }
                let content = state.next_content;
                state.next_content += 1;
                state.contents.insert(content, Content::default());
                state.change(Change::Add(path.to_owned(), Node::File(content)))?;
                content
            }
        };
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            content,
            power: state.power,
            writable: mode != OpenMode::Read,
            has_lock: Mutex::new(false),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check_power()?;
        let mut missing: Vec<PathBuf> = Vec::new();
        for folder in path.ancestors() {
            match state.names.get(folder) {
                Some(Node::Folder) => break,
                Some(Node::File(_)) => return Err(io::Error::from(ErrorKind::AlreadyExists)),
                None => missing.push(folder.to_owned()),
            }
        }
        for folder in missing.into_iter().rev() {
            state.change(Change::Add(folder, Node::Folder))?;
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.0.lock();
        state.check_opens()?;
        if state.names.get(path) != Some(&Node::Folder) {
            return Err(not_found(path));
        }
        Ok(state
            .names
            .keys()
            .filter(|name| name.parent() == Some(path))
            .cloned()
            .collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.0.lock();
        state.check_power()?;
        Ok(state.names.contains_key(path))
    }

    fn identity(&self, path: &Path) -> io::Result<Option<(u64, u64)>> {
        let state = self.0.lock();
        state.check_power()?;
        Ok(match state.names.get(path) {
            Some(Node::File(content)) => Some((0, *content)),
            Some(Node::Folder) | None => None,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check_power()?;
        if from.parent() != to.parent() {
            return Err(io::Error::new(
                ErrorKind::Unsupported,
                "a rename stays within its folder",
            ));
        }
        if !matches!(state.names.get(from), Some(Node::File(_))) {
            return Err(not_found(from));
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check_power()?;
        if !matches!(state.names.get(path), Some(Node::File(_))) {
            return Err(not_found(path));
        }
        state.change(Change::Remove(path.to_owned()))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check_power()?;
        if state.names.get(path) != Some(&Node::Folder) {
            return Err(not_found(path));
        }
        state.change(Change::Remove(path.to_owned()))
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check_opens()?;
        if state.names.get(path) != Some(&Node::Folder) {
            return Err(not_found(path));
        }
        state.sync_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check_opens()?;
        if state.names.get(path) != Some(&Node::Folder) {
            return Err(not_found(path));
        }
        let step = state.step()?;
        for change in std::mem::take(&mut state.changes) {
            if change.folder() == path && !state.lies(path) {
                apply(&mut state.names_durable, &change);
            } else {
                state.changes.push(change);
            }
        }
        step.end()
    }
}

impl State {
    fn lies(&self, path: &Path) -> bool {
        self.lying.is_some_and(|lying| lying(path))
    }

    fn lies_of(&self, content: u64) -> bool {
        let mut named = self.names.iter().filter(|(_, node)| **node == Node::File(content));
        self.lying.is_some() && named.any(|(path, _)| self.lies(path))
    }

    fn used_bytes(&self) -> u64 {
        let lengths = self.names.values().filter_map(|node| match node {
            Node::File(content) => self.contents.get(content),
            Node::Folder => None,
        });
        lengths.map(|content| content.now.len() as u64).sum()
    }

    /// `None` where a change of a file fits on the disk; else how many bytes of it are written before the disk is full.
    fn room_for(&self, content: u64, unflushed: &Unflushed) -> Option<usize> {
        let space = self.space?;
        let before = self
            .contents
            .get(&content)
            .map_or(0, |content| content.now.len() as u64);
        let (at, length) = match unflushed {
            Unflushed::Write(at, bytes) => (*at, bytes.len() as u64),
            Unflushed::Length(length) => (*length, 0),
        };
        let left = space.saturating_sub(self.used_bytes());
        let grown = (at + length).saturating_sub(before);
        (grown > left).then(|| length.saturating_sub(grown - left) as usize)
    }

    fn sync_all(&mut self, path: &Path) -> io::Result<()> {
        let step = self.step()?;
        if let Some(fault) = self.failing_syncs {
            return Err(fault.error());
        }
        for change in std::mem::take(&mut self.changes) {
            if change.folder().starts_with(path) && !self.lies(change.folder()) {
                apply(&mut self.names_durable, &change);
            } else {
                self.changes.push(change);
            }
        }
        let below = self
            .names
            .iter()
            .filter(|(name, _)| name.starts_with(path) && !self.lies(name));
        let files: Vec<u64> = below
            .filter_map(|(_, node)| match node {
                Node::File(content) => Some(*content),
                Node::Folder => None,
            })
            .collect();
        for content in files {
            self.contents.entry(content).or_default().flush();
        }
        step.end()
    }
}
