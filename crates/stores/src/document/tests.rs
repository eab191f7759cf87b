//! Tests of the document store on a real folder.

use super::*;
use crate::{Direction, Moment, Row, Snapshot, Span};

fn position(text: &str) -> Position {
    text.parse().expect("a position")
}

fn commit(store: &DocumentStore, rows: &[(&[u8], Option<&[u8]>)], at: &str) {
    let header = Header {
        position: &position(at),
        note: at.as_bytes(),
        snapshots: &[],
        moments: &[],
        links: &[],
        entries: &[],
    };
    store
        .commit(&mut rows.iter().copied(), header)
        .expect("the commit is taken");
}

fn rows(store: &DocumentStore, from: Option<&[u8]>, to: Option<&[u8]>) -> Vec<Row> {
    let span = Span {
        from: from.unwrap_or_default().to_vec(),
        to: to.map(<[u8]>::to_vec),
    };
    let scan = |direction| -> Vec<Row> {
        let rows = store.reader().rows(&span, direction);
        rows.collect::<Result<_, _>>().expect("readable rows")
    };
    let up = scan(Direction::Ascending);
    let mut down = scan(Direction::Descending);
    down.reverse();
    assert_eq!(up, down, "both ways the same");
    assert!(up.is_sorted(), "in order");
    up
}

fn row(key: &[u8], value: &[u8]) -> Row {
    (key.to_vec(), value.to_vec())
}

#[test]
fn rows_and_position_are_kept_over_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    {
        let store = DocumentStore::open(dir.path(), 7).expect("a new store");
        assert_eq!(store.position(), None);
        commit(
            &store,
            &[(b"b", Some(b"2")), (b"a", Some(b"1")), (b"", Some(b"0"))],
            "s/0@3",
        );
        commit(&store, &[(b"b", None), (b"c", Some(b"3"))], "s/0@5");
    }
    let store = DocumentStore::open(dir.path(), 7).expect("the same store");
    assert_eq!(store.position(), Some(position("s/0@5")));
    assert_eq!(store.note().expect("a read"), Some(b"s/0@5".to_vec()));
    assert_eq!(store.get(b"a").expect("a read"), Some(b"1".to_vec()));
    assert_eq!(store.get(b"b").expect("a read"), None);
    assert_eq!(
        rows(&store, None, None),
        [row(b"", b"0"), row(b"a", b"1"), row(b"c", b"3")]
    );
    assert_eq!(rows(&store, Some(b"a"), Some(b"c")), [row(b"a", b"1")]);
    assert!((1..10_000_000).contains(&store.bytes()), "{}", store.bytes());
}

#[test]
fn a_store_of_another_layout_or_unreadable_is_emptied() {
    let dir = tempfile::tempdir().expect("a folder");
    let fill = |layout| {
        let store = DocumentStore::open(dir.path(), layout).expect("a store");
        let found = store.position();
        commit(&store, &[(b"a", Some(b"1"))], "s/0@1");
        found
    };
    assert_eq!(fill(1), None);
    assert_eq!(fill(1), Some(position("s/0@1")));
    assert_eq!(fill(2), None, "another layout");

    std::fs::write(dir.path().join("version"), b"no such format").expect("the marker is overwritten");
    assert_eq!(fill(2), None, "an unreadable store");
    assert_eq!(fill(2), Some(position("s/0@1")));
}

#[test]
fn a_store_in_use_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = DocumentStore::open(dir.path(), 1).expect("a store");
    commit(&store, &[(b"a", Some(b"1"))], "s/0@1");
    let error = DocumentStore::open(dir.path(), 2)
        .err()
        .expect("a second holder is refused");
    assert!(error.to_string().contains("another process uses it"), "{error}");
    assert_eq!(store.get(b"a").expect("a read"), Some(b"1".to_vec()));
}

#[test]
fn keys_of_any_length_are_kept_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = DocumentStore::open(dir.path(), 1).expect("a store");
    for length in [
        format::KEY_BYTES_MAX - 1,
        format::KEY_BYTES_MAX,
        format::KEY_BYTES_MAX + 1,
        1_000_000,
    ] {
        let (one, mut two) = (vec![b'k'; length], vec![b'k'; length]);
        two[length - 1] = b'z';
        commit(&store, &[(&one, Some(b"one")), (&two, Some(b""))], "s/0@1");
        assert_eq!(store.get(&one).expect("a read"), Some(b"one".to_vec()), "{length}");
        assert_eq!(store.get(&two).expect("a read"), Some(Vec::new()), "{length}");
        assert_eq!(
            rows(&store, None, None),
            [row(&one, b"one"), row(&two, b"")],
            "{length}"
        );
        assert_eq!(rows(&store, Some(&two), None), [row(&two, b"")], "{length}");
        assert_eq!(rows(&store, None, Some(&two)), [row(&one, b"one")], "{length}");
        commit(&store, &[(&one, None), (&two, None)], "s/0@2");
        assert_eq!(rows(&store, None, None), []);
    }
}

