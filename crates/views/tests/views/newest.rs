//! The oracle for what rests on the order of events: KEY with tombstones, first and last values, several streams in one view. Each view equals a
//! query of plain SQL in batch, at every position, however events were spread over partitions and wherever the program was killed.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::prelude::SessionContext;
use headwater_catalog::{Column, ColumnType, CreateMode, Definition, StreamDefinition};
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event, Position};
use headwater_views::decode::StreamDecoder;
use headwater_views::{GroupKey, Selection, Tombstones, View, ViewOptions, ViewSpec, Views, as_folded};
use proptest::prelude::*;

use crate::ground::{EAGER, Ground, LAZY, WAIT, assert_same, printed};

/// The streams, each with its partitions.
const STREAMS: [(&str, u32); 3] = [("a", 3), ("b", 2), ("f", 2)];

/// A view, and what its rows are in batch.
struct Case {
    key: &'static [&'static str],
    query: &'static str,
    batch: &'static str,
}

/// Rows of `a`, its tombstones among them.
macro_rules! newest_of_a {
    ($columns:literal, $key:literal, $where:literal) => {
        concat!(
            "SELECT ", $columns, " FROM (SELECT *, row_number() OVER (PARTITION BY ", $key,
            " ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS place FROM (",
            "SELECT id, name, n, false AS gone, _appended_at, _partition, _offset FROM a WHERE ", $where,
            " UNION ALL SELECT id, NULL, NULL, true, _appended_at, _partition, _offset FROM tombstones_a)) WHERE place = 1 AND NOT gone"
        )
    };
}

const CASES: [Case; 9] = [
    Case {
        key: &["id"],
        query: "SELECT id, name, n FROM a",
        batch: newest_of_a!("id, name, n", "id", "true"),
    },
    Case {
        key: &["id"],
        query: "SELECT upper(name) AS loud, n * 2 AS twice, id FROM a WHERE n > 3",
        batch: newest_of_a!("upper(name) AS loud, n * 2 AS twice, id", "id", "n > 3"),
    },
    // Tombstones say nothing of names.
    Case {
        key: &["name"],
        query: "SELECT name, id FROM a",
        batch: "SELECT name, id FROM (SELECT *, row_number() OVER (PARTITION BY name ORDER BY _appended_at DESC, _partition DESC, _offset DESC) \
                AS place FROM a) WHERE place = 1",
    },
    Case {
        key: &["k"],
        query: "SELECT id AS k, 'a' AS stream, n FROM a UNION ALL SELECT who, 'b', n FROM b WHERE n IS NOT NULL",
        batch: "SELECT k, stream, n FROM (SELECT *, row_number() OVER (PARTITION BY k \
                ORDER BY _appended_at DESC, stream DESC, _partition DESC, _offset DESC) AS place FROM (\
                SELECT id AS k, 'a' AS stream, n, false AS gone, _appended_at, _partition, _offset FROM a \
                UNION ALL SELECT who, 'b', n, false, _appended_at, _partition, _offset FROM b WHERE n IS NOT NULL \
                UNION ALL SELECT id, 'a', NULL, true, _appended_at, _partition, _offset FROM tombstones_a \
                UNION ALL SELECT who, 'b', NULL, true, _appended_at, _partition, _offset FROM tombstones_b)) WHERE place = 1 AND NOT gone",
    },
    Case {
        key: &["_key"],
        query: "SELECT _key, value FROM f",
        batch: "SELECT _key, value FROM (SELECT *, row_number() OVER (PARTITION BY _key ORDER BY _appended_at DESC, _partition DESC, _offset DESC) \
                AS place FROM f) WHERE place = 1 AND value IS NOT NULL",
    },
    Case {
        key: &[],
        query: "SELECT id, first_value(n) AS f, last_value(name) AS l, last_value(name) IGNORE NULLS AS known, last_value(n) FILTER (WHERE n > 3) AS big \
                FROM a GROUP BY id",
        batch: "SELECT id, first_value(n ORDER BY _appended_at, _partition, _offset) AS f, last_value(name ORDER BY _appended_at, _partition, _offset) AS l, \
                last_value(name ORDER BY _appended_at, _partition, _offset) FILTER (WHERE name IS NOT NULL) AS known, \
                last_value(n ORDER BY _appended_at, _partition, _offset) FILTER (WHERE n > 3) AS big FROM a GROUP BY id",
    },
    Case {
        key: &[],
        query: "SELECT last_value(n) AS l, count(*) AS events FROM a",
        batch: "SELECT last_value(n ORDER BY _appended_at, _partition, _offset) AS l, count(*) AS events FROM a",
    },
    Case {
        key: &[],
        query: "SELECT k, sum(n) AS total, count(*) AS events FROM (SELECT id AS k, n FROM a UNION ALL SELECT who, n FROM b UNION ALL SELECT id, 1 FROM a) \
                AS every GROUP BY k",
        batch: "SELECT k, sum(n) AS total, count(*) AS events FROM (SELECT id AS k, n FROM a UNION ALL SELECT who, n FROM b UNION ALL SELECT id, 1 FROM a) \
                AS every GROUP BY k",
    },
    Case {
        key: &[],
        query: "SELECT max(n) AS most, count(*) AS events FROM (SELECT n FROM b UNION ALL SELECT octet_length(value) FROM f) AS every HAVING count(*) > 2",
        batch: "SELECT max(n) AS most, count(*) AS events FROM (SELECT n FROM b UNION ALL SELECT octet_length(value) FROM f) AS every HAVING count(*) > 2",
    },
];

