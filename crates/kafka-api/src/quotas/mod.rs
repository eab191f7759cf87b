//! Client quotas: how many bytes a second users and client ids may write and read, kept as events of `_headwater.quotas`.
//!
//! ```text
//! key    [["client-id","billing"],["user",null]]      null: everyone who has no quota of their own
//! value  {"producer_byte_rate":1048576.0}             none: no quota
//! ```
//!
//! Who wrote or read more is answered at once, told for how long it is muted, and not heard for so long (KIP-219). Which quota
//! holds for whom, and who shares it, is Kafka's rule (KIP-55): `precedence` below.
//!
//! Invariants
//! - A change is answered, and counts, once its event is durable.
//! - What is counted for whom is bounded: the longest silent are forgotten first.

mod rate;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use headwater_eventlog::{Append, EventLog, Part, StreamError, StreamSettings};
use headwater_records::{Batch, Compression, Event};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::limits::{QUOTA_COUNTERS_MAX, QUOTA_ENTITIES_MAX};
use crate::own_streams::{BrokerError, QUOTAS_STREAM};
use rate::Rate;

const READ_BYTES: usize = 1 << 20;

/// The kinds of clients that quotas speak of.
pub(crate) const USER: &str = "user";
pub(crate) const CLIENT_ID: &str = "client-id";
pub(crate) const IP: &str = "ip";

/// The quotas that are kept to.
pub(crate) const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub(crate) const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";

/// Whom a quota is for: kinds with a name each, `None` for everyone without a quota of their own.
pub(crate) type Entity = BTreeMap<String, Option<String>>;

/// The quotas of one entity, by name.
pub(crate) type Limits = BTreeMap<String, f64>;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    Written,
    Read,
}

/// Every quota there is, and what was counted.
pub(crate) struct Quotas {
    log: EventLog,
    limits: RwLock<BTreeMap<Entity, Limits>>,
    /// Held from the look to the fold.
    changing: tokio::sync::Mutex<()>,
    /// Where there are no quotas nothing is counted.
    any: AtomicBool,
    counters: Mutex<HashMap<Shared, Counter>>,
}

/// Who shares a quota: the user, the client id, or one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Shared {
    user: Option<String>,
    client_id: Option<String>,
    direction: Direction,
}

struct Counter {
    rate: Rate,
    used: Instant,
}

impl Quotas {
    /// Folds the stream from its beginning (blocking: called before the door opens).
    pub(crate) fn open(log: EventLog) -> Result<Quotas, BrokerError> {
        match log.create_stream(QUOTAS_STREAM, 1, StreamSettings::default()) {
            Ok(_) | Err(StreamError::Exists(_)) => {}
            Err(why) => {
                let stream = QUOTAS_STREAM;
                return Err(BrokerError::Create { stream, why });
            }
        }
        let quotas = Quotas {
            log,
            limits: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            any: AtomicBool::new(false),
            counters: Mutex::default(),
        };
        let unreadable = |error: &dyn std::fmt::Display| BrokerError::Read {
            stream: QUOTAS_STREAM,
            why: error.to_string(),
        };
        let mut next = 0;
        loop {
            let read = quotas.log.read(QUOTAS_STREAM, 0, next, READ_BYTES);
            let batches = read.map_err(|error| unreadable(&error))?;
            let Some(last) = batches.last() else { break };
            next = last.batch.next_offset();
            for stored in &batches {
                let events = stored.batch.events().map_err(|error| unreadable(&error))?;
                for (_, event) in events {
                    let (entity, limits) = decode(&event).map_err(|error| unreadable(&error))?;
                    quotas.fold(entity, limits);
                }
            }
        }
        Ok(quotas)
    }

    /// Every entity with its quotas.
    pub(crate) fn all(&self) -> Vec<(Entity, Limits)> {
        let limits = self.limits.read();
        limits
            .iter()
            .map(|(entity, limits)| (entity.clone(), limits.clone()))
            .collect()
    }

    /// Whether one more entity may have quotas, or this one has some already.
    pub(crate) fn has_room_for(&self, entity: &Entity) -> bool {
        let limits = self.limits.read();
        limits.len() < QUOTA_ENTITIES_MAX || limits.contains_key(entity)
    }

