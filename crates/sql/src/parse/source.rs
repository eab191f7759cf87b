//! The statement that a part is read from: its text and its rewinds.

use datafusion::sql::sqlparser::tokenizer::{Location, Token};

use super::cursor::Cursor;
use super::tokens::{Piece, place};
use crate::syntax::Rewind;
use crate::{SqlError, SqlState};

/// One statement of a text.
pub(super) struct Source<'a> {
    /// The whole text that the statement stands in.
    pub(super) whole: &'a str,
    /// The statement's own text.
    pub(super) text: &'a str,
    pub(super) pieces: &'a [Piece],
    pub(super) rewinds: &'a [Rewind],
    /// Where each rewind's FOR stands.
    pub(super) places: &'a [Location],
    pub(super) file: &'a str,
}

impl Source<'_> {
    /// The text from the next token to the statement's last.
    pub(super) fn text_from(&self, cursor: &Cursor) -> String {
        let start = cursor.peek().map(|piece| piece.start);
        let end = self.pieces.last().map(|piece| piece.end);
        match (start, end) {
            (Some(start), Some(end)) => self.whole.get(start..end).unwrap_or_default().to_owned(),
            _ => String::new(),
        }
    }

    /// The text of some tokens.
    pub(super) fn text_of(&self, pieces: &[Piece]) -> String {
        match (pieces.first(), pieces.last()) {
            (Some(first), Some(last)) => self.whole.get(first.start..last.end).unwrap_or_default().to_owned(),
            _ => String::new(),
        }
    }

    /// Refuses `FOR … AS OF` where it has no meaning.
    pub(super) fn refuse_rewinds(&self, why: &str) -> Result<(), SqlError> {
        match self.places.first() {
            None => Ok(()),
            Some(location) => Err(SqlError::new(
                SqlState::NOT_SUPPORTED,
                format!("FOR … AS OF cannot stand here: {why}"),
            )
            .hint("rewind in the question: SELECT … FROM name FOR SYSTEM_TIME AS OF …")
            .at(place(self.file, *location))),
        }
    }

    /// Refuses `$1` in what is kept and read again later.
    pub(super) fn refuse_parameters(&self) -> Result<(), SqlError> {
        let found = self
            .pieces
            .iter()
            .find(|piece| matches!(piece.token.token, Token::Placeholder(_)));
        match found {
            None => Ok(()),
            Some(piece) => Err(SqlError::new(
                SqlState::SYNTAX,
                format!("a definition has no parameter {}", piece.token),
            )
            .hint("write the value")
            .at(place(self.file, piece.span().start))),
        }
    }
}
