//! The entity index of one stream.
//!
//! ```text
//!  covered          from                      flushed            cut
//!     │  being built  │   runs not yet listed    │ frozen │ newer │
//!     └ runs ─────────┴──────────────────────────┴────────┴───────┘ what is sequenced next is put into newer
//! ```
//!
//! Invariants
//! - Whatever is sequenced into the stream is put in the same step; [`Cut`] says up to where that is.
//! - What stood in the stream before the index was made, and is in no run, is built beside it; until then nothing is answered.
//! - A posting is in one place: in memory that grows, in memory that is being written, or in a run. Only what is durable is written.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::entities::desk::Desk;
use crate::entities::facets::Facets;
use crate::entities::postings::{Memory, Order, Posting};
use crate::entities::query::Direction;
use crate::entities::reach::Reach;
use crate::entities::run::blocks::BlockError;
use crate::entities::run::list::RunList;
use crate::entities::run::reader::Run;
use crate::entities::terms::{BatchTerms, KindHash, Term, Terms};
use crate::error::ReadError;
use crate::limits::{INDEX_POSTINGS_MAX, RUN_POSTINGS_LEAST};

/// Where a stream has its index, while it has one.
#[derive(Default)]
pub(crate) struct Slot {
    index: RwLock<Option<Arc<EntityIndex>>>,
    /// What the next index is to say of events.
    pub(crate) facets: Mutex<Option<Arc<dyn Facets>>>,
}

/// The index of one stream, under one way of saying what events are about.
pub(crate) struct EntityIndex {
    pub(crate) terms: Terms,
    stream: Arc<str>,
    desk: Arc<Desk>,
    inner: Mutex<Inner>,
    pub(crate) state: watch::Sender<State>,
}

/// How far an index is.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Nobody asked yet; what it is to be built from may still be said.
    Waiting,
    /// So many events of so many are not in it.
    Building { left: u64, of: u64 },
    /// It answers.
    Built,
    /// What it holds on the disk is damaged: it is to be made anew.
    Broken,
    /// The log could not be read.
    Failed(ReadError),
    /// Another took its place, or none.
    Gone,
}

struct Inner {
    newer: Memory,
    frozen: Option<Arc<Memory>>,
    frozen_to: Cut,
    runs: Arc<Vec<Arc<Run>>>,
    /// Runs of what came behind `from`, while what lies before is being built.
    unlisted: usize,
    cut: Cut,
    /// What is below is in runs, or to be built.
    flushed: Vec<u64>,
    /// What is below is in runs.
    covered: Vec<u64>,
    /// Where the index began to be put.
    from: Vec<u64>,
    /// The writer was asked to make room.
    rang: bool,
    /// How much of the stream was gone when runs were last rid of it.
    cleaned: u64,
}

/// Up to where a stream's events are in its index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut {
    /// Of each partition the next offset; partitions that are not there yet have none.
    pub(crate) ends: Vec<u64>,
    /// When the last of them was appended.
    pub(crate) appended_at_us: i64,
}

/// What a condition must hear of: events with all of these terms, of one of these kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) terms: Vec<Term>,
    /// None: of any kind.
    pub(crate) kinds: Vec<KindHash>,
}

impl Slot {
    pub(crate) fn get(&self) -> Option<Arc<EntityIndex>> {
        self.index.read().clone()
    }

    /// Puts another index, or none, in the place of the one that is there.
    pub(crate) fn set(&self, index: Option<Arc<EntityIndex>>) {
        let before = std::mem::replace(&mut *self.index.write(), index);
        if let Some(before) = before {
            before.state.send_replace(State::Gone);
        }
    }

    /// Whether this is the index that the stream has.
    pub(crate) fn holds(&self, index: Option<&Arc<EntityIndex>>) -> bool {
        match (&*self.index.read(), index) {
            (None, None) => true,
            (Some(held), Some(index)) => Arc::ptr_eq(held, index),
            _ => false,
        }
    }
}

/// An offset of each partition; 0 for those that are not in the list.
pub(crate) fn at(ends: &[u64], partition: usize) -> u64 {
    ends.get(partition).copied().unwrap_or(0)
}

impl Cut {
    fn advance(&mut self, partition: u32, next: u64) {
        let partition = partition as usize;
        if self.ends.len() <= partition {
            self.ends.resize(partition + 1, 0);
        }
        self.ends[partition] = next;
    }
}

impl EntityIndex {
    /// An index that holds the runs of a list, and what comes after `cut`.
    pub(crate) fn new(
        terms: Terms,
        stream: Arc<str>,
        desk: Arc<Desk>,
        listed: (Vec<u64>, Vec<Arc<Run>>),
        cut: Cut,
    ) -> EntityIndex {
        let (covered, runs) = listed;
        EntityIndex {
            terms,
            stream,
            desk,
            inner: Mutex::new(Inner {
                newer: Memory::default(),
                frozen: None,
                frozen_to: Cut::default(),
                runs: Arc::new(runs),
                unlisted: 0,
                flushed: cut.ends.clone(),
                from: cut.ends.clone(),
                cut,
                covered,
                rang: false,
                cleaned: 0,
            }),
            state: watch::Sender::new(State::Waiting),
        }
    }

