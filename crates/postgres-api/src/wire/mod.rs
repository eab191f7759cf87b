//! PostgreSQL's wire protocol, version 3.0: messages in and messages out.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".
//!
//! Invariants
//! - A message is bounded before it is read, and read only inside of its own bytes: no length or count from a client is believed.

mod error;
pub(crate) mod input;
pub(crate) mod output;

pub(crate) use error::WireError;
pub(crate) use input::{Input, Message, Startup, Target};
pub(crate) use output::Output;
