//! What a decision rests on, as a condition of its append.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use headwater_eventlog::{Condition, Guard};
use headwater_records::{Batch, Position};
use headwater_sql::{Engine, Reads};
use headwater_views::{GroupKey, View};

use crate::locks::Lock;

/// Everything that the questions of one decision read.
#[derive(Default)]
pub(crate) struct Boundary {
    after: Position,
    /// The partitions that `after` names, so that one that stands at 0 is known to be named.
    named: BTreeSet<(String, u32)>,
    /// The rows read of each view, by the view's name.
    rows: BTreeMap<String, Rows>,
    /// Streams in which any new event is in the way: they were read themselves, or a view of them was read whole.
    whole: BTreeSet<String>,
    locks: BTreeSet<Lock>,
}

struct Rows {
    view: Arc<View>,
    streams: Vec<String>,
    keys: HashSet<GroupKey>,
}

impl Boundary {
    /// Adds what one question read.
    pub(crate) fn add(&mut self, engine: &Engine, reads: &Reads) {
        for read in &reads.views {
            let name = &read.view;
            let streams = engine.streams_below(name);
            for stream in &streams {
                self.starts(engine, stream, &read.position);
            }
            match (&read.keys, engine.views().get(name)) {
                (Some(keys), Some(view)) => {
                    self.locks
                        .extend(keys.iter().map(|key| Lock::Row(name.clone(), key.clone())));
                    let rows = self.rows.entry(name.clone());
                    let rows = rows.or_insert_with(|| Rows {
                        view,
                        streams,
                        keys: HashSet::new(),
                    });
                    rows.keys.extend(keys.iter().cloned());
                }
                _ => {
                    self.locks.insert(Lock::View(name.clone()));
                    self.whole.extend(streams);
                }
            }
        }
        for (stream, position) in &reads.streams {
            self.starts(engine, stream, position);
            self.whole.insert(stream.clone());
        }
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
    pub(crate) fn locks(&self) -> BTreeSet<Lock> {
        self.locks.clone()
    }

    /// The condition of the append; `None` where nothing was read.
    pub(crate) fn condition(self) -> Option<Condition> {
        match self.after.is_empty() {
            true => None,
            false => Some(Condition::Guard(Box::new(self))),
        }
    }
}

impl Guard for Boundary {
    fn after(&self) -> &Position {
        &self.after
    }

    fn conflicts(&mut self, stream: &str, partition: u32, batch: &Batch) -> bool {
        if self.whole.contains(stream) {
            return true;
        }
        let mut read_here = self
            .rows
            .values()
            .filter(|rows| rows.streams.iter().any(|below| below == stream));
        read_here.any(|rows| match rows.view.touched(stream, partition, batch) {
            Ok(keys) => keys.iter().any(|key| rows.keys.contains(key)),
            // What cannot be looked at may be anything.
            Err(_) => true,
        })
    }
}
