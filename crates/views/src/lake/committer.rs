//! The thread that brings a view's rows into its table: when much waits, when the time has come, and when the program stops.
//!
//! A commit that fails is tried again, later each time; meanwhile rows wait, and when too many do the view stands still. Nothing is lost by that:
//! the log has all of them.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_catalog::ViewSettings;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::merge::Merge;
use super::pending::Pending;
use super::table::{LakeTable, Standing};
use crate::limits::{LAKE_COMMIT_BYTES, LAKE_COMMIT_EVERY, LAKE_COMMIT_WAIT, LAKE_RETRY_FIRST, LAKE_RETRY_MAX};
use crate::rows::flush::Note;
use crate::{View, ViewError};

/// A view's table, and who keeps it.
pub(crate) struct Lake {
    pub(crate) table: Arc<dyn LakeTable>,
    /// The rows that changed since the last merge; `None`: the view has one row for each event, and they wait whole.
    pub(crate) pending: Option<Mutex<Pending>>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    wishes: Mutex<Wishes>,
    changed: Condvar,
    /// Why the last commit failed, where it did.
    held_up: Mutex<Option<String>>,
}

impl Shared {
    fn new(every_ms: Option<u64>) -> Shared {
        let wishes = Wishes {
            every: every(every_ms),
            ..Wishes::default()
        };
        Shared {
            wishes: Mutex::new(wishes),
            changed: Condvar::new(),
            held_up: Mutex::default(),
        }
    }
}

/// How often rows go into a table.
fn every(every_ms: Option<u64>) -> Duration {
    every_ms.map_or(LAKE_COMMIT_EVERY, Duration::from_millis)
}

/// What others want of the thread.
#[derive(Default)]
struct Wishes {
    /// After this time what waits is committed.
    every: Duration,
    /// Rows came that were not there.
    rows_since: Option<Instant>,
    /// Commit at once.
    now: bool,
    /// How many times somebody wanted to wait for a commit,
    asked: u64,
    /// how many of them the commit under way answers,
    taken: u64,
    /// and how many were answered.
    answered: u64,
    /// Commit what waits, and end.
    close: bool,
    /// End.
    stop: bool,
    /// Woken when there is room again.
    room: Vec<Arc<Notify>>,
}

impl Lake {
    pub(crate) fn new(table: Arc<dyn LakeTable>, pending: Option<Pending>, every_ms: Option<u64>) -> Lake {
        Lake {
            table,
            pending: pending.map(Mutex::new),
            shared: Arc::new(Shared::new(every_ms)),
            thread: Mutex::default(),
        }
    }

    /// Takes changed settings on: how often rows go into the table, and how long its old versions stay.
    pub(crate) fn redefine(&self, settings: &ViewSettings) {
        self.table.keep_versions(settings.keep_versions_ms);
        {
            let mut wishes = self.shared.wishes.lock();
            wishes.every = every(settings.every_ms);
            wishes.now = true;
        }
        self.shared.changed.notify_all();
    }

    /// Why the table could not be written the last time, where that is so: it is tried again.
    pub(crate) fn held_up(&self) -> Option<String> {
        self.shared.held_up.lock().clone()
    }

    /// Begins to keep a view's table; once, whichever of its streams comes first. `room` is told when rows have gone from memory.
    pub(crate) fn start(&self, view: &Arc<View>, room: Arc<Notify>) -> std::io::Result<()> {
        self.shared.wishes.lock().room.push(room);
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return Ok(());
        }
        if self.pending.as_ref().is_some_and(|pending| !pending.lock().is_empty()) {
            self.note_rows(0);
        }
        let keeping = Keeping {
            view: Arc::downgrade(view),
            shared: Arc::clone(&self.shared),
        };
        let spawned = std::thread::Builder::new()
            .name(format!("lake {}", view.definition.name))
            .spawn(move || keeping.run())?;
        *thread = Some(spawned);
        Ok(())
    }

    /// Notes the rows that a turn changed. Under the lock of the resident rows.
    pub(crate) fn note_keys<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let Some(pending) = &self.pending else { return };
        let mut pending = pending.lock();
        keys.for_each(|key| pending.note(key));
        if !pending.is_empty() {
            self.note_rows(0);
        }
    }

    /// Says that rows wait, so many bytes of them that no commit has taken.
    pub(crate) fn note_rows(&self, fresh_bytes: usize) {
        let mut wishes = self.shared.wishes.lock();
        wishes.rows_since.get_or_insert_with(Instant::now);
        wishes.now |= fresh_bytes >= LAKE_COMMIT_BYTES;
        self.shared.changed.notify_all();
    }

    /// Wants a commit at once.
    pub(crate) fn commit_now(&self) {
        self.shared.wishes.lock().now = true;
        self.shared.changed.notify_all();
    }

    /// Commits what waits; the error says why that cannot be now.
    pub(crate) fn commit(&self) -> Result<(), String> {
        let mut wishes = self.shared.wishes.lock();
        wishes.asked += 1;
        wishes.now = true;
        let asked = wishes.asked;
        self.shared.changed.notify_all();
        let until = Instant::now() + LAKE_COMMIT_WAIT;
        while wishes.answered < asked {
            if wishes.stop || wishes.close {
                return Err("the program stops".to_owned());
            }
            if let Some(why) = self.held_up() {
                return Err(why);
            }
            if self.shared.changed.wait_until(&mut wishes, until).timed_out() {
                return Err("its table is still being written".to_owned());
            }
        }
        Ok(())
    }

    /// Commits what waits, where it can, and ends.
    pub(crate) fn close(&self) {
        self.shared.wishes.lock().close = true;
        self.join();
    }

    /// Ends without a commit; one that is under way is waited for.
    pub(crate) fn stop(&self) {
        self.shared.wishes.lock().stop = true;
        self.join();
    }

    /// Ends without a commit, and does not wait for one that is under way.
    pub(crate) fn retire(&self) {
        self.shared.wishes.lock().stop = true;
        self.shared.changed.notify_all();
    }

    fn join(&self) {
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // It never panics on purpose; what it did then is on the log of the program.
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Keeping {
    /// The view may go while nothing is to be done.
    view: Weak<View>,
    shared: Arc<Shared>,
}

/// Why a commit is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Due,
    Close,
}

