//! Fetch sessions (KIP-227): a client names its partitions once, later requests and answers only what changed.
//!
//! ```text
//! request: session, epoch           what it means                        answer
//! 0 or any, -1                      end the session; no new one          every partition asked for, session 0
//! 0 or any,  0                      end the session; begin another       every partition asked for, the new session (0: no place for one)
//! session,   n                      the n-th of this session             the partitions with news, the same session
//! ```
//!
//! Invariants
//! - A session's list changes only under the lock, and only for the request that has the session's epoch.
//! - The number of sessions and of all their partitions together is bounded: who finds no place is answered without a session, which every client understands.
//! - Partitions whose events were sent go to the end of the list, so that a full answer begins with another partition each time.

mod listing;
mod partition;

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::{FETCH_SESSION_AGE_MIN, FETCH_SESSION_PARTITIONS_MAX};
use listing::Listing;

pub(crate) use partition::{Told, TopicKey, Wanted};

const NO_SESSION: i32 = 0;
const EPOCH_INITIAL: i32 = 0;
const EPOCH_FINAL: i32 = -1;

/// What one request asks for.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) topics: Vec<TopicKey>,
    pub(crate) wanted: Vec<Wanted>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Every partition is answered, and nothing is kept.
    Sessionless,
    /// Every partition is answered, and a session begins.
    Full,
    /// What has news is answered; `places` are those of the wanted partitions in the session's list.
    Incremental { id: i32, epoch: i32, places: Vec<u32> },
}

/// All sessions.
pub(crate) struct FetchSessions {
    slots: usize,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    sessions: HashMap<i32, Session>,
    partitions: usize,
    last_id: i32,
}

struct Session {
    /// The epoch that the next request must have.
    epoch: i32,
    by_id: bool,
    begun: Instant,
    used: Instant,
    listing: Listing,
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> FetchSessions {
        FetchSessions {
            slots,
            cache: Mutex::default(),
        }
    }

    /// What a request asks for, in the order in which it is to be read. An error is the answer's, of the request as a whole.
    pub(crate) fn open(&self, request: &FetchRequest, by_id: bool, now: Instant) -> Result<Plan, ResponseError> {
        let mut cache = self.cache.lock();
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch == EPOCH_INITIAL || epoch == EPOCH_FINAL {
            cache.remove(id);
            let kind = if epoch == EPOCH_FINAL {
                Kind::Sessionless
            } else {
                Kind::Full
            };
            return Ok(plan(&request.topics, by_id, kind));
        }
        let session = cache
            .sessions
            .get_mut(&id)
            .ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        let before = session.listing.len();
        session.merge(&request.topics, &request.forgotten_topics_data);
        let after = session.listing.len();
        session.epoch = epoch_after(epoch);
        session.used = now;
        let (topics, wanted, places) = session.listing.plan();
        cache.partitions = cache.partitions + after - before;
        if after == 0 {
            cache.remove(id);
            let kind = Kind::Sessionless;
            return Ok(Plan { topics, wanted, kind });
        }
        if cache.partitions > FETCH_SESSION_PARTITIONS_MAX {
            // The client begins anew and, finding no place, goes on without a session.
            cache.remove(id);
            return Err(ResponseError::FetchSessionIdNotFound);
        }
        let kind = Kind::Incremental {
            id,
            epoch: epoch_after(epoch),
            places,
        };
        Ok(Plan { topics, wanted, kind })
    }

    /// Notes what the client is told (one for each wanted partition, in their order), begins the session where one is to begin, and strikes from
    /// `told` what need not be said again. Gives the session's id for the answer.
    pub(crate) fn close(&self, plan: &Plan, told: &mut [Option<Told>], now: Instant) -> Result<i32, ResponseError> {
        let mut cache = self.cache.lock();
        match &plan.kind {
            Kind::Sessionless => Ok(NO_SESSION),
            Kind::Full => Ok(cache.begin(plan, told, self.slots, now)),
            Kind::Incremental { id, epoch, places } => {
                // Another request of the session may have come in between, on another connection.
                let session = cache
                    .sessions
                    .get_mut(id)
                    .ok_or(ResponseError::FetchSessionIdNotFound)?;
                if session.epoch != *epoch {
                    return Err(ResponseError::InvalidFetchSessionEpoch);
                }
                session.used = now;
                session.listing.tell(places, told);
                Ok(*id)
            }
        }
    }
}

