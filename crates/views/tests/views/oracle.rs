//! The oracle: a view's rows equal its query run in batch over the same prefix of the log, whatever came in, in whatever batches, and
//! wherever the program was killed or closed in between.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use headwater_catalog::ColumnType;
use headwater_records::Position;
use headwater_views::{GroupKey, Selection, View, ViewOptions, Views};
use proptest::prelude::*;

use crate::ground::{EAGER, Ground, LAZY, assert_same, printed};

const PARTITIONS: u32 = 3;

const COLUMNS: [(&str, ColumnType, bool); 7] = [
    ("account", ColumnType::Text, true),
    ("kind", ColumnType::Text, false),
    ("amount", ColumnType::Decimal(18, 2), false),
    ("n", ColumnType::BigInt, true),
    ("score", ColumnType::Double, true),
    ("at", ColumnType::TimestampTz, true),
    ("day", ColumnType::Date, true),
];

const QUERIES: [&str; 20] = [
    "SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries, max(_timestamp) AS updated_at \
     FROM s GROUP BY account",
    "SELECT count(*) FROM s",
    "SELECT count(n), count(*), sum(n), avg(n), min(n), max(n) FROM s",
    "SELECT account, count(account), count(n) FROM s GROUP BY account",
    "SELECT kind, avg(amount), min(amount), max(amount) FROM s GROUP BY kind",
    "SELECT account, min(at), max(at), min(day), max(day) FROM s GROUP BY account",
    "SELECT kind, min(account), max(account) FROM s GROUP BY kind",
    "SELECT kind, stddev(score), stddev_pop(score), var(score), corr(score, n), avg(score) FROM s GROUP BY kind",
    "SELECT account, sum(amount) FILTER (WHERE kind = 'deposit') AS paid_in, count(*) FILTER (WHERE amount > 50) AS big FROM s GROUP BY account",
    "SELECT account, sum(amount) AS total FROM s GROUP BY account HAVING sum(amount) > 100",
    "SELECT sum(amount) AS total FROM s HAVING count(*) > 3",
    "SELECT account, count(*) AS entries FROM s WHERE kind = 'deposit' AND n IS NOT NULL GROUP BY account",
    "SELECT date_trunc('day', at) AS d, upper(kind) AS k, sum(n) + 1 AS s FROM s GROUP BY date_trunc('day', at), upper(kind)",
    "SELECT account, kind, sum(amount) AS total FROM s GROUP BY kind, account",
    "SELECT n % 2 AS odd, bool_and(n > 0), bool_or(n > 5), bit_xor(n) FROM s GROUP BY n % 2",
    "SELECT account FROM s GROUP BY account",
    "SELECT concat(account, '!') AS loud, sum(amount) * 2 AS twice FROM (SELECT account, amount FROM s WHERE amount > 10) AS t GROUP BY account",
    "SELECT _partition, max(_offset) + 1 AS next FROM s GROUP BY _partition",
    "SELECT account, approx_distinct(n) AS about FROM s GROUP BY account",
    "SELECT count(*) FILTER (WHERE account IS NULL) AS nobody, max(kind) FROM s WHERE kind LIKE 'w%'",
];

#[derive(Debug, Clone)]
enum Step {
    Append(u32, Vec<String>),
    /// The program is killed and started again with other bounds.
    Kill(usize),
    /// It is closed and started again.
    Close(usize),
    Compare,
    /// Every row is compared as it was at a position: so much of each partition, in hundredths.
    Rewind(Vec<u64>),
}

fn value() -> impl Strategy<Value = String> {
    let optional = |name: &'static str, values: Vec<&'static str>| {
        let values: Vec<String> = values
            .into_iter()
            .map(|value| format!(",\"{name}\":{value}"))
            .chain([String::new()])
            .collect();
        proptest::sample::select(values)
    };
    let good = (
        proptest::sample::select(vec!["deposit", "withdrawal"]),
        0_u32..20_000,
        optional(
            "account",
            vec![
                "\"a\"",
                "\"b\"",
                "\"c\"",
                "\"\"",
                "null",
                "\"a longer name than the others have, by far\"",
            ],
        ),
        optional("n", vec!["0", "1", "7", "-3", "9007199254740993"]),
        optional("score", vec!["0.1", "-2.5", "1e3"]),
        optional(
            "at",
            vec!["\"2025-11-23T10:00:00Z\"", "\"2025-11-24T23:59:59.999999+01:00\""],
        ),
        optional("day", vec!["\"2025-01-31\"", "\"1969-12-31\""]),
    );
    let good = good.prop_map(|(kind, cents, account, n, score, at, day)| {
        format!(
            "{{\"kind\":\"{kind}\",\"amount\":{}.{:02}{account}{n}{score}{at}{day}}}",
            cents / 100,
            cents % 100
        )
    });
    let unfit = proptest::sample::select(vec![
        "no json",
        "{\"kind\":\"deposit\"}",
        "{\"kind\":\"deposit\",\"amount\":\"much\"}",
        "{\"kind\":\"deposit\",\"amount\":1,\"n\":1.5}",
    ]);
    prop_oneof![9 => good, 1 => unfit.prop_map(str::to_owned)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..PARTITIONS, proptest::collection::vec(value(), 1..25)).prop_map(|(partition, values)| Step::Append(partition, values)),
        1 => (0_usize..4).prop_map(Step::Kill),
        1 => (0_usize..4).prop_map(Step::Close),
        1 => Just(Step::Compare),
        2 => proptest::collection::vec(0_u64..=100, PARTITIONS as usize).prop_map(Step::Rewind),
    ]
}

