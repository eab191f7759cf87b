//! Whether what came is what was expected, and how the difference is shown.
//!
//! Numbers are equal as numbers, exactly: `20`, `20.00` and `2e1` are one. Of an event only the members that the test names are compared.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A row: values as texts, NULL as `NULL`.
pub type Row = Vec<String>;

/// Compares rows; where the question does not order them, in any order. The difference, where there is one.
pub fn rows(expected: &[Row], got: &[Row], ordered: bool) -> Result<(), String> {
    let key = |row: &Row| -> Vec<String> { row.iter().map(|value| canonical(value)).collect() };
    let mut wanted: Vec<Vec<String>> = expected.iter().map(key).collect();
    let mut came: Vec<Vec<String>> = got.iter().map(key).collect();
    if !ordered {
        wanted.sort();
        came.sort();
    }
    if wanted == came {
        return Ok(());
    }
    let printed = |row: &Row| format!("| {} |", row.join(" | "));
    Err(difference(
        expected.iter().map(printed).collect(),
        got.iter().map(printed).collect(),
    ))
}

/// Compares events in order. The difference, where there is one.
pub fn events(expected: &[String], got: &[String]) -> Result<(), String> {
    let same = expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| covers(expected, got));
    match same {
        true => Ok(()),
        false => Err(difference(expected.to_vec(), got.to_vec())),
    }
}

fn difference(expected: Vec<String>, got: Vec<String>) -> String {
    let listed = |lines: Vec<String>, sign: char| match lines.is_empty() {
        true => format!("{sign} (nothing)"),
        false => lines
            .iter()
            .map(|line| format!("{sign} {line}"))
            .collect::<Vec<String>>()
            .join("\n"),
    };
    format!("- expected, + got\n{}\n{}", listed(expected, '-'), listed(got, '+'))
}

/// Whether every member of the expected object is in the other, with the same value; a missing member is null.
fn covers(expected: &str, got: &str) -> bool {
    let members = |text| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok();
    let (Some(expected), Some(got)) = (members(expected), members(got)) else {
        return false;
    };
    expected.iter().all(|(name, value)| {
        let got = got.get(name).map_or("null", |value| value.get());
        same_json(value.get(), got)
    })
}

fn same_json(one: &str, other: &str) -> bool {
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return one == other;
    }
    let objects = |text| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok();
    if let (Some(one), Some(other)) = (objects(one), objects(other)) {
        return one.len() == other.len()
            && one
                .iter()
                .zip(&other)
                .all(|((name, one), (other_name, other))| name == other_name && same_json(one.get(), other.get()));
    }
    let lists = |text| serde_json::from_str::<Vec<&RawValue>>(text).ok();
    if let (Some(one), Some(other)) = (lists(one), lists(other)) {
        return one.len() == other.len()
            && one
                .iter()
                .zip(&other)
                .all(|(one, other)| same_json(one.get(), other.get()));
    }
    let value = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    value(one) == value(other)
}

/// A number in one form for all its spellings; any other text as it is.
fn canonical(text: &str) -> String {
    match number(text) {
        Some(Number {
            negative,
            digits,
            exponent,
        }) => format!("{}{digits}e{exponent}", if negative { "-" } else { "" }),
        None => text.to_owned(),
    }
}

/// A decimal number, exactly: digits without zeros at either end, times ten to the exponent.
#[derive(Debug, PartialEq, Eq)]
struct Number {
    negative: bool,
    digits: String,
    exponent: i64,
}

fn number(text: &str) -> Option<Number> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // A text such as 007 is a name, not a number.
    let named = whole.is_empty() || (whole.len() > 1 && whole.starts_with('0'));
    if named || !all_digits(whole) || !all_digits(fraction) || mantissa.ends_with('.') {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let kept = significant.trim_end_matches('0');
    if kept.is_empty() {
        return Some(Number {
            negative: false,
            digits: "0".to_owned(),
            exponent: 0,
        });
    }
    let zeros = (significant.len() - kept.len()) as i64;
    let exponent = i64::from(exponent) - fraction.len() as i64 + zeros;
    Some(Number {
        negative,
        digits: kept.to_owned(),
        exponent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (one, other, same) in [
            ("20", "20.00", true),
            ("2e1", "20", true),
            ("-0", "0.0", true),
            ("-1", "1", false),
            ("0.1", "0.10", true),
            ("100", "1", false),
            ("12345678901234567890.1", "12345678901234567890.10", true),
            ("12345678901234567890.1", "12345678901234567890.2", false),
            ("007", "7", false),
            ("1.", "1", false),
            ("a", "a", true),
            ("", "NULL", false),
        ] {
            assert_eq!(canonical(one) == canonical(other), same, "{one} {other}");
        }
    }

    #[test]
    fn events_are_compared_by_the_members_named() {
        for (expected, got, same) in [
            (r#"{"a":1.0}"#, r#"{"a":1,"b":2}"#, true),
            (r#"{"a":1}"#, r#"{"a":2}"#, false),
            (r#"{"a":"1"}"#, r#"{"a":1}"#, false),
            (r#"{"a":null}"#, r#"{}"#, true),
            (r#"{"a":{"b":[1.0,"x"]}}"#, r#"{"a":{"b":[1,"x"]}}"#, true),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":1,"c":2}}"#, false),
            (r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, false),
            (r#"{"a":"\u00e9"}"#, r#"{"a":"é"}"#, true),
        ] {
            assert_eq!(
                events(&[expected.to_owned()], &[got.to_owned()]).is_ok(),
                same,
                "{expected} {got}"
            );
        }
        assert!(
            events(&[], &["{}".to_owned()])
                .unwrap_err()
                .contains("- (nothing)\n+ {}")
        );
    }

    #[test]
    fn rows_are_ordered_where_the_question_orders_them() {
        let row = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Row>();
        let (one, two) = (row(&["a", "1.00"]), row(&["b", "2"]));
        assert_eq!(
            rows(&[one.clone(), two.clone()], &[two.clone(), row(&["a", "1"])], false),
            Ok(())
        );
        let difference = rows(&[one.clone(), two.clone()], &[two.clone(), one.clone()], true).unwrap_err();
        assert_eq!(
            difference,
            "- expected, + got\n- | a | 1.00 |\n- | b | 2 |\n+ | b | 2 |\n+ | a | 1.00 |"
        );
        assert!(rows(&[], &[one], false).is_err());
    }
}
