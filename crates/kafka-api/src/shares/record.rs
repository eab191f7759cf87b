//! The deliveries of a partition as an event of the stream of shares: the last one for each counts, none means forgotten.
//!
//! ```text
//! key    {"group":"billing","stream_id":"8a3…","partition":0}
//! value  {"start":5,"runs":[[5,9,"available",1],[10,10,"acknowledged",1]]}
//! ```
//!
//! What somebody holds is written as available: after a restart nobody holds anything.

use bytes::Bytes;
use headwater_records::Event;
use serde::{Deserialize, Serialize};

use super::deliveries::{Deliveries, Run, State};
use super::session::Place;

/// A partition of a stream, as a group reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) group: String,
    pub(super) stream_id: u128,
    pub(super) partition: u32,
}

impl Key {
    pub(super) fn of(group_id: &str, place: Place) -> Key {
        Key {
            group: group_id.to_owned(),
            stream_id: place.0,
            partition: place.1,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    group: String,
    stream_id: String,
    partition: u32,
}

#[derive(Serialize, Deserialize)]
struct Value {
    start: u64,
    runs: Vec<(u64, u64, StoredState, u16)>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredState {
    Available,
    Acknowledged,
    Archived,
}

/// The event of a partition's deliveries, `None` where they are forgotten.
pub(super) fn write(key: &Key, deliveries: Option<&Deliveries>, now_ms: u64) -> serde_json::Result<Event> {
    let stored = StoredKey {
        group: key.group.clone(),
        stream_id: format!("{:032x}", key.stream_id),
        partition: key.partition,
    };
    let value = deliveries.map(|deliveries| {
        let run = |(first, run): (u64, &Run)| {
            let state = match run.state {
                State::Available | State::Acquired { .. } => StoredState::Available,
                State::Acknowledged => StoredState::Acknowledged,
                State::Archived => StoredState::Archived,
            };
            (first, run.last, state, run.count)
        };
        Value {
            start: deliveries.start(),
            runs: deliveries.runs().map(run).collect(),
        }
    });
    Ok(Event {
        key: Some(Bytes::from(serde_json::to_vec(&stored)?)),
        value: value
            .map(|value| serde_json::to_vec(&value))
            .transpose()?
            .map(Bytes::from),
        headers: Vec::new(),
        timestamp_ms: now_ms.cast_signed(),
    })
}

/// What an event says.
pub(super) fn read(event: &Event) -> serde_json::Result<(Key, Option<Deliveries>)> {
    let stored: StoredKey = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
    let stream_id = u128::from_str_radix(&stored.stream_id, 16).map_err(serde::de::Error::custom)?;
    let key = Key {
        group: stored.group,
        stream_id,
        partition: stored.partition,
    };
    let Some(value) = &event.value else {
        return Ok((key, None));
    };
    let value: Value = serde_json::from_slice(value)?;
    let run = |(first, last, state, count): (u64, u64, StoredState, u16)| {
        let state = match state {
            StoredState::Available => State::Available,
            StoredState::Acknowledged => State::Acknowledged,
            StoredState::Archived => State::Archived,
        };
        (first, Run { last, state, count })
    };
    Ok((
        key,
        Some(Deliveries::restore(value.start, value.runs.into_iter().map(run))),
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shares::deliveries::{Found, Limit, Rules, Verdict, Verdicts};

    #[test]
    fn what_is_held_comes_back_free() {
        let rules = Rules {
            lock_ms: 1,
            deliveries_max: 5,
            window: 100,
        };
        let key = Key {
            group: "g".to_owned(),
            stream_id: 7,
            partition: 3,
        };
        let all = Limit {
            events: 100,
            is_strict: false,
        };
        let batch = Found {
            first: 5,
            last: 20,
            is_empty: false,
        };
        let mut deliveries = Deliveries::new(5);
        deliveries.look_at(&[batch], rules);
        deliveries.acquire(&Arc::from("m"), &[batch], all, rules, 0);
        let verdicts = Verdicts {
            first: 8,
            last: 9,
            verdicts: vec![Verdict::Accept, Verdict::Reject],
        };
        deliveries.acknowledge("m", &[verdicts], rules, 0).unwrap();
        let event = write(&key, Some(&deliveries), 0).unwrap();
        let (read_key, restored) = read(&event).unwrap();
        assert_eq!(read_key, key);
        let mut restored = restored.unwrap();
        deliveries.release_all_of("m", rules);
        assert_eq!(restored, deliveries);
        let again = restored.acquire(&Arc::from("n"), &[batch], all, rules, 0);
        let counts: Vec<(u64, u64, u16)> = again.iter().map(|got| (got.first, got.last, got.count)).collect();
        assert_eq!(counts, [(5, 7, 2), (10, 20, 2)]);
        assert_eq!(read(&write(&key, None, 0).unwrap()).unwrap(), (key, None));
    }
}
