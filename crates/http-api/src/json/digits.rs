//! Numbers and moments as text, without the machinery of formats: an answer has dozens of them.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Writes the digits of a number, at least so many.
pub(crate) fn put_digits(mut number: u128, width: usize, out: &mut Vec<u8>) {
    /// As many as the largest number has, and as the widest decimal wants.
    const DIGITS_MAX: usize = 40;
    let mut digits = [b'0'; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    while number > 0 && at > 0 {
        at -= 1;
        // Small numbers, which nearly all are, are divided four times as fast.
        match u64::try_from(number) {
            Ok(small) => {
                digits[at] = b'0' + (small % 10) as u8;
                number = u128::from(small / 10);
            }
            Err(_) => {
                digits[at] = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
    }
    out.extend_from_slice(&digits[at.min(DIGITS_MAX.saturating_sub(width))..]);
}

/// Writes a moment (microseconds since 1970) in UTC up to its second, `2025-11-26T03:12:00`; the microseconds behind that, or `None`, and nothing
/// written, for years of other than four digits.
pub(crate) fn put_second(microseconds: i64, out: &mut Vec<u8>) -> Option<u32> {
    let moment = Timestamp::from_microsecond(microseconds).ok()?;
    let at = TimeZone::UTC.to_datetime(moment);
    let year @ 0..=9999 = at.year() else { return None };
    let mut text = *b"0000-00-00T00:00:00";
    let two = |number: i8| u16::from(number.unsigned_abs());
    let parts = [
        (0, year.unsigned_abs() / 100),
        (2, year.unsigned_abs() % 100),
        (5, two(at.month())),
        (8, two(at.day())),
        (11, two(at.hour())),
        (14, two(at.minute())),
        (17, two(at.second())),
    ];
    for (place, number) in parts {
        text[place] += (number / 10) as u8;
        text[place + 1] += (number % 10) as u8;
    }
    out.extend_from_slice(&text);
    Some(at.subsec_nanosecond().unsigned_abs() / 1_000)
}

/// Microseconds since 1970 as RFC 3339; the number itself where it lies outside of the years it can write.
pub(crate) fn moment(microseconds: i64) -> String {
    let mut text: Vec<u8> = Vec::new();
    write_moment(microseconds, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The same behind what is in `out`.
pub(crate) fn write_moment(microseconds: i64, out: &mut Vec<u8>) {
    let Some(mut fraction) = put_second(microseconds, out) else {
        // Writing into memory does not fail.
        let _ = match Timestamp::from_microsecond(microseconds) {
            Ok(moment) => write!(out, "{moment}"),
            Err(_) => write!(out, "{microseconds}"),
        };
        return;
    };
    if fraction > 0 {
        let mut width = 6;
        while fraction % 10 == 0 {
            (fraction, width) = (fraction / 10, width - 1);
        }
        out.push(b'.');
        put_digits(fraction.into(), width, out);
    }
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_says() {
        for microseconds in [
            0,
            -1,
            1,
            500_000,
            1_000_100,
            951_782_400_000_000,
            253_402_300_799_999_999,
            253_402_300_800_000_000,
            -62_167_219_200_000_000,
            -62_167_219_200_000_001,
        ] {
            let expected = jiff::Timestamp::from_microsecond(microseconds)
                .map_or_else(|_| microseconds.to_string(), |at| at.to_string());
            assert_eq!(moment(microseconds), expected, "{microseconds}");
        }
        assert_eq!(moment(1_500_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(moment(i64::MAX), i64::MAX.to_string());
    }
}
