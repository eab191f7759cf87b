//! Rows as they were: the newest snapshot that is old enough, and the row's events from there on.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use headwater_records::Position;

use crate::entries::{EntriesOf, Lists, Pending};
use crate::query::{Input, Source};
use crate::turn::Turn;
use crate::{GroupKey, View, ViewError, row};

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

impl View {
    /// The columns of a stream that the key is made of, one for one, whichever way its events go in; `None` where a key column is worked out from
    /// others.
    pub fn key_sources(&self, stream: &str) -> Option<&[String]> {
        let of_stream = |input: &&Input| input.source.stream() == stream;
        let mut sources = self
            .query
            .inputs
            .iter()
            .filter(of_stream)
            .map(|input| input.key_sources.as_deref());
        let first = sources.next()??;
        sources.all(|other| other == Some(first)).then_some(first)
    }

    /// The key of its one row, where it has no GROUP BY.
    pub fn only_key(&self) -> Option<GroupKey> {
        self.query.is_global().then(|| GroupKey(Vec::new()))
    }

    /// The columns of a stream that its query reads.
    pub fn columns_read(&self, stream: &str) -> Vec<&str> {
        let events = Source::Events(stream.to_owned());
        let inputs = self.query.inputs_of(&events);
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
    /// Takes events of a stream from the beginning of the rewind on, in any order. Those of other rows change nothing.
    pub fn fold(&mut self, stream: &str, events: &RecordBatch) -> Result<(), ViewError> {
        // What the query cannot evaluate was parked when it was folded.
        self.turn.take(&Source::Events(stream.to_owned()), events)?;
        Ok(())
    }

    /// Takes tombstones of a stream, likewise.
    pub fn fold_tombstones(&mut self, stream: &str, tombstones: &RecordBatch) -> Result<(), ViewError> {
        self.turn.take(&Source::Tombstones(stream.to_owned()), tombstones)?;
        Ok(())
    }

    /// The row as it was, in the view's output schema; none where there was none.
    pub fn row(self) -> Result<Option<RecordBatch>, ViewError> {
        let Rewinding { view, past, turn } = self;
        let before = past.state.map(|state| {
            let mut value = Vec::new();
            row::write(0, &state, &mut value);
            value
        });
        let key = past.key.0.as_slice();
        let stored =
            |_, group: &[u8]| -> Result<Option<&[u8]>, ViewError> { Ok(before.as_deref().filter(|_| group == key)) };
        // A row with entries begins at its first event: of such no snapshot is kept.
        let changed = turn.finish(stored, |_, _| Ok(false))?;
        let mut pending = Pending::default();
        for (_, place, value) in changed.entries().filter(|(of, _, _)| *of == key) {
            pending.put(key, place, value);
        }
        let lists = Lists::of(EntriesOf {
            pending: &pending,
            store: None,
        });
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
