//! Dates, times of day and intervals as PostgreSQL writes them, for every day that fits, before year 1 included.

use std::fmt::Write;

use crate::session_zone::{SessionZone, offset_text};

/// Microseconds of a day.
pub(crate) const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_shifted + 2) / 5 + 1) as u32;
    let month = if month_shifted < 10 {
        month_shifted + 3
    } else {
        month_shifted - 9
    } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The day counted from 1970-01-01 of a year, a month from 1 to 12 and a day of it.
/// Source: as above, `days_from_civil`.
pub(crate) fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_shifted = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// `2025-11-23`; years before 1 as PostgreSQL writes them, `0044-03-15 BC`.
pub fn put_date(text: &mut String, days: i64) {
    let (year, month, day) = civil(days);
    put_civil(text, year, month, day);
    put_era(text, year);
}

/// `2025-11-23 08:00:00.5`, and `+00` behind it where it is a moment.
pub fn put_timestamp(text: &mut String, microseconds: i64, moment: bool) {
    let (year, month, day) = civil(microseconds.div_euclid(MICROSECONDS_A_DAY));
    put_civil(text, year, month, day);
    text.push(' ');
    put_time(text, microseconds.rem_euclid(MICROSECONDS_A_DAY));
    if moment {
        text.push_str("+00");
    }
    put_era(text, year);
}

/// A moment as clocks of a session show it, with how far they are ahead of UTC: `2025-11-23 09:00:00.5+01`.
pub fn put_moment(text: &mut String, microseconds: i64, zone: Option<&SessionZone>) {
    let Some((shown, ahead)) = zone.and_then(|zone| zone.shown(microseconds)) else {
        return put_timestamp(text, microseconds, true);
    };
    let (year, month, day) = civil(shown.div_euclid(MICROSECONDS_A_DAY));
    put_civil(text, year, month, day);
    text.push(' ');
    put_time(text, shown.rem_euclid(MICROSECONDS_A_DAY));
    text.push_str(&offset_text(ahead));
    put_era(text, year);
}

/// `08:00:00.5`: a fraction only where there is one, without zeros at its end.
pub fn put_time(text: &mut String, microseconds: i64) {
    let seconds = microseconds / 1_000_000;
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    let fraction = microseconds % 1_000_000;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
}

/// `1 year 2 mons 3 days 04:05:06`, as PostgreSQL's IntervalStyle `postgres` writes it.
pub fn put_interval(text: &mut String, months: i32, days: i32, microseconds: i64) {
    let parts = [(months / 12, "year"), (months % 12, "mon"), (days, "day")];
    let mut separator = "";
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count != 0) {
        let plural = if count == 1 { "" } else { "s" };
        let _ = write!(text, "{separator}{count} {unit}{plural}");
        separator = " ";
    }
    if microseconds != 0 || separator.is_empty() {
        text.push_str(separator);
        if microseconds < 0 {
            text.push('-');
        }
        put_time(text, microseconds.checked_abs().unwrap_or(i64::MAX));
    }
}

fn put_civil(text: &mut String, year: i64, month: u32, day: u32) {
    let shown = if year > 0 { year } else { 1 - year };
    let _ = write!(text, "{shown:04}-{month:02}-{day:02}");
}

fn put_era(text: &mut String, year: i64) {
    if year <= 0 {
        text.push_str(" BC");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(put: impl Fn(&mut String), expected: &str) {
        let mut text = String::new();
        put(&mut text);
        assert_eq!(text, expected);
    }

    #[test]
    fn a_day_is_that_of_its_date() {
        for days in [
            i64::from(i32::MIN),
            -719_529,
            -719_163,
            -1,
            0,
            59,
            11_016,
            2_932_896,
            i64::from(i32::MAX),
        ] {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, month, day), days, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn dates_and_times_read_as_in_postgres() {
        check(|text| put_date(text, 0), "1970-01-01");
        check(|text| put_date(text, 10_957), "2000-01-01");
        check(|text| put_date(text, -719_163), "0001-12-31 BC");
        check(|text| put_date(text, 2_932_896), "9999-12-31");
        check(|text| put_date(text, i64::from(i32::MAX)), "5881580-07-11");
        check(|text| put_timestamp(text, 0, true), "1970-01-01 00:00:00+00");
        check(|text| put_timestamp(text, -1, false), "1969-12-31 23:59:59.999999");
        check(|text| put_timestamp(text, 500_000, false), "1970-01-01 00:00:00.5");
        check(
            |text| put_interval(text, 14, 3, 14_706_000_000),
            "1 year 2 mons 3 days 04:05:06",
        );
        check(|text| put_interval(text, 0, 0, 0), "00:00:00");
        check(|text| put_interval(text, 0, 1, -1_000_000), "1 day -00:00:01");
    }
}
