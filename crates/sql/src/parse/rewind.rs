//! `FOR SYSTEM_TIME AS OF …` and `FOR BUSINESS_TIME AS OF …`: cut out before sqlparser reads a query, and kept by the table's name.
//!
//! ```text
//! FROM balances FOR SYSTEM_TIME AS OF TIMESTAMP '2025-11-23' AS b WHERE …
//!      ^^^^^^^^ span kept        ^^^^^ moment ^^^^^^^^^^^^^^
//! FROM balances                                              AS b WHERE …     what sqlparser reads
//! ```

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::keywords::RESERVED_FOR_TABLE_ALIAS;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token};

use super::cursor::Cursor;
use super::limits::MOMENT_TOKENS_MAX;
use super::tokens::Piece;
use crate::syntax::{Moment, Rewind};
use crate::{SqlError, SqlState};

/// The tokens of a statement without its rewinds, and these.
pub(super) struct Unwound {
    pub(super) pieces: Vec<Piece>,
    pub(super) rewinds: Vec<Rewind>,
    /// Where each rewind's FOR stands.
    pub(super) places: Vec<Location>,
}

/// Cuts the rewinds out of a statement.
pub(super) fn unwind(pieces: &[Piece], file: &str) -> Result<Unwound, SqlError> {
    let mut unwound = Unwound {
        pieces: Vec::new(),
        rewinds: Vec::new(),
        places: Vec::new(),
    };
    if !pieces.windows(2).any(is_rewind) {
        unwound.pieces = pieces.to_vec();
        return Ok(unwound);
    }
    let mut cursor = Cursor::new(pieces, file);
    while let Some(piece) = cursor.peek() {
        if !is_rewind(cursor.rest()) {
            unwound.pieces.push(piece.clone());
            cursor.next();
            continue;
        }
        let at = cursor.location();
        let table = table_before(&unwound.pieces, &cursor)?;
        let again = cursor.error(SqlState::SYNTAX, "a table is rewound twice in the same time");
        let to = moment(&mut cursor)?;
        let is_again = |earlier: &Rewind| earlier.table == table && earlier.to.is_business() == to.is_business();
        if unwound.rewinds.iter().any(is_again) {
            return Err(again.hint("rewind it once by SYSTEM_TIME, once by BUSINESS_TIME, or by both"));
        }
        unwound.rewinds.push(Rewind { table, to });
        unwound.places.push(at);
    }
    Ok(unwound)
}

fn is_rewind(pieces: &[Piece]) -> bool {
    match pieces {
        [first, second, ..] => {
            first.is_word("FOR") && (second.is_word("SYSTEM_TIME") || second.is_word("BUSINESS_TIME"))
        }
        _ => false,
    }
}

/// The span of the table's name: right before, or before an alias.
fn table_before(before: &[Piece], cursor: &Cursor) -> Result<Span, SqlError> {
    const NAME_FOLLOWS: [&str; 4] = ["FROM", "JOIN", "ONLY", "TABLE"];
    let refuse = || {
        let kind = cursor
            .peek_nth(1)
            .map_or(String::new(), |piece| piece.token.to_string());
        cursor
            .error(
                SqlState::SYNTAX,
                format!(
                    "expected the name of a stream or view before FOR {}",
                    kind.to_uppercase()
                ),
            )
            .hint("a query is rewound by rewinding the streams and views in it")
    };
    let end = before.len();
    let Some(last) = before.last() else {
        return Err(refuse());
    };
    if last.is(&Token::RParen) {
        return function_before(before).ok_or_else(refuse);
    }
    let Some(previous) = before[..end - 1].last().filter(|_| is_name(last)) else {
        return Err(refuse());
    };
    if previous.is_word("AS") {
        return aliased(&before[..end - 2]).ok_or_else(refuse);
    }
    let is_the_name = match &previous.token.token {
        Token::Comma | Token::LParen | Token::Period => true,
        _ => NAME_FOLLOWS.iter().any(|word| previous.is_word(word)),
    };
    match is_the_name {
        true => Ok(last.span()),
        // `balances b FOR …`: an alias without AS.
        false => aliased(&before[..end - 1]).ok_or_else(refuse),
    }
}

/// The span of the name of what an alias stands behind: a table, or a table function.
fn aliased(before: &[Piece]) -> Option<Span> {
    let last = before.last()?;
    match last.is(&Token::RParen) {
        true => function_before(before),
        false => is_name(last).then(|| last.span()),
    }
}

/// The span of the name of the function whose arguments end here.
fn function_before(before: &[Piece]) -> Option<Span> {
    let mut open = 0_usize;
    for (at, piece) in before.iter().enumerate().rev() {
        if piece.is(&Token::RParen) {
            open += 1;
        } else if piece.is(&Token::LParen) {
            open -= 1;
        }
        if open == 0 {
            let name = before[..at].last()?;
            return is_name(name).then(|| name.span());
        }
    }
    None
}

/// Whether a token can name a table where an alias may stand.
pub(super) fn is_name(piece: &Piece) -> bool {
    match &piece.token.token {
        Token::Word(word) => word.quote_style.is_some() || !RESERVED_FOR_TABLE_ALIAS.contains(&word.keyword),
        _ => false,
    }
}

/// Reads `FOR … AS OF …`.
fn moment(cursor: &mut Cursor) -> Result<Moment, SqlError> {
    cursor.expect_word("FOR")?;
    let is_business = cursor.take_word("BUSINESS_TIME");
    if !is_business {
        cursor.expect_word("SYSTEM_TIME")?;
    }
    if !cursor.take_words(&["AS", "OF"]) {
        return Err(cursor
            .expected("AS OF")
            .hint("a table is read as it was at one moment; ranges (FROM … TO, BETWEEN … AND) are not there yet"));
    }
    let is_position = cursor.is_word("POSITION")
        && cursor
            .peek_nth(1)
            .is_some_and(|piece| matches!(piece.token.token, Token::SingleQuotedString(_) | Token::Placeholder(_)));
    if is_position && is_business {
        return Err(cursor
            .error(
                SqlState::SYNTAX,
                "a position is a point in the log, not in business time",
            )
            .hint("write FOR SYSTEM_TIME AS OF POSITION '…'"));
    }
    if is_position {
        cursor.next();
        return Ok(Moment::Position(expression(cursor, 1)?));
    }
    // sqlparser would take the next clause's word for a column.
    let is_missing = cursor
        .peek()
        .is_none_or(|piece| !is_name(piece) && matches!(piece.token.token, Token::Word(_)));
    if is_missing {
        return Err(cursor
            .expected("a moment")
            .hint("write TIMESTAMP '2025-12-31 23:59:59', POSITION 'stream/0@42' or a parameter"));
    }
    let moment = expression(cursor, MOMENT_TOKENS_MAX)?;
    Ok(match is_business {
        true => Moment::BusinessTime(moment),
        false => Moment::SystemTime(moment),
    })
}

/// Reads one expression of at most so many tokens.
fn expression(cursor: &mut Cursor, tokens_max: usize) -> Result<ast::Expr, SqlError> {
    let mut part = cursor.clone().part(tokens_max);
    let expression = part.expression()?;
    let read = tokens_max.min(cursor.rest().len()) - part.rest().len();
    cursor.part(read);
    Ok(expression)
}
