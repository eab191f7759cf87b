//! The join of events with a view's rows, by the whole key of the view: one row for each event, or none.
//!
//! The view is asked as it stands when the events are taken. Its columns are found by name and brought to the types that they had when the
//! pipeline was compiled, so that a new version of the view with more columns, or in another order, is read as before.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt64Array, new_null_array};
use arrow::compute::{
    CastOptions, cast_with_options, concat_batches, filter, is_not_null, not, nullif, prep_null_mask_filter, take,
};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, Rows};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use hashbrown::HashMap;

use super::flow::Flowing;
use super::joined::notes;
use super::trouble::Trouble;
use crate::fold::stage::Physical;
use crate::rows::keys::canonical;
use crate::view::ViewByName;
use crate::{GroupKey, Selection, View, ViewError};

/// A join with a view.
pub(super) struct Join {
    pub view: String,
    /// Whether an event without a row goes on all the same, with NULL in the view's columns.
    pub is_outer: bool,
    /// Over the events, what each column of the view's key must be, in the key's order.
    pub keys: Vec<Physical>,
    pub key_types: Vec<DataType>,
    /// Makes keys comparable.
    pub converter: RowConverter,
    /// What else must hold of an event and its row.
    pub residual: Option<Physical>,
    /// How many columns are the event's; the rest are the view's.
    pub left_columns: usize,
    /// The columns of both.
    pub schema: SchemaRef,
}

/// A view's rows of some keys, and for each event its row among them.
struct Found {
    rows: RecordBatch,
    places: Vec<Option<u64>>,
    /// For each event what was looked up.
    notes: StringArray,
}

impl Join {
    /// The events with their rows beside them.
    pub(super) fn joined(&self, mut events: Flowing, views: &ViewByName) -> Result<Flowing, Trouble> {
        let view = views(&self.view).ok_or_else(|| Trouble::Wait(format!("the view '{}' does not run", self.view)))?;
        let found = self.find(&events.rows, &view)?;
        let mut places = UInt64Array::from(found.places);
        events.notes.push(found.notes);
        if let Some(residual) = &self.residual {
            // A row that the rest of the condition does not want is as if it were not there.
            let both = self.beside(&events.rows, &found.rows, &places)?;
            let holds = residual.evaluate(&both)?.into_array(both.num_rows())?;
            let holds = holds.as_boolean();
            // Neither true nor false is no match, as anywhere in SQL.
            let misses = match holds.null_count() {
                0 => not(holds)?,
                _ => not(&prep_null_mask_filter(holds))?,
            };
            places = nullif(&places, &misses)?.as_primitive().clone();
        }
        if !self.is_outer {
            let keep = is_not_null(&places)?;
            events = events.kept(&keep)?;
            places = filter(&places, &keep)?.as_primitive().clone();
        }
        Ok(Flowing {
            rows: self.beside(&events.rows, &found.rows, &places)?,
            ..events
        })
    }

    /// Looks the rows of all events up at once.
    fn find(&self, events: &RecordBatch, view: &View) -> Result<Found, Trouble> {
        let count = events.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.keys.len());
        for (key, key_type) in self.keys.iter().zip(&self.key_types) {
            let values = key.evaluate(events)?.into_array(count)?;
            columns.push(converted(&values, key_type)?);
        }
        let wanted: Rows = self.converter.convert_columns(&canonical(&columns))?;
        let is_null = |row: usize| columns.iter().any(|column| column.is_null(row));
        let mut distinct: HashMap<&[u8], usize> = HashMap::new();
        let mut keys: Vec<GroupKey> = Vec::new();
        for row in (0..count).filter(|row| !is_null(*row)) {
            if distinct.contains_key(wanted.row(row).data()) {
                continue;
            }
            let values = columns.iter().map(|column| ScalarValue::try_from_array(column, row));
            let values = values.collect::<Result<Vec<ScalarValue>, DataFusionError>>()?;
            distinct.insert(wanted.row(row).data(), keys.len());
            keys.push(
                view.key(&values)
                    .map_err(|error| Trouble::Pipeline(error.to_string()))?,
            );
        }
        let read = view.read(&Selection::Keys(keys)).map_err(|error| match error {
            ViewError::Row { .. } => Trouble::Event(error.to_string()),
            _ => Trouble::Wait(error.to_string()),
        })?;
        let rows = concat_batches(&view.schema(), &read.batches)?;
        let shown = self.keys_shown(view, &rows)?;
        let by_key: HashMap<&[u8], u64> = (0..rows.num_rows())
            .map(|row| (shown.row(row).data(), row as u64))
            .collect();
        let place = |row: usize| match is_null(row) {
            true => None,
            false => by_key.get(wanted.row(row).data()).copied(),
        };
        let places = (0..count).map(place).collect();
        let notes = notes(view.definition(), &columns, count, &read.position)?;
        Ok(Found { rows, places, notes })
    }

    /// The keys of a view's rows.
    fn keys_shown(&self, view: &View, rows: &RecordBatch) -> Result<Rows, Trouble> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.keys.len());
        for (place, key_type) in view.key_columns().iter().zip(&self.key_types) {
            columns.push(converted(rows.column(*place), key_type)?);
        }
        if columns.len() != self.keys.len() {
            return Err(Trouble::Pipeline(format!(
                "the key of the view '{}' is not what it was when the pipeline was written: write the pipeline anew",
                self.view
            )));
        }
        Ok(self.converter.convert_columns(&canonical(&columns))?)
    }

    /// Events, and beside each the row at its place.
    fn beside(&self, events: &RecordBatch, rows: &RecordBatch, places: &UInt64Array) -> Result<RecordBatch, Trouble> {
        let mut columns: Vec<ArrayRef> = events.columns().to_vec();
        for field in self.schema.fields().iter().skip(self.left_columns) {
            let Some(column) = rows.column_by_name(field.name()) else {
                return Err(Trouble::Pipeline(format!(
                    "the view '{}' has no column '{}' any more: write the pipeline anew",
                    self.view,
                    field.name()
                )));
            };
            let column = match rows.num_rows() {
                0 => new_null_array(field.data_type(), places.len()),
                _ => converted(&take(column, places, None)?, field.data_type())?,
            };
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(events.num_rows()));
        // Before the rest of the condition is looked at, an inner join too has events without a row.
        let open = self
            .schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(open.collect::<Vec<_>>()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }
}

/// Values in another type; those that it does not have are NULL: they are no key of a row.
fn converted(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    match values.data_type() == wanted {
        true => Ok(Arc::clone(values)),
        false => cast_with_options(
            values,
            wanted,
            &CastOptions {
                safe: true,
                ..CastOptions::default()
            },
        ),
    }
}
