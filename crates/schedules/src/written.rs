//! When something is due, as the headers of a request or a record say it: the same words at every door.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::{Moment, ScheduleError};

/// The header that names a moment.
pub const AT_HEADER: &str = "headwater-append-at";

/// The header that names a span of time, counted from now.
pub const AFTER_HEADER: &str = "headwater-append-after";

/// The moment that the values of these headers mean, microseconds since 1970; `None` where neither is there.
pub fn written_due_us(at: Option<&str>, after: Option<&str>, now_us: i64) -> Result<Option<i64>, ScheduleError> {
    let at_us = match (at, after) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let why = format!("{AT_HEADER} and {AFTER_HEADER} contradict each other: send one of them");
            return Err(ScheduleError::Invalid(why));
        }
        (Some(at), None) => at.parse::<Timestamp>().map(Timestamp::as_microsecond).map_err(|_| {
            ScheduleError::Invalid(format!(
                "{AT_HEADER} is '{at}', which is no moment up to 9999-12-30 as RFC 3339 writes it: 2026-12-31T09:00:00Z"
            ))
        })?,
        (None, Some(after)) => after_us(after, now_us).ok_or_else(|| {
            ScheduleError::Invalid(format!(
                "{AFTER_HEADER} is '{after}', which is no span of time up to the year 9999: 3 days, or PT72H"
            ))
        })?,
    };
    Moment::At(at_us).due_us(now_us).map(Some)
}

/// So much after now, by the calendar.
fn after_us(text: &str, now_us: i64) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let now = Timestamp::from_microsecond(now_us)
        .ok()?
        .to_zoned_datetime(TimeZone::UTC);
    Some(now.checked_add(span).ok()?.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

    fn check(at: Option<&str>, after: Option<&str>, expected: Result<Option<i64>, &str>) {
        match (written_due_us(at, after, DAY_US), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{at:?} {after:?}"),
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
            (found, expected) => panic!("{at:?} {after:?}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn headers_say_when() {
        check(None, None, Ok(None));
        check(Some("1970-01-03T00:00:00Z"), None, Ok(Some(2 * DAY_US)));
        check(Some("1969-01-03T00:00:00+02:00"), None, Ok(Some(-31_370_400_000_000)));
        check(None, Some("3 days"), Ok(Some(4 * DAY_US)));
        check(None, Some("P1M"), Ok(Some(32 * DAY_US)));
        check(None, Some("PT36H"), Ok(Some(5 * DAY_US / 2)));
        check(Some("tomorrow"), None, Err("no moment"));
        check(None, Some("5"), Err("no span"));
        check(None, Some("9000 years"), Err("no span"));
        check(Some("1970-01-03T00:00:00Z"), Some("1s"), Err("contradict"));
    }
}
