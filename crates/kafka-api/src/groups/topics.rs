//! The topics there are, as groups see them: looked at once for all groups, and again when they may have changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use headwater_eventlog::EventLog;
use parking_lot::Mutex;

use crate::limits::GROUP_TOPICS_AGE_MS_MAX;
use crate::own_streams::is_internal;

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
}

impl Topics {
    /// What a table of names says.
    pub(crate) fn of(version: u64, by_name: BTreeMap<String, Topic>) -> Topics {
        let names = by_name.iter().map(|(name, topic)| (topic.id, name.clone())).collect();
        Topics {
            version,
            by_name,
            names,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Topic> {
        self.by_name.get(name).copied()
    }

    /// The name of the topic with an id.
    pub(crate) fn name(&self, id: u128) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// The topics that a pattern may choose: the program's own are only read by name.
    pub(crate) fn choosable(&self) -> impl Iterator<Item = &str> {
        let names = self.by_name.keys().map(String::as_str);
        names.filter(|name| !is_internal(name))
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
