//! The coordinator of transactions: which producer may write as which transactional id, and what its transaction has touched.
//!
//! ```text
//! transaction.rs decides: a pure state machine, from what is asked and a moment to the next state
//! events.rs      the state of an id as an event
//! append.rs      a step as one append: the id's event, the groups' offsets, a marker in every partition
//! timers.rs      aborts what takes too long, forgets ids that nobody uses
//! here           carries out: one step of an id at a time, durable before it is answered
//! ```
//!
//! Invariants
//! - A batch of a transaction enters the log only while the transaction is open and has its partition; its end cannot come in between.
//! - A transaction ends with one append. Whoever reads the state of an id from the stream and the log finds the same.

mod append;
mod events;
mod timers;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_eventlog::{Append, AppendError, AppendOutcome, EventLog};
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{Notify, RwLock, oneshot};

use crate::groups::{Clock, Offsets};
use crate::limits::TRANSACTIONAL_IDS_MAX;
use crate::own_streams::{self, BrokerError, TRANSACTIONS_STREAM};

pub(crate) use transaction::{Added, Identity, Init, Place, Transaction};
use transaction::{Step, needs_producer_id};

/// Every transactional id.
pub(crate) struct Transactions {
    log: EventLog,
    clock: Clock,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    /// Those whose transaction is open.
    open: Mutex<HashMap<String, Arc<Entry>>>,
    /// Wakes the timer when a transaction begins.
    timer: Notify,
}

/// One transactional id.
struct Entry {
    id: String,
    /// Held for writing while a step is made durable, for reading while a batch is handed to the log.
    gate: RwLock<()>,
    state: Mutex<Option<Transaction>>,
    /// Whether it was forgotten: who waited for the gate looks for the id anew.
    is_gone: AtomicBool,
}

impl Entry {
    fn new(id: &str, state: Option<Transaction>) -> Arc<Entry> {
        Arc::new(Entry {
            id: id.to_owned(),
            gate: RwLock::new(()),
            state: Mutex::new(state),
            is_gone: AtomicBool::new(false),
        })
    }

    fn now(&self) -> Result<Transaction, ResponseError> {
        self.state.lock().clone().ok_or(ResponseError::InvalidProducerIdMapping)
    }

    /// Whether the open transaction of this producer has a partition.
    fn may_write(&self, who: Identity, place: &Place) -> Result<bool, ResponseError> {
        let state = self.state.lock();
        let now = state.as_ref().ok_or(ResponseError::InvalidProducerIdMapping)?;
        now.check(who)?;
        Ok(now.holds(place))
    }
}

impl Transactions {
    /// Folds the stream of transactions; what is open goes on, its time running since it began.
    pub(crate) fn open(log: EventLog, offsets: &Offsets) -> Result<Transactions, BrokerError> {
        let mut states: HashMap<String, Transaction> = HashMap::new();
        own_streams::fold(&log, TRANSACTIONS_STREAM, |_, event| {
            match events::decode(event)? {
                (id, Some(state)) => states.insert(id, state),
                (id, None) => states.remove(&id),
            };
            Ok(())
        })?;
        let transactions = Transactions {
            log,
            clock: Clock::set(),
            entries: Mutex::default(),
            open: Mutex::default(),
            timer: Notify::new(),
        };
        for (id, state) in states {
            let entry = Entry::new(&id, None);
            transactions.entries.lock().insert(id, Arc::clone(&entry));
            transactions.keep(&entry, state, offsets);
        }
        Ok(transactions)
    }

    /// What is known of an id.
    pub(crate) fn look(&self, id: &str) -> Option<Transaction> {
        self.find(id).ok().and_then(|entry| entry.now().ok())
    }

    /// Every id with what is known of it, by id.
    pub(crate) fn list(&self) -> Vec<(String, Transaction)> {
        let entries: Vec<Arc<Entry>> = self.entries.lock().values().cloned().collect();
        let known = entries
            .iter()
            .filter_map(|entry| Some((entry.id.clone(), entry.now().ok()?)));
        let mut listed: Vec<(String, Transaction)> = known.collect();
        listed.sort_by(|one, other| one.0.cmp(&other.0));
        listed
    }

    /// A producer comes: who it is from now on.
    pub(crate) async fn init(
        &self,
        offsets: &Offsets,
        id: &str,
        init: Init,
        principal: &str,
    ) -> Result<Identity, ResponseError> {
        loop {
            let entry = self.find_or_make(id)?;
            let _alone = entry.gate.write().await;
            if entry.is_gone.load(Ordering::Acquire) {
                continue;
            }
            let known = entry.state.lock().clone();
            let new_producer_id = match needs_producer_id(known.as_ref(), &init) {
                true => Some(self.new_producer_id().await?),
                false => None,
            };
            let step = transaction::init(known.as_ref(), init, new_producer_id, self.now_ms())?;
            return self.carry_out(offsets, &entry, step, principal).await;
        }
    }

