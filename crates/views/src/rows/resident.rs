//! The rows of a view that are in memory: all that changed since the last commit of the store, and as many others as there is room for.
//!
//! Invariants
//! - A row that is here is newer than, or the same as, the one in the store.
//! - A changed (dirty) row stays until the store has it.
//! - Of the clean rows those stay that were written or read since the hand last came by: where there is no room for all, the hand of a clock goes
//!   round over the slots, and drops each row that nobody used for a whole round.
//! - `position` is where all of it stands: rows and position change together, under the view's lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::catalog::TableProvider;
use hashbrown::{DefaultHashBuilder, HashTable};
use headwater_records::Position;
use headwater_stores::{Direction, Row, Span};

use crate::lake::Waiting;
use crate::rows::copying::{Copying, Taking};
use crate::rows::entries::Pending;
use crate::rows::gone::Gone;
use crate::rows::snapshots::Snapshots;
use crate::rows::texts::Texts;

/// What one row costs besides its bytes: its slot and its place in the table, where there is room for as many again, and the allocation.
const ROW_OVERHEAD: usize = 96;

/// What a row costs besides its key where the order of keys is kept: its share of a tree's node, the allocation.
const ORDER_OVERHEAD: usize = 48;

/// One row: key and value in one piece.
struct Slot {
    bytes: Box<[u8]>,
    key_length: u32,
    hash: u64,
    is_dirty: bool,
    /// Whether it was written or read since the hand last came by.
    is_used: AtomicBool,
}

/// The resident rows of one view.
pub(crate) struct Resident {
    hasher: DefaultHashBuilder,
    table: HashTable<u32>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// The slot that the hand of the clock comes to next.
    hand: usize,
    /// The slots of all rows by their keys, where there is no store that has them in order.
    order: Option<BTreeMap<Box<[u8]>, u32>>,
    dirty: Vec<u32>,
    dirty_bytes: usize,
    bytes: usize,
    /// Whether every row of the view is here: then nobody needs to look into the store.
    pub is_complete: bool,
    /// Rows of the view, here and in the store.
    pub rows: u64,
    /// Where the rows stand.
    pub position: Position,
    /// Whether the rows are those of the position: not while a turn changes them, nor after one broke off at that.
    pub is_whole: bool,
    /// What rows have besides their values, as far as the store does not have it; all of it where rows live in memory alone.
    pub entries: Pending,
    /// What rows were at earlier moments, as far as the store does not have it.
    pub snapshots: Snapshots,
    /// Rows that were deleted, and left their places behind.
    pub gone: Gone,
    /// What readers made of rows, and of the position.
    pub texts: Texts,
    /// A copy of all rows that is under way.
    copying: Option<Copying>,
    /// Of a view that is a table of column files: the rows that are in it,
    pub published: Option<Arc<dyn TableProvider>>,
    /// and those that are not there yet.
    pub waiting: Waiting,
}

impl Slot {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_length as usize]
    }

    fn value(&self) -> &[u8] {
        &self.bytes[self.key_length as usize..]
    }
}

impl Resident {
    /// No rows yet, at a position where the view has `rows` rows. `is_complete`: its store has nothing.
    pub(crate) fn new(position: Position, rows: u64, is_complete: bool, snapshots: Snapshots) -> Resident {
        Resident {
            hasher: DefaultHashBuilder::default(),
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            order: None,
            dirty: Vec::new(),
            dirty_bytes: 0,
            bytes: 0,
            is_complete,
            rows,
            position,
            is_whole: true,
            entries: Pending::default(),
            snapshots,
            gone: Gone::default(),
            texts: Texts::new(0),
            copying: None,
            published: None,
            waiting: Waiting::default(),
        }
    }

    /// Keeps the order of keys too. Before there is any row.
    pub(crate) fn keep_order(&mut self) {
        self.order = Some(BTreeMap::new());
    }

