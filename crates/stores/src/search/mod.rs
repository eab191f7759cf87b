//! An index over the words, keywords and numbers of rows: which rows does this query find, and how well?
//!
//! ```text
//! rows' values ─> documents ─> index ─commit (documents, position)─> snapshot <─ query ─ text of a query
//!                                                                        │
//!                                                                        └─> hits (key, score), counts, facets
//! ```
//!
//! Invariants
//! - A document is put by its row's key: putting it again replaces it.
//! - Documents and the position they stand at are one commit.
//! - A snapshot stays what it was, whatever is committed after it.
//! - An index that is missing, foreign or damaged is made anew, without a position: it is derived.
//! - A query is bounded before anything is built from it: bytes, words, depth.

mod analyze;
mod facets;
mod field;
mod index;
pub mod limits;
mod numbers;
mod query;
mod schema;
mod snapshot;
mod snippet;
mod stop_words;

pub use field::{Document, Field, FieldKind, LANGUAGES, ReadSpan, Span, Value, is_language};
pub use index::SearchIndex;
pub use query::{Connective, Query, QueryError};
pub use snapshot::{Hit, SearchSnapshot};
pub use snippet::{Snippet, Snippets};

#[cfg(test)]
mod tests;
