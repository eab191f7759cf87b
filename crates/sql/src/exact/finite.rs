//! Floats that are numbers stay numbers: a division by zero is 22012 and a result that is too large for a float 22003, as in PostgreSQL.
//!
//! An infinity or NaN that was there before goes on as one.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::logical_expr::Operator;

/// Checks what an operation made of its sides; anything but floats passes.
pub(crate) fn finite(
    operator: Operator,
    left: &dyn Datum,
    right: &dyn Datum,
    result: &ArrayRef,
) -> Result<(), ArrowError> {
    let Some(row) = first(result, |value| !value.is_finite())? else {
        return Ok(());
    };
    // Most results are finite: the sides are looked at from the first on that is not.
    let (left, right) = (Side::of(left)?, Side::of(right)?);
    let results = as_floats(result)?;
    let results = results.as_primitive::<Float64Type>();
    for row in row..results.len() {
        if results.is_null(row) || results.value(row).is_finite() {
            continue;
        }
        let (left, right) = (left.at(row), right.at(row));
        if operator == Operator::Divide && right == 0.0 && !left.is_nan() {
            return Err(ArrowError::DivideByZero);
        }
        if left.is_finite() && right.is_finite() {
            let message = format!("Overflow happened on: {left:?} {operator} {right:?}");
            return Err(ArrowError::ArithmeticOverflow(message));
        }
    }
    Ok(())
}

/// The first row whose value meets a condition; none of anything but floats.
pub(super) fn first(values: &ArrayRef, is_met: impl Fn(f64) -> bool) -> Result<Option<usize>, ArrowError> {
    if !values.data_type().is_floating() {
        return Ok(None);
    }
    let values = as_floats(values)?;
    let values = values.as_primitive::<Float64Type>();
    // What stands below a NULL may be anything.
    Ok((0..values.len()).find(|row| is_met(values.value(*row)) && values.is_valid(*row)))
}

pub(super) fn as_floats(values: &dyn Array) -> Result<ArrayRef, ArrowError> {
    cast(values, &DataType::Float64)
}

/// One side of an operation: a value for each row, or one for all.
struct Side {
    values: ArrayRef,
    is_scalar: bool,
}

impl Side {
    fn of(side: &dyn Datum) -> Result<Side, ArrowError> {
        let (values, is_scalar) = side.get();
        Ok(Side {
            values: as_floats(values)?,
            is_scalar,
        })
    }

    fn at(&self, row: usize) -> f64 {
        let row = if self.is_scalar { 0 } else { row };
        self.values.as_primitive::<Float64Type>().value(row)
    }
}
