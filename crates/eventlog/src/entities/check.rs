//! Conditions on entities and boundaries, asked in two steps.
//!
//! First outside of the sequencer, against everything that was sequenced up to a cut: that may read the disk. Then, in the sequencer's step, whether
//! anything came since the cut that may be what is watched for: one lookup in memory for each term. Where something did, the first step is
//! taken again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use headwater_records::{Address, Position, Version};

use crate::append::AppendError;
use crate::entities::condition::{Boundary, Condition, ConditionFailed, EntityVersion, Guard};
use crate::entities::cursor::{FIRST, next};
use crate::entities::glance::newest;
use crate::entities::index::{Cut, EntityIndex, Watched};
use crate::entities::query::{Direction, QueryError, QueryItem};
use crate::entities::reach::Reach;
use crate::entities::reading::bounds_after;
use crate::entities::search::{Bounds, Search, Sought, order_of};
use crate::limits::CAME_MAX;
use crate::shared::Shared;
use crate::streams::Stream;

/// What an append depends on, taken apart.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) guards: Vec<Box<dyn Guard>>,
    tests: Vec<Test>,
    verdict: Verdict,
    /// How many indexes had been made when it was asked, and where to see that.
    indexes: Option<(Arc<AtomicU64>, u64)>,
}

/// One condition that the index answers.
enum Test {
    Entity(EntityVersion),
    Boundary(Boundary),
}

/// What asking outside of the sequencer has come to.
#[derive(Default)]
enum Verdict {
    /// It was not asked yet, or something came since.
    #[default]
    Open,
    /// All hold, unless there is news.
    Holds(Vec<Watch>),
    Fails(AppendError),
}

