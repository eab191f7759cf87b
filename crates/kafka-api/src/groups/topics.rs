//! The topics there are, as groups see them: looked at once for all groups, and again when they may have changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use headwater_eventlog::EventLog;
use parking_lot::Mutex;

use crate::limits::{GROUP_PATTERNS_KEPT_MAX, GROUP_TOPICS_AGE_MS_MAX};
use crate::own_streams::is_internal;
use crate::patterns;

/// One topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) id: u128,
    pub(crate) partitions: u32,
}

/// Every topic at one moment.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    /// Grows with every change of what follows.
    pub(crate) version: u64,
    by_name: BTreeMap<String, Topic>,
    names: HashMap<u128, String>,
    /// What patterns choose of them: worked out once, and shared by all who have the same.
    chosen: Mutex<HashMap<String, Arc<BTreeSet<String>>>>,
}

impl Topics {
    /// What a table of names says.
    pub(crate) fn of(version: u64, by_name: BTreeMap<String, Topic>) -> Topics {
        let names = by_name.iter().map(|(name, topic)| (topic.id, name.clone())).collect();
        Topics {
            version,
            by_name,
            names,
            chosen: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Topic> {
        self.by_name.get(name).copied()
    }

    /// The name of the topic with an id.
    pub(crate) fn name(&self, id: u128) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// The names that a pattern chooses, or what is wrong with it. The program's own are only read by name.
    pub(crate) fn chosen_by(&self, pattern: &str) -> Result<Arc<BTreeSet<String>>, String> {
        if let Some(chosen) = self.chosen.lock().get(pattern) {
            return Ok(Arc::clone(chosen));
        }
        let compiled = patterns::of_names(pattern)?;
        let names = self.by_name.keys().filter(|name| !is_internal(name));
        let chosen: BTreeSet<String> = names
            .filter(|name| compiled.is_match(name.as_bytes()))
            .cloned()
            .collect();
        let chosen = Arc::new(chosen);
        let mut known = self.chosen.lock();
        if known.len() >= GROUP_PATTERNS_KEPT_MAX {
            known.clear();
        }
        known.insert(pattern.to_owned(), Arc::clone(&chosen));
        Ok(chosen)
    }

    /// Whether it is known what a pattern chooses.
    pub(crate) fn knows(&self, pattern: &str) -> bool {
        self.chosen.lock().contains_key(pattern)
    }
}

/// The newest look at the topics.
#[derive(Debug, Default)]
pub(super) struct TopicsLook {
    last: Mutex<(u64, Arc<Topics>)>,
}

impl TopicsLook {
    /// The topics as they are, or, unless `now` is asked for, as they were a moment ago.
    pub(super) fn at(&self, log: &EventLog, now_ms: u64, now: bool) -> Arc<Topics> {
        let mut last = self.last.lock();
        if !now && last.1.version > 0 && now_ms < last.0 + GROUP_TOPICS_AGE_MS_MAX {
            return Arc::clone(&last.1);
        }
        let mut by_name: BTreeMap<String, Topic> = BTreeMap::new();
        for stream in log.streams() {
            let topic = Topic {
                id: stream.id,
                partitions: stream.partitions,
            };
            by_name.insert(stream.name, topic);
        }
        last.0 = now_ms;
        if by_name != last.1.by_name || last.1.version == 0 {
            last.1 = Arc::new(Topics::of(last.1.version + 1, by_name));
        }
        Arc::clone(&last.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_chooses_is_shared_and_bounded() {
        let topic = |name: &str, id| (name.to_owned(), Topic { id, partitions: 1 });
        let all = [topic("orders", 1), topic("bills", 2), topic("_headwater.orders", 3)];
        let topics = Topics::of(1, BTreeMap::from(all));
        let chosen = topics.chosen_by(".*orders|bills").unwrap();
        assert_eq!(*chosen, BTreeSet::from(["bills".to_owned(), "orders".to_owned()]));
        let again = topics.chosen_by(".*orders|bills").unwrap();
        assert!(topics.knows(".*orders|bills") && Arc::ptr_eq(&chosen, &again));
        assert!(topics.chosen_by("(").is_err() && !topics.knows("("));
        for number in 0..=GROUP_PATTERNS_KEPT_MAX {
            topics.chosen_by(&format!("t{number}")).unwrap();
            assert!(topics.chosen.lock().len() <= GROUP_PATTERNS_KEPT_MAX);
        }
    }
}