    /// Sets (or, with `None`, takes away) quotas of one entity; durable and kept to when this returns.
    pub(crate) async fn alter(
        &self,
        entity: Entity,
        changes: &[(String, Option<f64>)],
        principal: &str,
    ) -> Result<(), String> {
        let _changing = self.changing.lock().await;
        let mut limits = self.limits.read().get(&entity).cloned().unwrap_or_default();
        for (name, value) in changes {
            match value {
                Some(value) => limits.insert(name.clone(), *value),
                None => limits.remove(name),
            };
        }
        let event = encode(&entity, &limits).map_err(|error| error.to_string())?;
        let append = Append {
            parts: vec![Part {
                stream: QUOTAS_STREAM.to_owned(),
                partition: 0,
                batch: Batch::encode(&[event], Compression::None, None),
            }],
            principal: principal.to_owned(),
            condition: None,
        };
        self.log.append(append).await.map_err(|error| error.to_string())?;
        self.fold(entity, limits);
        Ok(())
    }

    fn fold(&self, entity: Entity, limits: Limits) {
        let mut all = self.limits.write();
        match limits.is_empty() {
            true => all.remove(&entity),
            false => all.insert(entity, limits),
        };
        self.any.store(!all.is_empty(), Ordering::Release);
    }

    /// The most bytes that one answer should have, so that it can be within its reader's quota.
    pub(crate) fn read_max(&self, user: &str, client_id: &str) -> Option<usize> {
        let (_, limit) = self.limit(user, client_id, Direction::Read)?;
        Some((limit * rate::WINDOW.as_secs_f64()).min(usize::MAX as f64) as usize)
    }

    /// Counts bytes, and says for how long the client is muted.
    pub(crate) fn count(
        &self,
        user: &str,
        client_id: &str,
        direction: Direction,
        bytes: usize,
        now: Instant,
    ) -> Duration {
        let Some((shared, limit)) = self.limit(user, client_id, direction) else {
            return Duration::ZERO;
        };
        let mut counters = self.counters.lock();
        if counters.len() >= QUOTA_COUNTERS_MAX && !counters.contains_key(&shared) {
            forget_silent(&mut counters);
        }
        let counter = counters.entry(shared).or_insert_with(|| Counter {
            rate: Rate::new(now),
            used: now,
        });
        counter.used = now;
        counter.rate.count(bytes as f64, now);
        counter.rate.over(limit, now)
    }

    /// The quota that holds for a client, and who shares it.
    fn limit(&self, user: &str, client_id: &str, direction: Direction) -> Option<(Shared, f64)> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let name = match direction {
            Direction::Written => PRODUCER_BYTE_RATE,
            Direction::Read => CONSUMER_BYTE_RATE,
        };
        let limits = self.limits.read();
        precedence(user, client_id)
            .into_iter()
            .find_map(|(entity, by_user, by_client)| {
                let limit = limits.get(&entity)?.get(name)?;
                let shared = Shared {
                    user: by_user.then(|| user.to_owned()),
                    client_id: by_client.then(|| client_id.to_owned()),
                    direction,
                };
                Some((shared, *limit))
            })
    }
}

/// Where a client's quota is looked for, the first that is there counts; and whether those of one user, or of one client id, share it.
fn precedence(user: &str, client_id: &str) -> [(Entity, bool, bool); 8] {
    let named = |name: &str| Some(name.to_owned());
    let entity = |user: Option<Option<String>>, client_id: Option<Option<String>>| -> Entity {
        let user = user.map(|name| (USER.to_owned(), name));
        let client_id = client_id.map(|name| (CLIENT_ID.to_owned(), name));
        user.into_iter().chain(client_id).collect()
    };
    [
        (entity(Some(named(user)), Some(named(client_id))), true, true),
        (entity(Some(named(user)), Some(None)), true, true),
        (entity(Some(named(user)), None), true, false),
        (entity(Some(None), Some(named(client_id))), true, true),
        (entity(Some(None), Some(None)), true, true),
        (entity(Some(None), None), true, false),
        (entity(None, Some(named(client_id))), false, true),
        (entity(None, Some(None)), false, true),
    ]
}

/// Forgets the longest silent half.
fn forget_silent(counters: &mut HashMap<Shared, Counter>) {
    let mut used: Vec<Instant> = counters.values().map(|counter| counter.used).collect();
    used.sort_unstable();
    if let Some(middle) = used.get(used.len() / 2) {
        counters.retain(|_, counter| counter.used > *middle);
    }
}

