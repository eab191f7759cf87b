//! What bounds a statement, what is known of it before it runs, and what other doors use of it.

#[expect(dead_code, reason = "other tests use all of it")]
mod scratch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use futures::StreamExt;
use headwater_catalog::StreamDefinition;
use headwater_records::Position;
use headwater_sql::encode::EventEncoder;
use headwater_sql::limits::ENCODERS_MAX;
use headwater_sql::parse::parse;
use headwater_sql::{Outcome, Session, SqlError};
use scratch::Scratch;

const TABLES: &str = "
CREATE STREAM payments (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, paid DATE) KEY (account, paid) WITH (partitions = 2);
CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total FROM payments GROUP BY account;
";

async fn tables(folder: &tempfile::TempDir) -> Scratch {
    let mut scratch = Scratch::open(folder.path());
    let answer = scratch.run(TABLES, &[]).await;
    assert_eq!(answer, "CREATE MATERIALIZED VIEW");
    scratch
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

async fn state(scratch: &Scratch, session: &Session, statement: &str) -> String {
    use futures::TryStreamExt;
    let parsed = parse(statement, "").expect("it parses").remove(0);
    let outcome = match scratch.engine.execute(session, &parsed, &[]).await {
        Ok(Outcome::Rows { rows, .. }) => rows.try_collect::<Vec<_>>().await.map(|_| ()).map_err(SqlError::from),
        Ok(Outcome::Done { .. } | Outcome::Told { .. }) => Ok(()),
        Err(error) => Err(error),
    };
    outcome.map_or_else(|error| error.state.0.to_owned(), |()| "done".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_and_memory_are_bounded() {
    let folder = folder();
    let scratch = tables(&folder).await;
    let session = |timeout_ms| Session {
        timeout: Some(Duration::from_millis(timeout_ms)),
        ..Session::default()
    };
    let long = "SELECT sum(value % 7) FROM generate_series(1, 1000000000000)";
    assert_eq!(state(&scratch, &session(100), long).await, "57014");
    assert_eq!(
        state(
            &scratch,
            &session(120_000),
            "SELECT sum(value) FROM generate_series(1, 1000)"
        )
        .await,
        "done"
    );
    // A comparison of every row with every row has nothing to give for hours.
    let every = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x) JOIN generate_series(1, 1000000) AS b(y) ON a.x + b.y < 0";
    assert_eq!(state(&scratch, &session(100), every).await, "57014");
    let wide = "SELECT count(*) FROM (SELECT DISTINCT repeat('x', 100) || CAST(value AS TEXT) AS t FROM generate_series(1, 3000000))";
    assert_eq!(state(&scratch, &session(600_000), wide).await, "53200");
    scratch.close();
}

#[test]
fn a_join_ends_soon_after_nobody_waits_for_it() {
    for question in [
        "SELECT count(*) FROM generate_series(1, 1000000) AS a(x) JOIN generate_series(1, 1000000) AS b(y) ON a.x + b.y < 0",
        "SELECT count(*) FROM generate_series(1, 1000000) AS a(x) CROSS JOIN generate_series(1, 1000000) AS b(y)",
        "SELECT count(*) FROM generate_series(1, 100000) AS a(x) JOIN generate_series(1, 100000) AS b(y) ON a.x % 2 = b.y % 2",
    ] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let folder = folder();
        let asked = runtime.spawn(async move {
            let scratch = Scratch::open(folder.path());
            let parsed = parse(question, "").expect("it parses").remove(0);
            let session = Session::default();
            let first = async {
                let outcome = scratch.engine.execute(&session, &parsed, &[]).await;
                let Ok(Outcome::Rows { mut rows, .. }) = outcome else {
                    panic!("{question}: no rows");
                };
                rows.next().await
            };
            let first = tokio::time::timeout(Duration::from_millis(300), first).await;
            assert!(first.is_err(), "{question}: it was done already");
            scratch.close();
        });
        runtime.block_on(asked).expect("it was asked");
        // A runtime ends once its tasks come to a point where they can be ended.
        let began = std::time::Instant::now();
        runtime.shutdown_timeout(Duration::from_secs(600));
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "{question}: it went on for {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_does_not_get_there_in_time_is_an_error() {
    let folder = folder();
    let scratch = tables(&folder).await;
    let mut after = Position::new();
    after.set("payments", 0, 1_000);
    let session = |timeout_ms| Session {
        after: Some(after.clone()),
        timeout: Some(Duration::from_millis(timeout_ms)),
        ..Session::default()
    };
    assert_eq!(state(&scratch, &session(100), "SELECT * FROM totals").await, "57014");
    assert_eq!(
        state(&scratch, &session(120_000), "SELECT * FROM payments").await,
        "done"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_described_before_they_run() {
    let folder = folder();
    let scratch = tables(&folder).await;
    let int = [Some(DataType::Int32)];
    for (statement, declared, parameters, columns) in [
        (
            "SELECT total FROM totals WHERE account = $1",
            &[][..],
            "Utf8",
            "total: Decimal128(28, 2)",
        ),
        ("SELECT $1 AS x", &[], "?", "x: Utf8"),
        ("SELECT $1 AS x", &int, "Int32", "x: Int32"),
        (
            "SELECT $1::date AS x, $2::bigint[] AS y, CAST($1 AS DATE) AS z",
            &[],
            "Date32, List(Int64)",
            "",
        ),
        ("SELECT $1 + 1 AS x, $2 AS y", &int, "Int32, ?", "x: Int64, y: Utf8"),
        ("SELECT account, total * 2 FROM totals LIMIT $1", &[], "Int64", ""),
        (
            "INSERT INTO payments VALUES ($1, $2, $3)",
            &[],
            "Utf8, Decimal128(18, 2), Date32",
            "no rows",
        ),
        (
            "INSERT INTO payments (paid, account, amount) VALUES ($2, $1, 5)",
            &[],
            "Utf8, Date32",
            "no rows",
        ),
        (
            "SELECT * FROM totals FOR SYSTEM_TIME AS OF $1",
            &[],
            "Timestamp(µs, \"+00:00\")",
            "",
        ),
        ("SHOW TABLES", &[], "", "name: Utf8, kind: Utf8"),
        ("DROP VIEW totals", &[], "", "no rows"),
    ] {
        let parsed = parse(statement, "").expect("it parses").remove(0);
        let described = scratch
            .engine
            .describe(&Session::default(), &parsed, declared)
            .await
            .expect("it is described");
        let types = described.parameters.iter().map(|data_type| match data_type {
            Some(data_type) => data_type.to_string(),
            None => "?".to_owned(),
        });
        assert_eq!(types.collect::<Vec<String>>().join(", "), parameters, "{statement}");
        let came = match described.columns {
            None => "no rows".to_owned(),
            Some(schema) => {
                let fields = schema
                    .fields()
                    .iter()
                    .map(|field| format!("{}: {}", field.name(), field.data_type()));
                fields.collect::<Vec<String>>().join(", ")
            }
        };
        assert!(columns.is_empty() || came == columns, "{statement}: {came}");
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_of_every_kind_go_in_and_out() {
    let folder = folder();
    let mut scratch = tables(&folder).await;
    let values = [
        ScalarValue::from("ann"),
        ScalarValue::Decimal128(Some(12345), 18, 2),
        ScalarValue::Date32(Some(20_000)),
    ];
    assert_eq!(
        scratch.run("INSERT INTO payments VALUES ($1, $2, $3)", &values).await,
        "INSERT 0 1"
    );
    let missing = [ScalarValue::from("ann"), ScalarValue::from("1.5"), ScalarValue::Null];
    assert_eq!(
        scratch.run("INSERT INTO payments VALUES ($1, $2, $3)", &missing).await,
        "INSERT 0 1"
    );
    assert_eq!(
        scratch
            .run("SELECT total FROM totals WHERE account = $1", &values)
            .await,
        "124.95"
    );
    assert_eq!(
        scratch
            .run(
                "SELECT amount FROM payments WHERE paid = $1",
                &[ScalarValue::from("2024-10-04")]
            )
            .await,
        "123.45"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_has_the_same_key_through_every_door() {
    let folder = folder();
    let mut scratch = tables(&folder).await;
    scratch
        .run(
            "INSERT INTO payments VALUES ('a\"b', 1, DATE '2025-01-31'), ('no date', 1, NULL)",
            &[],
        )
        .await;
    let by_insert = scratch.run("SELECT _key FROM payments ORDER BY account", &[]).await;
    assert_eq!(by_insert, "[\"a\\\"b\",\"2025-01-31\"]\nNULL");
    let definition = scratch
        .engine
        .catalog()
        .stream("payments")
        .expect("the stream is there");
    let encoder = EventEncoder::new(&definition, scratch.engine.catalog().schemas()).expect("it may be written to");
    let values = [
        r#"{"paid":"2025-01-31","amount":"1.0","account":"a\"b"}"#,
        r#"{"account":"no date","amount":1}"#,
    ];
    let events = encoder
        .events_from_json(values.map(Bytes::from).to_vec(), 0)
        .expect("they fit");
    assert_eq!(events[0].key.as_deref(), Some(br#"["a\"b","2025-01-31"]"#.as_slice()));
    assert_eq!(events[1].key, None);
    let unfit = encoder.events_from_json(vec![Bytes::from(values[0]), Bytes::from_static(b"{}")], 0);
    assert_eq!(unfit.expect_err("a column is missing").index, 1);
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_function_makes_is_bounded() {
    let folder = folder();
    let scratch = tables(&folder).await;
    let session = Session::default();
    let numbers = "FROM generate_series(1, 100) AS numbers(n)";
    // The memory of questions is 64 MiB here, a quarter of it the bound.
    let most = 16 << 20;
    let cases = [
        (format!("SELECT length(repeat('x', {most}))"), "done"),
        (format!("SELECT length(repeat('x', {}))", most + 1), "54000"),
        ("SELECT repeat('x', 2000000000)".to_owned(), "54000"),
        (
            "SELECT repeat('x', -1), repeat(NULL, 2000000000), repeat('x', NULL)".to_owned(),
            "done",
        ),
        (
            format!("SELECT max(length(repeat('ab', (n * 1000)::int))) {numbers}"),
            "done",
        ),
        (
            format!("SELECT max(length(repeat('ab', (n * 2000)::int))) {numbers}"),
            "54000",
        ),
        (format!("SELECT length(lpad('x', {}, 'y'))", most / 4), "done"),
        (format!("SELECT length(lpad('x', {}, 'y'))", most / 4 + 1), "54000"),
        ("SELECT lpad('x', 5, 'y'), rpad('x', 5)".to_owned(), "done"),
        (format!("SELECT length(rpad(n::text, {most})) {numbers}"), "54000"),
        (
            "SELECT length(replace(repeat('a', 10000000), 'a', 'bc'))".to_owned(),
            "54000",
        ),
        (
            "SELECT length(replace(repeat('a', 1000), 'a', 'bc'))".to_owned(),
            "done",
        ),
        ("SELECT array_length(array_repeat(1, 2000000000))".to_owned(), "54000"),
        ("SELECT array_length(array_repeat(1, 1000))".to_owned(), "done"),
        ("SELECT array_length(array_resize([1], 2000000000, 0))".to_owned(), "54000"),
        ("SELECT array_length(array_resize([1], 1000, 0))".to_owned(), "done"),
        (
            "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000000), 'g'))".to_owned(),
            "54000",
        ),
        ("SELECT regexp_replace('abc', 'b', 'xyz', 'g')".to_owned(), "done"),
        (
            "SELECT length(array_to_string(range(0, 100000), repeat('x', 1000000)))".to_owned(),
            "54000",
        ),
        ("SELECT array_to_string(['a', NULL, 'b'], ', ', '?')".to_owned(), "done"),
        (
            "SELECT max(array_length(array_repeat(t, 1000))) FROM (SELECT repeat('x', CASE n WHEN 7 THEN 1000000 ELSE 1 END) AS t FROM generate_series(1, 100) AS numbers(n)) AS texts".to_owned(),
            "54000",
        ),
        (
            "SELECT count(*) FROM (SELECT generate_series(1, 1000000000) AS n) AS series".to_owned(),
            "54000",
        ),
        ("SELECT array_length(range(1000000000))".to_owned(), "54000"),
        (
            "SELECT count(*) FROM (SELECT generate_series(1, 1000000000, 100000) AS n) AS series".to_owned(),
            "done",
        ),
        (
            "SELECT count(*) FROM (SELECT generate_series(DATE '2000-01-01', DATE '2030-01-01', INTERVAL '1 month') AS n) AS series".to_owned(),
            "done",
        ),
        (
            "SELECT count(*) FROM (SELECT generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2030-01-01', INTERVAL '1 second') AS n) AS series"
                .to_owned(),
            "54000",
        ),
    ];
    for (question, expected) in cases {
        assert_eq!(state(&scratch, &session, &question).await, expected, "{question}");
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_encoders_are_kept_ready() {
    let folder = folder();
    let scratch = tables(&folder).await;
    let known = scratch.engine.catalog().stream("payments").expect("the stream");
    let named = |number: usize| {
        let mut definition = StreamDefinition::clone(&known);
        definition.name = format!("payments{number}");
        Arc::new(definition)
    };
    let streams: Vec<Arc<StreamDefinition>> = (0..=ENCODERS_MAX).map(named).collect();
    let encoder = |number: usize| scratch.engine.encoder(&streams[number]).expect("an encoder");
    let first = encoder(0);
    for number in 1..ENCODERS_MAX {
        encoder(number);
    }
    assert!(Arc::ptr_eq(&first, &encoder(0)), "as many as are kept");
    encoder(ENCODERS_MAX);
    assert!(!Arc::ptr_eq(&first, &encoder(0)), "with one more they are made anew");
    scratch.close();
}

/// Views over each other, the first over nothing; how each is made is said by its number. The first that is refused, and why.
async fn views_over_each_other(scratch: &mut Scratch, query: impl Fn(usize) -> String) -> (usize, String) {
    for number in 1.. {
        let question = match number {
            1 => "SELECT 1 AS a".to_owned(),
            _ => query(number - 1),
        };
        let answer = scratch.run(&format!("CREATE VIEW n{number} AS {question}"), &[]).await;
        if answer != "CREATE VIEW" {
            return (number, answer);
        }
    }
    unreachable!("there are as many views as numbers")
}

/// Makes views over each other until one is refused; the last that is made can be asked, described and counted.
async fn check_deepest(query: impl Fn(usize) -> String, made: usize) {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    let (refused, why) = views_over_each_other(&mut scratch, &query).await;
    let about = query(1);
    assert!(why.starts_with("54001: "), "{about}: {why}");
    assert_eq!(refused - 1, made, "{about}: {why}");
    let last = refused - 1;
    for question in [
        format!("SELECT * FROM n{last} LIMIT 1"),
        format!("SELECT count(*) > 0 FROM n{last}"),
        "SELECT count(*) > 0 FROM information_schema.columns".to_owned(),
    ] {
        let answer = scratch.run(&question, &[]).await;
        assert!(!answer.starts_with("54001"), "{question}: {answer}");
    }
    let deeper = format!("SELECT a{} AS a FROM n{last} LIMIT 1", " + 1".repeat(150));
    let asked = scratch.run(&deeper, &[]).await;
    let is_refused = asked.starts_with("54001: ");
    assert_eq!(is_refused, last < 32, "{about}: {asked}");
    let view =
        format!("CREATE MATERIALIZED VIEW m STORED AS document AS SELECT a, count(*) AS c FROM n{last} GROUP BY a");
    assert!(!scratch.run(&view, &[]).await.contains("panic"));
    scratch.close();
}

/// On a thread with the stack that the program gives whoever plans statements.
fn on_program_threads(test: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(8 * 1024 * 1024)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(runtime.spawn(test)).expect("it ends");
}

#[test]
fn views_over_each_other_are_refused_before_nobody_could_ask_them() {
    on_program_threads(async {
        check_deepest(|below| format!("SELECT * FROM n{below}"), 32).await;
        check_deepest(|below| format!("SELECT a FROM n{below}"), 32).await;
    });
}

#[test]
fn what_views_over_each_other_add_up_to_is_bounded() {
    let unions =
        |count: usize| move |below: usize| format!("SELECT a FROM n{below}{}", " UNION ALL SELECT 1".repeat(count));
    on_program_threads(async move {
        check_deepest(unions(99), 5).await;
        check_deepest(|below| format!("SELECT a{} AS a FROM n{below}", " + 1".repeat(150)), 4).await;
    });
}

#[test]
fn many_names_of_with_and_many_tables_are_refused() {
    let with = |count: usize| {
        let name = |number: usize| format!("c{number} AS (SELECT a FROM c{})", number - 1);
        let names: Vec<String> = (1..count).map(name).collect();
        format!(
            "WITH c0 AS (SELECT 1 AS a), {} SELECT a FROM c{}",
            names.join(", "),
            count - 1
        )
    };
    let tables = |count: usize| {
        let tables: Vec<String> = (0..count).map(|number| format!("(SELECT 1) AS t{number}")).collect();
        format!("SELECT 1 FROM {}", tables.join(", "))
    };
    on_program_threads(async move {
        let folder = folder();
        let mut scratch = Scratch::open(folder.path());
        assert_eq!(scratch.run(&with(240), &[]).await, "1");
        assert_eq!(scratch.run(&tables(120), &[]).await, "1");
        for statement in [with(260), with(5_000), tables(130), tables(5_000)] {
            let answer = scratch.run(&statement, &[]).await;
            assert!(answer.starts_with("54001: "), "{answer}");
        }
        scratch.close();
    });
}

#[test]
fn a_long_list_of_rows_is_not_deep() {
    on_program_threads(async {
        let folder = folder();
        let mut scratch = Scratch::open(folder.path());
        let rows: Vec<String> = (0..5_000).map(|number| format!("({number}, 2)")).collect();
        let question = format!(
            "SELECT a FROM (SELECT 4999 AS a, 2 AS b) AS t WHERE (a, b) IN ({})",
            rows.join(", ")
        );
        assert_eq!(scratch.run(&question, &[]).await, "4999");
        scratch.close();
    });
}
