//! Rows, events, numbers and moments as an answer writes them.

pub(crate) mod digits;
pub(crate) mod event;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod text;
