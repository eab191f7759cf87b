//! Days, moments and times of day as ISO 8601 writes them.

use std::fmt::Write as _;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Writes a day, counted from 1970-01-01; `None` outside of the years 0 to 9999.
pub(super) fn push_date(out: &mut String, days: i64) -> Option<()> {
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March, in eras of 400 years.
    let shifted = days.checked_add(719_468)?;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    if !(0..=9999).contains(&year) {
        return None;
    }
    write!(out, "{year:04}-{month:02}-{day_of_month:02}").ok()
}

/// Writes a time of day, microseconds from midnight.
pub(super) fn push_time(out: &mut String, time_us: i64) -> Option<()> {
    if !(0..DAY_US).contains(&time_us) {
        return None;
    }
    let (seconds, micros) = (time_us / 1_000_000, time_us % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(out, "{hours:02}:{minutes:02}:{seconds:02}").ok()?;
    match micros {
        0 => Some(()),
        micros => write!(out, ".{micros:06}").ok(),
    }
}

/// Writes a moment, microseconds from 1970-01-01T00:00, without a zone.
pub(super) fn push_moment(out: &mut String, moment_us: i64) -> Option<()> {
    push_date(out, moment_us.div_euclid(DAY_US))?;
    out.push('T');
    push_time(out, moment_us.rem_euclid(DAY_US))
}

/// Reads a time of day, `10:00:00` or `10:00:00.123456`, as microseconds from midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let mut part = |below: i64| {
        let digits = parts.next().filter(|digits| digits.len() == 2)?;
        digits.parse::<i64>().ok().filter(|number| (0..below).contains(number))
    };
    let (hours, minutes, seconds) = (part(24)?, part(60)?, part(60)?);
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut String) -> Option<()>, expected: Option<&str>) {
        let mut out = String::new();
        let written = write(&mut out).map(|()| out);
        assert_eq!(written.as_deref(), expected);
    }

    #[test]
    fn days_moments_and_times() {
        for (days, expected) in [
            (0, Some("1970-01-01")),
            (-1, Some("1969-12-31")),
            (11_016, Some("2000-02-29")),
            (20_454, Some("2026-01-01")),
            (-719_528, Some("0000-01-01")),
            (2_932_896, Some("9999-12-31")),
            (2_932_897, None),
            (i64::MAX, None),
        ] {
            check(|out| push_date(out, days), expected);
        }
        check(|out| push_moment(out, -1), Some("1969-12-31T23:59:59.999999"));
        check(|out| push_moment(out, 1_500_000), Some("1970-01-01T00:00:01.500000"));
        check(|out| push_time(out, DAY_US), None);
        assert_eq!(time("10:00:00.5"), Some(36_000_500_000));
        assert_eq!(time("24:00:00"), None);
        assert_eq!(time("1:00:00"), None);
    }
}
