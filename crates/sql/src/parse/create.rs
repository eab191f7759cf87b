//! `CREATE …`: which noun, and what to do where its name is taken.

use headwater_catalog::CreateMode;

use super::cursor::Cursor;
use super::refused;
use super::source::Source;
use super::{command, graph, schedule, stream, view};
use crate::syntax::Statement;
use crate::{SqlError, SqlState};

/// Reads the whole statement.
pub(super) fn create(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("CREATE")?;
    let or_replace = cursor.take_words(&["OR", "REPLACE"]);
    source.refuse_rewinds("a definition keeps itself up to date, and cannot be rewound where it is written")?;
    source.refuse_parameters()?;
    if cursor.take_word("STREAM") {
        let mode = mode(cursor, or_replace)?;
        return stream::create(cursor, mode, source);
    }
    if cursor.take_words(&["MATERIALIZED", "VIEW"]) {
        let mode = mode(cursor, or_replace)?;
        return view::create(cursor, mode, true, source);
    }
    if cursor.take_word("VIEW") {
        let mode = mode(cursor, or_replace)?;
        return view::create(cursor, mode, false, source);
    }
    if cursor.take_word("COMMAND") {
        let mode = mode(cursor, or_replace)?;
        return command::create(cursor, mode);
    }
    if cursor.take_word("SCHEDULE") {
        let mode = mode(cursor, or_replace)?;
        return schedule::create(cursor, mode);
    }
    if cursor.take_words(&["PROPERTY", "GRAPH"]) {
        let mode = mode(cursor, or_replace)?;
        return graph::create(cursor, mode);
    }
    Err(refused::create(cursor))
}

fn mode(cursor: &mut Cursor, or_replace: bool) -> Result<CreateMode, SqlError> {
    let start = cursor.clone();
    match (or_replace, cursor.take_words(&["IF", "NOT", "EXISTS"])) {
        (false, false) => Ok(CreateMode::Create),
        (false, true) => Ok(CreateMode::IfNotExists),
        (true, false) => Ok(CreateMode::OrReplace),
        (true, true) => Err(start
            .error(SqlState::SYNTAX, "OR REPLACE and IF NOT EXISTS contradict each other")
            .hint("write one of them")),
    }
}
