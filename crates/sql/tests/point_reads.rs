//! A row looked up by its key without a plan is the row that the planner finds, for every question that is taken for one.

mod scratch;

use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use futures::{FutureExt, TryStreamExt};
use headwater_sql::parse::parse;
use headwater_sql::syntax::Statement;
use headwater_sql::{Outcome, PointRead};
use scratch::{Scratch, check};

const DEFINITIONS: &[(&str, &str)] = &[
    (
        "CREATE STREAM payments (account TEXT NOT NULL, day DATE NOT NULL, amount DECIMAL(18,2) NOT NULL, rate DOUBLE PRECISION)",
        "CREATE STREAM",
    ),
    (
        "CREATE MATERIALIZED VIEW balances STORED AS document AS
         SELECT account, sum(amount) AS balance, count(*) AS entries, max(rate) AS best FROM payments GROUP BY account",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW days STORED AS document AS
         SELECT account, day, sum(amount) AS balance FROM payments GROUP BY account, day",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW amounts STORED AS document AS SELECT amount, count(*) AS entries FROM payments GROUP BY amount",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW rates STORED AS document AS SELECT rate, count(*) AS entries FROM payments GROUP BY rate",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW rich STORED AS document AS
         SELECT account, sum(amount) AS balance FROM payments GROUP BY account HAVING sum(amount) > 10",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW everything STORED AS document AS SELECT sum(amount) AS balance, count(*) AS entries FROM payments",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW nothing STORED AS document AS SELECT sum(amount) AS balance, count(*) AS entries FROM payments WHERE amount > 100",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW much STORED AS document AS SELECT count(*) AS entries FROM payments HAVING count(*) > 9",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW unnamed STORED AS document AS SELECT count(*) AS entries FROM payments GROUP BY account",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE VIEW shown AS SELECT account, balance FROM balances",
        "CREATE VIEW",
    ),
    (
        "INSERT INTO payments VALUES ('a', DATE '2025-11-01', 1.50, 0.5), ('a', DATE '2025-11-02', 20, NULL),
         ('b', DATE '2025-11-01', 2, 0.0), ('', DATE '2025-11-01', 3, -0.0)",
        "INSERT 0 4",
    ),
];

/// A question, the types of its parameters, and whether it is one row by its key.
struct Case {
    text: &'static str,
    types: Vec<DataType>,
    is_point: bool,
}

fn case<const N: usize>(text: &'static str, types: [&DataType; N], is_point: bool) -> Case {
    let types = types.into_iter().cloned().collect();
    Case { text, types, is_point }
}

fn cases() -> Vec<Case> {
    let text = &DataType::Utf8;
    vec![
        case("SELECT balance FROM balances WHERE account = $1", [text], true),
        case("SELECT * FROM balances WHERE account = $1", [text], true),
        case("SELECT b.* FROM balances b WHERE $1 = b.account", [text], true),
        case(
            "SELECT entries, account AS name, entries FROM balances WHERE account = $1",
            [text],
            true,
        ),
        case(
            "SELECT balance * 2 + entries, upper(account), $1 FROM balances WHERE account = $1",
            [text],
            true,
        ),
        case(
            "SELECT balance FROM balances WHERE account = $1 AND entries > 1",
            [text],
            true,
        ),
        case(
            "SELECT balance FROM balances WHERE account = $1 AND balance > $2",
            [text, &DataType::Int64],
            true,
        ),
        case("SELECT balance FROM balances WHERE account = lower($1)", [text], true),
        case(
            "SELECT 1 / (entries - 1) FROM balances WHERE account = $1",
            [text],
            true,
        ),
        case("SELECT balance FROM balances WHERE account = 'a'", [], true),
        case(
            "SELECT balance FROM days WHERE account = $1 AND day = $2",
            [text, &DataType::Date32],
            true,
        ),
        case("SELECT balance FROM rich WHERE account = $1", [text], true),
        // A view without GROUP BY has one row.
        case("SELECT * FROM everything", [], true),
        case("SELECT balance, $1 FROM everything WHERE entries > 1", [text], true),
        case(
            "SELECT balance FROM everything WHERE entries > $1",
            [&DataType::Int64],
            true,
        ),
        case("SELECT * FROM nothing", [], true),
        case("SELECT * FROM much", [], true),
        // What it does besides is the planner's.
        case("SELECT entries FROM unnamed", [], false),
        case("SELECT balance FROM days WHERE account = $1", [text], false),
        case(
            "SELECT balance FROM balances WHERE account = $1 OR entries = 1",
            [text],
            false,
        ),
        case("SELECT balance FROM balances WHERE account = $1 LIMIT 1", [text], false),
        case("SELECT sum(balance) FROM balances WHERE account = $1", [text], false),
        case("SELECT balance, now() FROM balances WHERE account = $1", [text], false),
        case(
            "SELECT balance, current_user FROM balances WHERE account = $1",
            [text],
            false,
        ),
        case("SELECT balance FROM shown WHERE account = $1", [text], false),
        case("SELECT amount FROM payments WHERE account = $1", [text], false),
        case(
            "SELECT balance FROM balances WHERE account = (SELECT $1)",
            [text],
            false,
        ),
        case(
            "SELECT balance FROM balances FOR SYSTEM_TIME AS OF now() WHERE account = $1",
            [text],
            false,
        ),
        // Equal values of these have different keys.
        case("SELECT entries FROM rates WHERE rate = $1", [&DataType::Float64], false),
        case(
            "SELECT entries FROM amounts WHERE amount = $1",
            [&DataType::Int64],
            false,
        ),
        case(
            "SELECT entries FROM amounts WHERE amount = $1",
            [&DataType::Decimal128(18, 2)],
            true,
        ),
    ]
}

