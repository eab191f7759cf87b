//! Variance and standard deviation of whole numbers and decimals, counted in whole numbers: the count, the sum and the sum of the squares, and one division at the end.
//!
//! The query engine's own takes floats and follows their mean from value to value, which costs digits where values are close beside each other. Of floats it
//! stays what it is, and of decimals whose squares have no room in 256 bits.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef, UInt64Type, i256,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions_aggregate::stddev::{stddev_pop_udaf, stddev_udaf};
use datafusion::functions_aggregate::variance::{var_pop_udaf, var_samp_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};

use super::sum::OF_INTEGERS;

/// Of so many digits a billion squares, times a billion, have room in 256 bits.
const DIGITS_MAX: u8 = 28;

/// Sums of values and of squares, as whole numbers of the values' last digit.
const SUMS: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0);

/// What is asked of a group's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Measure {
    /// Divided by the count less one.
    is_of_sample: bool,
    /// The square root of it.
    is_deviation: bool,
}

/// The functions.
pub(crate) fn exact_spreads() -> Vec<AggregateUDF> {
    let all = [
        (var_samp_udaf(), true, false),
        (var_pop_udaf(), false, false),
        (stddev_udaf(), true, true),
        (stddev_pop_udaf(), false, true),
    ];
    let one = |(inner, is_of_sample, is_deviation)| {
        AggregateUDF::from(ExactSpread {
            inner,
            measure: Measure {
                is_of_sample,
                is_deviation,
            },
            signature: Signature::user_defined(Volatility::Immutable),
        })
    };
    all.into_iter().map(one).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSpread {
    inner: Arc<AggregateUDF>,
    measure: Measure,
    signature: Signature,
}

impl AggregateUDFImpl for ExactSpread {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = arguments else {
            return plan_err!("{} takes one argument, not {}", self.name(), arguments.len());
        };
        let coerced = match argument {
            integer if integer.is_integer() => OF_INTEGERS,
            exact @ DataType::Decimal128(..) if scale(exact).is_some() => exact.clone(),
            number if number.is_numeric() || number.is_null() => DataType::Float64,
            other => return plan_err!("{} is of numbers, not of {other}", self.name()),
        };
        Ok(vec![coerced])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(exact) = args.expr_fields.first().map(|field| field.data_type()) else {
            return self.inner.accumulator(args);
        };
        let Some(scale) = scale(exact) else {
            return self.inner.accumulator(args);
        };
        let (measure, sums) = (self.measure, Sums::default());
        Ok(match args.is_distinct {
            true => Box::new(DistinctSpread {
                measure,
                values: HashSet::new(),
                data_type: exact.clone(),
                scale,
            }),
            false => Box::new(Spread { measure, sums, scale }),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(exact) = args.input_fields.first().map(|field| field.data_type()) else {
            return self.inner.state_fields(args);
        };
        if scale(exact).is_none() {
            return self.inner.state_fields(args);
        }
        let field = |part: &str, data_type| Arc::new(Field::new(format_state_name(args.name, part), data_type, true));
        Ok(match args.is_distinct {
            true => vec![field("values", DataType::new_list(exact.clone(), true))],
            false => vec![
                field("count", DataType::UInt64),
                field("sum", SUMS),
                field("squares", SUMS),
            ],
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        let of_exact = args.expr_fields.first().and_then(|field| scale(field.data_type()));
        of_exact.is_none() && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }
}

/// The digits behind the point of numbers that are counted exactly.
fn scale(argument: &DataType) -> Option<i8> {
    match argument {
        DataType::Decimal128(digits, scale) if *digits <= DIGITS_MAX => Some(*scale),
        _ => None,
    }
}

/// What is known of some values.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Sums {
    count: u64,
    sum: i256,
    squares: i256,
}

impl Sums {
    fn with(self, value: i128) -> Option<Sums> {
        let value = i256::from_i128(value);
        let square = value.checked_mul(value)?;
        Some(Sums {
            count: self.count + 1,
            sum: self.sum.checked_add(value)?,
            squares: self.squares.checked_add(square)?,
        })
    }

    fn without(self, value: i128) -> Option<Sums> {
        let value = i256::from_i128(value);
        let square = value.checked_mul(value)?;
        Some(Sums {
            count: self.count.checked_sub(1)?,
            sum: self.sum.checked_sub(value)?,
            squares: self.squares.checked_sub(square)?,
        })
    }

    fn merged(self, other: Sums) -> Option<Sums> {
        Some(Sums {
            count: self.count.checked_add(other.count)?,
            sum: self.sum.checked_add(other.sum)?,
            squares: self.squares.checked_add(other.squares)?,
        })
    }

    /// Of values with so many digits behind the point; `Ok(None)` where there are too few of them.
    fn measured(self, measure: Measure, scale: i8) -> Result<Option<f64>> {
        let divisor = self.count.saturating_sub(u64::from(measure.is_of_sample));
        if divisor == 0 {
            return Ok(None);
        }
        let count = i256::from_i128(self.count.into());
        let spread = count
            .checked_mul(self.squares)
            .zip(self.sum.checked_mul(self.sum))
            .and_then(|(squares, square)| squares.checked_sub(square));
        let spread: f64 = match spread {
            // A whole number is always a float.
            Some(spread) => spread.to_string().parse().unwrap_or(f64::NAN),
            None => return Err(out_of_range().into()),
        };
        let unit = 10f64.powi(2 * i32::from(scale));
        let variance = spread / (self.count as f64 * divisor as f64 * unit);
        Ok(Some(match measure.is_deviation {
            true => variance.sqrt(),
            false => variance,
        }))
    }
}

fn out_of_range() -> ArrowError {
    ArrowError::ArithmeticOverflow("the squares of these numbers have more digits than a decimal holds".to_owned())
}

fn decimals(values: &[ArrayRef]) -> impl Iterator<Item = i128> {
    let decimals = values.first().map(|values| values.as_primitive::<Decimal128Type>());
    decimals.into_iter().flat_map(|decimals| decimals.iter().flatten())
}

/// The spread of one group, or of a window's frame.
#[derive(Debug)]
struct Spread {
    measure: Measure,
    sums: Sums,
    scale: i8,
}

impl Accumulator for Spread {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in decimals(values) {
            self.sums = self.sums.with(value).ok_or_else(out_of_range)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.sums.measured(self.measure, self.scale)?))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let whole = |number| ScalarValue::Decimal256(Some(number), DECIMAL256_MAX_PRECISION, 0);
        let Sums { count, sum, squares } = self.sums;
        Ok(vec![ScalarValue::UInt64(Some(count)), whole(sum), whole(squares)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, sums, squares] = states else {
            return exec_err!("the state of a spread has three parts");
        };
        let (counts, sums) = (
            counts.as_primitive::<UInt64Type>(),
            sums.as_primitive::<Decimal256Type>(),
        );
        let squares = squares.as_primitive::<Decimal256Type>();
        for row in (0..counts.len()).filter(|row| counts.is_valid(*row)) {
            let other = Sums {
                count: counts.value(row),
                sum: sums.value(row),
                squares: squares.value(row),
            };
            self.sums = self.sums.merged(other).ok_or_else(out_of_range)?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in decimals(values) {
            self.sums = self.sums.without(value).ok_or_else(out_of_range)?;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}

/// The spread of different values.
#[derive(Debug)]
struct DistinctSpread {
    measure: Measure,
    values: HashSet<i128>,
    data_type: DataType,
    scale: i8,
}

impl Accumulator for DistinctSpread {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(decimals(values));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut values = self.values.iter();
        let sums = values.try_fold(Sums::default(), |sums, value| sums.with(*value));
        let sums = sums.ok_or_else(out_of_range)?;
        Ok(ScalarValue::Float64(sums.measured(self.measure, self.scale)?))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<i128>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let DataType::Decimal128(digits, scale) = self.data_type else {
            return exec_err!("different values are decimals");
        };
        let value = |value: &i128| ScalarValue::Decimal128(Some(*value), digits, scale);
        let values: Vec<ScalarValue> = self.values.iter().map(value).collect();
        let list = ScalarValue::new_list_nullable(&values, &self.data_type);
        Ok(vec![ScalarValue::List(list)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().map(|lists| lists.as_list::<i32>());
        for values in lists.into_iter().flat_map(|lists| lists.iter().flatten()) {
            self.update_batch(&[values])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_counted_to_its_last_digit() {
        let check = |values: &[i128], scale: i8, expected: [Option<f64>; 4]| {
            let mut sums = Sums::default();
            for value in values {
                sums = sums.with(*value).expect("room");
            }
            let measures = [(false, false), (true, false), (false, true), (true, true)];
            let came = measures.map(|(is_of_sample, is_deviation)| {
                let measure = Measure {
                    is_of_sample,
                    is_deviation,
                };
                sums.measured(measure, scale).expect("room")
            });
            assert_eq!(came, expected, "{values:?}");
        };
        check(&[], 2, [None; 4]);
        check(&[314], 2, [Some(0.0), None, Some(0.0), None]);
        check(
            &[10, 20],
            2,
            [Some(0.0025), Some(0.005), Some(0.05), Some(0.005f64.sqrt())],
        );
        let far = 10_i128.pow(27);
        check(&[far, far + 2], 0, [Some(1.0), Some(2.0), Some(1.0), Some(2f64.sqrt())]);
    }

    #[test]
    fn what_goes_leaves_what_was_there() {
        let before = Sums::default().with(5).expect("room");
        let there = before.with(-7).expect("room").without(-7);
        assert_eq!(there, Some(before));
        assert_eq!(Sums::default().without(1), None);
        let largest = Sums {
            squares: i256::MAX,
            ..before
        };
        assert_eq!(largest.with(1), None);
    }
}
