//! Tests of the index on a real folder.

use std::path::Path;
use std::sync::Arc;

use headwater_records::Position;

use super::*;

fn fields() -> Vec<Field> {
    let read: ReadSpan = Arc::new(|text| text.parse().ok().map(Span::of));
    let kinds = [
        ("title", FieldKind::Text(Some("english".to_owned()))),
        ("kind", FieldKind::Keyword),
        (
            "narrow",
            FieldKind::Whole {
                is_wide: false,
                read: read.clone(),
            },
        ),
        ("wide", FieldKind::Whole { is_wide: true, read }),
        ("float", FieldKind::Float { is_single: false }),
    ];
    kinds
        .map(|(name, kind)| Field {
            name: name.to_owned(),
            kind,
        })
        .to_vec()
}

fn position(text: &str) -> Position {
    text.parse().expect("a position")
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn document(key: &str, values: &[(usize, Value)]) -> Document {
    Document {
        key: key.as_bytes().to_vec(),
        values: values.to_vec(),
    }
}

fn commit(index: &SearchIndex, replaced: &[&str], documents: &[Document], at: &str) {
    let replaced = replaced.iter().map(|key| key.as_bytes());
    index
        .commit(replaced, documents.iter().cloned(), &position(at))
        .expect("the commit is taken");
}

fn open(path: &Path) -> SearchIndex {
    SearchIndex::open(Some(path), &fields()).expect("an index")
}

/// The keys that a query finds, in order.
fn found(snapshot: &SearchSnapshot, query: &str) -> String {
    let query = Query::parse(query, &fields(), Connective::And).expect("a query");
    let hits = snapshot.find(&query, None).expect("hits");
    assert_eq!(snapshot.count(&query).expect("a count"), hits.len() as u64);
    let best = snapshot.find(&query, Some(1)).expect("the best");
    assert_eq!(best.first().map(|hit| hit.score), hits.first().map(|hit| hit.score));
    let mut keys: Vec<String> = snapshot
        .keys(&hits)
        .expect("keys")
        .into_iter()
        .map(|key| String::from_utf8(key).expect("text"))
        .collect();
    keys.sort();
    keys.join(" ")
}

fn check(index: &SearchIndex, cases: &[(&str, &str)]) {
    let snapshot = index.snapshot().expect("a snapshot");
    for (query, expected) in cases {
        assert_eq!(found(&snapshot, query), *expected, "{query}");
    }
}

#[test]
fn documents_are_replaced_by_key_and_kept_over_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("index");
    {
        let index = open(&path);
        assert_eq!(index.position(), None);
        check(&index, &[("*", "")]);
        let documents = [
            document("a", &[(0, text("Red scarf")), (1, text("s"))]),
            document("b", &[(0, text("Blue scarf"))]),
            document("c", &[]),
        ];
        commit(&index, &["a", "b", "c"], &documents, "s/0@3");
        check(&index, &[("*", "a b c"), ("scarf", "a b"), ("kind:*", "a")]);
        let before = index.snapshot().expect("a snapshot");
        commit(
            &index,
            &["a", "c", "d"],
            &[document("a", &[(0, text("Green hat"))])],
            "s/0@5",
        );
        check(&index, &[("*", "a b"), ("scarf", "b"), ("hats", "a"), ("kind:*", "")]);
        // The same once more changes nothing.
        commit(
            &index,
            &["a", "c", "d"],
            &[document("a", &[(0, text("Green hat"))])],
            "s/0@5",
        );
        check(&index, &[("*", "a b"), ("hat", "a")]);
        assert_eq!(found(&before, "scarf"), "a b", "a snapshot stays what it was");
    }
    let index = open(&path);
    assert_eq!(index.position(), Some(position("s/0@5")));
    check(&index, &[("*", "a b"), ("hat", "a")]);
}

#[test]
fn an_index_that_is_missing_foreign_or_damaged_is_made_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("index");
    let fill = || {
        let index = open(&path);
        let at = index.position();
        commit(&index, &["a"], &[document("a", &[(0, text("x"))])], "s/0@1");
        at
    };
    assert_eq!(fill(), None);
    assert_eq!(fill(), Some(position("s/0@1")));
    std::fs::remove_dir_all(&path).expect("it goes");
    assert_eq!(fill(), None, "missing");
    std::fs::write(path.join("meta.json"), b"{").expect("a file");
    assert_eq!(fill(), None, "damaged");
    let other = [Field {
        name: "x".to_owned(),
        kind: FieldKind::Keyword,
    }];
    let index = SearchIndex::open(Some(&path), &other).expect("an index");
    assert_eq!(index.position(), None, "of other fields");
    drop(index);
    std::fs::remove_dir_all(&path).expect("it goes");
    std::fs::create_dir_all(&path).expect("a folder");
    std::fs::write(path.join("notes"), b"mine").expect("a file");
    assert_eq!(fill(), None, "foreign");
    // A piece of it is gone.
    assert_eq!(fill(), Some(position("s/0@1")));
    for entry in std::fs::read_dir(&path).expect("a folder").flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "idx") {
            std::fs::remove_file(entry.path()).expect("it goes");
        }
    }
    assert_eq!(fill(), None, "a piece is gone");
    let held = open(&path);
    let error = SearchIndex::open(Some(&path), &fields())
        .err()
        .expect("a second holder is refused");
    assert!(error.to_string().contains("another process uses it"), "{error}");
    drop(held);
}

