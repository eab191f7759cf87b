//! The history of one row: which events went into it, and the row after each of them.
//!
//! Invariant: the row after the last event below a position is the row as it was at that position.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::query::Source;
use crate::rows::entries::{EntriesOf, Lists, Pending};
use crate::rows::row;
use crate::{GroupKey, Past, View, ViewError};

/// A row, followed event by event.
pub struct Lineage {
    view: Arc<View>,
    key: GroupKey,
    /// The row's value after the events so far; `None` while it has none.
    value: Option<Vec<u8>>,
    /// What it has besides after the events so far.
    entries: Pending,
    /// Whether the elements of its lists are shown.
    shows_lists: bool,
    after: SchemaRef,
}

/// What some events did to a row.
pub struct Steps {
    /// The events that went into the row, by their places in the batch that was taken.
    pub events: UInt32Array,
    /// The row after each of them, in [`View::lineage_schema`]; NULL in every column where the view shows no row then (HAVING, a tombstone), or one
    /// that cannot be worked out.
    pub rows: RecordBatch,
}

impl View {
    /// Begins to follow a row, from a moment of its past on.
    pub fn lineage(self: &Arc<View>, past: &Past) -> Lineage {
        Lineage {
            view: Arc::clone(self),
            value: past.value(),
            key: past.key.clone(),
            entries: Pending::default(),
            shows_lists: !self.query.lists.is_empty(),
            after: self.lineage_schema(),
        }
    }

    /// The rows that events are, of a view with one for each event; what the query cannot evaluate, or does not let through, is none.
    pub fn rows_of_events(&self, source: &Source, events: &RecordBatch) -> Result<Vec<RecordBatch>, ViewError> {
        let mut turn = self.turn()?;
        turn.take(source, events)?;
        let stored = |_, _: &[u8]| -> Result<Option<&[u8]>, ViewError> { Ok(None) };
        Ok(turn.finish(stored, |_, _| Ok(false))?.added)
    }

    /// The same, each row with its event.
    pub fn steps_of_events(&self, source: &Source, events: &RecordBatch) -> Result<Steps, ViewError> {
        let mut taken: Vec<u32> = Vec::new();
        let mut rows: Vec<RecordBatch> = Vec::new();
        for place in 0..events.num_rows() {
            for made in self.rows_of_events(source, &events.slice(place, 1))? {
                taken.extend(std::iter::repeat_n(
                    u32::try_from(place).unwrap_or(u32::MAX),
                    made.num_rows(),
                ));
                rows.push(made);
            }
        }
        let rows = concat_batches(&self.query.output, &rows);
        Ok(Steps {
            events: UInt32Array::from(taken),
            rows: rows.map_err(|error| ViewError::Failed(error.to_string()))?,
        })
    }

    /// The columns of the rows that a lineage shows: those of the view, each of which may be NULL.
    pub fn lineage_schema(&self) -> SchemaRef {
        let field = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let fields: Vec<Field> = self.query.output.fields().iter().map(field).collect();
        Arc::new(Schema::new(fields))
    }

    /// The types of the values that make a key.
    pub fn key_types(&self) -> &[DataType] {
        &self.query.key_types
    }

    /// The names of the columns that the key is made of, as the grouping calls them.
    pub fn key_names(&self) -> Vec<&str> {
        self.query.key_names().collect()
    }
}

impl Lineage {
    /// The same without the lists of the rows, which are NULL.
    pub fn without_lists(mut self) -> Lineage {
        self.shows_lists = false;
        self
    }

    /// Whether the rows have lists: then each step may be long, and few are taken at once.
    pub fn shows_lists(&self) -> bool {
        self.shows_lists
    }

