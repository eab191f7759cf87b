//! Given a command and the state at the end of the log: which events, or which refusal?
//!
//! Invariants
//! - A command's check and its append are one step: no event that would change a row it read can come between them.
//! - All of a command's events are appended, or none.
//! - The same idempotency key gives the first answer again, also after a crash.

mod commands;

pub use commands::{AppendedEvent, Arguments, CommandError, CommandOutcome, Commands, CommandsOptions};
