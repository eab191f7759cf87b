//! Leaving: by the member itself, or by an administrator who names an instance.

use kafka_protocol::ResponseError;

use super::exchange::{Leaving, Left, Reply};
use super::{Group, State};

impl Group {
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

    fn leave_one(&mut self, leaver: &Leaving, replies: &mut Vec<Reply>) -> Result<(), ResponseError> {
        if leaver.member_id.is_empty() {
            let known = leaver
                .instance
                .as_ref()
                .and_then(|instance| self.instances.get(instance));
            let member_id = known.cloned().ok_or(ResponseError::UnknownMemberId)?;
            self.remove(&member_id, ResponseError::UnknownMemberId, replies);
            return Ok(());
        }
        if self.pending.remove(&leaver.member_id).is_some() {
            return Ok(());
        }
        self.check_member(&leaver.member_id, leaver.instance.as_deref())?;
        self.remove(&leaver.member_id, ResponseError::UnknownMemberId, replies);
        Ok(())
    }

    pub(super) fn remove(&mut self, member_id: &str, code: ResponseError, replies: &mut Vec<Reply>) {
        let Some(mut member) = self.members.remove(member_id) else {
            return;
        };
        member.dismiss(member_id, code, replies);
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if self.leads(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.unsynced.remove(member_id);
        self.changes.member(member_id);
    }

    /// What follows when members are gone.
    pub(super) fn go_on_without(&mut self, now_ms: u64, replies: &mut Vec<Reply>) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare(now_ms, replies),
            State::PreparingRebalance => self.complete_when_all_joined(now_ms, replies),
            State::Empty => {}
        }
    }
}
