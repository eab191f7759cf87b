//! A question on entities of streams that is planned once gives, each time that it is asked, what planning it anew gives: the same rows, of the same events.

mod scratch;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use headwater_sql::parse::parse;
use headwater_sql::syntax::{Question, Statement};
use headwater_sql::{Parameters, Reads};
use scratch::{Scratch, check};

const DEFINITIONS: &[(&str, &str)] = &[
    (
        "CREATE STREAM moves (account TEXT NOT NULL, kind TEXT, amount DECIMAL(18,2), day DATE) KEY (account) TAGS (kind) WITH (partitions = 3)",
        "CREATE STREAM",
    ),
    (
        "CREATE STREAM stock (shop TEXT NOT NULL, number INTEGER NOT NULL, pieces BIGINT NOT NULL) KEY (shop, number) WITH (partitions = 2)",
        "CREATE STREAM",
    ),
    (
        "CREATE VIEW gains AS SELECT account, amount FROM moves WHERE amount > 0",
        "CREATE VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW balances AS SELECT account, sum(amount) AS balance FROM moves GROUP BY account",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "INSERT INTO moves VALUES ('a', 'in', 10, DATE '2025-01-01'), ('b', 'in', 5, NULL), ('a', 'out', -3, DATE '2025-01-02'), ('a', NULL, 2, NULL)",
        "INSERT 0 4",
    ),
    (
        "INSERT INTO stock VALUES ('s', 1, 10), ('s', 2, 20), ('t', 1, 30), ('s', 1, 1)",
        "INSERT 0 4",
    ),
];

