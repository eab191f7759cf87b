//! Room on the disk: when it is full nothing new is taken, and nothing that was taken is lost. Where no more files can be opened it is the same.
//!
//! A full disk is no failure of what stands on it: the write that did not fit is tried again. Meanwhile appends are refused, so that what is owed
//! stays bounded, and reads go on. So that the log comes to rest then (what is durable in the journal also stands in segments, and the journal goes
//! round), a reserve is laid aside while there is room and given back when there is none. Appends are taken again once it is laid aside anew.
//!
//! Invariant: the reserve holds no events; it may be missing or have any length.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_host::{Host, OpenMode, Shortage};
use parking_lot::Mutex;

use crate::files::DiskError;
use crate::told::Full;

/// Whose write did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// The writer's frames.
    Journal,
    /// The keeper's segments, checkpoints and files.
    Behind,
}

/// What the log knows of the room on its disk.
pub(crate) struct Room {
    host: Host,
    path: PathBuf,
    reserve_bytes: u64,
    full: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What did not fit into the journal, and behind it.
    journal: Option<String>,
    behind: Option<String>,
    /// Since when appends are refused, where they are.
    since_us: i64,
    is_laid_aside: bool,
    /// The reserve cannot be had, for another reason than want of room.
    goes_without: bool,
}

impl Room {
    pub(crate) fn new(host: Host, dir: &Path, reserve_bytes: u64) -> Room {
        Room {
            host,
            path: reserve_path(dir),
            reserve_bytes,
            full: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Why appends are refused, where they are.
    pub(crate) fn refusal(&self) -> Option<String> {
        if !self.full.load(Ordering::Acquire) {
            return None;
        }
        self.state.lock().why()
    }

    /// The same, with since when.
    pub(crate) fn full(&self) -> Option<Full> {
        if !self.full.load(Ordering::Acquire) {
            return None;
        }
        let state = self.state.lock();
        Some(Full {
            why: state.why()?,
            since_us: state.since_us,
        })
    }

    /// A write did not fit. Says whether it is worth trying again at once, because the reserve was given back.
    pub(crate) fn ran_out(&self, writing: Writing, error: &DiskError) -> bool {
        let mut state = self.state.lock();
        let why = error.to_string();
        if !self.full.swap(true, Ordering::AcqRel) {
            state.since_us = self.host.clock.now_us();
            tracing::error!("appends are refused until that is over: {why}");
        }
        *state.of(writing) = Some(why);
        if error.shortage() != Some(Shortage::Room) {
            // What is laid aside is no help.
            return false;
        }
        if !std::mem::take(&mut state.is_laid_aside) {
            return false;
        }
        match self.host.disk.remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("the reserve was not given back: {}", DiskError::new(&self.path, error));
                false
            }
        }
    }

    /// Everything that was owed is written: appends are taken again, where the reserve can be laid aside.
    pub(crate) fn suffices(&self, writing: Writing) {
        let is_full = self.full.load(Ordering::Acquire);
        if writing == Writing::Journal {
            // The keeper lays the reserve aside: the writer has no time for that.
            if is_full {
                self.state.lock().journal = None;
            }
            return;
        }
        let mut state = self.state.lock();
        if (state.is_laid_aside || state.goes_without) && !is_full {
            return;
        }
        if !state.is_laid_aside && !state.goes_without {
            match self.lay_aside() {
                Ok(()) => state.is_laid_aside = true,
                // The log works without a reserve all the same; a full disk is only harder to leave.
                Err(error) if !error.is_shortage() => {
                    tracing::warn!("nothing is laid aside for when the disk is full: {error}");
                    state.goes_without = true;
                }
                Err(error) => {
                    state.behind = Some(error.to_string());
                    if !self.full.swap(true, Ordering::AcqRel) {
                        state.since_us = self.host.clock.now_us();
                    }
                    return;
                }
            }
        }
        state.behind = None;
        if state.journal.is_none() && self.full.swap(false, Ordering::AcqRel) {
            tracing::info!("what was wanting is there again: appends are taken");
        }
    }

    fn lay_aside(&self) -> Result<(), DiskError> {
        let failed = |source| DiskError::new(&self.path, source);
        let disk = &self.host.disk;
        let laid = disk
            .open(&self.path, OpenMode::ReadWrite)
            .and_then(|file| file.preallocate(self.reserve_bytes));
        if laid.is_err() {
            // What was reserved of it is given back: others need it more. That it is gone already is fine.
            let _ = disk.remove_file(&self.path);
        }
        laid.map_err(failed)
    }
}

impl State {
    /// What did not fit.
    fn why(&self) -> Option<String> {
        self.journal.clone().or_else(|| self.behind.clone())
    }

    fn of(&mut self, writing: Writing) -> &mut Option<String> {
        match writing {
            Writing::Journal => &mut self.journal,
            Writing::Behind => &mut self.behind,
        }
    }
}

/// Where the reserve stands.
pub(crate) fn reserve_path(dir: &Path) -> PathBuf {
    dir.join("reserve")
}
