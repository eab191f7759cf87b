//! What asks and what appends: `SELECT`, `EXPLAIN`, `INSERT`, `CALL`.

use datafusion::sql::sqlparser::ast::{self, Query, SetExpr};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::condition;
use super::cursor::Cursor;
use super::later;
use super::refused;
use super::source::Source;
use crate::syntax::{Argument, Insert, Name, Question, Returned, Rewind, Statement};
use crate::{SqlError, SqlState};

/// A query that takes all tokens that are left.
pub(super) fn whole(cursor: &mut Cursor, rewinds: Vec<Rewind>) -> Result<Question, SqlError> {
    let start = cursor.clone();
    let is_query = ["SELECT", "WITH", "VALUES", "TABLE"]
        .iter()
        .any(|word| cursor.is_word(word))
        || cursor.peek().is_some_and(|piece| piece.is(&Token::LParen));
    if !is_query {
        return Err(cursor.expected("a query (SELECT, WITH, VALUES or TABLE)"));
    }
    let query = cursor.sqlparser(|parser| parser.parse_query())?;
    if !cursor.is_at_end() {
        let error = cursor.expected("the end of the query");
        if cursor.is_word("GROUP") || cursor.is_word("ORDER") {
            return Err(error.hint("GROUP and ORDER go with BY"));
        }
        return Err(match cursor.previous().and_then(refused::misspelt_clause) {
            Some((found, clause)) => error.hint(format!("did you mean {clause} where '{found}' stands?")),
            None => error,
        });
    }
    check(&start, &query)?;
    Ok(Question { query, rewinds })
}

/// Refuses what would write or lock.
fn check(start: &Cursor, query: &Query) -> Result<(), SqlError> {
    if !query.locks.is_empty() || query.for_clause.is_some() {
        return Err(start
            .error(
                SqlState::NOT_SUPPORTED,
                "FOR UPDATE, FOR SHARE and their like are not there: questions lock nothing",
            )
            .hint("check and append in one step with a command (CREATE COMMAND … REQUIRE …)"));
    }
    let mut bodies: Vec<&SetExpr> = vec![&query.body];
    if let Some(with) = &query.with {
        bodies.extend(with.cte_tables.iter().map(|table| table.query.body.as_ref()));
    }
    while let Some(body) = bodies.pop() {
        match body {
            SetExpr::SetOperation { left, right, .. } => bodies.extend([left.as_ref(), right.as_ref()]),
            SetExpr::Query(query) => bodies.push(&query.body),
            SetExpr::Select(select) if select.into.is_some() => {
                return Err(start
                    .error(
                        SqlState::NOT_SUPPORTED,
                        "SELECT INTO is not there: a question writes nothing",
                    )
                    .hint("write INSERT INTO stream SELECT …"));
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                return Err(start
                    .error(
                        SqlState::NOT_SUPPORTED,
                        "a question writes nothing: it holds an INSERT, UPDATE, DELETE or MERGE",
                    )
                    .hint("append with INSERT INTO stream WITH … SELECT …"));
            }
            SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) => {}
        }
    }
    Ok(())
}

/// `SELECT …`, `WITH …`, `VALUES …`, `TABLE …`
pub(super) fn query(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    Ok(Statement::Query(whole(cursor, source.rewinds.to_vec())?))
}

/// `EXPLAIN [ANALYZE] SELECT …`, `EXPLAIN [(FORMAT JSON)] CALL …`
pub(super) fn explain(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("EXPLAIN")?;
    let mut analyze = cursor.take_word("ANALYZE") || cursor.take_word("ANALYSE");
    let mut json = false;
    let is_option_list = cursor.peek().is_some_and(|piece| piece.is(&Token::LParen))
        && !cursor
            .peek_nth(1)
            .is_some_and(|piece| piece.is(&Token::LParen) || piece.is_word("SELECT") || piece.is_word("WITH"));
    let refuse = |cursor: &Cursor| {
        cursor
            .error(
                SqlState::NOT_SUPPORTED,
                format!("EXPLAIN has no option {}", cursor.found()),
            )
            .hint("write EXPLAIN, or EXPLAIN ANALYZE")
    };
    if !analyze && is_option_list {
        cursor.bracketed(|cursor| {
            if cursor.take_word("FORMAT") {
                json = cursor.take_word("JSON");
                return match json || cursor.take_word("TEXT") {
                    true => Ok(()),
                    false => Err(refuse(cursor)),
                };
            }
            if !cursor.take_word("ANALYZE") {
                return Err(refuse(cursor));
            }
            analyze = !(cursor.take_word("FALSE") || cursor.take_word("OFF"));
            if analyze && !cursor.take_word("TRUE") {
                cursor.take_word("ON");
            }
            Ok(())
        })?;
    }
    if cursor.is_word("CALL") {
        if analyze {
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, "EXPLAIN ANALYZE would run the command")
                .hint("EXPLAIN CALL … says what it would do; CALL … does it"));
        }
        let (command, arguments) = called(cursor, source)?;
        cursor.expect_end()?;
        return Ok(Statement::ExplainCall {
            command,
            arguments,
            json,
        });
    }
    if json {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "FORMAT JSON is there for EXPLAIN CALL alone")
            .hint("write EXPLAIN, or EXPLAIN ANALYZE"));
    }
    if cursor.is_word("VERBOSE") || cursor.is_word("FORMAT") {
        return Err(refuse(cursor));
    }
    let question = whole(cursor, source.rewinds.to_vec()).map_err(|error| match error.hint {
        None => error.hint("only a question is explained"),
        Some(_) => error,
    })?;
    Ok(Statement::Explain { analyze, question })
}

