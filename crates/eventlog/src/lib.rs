//! Here is a partition and a position: give me the events; here are events: where did they land?
//!
//! Invariants
//! - Nothing is acknowledged before it is as durable as its writer asked; a reader never sees an event above the
//!   high watermark, and the high watermark is the durable offset.
//! - Offsets are dense per partition and assigned in the order of the sequencer, one for the whole log.
//! - A batch's bytes are kept as they came (but for the base offset); when it was appended and by whom is kept beside it, just as durable.
//! - After a failed write or flush nothing is written again until restart.
//! - This crate knows neither views, SQL nor the Kafka protocol.

mod log;
mod types;

pub use log::EventLog;
pub use types::*;
