//! What a decision rests on, as a condition of its append.
//!
//! [`Boundary`] gathers what was read; [`Rows`] asks the log's sequencer, in the step that assigns the offsets, that nothing which came since changes it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use headwater_eventlog::{Condition, Foreknown, Guard, Part};
use headwater_records::{Batch, Position};
use headwater_sql::{Engine, Reads};
use headwater_views::{GroupKey, View};

use crate::lately::{Change, KeyHash, Lately};
use crate::locks::Lock;

/// Everything that the questions of one decision read.
#[derive(Default)]
pub(crate) struct Boundary {
    after: Position,
    /// The partitions that `after` names, so that one that stands at 0 is known to be named.
    named: BTreeSet<(String, u32)>,
    /// Every version of a view that was read: it must read its streams as they are defined when the decision is appended.
    views: Vec<Arc<View>>,
    /// The rows that were read of each, where single ones were.
    rows: Vec<(Arc<View>, HashSet<GroupKey>)>,
    /// Streams in which any new event is in the way: they were read themselves, or a view of them was read whole.
    whole: BTreeSet<String>,
    locks: BTreeSet<Lock>,
}

impl Boundary {
    /// Adds what one question read.
    pub(crate) fn add(&mut self, engine: &Engine, reads: &Reads) {
        for read in &reads.views {
            let (view, name) = (&read.view, &read.view.definition().name);
            self.views.push(Arc::clone(view));
            match &read.keys {
                Some(keys) => {
                    for stream in view.streams() {
                        self.starts(engine, stream, &read.position);
                    }
                    self.locks
                        .extend(keys.iter().map(|key| Lock::Row(name.clone(), key.clone())));
                    self.rows_of(view).extend(keys.iter().cloned());
                }
                None => {
                    let streams = engine.streams_below(name);
                    for stream in &streams {
                        self.starts(engine, stream, &read.position);
                    }
                    self.locks.extend(streams.iter().cloned().map(Lock::Stream));
                    self.whole.extend(streams);
                }
            }
        }
        for (stream, position) in &reads.streams {
            self.starts(engine, stream, position);
            self.locks.insert(Lock::Stream(stream.clone()));
            self.whole.insert(stream.clone());
        }
    }

    fn rows_of(&mut self, view: &Arc<View>) -> &mut HashSet<GroupKey> {
        let known = self.rows.iter().position(|(known, _)| Arc::ptr_eq(known, view));
        let place = known.unwrap_or_else(|| {
            self.rows.push((Arc::clone(view), HashSet::new()));
            self.rows.len() - 1
        });
        &mut self.rows[place].1
    }

    /// The decision holds from here on; of two reads the earlier counts. Every partition is named: also the first event of one counts.
    fn starts(&mut self, engine: &Engine, stream: &str, position: &Position) {
        let partitions = engine.log().stream(stream).map_or(0, |info| info.partitions);
        for partition in 0..partitions {
            let read = position.get(stream, partition);
            let is_new = self.named.insert((stream.to_owned(), partition));
            let from = if is_new {
                read
            } else {
                read.min(self.after.get(stream, partition))
            };
            self.after.set(stream, partition, from);
        }
    }

    /// What others that decide on the same rows wait for.
    pub(crate) fn locks(&self) -> &BTreeSet<Lock> {
        &self.locks
    }

    /// Streams of which any new event is in the way.
    pub(crate) fn streams_read_whole(&self) -> impl Iterator<Item = &String> {
        self.whole.iter()
    }

    /// Whether what was read is the same at a position, as far as is known: nothing between changes it.
    pub(crate) fn stands_at(&self, upto: &Position, lately: impl Fn(&Arc<View>, &str) -> Arc<Lately>) -> bool {
        let is_same = |stream: &String| self.after.covers(&upto.of(stream));
        let are_same =
            |(view, keys): &(Arc<View>, HashSet<GroupKey>)| is_unchanged(view, keys, &self.after, upto, &lately);
        self.whole.iter().all(is_same) && self.rows.iter().all(are_same)
    }