fn encode(entity: &Entity, limits: &Limits) -> Result<Event, serde_json::Error> {
    let pairs: Vec<(&String, &Option<String>)> = entity.iter().collect();
    let value = match limits.is_empty() {
        true => None,
        false => Some(Bytes::from(serde_json::to_vec(limits)?)),
    };
    Ok(Event {
        key: Some(Bytes::from(serde_json::to_vec(&pairs)?)),
        value,
        headers: Vec::new(),
        timestamp_ms: -1,
    })
}

fn decode(event: &Event) -> Result<(Entity, Limits), serde_json::Error> {
    let pairs: Vec<(String, Option<String>)> = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
    let limits = match &event.value {
        Some(value) => serde_json::from_slice(value)?,
        None => Limits::new(),
    };
    Ok((pairs.into_iter().collect(), limits))
}

#[cfg(test)]
mod tests {
    use headwater_eventlog::LogOptions;
    use headwater_host::Host;

    use super::*;

    fn entity(user: Option<&str>, client_id: Option<&str>) -> Entity {
        // "*" stands for everyone.
        let name = |name: &str| (name != "*").then(|| name.to_owned());
        let user = user.map(|user| (USER.to_owned(), name(user)));
        let client_id = client_id.map(|client_id| (CLIENT_ID.to_owned(), name(client_id)));
        user.into_iter().chain(client_id).collect()
    }

    fn open(folder: &std::path::Path) -> Quotas {
        let (log, _) = EventLog::open(Host::real(), folder, LogOptions::default()).unwrap();
        Quotas::open(log).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_nearest_quota_counts_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let quotas = open(folder.path());
        let set = async |entity: Entity, limit: Option<f64>| {
            let change = [(PRODUCER_BYTE_RATE.to_owned(), limit)];
            quotas.alter(entity, &change, "ann").await.unwrap();
        };
        let check = |quotas: &Quotas, user: &str, client_id: &str, expected: Option<f64>| {
            let found = quotas.limit(user, client_id, Direction::Written);
            assert_eq!(found.map(|(_, limit)| limit), expected, "{user} {client_id}");
        };
        check(&quotas, "u", "c", None);
        for (limit, user, client_id) in [
            (8.0, None, Some("*")),
            (7.0, None, Some("c")),
            (6.0, Some("*"), None),
            (5.0, Some("*"), Some("*")),
            (4.0, Some("*"), Some("c")),
            (3.0, Some("u"), None),
            (2.0, Some("u"), Some("*")),
            (1.0, Some("u"), Some("c")),
        ] {
            set(entity(user, client_id), Some(limit)).await;
            check(&quotas, "u", "c", Some(limit));
        }
        check(&quotas, "u", "d", Some(2.0));
        check(&quotas, "v", "c", Some(4.0));
        check(&quotas, "v", "d", Some(5.0));
        assert_eq!(quotas.limit("u", "c", Direction::Read), None);
        set(entity(Some("u"), Some("c")), None).await;
        check(&quotas, "u", "c", Some(2.0));
        let all = quotas.all();
        assert_eq!(all.len(), 7);
        drop(quotas);
        assert_eq!(open(folder.path()).all(), all);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_shares_a_quota_is_counted_together_and_counters_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let quotas = open(folder.path());
        let change = [(PRODUCER_BYTE_RATE.to_owned(), Some(10.0))];
        quotas.alter(entity(Some("*"), None), &change, "ann").await.unwrap();
        let now = Instant::now();
        let count =
            |user: &str, client_id: &str, bytes: usize| quotas.count(user, client_id, Direction::Written, bytes, now);
        // One user's clients share 10 bytes a second over 10 seconds.
        assert_eq!(count("u", "a", 60), Duration::ZERO);
        assert_eq!(count("u", "b", 40), Duration::ZERO);
        assert_eq!(count("u", "b", 50), Duration::from_secs(5));
        assert_eq!(count("v", "b", 40), Duration::ZERO);
        assert_eq!(quotas.count("u", "a", Direction::Read, 1 << 30, now), Duration::ZERO);
        for number in 0..2 * QUOTA_COUNTERS_MAX {
            let later = now + Duration::from_millis(number as u64);
            quotas.count(&format!("u{number}"), "a", Direction::Written, 1, later);
            assert!(quotas.counters.lock().len() <= QUOTA_COUNTERS_MAX);
        }
    }
}
