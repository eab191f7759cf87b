//! A pattern of PostgreSQL's, said as the engine's regular expressions have it.
//!
//! ```text
//! \m \M \y \Y \Z       \b{start} \b{end} \b \B \z        .    any character, the end of a line too
//! [[:<:]] [[:>:]]      \b{start} \b{end}                 {    a brace, where no number follows
//! [a&&b [] in a set    \& \[                             ***= the rest as it stands
//! ```

use std::cell::RefCell;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

use crate::{SqlError, SqlState};

/// invalid_regular_expression
const INVALID: SqlState = SqlState("2201B");

/// What flags say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags {
    /// `g`: every match.
    pub(super) all: bool,
    /// `i`
    ignores_case: bool,
    /// `x`
    is_spaced: bool,
    /// `p`, `n`: the point is no end of a line.
    stops_at_lines: bool,
    /// `w`, `n`: `^` and `$` are the ends of lines too.
    has_lines: bool,
    /// `q`: the pattern is a text.
    is_text: bool,
}

impl Flags {
    pub(super) fn read(text: &str) -> Result<Flags, SqlError> {
        let mut flags = Flags::default();
        for flag in text.chars() {
            match flag {
                'g' => flags.all = true,
                'i' => flags.ignores_case = true,
                'c' => flags.ignores_case = false,
                'x' => flags.is_spaced = true,
                't' => flags.is_spaced = false,
                'n' | 'm' => (flags.stops_at_lines, flags.has_lines) = (true, true),
                's' => (flags.stops_at_lines, flags.has_lines) = (false, false),
                'p' => (flags.stops_at_lines, flags.has_lines) = (true, false),
                'w' => (flags.stops_at_lines, flags.has_lines) = (false, true),
                'q' => flags.is_text = true,
                'b' | 'e' => {}
                other => {
                    let message = format!("invalid regular expression option: \"{other}\"");
                    let hint = "the options are g, i, c, n, p, w, s, x, t and q";
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER, message).hint(hint));
                }
            }
        }
        Ok(flags)
    }
}

thread_local! {
    /// The expression that was made last: most often all rows have the same.
    static LAST: RefCell<Option<(String, Flags, Regex)>> = const { RefCell::new(None) };
}

/// The expression of a pattern.
pub(super) fn compiled(pattern: &str, flags: Flags) -> Result<Regex, SqlError> {
    let known = LAST.with_borrow(|last| match last {
        Some((before, of, regex)) if before == pattern && *of == flags => Some(regex.clone()),
        _ => None,
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let translated = match flags.is_text {
        true => regex::escape(pattern),
        false => translated(pattern)?,
    };
    let regex = RegexBuilder::new(&translated)
        .case_insensitive(flags.ignores_case)
        .ignore_whitespace(flags.is_spaced && !flags.is_text)
        .dot_matches_new_line(!flags.stops_at_lines)
        .multi_line(flags.has_lines)
        .build()
        .map_err(|error| invalid(&reason(&error)))?;
    LAST.set(Some((pattern.to_owned(), flags, regex.clone())));
    Ok(regex)
}

/// A pattern that stands behind `~`, for the engine's own operator.
pub(crate) fn of_operator(pattern: &str) -> Result<String, SqlError> {
    let translated = translated(pattern)?;
    let has_point = translated.replace("\\.", "").contains('.');
    // The engine's point stops at lines.
    Ok(if has_point {
        format!("(?s){translated}")
    } else {
        translated
    })
}

fn translated(pattern: &str) -> Result<String, SqlError> {
    if let Some(text) = pattern.strip_prefix("***=") {
        return Ok(regex::escape(text));
    }
    let pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => out.push_str(&escape(&mut rest)?),
            '[' => set(&mut rest, &mut out)?,
            '{' if !rest.peek().is_some_and(char::is_ascii_digit) => out.push_str("\\{"),
            other => out.push(other),
        }
    }
    Ok(out)
}

