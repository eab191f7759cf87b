//! Time passes: who is silent is gone, and who does not give up in time what it has to.

use super::{Group, Member};

impl Group {
    /// Does what is due.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        let mut late: Vec<String> = Vec::new();
        for (id, member) in &self.members {
            if due(member).any(|due_ms| due_ms <= now_ms) {
                late.push(id.clone());
            }
        }
        for member_id in late {
            self.remove(&member_id);
        }
    }

    /// When [`Group::tick`] has something to do.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.members.values().flat_map(due).min()
    }
}

/// When a member is out.
fn due(member: &Member) -> impl Iterator<Item = u64> {
    let classic = member.classic.as_ref();
    let times = [
        Some(member.expires_ms),
        member.revoked_by_ms,
        classic.and_then(|classic| classic.join_by_ms),
        classic.and_then(|classic| classic.sync_by_ms),
    ];
    times.into_iter().flatten()
}
