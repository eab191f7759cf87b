//! What share groups are given, event by event (KIP-932).
//!
//! ```text
//! deliveries.rs  one partition's events and what became of them: pure
//! session.rs     which partitions a member reads: pure
//! record.rs      deliveries as events of the stream of shares
//! begin.rs       where a group begins to read a stream
//! fetch.rs       gives events to members, waits where there are none
//! here           all deliveries together; verdicts; positions for administrators
//! ```
//!
//! Invariants
//! - A verdict is answered once it is durable; an event that was accepted is not delivered again, also not after a restart.
//! - What a member held when the program stopped is free again.
//! - A session ends with its last request or with its connection, not when its member leaves the group.

mod begin;
mod deliveries;
mod fetch;
mod record;
mod session;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use headwater_eventlog::{EventLog, StreamInfo};
use headwater_records::Event;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::KafkaOptions;
use crate::groups::clock::Clock;
use crate::groups::configs::{self, GroupConfigs, value};
use crate::own_streams::{self, BrokerError, SHARES_STREAM, Unwritten, Writer};
use crate::share_begins::ShareBegins;

pub(crate) use deliveries::{Acquired, Limit, Rules, Verdict, Verdicts};
pub(crate) use fetch::{Fetched, Target, Terms, Wanted};
pub(crate) use session::{FIRST, LAST, Owner, Place};

use deliveries::Deliveries;
use record::Key;
use session::Sessions;

/// Says when what was written is durable.
type Saved = oneshot::Receiver<Result<(), ResponseError>>;

/// How far a group is in a partition that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The first event that is not done with.
    pub(crate) start: u64,
    /// How many events behind it are done with.
    pub(crate) done: u64,
}

/// The deliveries to all share groups.
pub(crate) struct Shares {
    log: EventLog,
    clock: Clock,
    configs: Arc<GroupConfigs>,
    /// What holds for a group for which nothing was set.
    terms: Terms,
    by_key: Mutex<HashMap<Key, Arc<Mutex<Deliveries>>>>,
    sessions: Mutex<Sessions>,
    writer: Arc<Writer>,
    /// Grows when something became free, for those who wait.
    freed: watch::Sender<u64>,
}

impl Shares {
    /// Folds what was kept.
    pub(crate) fn open(
        log: EventLog,
        options: &KafkaOptions,
        configs: Arc<GroupConfigs>,
    ) -> Result<Shares, BrokerError> {
        let mut by_key: HashMap<Key, Arc<Mutex<Deliveries>>> = HashMap::new();
        own_streams::fold(&log, SHARES_STREAM, |_, event| {
            match record::read(event)? {
                (key, Some(deliveries)) => by_key.insert(key, Arc::new(Mutex::new(deliveries))),
                (key, None) => by_key.remove(&key),
            };
            Ok(())
        })?;
        Ok(Shares {
            clock: Clock::set(),
            configs,
            terms: Terms {
                begins: options.share_begins,
                committed: false,
                renews: true,
                rules: Rules {
                    lock_ms: options.share_lock.as_millis() as u64,
                    deliveries_max: options.share_deliveries_max,
                    window: options.share_window,
                },
            },
            by_key: Mutex::new(by_key),
            sessions: Mutex::default(),
            writer: Writer::new(log.clone(), SHARES_STREAM),
            freed: watch::channel(0).0,
            log,
        })
    }

    /// What holds for a group.
    pub(crate) fn terms(&self, group_id: &str) -> Terms {
        let (set, terms) = (self.configs.of(group_id), self.terms);
        let rules = terms.rules;
        Terms {
            begins: value(&set, configs::SHARE_BEGINS).unwrap_or(terms.begins),
            committed: set
                .get(configs::SHARE_ISOLATION)
                .map_or(terms.committed, |level| level == configs::READ_COMMITTED),
            renews: value(&set, configs::SHARE_RENEWS).unwrap_or(terms.renews),
            rules: Rules {
                lock_ms: value(&set, configs::SHARE_LOCK).unwrap_or(rules.lock_ms),
                deliveries_max: value(&set, configs::SHARE_DELIVERIES).unwrap_or(rules.deliveries_max),
                window: value(&set, configs::SHARE_WINDOW).unwrap_or(rules.window),
            },
        }
    }

    /// Takes a member's verdicts on one partition; durable when this returns.
    pub(crate) async fn acknowledge(
        &self,
        owner: &Owner,
        place: Place,
        verdicts: &[Verdicts],
    ) -> Result<(), ResponseError> {
        let key = Key::of(&owner.0, place);
        // What was given of a topic that is gone is nobody's any more.
        if self.log.stream_by_id(key.stream_id).is_none() {
            return Err(ResponseError::UnknownTopicId);
        }
        let Some(deliveries) = self.known(&key) else {
            return Err(ResponseError::InvalidRecordState);
        };
        let Terms { renews, rules, .. } = self.terms(&owner.0);
        if !renews && verdicts.iter().any(|of| of.verdicts.contains(&Verdict::Renew)) {
            return Err(ResponseError::InvalidRecordState);
        }
        let saved = {
            let mut deliveries = deliveries.lock();
            let now_ms = self.clock.now_ms();
            deliveries.expire(rules, now_ms);
            deliveries.acknowledge(&owner.1, verdicts, rules, now_ms)?;
            self.write(&key, Some(&deliveries))
        };
        self.freed.send_modify(|freed| *freed += 1);
        saved.await.unwrap_or(Err(ResponseError::UnknownServerError))
    }

