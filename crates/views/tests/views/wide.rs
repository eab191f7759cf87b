//! Wide rows: lists and sets of values kept as entries, and rows that are elements of arrays. Each view equals its query in batch, over kills, closes
//! and evictions, whole and in parts, and as it was.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, UInt64Type};
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use headwater_catalog::{ColumnType, Shape};
use headwater_records::Position;
use headwater_views::{
    Ask, GroupKey, ListsShown, Part, Selection, Shown, Tombstones, View, ViewOptions, ViewSpec, Views, as_folded, page,
};
use proptest::prelude::*;

use crate::ground::{EAGER, Ground, LAZY, assert_same};

const PARTITIONS: u32 = 2;

/// The order of events, in plain SQL.
macro_rules! in_order {
    () => {
        "_appended_at, _partition, _offset"
    };
}
macro_rules! newest_first {
    () => {
        "_appended_at DESC, _partition DESC, _offset DESC"
    };
}

/// A view's query, and the same in plain SQL.
const CASES: [(&str, &str); 11] = [
    (
        "SELECT k, count(*) AS n, array_agg(v) AS list FROM s GROUP BY k",
        concat!(
            "SELECT k, count(*) AS n, array_agg(v ORDER BY ",
            in_order!(),
            ") AS list FROM s GROUP BY k"
        ),
    ),
    (
        "SELECT array_agg(named_struct('v', v, 't', t) ORDER BY _appended_at DESC) AS list, k FROM s GROUP BY k",
        concat!(
            "SELECT array_agg(named_struct('v', v, 't', t) ORDER BY ",
            newest_first!(),
            ") AS list, k FROM s GROUP BY k"
        ),
    ),
    (
        "SELECT k, array_agg(t ORDER BY v DESC NULLS LAST) AS list, array_agg(v) IGNORE NULLS AS known FROM s GROUP BY k",
        concat!(
            "SELECT k, array_agg(t ORDER BY v DESC NULLS LAST, ",
            newest_first!(),
            ") AS list, array_agg(v ORDER BY ",
            in_order!(),
            ") FILTER (WHERE v IS NOT NULL) AS known FROM s GROUP BY k"
        ),
    ),
    (
        "SELECT k, count(DISTINCT v) AS vs, count(DISTINCT t) FILTER (WHERE v > 2) AS ts, count(DISTINCT upper(t)) AS loud FROM s GROUP BY k",
        "SELECT k, count(DISTINCT v) AS vs, count(DISTINCT t) FILTER (WHERE v > 2) AS ts, count(DISTINCT upper(t)) AS loud FROM s GROUP BY k",
    ),
    (
        "SELECT k, count(DISTINCT v) AS vs, array_agg(v) AS list FROM s WHERE v IS NOT NULL GROUP BY k HAVING count(DISTINCT v) > 1",
        concat!(
            "SELECT k, count(DISTINCT v) AS vs, array_agg(v ORDER BY ",
            in_order!(),
            ") AS list FROM s WHERE v IS NOT NULL GROUP BY k HAVING count(DISTINCT v) > 1"
        ),
    ),
    (
        "SELECT count(DISTINCT v) AS vs, array_agg(v) AS list, count(*) AS n FROM s",
        concat!(
            "SELECT count(DISTINCT v) AS vs, array_agg(v ORDER BY ",
            in_order!(),
            ") AS list, count(*) AS n FROM s"
        ),
    ),
    (
        "SELECT list, k AS key FROM (SELECT k, t, array_agg(v) FILTER (WHERE v <> 3) AS list FROM s GROUP BY k, t) AS inner_rows",
        concat!(
            "SELECT list, k AS key FROM (SELECT k, t, array_agg(v ORDER BY ",
            in_order!(),
            ") FILTER (WHERE v <> 3) AS list FROM s GROUP BY k, t) AS inner_rows"
        ),
    ),
    (
        "SELECT k, array_agg(v) AS list FROM (SELECT k, v FROM s UNION ALL SELECT t, v * 10 FROM s) AS both GROUP BY k",
        concat!(
            "SELECT k, array_agg(v ORDER BY ",
            in_order!(),
            ", part) AS list FROM (SELECT k, v, _appended_at, _partition, _offset, 0 AS part FROM s ",
            "UNION ALL SELECT t, v * 10, _appended_at, _partition, _offset, 1 FROM s) AS both GROUP BY k"
        ),
    ),
    (
        "SELECT e, count(*) AS n, count(DISTINCT k) AS ks FROM (SELECT k, unnest(string_to_array(t, ',')) AS e FROM s WHERE v > 0) AS u GROUP BY e",
        "SELECT e, count(*) AS n, count(DISTINCT k) AS ks FROM (SELECT k, unnest(string_to_array(t, ',')) AS e FROM s WHERE v > 0) AS u GROUP BY e",
    ),
    (
        "SELECT k, array_agg(e) AS list, last_value(e) AS last FROM (SELECT k, unnest(string_to_array(t, ',')) AS e FROM s) AS u GROUP BY k",
        concat!(
            "SELECT k, array_agg(e ORDER BY _appended_at, _partition, _offset, i) AS list, ",
            "last_value(e ORDER BY _appended_at, _partition, _offset, i) AS last FROM (SELECT k, _appended_at, _partition, _offset, ",
            "unnest(string_to_array(t, ',')) AS e, unnest(range(0, CAST(array_length(string_to_array(t, ',')) AS BIGINT))) AS i FROM s) AS u GROUP BY k"
        ),
    ),
    // The newest row of each element.
    (
        "SELECT unnest(string_to_array(t, ',')) AS e, v, k FROM s",
        concat!(
            "SELECT e, v, k FROM (SELECT *, row_number() OVER (PARTITION BY e ORDER BY _appended_at DESC, _partition DESC, _offset DESC, i DESC) AS place ",
            "FROM (SELECT v, k, _appended_at, _partition, _offset, unnest(string_to_array(t, ',')) AS e, ",
            "unnest(range(0, CAST(array_length(string_to_array(t, ',')) AS BIGINT))) AS i FROM s) AS u) AS placed WHERE place = 1"
        ),
    ),
];

