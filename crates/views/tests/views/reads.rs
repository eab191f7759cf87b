//! Reading a part of a view: spans of keys, in order, so many; whatever is resident and whatever the store has.

use datafusion::common::ScalarValue;
use headwater_catalog::{ColumnType, Shape};
use headwater_views::{Ask, Direction, GroupKey, ListsShown, Selection, Span, View, ViewError, ViewOptions, behind};

use crate::ground::{EAGER, Ground, LAZY, assert_same, printed};

const COLUMNS: [(&str, ColumnType, bool); 3] = [
    ("k", ColumnType::Text, true),
    ("n", ColumnType::BigInt, true),
    ("x", ColumnType::BigInt, true),
];
const QUERY: &str = "SELECT k, n, count(*) AS events FROM s GROUP BY k, n";

/// Some rows were flushed long ago, some lately, some not at all.
const MIXED: ViewOptions = ViewOptions {
    flush_bytes: 1_500,
    flush_ms: 3_600_000,
    memory_bytes_max: 2_400,
    snapshot_events: 512,
    checkpoint_events: None,
    lists_shown: ListsShown::DEFAULT,
    gather_ms: 1,
};

fn append(ground: &Ground, from: i64, upto: i64) {
    let texts = ["\"a\"", "\"ab\"", "\"b\"", "\"\"", "null", "\"ä\""];
    let values: Vec<String> = (from..upto)
        .map(|at| {
            let n = match at % 5 {
                0 => "null".to_owned(),
                _ => format!("{}", (at * 7) % 11 - 5),
            };
            format!("{{\"k\":{},\"n\":{n}}}", texts[at as usize % texts.len()])
        })
        .collect();
    ground.append(
        (from % 2) as u32,
        &values.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

/// Every row by its key, in order.
fn whole(view: &View) -> Vec<(GroupKey, String)> {
    let mut rows = Vec::new();
    for batch in &view.read(&Selection::All).expect("readable rows").batches {
        let keys = view.keys_of(batch).expect("keys");
        for (row, key) in keys.into_iter().enumerate() {
            rows.push((key, printed(&[batch.slice(row, 1)]).remove(0)));
        }
    }
    rows.sort();
    rows
}

fn check(view: &View, spans: &[Span], order: Option<Direction>, limit: Option<usize>) {
    let is_wanted = |(key, _): &&(GroupKey, String)| spans.iter().any(|span| span.holds(&key.0));
    let mut expected: Vec<String> = whole(view)
        .iter()
        .filter(is_wanted)
        .map(|(_, row)| row.clone())
        .collect();
    if order == Some(Direction::Descending) {
        expected.reverse();
    }
    expected.truncate(limit.unwrap_or(usize::MAX));
    let ask = Ask {
        selection: Selection::Spans(spans.to_vec()),
        order,
        limit,
        columns: None,
    };
    let found = view.ask(&ask).expect("readable rows").batches;
    let rows = found
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|row| batch.slice(row, 1)));
    let mut found: Vec<String> = rows.map(|row| printed(&[row]).remove(0)).collect();
    if order.is_none() && limit.is_none() {
        found.sort();
        expected.sort();
    }
    if order.is_some() || limit.is_none() {
        assert_eq!(found, expected, "{ask:?}");
    }
    assert_eq!(found.len(), expected.len(), "{ask:?}");
}

fn check_all(view: &View) {
    let beginning = |values: &[ScalarValue]| view.key_beginning(values).expect("a beginning");
    let null = || ScalarValue::Utf8(None);
    let of_a = beginning(&[ScalarValue::from("a")]);
    let up_to_b = Span {
        from: of_a.clone(),
        to: behind(&beginning(&[ScalarValue::from("b")])),
    };
    let positive = Span {
        from: beginning(&[ScalarValue::from("ab"), ScalarValue::from(1_i64)]),
        to: Some(beginning(&[ScalarValue::from("ab"), ScalarValue::Int64(None)])),
    };
    let cases = [
        vec![Span::all()],
        vec![Span::prefix(&of_a)],
        vec![up_to_b.clone()],
        vec![positive],
        vec![Span::prefix(&of_a), Span::prefix(&beginning(&[null()]))],
        vec![Span {
            from: up_to_b.from,
            to: Some(of_a),
        }],
    ];
    for spans in &cases {
        for order in [None, Some(Direction::Ascending), Some(Direction::Descending)] {
            for limit in [None, Some(0), Some(1), Some(3), Some(1_000)] {
                check(view, spans, order, limit);
            }
        }
    }
}

