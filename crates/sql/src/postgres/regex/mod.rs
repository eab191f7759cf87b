//! Regular expressions as PostgreSQL has them: its escapes (`\m`, `\y`, `[[:<:]]`), flags (`'gi'`), what it puts in the place of a match (`\1`, `\&`), and
//! SIMILAR TO.
//!
//! Source: PostgreSQL documentation, "Pattern Matching". What the engine's expressions cannot do (looking ahead, `\1` in a pattern) is an error.

mod functions;
mod pattern;
mod similar;
mod words;

pub(super) use functions::FUNCTIONS;
pub(super) use pattern::of_operator;
pub(super) use words::of_words;
