//! The keys of a view in parts, so that several threads gather its events at once.
//!
//! ```text
//! portion 0 ─> prepare ─┐        ┌─> part 0: the events of its keys, in their order ─> its states, merged with the stored ones
//! portion 1 ─> prepare ─┼─ all ──┤
//! portion 2 ─> prepare ─┘        └─> part 1: the events of the other keys            ─> theirs
//! ```
//!
//! What can fail on an event's values is done portion by portion, and what gathers, part by part. Which part a key is of, its hash says; so each
//! state is one thread's, which meets its events in the order of the stream: sums of floats come out as with one thread.
//!
//! Invariant: in one turn all events go by the same number of parts.

use std::hash::BuildHasher;

use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use hashbrown::DefaultHashBuilder;

use crate::query::{Grouped, Input, Prepared, Query, Source};

/// Some of all keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// One of so many parts.
    Share { number: usize, of: usize },
    /// Those with this hash: one key, and whatever else chance gives the same.
    Only(u64),
}

impl Part {
    /// All keys.
    pub(crate) const WHOLE: Part = Part::Share { number: 0, of: 1 };

    /// One of so many.
    pub(crate) fn new(number: usize, of: usize) -> Part {
        Part::Share { number, of }
    }

    /// Whether it is the first of all parts: the one that what has no key goes to.
    pub(crate) fn is_first(self) -> bool {
        matches!(self, Part::Share { number: 0, .. })
    }

    /// Whether every key is of the part.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Part::Share { of: 1, .. })
    }

    /// Whether a key with this hash is of the part.
    pub(crate) fn holds(self, hash: u64) -> bool {
        match self {
            // Bits of the middle: tables of hashes go by the others, and would have every key in one place.
            Part::Share { number, of } => of == 1 || (hash >> 24) as u32 as usize % of == number,
            Part::Only(only) => hash == only,
        }
    }
}

/// Events of a source with everything done that can fail on their values.
pub(crate) struct Ready {
    /// On their way into groups.
    pub groups: Vec<Hashed>,
    /// The rows that they are, of a query that has one for each.
    pub rows: Vec<RecordBatch>,
    /// Those that the query cannot take.
    pub unfit: Vec<Unfit>,
}

/// Events on their way into groups, and the hash of each one's key; one hash where there is no GROUP BY.
pub(crate) struct Hashed {
    pub events: Grouped,
    pub hashes: Vec<u64>,
}

/// An event that the view's query cannot take, by its row in the batch.
pub(crate) struct Unfit {
    pub row: usize,
    pub why: String,
}

impl Ready {
    /// Prepares a batch of a source that has the columns of all its inputs.
    pub(crate) fn of(query: &Query, hasher: &DefaultHashBuilder, source: &Source, events: &RecordBatch) -> Ready {
        let inputs: Vec<&Input> = query.inputs_of(source).collect();
        let mut ready = Ready {
            groups: Vec::new(),
            rows: Vec::new(),
            unfit: Vec::new(),
        };
        if !inputs.is_empty() && events.num_rows() > 0 {
            ready.prepare(query, hasher, &inputs, events, 0);
        }
        ready
    }

    fn prepare(
        &mut self,
        query: &Query,
        hasher: &DefaultHashBuilder,
        inputs: &[&Input],
        events: &RecordBatch,
        first: usize,
    ) {
        let rows = events.num_rows();
        // An event goes all ways or none.
        let prepared: Result<Vec<Prepared>> = inputs.iter().map(|input| query.prepare(input, events)).collect();
        match prepared {
            Ok(prepared) => {
                for events in prepared {
                    match events {
                        Prepared::Groups(events) => self.groups.push(Hashed::of(events, hasher)),
                        Prepared::Rows(rows) => self.rows.push(rows),
                    }
                }
            }
            Err(error) if rows <= 1 => self.unfit.push(Unfit {
                row: first,
                why: crate::error::why(&error),
            }),
            Err(_) => {
                let half = rows / 2;
                self.prepare(query, hasher, inputs, &events.slice(0, half), first);
                self.prepare(query, hasher, inputs, &events.slice(half, rows - half), first + half);
            }
        }
    }
}

impl Hashed {
    fn of(events: Grouped, hasher: &DefaultHashBuilder) -> Hashed {
        let hashes = match &events.keys {
            Some(keys) => keys.iter().map(|key| hasher.hash_one(key.data())).collect(),
            None if events.rows > 0 => vec![hasher.hash_one::<&[u8]>(&[])],
            None => Vec::new(),
        };
        Hashed { events, hashes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_of_one_part() {
        let hasher = DefaultHashBuilder::default();
        for of in [1, 2, 3, 16] {
            let mut keys = vec![0; of];
            for key in 0..1_000_u32 {
                let hash = hasher.hash_one(key.to_le_bytes().as_slice());
                let holds = |number: &usize| Part::new(*number, of).holds(hash);
                let parts: Vec<usize> = (0..of).filter(holds).collect();
                assert_eq!(parts.len(), 1, "{key} is of {parts:?}");
                keys[parts[0]] += 1;
            }
            assert!(keys.iter().all(|keys| *keys > 1_000 / of / 2), "{keys:?}");
        }
    }

    #[test]
    fn one_key_is_a_part_without_the_others() {
        let hasher = DefaultHashBuilder::default();
        let hash = |key: u32| hasher.hash_one(key.to_le_bytes().as_slice());
        let only = Part::Only(hash(7));
        let held: Vec<u32> = (0..1_000).filter(|key| only.holds(hash(*key))).collect();
        assert_eq!(held, [7]);
        assert!(!only.is_first(), "rows without a key are not its");
    }
}
