//! Decisions that read single entities of a stream: events of these are in the way, whichever way they are asked for, and events of others are not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_commands::CommandError;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event, Marker, Producer};

use crate::scratch::{Scratch, line, until};

const DEFINITIONS: &str = "
CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT NOT NULL) KEY (account) WITH (partitions = 2);
CREATE STREAM stock (shop TEXT NOT NULL, number INTEGER NOT NULL, amount BIGINT NOT NULL) KEY (shop, number) WITH (partitions = 2);
CREATE STREAM visits (course TEXT, student TEXT, amount BIGINT NOT NULL) TAGS (course, student) WITH (partitions = 2);
CREATE STREAM plain (account TEXT NOT NULL, amount BIGINT NOT NULL) KEY (account) WITH (partitions = 2, entities = 'none');
CREATE STREAM seen (what TEXT NOT NULL, total BIGINT) WITH (partitions = 1);
CREATE VIEW gains AS SELECT account, amount FROM moves WHERE amount > 0;
CREATE COMMAND by_key (a TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM moves m WHERE m.account = a) AS total;
CREATE COMMAND by_own_key (a TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM moves m WHERE m._key = a) AS total;
CREATE COMMAND by_in (a TEXT, b TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM moves m WHERE m.account IN (a, b)) AS total;
CREATE COMMAND by_or (a TEXT, b TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM moves m WHERE m.account = a OR m.account = b) AS total;
CREATE COMMAND by_or_another (a TEXT, n BIGINT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM moves m WHERE m.account = a OR m.amount = n) AS total;
CREATE COMMAND by_beginning (a TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM moves m WHERE m.account LIKE a || '%') AS total;
CREATE COMMAND by_key_and_all (a TEXT) INTO seen
LET own = (SELECT sum(amount) FROM moves m WHERE m.account = a)
AS SELECT 'x' AS what, coalesce(own, 0) + (SELECT sum(amount) FROM moves) AS total;
CREATE COMMAND by_two_keys (a TEXT, b TEXT) INTO seen
LET one = (SELECT sum(amount) FROM moves m WHERE m.account = a)
AS SELECT 'x' AS what, coalesce(one, 0) + coalesce((SELECT sum(amount) FROM moves m WHERE m.account = b), 0) AS total;
CREATE COMMAND by_view (a TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM gains g WHERE g.account = a) AS total;
CREATE COMMAND by_columns (s TEXT, n INTEGER) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM stock t WHERE t.shop = s AND t.number = n) AS total;
CREATE COMMAND by_columns_in (s TEXT, n INTEGER) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM stock t WHERE t.shop IN (s, 'z') AND t.number IN (n, 9)) AS total;
CREATE COMMAND by_one_column (s TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM stock t WHERE t.shop = s) AS total;
CREATE COMMAND by_tag (c TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM visits v WHERE v.course = c) AS total;
CREATE COMMAND by_tags (c TEXT, s TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM visits v WHERE v.course = c AND v.student = s) AS total;
CREATE COMMAND by_either_tag (c TEXT, s TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM visits v WHERE v.course = c OR v.student = s) AS total;
CREATE COMMAND by_no_tag (c TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM visits v WHERE v.course = c OR v.course IS NULL) AS total;
CREATE COMMAND by_no_index (a TEXT) INTO seen AS SELECT 'x' AS what, (SELECT sum(amount) FROM plain p WHERE p.account = a) AS total;
CREATE COMMAND take (account TEXT, n BIGINT)
REQUIRE (SELECT sum(amount) FROM moves m WHERE m.account = take.account) >= n ELSE 'not enough' CODE 'not_enough'
INTO moves AS SELECT account, -n AS amount;
CREATE COMMAND begin_once (account TEXT)
REQUIRE NOT EXISTS (SELECT 1 FROM moves m WHERE m.account = begin_once.account) ELSE 'it is there' CODE 'there'
INTO moves AS SELECT account, 1 AS amount;
";

async fn application(folder: &tempfile::TempDir) -> Arc<Scratch> {
    Scratch::compiled(folder.path(), DEFINITIONS, &[]).await
}

