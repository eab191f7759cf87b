//! One turn of folding: events in, changed groups out.
//!
//! A turn gathers the events of many batches in states of its own, merges the stored states of exactly the groups it met, and hands the new
//! states out. Nothing that readers see changes before the turn is over.

use std::hash::BuildHasher;
use std::ops::Range;

use arrow::record_batch::RecordBatch;
use arrow::row::Rows;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use hashbrown::{DefaultHashBuilder, HashTable};
use headwater_stores::ascending;

use crate::fold::parts::{Hashed, Part, Ready, Unfit};
use crate::order::Place;
use crate::query::{Accumulators, Query, Source};
use crate::rows::entries::NewEntries;
use crate::rows::row;

/// Groups by the bytes of their keys, numbered in the order they were met.
///
/// A group is met by four steps in memory: the table, the group, its key, its states. With many groups each of them is far from the processor, and
/// one waits for the other. So a run of keys takes the first step together, then the second, then the third: what the one key waits for comes while
/// the others are looked at.
pub(crate) struct Groups {
    hasher: DefaultHashBuilder,
    table: HashTable<Slot>,
    run: Vec<Candidate>,
    /// What a look at a group needs, in one line of the processor's cache.
    groups: Vec<Group>,
    /// All keys, one after another.
    bytes: Vec<u8>,
    /// The most events that one of them took.
    events_most: u32,
}

/// A place in the table.
#[derive(Clone, Copy)]
struct Slot {
    /// A part of the hash, so that other groups' places are passed by without a look at those groups.
    mark: u32,
    index: u32,
}

/// So many keys take each step together: their groups and keys fit into the processor's first cache.
const RUN: usize = 128;

/// A key of a run, by its row, and the group that it may be of.
struct Candidate {
    row: u32,
    hash: u64,
    group: Option<u32>,
}

struct Group {
    hash: u64,
    /// Where its key stands among the bytes of all.
    key: Range<usize>,
    /// How many events it took.
    events: u32,
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
    /// See [`Turn::look_up_in_order`].
    is_ordered: bool,
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
    /// The newest place of a tombstone that left no row.
    pub newest_gone: Option<Place>,
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

impl Groups {
    fn new(hasher: DefaultHashBuilder) -> Groups {
        Groups {
            hasher,
            table: HashTable::new(),
            run: Vec::new(),
            groups: Vec::new(),
            bytes: Vec::new(),
            events_most: 0,
        }
    }

    /// How many groups were met.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    fn key(&self, index: usize) -> &[u8] {
        &self.bytes[self.groups[index].key.clone()]
    }

    /// What they take of memory, about, without the states of their aggregates.
    fn memory(&self) -> usize {
        self.bytes.len() + self.groups.len() * (size_of::<Group>() + size_of::<Slot>())
    }

    /// Counts an event in for each of some keys, by its row and its hash; the numbers of their groups are appended.
    fn take_each(&mut self, keys: &Rows, mut rows: impl Iterator<Item = (u32, u64)>, indexes: &mut Vec<usize>) {
        let mut run = std::mem::take(&mut self.run);
        loop {
            let found = |(row, hash)| {
                let found = self.table.find(hash, |slot| slot.mark == mark(hash));
                let group = found.map(|slot| slot.index);
                Candidate { row, hash, group }
            };
            run.clear();
            run.extend(rows.by_ref().take(RUN).map(found));
            for Candidate { hash, group, .. } in &mut run {
                *group = group.filter(|group| self.groups[*group as usize].hash == *hash);
            }
            for Candidate { row, hash, group } in &run {
                let key = keys.row(*row as usize);
                let group = group
                    .map(|group| group as usize)
                    .filter(|group| self.key(*group) == key.data());
                let group = group.unwrap_or_else(|| self.index_of(*hash, key.data()));
                indexes.push(self.count(group, 1));
            }
            if run.len() < RUN {
                break;
            }
        }
        self.run = run;
    }

    /// Counts events of a group in; the group's number.
    fn take(&mut self, hash: u64, key: &[u8], events: usize) -> usize {
        let index = self.index_of(hash, key);
        self.count(index, events)
    }

    fn count(&mut self, index: usize, events: usize) -> usize {
        let group = &mut self.groups[index];
        group.events = group.events.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
        self.events_most = self.events_most.max(group.events);
        index
    }

    /// The number of a key's group, where it was met.
    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let same = |slot: &Slot| {
            let index = slot.index as usize;
            slot.mark == mark(hash) && self.groups[index].hash == hash && self.key(index) == key
        };
        self.table.find(hash, same).map(|slot| slot.index as usize)
    }

    fn index_of(&mut self, hash: u64, key: &[u8]) -> usize {
        if let Some(index) = self.find(hash, key) {
            return index;
        }
        let Groups {
            table, groups, bytes, ..
        } = self;
        let index = groups.len();
        let start = bytes.len();
        bytes.extend_from_slice(key);
        groups.push(Group {
            hash,
            key: start..bytes.len(),
            events: 0,
        });
        let slot = Slot {
            mark: mark(hash),
            index: index as u32,
        };
        table.insert_unique(hash, slot, |slot| groups[slot.index as usize].hash);
        index
    }
}

