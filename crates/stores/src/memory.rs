//! Rows by key in memory alone: gone with the process, and derived again from the log.
//!
//! Invariant: a scan goes on over the commit that it began at, whatever is committed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use headwater_records::Position;
use parking_lot::RwLock;

use crate::{
    Direction, Entries, Entry, EntryOf, Header, Keys, Link, Moment, Reader, Row, Rows, Snapshot, Span, Store,
    StoreError,
};

/// One view's rows by key, in memory.
#[derive(Default)]
pub struct MemoryStore {
    last: RwLock<Commit>,
}

/// Entries by the key of their row and their place in it.
type EntryMap = BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>;

/// What the last commit left.
#[derive(Default)]
struct Commit {
    /// Shared with the scans that are under way: a commit beside one makes its own copy.
    rows: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Prefix and key of each link, shared likewise.
    links: Arc<BTreeSet<(Vec<u8>, Vec<u8>)>>,
    /// The entries of rows by key and place, shared likewise.
    entries: Arc<EntryMap>,
    position: Option<Position>,
    note: Option<Vec<u8>>,
    /// What rows were at the moments of these numbers.
    snapshots: BTreeMap<(Vec<u8>, u64), Vec<u8>>,
    /// Where the rows stood at these moments.
    moments: BTreeMap<u64, Position>,
}

impl Store for MemoryStore {
    fn position(&self) -> Option<Position> {
        self.last.read().position.clone()
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.last.read().note.clone())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.last.read().rows.get(key).cloned())
    }

    fn entry(&self, key: &[u8], place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let last = self.last.read();
        Ok(last.entries.get(&(key.to_vec(), place.to_vec())).cloned())
    }

    fn reader(&self) -> Box<dyn Reader> {
        let last = self.last.read();
        Box::new(MemoryReader {
            rows: Arc::clone(&last.rows),
            links: Arc::clone(&last.links),
            entries: Arc::clone(&last.entries),
        })
    }

    fn commit(
        &self,
        rows: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
        header: Header<'_>,
    ) -> Result<(), StoreError> {
        let mut last = self.last.write();
        let stored = Arc::make_mut(&mut last.rows);
        for (key, value) in rows {
            match value {
                Some(value) => stored.insert(key.to_vec(), value.to_vec()),
                None => stored.remove(key),
            };
        }
        if !header.links.is_empty() {
            let links = Arc::make_mut(&mut last.links);
            for Link { prefix, key, is_there } in header.links {
                let link = (prefix.clone(), key.clone());
                match is_there {
                    true => links.insert(link),
                    false => links.remove(&link),
                };
            }
        }
        if !header.entries.is_empty() {
            let entries = Arc::make_mut(&mut last.entries);
            for EntryOf { key, place, value } in header.entries {
                entries.insert((key.to_vec(), place.to_vec()), value.to_vec());
            }
        }
        for Snapshot { key, moment, value } in header.snapshots {
            last.snapshots.insert((key.clone(), *moment), value.clone());
        }
        for Moment { number, position } in header.moments {
            last.moments.insert(*number, position.clone());
        }
        last.position = Some(header.position.clone());
        last.note = Some(header.note.to_vec());
        Ok(())
    }

    fn snapshot(&self, key: &[u8], upto: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let last = self.last.read();
        let mut earlier = last.snapshots.range((key.to_vec(), 0)..=(key.to_vec(), upto));
        Ok(earlier.next_back().map(|((_, moment), value)| (*moment, value.clone())))
    }

    fn moment(&self, number: u64) -> Result<Option<Position>, StoreError> {
        Ok(self.last.read().moments.get(&number).cloned())
    }

    fn last_moment(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.last.read().moments.last_key_value().map(|(number, _)| *number))
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// The rows as one commit left them.
struct MemoryReader {
    rows: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    links: Arc<BTreeSet<(Vec<u8>, Vec<u8>)>>,
    entries: Arc<EntryMap>,
}

impl Reader for MemoryReader {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn rows(&self, span: &Span, direction: Direction) -> Rows {
        Box::new(Scan {
            rows: Arc::clone(&self.rows),
            left: span.clone(),
            direction,
        })
    }

    fn entries(&self, key: &[u8], places: &Span, direction: Direction) -> Entries {
        let from = (key.to_vec(), places.from.clone());
        let is_within = |(of, place): &(Vec<u8>, Vec<u8>)| of == key && places.holds(place);
        let own = self.entries.range(from..).take_while(|(at, _)| is_within(at));
        let mut own: Vec<Entry> = own.map(|((_, place), value)| (place.clone(), value.clone())).collect();
        if direction == Direction::Descending {
            own.reverse();
        }
        Box::new(own.into_iter().map(Ok))
    }

