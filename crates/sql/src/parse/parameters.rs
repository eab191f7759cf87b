//! The parameters of a command: `( name TYPE [NOT NULL] [DEFAULT value] [CHECK (condition)] …, … )`.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::column_types::column_type;
use super::cursor::Cursor;
use super::limits::PARAMETERS_MAX;
use super::tokens::Piece;
use crate::syntax::{Check, Parameter};
use crate::{SqlError, SqlState};

/// Reads the list in its brackets.
pub(super) fn parameters(cursor: &mut Cursor) -> Result<Vec<Parameter>, SqlError> {
    if !cursor.peek().is_some_and(|piece| piece.is(&Token::LParen)) {
        return Err(cursor
            .expected("'('")
            .hint("a command has parameters: CREATE COMMAND name (parameter TYPE, …), or () where it needs none"));
    }
    if cursor.peek_nth(1).is_some_and(|piece| piece.is(&Token::RParen)) {
        cursor.part(2);
        return Ok(Vec::new());
    }
    let mut parameters: Vec<Parameter> = Vec::new();
    cursor.bracketed(|cursor| {
        let read = parameter(cursor)?;
        if parameters.iter().any(|earlier| earlier.name.value == read.name.value) {
            return Err(cursor.error_at(
                read.name.span.start,
                SqlState::INVALID_DEFINITION,
                format!("parameter '{}' is there twice", read.name.value),
            ));
        }
        if parameters.len() >= PARAMETERS_MAX {
            return Err(cursor
                .error(
                    SqlState::TOO_LARGE,
                    format!("a command has at most {PARAMETERS_MAX} parameters"),
                )
                .hint("take what belongs together as one parameter of type JSON"));
        }
        parameters.push(read);
        Ok(())
    })?;
    Ok(parameters)
}

fn parameter(cursor: &mut Cursor) -> Result<Parameter, SqlError> {
    let name = cursor.name("the name of a parameter")?;
    let column_type = column_type(cursor)?;
    let mut parameter = Parameter {
        name,
        column_type,
        nullable: true,
        default: None,
        checks: Vec::new(),
    };
    loop {
        if cursor.take_words(&["NOT", "NULL"]) {
            parameter.nullable = false;
        } else if cursor.is_word("DEFAULT") {
            if parameter.default.is_some() {
                return Err(cursor.error(
                    SqlState::SYNTAX,
                    format!("parameter '{}' has two defaults", parameter.name.value),
                ));
            }
            cursor.next();
            parameter.default = Some(default(cursor)?);
        } else if cursor.is_word("CHECK") {
            parameter.checks.push(check(cursor)?);
        } else {
            return Ok(parameter);
        }
    }
}

fn default(cursor: &mut Cursor) -> Result<datafusion::sql::sqlparser::ast::Expr, SqlError> {
    let length = cursor.length_until(|rest| {
        let starts = |word: &str| rest.first().is_some_and(|piece| piece.is_word(word));
        let ends = |token: &Token| rest.first().is_some_and(|piece| piece.is(token));
        let is_not_null = starts("NOT") && rest.get(1).is_some_and(|piece| piece.is_word("NULL"));
        ends(&Token::Comma) || ends(&Token::RParen) || starts("CHECK") || is_not_null
    });
    let mut part = cursor.part(length);
    let value = part.expression()?;
    match part.is_at_end() {
        true => Ok(value),
        false => Err(part.expected("',', ')', NOT NULL or CHECK")),
    }
}

fn check(cursor: &mut Cursor) -> Result<Check, SqlError> {
    let span = cursor.peek().map(Piece::span).unwrap_or_else(|| cursor.nowhere());
    cursor.expect_word("CHECK")?;
    let opens = cursor.peek().is_some_and(|piece| piece.is(&Token::LParen));
    if !opens {
        return Err(cursor
            .expected("'('")
            .hint("write CHECK (condition), such as CHECK (amount > 0)"));
    }
    cursor.next();
    let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is(&Token::RParen)));
    let mut part = cursor.part(length);
    let condition = part.expression()?;
    if !part.is_at_end() {
        return Err(part.expected("')'"));
    }
    cursor.expect(&Token::RParen)?;
    Ok(Check { condition, span })
}
