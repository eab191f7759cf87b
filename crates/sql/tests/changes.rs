//! The changes of a view: as events of a pipeline, and told to whoever subscribes.

mod scratch;

use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use futures::StreamExt;
use headwater_sql::parse::parse;
use headwater_sql::{Outcome, SqlError};
use scratch::{Scratch, check};

const BANK: &[(&str, &str)] = &[
    (
        "CREATE STREAM bookings (account TEXT NOT NULL, amount INTEGER NOT NULL) KEY (account) WITH (partitions = 1)",
        "CREATE STREAM",
    ),
    (
        "CREATE MATERIALIZED VIEW balances AS SELECT account, sum(amount) AS balance FROM bookings GROUP BY account",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW rich AS SELECT account, sum(amount) AS balance FROM bookings GROUP BY account HAVING sum(amount) > 100",
        "CREATE MATERIALIZED VIEW",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_a_row_is_an_event_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, BANK).await;
    check(
        &mut scratch,
        &[
            ("INSERT INTO bookings VALUES ('a', 5), ('b', 7), ('a', -9), ('a', 0), ('b', 1)", "INSERT 0 5"),
            (
                "CREATE STREAM overdrawn AS SELECT account, balance FROM CHANGES OF balances WHERE balance < 0",
                "CREATE STREAM",
            ),
            (
                "CREATE STREAM moves AS SELECT b.account, b._change AS what, b._before['balance'] AS was, b.balance AS is_now FROM CHANGES OF balances AS b",
                "CREATE STREAM",
            ),
            ("CREATE STREAM riches KEY (account) AS SELECT * FROM CHANGES OF rich", "CREATE STREAM"),
            ("SELECT account, balance FROM overdrawn", "a|-4"),
            (
                "SELECT account, what, was, is_now FROM moves ORDER BY _offset",
                "a|insert|NULL|5\nb|insert|NULL|7\na|update|5|-4\nb|update|7|8",
            ),
            ("SELECT _headers FROM overdrawn", r#"{"headwater-from":"bookings/0@2"}"#),
            ("INSERT INTO bookings VALUES ('c', 150), ('c', -60), ('c', 20)", "INSERT 0 3"),
            ("SELECT account, balance FROM riches ORDER BY _offset", "c|150\nc|110"),
            ("SELECT account, what, was, is_now FROM moves WHERE account = 'c' ORDER BY _offset", "c|insert|NULL|150\nc|update|150|90\nc|update|90|110"),
        ],
    )
    .await;
    // Where the row went, a tombstone of its key stands between the two.
    let end = scratch.log.position("riches").expect("the stream");
    assert_eq!(end.get("riches", 0), 3);
    scratch.close();

    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("INSERT INTO bookings VALUES ('a', -1), ('c', 5)", "INSERT 0 2"),
            ("SELECT account, balance FROM overdrawn ORDER BY _offset", "a|-4\na|-5"),
            ("SELECT count(*) FROM moves", "9"),
            ("SELECT account, balance FROM riches ORDER BY _offset", "c|150\nc|110\nc|115"),
            // The view becomes another one: changes go on from here, as it sees them.
            (
                "CREATE OR REPLACE MATERIALIZED VIEW balances AS SELECT account, sum(amount) * 10 AS balance FROM bookings GROUP BY account",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO bookings VALUES ('a', -1)", "INSERT 0 1"),
            ("SELECT account, what, was, is_now FROM moves ORDER BY _offset DESC LIMIT 1", "a|update|-50|-60"),
            ("SELECT count(*) FROM moves", "10"),
            ("DROP MATERIALIZED VIEW balances", "~cannot be dropped: stream 'moves', stream 'overdrawn' depend(s) on it"),
            ("SELECT * FROM CHANGES OF balances", "~CHANGES OF a view is read by a pipeline alone"),
            ("CREATE STREAM x AS SELECT * FROM CHANGES OF bookings", "~'bookings' is no materialized view"),
            ("CREATE STREAM x AS SELECT * FROM CHANGES OF nothing", "~there is no stream or view 'nothing'"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_through_the_changes_of_a_view_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, BANK).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM again AS SELECT account, balance FROM CHANGES OF balances",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW counts AS SELECT account, count(*) AS n FROM again GROUP BY account",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE OR REPLACE STREAM again AS SELECT account, CAST(n AS DECIMAL(30,0)) AS balance FROM CHANGES OF counts",
                "~stream 'again' would read itself",
            ),
        ],
    )
    .await;
    scratch.close();
}

