//! `CREATE COMMAND name (parameters) INTO stream REQUIRE condition ELSE 'text' AS query`.
//!
//! ```text
//! name ( parameter, … )  { LET … | REQUIRE … }  part { , part }
//!
//! part    INTO stream [ AT moment | AFTER span [ NAMED name ] ] { LET … | REQUIRE … } AS query
//!         CANCEL name
//! ```
//!
//! Every LET and REQUIRE stands before the first query. A query ends where `, INTO` or `, CANCEL` follows, or the statement does.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::{ColumnType, CreateMode};

use super::cursor::Cursor;
use super::limits::STEPS_OF_COMMAND_MAX;
use super::tokens::Piece;
use super::{later, parameters, question, refusal};
use crate::rows_alike::one_behind_the_other;
use crate::syntax::{Command, Let, Name, Output, Parameter, Question, Require, Statement, Step};
use crate::{SqlError, SqlState};

/// Reads from the name on.
pub(super) fn create(cursor: &mut Cursor, mode: CreateMode) -> Result<Statement, SqlError> {
    let name = cursor.new_name("the command's name")?;
    let parameters = parameters::parameters(cursor)?;
    let command = body(cursor, name, parameters)?;
    Ok(Statement::CreateCommand { command, mode })
}

/// What a command does, up to the end of the statement.
pub(super) fn body(cursor: &mut Cursor, name: Name, parameters: Vec<Parameter>) -> Result<Command, SqlError> {
    let mut steps: Vec<Step> = Vec::new();
    take_steps(cursor, &parameters, &mut steps)?;
    if !cursor.is_word("INTO") && !cursor.is_word("CANCEL") {
        return Err(cursor
            .expected("INTO, CANCEL, LET or REQUIRE")
            .hint("a command says where its events go: INTO stream … AS SELECT …"));
    }
    let mut outputs: Vec<Output> = Vec::new();
    let mut cancels: Vec<ast::Expr> = Vec::new();
    loop {
        if cursor.take_word("CANCEL") {
            cancels.push(cancel(cursor)?);
            if !cursor.take(&Token::Comma) {
                break;
            }
            continue;
        }
        cursor.expect_word("INTO")?;
        let stream = cursor.object_name("the name of a stream")?;
        let later = later::later(cursor)?;
        if outputs.is_empty() {
            take_steps(cursor, &parameters, &mut steps)?;
        }
        if !cursor.take_word("AS") {
            let what = if outputs.is_empty() { "LET, REQUIRE or AS" } else { "AS" };
            return Err(cursor
                .expected(what)
                .hint("the events follow AS: AS SELECT …, or AS VALUES (…), (…)"));
        }
        let length = cursor.length_until(|rest| is_next_part(rest) || is_late_step(rest));
        let mut part = cursor.part(length);
        let source = question::whole(&mut part, Vec::new())?;
        // Each of its rows is assigned to the stream's columns by itself. What waits under one name stays one.
        let named: Vec<(String, ColumnType)> = parameters
            .iter()
            .map(|parameter| (parameter.name.value.clone(), parameter.column_type))
            .collect();
        let sources = match later.is_none() {
            true => one_behind_the_other(*source.query, &named),
            false => vec![*source.query],
        };
        for query in sources {
            let source = Question {
                query: Box::new(query),
                rewinds: source.rewinds.clone(),
            };
            outputs.push(Output {
                stream: stream.clone(),
                later: later.clone(),
                source,
            });
        }
        if is_late_step(cursor.rest()) {
            return Err(cursor
                .error(SqlState::SYNTAX, format!("{} stands behind a query", cursor.found()))
                .hint("write every LET and REQUIRE before the first AS"));
        }
        if !cursor.take(&Token::Comma) {
            break;
        }
    }
    cursor.expect_end()?;
    Ok(Command {
        name,
        parameters,
        steps,
        outputs,
        cancels,
    })
}

/// The name behind CANCEL.
fn cancel(cursor: &mut Cursor) -> Result<ast::Expr, SqlError> {
    let length = cursor.length_until(is_next_part);
    let mut part = cursor.part(length);
    let name = part.expression()?;
    match part.is_at_end() {
        true => Ok(name),
        false => Err(part
            .expected("', INTO', ', CANCEL' or the end of the statement")
            .hint("CANCEL is followed by the name of a schedule, a text: CANCEL 'late-' || order_id")),
    }
}

