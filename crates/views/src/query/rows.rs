//! From keys and states to the view's rows: the aggregate's third mode, and the steps above it.
//!
//! ```text
//! keys, states ─ grouped ─ HAVING, SELECT (`finish`) ─ rows, their lists beside them
//! ```
//!
//! A row's columns are worked out when it is asked for, and some states leave no row to be worked out: `10 / sum(n)` where the sum is 0. Whoever
//! asks for the row is told so ([`Query::shown`]); whoever takes whatever rows there are goes on without it, and is told which it was ([`Query::rows_of`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{FieldRef, Int64Type, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use datafusion::error::DataFusionError;

use super::Query;
use crate::fold::stage::apply_tracked;
use crate::rows::entries::{Keeping, ListColumn, Lists, Part, Shown, shown_schema};
use crate::{GroupKey, ViewError, caught};

/// Of each aggregate that has entries how many each group has.
type Counts = Vec<Option<Int64Array>>;

/// The rows of some keys.
pub(crate) struct RowsOf {
    /// Those that are there, every column of them.
    pub rows: RecordBatch,
    /// For each key the place of its row among them.
    pub places: Vec<Option<usize>>,
    /// By the key's number, why a row is not among them that cannot be worked out.
    pub unmade: BTreeMap<usize, ViewError>,
}

/// Rows, and the number of each one's key.
struct Made {
    rows: RecordBatch,
    keys: Vec<usize>,
}

/// Why rows were not made.
enum Fault {
    /// One of them cannot be worked out.
    Row(DataFusionError),
    Other(ViewError),
}

impl Query {
    /// The view's rows. Lists are NULL: see [`Query::shown`].
    pub(crate) fn rows(&self, keys: &[&[u8]], states: &[&[u8]]) -> Result<RecordBatch, ViewError> {
        let made = self.finished(keys, states, None);
        made.map(|(made, _)| made.rows)
            .map_err(|error| self.unmade(keys, states, error))
    }

    /// What is asked for of the view's rows, with the elements of their lists; `None`: every column.
    pub(crate) fn shown(
        &self,
        keys: &[&[u8]],
        states: &[&[u8]],
        shown: Option<&[Shown]>,
        lists: &Lists<'_>,
    ) -> Result<RecordBatch, ViewError> {
        match self.made(keys, states, shown, lists) {
            Ok(made) => Ok(made.rows),
            Err(Fault::Row(error)) => Err(self.unmade(keys, states, error)),
            Err(Fault::Other(error)) => Err(error),
        }
    }

    /// The rows of keys that have these states, as far as they can be worked out.
    pub(crate) fn rows_of(
        &self,
        keys: &[&[u8]],
        states: &[Option<&[u8]>],
        lists: &Lists<'_>,
    ) -> Result<RowsOf, ViewError> {
        let mut numbers: Vec<usize> = Vec::with_capacity(keys.len());
        let (mut there, mut known): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        for (number, (key, state)) in keys.iter().zip(states).enumerate() {
            if let Some(state) = state {
                numbers.push(number);
                there.push(key);
                known.push(state);
            }
        }
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut of = RowsOf {
            rows: RecordBatch::new_empty(Arc::clone(&self.output)),
            places: vec![None; keys.len()],
            unmade: BTreeMap::new(),
        };
        self.make(&numbers, &there, &known, lists, &mut batches, &mut of)?;
        of.rows = match batches.len() {
            1 => batches.remove(0),
            _ => concat_batches(&self.output, &batches).map_err(|error| ViewError::Failed(error.to_string()))?,
        };
        Ok(of)
    }

    /// Makes rows; where one cannot be made, each half for itself.
    fn make(
        &self,
        numbers: &[usize],
        keys: &[&[u8]],
        states: &[&[u8]],
        lists: &Lists<'_>,
        batches: &mut Vec<RecordBatch>,
        of: &mut RowsOf,
    ) -> Result<(), ViewError> {
        match (self.made(keys, states, None, lists), numbers) {
            (Ok(made), _) => {
                let before: usize = batches.iter().map(RecordBatch::num_rows).sum();
                for (row, key) in made.keys.into_iter().enumerate() {
                    // Without GROUP BY there is a row before the first event, which nothing is kept of.
                    if let Some(number) = numbers.get(key) {
                        of.places[*number] = Some(before + row);
                    }
                }
                batches.push(made.rows);
                Ok(())
            }
            (Err(Fault::Other(error)), _) => Err(error),
            (Err(Fault::Row(error)), [] | [_]) => {
                let number = numbers.first().copied().unwrap_or_default();
                of.unmade.insert(number, self.unmade(keys, states, error));
                Ok(())
            }
            (Err(Fault::Row(_)), _) => {
                let half = numbers.len() / 2;
                let (first, second) = (..half, half..);
                self.make(&numbers[first], &keys[first], &states[first], lists, batches, of)?;
                self.make(
                    &numbers[second.clone()],
                    &keys[second.clone()],
                    &states[second],
                    lists,
                    batches,
                    of,
                )
            }
        }
    }