    /// Adds to a producer's transaction, beginning one where none is open.
    pub(crate) async fn add(
        &self,
        offsets: &Offsets,
        id: &str,
        who: Identity,
        added: &Added,
        principal: &str,
    ) -> Result<(), ResponseError> {
        let entry = self.find(id)?;
        let _alone = entry.gate.write().await;
        let step = entry.now()?.add(who, added, self.now_ms())?;
        self.carry_out(offsets, &entry, step, principal).await.map(|_| ())
    }

    /// Ends a producer's transaction; who it is from now on, which is the same as before unless it asks for a new epoch.
    pub(crate) async fn end(
        &self,
        offsets: &Offsets,
        id: &str,
        who: Identity,
        committed: bool,
        new_epoch: bool,
        principal: &str,
    ) -> Result<Identity, ResponseError> {
        let entry = self.find(id)?;
        let _alone = entry.gate.write().await;
        let now = entry.now()?;
        let step = match new_epoch {
            false => now.end_as(who, committed, self.now_ms())?,
            true => {
                let new_producer_id = match now.needs_producer_id_after() {
                    true => Some(self.new_producer_id().await?),
                    false => None,
                };
                now.end_with_new_epoch(who, committed, new_producer_id, self.now_ms())?
            }
        };
        self.carry_out(offsets, &entry, step, principal).await
    }

    /// Aborts a producer's transaction, where one is open, and fences the producer: an administrator asks for it.
    pub(crate) async fn take_back(
        &self,
        offsets: &Offsets,
        who: Identity,
        principal: &str,
    ) -> Result<(), ResponseError> {
        let open: Vec<Arc<Entry>> = self.open.lock().values().cloned().collect();
        let is_theirs = |entry: &&Arc<Entry>| entry.now().is_ok_and(|now| now.producer_id == who.0);
        if let Some(entry) = open.iter().find(is_theirs) {
            let _alone = entry.gate.write().await;
            let now = entry.now()?;
            if now.epoch != who.1 {
                return Err(ResponseError::InvalidProducerEpoch);
            }
            let step = now.take_back(self.now_ms());
            self.carry_out(offsets, entry, step, principal).await?;
        }
        Ok(())
    }

    /// Hands a batch of a producer's transaction to the log. Where `adds` is set, a partition that the transaction does not have yet becomes
    /// part of it in the same append; the batch stands first in it.
    pub(crate) async fn write(
        &self,
        id: &str,
        who: Identity,
        place: &Place,
        adds: bool,
        mut append: Append,
    ) -> Result<AppendOutcome, ResponseError> {
        let entry = self.find(id)?;
        {
            let _open = entry.gate.read().await;
            if entry.may_write(who, place)? {
                return Ok(self.log.submit(append).await);
            }
        }
        if !adds {
            return Err(ResponseError::InvalidTxnState);
        }
        let _alone = entry.gate.write().await;
        let added = Added {
            places: vec![place.clone()],
            ..Added::default()
        };
        let Some(step) = entry.now()?.add(who, &added, self.now_ms())? else {
            return Ok(self.log.submit(append).await);
        };
        append.parts.push(append::event_part(&entry.id, Some(&step.next))?);
        let mut outcome = self.log.submit(append).await;
        let Ok(answered) = outcome.try_recv() else {
            self.store(&entry, step.next);
            return Ok(outcome);
        };
        // What is refused is answered at once, before it is sequenced: then nothing was added.
        if answered.is_ok() {
            self.store(&entry, step.next);
        }
        let (reply, outcome) = oneshot::channel();
        let _ = reply.send(answered);
        Ok(outcome)
    }

