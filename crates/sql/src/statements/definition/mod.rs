//! What statements share that define something: what would be lost, who reads what, what a text becomes when it is defined otherwise.

pub(crate) mod losses;
mod reads;
pub(crate) mod registered;
pub(crate) mod replace;
pub(crate) mod rewritten;
pub(crate) mod stars;
