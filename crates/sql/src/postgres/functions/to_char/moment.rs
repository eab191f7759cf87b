//! Moments and intervals by the patterns of `to_char`.

use std::fmt::Write;

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::Result;

use crate::encode::calendar::{MICROSECONDS_A_DAY, civil, days_of};
use crate::{SqlError, SqlState};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Names of months and days are filled up with spaces to the longest of them.
const NAME_WIDTH: usize = 9;

/// The patterns, the longer ones before those that they begin with.
const PATTERNS: [&str; 48] = [
    "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "IDDD", "ID", "IW", "I", "MONTH", "MON", "MM", "MI", "MS",
    "DAY", "DDD", "DD", "DY", "D", "HH24", "HH12", "HH", "SSSSS", "SSSS", "SS", "US", "FF1", "FF2", "FF3", "FF4",
    "FF5", "FF6", "A.M.", "P.M.", "AM", "PM", "B.C.", "A.D.", "BC", "AD", "Q", "WW", "W", "CC", "J",
];
/// Those that say where the clock stands: it stands in UTC.
const ZONES: [(&str, &str); 4] = [("TZH", "+00"), ("TZM", "00"), ("TZ", "UTC"), ("OF", "+00")];

/// What there is to write of a moment, or of an interval.
pub(super) struct Moment {
    year: i64,
    month: u32,
    day: i64,
    /// The day counted from 1970-01-01; an interval has none.
    days: Option<i64>,
    /// Microseconds of the day, or of an interval.
    time: i64,
}

impl Moment {
    pub(super) fn at(micros: i64) -> Moment {
        let days = micros.div_euclid(MICROSECONDS_A_DAY);
        let (year, month, day) = civil(days);
        Moment {
            year,
            month,
            day: i64::from(day),
            days: Some(days),
            time: micros.rem_euclid(MICROSECONDS_A_DAY),
        }
    }

    pub(super) fn within(interval: IntervalMonthDayNano) -> Moment {
        Moment {
            year: i64::from(interval.months / 12),
            month: (interval.months % 12).unsigned_abs(),
            day: i64::from(interval.days),
            days: None,
            time: interval.nanoseconds / 1_000,
        }
    }

