//! Which rows of a view were changed lately, by events that are sequenced and that the view may not have folded yet.
//!
//! Every decision's append asks whether an event that came meanwhile changes a row that was read. Looking each such event up in the view's query takes
//! microseconds, and under load there are hundreds of them for each decision. So it is done once for each event: whoever appends by a command says
//! what its events change, and those of others are looked at by the first decision that meets them. From then on a decision asks by key.
//!
//! Invariants
//! - For each partition it knows every event of one span of offsets, `from` to `upto`; of anything outside of it, it says nothing.
//! - Of a view that does not read its streams as they are defined ([`View::reads_as_defined`]) it says nothing: what it was told of an event was said by
//!   another reading.
//! - It is derived, bounded, and may be thrown away: what it does not know is looked at again.
//! - Which rows were changed is kept by hashes of their keys. Two keys of one hash are taken for one, which costs a decision another try and never lets one through.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use headwater_eventlog::Part;
use headwater_records::{Batch, Position};
use headwater_views::{GroupKey, View, ViewError};
use parking_lot::Mutex;

use crate::decide::coming::{Coming, Since, Taken};
use crate::limits::KEYS_LATELY_MAX;

/// The rows of one view that were changed lately, by the events of one stream.
pub(crate) struct Lately {
    pub(crate) view: Arc<View>,
    stream: String,
    hasher: RandomState,
    newest: Mutex<Newest>,
}

/// A key's hash.
pub(crate) type KeyHash = u64;

/// The last event that changed a row, for each partition that has one.
type Last = HashMap<KeyHash, Vec<(u32, u64)>>;

#[derive(Default)]
struct Newest {
    spans: HashMap<u32, Span>,
    /// What was learned last, and what before that: thrown away in turn.
    young: Last,
    old: Last,
    /// The rows that were appended.
    coming: Coming,
}

/// A row of the view that an event changed.
pub(crate) struct Change {
    pub(crate) key: GroupKey,
    pub(crate) offset: u64,
    /// The row that was appended, where it is at hand.
    pub(crate) taken: Option<Taken>,
}

/// What is known of one partition.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    /// From here on every event is known: in `old`, and from `young_from` on in `young`.
    from: u64,
    young_from: u64,
    upto: u64,
}

/// What is known of the events of a partition from an offset on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Known {
    /// Up to here.
    pub(crate) upto: u64,
    /// Whether one of them changed one of the rows.
    pub(crate) changed: bool,
}

impl Known {
    fn nothing(from: u64) -> Known {
        Known {
            upto: from,
            changed: false,
        }
    }
}

impl Lately {
    pub(crate) fn new(view: Arc<View>, stream: &str) -> Lately {
        Lately {
            view,
            stream: stream.to_owned(),
            hasher: RandomState::new(),
            newest: Mutex::default(),
        }
    }

