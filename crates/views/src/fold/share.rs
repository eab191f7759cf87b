//! Each view's share in the events of a turn: what it takes of them, and what is parked for it.
//!
//! Invariant: a view that fails stops, and no other is concerned.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::record_batch::RecordBatch;
use hashbrown::DefaultHashBuilder;
use headwater_records::{Address, Position};
use parking_lot::Mutex;

use crate::decode::Parked;
use crate::fold::Counts;
use crate::fold::parts::{Part, Ready};
use crate::fold::turn::Turn;
use crate::follow::decoded::{Events, Tombstones, after_last, offset_of, value_at};
use crate::follow::parking::Parking;
use crate::follow::reading::{Slice, Stretch};
use crate::follow::side_by_side::side_by_side;
use crate::query::Source;
use crate::{View, ViewError, ViewOptions, caught};

/// One view's part in a turn.
pub(crate) struct Share<'a> {
    taker: Taker<'a>,
    /// Its turn, in as many parts as threads gather for it.
    parts: Result<Vec<Turn<'a>>, ViewError>,
    counts: Counts,
    /// How many events compaction took out before it came to them.
    thinned: u64,
    /// Where it has got to, as far as it took anything.
    position: Position,
    /// Whether it goes in steps: see [`crate::fold::careful`].
    is_careful: bool,
}

/// Who takes events.
struct Taker<'a> {
    view: &'a Arc<View>,
    stream: &'a str,
    hasher: DefaultHashBuilder,
    events: Source,
    tombstones: Source,
}

/// What a view makes of a portion.
struct Taken {
    ready: Vec<Ready>,
    /// Events that it cannot take, and that nobody has parked yet.
    parked: Vec<Parked>,
    /// How many were parked already.
    unfit: u64,
}

