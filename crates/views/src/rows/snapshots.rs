//! What rows were at earlier moments, so that a row with a long history is rewound as fast as one with a short.
//!
//! Whenever a row has taken [`crate::ViewOptions::snapshot_events`] events since the last time, its state is kept beside it, with the moment: the
//! position of the whole view then. A rewind begins at the newest snapshot that holds nothing beyond the position asked for, and folds the row's
//! events from there on.
//!
//! Invariants
//! - A snapshot equals the view's query over exactly the events below its moment's position.
//! - It saves work and nothing else: without any the answer is the same.
//! - Moments are numbered in the order of their positions, and committed in one write with the rows.

use headwater_records::Position;
use headwater_stores::{Moment, Snapshot, Store, StoreError};

/// The snapshots that the store does not have yet.
#[derive(Default)]
pub(crate) struct Snapshots {
    waiting: Vec<Snapshot>,
    moments: Vec<Moment>,
    next_moment: u64,
    bytes: usize,
}

impl Snapshots {
    /// None waiting; moments go on after those of the store.
    pub(crate) fn after(store: &dyn Store) -> Result<Snapshots, StoreError> {
        Ok(Snapshots {
            next_moment: store.last_moment()?.map_or(0, |last| last + 1),
            ..Snapshots::default()
        })
    }

    /// Keeps a row's state as of the moment that [`Snapshots::moment`] is called for next.
    pub(crate) fn keep(&mut self, key: &[u8], state: &[u8]) {
        self.bytes += key.len() + state.len() + size_of::<Snapshot>();
        self.waiting.push(Snapshot {
            key: key.to_vec(),
            moment: self.next_moment,
            value: state.to_vec(),
        });
    }

    /// What was kept since the last moment stands at this position.
    pub(crate) fn moment(&mut self, position: &Position) {
        if self.waiting.last().is_none_or(|last| last.moment != self.next_moment) {
            return;
        }
        self.moments.push(Moment {
            number: self.next_moment,
            position: position.clone(),
        });
        self.next_moment += 1;
    }

    /// What waits for the store's next commit.
    pub(crate) fn waiting(&self) -> (&[Snapshot], &[Moment]) {
        (&self.waiting, &self.moments)
    }

    /// How much memory that takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The store has all of it.
    pub(crate) fn committed(&mut self) {
        self.waiting.clear();
        self.moments.clear();
        self.bytes = 0;
    }

    /// The newest snapshot of a row that holds no event at or beyond `at`, with its position; of those here and those of the store.
    pub(crate) fn newest(
        &self,
        store: &dyn Store,
        key: &[u8],
        at: &Position,
    ) -> Result<Option<(Position, Vec<u8>)>, StoreError> {
        let Some(upto) = self.last_moment_at(store, at)? else {
            return Ok(None);
        };
        let is_earlier = |snapshot: &&Snapshot| snapshot.moment <= upto && snapshot.key == key;
        let found = match self.waiting.iter().rev().find(is_earlier) {
            Some(snapshot) => Some((snapshot.moment, snapshot.value.clone())),
            None => store.snapshot(key, upto)?,
        };
        let Some((moment, state)) = found else {
            return Ok(None);
        };
        Ok(self.position_of(store, moment)?.map(|position| (position, state)))
    }

    /// The number of the last moment that `at` covers. Moments come in the order of their positions, so that those it covers are the first ones.
    fn last_moment_at(&self, store: &dyn Store, at: &Position) -> Result<Option<u64>, StoreError> {
        let (mut covered, mut beyond) = (0, self.next_moment);
        while covered < beyond {
            let middle = covered + (beyond - covered) / 2;
            match self.position_of(store, middle)? {
                Some(position) if at.covers(&position) => covered = middle + 1,
                _ => beyond = middle,
            }
        }
        Ok(covered.checked_sub(1))
    }

    fn position_of(&self, store: &dyn Store, number: u64) -> Result<Option<Position>, StoreError> {
        let first_here = self.next_moment - self.moments.len() as u64;
        match number.checked_sub(first_here) {
            Some(index) => Ok(self.moments.get(index as usize).map(|moment| moment.position.clone())),
            None => store.moment(number),
        }
    }
}
