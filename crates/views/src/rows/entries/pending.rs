//! The entries of rows that no store has yet, and those of both together.

use std::collections::BTreeMap;
use std::ops::Bound;

use headwater_stores::{Direction, Entry, EntryOf, Reader, Span, StoreError, behind};

use crate::read::Merged;

/// What an entry costs besides its bytes: its share of a tree's node, the allocations.
const ENTRY_OVERHEAD: usize = 96;

/// Entries in memory: those that wait for the next commit, or all there are where rows live in memory alone.
#[derive(Default)]
pub(crate) struct Pending {
    /// By the row's key and the place behind it: no key is the beginning of another.
    entries: BTreeMap<Box<[u8]>, Value>,
    bytes: usize,
}

#[derive(Clone)]
struct Value {
    key_length: u32,
    value: Box<[u8]>,
}

impl Pending {
    pub(crate) fn put(&mut self, key: &[u8], place: &[u8], value: &[u8]) {
        let value = Value {
            key_length: key.len() as u32,
            value: value.into(),
        };
        self.insert([key, place].concat().into_boxed_slice(), value);
    }

    fn insert(&mut self, at: Box<[u8]>, value: Value) {
        self.bytes += at.len() + value.value.len() + ENTRY_OVERHEAD;
        let length = at.len();
        if let Some(old) = self.entries.insert(at, value) {
            self.bytes -= length + old.value.len() + ENTRY_OVERHEAD;
        }
    }

    pub(crate) fn has(&self, key: &[u8], place: &[u8]) -> bool {
        !self.entries.is_empty() && self.entries.contains_key([key, place].concat().as_slice())
    }

    /// All of them, as a store takes them.
    pub(crate) fn to_write(&self) -> impl Iterator<Item = EntryOf<'_>> {
        self.entries.iter().map(|(at, value)| {
            let (key, place) = at.split_at(value.key_length as usize);
            let value = &*value.value;
            EntryOf { key, place, value }
        })
    }

    /// A copy of those whose keys are wanted.
    pub(crate) fn copied(&self, is_wanted: impl Fn(&[u8]) -> bool) -> Pending {
        let mut copy = Pending::default();
        for (at, value) in &self.entries {
            if is_wanted(&at[..value.key_length as usize]) {
                copy.insert(at.clone(), value.clone());
            }
        }
        copy
    }

    /// A copy of those of some rows.
    pub(crate) fn copied_of<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Pending {
        let mut copy = Pending::default();
        if self.entries.is_empty() {
            return copy;
        }
        for key in keys {
            for (at, value) in self.range(key, &Span::all()) {
                copy.insert(at.into(), value.clone());
            }
        }
        copy
    }

    fn range<'p>(
        &'p self,
        key: &[u8],
        places: &Span,
    ) -> impl DoubleEndedIterator<Item = (&'p [u8], &'p Value)> + use<'p> {
        let from = [key, &places.from].concat();
        let to = match &places.to {
            Some(to) => Some([key, to].concat()),
            None => behind(key),
        };
        // A span that ends before it begins is empty.
        let to = to.map(|to| to.max(from.clone()));
        let range = (
            Bound::Included(from.as_slice()),
            to.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        );
        let entries = self.entries.range::<[u8], _>(range);
        entries.map(|(at, value)| (&**at, value))
    }

    /// Place and value of those of a row whose places are in a span, in order.
    fn of<'p>(&'p self, key: &[u8], places: &Span, direction: Direction) -> Box<dyn Iterator<Item = Entry> + 'p> {
        let length = key.len();
        let entries = self.range(key, places);
        let entries = entries.map(move |(at, value)| (at[length..].to_vec(), value.value.to_vec()));
        match direction {
            Direction::Ascending => Box::new(entries),
            Direction::Descending => Box::new(entries.rev()),
        }
    }

    /// How much memory that takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Pending::default();
    }
}

/// The entries of rows: those in memory, over those of a store as of one commit.
#[derive(Clone, Copy)]
pub(crate) struct EntriesOf<'a> {
    pub pending: &'a Pending,
    pub store: Option<&'a dyn Reader>,
}

impl<'a> EntriesOf<'a> {
    /// Place and value of those of a row whose places are in a span, in order.
    pub(crate) fn of(
        &self,
        key: &[u8],
        places: &Span,
        direction: Direction,
    ) -> Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a> {
        let pending = self.pending.of(key, places, direction);
        match self.store {
            None => Box::new(pending.map(Ok)),
            Some(store) if self.pending.is_empty() => store.entries(key, places, direction),
            Some(store) => Box::new(Merged {
                stored: store.entries(key, places, direction).peekable(),
                changed: pending.peekable(),
                direction,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_in_memory_are_those_of_their_rows_in_order() {
        let mut pending = Pending::default();
        for (key, place, value) in [
            ("b", "2", "two"),
            ("a", "9", "of a"),
            ("b", "1", "one"),
            ("b", "2", "two"),
        ] {
            pending.put(key.as_bytes(), place.as_bytes(), value.as_bytes());
        }
        let read = |key: &str, places: &Span, direction| -> Vec<String> {
            let entries = pending.of(key.as_bytes(), places, direction);
            entries
                .map(|(_, value)| String::from_utf8(value).expect("text"))
                .collect()
        };
        let check = |key: &str, places: &Span, expected: &[&str]| {
            assert_eq!(read(key, places, Direction::Ascending), expected);
            let reversed: Vec<&str> = expected.iter().rev().copied().collect();
            assert_eq!(read(key, places, Direction::Descending), reversed);
        };
        check("b", &Span::all(), &["one", "two"]);
        check("b", &Span::prefix(b"2"), &["two"]);
        check("a", &Span::all(), &["of a"]);
        check("c", &Span::all(), &[]);
        assert!(pending.has(b"a", b"9") && !pending.has(b"a", b"1"));
        assert_eq!(pending.copied_of([b"a".as_slice()].into_iter()).to_write().count(), 1);
        assert_eq!(pending.copied(|key| key == b"b").to_write().count(), 2);
        let bytes = pending.bytes();
        pending.put(b"b", b"2", b"two");
        assert_eq!(pending.bytes(), bytes, "the same once more");
        pending.clear();
        assert_eq!((pending.bytes(), pending.is_empty()), (0, true));
    }
}