#[test]
fn a_scan_stays_at_the_commit_it_began_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = DocumentStore::open(dir.path(), 1).expect("a store");
    commit(&store, &[(b"a", Some(b"1")), (b"b", Some(b"1"))], "s/0@1");
    let scan = store.reader().rows(&Span::all(), Direction::Ascending);
    commit(&store, &[(b"a", Some(b"2")), (b"b", None), (b"c", Some(b"2"))], "s/0@2");
    let seen = scan.collect::<Result<Vec<Row>, StoreError>>().expect("readable rows");
    assert_eq!(seen, [row(b"a", b"1"), row(b"b", b"1")]);
}

#[test]
fn rows_are_found_by_their_links() {
    let dir = tempfile::tempdir().expect("a folder");
    crate::suite::links::check(&DocumentStore::open(dir.path(), 1).expect("a store"));
}

#[test]
fn snapshots_of_a_row_are_found_by_their_moment_and_kept_over_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = vec![7_u8; format::KEY_BYTES_MAX + 1];
    let snapshot = |key: &[u8], moment, value: &str| Snapshot {
        key: key.to_vec(),
        moment,
        value: value.as_bytes().to_vec(),
    };
    {
        let store = DocumentStore::open(dir.path(), 7).expect("a new store");
        assert_eq!(store.last_moment().expect("a read"), None);
        let header = Header {
            position: &position("s/0@9"),
            note: b"",
            snapshots: &[
                snapshot(b"a", 2, "a at 2"),
                snapshot(b"a", 300, "a at 300"),
                snapshot(b"ab", 300, "ab at 300"),
                snapshot(&long, 2, "long at 2"),
            ],
            moments: &[(2, "s/0@4"), (300, "s/0@9")].map(|(number, at)| Moment {
                number,
                position: position(at),
            }),
            links: &[],
            entries: &[],
        };
        store
            .commit(&mut std::iter::empty(), header)
            .expect("the commit is taken");
    }
    let store = DocumentStore::open(dir.path(), 7).expect("the same store");
    let check = |key: &[u8], upto: u64, expected: Option<(u64, &str)>| {
        let found = store.snapshot(key, upto).expect("a read");
        let expected = expected.map(|(moment, value)| (moment, value.as_bytes().to_vec()));
        assert_eq!(found, expected, "{key:?} up to {upto}");
    };
    check(b"a", u64::MAX, Some((300, "a at 300")));
    check(b"a", 300, Some((300, "a at 300")));
    check(b"a", 299, Some((2, "a at 2")));
    check(b"a", 1, None);
    check(b"ab", 299, None);
    check(b"ab", 300, Some((300, "ab at 300")));
    check(&long, 300, Some((2, "long at 2")));
    check(b"b", u64::MAX, None);
    assert_eq!(store.last_moment().expect("a read"), Some(300));
    assert_eq!(store.moment(2).expect("a read"), Some(position("s/0@4")));
    assert_eq!(store.moment(3).expect("a read"), None);
    assert_eq!(rows(&store, None, None), [], "no snapshot is a row");
}

#[test]
fn rows_that_are_not_in_files_yet_take_bounded_memory() {
    const COMMIT_BYTES: usize = 8 * 1024 * 1024;
    let dir = tempfile::tempdir().expect("a folder");
    let store = DocumentStore::open(dir.path(), 7).expect("a new store");
    let value = vec![7; COMMIT_BYTES / 8];
    for number in 0..16_u8 {
        let keys = (0..8).map(|key| [key, number]);
        let keys: Vec<[u8; 2]> = keys.collect();
        let rows: Vec<(&[u8], Option<&[u8]>)> = keys
            .iter()
            .map(|key| (key.as_slice(), Some(value.as_slice())))
            .collect();
        commit(&store, &rows, "s/0@1");
        let unwritten = store.opened().expect("it is open").database.write_buffer_size();
        let most = opened::UNWRITTEN_BYTES_MAX + COMMIT_BYTES as u64 + 64 * 1024;
        assert!(unwritten <= most, "{unwritten} after {number} commits");
    }
    assert_eq!(rows(&store, None, None).len(), 128, "all of them are there");
}
