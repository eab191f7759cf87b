//! The five fields of cron: minute, hour, day of the month, month, day of the week, in UTC.
//!
//! ```text
//! *   5   1-5   */15   8-18/2   1,15   MON-FRI   JAN        days of the week: 0 and 7 are Sunday
//! ```
//!
//! Where both days are restricted either may match, as in every cron since Vixie's. There is no daylight saving in UTC: every minute comes once.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// How many days are looked through: the 29th of February comes within eight years, and what does not come within them never comes.
const DAYS_MAX: usize = 8 * 366 + 1;

/// Moments by their place in the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// A bit for each number that matches.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the day of the month, and that of the week, is restricted.
    restricted: (bool, bool),
}

impl Cron {
    /// Reads the five fields; what is wrong is said.
    pub fn parse(text: &str) -> Result<Cron, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!(
                "'{text}' has {} fields and not five: minute, hour, day of the month, month, day of the week",
                fields.len()
            ));
        };
        let weekdays = field(weekday, 0, 7, &WEEKDAYS, 0)?;
        let cron = Cron {
            minutes: field(minute, 0, 59, &[], 0)?,
            hours: field(hour, 0, 23, &[], 0)?,
            days: field(day, 1, 31, &[], 0)?,
            months: field(month, 1, 12, &MONTHS, 1)?,
            weekdays: weekdays | weekdays >> 7 & 1,
            restricted: (!day.starts_with('*'), !weekday.starts_with('*')),
        };
        match cron.next_after(0) {
            Some(_) => Ok(cron),
            None => Err(format!("'{text}' never comes: no month has such a day")),
        }
    }

    /// The first moment after this one, microseconds since 1970.
    pub(crate) fn next_after(&self, at_us: i64) -> Option<i64> {
        let (mut date, minute) = minute_of(at_us)?;
        let mut from = minute + 1;
        for _ in 0..DAYS_MAX {
            if self.has(date)
                && let Some(minute) = (from..24 * 60).find(|minute| self.at(*minute))
            {
                return moment(date, minute);
            }
            (date, from) = (date.tomorrow().ok()?, 0);
        }
        None
    }

    /// The last moment up to this one.
    pub(crate) fn last_until(&self, at_us: i64) -> Option<i64> {
        let (mut date, minute) = minute_of(at_us)?;
        let mut to = minute;
        for _ in 0..DAYS_MAX {
            if self.has(date)
                && let Some(minute) = (0..=to).rev().find(|minute| self.at(*minute))
            {
                return moment(date, minute);
            }
            (date, to) = (date.yesterday().ok()?, 24 * 60 - 1);
        }
        None
    }

    fn has(&self, date: Date) -> bool {
        let is = |set: u64, number: i8| set >> number & 1 == 1;
        let day = is(self.days, date.day());
        let weekday = is(self.weekdays, date.weekday().to_sunday_zero_offset());
        let matches = match self.restricted {
            (true, true) => day || weekday,
            _ => day && weekday,
        };
        matches && is(self.months, date.month())
    }

    /// Whether this minute of a day matches.
    fn at(&self, minute: i64) -> bool {
        self.minutes >> (minute % 60) & 1 == 1 && self.hours >> (minute / 60) & 1 == 1
    }
}

/// The day, and the minute of it.
fn minute_of(at_us: i64) -> Option<(Date, i64)> {
    let at = TimeZone::UTC.to_datetime(Timestamp::from_microsecond(at_us).ok()?);
    Some((at.date(), i64::from(at.hour()) * 60 + i64::from(at.minute())))
}

fn moment(date: Date, minute: i64) -> Option<i64> {
    let at = date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
    Some(TimeZone::UTC.to_timestamp(at).ok()?.as_microsecond())
}

