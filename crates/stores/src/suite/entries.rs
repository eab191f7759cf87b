//! What entries promise, whichever store keeps them.

use headwater_records::Position;

use crate::document::DocumentStore;
use crate::memory::MemoryStore;
use crate::{Direction, Entry, EntryOf, Header, Span, Store};

/// The key, the place and the value of an entry.
type Written<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn write(store: &dyn Store, entries: &[Written<'_>]) {
    let entries = entries.iter().map(|(key, place, value)| EntryOf { key, place, value });
    let entries: Vec<EntryOf<'_>> = entries.collect();
    let header = Header {
        position: &Position::new(),
        note: b"",
        snapshots: &[],
        moments: &[],
        links: &[],
        entries: &entries,
    };
    store
        .commit(&mut std::iter::empty(), header)
        .expect("the commit is taken");
}

fn check(store: &dyn Store, key: &[u8], places: &Span, expected: &[(&[u8], &[u8])]) {
    let read = |direction| -> Vec<Entry> {
        let entries = store.reader().entries(key, places, direction);
        entries.collect::<Result<_, _>>().expect("readable entries")
    };
    let mut expected: Vec<Entry> = expected
        .iter()
        .map(|(place, value)| (place.to_vec(), value.to_vec()))
        .collect();
    assert_eq!(read(Direction::Ascending), expected);
    expected.reverse();
    assert_eq!(read(Direction::Descending), expected);
}

fn long() -> Vec<u8> {
    vec![7; 70_000]
}

fn fill(store: &dyn Store) {
    let long = long();
    write(
        store,
        &[
            (b"a", b"2", b"two"),
            (b"b", b"1", b"of b"),
            (&long, b"1", b"of long"),
            (b"d", &long, b"far"),
        ],
    );
    let before = store.reader();
    write(
        store,
        &[
            (b"a", b"1", b"one"),
            (b"a", b"\xff\xff", b"last"),
            (b"a", b"2", b"two again"),
        ],
    );
    let seen: Vec<Entry> = before
        .entries(b"a", &Span::all(), Direction::Ascending)
        .collect::<Result<_, _>>()
        .expect("readable entries");
    assert_eq!(seen, [(b"2".to_vec(), b"two".to_vec())], "a reader stays at its commit");
}

fn look(store: &dyn Store) {
    let long = long();
    check(
        store,
        b"a",
        &Span::all(),
        &[(b"1", b"one"), (b"2", b"two again"), (b"\xff\xff", b"last")],
    );
    check(store, b"a", &Span::prefix(b"2"), &[(b"2", b"two again")]);
    check(store, b"b", &Span::all(), &[(b"1", b"of b")]);
    check(store, &long, &Span::all(), &[(b"1", b"of long")]);
    check(store, b"c", &Span::all(), &[]);
    let value = |key: &[u8], place: &[u8]| store.entry(key, place).expect("a read");
    assert_eq!(value(b"a", b"1"), Some(b"one".to_vec()));
    assert_eq!(value(b"d", &long), Some(b"far".to_vec()));
    assert_eq!(value(b"d", &long[1..]), None);
    assert_eq!(value(&long, b"2"), None);
    let rows = store.reader().rows(&Span::all(), Direction::Ascending);
    assert_eq!(rows.count(), 0, "no entry is a row");
}

#[test]
fn entries_stand_in_the_order_of_their_places_and_apart_from_those_of_other_rows() {
    let memory = MemoryStore::default();
    fill(&memory);
    look(&memory);
    let dir = tempfile::tempdir().expect("a folder");
    {
        let store = DocumentStore::open(dir.path(), 7).expect("a new store");
        fill(&store);
        look(&store);
    }
    look(&DocumentStore::open(dir.path(), 7).expect("the same store"));
}
