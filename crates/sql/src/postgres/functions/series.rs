//! `generate_series` of numbers with digits behind the point, of dates and of moments, as a list: `generate_series(DATE '2024-01-01', '2024-03-01', '1 week')`.
//!
//! Whole numbers that are written out are left to the engine, which makes them one by one.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, ListArray, TimestampMicrosecondArray,
    new_empty_array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::encode::calendar::{MICROSECONDS_A_DAY, civil, days_of};
use crate::{SqlError, SqlState};

/// The most elements of one series.
const ELEMENTS_MAX: usize = 10_000_000;

/// What the function is called.
pub(crate) const SERIES: &str = "_headwater_series";

/// The function.
pub(crate) fn series() -> ScalarUDF {
    ScalarUDF::from(Series {
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    signature: Signature,
}

const STEP: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        SERIES
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let bounds = types.get(..2).unwrap_or_default();
        let in_zone = bounds.iter().find_map(|bound| match bound {
            DataType::Timestamp(_, Some(zone)) => Some(Arc::clone(zone)),
            _ => None,
        });
        let is_moment = |bound: &DataType| matches!(bound, DataType::Timestamp(..) | DataType::Date32);
        let is_open = |bound: &DataType| bound.is_string() || bound.is_null();
        if bounds.iter().any(is_moment) && bounds.iter().all(|bound| is_moment(bound) || is_open(bound)) {
            let at = DataType::Timestamp(TimeUnit::Microsecond, in_zone);
            return match types {
                [_, _, step] if is_open(step) || matches!(step, DataType::Interval(_) | DataType::Duration(_)) => {
                    Ok(vec![at.clone(), at, STEP])
                }
                _ => plan_err!("a series of moments goes on in intervals: generate_series(from, to, '1 day')"),
            };
        }
        let is_number = |given: &DataType| given.is_numeric() || is_open(given);
        if !(2..=3).contains(&types.len()) || !types.iter().all(is_number) {
            return plan_err!("generate_series is of whole numbers, decimals or moments: (from, to, step)");
        }
        if types.iter().any(DataType::is_floating) {
            return Ok(vec![DataType::Float64; types.len()]);
        }
        let scale = types.iter().map(|given| match given {
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => *scale,
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
            _ => 0,
        });
        let is_whole = |given: &DataType| given.is_integer() || is_open(given);
        match types.iter().all(is_whole) {
            true => Ok(vec![DataType::Int64; types.len()]),
            false => Ok(vec![DataType::Decimal128(38, scale.max().unwrap_or(0)); types.len()]),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let element = types.first().cloned().unwrap_or(DataType::Null);
        Ok(DataType::List(Arc::new(Field::new_list_field(element, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let element = arrays.first().map_or(DataType::Null, |first| first.data_type().clone());
        let field = Arc::new(Field::new_list_field(element.clone(), true));
        let mut each: Vec<ArrayRef> = Vec::with_capacity(rows);
        let mut lengths: Vec<usize> = Vec::with_capacity(rows);
        for row in 0..rows {
            let elements = match arrays.iter().any(|array| array.is_null(row)) {
                true => new_empty_array(&element),
                false => elements(&arrays, row)?,
            };
            lengths.push(elements.len());
            each.push(elements);
        }
        let elements: Vec<&dyn Array> = each.iter().map(AsRef::as_ref).collect();
        let elements = match elements.is_empty() {
            true => new_empty_array(&element),
            false => concat(&elements)?,
        };
        let lists: ArrayRef = Arc::new(ListArray::try_new(
            field,
            OffsetBuffer::from_lengths(lengths),
            elements,
            None,
        )?);
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&lists, 0)?)),
            false => Ok(ColumnarValue::Array(lists)),
        }
    }
}

/// The elements of one series.
fn elements(arrays: &[ArrayRef], row: usize) -> Result<ArrayRef> {
    let [from, to, step @ ..] = arrays else {
        return plan_err!("generate_series takes a first and a last value");
    };
    match from.data_type() {
        DataType::Timestamp(_, zone) => {
            let at = |array: &ArrayRef| array.as_primitive::<TimestampMicrosecondType>().value(row);
            let step = step
                .first()
                .map(|step| step.as_primitive::<IntervalMonthDayNanoType>().value(row));
            let Some(step) = step else {
                return Ok(new_empty_array(from.data_type()));
            };
            let micros = step.nanoseconds / 1_000;
            let length = i128::from(step.months) * 30 * i128::from(MICROSECONDS_A_DAY)
                + i128::from(step.days) * i128::from(MICROSECONDS_A_DAY)
                + i128::from(micros);
            let next = |at: i64| moved(at, step.months, step.days, micros);
            let each = counted(at(from), at(to), length.signum(), next)?;
            Ok(Arc::new(
                TimestampMicrosecondArray::from(each).with_timezone_opt(zone.clone()),
            ))
        }
        DataType::Decimal128(precision, scale) => {
            let at = |array: &ArrayRef| array.as_primitive::<Decimal128Type>().value(row);
            let one = 10_i128.checked_pow(u32::try_from(*scale).unwrap_or(0)).unwrap_or(1);
            let step = step.first().map_or(one, at);
            let each = counted(at(from), at(to), step.signum(), |at: i128| at.checked_add(step))?;
            let each = Decimal128Array::from(each).with_precision_and_scale(*precision, *scale)?;
            Ok(Arc::new(each))
        }
        DataType::Float64 => {
            let at = |array: &ArrayRef| array.as_primitive::<Float64Type>().value(row);
            let step = step.first().map_or(1.0, at);
            let sign = if step > 0.0 { 1 } else { -i128::from(step < 0.0) };
            let each = counted(at(from), at(to), sign, |at: f64| Some(at + step))?;
            Ok(Arc::new(Float64Array::from(each)))
        }
        _ => {
            let whole = |array: &ArrayRef| -> Result<i64> {
                Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().value(row))
            };
            let step = step.first().map_or(Ok(1), whole)?;
            let each = counted(whole(from)?, whole(to)?, i128::from(step.signum()), |at: i64| {
                at.checked_add(step)
            })?;
            Ok(Arc::new(Int64Array::from(each)))
        }
    }
}

