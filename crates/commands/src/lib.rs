//! Given a command and the state at the end of the log: which events, or which refusal?
//!
//! Invariants
//! - A command's check and its append are one step: no event that would change a row it read can come between them,
//!   whichever door that event comes through. The log's sequencer looks at that, in the step that assigns the offsets.
//! - All of a command's events are appended, or none.
//! - The same idempotency key gives the first answer again, also after a crash: of a command, and of an append that a client made itself.

mod call;
mod commands;
mod decide;
mod error;
pub mod limits;
mod metrics;
mod once;
mod options;
mod recurring;
mod together;

pub use call::arguments::Arguments;
pub use commands::Commands;
pub use decide::explain::{ExplainedItem, ExplainedOutcome, ExplainedStep, Explanation, NamedValue, ProposedEvent};
pub use decide::outcome::{AppendedEvent, CommandOutcome};
pub use error::{
    ArgumentFault, CommandError, KEY_REUSED_CODE, REFUSED_CODE, Refused, SCHEDULE_EXISTS_CODE, UNFIT_CODES,
};
pub use metrics::CommandsMetrics;
pub use once::append::{ClientAppend, Landed, Once, StreamEvents};
pub use once::idempotency::IDEMPOTENCY_STREAM;
pub use once::later::{PromiseError, Promised};
pub use options::CommandsOptions;
