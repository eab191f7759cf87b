//! Dates and timestamps in ISO 8601's extended format (RFC 3339, and the date alone).

const DAY_US: i64 = 86_400_000_000;

/// A moment as written: the wall clock and how far it is ahead of UTC, where it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since 1970-01-01 00:00 on the wall clock.
    pub wall_us: i64,
    /// Microseconds ahead of UTC.
    pub offset_us: Option<i64>,
}

/// `2025-11-23` as days since 1970-01-01.
pub fn date(text: &[u8]) -> Option<i32> {
    let (days, rest) = take_date(text)?;
    rest.is_empty().then_some(days)
}

/// `2025-11-23`, `2025-11-23T10:00`, `2025-11-23 10:00:00.123456+02:00`, `…Z`. It is none where it has digits below a microsecond other than zeros.
pub fn moment(text: &[u8]) -> Option<Moment> {
    let (days, rest) = take_date(text)?;
    let midnight_us = i64::from(days) * DAY_US;
    let Some((separator, rest)) = rest.split_first() else {
        return Some(Moment {
            wall_us: midnight_us,
            offset_us: None,
        });
    };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (time_us, rest) = take_time(rest)?;
    Some(Moment {
        wall_us: midnight_us + time_us,
        offset_us: match rest {
            [] => None,
            offset => Some(take_offset(offset)?),
        },
    })
}

fn take_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let (year, rest) = take_digits(text, 4)?;
    let (month, rest) = take_digits(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = take_digits(rest.strip_prefix(b"-")?, 2)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    ((1..=days_in_month).contains(&day)).then(|| (days_since_1970(year, month, day), rest))
}

fn take_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = take_digits(text, 2)?;
    let (minute, mut rest) = take_digits(rest.strip_prefix(b":")?, 2)?;
    let mut second = 0;
    let mut fraction_us = 0;
    if let Some(after) = rest.strip_prefix(b":") {
        (second, rest) = take_digits(after, 2)?;
        if let Some(after) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
            let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 {
                return None;
            }
            let digits = after[..count].iter().map(|digit| i64::from(digit - b'0'));
            if digits.clone().skip(6).any(|digit| digit != 0) {
                return None;
            }
            for digit in digits.chain(std::iter::repeat(0)).take(6) {
                fraction_us = fraction_us * 10 + digit;
            }
            rest = &after[count..];
        }
    }
    // A leap second is taken as the second after it, as PostgreSQL does; 24:00 is the end of the day.
    let is_end_of_day = hour == 24 && minute == 0 && second == 0 && fraction_us == 0;
    if (hour > 23 && !is_end_of_day) || minute > 59 || second > 60 {
        return None;
    }
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    Some((seconds * 1_000_000 + fraction_us, rest))
}

/// `Z`, `+02:00`, `+0200` or `+02`, whole.
fn take_offset(text: &[u8]) -> Option<i64> {
    let (sign, rest) = text.split_first()?;
    let sign = match sign {
        b'Z' | b'z' if rest.is_empty() => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = take_digits(rest, 2)?;
    let minutes = match rest.strip_prefix(b":").unwrap_or(rest) {
        [] if rest.is_empty() => 0,
        rest => {
            let (minutes, rest) = take_digits(rest, 2)?;
            if !rest.is_empty() {
                return None;
            }
            minutes
        }
    };
    (hours <= 18 && minutes <= 59).then(|| sign * i64::from(hours * 60 + minutes) * 60_000_000)
}

fn take_digits(text: &[u8], count: usize) -> Option<(i32, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let mut value = 0;
    for digit in digits {
        value = value * 10 + i32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some((value, rest))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that the leap day comes last.
fn days_since_1970(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let check = |text: &str, expected: Option<i32>| assert_eq!(date(text.as_bytes()), expected, "{text}");
        check("1970-01-01", Some(0));
        check("1969-12-31", Some(-1));
        check("2000-02-29", Some(11_016));
        check("2025-11-23", Some(20_415));
        check("0001-01-01", Some(-719_162));
        check("9999-12-31", Some(2_932_896));
        for wrong in [
            "1900-02-29",
            "2025-02-29",
            "2025-13-01",
            "2025-00-10",
            "2025-04-31",
            "2025-1-1",
            "25-01-01",
            "2025-01-01T",
            "",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn moments() {
        let check = |text: &str, wall_us: i64, offset_us: Option<i64>| {
            assert_eq!(moment(text.as_bytes()), Some(Moment { wall_us, offset_us }), "{text}");
        };
        check("1970-01-01", 0, None);
        check("1970-01-01T00:00", 0, None);
        check("1970-01-01 00:00:01.5", 1_500_000, None);
        check("1970-01-01T00:00:01.123456000Z", 1_123_456, Some(0));
        check("1970-01-01T02:00:00+02:00", 7_200_000_000, Some(7_200_000_000));
        check("1970-01-01T00:00:00-0530", 0, Some(-19_800_000_000));
        check("1970-01-01T00:00:00+02", 0, Some(7_200_000_000));
        check("1969-12-31T24:00:00", 0, None);
        check("1969-12-31T23:59:60Z", 0, Some(0));
        let wrong = [
            "1970-01-01T",
            "1970-01-01T1:00",
            "1970-01-01T24:01",
            "1970-01-01T00:60",
            "1970-01-01T00:00:61",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00:01.123456789Z",
            "1970-01-01T00:00:00+",
            "1970-01-01T00:00:00+2",
            "1970-01-01T00:00:00+02:",
            "1970-01-01T00:00:00Zz",
            "1970-01-01x00:00",
            "now",
        ];
        for text in wrong {
            assert_eq!(moment(text.as_bytes()), None, "{text}");
        }
    }
}