/// Values of a type: one that is there, one that is not, NULL, and a text where a type is another.
fn values(data_type: &DataType) -> Vec<ScalarValue> {
    let null = ScalarValue::try_from(data_type).expect("there is a NULL");
    let mut values = match data_type {
        DataType::Utf8 => ["a", "b", "", "nobody", "A"].map(ScalarValue::from).to_vec(),
        DataType::Int64 => vec![ScalarValue::Int64(Some(2)), ScalarValue::Int64(Some(-1))],
        DataType::Date32 => vec![ScalarValue::Date32(Some(20_393)), ScalarValue::Date32(Some(0))],
        DataType::Float64 => vec![ScalarValue::Float64(Some(0.0)), ScalarValue::Float64(Some(0.5))],
        _ => vec![
            ScalarValue::Decimal128(Some(150), 18, 2),
            // Rounded to the key's two places these would be 1.50, which they are not.
            ScalarValue::Decimal128(Some(1_501), 18, 3),
            ScalarValue::Decimal128(Some(1_500), 18, 3),
        ],
    };
    values.push(null);
    values
}

/// Every combination of values.
fn parameters(types: &[DataType]) -> Vec<Vec<ScalarValue>> {
    types.iter().fold(vec![Vec::new()], |before, data_type| {
        let longer = |row: &Vec<ScalarValue>| {
            let row = row.clone();
            values(data_type)
                .into_iter()
                .map(move |value| [row.clone(), vec![value]].concat())
        };
        before.iter().flat_map(longer).collect()
    })
}

async fn planned(scratch: &Scratch, text: &str, parameters: &[ScalarValue]) -> Result<Vec<RecordBatch>, String> {
    let parsed = parse(text, "").expect("it parses").remove(0);
    let outcome = scratch.engine.execute(&scratch.session(), &parsed, parameters).await;
    match outcome.map_err(|error| error.to_string())? {
        Outcome::Rows { rows, .. } => rows.try_collect().await.map_err(|error| error.to_string()),
        _ => panic!("{text} gives rows"),
    }
}

fn compiled(scratch: &Scratch, text: &str, types: &[DataType]) -> Option<PointRead> {
    match parse(text, "").expect("it parses").remove(0).statement {
        Statement::Query(question) => scratch.engine.point_read(&question, types),
        _ => panic!("{text} is a question"),
    }
}

