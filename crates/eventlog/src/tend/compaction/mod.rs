//! Compaction: of every key only the newest event stays.
//!
//! A pass reads what is new in a partition's closed segments into a table of keys, and writes the segments up to there anew without what
//! the table supersedes. Where the table is full the pass ends early, and another one goes on from there.
//!
//! ```text
//!  start        compacted            to          end of what may be compacted       end
//!    |  has each key once |  new to the table  |  the next pass  |  too young, open, |
//!    |<---------------- written anew --------->|                 |  or being written |
//! ```
//!
//! Invariants
//! - A key's newest value stays, whatever happens when; an event without a key stays.
//! - Nothing at or above the last stable offset is touched; what was taken back goes, its marker goes later, and with it the range.
//! - A tombstone, and a marker, stays for the stream's time after the first pass that met it: a reader that began before sees it.
//! - Nothing readers see changes before the keeper has put the new segment in the old ones' place; a checkpoint names the old files or the
//!   new ones, so that a crash at any moment leaves one or the other.
//! - The last batch of a partition stays whole, so that every offset below the end leads to a batch.

pub(crate) mod keys;
pub(crate) mod pass;
pub(crate) mod plan;
pub(crate) mod rewrite;
