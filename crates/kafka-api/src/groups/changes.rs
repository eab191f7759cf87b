//! Which facts of a group changed in a step and are to be written down.

use std::collections::BTreeSet;

/// The group itself, and the members by id; a member that is gone is written down as gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) group: bool,
    pub(crate) members: BTreeSet<String>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        !self.group && self.members.is_empty()
    }

    pub(crate) fn member(&mut self, member_id: &str) {
        self.members.insert(member_id.to_owned());
    }

    /// Adds what another step changed.
    pub(crate) fn merge(&mut self, other: Changes) {
        self.group |= other.group;
        self.members.extend(other.members);
    }
}
