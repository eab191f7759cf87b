//! `(name = value, …)` of `CREATE STREAM … WITH` and `ALTER STREAM … SET`: the log's settings by their names, with units a person would write.
//!
//! ```text
//! retention = '7 days'    the same as retention_ms = 604800000      0 and 'forever': never
//! NAME_ms = '1 hour'      a whole number is milliseconds            units: ms, s, minutes, hours, days, weeks
//! NAME_bytes = '10 GiB'   a whole number is bytes                   units: B, kB, MB, GB, TB and KiB, MiB, GiB, TiB
//! ```

use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_eventlog::{SETTING_NAMES, SettingError, StreamSettings};

use super::cursor::Cursor;
use crate::{SqlError, SqlState};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The units of a span of time, in milliseconds.
const SPANS: [(&[&str], u64); 6] = [
    (&["ms", "millisecond", "milliseconds"], 1),
    (&["s", "sec", "second", "seconds"], 1000),
    (&["m", "min", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], DAY_MS),
    (&["w", "week", "weeks"], 7 * DAY_MS),
];

/// The units of a size, in bytes.
const SIZES: [(&[&str], u64); 9] = [
    (&["b", "byte", "bytes"], 1),
    (&["kb"], 1000),
    (&["mb"], 1_000_000),
    (&["gb"], 1_000_000_000),
    (&["tb"], 1_000_000_000_000),
    (&["kib"], 1 << 10),
    (&["mib"], 1 << 20),
    (&["gib"], 1 << 30),
    (&["tib"], 1 << 40),
];

/// Reads the value of one setting, whose name was read, into `settings`. `false` where there is no such setting.
pub(super) fn set(cursor: &mut Cursor, option: &str, settings: &mut StreamSettings) -> Result<bool, SqlError> {
    let name = setting_name(option);
    if !SETTING_NAMES.contains(&name) {
        return Ok(false);
    }
    cursor.expect(&Token::Eq)?;
    let start = cursor.clone();
    let refuse = |why: String| start.error(SqlState::INVALID_DEFINITION, why);
    let written = value(cursor, option)?;
    let value = normal(option, name, &written).map_err(&refuse)?;
    settings.set(name, Some(&value)).map_err(|error| match error {
        SettingError::Value { wanted, .. } => refuse(format!("{option} cannot be '{written}': it is {wanted}")),
        other => refuse(other.to_string()),
    })?;
    Ok(true)
}

/// The log's name for what is written.
pub(super) fn setting_name(option: &str) -> &str {
    match option {
        "retention" => "retention_ms",
        other => other,
    }
}

/// The names that can be written, for a hint.
pub(super) fn names() -> String {
    format!("retention, {}", SETTING_NAMES.join(", "))
}

/// A number or a text in quotes.
fn value(cursor: &mut Cursor, option: &str) -> Result<String, SqlError> {
    match cursor.peek().map(|piece| &piece.token.token) {
        Some(Token::Number(digits, _)) => {
            cursor.next();
            Ok(digits.clone())
        }
        _ => cursor.text(&format!("the value of {option}, a number or a text in quotes")),
    }
}

/// The milliseconds of a span of time as settings have it: `24 hours`, or a whole number of milliseconds.
pub fn span_ms(written: &str) -> Result<u64, String> {
    let text = normal("the time", "span_ms", written)?;
    text.parse().map_err(|_| format!("'{written}' is no span of time"))
}

/// The bytes of a size as settings have it: `512 MiB`, or a whole number of bytes.
pub fn size_bytes(written: &str) -> Result<u64, String> {
    let text = normal("the size", "size_bytes", written)?;
    text.parse().map_err(|_| format!("'{written}' is no size"))
}

/// What the log calls this value.
fn normal(option: &str, name: &str, written: &str) -> Result<String, String> {
    let text = written.trim().to_lowercase();
    let is_kept = ["retention_ms", "retention_bytes"].contains(&name);
    // In whatever unit: who keeps events for no time at all would have none.
    let never = |number: u64| is_kept && number == 0;
    if text == "forever" || text.parse().is_ok_and(never) {
        return Ok("forever".to_owned());
    }
    if option == "retention" && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "retention = {text} has no unit: write it as a text such as '7 days', or as retention_ms"
        ));
    }
    let units: &[(&[&str], u64)] = if name.ends_with("_ms") || name.contains("_ms_") {
        &SPANS
    } else if name.contains("bytes") {
        &SIZES
    } else {
        return Ok(text);
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    if unit.is_empty() {
        return Ok(text);
    }
    let known = units.iter().find(|(names, _)| names.contains(&unit));
    let number = number.parse::<u64>().ok();
    match (number, known) {
        (Some(number), Some(_)) if never(number) => Ok("forever".to_owned()),
        (Some(number), Some((_, size))) => match number.checked_mul(*size) {
            Some(product) => Ok(product.to_string()),
            None => Err(format!("{option} = '{written}' is too large")),
        },
        _ => {
            let names: Vec<&str> = units.iter().filter_map(|(names, _)| names.last().copied()).collect();
            Err(format!(
                "{option} cannot be '{written}': write a whole number and a unit of {}",
                names.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(option: &str, written: &str, expected: Result<&str, &str>) {
        match (normal(option, setting_name(option), written), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{option} = {written}"),
            (Err(error), Err(why)) => assert!(error.contains(why), "{option} = {written}: {error}"),
            (found, expected) => panic!("{option} = {written}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn units_are_read_and_never_means_forever() {
        check("retention", "7 days", Ok("604800000"));
        check("retention", "1week", Ok("604800000"));
        check("retention", "0", Ok("forever"));
        check("retention", "Forever", Ok("forever"));
        check("retention", "0 seconds", Ok("forever"));
        check("retention_ms", "00", Ok("forever"));
        check("retention_bytes", "0 GiB", Ok("forever"));
        check("compaction_lag_ms_min", "0 h", Ok("0"));
        check("retention", "7", Err("no unit"));
        check("retention", "7 fortnights", Err("a unit of milliseconds, seconds"));
        check("retention", "days", Err("a whole number"));
        check("retention", "99999999999999999 days", Err("too large"));
        check("retention_ms", "1000", Ok("1000"));
        check("retention_bytes", "0", Ok("forever"));
        check("retention_bytes", "10 GiB", Ok("10737418240"));
        check("retention_bytes", "10 GB", Ok("10000000000"));
        check("retention_bytes", "10 hours", Err("a unit of bytes, kb"));
        check("compaction_lag_ms_min", "1 h", Ok("3600000"));
        check("tombstone_ms", "0", Ok("0"));
        check("dirty_ratio_min", "0.5", Ok("0.5"));
        check("cleanup", "Compact", Ok("compact"));
    }
}