    pub(super) fn written(&self, pattern: &str) -> Result<String> {
        let mut text = String::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                rest = quoted(&rest[1..], &mut text);
                continue;
            }
            let (behind, is_bare) = match strip(rest, "FM") {
                Some(behind) => (behind, true),
                None => (rest, false),
            };
            let behind = strip(behind, "TM").unwrap_or(behind);
            if let Some((found, after)) = PATTERNS.iter().find_map(|known| Some((*known, strip(behind, known)?))) {
                let written = &behind[..found.len()];
                let mut part = String::new();
                self.put(found, written, is_bare, &mut part)?;
                rest = after;
                if let Some(after) = strip(rest, "TH")
                    && let Ok(number) = part.trim().parse::<i64>()
                {
                    let ending = ordinal(number);
                    let is_small = rest.starts_with('t');
                    part.push_str(&if is_small {
                        ending.to_owned()
                    } else {
                        ending.to_ascii_uppercase()
                    });
                    rest = after;
                }
                text.push_str(&part);
            } else if let Some((zone, after)) = ZONES
                .iter()
                .find_map(|(known, zone)| Some((zone, strip(behind, known)?)))
            {
                let is_small = behind.starts_with(|first: char| first.is_ascii_lowercase());
                text.push_str(&if is_small {
                    zone.to_ascii_lowercase()
                } else {
                    (*zone).to_owned()
                });
                rest = after;
            } else if let Some(after) = strip(behind, "RM") {
                let roman = self
                    .month
                    .checked_sub(1)
                    .and_then(|month| ROMAN.get(month as usize))
                    .unwrap_or(&"");
                let _ = match is_bare {
                    true => write!(text, "{roman}"),
                    false => write!(text, "{roman:<4}"),
                };
                rest = after;
            } else {
                let escaped = rest.strip_prefix('\\').and_then(|behind| behind.chars().next());
                let shown = escaped.unwrap_or(first);
                text.push(shown);
                rest = &rest[if escaped.is_some() {
                    1 + shown.len_utf8()
                } else {
                    first.len_utf8()
                }..];
            }
        }
        Ok(text)
    }

    fn put(&self, pattern: &str, written: &str, is_bare: bool, text: &mut String) -> Result<()> {
        let seconds = self.time / 1_000_000;
        let micros = self.time % 1_000_000;
        let hours = seconds / 3600;
        let mut number = |value: i64, width: usize| {
            let width = if is_bare { 0 } else { width };
            // Writing to a String cannot fail.
            let _ = write!(text, "{value:0width$}");
        };
        // Years before 1 are counted from 1 again.
        let shown = if self.year > 0 || self.days.is_none() {
            self.year
        } else {
            1 - self.year
        };
        match pattern {
            "YYYY" => number(shown, 4),
            "YYY" => number(shown % 1000, 3),
            "YY" => number(shown % 100, 2),
            "Y" => number(shown % 10, 1),
            "MM" => number(i64::from(self.month), 2),
            "DD" => number(self.day, 2),
            "HH24" => number(hours, 2),
            "HH12" | "HH" => number((hours + 11).rem_euclid(12) + 1, 2),
            "MI" => number(seconds / 60 % 60, 2),
            "SS" => number(seconds % 60, 2),
            "SSSSS" | "SSSS" => number(seconds, 1),
            "MS" => number(micros / 1_000, 3),
            "US" => number(micros, 6),
            "Q" => number((i64::from(self.month) + 2) / 3, 1),
            "CC" => number((shown + 99) / 100, 2),
            "Y,YYY" => {
                let _ = write!(text, "{},{:03}", shown / 1000, shown % 1000);
            }
            fraction if fraction.starts_with("FF") => {
                let digits = format!("{micros:06}");
                let count = fraction[2..].parse().unwrap_or(digits.len());
                text.push_str(&digits[..count]);
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let half = if hours.rem_euclid(24) < 12 { "AM" } else { "PM" };
                text.push_str(&alike(&dotted(half, pattern), written));
            }
            "BC" | "AD" | "B.C." | "A.D." => {
                let era = if self.year > 0 { "AD" } else { "BC" };
                text.push_str(&alike(&dotted(era, pattern), written));
            }
            _ => return self.put_of_day(pattern, written, is_bare, text),
        }
        Ok(())
    }

    /// What only a day of the calendar has.
    fn put_of_day(&self, pattern: &str, written: &str, is_bare: bool, text: &mut String) -> Result<()> {
        let Some(days) = self.days else {
            let message = format!("{pattern} in a pattern of to_char is about a date, and an interval is none");
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                .hint("leave it out")
                .into());
        };
        let of_year = days - days_of(self.year, 1, 1) + 1;
        // 1970 began on a Thursday; Sunday is 0.
        let weekday = (days + 4).rem_euclid(7);
        let (iso_year, iso_week) = iso_week(days, self.year);
        let mut number = |value: i64, width: usize| {
            let width = if is_bare { 0 } else { width };
            let _ = write!(text, "{value:0width$}");
        };
        match pattern {
            "DDD" => number(of_year, 3),
            "D" => number(weekday + 1, 1),
            "ID" => number((weekday + 6) % 7 + 1, 1),
            "IDDD" => number(days - week_one(iso_year) + 1, 3),
            "IW" => number(iso_week, 2),
            "WW" => number((of_year - 1) / 7 + 1, 2),
            "W" => number((self.day - 1) / 7 + 1, 1),
            "J" => number(days + 2_440_588, 1),
            "IYYY" => number(iso_year, 4),
            "IYY" => number(iso_year % 1000, 3),
            "IY" => number(iso_year % 100, 2),
            "I" => number(iso_year % 10, 1),
            name => {
                let is_month = name.starts_with('M');
                let full = match is_month {
                    true => MONTHS[(self.month as usize + 11) % 12],
                    false => DAYS[weekday as usize],
                };
                let is_short = matches!(name, "MON" | "DY");
                let name = alike(if is_short { &full[..3] } else { full }, written);
                let width = if is_short || is_bare { 0 } else { NAME_WIDTH };
                let _ = write!(text, "{name:<width$}");
            }
        }
        Ok(())
    }
}