    /// Makes a step durable and then known; who the producer is then.
    async fn carry_out(
        &self,
        offsets: &Offsets,
        entry: &Arc<Entry>,
        step: Option<Step>,
        principal: &str,
    ) -> Result<Identity, ResponseError> {
        let Some(step) = step else {
            return entry.now().map(|now| now.identity());
        };
        loop {
            let (append, commits) = append::of_step(&self.log, offsets, &entry.id, &step, principal)?;
            match self.log.append(append).await {
                Ok(appended) => {
                    // The id's own event stands first, the offsets after it.
                    let mut base_offsets = appended.base_offsets.iter().skip(1).copied();
                    for (events, parts) in &commits {
                        let bases: Vec<u64> = base_offsets.by_ref().take(*parts).collect();
                        offsets.landed(events, &bases);
                    }
                    break;
                }
                // A stream was dropped just now: there is no need of a marker in it.
                Err(AppendError::Unknown { .. }) => {}
                Err(error) => {
                    tracing::error!(id = entry.id, "a step of a transaction was not written: {error}");
                    return Err(match error {
                        AppendError::Stopped { .. } => ResponseError::KafkaStorageError,
                        // There may be room again: the client finds the coordinator anew and tries again.
                        AppendError::Full { .. } => ResponseError::CoordinatorNotAvailable,
                        _ => ResponseError::UnknownServerError,
                    });
                }
            }
        }
        let identity = step.next.identity();
        if let Some(end) = &step.end {
            offsets.release(end.producer_id);
        }
        self.keep(entry, step.next, offsets);
        Ok(identity)
    }

    /// Makes a state known, and what its transaction holds.
    fn keep(&self, entry: &Arc<Entry>, state: Transaction, offsets: &Offsets) {
        for (group, commit) in state.open().into_iter().flat_map(|open| &open.offsets) {
            let place = (commit.stream.clone(), commit.partition);
            offsets.hold(state.producer_id, group, [place]);
        }
        self.store(entry, state);
    }

    fn store(&self, entry: &Arc<Entry>, state: Transaction) {
        let is_open = state.open().is_some();
        *entry.state.lock() = Some(state);
        let mut open = self.open.lock();
        let was_open = match is_open {
            true => open.insert(entry.id.clone(), Arc::clone(entry)).is_some(),
            false => open.remove(&entry.id).is_some(),
        };
        drop(open);
        if is_open && !was_open {
            self.timer.notify_one();
        }
    }

    fn find(&self, id: &str) -> Result<Arc<Entry>, ResponseError> {
        let entries = self.entries.lock();
        entries.get(id).cloned().ok_or(ResponseError::InvalidProducerIdMapping)
    }

    fn find_or_make(&self, id: &str) -> Result<Arc<Entry>, ResponseError> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(id) {
            return Ok(Arc::clone(entry));
        }
        if entries.len() >= TRANSACTIONAL_IDS_MAX {
            tracing::warn!(
                "a transactional id was refused: {TRANSACTIONAL_IDS_MAX} are in use, as many as are allowed"
            );
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let entry = Entry::new(id, None);
        entries.insert(id.to_owned(), Arc::clone(&entry));
        Ok(entry)
    }

    async fn new_producer_id(&self) -> Result<i64, ResponseError> {
        let log = self.log.clone();
        let id = tokio::task::spawn_blocking(move || log.new_producer_id()).await;
        match id {
            Ok(Ok(id)) => Ok(id),
            Ok(Err(error)) => {
                tracing::error!("no producer id: {error}");
                Err(ResponseError::KafkaStorageError)
            }
            Err(_) => Err(ResponseError::KafkaStorageError),
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms().cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use headwater_eventlog::{LogOptions, StreamSettings};
    use headwater_host::Host;

    use super::*;
    use crate::OFFSETS_STREAM;

    #[tokio::test(flavor = "multi_thread")]
    async fn transactional_ids_on_both_sides_of_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let opening = tokio::task::spawn_blocking(move || {
            let (log, _) = EventLog::open(Host::real(), &path, LogOptions::default()).unwrap();
            for stream in [OFFSETS_STREAM, TRANSACTIONS_STREAM] {
                log.create_stream(stream, 1, StreamSettings::default()).unwrap();
            }
            let offsets = Offsets::open(log.clone(), Clock::set()).unwrap();
            let transactions = Transactions::open(log, &offsets).unwrap();
            (offsets, transactions)
        });
        let (offsets, transactions) = opening.await.unwrap();
        {
            let mut entries = transactions.entries.lock();
            for number in 0..TRANSACTIONAL_IDS_MAX - 1 {
                let id = format!("id-{number}");
                entries.insert(id.clone(), Entry::new(&id, None));
            }
        }
        let comes = Init {
            given: None,
            timeout_ms: 1_000,
        };
        let last = transactions.init(&offsets, "the-last", comes, "ann").await;
        assert!(last.is_ok(), "{last:?}");
        let refused = transactions.init(&offsets, "one-too-many", comes, "ann").await;
        assert_eq!(refused, Err(ResponseError::CoordinatorNotAvailable));
        // Who is known goes on.
        let again = transactions.init(&offsets, "the-last", comes, "ann").await;
        assert_eq!(again.map(|(_, epoch)| epoch), Ok(1));
    }
}