struct Case {
    text: &'static str,
    types: Vec<DataType>,
    /// Whether it is planned once.
    is_standing: bool,
    /// The values of each time that it is asked.
    asked: Vec<Vec<ScalarValue>>,
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

/// A question with one parameter, the key of an account.
fn of_account(text: &'static str, is_standing: bool) -> Case {
    let accounts = ["a", "b", "nobody", "a", "a''", ""].map(|account| vec![self::text(account)]);
    let mut asked = accounts.to_vec();
    asked.push(vec![ScalarValue::Utf8(None)]);
    Case {
        text,
        types: vec![DataType::Utf8],
        is_standing,
        asked,
    }
}

fn cases() -> Vec<Case> {
    let of_two = |text: &'static str, is_standing: bool| Case {
        text,
        types: vec![DataType::Utf8, DataType::Int64],
        is_standing,
        asked: vec![
            vec![self::text("a"), ScalarValue::Int64(Some(1))],
            vec![self::text("s"), ScalarValue::Int64(Some(1))],
            vec![self::text("s"), ScalarValue::Int64(Some(2))],
            vec![self::text("b"), ScalarValue::Int64(Some(-4))],
            vec![self::text("s"), ScalarValue::Int64(None)],
        ],
    };
    vec![
        of_account("SELECT sum(m.amount) FROM moves m WHERE m.account = $1", true),
        of_account(
            "SELECT coalesce(sum(amount), 0) AS balance, count(*), $1 FROM moves WHERE account = $1",
            true,
        ),
        of_account(
            "SELECT * FROM moves WHERE account = $1 ORDER BY _offset, _partition",
            true,
        ),
        of_account(
            "SELECT kind, amount FROM moves WHERE account = $1 ORDER BY amount DESC LIMIT 1",
            true,
        ),
        of_account(
            "SELECT kind, sum(amount) FROM moves WHERE account = $1 GROUP BY kind HAVING sum(amount) > 0 ORDER BY 1",
            true,
        ),
        of_account(
            "SELECT last_value(kind), first_value(amount), array_agg(amount) FROM moves WHERE account = $1",
            true,
        ),
        of_account(
            "SELECT amount, sum(amount) OVER (ORDER BY _offset) FROM moves WHERE account = $1 ORDER BY 1",
            true,
        ),
        of_account(
            "SELECT 1 AS held WHERE (SELECT sum(amount) FROM moves m WHERE m.account = $1) >= 9",
            true,
        ),
        of_account(
            "SELECT 1 AS held WHERE EXISTS (SELECT 1 FROM moves m WHERE m.account = $1)",
            true,
        ),
        of_account(
            "SELECT 1 AS held WHERE NOT EXISTS (SELECT 1 FROM moves m WHERE m.account = $1 AND m.kind = 'out')",
            true,
        ),
        of_account(
            "SELECT EXISTS (SELECT 1 FROM moves m WHERE m.account = $1) AS held",
            true,
        ),
        of_account(
            "SELECT 1 AS held WHERE 'out' IN (SELECT m.kind FROM moves m WHERE m.account = $1)",
            true,
        ),
        of_account(
            "SELECT 1 AS held WHERE 'out' NOT IN (SELECT m.kind FROM moves m WHERE m.account = $1)",
            true,
        ),
        of_account(
            "SELECT $1 AS account, (SELECT sum(amount) FROM moves m WHERE m.account = $1) + (SELECT count(*) FROM moves m WHERE m._key = $1) AS both",
            true,
        ),
        of_account("SELECT sum(amount) FROM gains WHERE account = $1", true),
        of_account("SELECT sum(amount) FROM moves WHERE account IN ($1, 'b')", true),
        of_account(
            "SELECT sum(amount) FROM moves WHERE account = upper(lower($1)) OR account = $1",
            true,
        ),
        of_account(
            "SELECT sum(amount) FROM moves WHERE account = $1 AND day < current_date AND now() > TIMESTAMP '2020-01-01'",
            true,
        ),
        of_account(
            "SELECT m.amount, n.amount FROM moves m JOIN moves n ON n.account = m.account WHERE m.account = $1 ORDER BY 1, 2",
            true,
        ),
        of_account(
            "WITH own AS (SELECT * FROM moves WHERE account = $1) SELECT count(*), max(kind) FROM own",
            true,
        ),
        of_account(
            "SELECT amount FROM moves WHERE account = $1 UNION ALL SELECT amount FROM moves WHERE kind = 'in' ORDER BY 1",
            true,
        ),
        of_account("SELECT count(*) FROM moves WHERE kind = $1", true),
        of_two("SELECT sum(pieces) FROM stock WHERE shop = $1 AND number = $2", true),
        of_two(
            "SELECT sum(amount) * $2 FROM moves WHERE account = $1 AND amount > $2",
            true,
        ),
        of_two("SELECT amount / $2 FROM moves WHERE account = $1 ORDER BY 1", true),
        of_two(
            "SELECT amount FROM moves WHERE account = $1 ORDER BY amount LIMIT $2",
            false,
        ),
        // The whole stream is read, or something else.
        of_account("SELECT sum(amount) FROM moves WHERE concat(account, '') = $1", true),
        of_account("SELECT sum(amount) FROM moves WHERE account = $1 OR amount > 4", true),
        of_account(
            "SELECT (SELECT sum(amount) FROM moves WHERE account = $1) + (SELECT max(balance) FROM balances)",
            false,
        ),
        of_account("SELECT current_user, sum(amount) FROM moves WHERE account = $1", false),
        of_account("SELECT $1", false),
    ]
}

fn question(text: &str) -> Question {
    match parse(text, "").expect("it parses").remove(0).statement {
        Statement::Query(question) => question,
        _ => panic!("{text} is no question"),
    }
}

fn rows(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let value = |column: &ArrayRef| array_value_to_string(column, row).expect("a value prints");
            rows.push(batch.columns().iter().map(value).collect());
        }
    }
    rows
}

/// What was read of streams, however often.
fn read(reads: &Reads) -> Vec<String> {
    let each = reads.streams.iter().map(|read| {
        let mut items: Option<Vec<String>> = read
            .items
            .as_ref()
            .map(|items| items.iter().map(|item| format!("{item:?}")).collect());
        if let Some(items) = &mut items {
            items.sort();
            items.dedup();
        }
        let version = read.definition.as_ref().map(|definition| definition.version());
        format!("{} {} {version:?} {items:?}", read.stream, read.position)
    });
    each.collect()
}

