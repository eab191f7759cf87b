//! Candidates: the postings that have all terms of an item, without a look at the events.
//!
//! Several terms are walked side by side: whichever is behind jumps to where the others are, so that a rare term saves the walk over a common one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::entities::index::EntityIndex;
use crate::entities::postings::{Order, Posting};
use crate::entities::query::Direction;
use crate::entities::reach::Reach;
use crate::entities::terms::{KindHash, Term};
use crate::error::ReadError;
use crate::limits::POSTINGS_PAGE;

/// The order before every event, and the one behind.
pub(crate) const FIRST: Order = Order {
    appended_at_us: i64::MIN,
    partition: 0,
    offset: 0,
};
pub(crate) const LAST: Order = Order {
    appended_at_us: i64::MAX,
    partition: u16::MAX,
    offset: u64::MAX,
};

/// Walks the postings of one term.
struct Cursor {
    term: Term,
    page: VecDeque<Posting>,
    /// Where the page behind this one begins; `None`: there is none.
    behind: Option<Order>,
}

/// Walks the postings that have all terms and one of the kinds.
pub(crate) struct Candidates {
    index: Arc<EntityIndex>,
    direction: Direction,
    cursors: Vec<Cursor>,
    kinds: Vec<KindHash>,
    at: Order,
    page: usize,
}

impl Cursor {
    /// The first posting at or behind a place.
    fn seek(
        &mut self,
        index: &EntityIndex,
        reach: &Reach,
        direction: Direction,
        at: Order,
        page: usize,
    ) -> Result<Option<Posting>, ReadError> {
        loop {
            while let Some(posting) = self.page.front() {
                if !is_before(direction, posting.order(), at) {
                    return Ok(Some(*posting));
                }
                self.page.pop_front();
            }
            let Some(behind) = self.behind else { return Ok(None) };
            let from = if is_before(direction, behind, at) { at } else { behind };
            self.page = index.take(reach, self.term, from, direction, page)?.into();
            let last = self.page.back().filter(|_| self.page.len() == page);
            self.behind = last.and_then(|last| next(direction, last.order()));
        }
    }
}

impl Candidates {
    /// The postings from a place on. `few`: not many of them are wanted.
    pub(crate) fn new(
        index: &Arc<EntityIndex>,
        direction: Direction,
        terms: &[Term],
        kinds: &[KindHash],
        from: Order,
        few: usize,
    ) -> Candidates {
        let cursor = |term: &Term| Cursor {
            term: *term,
            page: VecDeque::new(),
            behind: Some(from),
        };
        Candidates {
            index: index.clone(),
            direction,
            cursors: terms.iter().map(cursor).collect(),
            kinds: kinds.to_vec(),
            at: from,
            page: few.clamp(1, POSTINGS_PAGE),
        }
    }

    /// The next one, as far as the look reaches.
    pub(crate) fn next(&mut self, reach: &Reach) -> Result<Option<Posting>, ReadError> {
        'from_here: loop {
            let mut found: Option<Posting> = None;
            for cursor in &mut self.cursors {
                let Some(posting) = cursor.seek(&self.index, reach, self.direction, self.at, self.page)? else {
                    return Ok(None);
                };
                let is_behind = is_before(self.direction, self.at, posting.order());
                if found.is_some() && is_behind {
                    self.at = posting.order();
                    continue 'from_here;
                }
                self.at = posting.order();
                found = Some(posting);
            }
            let Some(posting) = found else { return Ok(None) };
            let Some(behind) = next(self.direction, posting.order()) else {
                // Nothing has the last order there is.
                return Ok(None);
            };
            self.at = behind;
            if self.kinds.is_empty() || self.kinds.contains(&posting.kind) {
                return Ok(Some(posting));
            }
        }
    }
}

fn is_before(direction: Direction, one: Order, other: Order) -> bool {
    match direction {
        Direction::Forward => one < other,
        Direction::Backward => one > other,
    }
}

/// The place right behind another.
pub(crate) fn next(direction: Direction, order: Order) -> Option<Order> {
    let offset = match direction {
        Direction::Forward => order.offset.checked_add(1),
        Direction::Backward => order.offset.checked_sub(1),
    };
    if let Some(offset) = offset {
        return Some(Order { offset, ..order });
    }
    let edge = |partition, appended_at_us| match direction {
        Direction::Forward => Order {
            appended_at_us,
            partition,
            offset: 0,
        },
        Direction::Backward => Order {
            appended_at_us,
            partition,
            offset: u64::MAX,
        },
    };
    match direction {
        Direction::Forward => match order.partition.checked_add(1) {
            Some(partition) => Some(edge(partition, order.appended_at_us)),
            None => Some(edge(0, order.appended_at_us.checked_add(1)?)),
        },
        Direction::Backward => match order.partition.checked_sub(1) {
            Some(partition) => Some(edge(partition, order.appended_at_us)),
            None => Some(edge(u16::MAX, order.appended_at_us.checked_sub(1)?)),
        },
    }
}
