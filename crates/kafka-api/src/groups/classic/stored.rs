//! What of a group is kept over restarts: its last whole generation, so that its members go on as if nothing had been.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::exchange::Protocol;
use super::member::Member;
use super::{Group, Rules, State};
use crate::groups::embedded;

/// A group without its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredGroup {
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    state_since_ms: u64,
}

/// A member of a stable group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMember {
    instance: Option<String>,
    client_id: String,
    client_host: String,
    session_timeout_ms: u64,
    rebalance_timeout_ms: u64,
    protocols: Vec<StoredProtocol>,
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    assignment: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredProtocol {
    name: String,
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    metadata: Bytes,
}

fn write_bytes<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Bytes::from).map_err(serde::de::Error::custom)
}

impl From<&Protocol> for StoredProtocol {
    fn from(protocol: &Protocol) -> StoredProtocol {
        StoredProtocol {
            name: protocol.name.clone(),
            metadata: protocol.metadata.clone(),
        }
    }
}

impl From<StoredProtocol> for Protocol {
    fn from(stored: StoredProtocol) -> Protocol {
        Protocol {
            name: stored.name,
            metadata: stored.metadata,
        }
    }
}

impl Group {
    pub(crate) fn stored_group(&self) -> StoredGroup {
        StoredGroup {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since_ms: self.state_since_ms,
        }
    }

    /// What is kept of a member; `None` where it is gone.
    pub(crate) fn stored_member(&self, member_id: &str) -> Option<StoredMember> {
        let member = self.members.get(member_id)?;
        Some(StoredMember {
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            protocols: member.protocols.iter().map(StoredProtocol::from).collect(),
            assignment: member.assignment.clone(),
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
        group.generation = stored.generation;
        group.protocol_type = stored.protocol_type;
        group.protocol = stored.protocol;
        group.leader = stored.leader;
        group.state_since_ms = stored.state_since_ms;
        for (member_id, stored) in members {
            if let Some(instance) = &stored.instance {
                group.instances.insert(instance.clone(), member_id.clone());
            }
            group.members.insert(member_id, restore_member(stored, now_ms));
        }
        if !group.members.is_empty() {
            group.state = State::Stable;
        }
        group
    }

    /// The topics that the members read; `None` while that is not settled or not known.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if self.state != State::Stable || self.protocol_type() != CONSUMERS {
            return None;
        }
        let mut topics: BTreeSet<String> = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(embedded::read_subscription(&member.metadata(self.protocol()))?.topics);
        }
        Some(topics)
    }

    /// Whether some member reads a topic, or may: one whose subscription cannot be read may read anything.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        let of_member = |member: &Member| {
            let metadata = member.protocols.iter().map(|protocol| &protocol.metadata);
            let mut said = metadata.map(|metadata| embedded::read_subscription(metadata));
            said.any(|said| said.is_none_or(|said| said.topics.contains(topic)))
        };
        self.protocol_type() == CONSUMERS && self.members.values().any(of_member)
    }
}

/// The protocol type of consumers.
pub(crate) const CONSUMERS: &str = "consumer";

fn restore_member(stored: StoredMember, now_ms: u64) -> Member {
    Member {
        instance: stored.instance,
        client_id: stored.client_id,
        client_host: stored.client_host,
        session_timeout_ms: stored.session_timeout_ms,
        rebalance_timeout_ms: stored.rebalance_timeout_ms,
        protocols: stored.protocols.into_iter().map(Protocol::from).collect(),
        assignment: stored.assignment,
        is_new: false,
        is_restored: true,
        expires_ms: now_ms + stored.session_timeout_ms,
        waits_to_join: None,
        waits_to_sync: None,
    }
}
