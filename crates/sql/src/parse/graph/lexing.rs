//! The arrows of a pattern: what the tokenizer takes for operators.
//!
//! `]->*(` is `]`, the operator `->*` and `(` to the tokenizer. So the operators between two brackets are read as one text.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;

/// The operators that stand here, as one text; empty where none does.
pub(super) fn operators(cursor: &mut Cursor) -> String {
    let mut text = String::new();
    while let Some(piece) = cursor.peek() {
        match &piece.token.token {
            Token::Minus
            | Token::Plus
            | Token::Mul
            | Token::Lt
            | Token::Gt
            | Token::Arrow
            | Token::LongArrow
            | Token::TwoWayArrow
            | Token::Tilde
            | Token::Question
            | Token::CustomBinaryOperator(_) => text.push_str(&piece.token.token.to_string()),
            _ => return text,
        }
        cursor.next();
    }
    text
}

/// Whether the next token is this one.
pub(super) fn is_next(cursor: &Cursor, token: &Token) -> bool {
    cursor.peek().is_some_and(|piece| piece.is(token))
}
