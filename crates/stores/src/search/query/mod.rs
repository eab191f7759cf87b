//! A query as it is written, and what it finds.
//!
//! ```text
//! text ─ parse ─> syntax (words, phrases, ranges, groups) ─ build ─> the library's query
//!                                                         └ marks ─> what is highlighted in a snippet
//! ```
//!
//! | written | finds |
//! | --- | --- |
//! | `red wool` | both words (or one of them, where the connective is OR), each in any text field |
//! | `"wool scarf"`, `"wool scarf"~2` | the words side by side; with at most so many others between them |
//! | `title:scarf`, `title:(red scarf)` | in that field |
//! | `scar*` | words that begin so |
//! | `scraf~`, `scraf~2` | words of which one letter, two letters, are others |
//! | `price:[10 TO 20]`, `price:{10 TO 20}`, `price:>=10`, `price:[10 TO *]` | ranges, their ends in or out |
//! | `a AND b`, `a OR b`, `NOT a`, `+a`, `-a`, `(…)` | what they say; NOT binds closest, then words side by side, AND, OR |
//! | `scarf^3` | that counts for three |
//! | `price:*` | there is a value |
//! | `*` | every row |
//! | `\` | takes the character behind it as it is |

mod build;
mod excluded;
mod marks;
mod parse;
mod syntax;
mod typed;

use super::field::Field;
use syntax::Node;

pub(super) use build::build;
pub(super) use marks::{Mark, marks};

/// What stands between two words of a query that say nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connective {
    /// Rows with all of them.
    #[default]
    And,
    /// Rows with any of them, those with more of them first.
    Or,
}

/// A query, read and bounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    text: String,
    root: Node,
    connective: Connective,
}

/// Why a query was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the search query is wrong at character {at}: {why}; {hint}")]
pub struct QueryError {
    /// The character, from 1.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
    /// What to do.
    pub hint: String,
}

impl Query {
    /// Reads a query over these fields.
    pub fn parse(text: &str, fields: &[Field], connective: Connective) -> Result<Query, QueryError> {
        let root = parse::parse(text, fields)?;
        Ok(Query {
            text: text.to_owned(),
            root,
            connective,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}