/// Asks all of it both ways.
async fn compare(scratch: &Scratch) {
    let session = scratch.session();
    for case in cases() {
        let question = question(case.text);
        let prepared = scratch.engine.prepare(question.clone(), &case.types);
        for values in &case.asked {
            let parameters = Parameters::new(values.clone());
            let kept = scratch.engine.ask_prepared(&session, &prepared, &parameters).await;
            let anew = scratch.engine.ask(&session, &question, values).await;
            match (kept, anew) {
                (Ok((kept_schema, kept, kept_reads)), Ok((schema, anew, reads))) => {
                    assert_eq!(rows(&kept), rows(&anew), "{} {values:?}", case.text);
                    assert_eq!(kept_schema.fields().len(), schema.fields().len(), "{}", case.text);
                    // With parameters in it it has the types that it is defined with; a value may be of less digits.
                    let types = scratch
                        .engine
                        .columns_of(&question, &case.types)
                        .expect("it is described");
                    for (place, (kept, anew)) in kept_schema.fields().iter().zip(schema.fields()).enumerate() {
                        assert_eq!(kept.name(), anew.name(), "{}", case.text);
                        let types = [anew.data_type(), types.field(place).data_type()];
                        assert!(types.contains(&kept.data_type()), "{}: {kept}, {types:?}", case.text);
                    }
                    // Of NULL nothing is there to be found: the planner leaves scans out, and any event is in the way then.
                    if values.iter().all(|value| !value.is_null()) {
                        assert_eq!(read(&kept_reads), read(&reads), "{} {values:?}", case.text);
                    }
                }
                (Err(kept), Err(anew)) => assert_eq!(kept.to_string(), anew.to_string(), "{} {values:?}", case.text),
                (kept, anew) => panic!("{} {values:?}: {kept:?}, {anew:?}", case.text),
            }
        }
        assert_eq!(prepared.is_planned_once(), case.is_standing, "{}", case.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_what_planning_anew_answers() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, DEFINITIONS).await;
    compare(&scratch).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_time_sees_what_was_appended_and_how_streams_are_defined() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, DEFINITIONS).await;
    let question = question("SELECT sum(amount), count(day), max(_offset) >= 0 FROM moves WHERE account = $1");
    let prepared = scratch.engine.prepare(question, &[DataType::Utf8]);
    let steps: &[(&str, &str, &str)] = &[
        ("SELECT 1", "1", "9.00 2 true"),
        (
            "INSERT INTO moves VALUES ('a', 'in', 100, NULL)",
            "INSERT 0 1",
            "109.00 2 true",
        ),
        (
            "INSERT INTO moves VALUES ('b', 'in', 100, NULL)",
            "INSERT 0 1",
            "109.00 2 true",
        ),
        (
            "ALTER STREAM moves ADD COLUMN more TEXT",
            "ALTER STREAM",
            "109.00 2 true",
        ),
        (
            "INSERT INTO moves VALUES ('a', 'in', 1, DATE '2025-05-05', 'x')",
            "INSERT 0 1",
            "110.00 3 true",
        ),
        (
            "ALTER STREAM moves SET (entities = 'none')",
            "ALTER STREAM",
            "110.00 3 true",
        ),
        (
            "INSERT INTO moves VALUES ('a', 'in', 1, NULL, 'x')",
            "INSERT 0 1",
            "111.00 3 true",
        ),
    ];
    for (statement, said, expected) in steps {
        assert_eq!(scratch.run(statement, &[]).await, *said, "{statement}");
        let parameters = Parameters::new(vec![text("a")]);
        let asked = scratch
            .engine
            .ask_prepared(&scratch.session(), &prepared, &parameters)
            .await;
        let (_, batches, _) = asked.expect("an answer");
        assert_eq!(rows(&batches)[0].join(" "), *expected, "{statement}");
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_ask_at_the_same_time_each_with_values_of_its_own() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, DEFINITIONS).await;
    for number in 0..20 {
        let made = scratch
            .run(
                &format!("INSERT INTO moves VALUES ('n{number}', 'in', {number}, NULL)"),
                &[],
            )
            .await;
        assert_eq!(made, "INSERT 0 1");
    }
    let question = question("SELECT 1 WHERE (SELECT sum(amount) FROM moves m WHERE m.account = $1) = $2");
    let prepared = scratch.engine.prepare(question, &[DataType::Utf8, DataType::Int64]);
    let session = scratch.session();
    let asks = (0..200_i64).map(|ask| {
        let number = ask % 20;
        let parameters = Parameters::new(vec![text(&format!("n{number}")), ScalarValue::Int64(Some(number))]);
        let (engine, session, prepared) = (&scratch.engine, &session, &prepared);
        async move {
            let (_, rows, _) = engine
                .ask_prepared(session, prepared, &parameters)
                .await
                .expect("an answer");
            assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1, "{number}");
        }
    });
    futures::future::join_all(asks).await;
    assert!(prepared.is_planned_once());
    scratch.close();
}
