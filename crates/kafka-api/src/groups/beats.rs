//! Heartbeats of the consumer protocol: each finds its group, lets it decide, and is answered when what changed is durable.

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::Groups;
use super::consumer::{Beat, Group, Heartbeat, JOIN, Refusal, Unfit};
use super::slot::{Delivery, Kind, Slot};

impl Groups {
    /// Takes one heartbeat.
    pub(crate) async fn beat(&self, group_id: &str, heartbeat: Heartbeat) -> Result<Beat, Refusal> {
        // Who says what it reads has its topics looked up afresh; all others see a new one a moment later.
        let names_topics = heartbeat.topics.is_some() || heartbeat.regex.is_some();
        let topics = self.topics(names_topics);
        if let Some(pattern) = heartbeat
            .regex
            .clone()
            .filter(|pattern| !pattern.is_empty() && !topics.knows(pattern))
        {
            // Away from the door's thread, and before all groups wait for this one. What is wrong with it is said below.
            let topics = Arc::clone(&topics);
            let _ = tokio::task::spawn_blocking(move || topics.chosen_by(&pattern)).await;
        }
        let (beaten, saved) = {
            let rules = self.rules_of(group_id);
            let mut slots = self.slots.lock();
            if heartbeat.epoch != JOIN && !slots.by_id.contains_key(group_id) {
                return Err(no_group());
            }
            let slot = self
                .slot(&mut slots, group_id, || {
                    Slot::new(Kind::Consumer(Group::new(rules.consumer)))
                })
                .map_err(|code| Refusal::new(code, "there are as many groups as are allowed"))?;
            if heartbeat.epoch == JOIN
                && let Kind::Classic(group) = &slot.kind
                && group.members().next().is_none()
            {
                slot.become_kind(Kind::Consumer(Group::new(rules.consumer)));
            }
            let mut deliveries: Vec<Delivery> = Vec::new();
            if heartbeat.epoch == JOIN && matches!(&slot.kind, Kind::Classic(_)) {
                let upgraded = slot.upgrade(&rules, &topics, self.now_ms());
                deliveries = upgraded.map_err(stays_classic)?;
            }
            let beaten = match &mut slot.kind {
                Kind::Consumer(group) => {
                    group.set_rules(rules.consumer);
                    group.heartbeat(heartbeat, &topics, self.now_ms())
                }
                Kind::Classic(_) | Kind::Share(_) => return Err(no_group()),
            };
            (beaten, self.settle_and_tell(&mut slots, group_id, deliveries))
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
}

fn no_group() -> Refusal {
    Refusal::new(ResponseError::GroupIdNotFound, "there is no such group")
}

fn stays_classic(unfit: Unfit) -> Refusal {
    let why = match unfit {
        Unfit::OtherMembers => "the group's members are no consumers",
        Unfit::Unreadable => {
            "what the group's members said of themselves, or what their leader assigned, cannot be read"
        }
        Unfit::OwnAssignor => {
            "the assignor of the group's members tells them more than what they read, which would be lost: give them one of the client's own"
        }
    };
    Refusal::new(
        ResponseError::GroupIdNotFound,
        format!("{why}; or stop them all before others join with the consumer protocol"),
    )
}
