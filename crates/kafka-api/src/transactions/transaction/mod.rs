//! What is decided about one transactional id: a pure state machine, from what is asked and a moment to the next state.
//!
//! ```text
//!            init                 add, write                 end
//!  (none) ---------> Empty ------------------------> Open ---------> Committed | Aborted
//!                      ^                              |                  |
//!                      +------------- init -----------+------------------+
//! ```
//!
//! There is no state in which an end is prepared: markers, offsets and the new state are one append, all or none.
//!
//! Invariants
//! - One producer id and epoch may write at a time. Whoever takes the transactional id over gets a newer epoch, and what was open is
//!   aborted with it, so that nothing of the one before counts any more.
//! - An epoch is never used again under the same producer id: where the numbers run out, the next producer id begins at 0.
//!
//! Sources: KIP-98; KIP-360 (a producer goes on after an error); KIP-890 (every end bumps the epoch); the coordinator of Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

use crate::groups::Commit;

/// The last epoch that a producer is given; the one above it is left for the marker that fences.
pub(super) const EPOCH_LAST: i16 = i16::MAX - 1;

/// A producer at one epoch.
pub(crate) type Identity = (i64, i16);

/// What is known of one transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// What the producer calls itself where the answer that gave it the present epoch was lost.
    pub(crate) previous: Option<Identity>,
    pub(crate) timeout_ms: i32,
    pub(crate) phase: Phase,
    pub(crate) updated_ms: i64,
}

/// Where a transactional id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No transaction since the producer came.
    Empty,
    Open(Open),
    Committed,
    Aborted,
}

/// A transaction that is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Open {
    pub(crate) began_ms: i64,
    /// The partitions that it may write to, by stream: the stream's id and the partitions' numbers.
    pub(crate) streams: BTreeMap<String, (u128, BTreeSet<u32>)>,
    /// The groups whose offsets it may commit.
    pub(crate) groups: BTreeSet<String>,
    /// The offsets that count once it is committed, by group.
    pub(crate) offsets: Vec<(String, Commit)>,
}

/// A partition of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) stream: String,
    pub(crate) stream_id: u128,
    pub(crate) partition: u32,
}

/// What follows from what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) next: Transaction,
    /// The transaction that ends with it.
    pub(crate) end: Option<End>,
}

/// How a transaction ends: the same marker in every partition, and the offsets of its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) committed: bool,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) open: Open,
}

/// What a producer that comes asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Init {
    /// Who it was before, where it goes on after an error.
    pub(crate) given: Option<Identity>,
    pub(crate) timeout_ms: i32,
}

/// What a producer adds to its transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Added {
    pub(crate) places: Vec<Place>,
    pub(crate) group: Option<String>,
    pub(crate) offsets: Vec<Commit>,
}

/// Whether a producer that comes needs a producer id of its own.
pub(crate) fn needs_producer_id(known: Option<&Transaction>, init: &Init) -> bool {
    known.is_none_or(|known| known.epoch >= EPOCH_LAST && !known.is_retried_by(init.given))
}

/// A producer comes: it gets an epoch above all before, and what was open is aborted. `None`: it was given its epoch before, and asks again.
pub(crate) fn init(
    known: Option<&Transaction>,
    init: Init,
    new_producer_id: Option<i64>,
    now_ms: i64,
) -> Result<Option<Step>, ResponseError> {
    let Some(known) = known else {
        let next = Transaction {
            producer_id: new_producer_id.ok_or(ResponseError::UnknownServerError)?,
            epoch: 0,
            previous: None,
            timeout_ms: init.timeout_ms,
            phase: Phase::Empty,
            updated_ms: now_ms,
        };
        return Ok(Some(Step { next, end: None }));
    };
    if known.is_retried_by(init.given) {
        return Ok(None);
    }
    if init.given.is_some_and(|given| given != known.identity()) {
        return Err(ResponseError::ProducerFenced);
    }
    let (producer_id, epoch) = known.identity_after(new_producer_id)?;
    let next = Transaction {
        producer_id,
        epoch,
        // Who comes without a past leaves nobody else a way back.
        previous: init.given,
        timeout_ms: init.timeout_ms,
        phase: Phase::Empty,
        updated_ms: now_ms,
    };
    Ok(Some(Step {
        next,
        end: known.end(false, known.fencing_epoch()),
    }))
}

impl Transaction {
    pub(crate) fn identity(&self) -> Identity {
        (self.producer_id, self.epoch)
    }

