//! From a folder to an open log: the lock, the checkpoint, what the journal holds after it, and the threads.

pub(crate) mod folder;
pub(crate) mod recovery;
pub(crate) mod start;
