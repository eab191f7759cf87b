//! Working a compiled question out: keys, rows, expressions over one row.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, new_null_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use headwater_views::{Found, GroupKey, View, caught};

use super::Parameters;
use super::environment::{Physical, holds, of_type, row, value};
use super::lookup::Lookup;
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::{Reads, Session, SqlError, SqlState, ViewRead};

/// A question that is worked out without a plan.
pub(super) struct Direct {
    pub(super) schema: SchemaRef,
    /// The functions whose values are the time, in the order of their columns.
    pub(super) moments: Vec<String>,
    /// What lookups see.
    pub(super) environment: SchemaRef,
    /// What everything else sees.
    pub(super) full: SchemaRef,
    pub(super) lookups: Vec<Lookup>,
    pub(super) body: Body,
}

/// What the answer is made of.
pub(super) enum Body {
    /// One row, or none where the condition does not hold.
    Row {
        condition: Option<Physical>,
        row: Vec<Physical>,
    },
    /// These rows.
    Values(Vec<Vec<Physical>>),
    /// The value of the one lookup, where there is a row.
    Found,
}

/// One view that is read: for each key, what was found, all at one position.
struct Looked<'a> {
    view: &'a Arc<View>,
    keys: Vec<GroupKey>,
    found: Found,
}

impl Direct {
    /// The columns of the answer.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the views are still those that it was compiled for.
    pub(super) fn is_current(&self, inner: &Inner) -> bool {
        let is_same = |lookup: &Lookup| {
            let now = inner.views.get(&lookup.name);
            now.is_some_and(|now| Arc::ptr_eq(&now, &lookup.view))
        };
        self.lookups.iter().all(is_same)
    }

    /// The answer, and what was read.
    pub(super) async fn ask(
        &self,
        inner: &Inner,
        session: &Session,
        parameters: &Parameters,
    ) -> Result<(RecordBatch, Reads), SqlError> {
        let now_us = session.now_us.unwrap_or_else(|| inner.log.now_us());
        let environment = self.environment(now_us, &parameters.arrays()?)?;
        let mut keys: Vec<Option<GroupKey>> = Vec::with_capacity(self.lookups.len());
        for lookup in &self.lookups {
            keys.push(caught(|| lookup.key(&environment))?);
        }
        let looked = self.look(inner, session, &keys).await?;
        let answer = caught(|| self.answer(&environment, &keys, &looked))?;
        let views = looked.into_iter().map(|looked| ViewRead {
            view: Arc::clone(looked.view),
            position: looked.found.position,
            keys: Some(looked.keys),
            rows: looked
                .found
                .rows
                .iter()
                .flatten()
                .map(|row| looked.view.without_lists(row))
                .collect(),
        });
        let reads = Reads {
            views: views.collect(),
            streams: Vec::new(),
        };
        Ok((answer, reads))
    }

    /// The views and keys that are looked up, for parameters of which the last may be missing.
    pub(super) fn keys(&self, now_us: i64, parameters: &Parameters) -> Result<Vec<(String, GroupKey)>, SqlError> {
        let mut arrays = parameters.arrays()?;
        let wanted = self.environment.fields().iter().take(self.parameters());
        for field in wanted.skip(arrays.len()) {
            arrays.push(new_null_array(field.data_type(), 1));
        }
        let environment = self.environment(now_us, &arrays)?;
        let mut keys: Vec<(String, GroupKey)> = Vec::with_capacity(self.lookups.len());
        for lookup in &self.lookups {
            keys.extend(caught(|| lookup.key(&environment))?.map(|key| (lookup.name.clone(), key)));
        }
        Ok(keys)
    }

    /// How many parameters it has.
    fn parameters(&self) -> usize {
        self.environment.fields().len() - self.moments.len()
    }