    /// The rows of spans, which ascend, in the order of their keys; none where that is not kept.
    pub(crate) fn in_order(&self, mut spans: Vec<Span>, direction: Direction) -> impl Iterator<Item = Row> {
        if direction == Direction::Descending {
            spans.reverse();
        }
        spans.retain(|span| !span.is_empty());
        let slots = spans
            .into_iter()
            .flat_map(move |span| -> Box<dyn Iterator<Item = u32>> {
                let Some(order) = &self.order else {
                    return Box::new(std::iter::empty());
                };
                let from = Bound::Included(span.from.as_slice());
                let to = span.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let slots = order.range::<[u8], _>((from, to)).map(|(_, slot)| *slot);
                match direction {
                    Direction::Ascending => Box::new(slots),
                    Direction::Descending => Box::new(slots.rev()),
                }
            });
        let row = |slot: &Slot| (slot.key().to_vec(), slot.value().to_vec());
        slots.filter_map(move |slot| self.slots[slot as usize].as_ref().map(row))
    }

    /// How keys are hashed here.
    pub(crate) fn hasher(&self) -> &DefaultHashBuilder {
        &self.hasher
    }

    /// The value of a row, where it is here.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        self.find(hash, key).map(|(_, value)| value)
    }

    /// The slot and the value of a row, where it is here.
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<(u32, &[u8])> {
        let index = *self.table.find(hash, |index| self.is_at(*index, hash, key))?;
        let slot = self.slots[index as usize].as_ref()?;
        // Only a row that may go needs the mark; and a mark that is there is not written again, for the sake of the other readers' caches.
        if !slot.is_dirty && !slot.is_used.load(Ordering::Relaxed) {
            slot.is_used.store(true, Ordering::Relaxed);
        }
        Some((index, slot.value()))
    }

    /// Puts a changed row in. `added`: how many rows the view has more.
    pub(crate) fn put(&mut self, hash: u64, key: &[u8], value: &[u8], added: i64) {
        self.rows = self.rows.saturating_add_signed(added);
        let found = self.table.find(hash, |index| self.is_at(*index, hash, key)).copied();
        self.changes(key, found);
        let index = found.unwrap_or_else(|| self.insert(hash, key, value));
        self.texts.forget(index);
        let Some(slot) = self.slots[index as usize].as_mut() else {
            return;
        };
        let old_length = slot.bytes.len();
        if old_length == key.len() + value.len() {
            slot.bytes[key.len()..].copy_from_slice(value);
        } else {
            slot.bytes = joined(key, value);
            self.bytes = self.bytes - old_length + slot.bytes.len();
            if slot.is_dirty {
                self.dirty_bytes = self.dirty_bytes - old_length + slot.bytes.len();
            }
        }
        if !slot.is_dirty {
            slot.is_dirty = true;
            *slot.is_used.get_mut() = true;
            self.dirty_bytes += slot.bytes.len() + ROW_OVERHEAD;
            self.dirty.push(index);
        }
    }

    /// The changed rows.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.dirty.iter().filter_map(|index| {
            self.slots[*index as usize]
                .as_ref()
                .map(|slot| (slot.key(), slot.value()))
        })
    }

    /// All rows that are here.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.slots.iter().flatten().map(|slot| (slot.key(), slot.value()))
    }

    /// Bytes of changed rows, and of entries and snapshots that wait for the store.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes + self.entries.bytes() + self.snapshots.bytes()
    }

    /// Bytes of all rows and entries that are here.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.entries.bytes()
    }

    /// The store has all changed rows now.
    pub(crate) fn committed(&mut self) {
        for index in self.dirty.drain(..) {
            if let Some(slot) = self.slots[index as usize].as_mut() {
                slot.is_dirty = false;
            }
        }
        self.dirty_bytes = 0;
        if self.order.is_none() {
            self.entries.clear();
        }
        self.snapshots.committed();
    }

    /// Drops clean rows until at most `bytes_max` remain, where enough are clean.
    pub(crate) fn evict(&mut self, bytes_max: usize) {
        if self.bytes <= bytes_max {
            return;
        }
        // A quarter more than needed, so that the next rows do not evict again at once.
        let goal = bytes_max - bytes_max / 4;
        // After two rounds the hand has come by every row that nobody uses.
        for _ in 0..2 * self.slots.len() {
            if self.bytes <= goal {
                break;
            }
            let index = self.hand;
            self.hand = (index + 1) % self.slots.len();
            let is_unused = |slot: &mut Slot| !std::mem::take(slot.is_used.get_mut());
            if self.take_clean_if(index, is_unused) {
                self.is_complete = false;
            }
        }
    }

    /// Begins to copy all rows as they are now, for as long as what comes back lives. Where the order of keys is kept.
    pub(crate) fn begin_copy(&mut self) -> Arc<Taking> {
        let (copying, taking) = Copying::begin();
        self.copying = Some(copying);
        taking
    }

    /// The next rows of the copy, so many at most, in the order of their keys; none where that was all. `None`: it was given up.
    pub(crate) fn copy(&mut self, rows_max: usize) -> Option<Vec<Row>> {
        let mut copying = self.copying.take()?;
        let order = self.order.as_ref()?;
        let from = Bound::Included(copying.from().to_vec());
        let range = (from.as_ref().map(Vec::as_slice), Bound::Unbounded);
        let slots = order.range::<[u8], _>(range);
        let now = slots.filter_map(|(_, slot)| self.slots[*slot as usize].as_ref());
        let rows = copying.portion(now.map(|slot| (slot.key(), slot.value())), rows_max);
        self.copying = Some(copying);
        Some(rows)
    }

    /// A row is about to change, which is in this slot where there is one.
    fn changes(&mut self, key: &[u8], slot: Option<u32>) {
        let Some(copying) = &mut self.copying else { return };
        let was = slot.and_then(|index| self.slots[index as usize].as_ref());
        if !copying.note(key, was.map(Slot::value)) {
            self.copying = None;
        }
    }

    /// Drops a row that the store has deleted.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) {
        let found = self.table.find(hash, |index| self.is_at(*index, hash, key)).copied();
        self.changes(key, found);
        if let Some(index) = found
            && self.take_clean_if(index as usize, |_| true)
            && let Some(order) = &mut self.order
        {
            order.remove(key);
            self.bytes -= key.len() + ORDER_OVERHEAD;
        }
    }

    fn take_clean_if(&mut self, index: usize, may_go: impl FnOnce(&mut Slot) -> bool) -> bool {
        let Some(slot) = self.slots[index].take_if(|slot| !slot.is_dirty && may_go(slot)) else {
            return false;
        };
        if let Ok(entry) = self.table.find_entry(slot.hash, |other| *other as usize == index) {
            entry.remove();
        }
        self.bytes -= slot.bytes.len() + ROW_OVERHEAD;
        self.texts.forget(index as u32);
        self.free.push(index as u32);
        true
    }

    /// All rows stand where this position is, too.
    pub(crate) fn advance(&mut self, position: &Position) {
        self.position.advance_all(position);
        self.texts.moves();
    }

    /// Drops every row.
    pub(crate) fn clear(&mut self) {
        let (keeps_order, texts) = (self.order.is_some(), self.texts.anew());
        *self = Resident::new(self.position.clone(), 0, true, Snapshots::default());
        self.texts = texts;
        self.order = keeps_order.then(BTreeMap::new);
    }

    fn is_at(&self, index: u32, hash: u64, key: &[u8]) -> bool {
        self.slots[index as usize]
            .as_ref()
            .is_some_and(|slot| slot.hash == hash && slot.key() == key)
    }

    fn insert(&mut self, hash: u64, key: &[u8], value: &[u8]) -> u32 {
        let slot = Slot {
            bytes: joined(key, value),
            // A key comes out of an event, which is smaller than that.
            key_length: key.len() as u32,
            hash,
            is_dirty: false,
            is_used: AtomicBool::new(false),
        };
        self.bytes += slot.bytes.len() + ROW_OVERHEAD;
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = Some(slot);
                index
            }
            None => {
                self.slots.push(Some(slot));
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(order) = &mut self.order {
            order.insert(key.into(), index);
            self.bytes += key.len() + ORDER_OVERHEAD;
        }
        let Resident { table, slots, .. } = self;
        table.insert_unique(hash, index, |other| {
            slots[*other as usize].as_ref().map_or(0, |slot| slot.hash)
        });
        index
    }
}

