//! Small answers built by hand: rows of texts and numbers.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use jiff::Timestamp;

use crate::{Outcome, SqlError};

/// A value of a small answer.
pub(super) enum Cell {
    Text(Option<String>),
    Whole(Option<i64>),
    Fraction(Option<f64>),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Cell {
        Cell::Text(Some(text.into()))
    }

    pub(super) fn whole(number: u64) -> Cell {
        Cell::Whole(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

/// The columns of a small answer: name and type.
pub(super) fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// The answer.
pub(super) fn answer(schema: SchemaRef, rows: Vec<Vec<Cell>>) -> Result<Outcome, SqlError> {
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        let cells = rows.iter().map(|row| row.get(index));
        let array: ArrayRef = match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
                Some(Cell::Whole(number)) => *number,
                _ => None,
            }))),
            DataType::Float64 => Arc::new(Float64Array::from_iter(cells.map(|cell| match cell {
                Some(Cell::Fraction(number)) => *number,
                _ => None,
            }))),
            _ => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                Some(Cell::Text(text)) => text.clone(),
                _ => None,
            }))),
        };
        columns.push(array);
    }
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(DataFusionError::from)?;
    let rows = futures::stream::iter([Ok(batch)]);
    Ok(Outcome::Rows {
        schema: Arc::clone(&schema),
        rows: Box::pin(RecordBatchStreamAdapter::new(schema, rows)),
        position: None,
        seen: None,
    })
}

/// A moment as it is shown.
pub(super) fn moment(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string())
}
