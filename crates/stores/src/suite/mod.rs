//! What every store must do, run over each of them.

pub(crate) mod entries;
pub(crate) mod links;
