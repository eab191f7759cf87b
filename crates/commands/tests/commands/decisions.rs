//! Decisions on a real log: what comes through, what is refused, and that nothing comes in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::scratch::{Scratch, line, session};
use bytes::Bytes;
use headwater_commands::{Arguments, CommandError, IDEMPOTENCY_STREAM};
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event, Marker, Producer, partition_of};
use headwater_sql::Session;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

/// Calls in order: command, arguments, what comes of it (`~`: is part of it).
async fn check(scratch: &Scratch, cases: &[(&str, &str, &str)]) {
    let mut wrong: Vec<String> = Vec::new();
    for (command, arguments, expected) in cases {
        let came = line(&scratch.call(command, arguments, None).await);
        let same = match expected.strip_prefix('~') {
            Some(part) => came.contains(part),
            None => came == *expected,
        };
        if !same {
            wrong.push(format!(
                "{command} {arguments}\n  expected {expected}\n  came     {came}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_not_there_is_null_to_a_check() {
    let folder = folder();
    let scratch = Scratch::bank(folder.path()).await;
    check(
        &scratch,
        &[
            ("note", r#"{"account":"ann"}"#, "refused: unknown account"),
            ("greet", r#"{"account":"ann"}"#, r#"audit {"what":"ann"}"#),
            (
                "deposit",
                r#"{"account":"ann","amount":1,"teller":null}"#,
                "~transactions",
            ),
            ("note", r#"{"account":"ann"}"#, r#"audit {"what":"ann"}"#),
            ("greet", r#"{"account":"ann"}"#, "refused: known already"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_append_or_refuse() {
    let folder = folder();
    let scratch = Scratch::bank(folder.path()).await;
    check(
        &scratch,
        &[
            (
                "withdraw",
                r#"{"account":"ann","amount":1,"teller":null}"#,
                "refused: insufficient funds",
            ),
            (
                "deposit",
                r#"{"account":"ann","amount":100.10,"teller":"t"}"#,
                r#"transactions {"account":"ann","kind":"deposit","amount":100.10,"teller":"t"}"#,
            ),
            (
                "deposit",
                r#"{"account":"ann","amount":0,"teller":"t"}"#,
                "refused: the amount must be positive",
            ),
            (
                "deposit",
                r#"{"account":"ann","amount":null,"teller":"t"}"#,
                "refused: the amount must be positive",
            ),
            (
                "withdraw",
                r#"{"account":"ann","amount":"100.10","teller":null}"#,
                r#"transactions {"account":"ann","kind":"withdrawal","amount":100.10}"#,
            ),
            (
                "withdraw",
                r#"{"account":"ann","amount":0.01,"teller":null}"#,
                "refused: insufficient funds",
            ),
            (
                "deposit",
                r#"{"account":"bob","amount":9999999999999999.99,"teller":null}"#,
                "~9999999999999999.99",
            ),
            (
                "deposit",
                r#"{"account":"bob","amount":99999999999999999,"teller":null}"#,
                "~arguments: ",
            ),
            (
                "deposit",
                r#"{"account":"bob","amount":"much","teller":null}"#,
                "~arguments: ",
            ),
            (
                "deposit",
                r#"{"account":"bob","amount":1}"#,
                "~arguments: the argument \"teller\" of 'deposit' is missing",
            ),
            (
                "deposit",
                r#"{"account":"bob","amount":1,"teller":"t","x":1}"#,
                "~has no parameter \"x\"",
            ),
            (
                "deposit",
                "[1]",
                "~arguments: the arguments of 'deposit' are no JSON object",
            ),
            (
                "deposit",
                r#"{"account":null,"amount":1,"teller":"t"}"#,
                "~sql: column \"account\" of stream \"transactions\" is NOT NULL",
            ),
            (
                "nothing",
                "{}",
                "unknown: there is no command 'nothing'; SHOW COMMANDS lists them",
            ),
            (
                "open_once",
                r#"{"account":"cy"}"#,
                r#"transactions {"account":"cy","kind":"deposit","amount":0.00}"#,
            ),
            (
                "open_once",
                r#"{"account":"cy"}"#,
                "refused: the account is there already",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_streams_take_all_or_none() {
    let folder = folder();
    let scratch = Scratch::bank(folder.path()).await;
    check(
        &scratch,
        &[
            (
                "deposit",
                r#"{"account":"ann","amount":50,"teller":null}"#,
                "~transactions",
            ),
            (
                "transfer",
                r#"{"source":"ann","target":"bob","amount":60}"#,
                "refused: insufficient funds",
            ),
            // The second row breaks NOT NULL, so the first is not appended either.
            ("transfer", r#"{"source":"ann","target":null,"amount":10}"#, "~sql: "),
            (
                "transfer",
                r#"{"source":"ann","target":"bob","amount":20}"#,
                "transactions {\"account\":\"ann\",\"kind\":\"withdrawal\",\"amount\":20.00}; \
                 transactions {\"account\":\"bob\",\"kind\":\"deposit\",\"amount\":20.00}; \
                 audit {\"what\":\"transfer ann to bob\",\"amount\":20.00}",
            ),
            ("settle", "{}", r#"audit {"what":"settled","amount":50.00}"#),
        ],
    )
    .await;
    assert_eq!(
        scratch
            .rows("SELECT account, balance FROM balances ORDER BY account")
            .await,
        "ann|30.00\nbob|20.00"
    );
    assert_eq!(scratch.rows("SELECT count(*) FROM transactions").await, "3");
    assert_eq!(scratch.rows("SELECT count(*) FROM audit").await, "2");
    scratch.close();
}

/// A batch of one deposit of 0, as a Kafka client would write it.
fn foreign(account: &str) -> Part {
    let value = format!(r#"{{"account":"{account}","kind":"deposit","amount":0}}"#);
    let key = Bytes::from(account.to_owned());
    let event = Event {
        key: Some(key.clone()),
        value: Some(value.into()),
        ..Event::default()
    };
    let batch = Batch::encode(&[event], Compression::None, None);
    Part {
        stream: "transactions".to_owned(),
        partition: partition_of(&key, 4),
        batch,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_ten_of_sixty_four_withdrawals_come_through() {
    let folder = folder();
    let scratch = Arc::new(Scratch::bank(folder.path()).await);
    check(
        &scratch,
        &[(
            "deposit",
            r#"{"account":"ann","amount":100,"teller":null}"#,
            "~transactions",
        )],
    )
    .await;
    // Somebody writes past the commands all the while, for this account and for others.
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (log, done) = (scratch.log.clone(), Arc::clone(&done));
        async move {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) {
                let parts = vec![foreign(if written % 2 == 0 { "ann" } else { "eve" })];
                let append = Append {
                    parts,
                    principal: "kafka".to_owned(),
                    condition: None,
                };
                log.append(append).await.expect("the log takes it");
                written += 1;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            written
        }
    });
    let mut calls = Vec::new();
    for _ in 0..64 {
        let scratch = Arc::clone(&scratch);
        calls.push(tokio::spawn(async move {
            scratch
                .call("withdraw", r#"{"account":"ann","amount":10,"teller":"t"}"#, None)
                .await
        }));
    }
    let mut through = 0;
    for call in calls {
        match call.await.expect("the call ends") {
            Ok(_) => through += 1,
            Err(CommandError::Refused(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    done.store(true, Ordering::Relaxed);
    let written = writer.await.expect("the writer ends");
    assert!(written > 0, "the writer came in between: {written}");
    assert_eq!(through, 10);
    assert_eq!(
        scratch.rows("SELECT balance FROM balances WHERE account = 'ann'").await,
        "0.00"
    );
    let counted = scratch
        .rows("SELECT count(*) FROM transactions WHERE kind = 'withdrawal'")
        .await;
    assert_eq!(counted, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_answered_once() {
    let folder = folder();
    let scratch = Arc::new(Scratch::bank(folder.path()).await);
    let deposit = r#"{"account":"ann","amount":100,"teller":null}"#;
    let mut calls = Vec::new();
    for _ in 0..8 {
        let scratch = Arc::clone(&scratch);
        calls.push(tokio::spawn(async move {
            scratch
                .call("deposit", deposit, Some("key-1"))
                .await
                .expect("an answer")
        }));
    }
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await.expect("the call ends"));
    }
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.repeated).count(), 1);
    let transfer = r#"{"source":"ann","target":"bob","amount":20}"#;
    let first = scratch
        .call("transfer", transfer, Some("key-2"))
        .await
        .expect("the transfer comes through");
    // The same two events again, under another key: an answer must not be mixed up with them.
    scratch
        .call("transfer", transfer, Some("key-3"))
        .await
        .expect("the transfer comes through");
    let mut expected = first.clone();
    expected.repeated = true;
    assert_eq!(
        scratch
            .call("transfer", transfer, Some("key-2"))
            .await
            .expect("an answer"),
        expected
    );
    let other = scratch
        .call(
            "deposit",
            r#"{"account":"ann","amount":1,"teller":null}"#,
            Some("key-1"),
        )
        .await;
    assert!(matches!(other, Err(CommandError::KeyReused)), "{other:?}");
    let empty = scratch.call("deposit", deposit, Some("")).await;
    assert!(matches!(empty, Err(CommandError::Arguments(_))), "{empty:?}");
    let refused = scratch
        .call(
            "withdraw",
            r#"{"account":"zoe","amount":1,"teller":null}"#,
            Some("key-4"),
        )
        .await;
    assert!(matches!(refused, Err(CommandError::Refused(_))), "{refused:?}");
    let Ok(scratch) = Arc::try_unwrap(scratch) else {
        panic!("nobody else holds it")
    };
    scratch.close();

    let scratch = Scratch::open(folder.path());
    let again = scratch
        .call("transfer", transfer, Some("key-2"))
        .await
        .expect("an answer");
    assert_eq!(again, expected, "the same answer after a restart");
    let again = scratch
        .call("deposit", deposit, Some("key-1"))
        .await
        .expect("an answer");
    assert!(again.repeated);
    assert_eq!(
        scratch
            .rows("SELECT account, balance FROM balances ORDER BY account")
            .await,
        "ann|60.00\nbob|40.00"
    );
    let remembered = scratch
        .log
        .position(IDEMPOTENCY_STREAM)
        .expect("the stream is there")
        .get(IDEMPOTENCY_STREAM, 0);
    assert_eq!(remembered, 3, "a refusal is not remembered");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_row_is_decided_on_all_the_same() {
    let folder = folder();
    let scratch = Scratch::bank(folder.path()).await;
    let first = r#"{"account":"ann","amount":100,"teller":"t"}"#;
    check(&scratch, &[("deposit", first, "~deposit")]).await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (log, done) = (scratch.log.clone(), Arc::clone(&done));
        // As fast as the log takes them: somebody always comes in between.
        async move {
            while !done.load(Ordering::Relaxed) {
                let append = Append {
                    parts: vec![foreign("ann")],
                    principal: "kafka".to_owned(),
                    condition: None,
                };
                log.append(append).await.expect("the log takes it");
            }
        }
    });
    for _ in 0..10 {
        let outcome = scratch
            .call("withdraw", r#"{"account":"ann","amount":10,"teller":"t"}"#, None)
            .await;
        assert!(outcome.is_ok(), "{}", line(&outcome));
    }
    done.store(true, Ordering::Relaxed);
    writer.await.expect("the writer ends");
    let refused = scratch
        .call("withdraw", r#"{"account":"ann","amount":10,"teller":"t"}"#, None)
        .await;
    assert!(matches!(refused, Err(CommandError::Refused(_))), "{}", line(&refused));
}

/// Another writer's withdrawal as part of its transaction, or the end of that.
async fn by_another(scratch: &Scratch, batch: Batch) {
    let appended = scratch.log.append(Append {
        parts: vec![Part {
            stream: "transactions".to_owned(),
            partition: 0,
            batch,
        }],
        principal: "kafka".to_owned(),
        condition: None,
    });
    appended.await.expect("appended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_waited_for_where_it_is_in_the_way() {
    let folder = folder();
    let scratch = Arc::new(Scratch::bank(folder.path()).await);
    let deposited = |account: &str| format!(r#"{{"account":"{account}","amount":100,"teller":null}}"#);
    for account in ["ann", "bob"] {
        let came = line(&scratch.call("deposit", &deposited(account), None).await);
        assert!(came.starts_with("transactions"), "{came}");
    }
    let cases = [
        (0, Marker::Aborted, "withdrawal"),
        (1, Marker::Committed, "insufficient funds"),
    ];
    for (sequence, ends, expected) in cases {
        let event = Event {
            value: Some(Bytes::from_static(
                br#"{"account":"ann","kind":"withdrawal","amount":70.00}"#,
            )),
            ..Event::default()
        };
        let producer = Producer {
            id: 7,
            epoch: 0,
            base_sequence: sequence,
        };
        by_another(
            &scratch,
            Batch::encode_transactional(&[event], Compression::None, producer),
        )
        .await;
        // Nobody sees it, and whom it does not concern goes on.
        let seen = scratch.rows("SELECT balance FROM balances WHERE account = 'ann'").await;
        assert_eq!(seen, if sequence == 0 { "100.00" } else { "80.00" });
        if sequence == 0 {
            check(
                &scratch,
                &[(
                    "withdraw",
                    r#"{"account":"bob","amount":1,"teller":null}"#,
                    "~withdrawal",
                )],
            )
            .await;
        }
        let caller = Arc::clone(&scratch);
        let waiting = tokio::spawn(async move {
            let arguments = r#"{"account":"ann","amount":20,"teller":null}"#;
            line(&caller.call("withdraw", arguments, None).await)
        });
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "{ends:?}");
        by_another(&scratch, Batch::encode_marker(ends, 7, 0, 0)).await;
        let came = waiting.await.expect("an answer");
        assert!(came.contains(expected), "{ends:?}: {came}");
    }
    let end = scratch.rows("SELECT balance FROM balances WHERE account = 'ann'").await;
    assert_eq!(end, "10.00");
    match Arc::try_unwrap(scratch) {
        Ok(scratch) => scratch.close(),
        Err(_) => panic!("somebody still decides"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_nothing_changed_is_decided_on_while_its_view_stands_still() {
    let folder = folder();
    let scratch = Scratch::bank(folder.path()).await;
    for account in ["ann", "bob"] {
        let arguments = format!(r#"{{"account":"{account}","amount":100,"teller":null}}"#);
        check(&scratch, &[("deposit", &arguments, "~transactions")]).await;
    }
    // It is compiled by its first call.
    check(
        &scratch,
        &[(
            "withdraw",
            r#"{"account":"cid","amount":1,"teller":null}"#,
            "refused: insufficient funds",
        )],
    )
    .await;
    // The view has it all, and gets no further.
    assert_eq!(scratch.rows("SELECT count(*) FROM balances").await, "2");
    let paused = scratch.engine.views().pause("transactions").expect("it is folded");
    let withdraw = async |account: &str, amount: u32, ms: u64, expected: &str| {
        let session = Session {
            timeout: Some(Duration::from_millis(ms)),
            ..session()
        };
        let arguments = format!(r#"{{"account":"{account}","amount":{amount},"teller":null}}"#);
        let arguments = Arguments::Json(arguments.into());
        let came = line(&scratch.commands.call(&session, "withdraw", arguments, None).await);
        assert!(came.starts_with(expected), "{account} {amount}: {came}");
    };
    let is_through = async |account: &str, amount: u32| withdraw(account, amount, 60_000, "transactions {").await;
    let is_refused = async |account: &str| withdraw(account, 1, 60_000, "refused: insufficient funds").await;
    let is_late = async |account: &str, amount: u32| withdraw(account, amount, 500, "late: ").await;
    is_through("ann", 10).await;
    // Of what came since, it is known that it changed another row.
    is_through("bob", 10).await;
    is_refused("cid").await;
    // What a row will be follows from what was appended, also by a call that was decided alone.
    is_through("ann", 10).await;
    is_late("bob", 1_000).await;
    // Only that it is refused has to wait until what it rests on is durable.
    is_through("bob", 10).await;
    // What nobody has looked at may have changed any row.
    let append = Append {
        parts: vec![foreign("eve")],
        principal: "kafka".to_owned(),
        condition: None,
    };
    scratch.log.append(append).await.expect("the log takes it");
    is_late("cid", 1).await;
    drop(paused);
    for account in ["ann", "bob"] {
        is_through(account, 80).await;
        is_refused(account).await;
    }
    scratch.close();
}
