//! Moments and intervals made of numbers: `make_timestamp(2024, 3, 5, 10, 20, 30.5)`, `make_interval(days => 10)`.

use datafusion::common::Result;

use super::super::by_row::{ByRow, Gives, Made, Row, Takes};
use crate::encode::calendar::{MICROSECONDS_A_DAY, civil, days_of};
use crate::encode::zone;
use crate::{SqlError, SqlState};

use Takes::{Float, Text, Whole};

/// datetime_field_overflow
const OVERFLOW: SqlState = SqlState("22008");
const SECOND_US: f64 = 1_000_000.0;

/// The parameters of `make_interval`, which may be named.
pub(crate) const INTERVAL_PARAMETERS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

pub(super) const FUNCTIONS: [ByRow; 4] = [
    ByRow::new(
        "make_timestamp",
        &[Whole, Whole, Whole, Whole, Whole, Float],
        Gives::Clock,
        |row| Ok(Some(Made::At(clock(row)?))),
    ),
    ByRow::new(
        "make_timestamptz",
        &[Whole, Whole, Whole, Whole, Whole, Float, Text],
        Gives::Moment,
        |row| {
            let clock = clock(row)?;
            let Some(name) = row.text(6) else {
                return Ok(Some(Made::At(clock)));
            };
            let Some(zone) = zone::named(name) else {
                let message = format!("time zone \"{name}\" is not recognized");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER, message).into());
            };
            Ok(zone.moment(clock).map(Made::At))
        },
    )
    .optional(1),
    ByRow::new("make_time", &[Whole, Whole, Float], Gives::Time, |row| {
        Ok(Some(Made::At(time(row, 0)?)))
    }),
    ByRow::new(
        "make_interval",
        &[Whole, Whole, Whole, Whole, Whole, Whole, Float],
        Gives::Interval,
        |row| {
            let whole = |at: usize| i128::from(row.whole(at).unwrap_or(0));
            let months = i32::try_from(whole(0) * 12 + whole(1));
            let days = i32::try_from(whole(2) * 7 + whole(3));
            let seconds = (row.float(6).unwrap_or(0.0) * SECOND_US).round() as i128;
            let micros = i64::try_from((whole(4) * 3_600 + whole(5) * 60) * 1_000_000 + seconds);
            match (months, days, micros) {
                (Ok(months), Ok(days), Ok(micros)) => Ok(Some(Made::Interval((months, days, micros)))),
                _ => Err(SqlError::new(OVERFLOW, "interval out of range").into()),
            }
        },
    )
    .optional(7),
];

/// Microseconds of the time on a clock that six numbers say.
fn clock(row: &Row<'_>) -> Result<i64, SqlError> {
    let whole = |at: usize| row.whole(at).unwrap_or_default();
    let (year, month, day) = (whole(0), whole(1), whole(2));
    let is_month = (1..=12).contains(&month) && (1..=31).contains(&day) && (1..=294_276).contains(&year);
    let days = is_month.then(|| days_of(year, month as u32, day as u32));
    match days.filter(|days| civil(*days) == (year, month as u32, day as u32)) {
        Some(days) => Ok(days * MICROSECONDS_A_DAY + time(row, 3)?),
        None => {
            let message = format!("date field value out of range: {year}-{month:02}-{day:02}");
            Err(SqlError::new(OVERFLOW, message))
        }
    }
}

/// Microseconds of a day: hours, minutes and seconds from a place on.
fn time(row: &Row<'_>, at: usize) -> Result<i64, SqlError> {
    let (hour, minute) = (row.whole(at).unwrap_or_default(), row.whole(at + 1).unwrap_or_default());
    let second = row.float(at + 2).unwrap_or_default();
    let is_end = hour == 24 && minute == 0 && second == 0.0;
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    match is_time || is_end {
        true => Ok((hour * 3_600 + minute * 60) * 1_000_000 + (second * SECOND_US).round() as i64),
        false => {
            let message = format!("time field value out of range: {hour}:{minute:02}:{second:02}");
            Err(SqlError::new(OVERFLOW, message))
        }
    }
}
