//! What of a share group is kept over restarts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Group, Member};
use crate::groups::consumer::Rules;
use crate::groups::partitions::Partitions;

/// A group without its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredGroup {
    epoch: i32,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMember {
    rack: Option<String>,
    client_id: String,
    client_host: String,
    topics: BTreeSet<String>,
    epoch: i32,
    previous_epoch: i32,
    assigned: Partitions,
}

impl Group {
    pub(crate) fn stored_group(&self) -> StoredGroup {
        StoredGroup { epoch: self.epoch }
    }

    /// What is kept of a member; `None` where it is gone.
    pub(crate) fn stored_member(&self, member_id: &str) -> Option<StoredMember> {
        let member = self.members.get(member_id)?;
        Some(StoredMember {
            rack: member.rack.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: member.topics.clone(),
            epoch: member.epoch,
            previous_epoch: member.previous_epoch,
            assigned: member.assigned.clone(),
        })
    }

    /// The group as it was kept; its members' sessions begin anew.
    pub(crate) fn restore(
        rules: Rules,
        stored: StoredGroup,
        members: BTreeMap<String, StoredMember>,
        now_ms: u64,
    ) -> Group {
        let mut group = Group::new(rules);
        group.epoch = stored.epoch;
        for (id, stored) in members {
            let member = Member {
                rack: stored.rack,
                client_id: stored.client_id,
                client_host: stored.client_host,
                topics: stored.topics,
                epoch: stored.epoch,
                previous_epoch: stored.previous_epoch,
                assigned: stored.assigned,
                expires_ms: now_ms + rules.session_ms,
            };
            group.members.insert(id, member);
        }
        group
    }
}
