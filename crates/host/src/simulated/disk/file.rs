//! An open file of a simulated disk.
//!
//! Invariant: a file that was opened before its machine was restarted answers with errors alone.

use std::io::{self, ErrorKind};

use parking_lot::Mutex;

use super::content::{Content, Unflushed};
use super::{Fault, SimulatedDisk, State, power_is_off};
use crate::File;

pub(super) struct SimulatedFile {
    pub(super) disk: SimulatedDisk,
    pub(super) content: u64,
    pub(super) power: u64,
    pub(super) writable: bool,
    pub(super) has_lock: Mutex<bool>,
}

impl SimulatedFile {
    /// Runs on the file's content, as long as its machine was not restarted.
    fn with<T>(&self, run: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        state.check_power()?;
        if state.power != self.power {
            return Err(power_is_off());
        }
        run(&mut state, self.content)
    }

    fn with_content<T>(&self, run: impl FnOnce(&mut Content) -> io::Result<T>) -> io::Result<T> {
        self.with(|state, content| run(state.contents.entry(content).or_default()))
    }

    fn change(&self, unflushed: Unflushed) -> io::Result<()> {
        if !self.writable {
            return Err(io::Error::from(ErrorKind::PermissionDenied));
        }
        self.with(|state, content| {
            if let Some(fault) = state.failing_writes {
                state.step()?.end()?;
                return Err(fault.error());
            }
            let step = state.step()?;
            let kept = state.room_for(content, &unflushed);
            match (kept, unflushed) {
                (None, unflushed) => state.contents.entry(content).or_default().change(unflushed),
                (Some(kept), unflushed) => {
                    if let Unflushed::Write(at, bytes) = unflushed {
                        let part = Unflushed::Write(at, bytes[..kept].to_vec());
                        state.contents.entry(content).or_default().change(part);
                    }
                    step.end()?;
                    return Err(Fault::Full.error());
                }
            }
            step.end()
        })
    }
}

impl File for SimulatedFile {
    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.with_content(|content| {
            let from = usize::try_from(at)
                .ok()
                .and_then(|at| content.now.get(at..)?.get(..into.len()));
            let from = from.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?;
            into.copy_from_slice(from);
            Ok(())
        })
    }

    fn write_all_at(&self, from: &[u8], at: u64) -> io::Result<()> {
        self.change(Unflushed::Write(at, from.to_vec()))
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.with(|_, content| Ok((0, content)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, content| {
            let step = state.step()?;
            if let Some(fault) = state.failing_syncs {
                return Err(fault.error());
            }
            if !state.lies_of(content) {
                state.contents.entry(content).or_default().flush();
            }
            step.end()
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with_content(|content| Ok(content.now.len() as u64))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Unflushed::Length(length))
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.change(Unflushed::Length(length))
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.with(|state, content| {
            let mut has_lock = self.has_lock.lock();
            *has_lock = *has_lock || state.locked.insert(content);
            Ok(*has_lock)
        })
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        if *self.has_lock.lock() && state.power == self.power {
            state.locked.remove(&self.content);
        }
    }
}
