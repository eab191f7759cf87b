//! Finds postings in a run: from the root down to the first one, and from there on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::entities::postings::{Order, Posting};
use crate::entities::query::Direction;
use crate::entities::run::blocks::{BlockError, Reading};
use crate::entities::run::format::{Block, Entry, Key};
use crate::entities::terms::Term;

/// A run on the disk.
#[derive(Debug)]
pub(crate) struct Run {
    /// A number that no other run of this process has.
    unique: u64,
    pub(crate) path: PathBuf,
    /// The number in its name.
    pub(crate) number: u64,
    pub(crate) blocks: u32,
    pub(crate) postings: u64,
}

/// A place in a run: between two entries.
pub(crate) struct Place {
    block: Block,
    number: u32,
    /// The entry behind the place.
    entry: usize,
}

impl Run {
    pub(crate) fn new(path: PathBuf, number: u64, blocks: u32, postings: u64) -> Run {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Run {
            unique: NEXT.fetch_add(1, Ordering::Relaxed),
            path,
            number,
            blocks,
            postings,
        }
    }

    /// At most so many postings of a term: those at `from` and behind it, in the direction.
    pub(crate) fn take(
        &self,
        blocks: Reading<'_>,
        term: Term,
        from: Order,
        direction: Direction,
        most: usize,
    ) -> Result<Vec<Posting>, BlockError> {
        let mut found: Vec<Posting> = Vec::new();
        let Some(mut place) = self.search(blocks, &(term, from))? else {
            return Ok(found);
        };
        if direction == Direction::Backward {
            // The one at `from` belongs to it.
            let at = self.peek(blocks, &mut place)?;
            found.extend(
                at.filter(|entry| entry.key() == (term, from))
                    .map(|entry| entry.posting),
            );
        }
        while found.len() < most {
            let next = match direction {
                Direction::Forward => self.next(blocks, &mut place)?,
                Direction::Backward => self.previous(blocks, &mut place)?,
            };
            match next.filter(|entry| entry.term == term) {
                Some(entry) => found.push(entry.posting),
                None => break,
            }
        }
        Ok(found)
    }

    /// The place before the first entry.
    pub(crate) fn begin(&self, blocks: Reading<'_>) -> Result<Option<Place>, BlockError> {
        if self.blocks == 0 {
            return Ok(None);
        }
        Ok(Some(Place {
            block: self.block(blocks, 0)?,
            number: 0,
            entry: 0,
        }))
    }

    /// The entry behind a place, which moves behind it.
    pub(crate) fn next(&self, blocks: Reading<'_>, place: &mut Place) -> Result<Option<Entry>, BlockError> {
        let entry = self.peek(blocks, place)?;
        place.entry += usize::from(entry.is_some());
        Ok(entry)
    }

    /// The place before the first entry at or behind a key.
    fn search(&self, blocks: Reading<'_>, key: &Key) -> Result<Option<Place>, BlockError> {
        let Some(root) = self.blocks.checked_sub(1) else {
            return Ok(None);
        };
        let mut number = root;
        loop {
            let block = self.block(blocks, number)?;
            let at = block.search(key);
            if block.level() == 0 {
                return Ok(Some(Place {
                    block,
                    number,
                    entry: at,
                }));
            }
            // The last one that begins before the key, or at it, holds the place.
            let is_at = at < block.count() && block.entry(at).key() == *key;
            let below = block.entry(if is_at { at } else { at.saturating_sub(1) }).child();
            if below >= number {
                return Err(self.damaged(number));
            }
            number = below;
        }
    }

    /// The entry behind a place, where there is one.
    fn peek(&self, blocks: Reading<'_>, place: &mut Place) -> Result<Option<Entry>, BlockError> {
        while place.entry >= place.block.count() || place.block.level() > 0 {
            let next = place.number + 1;
            if next >= self.blocks {
                return Ok(None);
            }
            *place = Place {
                block: self.block(blocks, next)?,
                number: next,
                entry: 0,
            };
        }
        Ok(Some(place.block.entry(place.entry)))
    }

    /// The entry before a place, which moves before it.
    fn previous(&self, blocks: Reading<'_>, place: &mut Place) -> Result<Option<Entry>, BlockError> {
        while place.entry == 0 || place.block.level() > 0 {
            let Some(before) = place.number.checked_sub(1) else {
                return Ok(None);
            };
            let block = self.block(blocks, before)?;
            *place = Place {
                entry: block.count(),
                block,
                number: before,
            };
        }
        place.entry -= 1;
        Ok(Some(place.block.entry(place.entry)))
    }

    fn block(&self, blocks: Reading<'_>, number: u32) -> Result<Block, BlockError> {
        blocks.get(self.unique, &self.path, number)
    }

    fn damaged(&self, number: u32) -> BlockError {
        BlockError::Damaged(format!("block {number} of {} names one behind it", self.path.display()))
    }
}
