//! What is kept of groups over restarts: one event for a group and one for each member in the stream of groups, the last one
//! for each counts, none means gone.
//!
//! ```text
//! key    {"group":"billing"}                 value  {"kind":"classic","generation":4,…}
//! key    {"group":"billing","member":"m-1"}  value  {"kind":"classic","assignment":"AAEAAA…",…}
//! key    {"group":"billing","configs":true}  value  {"share.auto.offset.reset":"earliest"}
//! ```

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use headwater_eventlog::EventLog;
use headwater_records::Event;
use serde::{Deserialize, Serialize};

use super::{classic, configs, consumer, share};
use crate::own_streams::{self, BrokerError, GROUPS_STREAM};

/// What is kept of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum StoredGroup {
    Classic(classic::StoredGroup),
    Consumer(consumer::StoredGroup),
    Share(share::StoredGroup),
}

/// What is kept of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum StoredMember {
    Classic(classic::StoredMember),
    Consumer(consumer::StoredMember),
    Share(share::StoredMember),
}

/// Everything that was kept.
#[derive(Default)]
pub(super) struct Kept {
    /// Every group: itself and its members by id.
    pub(super) groups: HashMap<String, (Option<StoredGroup>, BTreeMap<String, StoredMember>)>,
    /// What was set for groups.
    pub(super) configs: HashMap<String, configs::Set>,
}

#[derive(Serialize, Deserialize)]
struct Key {
    group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    configs: bool,
}

/// Reads what was kept.
pub(super) fn read(log: &EventLog) -> Result<Kept, BrokerError> {
    let mut kept = Kept::default();
    own_streams::fold(log, GROUPS_STREAM, |_, event| fold(&mut kept, event))?;
    kept.groups.retain(|_, (group, _)| group.is_some());
    Ok(kept)
}

/// The event of a group, `None` where it is gone.
pub(super) fn group_event(group_id: &str, group: Option<&StoredGroup>, now_ms: u64) -> serde_json::Result<Event> {
    event(&key(group_id, None), group.map(serde_json::to_vec).transpose()?, now_ms)
}

/// The event of a member, `None` where it is gone.
pub(super) fn member_event(
    group_id: &str,
    member_id: &str,
    member: Option<&StoredMember>,
    now_ms: u64,
) -> serde_json::Result<Event> {
    event(
        &key(group_id, Some(member_id)),
        member.map(serde_json::to_vec).transpose()?,
        now_ms,
    )
}

/// The event of what was set for a group, `None` where nothing is.
pub(super) fn configs_event(group_id: &str, set: Option<&configs::Set>, now_ms: u64) -> serde_json::Result<Event> {
    let key = Key {
        group: group_id.to_owned(),
        member: None,
        configs: true,
    };
    event(&key, set.map(serde_json::to_vec).transpose()?, now_ms)
}

fn key(group_id: &str, member_id: Option<&str>) -> Key {
    Key {
        group: group_id.to_owned(),
        member: member_id.map(str::to_owned),
        configs: false,
    }
}

fn event(key: &Key, value: Option<Vec<u8>>, now_ms: u64) -> serde_json::Result<Event> {
    Ok(Event {
        key: Some(Bytes::from(serde_json::to_vec(&key)?)),
        value: value.map(Bytes::from),
        headers: Vec::new(),
        timestamp_ms: now_ms.cast_signed(),
    })
}

fn fold(kept: &mut Kept, event: &Event) -> Result<(), serde_json::Error> {
    let key: Key = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
    if key.configs {
        match &event.value {
            Some(value) => drop(kept.configs.insert(key.group, serde_json::from_slice(value)?)),
            None => drop(kept.configs.remove(&key.group)),
        }
        return Ok(());
    }
    let groups = &mut kept.groups;
    match (key.member, &event.value) {
        (None, Some(value)) => {
            let group = serde_json::from_slice(value)?;
            groups.entry(key.group).or_default().0 = Some(group);
        }
        (None, None) => {
            groups.remove(&key.group);
        }
        (Some(member), Some(value)) => {
            let value = serde_json::from_slice(value)?;
            groups.entry(key.group).or_default().1.insert(member, value);
        }
        (Some(member), None) => {
            if let Some((_, members)) = groups.get_mut(&key.group) {
                members.remove(&member);
            }
        }
    }
    Ok(())
}
