//! What can be set for one group, by Kafka's names: kept in the stream of groups beside the group, which need not be there.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::ResponseError;
use parking_lot::RwLock;
use tokio::sync::oneshot;

use super::{Groups, ledger};
use crate::limits::GROUPS_MAX;
use crate::options::KafkaOptions;
use crate::share_begins::ShareBegins;

/// Where a share group begins that has read nothing yet.
pub(crate) const SHARE_BEGINS: &str = "share.auto.offset.reset";
/// Whether a share group sees events of transactions that are open or were taken back.
pub(crate) const SHARE_ISOLATION: &str = "share.isolation.level";
/// How long a member of a share group has an event.
pub(crate) const SHARE_LOCK: &str = "share.record.lock.duration.ms";

/// The shortest and longest time that a member may have an event: Kafka's bounds.
const SHARE_LOCK_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;

/// The two levels of isolation; the second is Kafka's default.
pub(crate) const READ_COMMITTED: &str = "read_committed";
const READ_UNCOMMITTED: &str = "read_uncommitted";

/// One thing that can be set, and what is so where it was not.
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) default: fn(&KafkaOptions) -> String,
    check: fn(&str) -> Result<(), &'static str>,
}

/// Everything that can be set for a group.
pub(crate) const CONFIGS: [Config; 3] = [
    Config {
        name: SHARE_BEGINS,
        default: |options| options.share_begins.to_string(),
        check: |value| value.parse::<ShareBegins>().map(|_| ()),
    },
    Config {
        name: SHARE_ISOLATION,
        default: |_| READ_UNCOMMITTED.to_owned(),
        check: |value| match value {
            READ_COMMITTED | READ_UNCOMMITTED => Ok(()),
            _ => Err("it is read_committed or read_uncommitted"),
        },
    },
    Config {
        name: SHARE_LOCK,
        default: |options| options.share_lock.as_millis().to_string(),
        check: |value| match value.parse() {
            Ok(milliseconds) if SHARE_LOCK_MS.contains(&milliseconds) => Ok(()),
            _ => Err("it is a number of milliseconds from 1000 to 3600000"),
        },
    },
];

/// What was set for one group.
pub(super) type Set = BTreeMap<String, String>;

/// What was set for every group.
#[derive(Default)]
pub(super) struct GroupConfigs {
    by_group: RwLock<HashMap<String, Set>>,
}

impl GroupConfigs {
    pub(super) fn restore(by_group: HashMap<String, Set>) -> GroupConfigs {
        GroupConfigs {
            by_group: RwLock::new(by_group),
        }
    }
}

/// Sets one thing, or, without a value, goes back to what is so where nothing was set.
pub(crate) type Change = (String, Option<String>);

/// Whether these changes can be made; if not, why.
pub(crate) fn check(changes: &[Change]) -> Result<(), String> {
    for (name, value) in changes {
        let Some(config) = CONFIGS.iter().find(|config| config.name == name) else {
            let names = CONFIGS.map(|config| config.name).join(", ");
            return Err(format!("a group has no configuration '{name}' here; it has {names}"));
        };
        if let Some(value) = value {
            (config.check)(value).map_err(|why| format!("{name} cannot be '{value}': {why}"))?;
        }
    }
    Ok(())
}

impl Groups {
    /// What was set for a group.
    pub(crate) fn configs(&self, group_id: &str) -> BTreeMap<String, String> {
        self.configs.by_group.read().get(group_id).cloned().unwrap_or_default()
    }

    /// One thing that was set for a group.
    pub(crate) fn config(&self, group_id: &str, name: &str) -> Option<String> {
        self.configs.by_group.read().get(group_id)?.get(name).cloned()
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
            for (name, value) in changes {
                match value {
                    Some(value) => drop(set.insert(name, value)),
                    None => drop(set.remove(&name)),
                }
            }
            let kept = Some(&set).filter(|set| !set.is_empty());
            let event = ledger::configs_event(group_id, kept, self.now_ms());
            let event = event.map_err(|_| ResponseError::UnknownServerError)?;
            // Under the lock, so that what is written last is what holds.
            self.writer.write(vec![event], move |outcome| {
                let _ = sender.send(outcome);
            });
            match set.is_empty() {
                true => drop(by_group.remove(group_id)),
                false => drop(by_group.insert(group_id.to_owned(), set)),
            }
        }
        saved.await.unwrap_or(Err(ResponseError::UnknownServerError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_can_be_set() {
        let taken = |name: &str, value: Option<&str>| check(&[(name.to_owned(), value.map(str::to_owned))]);
        assert_eq!(taken(SHARE_BEGINS, Some("earliest")), Ok(()));
        assert_eq!(taken(SHARE_BEGINS, None), Ok(()));
        let refused = |name: &str, value: &str, part: &str| {
            let why = taken(name, Some(value)).unwrap_err();
            assert!(why.contains(part), "{why}");
        };
        assert_eq!(taken(SHARE_BEGINS, Some("by_duration:PT1H")), Ok(()));
        refused(SHARE_BEGINS, "by_duration:P1Y", "earliest, latest, or by_duration");
        assert_eq!(taken(SHARE_ISOLATION, Some(READ_COMMITTED)), Ok(()));
        refused(SHARE_ISOLATION, "serializable", "read_committed or");
        for (value, fits) in [("999", false), ("1000", true), ("3600000", true), ("3600001", false)] {
            assert_eq!(taken(SHARE_LOCK, Some(value)).is_ok(), fits, "{value}");
        }
        refused("share.renew.acknowledge.enable", "true", "it has share.auto");
    }
}
