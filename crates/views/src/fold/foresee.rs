//! Rows as they will be: what is kept of them, with events that are on their way and that nobody has folded yet.
//!
//! Whoever decides on a row that it has just changed itself need not wait until the change is durable and folded: the row that will come of it
//! follows from the one there is and the rows that were appended, by the same steps by which the events are folded.
//!
//! Invariant: the state that is foreseen is to the byte the one that folding makes of the same events, in however many turns they come; where that is not certain
//! ([`View::is_foreseeable`]) nothing is foreseen.

use std::hash::BuildHasher;

use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use hashbrown::DefaultHashBuilder;
use headwater_records::Position;

use crate::fold::turn::Turn;
use crate::query::Source;
use crate::rows::row;
use crate::{GroupKey, View, ViewError, caught};

/// What is kept of some rows, all as of one position.
pub struct Kept {
    /// For each key in order: what is kept, where there is a row.
    pub values: Vec<Option<Vec<u8>>>,
    /// The position they stand at.
    pub position: Position,
}

impl View {
    /// What is kept of some rows, where memory alone says it; `None` where the disk must be asked.
    pub fn kept(&self, keys: &[GroupKey]) -> Result<Option<Kept>, ViewError> {
        self.check_readable()?;
        let resident = self.resident.read();
        self.check_whole(&resident)?;
        let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(keys.len());
        for GroupKey(key) in keys {
            let value = resident.get(resident.hasher().hash_one(key.as_slice()), key);
            if value.is_none() && !resident.is_complete {
                return Ok(None);
            }
            values.push(value.map(<[u8]>::to_vec));
        }
        let position = resident.position.clone();
        Ok(Some(Kept { values, position }))
    }

    /// The rows that are kept so, without their lists, and for each key the place of its row among them.
    pub fn rows_kept(
        &self,
        keys: &[&GroupKey],
        values: &[Option<&[u8]>],
    ) -> Result<(RecordBatch, Vec<Option<u32>>), ViewError> {
        let present = || {
            keys.iter()
                .zip(values)
                .filter_map(|(key, value)| Some((key, (*value)?)))
        };
        let present_keys: Vec<&[u8]> = present().map(|(GroupKey(key), _)| key.as_slice()).collect();
        let states: Vec<&[u8]> = present().map(|(_, value)| row::state(value)).collect();
        let rows = self.query.rows(&present_keys, &states)?;
        if self.has_one_row() {
            let place = (rows.num_rows() > 0).then_some(0);
            return Ok((rows, vec![place; keys.len()]));
        }
        let places: Vec<Option<usize>> = match self.query.shows_all() {
            true => (0..present_keys.len()).map(Some).collect(),
            false => self.query.places(&present_keys, &rows)?,
        };
        let mut places = places.into_iter();
        // A row that is not there takes no place from those behind it.
        let place = |value: &Option<&[u8]>| -> Option<u32> {
            let place = value.and_then(|_| places.next().flatten());
            place.map(|place| place as u32)
        };
        Ok((rows, values.iter().map(place).collect()))
    }

    /// Whether what a row will be can be worked out before its events are folded.
    pub fn is_foreseeable(&self) -> bool {
        self.query.is_exact()
    }

    /// What will be kept of a row once it has taken these rows of a stream, which have the stream's declared columns; what is kept of it now comes in.
    pub fn foresee(
        &self,
        stream: &str,
        GroupKey(key): &GroupKey,
        now: Option<&[u8]>,
        rows: &RecordBatch,
    ) -> Result<Option<Vec<u8>>, ViewError> {
        caught(|| self.foreseen(stream, key, now, rows))
    }

    fn foreseen(
        &self,
        stream: &str,
        key: &[u8],
        now: Option<&[u8]>,
        rows: &RecordBatch,
    ) -> Result<Option<Vec<u8>>, ViewError> {
        let mut turn = Turn::new(&self.query, DefaultHashBuilder::default())?;
        let unfit = turn.take(&Source::Events(stream.to_owned()), rows)?;
        if let Some(unfit) = unfit.first() {
            return Err(ViewError::Failed(unfit.why.clone()));
        }
        let stored = |_, other: &[u8]| Ok::<_, DataFusionError>(now.filter(|_| other == key));
        let changed = turn.finish(stored, |_, _| Ok(false))?;
        let Some(changed) = changed.iter().find(|row| row.key == key) else {
            return Ok(now.map(<[u8]>::to_vec));
        };
        let mut value: Vec<u8> = Vec::with_capacity(changed.state.len() + 4);
        row::write(changed.age, changed.state, &mut value);
        Ok(changed.is_there.then_some(value))
    }
}
