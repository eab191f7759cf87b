//! `CREATE COMMAND name (parameters) INTO stream REQUIRE condition ELSE 'text' AS query`.
//!
//! ```text
//! name ( parameter type, … )  { REQUIRE … }  INTO stream { REQUIRE … } AS query  { , INTO stream AS query }
//! ```
//!
//! Every REQUIRE stands before the first query. A query ends where `, INTO` follows, or the statement does.

use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::CreateMode;

use super::column_types::column_type;
use super::create::new_name;
use super::cursor::Cursor;
use super::question;
use super::tokens::Piece;
use crate::statement::{Command, Output, Parameter, Require, Statement};
use crate::{SqlError, SqlState};

/// Reads from the name on.
pub(super) fn create(cursor: &mut Cursor, mode: CreateMode) -> Result<Statement, SqlError> {
    let name = new_name(cursor, "the command's name")?;
    let parameters = parameters(cursor)?;
    let mut requires: Vec<Require> = Vec::new();
    take_requires(cursor, &mut requires)?;
    if !cursor.is_word("INTO") {
        return Err(cursor
            .expected("INTO or REQUIRE")
            .hint("a command says where its events go: INTO stream … AS SELECT …"));
    }
    let mut outputs: Vec<Output> = Vec::new();
    loop {
        cursor.expect_word("INTO")?;
        let stream = cursor.object_name("the name of a stream")?;
        if outputs.is_empty() {
            take_requires(cursor, &mut requires)?;
        }
        if !cursor.take_word("AS") {
            let what = if outputs.is_empty() { "REQUIRE or AS" } else { "AS" };
            return Err(cursor
                .expected(what)
                .hint("the events follow AS: AS SELECT …, or AS VALUES (…), (…)"));
        }
        let length = cursor.length_until(|rest| is_next_output(rest) || is_late_require(rest));
        let mut part = cursor.part(length);
        let source = question::whole(&mut part, Vec::new())?;
        outputs.push(Output { stream, source });
        if cursor.is_word("REQUIRE") {
            return Err(cursor
                .error(SqlState::SYNTAX, "REQUIRE stands behind a query")
                .hint("write every REQUIRE before the first AS"));
        }
        if !cursor.take(&Token::Comma) {
            break;
        }
    }
    cursor.expect_end()?;
    let command = Command {
        name,
        parameters,
        requires,
        outputs,
    };
    Ok(Statement::CreateCommand { command, mode })
}

fn is_next_output(rest: &[Piece]) -> bool {
    matches!(rest, [comma, into, ..] if comma.is(&Token::Comma) && into.is_word("INTO"))
}

/// A REQUIRE behind a query would be read as an alias.
fn is_late_require(rest: &[Piece]) -> bool {
    rest.first().is_some_and(|piece| piece.is_word("REQUIRE"))
}

fn parameters(cursor: &mut Cursor) -> Result<Vec<Parameter>, SqlError> {
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
        let name = cursor.name("the name of a parameter")?;
        if parameters.iter().any(|earlier| earlier.name.value == name.value) {
            return Err(cursor.error_at(
                name.span.start,
                SqlState::INVALID_DEFINITION,
                format!("parameter '{}' is there twice", name.value),
            ));
        }
        let column_type = column_type(cursor)?;
        if cursor.are_words(&["NOT", "NULL"]) {
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, "NOT NULL is nothing a parameter can keep")
                .hint(format!("check it: REQUIRE {} IS NOT NULL ELSE '…'", name.value)));
        }
        if cursor.is_word("DEFAULT") {
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, "a parameter has no DEFAULT")
                .hint("use coalesce() in the query"));
        }
        parameters.push(Parameter { name, column_type });
        Ok(())
    })?;
    Ok(parameters)
}

fn take_requires(cursor: &mut Cursor, requires: &mut Vec<Require>) -> Result<(), SqlError> {
    while let Some(piece) = cursor.peek().filter(|piece| piece.is_word("REQUIRE")) {
        let span = piece.span();
        cursor.next();
        let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is_word("ELSE")));
        let mut part = cursor.part(length);
        let condition = part.expression()?;
        if !part.is_at_end() {
            return Err(part
                .expected("ELSE")
                .hint("write REQUIRE condition ELSE 'why it is refused'"));
        }
        if !cursor.take_word("ELSE") {
            return Err(cursor
                .expected("ELSE")
                .hint("write REQUIRE condition ELSE 'why it is refused'"));
        }
        let refusal = cursor.text("the text of the refusal in quotes")?;
        requires.push(Require {
            condition,
            refusal,
            span,
        });
    }
    Ok(())
}
