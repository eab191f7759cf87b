//! The sequencer, one for the log: it checks an append, assigns offsets and append time, and puts it into the open group.
//!
//! Invariants
//! - Everything here happens under one lock, so that a check and its append are one step.
//! - Groups leave in the order in which they were sequenced; nothing enters after the log stopped.
//! - What failed a condition is durable before the refusal is answered.
//! - Who appends to relaxed streams alone is answered here. The group then waits for company: until somebody waits for its flush, it is
//!   full, or the first in it has waited for as long as its stream allows. Readers see nothing of it before it is flushed.

mod guards;
mod hand;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use headwater_records::{Batch, Position};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::append::checks::{Checks, Found};
use crate::append::journal::format::{BatchEntry, Entry, batch_entry_bytes, definition_bytes, principal_entry_bytes};
use crate::append::producers::{ProducedBatch, ProducerKey, ProducerState, Producers};
use crate::append::{AppendError, Appended, Part};
use crate::entities::index::EntityIndex;
use crate::entities::terms::BatchTerms;
use crate::limits::TRANSACTIONS_OPEN_MAX;
use crate::read::stored::StoredBatch;
use crate::streams::settings::Durability;
use crate::streams::transactions::Turn;
use crate::streams::{Partition, Stream};
use crate::told::ProducerInfo;
use guards::{Look, look_at_guards};
use hand::Company;
pub(crate) use hand::InHand;

/// What the writer is asked to make durable in one step, and who waits for it.
pub(crate) struct Pending {
    pub(crate) entries: Vec<Entry>,
    /// The high watermarks that hold once it is durable.
    pub(crate) watermarks: Vec<(Arc<Partition>, u64)>,
    /// What it does to transactions once it is durable.
    pub(crate) turns: Vec<(Arc<Partition>, Turn)>,
    /// Bytes in the frame, roughly.
    pub(crate) bytes: usize,
    /// What is given back to those who wait at the door.
    pub(crate) permits: u32,
    /// `None` where the answer was given already.
    pub(crate) reply: Option<oneshot::Sender<Result<Appended, AppendError>>>,
    /// What is answered once it is durable.
    pub(crate) answer: Result<Appended, AppendError>,
}

/// The one sequencer.
pub(crate) struct Sequencer {
    state: Mutex<State>,
    filled: Condvar,
    /// How many bytes of entries go into one frame.
    group_bytes_max: usize,
    /// How long those who were answered together are looked out for at most.
    company_max: Duration,
}

struct State {
    producers: Producers,
    principals: HashMap<Arc<str>, u32>,
    appended_at_us: i64,
    open: VecDeque<Pending>,
    /// Bytes of the open group.
    open_bytes: usize,
    /// How long the open group may wait for company; `None`: somebody waits for its flush.
    patience: Option<Duration>,
    /// Whether somebody has a group in hand, or the open one is left to somebody.
    in_hand: bool,
    /// How many groups in a row were one append each that nobody came behind.
    alone: u32,
    /// Whom the next group waits for.
    company: Option<Company>,
    stopped: Option<String>,
    closing: bool,
}

/// What the sequencer answers before the flush.
pub(crate) enum Sequenced {
    /// In the open group.
    Taken,
    /// In the open group, which whoever appends writes.
    Leads,
    /// Refused; nothing of it is in the log.
    Refused(oneshot::Sender<Result<Appended, AppendError>>, AppendError),
    /// A guard is to be shown batches that are no longer in memory.
    NeedsOlder(Box<Waiting>, Older),
    /// The condition is to be asked outside, of entity indexes.
    NeedsAsking(Box<Waiting>),
    /// A stream's entity index is another than the one that the append was prepared for.
    NeedsPreparing(Box<Waiting>),
}

