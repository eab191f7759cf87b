//! Bad input at every door of the whole program: a clear error, and nothing lost, skipped or half-applied.

mod program;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use program::Program;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio_postgres::error::ErrorPosition;

const BANK_SQL: &str = "\
CREATE STREAM IF NOT EXISTS transactions (
  account TEXT NOT NULL,
  kind    TEXT NOT NULL,
  amount  DECIMAL(18,2) NOT NULL
) KEY (account) WITH (partitions = 1);
CREATE MATERIALIZED VIEW IF NOT EXISTS balances STORED AS document AS
SELECT account, sum(amount) AS balance, count(*) AS entries FROM transactions GROUP BY account;
";

fn deposit(amount: &str) -> String {
    format!(r#"{{"account":"a","kind":"deposit","amount":{amount}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_do_not_fit_are_parked_and_the_view_goes_on() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), BANK_SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    let producer: FutureProducer = program.client().create().expect("librdkafka starts");
    let values = [
        deposit("1.00"),
        "this is no JSON".to_owned(),
        r#"{"account":"a","kind":"deposit"}"#.to_owned(),
        deposit("99999999999999999999.00"),
        deposit(r#""2.00""#),
        r#"{"account":"a","kind":"deposit","amount":4.00} {"account":"a"}"#.to_owned(),
        deposit("8.00"),
    ];
    for value in &values {
        let record = FutureRecord::to("transactions").key("a").payload(value);
        producer
            .send(record, Duration::from_secs(120))
            .await
            .expect("a value that does not fit is still kept");
    }

    program
        .until_number("SELECT coalesce(sum(entries), 0) FROM balances", 3)
        .await;
    program.until_number("SELECT count(*) FROM _headwater.parked", 4).await;
    let parked = "SELECT \"offset\", reason FROM _headwater.parked ORDER BY \"offset\"";
    let rows = program.sql(parked).await.expect("the parked events can be asked for");
    let offsets: Vec<&str> = rows.iter().map(|row| row[0].as_deref().expect("an offset")).collect();
    assert_eq!(offsets, ["1", "2", "3", "5"]);
    for (row, word) in rows.iter().zip(["JSON", "amount", "amount", ""]) {
        let reason = row[1].as_deref().expect("a reason");
        assert!(reason.contains(word), "{reason:?} names {word:?}");
    }
    let rows = program
        .sql("SELECT balance FROM balances")
        .await
        .expect("the view answers");
    assert_eq!(rows[0][0].as_deref(), Some("11.00"));

    program.kill();
    let program = Program::start(&application, &data);
    program
        .until_number("SELECT coalesce(sum(entries), 0) FROM balances", 3)
        .await;
    program.until_number("SELECT count(*) FROM _headwater.parked", 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doors_refuse_and_go_on() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), BANK_SQL);
    let program = Program::start(&application, &folder.path().join("data"));

    let check_sql = [
        ("SELECT * FROM nowhere", "42P01", "nowhere"),
        ("SELECT no_such_column FROM balances", "42703", "no_such_column"),
        ("INSERT INTO transactions VALUES ('a', NULL, 1.00)", "23502", "kind"),
        (
            "INSERT INTO transactions VALUES ('a', 'deposit', 99999999999999999999.00)",
            "22003",
            "amount",
        ),
        ("UPDATE transactions SET amount = 0", "0A000", "append-only"),
        ("DELETE FROM transactions", "0A000", "append-only"),
        ("SELECT\n1\n+\n2\n+\n3\n+ ) FROM balances", "42601", "line 7"),
    ];
    for (statement, state, word) in check_sql {
        let error = program.sql(statement).await.expect_err(statement);
        let error = error.as_db_error().expect("the door answers with an error of its own");
        assert_eq!(error.code().code(), state, "{statement}: {error:?}");
        let line = match error.position() {
            Some(ErrorPosition::Original(at)) => {
                statement.chars().take(*at as usize - 1).filter(|c| *c == '\n').count() + 1
            }
            _ => 0,
        };
        let more = error.detail().or(error.hint()).unwrap_or_default();
        let text = format!("line {line}: {} {more}", error.message());
        assert!(text.contains(word), "{statement}: {text:?} names {word:?}");
    }

    let check_http: [(&str, &str, &[u8], u16); 5] = [
        ("POST", "/streams/nowhere/events", br#"{"a":1}"#, 404),
        ("POST", "/streams/transactions/events", b"no JSON", 422),
        (
            "POST",
            "/streams/transactions/events",
            br#"{"account":"a","kind":"deposit"}"#,
            422,
        ),
        ("GET", "/views/balances/nobody", b"", 404),
        ("POST", "/commands/nothing", b"{}", 404),
    ];
    for (method, path, body, expected) in check_http {
        let (status, answer) = program.request(method, path, &[("Content-Type", "application/json")], body);
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(
            answer.contains("\"title\""),
            "{method} {path} answers with a problem: {answer}"
        );
    }

    // A frame of 2 GiB is refused by its length: the connection is closed before anything is read.
    let mut stream = TcpStream::connect(program.kafka).expect("the Kafka door is open");
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .expect("a time limit");
    stream.write_all(&i32::MAX.to_be_bytes()).expect("the length is sent");
    let mut answer = Vec::new();
    assert_eq!(
        stream.read_to_end(&mut answer).expect("the door closes the connection"),
        0
    );

    assert_eq!(
        program.number("SELECT count(*) FROM transactions").await,
        0,
        "nothing was half-applied"
    );
    program
        .sql("INSERT INTO transactions VALUES ('a', 'deposit', 1.00)")
        .await
        .expect("the program goes on");
    assert_eq!(program.number("SELECT count(*) FROM transactions").await, 1);
}
