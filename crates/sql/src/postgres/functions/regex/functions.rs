//! The functions: `regexp_match`, `regexp_replace`, `regexp_split_to_array`, …

use datafusion::common::Result;
use regex::{Captures, Regex};

use super::super::by_row::{ByRow, Gives, Made, Row, Takes};
use super::pattern::{Flags, compiled};
use super::similar;
use crate::{SqlError, SqlState};

use Takes::{Text, Whole};

/// The functions; those whose names begin with `_headwater` stand for what is written otherwise.
pub(crate) const FUNCTIONS: [ByRow; 12] = [
    ByRow::new("regexp_match", &[Text, Text, Text], Gives::Texts, first_match).optional(1),
    ByRow::new(
        "_headwater_regexp_matches",
        &[Text, Text, Text],
        Gives::ListsOfTexts,
        matches,
    )
    .optional(1),
    ByRow::new("regexp_replace", &[Text, Text, Text, Text], Gives::Text, replaced).optional(1),
    ByRow::new(
        "_headwater_regexp_replace_from",
        &[Text, Text, Text, Whole, Whole, Text],
        Gives::Text,
        replaced_from,
    )
    .optional(2),
    ByRow::new("regexp_split_to_array", &[Text, Text, Text], Gives::Texts, split).optional(1),
    ByRow::new("regexp_like", &[Text, Text, Text], Gives::Truth, |row| {
        let regex = of_flags(row, 1, 2)?.0;
        Ok(Some(Made::Truth(regex.is_match(text(row, 0)))))
    })
    .optional(1),
    ByRow::new("regexp_count", &[Text, Text, Whole, Text], Gives::Int, |row| {
        let regex = of_flags(row, 1, 3)?.0;
        let of = text(row, 0);
        let start = start(row, 2, of)?;
        Ok(Some(Made::Whole(captures_from(&regex, of, start).count() as i64)))
    })
    .optional(2),
    ByRow::new(
        "regexp_substr",
        &[Text, Text, Whole, Whole, Text, Whole],
        Gives::Text,
        |row| {
            let found = found(row, 4, 5)?;
            Ok(found.map(|(from, to)| Made::Text(text(row, 0)[from..to].to_owned())))
        },
    )
    .optional(4),
    ByRow::new(
        "regexp_instr",
        &[Text, Text, Whole, Whole, Whole, Text, Whole],
        Gives::Int,
        |row| {
            let of = text(row, 0);
            let place = found(row, 5, 6)?.map(|(from, to)| if row.whole(4) == Some(1) { to } else { from });
            let place = place.map_or(0, |place| of[..place].chars().count() + 1);
            Ok(Some(Made::Whole(place as i64)))
        },
    )
    .optional(5),
    // `substring(text FROM pattern)`: the first group, or all of the match.
    ByRow::new("_headwater_substring", &[Text, Text], Gives::Text, |row| {
        let regex = compiled(text(row, 1), Flags::default())?;
        Ok(part(&regex, text(row, 0)))
    }),
    // `substring(text FROM pattern FOR escape)`
    ByRow::new(
        "_headwater_substring_similar",
        &[Text, Text, Text],
        Gives::Text,
        |row| {
            let pattern = similar::expression(text(row, 1), text(row, 2))?;
            Ok(part(&compiled(&pattern, Flags::default())?, text(row, 0)))
        },
    ),
    ByRow::new("_headwater_similar_to", &[Text, Text, Text], Gives::Truth, |row| {
        let pattern = similar::expression(text(row, 1), text(row, 2))?;
        let regex = compiled(&pattern, Flags::default())?;
        Ok(Some(Made::Truth(regex.is_match(text(row, 0)))))
    }),
];

/// The text at a place; the functions are not asked of NULL.
fn text<'a>(row: &Row<'a>, at: usize) -> &'a str {
    row.text(at).unwrap_or_default()
}

fn of_flags(row: &Row<'_>, pattern: usize, flags: usize) -> Result<(Regex, Flags), SqlError> {
    let flags = Flags::read(text(row, flags))?;
    Ok((compiled(text(row, pattern), flags)?, flags))
}

/// Without `g`, which means every match.
fn of_one(row: &Row<'_>, name: &str) -> Result<Regex, SqlError> {
    let (regex, flags) = of_flags(row, 1, 2)?;
    match flags.all {
        true => Err(no_global(name)),
        false => Ok(regex),
    }
}

fn no_global(name: &str) -> SqlError {
    let message = format!("{name}() does not support the \"global\" option");
    SqlError::new(SqlState::INVALID_PARAMETER, message).hint("use the regexp_matches function instead")
}

fn first_match(row: &Row<'_>) -> Result<Option<Made>> {
    let regex = of_one(row, "regexp_match")?;
    Ok(regex
        .captures(text(row, 0))
        .map(|captures| Made::Texts(groups(&captures))))
}

fn matches(row: &Row<'_>) -> Result<Option<Made>> {
    let (regex, flags) = of_flags(row, 1, 2)?;
    let most = if flags.all { usize::MAX } else { 1 };
    let found = regex.captures_iter(text(row, 0)).take(most);
    Ok(Some(Made::ListsOfTexts(
        found.map(|captures| groups(&captures)).collect(),
    )))
}

/// The groups of a match, or all of it where the pattern has none.
fn groups(captures: &Captures<'_>) -> Vec<Option<String>> {
    let from = usize::from(captures.len() > 1);
    let groups = captures.iter().skip(from);
    groups
        .map(|group| group.map(|group| group.as_str().to_owned()))
        .collect()
}

