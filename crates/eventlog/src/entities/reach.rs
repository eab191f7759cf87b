//! How far a look goes: to the disk, or to what is at hand in memory alone.
//!
//! Invariant: what a look found that did not miss anything is what it would have found on the disk.

use std::cell::Cell;

/// The reach of one look.
pub(crate) struct Reach {
    may_wait: bool,
    missed: Cell<bool>,
}

impl Reach {
    /// The disk is waited for.
    pub(crate) fn disk() -> Reach {
        Reach {
            may_wait: true,
            missed: Cell::new(false),
        }
    }

    /// Nothing is waited for, and nothing done that takes long: what is not at hand is missed, and then the look counts for nothing and ends.
    pub(crate) fn memory() -> Reach {
        Reach {
            may_wait: false,
            missed: Cell::new(false),
        }
    }

    /// Whether what is not at hand may be read and opened. Where it may not, it is missed.
    pub(crate) fn goes_on(&self) -> bool {
        if !self.may_wait {
            self.missed.set(true);
        }
        self.may_wait
    }

    /// Whether something was missed.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed.get()
    }
}