/// An append on its way through the sequencer.
pub(crate) struct Waiting {
    pub(crate) parts: Vec<Part>,
    pub(crate) principal: String,
    pub(crate) checks: Checks,
    /// For each part what goes into its stream's entity index, where it has one.
    pub(crate) prepared: Vec<Option<Prepared>>,
    pub(crate) permits: u32,
    pub(crate) reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// Up to where each guard has looked.
    pub(crate) looked_at: Vec<Position>,
    /// Whether it was taken by another log before: then its producers' sequences are only noted.
    pub(crate) restored: bool,
    /// Whether whoever appends waits for the flush at once, and writes its group where it is alone.
    pub(crate) leads: bool,
}

/// Batches that a guard speaks of and that are no longer in memory.
pub(crate) struct Older {
    /// Which guard.
    pub(crate) guard: usize,
    pub(crate) partition: Arc<Partition>,
    pub(crate) stream: String,
    /// The first offset.
    pub(crate) from: u64,
}

/// What a part puts into an entity index, worked out before.
pub(crate) struct Prepared {
    pub(crate) index: Arc<EntityIndex>,
    pub(crate) terms: BatchTerms,
}

/// Where a part goes, and the batch that it repeats, where it does.
struct Placed {
    partition: Arc<Partition>,
    known: Option<ProducedBatch>,
    /// How long it may wait for its flush, where its stream is relaxed.
    patience: Option<Duration>,
}

impl Sequencer {
    pub(crate) fn new(
        producers: Producers,
        principals: &[Arc<str>],
        appended_at_us: i64,
        group_bytes_max: usize,
        company_max: Duration,
    ) -> Sequencer {
        let principals = principals
            .iter()
            .enumerate()
            .map(|(number, name)| (name.clone(), number as u32))
            .collect();
        Sequencer {
            state: Mutex::new(State {
                producers,
                principals,
                appended_at_us,
                open: VecDeque::new(),
                open_bytes: 0,
                patience: None,
                in_hand: false,
                alone: 0,
                company: None,
                stopped: None,
                closing: false,
            }),
            filled: Condvar::new(),
            group_bytes_max,
            company_max,
        }
    }

