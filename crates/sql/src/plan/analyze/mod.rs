//! Rules that make a plan say what the question means, before and behind the engine's own that give each value its type. In which order: `plan/mod.rs`.

pub(super) mod alike;
pub(super) mod any;
pub(super) mod arithmetic;
pub(super) mod arrays;
pub(super) mod beside;
pub(super) mod casts;
pub(super) mod dates;
pub(super) mod decimal_types;
pub(super) mod division;
pub(super) mod floats;
pub(super) mod guarded;
pub(crate) mod intervals;
pub(super) mod last_names;
pub(crate) mod list_parts;
pub(super) mod literal;
pub(super) mod moments;
pub(super) mod multiset;
pub(crate) mod quoted;
pub(super) mod rewrite;
pub(super) mod session_zone;
pub(crate) mod texts;
pub(super) mod unlike;
