//! Moments and durations, as a test writes them.

use super::ScriptError;
use super::blocks::{counted, refuse};
use crate::moment;

/// What a moment looks like, for errors.
const MOMENT: &str =
    "a time is written 2025-01-31, 2025-01-31 09:30:00 or 2025-01-31T09:30:00.5+01:00; without a zone it is UTC";

/// A time in microseconds since 1970.
pub(super) fn moment(text: &str, line: usize) -> Result<i64, ScriptError> {
    let bare = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match moment::parse(bare.unwrap_or(text)) {
        Some(moment_us) => Ok(moment_us),
        None => refuse(line, format!("'{text}' is no time: {MOMENT}")),
    }
}

/// A time and what follows it, which begins with a brace.
pub(super) fn leading_moment(text: &str, line: usize) -> Result<(i64, &str), ScriptError> {
    match text.find('{') {
        Some(end) => Ok((moment(text[..end].trim(), line)?, &text[end..])),
        None => refuse(
            line,
            "AT time is followed by the event, a JSON object, on the same line",
        ),
    }
}

/// `2 days 12 hours`, in microseconds.
pub(super) fn duration(text: &str, line: usize) -> Result<i64, ScriptError> {
    let example = "a duration is written 10 seconds, 1 hour 30 minutes or 2 days";
    let mut total: i64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return refuse(line, format!("ADVANCE is followed by a duration: {example}"));
    }
    while !rest.is_empty() {
        let Some((count, unit_and_rest)) = counted(rest) else {
            return refuse(line, format!("'{text}' is no duration: {example}"));
        };
        let (unit, after) = unit_and_rest
            .split_once(char::is_whitespace)
            .unwrap_or((unit_and_rest, ""));
        let unit_us: i64 = match unit.to_ascii_lowercase().trim_end_matches('s') {
            "microsecond" => 1,
            "millisecond" => 1_000,
            "second" => 1_000_000,
            "minute" => 60 * 1_000_000,
            "hour" => 3_600 * 1_000_000,
            "day" => 86_400 * 1_000_000,
            "week" => 7 * 86_400 * 1_000_000,
            "month" | "year" => {
                return refuse(
                    line,
                    format!("{unit}s are of different lengths: name the time with AT, or say days"),
                );
            }
            _ => return refuse(line, format!("'{unit}' is no unit of time: {example}")),
        };
        let passed = i64::try_from(count).ok().and_then(|count| count.checked_mul(unit_us));
        match passed.and_then(|passed| total.checked_add(passed)) {
            Some(sum) => total = sum,
            None => return refuse(line, format!("'{text}' is longer than time is counted here: {example}")),
        }
        rest = after.trim_start();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read() {
        let day = 86_400_000_000;
        for (text, expected) in [
            ("1970-01-02", Some(day)),
            ("1970-01-02 00:00:01", Some(day + 1_000_000)),
            ("'1970-01-02T00:00:01Z'", Some(day + 1_000_000)),
            ("1970-01-02T01:00:00.5+01:00", Some(day + 500_000)),
            ("1969-12-31 23:59:59.999999", Some(-1)),
            ("yesterday", None),
            ("", None),
            ("1970-13-01", None),
        ] {
            assert_eq!(moment(text, 1).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("1 day", Some(day)),
            ("2 DAYS 12 hours", Some(2 * day + day / 2)),
            (
                "1 week 1 minute 1 second 1 millisecond 1 microsecond",
                Some(7 * day + 61_001_001),
            ),
            ("", None),
            ("day", None),
            ("1", None),
            ("1 month", None),
            ("1 fortnight", None),
            ("-1 day", None),
            ("99999999999999 weeks", None),
        ] {
            assert_eq!(duration(text, 1).ok(), expected, "{text}");
        }
    }
}
