//! Whether what came is what was expected, and how the difference is shown.
//!
//! Numbers are equal as numbers, exactly: `20`, `20.00` and `2e1` are one. Of an event only the members that the test names are compared.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use unicode_width::UnicodeWidthStr;

use super::number::{canonical, number};

/// A row: values as texts, NULL as `NULL`.
pub type Row = Vec<String>;

/// What a question answered.
#[derive(Debug, Default)]
pub struct Answer {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// What stands in both.
    Same(String),
    /// What was expected and did not come.
    Missing(String),
    /// What came and was not expected.
    Extra(String),
    /// What is said of the lines above.
    Note(String),
}

/// What a side of the comparison holds alone, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Both,
    Expected,
    Got,
}

/// Compares rows; where the question does not order them, in any order. The difference, where there is one.
pub fn rows(expected: &[Row], got: &Answer, ordered: bool) -> Result<(), Vec<Line>> {
    let key = |row: &Row| -> Vec<String> { row.iter().map(|value| canonical(value)).collect() };
    let wanted: Vec<Vec<String>> = expected.iter().map(key).collect();
    let came: Vec<Vec<String>> = got.rows.iter().map(key).collect();
    let found = match ordered {
        true => in_order(&wanted, &came),
        false => in_any_order(&wanted, &came),
    };
    if found.iter().all(|(side, _)| *side == Side::Both) {
        return Ok(());
    }
    let mut table: Vec<(Option<Side>, &Row)> = vec![(None, &got.columns)];
    for (side, index) in found {
        let row = match side {
            Side::Expected => &expected[index],
            Side::Both | Side::Got => &got.rows[index],
        };
        table.push((Some(side), row));
    }
    let widths = widths(&table);
    let mut lines: Vec<Line> = Vec::new();
    for (side, row) in &table {
        let text = aligned(row, &widths);
        lines.push(match side {
            None | Some(Side::Both) => Line::Same(text),
            Some(Side::Expected) => Line::Missing(text),
            Some(Side::Got) => Line::Extra(text),
        });
    }
    if let Some(first) = expected.first().filter(|first| first.len() != got.columns.len()) {
        let (expected, came) = (first.len(), got.columns.len());
        lines.push(Line::Note(format!(
            "the test has {expected} values a row, the answer {came}"
        )));
    } else if ordered && in_any_order(&wanted, &came).iter().all(|(side, _)| *side == Side::Both) {
        lines.push(Line::Note("the same rows in another order".to_owned()));
    }
    Err(lines)
}

/// Compares events in order. The difference, where there is one.
pub fn events(expected: &[String], got: &[String]) -> Result<(), Vec<Line>> {
    let longest = expected.len().max(got.len());
    let mut lines: Vec<Line> = Vec::new();
    let mut same = true;
    for index in 0..longest {
        match (expected.get(index), got.get(index)) {
            (Some(expected), Some(got)) => match members_that_differ(expected, got) {
                None => lines.push(Line::Same(got.clone())),
                Some(notes) => {
                    same = false;
                    lines.extend([Line::Missing(expected.clone()), Line::Extra(got.clone())]);
                    lines.extend(notes.into_iter().map(Line::Note));
                }
            },
            (Some(expected), None) => {
                same = false;
                lines.push(Line::Missing(expected.clone()));
            }
            (None, Some(got)) => {
                same = false;
                lines.push(Line::Extra(got.clone()));
            }
            (None, None) => {}
        }
    }
    match same {
        true => Ok(()),
        false => Err(lines),
    }
}