/// A bit for each number that a field names. `names` stand for the numbers from `first` on.
fn field(text: &str, least: u32, most: u32, names: &[&str], first: u32) -> Result<u64, String> {
    let number = |word: &str| {
        let named = names.iter().position(|name| word.eq_ignore_ascii_case(name));
        let number = named.map(|index| index as u32 + first).or_else(|| word.parse().ok());
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("'{word}' in '{text}' is no number from {least} to {most}"))
    };
    let mut set: u64 = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            None => (part, 1),
            Some((range, step)) => {
                let step = step.parse::<u32>().ok().filter(|step| (1..=most).contains(step));
                (
                    range,
                    step.ok_or_else(|| format!("the step in '{part}' is no number from 1 to {most}"))?,
                )
            }
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(format!("the range '{range}' runs backwards"));
        }
        for number in (from..=to).step_by(step as usize) {
            set |= 1 << number;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn check(cron: &str, at: &str, before: Option<&str>, after: Option<&str>) {
        let cron = Cron::parse(cron).unwrap();
        assert_eq!(cron.last_until(us(at)), before.map(us), "{cron:?} up to {at}");
        assert_eq!(cron.next_after(us(at)), after.map(us), "{cron:?} after {at}");
    }

    #[test]
    fn moments_come_by_the_calendar() {
        let at = "2026-11-25T20:30:30Z";
        check(
            "* * * * *",
            at,
            Some("2026-11-25T20:30:00Z"),
            Some("2026-11-25T20:31:00Z"),
        );
        check(
            "* * * * *",
            "2026-11-25T20:30:00Z",
            Some("2026-11-25T20:30:00Z"),
            Some("2026-11-25T20:31:00Z"),
        );
        check(
            "0 3 * * *",
            at,
            Some("2026-11-25T03:00:00Z"),
            Some("2026-11-26T03:00:00Z"),
        );
        check(
            "*/15 8-18/2 * * *",
            at,
            Some("2026-11-25T18:45:00Z"),
            Some("2026-11-26T08:00:00Z"),
        );
        check(
            "0 0 1 * *",
            at,
            Some("2026-11-01T00:00:00Z"),
            Some("2026-12-01T00:00:00Z"),
        );
        check(
            "0 0 31 * *",
            at,
            Some("2026-10-31T00:00:00Z"),
            Some("2026-12-31T00:00:00Z"),
        );
        check(
            "0 0 29 feb *",
            at,
            Some("2024-02-29T00:00:00Z"),
            Some("2028-02-29T00:00:00Z"),
        );
        check(
            "0 9 * * MON-FRI",
            "2026-11-27T10:00:00Z",
            Some("2026-11-27T09:00:00Z"),
            Some("2026-11-30T09:00:00Z"),
        );
        check(
            "0 9 * * 7",
            at,
            Some("2026-11-22T09:00:00Z"),
            Some("2026-11-29T09:00:00Z"),
        );
        check(
            "0 9 1 * sun",
            at,
            Some("2026-11-22T09:00:00Z"),
            Some("2026-11-29T09:00:00Z"),
        );
        check(
            "5,10 0 1 jan *",
            at,
            Some("2026-01-01T00:10:00Z"),
            Some("2027-01-01T00:05:00Z"),
        );
        check(
            "59 23 31 12 *",
            "9999-01-01T00:00:00Z",
            Some("9998-12-31T23:59:00Z"),
            None,
        );
    }

    #[test]
    fn what_is_no_cron_is_refused() {
        let check = |text: &str, why: &str| {
            let error = Cron::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        };
        check("", "0 fields");
        check("* * * *", "4 fields");
        check("* * * * * *", "6 fields");
        check("60 * * * *", "no number from 0 to 59");
        check("* 24 * * *", "no number from 0 to 23");
        check("* * 0 * *", "no number from 1 to 31");
        check("* * * 13 *", "no number from 1 to 12");
        check("* * * * 8", "no number from 0 to 7");
        check("* * * * FREITAG", "no number from 0 to 7");
        check("5-1 * * * *", "runs backwards");
        check("*/0 * * * *", "the step");
        check("*/99999999999 * * * *", "the step");
        check(", * * * *", "no number");
        check("0 0 30 feb *", "never comes");
    }
}
