//! Gives events to members of share groups, and waits where there are none to give.

use std::sync::Arc;
use std::time::Duration;

use headwater_eventlog::{EventLog, ReadError, StoredBatch};
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::deliveries::{Acquired, Deliveries, Found, Limit};
use super::record::Key;
use super::session::{Owner, Place};
use super::{Rules, Shares};
use crate::limits::{SHARE_READ_BYTES, SHARE_TRIES_MAX};
use crate::share_begins::ShareBegins;

/// What a member asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) limit: Limit,
    pub(crate) bytes_max: usize,
    pub(crate) wait: Duration,
    pub(crate) terms: Terms,
}

/// What holds for a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Where it begins.
    pub(crate) begins: ShareBegins,
    /// Whether it sees only events that count: none of a transaction that is open or was taken back.
    pub(crate) committed: bool,
    /// Whether a member may hold on to what it has.
    pub(crate) renews: bool,
    /// How deliveries are bounded.
    pub(crate) rules: Rules,
}

/// A partition to fetch from.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// The stream's name, where it is there.
    pub(crate) stream: Option<String>,
}

/// What it is given of one partition.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) place: Place,
    pub(crate) given: Result<Given, ResponseError>,
}

/// Events, and the batches that they stand in.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) acquired: Vec<Acquired>,
    pub(crate) batches: Vec<StoredBatch>,
}

impl Shares {
    /// Begins or goes on with a session: its partitions in their turn.
    pub(crate) fn open_fetch(
        &self,
        owner: &Owner,
        connection: u64,
        epoch: i32,
        added: impl IntoIterator<Item = Place>,
        forgotten: &[Place],
    ) -> Result<Vec<Place>, ResponseError> {
        if epoch == super::session::FIRST {
            // Whoever begins anew has forgotten what it held.
            self.end(owner);
        }
        self.sessions.lock().fetch(owner, connection, epoch, added, forgotten)
    }

