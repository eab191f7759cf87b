//! How a stream's values are read: JSON field by field, numbers digit for digit, dates and times.
//!
//! Whoever reads a value reads it with these, so that a view's row and an event's tags are never two readings of one text.

pub mod json;
pub mod moment;
pub mod number;
pub mod repeated;
