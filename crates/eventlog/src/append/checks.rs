//! What an append depends on, and whether that holds in the step that assigns the offsets.
//!
//! Guards are looked at there. Conditions on entities and boundaries were asked outside before (`entities/check.rs`), against everything that was sequenced
//! up to a cut; here is seen whether anything came since that may be what is watched for: one lookup in memory for each term. Where something did, they are
//! asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::append::AppendError;
use crate::entities::condition::{Boundary, Condition, EntityVersion, Guard};
use crate::entities::index::{Cut, EntityIndex, Watched};
use crate::streams::Stream;

/// What an append depends on, taken apart.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) guards: Vec<Box<dyn Guard>>,
    pub(crate) tests: Vec<Test>,
    pub(crate) verdict: Verdict,
    /// How many indexes had been made when it was asked, and where to see that.
    pub(crate) indexes: Option<(Arc<AtomicU64>, u64)>,
}

/// One condition that the index answers.
pub(crate) enum Test {
    Entity(EntityVersion),
    Boundary(Boundary),
}

/// What asking outside of the sequencer has come to.
#[derive(Default)]
pub(crate) enum Verdict {
    /// It was not asked yet, or something came since.
    #[default]
    Open,
    /// All hold, unless there is news.
    Holds(Vec<Watch>),
    Fails(AppendError),
}

/// What there must be no news of.
pub(crate) struct Watch {
    pub(crate) stream: Arc<Stream>,
    pub(crate) index: Arc<EntityIndex>,
    pub(crate) cut: Cut,
    pub(crate) watched: Vec<Watched>,
}

/// What the sequencer finds.
pub(crate) enum Found {
    Holds,
    Fails(AppendError),
    /// To be asked (again) outside.
    Ask,
}

impl Checks {
    pub(crate) fn of(condition: Option<Condition>) -> Checks {
        let mut checks = Checks::default();
        let mut left: Vec<Condition> = condition.into_iter().collect();
        while let Some(condition) = left.pop() {
            match condition {
                Condition::Guard(guard) => checks.guards.push(guard),
                Condition::Entity(entity) => checks.tests.push(Test::Entity(entity)),
                Condition::Boundary(boundary) => checks.tests.push(Test::Boundary(boundary)),
                // In their order: the first that fails is the one that is told.
                Condition::All(all) => left.extend(all.into_iter().rev()),
            }
        }
        checks
    }

    /// Whether there is something to be asked outside.
    pub(crate) fn is_open(&self) -> bool {
        !self.tests.is_empty() && matches!(self.verdict, Verdict::Open)
    }

    /// The streams that are asked about by name, and whether all are.
    pub(crate) fn streams(&self) -> (Vec<&str>, bool) {
        let mut names: Vec<&str> = Vec::new();
        let mut all = false;
        for test in &self.tests {
            match test {
                Test::Entity(entity) => names.push(&entity.stream),
                Test::Boundary(boundary) => {
                    let mut streams = boundary.none_of.iter().map(|item| item.stream.as_deref());
                    names.extend(streams.clone().flatten());
                    all |= streams.any(|stream| stream.is_none());
                }
            }
        }
        (names, all)
    }

    /// In the sequencer's step: whether what was found outside still holds.
    pub(crate) fn look(&mut self, stream: &impl Fn(&str) -> Option<Arc<Stream>>) -> Found {
        if self.tests.is_empty() {
            return Found::Holds;
        }
        match std::mem::take(&mut self.verdict) {
            Verdict::Open => Found::Ask,
            Verdict::Fails(error) => Found::Fails(error),
            Verdict::Holds(watches) => match self.has_new_index() || watches.iter().any(|watch| watch.has_news(stream))
            {
                true => Found::Ask,
                // Kept: a guard may have to look at older batches, and then this is asked once more.
                false => {
                    self.verdict = Verdict::Holds(watches);
                    Found::Holds
                }
            },
        }
    }

    /// Whether there is an index that was not asked.
    fn has_new_index(&self) -> bool {
        let made = self.indexes.as_ref();
        made.is_some_and(|(now, then)| now.load(Ordering::Relaxed) != *then)
    }
}

impl Watch {
    fn has_news(&self, stream: &impl Fn(&str) -> Option<Arc<Stream>>) -> bool {
        // The index may be another by now, and the stream of this name too.
        let same = stream(&self.stream.name).is_some_and(|now| now.id == self.stream.id);
        let has_news = |watched| self.index.has_news(&self.cut, watched);
        !same || !self.stream.index.holds(Some(&self.index)) || self.watched.iter().any(has_news)
    }
}
