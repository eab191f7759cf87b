//! Rules for the plan that runs: where filters may go, and what is asked first.

pub(super) mod all_polled;
pub(super) mod cheap_first;
pub(super) mod grouping_sets;
pub(super) mod names_apart;
pub(super) mod sieve;
