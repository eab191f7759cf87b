//! `CUBE ((a + b)::text, c)`: what begins with a bracket and goes on behind it stands in brackets of its own before sqlparser reads a query, which takes the
//! first bracket for all of it.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens::Piece;

/// The tokens of a statement, the parts of its ROLLUP, CUBE and GROUPING SETS in brackets where they need them.
pub(super) fn in_brackets(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut opens: Vec<usize> = Vec::new();
    let mut closes: Vec<usize> = Vec::new();
    for at in (0..pieces.len()).filter(|at| is_of_sets(&pieces, *at)) {
        for (from, to) in parts(&pieces, at + 1) {
            if goes_on(&pieces[from..to]) {
                opens.push(from);
                closes.push(to);
            }
        }
    }
    if opens.is_empty() {
        return pieces;
    }
    let mut written: Vec<Piece> = Vec::with_capacity(pieces.len() + 2 * opens.len());
    for (at, piece) in pieces.into_iter().enumerate() {
        let count = |places: &[usize]| places.iter().filter(|place| **place == at).count();
        for (token, places) in [(Token::RParen, &closes), (Token::LParen, &opens)] {
            let mut bracket = piece.clone();
            bracket.token.token = token;
            written.extend(std::iter::repeat_n(bracket, count(places)));
        }
        written.push(piece);
    }
    written
}

/// Whether the last word before a list of groups stands here.
fn is_of_sets(pieces: &[Piece], at: usize) -> bool {
    let is = |at: usize, word: &str| pieces.get(at).is_some_and(|piece| piece.is_word(word));
    let is_word = is(at, "ROLLUP") || is(at, "CUBE") || at > 0 && is(at - 1, "GROUPING") && is(at, "SETS");
    is_word && pieces.get(at + 1).is_some_and(|piece| piece.is(&Token::LParen))
}

/// From where to where the parts of a list in brackets stand, which opens here.
fn parts(pieces: &[Piece], open: usize) -> Vec<(usize, usize)> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let (mut depth, mut from) = (0_usize, open + 1);
    for (at, piece) in pieces.iter().enumerate().skip(open) {
        match piece.token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_end = depth == 0;
        if is_end || depth == 1 && piece.is(&Token::Comma) {
            parts.push((from, at));
            from = at + 1;
        }
        if is_end {
            break;
        }
    }
    parts
}

/// Whether something stands behind the bracket that opens first.
fn goes_on(part: &[Piece]) -> bool {
    let mut depth = 0_usize;
    let closes = part.iter().position(|piece| {
        match piece.token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    closes.is_some_and(|at| at > 0 && at + 1 < part.len())
}
