//! Joining: who comes in, who comes back, and which instance takes its old place.

use kafka_protocol::ResponseError;

use super::exchange::{Join, Joined, Protocol, Reply};
use super::member::Member;
use super::{Group, State};

impl Group {
    /// A member joins or joins again.
    pub(crate) fn join(&mut self, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let member_id = join.member_id.clone();
        if !self.has_room_for(&member_id) {
            let mut replies = vec![Reply::refuse_join(token, ResponseError::GroupMaxSizeReached, "")];
            self.pending.remove(&member_id);
            self.remove(&member_id, ResponseError::GroupMaxSizeReached, &mut replies);
            return replies;
        }
        if !self.supports(&join) {
            return vec![Reply::refuse_join(
                token,
                ResponseError::InconsistentGroupProtocol,
                &member_id,
            )];
        }
        if member_id.is_empty() {
            return self.join_new(join, token, now_ms);
        }
        if join.instance.is_none() && self.pending.remove(&member_id).is_some() {
            return self.add(member_id, join, token, now_ms);
        }
        match self.check_member(&member_id, join.instance.as_deref()) {
            Ok(()) => self.join_again(member_id, join, token, now_ms),
            Err(code) => vec![Reply::refuse_join(token, code, &member_id)],
        }
    }

    /// While everybody joins again, those count who have: a group that has grown too large loses the last ones.
    fn has_room_for(&self, member_id: &str) -> bool {
        let known = self.members.get(member_id);
        match self.state {
            State::Empty => self.pending.len() < self.rules.members_max || self.pending.contains_key(member_id),
            State::PreparingRebalance => {
                let waiting = |member: &&Member| member.waits_to_join.is_some();
                known.is_some_and(|member| waiting(&member))
                    || self.members.values().filter(waiting).count() < self.rules.members_max
            }
            State::CompletingRebalance | State::Stable => {
                known.is_some() || self.members.len() < self.rules.members_max
            }
        }
    }

    /// Whether the member is of the group's kind and knows a protocol that everybody knows.
    fn supports(&self, join: &Join) -> bool {
        if join.protocols.is_empty() || join.protocol_type.is_empty() {
            return false;
        }
        if self.state == State::Empty {
            return true;
        }
        let common = |protocol: &Protocol| self.members.values().all(|member| member.knows(&protocol.name));
        self.protocol_type.as_ref() == Some(&join.protocol_type) && join.protocols.iter().any(common)
    }

    fn join_new(&mut self, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let member_id = join.new_member_id.clone();
        match &join.instance {
            Some(instance) => match self.instances.get(instance).cloned() {
                Some(old_id) => self.replace_instance(&old_id, join, token, now_ms),
                None => self.add(member_id, join, token, now_ms),
            },
            None if join.id_first => {
                self.pending.insert(member_id.clone(), now_ms + join.session_timeout_ms);
                vec![Reply::refuse_join(token, ResponseError::MemberIdRequired, &member_id)]
            }
            None => self.add(member_id, join, token, now_ms),
        }
    }

    fn add(&mut self, member_id: String, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        if let Some(first) = &mut self.first_rebalance {
            first.somebody_came = true;
        }
        self.members.insert(member_id, Member::new(join, token, now_ms));
        let mut replies: Vec<Reply> = Vec::new();
        self.rebalance(now_ms, &mut replies);
        replies
    }

    fn join_again(&mut self, member_id: String, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let known = self.members.get(&member_id);
        let same = known.is_some_and(|member| member.protocols == join.protocols);
        let asks_for_answer = match self.state {
            State::Empty => return vec![Reply::refuse_join(token, ResponseError::UnknownMemberId, &member_id)],
            // The answer to its join was lost on the way.
            State::CompletingRebalance => same,
            // The leader joins again to share out anew, others because something of theirs changed.
            State::Stable => same && !self.leads(&member_id),
            State::PreparingRebalance => false,
        };
        if asks_for_answer {
            self.heard(&member_id, now_ms);
            let joined = Ok(self.joined(&member_id, false));
            return vec![Reply::Joined { token, joined }];
        }
        let mut replies: Vec<Reply> = Vec::new();
        if let Some(member) = self.members.get_mut(&member_id) {
            member.update(join);
            if let Some(older) = member.waits_to_join.replace(token) {
                replies.push(Reply::refuse_join(
                    older,
                    ResponseError::RebalanceInProgress,
                    &member_id,
                ));
            }
        }
        self.rebalance(now_ms, &mut replies);
        replies
    }

    /// An instance is back under a new member id: it takes the old one's place, if possible without a rebalance.
    fn replace_instance(&mut self, old_id: &str, join: Join, token: u64, now_ms: u64) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        let Some(mut member) = self.members.remove(old_id) else {
            return vec![Reply::refuse_join(token, ResponseError::UnknownMemberId, "")];
        };
        member.dismiss(old_id, ResponseError::FencedInstanceId, &mut replies);
        let member_id = join.new_member_id.clone();
        let led = self.leads(old_id);
        if led {
            self.leader = Some(member_id.clone());
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        if self.unsynced.remove(old_id) {
            self.unsynced.insert(member_id.clone());
        }
        self.changes.member(old_id);
        self.changes.member(&member_id);
        let knows_skip = join.knows_skip;
        member.update(join);
        member.heard(now_ms);
        member.waits_to_join = Some(token);
        self.members.insert(member_id.clone(), member);
        if self.state == State::Stable && self.protocol == self.choose_protocol() {
            if let Some(member) = self.members.get_mut(&member_id) {
                member.waits_to_join = None;
            }
            self.changes.group = true;
            let mut joined = self.joined(&member_id, led && knows_skip);
            if led && !knows_skip {
                // This client would share out anew as a leader, and its assignment would be ignored: it is told of the old
                // id, so that it only asks for its share.
                joined.leader = old_id.to_owned();
                joined.members.clear();
            }
            let joined = Ok(joined);
            replies.push(Reply::Joined { token, joined });
            return replies;
        }
        match self.state {
            // The old id may be with the leader already: only a new round gives the new one a share.
            State::Stable | State::CompletingRebalance => self.prepare(now_ms, &mut replies),
            State::PreparingRebalance | State::Empty => self.complete_when_all_joined(now_ms, &mut replies),
        }
        replies
    }

    pub(super) fn leads(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn joined(&self, member_id: &str, skip_assignment: bool) -> Joined {
        let described =
            |(id, member): (&String, &Member)| (id.clone(), member.instance.clone(), member.metadata(self.protocol()));
        Joined {
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type().to_owned(),
            protocol: self.protocol().to_owned(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment,
            members: if self.leads(member_id) {
                self.members.iter().map(described).collect()
            } else {
                Vec::new()
            },
        }
    }
}
