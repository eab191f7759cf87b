//! `age(later, earlier)` in years, months, days and hours, and intervals whose parts are carried up: `justify_days`, `justify_hours`, `justify_interval`.

use datafusion::common::Result;

use super::super::by_row::{ByRow, Gives, Made, Row, Takes};
use crate::encode::calendar::{MICROSECONDS_A_DAY, civil, days_of};
use crate::encode::interval_text::Parts;

use Takes::{Clock, Interval};

const MONTH_DAYS: i32 = 30;

pub(super) const FUNCTIONS: [ByRow; 5] = [
    ByRow::new("age", &[Clock, Clock], Gives::Interval, |row| {
        let moments = row.clock(0).zip(row.clock(1));
        Ok(moments.map(|(later, earlier)| Made::Interval(age(later, earlier))))
    }),
    ByRow::new("justify_days", &[Interval], Gives::Interval, |row| {
        of(row, |(months, days, micros)| {
            let (months, days) = carried(months, days);
            (months, days, micros)
        })
    }),
    ByRow::new("justify_hours", &[Interval], Gives::Interval, |row| {
        of(row, |(months, days, micros)| {
            let (days, micros) = hours_carried(days, micros);
            (months, days, micros)
        })
    }),
    ByRow::new("justify_interval", &[Interval], Gives::Interval, |row| {
        of(row, justified)
    }),
    ByRow::new("isfinite", &[Clock], Gives::Truth, |_| Ok(Some(Made::Truth(true)))),
];

fn of(row: &Row<'_>, made: fn(Parts) -> Parts) -> Result<Option<Made>> {
    Ok(row.interval(0).map(|interval| Made::Interval(made(interval))))
}

/// How far two times on a clock lie apart: whole months as the calendar counts them, then days, then the rest.
fn age(later: i64, earlier: i64) -> Parts {
    let is_negative = later < earlier;
    let (later, earlier) = (later.max(earlier), later.min(earlier));
    let (years, months, days, micros) = fields(later);
    let (earlier_years, earlier_months, earlier_days, earlier_micros) = fields(earlier);
    let mut months = (years - earlier_years) * 12 + months - earlier_months;
    let (mut days, mut micros) = (days - earlier_days, micros - earlier_micros);
    if micros < 0 {
        micros += MICROSECONDS_A_DAY;
        days -= 1;
    }
    // A month that is not whole has the days of the month that the earlier one lies in.
    if days < 0 {
        let begins = days_of(earlier_years, earlier_months as u32, 1);
        let (next_year, next_month) = match earlier_months {
            12 => (earlier_years + 1, 1),
            month => (earlier_years, month + 1),
        };
        days += days_of(next_year, next_month as u32, 1) - begins;
        months -= 1;
    }
    let sign = if is_negative { -1 } else { 1 };
    ((sign * months) as i32, (sign * days) as i32, sign * micros)
}

/// Year, month, day, and the microseconds of the day.
fn fields(micros: i64) -> (i64, i64, i64, i64) {
    let (year, month, day) = civil(micros.div_euclid(MICROSECONDS_A_DAY));
    (
        year,
        i64::from(month),
        i64::from(day),
        micros.rem_euclid(MICROSECONDS_A_DAY),
    )
}

/// Thirty days are a month; both have one sign afterwards.
fn carried(months: i32, days: i32) -> (i32, i32) {
    let (mut months, mut days) = (months + days / MONTH_DAYS, days % MONTH_DAYS);
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + MONTH_DAYS);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - MONTH_DAYS);
    }
    (months, days)
}

/// 24 hours are a day, likewise.
fn hours_carried(days: i32, micros: i64) -> (i32, i64) {
    let (mut days, mut micros) = (days + (micros / MICROSECONDS_A_DAY) as i32, micros % MICROSECONDS_A_DAY);
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + MICROSECONDS_A_DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - MICROSECONDS_A_DAY);
    }
    (days, micros)
}

fn justified((months, days, micros): Parts) -> Parts {
    let (mut days, mut micros) = (days + (micros / MICROSECONDS_A_DAY) as i32, micros % MICROSECONDS_A_DAY);
    let (mut months, rest) = (months + days / MONTH_DAYS, days % MONTH_DAYS);
    days = rest;
    if months > 0 && (days < 0 || days == 0 && micros < 0) {
        (months, days) = (months - 1, days + MONTH_DAYS);
    } else if months < 0 && (days > 0 || days == 0 && micros > 0) {
        (months, days) = (months + 1, days - MONTH_DAYS);
    }
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + MICROSECONDS_A_DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - MICROSECONDS_A_DAY);
    }
    (months, days, micros)
}
