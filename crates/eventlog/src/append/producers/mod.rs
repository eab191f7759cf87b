//! What the log remembers of idempotent and transactional producers, so that a retry is answered as the first time and a
//! transaction counts whole or not at all.
//!
//! The rules are Kafka's (KIP-98, KIP-890, and its broker's `ProducerStateManager`): the last five batches of a producer in a
//! partition are known by their sequence numbers; a batch must follow the last one; a new epoch begins at 0; a producer
//! that is not known may begin anywhere, because what was known of it may have been forgotten. Sequence numbers wrap to 0
//! after `i32::MAX`. A transaction is open in a partition from its first batch there to the marker that ends it.
//!
//! Invariants
//! - A producer whose transaction is open in a partition is never forgotten there.
//! - `open` says the same as the states, sorted by first offset.

mod state;

use std::collections::{BTreeMap, HashMap};

use headwater_records::{Batch, Marker};

use crate::limits::{PRODUCERS_LOOK_US, PRODUCERS_MAX};
use crate::streams::transactions::{Aborted, Turn};

pub(crate) use state::{ProducedBatch, ProducerState};

/// A producer in a partition: producer id, stream id, partition.
pub(crate) type ProducerKey = (i64, u128, u32);

/// Every producer in every partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Producers {
    /// Who is silent for so long is forgotten.
    silent_max_us: Option<i64>,
    /// When the silent are looked for next.
    look_at_us: i64,
    states: HashMap<ProducerKey, ProducerState>,
    /// The transactions open in each partition: the first offset of each, and whose it is.
    open: HashMap<(u128, u32), BTreeMap<u64, i64>>,
    open_count: usize,
}

impl Producers {
    pub(crate) fn get(&self, key: &ProducerKey) -> Option<&ProducerState> {
        self.states.get(key)
    }

    /// Forgets from now on who is silent for so long.
    pub(crate) fn expire_after(&mut self, silent_max_us: i64) {
        self.silent_max_us = Some(silent_max_us);
    }

    /// Every pair known, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ProducerKey, &ProducerState)> {
        self.states.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// How many transactions are open, each counted once for every partition it has written to.
    pub(crate) fn open_count(&self) -> usize {
        self.open_count
    }

    /// The transactions open in a partition: the first offset of each, and whose it is.
    pub(crate) fn open_in(&self, stream: u128, partition: u32) -> impl Iterator<Item = (u64, i64)> {
        let open = self.open.get(&(stream, partition));
        open.into_iter().flatten().map(|(first, producer)| (*first, *producer))
    }

    /// Sets what is known of one pair, as a checkpoint has it.
    pub(crate) fn set(&mut self, key: ProducerKey, state: ProducerState) {
        if let Some(first) = state.open_since {
            self.begin(key, first);
        }
        self.make_room();
        self.states.insert(key, state);
    }

    /// Remembers a batch that is in the log, and says what it does to the transactions of its partition.
    pub(crate) fn record(&mut self, stream: u128, partition: u32, batch: &Batch, at_us: i64) -> Option<Turn> {
        let producer = batch.producer()?;
        let key = (producer.id, stream, partition);
        self.forget_silent(at_us);
        if !self.states.contains_key(&key) {
            self.make_room();
        }
        let state = self
            .states
            .entry(key)
            .or_insert_with(|| ProducerState::new(producer.epoch));
        let open_before = state.open_since;
        state.record(batch, at_us);
        let open_now = state.open_since;
        match (open_before, open_now) {
            (None, Some(first)) => {
                self.begin(key, first);
                Some(Turn::Begins {
                    producer_id: producer.id,
                    first,
                })
            }
            (Some(first), None) => {
                self.end(key, first);
                let marker = batch.base_offset();
                let stable = self
                    .open_in(stream, partition)
                    .next()
                    .map_or(marker + 1, |(first, _)| first);
                Some(Turn::Ends {
                    aborted: batch.marker() == Some(Marker::Aborted),
                    range: Aborted {
                        producer_id: producer.id,
                        first,
                        marker,
                        stable,
                    },
                })
            }
            _ => None,
        }
    }

    /// Forgets a dropped stream.
    pub(crate) fn forget_stream(&mut self, stream: u128) {
        self.states.retain(|key, _| key.1 != stream);
        self.open.retain(|key, _| key.0 != stream);
        self.open_count = self.open.values().map(BTreeMap::len).sum();
    }

    fn begin(&mut self, (producer, stream, partition): ProducerKey, first: u64) {
        let open = self.open.entry((stream, partition)).or_default();
        self.open_count += usize::from(open.insert(first, producer).is_none());
    }

    fn end(&mut self, (_, stream, partition): ProducerKey, first: u64) {
        if let Some(open) = self.open.get_mut(&(stream, partition)) {
            self.open_count -= usize::from(open.remove(&first).is_some());
            if open.is_empty() {
                self.open.remove(&(stream, partition));
            }
        }
    }

    /// Forgets who has been silent for too long, where it is time to look.
    fn forget_silent(&mut self, now_us: i64) {
        let Some(silent_max_us) = self.silent_max_us.filter(|_| now_us >= self.look_at_us) else {
            return;
        };
        self.look_at_us = now_us.saturating_add(silent_max_us.min(PRODUCERS_LOOK_US));
        let silent_since = now_us.saturating_sub(silent_max_us);
        self.states
            .retain(|_, state| state.heard_at_us >= silent_since || state.open_since.is_some());
    }

