// H5: carry on with commands, it is yours. By mistake the lead overwrote lib.rs, commands.rs, and perhaps arguments.rs and boundary.rs at 04:23: write yours back over them (mine are only material: the files are at /tmp/lead-commands). AppendedEvent.value is best an exact JSON text (String). turns.rs is gone. Sorry.
//! Given a command and the state at the end of the log: which events, or which refusal?
//!
//! ```text
//! call ── arguments ── wait for the views ── ask each REQUIRE ── ask the outputs ── append, if nothing that was read has changed
//!           │                  ▲                  │ no                                   │ conflict
//!           └ refused          └──────────────────┼───────────────── again ──────────────┘
//!                                                 └ refused
//! ```
//!
//! Invariants
//! - A command's check and its append are one step: no event that would change a row it read comes between them,
//!   whichever door that event comes through. The log's sequencer looks at that, in the step that assigns the offsets.
//! - All of a command's events are appended, or none.
//! - The same idempotency key gives the first answer again, also after a crash.

mod arguments;
mod boundary;
mod call_handler;
mod commands;
mod decide;
mod prepare;
mod remembered;
mod scope;
mod turns;

pub use commands::{AppendedEvent, Arguments, CommandError, CommandOutcome, Commands, CommandsOptions, IDEMPOTENCY_STREAM};
