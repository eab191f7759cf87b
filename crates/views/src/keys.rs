//! The bytes of keys, in their order.
//!
//! Invariants
//! - Keys compare as their columns do, one after another: texts by their bytes, everything else by value, NULL behind everything.
//! - No key is the beginning of another, and the bytes of a key's first columns are the beginning of its own.
//! - What SQL holds to be equal has one key: zero with either sign, and whatever is no number.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;

use crate::{GroupKey, View, ViewError};

/// How columns of these types become the bytes of a key, by [`arrow::row`].
pub fn key_fields<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Vec<SortField> {
    let options = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let field = |key_type: &DataType| SortField::new_with_options(key_type.clone(), options);
    types.into_iter().map(field).collect()
}

/// The values of columns as keys have them.
pub(crate) fn canonical(columns: &[ArrayRef]) -> Cow<'_, [ArrayRef]> {
    let is_floating = |column: &ArrayRef| matches!(column.data_type(), DataType::Float32 | DataType::Float64);
    if !columns.iter().any(is_floating) {
        return Cow::Borrowed(columns);
    }
    let one = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Float32 => {
                let one = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
                let values: PrimitiveArray<Float32Type> = column.as_primitive::<Float32Type>().unary(one);
                Arc::new(values)
            }
            DataType::Float64 => {
                let one = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
                let values: PrimitiveArray<Float64Type> = column.as_primitive::<Float64Type>().unary(one);
                Arc::new(values)
            }
            _ => Arc::clone(column),
        }
    };
    Cow::Owned(columns.iter().map(one).collect())
}

impl View {
    /// What the keys of all rows begin with that have these values in the first columns of their key. A value may be NULL.
    pub fn key_beginning(&self, values: &[ScalarValue]) -> Result<Vec<u8>, ViewError> {
        let types = self.query.key_types.get(..values.len()).ok_or_else(|| {
            ViewError::Failed(format!(
                "{} values were given, the key has {}",
                values.len(),
                self.query.key_types.len()
            ))
        })?;
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(values.len());
        for (value, key_type) in values.iter().zip(types) {
            columns.push(value.cast_to(key_type)?.to_array_of_size(1)?);
        }
        let failed = |error: arrow::error::ArrowError| ViewError::Failed(error.to_string());
        let converter = RowConverter::new(key_fields(types)).map_err(failed)?;
        let rows = converter.convert_columns(&canonical(&columns)).map_err(failed)?;
        Ok(rows.row(0).data().to_vec())
    }

    /// The keys of rows in the view's output schema, which show them.
    pub fn keys_of(&self, rows: &RecordBatch) -> Result<Vec<GroupKey>, ViewError> {
        if self.query.is_global() {
            return Ok(vec![GroupKey(Vec::new()); rows.num_rows()]);
        }
        let failed = |error: arrow::error::ArrowError| ViewError::Failed(error.to_string());
        let columns = rows.project(&self.query.key_columns).map_err(failed)?;
        let converter = RowConverter::new(key_fields(&self.query.key_types)).map_err(failed)?;
        let keys = converter
            .convert_columns(&canonical(columns.columns()))
            .map_err(failed)?;
        Ok(keys.iter().map(|key| GroupKey(key.data().to_vec())).collect())
    }
}