    pub(crate) fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            _ => None,
        }
    }

    /// Kafka's name for where it stands.
    pub(crate) fn state_name(&self) -> &'static str {
        match self.phase {
            Phase::Empty => "Empty",
            Phase::Open(_) => "Ongoing",
            Phase::Committed => "CompleteCommit",
            Phase::Aborted => "CompleteAbort",
        }
    }

    /// Whether this producer may act for the transactional id.
    pub(crate) fn check(&self, (producer_id, epoch): Identity) -> Result<(), ResponseError> {
        if producer_id != self.producer_id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if epoch != self.epoch {
            return Err(ResponseError::ProducerFenced);
        }
        Ok(())
    }

    /// Adds partitions, a group, offsets; opens a transaction where none is. `None`: all of it was there.
    pub(crate) fn add(&self, who: Identity, added: &Added, now_ms: i64) -> Result<Option<Step>, ResponseError> {
        self.check(who)?;
        let mut open = self.open().cloned().unwrap_or_else(|| Open {
            began_ms: now_ms,
            ..Open::default()
        });
        for place in &added.places {
            let known = open
                .streams
                .entry(place.stream.clone())
                .or_insert_with(|| (place.stream_id, BTreeSet::new()));
            if known.0 != place.stream_id {
                // The stream of that name was dropped, and this is another.
                *known = (place.stream_id, BTreeSet::new());
            }
            known.1.insert(place.partition);
        }
        if let Some(group) = &added.group {
            open.groups.insert(group.clone());
            for commit in &added.offsets {
                let same = |(of, known): &(String, Commit)| {
                    of == group && known.stream == commit.stream && known.partition == commit.partition
                };
                open.offsets.retain(|known| !same(known));
                open.offsets.push((group.clone(), commit.clone()));
            }
        }
        if self.open() == Some(&open) {
            return Ok(None);
        }
        let next = Transaction {
            phase: Phase::Open(open),
            updated_ms: now_ms,
            ..self.clone()
        };
        Ok(Some(Step { next, end: None }))
    }

    /// Whether the open transaction has a partition.
    pub(crate) fn holds(&self, place: &Place) -> bool {
        let stream = self.open().and_then(|open| open.streams.get(&place.stream));
        stream.is_some_and(|(id, numbers)| *id == place.stream_id && numbers.contains(&place.partition))
    }

    /// Whether the open transaction has a group.
    pub(crate) fn holds_group(&self, group: &str) -> bool {
        self.open().is_some_and(|open| open.groups.contains(group))
    }

    /// The producer ends its transaction and keeps its epoch (before KIP-890). `None`: it had ended so, and the answer was lost.
    pub(crate) fn end_as(&self, who: Identity, committed: bool, now_ms: i64) -> Result<Option<Step>, ResponseError> {
        self.check(who)?;
        match (&self.phase, committed) {
            (Phase::Open(_), _) => Ok(Some(Step {
                next: self.ended(self.identity(), self.previous, committed, now_ms),
                end: self.end(committed, self.epoch),
            })),
            (Phase::Committed, true) | (Phase::Aborted, false) => Ok(None),
            _ => Err(ResponseError::InvalidTxnState),
        }
    }

    /// The producer ends its transaction and gets the next epoch (KIP-890). `None`: it had ended so, and the answer was lost.
    pub(crate) fn end_with_new_epoch(
        &self,
        who: Identity,
        committed: bool,
        new_producer_id: Option<i64>,
        now_ms: i64,
    ) -> Result<Option<Step>, ResponseError> {
        if self.previous == Some(who) {
            return match (&self.phase, committed) {
                (Phase::Committed, true) | (Phase::Aborted, false) => Ok(None),
                (Phase::Committed | Phase::Aborted, _) => Err(ResponseError::InvalidTxnState),
                _ => Err(ResponseError::ProducerFenced),
            };
        }
        self.check(who)?;
        // An abort without a transaction is fine: the producer cannot know whether its first batch arrived.
        if committed && self.open().is_none() {
            return Err(ResponseError::InvalidTxnState);
        }
        let identity = self.identity_after(new_producer_id)?;
        Ok(Some(Step {
            next: self.ended(identity, Some(who), committed, now_ms),
            end: self.end(committed, self.fencing_epoch()),
        }))
    }

    /// Whether an end with a new epoch needs a producer id.
    pub(crate) fn needs_producer_id_after(&self) -> bool {
        self.epoch >= EPOCH_LAST
    }

    /// When the open transaction is over time.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        let open = self.open()?;
        Some(open.began_ms.saturating_add(i64::from(self.timeout_ms)))
    }

    /// The open transaction took too long: it is aborted, and its producer fenced.
    pub(crate) fn time_out(&self, now_ms: i64) -> Option<Step> {
        match self.due_ms() {
            Some(due_ms) if now_ms >= due_ms => self.take_back(now_ms),
            _ => None,
        }
    }

    /// Aborts the open transaction, where there is one, and fences its producer.
    pub(crate) fn take_back(&self, now_ms: i64) -> Option<Step> {
        let epoch = self.fencing_epoch();
        self.end(false, epoch).map(|end| Step {
            next: self.ended((self.producer_id, epoch), None, false, now_ms),
            end: Some(end),
        })
    }

    /// Whether the producer asks again for what it was given.
    fn is_retried_by(&self, given: Option<Identity>) -> bool {
        given.is_some() && given == self.previous && self.open().is_none()
    }

    /// The epoch of a marker after which nothing of the present epoch is taken.
    fn fencing_epoch(&self) -> i16 {
        self.epoch.saturating_add(1)
    }

    fn identity_after(&self, new_producer_id: Option<i64>) -> Result<Identity, ResponseError> {
        match (self.epoch < EPOCH_LAST, new_producer_id) {
            (true, _) => Ok((self.producer_id, self.epoch + 1)),
            (false, Some(producer_id)) => Ok((producer_id, 0)),
            (false, None) => Err(ResponseError::UnknownServerError),
        }
    }

    fn ended(&self, identity: Identity, previous: Option<Identity>, committed: bool, now_ms: i64) -> Transaction {
        Transaction {
            producer_id: identity.0,
            epoch: identity.1,
            previous,
            timeout_ms: self.timeout_ms,
            phase: if committed { Phase::Committed } else { Phase::Aborted },
            updated_ms: now_ms,
        }
    }

    fn end(&self, committed: bool, epoch: i16) -> Option<End> {
        self.open().map(|open| End {
            committed,
            producer_id: self.producer_id,
            epoch,
            open: open.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