/// What begins and ends alike stands in both; of the middle, first what was expected, then what came. The index is that of the side.
fn in_order(wanted: &[Vec<String>], came: &[Vec<String>]) -> Vec<(Side, usize)> {
    let shorter = wanted.len().min(came.len());
    let head = (0..shorter).take_while(|index| wanted[*index] == came[*index]).count();
    let from_end = |index: &usize| wanted[wanted.len() - 1 - index] == came[came.len() - 1 - index];
    let tail = (0..shorter - head).take_while(from_end).count();
    let mut found: Vec<(Side, usize)> = (0..head).map(|index| (Side::Both, index)).collect();
    found.extend((head..wanted.len() - tail).map(|index| (Side::Expected, index)));
    found.extend((head..came.len() - tail).map(|index| (Side::Got, index)));
    found.extend((came.len() - tail..came.len()).map(|index| (Side::Both, index)));
    found
}

/// Equal rows stand in both, as often as they do in both; sorted by the first column, so that rows that are nearly the same stand together.
fn in_any_order(wanted: &[Vec<String>], came: &[Vec<String>]) -> Vec<(Side, usize)> {
    let mut indexes: BTreeMap<&Vec<String>, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, row) in wanted.iter().enumerate() {
        indexes.entry(row).or_default().0.push(index);
    }
    for (index, row) in came.iter().enumerate() {
        indexes.entry(row).or_default().1.push(index);
    }
    let mut found: Vec<(Side, usize)> = Vec::new();
    for (expected, got) in indexes.into_values() {
        let both = expected.len().min(got.len());
        found.extend(got[..both].iter().map(|index| (Side::Both, *index)));
        found.extend(expected[both..].iter().map(|index| (Side::Expected, *index)));
        found.extend(got[both..].iter().map(|index| (Side::Got, *index)));
    }
    let row = |(side, index): &(Side, usize)| match side {
        Side::Expected => &wanted[*index],
        Side::Both | Side::Got => &came[*index],
    };
    found.sort_by(|one, other| (row(one).first(), one.0, row(one)).cmp(&(row(other).first(), other.0, row(other))));
    found
}

/// Of each column: its width, and whether it holds numbers alone.
fn widths(table: &[(Option<Side>, &Row)]) -> Vec<(usize, bool)> {
    let mut widths: Vec<(usize, bool)> = Vec::new();
    for (side, row) in table {
        for (column, value) in row.iter().enumerate() {
            if widths.len() <= column {
                widths.push((0, true));
            }
            let (width, numbers) = &mut widths[column];
            *width = (*width).max(value.width());
            *numbers &= side.is_none() || value == "NULL" || number(value).is_some();
        }
    }
    widths
}