    /// Puts a batch that was sequenced.
    pub(crate) fn put(&self, partition: u32, base: u64, next: u64, appended_at_us: i64, batch: &BatchTerms) {
        let mut inner = self.inner.lock();
        inner.newer.put_batch(partition, base, appended_at_us, batch);
        inner.cut.advance(partition, next);
        inner.cut.appended_at_us = appended_at_us;
        let is_over = self.desk.add(batch.terms.len());
        if (is_over || inner.newer.postings >= INDEX_POSTINGS_MAX) && !inner.rang {
            inner.rang = true;
            self.desk.ring();
        }
    }

    pub(crate) fn cut(&self) -> Cut {
        self.inner.lock().cut.clone()
    }

    /// Whether something was sequenced since the cut that may be what is watched for.
    pub(crate) fn has_news(&self, cut: &Cut, watched: &Watched) -> bool {
        let inner = self.inner.lock();
        let is_past = |ends: &[u64]| (0..ends.len()).any(|partition| ends[partition] > at(&cut.ends, partition));
        // What was written since the cut is not looked at here.
        if is_past(&inner.flushed) {
            return true;
        }
        let mut memories = inner.frozen.as_deref().into_iter().chain([&inner.newer]);
        let Some((first, rest)) = watched.terms.split_first() else {
            return is_past(&inner.cut.ends);
        };
        memories.any(|memory| {
            let since = memory.of(*first).iter().rev();
            // What came in one append may stand on both sides of the cut.
            since
                .take_while(|posting| posting.appended_at_us >= cut.appended_at_us)
                .filter(|posting| posting.offset >= at(&cut.ends, usize::from(posting.partition)))
                .filter(|posting| watched.kinds.is_empty() || watched.kinds.contains(&posting.kind))
                .any(|posting| rest.iter().all(|term| memory.holds(*term, posting.order())))
        })
    }

