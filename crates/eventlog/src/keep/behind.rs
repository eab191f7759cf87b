//! Between the writer and the keeper: durable groups on their way into segments, and journal files on their way round.
//!
//! A journal file is written, full, covered by a checkpoint, and free again. The writer never writes into a file whose
//! frames a recovery would still need. While the keeper cannot write because the disk is full, the writer does not wait for it: what was
//! sequenced before, and what leads to room, goes into the spare. Nothing else is taken then, so that the journal bounds what is owed.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::append::journal::format::Entry;
use crate::append::journal::writer::{JournalFile, SPARE};
use crate::keep::segment::Segment;
use crate::limits::{BEHIND_BYTES, BEHIND_BYTES_MAX, BEHIND_WAIT, FULL_RETRY, JOURNAL_FILES_MAX};

/// The desk between the two threads.
pub(crate) struct Behind {
    state: Mutex<State>,
    for_keeper: Condvar,
    for_writer: Condvar,
}

struct State {
    groups: VecDeque<DurableGroup>,
    /// Bytes of the groups here.
    bytes: usize,
    /// Bytes of the groups that the keeper is writing, or owes.
    bytes_in_work: usize,
    /// The keeper cannot write: the disk is full.
    stuck: bool,
    /// The log is being closed: nobody waits for room any more.
    closing: bool,
    free: Vec<JournalFile>,
    /// The file that is written only while the disk is full.
    spare: Option<JournalFile>,
    /// The spare is not there, and is not on its way round either.
    lacks_spare: bool,
    /// Full files, each with the last frame in it.
    full: Vec<(JournalFile, u64)>,
    made: u16,
    file_wanted: bool,
    tasks: Vec<Asked>,
    ending: Option<Ending>,
    failed: Option<String>,
}

/// A group that is in the journal and not yet in segments.
pub(crate) struct DurableGroup {
    pub(crate) sequence: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) bytes: usize,
}

/// What the keeper is asked for.
pub(crate) enum Task {
    /// Nothing is written behind the end of this segment any more.
    Close { stream: u128, partition: u32, base: u64 },
    /// Other segments take the place of some.
    Replace(Box<Replacement>),
    /// Look on through the folders for files that no segment has; done when all were looked through.
    Sweep,
    /// A checkpoint, where files wait to be removed.
    Remove,
}

/// Segments written anew.
pub(crate) struct Replacement {
    pub(crate) stream: u128,
    pub(crate) partition: u32,
    /// Those whose place is taken, as they stood.
    pub(crate) old: Vec<Segment>,
    /// What takes it; flushed.
    pub(crate) new: Vec<Segment>,
    /// Up to where compaction has come by now, and when the last event below was appended.
    pub(crate) compacted: Option<(u64, i64)>,
}

/// A task, and who waits for it.
pub(crate) struct Asked {
    pub(crate) task: Task,
    pub(crate) done: mpsc::SyncSender<bool>,
}

/// How the keeper ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Writes segments and a checkpoint first.
    Checkpoint,
    /// At once; recovery reads the journal.
    AtOnce,
}

/// What the keeper is to do next.
pub(crate) struct Work {
    pub(crate) groups: Vec<DurableGroup>,
    pub(crate) make_file: Option<u16>,
    pub(crate) checkpoint: bool,
    pub(crate) tasks: Vec<Asked>,
    pub(crate) ending: Option<Ending>,
}

/// What the journal holds when the log is opened.
#[derive(Default)]
pub(crate) struct Found {
    /// What is in it and not yet in segments.
    pub(crate) groups: VecDeque<DurableGroup>,
    pub(crate) free: Vec<JournalFile>,
    /// Files that hold frames still, each with its last one.
    pub(crate) full: Vec<(JournalFile, u64)>,
    pub(crate) spare: Option<JournalFile>,
    pub(crate) lacks_spare: bool,
    /// So many files that go round exist, numbered from 0; one may be in the writer's hands.
    pub(crate) made: u16,
}

impl Behind {
    pub(crate) fn new(found: Found) -> Behind {
        Behind {
            state: Mutex::new(State {
                bytes: found.groups.iter().map(|group| group.bytes).sum(),
                groups: found.groups,
                bytes_in_work: 0,
                stuck: false,
                closing: false,
                free: found.free,
                spare: found.spare,
                lacks_spare: found.lacks_spare,
                full: found.full,
                made: found.made,
                file_wanted: false,
                tasks: Vec::new(),
                ending: None,
                failed: None,
            }),
            for_keeper: Condvar::new(),
            for_writer: Condvar::new(),
        }
    }

    /// The writer hands over a durable group. It does so before it answers: whoever was answered and asks the keeper for something finds it done to that.
    pub(crate) fn put(&self, group: DurableGroup, half_full: bool) {
        let mut state = self.state.lock();
        let first = state.groups.is_empty();
        state.bytes += group.bytes;
        state.groups.push_back(group);
        let wants_file = half_full
            && !state.file_wanted
            && state.free.is_empty()
            && state.full.is_empty()
            && state.made < JOURNAL_FILES_MAX;
        state.file_wanted |= wants_file;
        if first || wants_file || state.bytes >= BEHIND_BYTES {
            self.for_keeper.notify_one();
        }
    }

    /// Whether so much is on its way that the writer waits.
    pub(crate) fn is_too_much(&self) -> bool {
        self.state.lock().is_too_much()
    }

    /// The writer waits where too many groups are on their way; not on a full disk, where the journal bounds them.
    pub(crate) fn wait_for_segments(&self) {
        let mut state = self.state.lock();
        while state.is_too_much() {
            self.for_writer.wait(&mut state);
        }
    }

