//! The state machine of one group: from what happened and the moment to the replies that are due. It knows no clock and no socket.
//!
//! ```text
//!           a member joins                all have joined, or the time for it is over
//! Empty ----------------> PreparingRebalance ------------------------> CompletingRebalance
//!   ^                       ^        ^    |  nobody is left                 |
//!   |                       |        |    +---------------> Empty           | the leader's assignment is there
//!   |                       |        |                                      v
//!   +-- the last one leaves-|--------+------ a member joins, leaves ----- Stable
//!                           +--------------- or falls silent ---------------+
//! ```
//!
//! Invariants
//! - A reply names a token that some member handed over and that was not answered before; every token is answered once.
//! - The generation grows with every completed join; an assignment belongs to exactly one generation.
//! - The leader is a member, and every member knows the chosen protocol.
//!
//! Source: Kafka's group membership protocol, KIP-62 (sessions), KIP-345 and KIP-814 (static members), KIP-394 (member ids first).

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::Refused;
use super::exchange::{Join, Joined, Leaving, Left, Reply, Sync, Synced};
use super::member::{Member, Protocol};
use crate::limits::GROUP_MEMBERS_MAX;

/// What a group does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    /// The state's name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    state: State,
    generation: i32,
    protocol_type: String,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Ids given out and not yet come back with: until when they are waited for.
    pending: BTreeMap<String, u64>,
    /// The member that an instance is at the moment.
    instances: BTreeMap<String, String>,
    rebalance_ends_ms: u64,
    /// A new group waits so long for more members.
    hold_ms: u64,
    initial_delay_ms: u64,
}

