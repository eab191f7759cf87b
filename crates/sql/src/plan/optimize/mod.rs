//! Rules of the engine's optimizer that need a condition more here, and one of our own.

pub(super) mod distinct;
pub(super) mod joined_order;
pub(super) mod one_row;