    fn environment(&self, now_us: i64, parameters: &[ArrayRef]) -> Result<RecordBatch, SqlError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.environment.fields().len());
        let types = self.environment.fields().iter().map(|field| field.data_type());
        let mut types = types.into_iter();
        let wanted = self.parameters();
        if parameters.len() < wanted {
            let message = format!("{} values were given for {wanted} parameters", parameters.len());
            return Err(SqlError::new(SqlState::PARAMETERS, message));
        }
        for (parameter, data_type) in parameters.iter().take(wanted).zip(types.by_ref()) {
            columns.push(of_type(parameter, data_type)?);
        }
        if !self.moments.is_empty() {
            let now = ScalarValue::TimestampMicrosecond(Some(now_us), Some("+00:00".into()));
            for data_type in types {
                columns.push(now.cast_to(data_type)?.to_array()?);
            }
        }
        Ok(row(&self.environment, columns)?)
    }

    /// Reads each view once, as far as the session wants it to have got.
    async fn look<'a>(
        &'a self,
        inner: &Inner,
        session: &Session,
        keys: &[Option<GroupKey>],
    ) -> Result<Vec<Looked<'a>>, SqlError> {
        let mut wanted: Vec<(&'a Lookup, Vec<GroupKey>)> = Vec::new();
        for (lookup, key) in self.lookups.iter().zip(keys) {
            let known = wanted.iter_mut().find(|(other, _)| other.name == lookup.name);
            let keys = match known {
                Some((_, keys)) => keys,
                None => {
                    wanted.push((lookup, Vec::new()));
                    let (_, keys) = wanted.last_mut().ok_or_else(nothing_wanted)?;
                    keys
                }
            };
            if let Some(key) = key
                && !keys.contains(key)
            {
                keys.push(key.clone());
            }
        }
        let mut looked: Vec<Looked<'a>> = Vec::with_capacity(wanted.len());
        for (lookup, keys) in wanted {
            let view = &lookup.view;
            if let Some(after) = &session.after {
                let wait_max = session.timeout.unwrap_or(inner.options.wait_max);
                view.wait_for(after, wait_max).await?;
            }
            let found = match view.find_resident(&keys)? {
                Some(found) => found,
                None => {
                    let (view, keys) = (Arc::clone(view), keys.clone());
                    off_thread(move || view.find(&keys)).await?
                }
            };
            looked.push(Looked { view, keys, found });
        }
        Ok(looked)
    }

    fn answer(
        &self,
        environment: &RecordBatch,
        keys: &[Option<GroupKey>],
        looked: &[Looked<'_>],
    ) -> Result<RecordBatch, SqlError> {
        let mut values: Vec<(ScalarValue, bool)> = Vec::with_capacity(self.lookups.len());
        for (lookup, key) in self.lookups.iter().zip(keys) {
            let read = looked.iter().find(|looked| Arc::ptr_eq(looked.view, &lookup.view));
            let found = match (read, key) {
                (Some(read), Some(key)) => {
                    let place = read.keys.iter().position(|known| known == key);
                    place
                        .and_then(|place| read.found.rows.get(place))
                        .and_then(Option::as_ref)
                }
                _ => None,
            };
            values.push(lookup.value(environment, found)?);
        }
        if let Body::Found = &self.body {
            return Ok(match values.into_iter().next() {
                Some((value, true)) => self.rows(vec![vec![value]])?,
                _ => RecordBatch::new_empty(Arc::clone(&self.schema)),
            });
        }
        let mut columns: Vec<ArrayRef> = environment.columns().to_vec();
        for (value, _) in values {
            columns.push(value.to_array()?);
        }
        let full = row(&self.full, columns)?;
        let mut rows: Vec<Vec<ScalarValue>> = Vec::new();
        match &self.body {
            Body::Found => {}
            Body::Row { condition, row } => {
                let is_there = match condition {
                    Some(condition) => holds(condition, &full)?,
                    None => true,
                };
                if is_there {
                    rows.push(row.iter().map(|expr| value(expr, &full)).collect::<Result<_>>()?);
                }
            }
            Body::Values(all) => {
                for row in all {
                    rows.push(row.iter().map(|expr| value(expr, &full)).collect::<Result<_>>()?);
                }
            }
        }
        self.rows(rows)
    }

    /// Rows of values as the answer's columns.
    fn rows(&self, rows: Vec<Vec<ScalarValue>>) -> Result<RecordBatch, SqlError> {
        if rows.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (place, field) in self.schema.fields().iter().enumerate() {
            let mut values: Vec<ScalarValue> = Vec::with_capacity(rows.len());
            for row in &rows {
                let value = row.get(place).cloned().unwrap_or(ScalarValue::Null);
                values.push(match value.data_type() == *field.data_type() {
                    true => value,
                    false => value.cast_to(field.data_type())?,
                });
            }
            columns.push(match values.as_slice() {
                [one] => one.to_array()?,
                _ => ScalarValue::iter_to_array(values)?,
            });
        }
        let options = datafusion::arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        Ok(batch.map_err(datafusion::common::DataFusionError::from)?)
    }
}

fn nothing_wanted() -> SqlError {
    SqlError::new(SqlState::INTERNAL, "a lookup wants no view")
}
