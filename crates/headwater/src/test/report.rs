//! What a run prints: a line a test, and under one that failed where, what, and the difference.
//!
//! Colours are for people: on a terminal, unless NO_COLOR is set. Without them every line still says what it is by its sign. Data has none: what would steer a
//! terminal is written out.

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::compare::Line;
use super::trial::Miss;
use crate::limits::TEST_LINES_MAX;

/// How lines are printed.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    colours: bool,
}

#[derive(Debug, Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Dim = 2,
}

impl Style {
    /// What suits standard output.
    pub fn of_stdout() -> Style {
        Style {
            colours: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// For files.
    pub fn plain() -> Style {
        Style { colours: false }
    }

    /// The line of a test, and what went wrong in it.
    pub fn test(self, file: &str, name: &str, took: Duration, outcome: &Result<(), Miss>) -> String {
        let ms = took.as_millis();
        match outcome {
            Ok(()) => format!(
                "  {}    {name} {}",
                self.paint(Colour::Green, "ok"),
                self.paint(Colour::Dim, &format!("({ms} ms)"))
            ),
            Err(miss) => format!(
                "  {}  {name} {}\n{}",
                self.paint(Colour::Red, "FAIL"),
                self.paint(Colour::Dim, &format!("({ms} ms)")),
                self.miss(file, miss)
            ),
        }
    }

    /// A failure with its place, indented under its test.
    pub fn miss(self, file: &str, miss: &Miss) -> String {
        let mut lines: Vec<String> = Vec::new();
        for (index, line) in miss.text.lines().enumerate() {
            let line = visible(line);
            match index {
                0 => lines.push(format!("    {file}:{}: {line}", miss.line)),
                _ => lines.push(format!("      {line}")),
            }
        }
        lines.extend(self.difference(&miss.difference));
        lines.join("\n")
    }

    /// The difference: `-` was expected, `+` came. Where it is long, what stands in both goes first.
    fn difference(self, lines: &[Line]) -> Vec<String> {
        if lines.is_empty() {
            return Vec::new();
        }
        let mut printed: Vec<String> = vec![format!(
            "      {} {}",
            self.paint(Colour::Red, "- expected"),
            self.paint(Colour::Green, "+ got")
        )];
        let is_long = lines.len() > TEST_LINES_MAX;
        // The first line stands over the columns of a table.
        let kept = |(index, line): &(usize, &Line)| !is_long || *index == 0 || !matches!(line, Line::Same(_));
        let kept: Vec<&Line> = lines.iter().enumerate().filter(kept).map(|(_, line)| line).collect();
        for line in kept.iter().take(TEST_LINES_MAX) {
            printed.push(match &visible_line(line) {
                Line::Same(text) => format!("        {}", self.paint(Colour::Dim, text)),
                Line::Missing(text) => format!("      {}", self.paint(Colour::Red, &format!("- {text}"))),
                Line::Extra(text) => format!("      {}", self.paint(Colour::Green, &format!("+ {text}"))),
                Line::Note(text) => format!("          {text}"),
            });
        }
        match lines.len() - kept.len().min(TEST_LINES_MAX) {
            0 => {}
            more => printed.push(format!("        … and {more} lines more")),
        }
        printed
    }

    fn paint(self, colour: Colour, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
            false => text.to_owned(),
        }
    }
}

/// A text whose control characters are written out.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() && character != '\t' {
            true => visible.extend(character.escape_default()),
            false => visible.push(character),
        }
    }
    visible
}

fn visible_line(line: &Line) -> Line {
    match line {
        Line::Same(text) => Line::Same(visible(text)),
        Line::Missing(text) => Line::Missing(visible(text)),
        Line::Extra(text) => Line::Extra(visible(text)),
        Line::Note(text) => Line::Note(visible(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_where_and_what() {
        let miss = Miss {
            line: 7,
            text: "the answer has other rows\nin round 3".to_owned(),
            difference: vec![
                Line::Same("| n |".to_owned()),
                Line::Missing("| 1 |".to_owned()),
                Line::Extra("| 2 |".to_owned()),
                Line::Note("so it is".to_owned()),
            ],
        };
        let printed = Style { colours: false }.test("a.test", "it holds", Duration::from_millis(3), &Err(miss));
        let expected = "  FAIL  it holds (3 ms)\n    a.test:7: the answer has other rows\n      in round 3\n      - expected + got\n        | n |\n      - | 1 |\n      + | 2 |\n          so it is";
        assert_eq!(printed, expected);
        let fine = Style { colours: true }.test("a.test", "it holds", Duration::from_millis(3), &Ok(()));
        assert_eq!(fine, "  \x1b[32mok\x1b[0m    it holds \x1b[2m(3 ms)\x1b[0m");
    }

    #[test]
    fn data_does_not_steer_the_terminal() {
        let miss = Miss {
            line: 1,
            text: "came: \x1b[2J\tü".to_owned(),
            difference: vec![Line::Extra("| \x1b]0;x\x07 |".to_owned())],
        };
        let printed = Style { colours: false }.miss("a.test", &miss);
        let expected = "    a.test:1: came: \\u{1b}[2J\tü\n      - expected + got\n      + | \\u{1b}]0;x\\u{7} |";
        assert_eq!(printed, expected);
    }

    #[test]
    fn a_long_difference_is_cut() {
        let check = |same: usize, missing: usize, printed: usize, last: &str| {
            let mut lines = vec![Line::Same("| n |".to_owned())];
            lines.extend((0..same).map(|_| Line::Same("| s |".to_owned())));
            lines.extend((0..missing).map(|_| Line::Missing("| m |".to_owned())));
            let difference = Style { colours: false }.difference(&lines);
            assert_eq!(difference.len(), printed);
            assert_eq!(difference.last().map(|line| line.trim()), Some(last));
        };
        check(TEST_LINES_MAX - 2, 1, TEST_LINES_MAX + 1, "- | m |");
        check(TEST_LINES_MAX - 1, 1, 4, "… and 59 lines more");
        check(0, TEST_LINES_MAX + 4, TEST_LINES_MAX + 2, "… and 5 lines more");
    }
}
