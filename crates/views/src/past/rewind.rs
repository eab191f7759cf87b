//! Rows as they were: the newest snapshot that is old enough, and the row's events from there on.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use headwater_records::Position;

use crate::fold::turn::Turn;
use crate::query::Source;
use crate::rows::entries::{EntriesOf, Lists, Pending};
use crate::rows::row;
use crate::{GroupKey, View, ViewError};

/// Where the rewind of one row begins.
#[derive(Debug, Clone)]
pub struct Past {
    /// The row's key.
    pub key: GroupKey,
    /// What is in its state already; the events to be folded are those from here on.
    pub from: Position,
    state: Option<Vec<u8>>,
}

/// The rewind of one row, under way.
pub struct Rewinding<'a> {
    view: &'a View,
    past: Past,
    turn: Turn<'a>,
}

impl Past {
    /// The row before its first event.
    pub fn beginning(key: GroupKey) -> Past {
        Past {
            key,
            from: Position::new(),
            state: None,
        }
    }

    /// The row's value there.
    pub(crate) fn value(&self) -> Option<Vec<u8>> {
        let state = self.state.as_ref()?;
        let mut value = Vec::new();
        row::write(0, state, &mut value);
        Some(value)
    }
}

impl View {
    /// What goes into it, each once: the events of its streams, then the tombstones of those where they delete rows.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<&Source> = Vec::new();
        for input in &self.query.inputs {
            if !sources.contains(&&input.source) {
                sources.push(&input.source);
            }
        }
        sources
    }

    /// The columns of a source that the key is made of, one for one, whichever way its events go in; `None` where a key column is worked out from
    /// others.
    pub fn key_sources(&self, source: &Source) -> Option<&[String]> {
        let mut sources = self.query.inputs_of(source).map(|input| input.key_sources.as_deref());
        let first = sources.next()??;
        sources.all(|other| other == Some(first)).then_some(first)
    }

    /// The key of its one row, where it has no GROUP BY.
    pub fn only_key(&self) -> Option<GroupKey> {
        self.query.is_global().then(|| GroupKey(Vec::new()))
    }

    /// The columns of a source that its query reads.
    pub fn columns_read(&self, source: &Source) -> Vec<&str> {
        let inputs = self.query.inputs_of(source);
        let columns: BTreeSet<&str> = inputs.flat_map(|input| &input.columns).map(String::as_str).collect();
        columns.into_iter().collect()
    }

    /// Where the rewind of a row to a position begins: at its newest snapshot that holds nothing beyond it, else at the beginning.
    pub fn past(&self, key: &GroupKey, at: &Position) -> Result<Past, ViewError> {
        let resident = self.resident.read();
        let found = resident.snapshots.newest(self.folder.store.as_ref(), &key.0, at)?;
        let (from, state) = match found {
            Some((from, state)) => (from, Some(state)),
            None => (Position::new(), None),
        };
        Ok(Past {
            key: key.clone(),
            from,
            state,
        })
    }

    /// Begins the rewind of a row.
    pub fn rewinding(&self, past: Past) -> Result<Rewinding<'_>, ViewError> {
        Ok(Rewinding {
            view: self,
            past,
            turn: self.turn()?,
        })
    }
}

impl Rewinding<'_> {
    /// Takes what a source has from the beginning of the rewind on, in any order. What is of other rows changes nothing, and nothing of it is kept.
    pub fn fold(&mut self, source: &Source, events: &RecordBatch) -> Result<(), ViewError> {
        // What the query cannot evaluate was parked when it was folded.
        Ok(self.turn.take_of(&self.past.key.0, source, events)?)
    }

    /// The row as it was, in the view's output schema; none where there was none.
    pub fn row(self) -> Result<Option<RecordBatch>, ViewError> {
        let Rewinding { view, past, turn } = self;
        let before = past.value();
        let key = past.key.0.as_slice();
        let stored =
            |_, group: &[u8]| -> Result<Option<&[u8]>, ViewError> { Ok(before.as_deref().filter(|_| group == key)) };
        // A row with entries begins at its first event: of such no snapshot is kept.
        let changed = turn.finish(stored, |_, _| Ok(false))?;
        let mut pending = Pending::default();
        for (_, place, value) in changed.entries().filter(|(of, _, _)| *of == key) {
            pending.put(key, place, value);
        }
        let entries = EntriesOf {
            pending: &pending,
            store: None,
        };
        let lists = Lists::of(entries, view.lists_shown);
        let after = changed.iter().find(|changed| changed.key == key);
        let state = after
            .map(|changed| changed.state)
            .or_else(|| before.as_deref().map(row::state));
        match state {
            Some(state) => Ok(Some(view.query.shown(&[key], &[state], None, &lists)?)),
            None if view.query.is_global() => Ok(Some(view.query.shown(&[], &[], None, &lists)?)),
            None => Ok(None),
        }
    }
}
