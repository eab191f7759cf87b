//! `timezone('Europe/Berlin', at)`, which `AT TIME ZONE` stands for: what clocks show there at a moment, and the moment at which they show a time.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::encode::zone::{self, Zone};
use crate::{SqlError, SqlState};

const SECOND_NS: i64 = 1_000_000_000;
/// datetime_field_overflow
const NO_SUCH_MOMENT: SqlState = SqlState("22008");

/// The function.
pub(crate) fn timezone() -> ScalarUDF {
    ScalarUDF::from(AtTimeZone {
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

fn in_utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

fn shown() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, of] = types else {
            return plan_err!("timezone takes a zone and a moment: timezone('Europe/Berlin', at)");
        };
        let zone = match zone {
            DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            text if text.is_string() || text.is_null() => DataType::Utf8,
            other => return plan_err!("a time zone is a name or an interval, not {other}"),
        };
        let of = match of {
            DataType::Timestamp(_, None) => shown(),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null => in_utc(),
            text if text.is_string() => in_utc(),
            other => return plan_err!("AT TIME ZONE takes a moment, not {other}"),
        };
        Ok(vec![zone, of])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, DataType::Timestamp(_, None)] => Ok(in_utc()),
            [_, _] => Ok(shown()),
            _ => plan_err!("timezone takes a zone and a moment"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [zone, of] = args.args.as_slice() else {
            return exec_err!("timezone takes a zone and a moment");
        };
        let is_constant = [zone, of].iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let zones: Vec<Option<Zone>> = match zone {
            ColumnarValue::Scalar(zone) => vec![of_row(&zone.to_array()?, 0)?],
            ColumnarValue::Array(zones) => (0..rows).map(|row| of_row(zones, row)).collect::<Result<_>>()?,
        };
        let moments = of.to_array(rows)?;
        let to_moment = matches!(moments.data_type(), DataType::Timestamp(_, None));
        let moments = cast(&moments, &shown())?;
        let mut there: Vec<Option<i64>> = Vec::with_capacity(rows);
        for (row, moment) in moments.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
            let zone = zones.get(row).or(zones.first()).and_then(Option::as_ref);
            there.push(match (zone, moment) {
                (Some(zone), Some(moment)) => Some(seen_from(zone, moment, to_moment)?),
                _ => None,
            });
        }
        let there = TimestampMicrosecondArray::from(there);
        let there: ArrayRef = match to_moment {
            true => Arc::new(there.with_timezone("+00:00")),
            false => Arc::new(there),
        };
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&there, 0)?)),
            false => Ok(ColumnarValue::Array(there)),
        }
    }
}

fn seen_from(zone: &Zone, moment_us: i64, to_moment: bool) -> Result<i64> {
    let there = match to_moment {
        true => zone.moment(moment_us),
        false => zone.shown(moment_us),
    };
    let beyond = || {
        SqlError::new(
            NO_SUCH_MOMENT,
            "timestamp out of range: zones are known from the year -9999 to 9999",
        )
    };
    Ok(there.ok_or_else(beyond)?)
}

/// The zone that a row names.
fn of_row(zones: &ArrayRef, row: usize) -> Result<Option<Zone>> {
    if zones.is_null(row) {
        return Ok(None);
    }
    let (zone, written) = match zones.data_type() {
        DataType::Interval(_) => {
            let ahead = zones.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let seconds = i32::try_from(ahead.nanoseconds / SECOND_NS).ok();
            let zone = seconds
                .filter(|_| ahead.months == 0 && ahead.days == 0)
                .and_then(Zone::ahead);
            (zone, "that interval".to_owned())
        }
        _ => {
            let name = zones.as_string::<i32>().value(row);
            (zone::named(name), format!("\"{name}\""))
        }
    };
    match zone {
        Some(zone) => Ok(Some(zone)),
        None => {
            let message = format!("time zone {written} is not recognized");
            let hint = "write it as 'Europe/Berlin', 'UTC', or INTERVAL '2 hours'";
            Err(SqlError::new(SqlState::INVALID_PARAMETER, message).hint(hint).into())
        }
    }
}