    /// Why nothing is taken any more.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.state.lock().stopped.clone()
    }

    /// Refuses what waits and whatever comes; the first reason stays. Says whether this was the first.
    pub(crate) fn stop(&self, why: &str) -> bool {
        let mut state = self.state.lock();
        let first = state.stopped.is_none();
        let why = state.stopped.get_or_insert_with(|| why.to_owned()).clone();
        let waiting = std::mem::take(&mut state.open);
        drop(state);
        self.filled.notify_all();
        for pending in waiting {
            pending.refuse(&why);
        }
        first
    }

    /// Takes nothing any more, and lets the writer end once it has written what waits.
    pub(crate) fn close(&self, why: &str) {
        let mut state = self.state.lock();
        state.closing = true;
        state.stopped.get_or_insert_with(|| why.to_owned());
        drop(state);
        self.filled.notify_all();
    }

    /// What is known of the producers in a partition, by id.
    pub(crate) fn producers(&self, stream: u128, partition: u32) -> Vec<ProducerInfo> {
        let state = self.state.lock();
        let here = state
            .producers
            .iter()
            .filter(|(key, _)| (key.1, key.2) == (stream, partition));
        let mut found: Vec<ProducerInfo> = here
            .map(|((id, _, _), state)| ProducerInfo {
                id: *id,
                epoch: state.epoch,
                last_sequence: state.batches.back().map(|batch| batch.last_sequence),
                heard_at_us: state.heard_at_us,
                open_since: state.open_since,
            })
            .collect();
        drop(state);
        found.sort_unstable_by_key(|producer| producer.id);
        found
    }

    /// Whether anything is known of a producer in a partition.
    pub(crate) fn knows(&self, producer_id: i64, stream: u128, partition: u32) -> bool {
        let state = self.state.lock();
        state.producers.get(&(producer_id, stream, partition)).is_some()
    }

    /// Does something between two appends; it is told when the last event was appended.
    pub(crate) fn between(&self, act: impl FnOnce(i64)) {
        let state = self.state.lock();
        act(state.appended_at_us);
    }

    /// Sequences entries that are no batches, where `still` says so in the same step; says whether it did.
    pub(crate) fn submit_entries(
        &self,
        entries: Vec<Entry>,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
        still: impl FnOnce() -> bool,
    ) -> bool {
        let bytes = entries.iter().map(definition_bytes).sum();
        let state = self.state.lock();
        if let Some(why) = state.stopped.clone() {
            let _ = reply.send(Err(AppendError::Stopped { why }));
            return true;
        }
        if !still() {
            return false;
        }
        let appended = Appended {
            base_offsets: Vec::new(),
            appended_at_us: state.appended_at_us,
            duplicate: false,
        };
        let pending = Pending {
            entries,
            watermarks: Vec::new(),
            turns: Vec::new(),
            bytes,
            permits: 0,
            reply: Some(reply),
            answer: Ok(appended),
        };
        self.put(state, pending, None, false);
        true
    }

    /// Checks an append, and takes it into the open group.
    pub(crate) fn submit(
        &self,
        mut waiting: Waiting,
        now_us: i64,
        stream: impl Fn(&str) -> Option<Arc<Stream>>,
    ) -> Sequenced {
        let mut state = self.state.lock();
        if let Some(why) = state.stopped.clone() {
            return Sequenced::Refused(waiting.reply, AppendError::Stopped { why });
        }
        let placed = match state.place(&waiting.parts, waiting.restored, &stream) {
            Ok(placed) => placed,
            Err(error) => return Sequenced::Refused(waiting.reply, error),
        };
        let leads = waiting.leads;
        let duplicate = is_repeated(&waiting.parts, &placed);
        if !duplicate {
            if !is_prepared(&waiting, &stream) {
                return Sequenced::NeedsPreparing(Box::new(waiting));
            }
            match waiting.checks.look(&stream) {
                Found::Holds => {}
                Found::Fails(error @ AppendError::ConditionFailed(_)) => {
                    let leads = self.put(state, Pending::refusal(waiting, error), None, leads);
                    return Sequenced::taken(leads);
                }
                Found::Fails(error) => return Sequenced::Refused(waiting.reply, error),
                Found::Ask => return Sequenced::NeedsAsking(Box::new(waiting)),
            }
            match look_at_guards(&mut waiting, &stream) {
                Look::Holds => {}
                Look::Refused(error) => return Sequenced::Refused(waiting.reply, error),
                Look::NeedsOlder(older) => return Sequenced::NeedsOlder(Box::new(waiting), older),
            }
        }
        let patience = patience_of(&placed);
        let mut guards = std::mem::take(&mut waiting.checks.guards);
        let mut pending = state.take(waiting, placed, duplicate, now_us);
        if let (false, Ok(appended)) = (duplicate, &pending.answer) {
            for guard in &mut guards {
                guard.taken(&appended.base_offsets);
            }
        }
        if patience.is_some()
            && let Some(reply) = pending.reply.take()
        {
            let _ = reply.send(pending.answer.clone());
        }
        let leads = self.put(state, pending, patience, leads);
        Sequenced::taken(leads)
    }
}

impl Sequenced {
    fn taken(leads: bool) -> Sequenced {
        match leads {
            true => Sequenced::Leads,
            false => Sequenced::Taken,
        }
    }
}

impl Pending {
    /// An append whose condition failed. What is in the way may not be durable yet, and until it is, a crash could take it back: the refusal
    /// waits for the same flush, so that whoever is refused and reads then finds what came in between.
    fn refusal(waiting: Waiting, error: AppendError) -> Pending {
        Pending {
            entries: Vec::new(),
            watermarks: Vec::new(),
            turns: Vec::new(),
            bytes: 0,
            permits: waiting.permits,
            reply: Some(waiting.reply),
            answer: Err(error),
        }
    }

