//! Where the fault is in a statement, where its error names it and nobody kept its place: a value or a name that stands there once.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens;
use crate::Place;

/// What stands before a name that says which thing it is about, and not what is wrong with it.
const NOUNS: [&str; 7] = ["stream", "view", "graph", "command", "model", "table", "schedule"];

/// The place of what the message names, in a statement that begins at a place.
pub(crate) fn pointed(text: &str, begins: &Place, message: &str) -> Option<Place> {
    let pieces: Vec<_> = tokens::statements(text, "").ok()?.into_iter().flatten().collect();
    for name in named(message) {
        let mut found = pieces.iter().filter(|piece| says(&piece.token.token, name));
        if let (Some(piece), None) = (found.next(), found.next()) {
            let at = piece.span().start;
            return Some(Place {
                file: begins.file.clone(),
                line: begins.line + at.line.saturating_sub(1),
                column: match at.line {
                    0 | 1 => begins.column + at.column.saturating_sub(1),
                    _ => at.column,
                },
            });
        }
    }
    None
}

fn says(token: &Token, name: &str) -> bool {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.eq_ignore_ascii_case(name),
        Token::Word(word) => word.value == name,
        Token::Number(written, _) | Token::SingleQuotedString(written) => written == name,
        _ => false,
    }
}

/// What a message names: the number or the function that it begins with, then whatever is in quotes.
fn named(message: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let first = message.split(' ').next().unwrap_or_default();
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        names.push(first);
    }
    if let Some(function) = message.strip_prefix("function ") {
        names.push(function.split(['(', ' ']).next().unwrap_or_default());
    }
    let mut rest = message;
    while let Some(start) = rest.find(['\'', '"']) {
        let (before, quoted) = rest.split_at(start);
        let mut inside = quoted.chars();
        let Some(quote) = inside.next() else { break };
        let Some((name, behind)) = inside.as_str().split_once(quote) else {
            break;
        };
        let word = before.trim_end().rsplit(' ').next().unwrap_or_default();
        if !NOUNS.contains(&word) {
            names.push(name);
        }
        rest = behind;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_where_it_stands_once() {
        let check = |text: &str, message: &str, expected: Option<(u64, u64)>| {
            let begins = Place {
                file: String::new(),
                line: 3,
                column: 5,
            };
            let found = pointed(text, &begins, message).map(|place| (place.line, place.column));
            assert_eq!(found, expected, "{text}: {message}");
        };
        check("SELECT 'é', abs('x')", "invalid input syntax: \"x\"", Some((3, 21)));
        check("SELECT\n abs('x')", "function abs(TEXT) does not exist", Some((4, 2)));
        check("SELECT 7, 42", "42 is out of range for type SMALLINT", Some((3, 15)));
        check("SELECT 'x', 'x'", "invalid input syntax: \"x\"", None);
        check("ALTER STREAM s DROP b", "stream 's' has no column 'b'", Some((3, 25)));
        check("SELECT 1", "no 'quote that ends", None);
    }
}
