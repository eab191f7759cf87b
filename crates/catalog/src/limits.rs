//! Every bound of a definition, with its reason.

/// The most columns of `TAGS (…)`: every event is entered in the index once for each.
pub const TAGS_MAX: usize = 16;