    /// The condition of an append of these parts, whose rows are at hand or not; `None` where nothing was read. `lately`: of a view, what is known of the newest events of a stream.
    pub(crate) fn condition(
        self,
        parts: &[Part],
        rows_of: &[Option<RecordBatch>],
        lately: impl Fn(&Arc<View>, &str) -> Arc<Lately>,
    ) -> Option<Condition> {
        if self.after.is_empty() {
            return None;
        }
        let mut rows: Vec<ReadRows> = Vec::with_capacity(self.rows.len());
        for (view, keys) in self.rows {
            for stream in view.streams() {
                let lately = lately(&view, stream);
                let changes = parts
                    .iter()
                    .zip(rows_of)
                    .map(|(part, rows)| match part.stream == stream {
                        true => lately.changes_of(part, rows.as_ref()).ok(),
                        false => None,
                    });
                rows.push(ReadRows {
                    keys: keys.iter().map(|key| lately.hash(key)).collect(),
                    changes: changes.collect(),
                    lately,
                });
            }
        }
        Some(Condition::Guard(Box::new(Rows {
            after: self.after,
            views: self.views,
            rows,
            whole: self.whole,
            parts: parts
                .iter()
                .map(|part| (part.partition, u64::from(part.batch.event_count())))
                .collect(),
        })))
    }
}

/// Whether it is known that no event from one position to another changes any of these rows of a view.
pub(crate) fn is_unchanged<'a>(
    view: &Arc<View>,
    keys: impl IntoIterator<Item = &'a GroupKey> + Clone,
    from: &Position,
    upto: &Position,
    lately: impl Fn(&Arc<View>, &str) -> Arc<Lately>,
) -> bool {
    view.streams().into_iter().all(|stream| {
        let lately = lately(view, stream);
        let keys: Vec<KeyHash> = keys.clone().into_iter().map(|key| lately.hash(key)).collect();
        upto.of(stream).iter().all(|(_, partition, end)| {
            let from = from.get(stream, partition);
            let known = lately.known(partition, from, &keys);
            from >= end || (known.upto >= end && !known.changed)
        })
    })
}

/// What was read, ready to be asked by the sequencer.
struct Rows {
    after: Position,
    views: Vec<Arc<View>>,
    rows: Vec<ReadRows>,
    whole: BTreeSet<String>,
    /// Partition and number of events of each part of the append.
    parts: Vec<(u32, u64)>,
}

/// The rows that were read of one view, as the events of one stream change them.
struct ReadRows {
    lately: Arc<Lately>,
    keys: Vec<KeyHash>,
    /// The rows that each part of the append changes; `None`: it is of another stream, or nobody can say.
    changes: Vec<Option<Vec<Change>>>,
}

impl Guard for Rows {
    fn after(&self) -> &Position {
        &self.after
    }

    fn stands(&self) -> bool {
        self.views.iter().all(|view| view.reads_as_defined())
    }

    fn known(&mut self, stream: &str, partition: u32, from: u64) -> Foreknown {
        let mut known = Foreknown {
            upto: u64::MAX,
            conflicts: false,
        };
        if self.whole.contains(stream) {
            known.upto = from;
        }
        for rows in self.rows.iter().filter(|rows| rows.lately.stream() == stream) {
            let of_view = rows.lately.known(partition, from, &rows.keys);
            known.upto = known.upto.min(of_view.upto);
            known.conflicts |= of_view.changed;
        }
        // A stream that nothing is known of.
        if known.upto == u64::MAX {
            known.upto = from;
        }
        known
    }

    fn conflicts(&mut self, stream: &str, partition: u32, batch: &Batch) -> bool {
        let mut conflicts = self.whole.contains(stream);
        for rows in self.rows.iter().filter(|rows| rows.lately.stream() == stream) {
            let is_read = |key: &KeyHash| rows.keys.contains(key);
            conflicts |= rows.lately.is_in_the_way(partition, batch, is_read);
        }
        conflicts
    }

    fn taken(&mut self, base_offsets: &[u64]) {
        for rows in &mut self.rows {
            let changes = std::mem::take(&mut rows.changes);
            for ((changed, (partition, events)), base) in changes.into_iter().zip(&self.parts).zip(base_offsets) {
                let Some(mut changed) = changed else { continue };
                changed.iter_mut().for_each(|change| change.offset += base);
                rows.lately.learn(*partition, *base, base + events, changed);
            }
        }
    }
}
