//! What does this SQL statement mean, and what is the answer?
//!
//! Invariants
//! - Every error carries a SQLSTATE and, where the statement is at fault, file, line and column.
//! - A question is answered at one position of each view it reads; questions never write.
//! - Streams are append-only: `UPDATE` and `DELETE` are refused.

mod engine;
mod error;
pub mod parse;
pub mod statement;

pub use engine::{CallHandler, Described, Engine, EngineOptions, Outcome, Reads, Session};
pub use error::{Place, SqlError, SqlState};
