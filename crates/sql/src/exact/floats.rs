//! A decimal that becomes a float is the float that its digits name: `1e10` and `3.3333333333333335` are equal to themselves. (The query engine
//! divides by a power of ten, and is off by a bit at times.)

use std::fmt::Display;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type};
use datafusion::common::Result;

/// Whole numbers up to here are floats, digit for digit.
const WHOLE_MAX: u128 = 1 << 53;
/// So is ten to each power up to here.
const POWER_MAX: i8 = 22;

/// The floats of decimals.
pub(crate) fn floats(decimals: &ArrayRef) -> Result<ArrayRef> {
    let floats: Float64Array = match decimals.data_type() {
        DataType::Decimal128(_, scale) => {
            let numbers = decimals.as_primitive::<Decimal128Type>().iter();
            numbers
                .map(|number| number.map(|number| float(number, *scale)))
                .collect()
        }
        DataType::Decimal256(_, scale) => {
            let numbers = decimals.as_primitive::<Decimal256Type>().iter();
            numbers
                .map(|number| number.map(|number| written(number, *scale)))
                .collect()
        }
        _ => return Ok(cast(decimals, &DataType::Float64)?),
    };
    Ok(Arc::new(floats))
}

fn float(number: i128, scale: i8) -> f64 {
    // Both are exact, so that their quotient is the nearest float.
    if (0..=POWER_MAX).contains(&scale) && number.unsigned_abs() <= WHOLE_MAX {
        return number as f64 / 10f64.powi(scale.into());
    }
    written(number, scale)
}

/// A number and an exponent are always a float.
fn written(number: impl Display, scale: i8) -> f64 {
    format!("{number}e{}", -i16::from(scale)).parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_is_the_one_that_the_digits_name() {
        for (number, scale, expected) in [
            (0, 0, 0.0),
            (1, -10, 1e10),
            (9, -18, 9e18),
            (33_333_333_333_333_335, 16, 3.3333333333333335),
            (12_345_678_912_345_678, 8, 123_456_789.123_456_78),
            (-725, 2, -7.25),
            (1, 38, 1e-38),
            (i128::from(i64::MAX), 0, 9_223_372_036_854_775_807.0),
        ] {
            assert_eq!(
                float(number, scale).to_bits(),
                f64::to_bits(expected),
                "{number}e-{scale}"
            );
        }
    }
}
