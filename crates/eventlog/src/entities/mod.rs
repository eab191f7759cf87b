//! Entities: the events of one key, tag or kind without a scan, and appends on the condition that nothing came in between.
//!
//! ```text
//!              terms of the batch (terms.rs)        put, in the sequencer's step
//!  append ───── outside of every lock ─────────────────────────▶ index (index.rs) ◀── build.rs: what stood there before
//!     │                                                            ▲       ▲
//!     └─ condition (condition.rs): asked outside (check.rs) ───────┘       │
//!        then, in the sequencer's step: any news since? (append/checks.rs) ┘
//! ```
//!
//! Invariants
//! - The index is derived: what it says is looked up in the log before anybody is told, so that a hash that two keys share, an event that was taken
//!   back or one that is no longer kept never makes a wrong answer.
//! - A stream without an entity index pays nothing for those that have one.
//! - Where a condition was asked outside of the sequencer, whatever was sequenced since is looked at in the step that assigns the offsets.

mod asked;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod condition;
pub(crate) mod cursor;
pub(crate) mod desk;
pub(crate) mod facets;
pub(crate) mod glance;
pub(crate) mod index;
pub(crate) mod indexer;
pub(crate) mod opened;
pub(crate) mod postings;
pub(crate) mod query;
pub(crate) mod reach;
pub(crate) mod reading;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod terms;

#[cfg(test)]
mod tests;

pub use condition::{Boundary, Condition, ConditionFailed, EntityVersion, Foreknown, Guard};
pub use facets::{EventFacets, Facets, NoSuchTerm};
pub use glance::{SeenEvent, SeenPage};
pub use query::{Direction, EntityPage, FoundEvent, Matching, QueryError, QueryItem};
