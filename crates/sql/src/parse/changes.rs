//! `CHANGES OF view`: put together into one name before sqlparser reads a query.
//!
//! ```text
//! FROM CHANGES OF balances        WHERE …
//! FROM "changes of balances" AS balances WHERE …     what sqlparser reads; no stream or view can have such a name
//! ```

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Word};
use headwater_views::CHANGES_OF;

use super::rewind::is_name;
use super::tokens::Piece;

/// The tokens of a statement with its `CHANGES OF view` put together.
pub(super) fn put_together(pieces: &[Piece]) -> Vec<Piece> {
    let mut together: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let name = name_length(together.last(), rest);
        if name == 0 {
            together.push(first.clone());
            rest = &rest[1..];
            continue;
        }
        let (named, behind) = rest[2..].split_at(name);
        let parts = named.iter().filter_map(|piece| match &piece.token.token {
            Token::Word(word) => Some(word.value.as_str()),
            _ => None,
        });
        let parts: Vec<&str> = parts.collect();
        let last = parts.last().copied().unwrap_or_default().to_owned();
        together.push(word(&named[0], format!("{CHANGES_OF}{}", parts.join("."))));
        let has_alias = behind
            .first()
            .is_some_and(|piece| piece.is_word("AS") || is_name(piece));
        if !has_alias {
            together.push(word(&named[0], last));
        }
        rest = behind;
    }
    together
}

/// How many tokens the name behind `CHANGES OF` has, where these stand here and in the place of a table's name; else 0.
fn name_length(before: Option<&Piece>, rest: &[Piece]) -> usize {
    let is_place =
        before.is_some_and(|piece| piece.is_word("FROM") || piece.is_word("JOIN") || piece.is(&Token::Comma));
    let [first, second, named @ ..] = rest else { return 0 };
    if !is_place || !first.is_word("CHANGES") || !second.is_word("OF") {
        return 0;
    }
    let is_word = |at: usize| {
        named
            .get(at)
            .is_some_and(|piece| matches!(piece.token.token, Token::Word(_)))
    };
    if !is_word(0) {
        return 0;
    }
    let mut length = 1;
    while named.get(length).is_some_and(|piece| piece.is(&Token::Period)) && is_word(length + 1) {
        length += 2;
    }
    length
}

/// A quoted word in the place of a token.
fn word(place: &Piece, value: String) -> Piece {
    let mut piece = place.clone();
    piece.token.token = Token::Word(Word {
        value,
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    });
    piece
}
