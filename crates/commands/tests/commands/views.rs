//! Decisions over views that are more than groups of one stream: the newest row of a key, and rows of several streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use headwater_commands::CommandError;
use headwater_eventlog::{Append, EventLog, Part};
use headwater_records::{Batch, Compression, Event};

use crate::scratch::{Scratch, line, until};

const DEFINITIONS: &str = "
CREATE STREAM seats (seat BIGINT NOT NULL, holder TEXT, changes BIGINT NOT NULL) KEY (seat) WITH (partitions = 2);
CREATE MATERIALIZED VIEW held STORED AS document KEY (seat) AS SELECT seat, holder, changes FROM seats;
CREATE COMMAND change_seat (seat BIGINT, holder TEXT)
INTO seats
LET so_far = (SELECT changes FROM held h WHERE h.seat = change_seat.seat)
REQUIRE so_far IS NOT NULL ELSE 'there is no such seat'
REQUIRE so_far < 5 ELSE 'it was changed often enough'
AS SELECT seat, holder, so_far + 1 AS changes;

CREATE STREAM earned (account BIGINT NOT NULL, points BIGINT NOT NULL) KEY (account) WITH (partitions = 2);
CREATE STREAM used (who BIGINT NOT NULL, points BIGINT NOT NULL) KEY (who) WITH (partitions = 3);
CREATE MATERIALIZED VIEW accounts STORED AS document AS SELECT account, sum(points) AS points FROM (
  SELECT account, points FROM earned UNION ALL SELECT who, -points FROM used) AS moved GROUP BY account;
CREATE COMMAND use_points (account BIGINT, amount BIGINT)
INTO used
REQUIRE (SELECT points FROM accounts a WHERE a.account = use_points.account) >= amount ELSE 'not so many points are left'
AS SELECT account AS who, amount AS points;
";

/// What somebody appends past the commands; without a value, a tombstone.
fn foreign(stream: &str, key: &str, value: Option<&str>) -> Append {
    let event = Event {
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        ..Event::default()
    };
    Append {
        parts: vec![Part {
            stream: stream.to_owned(),
            // Not where a client of ours would write it.
            partition: 1,
            batch: Batch::encode(&[event], Compression::None, None),
        }],
        principal: "kafka".to_owned(),
        condition: None,
    }
}

/// Calls one thing so often at once, while somebody else appends: how many calls came through, and what the others were told.
async fn at_once(
    scratch: &Arc<Scratch>,
    times: usize,
    call: (&'static str, &'static str),
    beside: Append,
) -> (usize, Vec<String>) {
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(scratch.log.clone(), beside, Arc::clone(&done)));
    let mut calls = Vec::new();
    for _ in 0..times {
        let scratch = Arc::clone(scratch);
        calls.push(tokio::spawn(async move { scratch.call(call.0, call.1, None).await }));
    }
    let (mut through, mut told) = (0, Vec::new());
    for call in calls {
        match call.await.expect("the call ends") {
            Ok(_) => through += 1,
            Err(error @ CommandError::Refused(_)) => told.push(line(&Err(error))),
            Err(other) => panic!("{other}"),
        }
    }
    done.store(true, Ordering::Relaxed);
    writer.await.expect("the writer ends");
    told.dedup();
    (through, told)
}

