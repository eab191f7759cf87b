//! Segments: the batches of a partition, contiguous in one file, with an index of fixed entries beside it.
//!
//! They are written behind the journal, from memory; compaction writes closed ones anew, as a new generation of files. What counts of a file is what the checkpoint says; bytes past that are leftovers.

pub(crate) mod cut;
mod extent;
pub(crate) mod format;
pub(crate) mod reader;
mod run;
pub(crate) mod walk;
pub(crate) mod writer;

pub(crate) use extent::Segment;