/// What there must be no news of.
struct Watch {
    stream: Arc<Stream>,
    index: Arc<EntityIndex>,
    cut: Cut,
    watched: Vec<Watched>,
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
    fn streams(&self) -> (Vec<&str>, bool) {
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

    /// The streams whose indexes are asked.
    pub(crate) fn asked(&self, shared: &Shared) -> Vec<Arc<Stream>> {
        if self.tests.is_empty() {
            return Vec::new();
        }
        match self.streams() {
            (_, true) => shared.streams.read().by_id.values().cloned().collect(),
            (names, false) => names.into_iter().filter_map(|name| shared.stream(name)).collect(),
        }
    }

    /// Asks outside of the sequencer. Blocks on the disk.
    pub(crate) fn ask(&mut self, shared: &Shared) {
        let mut watches: Vec<Watch> = Vec::new();
        self.indexes = Some((shared.indexes.clone(), shared.indexes.load(Ordering::Relaxed)));
        for (number, test) in self.tests.iter().enumerate() {
            let asked = match test {
                Test::Entity(entity) => ask_entity(shared, entity, &mut watches),
                Test::Boundary(boundary) => ask_boundary(shared, boundary, &mut watches),
            };
            if let Err(mut error) = asked {
                if let AppendError::ConditionFailed(failed) = &mut error {
                    failed.condition = number;
                }
                self.verdict = Verdict::Fails(error);
                return;
            }
        }
        self.verdict = Verdict::Holds(watches);
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
}

impl Checks {
    /// Whether there is an index that was not asked.
    fn has_new_index(&self) -> bool {
        let made = self.indexes.as_ref();
        made.is_some_and(|(now, then)| now.load(Ordering::Relaxed) != *then)
    }
}

impl Watch {
    fn of(sought: &Sought) -> Watch {
        Watch {
            stream: sought.stream.clone(),
            index: sought.index.clone(),
            cut: sought.index.cut(),
            watched: sought.watched(),
        }
    }

    fn has_news(&self, stream: &impl Fn(&str) -> Option<Arc<Stream>>) -> bool {
        // The index may be another by now, and the stream of this name too.
        let same = stream(&self.stream.name).is_some_and(|now| now.id == self.stream.id);
        let has_news = |watched| self.index.has_news(&self.cut, watched);
        !same || !self.stream.index.holds(Some(&self.index)) || self.watched.iter().any(has_news)
    }
}

fn ask_entity(shared: &Shared, entity: &EntityVersion, watches: &mut Vec<Watch>) -> Result<(), AppendError> {
    let item = QueryItem {
        key: Some(entity.key.clone()),
        ..QueryItem::default()
    };
    let sought = shared.sought(&entity.stream, &item)?;
    watches.push(Watch::of(&sought));
    let bounds = Arc::new(Bounds::below(shared.sequenced_ends(&sought.stream)));
    let reach = Reach::disk();
    let version = newest(shared, (&sought.stream, &sought.index), &entity.key, (&bounds, &reach))?;
    if version == entity.version {
        return Ok(());
    }
    let expected = entity.version.map(|version| shared.order(&sought.stream, version));
    let expected = expected.transpose()?;
    let mut came = Search::new(Direction::Forward, &reach);
    let from = match expected {
        Some(expected) => next(Direction::Forward, expected),
        None => Some(FIRST),
    };
    if let Some(from) = from {
        came.add(shared, &sought, &bounds, from, CAME_MAX);
    }
    let failed = failed(shared, came, [&sought], Position::new())?;
    Err(AppendError::ConditionFailed(Box::new(ConditionFailed {
        entity: Some((entity.stream.clone(), entity.key.clone())),
        version,
        ..failed
    })))
}

fn ask_boundary(shared: &Shared, boundary: &Boundary, watches: &mut Vec<Watch>) -> Result<(), AppendError> {
    let after = boundary.after.as_ref();
    let all = shared.resolve(&boundary.none_of)?;
    shared.check_position(after, |partition| {
        partition.start().offset.max(partition.compacted().offset)
    })?;
    let reach = Reach::disk();
    let mut search = Search::new(Direction::Forward, &reach);
    for sought in &all {
        watches.push(Watch::of(sought));
        let ends = shared.sequenced_ends(&sought.stream);
        let bounds = Arc::new(bounds_after(&sought.stream, after, ends));
        let from = order_of(shared, &sought.stream, &bounds).map_err(QueryError::from)?;
        search.add(shared, sought, &bounds, from, CAME_MAX);
    }
    let failed = failed(shared, search, &all, after.cloned().unwrap_or_default())?;
    match failed.came.is_empty() {
        true => Ok(()),
        false => Err(AppendError::ConditionFailed(Box::new(failed))),
    }
}

/// The events that a search finds behind a position, as what is in the way.
fn failed<'a>(
    shared: &Shared,
    mut search: Search<'_>,
    all: impl IntoIterator<Item = &'a Sought>,
    after: Position,
) -> Result<ConditionFailed, AppendError> {
    let mut came: Vec<Address> = Vec::new();
    let more = loop {
        match search.next()? {
            None => break false,
            Some(_) if came.len() >= CAME_MAX => break true,
            Some((_, event)) => came.push(event.address),
        }
    };
    let mut end = Position::new();
    for sought in all {
        for (number, next) in (0..).zip(shared.sequenced_ends(&sought.stream)) {
            end.set(&sought.stream.name, number, next);
        }
    }
    let mut seen = if more { after } else { end.clone() };
    for event in &came {
        seen.advance(&event.stream, event.partition, event.offset + 1);
    }
    Ok(ConditionFailed {
        came,
        more,
        seen,
        condition: 0,
        entity: None,
        version: None,
        end,
    })
}

impl EntityVersion {
    /// Nothing was appended under this key before.
    pub fn none(stream: &str, key: impl Into<Bytes>) -> EntityVersion {
        EntityVersion {
            stream: stream.to_owned(),
            key: key.into(),
            version: None,
        }
    }

    /// The key's last event is this one.
    pub fn at(stream: &str, key: impl Into<Bytes>, version: Version) -> EntityVersion {
        EntityVersion {
            stream: stream.to_owned(),
            key: key.into(),
            version: Some(version),
        }
    }
}