fn options(choice: usize) -> ViewOptions {
    match choice {
        0 => LAZY,
        1 => EAGER,
        2 => ViewOptions {
            flush_bytes: 300,
            flush_ms: 3_600_000,
            resident_bytes_max: 600,
            snapshot_events: 4,
        },
        _ => ViewOptions {
            flush_bytes: usize::MAX,
            flush_ms: 1,
            resident_bytes_max: usize::MAX,
            snapshot_events: 4,
        },
    }
}

fn name(index: usize) -> String {
    format!("view_{index}")
}

fn start(ground: &Ground, options: &ViewOptions) -> (Views, Vec<Arc<View>>) {
    let views = ground.views(options);
    let started = QUERIES
        .iter()
        .enumerate()
        .map(|(index, query)| views.start(ground.spec(&name(index), query)).expect("it starts"))
        .collect();
    (views, started)
}

fn compare(ground: &Ground, started: &[Arc<View>]) {
    for (view, query) in started.iter().zip(QUERIES) {
        let expected = ground.in_batch(query);
        assert_same(&ground.rows(view), &expected, query);
        if !view.key_columns().is_empty() && !query.contains("HAVING") {
            compare_by_key(view, &expected);
        }
    }
}

/// Each row again, by its key.
fn compare_by_key(view: &View, expected: &[String]) {
    let mut found = Vec::new();
    for key in keys(view) {
        let rows = view.read(&Selection::Keys(vec![key.clone(), key]));
        found.extend(printed(&rows.expect("a readable row").batches));
    }
    found.sort();
    assert_same(&found, expected, "by key");
}

/// Each row as it was, by its key: from the newest snapshot on, whatever is kept where, it is what the query gives over the prefix.
fn compare_rewound(ground: &Ground, started: &[Arc<View>], hundredths: &[u64]) {
    let mut at = Position::new();
    for (_, partition, end) in ground.end().iter() {
        at.set("s", partition, end * hundredths[partition as usize] / 100);
    }
    for (view, query) in started.iter().zip(QUERIES) {
        ground.catch_up(view);
        let is_global = !query.contains("GROUP BY");
        if (view.key_columns().is_empty() && !is_global) || query.contains("HAVING") {
            continue;
        }
        let keys = if is_global {
            vec![GroupKey(Vec::new())]
        } else {
            keys(view)
        };
        let mut found = Vec::new();
        for key in keys {
            let past = view.past(&key, &at).expect("a readable store");
            assert!(at.covers(&past.from), "{} goes beyond {at}", past.from);
            found.extend(ground.rewound(view, past, &at));
        }
        found.sort();
        assert_same(&found, &ground.in_batch_upto(query, &at), &format!("{query} at {at}"));
    }
}

/// The keys of all rows.
fn keys(view: &View) -> Vec<GroupKey> {
    let mut keys = Vec::new();
    for batch in &view.read(&Selection::All).expect("readable rows").batches {
        for row in 0..batch.num_rows() {
            let value = |column: &usize| ScalarValue::try_from_array(batch.column(*column), row).expect("a value");
            let values: Vec<ScalarValue> = view.key_columns().iter().map(value).collect();
            keys.push(view.key(&values).expect("a key"));
        }
    }
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn a_view_equals_its_query_in_batch(first in 0_usize..4, steps in proptest::collection::vec(step(), 1..14)) {
        let ground = Ground::new(Some(&COLUMNS), PARTITIONS);
        (0..QUERIES.len()).for_each(|index| ground.define(&name(index)));
        let (mut views, mut started) = start(&ground, &options(first));
        for step in steps {
            match step {
                Step::Append(partition, values) => ground.append(partition, &values.iter().map(String::as_str).collect::<Vec<_>>()),
                Step::Compare => compare(&ground, &started),
                Step::Rewind(hundredths) => compare_rewound(&ground, &started, &hundredths),
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
