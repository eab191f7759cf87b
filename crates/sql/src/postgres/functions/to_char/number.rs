//! Numbers by the patterns of `to_char`.

use std::iter::repeat_n;

use datafusion::common::Result;

use crate::{SqlError, SqlState};

/// A pattern, read.
#[derive(Default)]
struct Pattern {
    /// What stands before the point and behind it.
    whole: Vec<Part>,
    fraction: Vec<Part>,
    has_point: bool,
    is_bare: bool,
    sign: Sign,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A digit; `true`: also where it is a zero that nothing needs.
    Digit(bool),
    Comma,
    Other(char),
}

/// Where a minus stands.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Sign {
    #[default]
    BeforeDigits,
    /// With a plus where there is none.
    Both,
    /// Behind the number.
    Behind,
    Brackets,
}

/// A number, given by its digits, by a pattern.
pub(super) fn written(number: &str, pattern: &str) -> Result<String> {
    let pattern = Pattern::read(pattern)?;
    let (is_negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let places = |parts: &[Part]| parts.iter().filter(|part| matches!(part, Part::Digit(_))).count();
    let scale = places(&pattern.fraction);
    let (whole, fraction) = match is_number {
        true => rounded(digits, scale),
        false => (digits.to_owned(), String::new()),
    };
    let room = places(&pattern.whole);
    let fits = is_number && whole.len() <= room;
    let is_zero = fits && !whole.bytes().chain(fraction.bytes()).any(|byte| byte != b'0');
    let is_negative = is_negative && !is_zero;

    let mut begun = false;
    // Texts before the first digit stand before the sign.
    let first = pattern.whole.iter().position(|part| !matches!(part, Part::Other(_)));
    let (texts, whole_parts) = pattern.whole.split_at(first.unwrap_or(0));
    let texts: String = texts
        .iter()
        .map(|part| if let Part::Other(letter) = part { *letter } else { ' ' })
        .collect();
    let mut before = String::new();
    let mut padding = 0;
    let mut digit = repeat_n('0', room.saturating_sub(whole.len())).chain(whole.chars());
    for part in whole_parts {
        match part {
            Part::Digit(shows_zero) => {
                let next = digit.next().unwrap_or('0');
                begun |= *shows_zero || next != '0';
                match (fits, begun) {
                    (false, _) => before.push('#'),
                    (true, true) => before.push(next),
                    (true, false) => padding += 1,
                }
            }
            Part::Comma if begun || !fits => before.push(','),
            Part::Comma => padding += 1,
            Part::Other(letter) => before.push(*letter),
        }
    }
    // A zero that is all there is before the point is shown where nothing stands behind it.
    if fits && !begun && !pattern.has_point && padding > 0 {
        before.push('0');
        padding -= 1;
    }
    let mut behind = String::new();
    let mut next = fraction.chars();
    let kept = fraction.trim_end_matches('0').len();
    let last_zero = pattern
        .fraction
        .iter()
        .rposition(|part| *part == Part::Digit(true))
        .map_or(0, |at| at + 1);
    for (at, part) in pattern.fraction.iter().enumerate() {
        match part {
            Part::Digit(_) => {
                let digit = next.next().unwrap_or('0');
                let is_shown = !pattern.is_bare || at < kept || at < last_zero;
                if is_shown {
                    behind.push(if fits { digit } else { '#' });
                }
            }
            Part::Comma => behind.push(','),
            Part::Other(letter) => behind.push(*letter),
        }
    }
    if pattern.has_point && pattern.is_bare && before.is_empty() && behind.is_empty() {
        before.push('0');
    }
    if pattern.has_point {
        before.push('.');
    }
    let number = before + &behind;
    let padding = if pattern.is_bare {
        String::new()
    } else {
        " ".repeat(padding)
    };
    let space = if pattern.is_bare { "" } else { " " };
    let signed = match (pattern.sign, is_negative) {
        (Sign::BeforeDigits, true) => format!("{padding}-{number}"),
        (Sign::BeforeDigits, false) => format!("{padding}{space}{number}"),
        (Sign::Both, is_negative) => format!("{padding}{}{number}", if is_negative { '-' } else { '+' }),
        (Sign::Behind, true) => format!("{padding}{number}-"),
        (Sign::Behind, false) => format!("{padding}{number}{space}"),
        (Sign::Brackets, true) => format!("{padding}<{number}>"),
        (Sign::Brackets, false) => format!("{space}{padding}{number}{space}"),
    };
    Ok(texts + &signed)
}

impl Pattern {
    fn read(text: &str) -> Result<Pattern> {
        let mut pattern = Pattern::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let upper = |count: usize| rest.get(..count).map(str::to_ascii_uppercase);
            let (length, part) = match first.to_ascii_uppercase() {
                '9' => (1, Some(Part::Digit(false))),
                '0' => (1, Some(Part::Digit(true))),
                ',' | 'G' => (1, Some(Part::Comma)),
                '.' | 'D' => {
                    pattern.has_point = true;
                    (1, None)
                }
                'F' if upper(2).as_deref() == Some("FM") => {
                    pattern.is_bare = true;
                    (2, None)
                }
                'P' if upper(2).as_deref() == Some("PR") => {
                    pattern.sign = Sign::Brackets;
                    (2, None)
                }
                'M' if upper(2).as_deref() == Some("MI") => {
                    pattern.sign = Sign::Behind;
                    (2, None)
                }
                'S' => {
                    pattern.sign = Sign::Both;
                    (1, None)
                }
                '"' => {
                    let inside = rest[1..].split('"').next().unwrap_or("");
                    pattern.put(inside.chars().map(Part::Other));
                    ((inside.len() + 2).min(rest.len()), None)
                }
                letter if letter.is_ascii_alphabetic() => {
                    let message = format!("'{first}' in a pattern of to_char for numbers is not there");
                    let hint =
                        "the patterns are 9, 0, a comma or G, a point or D, FM, S, MI, PR, and texts in double quotes";
                    return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint(hint).into());
                }
                _ => (first.len_utf8(), Some(Part::Other(first))),
            };
            pattern.put(part.into_iter());
            rest = &rest[length..];
        }
        pattern.has_point &= !pattern.fraction.is_empty();
        Ok(pattern)
    }

    fn put(&mut self, parts: impl Iterator<Item = Part>) {
        match self.has_point {
            true => self.fraction.extend(parts),
            false => self.whole.extend(parts),
        }
    }
}

