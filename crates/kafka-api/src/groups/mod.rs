//! Consumer groups: who is a member, who reads what, and how far each group has got.
//!
//! ```text
//! classic/    the classic protocol: a pure state machine, from an event and a moment to replies
//! consumer/   the consumer protocol (KIP-848): a pure state machine, from a heartbeat and a moment to what a member may read
//! share/      share groups (KIP-932): who is a member, and of which partitions
//! embedded.rs what consumers of the classic protocol say of themselves
//! assignors/  who reads what: pure functions
//! offsets/    the commits, events in the stream of committed positions, folded into memory
//! topics.rs   the topics there are, as groups see them
//! ledger.rs   what of groups is kept over restarts, as events of the stream of groups
//! slot.rs     a group in memory, and who waits for it
//! here        the groups together: finds one, writes down what changed, then lets the replies go
//!
//! membership.rs       joining, syncing, heartbeats and leaving in the classic protocol
//! beats.rs            heartbeats of the consumer protocol
//! share_members.rs    heartbeats of share groups
//! commits.rs          who may commit, and what commits are written
//! configs.rs          what can be set for a group
//! administration.rs   looking at groups, deleting them, forgetting what is too old
//! timers.rs           lets time pass
//! ```
//!
//! Invariants
//! - A reply that tells of a change leaves once the change is durable; on a full disk, where nothing is, from memory. No commit of a group is taken then
//!   before what its members were told is durable.
//! - What the stream of groups says is a state that the group was in at rest: after a restart its members go on from it.

mod administration;
mod assignors;
mod beats;
mod changes;
mod classic;
pub(crate) mod clock;
mod commits;
pub(crate) mod configs;
pub(crate) mod consumer;
mod embedded;
mod ledger;
mod membership;
mod offsets;
pub(crate) mod partitions;
mod rules;
pub(crate) mod share;
mod share_members;
mod slot;
mod timers;
pub(crate) mod topics;

use std::collections::HashMap;
use std::sync::Arc;

use headwater_eventlog::EventLog;
use kafka_protocol::ResponseError;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::KafkaOptions;
use crate::limits::{GROUP_ID_BYTES_MAX, GROUPS_MAX};
use crate::own_streams::{BrokerError, GROUPS_STREAM, Unwritten, Writer};

pub(crate) use administration::Seen;
pub(crate) use classic::{Group, Join, Joined, Leaving, Left, Member, Protocol, Refused, State, Sync};
pub(crate) use commits::Committer;
pub(crate) use offsets::{Commit, CommitEvents, Committed, Offsets, Place};

pub(crate) use clock::Clock;
use configs::GroupConfigs;
use rules::Rules;
use slot::{Delivery, Slot};
use timers::Agenda;
use topics::{Topics, TopicsLook};

/// The groups and their commits.
pub(crate) struct Groups {
    slots: Arc<Mutex<Slots>>,
    pub(crate) offsets: Offsets,
    writer: Arc<Writer>,
    pub(crate) configs: Arc<GroupConfigs>,
    log: EventLog,
    topics: TopicsLook,
    clock: Clock,
    rules: Rules,
    /// Wakes the timer when something may become due earlier than it knows of.
    timer: Arc<Notify>,
}

/// Every group in memory, and when something is due in each.
#[derive(Default)]
struct Slots {
    by_id: HashMap<String, Slot>,
    agenda: Agenda,
}