    /// The stream.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    pub(crate) fn hash(&self, key: &GroupKey) -> KeyHash {
        self.hasher.hash_one(&key.0)
    }

    /// The rows that a batch of the stream changes.
    pub(crate) fn changed_by(&self, partition: u32, batch: &Batch) -> Result<Vec<GroupKey>, ViewError> {
        self.view.touched(&self.stream, partition, batch)
    }

    /// The rows that a part of an append changes, whose rows are at hand or not.
    pub(crate) fn changed_by_part(&self, part: &Part, rows: Option<&RecordBatch>) -> Result<Vec<GroupKey>, ViewError> {
        match rows.and_then(|rows| self.view.touched_by_rows(&self.stream, rows)) {
            Some(keys) => Ok(keys),
            None => self.changed_by(part.partition, &part.batch),
        }
    }

    /// What a part of an append changes, by the places of its events: with their rows, where these are at hand, so that what becomes of a row is foreseen.
    pub(crate) fn changes_of(&self, part: &Part, rows: Option<&RecordBatch>) -> Result<Vec<Change>, ViewError> {
        let count = part.batch.event_count() as usize;
        let each = rows.filter(|rows| rows.num_rows() == count);
        if let Some(rows) = each
            && let Some(touched) = self.view.touched_by_each(&self.stream, rows)
        {
            // Of a view whose rows nobody can foresee, none is kept for that.
            let rows = self.view.is_foreseeable().then(|| Arc::new(rows.clone()));
            let of_row = |(row, keys): (usize, Vec<GroupKey>)| {
                let rows = rows.clone();
                keys.into_iter().map(move |key| Change {
                    key,
                    offset: row as u64,
                    taken: rows.clone().map(|rows| Taken { rows, row }),
                })
            };
            return Ok(touched.into_iter().enumerate().flat_map(of_row).collect());
        }
        let changed = self.changed_by_part(part, rows)?;
        let change = |key| Change {
            key,
            offset: (count as u64).saturating_sub(1),
            taken: None,
        };
        Ok(changed.into_iter().map(change).collect())
    }

    /// Notes what the events of some offsets change. What they do not follow on is forgotten.
    pub(crate) fn learn(&self, partition: u32, base: u64, next: u64, changes: impl IntoIterator<Item = Change>) {
        let mut newest = self.newest.lock();
        if !newest.follow(partition, base, next) {
            return;
        }
        for Change { key, offset, taken } in changes {
            newest.note(self.hash(&key), partition, offset);
            newest.coming.note(key, partition, offset, taken);
        }
        newest.make_room();
        let Newest { spans, coming, .. } = &mut *newest;
        coming.make_room(|partition| {
            let upto = spans.get(&partition).map_or(0, |span| span.upto);
            (self.view.position().get(&self.stream, partition), upto)
        });
    }

    /// The same of events whose rows are not at hand.
    pub(crate) fn learn_all(&self, partition: u32, base: u64, next: u64, changed: Vec<GroupKey>) {
        let change = |key| Change {
            key,
            offset: next.saturating_sub(1),
            taken: None,
        };
        self.learn(partition, base, next, changed.into_iter().map(change));
    }

    /// Whether a batch that nobody looked at yet changes a row that was read; what it changes is learned on the way. What cannot be looked at may change
    /// anything.
    pub(crate) fn is_in_the_way(&self, partition: u32, batch: &Batch, is_read: impl Fn(&KeyHash) -> bool) -> bool {
        let Ok(changed) = self.changed_by(partition, batch) else {
            return true;
        };
        let is_in_the_way = changed.iter().any(|key| is_read(&self.hash(key)));
        self.learn_all(partition, batch.base_offset(), batch.next_offset(), changed);
        is_in_the_way
    }

    /// What became of some rows since a position at which they were looked at, as far as is known; and up to where that is, for each partition.
    pub(crate) fn since(&self, position: &Position, partitions: u32, keys: &[&GroupKey]) -> (Vec<u64>, Vec<Since>) {
        let newest = self.newest.lock();
        let is_told = self.view.reads_as_defined();
        let from: Vec<u64> = (0..partitions)
            .map(|partition| position.get(&self.stream, partition))
            .collect();
        let known = |(partition, from): (u32, &u64)| match is_told {
            true => newest.known(partition, *from, &[]).upto,
            false => *from,
        };
        let upto: Vec<u64> = (0..).zip(&from).map(known).collect();
        let since = keys.iter().map(|key| {
            let hash = self.hash(key);
            let changed = (0..)
                .zip(from.iter().zip(&upto))
                .filter(|(_, (from, upto))| from < upto);
            let mut last: Vec<(u32, u64)> = Vec::new();
            for (partition, (from, _)) in changed {
                last.extend(newest.last(partition, *from, hash).map(|offset| (partition, offset)));
            }
            newest.coming.since(key, &from, &last)
        });
        let since = since.collect();
        (upto, since)
    }

    /// What is known of the events from an offset on, about some rows.
    pub(crate) fn known<'a>(&self, partition: u32, from: u64, keys: impl IntoIterator<Item = &'a KeyHash>) -> Known {
        match self.view.reads_as_defined() {
            true => self.newest.lock().known(partition, from, keys),
            false => Known::nothing(from),
        }
    }
}

impl Newest {
    /// Goes on in a partition; `false` where these offsets are known already.
    fn follow(&mut self, partition: u32, base: u64, next: u64) -> bool {
        let span = self.spans.entry(partition).or_insert(Span {
            from: base,
            young_from: base,
            upto: base,
        });
        if base < span.upto || next <= base {
            return false;
        }
        if base > span.upto {
            (span.from, span.young_from) = (base, base);
        }
        span.upto = next;
        true
    }