    /// Takes a request that only acknowledges.
    pub(crate) fn step(&self, owner: &Owner, epoch: i32) -> Result<(), ResponseError> {
        match epoch {
            LAST => self.sessions.lock().may_end(owner),
            epoch => self.sessions.lock().acknowledge(owner, epoch),
        }
    }

    /// A member leaves its group. Its session goes on: its last verdicts may be on their way on another connection, and end it.
    pub(crate) fn leave(&self, owner: &Owner) {
        if !self.has_session(owner) {
            self.end(owner);
        }
    }

    /// Whether a member is in a session.
    pub(crate) fn has_session(&self, owner: &Owner) -> bool {
        self.sessions.lock().holds(owner)
    }

    /// A connection is closed, and with it the sessions that were begun on it.
    pub(crate) fn disconnect(&self, connection: u64) {
        let owners = self.sessions.lock().of_connection(connection);
        for owner in owners {
            self.end(&owner);
        }
    }

    /// A member is done or gone: what it holds is free again.
    pub(crate) fn end(&self, owner: &Owner) {
        self.sessions.lock().end(owner);
        let rules = self.terms(&owner.0).rules;
        for (key, deliveries) in self.of_group(&owner.0) {
            let mut deliveries = deliveries.lock();
            if deliveries.release_all_of(&owner.1, rules) {
                // Nobody waits for it: what is not written is free after a restart all the same.
                drop(self.write(&key, Some(&deliveries)));
            }
        }
        self.freed.send_modify(|freed| *freed += 1);
    }

    /// How far a group is in each partition that it has read.
    pub(crate) fn standings(&self, group_id: &str) -> BTreeMap<Place, Standing> {
        let of_group = self.of_group(group_id).into_iter();
        let standing = |(key, deliveries): (Key, Arc<Mutex<Deliveries>>)| {
            let deliveries = deliveries.lock();
            let (start, done) = (deliveries.start(), deliveries.done());
            ((key.stream_id, key.partition), Standing { start, done })
        };
        of_group.map(standing).collect()
    }

    /// Sets where a group goes on in a partition; durable when this returns. Where it has not read the stream yet, it begins in all others as it would by
    /// reading.
    pub(crate) async fn set_start(
        &self,
        group_id: &str,
        stream: &StreamInfo,
        partition: u32,
        begins: ShareBegins,
        start: u64,
    ) -> Result<(), ResponseError> {
        let key = Key::of(group_id, (stream.id, partition));
        self.deliveries(&key, &stream.name, begins).await?;
        let new = Deliveries::new(start);
        let saved = self.write(&key, Some(&new));
        self.by_key.lock().insert(key, Arc::new(Mutex::new(new)));
        saved.await.unwrap_or(Err(ResponseError::UnknownServerError))
    }

    /// Forgets what a group was given of the partitions that `gone` names; durable when this returns.
    pub(crate) async fn forget(&self, group_id: &str, gone: impl Fn(Place) -> bool) -> Result<bool, ResponseError> {
        let mut last: Option<Saved> = None;
        for (key, _) in self.of_group(group_id) {
            if gone((key.stream_id, key.partition)) {
                last = Some(self.write(&key, None));
                self.by_key.lock().remove(&key);
            }
        }
        match last {
            // They are written in order: the last one comes last.
            Some(saved) => saved
                .await
                .unwrap_or(Err(ResponseError::UnknownServerError))
                .map(|()| true),
            None => Ok(false),
        }
    }

    /// Forgets what was given of streams that are gone.
    pub(crate) async fn forget_gone_streams(&self) {
        let streams: HashSet<u128> = self.log.streams().into_iter().map(|stream| stream.id).collect();
        let gone: HashSet<String> = {
            let by_key = self.by_key.lock();
            let keys = by_key.keys().filter(|key| !streams.contains(&key.stream_id));
            keys.map(|key| key.group.clone()).collect()
        };
        for group_id in gone {
            if let Err(code) = self.forget(&group_id, |place| !streams.contains(&place.0)).await {
                tracing::warn!(
                    "what the share group '{group_id}' was given of streams that are gone was not forgotten: {code}"
                );
            }
        }
    }

    fn of_group(&self, group_id: &str) -> Vec<(Key, Arc<Mutex<Deliveries>>)> {
        let by_key = self.by_key.lock();
        let of_group = by_key.iter().filter(|(key, _)| key.group == group_id);
        of_group
            .map(|(key, deliveries)| (key.clone(), Arc::clone(deliveries)))
            .collect()
    }

    fn known(&self, key: &Key) -> Option<Arc<Mutex<Deliveries>>> {
        self.by_key.lock().get(key).cloned()
    }

    /// Writes down what became of a partition's events, after all that was written of it before.
    fn write(&self, key: &Key, deliveries: Option<&Deliveries>) -> Saved {
        self.write_all([(key, deliveries)])
    }

    /// The same of several partitions, in one step.
    fn write_all<'a>(&self, all: impl IntoIterator<Item = (&'a Key, Option<&'a Deliveries>)>) -> Saved {
        let (sender, saved) = oneshot::channel();
        let now_ms = self.clock.now_ms();
        let event = |(key, deliveries)| record::write(key, deliveries, now_ms);
        let events: serde_json::Result<Vec<Event>> = all.into_iter().map(event).collect();
        match events {
            Ok(events) => self.writer.write(events, move |outcome| {
                let _ = sender.send(outcome.map_err(Unwritten::code));
            }),
            Err(error) => {
                tracing::error!("what a share group was given cannot be written: {error}");
                let _ = sender.send(Err(ResponseError::UnknownServerError));
            }
        }
        saved
    }
}

#[cfg(test)]
mod tests;
