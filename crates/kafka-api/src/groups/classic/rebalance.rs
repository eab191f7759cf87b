//! Rebalancing: everybody joins again, then there is a next generation, a leader and a protocol.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::exchange::Reply;
use super::{Group, State};

/// The wait of a group that was empty: it is drawn out while members keep coming, up to their rebalance timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstRebalance {
    pub(super) somebody_came: bool,
    remaining_ms: u64,
}

impl Group {
    /// Members have to join again; where they are at it already, it may be complete now.
    pub(super) fn rebalance(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        match self.state {
            State::PreparingRebalance => self.complete_when_all_joined(now_ms, replies),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare(now_ms, replies),
        }
    }

    /// Everybody has to join again.
    pub(super) fn prepare(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        let was_completing = self.state == State::CompletingRebalance;
        for member in self.members.values_mut() {
            if was_completing {
                member.assignment = Bytes::new();
            }
            if let Some(token) = member.waits_to_sync.take() {
                replies.push(Reply::refuse_sync(token, ResponseError::RebalanceInProgress));
                member.heard(now_ms);
            }
        }
        self.unsynced.clear();
        self.sync_due_ms = None;
        let delay_ms = self.rules.initial_delay_ms;
        if self.state == State::Empty {
            self.first_rebalance = Some(FirstRebalance {
                somebody_came: false,
                remaining_ms: self.rebalance_timeout_ms().saturating_sub(delay_ms),
            });
            self.join_due_ms = Some(now_ms + delay_ms);
        } else {
            self.join_due_ms = Some(now_ms + self.rebalance_timeout_ms());
        }
        self.enter(State::PreparingRebalance, now_ms);
        if self.first_rebalance.is_none() || delay_ms == 0 {
            self.first_rebalance = None;
            self.complete_when_all_joined(now_ms, replies);
        }
    }

    /// The time to join is over: without those who did not, or, after the first wait, with those who came.
    pub(super) fn join_is_due(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        if let Some(first) = &mut self.first_rebalance
            && first.somebody_came
            && first.remaining_ms > 0
        {
            first.somebody_came = false;
            let more_ms = self.rules.initial_delay_ms.min(first.remaining_ms);
            first.remaining_ms = first.remaining_ms.saturating_sub(self.rules.initial_delay_ms);
            self.join_due_ms = Some(now_ms + more_ms);
            return;
        }
        self.complete_join(now_ms, replies);
    }

    pub(super) fn complete_when_all_joined(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        let joined = self.members.values().all(|member| member.waits_to_join.is_some());
        let waits = self.first_rebalance.is_some() && !self.members.is_empty();
        if self.state == State::PreparingRebalance && !waits && joined && self.pending.is_empty() {
            self.complete_join(now_ms, replies);
        }
    }

    fn complete_join(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        // An instance may be restarting: it stays until its session is over.
        let late = self.members_where(|member| member.waits_to_join.is_none() && member.instance.is_none());
        for member_id in &late {
            self.remove(member_id, ResponseError::UnknownMemberId, replies);
        }
        if self.members.is_empty() {
            self.generation = self.generation.checked_add(1).unwrap_or(1);
            return self.become_empty(now_ms);
        }
        if !self.elect_leader() {
            self.join_due_ms = Some(now_ms + self.rebalance_timeout_ms());
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.first_rebalance = None;
        self.join_due_ms = None;
        self.protocol = self.choose_protocol();
        self.enter(State::CompletingRebalance, now_ms);
        self.sync_due_ms = Some(now_ms + self.rebalance_timeout_ms());
        let member_ids: Vec<String> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let joined = Ok(self.joined(&member_id, false));
            let Some(member) = self.members.get_mut(&member_id) else {
                continue;
            };
            member.is_new = false;
            if let Some(token) = member.waits_to_join.take() {
                member.heard(now_ms);
                replies.push(Reply::Joined { token, joined });
            }
            self.unsynced.insert(member_id);
        }
    }

    fn become_empty(&mut self, now_ms: u64) {
        self.enter(State::Empty, now_ms);
        self.protocol = None;
        self.leader = None;
        self.first_rebalance = None;
        self.join_due_ms = None;
        self.sync_due_ms = None;
        self.changes.group = true;
    }

    /// The leader is one who joined; whether there is one.
    fn elect_leader(&mut self) -> bool {
        let joined = |id: &String| {
            self.members
                .get(id)
                .is_some_and(|member| member.waits_to_join.is_some())
        };
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        match self.members.keys().find(|id| joined(id)) {
            Some(id) => {
                self.leader = Some(id.clone());
                true
            }
            None => false,
        }
    }

    pub(super) fn rebalance_timeout_ms(&self) -> u64 {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0)
    }

    /// Of the protocols that every member knows, the one that most members like best; among equals, the first member's.
    pub(super) fn choose_protocol(&self) -> Option<String> {
        let all = |protocol: &str| self.members.values().all(|member| member.knows(protocol));
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|protocol| protocol.name.as_str());
            let Some(favourite) = names.find(|name| all(name)) else {
                continue;
            };
            match votes.iter_mut().find(|(name, _)| *name == favourite) {
                Some((_, count)) => *count += 1,
                None => votes.push((favourite, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max();
        let winner = votes.iter().find(|(_, count)| Some(*count) == most);
        winner.map(|(name, _)| (*name).to_owned())
    }
}
