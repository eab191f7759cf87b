//! What PostgreSQL clients say on their own, and what shows, describes and drops.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::refused;
use crate::syntax::{Show, Statement};
use crate::{SqlError, SqlState};

/// First words, and the command tag of the answer.
const SESSION: [(&[&str], &str); 16] = [
    (&["SET"], "SET"),
    (&["RESET"], "RESET"),
    (&["BEGIN"], "BEGIN"),
    (&["START", "TRANSACTION"], "START TRANSACTION"),
    (&["COMMIT"], "COMMIT"),
    (&["END"], "COMMIT"),
    (&["ROLLBACK"], "ROLLBACK"),
    (&["ABORT"], "ROLLBACK"),
    (&["SAVEPOINT"], "SAVEPOINT"),
    (&["RELEASE"], "RELEASE"),
    (&["DISCARD", "ALL"], "DISCARD ALL"),
    (&["DISCARD"], "DISCARD"),
    (&["DEALLOCATE", "ALL"], "DEALLOCATE ALL"),
    (&["DEALLOCATE"], "DEALLOCATE"),
    (&["CLOSE", "ALL"], "CLOSE CURSOR ALL"),
    (&["UNLISTEN"], "UNLISTEN"),
];

/// A statement that clients send to set up or clean up a session, if it is one.
pub(super) fn session(cursor: &Cursor) -> Option<Statement> {
    let found = SESSION.iter().find(|(words, _)| cursor.are_words(words));
    found.map(|(_, tag)| Statement::Session { tag })
}

/// `SHOW STREAMS`, `SHOW server_version`, …
pub(super) fn show(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    cursor.expect_word("SHOW")?;
    let start = cursor.clone();
    if cursor.take_words(&["TIME", "ZONE"]) {
        cursor.expect_end()?;
        return Ok(Statement::Show(Show::Setting("timezone".to_owned())));
    }
    if cursor.take_words(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
        cursor.expect_end()?;
        return Ok(Statement::Show(Show::Setting("transaction_isolation".to_owned())));
    }
    let what = "STREAMS, VIEWS, PIPELINES, PROPERTY GRAPHS, COMMANDS, SCHEDULES, TABLES or the name of a setting";
    let name = cursor.name(what)?;
    let show = match name.value.as_str() {
        "streams" => Show::Streams,
        "views" => Show::Views,
        "commands" => Show::Commands,
        "pipelines" => Show::Pipelines,
        "schedules" => Show::Schedules,
        "tables" => Show::Tables,
        "materialized" if cursor.take_word("VIEWS") => Show::Views,
        "property" if cursor.take_word("GRAPHS") => Show::Graphs,
        "models" | "mirrors" if cursor.is_at_end() => {
            return Err(start.error(SqlState::NOT_SUPPORTED, format!("{} are not there yet", name.value)));
        }
        "create" => {
            return Err(start
                .error(SqlState::NOT_SUPPORTED, "SHOW CREATE is not there")
                .hint("DESCRIBE name shows a definition"));
        }
        _ => {
            let mut setting = name.value;
            while cursor.take(&Token::Period) {
                setting.push('.');
                setting.push_str(&cursor.name("the rest of the setting's name")?.value);
            }
            Show::Setting(setting)
        }
    };
    cursor.expect_end()?;
    Ok(Statement::Show(show))
}

/// `DESCRIBE name`
pub(super) fn describe(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    if !cursor.take_word("DESC") {
        cursor.expect_word("DESCRIBE")?;
    }
    let name = cursor.object_name("the name of a stream, view or command")?;
    match cursor.is_at_end() {
        true => Ok(Statement::Describe(name)),
        false => Err(cursor
            .expected("the end of the statement")
            .hint("write DESCRIBE and the name alone: no two things have the same")),
    }
}

/// `DROP STREAM|VIEW|MATERIALIZED VIEW|COMMAND [IF EXISTS] name`
pub(super) fn drop(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    cursor.expect_word("DROP")?;
    let noun = if cursor.take_word("STREAM") {
        "stream"
    } else if cursor.take_word("VIEW") {
        "view"
    } else if cursor.take_words(&["MATERIALIZED", "VIEW"]) {
        "materialized view"
    } else if cursor.take_word("COMMAND") {
        "command"
    } else if cursor.take_word("SCHEDULE") {
        "schedule"
    } else if cursor.take_words(&["PROPERTY", "GRAPH"]) {
        "property graph"
    } else {
        return Err(refused::drop(cursor));
    };
    let if_exists = cursor.take_words(&["IF", "EXISTS"]);
    let name = cursor.object_name(&format!("the {noun}'s name"))?;
    if cursor.peek().is_some_and(|piece| piece.is(&Token::Comma)) {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "several names in one DROP are not there")
            .hint("drop one after another"));
    }
    if cursor.is_word("CASCADE") {
        return Err(cursor
            .error(
                SqlState::NOT_SUPPORTED,
                "CASCADE is not there: what depends on it would go unseen",
            )
            .hint("drop what depends on it first; DROP without CASCADE says what that is"));
    }
    cursor.take_word("RESTRICT");
    cursor.expect_end()?;
    Ok(Statement::Drop { noun, name, if_exists })
}