    /// Gives a member events of these partitions, or waits until there are some. A partition that gives nothing is not answered.
    pub(crate) async fn fetch(&self, owner: &Owner, targets: &[Target], wanted: &Wanted) -> Vec<Fetched> {
        let deadline = Instant::now() + wanted.wait;
        let mut commits = self.log.commits();
        let mut freed = self.freed.subscribe();
        loop {
            commits.mark_unchanged();
            freed.mark_unchanged();
            let fetched = self.fetch_once(owner, targets, wanted).await;
            if !fetched.is_empty() || Instant::now() >= deadline {
                return fetched;
            }
            let due = self
                .next_due(&owner.0, targets)
                .map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                _ = commits.changed() => {}
                _ = freed.changed() => {}
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    async fn fetch_once(&self, owner: &Owner, targets: &[Target], wanted: &Wanted) -> Vec<Fetched> {
        let mut fetched: Vec<Fetched> = Vec::new();
        let (mut events, mut bytes) = (0, 0);
        for target in targets {
            if events >= wanted.limit.events || (bytes >= wanted.bytes_max && events > 0) {
                break;
            }
            let left = Wanted {
                limit: Limit {
                    events: wanted.limit.events - events,
                    ..wanted.limit
                },
                bytes_max: (wanted.bytes_max - bytes.min(wanted.bytes_max)).clamp(1, SHARE_READ_BYTES),
                wait: Duration::ZERO,
                terms: wanted.terms,
            };
            let given = self.take(owner, target, &left).await;
            if let Ok(given) = &given {
                if given.acquired.is_empty() {
                    continue;
                }
                events += given
                    .acquired
                    .iter()
                    .map(|acquired| acquired.last - acquired.first + 1)
                    .sum::<u64>();
                bytes += given
                    .batches
                    .iter()
                    .map(|stored| stored.batch.bytes().len())
                    .sum::<usize>();
            }
            fetched.push(Fetched {
                place: target.place,
                given,
            });
        }
        fetched
    }

    /// Takes events of one partition. Between looking where they are and taking them others may have been faster.
    async fn take(&self, owner: &Owner, target: &Target, wanted: &Wanted) -> Result<Given, ResponseError> {
        let key = Key::of(&owner.0, target.place);
        let stream = target.stream.as_deref().ok_or(ResponseError::UnknownTopicId)?;
        let deliveries = self.deliveries(&key, stream, wanted.terms.begins).await?;
        let rules = wanted.terms.rules;
        let member: Arc<str> = Arc::from(owner.1.as_str());
        for _ in 0..SHARE_TRIES_MAX {
            let Some(from) = self.look(&key, stream, &deliveries, rules)? else {
                return Ok(Given::default());
            };
            let batches = self.read(stream, target.place.1, from, wanted).await?;
            if batches.is_empty() {
                return Ok(Given::default());
            }
            let acquired = self.acquire(&key, &deliveries, &member, &batches, wanted.limit, rules);
            if !acquired.is_empty() {
                let holds = |stored: &StoredBatch| {
                    let (first, next) = (stored.batch.base_offset(), stored.batch.next_offset());
                    acquired.iter().any(|got| got.first < next && got.last >= first)
                };
                let batches = batches.into_iter().filter(holds).collect();
                return Ok(Given { acquired, batches });
            }
        }
        Ok(Given::default())
    }

    /// Looks at what was read, and gives the member of it. Markers and emptied batches are passed by.
    fn acquire(
        &self,
        key: &Key,
        deliveries: &Mutex<Deliveries>,
        member: &Arc<str>,
        batches: &[StoredBatch],
        limit: Limit,
        rules: Rules,
    ) -> Vec<Acquired> {
        let found = batches.iter().map(|stored| Found {
            first: stored.batch.base_offset(),
            last: stored.batch.next_offset() - 1,
            is_empty: stored.batch.is_control() || stored.batch.event_count() == 0,
        });
        let found: Vec<Found> = found.collect();
        let mut deliveries = deliveries.lock();
        if deliveries.look_at(&found, rules) {
            drop(self.write(key, Some(&deliveries)));
        }
        deliveries.acquire(member, &found, limit, rules, self.clock.now_ms())
    }

    /// Where the next event to give stands, after what was held too long or is no longer there was let go.
    fn look(
        &self,
        key: &Key,
        stream: &str,
        deliveries: &Mutex<Deliveries>,
        rules: Rules,
    ) -> Result<Option<u64>, ResponseError> {
        let offsets = self.log.offsets(stream, key.partition);
        let offsets = offsets.ok_or(ResponseError::UnknownTopicOrPartition)?;
        let mut deliveries = deliveries.lock();
        let expired = deliveries.expire(rules, self.clock.now_ms());
        let moved = deliveries.start_at_least(offsets.start);
        if expired || moved {
            drop(self.write(key, Some(&deliveries)));
        }
        let next = deliveries.next(rules);
        Ok(next.filter(|next| *next < offsets.high_watermark))
    }

    /// Batches from an offset on.
    async fn read(
        &self,
        stream: &str,
        partition: u32,
        from: u64,
        wanted: &Wanted,
    ) -> Result<Vec<StoredBatch>, ResponseError> {
        let (name, bytes_max) = (stream.to_owned(), wanted.bytes_max);
        let read = match wanted.terms.committed {
            true => self.ask(move |log| log.read(&name, partition, from, bytes_max)).await,
            false => {
                let stored = move |log: &EventLog| log.read_stored(&name, partition, from, u64::MAX, bytes_max);
                self.ask(stored).await
            }
        };
        Ok(read?.unwrap_or_default())
    }

    /// Asks the log where it may have to look on the disk; nothing where the offset is not there any more.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&EventLog) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<Option<T>, ResponseError> {
        let log = self.log.clone();
        match tokio::task::spawn_blocking(move || question(&log)).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(ReadError::OutOfRange { .. })) => Ok(None),
            Ok(Err(ReadError::Unknown { .. })) => Err(ResponseError::UnknownTopicOrPartition),
            // The log says it itself, and not for every fetch.
            Ok(Err(ReadError::Damaged { .. })) => Err(ResponseError::KafkaStorageError),
            Ok(Err(error)) => {
                tracing::error!("a share group's fetch failed: {error}");
                Err(ResponseError::KafkaStorageError)
            }
            Err(_) => Err(ResponseError::KafkaStorageError),
        }
    }

    /// When something that is held becomes free.
    fn next_due(&self, group_id: &str, targets: &[Target]) -> Option<Instant> {
        let now_ms = self.clock.now_ms();
        let due = targets.iter().filter_map(|target| {
            let deliveries = self.known(&Key::of(group_id, target.place))?;
            deliveries.lock().due_ms()
        });
        let due_ms = due.min()?;
        Some(Instant::now() + Duration::from_millis(due_ms.saturating_sub(now_ms).max(1)))
    }
}