impl Groups {
    /// Folds the commits and the groups as they were kept.
    pub(crate) fn open(log: EventLog, options: &KafkaOptions) -> Result<Groups, BrokerError> {
        let clock = Clock::set();
        let rules = Rules {
            classic: classic::Rules {
                members_max: options.group_members_max,
                initial_delay_ms: options.group_initial_delay.as_millis() as u64,
            },
            consumer: consumer::Rules {
                members_max: options.group_members_max,
                session_ms: options.group_consumer_session.as_millis() as u64,
                heartbeat_ms: options.group_consumer_heartbeat.as_millis() as u64,
                assignment_interval_ms: options.group_consumer_assignment_interval.as_millis() as u64,
            },
            share: consumer::Rules {
                members_max: options.group_share_members_max,
                session_ms: options.group_share_session.as_millis() as u64,
                heartbeat_ms: options.group_share_heartbeat.as_millis() as u64,
                assignment_interval_ms: 0,
            },
            offsets_retention_ms: options.offsets_retention.as_millis() as u64,
            expiry_interval_ms: options.offsets_check_interval.as_millis() as u64,
        };
        let kept = ledger::read(&log)?;
        let configs = GroupConfigs::restore(kept.configs);
        let mut slots = Slots::default();
        for (group_id, (group, members)) in kept.groups {
            let Some(group) = group else { continue };
            let of_group = configs.rules(&group_id, rules);
            let slot = Slot::restore(&group_id, group, members, &of_group, clock.now_ms())?;
            slots.agenda.set(&group_id, slot.due_ms());
            slots.by_id.insert(group_id, slot);
        }
        Ok(Groups {
            slots: Arc::new(Mutex::new(slots)),
            offsets: Offsets::open(log.clone(), clock)?,
            writer: Writer::new(log.clone(), GROUPS_STREAM),
            configs: Arc::new(configs),
            log,
            topics: TopicsLook::default(),
            clock,
            rules,
            timer: Arc::default(),
        })
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// How a group is bounded.
    fn rules_of(&self, group_id: &str) -> Rules {
        self.configs.rules(group_id, self.rules)
    }

    /// The topics as they are, or, unless `now` is asked for, as they were a moment ago.
    pub(crate) fn topics(&self, now: bool) -> Arc<Topics> {
        self.topics.at(&self.log, self.now_ms(), now)
    }

    /// The group's place, made where there is none and `make` says of what kind.
    fn slot<'a>(
        &self,
        slots: &'a mut MutexGuard<'_, Slots>,
        group_id: &str,
        make: impl FnOnce() -> Slot,
    ) -> Result<&'a mut Slot, ResponseError> {
        if !slots.by_id.contains_key(group_id) {
            if slots.by_id.len() >= GROUPS_MAX {
                return Err(ResponseError::CoordinatorNotAvailable);
            }
            slots.by_id.insert(group_id.to_owned(), make());
        }
        slots.by_id.get_mut(group_id).ok_or(ResponseError::UnknownServerError)
    }

    /// After a step of a group: writes down what it changed, lets the replies go when that is durable, and notes what is due next.
    fn settle(&self, slots: &mut Slots, group_id: &str, deliveries: Vec<Delivery>) {
        let Some(slot) = slots.by_id.get_mut(group_id) else {
            return;
        };
        if slot.speaks_classic() {
            slot.downgrade(&self.rules, &self.topics(false), self.now_ms());
        }
        let changes = slot.take_changes();
        slots.agenda.set(group_id, slot.due_ms());
        self.timer.notify_one();
        if changes.is_empty() {
            return deliver(deliveries, Ok(()));
        }
        let events = match slot.events(group_id, &changes, self.clock.now_ms()) {
            Ok(events) => events,
            Err(error) => {
                tracing::error!("the state of group '{group_id}' cannot be written: {error}");
                slot.unsaved.merge(changes);
                return deliver(deliveries, Err(Unwritten::Failed));
            }
        };
        let (slots, timer, clock) = (Arc::clone(&self.slots), Arc::clone(&self.timer), self.clock);
        let group_id = group_id.to_owned();
        self.writer.write(events, move |outcome| {
            let mut slots = slots.lock();
            if let Some(slot) = slots.by_id.get_mut(&group_id) {
                slot.wrote(changes, outcome, clock.now_ms());
                let due_ms = slot.due_ms();
                slots.agenda.set(&group_id, due_ms);
                timer.notify_one();
            }
            drop(slots);
            deliver(deliveries, outcome);
        });
    }
}

/// Whether a group may have this name.
pub(crate) fn check_group_id(group_id: &str) -> Result<(), ResponseError> {
    match group_id.is_empty() || group_id.len() > GROUP_ID_BYTES_MAX {
        true => Err(ResponseError::InvalidGroupId),
        false => Ok(()),
    }
}

/// Lets replies go, or tells those who wait that nothing came of it.
fn deliver(deliveries: Vec<Delivery>, outcome: Result<(), Unwritten>) {
    for delivery in deliveries {
        delivery.send(outcome);
    }
}

#[cfg(test)]
mod tests;
