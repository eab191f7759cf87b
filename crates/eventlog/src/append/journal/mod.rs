//! The journal: what is in it is durable. One frame holds one group of appends, all or none.

pub(crate) mod format;
pub(crate) mod frame;
pub(crate) mod reader;
pub(crate) mod writer;
