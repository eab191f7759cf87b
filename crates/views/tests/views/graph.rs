//! Graph views: edges found from both of their ends, as of one position.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_catalog::{ColumnType, Shape};
use headwater_views::{EdgeEnd, GroupKey, View, ViewError, ViewOptions, ViewReader, Views};

use crate::ground::{EAGER, Ground, LAZY, printed};

const COLUMNS: &[(&str, ColumnType, bool)] = &[
    ("a", ColumnType::Text, true),
    ("b", ColumnType::Text, true),
    ("n", ColumnType::BigInt, true),
];

fn start(ground: &Ground, views: &Views, query: &str) -> Result<Arc<View>, ViewError> {
    let mut spec = ground.spec("g", query);
    spec.definition.shape = Some(Shape::Graph {
        source: "a".to_owned(),
        destination: "b".to_owned(),
    });
    views.start(spec)
}

/// The edges at one end of a vertex, printed.
fn edges(reader: &ViewReader, end: EdgeEnd, vertex: &[u8]) -> Vec<String> {
    let keys: Vec<Vec<u8>> = reader
        .edges_at(end, vertex)
        .collect::<Result<_, _>>()
        .expect("readable edges");
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let (rows, places) = reader.find(&keys).expect("readable rows");
    assert!(places.iter().enumerate().all(|(at, place)| *place == Some(at)));
    printed(&[rows])
}

/// Every edge is found from each of its ends, and nowhere else.
fn check_both_ends(view: &Arc<View>) {
    let reader = view.reader().expect("a reader");
    let keys: Vec<Vec<u8>> = reader.keys().collect::<Result<_, _>>().expect("readable keys");
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    for end in [EdgeEnd::Source, EdgeEnd::Destination] {
        let vertices = reader.vertices(end, &keys).expect("vertices");
        let distinct: BTreeSet<&Vec<u8>> = vertices.iter().flatten().collect();
        for vertex in distinct {
            let found: Vec<Vec<u8>> = reader
                .edges_at(end, vertex)
                .collect::<Result<_, _>>()
                .expect("readable edges");
            let expected = keys.iter().zip(&vertices).filter(|(_, of)| of.as_ref() == Some(vertex));
            let expected: Vec<Vec<u8>> = expected.map(|(key, _)| key.to_vec()).collect();
            assert_eq!(found, expected, "{end:?} of {vertex:?}");
        }
    }
}

fn vertex(view: &View, reader: &ViewReader, end: EdgeEnd, a: &str, b: &str) -> Vec<u8> {
    let values = [a.into(), b.into()];
    let GroupKey(key) = view.key(&values).expect("a key");
    let vertices = reader.vertices(end, &[key.as_slice()]).expect("vertices");
    vertices.into_iter().next().flatten().expect("a vertex")
}

fn fill(ground: &Ground) {
    for (a, b, n) in [
        ("c1", "i1", 1),
        ("c1", "i2", 2),
        ("c2", "i1", 3),
        ("c1", "i1", 4),
        ("", "i1", 5),
        ("c", "i", 6),
    ] {
        ground.append(0, &[&format!("{{\"a\": \"{a}\", \"b\": \"{b}\", \"n\": {n}}}")]);
    }
    ground.append(0, &["{\"a\": null, \"b\": \"i1\", \"n\": 7}"]);
}

#[test]
fn edges_are_found_from_both_ends_whether_flushed_or_not() {
    for (options, query) in [
        (LAZY, "SELECT a, b, count(*) AS times FROM s GROUP BY a, b"),
        (EAGER, "SELECT a, b, count(*) AS times FROM s GROUP BY a, b"),
        (LAZY, "SELECT b, a, count(*) AS times FROM s GROUP BY b, a"),
        (
            EAGER,
            "SELECT n % 2 AS odd, a, b, count(*) AS times FROM s GROUP BY n % 2, a, b",
        ),
    ] {
        let ground = Ground::new(Some(COLUMNS), 1);
        let views = ground.views(&options);
        let view = start(&ground, &views, query).expect("a view");
        fill(&ground);
        ground.catch_up(&view);
        check_both_ends(&view);
    }
}

#[test]
fn edges_in_memory_are_found_too() {
    let ground = Ground::new(Some(COLUMNS), 1);
    let views = Views::in_memory(ground.log.clone(), ground.catalog.clone(), LAZY);
    let view = start(&ground, &views, "SELECT b, a, count(*) AS times FROM s GROUP BY b, a").expect("a view");
    fill(&ground);
    ground.catch_up(&view);
    check_both_ends(&view);
    assert_eq!(view.reader().expect("a reader").keys().count(), 6);
}

#[test]
fn a_reader_stays_where_it_was_opened() {
    let ground = Ground::new(Some(COLUMNS), 1);
    let views = ground.views(&LAZY);
    let query = "SELECT a, b, count(*) AS times FROM s GROUP BY a, b";
    let view = start(&ground, &views, query).expect("a view");
    fill(&ground);
    ground.catch_up(&view);
    let before = view.reader().expect("a reader");
    let i1 = vertex(&view, &before, EdgeEnd::Destination, "c1", "i1");
    ground.append(0, &["{\"a\": \"c3\", \"b\": \"i1\"}", "{\"a\": \"c1\", \"b\": \"i1\"}"]);
    ground.catch_up(&view);
    let rows = [" | i1 | 1", "NULL | i1 | 1", "c1 | i1 | 2", "c2 | i1 | 1"];
    assert_eq!(edges(&before, EdgeEnd::Destination, &i1), rows);
    let after = view.reader().expect("a reader");
    let rows = [
        " | i1 | 1",
        "NULL | i1 | 1",
        "c1 | i1 | 3",
        "c2 | i1 | 1",
        "c3 | i1 | 1",
    ];
    assert_eq!(edges(&after, EdgeEnd::Destination, &i1), rows);
    assert_eq!(after.position(), &ground.end());
}

#[test]
fn what_is_no_edge_is_refused() {
    let check = |query: &str, expected: &str| {
        let ground = Ground::new(Some(COLUMNS), 1);
        let views = ground.views(&ViewOptions { ..LAZY });
        let error = start(&ground, &views, query).expect_err("a refusal").to_string();
        assert!(error.contains(expected), "{query}: {error}");
    };
    check(
        "SELECT a, count(*) AS n FROM s GROUP BY a",
        "'b', which is no column of its rows",
    );
    check(
        "SELECT a, max(b) AS b FROM s GROUP BY a",
        "'b', which its rows are not keyed by",
    );
    check(
        "SELECT b, max(a) AS a FROM s GROUP BY b",
        "'a', which its rows are not keyed by",
    );
}
