//! A compiled question worked out for many callers at once, each with values of its own: one row of columns for each of them.
//!
//! ```text
//! callers' values ─ keys of the rows to be looked up ─ (whoever asks finds the rows) ─ answer: rows, and whose each of them is
//! ```
//!
//! It gives what [`super::run`] gives each of them alone, at the moment that is now for it. What cannot be worked out for one of them fails for all:
//! whoever asks then asks for each alone.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat_batches, nullif, take, take_record_batch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DataFusionError, Result};
use headwater_views::{GroupKey, View, caught};

use super::Prepared;
use super::environment::Physical;
use super::lookup::Lookup;
use super::run::{Body, Direct};
use crate::inner::Inner;
use crate::{Engine, SqlError, SqlState};

/// The values of `$1`, `$2`, … of many callers: a column for each parameter, a row for each caller.
#[derive(Debug, Clone)]
pub struct Callers {
    columns: Vec<ArrayRef>,
    /// What `now()` says to each.
    moments: ArrayRef,
}

impl Callers {
    /// For each caller what `now()` says, microseconds since 1970, and a column for each parameter.
    pub fn new(now_us: Vec<i64>, columns: Vec<ArrayRef>) -> Callers {
        let moments = Arc::new(TimestampMicrosecondArray::from(now_us).with_timezone("+00:00"));
        Callers { columns, moments }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.moments.len()
    }

    /// The columns.
    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    /// One more column.
    pub fn push(&mut self, column: ArrayRef) {
        self.columns.push(column);
    }

    /// Only these of them.
    pub fn only(&self, callers: &[u32]) -> Result<Callers, SqlError> {
        let callers = UInt32Array::from(callers.to_vec());
        let columns = self.columns.iter().map(|column| take(column, &callers, None));
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>();
        Ok(Callers {
            columns: columns.map_err(DataFusionError::from)?,
            moments: take(&self.moments, &callers, None).map_err(DataFusionError::from)?,
        })
    }
}

/// One lookup: the view, and the key for each caller; `None` where no row's key equals what is looked for.
pub struct Sought {
    /// The view.
    pub view: Arc<View>,
    /// For each caller.
    pub keys: Vec<Option<GroupKey>>,
}

/// What was found of one lookup: rows of the view, and for each caller the place of its own among them.
pub struct Rows {
    /// The rows.
    pub rows: RecordBatch,
    /// For each caller.
    pub places: Vec<Option<u32>>,
}

/// The answer to all: rows, and for each row whose it is, in the order of the callers.
pub struct Answer {
    /// The rows.
    pub rows: RecordBatch,
    /// For each row the number of its caller.
    pub owners: Vec<u32>,
}

impl Engine {
    /// What a question looks up for its callers, in order. Of the last parameters their values may be missing: then they are NULL.
    pub fn sought(&self, prepared: &Prepared, callers: &Callers) -> Result<Vec<Sought>, SqlError> {
        let direct = direct(&self.inner, prepared)?;
        if direct.lookups.is_empty() {
            return Ok(Vec::new());
        }
        let environment = direct.environment_of(callers)?;
        let mut sought: Vec<Sought> = Vec::with_capacity(direct.lookups.len());
        for lookup in &direct.lookups {
            sought.push(Sought {
                view: Arc::clone(&lookup.view),
                keys: caught(|| lookup.keys(&environment))?,
            });
        }
        Ok(sought)
    }

    /// The answer for all callers, from what was found of each lookup.
    pub fn answers(&self, prepared: &Prepared, callers: &Callers, found: &[Rows]) -> Result<Answer, SqlError> {
        let direct = direct(&self.inner, prepared)?;
        let environment = direct.environment_of(callers)?;
        Ok(caught(|| direct.answers(&environment, found))?)
    }
}

fn direct<'a>(inner: &Inner, prepared: &'a Prepared) -> Result<&'a Direct, SqlError> {
    let direct = prepared.direct.as_deref().filter(|direct| direct.is_current(inner));
    // The same as of a view that was replaced: it is asked for each alone.
    direct.ok_or_else(|| SqlError::new(SqlState::CONFLICT, "the question takes a plan"))
}

