//! `date_bin` of any moment that a column has. The query engine's own works in nanoseconds, and says NULL of what these do not reach.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// The function, under its own name.
pub(crate) fn date_bin() -> ScalarUDF {
    ScalarUDF::from(DateBin {
        engines: datetime::date_bin(),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

/// Over the engine's own, which does what microseconds cannot: months, times of day, nanoseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DateBin {
    engines: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for DateBin {
    fn name(&self) -> &str {
        self.engines.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (width, moments) = match types {
            [width, moments @ ..] if matches!(moments.len(), 1 | 2) => (width, moments),
            _ => return plan_err!("date_bin takes a width, a moment and an origin: date_bin('15 minutes', at)"),
        };
        if !matches!(width, DataType::Interval(_) | DataType::Duration(_) | DataType::Null) && !width.is_string() {
            return plan_err!("the width of date_bin is an interval, not {width}");
        }
        let mut wanted = vec![DataType::Interval(IntervalUnit::MonthDayNano)];
        for moment in moments {
            wanted.push(match moment {
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
                DataType::Date32 | DataType::Date64 | DataType::Null => {
                    DataType::Timestamp(TimeUnit::Microsecond, None)
                }
                text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
                DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Nanosecond),
                other => return plan_err!("date_bin takes a moment, not {other}"),
            });
        }
        Ok(wanted)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.engines.return_type(types)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.engines.output_ordering(inputs)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bins = args.args.first().and_then(width_us).zip(origin_us(args.args.get(2)));
        if let (Some((width, origin)), Some(moments)) = (bins, args.args.get(1)) {
            match moments {
                ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(moment, zone)) => {
                    let bin = moment.map(|moment| bin(moment, width, origin)).transpose()?;
                    return Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(
                        bin,
                        zone.clone(),
                    )));
                }
                ColumnarValue::Array(moments)
                    if matches!(moments.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) =>
                {
                    let moments = moments.as_primitive::<TimestampMicrosecondType>();
                    let bins =
                        moments.try_unary::<_, TimestampMicrosecondType, _>(|moment| bin(moment, width, origin))?;
                    let bins = bins.with_data_type(moments.data_type().clone());
                    return Ok(ColumnarValue::Array(Arc::new(bins) as ArrayRef));
                }
                _ => {}
            }
        }
        let nulls = args.args.get(1).map_or(0, nulls);
        let is_known = args
            .args
            .iter()
            .all(|value| !matches!(value, ColumnarValue::Scalar(value) if value.is_null()));
        let mut args = args;
        if let Some(origin) = args.args.get_mut(2)
            && matches!(origin.data_type(), DataType::Timestamp(..))
        {
            *origin = origin.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, None), None)?;
        }
        let binned = self.engines.invoke_with_args(args)?;
        if is_known && self::nulls(&binned) > nulls {
            return exec_err!("date_bin: the moment is out of range (1677 to 2262 for bins of months)");
        }
        Ok(binned)
    }
}

fn nulls(value: &ColumnarValue) -> usize {
    match value {
        ColumnarValue::Array(array) => array.null_count(),
        ColumnarValue::Scalar(value) => usize::from(value.is_null()),
    }
}

/// How wide bins are that are as long as each other, where that is a number of microseconds.
fn width_us(width: &ColumnarValue) -> Option<i64> {
    let (days, us) = match width {
        ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(width)))
            if width.months == 0 && width.nanoseconds % 1_000 == 0 =>
        {
            (width.days, width.nanoseconds / 1_000)
        }
        ColumnarValue::Scalar(ScalarValue::IntervalDayTime(Some(width))) => {
            (width.days, i64::from(width.milliseconds) * 1_000)
        }
        _ => return None,
    };
    let us = i64::from(days).checked_mul(DAY_US)?.checked_add(us)?;
    (us > 0).then_some(us)
}

fn origin_us(origin: Option<&ColumnarValue>) -> Option<i64> {
    match origin {
        None => Some(0),
        Some(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(origin, _))) => *origin,
        Some(_) => None,
    }
}

/// The beginning of the bin that a moment lies in.
fn bin(moment: i64, width: i64, origin: i64) -> Result<i64> {
    let into = (i128::from(moment) - i128::from(origin)).rem_euclid(i128::from(width));
    match i64::try_from(i128::from(moment) - into) {
        Ok(begin) => Ok(begin),
        Err(_) => exec_err!("date_bin: the bin begins before all moments"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_holds_its_moment() {
        for (moment, width, origin, expected) in [
            (0, 10, 0, Some(0)),
            (9, 10, 0, Some(0)),
            (10, 10, 0, Some(10)),
            (-1, 10, 0, Some(-10)),
            (-10, 10, 0, Some(-10)),
            (4, 10, 5, Some(-5)),
            (253_402_300_799_999_999, DAY_US, 0, Some(253_402_214_400_000_000)),
            (i64::MAX, 1, i64::MIN, Some(i64::MAX)),
            (i64::MIN, 10, 0, None),
        ] {
            assert_eq!(bin(moment, width, origin).ok(), expected, "{moment} {width} {origin}");
        }
    }
}
