//! What is to be appended later, and is it due?
//!
//! A schedule is a name, a moment, and events of one stream. It stands in `_headwater.schedules`, the last record of a name counts:
//!
//! ```text
//! key  schedule/NAME   value  {"name", "due", "stream", "events"}      it waits
//!                      none                                            it was appended, cancelled or parked: the header `change` says which
//! key  tick/NAME       value  {"schedule", "created", "tick"}          up to where a recurring one has come
//! ```
//!
//! Invariants
//! - Events that are due are appended in the same step as the end of their schedule: once, also over a crash.
//! - Of a cancellation and an append exactly one happens: each is made on the condition that nobody changed the schedule meanwhile, and the
//!   log's sequencer looks at that.
//! - What is due is appended in the order of its moments; what became due while nothing ran, first thing at start.
//! - Memory holds moment and offset of what waits, never events; there is a most.
//! - What is due is decided from the host's clock alone, by a function that is told the time.

mod append;
mod changes;
mod cron;
mod due;
mod error;
pub mod limits;
mod pending;
mod promised;
mod recurrence;
mod schedule;
mod schedules;
mod tick;
mod written;

pub use changes::{Changes, Unchanged};
pub use cron::Cron;
pub use due::{DUE_HEADER, SCHEDULE_HEADER};
pub use error::ScheduleError;
pub use pending::Place;
pub use promised::Streams;
pub use recurrence::{Missed, Recurrence};
pub use schedule::{Moment, SCHEDULES_STREAM, Schedule};
pub use schedules::{Schedules, SchedulesOptions, Waiting};
pub use tick::Tick;
pub use written::{AFTER_HEADER, AT_HEADER, written_due_us};