/// An event as somebody else writes it, with the key that he chose.
fn event(key: &str, value: &str) -> Event {
    Event {
        key: (!key.is_empty()).then(|| Bytes::from(key.to_owned())),
        value: Some(Bytes::from(value.to_owned())),
        ..Event::default()
    }
}

async fn write(scratch: &Scratch, stream: &str, batch: Batch) {
    let part = Part {
        stream: stream.to_owned(),
        partition: 1,
        batch,
    };
    let append = Append {
        parts: vec![part],
        principal: "kafka".to_owned(),
        condition: None,
    };
    scratch.log.append(append).await.expect("the log takes it");
}

/// Lets a command be called, and an event come while it waits at its stream's door: what it saw in the end, and how often it was outrun.
async fn came(scratch: &Arc<Scratch>, command: &str, arguments: &str, stream: &str, event: &Event) -> (i64, u64) {
    let before = scratch.commands.metrics().outrun;
    let held = scratch.log.hold(&["seen".to_owned()]).await;
    let caller = Arc::clone(scratch);
    let (name, arguments) = (command.to_owned(), arguments.to_owned());
    let call = tokio::spawn(async move { caller.call(&name, &arguments, None).await });
    // By then it stands there, decided; where it does not, it sees the event at once, and is not outrun.
    tokio::time::sleep(Duration::from_millis(150)).await;
    write(
        scratch,
        stream,
        Batch::encode(std::slice::from_ref(event), Compression::None, None),
    )
    .await;
    drop(held);
    let outcome = call.await.expect("it ends");
    let outcome = outcome.unwrap_or_else(|error| panic!("{command}: {error}"));
    let seen: serde_json::Value = serde_json::from_str(&outcome.events[0].json).expect("it is JSON");
    (
        seen["total"].as_i64().unwrap_or(0),
        scratch.commands.metrics().outrun - before,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_query_could_read_is_in_the_way_and_nothing_else_of_its_entities() {
    const TRIES: usize = 8;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let moved = |key: &str, account: &str| event(key, &format!(r#"{{"account":"{account}","amount":1}}"#));
    let stocked = |shop: &str, number: u32| {
        let key = format!(r#"["{shop}",{number}]"#);
        event(&key, &format!(r#"{{"shop":"{shop}","number":{number},"amount":1}}"#))
    };
    let visited = |course: &str, student: &str| {
        let value = format!(r#"{{"course":{course},"student":{student},"amount":1}}"#);
        event("", &value)
    };
    let a = r#"{"a":"a"}"#;
    let ab = r#"{"a":"a","b":"b"}"#;
    let s7 = r#"{"s":"s","n":7}"#;
    let c = r#"{"c":"c"}"#;
    let cs = r#"{"c":"c","s":"s"}"#;
    // Command, arguments, stream, the event that comes, whether it is in the way.
    let cases = [
        ("by_key", a, "moves", moved("a", "a"), true),
        ("by_key", a, "moves", moved("", "a"), true),
        ("by_key", a, "moves", moved("other", "a"), true),
        ("by_key", a, "moves", moved("b", "b"), false),
        ("by_own_key", a, "moves", moved("a", "b"), true),
        ("by_own_key", a, "moves", moved("b", "a"), false),
        ("by_in", ab, "moves", moved("a", "a"), true),
        ("by_in", ab, "moves", moved("b", "b"), true),
        ("by_in", ab, "moves", moved("c", "c"), false),
        ("by_or", ab, "moves", moved("b", "b"), true),
        ("by_or", ab, "moves", moved("c", "c"), false),
        ("by_or_another", r#"{"a":"a","n":1}"#, "moves", moved("c", "c"), true),
        ("by_beginning", a, "moves", moved("ab", "ab"), true),
        ("by_key_and_all", a, "moves", moved("c", "c"), true),
        ("by_two_keys", ab, "moves", moved("a", "a"), true),
        ("by_two_keys", ab, "moves", moved("b", "b"), true),
        ("by_two_keys", ab, "moves", moved("c", "c"), false),
        ("by_view", a, "moves", moved("a", "a"), true),
        ("by_view", a, "moves", moved("b", "b"), false),
        ("by_columns", s7, "stock", stocked("s", 7), true),
        ("by_columns", s7, "stock", stocked("s", 8), false),
        ("by_columns", s7, "stock", stocked("t", 7), false),
        ("by_columns_in", s7, "stock", stocked("z", 7), true),
        ("by_columns_in", s7, "stock", stocked("s", 9), true),
        ("by_columns_in", s7, "stock", stocked("s", 8), false),
        ("by_one_column", r#"{"s":"s"}"#, "stock", stocked("s", 8), true),
        ("by_tag", c, "visits", visited(r#""c""#, r#""s""#), true),
        ("by_tag", c, "visits", visited(r#""d""#, r#""c""#), false),
        ("by_tags", cs, "visits", visited(r#""c""#, r#""s""#), true),
        ("by_tags", cs, "visits", visited(r#""d""#, r#""t""#), false),
        ("by_either_tag", cs, "visits", visited(r#""d""#, r#""s""#), true),
        ("by_either_tag", cs, "visits", visited(r#""c""#, r#""t""#), true),
        ("by_no_tag", c, "visits", visited("null", r#""t""#), true),
        ("by_no_index", a, "plain", moved("a", "a"), true),
    ];
    for (command, arguments, stream, event, is_in_the_way) in cases {
        let called = async || {
            let outcome = scratch.call(command, arguments, None).await.expect("it is decided");
            let seen: serde_json::Value = serde_json::from_str(&outcome.events[0].json).expect("it is JSON");
            seen["total"].as_i64().unwrap_or(0)
        };
        let mut total = called().await;
        let mut was_outrun = false;
        for _ in 0..TRIES {
            let (seen, outrun) = came(&scratch, command, arguments, stream, &event).await;
            let what = format!("{command} {arguments}: {event:?}");
            if !is_in_the_way {
                assert_eq!((seen, outrun), (total, 0), "{what}");
                break;
            }
            let now = called().await;
            assert!(now > total, "{what}: the query reads it");
            assert_eq!(seen, now, "{what}: decided without an event that it could read");
            (total, was_outrun) = (now, outrun > 0);
            if was_outrun {
                break;
            }
        }
        assert!(
            was_outrun || !is_in_the_way,
            "{command}: the event never came in between"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_for_different_entities_do_not_outrun_each_other() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let each = |account: usize| {
        let scratch = Arc::clone(&scratch);
        async move {
            let first = format!(r#"{{"account":"a{account}"}}"#);
            assert!(scratch.call("begin_once", &first, None).await.is_ok());
            let take = format!(r#"{{"account":"a{account}","n":1}}"#);
            assert!(scratch.call("take", &take, None).await.is_ok());
            let again = scratch.call("take", &take, None).await;
            assert_eq!(again.as_ref().map_err(CommandError::code).err(), Some("not_enough"));
        }
    };
    let calls: Vec<_> = (0..12).map(|account| tokio::spawn(each(account))).collect();
    for call in calls {
        call.await.expect("its calls are decided");
    }
    assert_eq!(scratch.commands.metrics().outrun, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_left_of_an_entity_goes_once_while_others_write_too() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    for account in ["a", "b"] {
        let given = event(account, &format!(r#"{{"account":"{account}","amount":5}}"#));
        write(&scratch, "moves", Batch::encode(&[given], Compression::None, None)).await;
    }
    let mut calls = Vec::new();
    for number in 0..24 {
        let scratch = Arc::clone(&scratch);
        calls.push(tokio::spawn(async move {
            let account = ["a", "b", "c"][number % 3];
            let (command, arguments) = match account {
                "c" => ("begin_once", r#"{"account":"c"}"#.to_owned()),
                _ => ("take", format!(r#"{{"account":"{account}","n":1}}"#)),
            };
            // Somebody else takes, too, without a key.
            if number % 6 == 0 {
                let taken = event("", r#"{"account":"a","amount":-1}"#);
                write(&scratch, "moves", Batch::encode(&[taken], Compression::None, None)).await;
            }
            (account, scratch.call(command, &arguments, None).await)
        }));
    }
    let mut through = [0; 3];
    for call in calls {
        match call.await.expect("it ends") {
            ("a", Ok(_)) => through[0] += 1,
            ("b", Ok(_)) => through[1] += 1,
            (_, Ok(_)) => through[2] += 1,
            (_, Err(CommandError::Refused(_))) => {}
            (account, Err(error)) => panic!("{account}: {error}"),
        }
    }
    assert_eq!((through[1], through[2]), (5, 1));
    // Four were taken past the commands: before, between or behind what these let through.
    assert!((1..=5).contains(&through[0]), "{through:?}");
    let of = async |account: &str| {
        scratch
            .rows(&format!("SELECT sum(amount) FROM moves WHERE account = '{account}'"))
            .await
    };
    assert_eq!(of("a").await, (5 - 4 - through[0]).to_string());
    assert_eq!((of("b").await.as_str(), of("c").await.as_str()), ("0", "1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_waited_for_where_it_writes_of_the_entity() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    for account in ["a", "b"] {
        let given = event(account, &format!(r#"{{"account":"{account}","amount":5}}"#));
        write(&scratch, "moves", Batch::encode(&[given], Compression::None, None)).await;
    }
    let cases = [
        (0, Marker::Aborted, r#"moves {"account":"a","amount":-4}"#),
        (1, Marker::Committed, "refused: not enough"),
    ];
    for (sequence, ends, expected) in cases {
        let producer = Producer {
            id: 7,
            epoch: 0,
            base_sequence: sequence,
        };
        let taken = event("a", r#"{"account":"a","amount":-1}"#);
        write(
            &scratch,
            "moves",
            Batch::encode_transactional(&[taken], Compression::None, producer),
        )
        .await;
        // It concerns nobody else.
        let other = scratch.call("take", r#"{"account":"b","n":1}"#, None).await;
        assert_eq!(line(&other), r#"moves {"account":"b","amount":-1}"#);
        let before = scratch.commands.metrics().outrun;
        let caller = Arc::clone(&scratch);
        let waiting = tokio::spawn(async move {
            line(
                &caller
                    .call("take", &format!(r#"{{"account":"a","n":{}}}"#, 4 - 3 * sequence), None)
                    .await,
            )
        });
        until("it is outrun", async || scratch.commands.metrics().outrun > before).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "{ends:?}");
        let outrun = scratch.commands.metrics().outrun - before;
        assert_eq!(outrun, 1, "it does not try again and again");
        write(&scratch, "moves", Batch::encode_marker(ends, 7, 0, 0)).await;
        assert_eq!(waiting.await.expect("an answer"), expected, "{ends:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_says_what_is_in_the_way() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    for (call, expected) in [
        (
            "by_key('a')",
            r#"read     moves: its events of "a" up to moves/0@0,1@0"#,
        ),
        (
            "by_own_key('a')",
            r#"read     moves: its events with the key "a" up to"#,
        ),
        (
            "by_in('a', 'b')",
            r#"read     moves: its events of "a" or of "b" up to"#,
        ),
        ("by_beginning('a')", "read     moves: its events up to"),
        (
            "by_columns('s', 7)",
            r#"read     stock: its events of "[\"s\",7]" up to"#,
        ),
        (
            "by_tag('c')",
            r#"read     visits: its events with the tag "course:c" up to"#,
        ),
        ("by_no_index('a')", "read     plain: its events up to"),
    ] {
        let explained = scratch.rows(&format!("EXPLAIN CALL {call}")).await;
        assert!(explained.contains(expected), "{call}: {explained}");
    }
    let json = scratch.rows("EXPLAIN (FORMAT JSON) CALL by_tag('c')").await;
    assert!(json.contains(r#""of":[{"tags":["course:c"]}]"#), "{json}");
}