/// What a case has for its KEY: without GROUP BY, its element.
fn key_of(query: &str) -> Vec<String> {
    match query.contains("GROUP BY") || query.contains("count(*)") {
        true => Vec::new(),
        false => vec!["e".to_owned()],
    }
}

const TINY: ViewOptions = ViewOptions {
    flush_bytes: 700,
    flush_ms: 3_600_000,
    memory_bytes_max: 800,
    snapshot_events: 4,
    checkpoint_events: None,
    lists_shown: ListsShown::DEFAULT,
    gather_ms: 1,
};

pub fn ground() -> Ground {
    let columns = [
        ("k", ColumnType::Text, true),
        ("t", ColumnType::Text, true),
        ("v", ColumnType::BigInt, true),
    ];
    Ground::new(Some(&columns), PARTITIONS)
}

/// A view of this query, as it is folded.
pub fn spec(ground: &Ground, name: &str, query: &str) -> ViewSpec {
    let mut spec = ground.spec(name, query);
    spec.definition.key = key_of(query);
    let tombstones = |_: &str| {
        let schema = ground.decoder().of_tombstones().schema();
        let table = MemTable::try_new(schema, vec![Vec::new()])?;
        Ok(Some(Tombstones {
            table: provider_as_source(Arc::new(table)),
            are_rows: false,
        }))
    };
    spec.plan = as_folded(spec.plan, &spec.definition, &spec.session, &tombstones).expect("a plan that is folded");
    spec
}

fn start(ground: &Ground, options: &ViewOptions) -> (Views, Vec<Arc<View>>) {
    let views = ground.views(options);
    let mut started = Vec::new();
    for (index, (query, _)) in CASES.iter().enumerate() {
        ground.define(&format!("wide_{index}"));
        started.push(
            views
                .start(spec(ground, &format!("wide_{index}"), query))
                .expect("it starts"),
        );
    }
    (views, started)
}

