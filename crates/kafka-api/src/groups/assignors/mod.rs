//! Who reads what: pure functions from subscriptions to assignments.
//!
//! ```text
//! uniform.rs  as even as possible, and what a member has it keeps where that is even
//! range.rs    each topic in runs, the same run of each topic to the same member
//! ```
//!
//! Invariants
//! - A partition that somebody subscribed to is assigned to exactly one member, who subscribed to its topic.
//! - The same input gives the same output.
//!
//! Source: KIP-848's server-side assignors.

mod range;
mod subscriber;
mod uniform;

use std::collections::BTreeMap;

pub(crate) use subscriber::{Subscriber, Subscribers};

use super::partitions::Partitions;

/// A way of assigning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    Uniform,
    Range,
}

impl Assignor {
    pub(crate) const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    /// The name by which clients ask for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// Assigns the partitions of the topics, whose number is given by id.
    pub(crate) fn assign(
        self,
        subscribers: &Subscribers,
        topics: &BTreeMap<u128, u32>,
    ) -> BTreeMap<String, Partitions> {
        match self {
            Assignor::Uniform => uniform::assign(subscribers, topics),
            Assignor::Range => range::assign(subscribers, topics),
        }
    }
}

#[cfg(test)]
mod tests;
