//! Which files of a Delta Lake table hold this view's rows?
//!
//! ```text
//! LOCATION ─> location ─> store      append, replace, tend ─> table ─> one commit each, marked with where the view stands
//!                                                      └────> source: the rows of a version, for questions
//! ```
//!
//! Invariants
//! - Everything that changes a table is one Delta commit, which carries the view's position: there are never rows without the position they stand at.
//! - A commit whose answer was lost is looked up, by its number, before it is tried again.
//! - A table belongs to one version of one view and says so; nothing is written to any other.

mod answering;
mod columns;
mod durable;
mod files;
mod lakes;
mod limits;
mod location;
mod location_is_free;
mod mark;
mod own;
mod past;
mod replace;
mod runtime;
mod source;
mod spec;
mod strangers;
mod table;
mod typed_scan;
mod upkeep;

pub use lakes::DeltaLakes;
