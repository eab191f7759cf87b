//! Members of the classic protocol in a group of the consumer protocol, so that an application can go from one to the other
//! while it runs: the group changes its protocol with the first member of the consumer protocol that joins it, and back with
//! the last one that goes.
//!
//! ```text
//! classic                                     here
//! JoinGroup, with what it owns                a heartbeat that says what it has
//! SyncGroup                                   tells what it may read
//! Heartbeat                                   says when it has to join again: to give up, or to get more
//! ```
//!
//! Source: KIP-848, "Supporting online migration".

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::heartbeat::Heartbeat;
use super::member::{Classic, JOIN, Member, Progress};
use super::{Group, Rules};
use crate::groups::classic::{self, CONSUMERS, Join, Joined, Refused, Sync, Synced};
use crate::groups::embedded::{self, Named};
use crate::groups::partitions::Partitions;
use crate::groups::topics::Topics;

/// Why a group of the classic protocol cannot become one of the consumer protocol while it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// They are no consumers.
    OtherMembers,
    /// What they said, or were assigned, is in no form that is known.
    Unreadable,
    /// Their assignor tells them more than what they read, which this protocol cannot carry.
    OwnAssignor,
}

impl Group {
    /// A group of the classic protocol goes on in this one, if it can.
    pub(crate) fn from_classic(
        rules: Rules,
        old: &mut classic::Group,
        topics: &Topics,
        now_ms: u64,
    ) -> Result<Group, Unfit> {
        if old.protocol_type() != CONSUMERS {
            return Err(Unfit::OtherMembers);
        }
        let mut group = Group::new(rules);
        group.epoch = old.generation();
        group.assignment_epoch = old.generation();
        for (id, member) in old.members() {
            let chosen = member.protocols.iter().find(|known| known.name == old.protocol());
            let said = chosen.or(member.protocols.first()).ok_or(Unfit::Unreadable)?;
            let subscription = embedded::read_subscription(&said.metadata).ok_or(Unfit::Unreadable)?;
            let assigned = embedded::read_assignment(&member.assignment).ok_or(Unfit::Unreadable)?;
            // What a member said itself it can say again: librdkafka's assignors hand that back with what they assign.
            if !assigned.user_data.is_empty() && assigned.user_data != subscription.user_data {
                return Err(Unfit::OwnAssignor);
            }
            let assigned = by_id(&assigned.partitions, topics);
            let mut taken = Member::new(rules, now_ms);
            taken.instance.clone_from(&member.instance);
            taken.client_id.clone_from(&member.client_id);
            taken.client_host.clone_from(&member.client_host);
            taken.rebalance_timeout_ms = member.rebalance_timeout_ms;
            taken.topics = subscription.topics;
            taken.epoch = old.generation();
            taken.previous_epoch = old.generation();
            taken.expires_ms = now_ms + member.session_timeout_ms;
            // Two members of one generation may claim one partition only by a leader's mistake: the first one has it.
            taken.assigned = assigned.filter(|topic, partition| !group.holders.contains_key(&(topic, partition)));
            taken.target = taken.assigned.clone();
            taken.classic = Some(Classic {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
                join_by_ms: None,
                sync_by_ms: None,
            });
            for place in taken.held() {
                group.holders.insert(place, id.to_owned());
            }
            if let Some(instance) = &taken.instance {
                group.instances.insert(instance.clone(), id.to_owned());
            }
            group.members.insert(id.to_owned(), taken);
        }
        group.changes = old.drain_changes();
        group.changes.group = true;
        group.changes.members.extend(group.members.keys().cloned());
        Ok(group)
    }

