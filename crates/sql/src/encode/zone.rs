//! Time zones by their names, and by their distance from UTC. Their rules come with the program, so that an answer is the same on every machine.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The rules of one zone.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

/// A zone as PostgreSQL names it: `Europe/Berlin`, `UTC`; with a sign it is POSIX's, which counts to the west: `+02` lies two hours behind UTC.
pub(crate) fn named(name: &str) -> Option<Zone> {
    let name = name.trim();
    // `<+02>-02`: what the zone is called does not matter.
    let name = match name.strip_prefix('<').and_then(|name| name.split_once('>')) {
        Some((_, offset)) => offset,
        None => name,
    };
    if let Some(west) = name.strip_prefix('+') {
        return Zone::ahead(-seconds(west)?);
    }
    if let Some(east) = name.strip_prefix('-') {
        return Zone::ahead(seconds(east)?);
    }
    ZONES.get(name).ok().map(Zone)
}

/// `02`, `0230`, `02:30` and `02:30:15` in seconds.
fn seconds(text: &str) -> Option<i32> {
    let parts: Vec<&str> = match text.contains(':') {
        true => text.split(':').collect(),
        false => vec![text.get(..2).unwrap_or(text), text.get(2..).unwrap_or_default()],
    };
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3_600, 60, 1]) {
        let count: i32 = if part.is_empty() { 0 } else { part.parse().ok()? };
        seconds += count * unit;
    }
    (parts.len() <= 3 && !text.is_empty()).then_some(seconds)
}

impl Zone {
    /// Its name as the rules have it; a distance from UTC has none.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.iana_name()
    }

    /// A zone that is always so many seconds ahead of UTC.
    pub(crate) fn ahead(seconds: i32) -> Option<Zone> {
        let offset = Offset::from_seconds(seconds).ok()?;
        Some(Zone(TimeZone::fixed(offset)))
    }

    /// What clocks show at a moment; both in microseconds.
    pub(crate) fn shown(&self, moment_us: i64) -> Option<i64> {
        let moment = Timestamp::from_microsecond(moment_us).ok()?;
        moment_us.checked_add(microseconds(self.0.to_offset(moment)))
    }

    /// The moment at which clocks show a time.
    pub(crate) fn moment(&self, shown_us: i64) -> Option<i64> {
        let shown = Timestamp::from_microsecond(shown_us).ok()?;
        let shown = Offset::UTC.to_datetime(shown);
        shown_us.checked_sub(microseconds(self.offset(shown)))
    }

    /// How far ahead of UTC the zone is when clocks show a time: `+02:00`.
    pub(crate) fn offset_of(&self, shown: DateTime) -> String {
        let seconds = self.offset(shown).seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let seconds = seconds.abs();
        format!("{sign}{:02}:{:02}", seconds / 3_600, seconds / 60 % 60)
    }

    /// As PostgreSQL decides: a time that clocks pass over counts on from before, one that they show twice is the second one.
    fn offset(&self, shown: DateTime) -> Offset {
        match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } => after,
        }
    }
}

fn microseconds(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(at: &str) -> i64 {
        format!("{at}Z")
            .parse::<Timestamp>()
            .expect("a moment")
            .as_microsecond()
    }

    #[test]
    fn clocks_show_what_they_do_there() {
        for (zone, moment, shown) in [
            ("Europe/Berlin", "2024-01-31T10:20:30", "2024-01-31T11:20:30"),
            ("europe/berlin", "2024-07-01T10:00:00", "2024-07-01T12:00:00"),
            ("America/New_York", "2024-02-29T23:00:00", "2024-02-29T18:00:00"),
            ("UTC", "2024-02-29T23:00:00", "2024-02-29T23:00:00"),
            ("+02", "2024-01-31T10:20:30", "2024-01-31T08:20:30"),
            ("-05:30", "2024-01-31T10:20:30", "2024-01-31T15:50:30"),
            ("<+02>-02", "2024-01-31T10:20:30", "2024-01-31T12:20:30"),
        ] {
            let zone = named(zone).expect("a zone");
            assert_eq!(zone.shown(us(moment)), Some(us(shown)));
            assert_eq!(zone.moment(us(shown)), Some(us(moment)));
        }
        for no_zone in ["Mars/Phobos", "", "+", "+1x", "+99"] {
            assert!(named(no_zone).is_none(), "{no_zone}");
        }
    }

    #[test]
    fn times_that_are_not_there_or_twice_are_as_in_postgres() {
        let berlin = named("Europe/Berlin").expect("a zone");
        assert_eq!(
            berlin.moment(us("2024-03-31T02:30:00")),
            Some(us("2024-03-31T01:30:00"))
        );
        assert_eq!(
            berlin.moment(us("2024-10-27T02:30:00")),
            Some(us("2024-10-27T01:30:00"))
        );
    }

    #[test]
    fn moments_beyond_all_calendars_are_none() {
        let berlin = named("Europe/Berlin").expect("a zone");
        assert_eq!(berlin.shown(i64::MAX), None);
        assert_eq!(berlin.moment(i64::MIN), None);
    }
}