fn rows(batches: &[RecordBatch]) -> String {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let columns = batches.iter().filter(|batch| batch.num_rows() > 0).map(|batch| {
        let fields = batch.schema();
        let column = |at: usize| format!("{} {:?}", fields.field(at).name(), batch.column(at));
        (0..batch.num_columns()).map(column).collect::<Vec<String>>().join("\n")
    });
    format!("{rows}\n{}", columns.collect::<Vec<String>>().join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_looked_up_is_the_row_that_the_planner_finds() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, DEFINITIONS).await;
    let (mut looked_up, mut left_to_the_planner) = (0, 0);
    for Case { text, types, is_point } in cases() {
        let point = compiled(&scratch, text, &types);
        assert_eq!(point.is_some(), is_point, "{text}");
        let Some(point) = point else { continue };
        for parameters in parameters(&types) {
            let planned = planned(&scratch, text, &parameters).await;
            let found = scratch.engine.look_up(&scratch.session(), &point, &parameters).await;
            let Some(found) = found.expect("the view is there") else {
                left_to_the_planner += 1;
                continue;
            };
            looked_up += 1;
            let planned = planned.expect("what the planner refuses is not answered");
            assert_eq!(rows(&[found]), rows(&planned), "{text} {parameters:?}");
        }
    }
    // The division by nothing of two accounts, and the decimals of other digits.
    assert_eq!((looked_up > 60, left_to_the_planner), (true, 4));
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_wrote_is_seen_and_a_view_that_was_replaced_is_left_to_the_planner() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, DEFINITIONS).await;
    let text = "SELECT entries FROM balances WHERE account = $1";
    let point = compiled(&scratch, text, &[DataType::Utf8]).expect("it is one row by its key");
    let account = [ScalarValue::from("a")];
    for entries in 3..20_i64 {
        let insert = "INSERT INTO payments VALUES ('a', DATE '2025-11-03', 1, NULL)";
        check(&mut scratch, &[(insert, "INSERT 0 1")]).await;
        let found = scratch.engine.look_up(&scratch.session(), &point, &account).await;
        let found = found.expect("the view is there").expect("the view is the same");
        let value = ScalarValue::try_from_array(found.column(0), 0).expect("a value");
        assert_eq!(value, ScalarValue::Int64(Some(entries)));
    }
    let replaced = "CREATE OR REPLACE MATERIALIZED VIEW balances STORED AS document AS
         SELECT account, sum(amount) AS balance, count(*) + 100 AS entries, max(rate) AS best FROM payments GROUP BY account";
    check(&mut scratch, &[(replaced, "CREATE MATERIALIZED VIEW")]).await;
    let swapped = async {
        while point.is_current(&scratch.engine) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let swapped = tokio::time::timeout(Duration::from_secs(120), swapped).await;
    swapped.expect("the new version takes its place");
    let found = scratch.engine.look_up(&scratch.session(), &point, &account).await;
    assert!(found.expect("nothing went wrong").is_none());
    let again = compiled(&scratch, text, &[DataType::Utf8]).expect("it is one row by its key");
    let found = scratch.engine.look_up(&scratch.session(), &again, &account).await;
    assert_eq!(found.expect("the view is there").map(|found| found.num_rows()), Some(1));
    scratch.close();
}

#[test]
fn a_row_on_the_disk_is_not_waited_for_on_the_askers_own_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a scratch folder");
    runtime.block_on(async {
        let mut scratch = Scratch::open(folder.path());
        check(&mut scratch, DEFINITIONS).await;
        let folded = ("SELECT entries FROM balances WHERE account = 'a'", "2");
        check(&mut scratch, &[folded]).await;
        scratch.close();
        // Opened anew, a view has no row in memory.
        let mut scratch = Scratch::open(folder.path());
        let warm = ("SELECT entries FROM balances WHERE account = 'b'", "1");
        check(&mut scratch, &[warm]).await;
        let text = "SELECT entries FROM balances WHERE account = $1";
        let point = compiled(&scratch, text, &[DataType::Utf8]).expect("it is one row by its key");
        let (session, account) = (scratch.session(), [ScalarValue::from("a")]);
        // The one thread that may block is taken.
        let (free, taken) = std::sync::mpsc::channel::<()>();
        let blocked = tokio::task::spawn_blocking(move || taken.recv());
        {
            let mut looking = std::pin::pin!(scratch.engine.look_up(&session, &point, &account));
            assert!(
                looking.as_mut().now_or_never().is_none(),
                "the disk was asked on this thread"
            );
            free.send(()).expect("somebody waits for it");
            let found = looking.await.expect("the view is there").expect("the view is the same");
            let value = ScalarValue::try_from_array(found.column(0), 0).expect("a value");
            assert_eq!(value, ScalarValue::Int64(Some(2)));
        }
        blocked.await.expect("it ends").expect("it was freed");
        scratch.close();
    });
}
