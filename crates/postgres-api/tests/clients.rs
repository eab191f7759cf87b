//! A driver with both protocols over real pieces: statements, values, errors, transactions, limits.

mod arrays;
mod copies;
mod cursors;
mod door;
mod endings;
mod zones;

use std::error::Error;
use std::time::{Duration, Instant};

use door::Door;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, SimpleQueryMessage};

const BANK: &str = "\
CREATE STREAM transactions (account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, teller TEXT, booked DATE) KEY (account);
CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries FROM transactions GROUP BY account;
CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2), teller TEXT) INTO transactions
REQUIRE amount > 0 ELSE 'the amount must be positive'
REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds'
AS SELECT account, 'withdrawal' AS kind, amount, teller, NULL AS booked";

/// What a text of statements answers: rows as texts joined by `|`, tags as `(n)` of their count, the error as its SQLSTATE.
async fn run(client: &Client, text: &str) -> Vec<String> {
    let messages = match client.simple_query(text).await {
        Ok(messages) => messages,
        Err(error) => {
            eprintln!("{text}: {error:?}");
            return vec![code(&error)];
        }
    };
    let mut lines: Vec<String> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
                lines.push(values.collect::<Vec<&str>>().join("|"));
            }
            SimpleQueryMessage::CommandComplete(rows) => lines.push(format!("({rows})")),
            _ => {}
        }
    }
    lines
}

fn code(error: &tokio_postgres::Error) -> String {
    error
        .code()
        .map_or_else(|| error.to_string(), |code| code.code().to_owned())
}

async fn check(client: &Client, text: &str, expected: &[&str]) {
    assert_eq!(run(client, text).await, expected, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_statements_is_answered_one_by_one() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, BANK, &["(0)", "(0)", "(0)"]).await;
    check(&client, "INSERT INTO transactions VALUES ('BradA', 'deposit', 100.00, 'ann', NULL), ('Eve', 'deposit', 7.5, NULL, DATE '2025-12-31')", &["(2)"]).await;
    // What this session wrote, its next question sees, though views follow the log.
    check(
        &client,
        "SELECT account, balance, entries FROM balances ORDER BY account",
        &["BradA|100.00|1", "Eve|7.50|1", "(2)"],
    )
    .await;
    check(
        &client,
        "SELECT teller, booked FROM transactions WHERE account = 'Eve'",
        &["NULL|2025-12-31", "(1)"],
    )
    .await;
    check(&client, "SELECT 1; SELECT 2", &["1", "(1)", "2", "(1)"]).await;
    check(&client, "", &["(0)"]).await;
    let called = run(&client, "CALL withdraw('BradA', 20.00, 'ann')").await;
    assert!(called[0].starts_with("transactions|"), "{called:?}");
    check(
        &client,
        "SELECT balance FROM balances WHERE account = 'BradA'",
        &["80.00", "(1)"],
    )
    .await;
    check(&client, "CALL withdraw('BradA', 80.01, 'ann')", &["23514"]).await;
    // Up to the first error everything was done.
    check(&client, "INSERT INTO transactions VALUES ('Max', 'deposit', 1, NULL, NULL); SELECT * FROM nowhere; INSERT INTO transactions VALUES ('Max', 'deposit', 1, NULL, NULL)", &["42P01"]).await;
    check(
        &client,
        "SELECT entries FROM balances WHERE account = 'Max'",
        &["1", "(1)"],
    )
    .await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_made_and_explained_with_parameters() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, BANK, &["(0)", "(0)", "(0)"]).await;
    check(
        &client,
        "INSERT INTO transactions VALUES ('BradA', 'deposit', 100.00, 'ann', NULL)",
        &["(1)"],
    )
    .await;
    for (explain, part) in [
        ("EXPLAIN CALL withdraw($1, 20.00, $2)", "would append 1 event(s)"),
        (
            "EXPLAIN (FORMAT JSON) CALL withdraw($1, 20.00, $2)",
            r#""outcome":"append""#,
        ),
    ] {
        let rows = client.query(explain, &[&"BradA", &"ann"]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{explain}: {error:?}"));
        let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(lines.concat().contains(part), "{explain}: {lines:?}");
    }
    let call = "CALL withdraw($1, 20.00, $2) WITH (idempotency_key = $3)";
    let mut offsets: Vec<i64> = Vec::new();
    for _ in 0..2 {
        let rows = client
            .query(call, &[&"BradA", &"ann", &"k-1"])
            .await
            .expect("it is called");
        offsets.push(rows[0].get("offset"));
    }
    assert_eq!(offsets[0], offsets[1], "it is done once");
    check(&client, "SELECT balance FROM balances", &["80.00", "(1)"]).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_have_state_hint_and_place() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, BANK, &["(0)", "(0)", "(0)"]).await;
    for (text, state, character) in [
        ("SELECT 1 +", "42601", None),
        ("SELECT\n  amout FROM transactions", "42703", Some(10)),
        ("SELECT 'é', amout FROM transactions", "42703", Some(13)),
        ("SELECT * FROM nowhere", "42P01", Some(15)),
        ("UPDATE transactions SET amount = 1", "0A000", Some(1)),
        (
            "INSERT INTO transactions VALUES ('x', 'deposit', 'lots', NULL, NULL)",
            "22P02",
            None,
        ),
        (
            "INSERT INTO transactions VALUES ('x', NULL, 1, NULL, NULL)",
            "23502",
            None,
        ),
        ("CREATE STREAM transactions (a TEXT)", "42P07", None),
        ("CALL nothing()", "42883", None),
        ("SELECT * FROM pg_catalog.pg_nothing", "42P01", None),
    ] {
        let error = client.simple_query(text).await.expect_err(text);
        let error = error.as_db_error().expect("the server's own error");
        assert_eq!(error.code().code(), state, "{text}: {error:?}");
        if let Some(character) = character {
            let place = match error.position() {
                Some(tokio_postgres::error::ErrorPosition::Original(place)) => Some(*place),
                _ => None,
            };
            assert_eq!(place, Some(character), "{text}: {error:?}");
        }
    }
    door.close().await;
}

