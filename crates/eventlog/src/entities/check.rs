//! Conditions on entities and boundaries, asked outside of the sequencer against everything that was sequenced up to a cut: that may read the disk.
//!
//! Whether anything came since the cut is looked at in the sequencer's step (`append/checks.rs`). Where something did, this is asked again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_records::{Address, Position};

use crate::append::AppendError;
use crate::append::checks::{Checks, Test, Verdict, Watch};
use crate::entities::condition::{Boundary, ConditionFailed, EntityVersion};
use crate::entities::cursor::{FIRST, next};
use crate::entities::glance::newest;
use crate::entities::query::{Direction, QueryError, QueryItem};
use crate::entities::reach::Reach;
use crate::entities::reading::bounds_after;
use crate::entities::search::{Bounds, Search, Sought, order_of};
use crate::limits::CAME_MAX;
use crate::shared::Shared;
use crate::streams::Stream;

/// The streams whose indexes are asked.
pub(crate) fn asked(checks: &Checks, shared: &Shared) -> Vec<Arc<Stream>> {
    if checks.tests.is_empty() {
        return Vec::new();
    }
    match checks.streams() {
        (_, true) => shared.streams.read().by_id.values().cloned().collect(),
        (names, false) => names.into_iter().filter_map(|name| shared.stream(name)).collect(),
    }
}

/// Asks outside of the sequencer. Blocks on the disk.
pub(crate) fn ask(checks: &mut Checks, shared: &Shared) {
    let mut watches: Vec<Watch> = Vec::new();
    checks.indexes = Some((shared.indexes.clone(), shared.indexes.load(Ordering::Relaxed)));
    for (number, test) in checks.tests.iter().enumerate() {
        let asked = match test {
            Test::Entity(entity) => ask_entity(shared, entity, &mut watches),
            Test::Boundary(boundary) => ask_boundary(shared, boundary, &mut watches),
        };
        if let Err(mut error) = asked {
            if let AppendError::ConditionFailed(failed) = &mut error {
                failed.condition = number;
            }
            checks.verdict = Verdict::Fails(error);
            return;
        }
    }
    checks.verdict = Verdict::Holds(watches);
}

/// No news of what is sought is to come from now on.
fn watch(sought: &Sought) -> Watch {
    Watch {
        stream: sought.stream.clone(),
        index: sought.index.clone(),
        cut: sought.index.cut(),
        watched: sought.watched(),
    }
}

fn ask_entity(shared: &Shared, entity: &EntityVersion, watches: &mut Vec<Watch>) -> Result<(), AppendError> {
    let item = QueryItem {
        key: Some(entity.key.clone()),
        ..QueryItem::default()
    };
    let sought = shared.sought(&entity.stream, &item)?;
    watches.push(watch(&sought));
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
        watches.push(watch(sought));
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
