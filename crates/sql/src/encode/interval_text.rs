//! Intervals as PostgreSQL reads them: `1 day 02:03:04`, `1-2`, `2 weeks`, `1.5 days ago`, `P1Y2M3DT4H5M6S`.
//!
//! Source: PostgreSQL documentation, "Interval Input".

use datafusion::arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, DurationMicrosecondType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::arrow::error::ArrowError;

use super::calendar::MICROSECONDS_A_DAY;

const SECOND_US: f64 = 1_000_000.0;
const DAY_US: f64 = 86_400.0 * SECOND_US;
/// A part of a month, in days.
const MONTH_DAYS: f64 = 30.0;

/// Months, days and microseconds.
pub type Parts = (i32, i32, i64);

/// An interval that is read, with fractions carried down to the smaller units.
#[derive(Default)]
struct Read {
    months: f64,
    days: f64,
    microseconds: f64,
}

impl Read {
    fn months(&mut self, count: f64) {
        self.months += count.trunc();
        self.days(count.fract() * MONTH_DAYS);
    }

    fn days(&mut self, count: f64) {
        self.days += count.trunc();
        self.microseconds += count.fract() * DAY_US;
    }

    /// Adds so many of a unit; `None`: there is no such unit.
    fn add(&mut self, count: f64, unit: &str) -> Option<()> {
        match unit.to_ascii_lowercase().trim_end_matches('s') {
            "millennium" | "millennia" | "mil" => self.months(count * 12_000.0),
            "century" | "centurie" | "c" => self.months(count * 1_200.0),
            "decade" | "dec" => self.months(count * 120.0),
            "year" | "yr" | "y" => {
                // A part of a year is whole months.
                self.months += (count * 12.0).round();
            }
            "month" | "mon" => self.months(count),
            "week" | "w" => self.days(count * 7.0),
            "day" | "d" => self.days(count),
            "hour" | "hr" | "h" => self.microseconds += count * 3600.0 * SECOND_US,
            "minute" | "min" | "m" => self.microseconds += count * 60.0 * SECOND_US,
            // `s` alone has lost its letter.
            "second" | "sec" | "" => self.microseconds += count * SECOND_US,
            "millisecond" | "msec" => self.microseconds += count * 1_000.0,
            "microsecond" | "usec" | "u" => self.microseconds += count,
            _ => return None,
        }
        Some(())
    }

    fn parts(self, is_ago: bool) -> Option<Parts> {
        let sign = if is_ago { -1.0 } else { 1.0 };
        let whole = |value: f64| {
            let value = value * sign;
            (value.abs() <= f64::from(i32::MAX)).then_some(value as i32)
        };
        let microseconds = (self.microseconds * sign).round();
        let is_in_range = microseconds.abs() < i64::MAX as f64 / 1_000.0;
        Some((
            whole(self.months)?,
            whole(self.days)?,
            is_in_range.then_some(microseconds as i64)?,
        ))
    }
}

