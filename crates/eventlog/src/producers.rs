//! What the log remembers of idempotent producers, so that a retry is answered as the first time.
//!
//! The rules are Kafka's (KIP-98, and its broker's `ProducerStateManager`): the last five batches of a producer in a
//! partition are known by their sequence numbers; a batch must follow the last one; a new epoch begins at 0; a producer
//! that is not known may begin anywhere, because what was known of it may have been forgotten. Sequence numbers wrap to 0
//! after `i32::MAX`.

use std::collections::{HashMap, VecDeque};

use headwater_records::{Batch, Producer};

use crate::limits::{PRODUCER_BATCHES_MAX, PRODUCERS_MAX};
use crate::types::AppendError;

/// A producer in a partition: producer id, stream id, partition.
pub(crate) type ProducerKey = (i64, u128, u32);

/// One batch as its producer will name it when it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducedBatch {
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: u64,
    pub(crate) appended_at_us: i64,
}

/// What is known of one producer in one partition; the newest batch is last and there is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProducerState {
    pub(crate) epoch: i16,
    pub(crate) batches: VecDeque<ProducedBatch>,
}

/// Every producer in every partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Producers {
    states: HashMap<ProducerKey, ProducerState>,
}

impl ProducerState {
    /// The batch that this one repeats, an error where it cannot follow, `None` where it does.
    pub(crate) fn check(&self, producer: &Producer, events: u64) -> Result<Option<ProducedBatch>, AppendError> {
        let Some(last) = self.batches.back() else {
            return Ok(None);
        };
        if producer.epoch < self.epoch {
            return Err(AppendError::Fenced {
                producer_id: producer.id,
                epoch: producer.epoch,
                current: self.epoch,
            });
        }
        let expected = if producer.epoch > self.epoch {
            0
        } else {
            let last_sequence = sequence_after(producer.base_sequence, events.saturating_sub(1));
            for known in &self.batches {
                if known.base_sequence == producer.base_sequence && known.last_sequence == last_sequence {
                    return Ok(Some(*known));
                }
            }
            sequence_after(last.last_sequence, 1)
        };
        if producer.base_sequence != expected {
            return Err(AppendError::OutOfSequence {
                producer_id: producer.id,
                got: producer.base_sequence,
                expected,
            });
        }
        Ok(None)
    }

    /// Remembers a batch that was checked.
    pub(crate) fn record(&mut self, producer: &Producer, events: u64, base_offset: u64, appended_at_us: i64) {
        if producer.epoch != self.epoch {
            self.batches.clear();
            self.epoch = producer.epoch;
        }
        if self.batches.len() >= PRODUCER_BATCHES_MAX {
            self.batches.pop_front();
        }
        self.batches.push_back(ProducedBatch {
            base_sequence: producer.base_sequence,
            last_sequence: sequence_after(producer.base_sequence, events.saturating_sub(1)),
            base_offset,
            appended_at_us,
        });
    }

    fn silent_since_us(&self) -> i64 {
        self.batches.back().map_or(i64::MIN, |batch| batch.appended_at_us)
    }
}

impl Producers {
    pub(crate) fn get(&self, key: &ProducerKey) -> Option<&ProducerState> {
        self.states.get(key)
    }

    /// Every pair known, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ProducerKey, &ProducerState)> {
        self.states.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// Sets what is known of one pair, forgetting the longest silent tenth where there are too many.
    pub(crate) fn set(&mut self, key: ProducerKey, state: ProducerState) {
        if self.states.len() >= PRODUCERS_MAX && !self.states.contains_key(&key) {
            let mut silent: Vec<(i64, ProducerKey)> = self
                .states
                .iter()
                .map(|(key, state)| (state.silent_since_us(), *key))
                .collect();
            silent.sort_unstable();
            for (_, key) in silent.iter().take(PRODUCERS_MAX / 10) {
                self.states.remove(key);
            }
        }
        self.states.insert(key, state);
    }

    /// Remembers a batch that is in the log.
    pub(crate) fn record(&mut self, key: ProducerKey, producer: &Producer, events: u64, base_offset: u64, at_us: i64) {
        match self.states.get_mut(&key) {
            Some(state) => state.record(producer, events, base_offset, at_us),
            None => {
                let mut state = ProducerState {
                    epoch: producer.epoch,
                    ..ProducerState::default()
                };
                state.record(producer, events, base_offset, at_us);
                self.set(key, state);
            }
        }
    }

    /// Forgets a dropped stream.
    pub(crate) fn forget_stream(&mut self, stream: u128) {
        self.states.retain(|key, _| key.1 != stream);
    }
}

/// The idempotent producer whose sequence a batch continues; a transaction's marker continues none.
pub(crate) fn sequenced_by(batch: &Batch) -> Option<Producer> {
    batch.producer().filter(|_| !batch.is_control())
}

/// The sequence number `count` after this one.
fn sequence_after(sequence: i32, count: u64) -> i32 {
    let wrapped = (u64::from(sequence.max(0).unsigned_abs()) + count) % (1 << 31);
    wrapped as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(epoch: i16, base_sequence: i32) -> Producer {
        Producer {
            id: 7,
            epoch,
            base_sequence,
        }
    }

    /// Sends batches of (epoch, base sequence, events) one after another; the last one gives the answer.
    fn check(sent: &[(i16, i32, u64)], expected: &str) {
        let mut state = ProducerState::default();
        let mut answer = String::new();
        for (offset, (epoch, base_sequence, events)) in sent.iter().enumerate() {
            let producer = producer(*epoch, *base_sequence);
            answer = match state.check(&producer, *events) {
                Ok(None) => {
                    state.record(&producer, *events, offset as u64, 0);
                    "new".to_owned()
                }
                Ok(Some(known)) => format!("repeats {}", known.base_offset),
                Err(AppendError::OutOfSequence { expected, .. }) => format!("expected {expected}"),
                Err(AppendError::Fenced { current, .. }) => format!("fenced by {current}"),
                Err(other) => other.to_string(),
            };
        }
        assert_eq!(answer, expected, "{sent:?}");
    }

    #[test]
    fn retries_gaps_epochs_and_wrapping() {
        check(&[(0, 0, 1)], "new");
        check(&[(0, 41, 1)], "new");
        check(&[(0, 0, 2), (0, 2, 1)], "new");
        check(&[(0, 0, 2), (0, 0, 2)], "repeats 0");
        check(&[(0, 0, 2), (0, 0, 1)], "expected 2");
        check(&[(0, 0, 2), (0, 3, 1)], "expected 2");
        check(
            &[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 0, 1)],
            "repeats 0",
        );
        check(
            &[
                (0, 0, 1),
                (0, 1, 1),
                (0, 2, 1),
                (0, 3, 1),
                (0, 4, 1),
                (0, 5, 1),
                (0, 0, 1),
            ],
            "expected 6",
        );
        check(&[(1, 0, 1), (0, 1, 1)], "fenced by 1");
        check(&[(0, 0, 1), (1, 0, 1)], "new");
        check(&[(0, 0, 1), (1, 1, 1)], "expected 0");
        check(&[(0, 0, 1), (1, 0, 1), (1, 0, 1)], "repeats 1");
        check(&[(0, i32::MAX, 1), (0, 0, 1)], "new");
        check(&[(0, i32::MAX - 1, 3), (0, 1, 1)], "new");
        check(&[(0, i32::MAX - 1, 3), (0, 0, 1)], "expected 1");
        check(&[(0, i32::MAX - 1, 3), (0, i32::MAX - 1, 3)], "repeats 0");
    }
}
