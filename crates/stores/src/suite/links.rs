//! What links and readers promise, whichever store keeps them.

use headwater_records::Position;

use crate::{Header, Keys, Link, Rows, Store};

fn commit(store: &dyn Store, rows: &[(&[u8], Option<&[u8]>)], links: &[(&[u8], &[u8], bool)]) {
    let links: Vec<Link> = links
        .iter()
        .map(|(prefix, key, is_there)| Link {
            prefix: prefix.to_vec(),
            key: key.to_vec(),
            is_there: *is_there,
        })
        .collect();
    let header = Header {
        position: &Position::new(),
        note: b"",
        snapshots: &[],
        moments: &[],
        links: &links,
        entries: &[],
    };
    store
        .commit(&mut rows.iter().copied(), header)
        .expect("the commit is taken");
}

fn keys(keys: Keys) -> Vec<Vec<u8>> {
    keys.collect::<Result<_, _>>().expect("readable links")
}

fn row_keys(rows: Rows) -> Vec<Vec<u8>> {
    rows.map(|row| row.expect("a readable row").0).collect()
}

/// Links come and go with the commits; a reader stays at its own. Keys and prefixes of any length are told apart.
pub(crate) fn check(store: &dyn Store) {
    let long = |last: u8| {
        let mut bytes = vec![b'w'; 70_000];
        bytes.push(last);
        bytes
    };
    let (one, two) = (long(1), long(2));
    commit(
        store,
        &[
            (b"a1", Some(b"")),
            (b"a2", Some(b"")),
            (b"b1", Some(b"")),
            (&one, Some(b"1")),
            (&two, Some(b"2")),
        ],
        &[
            (b"x", b"a1", true),
            (b"x", b"b1", true),
            (b"y", b"a1", true),
            (b"y", &one, true),
            (&one, b"a2", true),
            (&two, &two, true),
        ],
    );
    let reader = store.reader();
    commit(
        store,
        &[(b"a1", None)],
        &[(b"x", b"a1", false), (b"y", b"a1", false), (b"y", b"b1", true)],
    );
    assert_eq!(keys(reader.linked(b"x")), [b"a1", b"b1"], "as of the reader's commit");
    assert_eq!(row_keys(reader.under(b"a")), [b"a1", b"a2"]);
    assert_eq!(reader.get(b"a1").expect("a read"), Some(Vec::new()));

    let reader = store.reader();
    assert_eq!(keys(reader.linked(b"x")), [b"b1"]);
    let mut under_y = keys(reader.linked(b"y"));
    under_y.sort();
    assert_eq!(under_y, [b"b1".to_vec(), one.clone()]);
    assert_eq!(keys(reader.linked(&one)), [b"a2"]);
    assert_eq!(keys(reader.linked(&two)), std::slice::from_ref(&two));
    assert_eq!(keys(reader.linked(b"z")), Vec::<Vec<u8>>::new());
    assert_eq!(row_keys(reader.under(b"a")), [b"a2"]);
    assert_eq!(row_keys(reader.under(&one)), std::slice::from_ref(&one));
    assert_eq!(row_keys(reader.under(b"")).len(), 4);
    assert_eq!(reader.get(b"a1").expect("a read"), None);
    assert_eq!(reader.get(&two).expect("a read"), Some(b"2".to_vec()));
}
