//! What a test file is made of: keywords with what is indented below them, quoted texts, rows.
//!
//! A keyword begins at the first column; what belongs to it is indented below it. `--` begins a comment line.

use super::ScriptError;

/// A keyword's line and what is indented below it.
pub(super) struct Block<'a> {
    /// The line, from 1.
    pub line: usize,
    /// The keyword's line.
    pub head: &'a str,
    /// Line, how far it is indented, and text of each line below.
    pub body: Vec<Line<'a>>,
}

/// An indented line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// The line, from 1.
    pub number: usize,
    /// How many blanks it begins with.
    pub indent: usize,
    /// What it says.
    pub text: &'a str,
}

pub(super) fn refuse<T>(line: usize, what: impl Into<String>) -> Result<T, ScriptError> {
    Err(ScriptError {
        line,
        what: what.into(),
    })
}

pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, ScriptError> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let content = line.trim();
        if content.is_empty() || content.starts_with("--") {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if indent == 0 {
            blocks.push(Block {
                line: number,
                head: content,
                body: Vec::new(),
            });
            continue;
        }
        match blocks.last_mut() {
            Some(block) => block.body.push(Line {
                number,
                indent,
                text: content,
            }),
            None => {
                return refuse(
                    number,
                    "the file begins with an indented line: begin with test \"what it shows\"",
                );
            }
        }
    }
    Ok(blocks)
}

/// What follows a keyword, where the text begins with it.
pub(super) fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (ends && head.eq_ignore_ascii_case(word)).then_some(rest.trim())
}

/// What follows several keywords.
pub(super) fn keywords<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().try_fold(text, |text, word| keyword(text, word))
}

/// A whole number and what follows it, where the text begins with one.
pub(super) fn counted(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.split_once(char::is_whitespace)?;
    Some((number.parse().ok()?, rest.trim_start()))
}

/// The text between quotes; a doubled quote stands for one.
pub(super) fn quoted(text: &str, line: usize, quote: char) -> Result<String, ScriptError> {
    let inner = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let doubled = format!("{quote}{quote}");
    match inner {
        Some(inner) if !inner.is_empty() && !inner.replace(&doubled, "").contains(quote) => {
            Ok(inner.replace(&doubled, &quote.to_string()))
        }
        _ => refuse(line, format!("a text in {quote} is expected here")),
    }
}

/// A quoted text and what follows it, where the text begins with one.
pub(super) fn leading_quoted(text: &str, line: usize, quote: char) -> Result<(String, &str), ScriptError> {
    let mut at = quote.len_utf8();
    while let Some(next) = text.get(at..).and_then(|rest| rest.find(quote)) {
        at += next + quote.len_utf8();
        // A doubled quote stands for one and does not end the text.
        match text[at..].starts_with(quote) {
            true => at += quote.len_utf8(),
            false => return Ok((quoted(&text[..at], line, quote)?, text[at..].trim_start())),
        }
    }
    refuse(line, format!("a text in {quote} is expected here"))
}

pub(super) fn no_body(block: &Block<'_>) -> Result<(), ScriptError> {
    match block.body.first() {
        Some(line) => refuse(line.number, "nothing is expected below this step"),
        None => Ok(()),
    }
}

/// A statement over several lines.
pub(super) fn joined(head: &str, body: &[Line<'_>]) -> String {
    let mut lines: Vec<&str> = vec![head];
    lines.extend(body.iter().map(|line| line.text));
    lines.join("\n").trim().trim_end_matches(';').to_owned()
}

/// The values of `| a | b |`; `\|` stands for a bar in a value.
pub(super) fn cells(line: &Line<'_>) -> Result<Vec<String>, ScriptError> {
    let bare = line
        .text
        .strip_prefix('|')
        .and_then(|rest| rest.strip_suffix('|'))
        .filter(|rest| !rest.ends_with('\\'));
    let Some(bare) = bare else {
        return refuse(line.number, "a row is written | value | value |");
    };
    let mut cells: Vec<String> = vec![String::new()];
    let mut escaped = false;
    for character in bare.chars() {
        match (escaped, character) {
            (false, '\\') => escaped = true,
            (false, '|') => cells.push(String::new()),
            (false, character) => cells.last_mut().into_iter().for_each(|cell| cell.push(character)),
            (true, character) => {
                escaped = false;
                let cell = cells.last_mut().into_iter();
                cell.for_each(|cell| match character {
                    '|' | '\\' => cell.push(character),
                    other => cell.extend(['\\', other]),
                });
            }
        }
    }
    Ok(cells.into_iter().map(|cell| cell.trim().to_owned()).collect())
}