/// `INSERT INTO stream [AS name] [(columns)] [AT … | AFTER …] VALUES … | SELECT … [IF …] [RETURNING …]`
pub(super) fn insert(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("INSERT")?;
    cursor.expect_word("INTO")?;
    let stream = cursor.object_name("the name of a stream")?;
    let alias = match cursor.take_word("AS") {
        true => Some(cursor.name("another name for the stream")?.value),
        false => None,
    };
    let mut columns: Vec<Name> = Vec::new();
    let is_query_in_brackets = cursor.peek_nth(1).is_some_and(|piece| {
        piece.is(&Token::LParen) || ["SELECT", "WITH", "VALUES"].iter().any(|word| piece.is_word(word))
    });
    if cursor.peek().is_some_and(|piece| piece.is(&Token::LParen)) && !is_query_in_brackets {
        columns = cursor.names("the name of a column")?;
    }
    let later = later::later(cursor)?;
    let length = cursor.length_until(|rest| {
        let starts = |word: &str| rest.first().is_some_and(|piece| piece.is_word(word));
        let second = |word: &str| rest.get(1).is_some_and(|piece| piece.is_word(word));
        condition::begins(rest) || starts("RETURNING") || (starts("ON") && (second("CONFLICT") || second("DUPLICATE")))
    });
    let mut part = cursor.part(length);
    let rows = match columns.is_empty() && part.take_words(&["DEFAULT", "VALUES"]) {
        true => {
            part.expect_end()?;
            Ok(nothing_said())
        }
        false => whole(&mut part, source.rewinds.to_vec()),
    };
    let rows = rows.map_err(|error| match part.is_word("AT") || part.is_word("AFTER") {
        true => error.hint("AT and AFTER stand before the rows: INSERT INTO stream AFTER INTERVAL '3 days' VALUES (…)"),
        false => error,
    })?;
    let condition = match condition::begins(cursor.rest()) {
        true => Some(condition::condition(cursor)?),
        false => None,
    };
    if cursor.is_word("ON") {
        return Err(cursor
            .error(
                SqlState::NOT_SUPPORTED,
                "ON CONFLICT is not there: a stream is append-only, and two events never conflict",
            )
            .hint(
                "write IF NOT EXISTS (SELECT FROM stream WHERE …) behind the rows, or check in a command with REQUIRE",
            ));
    }
    let returning = returning(cursor, alias.as_ref().unwrap_or(&stream.value))?;
    if !returning.is_empty() && later.is_some() {
        return Err(cursor
            .error(
                SqlState::NOT_SUPPORTED,
                "RETURNING is not there for what is appended later",
            )
            .hint("SHOW SCHEDULES says what waits"));
    }
    cursor.expect_end()?;
    Ok(Statement::Insert(Box::new(Insert {
        stream,
        columns,
        later,
        source: rows,
        condition,
        returning,
    })))
}

/// The row of `DEFAULT VALUES`, of which nothing is said.
fn nothing_said() -> Question {
    let read = Parser::new(&GenericDialect {})
        .try_with_sql("VALUES (DEFAULT)")
        .and_then(|mut parser| parser.parse_query());
    Question {
        query: read.expect("it is a query"),
        rewinds: Vec::new(),
    }
}

/// A column, alone or behind the name of its stream; `None`: all of them, `stream.*`.
fn returned_column(cursor: &mut Cursor, stream: &str) -> Result<Option<Name>, SqlError> {
    const WHAT: &str = "the name of a column, or *";
    let start = cursor.clone();
    let mut column = cursor.name(WHAT)?;
    let mut before: Vec<String> = Vec::new();
    while cursor.take(&Token::Period) {
        before.push(column.value);
        if cursor.take(&Token::Mul) {
            check_returned_of(&start, &before, stream)?;
            return Ok(None);
        }
        column = cursor.name(WHAT)?;
    }
    check_returned_of(&start, &before, stream)?;
    Ok(Some(column))
}

/// Refuses columns of another stream than the one that is appended to.
fn check_returned_of(start: &Cursor, before: &[String], stream: &str) -> Result<(), SqlError> {
    let named = before.join(".");
    let named = named.strip_prefix("public.").unwrap_or(&named);
    match before.is_empty() || named == stream {
        true => Ok(()),
        false => {
            let message = format!("RETURNING gives columns of '{stream}', and '{named}' is another name");
            Err(start
                .error(SqlState::UNKNOWN_TABLE, message)
                .hint("name the columns alone"))
        }
    }
}

