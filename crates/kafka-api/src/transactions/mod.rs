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

use headwater_eventlog::{Append, AppendError, AppendOutcome, Appended, EventLog};
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{Notify, RwLock, oneshot};

use crate::groups::{Clock, Offsets};
use crate::limits::{TRANSACTION_REFUSED_MAX, TRANSACTIONAL_IDS_MAX};
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
    /// The first sequence in each partition that was not taken and is sent again: the log had no room for it, or the partition was not added yet.
    refused: Mutex<HashMap<Place, i32>>,
    /// Whether it was forgotten: who waited for the gate looks for the id anew.
    is_gone: AtomicBool,
}

impl Entry {
    fn new(id: &str, state: Option<Transaction>) -> Arc<Entry> {
        Arc::new(Entry {
            id: id.to_owned(),
            gate: RwLock::new(()),
            state: Mutex::new(state),
            refused: Mutex::default(),
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

    /// Whether a batch comes before its turn: one before it is to be sent again first.
    fn is_early(&self, place: &Place, sequence: i32) -> bool {
        let refused = self.refused.lock();
        refused.get(place).is_some_and(|first| sequence > *first)
    }

    /// Notes what became of a batch, as far as it is known.
    fn note(&self, place: &Place, sequence: i32, answered: Option<&Result<Appended, AppendError>>) {
        match answered {
            Some(Err(AppendError::Full { .. })) => self.refuse(place, sequence),
            Some(Err(_)) => {}
            _ => {
                let mut refused = self.refused.lock();
                if refused.get(place) == Some(&sequence) {
                    refused.remove(place);
                }
            }
        }
    }

    fn refuse(&self, place: &Place, sequence: i32) {
        let mut refused = self.refused.lock();
        if refused.len() < TRANSACTION_REFUSED_MAX || refused.contains_key(place) {
            let first = refused.entry(place.clone()).or_insert(sequence);
            *first = sequence.min(*first);
        }
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
        let sequence = sequence_of(&append);
        {
            let _open = entry.gate.read().await;
            let is_open = entry.may_write(who, place)?;
            // Each epoch has one transaction (KIP-890): whoever has nothing in a partition begins there with its first sequence.
            if adds && sequence != 0 && !self.log.knows_producer(who.0, place.stream_id, place.partition) {
                return Err(ResponseError::OutOfOrderSequenceNumber);
            }
            if is_open {
                return self.hand_over(&entry, place, append).await;
            }
        }
        if !adds {
            entry.refuse(place, sequence);
            return Err(ResponseError::InvalidTxnState);
        }
        let _alone = entry.gate.write().await;
        let added = Added {
            places: vec![place.clone()],
            ..Added::default()
        };
        let Some(step) = entry.now()?.add(who, &added, self.now_ms())? else {
            return self.hand_over(&entry, place, append).await;
        };
        append.parts.push(append::event_part(&entry.id, Some(&step.next))?);
        let (outcome, answered) = look(self.log.submit(append).await);
        // What is refused is answered at once, before it is sequenced: then nothing was added.
        if !matches!(answered, Some(Err(_))) {
            self.store(&entry, step.next);
        }
        Ok(outcome)
    }

    /// Hands a batch to the log that may be written, where it is its turn.
    async fn hand_over(&self, entry: &Entry, place: &Place, append: Append) -> Result<AppendOutcome, ResponseError> {
        let sequence = sequence_of(&append);
        if entry.is_early(place, sequence) {
            return Err(ResponseError::OutOfOrderSequenceNumber);
        }
        let (outcome, answered) = look(self.log.submit(append).await);
        entry.note(place, sequence, answered.as_ref());
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
        if !is_open {
            entry.refused.lock().clear();
        }
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

/// The sequence number that a batch of a transaction begins with.
fn sequence_of(append: &Append) -> i32 {
    let producer = append.parts.first().and_then(|part| part.batch.producer());
    producer.map_or(0, |producer| producer.base_sequence)
}

/// An outcome, and what was answered at once, where it was.
fn look(mut outcome: AppendOutcome) -> (AppendOutcome, Option<Result<Appended, AppendError>>) {
    let Ok(answered) = outcome.try_recv() else {
        return (outcome, None);
    };
    let (reply, outcome) = oneshot::channel();
    let _ = reply.send(answered.clone());
    (outcome, Some(answered))
}

#[cfg(test)]
mod tests {
    use headwater_eventlog::{LogOptions, Part, StreamSettings};
    use headwater_host::Host;
    use headwater_host::simulated::Simulation;
    use headwater_records::{Batch, Compression, Event, Producer};

    use super::*;
    use crate::{OFFSETS_STREAM, full_disk};

    const COMES: Init = Init {
        given: None,
        timeout_ms: 1_000,
    };

    fn batch_of((id, epoch): Identity, base_sequence: i32) -> Append {
        let producer = Producer {
            id,
            epoch,
            base_sequence,
        };
        let part = Part {
            stream: "t".to_owned(),
            partition: 0,
            batch: Batch::encode_transactional(&[Event::default()], Compression::None, producer),
        };
        Append {
            parts: vec![part],
            principal: "ann".to_owned(),
            condition: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_comes_behind_a_batch_that_found_no_room_waits_for_it() {
        let machine = Simulation::new(1);
        let log = full_disk::open(&machine);
        for stream in [OFFSETS_STREAM, TRANSACTIONS_STREAM, "t"] {
            log.create_stream(stream, 1, StreamSettings::default()).unwrap();
        }
        let offsets = Offsets::open(log.clone(), Clock::set()).unwrap();
        let transactions = Transactions::open(log.clone(), &offsets).unwrap();
        let who = transactions.init(&offsets, "id", COMES, "ann").await.unwrap();
        let place = Place {
            stream: "t".to_owned(),
            stream_id: log.stream("t").unwrap().id,
            partition: 0,
        };
        let added = Added {
            places: vec![place.clone()],
            ..Added::default()
        };
        transactions.add(&offsets, "id", who, &added, "ann").await.unwrap();
        full_disk::fill(&machine, &log);
        let write = async |sequence| {
            let written = transactions
                .write("id", who, &place, false, batch_of(who, sequence))
                .await;
            written?.await.unwrap().map_err(|_| ResponseError::KafkaStorageError)
        };
        assert_eq!(write(4).await, Err(ResponseError::KafkaStorageError));
        full_disk::make_room(&machine, &log).await;
        assert_eq!(write(5).await, Err(ResponseError::OutOfOrderSequenceNumber));
        assert!(write(4).await.is_ok());
        assert!(write(5).await.is_ok());
    }

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
        let last = transactions.init(&offsets, "the-last", COMES, "ann").await;
        assert!(last.is_ok(), "{last:?}");
        let refused = transactions.init(&offsets, "one-too-many", COMES, "ann").await;
        assert_eq!(refused, Err(ResponseError::CoordinatorNotAvailable));
        // Who is known goes on.
        let again = transactions.init(&offsets, "the-last", COMES, "ann").await;
        assert_eq!(again.map(|(_, epoch)| epoch), Ok(1));
    }
}