/// `, INTO …` or `, CANCEL name`
fn is_next_part(rest: &[Piece]) -> bool {
    match rest {
        [comma, part @ ..] if comma.is(&Token::Comma) => {
            part.first().is_some_and(|piece| piece.is_word("INTO")) || is_cancel(part)
        }
        _ => false,
    }
}

/// `CANCEL name`. A column may be called `cancel`: what follows it says so.
fn is_cancel(rest: &[Piece]) -> bool {
    let follows_column = ["FROM", "AS", "WHERE", "GROUP", "ORDER", "LIMIT", "UNION", "HAVING"];
    match rest {
        [cancel, next, ..] if cancel.is_word("CANCEL") => match &next.token.token {
            Token::SingleQuotedString(_) => true,
            Token::Word(_) => !follows_column.iter().any(|word| next.is_word(word)),
            _ => false,
        },
        _ => false,
    }
}

/// A step behind a query would be read as an alias. `LET` alone may be one.
fn is_late_step(rest: &[Piece]) -> bool {
    match rest {
        [require, ..] if require.is_word("REQUIRE") => true,
        [word, _, equals, ..] => word.is_word("LET") && equals.is(&Token::Eq),
        _ => false,
    }
}

/// Where a step's expression ends: at the word that goes on with it, or at what follows a step.
fn is_step_end(rest: &[Piece]) -> bool {
    let starts = |word: &str| rest.first().is_some_and(|piece| piece.is_word(word));
    starts("REQUIRE") || starts("INTO") || starts("AS") || is_cancel(rest) || is_late_step(rest)
}

fn take_steps(cursor: &mut Cursor, parameters: &[Parameter], steps: &mut Vec<Step>) -> Result<(), SqlError> {
    loop {
        let step = if cursor.is_word("REQUIRE") {
            Step::Require(require(cursor, &names(parameters, steps))?)
        } else if cursor.is_word("LET") {
            Step::Let(let_value(cursor, &names(parameters, steps))?)
        } else {
            return Ok(());
        };
        if steps.len() >= STEPS_OF_COMMAND_MAX {
            return Err(cursor
                .error(
                    SqlState::TOO_LARGE,
                    format!("a command has at most {STEPS_OF_COMMAND_MAX} LETs and REQUIREs"),
                )
                .hint("put several conditions into one with AND"));
        }
        steps.push(step);
    }
}

/// What an expression behind these steps may name.
fn names<'a>(parameters: &'a [Parameter], steps: &'a [Step]) -> Vec<&'a str> {
    let lets = steps.iter().filter_map(|step| match step {
        Step::Let(value) => Some(value.name.value.as_str()),
        Step::Require(_) => None,
    });
    let parameters = parameters.iter().map(|parameter| parameter.name.value.as_str());
    parameters.chain(lets).collect()
}

/// `LET name = value`
fn let_value(cursor: &mut Cursor, names: &[&str]) -> Result<Let, SqlError> {
    cursor.expect_word("LET")?;
    let name = cursor.name("the name of a value")?;
    if names.contains(&name.value.as_str()) {
        let message = format!("'{}' is the name of another parameter or LET", name.value);
        return Err(cursor
            .error_at(name.span.start, SqlState::DUPLICATE_COLUMN, message)
            .hint("give the value a name of its own"));
    }
    cursor.expect(&Token::Eq)?;
    let length = cursor.length_until(is_step_end);
    let mut part = cursor.part(length);
    let value = part.expression()?;
    match part.is_at_end() {
        true => Ok(Let { name, value }),
        false => Err(part
            .expected("REQUIRE, LET, INTO or AS")
            .hint("write LET name = (SELECT …), or LET name = an expression")),
    }
}

/// `REQUIRE condition ELSE 'text' [CODE 'code']`
fn require(cursor: &mut Cursor, names: &[&str]) -> Result<Require, SqlError> {
    const HINT: &str = "write REQUIRE condition ELSE 'why it is refused' CODE 'a_word_for_programs'";
    let span = cursor.peek().map(Piece::span).unwrap_or_else(|| cursor.nowhere());
    cursor.expect_word("REQUIRE")?;
    let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is_word("ELSE")));
    let mut part = cursor.part(length);
    let condition = part.expression()?;
    if !part.is_at_end() {
        return Err(part.expected("ELSE").hint(HINT));
    }
    if !cursor.take_word("ELSE") {
        return Err(cursor.expected("ELSE").hint(HINT));
    }
    Ok(Require {
        condition,
        refusal: refusal::text(cursor, names)?,
        code: refusal::code(cursor)?,
        span,
    })
}
