//! What of a group is kept over restarts: everything that members were told.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::member::{Classic, Member, Progress};
use super::{Group, Rules};
use crate::groups::assignors::Assignor;
use crate::groups::classic::{Protocol, StoredProtocol};
use crate::groups::partitions::Partitions;
use crate::groups::topics::Topic;

/// A group without its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredGroup {
    epoch: i32,
    assignment_epoch: i32,
    topics: BTreeMap<String, StoredTopic>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredTopic {
    id: String,
    partitions: u32,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMember {
    instance: Option<String>,
    rack: Option<String>,
    client_id: String,
    client_host: String,
    rebalance_timeout_ms: u64,
    topics: BTreeSet<String>,
    regex: Option<String>,
    assignor: Option<String>,
    epoch: i32,
    previous_epoch: i32,
    progress: StoredProgress,
    assigned: Partitions,
    revoking: Partitions,
    target: Partitions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classic: Option<StoredClassic>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredClassic {
    session_timeout_ms: u64,
    protocols: Vec<StoredProtocol>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredProgress {
    Stable,
    Unrevoked,
    Unreleased,
}

impl Group {
    pub(crate) fn stored_group(&self) -> StoredGroup {
        let mut topics: BTreeMap<String, StoredTopic> = BTreeMap::new();
        for (name, topic) in &self.topics {
            let stored = StoredTopic {
                id: format!("{:032x}", topic.id),
                partitions: topic.partitions,
            };
            topics.insert(name.clone(), stored);
        }
        StoredGroup {
            epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            topics,
        }
    }

    /// What is kept of a member; `None` where it is gone.
    pub(crate) fn stored_member(&self, member_id: &str) -> Option<StoredMember> {
        let member = self.members.get(member_id)?;
        Some(StoredMember {
            instance: member.instance.clone(),
            rack: member.rack.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            topics: member.topics.clone(),
            regex: member.regex.clone(),
            assignor: member.assignor.map(|assignor| assignor.name().to_owned()),
            epoch: member.epoch,
            previous_epoch: member.previous_epoch,
            progress: match member.progress {
                Progress::Stable => StoredProgress::Stable,
                Progress::Unrevoked => StoredProgress::Unrevoked,
                Progress::Unreleased => StoredProgress::Unreleased,
            },
            assigned: member.assigned.clone(),
            revoking: member.revoking.clone(),
            target: member.target.clone(),
            classic: member.classic.as_ref().map(|classic| StoredClassic {
                session_timeout_ms: classic.session_timeout_ms,
                protocols: classic.protocols.iter().map(StoredProtocol::from).collect(),
            }),
        })
    }

    /// The group as it was kept; its members' sessions, and the time they have to give things up, begin anew.
    pub(crate) fn restore(
        rules: Rules,
        stored: StoredGroup,
        members: BTreeMap<String, StoredMember>,
        now_ms: u64,
    ) -> Group {
        let mut group = Group::new(rules);
        group.epoch = stored.epoch;
        group.assignment_epoch = stored.assignment_epoch;
        for (name, topic) in stored.topics {
            if let Ok(id) = u128::from_str_radix(&topic.id, 16) {
                let partitions = topic.partitions;
                group.topics.insert(name, Topic { id, partitions });
            }
        }
        for (id, stored) in members {
            let member = restore_member(rules, stored, now_ms);
            if let Some(instance) = &member.instance {
                group.instances.insert(instance.clone(), id.clone());
            }
            for place in member.held() {
                group.holders.insert(place, id.clone());
            }
            group.members.insert(id, member);
        }
        group
    }
}

fn restore_member(rules: Rules, stored: StoredMember, now_ms: u64) -> Member {
    let progress = match stored.progress {
        StoredProgress::Stable => Progress::Stable,
        StoredProgress::Unrevoked => Progress::Unrevoked,
        StoredProgress::Unreleased => Progress::Unreleased,
    };
    let classic = stored.classic.map(|stored| Classic {
        session_timeout_ms: stored.session_timeout_ms,
        protocols: stored.protocols.into_iter().map(Protocol::from).collect(),
        join_by_ms: None,
        sync_by_ms: None,
    });
    Member {
        instance: stored.instance,
        rack: stored.rack,
        client_id: stored.client_id,
        client_host: stored.client_host,
        rebalance_timeout_ms: stored.rebalance_timeout_ms,
        topics: stored.topics,
        regex: stored.regex,
        assignor: stored.assignor.as_deref().and_then(Assignor::named),
        epoch: stored.epoch,
        previous_epoch: stored.previous_epoch,
        progress,
        assigned: stored.assigned,
        revoking: stored.revoking,
        target: stored.target,
        expires_ms: now_ms
            + classic
                .as_ref()
                .map_or(rules.session_ms, |classic| classic.session_timeout_ms),
        revoked_by_ms: (progress == Progress::Unrevoked && classic.is_none())
            .then_some(now_ms + stored.rebalance_timeout_ms),
        classic,
    }
}