    fn made(
        &self,
        keys: &[&[u8]],
        states: &[&[u8]],
        shown: Option<&[Shown]>,
        lists: &Lists<'_>,
    ) -> Result<Made, Fault> {
        let columns: Option<Vec<usize>> = shown.map(|shown| shown.iter().map(|shown| shown.column).collect());
        let finished = self.finished(keys, states, columns.as_deref());
        let (made, counts) = finished.map_err(Fault::Row)?;
        if self.lists.is_empty() {
            return Ok(made);
        }
        let whole = |column| Shown {
            column,
            part: Part::Whole,
        };
        let wanted: Vec<Shown> = match shown {
            Some(shown) => shown.to_vec(),
            None => (0..self.output.fields().len()).map(whole).collect(),
        };
        let keys: Vec<&[u8]> = made
            .keys
            .iter()
            .map(|key| keys.get(*key).copied().unwrap_or_default())
            .collect();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(wanted.len());
        for ((wanted, field), column) in wanted.iter().zip(self.shown_fields(&wanted)).zip(made.rows.columns()) {
            let Some(list) = self.list(wanted.column) else {
                columns.push(Arc::clone(column));
                continue;
            };
            let of_row = |key: &usize| counts[list.aggregate].as_ref().map_or(0, |counts| counts.value(*key));
            let counts = Int64Array::from_iter_values(made.keys.iter().map(of_row));
            let keeping = (&self.aggregates[list.aggregate].keeping, list.aggregate as u16);
            let list = lists.part(keeping, &keys, &counts, field, wanted.part);
            columns.push(list.map_err(Fault::Other)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(made.rows.num_rows()));
        let rows = RecordBatch::try_new_with_options(shown_schema(&self.output, shown), columns, &options);
        let rows = rows.map_err(|error| Fault::Other(ViewError::Failed(error.to_string())))?;
        Ok(Made { rows, keys: made.keys })
    }

    /// The list that a column of the rows is.
    fn list(&self, column: usize) -> Option<&ListColumn> {
        self.lists.iter().find(|list| list.column == column)
    }

    /// These columns of the rows, or all, lists NULL in them; and how many elements those of each key have.
    fn finished(&self, keys: &[&[u8]], states: &[&[u8]], columns: Option<&[usize]>) -> Result<(Made, Counts)> {
        caught(|| self.worked_out(keys, states, columns))
    }

    fn worked_out(&self, keys: &[&[u8]], states: &[&[u8]], columns: Option<&[usize]>) -> Result<(Made, Counts)> {
        let Some((grouped, counts)) = self.grouped(keys, states)? else {
            let schema: SchemaRef = match columns {
                Some(columns) => Arc::new(self.output.project(columns)?),
                None => Arc::clone(&self.output),
            };
            let (rows, keys) = (RecordBatch::new_empty(schema), Vec::new());
            return Ok((Made { rows, keys }, Vec::new()));
        };
        let (rows, keys) = apply_tracked(&self.finish, &grouped, columns)?;
        Ok((Made { rows, keys }, counts))
    }

    /// The error of rows that were not made: of the first of them that cannot be.
    fn unmade(&self, keys: &[&[u8]], states: &[&[u8]], error: DataFusionError) -> ViewError {
        let (mut from, mut count) = (0, keys.len());
        while count > 1 {
            let half = count / 2;
            let first = from..from + half;
            match self.finished(&keys[first.clone()], &states[first], None) {
                Ok(_) => (from, count) = (from + half, count - half),
                Err(_) => count = half,
            }
        }
        let key = keys.get(from).map(|key| GroupKey(key.to_vec()));
        let values = key.and_then(|key| self.key_values(&key).ok()).unwrap_or_default();
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        ViewError::Row {
            row: match values.is_empty() {
                true => "the row".to_owned(),
                false => format!("the row ({})", values.join(", ")),
            },
            view: self.view.clone(),
            error: Arc::new(error),
        }
    }

    /// The fields of the columns that are asked for, as they are in the whole row.
    fn shown_fields<'a>(&'a self, shown: &'a [Shown]) -> impl Iterator<Item = &'a FieldRef> {
        shown.iter().map(|shown| &self.output.fields()[shown.column])
    }

    /// Keys and states as the aggregate's output, lists NULL in it, and how many elements these have; `None`: no row.
    fn grouped(&self, keys: &[&[u8]], states: &[&[u8]]) -> Result<Option<(RecordBatch, Counts)>> {
        let groups_total = if self.is_global() { 1 } else { states.len() };
        if groups_total == 0 {
            return Ok(None);
        }
        let mut columns = self.key_columns_of(keys)?;
        let state_columns = match states.is_empty() {
            true => None,
            false => Some(self.state_columns(states)?),
        };
        let mut counts: Counts = Vec::with_capacity(self.aggregates.len());
        let mut at = 0;
        for (index, aggregate) in self.aggregates.iter().enumerate() {
            let own = state_columns
                .as_ref()
                .map(|columns| &columns[at..at + aggregate.states]);
            at += aggregate.states;
            let count = match (&aggregate.keeping, own) {
                (Keeping::State, _) => None,
                // Without GROUP BY there is a row before the first event.
                (_, None) => Some(Int64Array::from(vec![0; groups_total])),
                (_, Some(own)) => Some(own[0].as_primitive::<Int64Type>().clone()),
            };
            let list_type = self.grouped.field(self.key_types.len() + index).data_type();
            columns.push(match (&aggregate.keeping, &count) {
                (Keeping::Set(_), Some(count)) => Arc::new(count.clone()),
                (Keeping::List(_), _) => new_null_array(list_type, groups_total),
                _ => aggregate.value(own, groups_total)?,
            });
            counts.push(count);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups_total));
        let grouped = RecordBatch::try_new_with_options(self.grouped.clone(), columns, &options)?;
        Ok(Some((grouped, counts)))
    }
}
