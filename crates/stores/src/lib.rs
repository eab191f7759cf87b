//! Where is this view's row? One folder per shape.
//!
//! Invariants
//! - A store does not know where its rows came from: keys and values are bytes, and texts and numbers to an index over them.
//! - Rows and the position they stand at are committed in one atomic write.
//! - Everything here is derived: a missing or foreign store is made anew.

pub mod checkpoint;
pub mod document;
mod files;
pub mod memory;
mod order;
pub mod search;
mod store;
#[cfg(test)]
mod suite;

pub use files::remove;
pub use order::ascending;
pub use store::{
    Direction, Entries, Entry, EntryOf, Header, Keys, Link, Moment, PLACE_BYTES_MAX, Reader, Row, Rows, Snapshot, Span,
    Store, StoreError, behind,
};
