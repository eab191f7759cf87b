//! All rows as they were, made by the view's own fold: of the events below a position it leaves out those that it left out when they came.
//!
//! ```text
//! from the beginning     events ─> fold ─> rows
//! from a checkpoint      events behind it ─> fold, merged with the states of exactly these rows in the checkpoint ─> rows that changed
//!                                                                   the checkpoint's other rows, as they are read ─> rows that did not
//! ```
//!
//! What is folded is in memory meanwhile: who folds asks how much that is, and stops where it is too much. What did not change is read a portion
//! at a time.

use std::iter::Peekable;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::prelude::Expr;
use headwater_stores::StoreError;
use headwater_stores::checkpoint::{Checkpoint, CheckpointRows};

use crate::fold::turn::{Changed, Turn};
use crate::query::Source;
use crate::query::partitions::fits_partition;
use crate::read::ROWS_PER_BATCH;
use crate::rows::entries::{EntriesOf, Lists, Pending};
use crate::rows::row;
use crate::{View, ViewError};

/// The rows of a view, folded anew and under way.
pub struct Refold<'a> {
    view: &'a Arc<View>,
    from: Option<Arc<Checkpoint>>,
    turn: Turn<'a>,
}

/// Rows that were folded anew, in the view's output schema, in no order.
pub struct RowsAnew {
    changed: std::vec::IntoIter<RecordBatch>,
    unchanged: Option<Unchanged>,
}

/// The rows of a checkpoint that nothing has changed since.
struct Unchanged {
    view: Arc<View>,
    rows: CheckpointRows,
    changed: Changed,
}

impl View {
    /// What holds of each of its rows, as events whose row would be another are left out.
    pub fn kept_rows(&self) -> impl Iterator<Item = Expr> {
        self.query.partitions().map(fits_partition)
    }

    /// Begins to fold its rows anew, beside those that it has: from a checkpoint on, or from the beginning.
    pub fn refold(self: &Arc<View>, from: Option<Arc<Checkpoint>>) -> Result<Refold<'_>, ViewError> {
        let mut turn = self.turn()?;
        if from.is_some() {
            turn.look_up_in_order();
        }
        Ok(Refold { view: self, from, turn })
    }
}

impl Refold<'_> {
    /// Takes what a source has from the checkpoint or the beginning on, in any order.
    pub fn fold(&mut self, source: &Source, events: &RecordBatch) -> Result<(), ViewError> {
        // What the query cannot evaluate was parked when it came.
        self.turn.take(source, events)?;
        Ok(())
    }

    /// How much memory that takes, about.
    pub fn memory(&self) -> usize {
        self.turn.memory()
    }

    /// The rows. Blocks on the disk, as they do when they are read.
    pub fn rows(self) -> Result<RowsAnew, ViewError> {
        let Refold { view, from, turn } = self;
        let mut before = from.as_ref().map(|from| from.rows().peekable());
        let stored = |_, key: &[u8]| match &mut before {
            Some(before) => value_of(before, key),
            None => Ok(None),
        };
        let mut changed = turn.finish(stored, |_, _| Ok(false))?;
        let batches = match view.query.is_per_event {
            true => std::mem::take(&mut changed.added),
            false => view.shown_of(&changed, from.is_none())?,
        };
        let unchanged = from.map(|from| Unchanged {
            view: Arc::clone(view),
            rows: from.rows(),
            changed,
        });
        Ok(RowsAnew {
            changed: batches.into_iter(),
            unchanged,
        })
    }
}

/// The value of a key in rows that come in the order of their keys; asked for keys in the same order.
fn value_of(rows: &mut Peekable<CheckpointRows>, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
    let is_before =
        |row: &Result<(Vec<u8>, Vec<u8>), StoreError>| row.as_ref().is_ok_and(|(before, _)| before.as_slice() < key);
    while rows.next_if(is_before).is_some() {}
    match rows.next_if(|row| row.as_ref().map_or(true, |(found, _)| found == key)) {
        Some(row) => Ok(Some(row?.1)),
        None => Ok(None),
    }
}

impl View {
    /// The rows that a turn changed. `is_all`: there are no others.
    fn shown_of(&self, changed: &Changed, is_all: bool) -> Result<Vec<RecordBatch>, ViewError> {
        let mut pending = Pending::default();
        for (key, place, value) in changed.entries() {
            pending.put(key, place, value);
        }
        let entries = EntriesOf {
            pending: &pending,
            store: None,
        };
        let lists = Lists::of(entries, self.lists_shown);
        let (keys, states): (Vec<&[u8]>, Vec<&[u8]>) = changed
            .iter()
            .filter(|row| row.is_there)
            .map(|row| (row.key, row.state))
            .unzip();
        if keys.is_empty() && is_all && self.query.is_global() {
            return Ok(vec![self.query.shown(&[], &[], None, &lists)?]);
        }
        let portions = keys.chunks(ROWS_PER_BATCH).zip(states.chunks(ROWS_PER_BATCH));
        portions
            .map(|(keys, states)| self.query.shown(keys, states, None, &lists))
            .collect()
    }
}

impl Unchanged {
    /// The next of them; `None` where there are no more.
    fn portion(&mut self) -> Result<Option<RecordBatch>, ViewError> {
        let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(ROWS_PER_BATCH);
        for row in self.rows.by_ref() {
            let row = row?;
            if !self.changed.has(&row.0) {
                rows.push(row);
            }
            if rows.len() == ROWS_PER_BATCH {
                break;
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let keys: Vec<&[u8]> = rows.iter().map(|(key, _)| key.as_slice()).collect();
        let states: Vec<&[u8]> = rows.iter().map(|(_, value)| row::state(value)).collect();
        self.view.query.rows(&keys, &states).map(Some)
    }
}

impl Iterator for RowsAnew {
    type Item = Result<RecordBatch, ViewError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(batch) = self.changed.next() {
            return Some(Ok(batch));
        }
        let portion = self.unchanged.as_mut()?.portion();
        if !matches!(portion, Ok(Some(_))) {
            self.unchanged = None;
        }
        portion.transpose()
    }
}
