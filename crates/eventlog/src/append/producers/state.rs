//! One producer in one partition: which batch may follow.

use std::collections::VecDeque;

use headwater_records::{Batch, Producer};

use crate::append::AppendError;
use crate::limits::PRODUCER_BATCHES_MAX;

/// One batch as its producer will name it when it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducedBatch {
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: u64,
    pub(crate) appended_at_us: i64,
}

impl ProducedBatch {
    /// Whether one of its events has this sequence number.
    fn holds(&self, sequence: i32) -> bool {
        match self.base_sequence <= self.last_sequence {
            true => (self.base_sequence..=self.last_sequence).contains(&sequence),
            // They wrap around in the middle of it.
            false => sequence >= self.base_sequence || sequence <= self.last_sequence,
        }
    }
}

/// What is known of one producer in one partition; the newest batch is last. There is none where only a transaction's
/// end told of the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) epoch: i16,
    pub(crate) batches: VecDeque<ProducedBatch>,
    /// The first offset of its transaction, where one is open in the partition.
    pub(crate) open_since: Option<u64>,
    /// When its last batch or the end of its transaction was appended.
    pub(crate) heard_at_us: i64,
}

impl ProducerState {
    pub(crate) fn new(epoch: i16) -> ProducerState {
        ProducerState {
            epoch,
            batches: VecDeque::new(),
            open_since: None,
            heard_at_us: i64::MIN,
        }
    }

    /// The batch that this one repeats, an error where it cannot follow, `None` where it does.
    pub(crate) fn check(&self, batch: &Batch) -> Result<Option<ProducedBatch>, AppendError> {
        let Some(producer) = batch.producer() else {
            return Ok(None);
        };
        // A marker continues no sequence, and is never too late: it ends what is open, whoever wrote under the producer's id meanwhile.
        if batch.is_control() {
            return Ok(None);
        }
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
            let last_sequence = last_sequence(&producer, batch);
            for known in &self.batches {
                if self.may_come_again(known, batch)
                    && known.base_sequence == producer.base_sequence
                    && known.last_sequence == last_sequence
                {
                    return Ok(Some(*known));
                }
            }
            if let Some(known) = self.batches.iter().find(|known| known.holds(producer.base_sequence))
                && !self.may_come_again(known, batch)
            {
                return Err(AppendError::UsedSequence {
                    producer_id: producer.id,
                    sequence: producer.base_sequence,
                });
            }
            self.batches
                .back()
                .map_or(0, |last| sequence_after(last.last_sequence, 1))
        };
        if producer.base_sequence != expected {
            return Err(AppendError::OutOfSequence {
                producer_id: producer.id,
                got: producer.base_sequence,
                expected,
            });
        }
        if self.open_since.is_some() && !batch.is_transactional() {
            return Err(AppendError::OutsideTransaction {
                producer_id: producer.id,
            });
        }
        Ok(None)
    }

    /// Whether this batch could be a known one that is sent again. One of a transaction that has ended is sent no more: its producer had every answer before
    /// a commit, and gave up before an abort. Some then count on from the first batch that they gave up, though it is in the log: their next event has its number.
    fn may_come_again(&self, known: &ProducedBatch, batch: &Batch) -> bool {
        !batch.is_transactional() || self.open_since.is_some_and(|since| known.base_offset >= since)
    }

    /// Remembers a batch that was checked and has its offset.
    pub(crate) fn record(&mut self, batch: &Batch, appended_at_us: i64) {
        let Some(producer) = batch.producer() else { return };
        if producer.epoch > self.epoch {
            self.batches.clear();
            self.epoch = producer.epoch;
        }
        self.heard_at_us = appended_at_us;
        if batch.is_control() {
            if batch.marker().is_some() {
                self.open_since = None;
            }
            return;
        }
        if self.batches.len() >= PRODUCER_BATCHES_MAX {
            self.batches.pop_front();
        }
        self.batches.push_back(ProducedBatch {
            base_sequence: producer.base_sequence,
            last_sequence: last_sequence(&producer, batch),
            base_offset: batch.base_offset(),
            appended_at_us,
        });
        if batch.is_transactional() {
            self.open_since.get_or_insert(batch.base_offset());
        }
    }
}

/// The sequence number of a batch's last event.
fn last_sequence(producer: &Producer, batch: &Batch) -> i32 {
    let events = batch.next_offset() - batch.base_offset();
    sequence_after(producer.base_sequence, events.saturating_sub(1))
}

/// The sequence number `count` after this one.
fn sequence_after(sequence: i32, count: u64) -> i32 {
    let wrapped = (u64::from(sequence.max(0).unsigned_abs()) + count) % (1 << 31);
    wrapped as i32
}

#[cfg(test)]
mod tests {
    use headwater_records::{Compression, Event, Marker};

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Sent {
        /// Epoch, base sequence, events.
        Plain(i16, i32, usize),
        Transactional(i16, i32, usize),
        /// Epoch.
        Ended(i16),
    }
    use Sent::{Ended, Plain, Transactional};

    fn batch(sent: Sent) -> Batch {
        let producer = |epoch, base_sequence| Producer {
            id: 7,
            epoch,
            base_sequence,
        };
        let events = |count| vec![Event::default(); count];
        match sent {
            Plain(epoch, sequence, count) => {
                Batch::encode(&events(count), Compression::None, Some(producer(epoch, sequence)))
            }
            Transactional(epoch, sequence, count) => {
                Batch::encode_transactional(&events(count), Compression::None, producer(epoch, sequence))
            }
            Ended(epoch) => Batch::encode_marker(Marker::Committed, 7, epoch, 0),
        }
    }

