//! `date_trunc` of any moment that a column has, to any unit that PostgreSQL knows. The query engine's own works in nanoseconds, and fails beyond 1677 and 2262.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::encode::calendar::{MICROSECONDS_A_DAY, civil, days_of};
use crate::{SqlError, SqlState};

/// The function, under its own name.
pub(crate) fn date_trunc() -> ScalarUDF {
    ScalarUDF::from(DateTrunc {
        engines: datetime::date_trunc(),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

/// Over the engine's own, which does times of day.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    engines: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.engines.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [unit, of] = types else {
            return plan_err!("date_trunc takes a unit and a moment: date_trunc('day', at)");
        };
        if !unit.is_string() && !unit.is_null() {
            return plan_err!("the unit of date_trunc is a text: date_trunc('day', at)");
        }
        let of = match of {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Date32 | DataType::Date64 | DataType::Null => DataType::Timestamp(TimeUnit::Microsecond, None),
            text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            time @ (DataType::Time32(_) | DataType::Time64(_)) => time.clone(),
            other => return plan_err!("date_trunc takes a moment, not {other}"),
        };
        Ok(vec![DataType::Utf8, of])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, of] => Ok(of.clone()),
            _ => plan_err!("date_trunc takes a unit and a moment"),
        }
    }

    // A later moment begins no earlier.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match inputs {
            [unit, of] if unit.sort_properties == SortProperties::Singleton => of.sort_properties,
            _ => SortProperties::Unordered,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [unit, of] = args.args.as_slice() else {
            return exec_err!("date_trunc takes a unit and a moment");
        };
        if matches!(of.data_type(), DataType::Time32(_) | DataType::Time64(_)) {
            return self.engines.invoke_with_args(args);
        }
        if let (ColumnarValue::Scalar(unit), ColumnarValue::Scalar(of)) = (unit, of) {
            let begun = begun(unit, &of.to_array()?)?;
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&begun, 0)?));
        }
        let rows = args.number_rows;
        let of = of.to_array(rows)?;
        match unit {
            ColumnarValue::Scalar(unit) => Ok(ColumnarValue::Array(begun(unit, &of)?)),
            ColumnarValue::Array(units) => {
                let mut each: Vec<ArrayRef> = Vec::with_capacity(rows);
                for row in 0..rows {
                    each.push(begun(&ScalarValue::try_from_array(units, row)?, &of.slice(row, 1))?);
                }
                let each: Vec<&dyn Array> = each.iter().map(AsRef::as_ref).collect();
                Ok(ColumnarValue::Array(datafusion::arrow::compute::concat(&each)?))
            }
        }
    }
}

/// The beginnings of the units that moments lie in.
fn begun(unit: &ScalarValue, of: &ArrayRef) -> Result<ArrayRef> {
    let Some(unit) = unit.try_as_str().flatten() else {
        return Ok(datafusion::arrow::array::new_null_array(of.data_type(), of.len()));
    };
    let unit = Unit::named(unit)?;
    if let DataType::Interval(_) = of.data_type() {
        let intervals = of.as_primitive::<IntervalMonthDayNanoType>();
        return Ok(Arc::new(
            intervals.unary::<_, IntervalMonthDayNanoType>(|interval| unit.whole_of(interval)),
        ));
    }
    let micros = cast(of, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let begun = micros
        .as_primitive::<TimestampMicrosecondType>()
        .try_unary::<_, TimestampMicrosecondType, _>(|micros| unit.begin(micros))?;
    Ok(Arc::new(begun.with_data_type(of.data_type().clone())))
}

/// What a moment is cut off to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// As many microseconds.
    Time(i64),
    Day,
    Week,
    /// As many months, counted from the year 0.
    Months(i64),
    /// As many years, counted from the year 1.
    Years(i64),
}

