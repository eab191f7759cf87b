//! What `SET` can say to this door; every other setting of a PostgreSQL client is taken and does nothing.

use std::time::Duration;

use headwater_records::Position;
use headwater_sql::{SessionZone, SqlError, SqlState, UnknownZone};

use crate::report::INVALID_SETTING;

/// The settings of a session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Views are read only once they have got here: what was given by `headwater.after` and what this session wrote.
    pub after: Position,
    /// Whether a session sees what it wrote (`headwater.read_your_writes`).
    pub read_your_writes: bool,
    /// Whether the client is told how far its questions are (`headwater.progress`).
    pub progress: bool,
    /// How long a statement may take (`statement_timeout`).
    pub statement_timeout: Option<Duration>,
    /// In which zone moments are shown and read (`TimeZone`); `None` is UTC.
    pub zone: Option<SessionZone>,
}

impl Settings {
    pub(crate) fn new(statement_timeout: Option<Duration>) -> Settings {
        Settings {
            after: Position::new(),
            read_your_writes: true,
            progress: false,
            statement_timeout,
            zone: None,
        }
    }

    /// Takes one `SET` statement by its text.
    pub(crate) fn set(&mut self, text: &str) -> Result<(), SqlError> {
        let Some((name, value)) = assignment(text) else {
            return Ok(());
        };
        match name.to_ascii_lowercase().as_str() {
            "headwater.after" => {
                let position: Position = value.parse().map_err(|error| invalid(&name, format!("{error}")))?;
                self.after = position;
            }
            "headwater.read_your_writes" => {
                self.read_your_writes = switch(&name, &value)?.unwrap_or(true);
            }
            "headwater.progress" => self.progress = switch(&name, &value)?.unwrap_or(false),
            "statement_timeout" => self.statement_timeout = duration(&value).map_err(|why| invalid(&name, why))?,
            "timezone" => self.zone = zone(&value)?,
            other if other.starts_with("headwater.") => {
                return Err(invalid(&name, "there is no such setting".to_owned())
                    .hint("there are headwater.after, headwater.read_your_writes and headwater.progress"));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Settings {
    /// Takes back what one `RESET` statement names, or everything.
    pub(crate) fn reset(&mut self, text: &str, statement_timeout: Option<Duration>) {
        let fresh = Settings::new(statement_timeout);
        let name = text.split_whitespace().nth(1).unwrap_or_default().trim_end_matches(';');
        match name.to_ascii_lowercase().as_str() {
            "all" => *self = fresh,
            "headwater.after" => self.after = fresh.after,
            "headwater.read_your_writes" => self.read_your_writes = fresh.read_your_writes,
            "headwater.progress" => self.progress = fresh.progress,
            "statement_timeout" => self.statement_timeout = fresh.statement_timeout,
            "timezone" | "time" => self.zone = None,
            _ => {}
        }
    }
}

/// Whether a setting is on; `None`: as it is where nothing is said.
fn switch(name: &str, value: &str) -> Result<Option<bool>, SqlError> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(Some(true)),
        "off" | "false" | "no" | "0" => Ok(Some(false)),
        "default" => Ok(None),
        _ => Err(invalid(name, format!("'{value}' is neither on nor off"))),
    }
}

fn invalid(name: &str, why: String) -> SqlError {
    SqlError::new(INVALID_SETTING, format!("the setting {name} was not taken: {why}"))
}

/// A zone by its name or its hours, as `SET TIME ZONE` has them.
fn zone(written: &str) -> Result<Option<SessionZone>, SqlError> {
    SessionZone::named(written).map_err(|UnknownZone| {
        let message = format!("invalid value for parameter \"TimeZone\": \"{written}\"");
        SqlError::new(SqlState::INVALID_PARAMETER, message).hint("write it as 'Europe/Berlin', 'UTC' or 2")
    })
}

/// Name and value of `SET [SESSION|LOCAL] name = value` or `… TO value`, and of `SET TIME ZONE value`, quotes taken off.
fn assignment(text: &str) -> Option<(String, String)> {
    let text = text.trim().trim_end_matches(';');
    let rest = text
        .get(..4)
        .filter(|word| word.eq_ignore_ascii_case("set "))
        .and_then(|_| text.get(4..))?
        .trim();
    let mut words = rest.splitn(2, char::is_whitespace);
    let rest = match (words.next(), words.next()) {
        (Some(word), Some(rest)) if word.eq_ignore_ascii_case("session") || word.eq_ignore_ascii_case("local") => rest,
        _ => rest,
    };
    let mut words = rest.split_whitespace();
    let is_zone = [words.next(), words.next()]
        .iter()
        .zip(["time", "zone"])
        .all(|(word, wanted)| word.is_some_and(|word| word.eq_ignore_ascii_case(wanted)));
    if is_zone {
        let value = words.collect::<Vec<&str>>().join(" ");
        return Some(("timezone".to_owned(), value.trim_matches('\'').to_owned()));
    }
    let end = rest.find(|c: char| c == '=' || c.is_whitespace())?;
    let (name, value) = rest.split_at(end);
    let value = value.trim_start();
    let value = match value.strip_prefix('=') {
        Some(value) => value,
        None => value
            .get(..3)
            .filter(|word| word.eq_ignore_ascii_case("to "))
            .and_then(|_| value.get(3..))?,
    };
    Some((name.to_owned(), value.trim().trim_matches('\'').to_owned()))
}

/// `0` (no limit), `5000` (milliseconds), `5s`, `2min`.
fn duration(text: &str) -> Result<Option<Duration>, String> {
    if text.eq_ignore_ascii_case("default") {
        return Ok(None);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("'{text}' is no time"))?;
    let milliseconds = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("'{unit}' is no unit of time: there are ms, s, min, h")),
    };
    Ok((number > 0).then(|| Duration::from_millis(number.saturating_mul(milliseconds))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, bool, Option<u64>), &str>) {
        let mut settings = Settings::new(None);
        match (settings.set(text), expected) {
            (Ok(()), Ok(expected)) => {
                let timeout = settings.statement_timeout.map(|timeout| timeout.as_millis() as u64);
                let after = settings.after.to_string();
                assert_eq!((after.as_str(), settings.read_your_writes, timeout), expected, "{text}");
            }
            (Err(error), Err(why)) => assert!(error.message.contains(why), "{error}"),
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn progress_is_told_to_who_wants_it() {
        let mut settings = Settings::new(None);
        for (text, expected) in [
            ("SET headwater.progress = on", true),
            ("SET headwater.progress TO DEFAULT", false),
            ("SET headwater.progress TO 'true'", true),
            ("SET headwater.progress = off", false),
        ] {
            settings.set(text).expect("a setting");
            assert_eq!(settings.progress, expected, "{text}");
        }
    }

    #[test]
    fn a_session_has_a_zone() {
        let mut settings = Settings::new(None);
        for (text, expected) in [
            ("SET TimeZone = 'Europe/Berlin'", Some("Europe/Berlin")),
            ("SET LOCAL timezone TO DEFAULT", None),
            ("SET SESSION TIME ZONE 'America/New_York'", Some("America/New_York")),
            ("SET TIME ZONE LOCAL", None),
            ("SET TIME ZONE -5", Some("<-05>+05")),
            ("SET TIME ZONE 'UTC'", None),
        ] {
            settings.set(text).expect("a setting");
            assert_eq!(settings.zone.as_ref().map(SessionZone::name), expected, "{text}");
        }
        settings.set("SET TimeZone = 'Europe/Berlin'").expect("a setting");
        settings.reset("RESET TimeZone", None);
        assert_eq!(settings.zone, None);
    }

    #[test]
    fn settings_are_taken_back_one_by_one_or_all() {
        let check = |text: &str, expected: (&str, bool, bool, Option<u64>)| {
            let mut settings = Settings::new(Some(Duration::from_secs(9)));
            for set in [
                "headwater.after = 't/0@1'",
                "headwater.read_your_writes = off",
                "headwater.progress = on",
                "statement_timeout = 5000",
            ] {
                settings.set(&format!("SET {set}")).expect("a setting");
            }
            settings.reset(text, Some(Duration::from_secs(9)));
            let (after, timeout) = (
                settings.after.to_string(),
                settings.statement_timeout.map(|timeout| timeout.as_secs()),
            );
            assert_eq!(
                (after.as_str(), settings.read_your_writes, settings.progress, timeout),
                expected,
                "{text}"
            );
        };
        check("RESET ALL", ("", true, false, Some(9)));
        check("reset headwater.after;", ("", false, true, Some(5)));
        check("RESET headwater.read_your_writes", ("t/0@1", true, true, Some(5)));
        check("RESET headwater.progress", ("t/0@1", false, false, Some(5)));
        check("RESET statement_timeout", ("t/0@1", false, true, Some(9)));
        check("RESET extra_float_digits", ("t/0@1", false, true, Some(5)));
    }

    #[test]
    fn settings_are_read_from_the_statement() {
        check("SET headwater.after = 't/0@42'", Ok(("t/0@42", true, None)));
        check("set session headwater.after to 't/0@42'", Ok(("t/0@42", true, None)));
        check("SET headwater.after='t'", Err("no position"));
        check("SET headwater.read_your_writes TO off", Ok(("", false, None)));
        check("SET headwater.read_your_writes = maybe", Err("neither on nor off"));
        check("SET headwater.progress = 7", Err("neither on nor off"));
        check("SET headwater.colour = 'red'", Err("no such setting"));
        check("SET statement_timeout = 5000", Ok(("", true, Some(5000))));
        check("SET statement_timeout TO '2min'", Ok(("", true, Some(120_000))));
        check("SET statement_timeout = 0", Ok(("", true, None)));
        check("SET statement_timeout = '5 fortnights'", Err("no unit of time"));
        check("SET extra_float_digits = 3", Ok(("", true, None)));
        check("SET TIME ZONE 'UTC'", Ok(("", true, None)));
        check("SET TimeZone = 'Mars/Phobos'", Err("\"TimeZone\": \"Mars/Phobos\""));
        check("SET", Ok(("", true, None)));
    }
}