    /// An event changed a row.
    fn note(&mut self, key: KeyHash, partition: u32, offset: u64) {
        let places = self.young.entry(key).or_default();
        match places.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, last)) => *last = offset.max(*last),
            None => places.push((partition, offset)),
        }
    }

    /// Forgets the older half, where there is no room for more.
    fn make_room(&mut self) {
        if self.young.len() > KEYS_LATELY_MAX {
            self.old = std::mem::take(&mut self.young);
            for span in self.spans.values_mut() {
                (span.from, span.young_from) = (span.young_from, span.upto);
            }
        }
    }

    /// The last event of a partition that changed a row, where it is not below an offset.
    fn last(&self, partition: u32, from: u64, key: KeyHash) -> Option<u64> {
        let of = |last: &Last| {
            let places = last.get(&key)?;
            let (_, offset) = places.iter().find(|(known, _)| *known == partition)?;
            Some(*offset)
        };
        of(&self.young)
            .or_else(|| of(&self.old))
            .filter(|offset| *offset >= from)
    }

    fn known<'a>(&self, partition: u32, from: u64, keys: impl IntoIterator<Item = &'a KeyHash>) -> Known {
        let nothing = Known::nothing(from);
        let Some(span) = self.spans.get(&partition) else {
            return nothing;
        };
        if from < span.from || from > span.upto {
            return nothing;
        }
        Known {
            upto: span.upto,
            changed: keys.into_iter().any(|key| self.last(partition, from, *key).is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(newest: &mut Newest, partition: u32, base: u64, next: u64, keys: &[KeyHash]) {
        if newest.follow(partition, base, next) {
            keys.iter().for_each(|key| newest.note(*key, partition, next - 1));
            newest.make_room();
        }
    }

    fn known(upto: u64, changed: bool) -> Known {
        Known { upto, changed }
    }

    #[test]
    fn what_is_known_is_one_span_of_each_partition() {
        let mut newest = Newest::default();
        assert_eq!(newest.known(0, 5, &[1]), known(5, false), "nothing yet");
        learn(&mut newest, 0, 5, 6, &[1]);
        learn(&mut newest, 0, 6, 8, &[2, 3]);
        learn(&mut newest, 1, 0, 1, &[9]);
        for (from, keys, expected) in [
            (5, vec![1], known(8, true)),
            (6, vec![1], known(8, false)),
            (6, vec![7, 3], known(8, true)),
            (7, vec![2], known(8, true)),
            (8, vec![2], known(8, false)),
            (5, vec![9], known(8, false)),
            (4, vec![1], known(4, false)),
            (9, vec![1], known(9, false)),
        ] {
            assert_eq!(newest.known(0, from, &keys), expected, "{from} {keys:?}");
        }
        // Seen before: nothing new.
        learn(&mut newest, 0, 5, 6, &[4]);
        assert_eq!(newest.known(0, 5, &[4]), known(8, false));
        // Others appended what nobody looked at: what stood below is not known any more.
        learn(&mut newest, 0, 20, 21, &[1]);
        assert_eq!(newest.known(0, 6, &[1]), known(6, false));
        assert_eq!(newest.known(0, 20, &[1]), known(21, true));
        assert_eq!(newest.known(1, 0, &[9]), known(1, true));
    }

    #[test]
    fn it_is_bounded_and_knows_what_it_forgot() {
        let mut newest = Newest::default();
        let events = 3 * KEYS_LATELY_MAX as u64;
        for offset in 0..events {
            learn(&mut newest, 0, offset, offset + 1, &[offset]);
        }
        assert!(newest.young.len() + newest.old.len() <= 2 * (KEYS_LATELY_MAX + 1));
        assert_eq!(newest.known(0, 0, &[0]), known(0, false), "too long ago to be said");
        let from = newest.spans[&0].from;
        assert!(from > 0 && from < events);
        assert_eq!(newest.known(0, from, &[from]), known(events, true));
        assert_eq!(newest.known(0, from + 1, &[from]), known(events, false));
        assert_eq!(newest.known(0, from, &[events - 1]), known(events, true));
    }
}