    /// Sends batches one after another, the number of each its offset; the last one gives the answer.
    fn check(sent: &[Sent], expected: &str) {
        let mut state: Option<ProducerState> = None;
        let mut answer = String::new();
        for (offset, one) in sent.iter().enumerate() {
            let batch = batch(*one).at(offset as u64);
            let checked = state.as_ref().map_or(Ok(None), |state| state.check(&batch));
            answer = match checked {
                Ok(None) => {
                    let epoch = batch.producer().unwrap().epoch;
                    let state = state.get_or_insert_with(|| ProducerState::new(epoch));
                    state.record(&batch, 0);
                    "new".to_owned()
                }
                Ok(Some(known)) => format!("repeats {}", known.base_offset),
                Err(AppendError::OutOfSequence { expected, .. }) => format!("expected {expected}"),
                Err(AppendError::UsedSequence { sequence, .. }) => format!("{sequence} was used"),
                Err(AppendError::Fenced { current, .. }) => format!("fenced by {current}"),
                Err(AppendError::OutsideTransaction { .. }) => "outside".to_owned(),
                Err(other) => other.to_string(),
            };
        }
        assert_eq!(answer, expected, "{sent:?}");
    }

    fn one_by_one(count: i32) -> Vec<Sent> {
        (0..count).map(|sequence| Plain(0, sequence, 1)).collect()
    }

    #[test]
    fn retries_gaps_epochs_and_wrapping() {
        check(&[Plain(0, 0, 1)], "new");
        check(&[Plain(0, 41, 1)], "new");
        check(&[Plain(0, 0, 2), Plain(0, 2, 1)], "new");
        check(&[Plain(0, 0, 2), Plain(0, 0, 2)], "repeats 0");
        check(&[Plain(0, 0, 2), Plain(0, 0, 1)], "expected 2");
        check(&[Plain(0, 0, 2), Plain(0, 3, 1)], "expected 2");
        check(&[one_by_one(5), one_by_one(1)].concat(), "repeats 0");
        check(&[one_by_one(6), one_by_one(1)].concat(), "expected 6");
        check(&[Plain(1, 0, 1), Plain(0, 1, 1)], "fenced by 1");
        check(&[Plain(0, 0, 1), Plain(1, 0, 1)], "new");
        check(&[Plain(0, 0, 1), Plain(1, 1, 1)], "expected 0");
        check(&[Plain(0, 0, 1), Plain(1, 0, 1), Plain(1, 0, 1)], "repeats 1");
        check(&[Plain(0, i32::MAX, 1), Plain(0, 0, 1)], "new");
        check(&[Plain(0, i32::MAX - 1, 3), Plain(0, 1, 1)], "new");
        check(&[Plain(0, i32::MAX - 1, 3), Plain(0, 0, 1)], "expected 1");
        check(&[Plain(0, i32::MAX - 1, 3), Plain(0, i32::MAX - 1, 3)], "repeats 0");
    }

    #[test]
    fn a_transaction_is_not_mixed_and_its_end_fences() {
        check(&[Transactional(0, 0, 2), Plain(0, 2, 1)], "outside");
        check(&[Transactional(0, 0, 2), Transactional(0, 2, 1)], "new");
        check(&[Transactional(0, 0, 2), Ended(0), Plain(0, 2, 1)], "new");
        check(&[Transactional(0, 0, 2), Ended(0), Transactional(0, 2, 1)], "new");
        check(&[Transactional(0, 0, 2), Transactional(0, 0, 2)], "repeats 0");
        check(
            &[Transactional(0, 0, 2), Ended(1), Transactional(0, 2, 1)],
            "fenced by 1",
        );
        check(
            &[Transactional(0, 0, 2), Ended(1), Transactional(1, 2, 1)],
            "expected 0",
        );
        check(&[Transactional(0, 0, 2), Ended(1), Transactional(1, 0, 1)], "new");
        check(&[Transactional(1, 0, 2), Ended(0)], "new");
        check(&[Transactional(1, 0, 2), Ended(0), Plain(0, 2, 1)], "fenced by 1");
        check(&[Transactional(1, 0, 2), Ended(0), Plain(1, 2, 1)], "new");
        check(&[Ended(3), Plain(2, 0, 1)], "fenced by 3");
        check(&[Ended(3), Plain(3, 5, 1)], "expected 0");
    }

    #[test]
    fn what_a_transaction_used_that_has_ended_is_no_retry() {
        let ended = [Transactional(0, 0, 2), Transactional(0, 2, 1), Ended(0)];
        let then = |more: &[Sent], expected| check(&[&ended[..], more].concat(), expected);
        then(&[Transactional(0, 0, 2)], "0 was used");
        then(&[Transactional(0, 2, 1)], "2 was used");
        // Larger or smaller than what had the number before.
        then(&[Transactional(0, 2, 4)], "2 was used");
        then(&[Transactional(0, 1, 1)], "1 was used");
        then(&[Transactional(0, 3, 1)], "new");
        then(&[Transactional(0, 4, 1)], "expected 3");
        then(&[Transactional(1, 0, 1)], "new");
        // Beside what the next transaction has written.
        then(&[Transactional(0, 3, 1), Transactional(0, 3, 1)], "repeats 3");
        then(&[Transactional(0, 3, 1), Transactional(0, 2, 1)], "2 was used");
        // No transaction ended here.
        check(&[Plain(0, 0, 1), Ended(0), Plain(0, 0, 1)], "repeats 0");
        check(
            &[Transactional(0, i32::MAX, 3), Ended(0), Transactional(0, 1, 1)],
            "1 was used",
        );
    }
}