/// Appends one thing again and again.
async fn write(log: EventLog, what: Append, done: Arc<AtomicBool>) {
    while !done.load(Ordering::Relaxed) {
        let again = Append {
            parts: what.parts.clone(),
            principal: what.principal.clone(),
            condition: None,
        };
        log.append(again).await.expect("the log takes it");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_row_of_a_key_is_decided_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let scratch = Arc::new(Scratch::open(folder.path()));
    scratch.define(DEFINITIONS).await;
    let change = ("change_seat", r#"{"seat":1,"holder":"ann"}"#);
    let seat = |value: Option<&str>| foreign("seats", "1", value);
    let put = |append: Append| scratch.log.append_blocking(append).expect("an append");
    let told = async || line(&scratch.call(change.0, change.1, None).await);
    assert_eq!(told().await, "refused: there is no such seat");
    put(seat(Some(r#"{"seat":1,"changes":0}"#)));
    let other = foreign("seats", "2", Some(r#"{"seat":2,"changes":0}"#));
    let (through, why) = at_once(&scratch, 24, change, other).await;
    assert_eq!(
        (through, why.as_slice()),
        (5, ["refused: it was changed often enough".to_owned()].as_slice())
    );
    assert_eq!(
        scratch.rows("SELECT holder, changes FROM held WHERE seat = 1").await,
        "ann|5"
    );
    // Somebody takes the seat away, and brings it back.
    put(seat(None));
    assert_eq!(told().await, "refused: there is no such seat");
    put(seat(Some(r#"{"seat":1,"changes":4}"#)));
    assert_eq!(told().await, r#"seats {"seat":1,"holder":"ann","changes":5}"#);
    assert_eq!(told().await, "refused: it was changed often enough");
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_several_streams_is_decided_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let scratch = Arc::new(Scratch::open(folder.path()));
    scratch.define(DEFINITIONS).await;
    let earn = foreign("earned", "1", Some(r#"{"account":1,"points":100}"#));
    scratch.log.append_blocking(earn).expect("an append");
    let spend = ("use_points", r#"{"account":1,"amount":10}"#);
    // Somebody writes into the other stream meanwhile: each of its events is of the same row.
    let more = foreign("earned", "1", Some(r#"{"account":1,"points":0}"#));
    let (through, why) = at_once(&scratch, 32, spend, more).await;
    assert_eq!(
        (through, why.as_slice()),
        (10, ["refused: not so many points are left".to_owned()].as_slice())
    );
    assert_eq!(scratch.rows("SELECT points FROM accounts WHERE account = 1").await, "0");
    let earn = foreign("earned", "1", Some(r#"{"account":1,"points":10}"#));
    scratch.log.append_blocking(earn).expect("an append");
    assert_eq!(
        line(&scratch.call(spend.0, spend.1, None).await),
        r#"used {"who":1,"points":10}"#
    );
    assert_eq!(
        line(&scratch.call(spend.0, spend.1, None).await),
        "refused: not so many points are left"
    );
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_may_read_what_a_view_that_is_being_built_anew_will_have() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::open(folder.path());
    scratch
        .define(
            "CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT NOT NULL) KEY (account) WITH (partitions = 1);
             CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total FROM moves GROUP BY account;",
        )
        .await;
    let inserted = scratch
        .rows("INSERT INTO moves SELECT 'a' || value % 5000, 1 FROM generate_series(1, 60000)")
        .await;
    assert!(inserted.starts_with("INSERT"), "{inserted}");
    // At once, while the view is asked as it was.
    for statement in [
        "CREATE OR REPLACE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total, count(*) AS moves FROM moves GROUP BY account",
        "CREATE VIEW often AS SELECT account FROM totals WHERE moves > 3",
        "CREATE COMMAND count_up (account TEXT)
         LET moves = (SELECT t.moves FROM totals t WHERE t.account = count_up.account)
         REQUIRE moves > 3 ELSE 'seldom'
         INTO moves AS SELECT account, moves AS amount",
    ] {
        let came = scratch.rows(statement).await;
        assert!(came.starts_with("CREATE"), "{statement}: {came}");
    }
    let mut came = String::new();
    until("it is built", async || {
        let outcome = scratch.call("count_up", r#"{"account":"a1"}"#, None).await;
        came = line(&outcome);
        !matches!(outcome, Err(error) if error.code() == "view_building")
    })
    .await;
    assert_eq!(came, r#"moves {"account":"a1","amount":12}"#);
    let before = scratch.commands.metrics();
    assert!(scratch.call("count_up", r#"{"account":"a1"}"#, None).await.is_ok());
    let after = scratch.commands.metrics();
    assert_eq!(after.together - before.together, 1, "by then without a plan");
    scratch.close();
}