#[test]
fn a_part_of_a_view_is_what_the_whole_has_of_it() {
    for (shape, options) in [
        (Shape::Document, LAZY),
        (Shape::Document, EAGER),
        (Shape::Document, MIXED),
        (Shape::Memory, EAGER),
    ] {
        let ground = Ground::new(Some(&COLUMNS), 2);
        ground.define("v");
        let views = ground.views(&options);
        let mut spec = ground.spec("v", QUERY);
        spec.definition.shape = Some(shape);
        let view = views.start(spec).expect("it starts");
        for round in 0..4 {
            append(&ground, round * 40, round * 40 + 50);
            ground.catch_up(&view);
            check_all(&view);
        }
    }
}

#[test]
fn the_order_of_keys_is_that_of_their_values_and_null_comes_last() {
    let ground = Ground::new(Some(&COLUMNS), 2);
    ground.define("v");
    let views = ground.views(&EAGER);
    let view = views.start(ground.spec("v", QUERY)).expect("it starts");
    append(&ground, 0, 200);
    ground.catch_up(&view);
    let sorted = ground.in_order(&format!("SELECT * FROM ({QUERY}) ORDER BY k NULLS LAST, n NULLS LAST"));
    let found: Vec<String> = whole(&view).into_iter().map(|(_, row)| row).collect();
    assert_eq!(found, sorted);
}

#[test]
fn a_having_leaves_as_many_rows_as_are_asked_for() {
    let ground = Ground::new(Some(&COLUMNS), 2);
    ground.define("v");
    let views = ground.views(&EAGER);
    let query = "SELECT x, count(*) AS events FROM s GROUP BY x HAVING count(*) > 1";
    let view = views.start(ground.spec("v", query)).expect("it starts");
    // Of 400 rows each twentieth has two events.
    let values: Vec<String> = (0..400)
        .chain((0..400).step_by(20))
        .map(|x| format!("{{\"x\":{x}}}"))
        .collect();
    ground.append(0, &values.iter().map(String::as_str).collect::<Vec<_>>());
    ground.catch_up(&view);
    let ask = Ask {
        selection: Selection::All,
        order: Some(Direction::Ascending),
        limit: Some(3),
        columns: None,
    };
    let found = printed(&view.ask(&ask).expect("readable rows").batches);
    assert_eq!(found, ["0 | 2", "20 | 2", "40 | 2"]);
}

#[test]
fn a_group_that_is_named_twice_is_one() {
    for query in [
        "SELECT k, k AS again, count(*) AS events FROM s GROUP BY 1, 2",
        "SELECT k, n, count(*) AS events FROM s GROUP BY k, n, k",
        "SELECT 1 AS one, 1 AS again, count(*) AS events FROM s GROUP BY 1, 2",
        "SELECT upper(k) AS u, upper(k) AS again, sum(n) AS total FROM s GROUP BY upper(k), upper(k)",
    ] {
        let ground = Ground::new(Some(&COLUMNS), 2);
        ground.define("v");
        let views = ground.views(&EAGER);
        let view = views.start(ground.spec("v", query)).expect("it starts");
        append(&ground, 0, 40);
        ground.catch_up(&view);
        assert_same(&ground.rows(&view), &ground.in_batch(query), query);
    }
}

/// How often a row is written by so many reads of it, and what was read last.
fn written(view: &View, reads: usize) -> (usize, String) {
    let key = view.key(&[ScalarValue::from("a")]).expect("a key");
    let (mut written, mut last) = (0, String::new());
    for _ in 0..reads {
        let read = view.text(&key, |row| {
            written += 1;
            Ok::<Vec<u8>, ViewError>(printed(std::slice::from_ref(row)).remove(0).into_bytes())
        });
        let read = read.expect("a readable row").expect("it is resident");
        assert_eq!(*read.position, view.position().to_string());
        last = String::from_utf8(read.text.expect("there is one")).expect("text");
    }
    (written, last)
}

#[test]
fn a_row_is_written_once_until_it_changes_where_there_is_room_for_its_text() {
    for (memory_bytes_max, times) in [(1024 * 1024, 1), (900, 3)] {
        let ground = Ground::new(Some(&COLUMNS), 2);
        ground.define("v");
        let options = ViewOptions {
            memory_bytes_max,
            ..LAZY
        };
        let views = ground.views(&options);
        let spec = ground.spec("v", "SELECT k, count(*) AS events FROM s GROUP BY k");
        let view = views.start(spec).expect("it starts");
        ground.append(0, &[r#"{"k":"a"}"#]);
        ground.catch_up(&view);
        assert_eq!(written(&view, 3), (times, "a | 1".to_owned()));
        ground.append(0, &[r#"{"k":"b"}"#]);
        ground.catch_up(&view);
        assert_eq!(written(&view, 3).1, "a | 1", "at a later position");
        ground.append(0, &[r#"{"k":"a"}"#]);
        ground.catch_up(&view);
        assert_eq!(written(&view, 3), (times, "a | 2".to_owned()));
    }
}
