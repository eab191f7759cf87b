//! When events are to be appended, where it is not at once:
//!
//! ```text
//! { AT moment | AFTER span } [ NAMED name ]
//! ```
//!
//! It stands behind the stream (and its columns) and before the rows, so that no alias is taken for it.

use super::cursor::Cursor;
use super::tokens::Piece;
use crate::SqlError;
use crate::syntax::{Later, When};

/// Reads it where it stands here.
pub(super) fn later(cursor: &mut Cursor) -> Result<Option<Box<Later>>, SqlError> {
    let span = cursor.peek().map(Piece::span);
    let Some(span) = span.filter(|_| cursor.is_word("AT") || cursor.is_word("AFTER")) else {
        return Ok(None);
    };
    let is_at = cursor.take_word("AT");
    if !is_at {
        cursor.expect_word("AFTER")?;
    }
    let expr = cursor.expression().map_err(|error| match error.hint {
        None if is_at => error.hint("write AT TIMESTAMP '2026-12-31 09:00:00', or an expression that gives a time"),
        None => error.hint("write AFTER INTERVAL '3 days', or an expression that gives a span"),
        Some(_) => error,
    })?;
    let name = match cursor.take_word("NAMED") {
        true => Some(cursor.expression()?),
        false => None,
    };
    let when = if is_at { When::At(expr) } else { When::After(expr) };
    Ok(Some(Box::new(Later { when, name, span })))
}
