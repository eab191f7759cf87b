//! Division of decimals, rounded to at least sixteen digits behind the point where there is room for them, as PostgreSQL's numeric is.
//!
//! The query engine keeps four digits more than the dividend has and cuts off what follows. A quotient here has as many as 38 digits hold beside the largest
//! whole part there may be; one that is larger is an error.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array, Decimal256Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType, i256,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature};
use datafusion::physical_expr_common::datum::apply;

/// The digits behind the point that a quotient has at least, where there is room.
const DIGITS: i8 = 16;

/// The digits that the query engine gives it, which are there also where there is less room.
const DIGITS_MORE: i8 = 4;

/// The type of a quotient; `None` where not both are exact numbers, or neither is a decimal.
pub(crate) fn quotient(dividend: &DataType, divisor: &DataType) -> Option<DataType> {
    if !dividend.is_decimal() && !divisor.is_decimal() {
        return None;
    }
    let is_wide = [dividend, divisor]
        .into_iter()
        .any(|side| matches!(side, DataType::Decimal256(..)));
    let max = if is_wide {
        DECIMAL256_MAX_PRECISION
    } else {
        DECIMAL128_MAX_PRECISION
    } as i8;
    let ((digits, scale), (divisor_digits, divisor_scale)) = (exact(dividend)?, exact(divisor)?);
    if digits.max(divisor_digits) as i8 > max {
        return None;
    }
    // As many before the point as the dividend has, over the smallest divisor.
    let whole = (digits as i8).checked_sub(scale)?.checked_add(divisor_scale)?;
    let wanted = DIGITS.max(scale).max(divisor_scale);
    let least = wanted.min(scale.checked_add(DIGITS_MORE)?);
    let behind = wanted.min(max.saturating_sub(whole)).max(least).min(max);
    let digits = whole.saturating_add(behind).clamp(1, max) as u8;
    Some(match is_wide {
        true => DataType::Decimal256(digits, behind),
        false => DataType::Decimal128(digits, behind),
    })
}

/// The digits of an exact number, and how many of them are behind the point.
fn exact(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) if *scale >= 0 => {
            Some((*digits, *scale))
        }
        // `1e2`
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            Some((digits.checked_add(scale.unsigned_abs())?, 0))
        }
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        _ => None,
    }
}

/// `/` of exact numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Division(pub(crate) Signature);

impl ScalarUDFImpl for Division {
    fn name(&self) -> &str {
        super::DIVISION
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("{} / {}", left.schema_name(), right.schema_name())),
            _ => plan_err!("'/' has two sides"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [dividend, divisor] => match quotient(dividend, divisor) {
                Some(data_type) => Ok(data_type),
                None => plan_err!("{dividend} / {divisor} is no division of exact numbers"),
            },
            _ => plan_err!("'/' has two sides"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return plan_err!("'/' has two sides");
        };
        let result = args.return_field.data_type();
        apply(left, right, |left, right| divided(left, right, result))
    }
}

pub(super) fn divided(left: &dyn Datum, right: &dyn Datum, result: &DataType) -> Result<ArrayRef, ArrowError> {
    let ((left, left_is_one), (right, right_is_one)) = (left.get(), right.get());
    let rows = if left_is_one { right.len() } else { left.len() };
    // So many zeros more than the dividend has.
    let zeros = |scale: i8| -> Result<u32, ArrowError> {
        let (_, of_left) = exact(left.data_type()).unwrap_or_default();
        let (_, of_right) = exact(right.data_type()).unwrap_or_default();
        u32::try_from(scale + of_right - of_left).map_err(|_| out_of_range())
    };
    match result {
        DataType::Decimal128(digits, scale) => {
            let (left, right) = (narrow(left)?, narrow(right)?);
            let factor = i256::from_i128(10)
                .checked_pow(zeros(*scale)?)
                .ok_or_else(out_of_range)?;
            let small = factor.to_i128();
            let one = |row: usize| {
                let (dividend, divisor) = (left.value(at(row, left_is_one)), right.value(at(row, right_is_one)));
                let scaled = small.and_then(|factor| dividend.checked_mul(factor));
                let quotient = match scaled {
                    Some(scaled) => half_away(scaled, divisor)?,
                    None => {
                        let scaled = i256::from_i128(dividend).checked_mul(factor).ok_or_else(out_of_range)?;
                        half_away_wide(scaled, i256::from_i128(divisor))?
                            .to_i128()
                            .ok_or_else(out_of_range)?
                    }
                };
                Decimal128Type::validate_decimal_precision(quotient, *digits, *scale)?;
                Ok(quotient)
            };
            let quotients = each(rows, (&left, left_is_one), (&right, right_is_one), one)?;
            let quotients = Decimal128Array::from_iter(quotients);
            Ok(Arc::new(quotients.with_precision_and_scale(*digits, *scale)?))
        }
        DataType::Decimal256(digits, scale) => {
            let (left, right) = (wide(left)?, wide(right)?);
            let factor = i256::from_i128(10)
                .checked_pow(zeros(*scale)?)
                .ok_or_else(out_of_range)?;
            let one = |row: usize| {
                let (dividend, divisor) = (left.value(at(row, left_is_one)), right.value(at(row, right_is_one)));
                let quotient = half_away_wide(dividend.checked_mul(factor).ok_or_else(out_of_range)?, divisor)?;
                Decimal256Type::validate_decimal_precision(quotient, *digits, *scale)?;
                Ok(quotient)
            };
            let quotients = each(rows, (&left, left_is_one), (&right, right_is_one), one)?;
            let quotients = Decimal256Array::from_iter(quotients);
            Ok(Arc::new(quotients.with_precision_and_scale(*digits, *scale)?))
        }
        other => Err(ArrowError::ComputeError(format!("a quotient is no {other}"))),
    }
}