/// A subscription, and the lines it has told.
struct Reader {
    rows: datafusion::execution::SendableRecordBatchStream,
}

impl Reader {
    async fn begin(scratch: &Scratch, statement: &str) -> Result<Reader, SqlError> {
        let parsed = parse(statement, "").expect("a statement");
        match scratch.engine.execute(&scratch.session(), &parsed[0], &[]).await? {
            Outcome::Rows { rows, .. } => Ok(Reader { rows }),
            _ => panic!("{statement} gives rows"),
        }
    }

    /// What is told up to the end of a set: `change: values`, sorted, and the position.
    async fn set(&mut self) -> (Vec<String>, String) {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(60), self.rows.next());
            let batch = next
                .await
                .expect("something is told")
                .expect("there is more")
                .expect("rows");
            for row in 0..batch.num_rows() {
                let text = |column: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
                if text(1) == "position" {
                    lines.sort();
                    return (lines, text(0));
                }
                lines.push(format!("{}: {}", text(1), values(&batch, row)));
            }
        }
    }
}

fn values(batch: &RecordBatch, row: usize) -> String {
    let cells = batch.columns().iter().skip(2).map(|column| match column.is_null(row) {
        true => "NULL".to_owned(),
        false => array_value_to_string(column, row).expect("it prints"),
    });
    cells.collect::<Vec<String>>().join("|")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_is_told_all_rows_and_then_every_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, BANK).await;
    let mut nothing = Reader::begin(&scratch, "SUBSCRIBE TO balances")
        .await
        .expect("it begins");
    assert_eq!(nothing.set().await, (Vec::new(), "bookings/0@0".to_owned()));
    check(
        &mut scratch,
        &[("INSERT INTO bookings VALUES ('a', 50), ('b', 150)", "INSERT 0 2")],
    )
    .await;
    assert_eq!(
        nothing.set().await,
        (
            vec!["upsert: a|50".to_owned(), "upsert: b|150".to_owned()],
            "bookings/0@2".to_owned()
        )
    );
    drop(nothing);

    let mut all = Reader::begin(&scratch, "SUBSCRIBE TO balances")
        .await
        .expect("it begins");
    let mut rich = Reader::begin(&scratch, "SUBSCRIBE TO rich").await.expect("it begins");
    let mut low = Reader::begin(&scratch, "SUBSCRIBE TO balances WHERE balance < 100")
        .await
        .expect("it begins");
    let also_low = "SUBSCRIBE TO balances WHERE coalesce(nullif(balance, 150), 200) < 100";
    let mut also_low = Reader::begin(&scratch, also_low).await.expect("it begins");
    let mut only_b = Reader::begin(&scratch, "SUBSCRIBE TO balances WHERE account = 'b'")
        .await
        .expect("it begins");
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
    assert_eq!(all.set().await.0, lines(&["upsert: a|50", "upsert: b|150"]));
    assert_eq!(rich.set().await.0, lines(&["upsert: b|150"]));
    assert_eq!(low.set().await.0, lines(&["upsert: a|50"]));
    assert_eq!(also_low.set().await.0, lines(&["upsert: a|50"]));
    assert_eq!(only_b.set().await.0, lines(&["upsert: b|150"]));
    check(
        &mut scratch,
        &[("INSERT INTO bookings VALUES ('a', 60), ('b', -100)", "INSERT 0 2")],
    )
    .await;
    let (told, position) = all.set().await;
    assert_eq!(
        (told, position.as_str()),
        (lines(&["upsert: a|110", "upsert: b|50"]), "bookings/0@4")
    );
    assert_eq!(rich.set().await.0, lines(&["delete: b|NULL", "upsert: a|110"]));
    assert_eq!(low.set().await.0, lines(&["delete: a|NULL", "upsert: b|50"]));
    assert_eq!(only_b.set().await.0, lines(&["upsert: b|50"]));
    drop((all, rich, low, also_low, only_b));

    check(
        &mut scratch,
        &[("INSERT INTO bookings VALUES ('a', 1), ('c', 7), ('a', 1)", "INSERT 0 3")],
    )
    .await;
    let resume = format!("SUBSCRIBE TO balances FROM POSITION '{position}'");
    let mut resumed = Reader::begin(&scratch, &resume).await.expect("it begins");
    assert_eq!(resumed.set().await.0, lines(&["upsert: a|112", "upsert: c|7"]));
    let low = format!("SUBSCRIBE TO balances WHERE balance < 100 FROM POSITION '{position}'");
    let mut low = Reader::begin(&scratch, &low).await.expect("it begins");
    assert_eq!(low.set().await.0, lines(&["delete: a|NULL", "upsert: c|7"]));

    check(
        &mut scratch,
        &[(
            "CREATE OR REPLACE MATERIALIZED VIEW balances AS SELECT account, sum(amount) AS balance FROM bookings WHERE amount > 1 GROUP BY account",
            "CREATE MATERIALIZED VIEW",
        )],
    )
    .await;
    assert_eq!(
        resumed.set().await.0,
        lines(&["reset: NULL|NULL", "upsert: a|110", "upsert: b|150", "upsert: c|7"])
    );
    check(
        &mut scratch,
        &[("DROP MATERIALIZED VIEW balances", "DROP MATERIALIZED VIEW")],
    )
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(60), resumed.rows.next())
        .await
        .expect("it ends");
    let ended = ended.expect("an end that says why").expect_err("an error");
    assert!(ended.to_string().contains("it was dropped"), "{ended}");
    drop((resumed, low));

    for (statement, why) in [
        ("SUBSCRIBE TO bookings", "views are what one subscribes to"),
        ("SUBSCRIBE TO nothing", "there is no stream or view 'nothing'"),
        ("SUBSCRIBE TO rich WHERE nothing = 1", "nothing"),
        (
            "SUBSCRIBE TO rich FROM POSITION 'bookings/0@900'",
            "lies beyond the end",
        ),
        ("SUBSCRIBE TO rich FROM POSITION 'x'", "is no position"),
        (
            "SUBSCRIBE TO rich FROM POSITION 'other/0@1'",
            "does not read the stream 'other'",
        ),
    ] {
        match Reader::begin(&scratch, statement).await {
            Ok(_) => panic!("{statement} is refused"),
            Err(error) => assert!(error.to_string().contains(why), "{statement}: {error}"),
        }
    }
    scratch.close();
}

