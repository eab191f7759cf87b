//! When something happens again and again: pure functions from a rule and moments to the next tick.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::cron::Cron;
use crate::limits::EVERY_US_MIN;

/// The rule of a recurring schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recurrence {
    /// Every so many microseconds from the first tick on.
    Every(i64),
    /// Every so many months of the calendar from the first tick on: where a month is too short, on its last day.
    Months(i64),
    /// By the calendar.
    Cron(Cron),
}

/// What becomes of ticks whose moment passed while nothing ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Each is made, one after another.
    All,
    /// Only the last of them.
    Last,
    /// None: it goes on with the next.
    None,
}

impl Recurrence {
    /// The rule of a span, such as `1 day`, `15 minutes` or `3 months`.
    pub fn every(text: &str) -> Result<Recurrence, String> {
        let wanted = "write it as 15 minutes, 1 day or 3 months";
        let span: Span = text
            .parse()
            .map_err(|_| format!("'{text}' is no span of time: {wanted}"))?;
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        let rest = span.years(0).months(0);
        let seconds = i64::from(rest.get_weeks()) * 7 * 86_400 + i64::from(rest.get_days()) * 86_400;
        let time = rest.weeks(0).days(0);
        let time_us = time.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
        let time_us = time_us.ok().and_then(|time| i64::try_from(time.as_micros()).ok());
        let every_us = time_us.and_then(|time_us| seconds.checked_mul(1_000_000)?.checked_add(time_us));
        match (months, every_us) {
            (0, Some(every_us)) if every_us >= EVERY_US_MIN => Ok(Recurrence::Every(every_us)),
            (1.., Some(0)) => Ok(Recurrence::Months(months)),
            (0, Some(_)) => Err(format!("'{text}' is shorter than a second: {wanted}")),
            _ => Err(format!(
                "'{text}' mixes months with other units, or goes back: {wanted}"
            )),
        }
    }

    /// The tick to be made now, where one is: `first_us` is the first of all, up to `made_us` they are made, and `since_us` says since when the program
    /// looks without a break.
    pub fn due(&self, first_us: i64, made_us: i64, missed: Missed, since_us: i64, now_us: i64) -> Option<i64> {
        let next_us = self.next_due(first_us, made_us, missed, since_us);
        let next_us = next_us.filter(|next_us| *next_us <= now_us)?;
        match missed {
            Missed::Last => self.last_until(first_us, now_us).or(Some(next_us)),
            Missed::All | Missed::None => Some(next_us),
        }
    }

    /// When the next tick is to be made.
    pub fn next_due(&self, first_us: i64, made_us: i64, missed: Missed, since_us: i64) -> Option<i64> {
        let made_us = match missed {
            Missed::None => made_us.max(since_us.saturating_sub(1)),
            Missed::All | Missed::Last => made_us,
        };
        self.next_after(first_us, made_us)
    }

    /// The first tick after a moment.
    pub fn next_after(&self, first_us: i64, at_us: i64) -> Option<i64> {
        if at_us < first_us {
            return match self {
                Recurrence::Cron(cron) => cron.next_after(first_us - 1),
                _ => Some(first_us),
            };
        }
        match self {
            Recurrence::Every(every_us) => {
                first_us.checked_add(((at_us - first_us) / every_us + 1).checked_mul(*every_us)?)
            }
            Recurrence::Months(_) => {
                let number = self.number(first_us, at_us)?;
                self.tick(first_us, number + 1)
            }
            Recurrence::Cron(cron) => cron.next_after(at_us),
        }
    }

    /// The last tick up to a moment.
    fn last_until(&self, first_us: i64, at_us: i64) -> Option<i64> {
        if at_us < first_us {
            return None;
        }
        match self {
            Recurrence::Every(every_us) => Some(at_us - (at_us - first_us) % every_us),
            Recurrence::Months(_) => self.tick(first_us, self.number(first_us, at_us)?),
            Recurrence::Cron(cron) => cron.last_until(at_us).filter(|last_us| *last_us >= first_us),
        }
    }

    /// The number of the last tick up to a moment, which is not before the first.
    fn number(&self, first_us: i64, at_us: i64) -> Option<i64> {
        let Recurrence::Months(months) = self else { return None };
        let date = |at_us: i64| {
            let at = Timestamp::from_microsecond(at_us).ok()?;
            let date = TimeZone::UTC.to_datetime(at).date();
            Some(i64::from(date.year()) * 12 + i64::from(date.month()))
        };
        let number = (date(at_us)? - date(first_us)?) / months;
        // In the last month the day may be still to come.
        match self.tick(first_us, number)? > at_us {
            true => Some(number - 1),
            false => Some(number),
        }
    }