/// `RETURNING * | column [[AS] name], …`; empty where it is not there.
fn returning(cursor: &mut Cursor, stream: &str) -> Result<Vec<Returned>, SqlError> {
    let mut returned: Vec<Returned> = Vec::new();
    if !cursor.take_word("RETURNING") {
        return Ok(returned);
    }
    loop {
        if cursor.take(&Token::Mul) {
            returned.push(Returned::All);
        } else {
            let Some(column) = returned_column(cursor, stream)? else {
                returned.push(Returned::All);
                if cursor.take(&Token::Comma) {
                    continue;
                }
                return Ok(returned);
            };
            let is_next = |cursor: &Cursor| cursor.peek().is_none_or(|piece| piece.is(&Token::Comma));
            let is_named = cursor.take_word("AS")
                || matches!(cursor.peek(), Some(piece) if matches!(piece.token.token, Token::Word(_)));
            let name = match is_named {
                true => cursor.name("a name")?.value,
                false => column.value.clone(),
            };
            if !is_next(cursor) {
                return Err(cursor
                    .error(
                        SqlState::NOT_SUPPORTED,
                        "RETURNING gives columns, and nothing that is made of them",
                    )
                    .hint(
                        "what was appended is there whether that can be worked out or not: ask for the columns alone",
                    ));
            }
            returned.push(Returned::Column { column, name });
        }
        if !cursor.take(&Token::Comma) {
            return Ok(returned);
        }
    }
}

/// `CANCEL name`
pub(super) fn cancel(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("CANCEL")?;
    source.refuse_rewinds("what waits is what waits now")?;
    let name = cursor
        .expression()
        .map_err(|error| error.hint("write CANCEL and the name of a schedule, a text: CANCEL 'late-42'"))?;
    cursor.expect_end()?;
    Ok(Statement::Cancel { name })
}

/// `CALL command(…) [WITH (idempotency_key = '…')]`
pub(super) fn call(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    let (command, arguments) = called(cursor, source)?;
    let mut idempotency_key: Option<ast::Expr> = None;
    if cursor.take_word("WITH") {
        cursor.bracketed(|cursor| {
            let start = cursor.clone();
            let refuse = |why: String| start.error(SqlState::SYNTAX, why);
            let option = cursor.name("idempotency_key")?;
            if option.value != "idempotency_key" {
                let error = refuse(format!("a call has no option '{}'", option.value));
                return Err(error.hint("its only one is idempotency_key"));
            }
            cursor.expect(&Token::Eq)?;
            match idempotency_key.replace(value_in_brackets(cursor)?) {
                Some(_) => Err(refuse("idempotency_key is said twice".to_owned())),
                None => Ok(()),
            }
        })?;
    }
    cursor.expect_end()?;
    Ok(Statement::Call {
        command,
        arguments,
        idempotency_key,
    })
}

/// The command and the arguments of a `CALL`: first those in order, then those by name.
fn called(cursor: &mut Cursor, source: &Source) -> Result<(Name, Vec<Argument>), SqlError> {
    cursor.expect_word("CALL")?;
    source.refuse_rewinds("a command decides on what is there now")?;
    let command = cursor.object_name("the name of a command")?;
    let mut arguments: Vec<Argument> = Vec::new();
    if cursor.peek_nth(1).is_some_and(|piece| piece.is(&Token::RParen)) {
        cursor.expect(&Token::LParen)?;
        cursor.expect(&Token::RParen)?;
    } else {
        cursor.bracketed(|cursor| {
            let read = argument(cursor)?;
            let is_late = read.name.is_none() && arguments.last().is_some_and(|before| before.name.is_some());
            if is_late {
                return Err(cursor
                    .error(
                        SqlState::SYNTAX,
                        "an argument without a name stands behind one with a name",
                    )
                    .hint("give those in the order of the parameters first"));
            }
            arguments.push(read);
            Ok(())
        })?;
    }
    Ok((command, arguments))
}

/// `value`, `name => value` or `name := value`.
fn argument(cursor: &mut Cursor) -> Result<Argument, SqlError> {
    let is_named = cursor
        .peek_nth(1)
        .is_some_and(|piece| piece.is(&Token::RArrow) || piece.is(&Token::Assignment));
    let mut name: Option<Name> = None;
    if is_named {
        name = Some(cursor.name("the name of a parameter")?);
        cursor.next();
    }
    if cursor.is_word("DEFAULT") {
        return Err(cursor
            .error(SqlState::SYNTAX, "DEFAULT is no argument of a command")
            .hint("leave the argument out, and name those behind it: CALL c('a', amount => 5)"));
    }
    let value = value_in_brackets(cursor)?;
    Ok(Argument { name, value })
}

/// A value of a list in brackets.
fn value_in_brackets(cursor: &mut Cursor) -> Result<ast::Expr, SqlError> {
    let length = cursor.length_until(|rest| {
        rest.first()
            .is_some_and(|piece| piece.is(&Token::Comma) || piece.is(&Token::RParen))
    });
    let mut part = cursor.part(length);
    let value = part.expression()?;
    match part.is_at_end() {
        true => Ok(value),
        false => Err(part.expected("',' or ')'")),
    }
}
