//! The oracle again, over a stream whose schema changes on the way: at every point a view's rows equal its query run in batch over everything that
//! is in the stream, read as its schema is by then, wherever the program was killed or closed in between.

use std::sync::Arc;

use headwater_catalog::{Column, ColumnType, SchemaChange, Upcasting};
use headwater_views::{View, Views};
use proptest::prelude::*;

use crate::ground::{EAGER, Ground, LAZY, WAIT, assert_same};

const PARTITIONS: u32 = 2;

const QUERIES: [&str; 4] = [
    "SELECT account, sum(amount) AS total, count(*) AS entries FROM s GROUP BY account",
    "SELECT account, count(*) AS entries FROM s GROUP BY account",
    "SELECT count(*) FROM s",
    "SELECT _partition, max(_offset) AS last FROM s GROUP BY _partition",
];

/// What is done to the schema, one after another; `account` and `amount` are there throughout.
fn changes() -> Vec<SchemaChange> {
    let upcast = |from, query: &str, columns: Option<Vec<Column>>| {
        SchemaChange::Upcast(Upcasting {
            from,
            query: query.to_owned(),
            columns,
        })
    };
    let account = || Column::new("account", ColumnType::Text, true);
    vec![
        SchemaChange::Add {
            column: Column {
                default: Some("\"none\"".to_owned()),
                ..Column::new("note", ColumnType::Text, false)
            },
            if_not_exists: false,
        },
        SchemaChange::Rename {
            from: "who".to_owned(),
            to: "account".to_owned(),
        },
        SchemaChange::Widen {
            column: "amount".to_owned(),
            to: ColumnType::BigInt,
        },
        // Version 4: cents become euros, and what is below zero goes.
        upcast(
            4,
            "SELECT account, amount / 100.0 AS amount, note FROM s WHERE amount >= 0",
            Some(vec![
                account(),
                Column::new("amount", ColumnType::Decimal(18, 2), false),
                Column::new("note", ColumnType::Text, true),
            ]),
        ),
        SchemaChange::Optional {
            column: "amount".to_owned(),
        },
        SchemaChange::Drop {
            column: "note".to_owned(),
            if_exists: false,
        },
        // What fails is parked: there is a division by zero among the amounts.
        upcast(
            7,
            "SELECT account, amount + 100 / CAST(amount AS BIGINT) AS amount FROM s",
            Some(vec![account(), Column::new("amount", ColumnType::Double, true)]),
        ),
        // Set again: all of its events are read anew.
        upcast(
            4,
            "SELECT upper(account) AS account, amount / 10.0 AS amount FROM s",
            None,
        ),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Append(u32, Vec<String>),
    Alter,
    Kill(bool),
    Close(bool),
    Compare,
}

/// Values of all shapes: each fits some versions and not others.
fn value() -> impl Strategy<Value = String> {
    let one_of = |values: &[&str]| {
        proptest::sample::select(values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>())
    };
    (
        one_of(&[
            "\"who\":\"a\"",
            "\"who\":\"b\"",
            "\"account\":\"a\"",
            "\"account\":\"c\",\"who\":\"d\"",
            "\"who\":null",
        ]),
        one_of(&[
            ",\"amount\":5",
            ",\"amount\":0",
            ",\"amount\":-7",
            ",\"amount\":3000000000",
            ",\"amount\":1.5",
            "",
            ",\"amount\":null",
        ]),
        one_of(&["", ",\"note\":\"n\"", ",\"note\":7", ",\"note\":null"]),
    )
        .prop_map(|(account, amount, note)| format!("{{{account}{amount}{note}}}"))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PARTITIONS, proptest::collection::vec(value(), 1..12)).prop_map(|(partition, values)| Step::Append(partition, values)),
        4 => Just(Step::Alter),
        1 => any::<bool>().prop_map(Step::Kill),
        1 => any::<bool>().prop_map(Step::Close),
        1 => Just(Step::Compare),
    ]
}

fn name(index: usize) -> String {
    format!("view_{index}")
}

/// The views that can be read by the schema as it is: `account` is called `who` at first.
fn readable(ground: &Ground) -> impl Iterator<Item = (usize, &'static str)> {
    let stream = ground.catalog.stream("s").expect("the stream");
    let has_account = stream.column("account").is_some();
    let queries = QUERIES.into_iter().enumerate();
    queries.filter(move |(_, query)| has_account || !query.contains("account"))
}

fn start(ground: &Ground, is_eager: bool) -> Views {
    let views = ground.views(if is_eager { &EAGER } else { &LAZY });
    for (index, query) in readable(ground) {
        views.start(ground.spec(&name(index), query)).expect("it starts");
    }
    views
}

/// As ALTER STREAM does it.
fn alter(ground: &Ground, views: &Views, change: SchemaChange, number: usize) {
    let paused = views.pause("s");
    let is_parked = views.all().iter().any(|view| view.status().parked > 0);
    let statement = format!("change {number}");
    let altering = ground
        .catalog
        .alter_schema("s", vec![change], &statement, is_parked, "ann");
    ground.runtime.block_on(altering).expect("it may change so");
    for (index, query) in readable(ground) {
        let spec = ground.spec(&name(index), query);
        views.follow_schema(&spec).expect("the view can be read");
    }
    drop(paused);
}

/// The version of a view that reads the stream as it is read now.
fn current(views: &Views, name: &str) -> Arc<View> {
    let begun = std::time::Instant::now();
    loop {
        let view = views.get(name).expect("it runs");
        if !view.stands_still() {
            return view;
        }
        assert!(begun.elapsed() < WAIT, "{name} is not rebuilt");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn compare(ground: &Ground, views: &Views) {
    for (index, query) in readable(ground) {
        let view = current(views, &name(index));
        assert_same(&ground.rows(&view), &ground.in_batch(query), query);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn a_view_of_an_evolving_stream_equals_its_query_in_batch(is_eager in any::<bool>(), steps in proptest::collection::vec(step(), 4..24)) {
        let ground = Ground::new(Some(&[("who", ColumnType::Text, true), ("amount", ColumnType::Integer, false)]), PARTITIONS);
        (0..QUERIES.len()).for_each(|index| ground.define(&name(index)));
        let mut changes = changes().into_iter().enumerate();
        let mut views = start(&ground, is_eager);
        for step in steps {
            match step {
                Step::Append(partition, values) => ground.append(partition, &values.iter().map(String::as_str).collect::<Vec<_>>()),
                Step::Alter => {
                    if let Some((number, change)) = changes.next() {
                        alter(&ground, &views, change, number);
                    }
                }
                Step::Compare => compare(&ground, &views),
                Step::Kill(is_eager) | Step::Close(is_eager) => {
                    if matches!(step, Step::Close(_)) {
                        views.close();
                    }
                    drop(views);
                    views = start(&ground, is_eager);
                }
            }
        }
        compare(&ground, &views);
        views.close();
    }
}
