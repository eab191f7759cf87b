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

use crate::entries::NewEntries;
use crate::query::{Accumulators, Grouped, Input, Prepared, Query, Source};
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
    rows: Vec<Outcome>,
    states: Option<Rows>,
    /// Of each aggregate.
    entries: Vec<NewEntries>,
}

/// What became of a group's row.
#[derive(Clone, Copy)]
struct Outcome {
    age: u32,
    was_there: bool,
    is_there: bool,
}

/// A row that a turn changed.
pub(crate) struct ChangedRow<'a> {
    /// The hash of its key.
    pub hash: u64,
    pub key: &'a [u8],
    /// How many events it took since its last snapshot.
    pub age: u32,
    pub state: &'a [u8],
    /// Whether it is a row, and not what a deleted one left behind.
    pub is_there: bool,
    /// How many rows the view has more: one that came to be, or one less that was deleted.
    pub added: i64,
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

    /// Takes a batch of a source that has the columns of all its inputs. Events that the query cannot evaluate (a division by zero, a cast that
    /// fails) come back and are left out.
    pub(crate) fn take(&mut self, source: &Source, events: &RecordBatch) -> Result<Vec<Unfit>> {
        let query = self.query;
        let inputs: Vec<&Input> = query.inputs_of(source).collect();
        let mut unfit = Vec::new();
        if !inputs.is_empty() && events.num_rows() > 0 {
            self.take_from(&inputs, events, 0, &mut unfit)?;
        }
        Ok(unfit)
    }

    fn take_from(
        &mut self,
        inputs: &[&Input],
        events: &RecordBatch,
        first: usize,
        unfit: &mut Vec<Unfit>,
    ) -> Result<()> {
        let rows = events.num_rows();
        // An event goes all ways or none.
        let prepared: Result<Vec<Prepared>> = inputs.iter().map(|input| self.query.prepare(input, events)).collect();
        match prepared {
            Ok(prepared) => prepared.into_iter().try_for_each(|events| match events {
                Prepared::Groups(events) => self.absorb(&events),
                Prepared::Rows(rows) => {
                    self.rows.push(rows);
                    Ok(())
                }
            }),
            Err(error) if rows <= 1 => {
                unfit.push(Unfit {
                    row: first,
                    why: error.strip_backtrace(),
                });
                Ok(())
            }
            Err(_) => {
                let half = rows / 2;
                self.take_from(inputs, &events.slice(0, half), first, unfit)?;
                self.take_from(inputs, &events.slice(half, rows - half), first + half, unfit)
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

    /// Ends the turn: merges the stored rows and gives the new ones. `stored` looks a row's value up by its key's hash and its key, `has_entry`
    /// an entry of a stored row by the row's key and the entry's place.
    pub(crate) fn finish<S: AsRef<[u8]>, E: From<DataFusionError>>(
        mut self,
        mut stored: impl FnMut(u64, &[u8]) -> Result<Option<S>, E>,
        mut has_entry: impl FnMut(&[u8], &[u8]) -> Result<bool, E>,
    ) -> Result<Changed, E> {
        let (mut values, mut indexes) = (Vec::new(), Vec::new());
        let came = |events: &u32| Outcome {
            age: *events,
            was_there: false,
            is_there: true,
        };
        let mut rows: Vec<Outcome> = self.groups.events.iter().map(came).collect();
        for (index, row) in rows.iter_mut().enumerate() {
            if let Some(value) = stored(self.groups.hashes[index], self.groups.key(index))? {
                row.age = row.age.saturating_add(row::age(value.as_ref()));
                values.push(value);
                indexes.push(index);
            }
        }
        if !values.is_empty() {
            let states: Vec<&[u8]> = values.iter().map(|value| row::state(value.as_ref())).collect();
            let states = self.query.state_columns(&states)?;
            for (place, index) in indexes.iter().enumerate() {
                rows[*index].was_there = self.query.is_row(&states, place);
            }
            self.query
                .merge(&mut self.accumulators, &states, &indexes, self.groups.len())?;
        }
        let is_stored: Vec<bool> = match self.query.has_entries() {
            true => (0..rows.len())
                .map(|index| indexes.binary_search(&index).is_ok())
                .collect(),
            false => Vec::new(),
        };
        let groups = &self.groups;
        self.query.settle(&mut self.accumulators, |group, place| {
            Ok::<bool, E>(!is_stored[group] || !has_entry(groups.key(group), place)?)
        })?;
        let mut entries: Vec<NewEntries> = Vec::new();
        let states = match self.groups.len() {
            0 => None,
            _ => {
                let (states, new) = self.query.states(self.accumulators)?;
                entries = new;
                for (index, row) in rows.iter_mut().enumerate() {
                    row.is_there = self.query.is_row(&states, index);
                }
                self.query.state_bytes(&states)?
            }
        };
        Ok(Changed {
            added: self.rows,
            groups: self.groups,
            rows,
            states,
            entries,
        })
    }
}

impl Changed {
    /// The entries that rows have more: the row's key, the entry's place, its value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
        let entries = self.entries.iter().flat_map(NewEntries::iter);
        entries.map(|(group, place, value)| (self.groups.key(group), place, value))
    }

    /// Every row that changed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ChangedRow<'_>> {
        self.rows.iter().enumerate().map(|(index, row)| ChangedRow {
            hash: self.groups.hashes[index],
            key: self.groups.key(index),
            age: row.age,
            state: self.states.as_ref().map_or(&[], |states| states.row(index).data()),
            is_there: row.is_there,
            added: i64::from(row.is_there) - i64::from(row.was_there),
        })
    }
}
