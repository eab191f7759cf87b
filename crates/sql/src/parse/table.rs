//! `TABLE t` is `SELECT * FROM t`: said so before sqlparser reads a query, which takes nothing behind the name.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use super::tokens::Piece;

/// Words behind which a query stands.
const BEFORE: [&str; 9] = [
    "UNION",
    "ALL",
    "DISTINCT",
    "EXCEPT",
    "INTERSECT",
    "AS",
    "EXPLAIN",
    "ANALYZE",
    "FOR",
];

/// The tokens of a statement with its `TABLE t` written out.
pub(super) fn written_out(pieces: &[Piece]) -> Vec<Piece> {
    let mut written: Vec<Piece> = Vec::with_capacity(pieces.len());
    for (place, piece) in pieces.iter().enumerate() {
        let begins = match written.last() {
            None => true,
            Some(before) => before.is(&Token::LParen) || BEFORE.iter().any(|word| before.is_word(word)),
        };
        let is_name = pieces
            .get(place + 1)
            .is_some_and(|next| matches!(next.token.token, Token::Word(_)));
        if !(begins && is_name && piece.is_word("TABLE")) {
            written.push(piece.clone());
            continue;
        }
        let words = [("SELECT", Keyword::SELECT), ("FROM", Keyword::FROM)];
        let [select, from] = words.map(|(value, keyword)| {
            let (value, quote_style) = (value.to_owned(), None);
            let word = Word {
                value,
                quote_style,
                keyword,
            };
            in_place(piece, Token::Word(word))
        });
        written.extend([select, in_place(piece, Token::Mul), from]);
    }
    written
}

fn in_place(piece: &Piece, token: Token) -> Piece {
    let mut piece = piece.clone();
    piece.token.token = token;
    piece
}
