//! What a decision read, as a condition on the append: nothing that came after it may change it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use headwater_eventlog::Condition;
use headwater_records::{Batch, Position};
use headwater_sql::{Engine, Reads, SqlError};
use headwater_views::{GroupKey, View};
use parking_lot::Mutex;

use crate::turns::Subject;

/// The boundary of one decision, over all the questions it asked.
#[derive(Default)]
pub(crate) struct Boundary {
    views: Vec<ViewRead>,
    streams: Vec<(String, Position)>,
    after: Position,
}

struct ViewRead {
    view: Arc<View>,
    position: Position,
    /// `None`: the whole view.
    keys: Option<HashSet<GroupKey>>,
}

/// Why a boundary could not be looked at, if it could not: left here by the sequencer for the caller.
pub(crate) type Fault = Arc<Mutex<Option<String>>>;

impl Boundary {
    /// Adds what one question read.
    pub(crate) fn add(&mut self, engine: &Engine, reads: Reads) -> Result<(), SqlError> {
        for (name, position, keys) in reads.views {
            let view = engine.views().get(&name).ok_or_else(|| {
                SqlError::new(headwater_sql::SqlState::IO, format!("the view '{name}' was dropped while the command was decided"))
                    .hint("call it again")
            })?;
            for stream in engine.streams_below(&name) {
                self.look_after(engine, &stream, &position);
            }
            self.views.push(ViewRead { view, position, keys: keys.map(HashSet::from_iter) });
        }
        for (stream, position) in reads.streams {
            self.look_after(engine, &stream, &position);
            self.streams.push((stream, position));
        }
        Ok(())
    }

    /// The condition begins at the earliest position at which any question read the stream.
    fn look_after(&mut self, engine: &Engine, stream: &str, position: &Position) {
        let partitions = engine.log().stream(stream).map_or(0, |stream| stream.partitions);
        let known = self.after.names(stream);
        for partition in 0..partitions {
            let read = position.get(stream, partition);
            let earliest = if known { read.min(self.after.get(stream, partition)) } else { read };
            self.after.set(stream, partition, earliest);
        }
    }

    /// Whether anything was read at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.after.is_empty()
    }

    /// What the caller takes turns for.
    pub(crate) fn subjects(&self) -> BTreeSet<Subject> {
        let mut subjects: BTreeSet<Subject> = BTreeSet::new();
        for read in &self.views {
            let name = read.view.definition().name.as_bytes();
            match &read.keys {
                None => {
                    subjects.insert(name.to_vec());
                }
                // Names hold no zero byte, so that a row is never mistaken for another view.
                Some(keys) => subjects.extend(keys.iter().map(|key| [name, key.0.as_slice()].join(&0))),
            }
        }
        for (stream, _) in &self.streams {
            subjects.insert(stream.as_bytes().to_vec());
        }
        subjects
    }

    /// As a condition of the append.
    pub(crate) fn condition(self) -> (Box<dyn Condition>, Fault) {
        let fault = Fault::default();
        (Box::new(Unchanged { boundary: self, fault: Arc::clone(&fault) }), fault)
    }
}

/// The condition: what was read has not changed.
struct Unchanged {
    boundary: Boundary,
    fault: Fault,
}

impl Condition for Unchanged {
    fn after(&self) -> &Position {
        &self.boundary.after
    }

    fn conflicts(&mut self, stream: &str, partition: u32, batch: &Batch) -> bool {
        let came_after = |position: &Position| batch.next_offset() > position.get(stream, partition);
        let of_stream = |(name, position): &(String, Position)| name == stream && came_after(position);
        if self.boundary.streams.iter().any(of_stream) {
            return true;
        }
        for read in self.boundary.views.iter().filter(|read| came_after(&read.position)) {
            match read.view.touched(stream, partition, batch) {
                Ok(touched) => match &read.keys {
                    None if !touched.is_empty() => return true,
                    Some(keys) if touched.iter().any(|key| keys.contains(key)) => return true,
                    _ => {}
                },
                Err(error) => {
                    self.fault.lock().get_or_insert_with(|| error.to_string());
                    return true;
                }
            }
        }
        false
    }
}
