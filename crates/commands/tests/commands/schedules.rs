//! Commands that append later and cancel: in the same step as their other events, refused or repeated with them.

use headwater_schedules::{SCHEDULES_STREAM, Schedules};

use crate::scratch::{Scratch, line};

const DEFINITIONS: &str = "
CREATE STREAM orders (id TEXT NOT NULL, kind TEXT NOT NULL) KEY (id) WITH (partitions = 2);
CREATE MATERIALIZED VIEW states STORED AS document AS
SELECT id, bool_or(kind = 'paid') AS paid, bool_or(kind = 'late') AS late, count(*) AS events FROM orders GROUP BY id;
CREATE COMMAND place (id TEXT, wait TEXT)
REQUIRE NOT EXISTS (SELECT 1 FROM states s WHERE s.id = place.id) ELSE 'it is there'
INTO orders AS SELECT id, 'placed' AS kind,
INTO orders AFTER wait NAMED 'late ' || id AS SELECT id, 'late' AS kind;
CREATE COMMAND pay (id TEXT)
REQUIRE (SELECT NOT s.late FROM states s WHERE s.id = pay.id) ELSE 'too late'
CANCEL 'late ' || id,
INTO orders AS SELECT id, 'paid' AS kind;
CREATE COMMAND remind (id TEXT, at TIMESTAMPTZ)
INTO orders AT at AS SELECT id, 'reminder' AS kind;
CREATE COMMAND rewind_timer (id TEXT, wait TEXT)
CANCEL 'late ' || id,
INTO orders AFTER wait NAMED 'late ' || id AS SELECT id, 'late' AS kind;
CREATE COMMAND drop_timer (id TEXT) CANCEL 'late ' || id;
CREATE COMMAND nothing_later (id TEXT) INTO orders AFTER '1 day' AS SELECT id, 'late' AS kind WHERE false;
";

async fn open(folder: &tempfile::TempDir) -> (Scratch, Schedules) {
    let scratch = Scratch::open(folder.path());
    scratch.define(DEFINITIONS).await;
    let schedules = scratch.engine.schedules().expect("there are schedules").clone();
    (scratch, schedules)
}