fn aligned(row: &Row, widths: &[(usize, bool)]) -> String {
    let mut line = String::from("|");
    for (value, (width, numbers)) in row.iter().zip(widths) {
        let padding = " ".repeat(width.saturating_sub(value.width()));
        match numbers {
            true => line.push_str(&format!(" {padding}{value} |")),
            false => line.push_str(&format!(" {value}{padding} |")),
        }
    }
    line
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// What is said of each member of the expected object whose value the other does not have; a missing member is null.
fn members_that_differ(expected: &str, got: &str) -> Option<Vec<String>> {
    let members = |text| serde_json::from_str::<Members<'_>>(text).ok();
    let (Some(expected), Some(got)) = (members(expected), members(got)) else {
        return Some(vec!["this is no JSON object".to_owned()]);
    };
    let mut notes: Vec<String> = Vec::new();
    for (name, value) in &expected {
        let came = got.get(name).map_or("null", |value| value.get());
        if same_json(value.get(), came) {
            continue;
        }
        let came = match got.contains_key(name) {
            true => format!("{came} came"),
            false => "it is not there".to_owned(),
        };
        notes.push(format!("{name}: {} was expected, {came}", value.get()));
    }
    (!notes.is_empty()).then_some(notes)
}

fn same_json(one: &str, other: &str) -> bool {
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return one == other;
    }
    let objects = |text| serde_json::from_str::<Members<'_>>(text).ok();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The difference as it is printed, without colours.
    fn printed(difference: Result<(), Vec<Line>>) -> String {
        let lines = difference.err().unwrap_or_default();
        let text = |line: &Line| match line {
            Line::Same(text) => format!("  {text}"),
            Line::Missing(text) => format!("- {text}"),
            Line::Extra(text) => format!("+ {text}"),
            Line::Note(text) => format!("    {text}"),
        };
        lines.iter().map(text).collect::<Vec<String>>().join("\n")
    }

    #[test]
    fn events_are_compared_by_the_members_named() {
        let check = |expected: &[&str], got: &[&str], difference: &str| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
            assert_eq!(printed(events(&texts(expected), &texts(got))), difference);
        };
        check(&[r#"{"a":1.0}"#], &[r#"{"a":1,"b":2}"#], "");
        check(&[r#"{"a":null}"#], &["{}"], "");
        check(&[r#"{"a":{"b":[1.0,"x"]}}"#], &[r#"{"a":{"b":[1,"x"]}}"#], "");
        check(&[r#"{"a":"\u00e9"}"#], &[r#"{"a":"é"}"#], "");
        check(
            &[r#"{"a":1,"b":2}"#],
            &[r#"{"b":2,"a":2}"#],
            "- {\"a\":1,\"b\":2}\n+ {\"b\":2,\"a\":2}\n    a: 1 was expected, 2 came",
        );
        check(
            &[r#"{"a":"1"}"#],
            &[r#"{"a":1}"#],
            "- {\"a\":\"1\"}\n+ {\"a\":1}\n    a: \"1\" was expected, 1 came",
        );
        check(
            &[r#"{"a":{"b":1}}"#],
            &["{}"],
            "- {\"a\":{\"b\":1}}\n+ {}\n    a: {\"b\":1} was expected, it is not there",
        );
        check(&[r#"{"a":[1]}"#], &[r#"{"a":[1]}"#, "{}"], "  {\"a\":[1]}\n+ {}");
        check(&[r#"{"a":1}"#], &[], "- {\"a\":1}");
    }

    #[test]
    fn rows_that_differ_are_shown_beside_each_other() {
        let check = |expected: &[&[&str]], got: &[&[&str]], ordered: bool, difference: &str| {
            let row = |values: &&[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Row>();
            let got = Answer {
                columns: vec!["account".to_owned(), "n".to_owned()],
                rows: got.iter().map(row).collect(),
            };
            let expected: Vec<Row> = expected.iter().map(row).collect();
            assert_eq!(printed(rows(&expected, &got, ordered)), difference);
        };
        check(&[], &[], false, "");
        check(&[&["a", "1.00"], &["b", "2"]], &[&["b", "2"], &["a", "1"]], false, "");
        check(
            &[&["a", "1"], &["a", "1"]],
            &[&["a", "1"]],
            false,
            "  | account | n |\n  | a       | 1 |\n- | a       | 1 |",
        );
        check(
            &[&["BradA", "100.00"], &["CleoB", "7.25"]],
            &[&["CleoB", "7.25"], &["BradA", "80.00"]],
            false,
            "  | account |      n |\n- | BradA   | 100.00 |\n+ | BradA   |  80.00 |\n  | CleoB   |   7.25 |",
        );
        check(
            &[&["a", "x"], &["b", "NULL"]],
            &[&["b", "NULL"], &["a", "x"]],
            true,
            "  | account | n    |\n- | a       | x    |\n- | b       | NULL |\n+ | b       | NULL |\n+ | a       | x    |\n    the same rows in another order",
        );
        check(
            &[&["a", "1"], &["b", "2"], &["c", "3"]],
            &[&["a", "1"], &["c", "3"]],
            true,
            "  | account | n |\n  | a       | 1 |\n- | b       | 2 |\n  | c       | 3 |",
        );
        check(
            &[&["a"]],
            &[&["a", "1"]],
            false,
            "  | account | n |\n- | a       |\n+ | a       | 1 |\n    the test has 1 values a row, the answer 2",
        );
    }
}
