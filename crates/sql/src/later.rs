//! When something is due, from the value that stands behind `AT` or `AFTER`.
//!
//! A text is read as what is meant: a time behind `AT`, a span behind `AFTER`. A time without a zone is UTC, a date its first moment; months are
//! those of the calendar.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use headwater_schedules::{Moment, ScheduleError};

use crate::syntax::When;
use crate::{SqlError, SqlState};

impl When {
    /// Whether values of this type say when.
    pub fn takes(&self, data_type: &DataType) -> bool {
        let is_text = matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
        );
        is_text
            || match self {
                When::At(_) => matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64),
                When::After(_) => matches!(data_type, DataType::Interval(_) | DataType::Duration(_)),
            }
    }

    /// What is said where they do not.
    pub fn wanted(&self) -> &'static str {
        match self {
            When::At(_) => "AT needs a moment: a timestamp, a date, or a text of one",
            When::After(_) => "AFTER needs a span of time: an interval, or a text such as '3 days'",
        }
    }

    /// The moment, microseconds since 1970, for the value of its expression.
    pub fn due_us(&self, value: &ScalarValue, now_us: i64) -> Result<i64, SqlError> {
        let word = match self {
            When::At(_) => "AT",
            When::After(_) => "AFTER",
        };
        if value.is_null() {
            let message = format!("{word} needs a value, and this one is NULL");
            return Err(SqlError::new(SqlState::NOT_NULL, message).hint("leave it out to append at once"));
        }
        let at = match self {
            When::At(_) => microseconds(value),
            When::After(_) => span_from(now_us, value),
        };
        let at_us = at.ok_or_else(|| match self {
            When::At(_) => SqlError::new(SqlState::INVALID_TEXT, format!("{value} is no moment in time"))
                .hint("write AT TIMESTAMP '2026-12-31 09:00:00'"),
            When::After(_) => SqlError::new(SqlState::INVALID_TEXT, format!("{value} is no span of time"))
                .hint("write AFTER INTERVAL '3 days'"),
        })?;
        Ok(Moment::At(at_us).due_us(now_us)?)
    }
}

/// The name of a schedule, from the value behind `NAMED` or `CANCEL`.
pub fn schedule_name(value: &ScalarValue) -> Result<String, SqlError> {
    match value.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(Some(name))) => Ok(name),
        _ => {
            let error = SqlError::new(
                SqlState::NOT_NULL,
                "the name of a schedule is a text, and this one is NULL",
            );
            Err(error.hint("NULL in a part of a text makes the whole of it NULL: use coalesce()"))
        }
    }
}

fn microseconds(value: &ScalarValue) -> Option<i64> {
    let is_time = matches!(
        value.data_type(),
        DataType::Timestamp(..)
            | DataType::Date32
            | DataType::Date64
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
    );
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    match value.cast_to(&instant) {
        Ok(ScalarValue::TimestampMicrosecond(at_us, _)) if is_time => at_us,
        _ => None,
    }
}

fn span_from(now_us: i64, value: &ScalarValue) -> Option<i64> {
    let span = match value.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => value.clone(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            value.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano)).ok()?
        }
        _ => return None,
    };
    let now = ScalarValue::TimestampMicrosecond(Some(now_us), None);
    microseconds(&now.add_checked(span).ok()?)
}

impl From<ScheduleError> for SqlError {
    fn from(error: ScheduleError) -> SqlError {
        let state = match error {
            ScheduleError::Append(error) => return error.into(),
            ScheduleError::Exists(_) | ScheduleError::Twice(_) => SqlState::EXISTS,
            ScheduleError::Invalid(_) => SqlState::OUT_OF_RANGE,
            ScheduleError::TooLarge(_) | ScheduleError::Full(_) => SqlState::TOO_LARGE,
            ScheduleError::Log(_) => SqlState::IO,
        };
        SqlError::new(state, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{Expr, Ident};

    use super::*;

    const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

    fn check(is_at: bool, value: ScalarValue, expected: Result<i64, &str>) {
        let expr = Expr::Identifier(Ident::new("any"));
        let when = if is_at { When::At(expr) } else { When::After(expr) };
        match (when.due_us(&value, DAY_US), expected) {
            (Ok(due_us), Ok(expected)) => assert_eq!(due_us, expected, "{value}"),
            (Err(error), Err(state)) => assert_eq!(error.state.0, state, "{error}"),
            (found, expected) => panic!("{value}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn moments_and_spans_are_read_from_values() {
        let text = |text: &str| ScalarValue::from(text);
        check(true, text("1970-01-03"), Ok(2 * DAY_US));
        check(true, text("1970-01-03T00:00:00+01:00"), Ok(2 * DAY_US - 3_600_000_000));
        check(true, text("tomorrow"), Err("22P02"));
        check(true, ScalarValue::Date32(Some(3)), Ok(3 * DAY_US));
        check(true, ScalarValue::TimestampNanosecond(Some(1_000), None), Ok(1));
        check(true, ScalarValue::Int64(Some(5)), Err("22P02"));
        check(true, ScalarValue::Utf8(None), Err("23502"));
        check(
            true,
            ScalarValue::TimestampMicrosecond(Some(253_500_000_000_000_000), None),
            Err("22003"),
        );
        check(false, text("3 days"), Ok(4 * DAY_US));
        check(false, text("1 month"), Ok(32 * DAY_US));
        check(false, text("-1 day"), Ok(0));
        check(false, text("soon"), Err("22P02"));
        check(false, ScalarValue::new_interval_dt(1, 0), Ok(2 * DAY_US));
        check(false, ScalarValue::Int64(Some(5)), Err("22P02"));
        check(false, ScalarValue::Null, Err("23502"));
    }
}