impl Unit {
    fn named(name: &str) -> Result<Unit> {
        Ok(match name.trim().to_ascii_lowercase().as_str() {
            "microsecond" | "microseconds" | "us" => Unit::Time(1),
            "millisecond" | "milliseconds" | "ms" => Unit::Time(1_000),
            "second" | "seconds" | "s" => Unit::Time(1_000_000),
            "minute" | "minutes" | "m" => Unit::Time(60_000_000),
            "hour" | "hours" | "h" => Unit::Time(3_600_000_000),
            "day" | "days" | "d" => Unit::Day,
            "week" | "weeks" | "w" => Unit::Week,
            "month" | "months" | "mon" => Unit::Months(1),
            "quarter" | "qtr" => Unit::Months(3),
            "year" | "years" | "y" => Unit::Months(12),
            "decade" | "decades" => Unit::Months(120),
            "century" | "centuries" => Unit::Years(100),
            "millennium" | "millennia" => Unit::Years(1_000),
            _ => {
                let message = format!("unit \"{name}\" of date_trunc is not recognized");
                let hint = "it is microsecond, millisecond, second, minute, hour, day, week, month, quarter, year, decade, century or millennium";
                return Err(SqlError::new(SqlState::INVALID_PARAMETER, message).hint(hint).into());
            }
        })
    }

    /// The beginning of the unit that a moment lies in.
    fn begin(self, micros: i64) -> Result<i64> {
        let days = micros.div_euclid(MICROSECONDS_A_DAY);
        let begin = match self {
            Unit::Time(length) => return Ok(micros - micros.rem_euclid(length)),
            Unit::Day => days,
            // 1970 began on a Thursday.
            Unit::Week => days - (days + 3).rem_euclid(7),
            Unit::Months(length) => {
                let (year, month, _) = civil(days);
                let months = year * 12 + i64::from(month) - 1;
                let months = months - months.rem_euclid(length);
                days_of(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1)
            }
            Unit::Years(length) => {
                let (year, ..) = civil(days);
                days_of(year - (year - 1).rem_euclid(length), 1, 1)
            }
        };
        match begin.checked_mul(MICROSECONDS_A_DAY) {
            Some(begin) => Ok(begin),
            None => exec_err!("date_trunc: the unit begins before all moments"),
        }
    }

    /// An interval without what is less than the unit.
    fn whole_of(self, interval: IntervalMonthDayNano) -> IntervalMonthDayNano {
        let IntervalMonthDayNano {
            months,
            days,
            nanoseconds,
        } = interval;
        match self {
            Unit::Time(length) => {
                let length = length * 1_000;
                IntervalMonthDayNano::new(months, days, nanoseconds / length * length)
            }
            Unit::Day => IntervalMonthDayNano::new(months, days, 0),
            Unit::Week => IntervalMonthDayNano::new(months, days / 7 * 7, 0),
            Unit::Months(length) => {
                let length = length as i32;
                IntervalMonthDayNano::new(months / length * length, 0, 0)
            }
            Unit::Years(length) => {
                let length = length as i32 * 12;
                IntervalMonthDayNano::new(months / length * length, 0, 0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_begins_at_or_before_its_moments() {
        let day = |year, month, day| days_of(year, month, day) * MICROSECONDS_A_DAY;
        for (unit, moment, expected) in [
            ("day", day(9999, 12, 31) + 7, day(9999, 12, 31)),
            ("week", day(2300, 5, 6), day(2300, 4, 30)),
            ("week", day(2024, 1, 1), day(2024, 1, 1)),
            ("quarter", day(1500, 5, 6), day(1500, 4, 1)),
            ("Year", day(1, 6, 15), day(1, 1, 1)),
            ("decade", day(1999, 5, 6), day(1990, 1, 1)),
            ("century", day(1900, 5, 6), day(1801, 1, 1)),
            ("millennium", day(2001, 5, 6), day(2001, 1, 1)),
            ("millisecond", -1, -1_000),
            ("hour", -1, -3_600_000_000),
            ("us", i64::MIN, i64::MIN),
        ] {
            let begin = Unit::named(unit).and_then(|unit| unit.begin(moment));
            assert_eq!(begin.ok(), Some(expected), "{unit} of {moment}");
        }
        assert!(Unit::named("fortnight").is_err());
    }
}
