//! Consumer groups of the classic protocol: who is a member, who reads what, and how far each group has got.
//!
//! ```text
//! exchange.rs what members ask, and what is replied
//! group.rs    decides: a pure state machine, from an event and a moment to replies
//! member.rs   what is known of a member
//! offsets.rs  the commits, events in the stream of committed positions, folded into memory
//! here        carries out: keeps who waits, wakes them, watches the clock
//! ```
//!
//! Members live in memory only: after a restart they are unknown, join again, and go on from the commits.

mod exchange;
mod group;
mod member;
mod offsets;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use headwater_eventlog::EventLog;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::KafkaOptions;
use crate::broker::{BrokerError, Inner};
use crate::limits::GROUPS_MAX;

pub(crate) use exchange::{Join, Joined, Leaving, Left, Reply, Sync, Synced};
pub(crate) use group::{Group, State};
pub(crate) use member::{Member, Protocol};
pub(crate) use offsets::{Commit, Committed, Offsets};

/// The groups and their commits.
pub(crate) struct Groups {
    slots: Mutex<HashMap<String, Slot>>,
    pub(crate) offsets: Offsets,
    /// Wakes the timer when something may become due earlier than it knows of.
    timer: Notify,
    started: Instant,
    initial_delay_ms: u64,
}

/// A group and who waits for it.
struct Slot {
    group: Group,
    waiting: HashMap<u64, Waiter>,
    next_token: u64,
}

enum Waiter {
    Join(oneshot::Sender<Result<Joined, Refused>>),
    Sync(oneshot::Sender<Result<Synced, ResponseError>>),
}

/// Why a member may not join, and the id it is to come back with where it was given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: ResponseError,
    pub(crate) member_id: String,
}

