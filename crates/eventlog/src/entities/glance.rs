//! Looking at one entity's events where they stand: they are shown one after another, and nothing of them is copied or kept.
//!
//! What a page and a condition on an entity ask most, and all that one key needs: no other terms are walked beside it, and nothing is merged.
//!
//! An entity's events stand far from each other in memory. So those that are wanted are looked for side by side, before the first is shown: what the processor
//! waits for of one it waits for of all.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_records::{EventPlace, EventSlice, Version};

use crate::entities::cursor::{Candidates, FIRST, LAST};
use crate::entities::index::EntityIndex;
use crate::entities::opened::OpenBatch;
use crate::entities::query::Direction;
use crate::entities::reach::Reach;
use crate::entities::search::{Bounds, Lookup};
use crate::entities::terms::Terms;
use crate::error::ReadError;
use crate::limits::SIDE_BY_SIDE_MAX;
use crate::shared::Shared;
use crate::streams::Stream;

/// An event where it stands in memory.
#[derive(Debug, Clone, Copy)]
pub struct SeenEvent<'a> {
    /// The partition.
    pub partition: u32,
    /// The event; its offset is in it.
    pub event: EventSlice<'a>,
    /// When it was appended, microseconds since 1970.
    pub appended_at_us: i64,
    /// Who appended it.
    pub principal: &'a str,
}

/// What there is to know of an entity's page beside its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenPage {
    /// As [`crate::EntityPage::version`].
    pub version: Option<Version>,
    /// As [`crate::EntityPage::next`].
    pub next: Option<Version>,
}

/// The events of an entity, from one end.
pub(crate) struct Glance<'a> {
    terms: &'a Terms,
    candidates: Candidates,
    lookup: Lookup<'a>,
    bounds: &'a Bounds,
    reach: &'a Reach,
    key: &'a [u8],
    few: usize,
    /// The next ones, as far as they were looked for.
    ahead: VecDeque<Standing>,
}

/// Where an event stands.
struct Standing {
    partition: u32,
    batch: Arc<OpenBatch>,
    place: EventPlace,
}

impl<'a> Glance<'a> {
    /// `few`: about how many are wanted.
    pub(crate) fn new(
        shared: &'a Shared,
        (stream, index): (&Arc<Stream>, &'a Arc<EntityIndex>),
        key: &'a [u8],
        (bounds, reach): (&'a Bounds, &'a Reach),
        direction: Direction,
        few: usize,
    ) -> Glance<'a> {
        let from = match direction {
            Direction::Forward => FIRST,
            Direction::Backward => LAST,
        };
        let term = index.terms.of_key(key);
        Glance {
            terms: &index.terms,
            candidates: Candidates::new(index, direction, &[term], &[], from, few),
            lookup: Lookup::of_postings(shared, reach, stream, index),
            bounds,
            reach,
            key,
            few,
            ahead: VecDeque::new(),
        }
    }

    /// Shows the next event, where there is one, and gives back what `look` makes of it.
    pub(crate) fn next<T>(&mut self, look: impl FnOnce(SeenEvent<'_>) -> T) -> Result<Option<T>, ReadError> {
        loop {
            let Some(next) = self.ahead.pop_front() else {
                match self.look_ahead()? {
                    true => continue,
                    false => return Ok(None),
                }
            };
            let stored = &next.batch.stored;
            let event = next.batch.events.as_ref().and_then(|events| events.at(next.place));
            if let Some(event) = event.filter(|event| self.is_of_entity(&next, event)) {
                return Ok(Some(look(SeenEvent {
                    partition: next.partition,
                    event,
                    appended_at_us: stored.appended_at_us,
                    principal: &stored.principal,
                })));
            }
        }
    }

    /// Whether an event that can be read is of the entity: by its own key, as most are, or by that which its columns make.
    fn is_of_entity(&self, at: &Standing, event: &EventSlice<'_>) -> bool {
        let is_own = event.key == Some(self.key);
        event.check_headers().is_ok() && (is_own || self.is_made(at, event))
    }

    fn is_made(&self, at: &Standing, event: &EventSlice<'_>) -> bool {
        let events = at.batch.events.as_ref().map(|events| events.events());
        let event = events.and_then(|events| events.event(event).ok());
        event.is_some_and(|event| self.terms.facets_of(&event).make(self.key))
    }

    /// Looks for the next events; `false`: there are none any more, or some were missed.
    fn look_ahead(&mut self) -> Result<bool, ReadError> {
        let mut found: Vec<(u32, u64, Arc<OpenBatch>)> = Vec::new();
        while found.len() < self.few.min(SIDE_BY_SIDE_MAX) {
            let Some(posting) = self.candidates.next(self.reach)? else {
                break;
            };
            if !self.bounds.hold(posting.partition, posting.offset) {
                continue;
            }
            let (partition, offset) = (u32::from(posting.partition), posting.offset);
            if let Some(batch) = self.lookup.opened(partition, offset)? {
                found.push((partition, offset, Arc::clone(batch)));
            }
            if self.reach.has_missed() {
                return Ok(false);
            }
        }
        let has_found = !found.is_empty();
        for (partition, offset, batch) in found {
            let place = batch.events.as_ref().and_then(|events| events.place(offset));
            self.ahead.extend(place.map(|place| Standing {
                partition,
                batch,
                place,
            }));
        }
        for Standing { batch, place, .. } in &self.ahead {
            batch.events.iter().for_each(|events| events.fetch(*place));
        }
        Ok(has_found)
    }
}

impl SeenEvent<'_> {
    pub(crate) fn version(&self) -> Version {
        Version {
            partition: self.partition,
            offset: self.event.offset,
        }
    }
}

/// The last event of an entity.
pub(crate) fn newest(
    shared: &Shared,
    of: (&Arc<Stream>, &Arc<EntityIndex>),
    key: &[u8],
    within: (&Bounds, &Reach),
) -> Result<Option<Version>, ReadError> {
    Glance::new(shared, of, key, within, Direction::Backward, 1).next(|seen| seen.version())
}