    /// Whether there are members and all speak the classic protocol: then the group is one of that.
    pub(crate) fn speaks_classic(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|member| member.classic.is_some())
    }

    /// The group as one of the classic protocol, in which everybody has to join again.
    pub(crate) fn to_classic(&self, rules: classic::Rules, topics: &Topics, now_ms: u64) -> classic::Group {
        let mut members: BTreeMap<String, classic::Member> = BTreeMap::new();
        for (id, member) in &self.members {
            let Some(classic) = &member.classic else { continue };
            let mut taken = classic::Member::settled(classic.session_timeout_ms, classic.protocols.clone(), now_ms);
            taken.instance.clone_from(&member.instance);
            taken.client_id.clone_from(&member.client_id);
            taken.client_host.clone_from(&member.client_host);
            taken.rebalance_timeout_ms = member.rebalance_timeout_ms;
            taken.assignment = write_assigned(classic, &member.target, topics);
            members.insert(id.clone(), taken);
        }
        classic::Group::adopt(rules, self.epoch, members, now_ms)
    }

    /// A member of the classic protocol joins or joins again.
    pub(crate) fn join_classic(&mut self, join: Join, topics: &Topics, now_ms: u64) -> Result<Joined, Refused> {
        // Only who is to come back with its id is told it.
        let refuse = |code| Refused {
            code,
            member_id: String::new(),
        };
        let is_new = join.member_id.is_empty();
        let member_id = if is_new {
            join.new_member_id.clone()
        } else {
            join.member_id.clone()
        };
        if join.protocol_type != CONSUMERS {
            return Err(refuse(ResponseError::InconsistentGroupProtocol));
        }
        if is_new && join.id_first && join.instance.is_none() {
            return Err(Refused {
                code: ResponseError::MemberIdRequired,
                member_id,
            });
        }
        let subscription = join
            .protocols
            .first()
            .and_then(|said| embedded::read_subscription(&said.metadata))
            .ok_or_else(|| refuse(ResponseError::InconsistentGroupProtocol))?;
        let replaced = join
            .instance
            .as_ref()
            .and_then(|instance| self.instances.get(instance))
            .cloned();
        match replaced.filter(|old_id| *old_id != member_id) {
            Some(_) if !is_new => return Err(refuse(ResponseError::FencedInstanceId)),
            Some(old_id) => self.move_member(&old_id, &member_id),
            None if self.members.contains_key(&member_id) => {}
            None if self.members.len() >= self.rules.members_max => {
                return Err(refuse(ResponseError::GroupMaxSizeReached));
            }
            None => drop(self.members.insert(member_id.clone(), Member::new(self.rules, now_ms))),
        }
        let owned = by_id(&subscription.owned, topics);
        let beat = Heartbeat {
            member_id: member_id.clone(),
            epoch: JOIN,
            instance: join.instance,
            rebalance_timeout_ms: Some(join.rebalance_timeout_ms),
            topics: Some(subscription.topics),
            regex: Some(String::new()),
            client_id: join.client_id,
            client_host: join.client_host,
            ..Heartbeat::default()
        };
        let protocol = join.protocols.first().map(|said| said.name.clone()).unwrap_or_default();
        let classic = Classic {
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols,
            join_by_ms: None,
            sync_by_ms: Some(now_ms + join.rebalance_timeout_ms),
        };
        let subscription_changed = self.update(&beat, None, Some(classic), now_ms);
        self.look_at_topics(topics, subscription_changed);
        self.assign(now_ms);
        self.lead_on(&member_id, Some(&owned), now_ms);
        Ok(Joined {
            generation: self.members.get(&member_id).map_or(0, |member| member.epoch),
            member_id,
            protocol_type: CONSUMERS.to_owned(),
            protocol,
            // The broker assigns: nobody leads.
            leader: String::new(),
            skip_assignment: false,
            members: Vec::new(),
        })
    }

    /// A member of the classic protocol asks for its share.
    pub(crate) fn sync_classic(&mut self, sync: &Sync, topics: &Topics, now_ms: u64) -> Result<Synced, ResponseError> {
        let epoch = self.epoch;
        let member = self.classic_member(&sync.member_id, sync.instance.as_deref(), sync.generation)?;
        let Some(classic) = &mut member.classic else {
            return Err(ResponseError::UnknownMemberId);
        };
        let protocol = classic
            .protocols
            .first()
            .map(|said| said.name.clone())
            .unwrap_or_default();
        let other = |asked: &Option<String>, is: &str| asked.as_ref().is_some_and(|asked| asked != is);
        if other(&sync.protocol_type, CONSUMERS) || other(&sync.protocol, &protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        // Who has to give up must first learn of what.
        if epoch > member.epoch && member.progress != Progress::Unrevoked {
            classic.join_by_ms.get_or_insert(now_ms + member.rebalance_timeout_ms);
            return Err(ResponseError::RebalanceInProgress);
        }
        classic.sync_by_ms = None;
        member.expires_ms = now_ms + classic.session_timeout_ms;
        Ok(Synced {
            protocol_type: CONSUMERS.to_owned(),
            protocol,
            assignment: write_assigned(classic, &member.assigned, topics),
        })
    }

    /// A sign of life of a member of the classic protocol; the answer tells it to join again where it has to.
    pub(crate) fn heartbeat_classic(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now_ms: u64,
    ) -> Result<(), ResponseError> {
        let epoch = self.epoch;
        let waits = self
            .members
            .get(member_id)
            .is_some_and(|member| self.waits_for_others(member_id, member));
        let member = self.classic_member(member_id, instance, generation)?;
        let Some(classic) = &mut member.classic else {
            return Err(ResponseError::UnknownMemberId);
        };
        member.expires_ms = now_ms + classic.session_timeout_ms;
        let has_to_join = match member.progress {
            Progress::Unrevoked => true,
            Progress::Unreleased => !waits || member.epoch < epoch,
            Progress::Stable => member.epoch < epoch,
        };
        if has_to_join {
            classic.join_by_ms.get_or_insert(now_ms + member.rebalance_timeout_ms);
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether everything that a member still shall get is held by others.
    fn waits_for_others(&self, member_id: &str, member: &Member) -> bool {
        member.target.iter().any(|(topic, partition)| {
            let holder = self.holders.get(&(topic, partition));
            holder.is_some_and(|holder| holder != member_id)
        })
    }

    fn classic_member(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<&mut Member, ResponseError> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(known) if known != member_id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let member = self.members.get_mut(member_id).ok_or(ResponseError::UnknownMemberId)?;
        if member.classic.is_none() {
            return Err(ResponseError::UnknownMemberId);
        }
        match member.epoch == generation {
            true => Ok(member),
            false => Err(ResponseError::IllegalGeneration),
        }
    }
}

fn by_id(named: &Named, topics: &Topics) -> Partitions {
    let mut partitions = Partitions::default();
    for (name, of_topic) in named {
        if let Some(topic) = topics.get(name) {
            for partition in of_topic.iter().filter(|partition| **partition < topic.partitions) {
                partitions.insert(topic.id, *partition);
            }
        }
    }
    partitions
}

/// What a member reads, in the bytes of the version in which it spoke.
fn write_assigned(classic: &Classic, assigned: &Partitions, topics: &Topics) -> Bytes {
    let said = classic
        .protocols
        .first()
        .and_then(|said| embedded::read_subscription(&said.metadata));
    let mut named = Named::new();
    for (id, of_topic) in assigned.by_topic() {
        if let Some(name) = topics.name(id) {
            named.insert(name.to_owned(), of_topic.clone());
        }
    }
    embedded::write_assignment(said.map_or(0, |said| said.version), &named)
}