/// Command and arguments, the code of what comes of it (`ok` where it was done), and how many schedules wait then.
async fn check(scratch: &Scratch, schedules: &Schedules, cases: &[(&str, &str, &str, usize)]) {
    for (command, arguments, code, pending) in cases {
        let outcome = scratch.call(command, arguments, None).await;
        let came = outcome.as_ref().err().map_or("ok", |error| error.code());
        assert_eq!(came, *code, "{command} {arguments}: {}", line(&outcome));
        assert_eq!(schedules.pending(), *pending, "{command} {arguments}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_schedules_and_cancels_in_the_step_of_its_events() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (scratch, schedules) = open(&folder).await;
    let placed = scratch
        .call("place", r#"{"id": "a", "wait": "1 hour"}"#, None)
        .await
        .expect("it is placed");
    let streams: Vec<&str> = placed
        .events
        .iter()
        .map(|event| event.address.stream.as_str())
        .collect();
    assert_eq!(streams, ["orders", SCHEDULES_STREAM]);
    let made: serde_json::Value = serde_json::from_str(&placed.events[1].json).expect("a schedule is JSON");
    assert_eq!(made["name"], "late a");
    check(
        &scratch,
        &schedules,
        &[
            ("place", r#"{"id": "a", "wait": "1 hour"}"#, "refused", 1),
            ("place", r#"{"id": "b", "wait": "soon"}"#, "invalid_value", 1),
            ("place", r#"{"id": "b", "wait": null}"#, "missing_value", 1),
            ("place", r#"{"id": "b", "wait": "-1 hour"}"#, "ok", 2),
            ("rewind_timer", r#"{"id": "a", "wait": "2 hours"}"#, "ok", 2),
            ("pay", r#"{"id": "a"}"#, "ok", 1),
            ("drop_timer", r#"{"id": "a"}"#, "ok", 1),
            ("remind", r#"{"id": "a", "at": "2001-01-01T00:00:00Z"}"#, "ok", 2),
            ("remind", r#"{"id": "a", "at": null}"#, "missing_value", 2),
            ("nothing_later", r#"{"id": "a"}"#, "ok", 2),
        ],
    )
    .await;
    assert_eq!(schedules.append_all_due().await.expect("what is due is appended"), 2);
    let kinds = "SELECT id, kind, CAST(_timestamp AS TEXT) < '2002' FROM orders ORDER BY id, kind";
    assert_eq!(
        scratch.rows(kinds).await,
        "a|paid|false\na|placed|false\na|reminder|true\nb|late|false\nb|placed|false"
    );
    check(&scratch, &schedules, &[("pay", r#"{"id": "b"}"#, "refused", 0)]).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_call_schedules_nothing_twice_and_answers_the_same() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let arguments = r#"{"id": "a", "wait": "1 hour"}"#;
    let (scratch, schedules) = open(&folder).await;
    let first = scratch
        .call("place", arguments, Some("key"))
        .await
        .expect("it is placed");
    let again = scratch
        .call("place", arguments, Some("key"))
        .await
        .expect("it is repeated");
    assert_eq!((again.repeated, &again.events), (true, &first.events));
    assert!(schedules.cancel("late a", "test").await.expect("it is cancelled"));
    drop(schedules);
    scratch.close();
    let (scratch, schedules) = open(&folder).await;
    let again = scratch
        .call("place", arguments, Some("key"))
        .await
        .expect("it is repeated after a restart");
    assert_eq!((again.repeated, &again.events), (true, &first.events));
    assert_eq!(schedules.pending(), 0, "what was cancelled stays so");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_step_and_its_time_out_one_happens() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (scratch, schedules) = open(&folder).await;
    const COUNT: usize = 24;
    for number in 0..COUNT {
        let arguments = format!(r#"{{"id": "o{number}", "wait": "0 seconds"}}"#);
        scratch.call("place", &arguments, None).await.expect("it is placed");
    }
    let appending = tokio::spawn(async move { schedules.append_all_due().await });
    let mut paying = Vec::new();
    for number in (0..COUNT).rev() {
        let commands = scratch.commands.clone();
        paying.push(tokio::spawn(async move {
            let arguments = headwater_commands::Arguments::Json(format!(r#"{{"id": "o{number}"}}"#).into());
            commands.call(&crate::scratch::session(), "pay", arguments, None).await
        }));
    }
    for task in paying {
        let outcome = task.await.expect("the call ends");
        assert!(
            outcome.as_ref().err().is_none_or(|error| error.code() == "refused"),
            "{}",
            line(&outcome)
        );
    }
    appending
        .await
        .expect("the appending ends")
        .expect("what is due is appended");
    let states = "SELECT count(*) FROM states WHERE paid = late OR events <> 2";
    assert_eq!(scratch.rows(states).await, "0", "each is either paid or late");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_promises_of_one_command_have_names_of_their_own() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (scratch, schedules) = open(&folder).await;
    scratch
        .define(
            "CREATE COMMAND twice (id TEXT, both BOOLEAN)
             INTO orders AFTER '1 day' NAMED 'x ' || id AS SELECT id, 'one' AS kind,
             INTO orders AFTER '1 day' NAMED 'x ' || id AS SELECT id, 'other' AS kind WHERE both",
        )
        .await;
    let refused = scratch.call("twice", r#"{"id": "a", "both": true}"#, None).await;
    let said = line(&refused);
    assert!(
        said.contains("two schedules 'x a' are made at once: give each a name of its own"),
        "{said}"
    );
    check(
        &scratch,
        &schedules,
        &[
            ("twice", r#"{"id": "a", "both": true}"#, "schedule_exists", 0),
            ("twice", r#"{"id": "a", "both": false}"#, "ok", 1),
            ("twice", r#"{"id": "a", "both": false}"#, "schedule_exists", 1),
        ],
    )
    .await;
    scratch.close();
}
