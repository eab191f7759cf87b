//! Regular expressions as PostgreSQL has them: its escapes (`\m`, `\y`, `[[:<:]]`), flags (`'gi'`), what it puts in the place of a match (`\1`, `\&`), and
//! SIMILAR TO.
//!
//! Source: PostgreSQL documentation, "Pattern Matching". What the engine's expressions cannot do (looking ahead, `\1` in a pattern) is an error.

mod functions;
mod pattern;
mod similar;
mod words;

pub(crate) use functions::FUNCTIONS;
pub(crate) use pattern::of_operator;
pub(crate) use words::of_words;
