//! Stores whose disk is full, or that can open no file, take a commit again once that is over: after one that failed they are as the one before left them.
//!
//! The disk is full by a limit on how far a file may be written, which holds for the whole process, as the one on open files does: each case runs in a process
//! of its own.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::path::Path;
use std::process::Command;

use headwater_records::Position;
use headwater_stores::document::DocumentStore;
use headwater_stores::search::{Connective, Document, Field, FieldKind, Query, SearchIndex, Value};
use headwater_stores::{Header, Store, StoreError};

/// Says that this is the process of its own.
const OWN: &str = "HEADWATER_FULL_DISK";

/// Runs a test of this file in a process of its own, which a write beyond the limit does not end.
fn in_its_own_process(test: &str) -> bool {
    if std::env::var_os(OWN).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program");
    let ended = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact \"$1\""])
        .arg(program)
        .arg(test)
        .env(OWN, "1")
        .status()
        .expect("a process");
    assert!(ended.success(), "{test} failed in its own process");
    false
}

/// Takes every file that the process may have open, until they are dropped.
fn open_all() -> Vec<File> {
    let few = Command::new("prlimit")
        .args([format!("--pid={}", std::process::id()), "--nofile=64:".to_owned()])
        .status()
        .expect("prlimit, of util-linux");
    assert!(few.success());
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Lets no file be written beyond so many bytes from now on.
fn limit(bytes: &str) {
    let set = Command::new("prlimit")
        .args([
            format!("--pid={}", std::process::id()),
            format!("--fsize={bytes}:unlimited"),
        ])
        .status()
        .expect("prlimit, of util-linux");
    assert!(set.success());
}

fn position(at: u64) -> Position {
    format!("s/0@{at}").parse().expect("a position")
}

fn commit(store: &DocumentStore, at: u64) -> Result<(), StoreError> {
    let value = noise(at, 20_000);
    let key = at.to_be_bytes();
    let rows: [(&[u8], Option<&[u8]>); 1] = [(&key, Some(&value))];
    let header = Header {
        position: &position(at),
        note: b"",
        snapshots: &[],
        moments: &[],
        links: &[],
        entries: &[],
    };
    store.commit(&mut rows.into_iter(), header)
}

/// Bytes that become no shorter when they are packed: xorshift, Marsaglia, 2003.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn rows(store: &DocumentStore) -> usize {
    let rows: Result<Vec<_>, _> = store.reader().under(&[]).collect();
    rows.expect("the rows").len()
}

#[test]
fn a_store_of_rows_goes_on() {
    if !in_its_own_process("a_store_of_rows_goes_on") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let store = DocumentStore::open(dir.path(), 7).expect("a new store");
    commit(&store, 1).expect("there is room");
    limit("10000");
    for _ in 0..2 {
        let refused = commit(&store, 2).expect_err("the disk is full");
        assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
        assert_eq!(
            (store.position(), rows(&store)),
            (Some(position(1)), 1),
            "it is read all the same"
        );
    }
    limit("unlimited");
    // Who reads it is not disturbed.
    let reader = store.reader();
    let refused = commit(&store, 2).expect_err("it is read");
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert!(reader.get(&1_u64.to_be_bytes()).expect("a read").is_some());
    drop(reader);
    for at in 2..5 {
        commit(&store, at).expect("there is room again");
    }
    assert_eq!((store.position(), rows(&store)), (Some(position(4)), 4));
    drop(store);
    let store = DocumentStore::open(dir.path(), 7).expect("the same store");
    assert_eq!((store.position(), rows(&store)), (Some(position(4)), 4));
}

fn fields() -> [Field; 1] {
    [Field {
        name: "kind".to_owned(),
        kind: FieldKind::Keyword,
    }]
}

fn index(dir: &Path) -> SearchIndex {
    SearchIndex::open(Some(&dir.join("search")), &fields()).expect("a new index")
}

fn commit_document(index: &SearchIndex, at: u64) -> Result<(), StoreError> {
    let key = at.to_be_bytes();
    let document = Document {
        key: key.to_vec(),
        values: vec![(0, Value::Text("one".to_owned()))],
    };
    index.commit([key.as_slice()].into_iter(), [document].into_iter(), &position(at))
}

fn documents(index: &SearchIndex) -> u64 {
    let snapshot = index.snapshot().expect("a snapshot");
    let query = Query::parse("kind:one", &fields(), Connective::And).expect("a query");
    snapshot.count(&query).expect("a count")
}

#[test]
fn an_index_goes_on_that_could_open_no_file() {
    if !in_its_own_process("an_index_goes_on_that_could_open_no_file") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let index = index(dir.path());
    commit_document(&index, 1).expect("it opens files");
    let all = open_all();
    for _ in 0..2 {
        let refused = commit_document(&index, 2).expect_err("it can open none");
        assert!(
            matches!(&refused, StoreError::Full { why, .. } if why.contains("no more files can be opened")),
            "{refused}"
        );
        assert_eq!(index.position(), Some(position(1)));
    }
    let refused = index.snapshot().err().expect("it can open none");
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    drop(all);
    assert_eq!(documents(&index), 1);
    commit_document(&index, 2).expect("it opens files again");
    assert_eq!((index.position(), documents(&index)), (Some(position(2)), 2));
}

#[test]
fn an_index_goes_on() {
    if !in_its_own_process("an_index_goes_on") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let index = index(dir.path());
    let commit = |at: u64| commit_document(&index, at);
    let found = || documents(&index);
    commit(1).expect("there is room");
    limit("16");
    for _ in 0..2 {
        let refused = commit(2).expect_err("the disk is full");
        assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
        assert_eq!((index.position(), found()), (Some(position(1)), 1));
    }
    limit("unlimited");
    commit(2).expect("there is room again");
    commit(3).expect("and stays");
    assert_eq!((index.position(), found()), (Some(position(3)), 3));
}
