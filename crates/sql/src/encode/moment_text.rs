//! Dates and moments as PostgreSQL reads them (`2024/1/5 10:20`, `2024-01-05 10:20 Europe/Berlin`, `epoch`), written as the query engine reads them.
//!
//! Source: PostgreSQL documentation, "Date/Time Input".

use jiff::Unit;
use jiff::civil::DateTime;

use super::zone::{self, Zone};

/// A moment as the engine reads it; `None`: it is written so, or is none, which the engine says.
pub fn moment(text: &str) -> Option<String> {
    written(text, true, None)
}

/// The same, where a text without a zone is one of clocks there.
pub(crate) fn moment_in(text: &str, zone: &Zone) -> Option<String> {
    written(text, true, Some(zone))
}

/// A time on some clock as the engine reads it, likewise: of a TIMESTAMP the zone is passed over.
pub fn shown(text: &str) -> Option<String> {
    written(text, false, None)
}

fn written(text: &str, has_zone: bool, clocks: Option<&Zone>) -> Option<String> {
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("epoch") {
        return Some(
            if has_zone {
                "1970-01-01T00:00:00Z"
            } else {
                "1970-01-01T00:00:00"
            }
            .to_owned(),
        );
    }
    let (mut day, rest) = split(trimmed)?;
    let (clock, zone) = match rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let mut clock = match (clock, clock.matches(':').count()) {
        ("", _) if zone.is_empty() => String::new(),
        ("", _) => return None,
        (clock, 1) if clock.ends_with(|last: char| last.is_ascii_digit()) => format!("{clock}:00"),
        (clock, 2) => clock.to_owned(),
        _ => return None,
    };
    if clock.starts_with("24:")
        || clock
            .split_once('.')
            .is_some_and(|(_, fraction)| fraction.len() > FRACTION_MAX)
    {
        (day, clock) = carried(&day, &clock)?;
    }
    if clocks.is_some() && clock.is_empty() {
        clock = "00:00:00".to_owned();
    }
    let offset = match (zone.trim(), clocks) {
        ("", Some(clocks)) => clocks.offset_of(format!("{day}T{clock}").parse().ok()?),
        ("", None) => String::new(),
        (zone, _) if zone.starts_with(['+', '-']) || zone == "Z" => zone.to_owned(),
        (name, _) => {
            let at: DateTime = format!("{day}T{clock}").parse().ok()?;
            zone::named(name)?.offset_of(at)
        }
    };
    let written = match (clock.is_empty(), has_zone) {
        (true, _) => day,
        (false, true) => format!("{day} {clock}{offset}"),
        (false, false) => format!("{day} {clock}"),
    };
    let is_same = |c: char| if c == 'T' { ' ' } else { c };
    (text.chars().map(is_same).collect::<String>() != written).then_some(written)
}

/// Digits behind the point that a moment has.
const FRACTION_MAX: usize = 6;

/// A day and a time with more digits than a moment has, rounded; and 24:00, which is the next day's beginning.
fn carried(day: &str, clock: &str) -> Option<(String, String)> {
    let is_end = clock.strip_prefix("24:");
    let is_end_of_day = is_end.is_some_and(|rest| rest.chars().all(|c| matches!(c, '0' | ':' | '.')));
    let at: DateTime = match is_end_of_day {
        true => format!("{day}T00:00:00").parse::<DateTime>().ok()?.tomorrow().ok()?,
        false => {
            // What is read has nine digits at most, and what is behind them changes nothing.
            let end = clock.find('.').map_or(clock.len(), |point| clock.len().min(point + 10));
            format!("{day}T{}", &clock[..end]).parse().ok()?
        }
    };
    let at = at.round(Unit::Microsecond).ok()?;
    let (day, time) = (at.date(), at.time());
    Some((day.to_string(), time.to_string()))
}

