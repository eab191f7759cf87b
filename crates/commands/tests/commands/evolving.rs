//! Decisions while a stream that they rest on is defined otherwise: nothing is decided on rows of another reading.

use std::sync::Arc;
use std::time::Duration;

use headwater_commands::{Arguments, CommandError};
use headwater_sql::Session;

use crate::scratch::{Scratch, line, session};

const DEFINITIONS: &str = "
CREATE STREAM moves (account TEXT NOT NULL, amount INTEGER NOT NULL) KEY (account) WITH (partitions = 2);
CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total FROM moves GROUP BY account;
CREATE COMMAND put (account TEXT, amount BIGINT) INTO moves AS SELECT account, amount;
CREATE COMMAND take (account TEXT, amount BIGINT)
INTO moves
REQUIRE (SELECT total FROM totals t WHERE t.account = take.account) >= amount ELSE 'not enough'
AS SELECT account, -amount AS amount;
";

/// An application in which ann has 6,000,000,000, more than an INTEGER takes at once.
async fn application(folder: &tempfile::TempDir) -> Scratch {
    let scratch = Scratch::open(folder.path());
    scratch.define(DEFINITIONS).await;
    for _ in 0..3 {
        let came = scratch
            .call("put", r#"{"account":"ann","amount":2000000000}"#, None)
            .await;
        assert!(came.is_ok(), "{}", line(&came));
    }
    assert_eq!(total(&scratch).await, "6000000000");
    scratch
}

async fn total(scratch: &Scratch) -> String {
    scratch.rows("SELECT total FROM totals WHERE account = 'ann'").await
}

/// What comes of a call that waits for a moment only, in which it can be compiled: its code, or that it came through.
async fn hastily(scratch: &Scratch, amount: u64) -> String {
    let hasty = Session {
        timeout: Some(Duration::from_secs(3)),
        ..session()
    };
    let arguments = Arguments::Json(format!(r#"{{"account":"ann","amount":{amount}}}"#).into());
    match scratch.commands.call(&hasty, "take", arguments, None).await {
        Ok(_) => "through".to_owned(),
        Err(error) => error.code().to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_decided_on_a_view_that_is_built_anew_for_its_streams_new_schema() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    // The version that reads the new schema does not get on.
    let paused = scratch.engine.views().pause("moves").expect("it is folded");
    let altered = scratch.rows("ALTER STREAM moves ALTER COLUMN amount TYPE BIGINT").await;
    assert_eq!(altered, "ALTER STREAM");
    assert!(
        scratch.engine.views().rebuilding("totals").is_some(),
        "it is built anew"
    );
    // Of these amounts the old version reads none: to it nothing would have been taken yet.
    for _ in 0..2 {
        assert_eq!(hastily(&scratch, 4_000_000_000).await, "view_building");
    }
    drop(paused);
    let arguments = r#"{"account":"ann","amount":4000000000}"#;
    let came = line(&scratch.call("take", arguments, None).await);
    assert_eq!(came, r#"moves {"account":"ann","amount":-4000000000}"#);
    assert_eq!(
        line(&scratch.call("take", arguments, None).await),
        "refused: not enough"
    );
    assert_eq!(total(&scratch).await, "2000000000");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_waits_until_it_is_known_which_views_go_on() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Arc::new(application(&folder).await);
    let doubt = scratch.engine.views().doubt("moves");
    assert_eq!(hastily(&scratch, 1).await, "view_building");
    let waiting = tokio::spawn({
        let scratch = Arc::clone(&scratch);
        async move { line(&scratch.call("take", r#"{"account":"ann","amount":1}"#, None).await) }
    });
    assert_eq!(hastily(&scratch, 1).await, "view_building");
    assert!(!waiting.is_finished());
    drop(doubt);
    let came = waiting.await.expect("the call ends");
    assert_eq!(came, r#"moves {"account":"ann","amount":-1}"#);
    let again = scratch.call("take", r#"{"account":"ann","amount":1}"#, None).await;
    assert!(again.is_ok(), "{}", line(&again));
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_too_much_while_the_schema_changes_again_and_again() {
    const CALLS: usize = 96;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Arc::new(application(&folder).await);
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let scratch = Arc::clone(&scratch);
        calls.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(10 * (number as u64 % 12))).await;
            let taken = scratch
                .call("take", r#"{"account":"ann","amount":100000000}"#, None)
                .await;
            match taken {
                Ok(_) => 1,
                Err(CommandError::Refused(_)) => 0,
                Err(other) => panic!("{other}"),
            }
        }));
    }
    for change in [
        "ADD COLUMN note TEXT",
        "ALTER COLUMN amount TYPE BIGINT",
        "ADD COLUMN teller TEXT DEFAULT 'nobody'",
        "RENAME COLUMN note TO remark",
    ] {
        let altered = scratch.rows(&format!("ALTER STREAM moves {change}")).await;
        assert_eq!(altered, "ALTER STREAM", "{change}");
    }
    let mut through = 0;
    for call in calls {
        through += call.await.expect("the call ends");
    }
    assert_eq!(through, 60);
    assert_eq!(total(&scratch).await, "0");
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_says_star_appends_what_it_did_when_a_column_is_added() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let definitions = "
        CREATE STREAM a (id TEXT NOT NULL, n INTEGER) KEY (id) WITH (partitions = 1);
        CREATE STREAM log (id TEXT NOT NULL, n INTEGER) WITH (partitions = 1);
        CREATE MATERIALIZED VIEW va KEY (id) AS SELECT id, n FROM a;
        CREATE COMMAND copy (id TEXT) REQUIRE EXISTS (SELECT * FROM a WHERE a.id = copy.id) ELSE 'unknown'
        INTO log AS SELECT * FROM va WHERE va.id = copy.id;
        CREATE COMMAND copy_events (wanted TEXT) INTO log AS SELECT * FROM a WHERE a.id = wanted";
    let scratch = Scratch::open(folder.path());
    scratch.define(definitions).await;
    assert_eq!(scratch.rows("INSERT INTO a VALUES ('x', 1)").await, "INSERT 0 1");
    assert_eq!(
        scratch.rows("ALTER STREAM a ADD COLUMN w TEXT DEFAULT 'W'").await,
        "ALTER STREAM"
    );
    let replaced = "CREATE OR REPLACE MATERIALIZED VIEW va KEY (id) AS SELECT w, id, n FROM a";
    assert_eq!(scratch.rows(replaced).await, "CREATE MATERIALIZED VIEW");
    let copied = r#"log {"id":"x","n":1}"#;
    assert_eq!(line(&scratch.call("copy", r#"{"id":"x"}"#, None).await), copied);
    assert_eq!(
        line(&scratch.call("copy_events", r#"{"wanted":"x"}"#, None).await),
        copied
    );
    scratch.close();
}