/// A value as its bytes, of any type.
#[derive(Debug, PartialEq, Clone)]
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// 100.05 as PostgreSQL sends it.
const HUNDRED: &[u8] = b"\0\x02\0\0\0\0\0\x02\0\x64\x01\xf4";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_take_and_give_binary_values() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    let types = "CREATE STREAM t (b BOOLEAN, i INTEGER, l BIGINT, r REAL, d DOUBLE PRECISION, n DECIMAL(18,2), s TEXT, y BYTEA, day DATE, at TIMESTAMP, moment TIMESTAMPTZ)";
    check(&client, types, &["(0)"]).await;
    let insert = client
        .prepare("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .await
        .expect("it is prepared");
    let taken: Vec<&str> = insert.params().iter().map(Type::name).collect();
    assert_eq!(
        taken,
        [
            "bool",
            "int4",
            "int8",
            "float4",
            "float8",
            "numeric",
            "text",
            "bytea",
            "date",
            "timestamp",
            "timestamptz"
        ]
    );
    let day = Raw(1_i32.to_be_bytes().to_vec());
    let at = Raw(1_500_000_i64.to_be_bytes().to_vec());
    let hundred = Raw(HUNDRED.to_vec());
    let bytes: &[u8] = &[0, 255];
    let values: [&(dyn ToSql + Sync); 11] = [
        &true,
        &-5_i32,
        &i64::MIN,
        &0.5_f32,
        &0.1_f64,
        &hundred,
        &"it's é",
        &bytes,
        &day,
        &at,
        &at,
    ];
    assert_eq!(client.execute(&insert, &values).await.expect("the row is appended"), 1);
    let nulls: [&(dyn ToSql + Sync); 11] = [
        &None::<bool>,
        &None::<i32>,
        &None::<i64>,
        &None::<f32>,
        &None::<f64>,
        &None::<Raw>,
        &None::<&str>,
        &None::<&[u8]>,
        &None::<Raw>,
        &None::<Raw>,
        &None::<Raw>,
    ];
    assert_eq!(client.execute(&insert, &nulls).await.expect("NULLs are appended"), 1);

    let rows = client
        .query("SELECT * FROM t WHERE b = $1 AND n >= $2", &[&true, &hundred])
        .await
        .expect("it is answered");
    let [row] = &rows[..] else {
        panic!("one row is true, not {}", rows.len())
    };
    assert!(row.get::<_, bool>("b"));
    assert_eq!((row.get::<_, i32>("i"), row.get::<_, i64>("l")), (-5, i64::MIN));
    assert_eq!((row.get::<_, f32>("r"), row.get::<_, f64>("d")), (0.5, 0.1));
    assert_eq!(row.get::<_, Raw>("n"), hundred);
    assert_eq!((row.get::<_, &str>("s"), row.get::<_, &[u8]>("y")), ("it's é", bytes));
    assert_eq!(
        (
            row.get::<_, Raw>("day"),
            row.get::<_, Raw>("at"),
            row.get::<_, Raw>("moment")
        ),
        (day, at.clone(), at)
    );
    let rows = client
        .query("SELECT * FROM t WHERE b IS NULL", &[])
        .await
        .expect("it is answered");
    assert_eq!(rows.len(), 1);
    assert!((0..11).all(|column| rows[0].get::<_, Option<Raw>>(column).is_none()));

    for (text, value, state) in [
        ("SELECT * FROM t WHERE i = $1", Raw(vec![0; 3]), "22P03"),
        ("SELECT * FROM t WHERE n = $1", Raw(vec![0xff; 8]), "22P03"),
    ] {
        let error = client.query(text, &[&value]).await.expect_err(text);
        assert_eq!(code(&error), state, "{text}");
    }
    assert_eq!(
        code(&client.prepare("SELECT 1; SELECT 2").await.expect_err("two statements")),
        "42601"
    );
    assert_eq!(client.query("", &[]).await.expect("nothing is answered").len(), 0);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_by_its_key_is_asked_for_again_and_again() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    let view = "CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total, count(*) AS entries";
    for text in [
        "CREATE STREAM payments (account INT, amount DECIMAL(18,2)) WITH (partitions = 1)",
        &format!("{view} FROM payments GROUP BY account"),
    ] {
        check(&client, text, &["(0)"]).await;
    }
    let select = "SELECT entries, total FROM totals WHERE account = $1";
    let select = client.prepare(select).await.expect("it is prepared");
    // The first time it is planned, then looked up; what this session wrote is there each time.
    for entries in 1..6_i64 {
        check(&client, "INSERT INTO payments VALUES (7, 100.05)", &["(1)"]).await;
        let row = client.query_one(&select, &[&7_i32]).await.expect("there is a row");
        assert_eq!(row.get::<_, i64>("entries"), entries);
        assert_eq!(row.get::<_, Raw>("total").0.len(), HUNDRED.len());
    }
    for nothing in [None, Some(8_i32)] {
        let rows = client.query(&select, &[&nothing]).await.expect("it is answered");
        assert!(rows.is_empty(), "{nothing:?}");
    }
    let wrong = client
        .query(&select, &[&Raw(vec![0; 3])])
        .await
        .expect_err("three bytes");
    assert_eq!(code(&wrong), "22P03");
    // A failed block takes nothing but its end, whatever is asked.
    check(&client, "BEGIN", &["(0)"]).await;
    assert!(client.batch_execute("SELECT nothing").await.is_err());
    let refused = client.query(&select, &[&7_i32]).await.expect_err("the block failed");
    assert_eq!(code(&refused), "25P02");
    check(&client, "ROLLBACK", &["(0)"]).await;
    // Another view of that name with other columns: the statement says that it has to be prepared again.
    check(&client, "DROP MATERIALIZED VIEW totals", &["(0)"]).await;
    let gone = client.query(&select, &[&7_i32]).await.expect_err("the view is gone");
    assert_eq!(code(&gone), "42P01");
    let other = "CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS entries, count(*) AS total";
    check(&client, &format!("{other} FROM payments GROUP BY account"), &["(0)"]).await;
    for _ in 0..3 {
        let changed = client.query(&select, &[&7_i32]).await.expect_err("the types changed");
        assert_eq!(code(&changed), "0A000");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_gives_as_many_rows_as_are_asked_for() {
    let door = Door::open(|_| {}).await;
    let (mut client, _) = door.client().await;
    check(
        &client,
        "CREATE STREAM numbers (n BIGINT) WITH (partitions = 1)",
        &["(0)"],
    )
    .await;
    check(
        &client,
        "INSERT INTO numbers SELECT value FROM generate_series(1, 10)",
        &["(10)"],
    )
    .await;
    let transaction = client.transaction().await.expect("a block opens");
    let portal = transaction
        .bind("SELECT n FROM numbers ORDER BY n", &[])
        .await
        .expect("it is bound");
    for (rows_max, expected) in [(4, 1..5), (4, 5..9), (4, 9..11), (4, 11..11)] {
        let rows = transaction.query_portal(&portal, rows_max).await.expect("rows come");
        let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(numbers, expected.collect::<Vec<i64>>());
    }
    transaction.commit().await.expect("the block ends");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_made_anew_under_its_name_is_not_waited_for() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    for inserted in [2, 1] {
        check(
            &client,
            "CREATE STREAM again (k TEXT NOT NULL, n INTEGER) KEY (k) WITH (partitions = 1)",
            &["(0)"],
        )
        .await;
        check(
            &client,
            "CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT k, sum(n) AS s FROM again GROUP BY k",
            &["(0)"],
        )
        .await;
        for _ in 0..inserted {
            check(&client, "INSERT INTO again VALUES ('a', 1)", &["(1)"]).await;
        }
        check(&client, "SELECT * FROM sums", &[&format!("a|{inserted}"), "(1)"]).await;
        check(&client, "DROP MATERIALIZED VIEW sums", &["(0)"]).await;
        check(&client, "DROP STREAM again", &["(0)"]).await;
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_block_cannot_take_back_what_is_durable() {
    let door = Door::open(|_| {}).await;
    let (client, notices) = door.client().await;
    check(&client, "CREATE STREAM s (a TEXT)", &["(0)"]).await;
    check(&client, "BEGIN", &["(0)"]).await;
    check(&client, "INSERT INTO s VALUES ('x')", &["(1)"]).await;
    check(&client, "SELECT * FROM nowhere", &["42P01"]).await;
    check(&client, "SELECT 1", &["25P02"]).await;
    check(&client, "ROLLBACK", &["(0)"]).await;
    check(&client, "SELECT count(*) FROM s", &["1", "(1)"]).await;
    assert_eq!(*notices.lock().unwrap(), [("WARNING".to_owned(), "01000".to_owned())]);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_and_messages_are_bounded() {
    let door = Door::open(|options| {
        options.connections_max = 1;
        options.message_bytes_max = 1000;
    })
    .await;
    let (client, _) = door.client().await;
    let Err(refused) = door.try_client().await else {
        panic!("a second client is let in")
    };
    assert_eq!(code(&refused), "53300");
    // One that asks for encryption first is told no, and then why it is refused.
    let mut wishing = TcpStream::connect(("127.0.0.1", door.port)).await.expect("it connects");
    let wish = b"\0\0\0\x08\x04\xd2\x16\x2f";
    wishing.write_all(wish).await.expect("it is sent");
    assert_eq!(wishing.read_u8().await.expect("an answer"), b'N');
    let startup = b"\0\0\0\x12\0\x03\0\0user\0ann\0\0";
    wishing.write_all(startup).await.expect("it is sent");
    let mut told: Vec<u8> = Vec::new();
    wishing.read_to_end(&mut told).await.expect("it is told, and closed");
    assert!(String::from_utf8_lossy(&told).contains("53300"), "{told:?}");
    // A message is its text, a zero byte and four bytes of length.
    let fits = format!("SELECT 1 {}", "-".repeat(1000 - 5 - 9));
    assert_eq!(fits.len() + 5, 1000);
    check(&client, &fits, &["1", "(1)"]).await;
    check(&client, &format!("{fits}-"), &["08P01"]).await;
    assert!(
        client.simple_query("SELECT 1").await.is_err(),
        "the connection was closed"
    );
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_end_the_door() {
    let door = Door::open(|options| options.startup_max = Duration::from_secs(3)).await;
    let startup = b"\0\0\0\x11\0\x03\0\0user\0ann\0\0";
    for (before, bytes) in [
        (&b""[..], &b"\xff\xff\xff\xff"[..]),
        (b"", b"\0\0\0\x08\0\x02\0\0"),
        (b"", b"GET / HTTP/1.1\r\n\r\n"),
        (b"", b""),
        (startup, b"Q\x7f\xff\xff\xff"),
        (startup, b"Q\0\0\0\x03"),
        (startup, b"B\0\0\0\x0c\0\0\xff\xff\0\0\0\0"),
        (startup, b"P\0\0\0\x06\0\0"),
        (startup, b"Z\0\0\0\x04"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", door.port))
            .await
            .expect("the door is open");
        // On a busy machine the door may have given up waiting already.
        let _ = stream.write_all(before).await;
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(120), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "{bytes:?}: the connection ends");
    }
    let (client, _) = door.client().await;
    check(&client, "SELECT 1", &["1", "(1)"]).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_stops_without_waiting_for_its_clients() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, "SELECT 1", &["1", "(1)"]).await;
    let began = Instant::now();
    door.close().await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(client.simple_query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_those_of_the_text() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    for (text, count) in [
        ("WITH x AS (SELECT $1::int AS q) SELECT 1", 1),
        ("SELECT indrelid FROM pg_catalog.pg_index WHERE indrelid IN ($1, $2)", 2),
        ("SELECT conname FROM pg_catalog.pg_constraint WHERE contype = $1", 1),
        ("SELECT 1 FROM pg_catalog.pg_class WHERE false AND relname = $2", 2),
        ("SELECT 1", 0),
    ] {
        let prepared = client.prepare(text).await.expect(text);
        assert_eq!(prepared.params().len(), count, "{text}");
    }
    let rows = client
        .query("WITH x AS (SELECT $1::int AS q) SELECT 1::int", &[&"7"])
        .await;
    assert_eq!(rows.map(|rows| rows.len()).map_err(|error| code(&error)), Ok(1));
    door.close().await;
}