    /// The tick of this number, from 0. Counted from the first, so that the 31st comes back after a short month.
    fn tick(&self, first_us: i64, number: i64) -> Option<i64> {
        let Recurrence::Months(months) = self else { return None };
        let first = TimeZone::UTC.to_datetime(Timestamp::from_microsecond(first_us).ok()?);
        let span = Span::new().try_months(months.checked_mul(number)?).ok()?;
        let at = first.checked_add(span).ok()?;
        Some(TimeZone::UTC.to_timestamp(at).ok()?.as_microsecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn ticks_follow_the_first_one() {
        let check = |every: &str, first: &str, at: &str, expected: &str| {
            let next_us = Recurrence::every(every).unwrap().next_after(us(first), us(at));
            assert_eq!(next_us, Some(us(expected)), "every {every} from {first}, after {at}");
        };
        check(
            "1 day",
            "2026-01-01T09:00:00Z",
            "2025-01-01T00:00:00Z",
            "2026-01-01T09:00:00Z",
        );
        check(
            "1 day",
            "2026-01-01T09:00:00Z",
            "2026-01-01T09:00:00Z",
            "2026-01-02T09:00:00Z",
        );
        check(
            "1 day",
            "2026-01-01T09:00:00Z",
            "2026-03-01T08:59:59.999999Z",
            "2026-03-01T09:00:00Z",
        );
        check(
            "90 minutes",
            "2026-01-01T00:00:00Z",
            "2026-01-01T03:10:00Z",
            "2026-01-01T04:30:00Z",
        );
        check(
            "1 month",
            "2026-01-31T00:00:00Z",
            "2026-01-31T00:00:00Z",
            "2026-02-28T00:00:00Z",
        );
        check(
            "1 month",
            "2026-01-31T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-03-31T00:00:00Z",
        );
        check(
            "1 month",
            "2026-01-31T12:00:00Z",
            "2026-03-31T11:00:00Z",
            "2026-03-31T12:00:00Z",
        );
        check(
            "3 months",
            "2026-01-15T00:00:00Z",
            "2026-06-01T00:00:00Z",
            "2026-07-15T00:00:00Z",
        );
        check(
            "1 year",
            "2024-02-29T00:00:00Z",
            "2026-06-01T00:00:00Z",
            "2027-02-28T00:00:00Z",
        );
    }

    #[test]
    fn missed_ticks_are_made_as_their_rule_says() {
        let hour = Recurrence::every("1 hour").unwrap();
        let at = |hours: i64| hours * 3_600_000_000;
        let check = |last: Option<i64>, missed: Missed, since: i64, now: i64, expected: Option<i64>| {
            let due = hour.due(at(10), last.map_or(at(10) - 1, at), missed, at(since), at(now));
            assert_eq!(due, expected.map(at), "{last:?} {missed:?} since {since} now {now}");
        };
        check(None, Missed::All, 0, 9, None);
        check(None, Missed::All, 0, 10, Some(10));
        check(None, Missed::All, 0, 15, Some(10));
        check(Some(10), Missed::All, 0, 15, Some(11));
        check(Some(15), Missed::All, 0, 15, None);
        check(Some(10), Missed::Last, 0, 15, Some(15));
        check(Some(15), Missed::Last, 0, 15, None);
        check(Some(10), Missed::None, 15, 15, Some(15));
        check(Some(10), Missed::None, 14, 15, Some(14));
        check(None, Missed::None, 20, 20, Some(20));
        check(Some(20), Missed::None, 18, 20, None);
        // The clock went back: what was made stays made.
        check(Some(20), Missed::All, 0, 15, None);
    }

    #[test]
    fn the_next_tick_is_the_first_whatever_becomes_of_missed_ones() {
        let hour = Recurrence::every("1 hour").unwrap();
        let at = |hours: i64| hours * 3_600_000_000;
        for missed in [Missed::All, Missed::Last, Missed::None] {
            assert_eq!(hour.next_due(at(10), at(10) - 1, missed, 0), Some(at(10)), "{missed:?}");
            assert_eq!(hour.next_due(at(10), at(12), missed, 0), Some(at(13)), "{missed:?}");
        }
        assert_eq!(hour.next_due(at(10), at(12), Missed::Last, at(20)), Some(at(13)));
        assert_eq!(hour.next_due(at(10), at(12), Missed::None, at(20)), Some(at(20)));
    }

    #[test]
    fn spans_are_a_second_or_months() {
        let check = |text: &str, expected: Result<Recurrence, &str>| match (Recurrence::every(text), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(error), Err(why)) => assert!(error.contains(why), "{text}: {error}"),
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        };
        check("1 second", Ok(Recurrence::Every(1_000_000)));
        check("999 ms", Err("shorter than a second"));
        check("1 week 2 days", Ok(Recurrence::Every(9 * 86_400_000_000)));
        check("PT36H", Ok(Recurrence::Every(36 * 3_600_000_000)));
        check("1 year 1 month", Ok(Recurrence::Months(13)));
        check("1 month 1 day", Err("mixes months"));
        check("-1 day", Err("shorter than a second"));
        check("-1 month", Err("goes back"));
        check("often", Err("no span"));
    }
}
