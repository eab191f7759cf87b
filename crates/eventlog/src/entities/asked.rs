//! What a log is asked of its entities, and told of them.

use std::sync::Arc;

use headwater_records::{Position, Version};

use crate::entities::facets::Facets;
use crate::entities::glance::{Glance, SeenEvent, SeenPage, newest};
use crate::entities::index::{EntityIndex, State};
use crate::entities::query::{Direction, EntityPage, Matching, QueryError, QueryItem};
use crate::entities::reach::Reach;
use crate::entities::reading::{bounds_after, entity, of_key, page, there};
use crate::entities::search::{Bounds, Search, order_of};
use crate::error::StreamError;
use crate::limits::{PAGE_BYTES_MAX, PAGE_EVENTS_MAX};
use crate::log::EventLog;

impl EventLog {
    /// Says what the events of a stream are about beside their keys; `None`: nothing. Not kept over a restart: say it after each open, before
    /// anybody asks. Where it is said otherwise than the index on the disk has it, that is built again, behind.
    pub fn set_facets(&self, stream: &str, facets: Option<Arc<dyn Facets>>) -> Result<(), StreamError> {
        let _one_at_a_time = self.shared.definitions.lock();
        let found = self.shared.stream(stream);
        let found = found.ok_or_else(|| StreamError::Unknown(stream.to_owned()))?;
        let says = |facets: &Option<Arc<dyn Facets>>| facets.as_ref().map(|facets| facets.fingerprint());
        let mut known = found.index.facets.lock();
        let same = says(&known) == says(&facets);
        *known = facets;
        drop(known);
        let waits = |index: Arc<EntityIndex>| matches!(*index.state.borrow(), State::Waiting);
        if !same || found.index.get().is_some_and(waits) {
            self.shared.index_anew(&found, false);
        }
        Ok(())
    }

    /// Some events of one key: those behind `from` in the direction, from the first or the last where it is `None`. What a transaction that is
    /// still open wrote, and what came after it in its partition, is not there yet. Blocks on the disk.
    ///
    /// At most `limit` events come, and fewer where they are large; [`EntityPage::next`] goes on. Where events behind `from` are gone, it is an error.
    pub fn entity(
        &self,
        stream: &str,
        key: &[u8],
        from: Option<Version>,
        limit: usize,
        direction: Direction,
    ) -> Result<EntityPage, QueryError> {
        let item = of_key(key);
        let sought = self.shared.sought(stream, &item)?;
        if let Some(from) = from.filter(|_| direction == Direction::Forward) {
            let kept_from = there(&sought.stream, from.partition)?.start().offset;
            if from.offset + 1 < kept_from {
                return Err(QueryError::Gone {
                    stream: stream.to_owned(),
                    partition: from.partition,
                    offset: from.offset + 1,
                    kept_from,
                });
            }
        }
        entity(&self.shared, &sought, from, limit, direction, &Reach::disk())
    }

    /// Whether every event at or behind a position is kept, compaction apart: whoever reads on from there would miss those that are not, and not know.
    pub fn check_kept(&self, position: &Position) -> Result<(), QueryError> {
        self.shared
            .check_position(Some(position), |partition| partition.start().offset)
    }

    /// The events that match one of the items, at or behind a position, in the order in which they were appended. What a transaction that is
    /// still open wrote, and what came after it in its partition, is not there yet. Blocks on the disk.
    pub fn matching(
        &self,
        query: &[QueryItem],
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Matching, QueryError> {
        let shared = self.shared.as_ref();
        let limit = limit.clamp(1, PAGE_EVENTS_MAX);
        let mut position = after.cloned().unwrap_or_default();
        let (mut ends, mut gone_before) = (Position::new(), Position::new());
        let reach = Reach::disk();
        let mut search = Search::new(Direction::Forward, &reach);
        let all = shared.resolve(query)?;
        // What is gone is not read, and not told.
        shared.check_position(after, |_| 0)?;
        for sought in &all {
            let stable = shared.stable_ends(&sought.stream);
            for (number, end) in (0..).zip(&stable) {
                ends.set(&sought.stream.name, number, *end);
            }
            let bounds = Arc::new(bounds_after(&sought.stream, after, stable));
            let from = order_of(shared, &sought.stream, &bounds)?;
            search.add(shared, sought, &bounds, from, limit + 1);
        }
        let (events, more) = page(&mut search, limit)?;
        // Last: what goes while they are read is told of too.
        for sought in &all {
            gone_before.advance_all(&self.gone_before(&sought.stream.name));
        }
        if more {
            for event in &events {
                let address = &event.address;
                position.advance(&address.stream, address.partition, address.offset + 1);
            }
        } else {
            position.advance_all(&ends);
        }
        Ok(Matching {
            events,
            position,
            more,
            gone_before,
        })
    }

    /// Shows the page that [`EventLog::entity`] gives from the first or the last event on, where memory alone says it; `None` where something must be waited for, whatever
    /// was shown till then. Never blocks.
    pub fn entity_in_memory(
        &self,
        stream: &str,
        key: &[u8],
        limit: usize,
        direction: Direction,
        mut show: impl FnMut(&SeenEvent<'_>),
    ) -> Result<Option<SeenPage>, QueryError> {
        let shared = self.shared.as_ref();
        // What is not as usual, the long way round says.
        let Some(found) = shared.stream(stream) else {
            return Ok(None);
        };
        let Some(index) = found.index.get().filter(|index| index.is_built()) else {
            return Ok(None);
        };
        let limit = limit.clamp(1, PAGE_EVENTS_MAX);
        let (bounds, reach) = (Bounds::below(shared.stable_ends(&found)), Reach::memory());
        let (of, within) = ((&found, &index), (&bounds, &reach));
        let mut glance = Glance::new(shared, of, key, within, direction, limit + 1);
        let (mut count, mut bytes) = (0, 0);
        let (mut first, mut last, mut more) = (None, None, false);
        while !more {
            let seen = glance.next(|seen| {
                let parts = [seen.event.key, seen.event.value];
                bytes += parts.into_iter().flatten().map(<[u8]>::len).sum::<usize>();
                more = count == limit || (count > 0 && bytes > PAGE_BYTES_MAX);
                if !more {
                    count += 1;
                    last = Some(seen.version());
                    first = first.or(last);
                    show(&seen);
                }
            })?;
            if seen.is_none() {
                break;
            }
        }
        let version = match direction {
            Direction::Backward => first,
            Direction::Forward if !more => last,
            // Its last event is on another page.
            Direction::Forward => newest(shared, of, key, within)?,
        };
        let page = SeenPage {
            version,
            next: last.filter(|_| more),
        };
        Ok((!reach.has_missed()).then_some(page))
    }
}