/// The events of a row stand in several partitions: what each of them did is told in the order in which they were appended.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_in_the_order_of_events_over_all_partitions() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM moves (id BIGINT NOT NULL, account TEXT NOT NULL, n BIGINT) KEY (id) WITH (partitions = 5);
        CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS moves, sum(n) AS total FROM moves GROUP BY account";
    assert_eq!(scratch.run(application, &[]).await, "CREATE MATERIALIZED VIEW");
    let mut next = 0;
    for round in 0..3 {
        for _ in 0..40 {
            // One append brings one event, or several to several partitions.
            let row = |id: i64| format!("({id}, '{}', {})", if id % 3 == 0 { "a" } else { "b" }, id * id % 71);
            let rows: Vec<String> = (next..next + 1 + next % 3).map(row).collect();
            next += rows.len() as i64;
            let insert = format!("INSERT INTO moves VALUES {}", rows.join(", "));
            assert_eq!(scratch.run(&insert, &[]).await, format!("INSERT 0 {}", rows.len()));
        }
        if round == 0 {
            // What is there already is told at once, what comes later one by one.
            let told = "CREATE STREAM told KEY (account) AS SELECT account, moves, total, coalesce(_before['moves'], 0) AS was FROM CHANGES OF totals";
            assert_eq!(scratch.run(told, &[]).await, "CREATE STREAM");
        }
    }
    for account in ["a", "b"] {
        let told = format!("SELECT moves, total FROM told WHERE account = '{account}' ORDER BY _offset");
        let order = "ORDER BY _appended_at, _partition, _offset";
        let expected = format!(
            "SELECT count(*) OVER ({order}), sum(n) OVER ({order}) FROM moves WHERE account = '{account}' {order}"
        );
        assert_eq!(
            scratch.run(&told, &[]).await,
            scratch.run(&expected, &[]).await,
            "{account}"
        );
    }
    check(
        &mut scratch,
        &[
            ("SELECT count(*) FROM told WHERE moves <> was + 1", "0"),
            ("SELECT count(*) = (SELECT count(*) FROM moves) FROM told", "true"),
        ],
    )
    .await;
    scratch.close();
}

