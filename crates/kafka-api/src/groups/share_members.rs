//! Heartbeats of share groups: each finds its group, lets it decide, and is answered when what changed is durable.

use kafka_protocol::ResponseError;

use super::consumer::{Beat, JOIN, Refusal};
use super::share::{Group, Heartbeat};
use super::slot::{Kind, Slot};
use super::{Groups, Slots, check_group_id};

impl Groups {
    /// Takes one heartbeat of a member of a share group.
    pub(crate) async fn share_beat(&self, group_id: &str, heartbeat: Heartbeat) -> Result<Beat, Refusal> {
        let topics = self.topics(heartbeat.topics.is_some());
        let (beaten, saved) = {
            let rules = self.rules_of(group_id);
            let mut slots = self.slots.lock();
            // A group that only has commits is a consumer group.
            let is_new = !slots.by_id.contains_key(group_id);
            if is_new && (heartbeat.epoch != JOIN || self.offsets.holds(group_id)) {
                return Err(no_group());
            }
            let slot = self
                .slot(&mut slots, group_id, || Slot::new(Kind::Share(Group::new(rules.share))))
                .map_err(|code| Refusal::new(code, "there are as many groups as are allowed"))?;
            let beaten = match &mut slot.kind {
                Kind::Share(group) => {
                    group.set_rules(rules.share);
                    group.heartbeat(heartbeat, &topics, self.now_ms())
                }
                Kind::Classic(_) | Kind::Consumer(_) => return Err(no_group()),
            };
            (beaten, self.settle_and_tell(&mut slots, group_id, Vec::new()))
        };
        let beat = beaten?;
        let saved = saved.await.unwrap_or(Err(ResponseError::UnknownServerError));
        saved.map_err(|code| {
            Refusal::new(
                code,
                "what changed in the group could not be written; it is tried again",
            )
        })?;
        Ok(beat)
    }

    /// Whether there is a share group of this name.
    pub(crate) fn check_share(&self, group_id: &str) -> Result<(), ResponseError> {
        let slots = self.slots.lock();
        match slots.by_id.get(group_id).map(|slot| &slot.kind) {
            Some(Kind::Share(_)) => Ok(()),
            _ => Err(ResponseError::GroupIdNotFound),
        }
    }

    /// Makes the share group where there is none, as an administrator who says where it goes on may come before its members; its positions may be set
    /// while it has none.
    pub(crate) async fn found_share(&self, group_id: &str) -> Result<(), ResponseError> {
        let saved = {
            let rules = self.rules_of(group_id);
            let mut slots = self.slots.lock();
            if slots.by_id.contains_key(group_id) {
                return may_set(&slots, group_id);
            }
            check_group_id(group_id)?;
            // A group that only has commits is a consumer group.
            if self.offsets.holds(group_id) {
                return Err(ResponseError::GroupIdNotFound);
            }
            let slot = self.slot(&mut slots, group_id, || Slot::new(Kind::Share(Group::new(rules.share))))?;
            slot.unsaved.group = true;
            self.settle_and_save(&mut slots, group_id)
        };
        saved.await.unwrap_or(Err(ResponseError::UnknownServerError))
    }

    /// Whether a share group's positions may be changed: while it has no members.
    pub(crate) fn check_share_is_empty(&self, group_id: &str) -> Result<(), ResponseError> {
        may_set(&self.slots.lock(), group_id)
    }
}

fn may_set(slots: &Slots, group_id: &str) -> Result<(), ResponseError> {
    match slots.by_id.get(group_id).map(|slot| &slot.kind) {
        Some(Kind::Share(group)) if group.is_empty() => Ok(()),
        Some(Kind::Share(_)) => Err(ResponseError::NonEmptyGroup),
        _ => Err(ResponseError::GroupIdNotFound),
    }
}

fn no_group() -> Refusal {
    Refusal::new(ResponseError::GroupIdNotFound, "there is no such share group")
}
