//! Time passes: silent members go, and phases end that waited long enough.

use kafka_protocol::ResponseError;

use super::exchange::Reply;
use super::{Group, State};

impl Group {
    /// Does what is due.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        let before = self.pending.len();
        self.pending.retain(|_, until_ms| *until_ms > now_ms);
        let pending_went = self.pending.len() < before;
        let silent = self.members_where(|member| member.can_expire() && member.expires_ms <= now_ms);
        for member_id in &silent {
            self.remove(member_id, ResponseError::UnknownMemberId, &mut replies);
        }
        if !silent.is_empty() {
            self.go_on_without(now_ms, &mut replies);
        } else if pending_went {
            self.complete_when_all_joined(now_ms, &mut replies);
        }
        if self.state == State::PreparingRebalance && self.join_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            self.join_is_due(now_ms, &mut replies);
        }
        if self.sync_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            self.sync_is_due(now_ms, &mut replies);
        }
        replies
    }

    /// When [`Group::tick`] has something to do.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let silent = self.members.values().filter(|member| member.can_expire());
        let silent = silent.map(|member| member.expires_ms);
        let phases = self.join_due_ms.into_iter().chain(self.sync_due_ms);
        silent.chain(self.pending.values().copied()).chain(phases).min()
    }

    /// Who joined and never asked for its share is out, and the others start over.
    fn sync_is_due(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        self.sync_due_ms = None;
        let late: Vec<String> = std::mem::take(&mut self.unsynced).into_iter().collect();
        if late.is_empty() {
            return;
        }
        for member_id in &late {
            self.remove(member_id, ResponseError::UnknownMemberId, replies);
        }
        self.prepare(now_ms, replies);
    }
}
