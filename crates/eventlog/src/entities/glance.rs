//! Looking at one entity's events where they stand: they are shown one after another, and nothing of them is copied or kept.
//!
//! What a page and a condition on an entity ask most, and all that one key needs: no other terms are walked beside it, and nothing is merged.

use std::sync::Arc;

use headwater_records::{EventSlice, Version};

use crate::entities::cursor::{Candidates, FIRST, LAST};
use crate::entities::index::EntityIndex;
use crate::entities::query::Direction;
use crate::entities::reach::Reach;
use crate::entities::search::{Bounds, Lookup};
use crate::error::ReadError;
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

/// The events of a key, from one end.
pub(crate) struct Glance<'a> {
    candidates: Candidates,
    lookup: Lookup<'a>,
    bounds: &'a Bounds,
    reach: &'a Reach,
    key: &'a [u8],
}

impl<'a> Glance<'a> {
    /// `few`: about how many are wanted.
    pub(crate) fn new(
        shared: &'a Shared,
        (stream, index): (&Arc<Stream>, &Arc<EntityIndex>),
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
            candidates: Candidates::new(index, direction, &[term], &[], from, few),
            lookup: Lookup::of_postings(shared, reach, stream, index),
            bounds,
            reach,
            key,
        }
    }

    /// Shows the next event, where there is one, and gives back what `look` makes of it.
    pub(crate) fn next<T>(&mut self, look: impl FnOnce(SeenEvent<'_>) -> T) -> Result<Option<T>, ReadError> {
        while let Some(posting) = self.candidates.next(self.reach)? {
            let (partition, offset) = (posting.partition, posting.offset);
            if !self.bounds.hold(partition, offset) {
                continue;
            }
            if let Some((stored, event)) = self.lookup.of_key(partition.into(), offset, self.key)? {
                return Ok(Some(look(SeenEvent {
                    partition: partition.into(),
                    event,
                    appended_at_us: stored.appended_at_us,
                    principal: &stored.principal,
                })));
            }
            if self.reach.has_missed() {
                break;
            }
        }
        Ok(None)
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

/// The last event of a key.
pub(crate) fn newest(
    shared: &Shared,
    of: (&Arc<Stream>, &Arc<EntityIndex>),
    key: &[u8],
    within: (&Bounds, &Reach),
) -> Result<Option<Version>, ReadError> {
    Glance::new(shared, of, key, within, Direction::Backward, 1).next(|seen| seen.version())
}
