//! The bytes of keys, in their order.
//!
//! Invariants
//! - Keys compare as their columns do, one after another: texts by their bytes, everything else by value, NULL behind everything.
//! - No key is the beginning of another, and the bytes of a key's first columns are the beginning of its own.

use arrow::array::ArrayRef;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;

use crate::{GroupKey, View, ViewError};

/// How columns of these types become the bytes of a key.
pub(crate) fn key_fields<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Vec<SortField> {
    let options = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let field = |key_type: &DataType| SortField::new_with_options(key_type.clone(), options);
    types.into_iter().map(field).collect()
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
        let rows = converter.convert_columns(&columns).map_err(failed)?;
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
        let keys = converter.convert_columns(columns.columns()).map_err(failed)?;
        Ok(keys.iter().map(|key| GroupKey(key.data().to_vec())).collect())
    }
}