/// Digits before the point and so many behind it, rounded half away from zero; a number below one has none before it.
fn rounded(digits: &str, scale: usize) -> (String, String) {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut all: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes().chain(repeat_n(b'0', scale)).take(scale))
        .collect();
    let rounds_up = fraction.as_bytes().get(scale).is_some_and(|next| *next >= b'5');
    let mut at = all.len();
    let mut carries = rounds_up;
    while carries && at > 0 {
        at -= 1;
        carries = all[at] == b'9';
        all[at] = if carries { b'0' } else { all[at] + 1 };
    }
    if carries {
        all.insert(0, b'1');
    }
    let text: String = all.into_iter().map(char::from).collect();
    let (whole, fraction) = text.split_at(text.len() - scale);
    (whole.trim_start_matches('0').to_owned(), fraction.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_postgresql_writes_them() {
        for (number, pattern, expected) in [
            ("1234.5", "9999.99", " 1234.50"),
            ("1234.5", "FM9999.00", "1234.50"),
            ("-1234.5", "9,999.99", "-1,234.50"),
            ("12", "0000", " 0012"),
            ("12", "FM0000", "0012"),
            ("1234567.891", "FM9,999,999.00", "1,234,567.89"),
            ("0.5", "0.99", " 0.50"),
            ("0.5", "FM0.99", "0.5"),
            ("0.5", "9.99", "  .50"),
            ("5", "9", " 5"),
            ("0", "9", " 0"),
            ("0", "999", "   0"),
            ("55", "9", " #"),
            ("-0.1", "99.99", "  -.10"),
            ("485", "999MI", "485 "),
            ("-485", "999MI", "485-"),
            ("485", "S999", "+485"),
            ("-485", "999PR", "<485>"),
            ("485", "\"Good number:\"999", "Good number: 485"),
            ("12", "99,999", "     12"),
            ("0", "FM9.9", "0."),
            ("0.0", "99.", "  0"),
            ("9.99", "9.9", " #.#"),
            ("99.99", "FM999.9", "100."),
        ] {
            assert_eq!(
                written(number, pattern).ok().as_deref(),
                Some(expected),
                "{number} {pattern}"
            );
        }
        assert!(written("1", "9EEEE").is_err());
    }
}