/// What comes out of each row where both sides have a value.
fn each<T>(
    rows: usize,
    left: (&dyn Array, bool),
    right: (&dyn Array, bool),
    one: impl Fn(usize) -> Result<T, ArrowError>,
) -> Result<Vec<Option<T>>, ArrowError> {
    let is_null = |(side, is_one): (&dyn Array, bool), row| side.is_null(at(row, is_one));
    let of = |row| match is_null(left, row) || is_null(right, row) {
        true => Ok(None),
        false => one(row).map(Some),
    };
    (0..rows).map(of).collect()
}

fn at(row: usize, is_one: bool) -> usize {
    if is_one { 0 } else { row }
}

fn half_away(dividend: i128, divisor: i128) -> Result<i128, ArrowError> {
    let whole = dividend.checked_div(divisor).ok_or(ArrowError::DivideByZero)?;
    let rest = dividend.checked_rem(divisor).ok_or(ArrowError::DivideByZero)?;
    // Whether twice the rest reaches the divisor, without going over the range.
    let is_half = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    Ok(match (rest != 0 && is_half, (dividend < 0) == (divisor < 0)) {
        (false, _) => whole,
        (true, true) => whole + 1,
        (true, false) => whole - 1,
    })
}

fn half_away_wide(dividend: i256, divisor: i256) -> Result<i256, ArrowError> {
    let whole = dividend.checked_div(divisor).ok_or(ArrowError::DivideByZero)?;
    let rest = dividend.checked_rem(divisor).ok_or(ArrowError::DivideByZero)?;
    let size = |number: i256| number.checked_abs().ok_or_else(out_of_range);
    let is_half = size(rest)? >= size(divisor)?.wrapping_sub(size(rest)?);
    let is_negative = |number: i256| number < i256::ZERO;
    Ok(
        match (
            rest != i256::ZERO && is_half,
            is_negative(dividend) == is_negative(divisor),
        ) {
            (false, _) => whole,
            (true, true) => whole.wrapping_add(i256::ONE),
            (true, false) => whole.wrapping_sub(i256::ONE),
        },
    )
}

fn narrow(side: &dyn Array) -> Result<Decimal128Array, ArrowError> {
    match (side.data_type(), exact(side.data_type())) {
        (DataType::Decimal128(_, 0..), _) => Ok(side.as_primitive::<Decimal128Type>().clone()),
        (_, Some((digits, scale))) => {
            let decimals = cast(side, &DataType::Decimal128(digits, scale))?;
            Ok(decimals.as_primitive::<Decimal128Type>().clone())
        }
        (other, None) => Err(ArrowError::ComputeError(format!("{other} is not divided"))),
    }
}

fn wide(side: &dyn Array) -> Result<Decimal256Array, ArrowError> {
    match (side.data_type(), exact(side.data_type())) {
        (DataType::Decimal256(_, 0..), _) => Ok(side.as_primitive::<Decimal256Type>().clone()),
        (_, Some((digits, scale))) => {
            let decimals = cast(side, &DataType::Decimal256(digits, scale))?;
            Ok(decimals.as_primitive::<Decimal256Type>().clone())
        }
        (other, None) => Err(ArrowError::ComputeError(format!("{other} is not divided"))),
    }
}

fn out_of_range() -> ArrowError {
    ArrowError::ArithmeticOverflow("the quotient has more digits than a decimal holds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_has_sixteen_digits_where_there_is_room() {
        let decimal = DataType::Decimal128;
        for (dividend, divisor, expected) in [
            (decimal(12, 2), decimal(12, 2), Some(decimal(28, 16))),
            (decimal(12, 2), DataType::Int64, Some(decimal(26, 16))),
            (DataType::Int64, decimal(3, 2), Some(decimal(37, 16))),
            (decimal(28, 2), DataType::Int64, Some(decimal(38, 12))),
            (decimal(38, 2), DataType::Int64, Some(decimal(38, 6))),
            (decimal(38, 36), decimal(38, 36), Some(decimal(38, 36))),
            (
                DataType::Decimal256(50, 2),
                decimal(12, 2),
                Some(DataType::Decimal256(66, 16)),
            ),
            (DataType::Int64, DataType::Int64, None),
            (DataType::Float64, decimal(12, 2), None),
        ] {
            assert_eq!(quotient(&dividend, &divisor), expected, "{dividend} / {divisor}");
        }
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (dividend, divisor, expected) in [
            (10, 4, 3),
            (-10, 4, -3),
            (10, -4, -3),
            (9, 4, 2),
            (11, 4, 3),
            (1, 3, 0),
            (2, 3, 1),
            (i128::MAX, i128::MAX, 1),
            (i128::MAX, 1, i128::MAX),
        ] {
            assert_eq!(
                half_away(dividend, divisor).ok(),
                Some(expected),
                "{dividend} / {divisor}"
            );
            let wide = half_away_wide(i256::from_i128(dividend), i256::from_i128(divisor));
            assert_eq!(wide.ok(), Some(i256::from_i128(expected)), "{dividend} / {divisor}");
        }
        assert!(matches!(half_away(1, 0), Err(ArrowError::DivideByZero)));
        assert!(matches!(
            half_away_wide(i256::ONE, i256::ZERO),
            Err(ArrowError::DivideByZero)
        ));
    }
}