impl Keeping {
    fn run(&self) {
        let mut failed: Option<Duration> = None;
        let mut merge: Option<Merge> = None;
        while let Some(cause) = self.wait(failed) {
            let Some(view) = self.view.upgrade() else { return };
            let Some(lake) = &view.lake else { return };
            if view.check_runs().is_err() {
                // What waits of a view that stopped is folded again.
                return;
            }
            let committed = match &lake.pending {
                None => commit(&view, lake),
                Some(pending) => merge_into(&view, lake, pending, &mut merge),
            };
            let outcome = committed.and_then(|()| lake.table.tend());
            match outcome {
                Ok(()) => {
                    failed = None;
                    *self.shared.held_up.lock() = None;
                    let mut wishes = self.shared.wishes.lock();
                    wishes.answered = wishes.taken;
                }
                // It stopped meanwhile, or another took its place: nothing is to be tried again, and nothing is wrong with its table.
                Err(_) if view.check_runs().is_err() => {}
                // Its table is not its own any more: nothing is tried again.
                Err(ViewError::Stopped { why, .. }) => {
                    if view.stop(&why) {
                        tracing::error!(view = view.definition.name, "the view stopped: {why}");
                    }
                    return;
                }
                Err(error) => {
                    let pause = failed.map_or(LAKE_RETRY_FIRST, |pause| (pause * 2).min(LAKE_RETRY_MAX));
                    tracing::warn!(
                        view = view.definition.name,
                        "its table could not be written, and is tried again in {pause:?}: {error}"
                    );
                    *self.shared.held_up.lock() =
                        Some(format!("its table could not be written, and is tried again: {error}"));
                    failed = Some(pause);
                }
            }
            self.shared.wishes.lock().room.iter().for_each(|room| room.notify_one());
            self.shared.changed.notify_all();
            if cause == Cause::Close {
                return;
            }
        }
    }

    /// Waits until a commit is due; `None`: the end.
    fn wait(&self, failed: Option<Duration>) -> Option<Cause> {
        let mut wishes = self.shared.wishes.lock();
        let retry_at = failed.map(|pause| Instant::now() + pause);
        loop {
            if wishes.stop {
                return None;
            }
            if wishes.close {
                return Some(Cause::Close);
            }
            let due = match (retry_at, wishes.now, wishes.rows_since) {
                (Some(retry_at), ..) => Some(retry_at),
                (None, true, _) => Some(Instant::now()),
                (None, false, since) => since.map(|since| since + wishes.every),
            };
            match due {
                Some(due) if due <= Instant::now() => {
                    wishes.now = false;
                    wishes.rows_since = None;
                    wishes.taken = wishes.asked;
                    return Some(Cause::Due);
                }
                Some(due) => {
                    self.shared.changed.wait_until(&mut wishes, due);
                }
                None => self.shared.changed.wait(&mut wishes),
            }
        }
    }
}

/// Brings the rows that changed into the table. `merge`: the one that did not take place yet.
fn merge_into(
    view: &Arc<View>,
    lake: &Lake,
    pending: &Mutex<Pending>,
    merge: &mut Option<Merge>,
) -> Result<(), ViewError> {
    if view.building().is_some() {
        // The first merge comes when there is something to see.
        lake.note_rows(0);
        return Ok(());
    }
    if merge.is_none() {
        *merge = Some(Merge::begin(view, pending)?);
    }
    if let Some(merge) = merge {
        merge.commit(lake.table.as_ref())?;
    }
    *merge = None;
    if !pending.lock().is_empty() {
        lake.note_rows(0);
    }
    Ok(())
}

/// Brings what waits into the table, and publishes it.
fn commit(view: &View, lake: &Lake) -> Result<(), ViewError> {
    let sealed = {
        let mut resident = view.resident.write();
        view.check_whole(&resident)?;
        let standing = Standing {
            position: resident.position.clone(),
            note: view.note(&resident),
        };
        resident.waiting.seal(standing)
    };
    // Events that leave no row move the position alone: they are passed by again as quickly.
    let note = Note::read(&sealed.standing.note);
    let says_new = |known: Standing| !Note::read(&known.note).says_the_same(&note);
    if !sealed.rows.is_empty() || lake.table.standing().is_none_or(says_new) {
        lake.table.append(&sealed.rows, &sealed.standing)?;
    }
    let source = lake.table.source();
    let mut resident = view.resident.write();
    resident.published = Some(source);
    resident.waiting.committed();
    let fresh_bytes = resident.waiting.fresh_bytes();
    if fresh_bytes > 0 {
        lake.note_rows(fresh_bytes);
    }
    Ok(())
}