    /// It is durable: answers who waits. Who asked for no acknowledgement does not listen.
    pub(crate) fn acknowledge(self) {
        if let Some(reply) = self.reply {
            let _ = reply.send(self.answer);
        }
    }

    /// It will not be durable: tells who waits.
    pub(crate) fn refuse(self, why: &str) {
        if let Some(reply) = self.reply {
            let _ = reply.send(Err(AppendError::Stopped { why: why.to_owned() }));
        }
    }
}

impl State {
    /// Finds the partitions and checks the producers' sequences.
    fn place(
        &self,
        parts: &[Part],
        restored: bool,
        stream: &impl Fn(&str) -> Option<Arc<Stream>>,
    ) -> Result<Vec<Placed>, AppendError> {
        let mut placed: Vec<Placed> = Vec::with_capacity(parts.len());
        // What the parts before leave behind, where they come from the same producer.
        let mut ahead: HashMap<ProducerKey, ProducerState> = HashMap::new();
        let mut opened = 0;
        for part in parts {
            let found = stream(&part.stream);
            let partition = found
                .as_ref()
                .and_then(|stream| stream.partition(part.partition).cloned());
            let (Some(found), Some(partition)) = (found, partition) else {
                return Err(AppendError::Unknown {
                    stream: part.stream.clone(),
                    partition: part.partition,
                });
            };
            let mut known = None;
            if let Some(producer) = part.batch.producer() {
                let key = (producer.id, partition.stream, partition.number);
                let state = ahead.get(&key).or_else(|| self.producers.get(&key));
                known = match state {
                    Some(state) if !restored => state.check(&part.batch)?,
                    _ => None,
                };
                let opens = known.is_none() && part.batch.is_transactional() && !part.batch.is_control();
                if opens && state.is_none_or(|state| state.open_since.is_none()) {
                    opened += 1;
                    let open = self.producers.open_count();
                    if open + opened > TRANSACTIONS_OPEN_MAX {
                        return Err(AppendError::TransactionsOpen { open });
                    }
                }
                if known.is_none() && parts.len() > 1 {
                    let planned = planned_before(&placed, parts, &partition);
                    let base = partition.tail.lock().end + planned;
                    let mut state = state.cloned().unwrap_or_else(|| ProducerState::new(producer.epoch));
                    state.record(&part.batch.clone().at(base), self.appended_at_us);
                    ahead.insert(key, state);
                }
            }
            let patience = match found.settings.read().durability() {
                Durability::Flushed => None,
                Durability::Relaxed { flush_ms } => Some(Duration::from_millis(flush_ms)),
            };
            placed.push(Placed {
                partition,
                known,
                patience,
            });
        }
        Ok(placed)
    }

