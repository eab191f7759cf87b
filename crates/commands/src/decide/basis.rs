//! What a decision rests on, as a condition of its append.
//!
//! ```text
//! rows of a view          no event came that changes one of them     asked by key, of what was seen of the events
//! entities of a stream    no event came that is of one of them       asked of the stream's entity index
//! a stream                no event came
//! ```
//!
//! [`Basis`] gathers what was read; [`Read`] asks the log's sequencer, in the step that assigns the offsets, that nothing which came since changes it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use headwater_catalog::StreamDefinition;
use headwater_eventlog::{self as eventlog, Condition, Foreknown, Guard, Part, QUERY_ITEMS_MAX, QueryItem};
use headwater_records::{Batch, Position};
use headwater_sql::{Engine, Reads, StreamRead};
use headwater_views::{GroupKey, View};

use crate::decide::lately::{Change, KeyHash, Lately};
use crate::decide::locks::Lock;

/// Everything that the questions of one decision read.
#[derive(Default)]
pub(crate) struct Basis {
    /// From where on rows and whole streams must be what they are.
    after: Start,
    /// Every version of a view that was read: it must read its streams as they are defined when the decision is appended.
    views: Vec<Arc<View>>,
    /// The rows that were read of each, where single ones were.
    rows: Vec<(Arc<View>, HashSet<GroupKey>)>,
    /// Streams in which any new event is in the way: they were read themselves, or a view of them was read whole.
    whole: BTreeSet<String>,
    /// Streams of which single entities were read: any new event is in the way that matches one of the items.
    entities: BTreeMap<String, Entities>,
    /// Every definition by which a stream was read: it must be defined so when the decision is appended.
    definitions: Vec<Arc<StreamDefinition>>,
    locks: BTreeSet<Lock>,
}

/// Entities of a stream that were read.
#[derive(Default)]
struct Entities {
    after: Start,
    items: BTreeSet<QueryItem>,
}

/// A position from which on something must be as it is. Every partition is named: also the first event of one counts.
#[derive(Default)]
struct Start {
    position: Position,
    /// The partitions that the position names, so that one that stands at 0 is known to be named.
    named: BTreeSet<(String, u32)>,
}

impl Start {
    /// It holds from here on; of two reads the earlier counts.
    fn starts(&mut self, engine: &Engine, stream: &str, position: &Position) {
        let partitions = engine.log().stream(stream).map_or(0, |info| info.partitions);
        for partition in 0..partitions {
            let read = position.get(stream, partition);
            let is_new = self.named.insert((stream.to_owned(), partition));
            let from = if is_new {
                read
            } else {
                read.min(self.position.get(stream, partition))
            };
            self.position.set(stream, partition, from);
        }
    }
}

impl Basis {
    /// Adds what one question read.
    pub(crate) fn add(&mut self, engine: &Engine, reads: &Reads) {
        for read in &reads.views {
            let (view, name) = (&read.view, &read.view.definition().name);
            self.views.push(Arc::clone(view));
            match &read.keys {
                Some(keys) => {
                    for stream in view.streams() {
                        self.after.starts(engine, stream, &read.position);
                    }
                    self.locks
                        .extend(keys.iter().map(|key| Lock::Row(name.clone(), key.clone())));
                    self.rows_of(view).extend(keys.iter().cloned());
                }
                None => {
                    let streams = engine.streams_below(name);
                    for stream in &streams {
                        self.after.starts(engine, stream, &read.position);
                    }
                    self.locks.extend(streams.iter().cloned().map(Lock::Stream));
                    self.whole.extend(streams);
                }
            }
        }
        for read in &reads.streams {
            self.definitions.extend(read.definition.clone());
            match &read.items {
                Some(items) => self.add_entities(engine, read, items),
                None => {
                    self.after.starts(engine, &read.stream, &read.position);
                    self.locks.insert(Lock::Stream(read.stream.clone()));
                    self.whole.insert(read.stream.clone());
                }
            }
        }
    }

    fn add_entities(&mut self, engine: &Engine, read: &StreamRead, items: &[QueryItem]) {
        let entities = self.entities.entry(read.stream.clone()).or_default();
        entities.after.starts(engine, &read.stream, &read.position);
        entities.items.extend(items.iter().cloned());
        self.locks.extend(items.iter().cloned().map(Lock::Entity));
    }

    fn rows_of(&mut self, view: &Arc<View>) -> &mut HashSet<GroupKey> {
        let known = self.rows.iter().position(|(known, _)| Arc::ptr_eq(known, view));
        let place = known.unwrap_or_else(|| {
            self.rows.push((Arc::clone(view), HashSet::new()));
            self.rows.len() - 1
        });
        &mut self.rows[place].1
    }

    /// Takes whoever read an entity for a reader of its stream: its index does not answer.
    pub(crate) fn widen(&mut self, engine: &Engine) {
        for (stream, entities) in std::mem::take(&mut self.entities) {
            self.after.starts(engine, &stream, &entities.after.position);
            self.locks.insert(Lock::Stream(stream.clone()));
            self.whole.insert(stream);
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
        let after = &self.after.position;
        let is_same = |stream: &String| after.covers(&upto.of(stream));
        let are_same = |(view, keys): &(Arc<View>, HashSet<GroupKey>)| is_unchanged(view, keys, after, upto, &lately);
        // Of entities nothing is known without asking.
        self.entities.is_empty() && self.whole.iter().all(is_same) && self.rows.iter().all(are_same)
    }

    /// The condition of an append of these parts, whose rows are at hand or not; `None` where nothing was read. `lately`: of a view, what is known of the newest events of a stream.
    pub(crate) fn condition(
        self,
        engine: &Engine,
        parts: &[Part],
        rows_of: &[Option<RecordBatch>],
        lately: impl Fn(&Arc<View>, &str) -> Arc<Lately>,
    ) -> Option<Condition> {
        if self.after.position.is_empty() && self.definitions.is_empty() {
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
        let read = Condition::Guard(Box::new(Read {
            engine: engine.clone(),
            after: self.after.position,
            views: self.views,
            definitions: self.definitions,
            rows,
            whole: self.whole,
            parts: parts
                .iter()
                .map(|part| (part.partition, u64::from(part.batch.event_count())))
                .collect(),
        }));
        let mut all = vec![read];
        for entities in self.entities.into_values() {
            let items: Vec<QueryItem> = entities.items.into_iter().collect();
            all.extend(items.chunks(QUERY_ITEMS_MAX).map(|items| {
                Condition::Boundary(eventlog::Boundary {
                    after: Some(entities.after.position.clone()),
                    none_of: items.to_vec(),
                })
            }));
        }
        Some(Condition::All(all))
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

/// What was read, but for entities, ready to be asked by the sequencer.
struct Read {
    engine: Engine,
    after: Position,
    views: Vec<Arc<View>>,
    definitions: Vec<Arc<StreamDefinition>>,
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

impl Guard for Read {
    fn after(&self) -> &Position {
        &self.after
    }

    fn stands(&self) -> bool {
        let is_defined = |stream: &Arc<StreamDefinition>| self.engine.reads_as_defined(stream);
        self.views.iter().all(|view| view.reads_as_defined()) && self.definitions.iter().all(is_defined)
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
