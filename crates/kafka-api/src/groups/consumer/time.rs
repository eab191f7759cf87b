//! Time passes: who is silent is gone, and who does not give up in time what it has to.

use super::Group;

impl Group {
    /// Does what is due.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        let mut late: Vec<String> = Vec::new();
        for (id, member) in &self.members {
            if member.expires_ms <= now_ms || member.revoked_by_ms.is_some_and(|by_ms| by_ms <= now_ms) {
                late.push(id.clone());
            }
        }
        for member_id in late {
            self.remove(&member_id);
        }
    }

    /// When [`Group::tick`] has something to do.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let members = self.members.values();
        members
            .flat_map(|member| [Some(member.expires_ms), member.revoked_by_ms])
            .flatten()
            .min()
    }
}