/// A date as the engine reads it; `None` as above. The time of a moment is left out.
pub fn date(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("epoch") {
        return Some("1970-01-01".to_owned());
    }
    let (day, rest) = split(trimmed)?;
    // Whatever stands behind the day has to be a time.
    let is_clock = rest.starts_with(|first: char| first.is_ascii_digit()) && rest.contains(':');
    ((rest.is_empty() || is_clock) && day != text).then_some(day)
}

/// The day as `2024-01-05`, and what stands behind it.
fn split(text: &str) -> Option<(String, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '/')))
        .unwrap_or(text.len());
    let (day, rest) = text.split_at(end);
    let rest = match rest.strip_prefix([' ', 'T']) {
        Some(rest) => rest.trim_start(),
        None if rest.is_empty() => rest,
        None => return None,
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits(day) && day.len() == 8 {
        return Some((format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]), rest));
    }
    let parts: Vec<&str> = match day.contains('/') {
        true => day.split('/').collect(),
        false => day.split('-').collect(),
    };
    match parts.as_slice() {
        [year, month, of_month]
            if year.len() == 4
                && month.len() <= 2
                && of_month.len() <= 2
                && parts.iter().all(|part| is_digits(part)) =>
        {
            Some((format!("{year}-{month:0>2}-{of_month:0>2}"), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_full() {
        for (text, expected) in [
            ("2024-01-01 10:20", Some("2024-01-01 10:20:00")),
            ("2024-01-01T10:20Z", Some("2024-01-01 10:20:00Z")),
            ("2024-01-01 10:20+02", Some("2024-01-01 10:20:00+02")),
            ("2024-01-01 10:20 +02:00", Some("2024-01-01 10:20:00+02:00")),
            ("2024/1/5 10:20:30.5", Some("2024-01-05 10:20:30.5")),
            ("20240105 10:20", Some("2024-01-05 10:20:00")),
            ("2024-06-01 12:00 Europe/Berlin", Some("2024-06-01 12:00:00+02:00")),
            ("2024-01-01 12:00:00 UTC", Some("2024-01-01 12:00:00+00:00")),
            ("epoch", Some("1970-01-01T00:00:00Z")),
            ("2024-01-01 10:20:30.1234567Z", Some("2024-01-01 10:20:30.123457Z")),
            ("2024-12-31 23:59:59.9999999", Some("2025-01-01 00:00:00")),
            ("2024-02-29T24:00:00Z", Some("2024-03-01 00:00:00Z")),
            ("2024-02-29 24:00:01", None),
            ("2024-01-01 10:20:30 Z", Some("2024-01-01 10:20:30Z")),
            ("2024-01-01 10:20:30", None),
            ("2024-01-01T10:20:30", None),
            ("2024-01-01", None),
            ("2024-01-01 noon", None),
            ("2024-01-01 12:00 Mars/Phobos", None),
            ("10:20", None),
            ("", None),
        ] {
            assert_eq!(moment(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_time_on_a_clock_has_no_zone() {
        for (text, expected) in [
            ("2026-03-29 02:30:00+05", Some("2026-03-29 02:30:00")),
            ("2026-03-29T02:30:00Z", Some("2026-03-29 02:30:00")),
            ("2026-03-29 02:30 Europe/Berlin", Some("2026-03-29 02:30:00")),
            ("epoch", Some("1970-01-01T00:00:00")),
            ("2026-03-29 02:30:00", None),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_date_is_written_in_full() {
        for (text, expected) in [
            ("2024/1/5", Some("2024-01-05")),
            ("2024-1-5", Some("2024-01-05")),
            ("20240105", Some("2024-01-05")),
            ("2024-01-05 10:00", Some("2024-01-05")),
            ("2024-01-05T10:00:00Z", Some("2024-01-05")),
            (" 2024-01-05 ", Some("2024-01-05")),
            ("epoch", Some("1970-01-01")),
            ("2024-01-05", None),
            ("2024-01-05 noon", None),
            ("24-1-5", None),
            ("2024-123-5", None),
            ("soon", None),
        ] {
            assert_eq!(date(text).as_deref(), expected, "{text}");
        }
    }
}
