//! Decisions on the one row of a view without GROUP BY, which is there before the first event: found like any row by its key.

use std::sync::Arc;

use headwater_commands::CommandError;

use crate::scratch::{Scratch, begun, line};

const DEFINITIONS: &str = "
CREATE STREAM invoices (number BIGINT NOT NULL, customer TEXT NOT NULL) KEY (number) WITH (partitions = 2);
CREATE MATERIALIZED VIEW numbers STORED AS document AS SELECT count(*) AS invoices, max(number) AS last FROM invoices;
CREATE MATERIALIZED VIEW several STORED AS memory AS SELECT count(*) AS invoices FROM invoices HAVING count(*) > 1;
CREATE COMMAND create_invoice (customer TEXT) INTO invoices
AS SELECT coalesce((SELECT n.last FROM numbers n), 0) + 1 AS number, customer;
CREATE COMMAND first_invoice (customer TEXT) INTO invoices
REQUIRE (SELECT invoices FROM numbers) = 0 ELSE 'there are some' CODE 'some'
AS SELECT 1 AS number, customer;
CREATE COMMAND another_invoice (customer TEXT) INTO invoices
REQUIRE EXISTS (SELECT 1 FROM several) ELSE 'there are none' CODE 'none'
AS SELECT (SELECT last FROM numbers WHERE invoices > 1) + 1 AS number, customer;
CREATE COMMAND ask_widely (customer TEXT) INTO invoices
AS SELECT max(last) + 1 AS number, ask_widely.customer AS customer FROM (SELECT last FROM numbers UNION ALL SELECT 0) l;
";

const BOB: &str = r#"{"customer":"bob"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_row_is_decided_on_without_a_plan_and_by_many_together() {
    const CALLS: usize = 300;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::compiled(folder.path(), DEFINITIONS, &[]).await;
    let code = async |command: &str| match scratch.call(command, BOB, None).await {
        Ok(outcome) => line(&Ok(outcome)),
        Err(error) => error.code().to_owned(),
    };
    assert_eq!(code("another_invoice").await, "none");
    assert_eq!(code("first_invoice").await, r#"invoices {"number":1,"customer":"bob"}"#);
    assert_eq!(code("first_invoice").await, "some");
    assert_eq!(code("another_invoice").await, "none");
    assert_eq!(
        code("create_invoice").await,
        r#"invoices {"number":2,"customer":"bob"}"#
    );
    assert_eq!(
        code("another_invoice").await,
        r#"invoices {"number":3,"customer":"bob"}"#
    );
    let before = scratch.commands.metrics();
    // None is through before all have come.
    let hold = scratch.log.hold(&["invoices".to_owned()]).await;
    let calls = (0..CALLS).map(|_| {
        let scratch = Arc::clone(&scratch);
        async move { scratch.call("create_invoice", BOB, None).await }
    });
    let calls = begun(calls).await;
    drop(hold);
    for call in calls {
        let outcome = call.await.expect("it ends");
        assert_eq!(outcome.as_ref().map_err(CommandError::code).err(), None);
    }
    let numbers = scratch
        .rows("SELECT count(*), count(DISTINCT number), max(number) FROM invoices")
        .await;
    assert_eq!(numbers, format!("{0}|{0}|{0}", CALLS + 3));
    let after = scratch.commands.metrics();
    assert!(
        after.together - before.together > CALLS as u64 * 9 / 10,
        "{before:?} {after:?}"
    );
    // What takes a plan reads the row all the same, and not the whole view.
    let explained = scratch.rows("EXPLAIN CALL ask_widely('bob')").await;
    assert!(explained.contains("numbers: 1 row(s) of key []"), "{explained}");
    assert_eq!(
        code("ask_widely").await,
        format!(r#"invoices {{"number":{},"customer":"bob"}}"#, CALLS + 4)
    );
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_row_is_what_it_was_after_a_restart() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::compiled(folder.path(), DEFINITIONS, &[]).await;
    for _ in 0..3 {
        assert!(scratch.call("create_invoice", BOB, None).await.is_ok());
    }
    Arc::into_inner(scratch).expect("nobody else has it").close();
    let scratch = Scratch::open(folder.path());
    assert_eq!(
        line(&scratch.call("create_invoice", BOB, None).await),
        r#"invoices {"number":4,"customer":"bob"}"#
    );
    scratch.close();
}
