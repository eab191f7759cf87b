//! Does the log keep its word on a machine whose power goes at any moment?
//!
//! A trial is a few lives of one simulated machine. In each, a workload made from a seed asks the log for streams, appends and changes while [`World`]
//! writes down what was asked and what was answered; then the power is cut at one operation of the disk, often once more during recovery,
//! and what the log holds afterwards is read whole and judged against the world. The checker is itself tried: with a planted [`Bug`] it must object.
//!
//! A [`RegisterTrial`] looks at one promise alone, from outside: what clients saw of an entity's version is linearizable.
//!
//! Invariants
//! - The world knows only what a client can know: it never looks at files.
//! - The same seed makes the same workload and the same dice of the disk. The log's own threads are real, so that a trial that failed may need a few
//!   repetitions of its seed.

mod bug;
mod depends;
mod gone;
mod history;
mod judge;
mod life;
mod reading;
mod register;
mod trial;
mod workload;
mod world;

pub use bug::Bug;
pub use register::{RegisterTrial, Seen};
pub use trial::{Ended, Trial};
pub use world::World;
