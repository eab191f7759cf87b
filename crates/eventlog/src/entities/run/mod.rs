//! Runs: postings on the disk, sorted by term and then by the order of appending, in files that are written once.
//!
//! ```text
//!  memory full ──▶ a run    four of a size ──▶ one run without what is gone    runs.list: which count, and up to where
//! ```
//!
//! A run is a tree of blocks. Each block has a checksum; one that does not fit makes the whole index be built again, since it is derived.

pub(crate) mod blocks;
pub(crate) mod format;
pub(crate) mod list;
pub(crate) mod merge;
pub(crate) mod reader;
pub(crate) mod writer;