/// The part of a hash that stands in the table: not the bits that the table goes by.
fn mark(hash: u64) -> u32 {
    (hash >> 24) as u32
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
            is_ordered: false,
        })
    }

    /// Looks stored rows up in the order of their keys when it ends: for a store that is on the disk.
    pub(crate) fn look_up_in_order(&mut self) {
        self.is_ordered = true;
    }

    /// The groups in the order in which their stored rows are looked up.
    fn order(&self) -> Box<dyn Iterator<Item = usize>> {
        let all = 0..self.groups.len();
        match self.is_ordered {
            true => {
                let keys: Vec<&[u8]> = all.map(|index| self.groups.key(index)).collect();
                Box::new(ascending(&keys).into_iter().map(|index| index as usize))
            }
            false => Box::new(all),
        }
    }

    /// What it holds in memory, about: its groups, and what their aggregates have gathered.
    pub(crate) fn memory(&self) -> usize {
        let rows: usize = self.rows.iter().map(RecordBatch::get_array_memory_size).sum();
        self.groups.memory() + self.accumulators.memory() + rows
    }

    /// The most events that one group took.
    pub(crate) fn events_most(&self) -> u32 {
        self.groups.events_most
    }

    /// Takes a batch of a source that has the columns of all its inputs. Events that the query cannot evaluate (a division by zero, a cast that
    /// fails) come back and are left out.
    pub(crate) fn take(&mut self, source: &Source, events: &RecordBatch) -> Result<Vec<Unfit>> {
        let ready = Ready::of(self.query, &self.groups.hasher, source, events);
        self.take_part(&ready, Part::WHOLE)?;
        Ok(ready.unfit)
    }

    /// Takes those of the events that are of one group: others do not become states that nobody asks for. What the query cannot evaluate is left out.
    pub(crate) fn take_of(&mut self, key: &[u8], source: &Source, events: &RecordBatch) -> Result<()> {
        let ready = Ready::of(self.query, &self.groups.hasher, source, events);
        self.take_part(&ready, Part::Only(self.groups.hasher.hash_one(key)))
    }

    /// Takes those of the events that are of a part.
    pub(crate) fn take_part(&mut self, ready: &Ready, part: Part) -> Result<()> {
        if part.is_first() {
            self.rows.extend_from_slice(&ready.rows);
        }
        ready.groups.iter().try_for_each(|events| self.absorb(events, part))
    }

    fn absorb(&mut self, Hashed { events, hashes }: &Hashed, part: Part) -> Result<()> {
        self.indexes.clear();
        // Which rows are of the part, where not all are.
        let mut own: Vec<u32> = Vec::new();
        match (&events.keys, hashes.first()) {
            (Some(keys), _) if part.is_whole() => {
                let rows = (0..).zip(hashes.iter().copied());
                self.groups.take_each(keys, rows, &mut self.indexes);
            }
            (Some(keys), _) => {
                own.extend(
                    (0..)
                        .zip(hashes)
                        .filter(|(_, hash)| part.holds(**hash))
                        .map(|(row, _)| row),
                );
                let rows = own.iter().map(|row| (*row, hashes[*row as usize]));
                self.groups.take_each(keys, rows, &mut self.indexes);
            }
            (None, Some(hash)) if part.holds(*hash) => {
                let index = self.groups.take(*hash, &[], events.rows);
                self.indexes.resize(events.rows, index);
            }
            (None, _) => {}
        }
        if self.indexes.is_empty() {
            return Ok(());
        }
        let is_whole = self.indexes.len() == events.rows;
        let some = (!is_whole).then(|| events.only(own)).transpose()?;
        self.query.update(
            &mut self.accumulators,
            some.as_ref().unwrap_or(events),
            &self.indexes,
            self.groups.len(),
        )
    }

    /// Ends the turn: merges the stored rows and gives the new ones. `stored` looks a row's value up by its key's hash and its key, `has_entry`
    /// an entry of a stored row by the row's key and the entry's place.
    pub(crate) fn finish<S: AsRef<[u8]>, E: From<DataFusionError>>(
        mut self,
        mut stored: impl FnMut(u64, &[u8]) -> Result<Option<S>, E>,
        mut has_entry: impl FnMut(&[u8], &[u8]) -> Result<bool, E>,
    ) -> Result<Changed, E> {
        let (mut values, mut indexes) = (Vec::new(), Vec::new());
        let came = |group: &Group| Outcome {
            age: group.events,
            was_there: false,
            is_there: true,
        };
        let mut rows: Vec<Outcome> = self.groups.groups.iter().map(came).collect();
        for index in self.order() {
            if let Some(value) = stored(self.groups.groups[index].hash, self.groups.key(index))? {
                let row = &mut rows[index];
                row.age = row.age.saturating_add(row::age(value.as_ref()));
                values.push(value);
                indexes.push(index);
            }
        }
        if self.is_ordered {
            let mut found: Vec<(usize, S)> = indexes.into_iter().zip(values).collect();
            found.sort_unstable_by_key(|(index, _)| *index);
            (indexes, values) = found.into_iter().unzip();
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
        let mut newest_gone: Option<Place> = None;
        let states = match self.groups.len() {
            0 => None,
            _ => {
                let (states, new) = self.query.states(self.accumulators)?;
                entries = new;
                for (index, row) in rows.iter_mut().enumerate() {
                    row.is_there = self.query.is_row(&states, index);
                    newest_gone = newest_gone.max(self.query.gone_at(&states, index));
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
            newest_gone,
        })
    }
}

impl Changed {
    /// The entries that rows have more: the row's key, the entry's place, its value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
        let entries = self.entries.iter().flat_map(NewEntries::iter);
        entries.map(|(group, place, value)| (self.groups.key(group), place, value))
    }

    /// Whether a key's row is among those that changed.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.groups.find(self.groups.hasher.hash_one(key), key).is_some()
    }

    /// Every row that changed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ChangedRow<'_>> {
        self.rows.iter().enumerate().map(|(index, row)| ChangedRow {
            hash: self.groups.groups[index].hash,
            key: self.groups.key(index),
            age: row.age,
            state: self.states.as_ref().map_or(&[], |states| states.row(index).data()),
            is_there: row.is_there,
            added: i64::from(row.is_there) - i64::from(row.was_there),
        })
    }
}