fn options(choice: usize) -> ViewOptions {
    [LAZY, EAGER, TINY].into_iter().nth(choice % 3).unwrap_or(LAZY)
}

fn compare(ground: &Ground, started: &[Arc<View>]) {
    for (view, (query, batch)) in started.iter().zip(CASES) {
        assert_same(&ground.rows(view), &ground.in_batch(batch), query);
    }
}

fn compare_rewound(ground: &Ground, started: &[Arc<View>], hundredths: [u64; PARTITIONS as usize]) {
    let mut at = Position::new();
    for (_, partition, end) in ground.end().iter() {
        at.set("s", partition, end * hundredths[partition as usize] / 100);
    }
    for (view, (query, batch)) in started.iter().zip(CASES) {
        ground.catch_up(view);
        if query.contains("HAVING") || query.contains("inner_rows") || !key_of(query).is_empty() {
            continue;
        }
        let keys: Vec<GroupKey> = match view.only_key() {
            Some(key) => vec![key],
            None => {
                let rows = view.read(&Selection::All).expect("readable rows").batches;
                rows.iter().flat_map(|rows| view.keys_of(rows).expect("keys")).collect()
            }
        };
        let mut found = Vec::new();
        for key in keys {
            let past = view.past(&key, &at).expect("a readable store");
            found.extend(ground.rewound(view, past, &at));
        }
        found.sort();
        assert_same(&found, &ground.in_batch_upto(batch, &at), &format!("{query} at {at}"));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(u32, Vec<String>),
    Kill(usize),
    Close(usize),
    Compare,
    Rewind([u64; PARTITIONS as usize]),
}

fn value() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(vec!["\"a\"", "\"b\"", "\"\"", "null"]);
    let texts = prop::sample::select(vec![
        "\"x\"",
        "\"X\"",
        "\"größer\"",
        "\"\"",
        "null",
        "\"x,y,x\"",
        "\"y,größer\"",
    ]);
    let event = (keys, texts, prop::option::of(0_i64..5)).prop_map(|(k, t, v)| {
        let v = v.map_or("null".to_owned(), |v| v.to_string());
        format!("{{\"k\":{k},\"t\":{t},\"v\":{v}}}")
    });
    prop_oneof![9 => event, 1 => Just("no json".to_owned())]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..PARTITIONS, prop::collection::vec(value(), 1..12)).prop_map(|(partition, values)| Step::Append(partition, values)),
        2 => (0_usize..3).prop_map(Step::Kill),
        1 => (0_usize..3).prop_map(Step::Close),
        2 => Just(Step::Compare),
        1 => (0_u64..=100, 0_u64..=100).prop_map(|(one, other)| Step::Rewind([one, other])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn lists_and_sets_equal_their_query_in_batch(first in 0_usize..3, steps in prop::collection::vec(step(), 1..12)) {
        let ground = ground();
        let (mut views, mut started) = start(&ground, &options(first));
        for step in steps {
            match step {
                Step::Append(partition, values) => {
                    ground.append(partition, &values.iter().map(String::as_str).collect::<Vec<_>>());
                }
                Step::Compare => compare(&ground, &started),
                Step::Rewind(hundredths) => compare_rewound(&ground, &started, hundredths),
                Step::Kill(choice) | Step::Close(choice) => {
                    if matches!(step, Step::Close(_)) {
                        views.close();
                    }
                    drop(started);
                    drop(views);
                    (views, started) = start(&ground, &options(choice));
                }
            }
        }
        compare(&ground, &started);
        views.close();
    }
}