/// The events of a row stand in several streams, each of several partitions: what each of them did is told in the order of all, whenever the program
/// was started in between.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_view_of_several_streams_are_told_in_the_order_of_their_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM paid (id BIGINT NOT NULL, account TEXT NOT NULL, n BIGINT) KEY (id) WITH (partitions = 3);
        CREATE STREAM spent (account TEXT NOT NULL, cents BIGINT) KEY (account) WITH (partitions = 2);
        CREATE MATERIALIZED VIEW totals AS SELECT account, count(*) AS moves, sum(n) AS total
          FROM (SELECT account, n FROM paid UNION ALL SELECT account, -cents FROM spent) AS moved GROUP BY account;
        CREATE MATERIALIZED VIEW latest KEY (account) AS SELECT account, n, 'paid' AS what FROM paid UNION ALL SELECT account, cents, 'spent' FROM spent;
        CREATE STREAM told KEY (account) AS SELECT account, moves, total, coalesce(_before['moves'], 0) AS was FROM CHANGES OF totals";
    assert_eq!(scratch.run(application, &[]).await, "CREATE STREAM");
    let newest = "CREATE STREAM newest KEY (account) AS SELECT account, n, what FROM CHANGES OF latest";
    let mut next = 0;
    for round in 0..4 {
        for _ in 0..30 {
            let account = |id: i64| if id % 3 == 0 { "a" } else { "b" };
            let rows: Vec<String> = (next..next + 1 + next % 3)
                .map(|id| format!("({id}, '{}', {next})", account(id)))
                .collect();
            next += 1 + rows.len() as i64;
            let insert = format!("INSERT INTO paid VALUES {}", rows.join(", "));
            assert_eq!(scratch.run(&insert, &[]).await, format!("INSERT 0 {}", rows.len()));
            let insert = format!("INSERT INTO spent VALUES ('{}', {next})", account(next / 2));
            assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
        }
        if round == 1 {
            // What is there already is told in the same order.
            assert_eq!(scratch.run(newest, &[]).await, "CREATE STREAM");
        }
        if round % 2 == 0 {
            scratch.close();
            scratch = Scratch::open(folder.path());
        }
    }
    let both = "(SELECT account, n, 'paid' AS what, _appended_at, 'paid' AS stream, _partition, _offset FROM paid
        UNION ALL SELECT account, cents, 'spent', _appended_at, 'spent', _partition, _offset FROM spent) AS moved";
    let order = "ORDER BY _appended_at, stream, _partition, _offset";
    for account in ["a", "b"] {
        let told = format!("SELECT moves, total FROM told WHERE account = '{account}' ORDER BY _offset");
        let signed = "CASE what WHEN 'paid' THEN n ELSE -n END";
        let expected = format!(
            "SELECT count(*) OVER ({order}), sum({signed}) OVER ({order}) FROM {both} WHERE account = '{account}' {order}"
        );
        assert_eq!(
            scratch.run(&told, &[]).await,
            scratch.run(&expected, &[]).await,
            "the totals of {account}"
        );
        let told = format!("SELECT n, what FROM newest WHERE account = '{account}' ORDER BY _offset");
        // An event that says what the row says already changes nothing.
        let expected = format!(
            "SELECT n, what FROM (SELECT n, what, lag(n) OVER ({order}) AS was, lag(what) OVER ({order}) AS what_was, _appended_at, stream, _partition, \
             _offset FROM {both} WHERE account = '{account}') AS moved WHERE (n, what) IS DISTINCT FROM (was, what_was) {order}"
        );
        assert_eq!(
            scratch.run(&told, &[]).await,
            scratch.run(&expected, &[]).await,
            "the newest of {account}"
        );
    }
    check(
        &mut scratch,
        &[
            ("SELECT count(*) FROM told WHERE moves <> was + 1", "0"),
            (
                "SELECT count(*) = (SELECT count(*) FROM paid) + (SELECT count(*) FROM spent) FROM told",
                "true",
            ),
            // A view of one more stream goes on, with what that has from its beginning.
            ("CREATE STREAM gifts (account TEXT NOT NULL, n BIGINT) WITH (partitions = 1)", "CREATE STREAM"),
            ("INSERT INTO gifts VALUES ('c', 1), ('c', 2)", "INSERT 0 2"),
            (
                "CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT account, count(*) AS moves, sum(n) AS total FROM (SELECT account, n FROM paid UNION ALL SELECT account, -cents FROM spent UNION ALL SELECT account, n FROM gifts) AS moved GROUP BY account",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO gifts VALUES ('c', 3)", "INSERT 0 1"),
            ("SELECT moves, total, was FROM told WHERE account = 'c' ORDER BY _offset", "1|1|0\n2|3|1\n3|6|2"),
            (
                "SELECT count(*) = (SELECT count(*) FROM paid) + (SELECT count(*) FROM spent) + 3 FROM told",
                "true",
            ),
        ],
    )
    .await;
    scratch.close();
}