impl Groups {
    /// Folds the commits.
    pub(crate) fn open(log: EventLog, options: &KafkaOptions) -> Result<Groups, BrokerError> {
        Ok(Groups {
            slots: Mutex::default(),
            offsets: Offsets::open(log)?,
            timer: Notify::new(),
            started: Instant::now(),
            initial_delay_ms: options.group_initial_delay.as_millis() as u64,
        })
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Joins; waits until every member has.
    pub(crate) async fn join(&self, group_id: &str, join: Join) -> Result<Joined, Refused> {
        let refuse = |code, member_id: &str| {
            Err(Refused {
                code,
                member_id: member_id.to_owned(),
            })
        };
        let joining = {
            let mut slots = self.slots.lock();
            if slots.len() >= GROUPS_MAX && !slots.contains_key(group_id) {
                return refuse(ResponseError::CoordinatorNotAvailable, &join.member_id);
            }
            let slot = slots
                .entry(group_id.to_owned())
                .or_insert_with(|| Slot::new(self.initial_delay_ms));
            let (sender, receiver) = oneshot::channel();
            let token = slot.wait(Waiter::Join(sender));
            let replies = slot.group.join(join, token, self.now_ms());
            slot.send(replies);
            receiver
        };
        self.timer.notify_one();
        match joining.await {
            Ok(joined) => joined,
            Err(_) => refuse(ResponseError::UnknownMemberId, ""),
        }
    }

    /// Hands over the leader's assignment, or waits for one's own.
    pub(crate) async fn sync(&self, group_id: &str, sync: Sync) -> Result<Synced, ResponseError> {
        let syncing = {
            let mut slots = self.slots.lock();
            let slot = slots.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
            let (sender, receiver) = oneshot::channel();
            let token = slot.wait(Waiter::Sync(sender));
            let replies = slot.group.sync(sync, token, self.now_ms());
            slot.send(replies);
            receiver
        };
        self.timer.notify_one();
        syncing.await.unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    pub(crate) fn heartbeat(
        &self,
        group_id: &str,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        let mut slots = self.slots.lock();
        let slot = slots.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
        slot.group.heartbeat(member_id, instance, generation, self.now_ms())
    }

    /// Takes members out; for each, whether it was one.
    pub(crate) fn leave(&self, group_id: &str, leaving: Vec<Leaving>) -> Result<Vec<Left>, ResponseError> {
        let left = {
            let mut slots = self.slots.lock();
            let slot = slots.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
            let (left, replies) = slot.group.leave(leaving, self.now_ms());
            slot.send(replies);
            left
        };
        self.timer.notify_one();
        Ok(left)
    }

    /// Whether a member may commit; a client that assigned its partitions itself commits to a group without members.
    pub(crate) fn may_commit(
        &self,
        group_id: &str,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        let mut slots = self.slots.lock();
        match slots.get_mut(group_id) {
            Some(slot) => slot.group.may_commit(member_id, instance, generation, self.now_ms()),
            None if generation < 0 => Ok(()),
            None if member_id.is_empty() => Err(ResponseError::IllegalGeneration),
            None => Err(ResponseError::UnknownMemberId),
        }
    }

    /// Shows a group to `look`; `None` where it has neither members nor commits.
    pub(crate) fn look<T>(&self, group_id: &str, look: impl FnOnce(&Group) -> T) -> Option<T> {
        let slots = self.slots.lock();
        match slots.get(group_id) {
            Some(slot) => Some(look(&slot.group)),
            None => self.offsets.holds(group_id).then(|| look(&Group::new(0))),
        }
    }

    /// Every group with members or commits: its id, its state, its members' protocol type.
    pub(crate) fn list(&self) -> Vec<(String, State, String)> {
        let slots = self.slots.lock();
        let mut groups: Vec<(String, State, String)> = Vec::new();
        for (id, slot) in slots.iter() {
            groups.push((id.clone(), slot.group.state(), slot.group.protocol_type().to_owned()));
        }
        for id in self.offsets.groups() {
            if !slots.contains_key(&id) {
                groups.push((id, State::Empty, String::new()));
            }
        }
        groups.sort_by(|one, other| one.0.cmp(&other.0));
        groups
    }

    /// Forgets a group that has no members.
    pub(crate) async fn delete(&self, group_id: &str, principal: &str) -> Result<(), ResponseError> {
        let known = {
            let mut slots = self.slots.lock();
            match slots.get(group_id) {
                Some(slot) if !slot.group.is_idle() => return Err(ResponseError::NonEmptyGroup),
                Some(_) => slots.remove(group_id).is_some(),
                None => false,
            }
        };
        let forgotten = self.offsets.forget(group_id, principal).await?;
        if known || forgotten {
            Ok(())
        } else {
            Err(ResponseError::GroupIdNotFound)
        }
    }

    /// Does what is due, and says when the next thing is.
    fn tick(&self) -> Option<u64> {
        let now_ms = self.now_ms();
        let mut slots = self.slots.lock();
        for slot in slots.values_mut() {
            let replies = slot.group.tick(now_ms);
            slot.send(replies);
        }
        // What a group without members knows is in its commits.
        slots.retain(|_, slot| !slot.group.is_idle());
        let due = slots.values().filter_map(|slot| slot.group.due_ms()).min()?;
        Some(due.saturating_sub(now_ms))
    }
}

impl Slot {
    fn new(initial_delay_ms: u64) -> Slot {
        Slot {
            group: Group::new(initial_delay_ms),
            waiting: HashMap::new(),
            next_token: 0,
        }
    }

    fn wait(&mut self, waiter: Waiter) -> u64 {
        self.next_token += 1;
        self.waiting.insert(self.next_token, waiter);
        self.next_token
    }

    /// Wakes whom the decisions name. Who has gone meanwhile is not missed here: its session runs out.
    fn send(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            match reply {
                Reply::Joined { token, joined } => {
                    if let Some(Waiter::Join(sender)) = self.waiting.remove(&token) {
                        let _ = sender.send(joined);
                    }
                }
                Reply::Synced { token, synced } => {
                    if let Some(Waiter::Sync(sender)) = self.waiting.remove(&token) {
                        let _ = sender.send(synced);
                    }
                }
            }
        }
    }
}

/// Lets time pass for the groups, for as long as the door is open.
pub(crate) async fn run_timers(broker: Arc<Inner>) {
    let groups = &broker.groups;
    loop {
        match groups.tick() {
            Some(wait_ms) => {
                let due = tokio::time::sleep(std::time::Duration::from_millis(wait_ms.max(1)));
                tokio::select! {
                    () = due => {}
                    () = groups.timer.notified() => {}
                }
            }
            None => groups.timer.notified().await,
        }
    }
}
