//! Rows as they were: the newest snapshot that is old enough, and the row's events from there on.

use arrow::record_batch::RecordBatch;
use headwater_records::Position;

use crate::row;
use crate::turn::Turn;
use crate::{GroupKey, Rows, View, ViewError};

/// Where the rewind of one row begins.
#[derive(Debug, Clone)]
pub struct Past {
    key: GroupKey,
    /// What is in its state already; the events to be folded are those from here on.
    pub from: Position,
    state: Option<Vec<u8>>,
}

impl View {
    /// The stream's columns that the key is made of, one for one; `None` where a key column is worked out from others.
    pub fn key_sources(&self) -> Option<&[String]> {
        self.query.key_sources.as_deref()
    }

    /// Where the rewind of a row to a position begins: at its newest snapshot that holds nothing beyond it, else at the beginning.
    pub fn past(&self, key: &GroupKey, at: &Position) -> Result<Past, ViewError> {
        let resident = self.resident.read();
        let found = resident.snapshots.newest(&self.folder.store, &key.0, at)?;
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

    /// A row as it was: what was in it at the beginning of the rewind, and its events from there on. Events of other rows among them change nothing.
    pub fn rewound(&self, past: &Past, at: &Position, events: &[RecordBatch]) -> Result<Rows, ViewError> {
        let hasher = self.resident.read().hasher().clone();
        let mut turn = Turn::new(&self.query, hasher)?;
        for batch in events {
            // What the query cannot evaluate was parked when it was folded.
            turn.take(&self.share_of(batch)?)?;
        }
        let mut stored = past.state.as_ref().map(|state| {
            let mut value = Vec::new();
            row::write(0, state, &mut value);
            value
        });
        let changed = turn.finish(|_, key| -> Result<Option<Vec<u8>>, ViewError> {
            Ok(if key == past.key.0 { stored.take() } else { None })
        })?;
        let state = changed
            .iter()
            .find(|changed| changed.key == past.key.0)
            .map(|changed| changed.state.to_vec())
            .or_else(|| past.state.clone());
        let batches = match state {
            Some(state) => vec![self.query.rows(&[&past.key.0], &[&state])?],
            None if self.query.is_global() => vec![self.query.rows(&[], &[])?],
            None => Vec::new(),
        };
        Ok(Rows {
            batches,
            position: at.clone(),
        })
    }
}
