//! `ROWS FROM (f(…), g(…))`, functions side by side: put into one UNNEST before sqlparser reads a query, which does not know it.
//!
//! ```text
//! ROWS FROM (unnest(a), generate_series(1, 3), string_to_table(t, ','))
//! UNNEST (a, a list of the series, string_to_array(t, ','))
//! ```

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use super::cursor::Cursor;
use super::tokens::Piece;
use crate::postgres::SERIES;
use crate::{SqlError, SqlState};

/// The tokens of a statement with its `ROWS FROM (…)` as one UNNEST.
pub(super) fn side_by_side(pieces: Vec<Piece>, file: &str) -> Result<Vec<Piece>, SqlError> {
    let begins = |at: usize| stands_at(&pieces, at);
    if !(0..pieces.len()).any(begins) {
        return Ok(pieces);
    }
    let mut written: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        if !begins(at) {
            written.push(piece.clone());
            at += 1;
            continue;
        }
        let mut cursor = Cursor::new(&pieces[at + 2..], file);
        written.push(word(piece, "unnest"));
        written.push(in_place(piece, Token::LParen));
        let mut lists: Vec<Vec<Piece>> = cursor.bracketed(list)?;
        let last = lists.pop().unwrap_or_default();
        for list in lists {
            written.extend(list);
            written.push(in_place(piece, Token::Comma));
        }
        written.extend(last);
        written.push(in_place(piece, Token::RParen));
        at = pieces.len() - cursor.rest().len();
    }
    Ok(written)
}

/// Whether it stands here: in the place of a table, with a function in its brackets. `SELECT n, rows FROM (SELECT …)` is something else.
fn stands_at(pieces: &[Piece], at: usize) -> bool {
    let is = |at: usize, words: &[&str]| {
        let piece = pieces.get(at);
        piece.is_some_and(|piece| words.iter().any(|word| piece.is_word(word)))
    };
    let opens = |at: usize| pieces.get(at).is_some_and(|piece| piece.is(&Token::LParen));
    let is_place = at > 0 && (is(at - 1, &["FROM", "JOIN", "LATERAL"]) || pieces[at - 1].is(&Token::Comma));
    is_place
        && is(at, &["ROWS"])
        && is(at + 1, &["FROM"])
        && opens(at + 2)
        && !is(at + 3, &["SELECT", "WITH", "VALUES"])
        && opens(at + 4)
}

/// A function's rows as a list.
fn list(cursor: &mut Cursor) -> Result<Vec<Piece>, SqlError> {
    let refused = cursor
        .error(SqlState::NOT_SUPPORTED, format!("{} has no place in ROWS FROM", cursor.found()))
        .hint("there are unnest(…), generate_series(…) and string_to_table(…); number the rows of others WITH ORDINALITY, and join them by that");
    let Some(first) = cursor.next() else {
        return Err(cursor.expected("a function"));
    };
    let function = match ["unnest", "generate_series", "string_to_table"]
        .iter()
        .find(|name| first.is_word(name))
    {
        Some(&"unnest") => None,
        Some(&"generate_series") => Some(SERIES),
        Some(_) => Some("string_to_array"),
        None => return Err(refused),
    };
    let arguments = cursor.clone();
    cursor.expect(&Token::LParen)?;
    let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is(&Token::RParen)));
    let mut inside = cursor.part(length);
    cursor.expect(&Token::RParen)?;
    Ok(match function {
        None => std::iter::from_fn(|| inside.next().cloned()).collect(),
        Some(function) => {
            let called = arguments.rest().iter().take(length + 2).cloned();
            std::iter::once(word(first, function)).chain(called).collect()
        }
    })
}

/// A word in the place of a token.
fn word(place: &Piece, value: &str) -> Piece {
    let word = Word {
        value: value.to_owned(),
        quote_style: None,
        keyword: if value == "unnest" {
            Keyword::UNNEST
        } else {
            Keyword::NoKeyword
        },
    };
    in_place(place, Token::Word(word))
}

fn in_place(place: &Piece, token: Token) -> Piece {
    let mut piece = place.clone();
    piece.token.token = token;
    piece
}
