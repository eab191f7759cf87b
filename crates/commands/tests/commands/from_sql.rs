//! Commands as statements of SQL: CREATE, CALL, DROP, and an application's file.

use crate::scratch::{Scratch, session};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn call_and_create_command_from_sql() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::bank(folder.path()).await;
    for (statement, expected) in [
        ("CALL deposit('ann', 20.50, NULL)", "transactions|"),
        (
            "CALL deposit(teller => 't', account => 'bob', amount => 1)",
            "transactions|",
        ),
        ("CALL withdraw('ann', 20.51, 't')", "23514: insufficient funds"),
        ("CALL deposit('ann', 20.50)", "22023"),
        ("CALL deposit('ann', 20.50, NULL, account => 'x')", "22023"),
        ("CALL deposit('ann', 20.50, NULL, nobody => 'x')", "22023"),
        ("CALL deposit(1, 2, 3, 4)", "22023"),
        ("CALL deposit('ann', 'much', NULL)", "22023"),
        ("CALL nothing(1)", "42883"),
        ("SELECT balance FROM balances WHERE account = 'ann'", "20.50"),
        ("CREATE COMMAND c (a TEXT) INTO nothing AS SELECT a", "42P01"),
        (
            "CREATE COMMAND c (a TEXT) INTO audit REQUIRE b > 1 ELSE 'no' AS SELECT a",
            "42703",
        ),
        (
            "CREATE COMMAND c (a TEXT) INTO audit REQUIRE 1 + 1 ELSE 'no' AS SELECT a",
            "42804",
        ),
        ("CREATE COMMAND c (a TEXT) INTO audit AS SELECT a, a, a", "42601"),
        // One name is misspelled: in order, the other value would go into a column of another name.
        (
            "CREATE COMMAND c (a TEXT) INTO transactions AS SELECT a AS acount, 'deposit' AS kind, a AS teller",
            "42703: line 1, column 60: the stream 'transactions' has no column 'acount'",
        ),
        (
            "CREATE COMMAND c (teller TEXT) INTO transactions AS SELECT 'ann', 'deposit', teller",
            "42703: line 1, column 37: the value 'teller' would go into the column 'amount'",
        ),
        (
            "CREATE COMMAND c (a TEXT) INTO audit REQUIRE (SELECT 1 FROM nowhere) = 1 ELSE 'no' AS SELECT a",
            "42P01",
        ),
        ("CREATE COMMAND deposit (a TEXT) INTO audit AS SELECT a", "42P07"),
        (
            "CREATE OR REPLACE COMMAND deposit (a TEXT) INTO audit AS SELECT a",
            "CREATE COMMAND",
        ),
        ("CALL deposit('x')", "audit|"),
        ("SELECT what FROM audit", "x"),
        // Each value goes into its column by itself.
        (
            "CREATE STREAM codes (code TEXT, n INTEGER) WITH (partitions = 1)",
            "CREATE STREAM",
        ),
        (
            "CREATE COMMAND number (k TEXT) INTO codes AS VALUES (k, 1), ('0042', 2), (5, 3)",
            "CREATE COMMAND",
        ),
        ("CALL number('0001')", "codes|"),
        (
            "SELECT string_agg(code, ',' ORDER BY _offset) FROM codes",
            "0001,0042,5",
        ),
        ("DROP STREAM audit", "2BP01"),
        ("DROP COMMAND deposit", "DROP COMMAND"),
        ("CALL deposit('x')", "42883"),
    ] {
        let came = scratch.rows(statement).await;
        assert!(
            came.starts_with(expected),
            "{statement}: expected {expected}, came {came}"
        );
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_reads_what_a_pipeline_makes_of_its_own_events_is_told_so() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::bank(folder.path()).await;
    scratch
        .define(
            "CREATE STREAM seen KEY (account) AS SELECT account, kind FROM transactions;
             CREATE MATERIALIZED VIEW sightings AS SELECT account, count(*) AS n FROM seen GROUP BY account;",
        )
        .await;
    for (read, is_behind) in [("sightings", true), ("balances", false)] {
        let statement = format!(
            "CREATE OR REPLACE COMMAND once (account TEXT NOT NULL) INTO transactions \
             REQUIRE NOT EXISTS (SELECT 1 FROM {read} r WHERE r.account = once.account) ELSE 'seen' \
             AS SELECT account, 'deposit' AS kind, 1.00 AS amount"
        );
        let parsed = headwater_sql::parse::parse(&statement, "")
            .expect("it parses")
            .remove(0);
        let outcome = scratch.engine.execute(&session(), &parsed, &[]).await;
        let Ok(headwater_sql::Outcome::Told { notices, .. }) = outcome else {
            panic!("{read}: it is not defined");
        };
        let said = notices
            .iter()
            .any(|notice| notice.contains("reads 'seen', which a pipeline makes of what it appends"));
        assert_eq!(said, is_behind, "{read}: {notices:?}");
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_applied_twice_changes_nothing() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::bank(folder.path()).await;
    let before = scratch.log.position("_headwater.catalog");
    let script = headwater_sql::parse::parse(crate::scratch::BANK, "app.sql").expect("the bank parses");
    scratch
        .engine
        .apply(&session(), &script)
        .await
        .expect("the bank is applied again");
    assert_eq!(scratch.log.position("_headwater.catalog"), before);
    let changed = crate::scratch::BANK.replace("teller  TEXT\n", "teller  TEXT NOT NULL\n");
    let script = headwater_sql::parse::parse(&changed, "app.sql").expect("the bank parses");
    let error = scratch
        .engine
        .apply(&session(), &script)
        .await
        .expect_err("the events that are there would not fit");
    assert!(
        error
            .to_string()
            .starts_with("app.sql:2:1: stream 'transactions' cannot be replaced"),
        "{error}"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_an_idempotency_key_is_done_once() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::bank(folder.path()).await;
    let deposit = "CALL deposit('ann', 20.50, NULL) WITH (idempotency_key = 'k-1')";
    let first = scratch.rows(deposit).await;
    assert!(first.starts_with("transactions|"), "{first}");
    assert_eq!(scratch.rows(deposit).await, first);
    let named = "CALL deposit(account => 'ann', amount => 1.5, teller => 't') WITH (idempotency_key = 'k' || '-2')";
    let arguments = r#"{"teller":"t","account":"ann","amount":1.50}"#;
    let by_http = scratch.call("deposit", arguments, Some("k-2")).await;
    let first = &by_http.expect("it is done").events[0].address;
    let again = scratch.rows(named).await;
    let expected = format!("transactions|{}|{}|", first.partition, first.offset);
    assert!(again.starts_with(&expected), "the same by every door: {again}");
    for (statement, expected) in [
        (
            "CALL deposit('ann', 20.51, NULL) WITH (idempotency_key = 'k-1')",
            "22023: ",
        ),
        (
            "CALL deposit('ann', 1, NULL) WITH (idempotency_key = NULL)",
            "22023: line 1, column 1: an idempotency key is a text",
        ),
        (
            "CALL deposit('ann', 1, NULL) WITH (idempotency_key = 5)",
            "22023: line 1, column 1: an idempotency key is a text",
        ),
        ("CALL deposit('ann', 1, NULL) WITH (idempotency_key = '')", "22023: "),
        ("CALL deposit('ann', 1, NULL) WITH (key = 'k')", "42601: "),
        ("CALL deposit('ann', 1, NULL) WITH ()", "42601: "),
        (
            "CALL deposit('ann', 1, NULL) WITH (idempotency_key = 'a', idempotency_key = 'b')",
            "42601: ",
        ),
        (
            "EXPLAIN CALL deposit('ann', 1, NULL) WITH (idempotency_key = 'k')",
            "42601: ",
        ),
        ("SELECT balance, entries FROM balances", "22.00|2"),
    ] {
        let came = scratch.rows(statement).await;
        assert!(
            came.starts_with(expected),
            "{statement}: expected {expected}, came {came}"
        );
    }
    scratch.close();
}
