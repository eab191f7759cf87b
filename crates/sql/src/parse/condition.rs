//! `IF VERSION = '2@17'`, `IF NOT EXISTS (SELECT FROM stream WHERE …) AFTER POSITION '…'`: what an INSERT depends on.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::tokens::Piece;
use crate::syntax::{ConditionTerm, InsertCondition};
use crate::{SqlError, SqlState};

/// Whether a condition begins here.
pub(super) fn begins(rest: &[Piece]) -> bool {
    let is = |index: usize, word: &str| rest.get(index).is_some_and(|piece: &Piece| piece.is_word(word));
    is(0, "IF") && (is(1, "VERSION") || is(1, "NOT"))
}

/// Reads the condition that begins at the cursor.
pub(super) fn condition(cursor: &mut Cursor) -> Result<InsertCondition, SqlError> {
    cursor.expect_word("IF")?;
    let mut terms = vec![term(cursor)?];
    while cursor.take_word("AND") {
        terms.push(term(cursor)?);
    }
    let start = cursor.clone();
    let mut after: Option<ast::Expr> = None;
    if cursor.take_words(&["AFTER", "POSITION"]) {
        after = Some(constant(cursor)?);
        let is_asked = terms.iter().any(|term| matches!(term, ConditionTerm::NotExists { .. }));
        if !is_asked {
            return Err(start
                .error(
                    SqlState::SYNTAX,
                    "AFTER POSITION says from where on NOT EXISTS counts, and there is none",
                )
                .hint("a version needs no position"));
        }
    }
    Ok(InsertCondition { terms, after })
}

fn term(cursor: &mut Cursor) -> Result<ConditionTerm, SqlError> {
    if cursor.take_word("VERSION") {
        if cursor.take_words(&["IS", "NULL"]) {
            return Ok(ConditionTerm::Version(None));
        }
        cursor.expect(&Token::Eq)?;
        return Ok(ConditionTerm::Version(Some(constant(cursor)?)));
    }
    if !cursor.take_words(&["NOT", "EXISTS"]) {
        return Err(cursor
            .expected("VERSION or NOT EXISTS")
            .hint("IF VERSION = '2@17', or IF NOT EXISTS (SELECT FROM stream WHERE …) AFTER POSITION '…'"));
    }
    cursor.expect(&Token::LParen)?;
    cursor.expect_word("SELECT")?;
    // What is selected means nothing, as in PostgreSQL: SELECT FROM, SELECT * FROM and SELECT 1 FROM are the same.
    let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is_word("FROM")));
    let _ = cursor.part(length);
    cursor.expect_word("FROM")?;
    let stream = cursor.object_name("the name of a stream")?;
    let mut filter: Option<ast::Expr> = None;
    if cursor.take_word("WHERE") {
        let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is(&Token::RParen)));
        let mut part = cursor.part(length);
        filter = Some(part.expression()?);
        if !part.is_at_end() {
            return Err(part.expected("the end of the condition"));
        }
    }
    cursor.expect(&Token::RParen)?;
    Ok(ConditionTerm::NotExists { stream, filter })
}

/// A value, up to the next word of the condition.
fn constant(cursor: &mut Cursor) -> Result<ast::Expr, SqlError> {
    let length = cursor.length_until(|rest| {
        let first = rest.first();
        let ends = ["AND", "OR", "AFTER", "RETURNING"];
        first.is_some_and(|piece| ends.iter().any(|word| piece.is_word(word)))
    });
    let mut part = cursor.part(length);
    let value = part.expression()?;
    match part.is_at_end() {
        true => Ok(value),
        false => Err(part.expected("AND, AFTER POSITION or the end of the statement")),
    }
}
