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
use arrow::row::SortField;

/// The bytes of a group's key: equal groups have equal bytes, in the order of the key's columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub Vec<u8>);

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
