//! Folding in steps, where folding broke off: the one event that does it is found and parked, and the others are folded.
//!
//! ```text
//! a turn broke off ─> nothing of it is kept ─> the same events once more:  ┌──────── 8 ────────┐ breaks off
//!                                                                         ├─ 4 ─┤ a turn, ended │
//!                                                                                └ 2 ┤ breaks off …  1: parked
//! ```
//!
//! What works an event's values out says by itself which event it cannot take ([`crate::fold::parts`]). What gathers them, the aggregates, changes states as
//! it goes: where one of them panics, what the turn has under its hands is half changed and is let go of. The view's rows are none of it: they
//! change at the end of a turn, and one that broke off at that stops the view.

use std::ops::Range;

use headwater_records::Position;
use parking_lot::Mutex;

use crate::fold::Counts;
use crate::fold::share::Share;
use crate::follow::decoded::{Events, after_last, offset_of, within};
use crate::follow::parking::Parking;
use crate::{Panicked, View, ViewError, caught};

impl View {
    /// Whether events of a stream are to be folded in steps from where it stands.
    pub(crate) fn is_doubtful(&self, stream: &str) -> bool {
        let doubtful = self.doubtful.lock().of(stream);
        !self.position.borrow().covers(&doubtful)
    }

    /// Lets it fold in steps up to a position, as a turn up to there broke off.
    pub(crate) fn doubt(&self, upto: &Position, why: &Panicked) {
        tracing::warn!(
            view = self.definition.name,
            "folding broke off: the same events are folded in steps, to find the one that did it ({why})"
        );
        self.doubtful.lock().advance_all(upto);
    }

    /// Whether its rows are those of its position.
    pub(crate) fn is_whole(&self) -> bool {
        self.resident.read().is_whole
    }
}

impl Share<'_> {
    /// Takes a portion in turns of its own.
    pub(crate) fn take_in_steps(&mut self, events: &Events<'_>, parking: &Mutex<Parking>) -> Result<(), ViewError> {
        self.park_unfit(events, parking)?;
        let sources = self.sources(events);
        let sources = sources.iter().filter(|(_, rows)| rows.num_rows() > 0);
        let ranges: Vec<(u64, u64)> = sources
            .map(|(_, rows)| (offset_of(rows, 0), after_last(rows)))
            .collect();
        let from = ranges.iter().map(|(from, _)| *from).min();
        let upto = ranges.iter().map(|(_, upto)| *upto).max();
        match from.zip(upto) {
            Some((from, upto)) => self.step(events, from..upto, parking),
            None => Ok(()),
        }
    }

    /// Folds those of a portion's events that are of a range of offsets: together, or where that breaks off, each half of them for itself.
    fn step(&mut self, events: &Events<'_>, offsets: Range<u64>, parking: &Mutex<Parking>) -> Result<(), ViewError> {
        let mut own = self.sources(events);
        own.iter_mut().for_each(|(_, rows)| *rows = within(rows, &offsets));
        let count: usize = own.iter().map(|(_, rows)| rows.num_rows()).sum();
        if count == 0 {
            return Ok(());
        }
        let view = self.view();
        let fold = || -> Result<(), ViewError> {
            let mut turn = view.turn()?;
            for (source, rows) in &own {
                // What the query cannot take is parked already.
                turn.take(source, rows)?;
            }
            view.end_turn(vec![turn], &self.behind(events, offsets.end), Counts::default())
        };
        match caught(fold) {
            Err(ViewError::BrokeOff(why)) if view.is_whole() && count == 1 => {
                let offset = own
                    .iter()
                    .find(|(_, rows)| rows.num_rows() == 1)
                    .map(|(_, rows)| offset_of(rows, 0));
                self.park_one(events, offset.unwrap_or(offsets.start), &why.to_string(), parking)
            }
            Err(ViewError::BrokeOff(_)) if view.is_whole() => {
                let middle = offsets.start + (offsets.end - offsets.start) / 2;
                self.step(events, offsets.start..middle, parking)?;
                self.step(events, middle..offsets.end, parking)
            }
            folded => folded,
        }
    }
}
