//! What an assignor looks at.

use std::collections::{BTreeMap, BTreeSet};

use crate::groups::partitions::Partitions;

/// What an assignor looks at of one member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscriber {
    /// A member with an instance is ordered by it, so that it gets the same after it was replaced.
    pub(crate) instance: Option<String>,
    /// The ids of the topics it reads.
    pub(crate) topics: BTreeSet<u128>,
    /// What it was assigned last.
    pub(crate) before: Partitions,
}

/// Members by id.
pub(crate) type Subscribers = BTreeMap<String, Subscriber>;