impl Cache {
    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.listing.len();
        }
    }

    /// Begins a session; [`NO_SESSION`] where there is no place.
    fn begin(&mut self, plan: &Plan, told: &mut [Option<Told>], slots: usize, now: Instant) -> i32 {
        if !self.make_place(plan.wanted.len(), slots, now) {
            return NO_SESSION;
        }
        let mut listing = Listing::default();
        let mut places: Vec<u32> = Vec::with_capacity(plan.wanted.len());
        for wanted in &plan.wanted {
            if let Some(topic) = plan.topics.get(wanted.topic as usize) {
                places.push(listing.put(topic, *wanted));
            }
        }
        listing.note(&places, told);
        self.partitions += listing.len();
        let id = self.free_id();
        let by_id = matches!(plan.topics.first(), Some(TopicKey::Id(_)));
        let session = Session {
            epoch: epoch_after(EPOCH_INITIAL),
            by_id,
            begun: now,
            used: now,
            listing,
        };
        self.sessions.insert(id, session);
        id
    }

    /// Ends another session where that is needed and fair (Kafka's rules): one that was silent for long, or a smaller one that is not new.
    fn make_place(&mut self, partitions: usize, slots: usize, now: Instant) -> bool {
        let is_free = |cache: &Cache| {
            cache.sessions.len() < slots && cache.partitions + partitions <= FETCH_SESSION_PARTITIONS_MAX
        };
        if partitions == 0 || slots == 0 {
            return false;
        }
        if is_free(self) {
            return true;
        }
        let silent = self.sessions.iter().min_by_key(|(_, session)| session.used);
        let silent = silent.filter(|(_, session)| now.duration_since(session.used) > FETCH_SESSION_AGE_MIN);
        let is_old = |session: &Session| now.duration_since(session.begun) > FETCH_SESSION_AGE_MIN;
        let smallest = || {
            let old = self.sessions.iter().filter(|(_, session)| is_old(session));
            let smallest = old.min_by_key(|(_, session)| session.listing.len());
            smallest.filter(|(_, session)| session.listing.len() < partitions)
        };
        let ended = silent.or_else(smallest).map(|(id, _)| *id);
        if let Some(id) = ended {
            self.remove(id);
        }
        is_free(self)
    }

    /// Ids are given out in turn: an answer that was lost never meets a younger session of the same id by chance.
    fn free_id(&mut self) -> i32 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.sessions.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

impl Session {
    fn merge(&mut self, topics: &[FetchTopic], forgotten: &[ForgottenTopic]) {
        for topic in topics {
            let key = topic_key(topic, self.by_id);
            for partition in &topic.partitions {
                self.listing.put(&key, wanted(0, partition));
            }
        }
        for topic in forgotten {
            let key = match self.by_id {
                true => TopicKey::Id(topic.topic_id),
                false => TopicKey::Name(Arc::from(topic.topic.as_str())),
            };
            for partition in &topic.partitions {
                self.listing.forget(&key, *partition);
            }
        }
        if !forgotten.is_empty() {
            self.listing.sweep();
        }
    }
}

fn plan(topics: &[FetchTopic], by_id: bool, kind: Kind) -> Plan {
    let mut keys: Vec<TopicKey> = Vec::with_capacity(topics.len());
    let mut all: Vec<Wanted> = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            all.push(wanted(keys.len() as u32, partition));
        }
        keys.push(topic_key(topic, by_id));
    }
    Plan {
        topics: keys,
        wanted: all,
        kind,
    }
}

fn topic_key(topic: &FetchTopic, by_id: bool) -> TopicKey {
    match by_id {
        true => TopicKey::Id(topic.topic_id),
        // Copied: a slice would keep the whole frame.
        false => TopicKey::Name(Arc::from(topic.topic.as_str())),
    }
}

fn wanted(topic: u32, asked: &FetchPartition) -> Wanted {
    Wanted {
        topic,
        partition: asked.partition,
        offset: asked.fetch_offset,
        bytes_max: asked.partition_max_bytes,
        leader_epoch: asked.current_leader_epoch,
        last_fetched_epoch: asked.last_fetched_epoch,
    }
}

/// 1 follows the largest.
fn epoch_after(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