    /// Assigns offsets and time. Nothing can fail from here on.
    fn take(&mut self, waiting: Waiting, placed: Vec<Placed>, duplicate: bool, now_us: i64) -> Pending {
        let mut entries: Vec<Entry> = Vec::with_capacity(placed.len() + 1);
        // Later than every append before, so that the time alone says which came first; what is restored comes part by part.
        let least = self.appended_at_us.saturating_add(i64::from(!waiting.restored));
        let mut appended_at_us = now_us.max(least);
        let (principal, name) = if duplicate || placed.is_empty() {
            (0, Arc::from(""))
        } else {
            self.appended_at_us = appended_at_us;
            self.principal(&waiting.principal, &mut entries)
        };
        let mut base_offsets: Vec<u64> = Vec::with_capacity(placed.len());
        let mut watermarks: Vec<(Arc<Partition>, u64)> = Vec::with_capacity(placed.len());
        let mut turns: Vec<(Arc<Partition>, Turn)> = Vec::new();
        let mut bytes = entries.len() * principal_entry_bytes(&name);
        let parts = waiting.parts.into_iter().zip(waiting.prepared);
        for (Placed { partition, known, .. }, (part, prepared)) in placed.into_iter().zip(parts) {
            if let Some(known) = known {
                base_offsets.push(known.base_offset);
                if duplicate {
                    appended_at_us = known.appended_at_us;
                }
                continue;
            }
            // What went with the first try is there since then.
            if duplicate {
                continue;
            }
            let mut tail = partition.tail.lock();
            let base = tail.end;
            let batch = part.batch.at(base);
            tail.end = batch.next_offset();
            tail.batches.push_back(StoredBatch {
                batch: batch.clone(),
                appended_at_us,
                principal: name.clone(),
            });
            drop(tail);
            if let Some(Prepared { index, terms }) = prepared {
                index.put(partition.number, base, batch.next_offset(), appended_at_us, &terms);
            }
            let turn = self
                .producers
                .record(partition.stream, partition.number, &batch, appended_at_us);
            turns.extend(turn.map(|turn| (partition.clone(), turn)));
            bytes += batch_entry_bytes(batch.bytes().len());
            base_offsets.push(base);
            watermarks.push((partition.clone(), batch.next_offset()));
            entries.push(Entry::Batch(BatchEntry {
                stream: partition.stream,
                partition: partition.number,
                appended_at_us,
                principal,
                batch,
            }));
        }
        Pending {
            entries,
            watermarks,
            turns,
            bytes,
            permits: waiting.permits,
            reply: Some(waiting.reply),
            answer: Ok(Appended {
                base_offsets,
                appended_at_us,
                duplicate,
            }),
        }
    }

    /// The number of a principal; a new one becomes an entry of the same frame.
    fn principal(&mut self, name: &str, entries: &mut Vec<Entry>) -> (u32, Arc<str>) {
        if let Some((name, number)) = self.principals.get_key_value(name) {
            return (*number, name.clone());
        }
        let (number, name) = (self.principals.len() as u32, Arc::<str>::from(name));
        self.principals.insert(name.clone(), number);
        entries.push(Entry::Principal {
            number,
            name: name.clone(),
        });
        (number, name)
    }
}

/// Whether a producer sends again what is in the log already. Parts that are nobody's went with the first try.
fn is_repeated(parts: &[Part], placed: &[Placed]) -> bool {
    let mut produced = parts
        .iter()
        .zip(placed)
        .filter(|(part, _)| part.batch.producer().is_some())
        .peekable();
    produced.peek().is_some() && produced.all(|(_, placed)| placed.known.is_some())
}

/// How long an append may wait for its flush: as long as the least patient of its streams; not at all where one is not relaxed.
fn patience_of(placed: &[Placed]) -> Option<Duration> {
    let mut least: Option<Duration> = None;
    for part in placed {
        let patience = part.patience?;
        least = Some(least.map_or(patience, |least| least.min(patience)));
    }
    least
}

/// How many events the parts before put into the same partition.
fn planned_before(placed: &[Placed], parts: &[Part], partition: &Arc<Partition>) -> u64 {
    let same = |before: &&(&Placed, &Part)| Arc::ptr_eq(&before.0.partition, partition) && before.0.known.is_none();
    let before: Vec<(&Placed, &Part)> = placed.iter().zip(parts).collect();
    before
        .iter()
        .filter(same)
        .map(|(_, part)| event_span(&part.batch))
        .sum()
}

/// The offsets a batch takes.
fn event_span(batch: &Batch) -> u64 {
    batch.next_offset() - batch.base_offset()
}

/// Whether what the append puts into entity indexes was worked out for those that its streams have now.
fn is_prepared(waiting: &Waiting, stream: &impl Fn(&str) -> Option<Arc<Stream>>) -> bool {
    let prepared = |(part, prepared): (&Part, &Option<Prepared>)| {
        let index = prepared.as_ref().map(|prepared| &prepared.index);
        stream(&part.stream).is_none_or(|stream| stream.index.holds(index))
    };
    waiting.prepared.len() == waiting.parts.len() && waiting.parts.iter().zip(&waiting.prepared).all(prepared)
}
