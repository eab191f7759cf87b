//! The state machine of one share group (KIP-932): who is a member, and which partitions it is to read together with others.
//! It knows no clock and no socket. Which events a member has is decided elsewhere, event by event: here a partition may be
//! several members'.
//!
//! Invariants
//! - Every partition that somebody subscribed to is read by at least one member, and every member reads something where it can.
//! - A member's epoch is never above the group's.

mod stored;

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

pub(crate) use stored::{StoredGroup, StoredMember};

use super::changes::Changes;
use super::consumer::{Beat, FIRST_EPOCH, JOIN, LEAVE, Refusal, Rules};
use super::partitions::Partitions;
use super::topics::{Topic, Topics};

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    rules: Rules,
    epoch: i32,
    members: BTreeMap<String, Member>,
    /// The topics that members read, as they were when the epoch last grew.
    topics: BTreeMap<String, Topic>,
    /// The version of the topics that was looked at last; 0: none, or members came or went since.
    topics_version: u64,
    changes: Changes,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) rack: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) topics: BTreeSet<String>,
    pub(crate) epoch: i32,
    previous_epoch: i32,
    /// What it was told to read.
    pub(crate) assigned: Partitions,
    expires_ms: u64,
}

/// What a member says. What did not change since the last heartbeat may be left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) rack: Option<String>,
    pub(crate) topics: Option<BTreeSet<String>>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
}

impl Group {
    pub(crate) fn new(rules: Rules) -> Group {
        Group {
            rules,
            epoch: FIRST_EPOCH,
            members: BTreeMap::new(),
            topics: BTreeMap::new(),
            topics_version: 0,
            changes: Changes::default(),
        }
    }

    /// The group is bounded otherwise from its next heartbeat on.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The state's name on the wire.
    pub(crate) fn state_name(&self) -> &'static str {
        match self.members.is_empty() {
            true => "Empty",
            false => "Stable",
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(id, member)| (id.as_str(), member))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What changed since this was asked last.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Takes a heartbeat whose form was checked.
    pub(crate) fn heartbeat(&mut self, beat: Heartbeat, topics: &Topics, now_ms: u64) -> Result<Beat, Refusal> {
        if beat.epoch == LEAVE {
            if !self.members.contains_key(&beat.member_id) {
                return Err(unknown_member());
            }
            self.remove(&beat.member_id);
            return Ok(Beat {
                member_id: beat.member_id,
                epoch: LEAVE,
                heartbeat_ms: self.rules.heartbeat_ms,
                assignment: None,
            });
        }
        self.admit(&beat, now_ms)?;
        let subscription_changed = self.update(&beat, now_ms);
        self.look_at_topics(topics, subscription_changed);
        let epoch = self.epoch;
        let target = self.share_of(&beat.member_id);
        let Some(member) = self.members.get_mut(&beat.member_id) else {
            return Err(unknown_member());
        };
        let tells = beat.epoch == JOIN || member.assigned != target;
        if member.epoch != epoch || member.assigned != target {
            member.previous_epoch = member.epoch;
            member.epoch = epoch;
            member.assigned = target;
            self.changes.member(&beat.member_id);
        }
        Ok(Beat {
            member_id: beat.member_id,
            epoch,
            heartbeat_ms: self.rules.heartbeat_ms,
            assignment: tells.then(|| member.assigned.clone()),
        })
    }

    /// Silent members go; their ids.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Vec<String> {
        let silent = self.members.iter().filter(|(_, member)| member.expires_ms <= now_ms);
        let silent: Vec<String> = silent.map(|(id, _)| id.clone()).collect();
        for member_id in &silent {
            self.remove(member_id);
        }
        silent
    }

    /// When [`Group::tick`] has something to do.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.members.values().map(|member| member.expires_ms).min()
    }

    fn admit(&mut self, beat: &Heartbeat, now_ms: u64) -> Result<(), Refusal> {
        match self.members.get(&beat.member_id) {
            Some(member) => {
                let known = [JOIN, member.epoch, member.previous_epoch].contains(&beat.epoch);
                match known {
                    true => Ok(()),
                    false => Err(Refusal::new(
                        ResponseError::FencedMemberEpoch,
                        format!(
                            "the member comes with epoch {} where {} is known: it has to join again",
                            beat.epoch, member.epoch
                        ),
                    )),
                }
            }
            None if beat.epoch != JOIN => Err(unknown_member()),
            None if self.members.len() >= self.rules.members_max => Err(Refusal::new(
                ResponseError::GroupMaxSizeReached,
                format!("the group has {} members, as many as are allowed", self.members.len()),
            )),
            None => {
                let member = Member {
                    rack: None,
                    client_id: String::new(),
                    client_host: String::new(),
                    topics: BTreeSet::new(),
                    epoch: JOIN,
                    previous_epoch: JOIN,
                    assigned: Partitions::default(),
                    expires_ms: now_ms,
                };
                self.members.insert(beat.member_id.clone(), member);
                Ok(())
            }
        }
    }

    /// Takes over what the member says of itself; whether it reads other topics now.
    fn update(&mut self, beat: &Heartbeat, now_ms: u64) -> bool {
        let Some(member) = self.members.get_mut(&beat.member_id) else {
            return false;
        };
        let before = member.clone();
        if let Some(rack) = &beat.rack {
            member.rack = Some(rack.clone());
        }
        if let Some(topics) = &beat.topics {
            member.topics.clone_from(topics);
        }
        member.client_id.clone_from(&beat.client_id);
        member.client_host.clone_from(&beat.client_host);
        if *member != before {
            self.changes.member(&beat.member_id);
        }
        member.expires_ms = now_ms + self.rules.session_ms;
        member.topics != before.topics
    }

    fn look_at_topics(&mut self, topics: &Topics, subscription_changed: bool) {
        if !subscription_changed && self.topics_version == topics.version {
            return;
        }
        let mut read: BTreeMap<String, Topic> = BTreeMap::new();
        for name in self.members.values().flat_map(|member| &member.topics) {
            if let Some(topic) = topics.get(name) {
                read.insert(name.clone(), topic);
            }
        }
        if subscription_changed || read != self.topics {
            self.topics = read;
            self.grow();
        }
        self.topics_version = topics.version;
    }

    /// What a member reads: of each of its topics the partitions whose turn it is, going round partitions and members until
    /// both have had one.
    fn share_of(&self, member_id: &str) -> Partitions {
        let mut share = Partitions::default();
        let Some(member) = self.members.get(member_id) else {
            return share;
        };
        for name in &member.topics {
            let Some(topic) = self.topics.get(name) else { continue };
            let mut readers = self.members.iter().filter(|(_, member)| member.topics.contains(name));
            let count = readers.clone().count();
            let place = readers.position(|(id, _)| id == member_id).unwrap_or_default();
            let partitions = topic.partitions as usize;
            for turn in (place..partitions.max(count)).step_by(count.max(1)) {
                share.insert(topic.id, (turn % partitions) as u32);
            }
        }
        share
    }

    fn remove(&mut self, member_id: &str) {
        self.members.remove(member_id);
        self.changes.member(member_id);
        self.topics_version = 0;
        self.grow();
    }

    fn grow(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        self.changes.group = true;
    }
}

fn unknown_member() -> Refusal {
    Refusal::new(ResponseError::UnknownMemberId, "the group has no such member")
}

#[cfg(test)]
mod tests;
