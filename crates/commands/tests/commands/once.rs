//! Calls with idempotency keys that come at once: decided together, each once, and answered from the log when they come again.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_commands::{CommandError, CommandOutcome};

use crate::scratch::{Scratch, begun, line};

const DEFINITIONS: &str = "
CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT NOT NULL) KEY (account) WITH (partitions = 2);
CREATE STREAM log (what TEXT NOT NULL) WITH (partitions = 1);
CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total FROM moves GROUP BY account;
CREATE MATERIALIZED VIEW since STORED AS document AS SELECT account, min(_offset) AS first FROM moves GROUP BY account;
CREATE COMMAND give (account TEXT, amount BIGINT) INTO moves AS SELECT account, amount;
CREATE COMMAND move_to (source TEXT, target TEXT, amount BIGINT)
REQUIRE (SELECT total FROM totals t WHERE t.account = source) >= amount ELSE 'not enough' CODE 'not_enough'
INTO moves AS VALUES (source, -amount), (target, amount), (source, 0),
INTO log AS SELECT source || ' to ' || target AS what;
CREATE COMMAND look (account TEXT)
REQUIRE (SELECT total FROM totals t WHERE t.account = look.account) >= 0 ELSE 'unknown'
INTO log AS SELECT account AS what WHERE false;
CREATE COMMAND welcome (account TEXT)
REQUIRE (SELECT first FROM since s WHERE s.account = welcome.account) IS NULL ELSE 'there already' CODE 'there_already'
INTO moves AS SELECT account, 1 AS amount;
";

type Answer = Result<CommandOutcome, CommandError>;