/// The day that a year of weeks begins with: the Monday of the week that has January the fourth.
fn week_one(year: i64) -> i64 {
    let fourth = days_of(year, 1, 4);
    fourth - (fourth + 3).rem_euclid(7)
}

/// The year of weeks that a day is of, and its week.
fn iso_week(days: i64, year: i64) -> (i64, i64) {
    let year = match days {
        days if days < week_one(year) => year - 1,
        days if days >= week_one(year + 1) => year + 1,
        _ => year,
    };
    (year, (days - week_one(year)) / 7 + 1)
}

/// `AM` as `A.M.` where the pattern has points.
fn dotted(of: &str, pattern: &str) -> String {
    match pattern.contains('.') {
        true => of.chars().flat_map(|letter| [letter, '.']).collect(),
        false => of.to_owned(),
    }
}

/// In capitals or small letters, as the pattern is written; as it is where only its first letter is a capital.
fn alike(name: &str, written: &str) -> String {
    let mut letters = written.chars().filter(char::is_ascii_alphabetic);
    let is_capital = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_uppercase());
    match (is_capital(letters.next()), is_capital(letters.next())) {
        (true, true) => name.to_uppercase(),
        (true, false) => name.to_owned(),
        _ => name.to_lowercase(),
    }
}

fn ordinal(number: i64) -> &'static str {
    match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// What stands behind a pattern, in capitals or not.
fn strip<'a>(text: &'a str, pattern: &str) -> Option<&'a str> {
    let begins = text.get(..pattern.len())?.eq_ignore_ascii_case(pattern);
    begins.then(|| &text[pattern.len()..])
}

/// Writes what stands in quotes as it is; what is left behind them.
fn quoted<'a>(text: &'a str, into: &mut String) -> &'a str {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return &text[at + 1..],
            '\\' => into.extend(letters.next().map(|(_, letter)| letter)),
            letter => into.push(letter),
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_postgresql_writes_them() {
        let day = |year, month, day| days_of(year, month, day) * MICROSECONDS_A_DAY;
        let at = day(2024, 3, 5) + 25_689_123_456;
        for (moment, pattern, expected) in [
            (at, "YYYY-MM-DD HH24:MI:SS.US", "2024-03-05 07:08:09.123456"),
            (at + 36_000_000_000, "HH12:MI AM, hh p.m.", "05:08 PM, 05 p.m."),
            (at, "Day, DD Month YYYY", "Tuesday  , 05 March     2024"),
            (at, "FMDay, FMDD FMMonth YYYY", "Tuesday, 5 March 2024"),
            (at, "DY Mon DDth", "TUE Mar 05th"),
            (at, "YYYY\"Q\"Q", "2024Q1"),
            (at, "IYYY-IW DDD D ID WW J", "2024-10 065 3 2 10 2460375"),
            (at, "MS FF3 SSSS CC RM", "123 123 25689 21 III "),
            (day(2023, 1, 1), "IYYY-\"W\"IW", "2022-W52"),
            (day(9999, 12, 31), "YYYY-MM-DD", "9999-12-31"),
            (day(1, 1, 1), "YYYY-MM-DD AD", "0001-01-01 AD"),
            (at, "\\Y", "Y"),
        ] {
            assert_eq!(
                Moment::at(moment).written(pattern).ok().as_deref(),
                Some(expected),
                "{pattern}"
            );
        }
        let interval = IntervalMonthDayNano::new(14, 1, 7_384_000_000_000);
        assert_eq!(
            Moment::within(interval).written("YY-MM DD HH24:MI:SS").ok().as_deref(),
            Some("01-02 01 02:03:04")
        );
        assert!(Moment::within(interval).written("Day").is_err());
    }
}