impl<'a> Share<'a> {
    /// Begins a view's part in a turn over a stream, with so many threads to itself.
    pub(crate) fn new(view: &'a Arc<View>, stream: &'a str, threads: usize) -> Share<'a> {
        // Few rows that take many events end their turns often: threads would wait for each other.
        let is_concentrated = view.is_concentrated.load(Ordering::Relaxed);
        let is_careful = view.is_doubtful(stream);
        let parts = if is_concentrated || is_careful {
            1
        } else {
            threads.max(1)
        };
        // Let go before anything else looks at the rows: who waits to write stands before a second look.
        let hasher = view.resident.read().hasher().clone();
        Share {
            taker: Taker {
                view,
                stream,
                hasher,
                events: Source::Events(stream.to_owned()),
                tombstones: Source::Tombstones(stream.to_owned()),
            },
            parts: (0..parts).map(|_| view.turn()).collect(),
            counts: Counts::default(),
            thinned: 0,
            position: Position::new(),
            is_careful,
        }
    }

    /// The view.
    pub(crate) fn view(&self) -> &'a Arc<View> {
        self.taker.view
    }

    /// What its turn holds in memory, about.
    pub(crate) fn memory(&self) -> usize {
        self.parts.iter().flatten().map(Turn::memory).sum()
    }

    /// Takes what a slice has for it. `place`: its own among the views of the turn. What goes wrong is said in the end.
    pub(crate) fn take_slice(&mut self, place: usize, slice: &Slice, decoded: &[Events<'_>], parking: &Mutex<Parking>) {
        if self.parts.is_err() {
            return;
        }
        if let Err(error) = caught(|| self.take_stretches(place, slice, decoded, parking)) {
            self.parts = Err(error);
            // What it broke off over is in here somewhere.
            for stretch in slice.stretches.iter().filter(|stretch| stretch.takers.contains(&place)) {
                self.position.set(self.taker.stream, stretch.partition, stretch.upto);
            }
        }
    }

    fn take_stretches(
        &mut self,
        place: usize,
        slice: &Slice,
        decoded: &[Events<'_>],
        parking: &Mutex<Parking>,
    ) -> Result<(), ViewError> {
        let is_own = |stretch: usize| slice.stretches[stretch].takers.contains(&place);
        let is_divided = self.parts.as_ref().is_ok_and(|parts| parts.len() > 1);
        if is_divided {
            let own = decoded.iter().filter(|events| is_own(events.stretch)).collect();
            self.take_together(own, parking)?;
        }
        for (at, stretch) in slice.stretches.iter().enumerate().filter(|(at, _)| is_own(*at)) {
            self.lacks(stretch);
            for events in decoded.iter().filter(|events| events.stretch == at) {
                match self.is_careful {
                    true => self.take_in_steps(events, parking)?,
                    false if is_divided => {}
                    false => self.take(events, parking)?,
                }
            }
            self.position.set(self.taker.stream, stretch.partition, stretch.upto);
            self.counts.events += stretch.upto - stretch.stands;
        }
        // What is due of snapshots is kept here once; from now on the view's turns end where it comes due.
        if is_divided && self.events_most() >= self.view().snapshot_events {
            self.view().is_concentrated.store(true, Ordering::Relaxed);
            self.end_turn(&self.position.clone());
        }
        Ok(())
    }

    /// Notes, and says, which events went before they were folded.
    fn lacks(&mut self, stretch: &Stretch) {
        if !self.view().query.needs_newest_alone(self.taker.stream) {
            self.counts.lacking += stretch.thinned;
            self.thinned += stretch.thinned;
        }
        if stretch.lacks() == 0 {
            return;
        }
        self.counts.lacking += stretch.lacks();
        let (from, upto) = (stretch.stands, stretch.stands + stretch.lacks());
        tracing::warn!(
            view = self.view().definition.name,
            "offsets {from}..{upto} of {}/{} are no longer kept: the view is without them",
            self.taker.stream,
            stretch.partition
        );
    }

    /// Takes portions by several threads: each of them prepares portions, then each gathers a part of the keys.
    fn take_together(&mut self, portions: Vec<&Events<'_>>, parking: &Mutex<Parking>) -> Result<(), ViewError> {
        let taker = &self.taker;
        let taken = side_by_side(portions, |events| taker.portion(events));
        let mut ready: Vec<Ready> = Vec::new();
        for mut portion in taken {
            self.counts.parked += portion.unfit;
            ready.append(&mut portion.ready);
            self.park(&mut portion.parked, parking)?;
        }
        let Ok(parts) = &mut self.parts else { return Ok(()) };
        let of = parts.len();
        let gathered = side_by_side(parts.iter_mut().enumerate().collect(), |(number, turn)| {
            let part = Part::new(number, of);
            ready.iter().try_for_each(|events| turn.take_part(events, part))
        });
        if let Some(error) = gathered.into_iter().find_map(Result::err) {
            self.parts = Err(error.into());
        }
        Ok(())
    }

    /// Takes a portion. Where a row's snapshot comes due on the way, the view's turn ends there and another begins.
    fn take(&mut self, events: &Events<'_>, parking: &Mutex<Parking>) -> Result<(), ViewError> {
        let rows = &events.rows;
        let due = self.view().snapshot_events;
        let step = match self.view().is_concentrated.load(Ordering::Relaxed) {
            true => due as usize,
            false => rows.num_rows(),
        };
        let (unfit, mut parked) = self.taker.refused(events);
        self.counts.parked += unfit;
        let deleted = self.taker.deleted(events);
        let (mut at, mut deleted_at, mut came_due) = (0, 0, false);
        loop {
            let some = rows.slice(at, step.min(rows.num_rows() - at));
            at += some.num_rows();
            let ready = self.taker.prepare(&self.taker.events, &some, events, &mut parked);
            self.gather(&ready);
            let mut next_offset = after_last(&some);
            if let Some(Tombstones { rows: tombstones, .. }) = deleted {
                let is_before = |row: usize| at == rows.num_rows() || offset_of(tombstones, row) < next_offset;
                let end = (deleted_at..tombstones.num_rows()).find(|row| !is_before(*row));
                let end = end.unwrap_or(tombstones.num_rows());
                let some = tombstones.slice(deleted_at, end - deleted_at);
                deleted_at = end;
                let ready = self.taker.prepare(&self.taker.tombstones, &some, events, &mut parked);
                self.gather(&ready);
                next_offset = next_offset.max(after_last(&some));
            }
            if self.events_most() >= due {
                came_due = true;
                self.park(&mut parked, parking)?;
                let mut position = self.position.clone();
                position.set(self.taker.stream, events.partition, next_offset);
                self.end_turn(&position);
            }
            if at == rows.num_rows() {
                break;
            }
        }
        self.view().is_concentrated.store(came_due, Ordering::Relaxed);
        self.park(&mut parked, parking)
    }

    /// Takes prepared events on this thread.
    fn gather(&mut self, ready: &Ready) {
        let Ok(parts) = &mut self.parts else { return };
        let of = parts.len();
        let mut parts = parts.iter_mut().enumerate();
        if let Err(error) = parts.try_for_each(|(number, turn)| turn.take_part(ready, Part::new(number, of))) {
            self.parts = Err(error.into());
        }
    }

    /// The most events that one row took in this turn.
    fn events_most(&self) -> u32 {
        let parts = self.parts.iter().flatten();
        parts.map(Turn::events_most).max().unwrap_or_default()
    }

    /// Counts and parks events that the view cannot take.
    fn park(&mut self, parked: &mut Vec<Parked>, parking: &Mutex<Parking>) -> Result<(), ViewError> {
        if parked.is_empty() {
            return Ok(());
        }
        self.counts.parked += parked.len() as u64;
        parking.lock().park(parked)?;
        parked.clear();
        Ok(())
    }

    /// Ends the view's turn where it has got to, and begins another, which is not divided.
    fn end_turn(&mut self, position: &Position) {
        let next = self.view().turn().map(|turn| vec![turn]);
        let ended = std::mem::replace(&mut self.parts, next);
        if let Err(error) = ended.and_then(|parts| self.view().end_turn(parts, position, Counts::default())) {
            self.parts = Err(error);
        }
    }

    /// Ends its part: what it changed becomes visible.
    pub(crate) fn finish(self, options: &ViewOptions) -> Result<(), String> {
        let (view, took) = (self.taker.view, self.counts.events > 0);
        let end = || -> Result<(), ViewError> {
            if self.thinned > 0 {
                tracing::warn!(
                    view = view.definition.name,
                    "{} events of {} were taken out by compaction before they were folded: the view is without them",
                    self.thinned,
                    self.taker.stream
                );
            }
            if self.counts.events == 0 {
                return self.parts.map(drop);
            }
            let parts = self.parts?;
            view.end_turn(parts, &self.position, self.counts)
        };
        match caught(end) {
            Ok(()) if !took => Ok(()),
            Ok(()) => {
                view.took_all(self.taker.stream);
                caught(|| view.keep_bounds(options)).map_err(|error| error.to_string())
            }
            // Its store is closed until there is room again, or the log: nothing changed, and the same is folded then.
            Err(ViewError::Full(why)) => {
                if view.held_up.lock().is_none() {
                    view.wait_for_log(self.taker.stream, &why);
                }
                Ok(())
            }
            // What the turn had under its hands is let go of, and the same events are folded once more.
            Err(ViewError::BrokeOff(why)) if !self.is_careful && view.is_whole() => {
                view.doubt(&self.position, &why);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Counts and parks the events of a portion that the view's query cannot take.
    pub(crate) fn park_unfit(&mut self, events: &Events<'_>, parking: &Mutex<Parking>) -> Result<(), ViewError> {
        let Taken { unfit, mut parked, .. } = self.taker.portion(events);
        self.counts.parked += unfit;
        self.park(&mut parked, parking)
    }

    /// Counts and parks one event.
    pub(crate) fn park_one(
        &mut self,
        events: &Events<'_>,
        offset: u64,
        why: &str,
        parking: &Mutex<Parking>,
    ) -> Result<(), ViewError> {
        let parked = self.taker.parked(offset, self.taker.reason(why), events);
        self.park(&mut vec![parked], parking)
    }

    /// What of a portion's events goes into the view, by where it comes from.
    pub(crate) fn sources(&self, events: &Events<'_>) -> Vec<(Source, RecordBatch)> {
        let mut sources = vec![(self.taker.events.clone(), events.rows.clone())];
        if let Some(deleted) = self.taker.deleted(events) {
            sources.push((self.taker.tombstones.clone(), deleted.rows.clone()));
        }
        sources
    }

    /// Where it has got to with what it took, and a portion's events below an offset.
    pub(crate) fn behind(&self, events: &Events<'_>, offset: u64) -> Position {
        let mut position = self.position.clone();
        position.set(self.taker.stream, events.partition, offset);
        position
    }
}

impl Taker<'_> {
    /// What it makes of a whole portion.
    fn portion(&self, events: &Events<'_>) -> Taken {
        let (unfit, mut parked) = self.refused(events);
        let mut ready = vec![self.prepare(&self.events, &events.rows, events, &mut parked)];
        if let Some(Tombstones { rows, .. }) = self.deleted(events) {
            ready.push(self.prepare(&self.tombstones, rows, events, &mut parked));
        }
        Taken { ready, parked, unfit }
    }

    /// Prepares events, leaving out those that the view's query cannot evaluate: they are to be parked, too.
    fn prepare(&self, source: &Source, rows: &RecordBatch, events: &Events<'_>, parked: &mut Vec<Parked>) -> Ready {
        let ready = Ready::of(&self.view.query, &self.hasher, source, rows);
        for event in &ready.unfit {
            parked.push(self.parked(offset_of(rows, event.row), self.reason(&event.why), events));
        }
        ready
    }

    /// The tombstones of a portion that delete rows of the view.
    fn deleted<'e>(&self, events: &'e Events<'_>) -> Option<&'e Tombstones> {
        let tombstones = events.tombstones.as_ref();
        tombstones.filter(|_| self.view.query.is_keyed && self.view.query.follows_tombstones(self.stream))
    }

    /// How many events of a portion do not fit the view, and are parked already; and those that are to be parked: tombstones that do not say which of
    /// its rows they delete.
    fn refused(&self, events: &Events<'_>) -> (u64, Vec<Parked>) {
        if self.deleted(events).is_some() {
            return (events.parked.len() as u64, Vec::new());
        }
        let Some(tombstones) = events.tombstones.as_ref().filter(|_| self.view.query.is_keyed) else {
            return (events.unfit, Vec::new());
        };
        let definition = &self.view.definition;
        let reason = format!(
            "a tombstone, and the view '{}' cannot tell which row it deletes: its KEY ({}) is not what the event's key is made of",
            definition.name,
            definition.key.join(", ")
        );
        let offsets = tombstones.offsets.iter();
        let refused = offsets.map(|offset| self.parked(*offset, reason.clone(), events));
        (events.unfit, refused.collect())
    }

    fn reason(&self, why: &str) -> String {
        format!("the view '{}' cannot take it: {why}", self.view.definition.name)
    }

    fn parked(&self, offset: u64, reason: String, events: &Events<'_>) -> Parked {
        Parked {
            address: Address {
                stream: self.stream.to_owned(),
                partition: events.partition,
                offset,
            },
            reason,
            value: value_at(events.from, offset),
        }
    }
}
