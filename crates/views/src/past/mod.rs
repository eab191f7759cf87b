//! What was: a row rewound, all rows folded anew, and which events a row is made of.

pub(crate) mod lineage;
pub(crate) mod refold;
pub(crate) mod rewind;
