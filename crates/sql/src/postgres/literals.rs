//! Moments and intervals as texts, written as the query engine reads them: `INTERVAL '1 day 02:03:04'`, `TIMESTAMP '2024-01-01 10:20'`.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Interval, Value};

use crate::encode::interval_text;

/// Writes the text of a literal, or of one that is cast, as the engine reads it.
pub(super) fn readable(expr: &mut Expr) {
    match expr {
        Expr::Interval(Interval {
            value,
            leading_field: None,
            ..
        }) => put(value, interval),
        Expr::TypedString(typed) => {
            if let Some(read) = reader(&typed.data_type)
                && let Value::SingleQuotedString(text) = &mut typed.value.value
                && let Some(written) = read(text)
            {
                *text = written;
            }
        }
        Expr::Cast { expr, data_type, .. } => {
            if let Some(read) = reader(data_type) {
                put(expr, read);
            }
        }
        _ => {}
    }
}

/// How the text of a type is read.
fn reader(data_type: &DataType) -> Option<fn(&str) -> Option<String>> {
    match data_type {
        DataType::Interval { .. } => Some(interval),
        DataType::Timestamp(..) | DataType::Datetime(_) => Some(moment),
        _ => None,
    }
}

fn put(value: &mut Expr, read: fn(&str) -> Option<String>) {
    if let Expr::Value(value) = value
        && let Value::SingleQuotedString(text) = &mut value.value
        && let Some(written) = read(text)
    {
        *text = written;
    }
}

/// In units that the engine knows; `None`: it is no interval, which the engine says.
pub(super) fn interval(text: &str) -> Option<String> {
    let (months, days, microseconds) = interval_text::read(text)?;
    Some(format!("{months} months {days} days {microseconds} microseconds"))
}

/// A moment with its seconds; `None`: it has them.
pub(super) fn moment(text: &str) -> Option<String> {
    let at = text.find([' ', 'T'])?;
    let (day, time) = text.split_at(at);
    let zone_at = time.find(['+', '-', 'Z']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let has_seconds = clock.matches(':').count() != 1;
    let is_whole = clock.trim_end().ends_with(|last: char| last.is_ascii_digit());
    (!has_seconds && is_whole).then(|| format!("{day}{}:00{zone}", clock.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_its_seconds() {
        for (text, expected) in [
            ("2024-01-01 10:20", Some("2024-01-01 10:20:00")),
            ("2024-01-01T10:20Z", Some("2024-01-01T10:20:00Z")),
            ("2024-01-01 10:20+02", Some("2024-01-01 10:20:00+02")),
            ("2024-01-01 10:20 +02:00", Some("2024-01-01 10:20:00+02:00")),
            ("2024-01-01 10:20:30", None),
            ("2024-01-01", None),
            ("2024-01-01 noon", None),
            ("", None),
        ] {
            assert_eq!(moment(text).as_deref(), expected, "{text}");
        }
    }
}