/// Deletes the events of a stream's one partition below an offset.
async fn forget(scratch: &Scratch, stream: &'static str, upto: u64) {
    let log = scratch.log.clone();
    let deleted = tokio::task::spawn_blocking(move || log.delete_records(stream, 0, upto));
    assert_eq!(deleted.await.expect("it ran").expect("it is done"), upto);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_of_the_rows_that_the_view_has_whatever_is_still_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, BANK).await;
    let moves = "CREATE STREAM moves AS SELECT account, _change AS what, _before['balance'] AS was, balance AS is_now FROM CHANGES OF balances";
    let told = "SELECT account, what, was, is_now FROM moves ORDER BY _offset DESC LIMIT 1";
    check(
        &mut scratch,
        &[
            (moves, "CREATE STREAM"),
            (
                "INSERT INTO bookings VALUES ('a', 50), ('b', 7), ('a', -9)",
                "INSERT 0 3",
            ),
            (told, "a|update|50|41"),
        ],
    )
    .await;
    // Its rows are written when it stops.
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    forget(&scratch, "bookings", 3).await;
    check(
        &mut scratch,
        &[
            ("INSERT INTO bookings VALUES ('a', -1)", "INSERT 0 1"),
            (told, "a|update|41|40"),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("INSERT INTO bookings VALUES ('a', 2)", "INSERT 0 1"),
            (told, "a|update|40|42"),
            // With another query it goes on.
            (
                "CREATE OR REPLACE STREAM moves AS SELECT account, _change AS what, _before['balance'] AS was, balance + 0 AS is_now FROM CHANGES OF balances",
                "CREATE STREAM",
            ),
            ("INSERT INTO bookings VALUES ('a', 3)", "INSERT 0 1"),
            (told, "a|update|42|45"),
            // A new one cannot begin before what is kept, and begins now with the rows that there are.
            (
                "CREATE STREAM late AS SELECT account, balance FROM CHANGES OF balances",
                "~the beginning of CHANGES OF 'balances', where 3 events that went into its rows are no longer kept, has no place in a pipeline",
            ),
            (
                "CREATE STREAM late FROM NOW AS SELECT account, _change AS what, _before['balance'] AS was, balance AS is_now FROM CHANGES OF balances",
                "CREATE STREAM",
            ),
            ("INSERT INTO bookings VALUES ('b', 1), ('c', 1)", "INSERT 0 2"),
            ("SELECT account, what, was, is_now FROM late ORDER BY _offset", "b|update|7|8\nc|insert|NULL|1"),
        ],
    )
    .await;
    scratch.close();
}

/// What went of one stream is in the rows that are told of when something comes to another.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_view_of_two_streams_are_of_all_that_went_into_its_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM paid (account TEXT NOT NULL, n BIGINT) KEY (account) WITH (partitions = 1);
        CREATE STREAM spent (account TEXT NOT NULL, n BIGINT) KEY (account) WITH (partitions = 1);
        CREATE MATERIALIZED VIEW left_over AS SELECT account, sum(n) AS n
          FROM (SELECT account, n FROM paid UNION ALL SELECT account, -n FROM spent) AS moved GROUP BY account;
        CREATE STREAM told AS SELECT account, _change AS what, _before['n'] AS was, n FROM CHANGES OF left_over";
    assert_eq!(scratch.run(application, &[]).await, "CREATE STREAM");
    let newest = "SELECT account, what, was, n FROM told ORDER BY _offset DESC LIMIT 1";
    check(
        &mut scratch,
        &[
            ("INSERT INTO paid VALUES ('a', 50), ('b', 7)", "INSERT 0 2"),
            ("INSERT INTO spent VALUES ('a', 9)", "INSERT 0 1"),
            (newest, "a|update|50|41"),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    forget(&scratch, "paid", 2).await;
    check(
        &mut scratch,
        &[
            ("INSERT INTO spent VALUES ('b', 3)", "INSERT 0 1"),
            (newest, "b|update|7|4"),
            (
                "CREATE STREAM late AS SELECT account, n FROM CHANGES OF left_over",
                "~the beginning of CHANGES OF 'left_over', where 2 events that went into its rows are no longer kept, has no place in a pipeline",
            ),
            (
                "CREATE STREAM late FROM NOW AS SELECT account, _before['n'] AS was, n FROM CHANGES OF left_over",
                "CREATE STREAM",
            ),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("INSERT INTO spent VALUES ('a', 1)", "INSERT 0 1"),
            ("INSERT INTO paid VALUES ('b', 6)", "INSERT 0 1"),
            (newest, "b|update|4|10"),
            ("SELECT account, was, n FROM late ORDER BY _offset", "a|41|40\nb|4|10"),
        ],
    )
    .await;
    scratch.close();
}