    /// Takes what a source has, in the order in which it was appended. Events of other rows are passed over, and so are those that the view's
    /// query cannot evaluate: they were parked when they were folded.
    pub fn take(&mut self, source: &Source, events: &RecordBatch) -> Result<Steps, ViewError> {
        let mut taken: Vec<u32> = Vec::new();
        let mut own: Vec<usize> = Vec::new();
        self.own(source, events, 0, &mut own);
        let mut states: Vec<Vec<u8>> = Vec::new();
        let mut rows: Vec<RecordBatch> = Vec::new();
        for place in own {
            if let Some(value) = self.after(source, &events.slice(place, 1))? {
                taken.push(u32::try_from(place).unwrap_or(u32::MAX));
                let state = row::state(&value).to_vec();
                match self.shows_lists {
                    true => rows.push(self.rows(&[state])?),
                    false => states.push(state),
                }
                self.value = Some(value);
            }
        }
        rows.push(self.rows(&states)?);
        Ok(Steps {
            events: UInt32Array::from(taken),
            rows: concat_batches(&self.after, &rows).map_err(|error| ViewError::Failed(error.to_string()))?,
        })
    }

    /// The events of the row, by their places; `first` is that of the first one here. Halves that have none are not looked at one by one.
    fn own(&self, source: &Source, events: &RecordBatch, first: usize, found: &mut Vec<usize>) {
        let count = events.num_rows();
        let is_among = self
            .view
            .query
            .groups(source, events)
            .map(|keys| keys.contains(&self.key));
        match (is_among, count) {
            (_, 0) | (Ok(false), _) | (Err(_), 1) => {}
            (Ok(true), 1) => found.push(first),
            _ => {
                let half = count / 2;
                self.own(source, &events.slice(0, half), first, found);
                self.own(source, &events.slice(half, count - half), first + half, found);
            }
        }
    }

    /// The row's value after one event of it; `None` where the query cannot take the event.
    fn after(&mut self, source: &Source, event: &RecordBatch) -> Result<Option<Vec<u8>>, ViewError> {
        let mut turn = self.view.turn()?;
        if !turn.take(source, event)?.is_empty() {
            return Ok(None);
        }
        let stored = |_, key: &[u8]| -> Result<Option<&[u8]>, ViewError> {
            Ok(self.value.as_deref().filter(|_| key == self.key.0))
        };
        let changed = turn.finish(stored, |key, place| Ok(self.entries.has(key, place)))?;
        let mut value = Vec::new();
        // An event may change other rows besides.
        for (_, place, value) in changed.entries().filter(|(key, _, _)| *key == self.key.0) {
            self.entries.put(&self.key.0, place, value);
        }
        let after = changed.iter().find(|changed| changed.key == self.key.0);
        Ok(after.map(|changed| {
            row::write(changed.age, changed.state, &mut value);
            value
        }))
    }

    /// A row for each state.
    fn rows(&self, states: &[Vec<u8>]) -> Result<RecordBatch, ViewError> {
        let failed = |error: ArrowError| ViewError::Failed(error.to_string());
        if states.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.after)));
        }
        let View { query, lists_shown, .. } = &*self.view;
        let entries = EntriesOf {
            pending: &self.entries,
            store: None,
        };
        let made = |keys: &[&[u8]], states: &[&[u8]]| match self.shows_lists {
            true => query.shown(keys, states, None, &Lists::of(entries, *lists_shown)),
            false => query.rows(keys, states),
        };
        if !query.is_global() {
            let keys: Vec<&[u8]> = vec![&self.key.0; states.len()];
            let states: Vec<&[u8]> = states.iter().map(Vec::as_slice).collect();
            match made(&keys, &states) {
                Ok(rows) if rows.num_rows() == states.len() => {
                    return rows.with_schema(Arc::clone(&self.after)).map_err(failed);
                }
                // One by one, then.
                Ok(_) | Err(ViewError::Row { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut rows: Vec<RecordBatch> = Vec::with_capacity(states.len());
        for state in states {
            rows.push(match made(&[&self.key.0], &[state]) {
                Ok(row) if row.num_rows() > 0 => row.with_schema(Arc::clone(&self.after)).map_err(failed)?,
                Ok(_) | Err(ViewError::Row { .. }) => self.no_row().map_err(failed)?,
                Err(error) => return Err(error),
            });
        }
        concat_batches(&self.after, &rows).map_err(failed)
    }

    fn no_row(&self) -> Result<RecordBatch, ArrowError> {
        let fields = self.after.fields().iter();
        let columns = fields.map(|field| new_null_array(field.data_type(), 1)).collect();
        RecordBatch::try_new(Arc::clone(&self.after), columns)
    }
}
