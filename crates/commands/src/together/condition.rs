//! What the append of a batch stands on: nothing came in between that changes a row which one of its calls read.

use std::collections::HashSet;
use std::sync::Arc;

use headwater_eventlog::{Foreknown, Guard, Part};
use headwater_records::{Batch, Position};
use headwater_views::{GroupKey, View};

use super::made::Lesson;
use super::rows::ViewRows;
use crate::decide::lately::{KeyHash, Lately};

/// The condition of a batch's append. Once that is taken, the views are told what it changes.
pub(super) struct Unchanged {
    after: Position,
    views: Vec<Arc<View>>,
    read: Vec<Read>,
    lessons: Vec<Lesson>,
    /// Partition and number of events of each part of the append.
    parts: Vec<(u32, u64)>,
}

/// The rows that were read of one view, as the events of one stream change them.
struct Read {
    lately: Arc<Lately>,
    keys: HashSet<KeyHash>,
    /// Up to where the stream's events are in those rows, for each partition.
    upto: Vec<u64>,
}

impl Unchanged {
    /// `read`: of each view the keys of the rows that the calls read.
    pub(super) fn new<'a>(
        read: impl IntoIterator<Item = (&'a ViewRows, &'a HashSet<GroupKey>)>,
        parts: &[Part],
        lessons: Vec<Lesson>,
    ) -> Unchanged {
        let mut unchanged = Unchanged {
            after: Position::new(),
            views: Vec::new(),
            read: Vec::new(),
            lessons,
            parts: parts
                .iter()
                .map(|part| (part.partition, u64::from(part.batch.event_count())))
                .collect(),
        };
        for (rows, keys) in read {
            if keys.is_empty() {
                continue;
            }
            unchanged.views.push(Arc::clone(&rows.view));
            for stream in &rows.streams {
                let lately = &stream.lately;
                unchanged.starts(lately.stream(), &stream.upto);
                unchanged.read.push(Read {
                    keys: keys.iter().map(|key| lately.hash(key)).collect(),
                    upto: stream.upto.clone(),
                    lately: Arc::clone(lately),
                });
            }
        }
        unchanged
    }

    /// It holds from here on; of two views the one counts that is less far.
    fn starts(&mut self, stream: &str, upto: &[u64]) {
        let is_named = self.after.names(stream);
        for (partition, upto) in (0..).zip(upto) {
            let from = match is_named {
                true => self.after.get(stream, partition).min(*upto),
                false => *upto,
            };
            self.after.set(stream, partition, from);
        }
    }
}

impl Read {
    fn upto(&self, partition: u32) -> u64 {
        self.upto.get(partition as usize).copied().unwrap_or(0)
    }
}

impl Guard for Unchanged {
    fn after(&self) -> &Position {
        &self.after
    }

    fn stands(&self) -> bool {
        self.views.iter().all(|view| view.reads_as_defined())
    }

    fn known(&mut self, stream: &str, partition: u32, from: u64) -> Foreknown {
        let mut foreknown: Option<Foreknown> = None;
        for read in self.read.iter().filter(|read| read.lately.stream() == stream) {
            let known = read.lately.known(partition, from.max(read.upto(partition)), &read.keys);
            let so_far = foreknown.get_or_insert(Foreknown {
                upto: known.upto,
                conflicts: false,
            });
            so_far.upto = so_far.upto.min(known.upto);
            so_far.conflicts |= known.changed;
        }
        foreknown.unwrap_or(Foreknown {
            upto: from,
            conflicts: false,
        })
    }

    fn conflicts(&mut self, stream: &str, partition: u32, batch: &Batch) -> bool {
        let mut conflicts = false;
        for read in self.read.iter().filter(|read| read.lately.stream() == stream) {
            if batch.next_offset() <= read.upto(partition) {
                continue;
            }
            let is_read = |key: &KeyHash| read.keys.contains(key);
            conflicts |= read.lately.is_in_the_way(partition, batch, is_read);
        }
        conflicts
    }

    fn taken(&mut self, base_offsets: &[u64]) {
        for Lesson { lately, changes } in std::mem::take(&mut self.lessons) {
            for ((changes, (partition, events)), base) in changes.into_iter().zip(&self.parts).zip(base_offsets) {
                let Some(mut changes) = changes else { continue };
                changes.iter_mut().for_each(|change| change.offset += base);
                lately.learn(*partition, *base, base + events, changes);
            }
        }
    }
}
