//! What does this SQL statement mean, and what is the answer?
//!
//! Invariants
//! - Every error carries a SQLSTATE and, where the statement is at fault, file, line and column.
//! - A question is answered at one position of each view it reads; questions never write.
//! - Streams are append-only: `UPDATE` and `DELETE` are refused.

mod altering;
mod asker;
mod calls;
pub mod encode;
mod engine;
mod error;
mod exact;
mod fault;
mod graph;
mod inner;
pub mod later;
mod lengthening;
pub mod limits;
mod nearest;
mod off_thread;
mod options;
mod outcome;
pub mod parse;
mod plan;
mod postgres;
mod prepared;
mod progress;
mod promised;
mod question;
mod rows_alike;
mod session;
mod session_zone;
mod statements;
pub mod syntax;
mod tables;
mod type_name;
mod wording;

pub use asker::Session;
pub use calls::{Call, CallArgument, CallHandler, DescribedCall};
pub use engine::Engine;
pub use error::{Place, SqlError, SqlState};
pub use options::EngineOptions;
pub use outcome::{Applied, Described, Outcome};
pub use prepared::{Parameters, PointRead, Prepared, many};
pub use progress::Progress;
pub use question::{Reads, StreamRead, ViewRead};
pub use session::state as session_state;
pub use session_zone::{SessionZone, UnknownZone};

/// A value of a parameter, re-exported so that the doors need not know the query engine.
pub use datafusion::common::ScalarValue;
