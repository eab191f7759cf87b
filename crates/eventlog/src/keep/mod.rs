//! What is durable in the journal finds its lasting place: segments, checkpoints, and the journal's files on their way round.

pub(crate) mod behind;
pub(crate) mod checkpoint;
pub(crate) mod image;
pub(crate) mod keeper;
pub(crate) mod segment;
