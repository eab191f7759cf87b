//! `[FROM BEGINNING | FROM NOW] AS query` behind a stream's clauses: what makes its events.

use super::cursor::Cursor;
use super::question;
use super::source::Source;
use crate::syntax::{PipelineBegins, PipelineQuery};
use crate::{SqlError, SqlState};

/// Whether a query follows somewhere behind.
pub(super) fn follows(cursor: &Cursor) -> bool {
    let mut ahead = cursor.clone();
    ahead.part(cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is_word("AS"))));
    !ahead.is_at_end()
}

/// The refusal of a list of columns before a query.
pub(super) fn refuse_columns(cursor: &Cursor) -> SqlError {
    let error = cursor.error(
        SqlState::SYNTAX,
        "the columns of a pipeline's stream are those of its query, and a list of them stands beside it",
    );
    error.hint("leave the list out, and name and CAST them in the query: SELECT … AS name")
}

/// Reads from FROM or AS on, to the end.
pub(super) fn query(cursor: &mut Cursor, source: &Source) -> Result<PipelineQuery, SqlError> {
    let begins = match cursor.take_words(&["FROM", "NOW"]) {
        true => Some(PipelineBegins::Now),
        false => cursor
            .take_words(&["FROM", "BEGINNING"])
            .then_some(PipelineBegins::Beginning),
    };
    if cursor.is_word("FROM") {
        return Err(cursor
            .expected("FROM BEGINNING, FROM NOW or AS")
            .hint("a pipeline's query follows AS: CREATE STREAM name AS SELECT …"));
    }
    cursor.expect_word("AS")?;
    let text = source.text_from(cursor);
    let question = question::whole(cursor, Vec::new())?;
    Ok(PipelineQuery { question, text, begins })
}
