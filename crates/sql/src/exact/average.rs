//! `avg` of whole numbers and decimals, exact to its last digit: a sum and a count, divided once and rounded, with at least sixteen digits behind the point as
//! PostgreSQL's numeric has them. Of floats, and of spans of time, it is the query engine's own.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::division::divided;
use super::sum::{OF_INTEGERS, exact_sum};

/// The digits behind the point that an average has at least.
const DIGITS: i8 = 16;

/// The function.
pub(crate) fn exact_average() -> AggregateUDF {
    AggregateUDF::from(ExactAverage {
        inner: avg_udaf(),
        sum: Arc::new(exact_sum()),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactAverage {
    inner: Arc<AggregateUDF>,
    sum: Arc<AggregateUDF>,
    signature: Signature,
}

impl ExactAverage {
    /// What is summed for an average of the same.
    fn summed<'a>(&self, args: AccumulatorArgs<'a>) -> Result<AccumulatorArgs<'a>> {
        let types: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(AccumulatorArgs {
            return_field: Arc::new(Field::new("sum", self.sum.return_type(&types)?, true)),
            ..args
        })
    }
}

impl AggregateUDFImpl for ExactAverage {
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
            return plan_err!("avg takes one argument, not {}", arguments.len());
        };
        let coerced = match argument {
            integer if integer.is_integer() => OF_INTEGERS,
            float if float.is_floating() => DataType::Float64,
            exact if exact.is_decimal() => exact.clone(),
            DataType::Null => OF_INTEGERS,
            span @ DataType::Duration(_) => span.clone(),
            other => return plan_err!("avg is of numbers, not of {other}"),
        };
        Ok(vec![coerced])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first().and_then(average) {
            Some(average) => Ok(average),
            None => self.inner.return_type(arguments),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(result) = averaged(&args) else {
            return self.inner.accumulator(args);
        };
        let is_distinct = args.is_distinct;
        let sum = self.sum.accumulator(self.summed(args)?)?;
        Ok(match is_distinct {
            true => Box::new(DistinctAverage { sum, result }),
            false => Box::new(Average { sum, count: 0, result }),
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match averaged(&args) {
            Some(result) if !args.is_distinct => {
                let sum = self.sum.create_sliding_accumulator(self.summed(args)?)?;
                Ok(Box::new(Average { sum, count: 0, result }))
            }
            Some(_) => self.accumulator(args),
            None => self.inner.create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let types: Vec<DataType> = args
            .input_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        if types.first().and_then(average).is_none() {
            return self.inner.state_fields(args);
        }
        let (is_distinct, name) = (args.is_distinct, args.name);
        let sum = self.sum.state_fields(StateFieldsArgs {
            return_field: Arc::new(Field::new("sum", self.sum.return_type(&types)?, true)),
            ..args
        })?;
        let count = Field::new(format_state_name(name, "count"), DataType::UInt64, true);
        let count = (!is_distinct).then(|| Arc::new(count));
        Ok(count.into_iter().chain(sum).collect())
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        if averaged(&args).is_none() {
            return self.inner.groups_accumulator_supported(args);
        }
        let supports = |summed| self.sum.groups_accumulator_supported(summed);
        !args.is_distinct && self.summed(args).is_ok_and(supports)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(result) = averaged(&args) else {
            return self.inner.create_groups_accumulator(args);
        };
        Ok(Box::new(Averages {
            sums: self.sum.create_groups_accumulator(self.summed(args)?)?,
            counts: Vec::new(),
            result,
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// The type of an average of exact numbers: an average has no more digits before the point than the numbers have.
fn average(argument: &DataType) -> Option<DataType> {
    let (digits, scale, is_wide) = match argument {
        DataType::Decimal128(digits, scale) => (*digits, *scale, false),
        DataType::Decimal256(digits, scale) => (*digits, *scale, true),
        _ => return None,
    };
    let behind = scale.max(DIGITS);
    let whole = i16::from(digits) - i16::from(scale);
    let digits = (whole + i16::from(behind)).clamp(1, i16::from(DECIMAL256_MAX_PRECISION)) as u8;
    Some(match is_wide || digits > DECIMAL128_MAX_PRECISION {
        true => DataType::Decimal256(digits, behind),
        false => DataType::Decimal128(digits, behind),
    })
}

fn averaged(args: &AccumulatorArgs) -> Option<DataType> {
    args.expr_fields.first().and_then(|field| average(field.data_type()))
}

/// Sums divided by counts; of nothing it is NULL.
fn averages(sums: &ArrayRef, counts: &[u64], result: &DataType) -> Result<ArrayRef> {
    let mut divisors: Vec<Option<i64>> = Vec::with_capacity(counts.len());
    for count in counts {
        let Ok(count) = i64::try_from(*count) else {
            return exec_err!("an average is of more values than are counted");
        };
        divisors.push((count > 0).then_some(count));
    }
    let divisors = Int64Array::from(divisors);
    let is_wide = matches!(sums.data_type(), DataType::Decimal256(..));
    Ok(match result {
        // The sums of many values need more room than their average.
        DataType::Decimal128(_, scale) if is_wide => {
            let wide = DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale);
            cast(&divided(sums, &divisors, &wide)?, result)?
        }
        _ => divided(sums, &divisors, result)?,
    })
}

fn one(sum: &ScalarValue, count: u64, result: &DataType) -> Result<ScalarValue> {
    let average = averages(&sum.to_array()?, &[count], result)?;
    ScalarValue::try_from_array(&average, 0)
}

/// The average of one group, or of a window's frame.
#[derive(Debug)]
struct Average {
    sum: Box<dyn Accumulator>,
    count: u64,
    result: DataType,
}

fn valid(values: &[ArrayRef]) -> u64 {
    values.first().map_or(0, |values| values.len() - values.null_count()) as u64
}

impl Accumulator for Average {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count += valid(values);
        self.sum.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        one(&self.sum.evaluate()?, self.count, &self.result)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sum.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let count = ScalarValue::UInt64(Some(self.count));
        Ok(std::iter::once(count).chain(self.sum.state()?).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, sums @ ..] = states else {
            return exec_err!("the state of an average has a count");
        };
        self.count += counts.as_primitive::<UInt64Type>().iter().flatten().sum::<u64>();
        self.sum.merge_batch(sums)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count = self.count.saturating_sub(valid(values));
        self.sum.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.sum.supports_retract_batch()
    }
}

/// `avg(DISTINCT …)`: a sum of different values keeps them, so that they can be counted.
#[derive(Debug)]
struct DistinctAverage {
    sum: Box<dyn Accumulator>,
    result: DataType,
}

impl Accumulator for DistinctAverage {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.sum.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let count = match self.sum.state()?.as_slice() {
            [ScalarValue::List(values)] => valid(&[Arc::clone(values.values())]),
            _ => return exec_err!("a sum of different values keeps them"),
        };
        one(&self.sum.evaluate()?, count, &self.result)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sum.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.sum.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.sum.merge_batch(states)
    }
}

/// The averages of many groups.
struct Averages {
    sums: Box<dyn GroupsAccumulator>,
    counts: Vec<u64>,
    result: DataType,
}

impl GroupsAccumulator for Averages {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        counts: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.sums.update_batch(values, groups, counts, groups_total)?;
        self.counts.resize(groups_total, 0);
        if counts.is_none() && values[0].null_count() == 0 {
            for group in groups {
                self.counts[*group] += 1;
            }
            return Ok(());
        }
        for (row, group) in groups.iter().enumerate() {
            self.counts[*group] += u64::from(is_counted(counts, row) && values[0].is_valid(row));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.sums.merge_batch(&states[1..], groups, groups_total)?;
        self.counts.resize(groups_total, 0);
        for (group, count) in groups.iter().zip(states[0].as_primitive::<UInt64Type>()) {
            self.counts[*group] += count.unwrap_or_default();
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let counts = emit_to.take_needed(&mut self.counts);
        averages(&self.sums.evaluate(emit_to)?, &counts, &self.result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let counts: ArrayRef = Arc::new(UInt64Array::from(emit_to.take_needed(&mut self.counts)));
        Ok(std::iter::once(counts).chain(self.sums.state(emit_to)?).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], counts: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let one = |row: usize| u64::from(is_counted(counts, row) && values[0].is_valid(row));
        let ones: ArrayRef = Arc::new(UInt64Array::from_iter_values((0..values[0].len()).map(one)));
        let sums = self.sums.convert_to_state(values, counts)?;
        Ok(std::iter::once(ones).chain(sums).collect())
    }

    fn size(&self) -> usize {
        self.sums.size() + self.counts.capacity() * size_of::<u64>()
    }
}

fn is_counted(counts: Option<&BooleanArray>, row: usize) -> bool {
    counts.is_none_or(|counts| counts.is_valid(row) && counts.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_has_room_for_what_is_averaged() {
        let (decimal, wide) = (DataType::Decimal128, DataType::Decimal256);
        for (argument, expected) in [
            (OF_INTEGERS, Some(decimal(36, 16))),
            (decimal(18, 2), Some(decimal(32, 16))),
            (decimal(30, 20), Some(decimal(30, 20))),
            (decimal(38, 2), Some(wide(52, 16))),
            (decimal(3, -2), Some(decimal(21, 16))),
            (wide(76, 2), Some(wide(76, 16))),
            (DataType::Float64, None),
        ] {
            assert_eq!(average(&argument), expected, "{argument}");
        }
    }
}
