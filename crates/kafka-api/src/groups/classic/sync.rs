//! Syncing: the leader brings the assignments, everybody gets a share.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::exchange::{Reply, Sync, Synced};
use super::{Group, State};

impl Group {
    /// The leader brings the assignments; the others ask for theirs.
    pub(crate) fn sync(&mut self, sync: Sync, token: u64, now_ms: u64) -> Vec<Reply> {
        if let Err(code) = self.check_sync(&sync) {
            return vec![Reply::refuse_sync(token, code)];
        }
        match self.state {
            State::Empty => vec![Reply::refuse_sync(token, ResponseError::UnknownMemberId)],
            State::PreparingRebalance => vec![Reply::refuse_sync(token, ResponseError::RebalanceInProgress)],
            State::Stable => {
                self.unsynced.remove(&sync.member_id);
                self.heard(&sync.member_id, now_ms);
                let synced = Ok(self.share_of(&sync.member_id));
                vec![Reply::Synced { token, synced }]
            }
            State::CompletingRebalance => self.sync_completing(sync, token, now_ms),
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ResponseError> {
        self.check_generation(&sync.member_id, sync.instance.as_deref(), sync.generation)?;
        let other = |asked: &Option<String>, is: &str| asked.as_ref().is_some_and(|asked| asked != is);
        if other(&sync.protocol_type, self.protocol_type()) || other(&sync.protocol, self.protocol()) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn sync_completing(&mut self, sync: Sync, token: u64, now_ms: u64) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        self.unsynced.remove(&sync.member_id);
        if let Some(member) = self.members.get_mut(&sync.member_id)
            && let Some(older) = member.waits_to_sync.replace(token)
        {
            replies.push(Reply::refuse_sync(older, ResponseError::RebalanceInProgress));
        }
        if !self.leads(&sync.member_id) {
            return replies;
        }
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (member_id, assignment) in sync.assignments {
            if let Some(member) = self.members.get_mut(&member_id) {
                member.assignment = assignment;
            }
        }
        self.enter(State::Stable, now_ms);
        self.changes.group = true;
        self.changes.members.extend(self.members.keys().cloned());
        for member_id in self.members_where(|member| member.waits_to_sync.is_some()) {
            let synced = Ok(self.share_of(&member_id));
            let waiting = self.members.get_mut(&member_id);
            if let Some(token) = waiting.and_then(|member| member.waits_to_sync.take()) {
                replies.push(Reply::Synced { token, synced });
            }
            self.heard(&member_id, now_ms);
        }
        replies
    }

    fn share_of(&self, member_id: &str) -> Synced {
        let member = self.members.get(member_id);
        Synced {
            protocol_type: self.protocol_type().to_owned(),
            protocol: self.protocol().to_owned(),
            assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }
}