impl Group {
    pub(crate) fn new(initial_delay_ms: u64) -> Group {
        Group {
            state: State::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: String::new(),
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            instances: BTreeMap::new(),
            rebalance_ends_ms: 0,
            hold_ms: 0,
            initial_delay_ms,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    /// The chosen protocol; empty before the first choice.
    pub(crate) fn protocol(&self) -> &str {
        &self.protocol
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(id, member)| (id.as_str(), member))
    }

    /// Whether nobody is in and nobody is on the way in.
    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// A member joins or joins again.
    pub(crate) fn join(&mut self, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let member_id = join.member_id.clone();
        if let Err(code) = self.check_protocols(&join) {
            return vec![refuse(token, code, &member_id)];
        }
        if member_id.is_empty() {
            return self.join_new(join, token, now_ms);
        }
        if let Some(instance) = &join.instance
            && self.instances.get(instance).is_some_and(|known| *known != member_id)
        {
            return vec![refuse(token, ResponseError::FencedInstanceId, &member_id)];
        }
        if self.pending.remove(&member_id).is_some() {
            return self.add(member_id, join, token, now_ms);
        }
        if self.members.contains_key(&member_id) {
            return self.join_again(member_id, join, token, now_ms);
        }
        vec![refuse(token, ResponseError::UnknownMemberId, &member_id)]
    }

    /// The leader brings the assignments; the others ask for theirs.
    pub(crate) fn sync(&mut self, sync: Sync, token: u64, now_ms: u64) -> Vec<Reply> {
        if let Err(code) = self.check_member(&sync.member_id, sync.instance.as_deref(), sync.generation) {
            return vec![Reply::Synced {
                token,
                synced: Err(code),
            }];
        }
        let other = |asked: &Option<String>, is: &str| asked.as_ref().is_some_and(|asked| asked != is);
        if other(&sync.protocol_type, &self.protocol_type) || other(&sync.protocol, &self.protocol) {
            let synced = Err(ResponseError::InconsistentGroupProtocol);
            return vec![Reply::Synced { token, synced }];
        }
        match self.state {
            State::Empty => vec![Reply::Synced {
                token,
                synced: Err(ResponseError::UnknownMemberId),
            }],
            State::PreparingRebalance => vec![Reply::Synced {
                token,
                synced: Err(ResponseError::RebalanceInProgress),
            }],
            State::Stable => {
                let synced = self.share_of(&sync.member_id);
                self.heard(&sync.member_id, now_ms);
                vec![Reply::Synced {
                    token,
                    synced: Ok(synced),
                }]
            }
            State::CompletingRebalance => self.sync_completing(sync, token, now_ms),
        }
    }

    /// A sign of life.
    pub(crate) fn heartbeat(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now_ms: u64,
    ) -> Result<(), ResponseError> {
        self.check_member(member_id, instance, generation)?;
        self.heard(member_id, now_ms);
        match self.state {
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Members leave; for each, whether it was one.
    pub(crate) fn leave(&mut self, leaving: Vec<Leaving>, now_ms: u64) -> (Vec<Left>, Vec<Reply>) {
        let mut replies: Vec<Reply> = Vec::new();
        let mut results: Vec<Left> = Vec::new();
        for leaver in leaving {
            let left = self.leave_one(&leaver, &mut replies);
            results.push((leaver, left));
        }
        if results.iter().any(|(_, left)| left.is_ok()) {
            self.go_on_without(now_ms, &mut replies);
        }
        (results, replies)
    }

    /// Whether a member may commit positions.
    pub(crate) fn may_commit(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now_ms: u64,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_member(member_id, instance, generation)?;
        self.heard(member_id, now_ms);
        match self.state {
            // Its join was answered, its share is not known yet: what it commits may be another's by now.
            State::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Time passes: silent members go, a rebalance that waited long enough ends.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        let before = self.pending.len();
        self.pending.retain(|_, until_ms| *until_ms > now_ms);
        let pending_went = self.pending.len() < before;
        let silent: Vec<String> = self.members_where(|member| !member.is_waiting() && member.expires_ms <= now_ms);
        for member_id in &silent {
            self.remove(member_id, ResponseError::UnknownMemberId, &mut replies);
        }
        if self.state == State::PreparingRebalance && now_ms >= self.rebalance_ends_ms {
            let late: Vec<String> = self.members_where(|member| member.waits_to_join.is_none());
            for member_id in &late {
                self.remove(member_id, ResponseError::UnknownMemberId, &mut replies);
            }
            self.pending.clear();
            self.complete_join(now_ms, &mut replies);
        } else if !silent.is_empty() || pending_went {
            if silent.is_empty() {
                self.try_complete_join(now_ms, &mut replies);
            } else {
                self.go_on_without(now_ms, &mut replies);
            }
        } else {
            self.try_complete_join(now_ms, &mut replies);
        }
        replies
    }

    /// When [`Group::tick`] has something to do.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let silent = self
            .members
            .values()
            .filter(|member| !member.is_waiting())
            .map(|member| member.expires_ms);
        let pending = self.pending.values().copied();
        let mut due = silent.chain(pending).min();
        if self.state == State::PreparingRebalance {
            let rebalance = if self.all_joined() {
                self.hold_ms
            } else {
                self.rebalance_ends_ms
            };
            due = Some(due.map_or(rebalance, |due| due.min(rebalance)));
        }
        due
    }

    fn check_protocols(&self, join: &Join) -> Result<(), ResponseError> {
        let refused = Err(ResponseError::InconsistentGroupProtocol);
        if join.protocols.is_empty() || join.protocol_type.is_empty() {
            return refused;
        }
        let others: Vec<&Member> = self
            .members
            .iter()
            .filter(|(id, _)| **id != join.member_id)
            .map(|(_, member)| member)
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        if self.protocol_type != join.protocol_type {
            return refused;
        }
        let common = |protocol: &Protocol| others.iter().all(|member| member.knows(&protocol.name));
        if join.protocols.iter().any(common) {
            Ok(())
        } else {
            refused
        }
    }

    fn join_new(&mut self, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let known = join
            .instance
            .as_ref()
            .and_then(|instance| self.instances.get(instance).cloned());
        if let Some(old_id) = known {
            return self.join_as_instance(&old_id, join, token, now_ms);
        }
        if self.members.len() + self.pending.len() >= GROUP_MEMBERS_MAX {
            return vec![refuse(token, ResponseError::GroupMaxSizeReached, "")];
        }
        let member_id = join.new_member_id.clone();
        if join.id_first && join.instance.is_none() {
            self.pending.insert(member_id.clone(), now_ms + join.session_timeout_ms);
            return vec![refuse(token, ResponseError::MemberIdRequired, &member_id)];
        }
        self.add(member_id, join, token, now_ms)
    }

    fn add(&mut self, member_id: String, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let was_empty = self.members.is_empty();
        if was_empty {
            self.protocol_type = join.protocol_type.clone();
            self.leader = member_id.clone();
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        self.members.insert(member_id, member(join, token, now_ms));
        let mut replies: Vec<Reply> = Vec::new();
        self.prepare(now_ms, &mut replies);
        if was_empty {
            self.hold_ms = now_ms + self.initial_delay_ms;
        }
        self.try_complete_join(now_ms, &mut replies);
        replies
    }

    fn join_again(&mut self, member_id: String, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let same = self
            .members
            .get(&member_id)
            .is_some_and(|member| member.protocols == join.protocols);
        let asks_for_answer = match self.state {
            // The answer to its join was lost on the way.
            State::CompletingRebalance => same,
            // The leader joins again to share out anew, others because something of theirs changed.
            State::Stable => same && self.leader != member_id,
            State::Empty | State::PreparingRebalance => false,
        };
        let mut replies: Vec<Reply> = Vec::new();
        if asks_for_answer {
            self.heard(&member_id, now_ms);
            let joined = Ok(self.joined(&member_id, false));
            return vec![Reply::Joined { token, joined }];
        }
        if let Some(member) = self.members.get_mut(&member_id) {
            member.protocols = join.protocols;
            member.session_timeout_ms = join.session_timeout_ms;
            member.rebalance_timeout_ms = join.rebalance_timeout_ms;
            member.client_id = join.client_id;
            member.client_host = join.client_host;
            if let Some(older) = member.waits_to_join.replace(token) {
                replies.push(refuse(older, ResponseError::RebalanceInProgress, &member_id));
            }
        }
        self.prepare(now_ms, &mut replies);
        self.try_complete_join(now_ms, &mut replies);
        replies
    }

    /// An instance is back under a new member id: it takes the old one's place, if possible without a rebalance.
    fn join_as_instance(&mut self, old_id: &str, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        let Some(mut old) = self.members.remove(old_id) else {
            return vec![refuse(token, ResponseError::UnknownMemberId, "")];
        };
        answer_waiting(&mut old, old_id, ResponseError::FencedInstanceId, &mut replies);
        let member_id = join.new_member_id.clone();
        let leads = self.leader == old_id;
        if leads {
            self.leader = member_id.clone();
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        let knows_skip = join.knows_skip;
        let mut new = member(join, token, now_ms);
        let same = old.protocols == new.protocols;
        new.assignment = old.assignment;
        let keeps_place = self.state == State::Stable && same && (!leads || knows_skip);
        if keeps_place {
            new.waits_to_join = None;
        }
        self.members.insert(member_id.clone(), new);
        if keeps_place {
            let joined = Ok(self.joined(&member_id, leads));
            replies.push(Reply::Joined { token, joined });
            return replies;
        }
        self.prepare(now_ms, &mut replies);
        self.try_complete_join(now_ms, &mut replies);
        replies
    }

    fn sync_completing(&mut self, sync: Sync, token: u64, now_ms: u64) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        if let Some(member) = self.members.get_mut(&sync.member_id)
            && let Some(older) = member.waits_to_sync.replace(token)
        {
            let synced = Err(ResponseError::RebalanceInProgress);
            replies.push(Reply::Synced { token: older, synced });
        }
        if sync.member_id != self.leader {
            return replies;
        }
        for (member_id, assignment) in sync.assignments {
            if let Some(member) = self.members.get_mut(&member_id) {
                member.assignment = assignment;
            }
        }
        self.state = State::Stable;
        let waiting: Vec<String> = self.members_where(|member| member.waits_to_sync.is_some());
        for member_id in waiting {
            let synced = Ok(self.share_of(&member_id));
            if let Some(token) = self
                .members
                .get_mut(&member_id)
                .and_then(|member| member.waits_to_sync.take())
            {
                replies.push(Reply::Synced { token, synced });
            }
            self.heard(&member_id, now_ms);
        }
        replies
    }

    fn leave_one(&mut self, leaver: &Leaving, replies: &mut Vec<Reply>) -> Result<(), ResponseError> {
        let mut member_id = leaver.member_id.clone();
        if let Some(instance) = &leaver.instance {
            let known = self.instances.get(instance).ok_or(ResponseError::UnknownMemberId)?;
            if member_id.is_empty() {
                member_id = known.clone();
            } else if *known != member_id {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        if self.pending.remove(&member_id).is_some() {
            return Ok(());
        }
        if !self.members.contains_key(&member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(&member_id, ResponseError::UnknownMemberId, replies);
        Ok(())
    }

    fn check_member(&self, member_id: &str, instance: Option<&str>, generation: i32) -> Result<(), ResponseError> {
        if let Some(known) = instance.and_then(|instance| self.instances.get(instance))
            && known != member_id
        {
            return Err(ResponseError::FencedInstanceId);
        }
        if !self.members.contains_key(member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        Ok(())
    }

    fn members_where(&self, holds: impl Fn(&Member) -> bool) -> Vec<String> {
        let chosen = self.members.iter().filter(|(_, member)| holds(member));
        chosen.map(|(id, _)| id.clone()).collect()
    }

    fn heard(&mut self, member_id: &str, now_ms: u64) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard(now_ms);
        }
    }

    fn remove(&mut self, member_id: &str, code: ResponseError, replies: &mut Vec<Reply>) {
        if let Some(mut member) = self.members.remove(member_id) {
            answer_waiting(&mut member, member_id, code, replies);
            if let Some(instance) = &member.instance {
                self.instances.remove(instance);
            }
        }
    }

    /// What follows when members are gone.
    fn go_on_without(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        if self.members.is_empty() {
            self.become_empty();
        } else {
            self.prepare(now_ms, replies);
            self.try_complete_join(now_ms, replies);
        }
    }

    /// Everybody has to join again. Nothing happens where that is under way.
    fn prepare(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        if self.state == State::PreparingRebalance {
            return;
        }
        for member in self.members.values_mut() {
            if let Some(token) = member.waits_to_sync.take() {
                let synced = Err(ResponseError::RebalanceInProgress);
                replies.push(Reply::Synced { token, synced });
                member.heard(now_ms);
            }
        }
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        self.rebalance_ends_ms = now_ms + longest.unwrap_or(0);
        self.hold_ms = now_ms;
        self.state = State::PreparingRebalance;
    }

    fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.waits_to_join.is_some())
    }

    fn try_complete_join(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        if self.state == State::PreparingRebalance && now_ms >= self.hold_ms && self.all_joined() {
            self.complete_join(now_ms, replies);
        }
    }

    fn complete_join(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        if self.members.is_empty() {
            return self.become_empty();
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.state = State::CompletingRebalance;
        self.protocol = self.choose_protocol();
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        let member_ids: Vec<String> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let joined = self.joined(&member_id, false);
            let Some(member) = self.members.get_mut(&member_id) else {
                continue;
            };
            member.assignment = Bytes::new();
            member.heard(now_ms);
            if let Some(token) = member.waits_to_join.take() {
                replies.push(Reply::Joined {
                    token,
                    joined: Ok(joined),
                });
            }
        }
    }

    fn become_empty(&mut self) {
        if self.state != State::Empty {
            self.generation = self.generation.checked_add(1).unwrap_or(1);
        }
        self.state = State::Empty;
        self.protocol.clear();
        self.leader.clear();
    }

    /// Of the protocols that every member knows, the one that most members like best; among equals, the first member's.
    fn choose_protocol(&self) -> String {
        let all = |protocol: &str| self.members.values().all(|member| member.knows(protocol));
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in self.members.values() {
            let favourite = member
                .protocols
                .iter()
                .map(|protocol| protocol.name.as_str())
                .find(|name| all(name));
            let Some(favourite) = favourite else { continue };
            match votes.iter_mut().find(|(name, _)| *name == favourite) {
                Some((_, count)) => *count += 1,
                None => votes.push((favourite, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max();
        let winner = votes.iter().find(|(_, count)| Some(*count) == most);
        winner.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
    }

    fn joined(&self, member_id: &str, skip_assignment: bool) -> Joined {
        let leads = self.leader == member_id;
        let described =
            |(id, member): (&String, &Member)| (id.clone(), member.instance.clone(), member.metadata(&self.protocol));
        Joined {
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            skip_assignment,
            members: if leads {
                self.members.iter().map(described).collect()
            } else {
                Vec::new()
            },
        }
    }

    fn share_of(&self, member_id: &str) -> Synced {
        let member = self.members.get(member_id);
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }
}

fn member(join: Join, token: u64, now_ms: u64) -> Member {
    Member {
        instance: join.instance,
        client_id: join.client_id,
        client_host: join.client_host,
        session_timeout_ms: join.session_timeout_ms,
        rebalance_timeout_ms: join.rebalance_timeout_ms,
        protocols: join.protocols,
        assignment: Bytes::new(),
        expires_ms: now_ms + join.session_timeout_ms,
        waits_to_join: Some(token),
        waits_to_sync: None,
    }
}

fn answer_waiting(member: &mut Member, member_id: &str, code: ResponseError, replies: &mut Vec<Reply>) {
    if let Some(token) = member.waits_to_join.take() {
        replies.push(refuse(token, code, member_id));
    }
    if let Some(token) = member.waits_to_sync.take() {
        replies.push(Reply::Synced {
            token,
            synced: Err(code),
        });
    }
}

fn refuse(token: u64, code: ResponseError, member_id: &str) -> Reply {
    Reply::Joined {
        token,
        joined: Err(Refused {
            code,
            member_id: member_id.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
