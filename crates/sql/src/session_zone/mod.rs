//! The time zone of a session: in which moments are shown, and read where a text says none.
//!
//! It is no part of a definition: what a view folds, a pipeline makes or a command decides on is worked out in UTC. Where a question casts a moment, takes it
//! apart or adds days to it, [`InSessionZone`] says in its plan which clock is meant.

mod assigned;
mod option;
pub(crate) mod texts;

use std::fmt;
use std::sync::Arc;

use crate::encode::moment_text;
use crate::encode::zone::{self, Zone};

pub(crate) use assigned::in_utc;
pub(crate) use option::ZoneOption;

/// A zone other than UTC, by the name that a client gave it.
#[derive(Clone)]
pub struct SessionZone {
    name: Arc<str>,
    zone: Zone,
}

impl fmt::Debug for SessionZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Two of one name are the same.
impl PartialEq for SessionZone {
    fn eq(&self, other: &SessionZone) -> bool {
        self.name == other.name
    }
}

impl SessionZone {
    /// The zone of a name, or of a number of hours ahead of UTC, as `SET TIME ZONE` takes them. `Ok(None)` is UTC; `Err`: there is none of that name.
    pub fn named(written: &str) -> Result<Option<SessionZone>, UnknownZone> {
        let written = written.trim();
        if ["utc", "gmt", "etc/utc", "zulu", "uct", "default", "local", "0"]
            .contains(&written.to_ascii_lowercase().as_str())
        {
            return Ok(None);
        }
        if let Ok(hours) = written.parse::<f64>() {
            let seconds = (hours * 3_600.0).round();
            let zone = (seconds.abs() <= 86_400.0)
                .then(|| Zone::ahead(seconds as i32))
                .flatten();
            let zone = zone.ok_or(UnknownZone)?;
            let (ahead, behind) = (offset_text(seconds as i32), offset_text(-seconds as i32));
            let name = Arc::from(format!("<{ahead}>{behind}"));
            return Ok(Some(SessionZone { name, zone }));
        }
        let zone = zone::named(written).ok_or(UnknownZone)?;
        let name = zone.name().unwrap_or(written).into();
        Ok(Some(SessionZone { name, zone }))
    }

    /// As `SHOW TimeZone` says it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What clocks show at a moment, and how far they are ahead of UTC: microseconds, and seconds. `None`: no calendar has it.
    pub fn shown(&self, moment_us: i64) -> Option<(i64, i32)> {
        let shown = self.zone.shown(moment_us)?;
        Some((shown, i32::try_from((shown - moment_us) / 1_000_000).ok()?))
    }

    /// A text of a moment with the distance from UTC that clocks here have then; `None`: it says one itself, or is no moment.
    pub fn written_out(&self, text: &str) -> Option<String> {
        moment_text::moment_in(text, &self.zone)
    }

    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }
}

/// `+02`, `-05:30`
pub fn offset_text(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    match (minutes, rest) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// There is no zone of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownZone;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names_and_numbers() {
        for (written, expected) in [
            ("UTC", Ok(None)),
            ("default", Ok(None)),
            ("europe/berlin", Ok(Some("Europe/Berlin"))),
            ("2", Ok(Some("<+02>-02"))),
            ("-7.5", Ok(Some("<-07:30>+07:30"))),
            ("Mars/Phobos", Err(UnknownZone)),
            ("", Err(UnknownZone)),
        ] {
            let zone = SessionZone::named(written);
            let name = zone.as_ref().map(|zone| zone.as_ref().map(SessionZone::name));
            assert_eq!(name, expected.as_ref().map(|name| *name), "{written}");
        }
    }

    #[test]
    fn texts_without_a_zone_are_of_the_session() {
        let zone = SessionZone::named("Europe/Berlin")
            .expect("a zone")
            .expect("another one than UTC");
        for (text, expected) in [
            ("2024-01-05 10:20", Some("2024-01-05 10:20:00+01:00")),
            ("2024-07-05", Some("2024-07-05 00:00:00+02:00")),
            ("2024-07-05 10:20Z", Some("2024-07-05 10:20:00Z")),
            ("2024-07-05 10:20:00+05", None),
            ("noon", None),
        ] {
            assert_eq!(zone.written_out(text).as_deref(), expected, "{text}");
        }
        assert_eq!(zone.shown(0), Some((3_600_000_000, 3_600)));
    }
}