async fn application(folder: &tempfile::TempDir) -> Arc<Scratch> {
    let calls = [
        ("give", r#"{"account":"ann","amount":100}"#),
        ("give", r#"{"account":"dan","amount":0}"#),
        ("move_to", r#"{"source":"zoe","target":"ann","amount":1}"#),
        ("look", r#"{"account":"dan"}"#),
        ("welcome", r#"{"account":"ann"}"#),
    ];
    Scratch::compiled(folder.path(), DEFINITIONS, &calls).await
}

/// Makes calls at once; their answers, in the same order. None is through before all have come.
async fn at_once(scratch: &Arc<Scratch>, calls: &[(&'static str, String, String)]) -> Vec<Answer> {
    let hold = scratch.log.hold(&["moves".to_owned()]).await;
    let calls = calls.iter().cloned().map(|(command, arguments, key)| {
        let scratch = Arc::clone(scratch);
        async move { scratch.call(command, &arguments, Some(&key)).await }
    });
    let calling = begun(calls).await;
    drop(hold);
    let mut answers: Vec<Answer> = Vec::new();
    for call in calling {
        answers.push(call.await.expect("the call ends"));
    }
    answers
}

/// An answer without whether it was given before.
fn told(answer: &Answer) -> String {
    match answer {
        Ok(outcome) => format!("{:?} {} {:?}", outcome.events, outcome.position, outcome.appended_at_us),
        Err(_) => line(answer),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_keys_are_decided_together_and_each_once() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let before = scratch.commands.metrics();
    let mut calls: Vec<(&'static str, String, String)> = Vec::new();
    for number in 0..300 {
        // Every third key comes twice: the same call.
        let key = format!("key-{}", number - usize::from(number % 3 == 1));
        let call = match number / 3 % 4 {
            0 => ("give", r#"{"account":"bob","amount":1}"#),
            3 => ("look", r#"{"account":"dan"}"#),
            _ => ("move_to", r#"{"source":"ann","target":"bob","amount":1}"#),
        };
        calls.push((call.0, call.1.to_owned(), key));
    }
    let first = at_once(&scratch, &calls).await;
    let mut by_key: BTreeMap<&str, Vec<&Answer>> = BTreeMap::new();
    for ((_, _, key), answer) in calls.iter().zip(&first) {
        by_key.entry(key).or_default().push(answer);
    }
    for (key, answers) in &by_key {
        for answer in answers {
            assert!(answer.is_ok(), "{key}: {}", line(answer));
            assert_eq!(told(answer), told(answers[0]), "{key}");
        }
        let repeated = answers
            .iter()
            .filter(|answer| answer.as_ref().is_ok_and(|answer| answer.repeated));
        assert_eq!(repeated.count(), answers.len() - 1, "{key}");
    }
    let after = scratch.commands.metrics();
    let (together, alone) = (after.together - before.together, after.alone - before.alone);
    // Those that come again are answered one by one.
    assert!(together >= 150 && alone <= 150, "{together} together, {alone} alone");
    assert!(after.appends - before.appends < 200, "{after:?}");
    let counts = "SELECT (SELECT sum(amount) FROM moves), (SELECT count(*) FROM log), (SELECT total FROM totals WHERE account = 'ann')";
    let made = scratch.rows(counts).await;
    assert_eq!(made, "150|100|0");

    // The same with other arguments is another call.
    let other = scratch
        .call("give", r#"{"account":"bob","amount":2}"#, Some("key-0"))
        .await;
    assert!(matches!(other, Err(CommandError::KeyReused)), "{}", line(&other));
    Arc::into_inner(scratch).expect("nobody else has it").close();

    // Whoever asks again gets the first answer, also after a restart.
    let scratch = Arc::new(Scratch::open(folder.path()));
    for answers in [at_once(&scratch, &calls).await, at_once(&scratch, &calls).await] {
        for (now, then) in answers.iter().zip(&first) {
            assert!(now.as_ref().is_ok_and(|answer| answer.repeated), "{}", line(now));
            assert_eq!(told(now), told(then));
        }
    }
    assert_eq!(scratch.rows(counts).await, made);
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_call_leaves_its_key_free() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let call = ("move_to", r#"{"source":"eve","target":"bob","amount":5}"#.to_owned());
    let calls: Vec<_> = (0..20).map(|_| (call.0, call.1.clone(), "mine".to_owned())).collect();
    for answer in at_once(&scratch, &calls).await {
        assert!(matches!(answer, Err(CommandError::Refused(_))), "{}", line(&answer));
    }
    let given = scratch.call("give", r#"{"account":"eve","amount":5}"#, None).await;
    assert!(given.is_ok(), "{}", line(&given));
    let answers = at_once(&scratch, &calls).await;
    let first = answers
        .iter()
        .filter(|answer| answer.as_ref().is_ok_and(|answer| !answer.repeated));
    assert_eq!(first.count(), 1);
    assert!(answers.iter().all(|answer| told(answer) == told(&answers[0])));
    assert_eq!(
        scratch.rows("SELECT total FROM totals WHERE account = 'eve'").await,
        "0"
    );
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_the_same_by_what_it_says() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let definitions = "\
        CREATE STREAM notes (id TEXT NOT NULL, note TEXT, seal BYTEA) KEY (id) WITH (partitions = 1);
        CREATE COMMAND keep (id TEXT NOT NULL, seal BYTEA DEFAULT NULL) INTO notes AS SELECT id, 'first' AS note, seal;";
    let scratch = Scratch::compiled(folder.path(), definitions, &[]).await;
    let first = scratch.call("keep", r#"{"id":"a"}"#, Some("k")).await;
    assert!(
        first.as_ref().is_ok_and(|outcome| !outcome.repeated),
        "{}",
        line(&first)
    );
    // A newer version takes more, and its parameters in another order: who does not know of that says the same as before.
    scratch
        .define("CREATE OR REPLACE COMMAND keep (note TEXT DEFAULT 'second', id TEXT NOT NULL, seal BYTEA DEFAULT NULL) INTO notes AS SELECT id, note, seal;")
        .await;
    let again = scratch.call("keep", r#"{"id":"a"}"#, Some("k")).await;
    assert!(again.as_ref().is_ok_and(|outcome| outcome.repeated), "{}", line(&again));
    assert_eq!(told(&again), told(&first));
    for said in [
        r#"{"id":"a","note":"second"}"#,
        r#"{"id":"a","seal":null}"#,
        r#"{"id":"b"}"#,
    ] {
        let other = scratch.call("keep", said, Some("k")).await;
        assert!(
            matches!(other, Err(CommandError::KeyReused)),
            "{said}: {}",
            line(&other)
        );
    }
    // Bytes are compared to the last.
    let (one, other) = (
        r#"{"id":"c","seal":"AAAAAAAAAAAAAAAAAAAAAQ=="}"#,
        r#"{"id":"c","seal":"AAAAAAAAAAAAAAAAAAAAAg=="}"#,
    );
    let sealed = scratch.call("keep", one, Some("sealed")).await;
    assert!(sealed.is_ok(), "{}", line(&sealed));
    let differs = scratch.call("keep", other, Some("sealed")).await;
    assert!(matches!(differs, Err(CommandError::KeyReused)), "{}", line(&differs));
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

/// What is done stays done, whatever has become of the command: who says the same again gets the first answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_whatever_became_of_its_command() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let definitions = "\
        CREATE STREAM sales (item TEXT NOT NULL, price DECIMAL(12,2), note TEXT) KEY (item) WITH (partitions = 1);
        CREATE COMMAND sell (item TEXT NOT NULL, price INTEGER NOT NULL, note TEXT DEFAULT NULL) INTO sales AS SELECT item, price, note;";
    let scratch = Scratch::compiled(folder.path(), definitions, &[]).await;
    let said = r#"{"item":"a","price":100,"note":"n"}"#;
    let first = scratch.call("sell", said, Some("k")).await;
    assert!(first.is_ok(), "{}", line(&first));
    for (definition, made) in [
        (
            "(item TEXT NOT NULL, price DECIMAL(12,2) NOT NULL, note TEXT DEFAULT NULL) INTO sales AS SELECT item, price, note",
            "CREATE COMMAND",
        ),
        (
            "(item TEXT NOT NULL, price TEXT, note TEXT) INTO sales AS SELECT item, CAST(price AS INTEGER) AS price, note",
            "CREATE COMMAND",
        ),
        (
            "(item TEXT NOT NULL, price INTEGER NOT NULL) INTO sales AS SELECT item, price",
            "CREATE COMMAND",
        ),
        (
            "(item TEXT NOT NULL, price INTEGER, note TEXT, seller TEXT NOT NULL) INTO sales AS SELECT item, price, seller AS note",
            "CREATE COMMAND",
        ),
        (
            "(item TEXT, price INTEGER CHECK (price > 1000), note TEXT) INTO sales AS SELECT item, price, note",
            "CREATE COMMAND",
        ),
        ("", "DROP COMMAND"),
    ] {
        let statement = match definition {
            "" => "DROP COMMAND sell".to_owned(),
            definition => format!("CREATE OR REPLACE COMMAND sell {definition}"),
        };
        assert_eq!(scratch.rows(&statement).await, made, "{statement}");
        for same in [said, r#"{ "note":"n", "price":1.00e2, "item":"\u0061" }"#] {
            let again = scratch.call("sell", same, Some("k")).await;
            let repeated = again.as_ref().is_ok_and(|outcome| outcome.repeated);
            assert!(repeated, "{statement}: {}", line(&again));
            assert_eq!(told(&again), told(&first), "{statement}");
        }
        let other = scratch
            .call("sell", r#"{"item":"a","price":101,"note":"n"}"#, Some("k"))
            .await;
        assert!(
            matches!(other, Err(CommandError::KeyReused)),
            "{statement}: {}",
            line(&other)
        );
    }
    let fresh = scratch.call("sell", said, Some("l")).await;
    assert!(matches!(fresh, Err(CommandError::Unknown(_))), "{}", line(&fresh));
    assert_eq!(scratch.rows("SELECT count(*) FROM sales").await, "1");
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_events_say_is_not_tried_together() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let before = scratch.commands.metrics();
    let calls: Vec<_> = (0..20)
        .map(|number| ("welcome", r#"{"account":"uma"}"#.to_owned(), format!("{number}")))
        .collect();
    let answers = at_once(&scratch, &calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let after = scratch.commands.metrics();
    assert_eq!((after.together, after.appends), (before.together, before.appends));
    assert_eq!(after.alone - before.alone, 20);
    Arc::into_inner(scratch).expect("nobody else has it").close();
}