    /// Where there are too many, forgets the longest silent tenth.
    fn make_room(&mut self) {
        if self.states.len() < PRODUCERS_MAX {
            return;
        }
        let idle = self.states.iter().filter(|(_, state)| state.open_since.is_none());
        let mut silent: Vec<(i64, ProducerKey)> = idle.map(|(key, state)| (state.heard_at_us, *key)).collect();
        silent.sort_unstable();
        for (_, key) in silent.iter().take(PRODUCERS_MAX / 10) {
            self.states.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_records::{Compression, Event, Producer};

    use super::*;

    /// A batch as the tests below write it: producer, and `+` for a part of a transaction, `c` or `a` for its end.
    fn batch(producer: i64, kind: char, sequence: i32, offset: u64) -> Batch {
        let made = match kind {
            'c' => Batch::encode_marker(Marker::Committed, producer, 0, 0),
            'a' => Batch::encode_marker(Marker::Aborted, producer, 0, 0),
            _ => Batch::encode_transactional(
                &[Event::default()],
                Compression::None,
                Producer {
                    id: producer,
                    epoch: 0,
                    base_sequence: sequence,
                },
            ),
        };
        made.at(offset)
    }

    /// One batch at each offset from 0 on; what each did, and what is open at the end.
    fn check(batches: &[(i64, char)], turns: &str, open: &[(u64, i64)]) {
        let mut producers = Producers::default();
        let mut said: Vec<String> = Vec::new();
        let mut sequences: HashMap<i64, i32> = HashMap::new();
        for (offset, (producer, kind)) in batches.iter().enumerate() {
            let sequence = sequences.entry(*producer).or_default();
            let turn = producers.record(1, 0, &batch(*producer, *kind, *sequence, offset as u64), 0);
            *sequence += i32::from(*kind == '+');
            said.push(match turn {
                None => "-".to_owned(),
                Some(Turn::Begins { first, .. }) => format!("from {first}"),
                Some(Turn::Ends { aborted, range }) => format!(
                    "{} {}..{} stable {}",
                    if aborted { "abort" } else { "commit" },
                    range.first,
                    range.marker,
                    range.stable
                ),
            });
        }
        assert_eq!(said.join(", "), turns);
        assert_eq!(producers.open_in(1, 0).collect::<Vec<_>>(), open);
        assert_eq!(producers.open_count(), open.len());
    }

    #[test]
    fn transactions_begin_with_a_batch_and_end_with_a_marker() {
        check(&[(7, '+')], "from 0", &[(0, 7)]);
        check(&[(7, '+'), (7, '+'), (7, 'c')], "from 0, -, commit 0..2 stable 3", &[]);
        check(
            &[(7, '+'), (8, '+'), (7, 'a'), (7, '+')],
            "from 0, from 1, abort 0..2 stable 1, from 3",
            &[(1, 8), (3, 7)],
        );
        check(
            &[(7, '+'), (8, '+'), (8, 'a'), (7, 'c')],
            "from 0, from 1, abort 1..2 stable 0, commit 0..3 stable 4",
            &[],
        );
        check(&[(7, 'a')], "-", &[]);
    }

    #[test]
    fn who_is_silent_for_too_long_is_forgotten_and_an_open_transaction_is_not() {
        let mut producers = Producers::default();
        producers.expire_after(1_000);
        let known = |producers: &Producers| {
            let known = [1, 2, 3].map(|producer| producers.get(&(producer, 1, 0)).is_some());
            known.map(u8::from)
        };
        producers.record(1, 0, &batch(1, '+', 0, 0), 0);
        producers.record(1, 0, &batch(2, 'c', 0, 1), 1_000);
        producers.record(1, 0, &batch(3, 'c', 0, 2), 2_000);
        assert_eq!(known(&producers), [1, 1, 1]);
        producers.record(1, 0, &batch(3, 'c', 0, 3), 2_999);
        assert_eq!(known(&producers), [1, 1, 1], "it is looked once in that time");
        producers.record(1, 0, &batch(3, 'c', 0, 4), 3_000);
        assert_eq!(known(&producers), [1, 0, 1]);
        producers.record(1, 0, &batch(1, 'c', 0, 5), 3_001);
        producers.record(1, 0, &batch(3, 'c', 0, 6), 9_000);
        assert_eq!(known(&producers), [0, 0, 1]);
    }

    #[test]
    fn where_there_are_too_many_the_silent_are_forgotten_and_an_open_transaction_is_not() {
        let mut producers = Producers::default();
        producers.record(1, 0, &batch(0, '+', 0, 0), 0);
        for producer in 1..=PRODUCERS_MAX as i64 {
            producers.record(1, 1, &batch(producer, 'c', 0, 0), producer);
        }
        assert!(producers.len() <= PRODUCERS_MAX);
        assert!(producers.get(&(0, 1, 0)).is_some());
        assert!(producers.get(&(1, 1, 1)).is_none());
        assert!(producers.get(&(PRODUCERS_MAX as i64, 1, 1)).is_some());
    }
}