#[derive(Debug, Clone)]
enum Step {
    /// One append of some events to some partitions.
    Append(Vec<(usize, u32, Vec<Event>)>),
    Kill(usize),
    Close(usize),
    Compare,
    /// Every row as it was: so much of each partition, in hundredths.
    Rewind(Vec<u64>),
}

fn event() -> impl Strategy<Value = (usize, u32, Vec<Event>)> {
    let value = prop_oneof![
        6 => (0_u32..4, prop::option::of(0_i64..8), prop::sample::select(vec!["null", "\"ann\"", "\"\"", "\"größer\""])).prop_map(|(id, n, name)| {
            let n = n.map_or("null".to_owned(), |n| n.to_string());
            (id, Some(format!("{{\"id\":{id},\"who\":{id},\"n\":{n},\"name\":{name}}}")))
        }),
        2 => (0_u32..4).prop_map(|id| (id, None)),
        1 => (0_u32..4).prop_map(|id| (id, Some("no json".to_owned()))),
    ];
    let key = prop::sample::select(vec![true, true, true, true, true, true, true, false]);
    let events = prop::collection::vec((value, key), 1..6);
    (0..STREAMS.len(), 0_u32..6, events).prop_map(|(stream, partition, events)| {
        let event = |((id, value), has_key): ((u32, Option<String>), bool)| Event {
            key: has_key.then(|| Bytes::from(id.to_string())),
            value: value.map(Bytes::from),
            timestamp_ms: 1_700_000_000_000,
            ..Event::default()
        };
        let partition = partition % STREAMS[stream].1;
        (stream, partition, events.into_iter().map(event).collect())
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(event(), 1..4).prop_map(Step::Append),
        1 => (0_usize..3).prop_map(Step::Kill),
        1 => (0_usize..3).prop_map(Step::Close),
        2 => Just(Step::Compare),
        2 => prop::collection::vec(0_u64..=100, 7).prop_map(Step::Rewind),
    ]
}

fn options(choice: usize) -> ViewOptions {
    match choice {
        0 => LAZY,
        1 => EAGER,
        _ => ViewOptions {
            flush_bytes: 300,
            resident_bytes_max: 600,
            ..LAZY
        },
    }
}

fn ground() -> Ground {
    let ground = Ground::new(None, 1);
    let columns = |columns: &[(&str, ColumnType, bool)]| {
        let column =
            |(name, column_type, nullable): &(&str, ColumnType, bool)| Column::new(*name, *column_type, *nullable);
        Some(columns.iter().map(column).collect())
    };
    let define = |name: &str, columns: Option<Vec<Column>>, key: &[&str], partitions: u32| {
        let stream = StreamDefinition {
            name: name.to_owned(),
            columns,
            key: key.iter().map(|column| (*column).to_owned()).collect(),
            partitions,
            statement: format!("CREATE STREAM {name}"),
            ..StreamDefinition::default()
        };
        let defining = ground
            .catalog
            .define(Definition::Stream(stream), CreateMode::Create, "ann");
        ground.runtime.block_on(defining).expect("a new stream");
    };
    let of_a = [
        ("id", ColumnType::BigInt, false),
        ("name", ColumnType::Text, true),
        ("n", ColumnType::BigInt, true),
    ];
    define("a", columns(&of_a), &["id"], STREAMS[0].1);
    let of_b = [("who", ColumnType::BigInt, true), ("n", ColumnType::BigInt, true)];
    define("b", columns(&of_b), &["who"], STREAMS[1].1);
    define("f", None, &[], STREAMS[2].1);
    ground
}

fn decoder(ground: &Ground, stream: &str) -> StreamDecoder {
    let definition = ground.catalog.stream(stream).expect("a stream");
    StreamDecoder::with_history(&definition, ground.catalog.schemas(), Vec::new())
}

/// What a decoder makes of its stream between two positions.
fn rows(ground: &Ground, decoder: &StreamDecoder, from: &Position, upto: &Position) -> Vec<RecordBatch> {
    let stream = decoder.stream();
    let mut rows = Vec::new();
    for partition in 0..ground.log.stream(stream).expect("the stream").partitions {
        let (from, upto) = (from.get(stream, partition), upto.get(stream, partition));
        let batches = ground
            .log
            .read(stream, partition, from, usize::MAX)
            .expect("a readable log");
        rows.push(decoder.decode(partition, &batches, from, upto, None).rows);
    }
    rows
}

/// Every stream as a table, and its tombstones as another.
fn context(ground: &Ground, upto: &Position) -> SessionContext {
    let context = SessionContext::new();
    let add = |name: &str, decoder: StreamDecoder| {
        let table = MemTable::try_new(decoder.schema(), vec![rows(ground, &decoder, &Position::new(), upto)]);
        let table = Arc::new(table.expect("a table"));
        context.register_table(name, table).expect("a name that is free");
    };
    for (stream, _) in STREAMS {
        add(stream, decoder(ground, stream));
        add(&format!("tombstones_{stream}"), decoder(ground, stream).of_tombstones());
    }
    context
}

fn spec(ground: &Ground, index: usize) -> ViewSpec {
    let case = &CASES[index];
    let context = context(ground, &Position::new());
    let state = context.state();
    let mut spec = ground.spec(&name(index), "SELECT count(*) FROM s");
    spec.definition.key = case.key.iter().map(|column| (*column).to_owned()).collect();
    spec.definition.query = case.query.to_owned();
    let plan = ground
        .runtime
        .block_on(state.create_logical_plan(case.query))
        .expect("a plan");
    let tombstones = |stream: &str| {
        let table = ground
            .runtime
            .block_on(context.table_provider(format!("tombstones_{stream}").as_str()))?;
        Ok(Some(Tombstones {
            table: provider_as_source(table),
            are_rows: stream == "f",
        }))
    };
    let plan = as_folded(plan, &spec.definition, &state, &tombstones).expect("a plan that folds");
    spec.plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .expect("an analyzed plan");
    spec.decoders = STREAMS.iter().map(|(stream, _)| decoder(ground, stream)).collect();
    spec.session = state;
    spec
}

fn name(index: usize) -> String {
    format!("view_{index}")
}

fn start(ground: &Ground, options: &ViewOptions) -> (Views, Vec<Arc<View>>) {
    let views = ground.views(options);
    let started = (0..CASES.len()).map(|index| views.start(spec(ground, index)).expect("it starts"));
    let started = started.collect();
    (views, started)
}

fn end(ground: &Ground) -> Position {
    let mut end = Position::new();
    for (stream, _) in STREAMS {
        end.advance_all(&ground.log.position(stream).expect("a stream"));
    }
    end
}

fn in_batch(ground: &Ground, query: &str, upto: &Position) -> Vec<String> {
    let context = context(ground, upto);
    let answer = ground
        .runtime
        .block_on(async { context.sql(query).await.expect("a plan").collect().await });
    printed(&answer.expect("an answer"))
}

fn compare(ground: &Ground, started: &[Arc<View>]) {
    let end = end(ground);
    for (view, case) in started.iter().zip(&CASES) {
        ground
            .runtime
            .block_on(view.wait_for(&end, WAIT))
            .expect("it gets there");
        let found = printed(&view.read(&Selection::All).expect("readable rows").batches);
        assert_same(&found, &in_batch(ground, case.batch, &end), case.query);
        if !case.query.contains("HAVING") {
            assert_eq!(view.status().rows, found.len() as u64, "rows counted of {}", case.query);
        }
    }
}

/// The keys of all groups that any event or tombstone touched.
fn touched(ground: &Ground, view: &View) -> Vec<GroupKey> {
    let mut keys: Vec<GroupKey> = Vec::new();
    for (stream, partitions) in STREAMS {
        for partition in 0..partitions {
            for stored in ground
                .log
                .read(stream, partition, 0, usize::MAX)
                .expect("a readable log")
            {
                keys.extend(view.touched(stream, partition, &stored.batch).expect("keys"));
            }
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

/// Each row as it was, from the newest snapshot on.
fn compare_rewound(ground: &Ground, started: &[Arc<View>], hundredths: &[u64]) {
    let mut at = Position::new();
    let end = end(ground);
    for ((stream, partition, next), hundredth) in end.iter().zip(hundredths.iter().cycle()) {
        at.set(stream, partition, next * hundredth / 100);
    }
    for (view, case) in started.iter().zip(&CASES) {
        ground
            .runtime
            .block_on(view.wait_for(&end, WAIT))
            .expect("it gets there");
        let keys = match view.only_key() {
            Some(key) => vec![key],
            None => touched(ground, view),
        };
        let mut found = Vec::new();
        for key in keys {
            let past = view.past(&key, &at).expect("a readable store");
            assert!(at.covers(&past.from), "{} goes beyond {at}", past.from);
            let from = past.from.clone();
            let mut rewinding = view.rewinding(past).expect("a beginning");
            for stream in view.streams() {
                let decoder = decoder(ground, stream);
                for batch in rows(ground, &decoder, &from, &at) {
                    rewinding.fold(stream, &batch).expect("events that fold");
                }
                for batch in rows(ground, &decoder.of_tombstones(), &from, &at) {
                    rewinding.fold_tombstones(stream, &batch).expect("tombstones that fold");
                }
            }
            found.extend(printed(&Vec::from_iter(rewinding.row().expect("a row, or none"))));
        }
        found.sort();
        assert_same(
            &found,
            &in_batch(ground, case.batch, &at),
            &format!("{} at {at}", case.query),
        );
    }
}

fn append(ground: &Ground, parts: Vec<(usize, u32, Vec<Event>)>) {
    // A partition comes once in an append.
    let mut appended: Vec<Part> = Vec::new();
    for (stream, partition, events) in parts {
        let stream = STREAMS[stream].0;
        if appended
            .iter()
            .all(|part| (part.stream.as_str(), part.partition) != (stream, partition))
        {
            appended.push(Part {
                stream: stream.to_owned(),
                partition,
                batch: Batch::encode(&events, Compression::None, None),
            });
        }
    }
    let append = Append {
        parts: appended,
        principal: "ann".to_owned(),
        condition: None,
    };
    ground.log.append_blocking(append).expect("a durable append");
}

/// How many cases are tried: a few, or as many as HEADWATER_ORACLE_CASES says.
fn cases() -> u32 {
    let wanted = std::env::var("HEADWATER_ORACLE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    wanted.unwrap_or(6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn what_rests_on_the_order_of_events_equals_plain_sql(first in 0_usize..3, steps in prop::collection::vec(step(), 1..12)) {
        let ground = ground();
        (0..CASES.len()).for_each(|index| ground.define(&name(index)));
        let (mut views, mut started) = start(&ground, &options(first));
        for step in steps {
            match step {
                Step::Append(parts) => append(&ground, parts),
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