/// The elements of a list, those of a page, and how many there are, wherever they are kept.
#[test]
fn a_page_of_a_list_is_that_part_of_it() {
    let ground = ground();
    let query = "SELECT k, array_agg(v) AS list FROM s GROUP BY k";
    let mut memory = spec(&ground, "in_memory", query);
    memory.definition.shape = Some(Shape::Memory);
    let views = ground.views(&TINY);
    ground.define("in_memory");
    ground.define("on_disk");
    let started =
        [views.start(memory), views.start(spec(&ground, "on_disk", query))].map(|view| view.expect("it starts"));
    for turn in 0..20_i64 {
        let values: Vec<String> = (0..7)
            .map(|v| format!("{{\"k\":\"a\",\"v\":{}}}", turn * 7 + v))
            .collect();
        ground.append(
            (turn % 2) as u32,
            &values.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    for view in &started {
        ground.catch_up(view);
        let key = view.key(&["a".into()]).expect("a key");
        let ask = |selection: Selection, part: Part| {
            let column = |column, part| Shown { column, part };
            let ask = Ask {
                columns: Some(vec![column(1, part), column(0, Part::Whole), column(1, Part::Length)]),
                ..Ask::all_of(selection)
            };
            let rows = view.ask(&ask).expect("readable rows").batches;
            let lengths = rows[0].column(2).as_primitive::<UInt64Type>();
            assert_eq!((rows.len(), rows[0].num_rows(), lengths.value(0)), (1, 1, 140));
            let list = rows[0].column(0).as_list::<i32>().value(0);
            list.as_primitive::<Int64Type>().values().to_vec()
        };
        let all: Vec<i64> = (0..140).collect();
        for selection in [Selection::Keys(vec![key]), Selection::All] {
            assert_eq!(ask(selection.clone(), Part::Whole), all);
            for (from, to) in [
                (1, 20),
                (0, 3),
                (61, 80),
                (-20, -1),
                (-3, i64::MAX),
                (139, 500),
                (5, 4),
                (141, 150),
            ] {
                let expected = page(140, from, to);
                let expected = &all[expected.start as usize..expected.end as usize];
                assert_eq!(ask(selection.clone(), Part::Page { from, to }), expected, "{from}:{to}");
            }
        }
    }
    views.close();
}

/// What a store's last commit has of a list is not written again when what came after it is folded again.
#[test]
fn a_list_goes_on_after_a_kill_between_two_commits() {
    let ground = ground();
    let query = "SELECT k, array_agg(v) AS list, count(DISTINCT v) AS vs FROM s GROUP BY k";
    ground.define("killed");
    for turn in 0..6 {
        // Every other turn is committed; what is not is folded again.
        let views = ground.views(&LAZY);
        let view = views.start(spec(&ground, "killed", query)).expect("it starts");
        ground.append(
            0,
            &[
                format!("{{\"k\":\"a\",\"v\":{turn}}}").as_str(),
                "{\"k\":\"b\",\"v\":7}",
            ],
        );
        ground.catch_up(&view);
        if turn % 2 == 0 {
            drop(view);
            views.close();
        }
    }
    let views = ground.views(&LAZY);
    let view = views.start(spec(&ground, "killed", query)).expect("it starts");
    assert_eq!(
        ground.rows(&view),
        ["a | [0, 1, 2, 3, 4, 5] | 6", "b | [7, 7, 7, 7, 7, 7] | 1"]
    );
}

#[test]
fn what_lists_cannot_be_made_of_is_refused() {
    let ground = ground();
    let views = ground.views(&LAZY);
    let check = |query: &str, shape: Shape, expected: &str| {
        let mut spec = ground.spec("v", query);
        spec.definition.shape = Some(shape);
        let folded = as_folded(spec.plan.clone(), &spec.definition, &spec.session, &|_| Ok(None));
        let error = match folded {
            Ok(plan) => {
                spec.plan = plan;
                views.check(&spec).expect_err(query).to_string()
            }
            Err(error) => error.to_string(),
        };
        assert!(error.contains(expected), "{query}: {error}");
    };
    let graph = Shape::Graph {
        source: "k".to_owned(),
        destination: "t".to_owned(),
    };
    for (query, shape, expected) in [
        (
            "SELECT k, t, array_agg(v) FROM s GROUP BY k, t",
            graph,
            "array_agg(…) in a view stored as graph cannot be kept",
        ),
        (
            "SELECT k, array_length(array_agg(v)) FROM s GROUP BY k",
            Shape::Document,
            "an expression over array_agg(…) cannot be kept",
        ),
        (
            "SELECT k FROM s GROUP BY k HAVING array_length(array_agg(v)) > 2",
            Shape::Document,
            "an expression over array_agg(…) cannot be kept",
        ),
        (
            "SELECT k, array_agg(v ORDER BY t) FROM s GROUP BY k",
            Shape::Document,
            "ORDER BY s.t), a Utf8, cannot be kept",
        ),
        (
            "SELECT k, array_agg(DISTINCT v) FROM s GROUP BY k",
            Shape::Document,
            "array_agg(DISTINCT …) cannot be kept",
        ),
        (
            "SELECT k, sum(DISTINCT v) FROM s GROUP BY k",
            Shape::Memory,
            "sum(DISTINCT …), which would have to know every value again when it is read, cannot be kept",
        ),
        (
            "SELECT k, max(DISTINCT v) FROM s GROUP BY k",
            Shape::Document,
            "leave DISTINCT out",
        ),
    ] {
        check(query, shape, expected);
    }
}

/// A percentile of values is one of those near by, however they were put together.
#[test]
fn percentiles_are_near_the_exact_ones() {
    let ground = ground();
    let query = "SELECT k, approx_percentile_cont(v, 0.5) AS middle, approx_percentile_cont(0.9) WITHIN GROUP (ORDER BY v) AS high FROM s GROUP BY k";
    ground.define("near");
    for turn in 0..6_u32 {
        let views = ground.views(&options(turn as usize));
        let view = views.start(spec(&ground, "near", query)).expect("it starts");
        // All numbers below 1,000, in an order without a pattern.
        let numbers = (0..500_u32).map(|at| (at * 2 + turn % 2) * 7 % 1_000);
        let values: Vec<String> = numbers.map(|v| format!("{{\"k\":\"a\",\"v\":{v}}}")).collect();
        ground.append(
            turn % PARTITIONS,
            &values.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        ground.catch_up(&view);
        if turn % 2 == 0 {
            views.close();
        }
    }
    let views = ground.views(&LAZY);
    let view = views.start(spec(&ground, "near", query)).expect("it starts");
    let rows = ground.rows(&view);
    let found: Vec<f64> = rows[0]
        .split(" | ")
        .skip(1)
        .map(|cell| cell.parse().expect("a number"))
        .collect();
    for (found, exact) in found.iter().zip([499.5, 899.5]) {
        assert!((found - exact).abs() < 15.0, "{rows:?}");
    }
}

/// An array beside a large text that would be repeated for each element is more than is taken at once: the event is parked, others are not.
#[test]
fn an_event_that_makes_too_much_of_its_arrays_is_parked() {
    let ground = ground();
    let query = "SELECT e, count(*) AS n, max(octet_length(t)) AS longest FROM (SELECT t, unnest(string_to_array(k, ',')) AS e FROM s) AS u GROUP BY e";
    ground.define("large");
    let views = ground.views(&LAZY);
    let view = views.start(spec(&ground, "large", query)).expect("it starts");
    let elements = vec!["a"; 1_000].join(",");
    let event = |text_bytes: usize| format!("{{\"k\":\"{elements}\",\"t\":\"{}\"}}", "x".repeat(text_bytes));
    let (small, large) = (event(10), event(100_000));
    ground.append(0, &[&small, &large, &small, "{\"k\":\"b\"}"]);
    assert_eq!(ground.rows(&view), ["a | 2000 | 10", "b | 1 | NULL"]);
    // The same text beside half as many elements is taken.
    let half = format!(
        "{{\"k\":\"{}\",\"t\":\"{}\"}}",
        vec!["a"; 500].join(","),
        "x".repeat(100_000)
    );
    ground.append(0, &[&half]);
    assert_eq!(ground.rows(&view), ["a | 2500 | 100000", "b | 1 | NULL"]);
    views.close();
    assert_eq!(view.status().parked, 1);
}