    /// At most so many postings of a term: those at `from` and behind it, in the direction, in that order. None where the look missed something.
    pub(crate) fn take(
        &self,
        reach: &Reach,
        term: Term,
        from: Order,
        direction: Direction,
        most: usize,
    ) -> Result<Vec<Posting>, ReadError> {
        'again: loop {
            let inner = self.inner.lock();
            let mut found = inner.newer.take(term, from, direction, most);
            let frozen = inner.frozen.clone();
            let runs = inner.runs.clone();
            drop(inner);
            if let Some(frozen) = frozen {
                found.extend(frozen.take(term, from, direction, most));
            }
            for run in runs.iter() {
                match run.take(self.desk.blocks.reading(reach), term, from, direction, most) {
                    Ok(more) => found.extend(more),
                    Err(BlockError::Missed) => return Ok(Vec::new()),
                    // Others took their place meanwhile.
                    Err(_) if !Arc::ptr_eq(&self.inner.lock().runs, &runs) => continue 'again,
                    Err(error) => return Err(self.broken(&error)),
                }
            }
            found.sort_unstable_by_key(Posting::order);
            if direction == Direction::Backward {
                found.reverse();
            }
            found.truncate(most);
            return Ok(found);
        }
    }

    /// Has it made anew, where it is damaged.
    pub(crate) fn broken(&self, error: &BlockError) -> ReadError {
        let (what, is_damaged) = match error {
            BlockError::Damaged(what) => (what.clone(), true),
            BlockError::Missed => ("it was not to be waited for".to_owned(), false),
            BlockError::Disk(error) => (error.to_string(), error.source.kind() == std::io::ErrorKind::NotFound),
        };
        if is_damaged {
            tracing::warn!("the entity index of {} is made anew: {what}", self.stream);
            self.state.send_if_modified(|state| {
                let was_built = !matches!(state, State::Gone | State::Broken);
                if was_built {
                    *state = State::Broken;
                }
                was_built
            });
            self.desk.ring();
        }
        ReadError::Disk {
            stream: self.stream.to_string(),
            partition: 0,
            why: format!("its entity index: {what}"),
        }
    }

    /// How many postings wait in memory.
    pub(crate) fn waiting(&self) -> usize {
        self.inner.lock().newer.postings
    }

    /// Whether something is not in runs yet.
    pub(crate) fn is_ahead(&self) -> bool {
        let inner = self.inner.lock();
        inner.frozen.is_some() || inner.newer.postings > 0 || inner.cut.ends != inner.covered
    }

    pub(crate) fn runs(&self) -> Arc<Vec<Arc<Run>>> {
        self.inner.lock().runs.clone()
    }

    /// What is to be built: of each partition from where to where.
    pub(crate) fn gaps(&self) -> Vec<(u64, u64)> {
        let inner = self.inner.lock();
        let gap = |partition| (at(&inner.covered, partition), at(&inner.from, partition));
        (0..inner.from.len()).map(gap).collect()
    }

    /// What is to be written, and up to where it reaches: what came since the last time, or what could not be written then.
    pub(crate) fn freeze(&self) -> (Arc<Memory>, Cut) {
        let mut inner = self.inner.lock();
        inner.rang = false;
        if inner.frozen.is_none() {
            inner.frozen = Some(Arc::new(std::mem::take(&mut inner.newer)));
            inner.frozen_to = inner.cut.clone();
        }
        let frozen = inner.frozen.clone().unwrap_or_default();
        (frozen, inner.frozen_to.clone())
    }

    /// What was frozen stands in a run, where it held anything.
    pub(crate) fn thaw(&self, run: Option<Run>) {
        let mut inner = self.inner.lock();
        let frozen = inner.frozen.take().unwrap_or_default();
        self.desk.remove(frozen.postings);
        let is_built = self.is_built();
        if let Some(run) = run {
            Arc::make_mut(&mut inner.runs).push(Arc::new(run));
            inner.unlisted += usize::from(!is_built);
        }
        inner.flushed = inner.frozen_to.ends.clone();
        if is_built {
            inner.covered = inner.flushed.clone();
        }
    }

    /// A part of what is to be built stands in a run; what is below is covered then.
    pub(crate) fn add_built(&self, run: Run, covered: Vec<u64>) {
        let mut inner = self.inner.lock();
        let listed = inner.runs.len() - inner.unlisted;
        Arc::make_mut(&mut inner.runs).insert(listed, Arc::new(run));
        inner.covered = covered;
    }

    /// All is built but for these postings. Few of them stay in memory; otherwise they are given back, to be written.
    pub(crate) fn finish(&self, rest: Memory) -> Option<Memory> {
        let mut inner = self.inner.lock();
        let is_small = (rest.postings + inner.newer.postings) as u64 <= RUN_POSTINGS_LEAST;
        let stays = rest.postings == 0 || (is_small && inner.unlisted == 0 && inner.frozen.is_none());
        if !stays {
            return Some(rest);
        }
        self.desk.add(rest.postings);
        if rest.postings > 0 {
            let newer = std::mem::replace(&mut inner.newer, rest);
            inner.newer.put_all(newer);
        } else {
            inner.covered = inner.flushed.clone();
        }
        inner.unlisted = 0;
        self.state.send_replace_unless_gone(State::Built);
        None
    }

    /// One run takes the place of some.
    pub(crate) fn replace(&self, old: &[Arc<Run>], new: Option<Run>) {
        let mut inner = self.inner.lock();
        let runs = Arc::make_mut(&mut inner.runs);
        runs.retain(|run| !old.iter().any(|old| Arc::ptr_eq(old, run)));
        runs.extend(new.map(Arc::new));
    }

    /// The list of what counts on the disk.
    pub(crate) fn list(&self) -> RunList {
        let inner = self.inner.lock();
        let listed = inner.runs.len() - inner.unlisted;
        let runs = inner.runs[..listed].iter();
        RunList {
            fingerprint: self.terms.facets.as_ref().map(|facets| facets.fingerprint()),
            covered: inner.covered.clone(),
            runs: runs.map(|run| (run.number, run.blocks, run.postings)).collect(),
        }
    }

    /// How much more of the stream is gone than when its runs were last rid of it, of so much that is gone now. Notes it where it is much.
    pub(crate) fn is_to_be_cleaned(&self, gone: u64) -> bool {
        let mut inner = self.inner.lock();
        let postings: u64 = inner.runs.iter().map(|run| run.postings).sum();
        let is_much = postings > 0 && gone.saturating_sub(inner.cleaned) > postings / 2;
        if is_much {
            inner.cleaned = gone;
        }
        is_much
    }

    /// Whether the thread that works for it ends.
    pub(crate) fn is_ending(&self) -> bool {
        self.desk.is_ending()
    }

    /// There is something to do for it.
    pub(crate) fn ring(&self) {
        self.desk.ring();
    }

    pub(crate) fn is_built(&self) -> bool {
        matches!(*self.state.borrow(), State::Built)
    }
}

impl Drop for EntityIndex {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        let frozen = inner.frozen.as_ref().map_or(0, |frozen| frozen.postings);
        self.desk.remove(inner.newer.postings + frozen);
    }
}

/// An index that went stays gone.
pub(crate) trait Unless {
    fn send_replace_unless_gone(&self, state: State);
}

impl Unless for watch::Sender<State> {
    fn send_replace_unless_gone(&self, next: State) {
        self.send_if_modified(|state| {
            let stays = matches!(state, State::Gone);
            if !stays {
                *state = next;
            }
            !stays
        });
    }
}