fn joined(key: &[u8], value: &[u8]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(key.len() + value.len());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    bytes.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    fn put(resident: &mut Resident, key: &str, state: &str, added: i64) {
        let hash = resident.hasher().hash_one(key.as_bytes());
        resident.put(hash, key.as_bytes(), state.as_bytes(), added);
    }

    fn get<'a>(resident: &'a Resident, key: &str) -> Option<&'a str> {
        let state = resident.get(resident.hasher().hash_one(key.as_bytes()), key.as_bytes())?;
        Some(std::str::from_utf8(state).expect("text"))
    }

    #[test]
    fn dirty_rows_stay_and_clean_ones_make_room() {
        let mut resident = Resident::new(Position::new(), 0, true, Snapshots::default());
        for number in 0..100 {
            put(&mut resident, &format!("key {number}"), "first", 1);
        }
        resident.evict(0);
        assert_eq!(resident.all().count(), 100, "nothing is clean");
        assert!(resident.is_complete);
        resident.committed();
        put(&mut resident, "key 7", "second, longer", 0);
        let bytes = resident.bytes();
        resident.evict(bytes);
        assert_eq!(resident.all().count(), 100, "just at the limit");
        resident.evict(bytes - 1);
        assert!(resident.bytes() < bytes && resident.all().count() >= 70);
        assert!(!resident.is_complete);
        resident.evict(0);
        assert_eq!(resident.all().count(), 1);
        assert_eq!(get(&resident, "key 7"), Some("second, longer"));
        assert_eq!(get(&resident, "key 8"), None);
        assert_eq!(resident.bytes(), resident.dirty_bytes());
        put(&mut resident, "key 8", "again", 0);
        assert_eq!(get(&resident, "key 8"), Some("again"));
        assert_eq!((resident.rows, resident.dirty().count()), (100, 2));
    }

    #[test]
    fn rows_in_use_outlive_the_others() {
        let mut resident = Resident::new(Position::new(), 0, true, Snapshots::default());
        for number in 0..100 {
            put(&mut resident, &format!("key {number:02}"), "state", 1);
        }
        resident.committed();
        let row_bytes = resident.bytes() / 100;
        // The first round takes every mark, and about half of the rows go in the second.
        resident.evict(66 * row_bytes);
        assert_eq!(resident.all().count(), 49);
        assert_eq!(get(&resident, "key 60"), Some("state"), "which is a use of it");
        resident.evict(40 * row_bytes);
        let left = ["key 55", "key 60", "key 65", "key 90"].map(|key| get(&resident, key).is_some());
        assert_eq!(left, [false, true, false, true]);
        resident.evict(0);
        assert_eq!((resident.all().count(), resident.bytes()), (0, 0));
    }

    #[test]
    fn a_text_goes_with_the_row_that_it_was_made_of() {
        let mut resident = Resident::new(Position::new(), 0, true, Snapshots::default());
        resident.texts = Texts::new(1_000);
        let slot_of = |resident: &Resident, key: &str| {
            let hash = resident.hasher().hash_one(key.as_bytes());
            resident.find(hash, key.as_bytes()).map(|(slot, _)| slot)
        };
        let text_of = |resident: &Resident, key: &str| resident.texts.get(slot_of(resident, key).unwrap());
        for key in ["a", "b"] {
            put(&mut resident, key, "first", 1);
            resident.texts.keep(slot_of(&resident, key).unwrap(), key.as_bytes());
        }
        put(&mut resident, "a", "other", 0);
        assert_eq!(text_of(&resident, "a"), None, "it changed");
        assert_eq!(text_of(&resident, "b"), Some(b"b".to_vec()));
        resident.committed();
        resident.evict(0);
        for key in ["c", "d"] {
            put(&mut resident, key, "first", 1);
            assert_eq!(
                text_of(&resident, key),
                None,
                "it took the slot of a row that was dropped"
            );
        }
    }
}