impl Direct {
    fn environment_of(&self, callers: &Callers) -> Result<RecordBatch> {
        let wanted = self.environment.fields().len() - self.moments.len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.environment.fields().len());
        for (place, field) in self.environment.fields().iter().enumerate() {
            columns.push(match callers.columns.get(place) {
                _ if place >= wanted => as_type(&callers.moments, field.data_type())?,
                Some(given) => as_type(given, field.data_type())?,
                None => new_null_array(field.data_type(), callers.count()),
            });
        }
        rows_of(&self.environment, columns, callers.count())
    }

    fn answers(&self, environment: &RecordBatch, found: &[Rows]) -> Result<Answer> {
        let count = environment.num_rows();
        let mut values: Vec<(ArrayRef, BooleanArray)> = Vec::with_capacity(found.len());
        for (lookup, found) in self.lookups.iter().zip(found) {
            values.push(lookup.values(environment, found)?);
        }
        if let Body::Found = &self.body {
            let Some((values, is_there)) = values.into_iter().next() else {
                return self.rows_shown(Vec::new(), Vec::new());
            };
            let owners: Vec<u32> = (0..count as u32)
                .filter(|place| is_there.value(*place as usize))
                .collect();
            let values = take(&values, &UInt32Array::from(owners.clone()), None)?;
            return self.rows_shown(vec![values], owners);
        }
        let mut columns: Vec<ArrayRef> = environment.columns().to_vec();
        columns.extend(values.into_iter().map(|(values, _)| values));
        let full = rows_of(&self.full, columns, count)?;
        match &self.body {
            Body::Found => self.rows_shown(Vec::new(), Vec::new()),
            Body::Row { condition, row } => {
                let mut owners: Vec<u32> = (0..count as u32).collect();
                let mut own = full;
                if let Some(condition) = condition {
                    let holds = truths(condition, &own)?;
                    owners.retain(|place| holds[*place as usize]);
                    if owners.len() < count {
                        own = take_record_batch(&own, &UInt32Array::from(owners.clone()))?;
                    }
                }
                self.rows_shown(evaluated(row, &own)?, owners)
            }
            Body::Values(all) => {
                let mut batches: Vec<RecordBatch> = Vec::with_capacity(all.len());
                for row in all {
                    let owners = (0..count as u32).collect();
                    batches.push(self.rows_shown(evaluated(row, &full)?, owners)?.rows);
                }
                // Caller by caller, as each alone would have them.
                let rows = concat_batches(&self.schema, &batches)?;
                let places = (0..count).flat_map(|caller| (0..all.len()).map(move |row| (row * count + caller) as u32));
                let owners = (0..count as u32).flat_map(|caller| std::iter::repeat_n(caller, all.len()));
                Ok(Answer {
                    rows: take_record_batch(&rows, &UInt32Array::from_iter_values(places))?,
                    owners: owners.collect(),
                })
            }
        }
    }

    /// Columns as the answer has them.
    fn rows_shown(&self, columns: Vec<ArrayRef>, owners: Vec<u32>) -> Result<Answer> {
        if owners.is_empty() {
            let rows = RecordBatch::new_empty(Arc::clone(&self.schema));
            return Ok(Answer { rows, owners });
        }
        let fields = self.schema.fields().iter();
        let columns = columns
            .iter()
            .zip(fields)
            .map(|(column, field)| as_type(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        Ok(Answer {
            rows: rows_of(&self.schema, columns, owners.len())?,
            owners,
        })
    }
}

impl Lookup {
    /// The keys for the rows of an environment.
    fn keys(&self, environment: &RecordBatch) -> Result<Vec<Option<GroupKey>>> {
        let count = environment.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.key.len());
        let mut is_null = vec![false; count];
        for (expr, data_type) in self.key.iter().zip(&self.key_types) {
            let found = expr.evaluate(environment)?.into_array(count)?;
            if let Some(nulls) = found.logical_nulls() {
                (0..count).for_each(|row| is_null[row] |= nulls.is_null(row));
            }
            columns.push(as_type(&found, data_type)?);
        }
        let keys = self.view.keys_of_each(count, &columns).map_err(SqlError::from)?;
        Ok(keys
            .into_iter()
            .zip(is_null)
            .map(|(key, is_null)| (!is_null).then_some(key))
            .collect())
    }

    /// What comes of it for each caller, and whether there is a row for it: see [`Lookup::value`].
    fn values(&self, environment: &RecordBatch, found: &Rows) -> Result<(ArrayRef, BooleanArray)> {
        let places = UInt32Array::from(found.places.clone());
        let mut columns: Vec<ArrayRef> = environment.columns().to_vec();
        for column in found.rows.columns() {
            columns.push(take(column, &places, None)?);
        }
        let rows = rows_of(&self.schema, columns, environment.num_rows())?;
        let mut is_there: Vec<bool> = found.places.iter().map(Option::is_some).collect();
        for filter in &self.filters {
            let holds = truths(filter, &rows)?;
            is_there
                .iter_mut()
                .zip(holds)
                .for_each(|(is_there, holds)| *is_there &= holds);
        }
        let is_there = BooleanArray::from(is_there);
        let values: ArrayRef = match &self.value {
            Some(value) => {
                let values = value.evaluate(&rows)?.into_array(rows.num_rows())?;
                nullif(&values, &datafusion::arrow::compute::not(&is_there)?)?
            }
            None => Arc::new(is_there.clone()),
        };
        Ok((values, is_there))
    }
}

/// For each row whether a condition is true.
fn truths(condition: &Physical, rows: &RecordBatch) -> Result<Vec<bool>> {
    let holds = condition.evaluate(rows)?.into_array(rows.num_rows())?;
    match holds.as_boolean_opt() {
        Some(holds) => Ok(holds.iter().map(|holds| holds == Some(true)).collect()),
        // The type of NULL: it holds for nobody.
        None => Ok(vec![false; rows.num_rows()]),
    }
}

fn evaluated(row: &[Physical], rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let columns = row.iter().map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()));
    columns.collect()
}

/// A column as a type has it; a value that does not fit is an error.
fn as_type(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(column, data_type, &options)?)
}

fn rows_of(schema: &SchemaRef, columns: Vec<ArrayRef>, count: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let rows = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options);
    Ok(rows?)
}
