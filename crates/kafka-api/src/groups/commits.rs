//! Who may commit a group's positions, and who may ask for them.

use kafka_protocol::ResponseError;

use super::Groups;
use super::slot::{Kind, Slot};

/// Who commits: a member with its generation, or somebody who assigned the partitions himself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    /// Empty where it is no member.
    pub(crate) member_id: &'a str,
    pub(crate) instance: Option<&'a str>,
    /// The generation of a member; negative where it is none.
    pub(crate) generation: i32,
    /// In a transaction a member's generation counts, the group's phase does not.
    pub(crate) in_transaction: bool,
    /// Whether the client knows that members of the consumer protocol have epochs, and that a group may not be there.
    pub(crate) knows_epochs: bool,
}

impl Committer<'_> {
    /// Whether it says nothing of a member.
    fn is_nobody(&self) -> bool {
        self.member_id.is_empty() && self.instance.is_none() && self.generation < 0
    }
}

impl Groups {
    /// Whether these positions may be committed; a client that assigned its partitions itself commits to a group without members.
    pub(crate) async fn may_commit(&self, group_id: &str, committer: Committer<'_>) -> Result<(), ResponseError> {
        self.check_commit(group_id, committer)?;
        self.pay(group_id).await
    }

    /// Sees to it that what the group's members were told is durable: a commit must not outlive what it was allowed by.
    async fn pay(&self, group_id: &str) -> Result<(), ResponseError> {
        let saved = {
            let mut slots = self.slots.lock();
            match slots.by_id.get_mut(group_id) {
                Some(slot) if slot.owes() => slot.unsaved.group = true,
                _ => return Ok(()),
            }
            self.settle_and_save(&mut slots, group_id)
        };
        saved.await.unwrap_or(Err(ResponseError::UnknownServerError))?;
        let slots = self.slots.lock();
        match slots.by_id.get(group_id).is_some_and(Slot::owes) {
            // It is changing just now.
            true => Err(ResponseError::CoordinatorNotAvailable),
            false => Ok(()),
        }
    }

    fn check_commit(&self, group_id: &str, committer: Committer<'_>) -> Result<(), ResponseError> {
        let mut slots = self.slots.lock();
        let now_ms = self.now_ms();
        match slots.by_id.get_mut(group_id).map(|slot| &mut slot.kind) {
            Some(Kind::Classic(group)) => group.may_commit(
                committer.member_id,
                committer.instance,
                committer.generation,
                committer.in_transaction,
                now_ms,
            ),
            // A producer that was told the group's name alone, as Kafka takes it.
            Some(Kind::Consumer(_)) if committer.in_transaction && committer.is_nobody() => Ok(()),
            Some(Kind::Consumer(group)) => {
                let allowed = group.may_commit(committer.member_id, committer.generation);
                let needs_epoch = committer.generation >= 0 && !group.is_classic(committer.member_id);
                match allowed {
                    Ok(()) | Err(ResponseError::StaleMemberEpoch)
                        if needs_epoch && !committer.knows_epochs && !committer.in_transaction =>
                    {
                        Err(ResponseError::UnsupportedVersion)
                    }
                    Err(ResponseError::StaleMemberEpoch) if !committer.knows_epochs => {
                        Err(ResponseError::IllegalGeneration)
                    }
                    allowed => allowed,
                }
            }
            Some(Kind::Share(_)) => Err(ResponseError::GroupIdNotFound),
            // Nobody is a member of a group that is not there.
            None if committer.generation < 0 => Ok(()),
            None if committer.knows_epochs => Err(ResponseError::GroupIdNotFound),
            None => Err(ResponseError::IllegalGeneration),
        }
    }

    /// Whether somebody may ask for a group's positions; a member of the consumer protocol needs its epoch.
    pub(crate) fn may_fetch(&self, group_id: &str, member_id: Option<&str>, epoch: i32) -> Result<(), ResponseError> {
        let slots = self.slots.lock();
        match slots.by_id.get(group_id).map(|slot| &slot.kind) {
            Some(Kind::Consumer(group)) => group.may_fetch(member_id, epoch),
            Some(Kind::Share(_)) => Err(ResponseError::GroupIdNotFound),
            Some(Kind::Classic(_)) | None => Ok(()),
        }
    }
}
