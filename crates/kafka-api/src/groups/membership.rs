//! The classic protocol's requests: each finds its group, lets it decide, and waits for the reply.

use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use super::classic::{Group, Join, Joined, Leaving, Left, Refused, Sync, Synced};
use super::slot::{Delivery, Kind, Slot, Waiter};
use super::{Groups, Slots};

impl Groups {
    /// Joins; waits until every member has.
    pub(crate) async fn join(&self, group_id: &str, join: Join) -> Result<Joined, Refused> {
        let member_id = join.member_id.clone();
        let refuse = |code| Refused {
            code,
            member_id: member_id.clone(),
        };
        let joining = self.start_join(group_id, join).map_err(refuse)?;
        match joining.await {
            Ok(joined) => joined,
            Err(_) => Err(refuse(ResponseError::UnknownMemberId)),
        }
    }

    fn start_join(
        &self,
        group_id: &str,
        join: Join,
    ) -> Result<oneshot::Receiver<Result<Joined, Refused>>, ResponseError> {
        let topics = self.topics(false);
        let mut slots = self.slots.lock();
        if !join.member_id.is_empty() && !slots.by_id.contains_key(group_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        let slot = self.slot(&mut slots, group_id, || {
            Slot::new(Kind::Classic(Group::new(self.rules.classic)))
        })?;
        if matches!(&slot.kind, Kind::Consumer(group) if group.is_empty()) {
            slot.become_kind(Kind::Classic(Group::new(self.rules.classic)));
        }
        let (sender, receiver) = oneshot::channel();
        let deliveries = match &mut slot.kind {
            Kind::Classic(_) => {
                let token = slot.wait(Waiter::Join(sender));
                slot.with_classic(|group| group.join(join, token, self.now_ms()))
            }
            Kind::Consumer(group) => {
                let joined = group.join_classic(join, &topics, self.now_ms());
                vec![Delivery::Joined(sender, joined)]
            }
            Kind::Share(_) => return Err(ResponseError::InconsistentGroupProtocol),
        };
        self.settle(&mut slots, group_id, deliveries);
        Ok(receiver)
    }

    /// Hands over the leader's assignment, or waits for one's own.
    pub(crate) async fn sync(&self, group_id: &str, sync: Sync) -> Result<Synced, ResponseError> {
        let topics = self.topics(false);
        let syncing = {
            let mut slots = self.slots.lock();
            let slot = slots.by_id.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
            let (sender, receiver) = oneshot::channel();
            let deliveries = match &mut slot.kind {
                Kind::Classic(_) => {
                    let token = slot.wait(Waiter::Sync(sender));
                    slot.with_classic(|group| group.sync(sync, token, self.now_ms()))
                }
                Kind::Consumer(group) => {
                    let synced = group.sync_classic(&sync, &topics, self.now_ms());
                    vec![Delivery::Synced(sender, synced)]
                }
                Kind::Share(_) => return Err(ResponseError::UnknownMemberId),
            };
            self.settle(&mut slots, group_id, deliveries);
            receiver
        };
        syncing.await.unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// A sign of life.
    pub(crate) fn heartbeat(
        &self,
        group_id: &str,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        let mut slots = self.slots.lock();
        let slot = slots.by_id.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
        match &mut slot.kind {
            Kind::Classic(group) => group.heartbeat(member_id, instance, generation, self.now_ms()),
            Kind::Consumer(group) => {
                let beaten = group.heartbeat_classic(member_id, instance, generation, self.now_ms());
                // It may have been given a time to join again.
                self.settle(&mut slots, group_id, Vec::new());
                beaten
            }
            Kind::Share(_) => Err(ResponseError::UnknownMemberId),
        }
    }

    /// Takes members out; for each, whether it was one.
    pub(crate) async fn leave(&self, group_id: &str, leaving: Vec<Leaving>) -> Result<Vec<Left>, ResponseError> {
        let (left, saved) = {
            let mut slots = self.slots.lock();
            let slot = slots.by_id.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
            let (left, replies) = match &mut slot.kind {
                Kind::Classic(group) => group.leave(leaving, self.now_ms()),
                Kind::Consumer(group) => (group.leave_classic(leaving), Vec::new()),
                Kind::Share(_) => return Err(ResponseError::UnknownMemberId),
            };
            let deliveries = slot.address(replies);
            (left, self.settle_and_tell(&mut slots, group_id, deliveries))
        };
        saved.await.unwrap_or(Err(ResponseError::UnknownServerError))?;
        Ok(left)
    }

    /// [`Groups::settle`] for somebody who has the answer and has to wait until it may be given.
    pub(super) fn settle_and_tell(
        &self,
        slots: &mut Slots,
        group_id: &str,
        mut deliveries: Vec<Delivery>,
    ) -> oneshot::Receiver<Result<(), ResponseError>> {
        let (sender, told) = oneshot::channel();
        deliveries.push(Delivery::Told(sender));
        self.settle(slots, group_id, deliveries);
        told
    }

    /// [`Groups::settle`] for somebody who goes on when what changed is durable.
    pub(super) fn settle_and_save(
        &self,
        slots: &mut Slots,
        group_id: &str,
    ) -> oneshot::Receiver<Result<(), ResponseError>> {
        let (sender, saved) = oneshot::channel();
        self.settle(slots, group_id, vec![Delivery::Saved(sender)]);
        saved
    }
}
