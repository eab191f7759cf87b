//! From rows to the documents of their index.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, PrimitiveArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use headwater_stores::search::{Document, Field, FieldKind, Value};

use super::fields::of_list;
use crate::ViewError;

/// The values of rows, by field.
pub(super) struct Documents {
    fields: Vec<Cells>,
}

/// The values of one field.
enum Cells {
    Texts(StringArray),
    /// Lists of texts.
    Lists(Vec<Option<StringArray>>),
    Narrow(Int64Array),
    Wide(PrimitiveArray<Decimal128Type>),
    Floats(Float64Array),
}

/// Takes the values of the fields out of rows.
pub(super) fn documents(fields: &[Field], columns: &[usize], rows: &RecordBatch) -> Result<Documents, ViewError> {
    let cells = |(field, column): (&Field, &usize)| cells(&field.kind, rows.column(*column));
    let fields: Result<Vec<Cells>, ArrowError> = fields.iter().zip(columns).map(cells).collect();
    match fields {
        Ok(fields) => Ok(Documents { fields }),
        Err(error) => Err(ViewError::Failed(error.to_string())),
    }
}

fn cells(kind: &FieldKind, column: &ArrayRef) -> Result<Cells, ArrowError> {
    Ok(match kind {
        FieldKind::Text(_) | FieldKind::Keyword if of_list(column.data_type()) != column.data_type() => {
            Cells::Lists(lists(column)?)
        }
        FieldKind::Text(_) | FieldKind::Keyword => Cells::Texts(texts(column)?),
        FieldKind::Whole { is_wide: false, .. } => Cells::Narrow(narrow(column)?),
        FieldKind::Whole { is_wide: true, .. } => Cells::Wide(wide(column)?),
        FieldKind::Float { .. } => Cells::Floats(
            strictly(column, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .clone(),
        ),
    })
}

/// A value that the type cannot hold is an error, not NULL.
fn strictly(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, data_type, &options)
}

fn texts(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn lists(column: &ArrayRef) -> Result<Vec<Option<StringArray>>, ArrowError> {
    let value = |row: usize| -> Result<Option<StringArray>, ArrowError> {
        if column.is_null(row) {
            return Ok(None);
        }
        let values = match column.data_type() {
            DataType::LargeList(_) => column.as_list::<i64>().value(row),
            _ => column.as_list::<i32>().value(row),
        };
        texts(&values).map(Some)
    };
    (0..column.len()).map(value).collect()
}

/// Whole numbers of 64 bits: integers, days, microseconds, decimals in units of their last digit.
fn narrow(column: &ArrayRef) -> Result<Int64Array, ArrowError> {
    let numbers = match column.data_type() {
        DataType::Decimal128(..) => {
            let decimals = column.as_primitive::<Decimal128Type>();
            // Its digits are few enough, as its type says.
            return decimals.try_unary(|value| {
                i64::try_from(value)
                    .map_err(|_| ArrowError::CastError(format!("{value} has more digits than its type")))
            });
        }
        DataType::Date32 => cast(column, &DataType::Int32)?,
        DataType::Timestamp(_, zone) => {
            let micros = strictly(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            cast(&micros, &DataType::Int64)?
        }
        _ => column.clone(),
    };
    Ok(strictly(&numbers, &DataType::Int64)?
        .as_primitive::<Int64Type>()
        .clone())
}

fn wide(column: &ArrayRef) -> Result<PrimitiveArray<Decimal128Type>, ArrowError> {
    let decimals = match column.data_type() {
        DataType::Decimal128(..) => column.clone(),
        _ => strictly(column, &DataType::Decimal128(38, 0))?,
    };
    Ok(decimals.as_primitive::<Decimal128Type>().clone())
}

impl Documents {
    /// The document of the row at a place.
    pub(super) fn of(&self, key: &[u8], row: usize) -> Document {
        let mut values: Vec<(usize, Value)> = Vec::new();
        for (place, cells) in self.fields.iter().enumerate() {
            cells.put(row, |value| values.push((place, value)));
        }
        Document {
            key: key.to_vec(),
            values,
        }
    }
}

impl Cells {
    fn put(&self, row: usize, mut put: impl FnMut(Value)) {
        match self {
            Cells::Texts(texts) if texts.is_valid(row) => put(Value::Text(texts.value(row).to_owned())),
            Cells::Lists(lists) => {
                let texts = lists
                    .get(row)
                    .into_iter()
                    .flatten()
                    .flat_map(StringArray::iter)
                    .flatten();
                texts.for_each(|text| put(Value::Text(text.to_owned())));
            }
            Cells::Narrow(numbers) if numbers.is_valid(row) => put(Value::Whole(i128::from(numbers.value(row)))),
            Cells::Wide(numbers) if numbers.is_valid(row) => put(Value::Whole(numbers.value(row))),
            Cells::Floats(numbers) if numbers.is_valid(row) => put(Value::Float(numbers.value(row))),
            Cells::Texts(_) | Cells::Narrow(_) | Cells::Wide(_) | Cells::Floats(_) => {}
        }
    }
}