/// What stands behind a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>) -> Result<String, SqlError> {
    let Some(c) = rest.next() else {
        return Err(invalid("invalid escape \\ sequence"));
    };
    Ok(match c {
        'm' => "\\b{start}".to_owned(),
        'M' => "\\b{end}".to_owned(),
        'y' => "\\b".to_owned(),
        'Y' => "\\B".to_owned(),
        'Z' => "\\z".to_owned(),
        'B' => "\\\\".to_owned(),
        'b' => "\\x08".to_owned(),
        'e' => "\\x1b".to_owned(),
        'u' => code(rest, 4)?,
        'U' => code(rest, 8)?,
        'x' => {
            let mut digits = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_hexdigit) {
                digits.push(digit);
            }
            format!("\\x{{{digits}}}")
        }
        'A' | 'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'n' | 'r' | 't' | 'f' | 'v' | 'a' => format!("\\{c}"),
        '1'..='9' => return Err(invalid("a pattern cannot refer back to a part of the match (\\1) here")),
        other if other.is_alphanumeric() => return Err(invalid("invalid escape \\ sequence")),
        other => regex::escape(&other.to_string()),
    })
}

/// A character by its number.
fn code(rest: &mut Peekable<Chars<'_>>, digits: usize) -> Result<String, SqlError> {
    let written: String = (0..digits)
        .map_while(|_| rest.next_if(char::is_ascii_hexdigit))
        .collect();
    match written.len() == digits {
        true => Ok(format!("\\x{{{written}}}")),
        false => Err(invalid("invalid escape \\ sequence")),
    }
}

/// A set of characters, behind its bracket.
fn set(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), SqlError> {
    let ahead: String = rest.clone().take(6).collect();
    for (written, meant) in [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")] {
        if ahead == written {
            rest.by_ref().take(6).for_each(drop);
            out.push_str(meant);
            return Ok(());
        }
    }
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut is_first = true;
    while let Some(c) = rest.next() {
        match c {
            ']' if !is_first => {
                out.push(']');
                return Ok(());
            }
            '[' if rest.peek() == Some(&':') => {
                out.push('[');
                for c in rest.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '[' if matches!(rest.peek(), Some('.' | '=')) => {
                let mut named: Vec<char> = rest.by_ref().take_while(|c| *c != ']').collect();
                named.retain(|c| !matches!(c, '.' | '='));
                named.iter().for_each(|c| out.push_str(&regex::escape(&c.to_string())));
            }
            '\\' => out.push_str(&escape(rest)?),
            '[' | ']' | '&' | '~' | '^' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
        is_first = false;
    }
    Err(invalid("brackets [] not balanced"))
}

fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

fn invalid(why: &str) -> SqlError {
    SqlError::new(INVALID, format!("invalid regular expression: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_said_as_the_engine_reads_them() {
        for (pattern, expected) in [
            ("^a.b$", "^a.b$"),
            (r"\mfoo\M", r"\b{start}foo\b{end}"),
            (r"\yfoo\y|\Afoo\Z", r"\bfoo\b|\Afoo\z"),
            ("[[:<:]]foo[[:>:]]", r"\b{start}foo\b{end}"),
            ("[]a[:digit:]&&^]", r"[\]a[:digit:]\&\&\^]"),
            ("[^]]", r"[^\]]"),
            ("a{2,3}b{c}", r"a{2,3}b\{c}"),
            ("***=a.b", r"a\.b"),
            (r"\u00e9\.", r"\x{00e9}\."),
        ] {
            assert_eq!(translated(pattern).as_deref(), Ok(expected), "{pattern}");
            assert!(Regex::new(expected).is_ok(), "{expected}");
        }
        for pattern in [r"(a)\1", "[a", r"\", r"\q"] {
            assert!(translated(pattern).is_err(), "{pattern}");
        }
    }
}