/// From one value to the last one that does not lie beyond another.
fn counted<T: Copy + PartialOrd>(from: T, to: T, sign: i128, next: impl Fn(T) -> Option<T>) -> Result<Vec<T>> {
    if sign == 0 {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER, "step size cannot equal zero").into());
    }
    let mut each: Vec<T> = Vec::new();
    let mut at = Some(from);
    while let Some(value) = at.filter(|at| if sign > 0 { *at <= to } else { *at >= to }) {
        if each.len() == ELEMENTS_MAX {
            let message = format!("a series has {ELEMENTS_MAX} elements at most");
            return Err(SqlError::new(SqlState::TOO_LARGE, message)
                .hint("take a longer step")
                .into());
        }
        each.push(value);
        at = next(value);
    }
    Ok(each)
}

/// A time on a clock so many months, days and microseconds later; a day that a month does not have is its last one.
fn moved(at: i64, months: i32, days: i32, micros: i64) -> Option<i64> {
    let (mut day, of_day) = (at.div_euclid(MICROSECONDS_A_DAY), at.rem_euclid(MICROSECONDS_A_DAY));
    if months != 0 {
        let (year, month, of_month) = civil(day);
        let count = year * 12 + i64::from(month) - 1 + i64::from(months);
        let (year, month) = (count.div_euclid(12), count.rem_euclid(12) as u32 + 1);
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let length = (days_of(next_year, next_month, 1) - days_of(year, month, 1)) as u32;
        day = days_of(year, month, of_month.min(length));
    }
    let day = day.checked_add(i64::from(days))?;
    day.checked_mul(MICROSECONDS_A_DAY)?
        .checked_add(of_day)?
        .checked_add(micros)
}
