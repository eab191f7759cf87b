//! Given a command and the state at the end of the log: which events, or which refusal?
//!
//! Invariants
//! - A command's check and its append are one step: no event that would change a row it read can come between them,
//!   whichever door that event comes through. The log's sequencer looks at that, in the step that assigns the offsets.
//! - All of a command's events are appended, or none.
//! - The same idempotency key gives the first answer again, also after a crash: of a command, and of an append that a client made itself.

mod append;
mod arguments;
mod basis;
mod call_handler;
mod check;
mod coming;
mod commands;
mod compile;
mod compiled;
mod decide;
mod error;
mod evaluate;
mod explain;
mod idempotency;
mod lately;
mod later;
pub mod limits;
mod locks;
mod metrics;
mod options;
mod outcome;
mod parameters;
mod proposal;
mod recurring;
mod refusal;
mod together;

pub use append::{ClientAppend, Landed, Once, StreamEvents};
pub use arguments::Arguments;
pub use commands::Commands;
pub use error::{
    ArgumentFault, CommandError, KEY_REUSED_CODE, REFUSED_CODE, Refused, SCHEDULE_EXISTS_CODE, UNFIT_CODES,
};
pub use explain::{ExplainedItem, ExplainedOutcome, ExplainedStep, Explanation, NamedValue, ProposedEvent};
pub use idempotency::IDEMPOTENCY_STREAM;
pub use later::{PromiseError, Promised};
pub use metrics::CommandsMetrics;
pub use options::CommandsOptions;
pub use outcome::{AppendedEvent, CommandOutcome};
