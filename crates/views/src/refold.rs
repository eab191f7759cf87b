//! All rows as they were, made by the view's own fold: of the events below a position it leaves out those that it left out when they came.
//!
//! Everything is in memory meanwhile: who folds asks how much that is, and stops where it is too much.

use arrow::record_batch::RecordBatch;

use crate::entries::{EntriesOf, Lists, Pending};
use crate::query::Source;
use crate::read::ROWS_PER_BATCH;
use crate::turn::Turn;
use crate::{View, ViewError};

/// The rows of a view, folded anew and under way.
pub struct Refold<'a> {
    view: &'a View,
    turn: Turn<'a>,
}

impl View {
    /// The columns of its rows that are never the empty text, as events that have it there are left out.
    pub fn never_empty(&self) -> impl Iterator<Item = &str> {
        self.query.partitions()
    }

    /// Begins to fold its rows anew, beside those that it has.
    pub fn refold(&self) -> Result<Refold<'_>, ViewError> {
        Ok(Refold {
            view: self,
            turn: self.turn()?,
        })
    }
}

impl Refold<'_> {
    /// Takes events of a source, in any order.
    pub fn fold(&mut self, source: &Source, events: &RecordBatch) -> Result<(), ViewError> {
        // What the query cannot evaluate was parked when it came.
        self.turn.take(source, events)?;
        Ok(())
    }

    /// How much memory that takes, about.
    pub fn memory(&self) -> usize {
        self.turn.memory()
    }

    /// The rows, in the view's output schema.
    pub fn rows(self) -> Result<Vec<RecordBatch>, ViewError> {
        let Refold { view, turn } = self;
        let stored = |_, _: &[u8]| -> Result<Option<&[u8]>, ViewError> { Ok(None) };
        let mut changed = turn.finish(stored, |_, _| Ok(false))?;
        if view.query.is_per_event {
            return Ok(std::mem::take(&mut changed.added));
        }
        let mut pending = Pending::default();
        for (key, place, value) in changed.entries() {
            pending.put(key, place, value);
        }
        let entries = EntriesOf {
            pending: &pending,
            store: None,
        };
        let lists = Lists::of(entries, view.lists_shown);
        let (keys, states): (Vec<&[u8]>, Vec<&[u8]>) = changed
            .iter()
            .filter(|row| row.is_there)
            .map(|row| (row.key, row.state))
            .unzip();
        if keys.is_empty() && view.query.is_global() {
            return Ok(vec![view.query.shown(&[], &[], None, &lists)?]);
        }
        let portions = keys.chunks(ROWS_PER_BATCH).zip(states.chunks(ROWS_PER_BATCH));
        portions
            .map(|(keys, states)| view.query.shown(keys, states, None, &lists))
            .collect()
    }
}