    /// The writer hands over a full file and waits for a free one of at least `bytes`.
    pub(crate) fn turn(
        &self,
        bytes: u64,
        last_sequence: u64,
        turn: impl FnOnce(JournalFile) -> JournalFile,
    ) -> Result<(), String> {
        let mut state = self.state.lock();
        let mut asked = false;
        let next = loop {
            if let Some(why) = &state.failed {
                return Err(why.clone());
            }
            if let Some(index) = state.free.iter().position(|file| file.length >= bytes) {
                break state.free.swap_remove(index);
            }
            if state.stuck
                && let Some(spare) = state.spare.take_if(|spare| spare.length >= bytes)
            {
                break spare;
            }
            if state.closing && state.stuck {
                return Err("it was closed while the disk was full".to_owned());
            }
            if !asked && state.made < JOURNAL_FILES_MAX {
                state.file_wanted = true;
            } else if !asked {
                // Files made when journal files were smaller: the keeper lets them grow before they come back.
                let small: Vec<JournalFile> = state.free.drain(..).collect();
                state.full.extend(small.into_iter().map(|file| (file, 0)));
            }
            asked = true;
            self.for_keeper.notify_one();
            self.for_writer.wait(&mut state);
        };
        let full = turn(next);
        state.full.push((full, last_sequence));
        self.for_keeper.notify_one();
        Ok(())
    }

    /// The keeper, which owes so many bytes still, waits for something to do; where the disk is full, for a while.
    pub(crate) fn next_work(&self, owed_bytes: usize, stuck: bool) -> Work {
        let mut state = self.state.lock();
        state.bytes_in_work = owed_bytes;
        state.stuck = stuck;
        self.for_writer.notify_all();
        if stuck {
            let retry = Instant::now() + FULL_RETRY;
            while state.ending.is_none() && !self.for_keeper.wait_until(&mut state, retry).timed_out() {}
        } else {
            self.wait_for_work(&mut state);
        }
        let make_file = state.file_wanted.then_some(state.made);
        state.file_wanted = false;
        state.made += u16::from(make_file.is_some());
        state.bytes_in_work += std::mem::take(&mut state.bytes);
        Work {
            groups: std::mem::take(&mut state.groups).into(),
            make_file,
            checkpoint: !state.full.is_empty(),
            tasks: std::mem::take(&mut state.tasks),
            ending: state.ending,
        }
    }

    fn wait_for_work(&self, state: &mut MutexGuard<'_, State>) {
        loop {
            let asked = state.file_wanted || !state.tasks.is_empty();
            let urgent = asked || !state.full.is_empty() || state.ending.is_some();
            if urgent || state.bytes >= BEHIND_BYTES {
                return;
            }
            if state.groups.is_empty() {
                self.for_keeper.wait(state);
            } else if self.for_keeper.wait_for(state, BEHIND_WAIT).timed_out() {
                return;
            }
        }
    }

    /// Asks the keeper for something and waits until it is done; `false` where it was not to be done, or the log stopped.
    pub(crate) fn ask(&self, task: Task) -> bool {
        let (done, outcome) = mpsc::sync_channel(1);
        let mut state = self.state.lock();
        if state.ending.is_some() || state.failed.is_some() {
            return false;
        }
        state.tasks.push(Asked { task, done });
        drop(state);
        self.for_keeper.notify_one();
        outcome.recv().unwrap_or(false)
    }

    /// The keeper takes the full files that a checkpoint up to `next_sequence` covers.
    pub(crate) fn take_covered(&self, next_sequence: u64) -> Vec<JournalFile> {
        let mut state = self.state.lock();
        let mut covered: Vec<JournalFile> = Vec::new();
        for (file, last_sequence) in std::mem::take(&mut state.full) {
            if last_sequence < next_sequence {
                covered.push(file);
            } else {
                state.full.push((file, last_sequence));
            }
        }
        covered
    }

    /// The keeper gives a file that may be written from its beginning.
    pub(crate) fn add_free(&self, file: JournalFile) {
        let mut state = self.state.lock();
        if file.number == SPARE {
            state.spare = Some(file);
            state.lacks_spare = false;
        } else {
            state.free.push(file);
        }
        drop(state);
        self.for_writer.notify_all();
    }

    /// Whether a spare is to be laid aside.
    pub(crate) fn lacks_spare(&self) -> bool {
        self.state.lock().lacks_spare
    }

    /// The writer waits before it tries again what did not fit; `false` when there is no point in trying.
    pub(crate) fn wait_for_room(&self) -> bool {
        let mut state = self.state.lock();
        let retry = Instant::now() + FULL_RETRY;
        while !state.closing && state.failed.is_none() {
            if self.for_writer.wait_until(&mut state, retry).timed_out() {
                return true;
            }
        }
        false
    }

    /// The log is being closed: whoever waits for room on the disk gives up.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.for_writer.notify_all();
    }

    /// Whoever waits here is told that the log stopped.
    pub(crate) fn fail(&self, why: &str) {
        let mut state = self.state.lock();
        state.failed.get_or_insert_with(|| why.to_owned());
        state.tasks.clear();
        drop(state);
        self.for_writer.notify_all();
    }

    /// Tells the keeper to end.
    pub(crate) fn end(&self, ending: Ending) {
        self.state.lock().ending = Some(ending);
        self.for_keeper.notify_all();
    }
}

impl State {
    /// Whether so much is on its way that the writer waits, and has a reason to.
    fn is_too_much(&self) -> bool {
        let goes_on = !self.stuck && self.failed.is_none() && !self.closing;
        self.bytes + self.bytes_in_work > BEHIND_BYTES_MAX && goes_on
    }
}