/// Intervals, and differences of moments as intervals: in days and the rest of one. (As nanoseconds alone they would end after 292 years.)
pub fn intervals(values: &ArrayRef) -> Result<IntervalMonthDayNanoArray, ArrowError> {
    match values.data_type() {
        DataType::Duration(_) => {
            let differences = cast(values, &DataType::Duration(TimeUnit::Microsecond))?;
            let differences = differences.as_primitive::<DurationMicrosecondType>();
            differences.try_unary::<_, IntervalMonthDayNanoType, ArrowError>(|difference| {
                let days = i32::try_from(difference / MICROSECONDS_A_DAY);
                let days = days.map_err(|_| ArrowError::ComputeError("interval out of range".to_owned()))?;
                Ok(IntervalMonthDayNano::new(
                    0,
                    days,
                    difference % MICROSECONDS_A_DAY * 1_000,
                ))
            })
        }
        _ => {
            let intervals = cast(values, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            Ok(intervals.as_primitive().clone())
        }
    }
}

/// An interval in units that the query engine knows; `None`: it is none, which the engine says.
pub(crate) fn written(text: &str) -> Option<String> {
    let (months, days, microseconds) = read(text)?;
    Some(in_units(months, days, microseconds))
}

pub(crate) fn in_units(months: i32, days: i32, microseconds: i64) -> String {
    format!("{months} months {days} days {microseconds} microseconds")
}

/// Reads an interval; `None`: it is none.
pub fn read(text: &str) -> Option<Parts> {
    let text = text.trim();
    if let Some(iso) = text.strip_prefix(['P', 'p']) {
        return read_iso(iso);
    }
    let mut read = Read::default();
    let mut is_ago = false;
    let mut rest = text.trim_start_matches('@').split_whitespace().peekable();
    rest.peek()?;
    while let Some(word) = rest.next() {
        if word.eq_ignore_ascii_case("ago") && rest.peek().is_none() {
            is_ago = true;
            continue;
        }
        if word.contains(':') {
            read.microseconds += time_us(word)?;
            continue;
        }
        if let Some((months, negative)) = years_and_months(word) {
            read.months += if negative { -months } else { months };
            continue;
        }
        let unit_at = word
            .find(|letter: char| letter.is_ascii_alphabetic())
            .unwrap_or(word.len());
        let (number, unit) = word.split_at(unit_at);
        let count: f64 = number.parse().ok()?;
        let is_unit = |word: &&str| {
            word.starts_with(|letter: char| letter.is_ascii_alphabetic()) && !word.eq_ignore_ascii_case("ago")
        };
        let unit = match unit {
            // A number alone is of seconds.
            "" => rest.next_if(is_unit).unwrap_or("second"),
            unit => unit,
        };
        read.add(count, unit)?;
    }
    read.parts(is_ago)
}

/// `P1Y2M3W4DT5H6M7.5S`, without the P.
fn read_iso(text: &str) -> Option<Parts> {
    let mut read = Read::default();
    let (date, time) = text.split_once(['T', 't']).unwrap_or((text, ""));
    let mut each = |part: &str, unit_of: fn(char) -> Option<&'static str>| -> Option<()> {
        let mut number = String::new();
        for letter in part.chars() {
            if letter.is_ascii_alphabetic() {
                read.add(number.parse().ok()?, unit_of(letter.to_ascii_uppercase())?)?;
                number.clear();
            } else {
                number.push(letter);
            }
        }
        number.is_empty().then_some(())
    };
    each(date, |letter| match letter {
        'Y' => Some("year"),
        'M' => Some("month"),
        'W' => Some("week"),
        'D' => Some("day"),
        _ => None,
    })?;
    each(time, |letter| match letter {
        'H' => Some("hour"),
        'M' => Some("minute"),
        'S' => Some("second"),
        _ => None,
    })?;
    (!text.is_empty()).then(|| read.parts(false))?
}

/// `-02:03:04.5` in microseconds; without seconds too.
fn time_us(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1.0, text),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = text.split(':');
    let hours: f64 = parts.next()?.parse::<u32>().ok()?.into();
    let minutes: f64 = parts.next()?.parse::<u32>().ok()?.into();
    let seconds: f64 = parts.next().unwrap_or("0").parse().ok()?;
    let is_time = parts.next().is_none() && minutes < 60.0 && (0.0..=60.0).contains(&seconds);
    is_time.then_some(sign * ((hours * 60.0 + minutes) * 60.0 + seconds) * SECOND_US)
}

/// `1-2`: years and months.
fn years_and_months(text: &str) -> Option<(f64, bool)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (years, months) = text.split_once('-')?;
    let (years, months): (u32, u32) = (years.parse().ok()?, months.parse().ok()?);
    (months < 12).then_some((f64::from(years) * 12.0 + f64::from(months), negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_in_postgres() {
        let hours = 3_600_000_000;
        for (text, expected) in [
            ("1 day 02:03:04.5", Some((0, 1, 7_384_500_000))),
            ("1 day 2 hours", Some((0, 1, 2 * hours))),
            ("1-2", Some((14, 0, 0))),
            ("-1-2", Some((-14, 0, 0))),
            ("1 year 2 mons -3 days", Some((14, -3, 0))),
            ("1.5 days", Some((0, 1, 12 * hours))),
            ("1.5 months", Some((1, 15, 0))),
            ("2 weeks", Some((0, 14, 0))),
            ("1 day ago", Some((0, -1, 0))),
            ("90", Some((0, 0, 90_000_000))),
            ("-00:00:01", Some((0, 0, -1_000_000))),
            ("10:20", Some((0, 0, 37_200_000_000))),
            ("1d 2h 3m 4s", Some((0, 1, 7_384_000_000))),
            ("500 milliseconds", Some((0, 0, 500_000))),
            ("7 microseconds", Some((0, 0, 7))),
            ("P1Y2M3DT4H5M6.5S", Some((14, 3, 14_706_500_000))),
            ("PT-1H", Some((0, 0, -hours))),
            ("@ 1 minute", Some((0, 0, 60_000_000))),
            ("", None),
            ("P", None),
            ("soon", None),
            ("1 fortnight", None),
            ("1:99", None),
            ("99999999999 years", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
