//! What `ALTER STREAM name` does to a schema:
//!
//! ```text
//! ADD [COLUMN] [IF NOT EXISTS] column TYPE [NOT NULL] [DEFAULT constant]      RENAME [COLUMN] column TO column
//! DROP [COLUMN] [IF EXISTS] column                                           ALTER [COLUMN] column [SET DATA] TYPE type
//! UPCAST FROM VERSION n [TO (column TYPE …, …)] AS SELECT …                  ALTER [COLUMN] column DROP NOT NULL
//! ```
//!
//! Several of them, but UPCAST, stand together with commas between, as PostgreSQL has it.

use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::{SchemaChange, Upcasting};

use super::column_types::{column_type, whole_number};
use super::cursor::Cursor;
use super::source::Source;
use super::tokens::words_of;
use super::{question, stream};
use crate::syntax::{Name, Statement};
use crate::{SqlError, SqlState};

const ACTIONS: &str = "ADD COLUMN, DROP COLUMN, RENAME COLUMN, ALTER COLUMN, UPCAST, SET or RESET";

/// Reads from behind the stream's name on.
pub(super) fn alter(cursor: &mut Cursor, source: &Source, name: Name, if_exists: bool) -> Result<Statement, SqlError> {
    let mut changes: Vec<SchemaChange> = Vec::new();
    if cursor.is_word("UPCAST") {
        changes.push(SchemaChange::Upcast(upcast(cursor, source)?));
    } else {
        loop {
            changes.push(change(cursor)?);
            if !cursor.take(&Token::Comma) {
                break;
            }
        }
        cursor.expect_end()?;
    }
    Ok(Statement::AlterSchema {
        name,
        if_exists,
        changes,
        words: words_of(source.pieces),
    })
}

fn change(cursor: &mut Cursor) -> Result<SchemaChange, SqlError> {
    let start = cursor.clone();
    if cursor.take_word("ADD") {
        cursor.take_word("COLUMN");
        let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"]);
        let column = stream::column(cursor, &[])?;
        return Ok(SchemaChange::Add { column, if_not_exists });
    }
    if cursor.take_word("DROP") {
        cursor.take_word("COLUMN");
        let if_exists = cursor.take_words(&["IF", "EXISTS"]);
        let column = cursor.name("the name of a column")?.value;
        if cursor.is_word("CASCADE") {
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, "CASCADE is not there")
                .hint("drop what reads the column, or write it anew without it"));
        }
        cursor.take_word("RESTRICT");
        return Ok(SchemaChange::Drop { column, if_exists });
    }
    if cursor.take_word("RENAME") {
        return rename(cursor);
    }
    if cursor.take_word("ALTER") {
        cursor.take_word("COLUMN");
        return alter_column(cursor);
    }
    if start.is_word("UPCAST") {
        return Err(start
            .error(SqlState::SYNTAX, "UPCAST stands alone in its ALTER STREAM")
            .hint("write two statements"));
    }
    Err(start.expected(ACTIONS))
}

fn rename(cursor: &mut Cursor) -> Result<SchemaChange, SqlError> {
    if cursor.is_word("TO") {
        return Err(cursor
            .error(
                SqlState::NOT_SUPPORTED,
                "a stream keeps its name: Kafka's clients know it by that",
            )
            .hint("give it another one in questions with CREATE VIEW name AS SELECT * FROM …"));
    }
    cursor.take_word("COLUMN");
    let from = cursor.name("the name of a column")?.value;
    cursor.expect_word("TO")?;
    let to = stream::column_name(cursor, &[])?;
    Ok(SchemaChange::Rename { from, to })
}

fn alter_column(cursor: &mut Cursor) -> Result<SchemaChange, SqlError> {
    let column = cursor.name("the name of a column")?.value;
    let start = cursor.clone();
    if cursor.take_words(&["DROP", "NOT", "NULL"]) {
        return Ok(SchemaChange::Optional { column });
    }
    if cursor.take_word("TYPE") || cursor.take_words(&["SET", "DATA", "TYPE"]) {
        let to = column_type(cursor)?;
        if cursor.is_word("USING") {
            return Err(cursor
                .error(
                    SqlState::NOT_SUPPORTED,
                    "USING is not there: the events stay as they are",
                )
                .hint("say how they are read: ALTER STREAM … UPCAST FROM VERSION … AS SELECT …"));
        }
        return Ok(SchemaChange::Widen { column, to });
    }
    const REFUSED: [(&[&str], &str, &str); 3] = [
        (
            &["SET", "NOT", "NULL"],
            "events that are there may lack the column",
            "say what they have instead: ALTER STREAM … UPCAST FROM VERSION … AS SELECT …, coalesce(column, …) AS column",
        ),
        (
            &["SET", "DEFAULT"],
            "events without the column have read the default that it was declared with, and would become others",
            "write the value with every event, or say what they read with ALTER STREAM … UPCAST",
        ),
        (
            &["DROP", "DEFAULT"],
            "events without the column have read it, and would become others",
            "say what they read with ALTER STREAM … UPCAST",
        ),
    ];
    for (words, why, instead) in REFUSED {
        if start.are_words(words) {
            let what = words.join(" ");
            return Err(start
                .error(SqlState::NOT_SUPPORTED, format!("{what} is not there: {why}"))
                .hint(instead));
        }
    }
    Err(start.expected("TYPE or DROP NOT NULL"))
}

/// From UPCAST on.
fn upcast(cursor: &mut Cursor, source: &Source) -> Result<Upcasting, SqlError> {
    cursor.expect_word("UPCAST")?;
    cursor.expect_word("FROM")?;
    cursor.expect_word("VERSION")?;
    let start = cursor.clone();
    let number = whole_number(cursor)?;
    let from = u32::try_from(number).map_err(|_| start.error(SqlState::OUT_OF_RANGE, "there is no such version"))?;
    let columns = match cursor.take_word("TO") {
        true => Some(stream::columns(cursor)?),
        false => None,
    };
    if !cursor.take_word("AS") {
        let what = if columns.is_some() { "AS" } else { "TO or AS" };
        return Err(cursor
            .expected(what)
            .hint("an upcaster's query follows AS: UPCAST FROM VERSION 1 AS SELECT …"));
    }
    if !cursor.is_word("SELECT") {
        return Err(cursor.expected("SELECT"));
    }
    source.refuse_rewinds("an upcaster reads one event")?;
    source.refuse_parameters()?;
    let query = source.text_from(cursor);
    question::whole(cursor, Vec::new())?;
    Ok(Upcasting { from, query, columns })
}
