//! What can be set for one group, by Kafka's names: kept in the stream of groups beside the group, which need not be there.

mod table;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use kafka_protocol::ResponseError;
use parking_lot::RwLock;
use tokio::sync::oneshot;

use super::rules::Rules;
use super::{Groups, consumer, ledger};
use crate::limits::GROUPS_MAX;
use crate::options::KafkaOptions;
use crate::own_streams::Unwritten;

pub(crate) use table::*;

/// What was set for one group.
pub(crate) type Set = BTreeMap<String, String>;

/// What was set for every group.
#[derive(Default)]
pub(crate) struct GroupConfigs {
    by_group: RwLock<HashMap<String, Set>>,
}

impl GroupConfigs {
    pub(super) fn restore(by_group: HashMap<String, Set>) -> GroupConfigs {
        GroupConfigs {
            by_group: RwLock::new(by_group),
        }
    }

    /// What was set for a group.
    pub(crate) fn of(&self, group_id: &str) -> Set {
        self.by_group.read().get(group_id).cloned().unwrap_or_default()
    }

    /// How a group is bounded.
    pub(super) fn rules(&self, group_id: &str, rules: Rules) -> Rules {
        let by_group = self.by_group.read();
        let Some(set) = by_group.get(group_id) else {
            return rules;
        };
        let with = |rules: consumer::Rules, session: &str, heartbeat: &str| consumer::Rules {
            session_ms: value(set, session).unwrap_or(rules.session_ms),
            heartbeat_ms: value(set, heartbeat).unwrap_or(rules.heartbeat_ms),
            ..rules
        };
        let interval_ms = value(set, CONSUMER_ASSIGNMENT).unwrap_or(rules.consumer.assignment_interval_ms);
        Rules {
            consumer: consumer::Rules {
                assignment_interval_ms: interval_ms,
                ..with(rules.consumer, CONSUMER_SESSION, CONSUMER_HEARTBEAT)
            },
            share: with(rules.share, SHARE_SESSION, SHARE_HEARTBEAT),
            ..rules
        }
    }
}

/// What something was set to.
pub(crate) fn value<T: FromStr>(set: &Set, name: &str) -> Option<T> {
    set.get(name)?.parse().ok()
}

/// Sets one thing, or, without a value, goes back to what is so where nothing was set.
pub(crate) type Change = (String, Option<String>);

impl Groups {
    /// Whether these changes can be made to what is set for a group; if not, why.
    pub(crate) fn check_configs(
        &self,
        group_id: &str,
        changes: &[Change],
        options: &KafkaOptions,
    ) -> Result<(), String> {
        let mut set = self.configs.of(group_id);
        change(&mut set, changes);
        check(&set, options)
    }

    /// Every group for which something was set.
    pub(crate) fn configured(&self) -> Vec<String> {
        self.configs.by_group.read().keys().cloned().collect()
    }

    /// Makes changes that were checked; durable when this returns.
    pub(crate) async fn configure(&self, group_id: &str, changes: Vec<Change>) -> Result<(), ResponseError> {
        let (sender, saved) = oneshot::channel();
        {
            let mut by_group = self.configs.by_group.write();
            if by_group.len() >= GROUPS_MAX && !by_group.contains_key(group_id) {
                return Err(ResponseError::PolicyViolation);
            }
            let mut set = by_group.get(group_id).cloned().unwrap_or_default();
            change(&mut set, &changes);
            let kept = Some(&set).filter(|set| !set.is_empty());
            let event = ledger::configs_event(group_id, kept, self.now_ms());
            let event = event.map_err(|_| ResponseError::UnknownServerError)?;
            // Under the lock, so that what is written last is what holds.
            self.writer.write(vec![event], move |outcome| {
                let _ = sender.send(outcome.map_err(Unwritten::code));
            });
            match set.is_empty() {
                true => drop(by_group.remove(group_id)),
                false => drop(by_group.insert(group_id.to_owned(), set)),
            }
        }
        saved.await.unwrap_or(Err(ResponseError::UnknownServerError))
    }
}

fn change(set: &mut Set, changes: &[Change]) {
    for (name, value) in changes {
        match value {
            Some(value) => drop(set.insert(name.clone(), value.clone())),
            None => drop(set.remove(name)),
        }
    }
}