    fn linked(&self, prefix: &[u8]) -> Keys {
        let from = (prefix.to_vec(), Vec::new());
        let links = self.links.range(from..).take_while(|(of, _)| of == prefix);
        let keys: Vec<Result<Vec<u8>, StoreError>> = links.map(|(_, key)| Ok(key.clone())).collect();
        Box::new(keys.into_iter())
    }
}

/// A scan under way.
struct Scan {
    rows: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// What it has not come to yet.
    left: Span,
    direction: Direction,
}

impl Iterator for Scan {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let to = self.left.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = self
            .rows
            .range::<[u8], _>((Bound::Included(self.left.from.as_slice()), to));
        let (key, value) = match self.direction {
            Direction::Ascending => rows.next()?,
            Direction::Descending => rows.next_back()?,
        };
        let row = (key.clone(), value.clone());
        match self.direction {
            Direction::Ascending => self.left.from = [key.as_slice(), &[0]].concat(),
            Direction::Descending => self.left.to = Some(key.clone()),
        }
        Some(Ok(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(store: &MemoryStore, rows: &[(&[u8], Option<&[u8]>)], at: &str) {
        let header = Header {
            position: &at.parse().unwrap(),
            note: at.as_bytes(),
            snapshots: &[],
            moments: &[],
            links: &[],
            entries: &[],
        };
        store.commit(&mut rows.iter().copied(), header).unwrap();
    }

    fn rows(store: &MemoryStore, from: &[u8], to: Option<&[u8]>) -> Rows {
        let span = Span {
            from: from.to_vec(),
            to: to.map(<[u8]>::to_vec),
        };
        store.reader().rows(&span, Direction::Ascending)
    }

    fn keys(rows: Rows) -> Vec<u8> {
        rows.map(|row| row.unwrap().0[0]).collect()
    }

    #[test]
    fn a_commit_is_seen_whole_and_a_scan_stands_at_its_own() {
        let store = MemoryStore::default();
        assert_eq!((store.position(), store.note().unwrap()), (None, None));
        commit(
            &store,
            &[(b"b", Some(b"2")), (b"a", Some(b"1")), (b"c", Some(b"3"))],
            "s/0@3",
        );
        let under_way = rows(&store, b"", None);
        commit(&store, &[(b"b", None), (b"d", Some(b"4"))], "s/0@5");
        assert_eq!(keys(under_way), *b"abc");
        assert_eq!(keys(rows(&store, b"", None)), *b"acd");
        assert_eq!(keys(rows(&store, b"b", Some(b"d"))), *b"c");
        assert_eq!(keys(rows(&store, b"d", Some(b"b"))), *b"");
        assert_eq!(store.get(b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(store.get(b"b").unwrap(), None);
        assert_eq!(store.position(), Some("s/0@5".parse().unwrap()));
        assert_eq!(store.note().unwrap(), Some(b"s/0@5".to_vec()));
    }

    #[test]
    fn rows_are_found_by_their_links() {
        crate::suite::links::check(&MemoryStore::default());
    }

    #[test]
    fn snapshots_are_found_by_their_moment() {
        let store = MemoryStore::default();
        assert_eq!(store.last_moment().unwrap(), None);
        let snapshot = |key: &[u8], moment: u64| Snapshot {
            key: key.to_vec(),
            moment,
            value: vec![moment as u8],
        };
        let position: Position = "s/0@9".parse().unwrap();
        let header = Header {
            position: &position,
            note: b"",
            snapshots: &[snapshot(b"a", 2), snapshot(b"a", 5), snapshot(b"b", 3)],
            moments: &[2, 3, 5].map(|number| Moment {
                number,
                position: position.clone(),
            }),
            links: &[],
            entries: &[],
        };
        store.commit(&mut std::iter::empty(), header).unwrap();
        let found = |key: &[u8], upto: u64| store.snapshot(key, upto).unwrap().map(|(moment, _)| moment);
        assert_eq!(
            [found(b"a", 1), found(b"a", 4), found(b"a", 9)],
            [None, Some(2), Some(5)]
        );
        assert_eq!([found(b"b", 2), found(b"b", 3), found(b"c", 9)], [None, Some(3), None]);
        assert_eq!(store.moment(3).unwrap(), Some(position));
        assert_eq!(
            (store.moment(4).unwrap(), store.last_moment().unwrap()),
            (None, Some(5))
        );
    }
}