#[test]
fn numbers_and_keywords_are_found_exactly() {
    let index = SearchIndex::open(None, &fields()).expect("an index");
    let large = 10_i128.pow(30);
    let long = format!("{}x", "k".repeat(2_000));
    let documents = [
        document(
            "a",
            &[
                (2, Value::Whole(-5)),
                (3, Value::Whole(-large)),
                (4, Value::Float(-0.0)),
            ],
        ),
        document(
            "b",
            &[(2, Value::Whole(0)), (3, Value::Whole(large)), (4, Value::Float(1.5))],
        ),
        document(
            "c",
            &[
                (2, Value::Whole(i128::from(i64::MAX))),
                (3, Value::Whole(large + 1)),
                (4, Value::Float(f64::NAN)),
            ],
        ),
        document(
            "d",
            &[
                (1, text(&long)),
                (1, text("two words")),
                (4, Value::Float(f64::INFINITY)),
            ],
        ),
    ];
    commit(&index, &[], &documents, "s/0@1");
    check(
        &index,
        &[
            ("narrow:[-5 TO 0]", "a b"),
            ("narrow:>0", "c"),
            ("narrow:9223372036854775807", "c"),
            ("narrow:>9223372036854775807", ""),
            ("narrow:[* TO *]", "a b c"),
            (&format!("wide:{large}"), "b"),
            (&format!("wide:>{large}"), "c"),
            (&format!("wide:[* TO {large}]"), "a b"),
            ("wide:<0", "a"),
            ("float:0", "a"),
            ("float:>=0", "a b d"),
            ("float:*", "a b d"),
            ("float:inf", "d"),
            (&format!("kind:{long}"), "d"),
            (&format!("kind:{long}y"), ""),
            ("kind:\"two words\"", "d"),
            ("kind:kkk*", "d"),
            ("kind:[* TO *]", "d"),
        ],
    );
    let everything = Query::parse("*", &fields(), Connective::And).expect("a query");
    let facets = index
        .snapshot()
        .expect("a snapshot")
        .facets(&everything, 1)
        .expect("facets");
    assert_eq!(facets.len(), 2);
    assert!(facets.contains(&("two words".to_owned(), 1)), "{facets:?}");
}

#[test]
fn stop_words_may_be_missing_as_long_as_others_are_there() {
    let index = SearchIndex::open(None, &fields()).expect("an index");
    let documents = [
        document("a", &[(0, text("The Who"))]),
        document("b", &[(0, text("who knows"))]),
        document("c", &[(0, text("the end"))]),
    ];
    commit(&index, &[], &documents, "s/0@1");
    check(
        &index,
        &[
            ("the who", "a b"),
            ("\"the who\"", "a"),
            ("+the who", "a"),
            ("the", "a c"),
            ("the of", ""),
            ("the OR knows", "a b c"),
        ],
    );
}

#[test]
fn the_values_of_a_facet_are_bounded() {
    let index = SearchIndex::open(None, &fields()).expect("an index");
    let values =
        |count: usize| (0..count).map(|number| document(&number.to_string(), &[(1, text(&number.to_string()))]));
    let facets = |index: &SearchIndex, query: &str| {
        let query = Query::parse(query, &fields(), Connective::And).expect("a query");
        index.snapshot().expect("a snapshot").facets(&query, 1)
    };
    let position = position("s/0@1");
    index
        .commit(std::iter::empty(), values(limits::FACET_VALUES_MAX), &position)
        .expect("a commit");
    assert_eq!(facets(&index, "*").expect("facets").len(), limits::FACET_VALUES_MAX);
    let more = [document("more", &[(1, text("more"))])];
    index
        .commit(std::iter::empty(), more.into_iter(), &position)
        .expect("a commit");
    let error = facets(&index, "*").expect_err("too many");
    assert!(
        error.to_string().contains("more than 10000 different values"),
        "{error}"
    );
    assert_eq!(facets(&index, "kind:1*").expect("facets").len(), 1_111);
}

#[test]
fn what_must_not_be_found_may_be_a_phrase_that_stands_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let titles = [
        ("1", "green shoe"),
        ("2", "shoe red wool"),
        ("3", "wool red shoe"),
        ("4", "red wool"),
    ];
    let documents = titles.map(|(key, title)| document(key, &[(0, text(title))]));
    commit(&index, &[], &documents, "s/0@4");
    check(
        &index,
        &[
            ("NOT title:\"shoe shoe\"", "1 2 3 4"),
            ("NOT \"red wool\"", "1 3"),
            ("red AND NOT \"shoe shoe\"", "2 3 4"),
            ("red AND NOT \"red wool\"", "3"),
            ("NOT (\"shoe shoe\" OR \"green shoe\")", "2 3 4"),
            ("shoe NOT \"red wool\" NOT \"wool shoe\"", "1 3"),
        ],
    );
}

#[test]
fn what_a_commit_wrote_that_was_killed_is_not_in_the_way_of_the_same_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("search");
    let named = |key: &str, title: &str| document(key, &[(0, text(title))]);
    let index = open(&path);
    commit(
        &index,
        &[],
        &[named("a", "red scarf"), named("b", "blue scarf")],
        "s/0@2",
    );
    let before = std::fs::read(path.join("meta.json")).expect("a file");
    commit(&index, &["a"], &[named("a", "green scarf")], "s/0@3");
    drop(index);
    // Its last step did not take place.
    std::fs::write(path.join("meta.json"), before).expect("a file");
    let index = open(&path);
    assert_eq!(index.position(), Some(position("s/0@2")));
    commit(&index, &["a"], &[named("a", "green scarf")], "s/0@3");
    check(&index, &[("red", ""), ("green", "a"), ("scarf", "a b")]);
}