fn part(regex: &Regex, of: &str) -> Option<Made> {
    let captures = regex.captures(of)?;
    groups(&captures).into_iter().next().flatten().map(Made::Text)
}

fn replaced(row: &Row<'_>) -> Result<Option<Made>> {
    // `regexp_replace(text, pattern, to, start)` is told by its fourth argument, a number.
    let (regex, flags) = of_flags(row, 1, 3)?;
    let nth = if flags.all { 0 } else { 1 };
    Ok(Some(Made::Text(with_replaced(
        &regex,
        text(row, 0),
        0,
        text(row, 2),
        nth,
    ))))
}

fn replaced_from(row: &Row<'_>) -> Result<Option<Made>> {
    let (regex, flags) = of_flags(row, 1, 5)?;
    let of = text(row, 0);
    let start = start(row, 3, of)?;
    let nth = match row.whole(4) {
        Some(nth) if nth < 0 => return Err(invalid_argument("n", nth).into()),
        Some(nth) => nth as usize,
        None => usize::from(!flags.all),
    };
    Ok(Some(Made::Text(with_replaced(&regex, of, start, text(row, 2), nth))))
}

/// The text with the nth match from a byte on replaced; 0: each.
fn with_replaced(regex: &Regex, of: &str, start: usize, to: &str, nth: usize) -> String {
    let mut out = String::with_capacity(of.len());
    let mut done = 0;
    for (count, captures) in captures_from(regex, of, start).enumerate() {
        if nth != 0 && count + 1 != nth {
            continue;
        }
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&of[done..whole.start()]);
        put(&mut out, &captures, to);
        done = whole.end();
        if nth != 0 {
            break;
        }
    }
    out.push_str(&of[done..]);
    out
}

/// The matches from a byte on; what stands before it is still there for `^` and `\y`.
fn captures_from<'a>(regex: &'a Regex, of: &'a str, start: usize) -> impl Iterator<Item = Captures<'a>> + 'a {
    let (mut at, mut done) = (start, None);
    std::iter::from_fn(move || {
        while at <= of.len() {
            let captures = regex.captures_at(of, at)?;
            let whole = captures.get(0)?;
            let (begin, end) = (whole.start(), whole.end());
            let is_nothing = begin == end;
            at = match is_nothing {
                true => end + of[end..].chars().next().map_or(1, char::len_utf8),
                false => end,
            };
            // Nothing, right behind a match, is none.
            if is_nothing && done == Some(end) {
                continue;
            }
            done = Some(end);
            return Some(captures);
        }
        None
    })
}

/// Puts what takes the place of a match: `\1` is its first group, `\&` all of it.
fn put(out: &mut String, captures: &Captures<'_>, to: &str) {
    let mut rest = to.chars();
    while let Some(c) = rest.next() {
        let group = match (c, rest.clone().next()) {
            ('\\', Some('&')) => Some(0),
            ('\\', Some(digit @ '1'..='9')) => digit.to_digit(10).map(|digit| digit as usize),
            ('\\', Some('\\')) => {
                rest.next();
                None
            }
            _ => None,
        };
        match group {
            Some(group) => {
                rest.next();
                out.push_str(captures.get(group).map_or("", |group| group.as_str()));
            }
            None => out.push(c),
        }
    }
}

fn split(row: &Row<'_>) -> Result<Option<Made>> {
    let regex = of_flags(row, 1, 2)?;
    if regex.1.all {
        return Err(no_global("regexp_split_to_array").into());
    }
    let of = text(row, 0);
    let mut parts: Vec<Option<String>> = Vec::new();
    let mut done = 0;
    for found in regex.0.find_iter(of) {
        let is_nothing = found.is_empty() && (found.start() == of.len() || found.start() == done);
        if is_nothing {
            continue;
        }
        parts.push(Some(of[done..found.start()].to_owned()));
        done = found.end();
    }
    parts.push(Some(of[done..].to_owned()));
    Ok(Some(Made::Texts(parts)))
}

/// Where the nth match lies, or a group of it, in bytes.
fn found(row: &Row<'_>, flags: usize, group: usize) -> Result<Option<(usize, usize)>, SqlError> {
    let regex = of_flags(row, 1, flags)?.0;
    let of = text(row, 0);
    let start = start(row, 2, of)?;
    let nth = row.whole(3).unwrap_or(1);
    let group = row.whole(group).unwrap_or(0);
    if nth < 1 {
        return Err(invalid_argument("n", nth));
    }
    let Ok(group) = usize::try_from(group) else {
        return Err(invalid_argument("subexpr", group));
    };
    let captures = captures_from(&regex, of, start).nth(nth as usize - 1);
    let place = captures.and_then(|captures| captures.get(group).map(|part| (part.start(), part.end())));
    Ok(place)
}

/// The byte at which a search begins, given as a character's number.
fn start(row: &Row<'_>, at: usize, of: &str) -> Result<usize, SqlError> {
    let first = row.whole(at).unwrap_or(1);
    match usize::try_from(first) {
        Ok(first) if first > 0 => {
            let mut characters = of.char_indices().map(|(byte, _)| byte);
            Ok(characters.nth(first - 1).unwrap_or(of.len()))
        }
        _ => Err(invalid_argument("start", first)),
    }
}

fn invalid_argument(name: &str, value: i64) -> SqlError {
    let message = format!("invalid value for parameter \"{name}\": {value}");
    SqlError::new(SqlState::INVALID_PARAMETER, message)
}
