//! One turn of folding: events in, changed groups out.
//!
//! A turn gathers the events of many batches in states of its own, merges the stored states of exactly the groups it met, and hands the new
//! states out. Nothing that readers see changes before the turn is over.

use std::hash::BuildHasher;

use arrow::record_batch::RecordBatch;
use arrow::row::Rows;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::query::{Accumulators, Grouped, Prepared, Query};
use crate::row;

/// Groups by the bytes of their keys, numbered in the order they were met.
pub(crate) struct Groups {
    hasher: DefaultHashBuilder,
    table: HashTable<u32>,
    hashes: Vec<u64>,
    /// All keys, one after another; `ends[i]` is where key `i` ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many events each group took.
    events: Vec<u32>,
    /// The most that one of them took.
    events_most: u32,
}

/// A turn under way.
pub(crate) struct Turn<'a> {
    query: &'a Query,
    groups: Groups,
    accumulators: Accumulators,
    /// The group of each event of the batch at hand.
    indexes: Vec<usize>,
    /// The rows of a query that has one for each event.
    rows: Vec<RecordBatch>,
}

/// What a turn changed.
pub(crate) struct Changed {
    /// New rows of a query that has one for each event.
    pub added: Vec<RecordBatch>,
    groups: Groups,
    /// How old each group's row is now, and whether the view had no such group before.
    rows: Vec<(u32, bool)>,
    states: Option<Rows>,
}

/// A row that a turn changed.
pub(crate) struct ChangedRow<'a> {
    /// The hash of its key.
    pub hash: u64,
    pub key: &'a [u8],
    /// How many events it took since its last snapshot.
    pub age: u32,
    pub state: &'a [u8],
    /// Whether the view did not have it before.
    pub is_new: bool,
}

/// An event that the view's query cannot take, by its row in the batch.
pub(crate) struct Unfit {
    pub row: usize,
    pub why: String,
}

impl Groups {
    fn new(hasher: DefaultHashBuilder) -> Groups {
        Groups {
            hasher,
            table: HashTable::new(),
            hashes: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            events: Vec::new(),
            events_most: 0,
        }
    }

    /// How many groups were met.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// Counts an event of a group in; the group's number.
    fn take(&mut self, key: &[u8]) -> usize {
        let index = self.index_of(key);
        self.count(index, 1);
        index
    }

    fn count(&mut self, index: usize, events: usize) {
        let taken = &mut self.events[index];
        *taken = taken.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
        self.events_most = self.events_most.max(*taken);
    }

    fn index_of(&mut self, key: &[u8]) -> usize {
        let hash = self.hasher.hash_one(key);
        let Groups {
            table,
            hashes,
            bytes,
            ends,
            events,
            ..
        } = self;
        let same = |index: &u32| {
            let index = *index as usize;
            let start = if index == 0 { 0 } else { ends[index - 1] };
            hashes[index] == hash && &bytes[start..ends[index]] == key
        };
        if let Some(index) = table.find(hash, same) {
            return *index as usize;
        }
        let index = ends.len();
        hashes.push(hash);
        bytes.extend_from_slice(key);
        ends.push(bytes.len());
        events.push(0);
        table.insert_unique(hash, index as u32, |index| hashes[*index as usize]);
        index
    }
}

impl<'a> Turn<'a> {
    /// A turn over a query's events. `hasher`: the one that whoever takes the changes uses, too.
    pub(crate) fn new(query: &'a Query, hasher: DefaultHashBuilder) -> Result<Turn<'a>> {
        Ok(Turn {
            query,
            groups: Groups::new(hasher),
            accumulators: query.accumulators()?,
            indexes: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// The most events that one group took.
    pub(crate) fn events_most(&self) -> u32 {
        self.groups.events_most
    }

    /// Takes a batch of the query's columns. Events that it cannot evaluate (a division by zero, a cast that fails) come back and are left out.
    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<Vec<Unfit>> {
        let mut unfit = Vec::new();
        self.take_from(batch, 0, &mut unfit)?;
        Ok(unfit)
    }

    fn take_from(&mut self, batch: &RecordBatch, first: usize, unfit: &mut Vec<Unfit>) -> Result<()> {
        let rows = batch.num_rows();
        match self.query.prepare(batch) {
            Ok(Prepared::Groups(events)) => self.absorb(&events),
            Ok(Prepared::Rows(rows)) => {
                self.rows.push(rows);
                Ok(())
            }
            Err(error) if rows <= 1 => {
                unfit.push(Unfit {
                    row: first,
                    why: error.strip_backtrace(),
                });
                Ok(())
            }
            Err(_) => {
                let half = rows / 2;
                self.take_from(&batch.slice(0, half), first, unfit)?;
                self.take_from(&batch.slice(half, rows - half), first + half, unfit)
            }
        }
    }

    fn absorb(&mut self, events: &Grouped) -> Result<()> {
        self.indexes.clear();
        match &events.keys {
            Some(keys) => {
                for key in keys {
                    self.indexes.push(self.groups.take(key.data()));
                }
            }
            None if events.rows > 0 => {
                let index = self.groups.index_of(&[]);
                self.groups.count(index, events.rows);
                self.indexes.resize(events.rows, index);
            }
            None => {}
        }
        if self.indexes.is_empty() {
            return Ok(());
        }
        self.query
            .update(&mut self.accumulators, events, &self.indexes, self.groups.len())
    }

    /// Ends the turn: merges the stored rows and gives the new ones. `stored` looks a row's value up by its key's hash and its key.
    pub(crate) fn finish<S: AsRef<[u8]>, E: From<DataFusionError>>(
        mut self,
        mut stored: impl FnMut(u64, &[u8]) -> Result<Option<S>, E>,
    ) -> Result<Changed, E> {
        let (mut values, mut indexes) = (Vec::new(), Vec::new());
        let mut rows: Vec<(u32, bool)> = self.groups.events.iter().map(|events| (*events, true)).collect();
        for (index, row) in rows.iter_mut().enumerate() {
            if let Some(value) = stored(self.groups.hashes[index], self.groups.key(index))? {
                *row = (row.0.saturating_add(row::age(value.as_ref())), false);
                values.push(value);
                indexes.push(index);
            }
        }
        if !values.is_empty() {
            let states: Vec<&[u8]> = values.iter().map(|value| row::state(value.as_ref())).collect();
            self.query
                .merge(&mut self.accumulators, &states, &indexes, self.groups.len())?;
        }
        let states = if self.groups.len() == 0 {
            None
        } else {
            self.query.states(self.accumulators)?
        };
        Ok(Changed {
            added: self.rows,
            groups: self.groups,
            rows,
            states,
        })
    }
}

impl Changed {
    /// Every row that changed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ChangedRow<'_>> {
        self.rows.iter().enumerate().map(|(index, (age, is_new))| ChangedRow {
            hash: self.groups.hashes[index],
            key: self.groups.key(index),
            age: *age,
            state: self.states.as_ref().map_or(&[], |states| states.row(index).data()),
            is_new: *is_new,
        })
    }
}
