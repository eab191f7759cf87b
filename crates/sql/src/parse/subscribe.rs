//! `SUBSCRIBE TO view [WHERE condition] [FROM POSITION '…']`.

use super::cursor::Cursor;
use super::source::Source;
use crate::SqlError;
use crate::syntax::{Statement, Subscribe};

/// Reads the whole statement.
pub(super) fn subscribe(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("SUBSCRIBE")?;
    source.refuse_rewinds("a subscription follows what comes; it begins at a position with FROM POSITION")?;
    cursor.expect_word("TO")?;
    let view = cursor.object_name("the name of a view")?;
    let mut filter = None;
    if cursor.take_word("WHERE") {
        let mut part = cursor.part(cursor.length_until(|rest| {
            let [first, second, ..] = rest else { return false };
            first.is_word("FROM") && second.is_word("POSITION")
        }));
        let text = source.text_of(part.rest());
        part.expression()?;
        part.expect_end()?;
        filter = Some(text);
    }
    let mut from = None;
    if cursor.take_word("FROM") {
        cursor.expect_word("POSITION")?;
        from = Some(cursor.expression()?);
    }
    if !cursor.is_at_end() {
        return Err(cursor
            .expected("WHERE, FROM POSITION or the end of the statement")
            .hint("all columns of the view are told: SUBSCRIBE TO view WHERE … FROM POSITION '…'"));
    }
    Ok(Statement::Subscribe(Box::new(Subscribe { view, filter, from })))
}
