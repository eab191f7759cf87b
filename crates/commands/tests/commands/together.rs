//! Many calls at once: each is decided as if it came after another, whatever they share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use headwater_commands::CommandError;
use headwater_commands::limits::TOGETHER_MAX;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event, partition_of};
use headwater_sql::parse::parse;
use headwater_sql::syntax::Statement;
use headwater_views::GroupKey;

use crate::scratch::{Scratch, begun, line, session};

const DEFINITIONS: &str = "
CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT NOT NULL, note TEXT) KEY (account) WITH (partitions = 3);
CREATE STREAM partners (account TEXT NOT NULL, partner TEXT NOT NULL) KEY (account) WITH (partitions = 2);
CREATE STREAM log (what TEXT NOT NULL) WITH (partitions = 1);
CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total, count(*) AS moves FROM moves GROUP BY account;
CREATE MATERIALIZED VIEW means STORED AS document AS SELECT account, avg(CAST(amount AS DOUBLE PRECISION)) AS mean FROM moves GROUP BY account;
CREATE MATERIALIZED VIEW large STORED AS document AS SELECT account, count(*) AS moves FROM moves WHERE amount >= 5 GROUP BY account HAVING count(*) > 1;
CREATE MATERIALIZED VIEW partner_of STORED AS document AS SELECT account, max(partner) AS partner FROM partners GROUP BY account;
CREATE COMMAND give (account TEXT, amount BIGINT CHECK (amount > 0)) INTO moves AS SELECT account, amount;
CREATE COMMAND take (account TEXT, amount BIGINT)
INTO moves
LET total = (SELECT total FROM totals t WHERE t.account = take.account)
REQUIRE total >= amount ELSE 'not enough: {total}' CODE 'not_enough'
AS SELECT account, -amount AS amount, 'of ' || total AS note;
CREATE COMMAND move_to (source TEXT, target TEXT, amount BIGINT)
REQUIRE (SELECT total FROM totals t WHERE t.account = source) >= amount ELSE 'not enough' CODE 'not_enough'
INTO moves AS VALUES (source, -amount, 'to ' || target), (target, amount, 'from ' || source),
INTO log AS SELECT source || ' to ' || target AS what;
CREATE COMMAND take_from_partner (account TEXT, amount BIGINT)
LET partner = (SELECT partner FROM partner_of p WHERE p.account = take_from_partner.account)
REQUIRE (SELECT total FROM totals t WHERE t.account = partner) >= amount ELSE 'not enough' CODE 'not_enough'
INTO moves AS SELECT partner AS account, -amount AS amount;
CREATE COMMAND take_of_mean (account TEXT, amount BIGINT)
REQUIRE (SELECT mean FROM means m WHERE m.account = take_of_mean.account) >= amount ELSE 'too much' CODE 'too_much'
INTO moves AS SELECT account, -amount AS amount;
CREATE COMMAND up_to_three (account TEXT)
REQUIRE coalesce((SELECT moves FROM large l WHERE l.account = up_to_three.account), 0) < 3 ELSE 'often enough' CODE 'often_enough'
INTO moves AS SELECT account, 5 AS amount;
CREATE COMMAND divide (account TEXT, amount BIGINT)
REQUIRE 100 / amount > 1 ELSE 'little' CODE 'little'
INTO moves AS SELECT account, 100 / amount AS amount;
CREATE COMMAND seek (start BIGINT)
REQUIRE array_position(ARRAY[1, 2], 1, start) = 1 ELSE 'nothing' CODE 'nothing'
INTO log AS SELECT 'found' AS what;
CREATE COMMAND seek_among (start BIGINT)
REQUIRE (SELECT count(*) FROM totals t WHERE array_position(ARRAY[1, 2], 1, seek_among.start) = 1) > 0 ELSE 'nothing' CODE 'nothing'
INTO log AS SELECT 'found' AS what;
";

async fn application(folder: &tempfile::TempDir) -> Arc<Scratch> {
    let calls = [
        ("give", r#"{"account":"ann","amount":1000}"#),
        ("take", r#"{"account":"zoe","amount":1}"#),
        ("move_to", r#"{"source":"zoe","target":"ann","amount":1}"#),
        ("take_from_partner", r#"{"account":"zoe","amount":1}"#),
        ("take_of_mean", r#"{"account":"zoe","amount":1}"#),
        ("up_to_three", r#"{"account":"yan"}"#),
        ("divide", r#"{"account":"yan","amount":100}"#),
    ];
    Scratch::compiled(folder.path(), DEFINITIONS, &calls).await
}

/// Makes calls at once, and counts what they come to: by their codes, `ok` where they were done. None is through before all have come.
async fn at_once(scratch: &Arc<Scratch>, calls: Vec<(&'static str, String)>) -> BTreeMap<String, usize> {
    let hold = scratch.log.hold(&["moves".to_owned()]).await;
    let calls = calls.into_iter().map(|(command, arguments)| {
        let scratch = Arc::clone(scratch);
        async move { scratch.call(command, &arguments, None).await }
    });
    let calling = begun(calls).await;
    drop(hold);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calling {
        let code = match call.await.expect("the call ends") {
            Ok(outcome) => {
                assert!(!outcome.events.is_empty());
                "ok".to_owned()
            }
            Err(error) => error.code().to_owned(),
        };
        *counts.entry(code).or_default() += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected
        .iter()
        .map(|(code, count)| ((*code).to_owned(), *count))
        .collect()
}

fn times(count: usize, command: &'static str, arguments: &str) -> Vec<(&'static str, String)> {
    vec![(command, arguments.to_owned()); count]
}

async fn insert(scratch: &Scratch, into: &str) {
    let came = scratch.rows(&format!("INSERT INTO {into}")).await;
    assert!(came.starts_with("INSERT"), "{into}: {came}");
}

async fn total(scratch: &Scratch, account: &str) -> String {
    scratch
        .rows(&format!("SELECT total FROM totals WHERE account = '{account}'"))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_for_one_row_are_decided_one_on_the_other() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let check = async |calls: Vec<(&'static str, String)>, expected: &[(&str, usize)], left: &str| {
        assert_eq!(at_once(&scratch, calls).await, counts(expected));
        assert_eq!(total(&scratch, "ann").await, left);
    };
    let take = |amount: u64| format!(r#"{{"account":"ann","amount":{amount}}}"#);
    check(
        times(TOGETHER_MAX + 76, "take", &take(5)),
        &[("not_enough", TOGETHER_MAX - 124), ("ok", 200)],
        "0",
    )
    .await;
    // What each note says is what the one before left.
    let distinct = scratch
        .rows("SELECT count(DISTINCT note) FROM moves WHERE note LIKE 'of %'")
        .await;
    assert_eq!(distinct, "200");
    let mut mixed = times(50, "give", &take(2));
    mixed.extend(times(30, "divide", r#"{"account":"ann","amount":0}"#));
    mixed.extend(times(10, "give", r#"{"account":"ann","amount":-1}"#));
    mixed.extend(times(10, "give", r#"{"account":null,"amount":1}"#));
    check(
        mixed,
        &[
            ("check_failed", 10),
            ("division_by_zero", 30),
            ("missing_value", 10),
            ("ok", 50),
        ],
        "100",
    )
    .await;
    check(
        times(40, "up_to_three", r#"{"account":"uma"}"#),
        &[("often_enough", 37), ("ok", 3)],
        "100",
    )
    .await;
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_for_one_row_share_their_appends() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let before = scratch.commands.metrics();
    for _ in 0..3 {
        let came = at_once(&scratch, times(300, "take", r#"{"account":"ann","amount":1}"#)).await;
        assert_eq!(came, counts(&[("ok", 300)]));
    }
    let after = scratch.commands.metrics();
    let (together, alone) = (after.together - before.together, after.alone - before.alone);
    assert!(together >= 850 && alone <= 50, "{together} together, {alone} alone");
    assert!(after.appends - before.appends < 300, "{after:?}");
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

/// Rows of a stream, as an INSERT of these values makes them.
async fn rows_of(scratch: &Scratch, stream: &str, values: &str) -> RecordBatch {
    let definition = scratch.engine.catalog().stream(stream).expect("the stream is there");
    let encoder = scratch.engine.encoder(&definition).expect("it may be written to");
    let parsed = parse(values, "").expect("the rows parse");
    let Some(Statement::Query(question)) = parsed.first().map(|parsed| &parsed.statement) else {
        panic!("VALUES are a question");
    };
    let asked = scratch.engine.ask(&session(), question, &[]).await;
    let (_, batches, _) = asked.expect("the rows come");
    let batch = batches.first().expect("a batch");
    let arrays: Vec<_> = batch.columns().iter().cloned().map(Some).collect();
    encoder.assign(batch.num_rows(), &arrays).expect("the rows fit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_is_nobody_elses() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    for (account, amount) in [("bob", 10), ("dan", 1000)] {
        let given = format!(r#"{{"account":"{account}","amount":{amount}}}"#);
        assert_eq!(at_once(&scratch, vec![("give", given)]).await, counts(&[("ok", 1)]));
    }
    // Rows that are there stand behind others that are not, and have their own places.
    let accounts = "VALUES ('nobody', 1, NULL), ('bob', 1, NULL), ('no one', 1, NULL), ('dan', 1, NULL)";
    let rows = rows_of(&scratch, "moves", accounts).await;
    let view = scratch.engine.views().get("totals").expect("the view is there");
    let position = scratch.log.position("moves").expect("the stream is there");
    let waited = view.wait_for(&position, Duration::from_secs(60)).await;
    waited.expect("the view gets there");
    let keys: Vec<GroupKey> = view.touched_by_each("moves", &rows).expect("told").concat();
    let kept = view.kept(&keys).expect("it is read").expect("it is in memory");
    let values: Vec<Option<&[u8]>> = kept.values.iter().map(Option::as_deref).collect();
    let (_, places) = view
        .rows_kept(&keys.iter().collect::<Vec<_>>(), &values)
        .expect("they are shown");
    assert_eq!(places, [None, Some(0), None, Some(1)]);
    // So in a batch each call is decided on its own row.
    let mut calls: Vec<(&'static str, String)> = Vec::new();
    for number in 0..60 {
        for (account, amount) in [
            (format!("nobody {number}"), 500),
            ("bob".to_owned(), 500),
            ("dan".to_owned(), 1),
        ] {
            calls.push(("take", format!(r#"{{"account":"{account}","amount":{amount}}}"#)));
        }
    }
    assert_eq!(
        at_once(&scratch, calls).await,
        counts(&[("not_enough", 120), ("ok", 60)])
    );
    assert_eq!(lowest(&scratch), 0, "at no position below");
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_other_calls_change_are_read_as_they_leave_them() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    // Ann's 1,000 go to others, who give them back: nobody has less than nothing meanwhile.
    let mut calls: Vec<(&'static str, String)> = Vec::new();
    for number in 0..400 {
        let names = ["ann", "bob", "cid", "dan"];
        let (source, target) = (names[number % 4], names[(number * 7 + 1) % 4]);
        calls.push((
            "move_to",
            format!(
                r#"{{"source":"{source}","target":"{target}","amount":{}}}"#,
                90 + number % 20
            ),
        ));
    }
    let came = at_once(&scratch, calls).await;
    assert!(came["ok"] >= 10 && came.values().sum::<usize>() == 400, "{came:?}");
    assert_eq!(
        scratch
            .rows("SELECT sum(total), min(total) >= 0 FROM totals WHERE account <> 'yan'")
            .await,
        "1000|true"
    );
    assert_eq!(scratch.rows("SELECT count(*) FROM log").await, came["ok"].to_string());
    assert_eq!(lowest(&scratch), 0, "at no position below");
    // The row to be read is known only once another was: all of them take from one.
    for account in ["p1", "p2", "p3", "p4"] {
        insert(&scratch, &format!("partners VALUES ('{account}', 'pot')")).await;
    }
    insert(&scratch, "moves VALUES ('pot', 100, NULL)").await;
    assert_eq!(scratch.rows("SELECT count(*) FROM partner_of").await, "4");
    let mut calls: Vec<(&'static str, String)> = Vec::new();
    for number in 0..120 {
        let account = ["p1", "p2", "p3", "p4"][number % 4];
        calls.push(("take_from_partner", format!(r#"{{"account":"{account}","amount":1}}"#)));
    }
    assert_eq!(
        at_once(&scratch, calls).await,
        counts(&[("not_enough", 20), ("ok", 100)])
    );
    assert_eq!(total(&scratch, "pot").await, "0");
    // What cannot be foreseen to the last digit is waited for.
    insert(&scratch, "moves VALUES ('mean', 4, NULL)").await;
    let came = at_once(&scratch, times(12, "take_of_mean", r#"{"account":"mean","amount":4}"#)).await;
    assert_eq!(came, counts(&[("ok", 1), ("too_much", 11)]));
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

/// The lowest total that any account had behind any event.
fn lowest(scratch: &Scratch) -> i64 {
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    let mut lowest = 0;
    for partition in 0..3 {
        let mut next = 0;
        loop {
            let stored = scratch
                .log
                .read("moves", partition, next, 1 << 20)
                .expect("the log is read");
            let Some(last) = stored.last() else { break };
            next = last.batch.next_offset();
            for stored in &stored {
                for (_, event) in stored.batch.events().expect("events") {
                    let value = event.value.expect("a value");
                    let value: serde_json::Value = serde_json::from_slice(&value).expect("JSON");
                    // An account's events are all in one partition.
                    let total = totals.entry(value["account"].to_string()).or_default();
                    *total += value["amount"].as_i64().expect("a number");
                    lowest = lowest.min(*total);
                }
            }
        }
    }
    lowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_else_who_appends_is_noticed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let (log, done) = (scratch.log.clone(), Arc::clone(&done));
        async move {
            let mut taken = 0;
            // Takes from ann past the commands, as long as she is far from nothing.
            while taken < 100 && !done.load(std::sync::atomic::Ordering::Relaxed) {
                let event = Event {
                    key: Some(Bytes::from_static(b"ann")),
                    value: Some(Bytes::from_static(br#"{"account":"ann","amount":-1}"#)),
                    ..Event::default()
                };
                let part = Part {
                    stream: "moves".to_owned(),
                    partition: partition_of(b"ann", 3),
                    batch: Batch::encode(&[event], Compression::None, None),
                };
                let append = Append {
                    parts: vec![part],
                    principal: "kafka".to_owned(),
                    condition: None,
                };
                log.append(append).await.expect("the log takes it");
                taken += 1;
            }
            taken
        }
    });
    let mut through = 0;
    for _ in 0..4 {
        let came = at_once(&scratch, times(60, "take", r#"{"account":"ann","amount":4}"#)).await;
        assert!(came.keys().all(|code| code == "ok" || code == "not_enough"), "{came:?}");
        through += came.get("ok").copied().unwrap_or(0);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let taken = writer.await.expect("the writer ends");
    let left = 1_000 - 4 * through as i64 - taken;
    assert!(
        taken > 0 && (0..4).contains(&left) || through == 240,
        "{through} {taken}"
    );
    assert_eq!(total(&scratch, "ann").await, left.to_string());
    let refused = scratch.call("take", r#"{"account":"ann","amount":2000}"#, None).await;
    assert!(matches!(refused, Err(CommandError::Refused(_))), "{}", line(&refused));
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

const SHOP: &str = "
CREATE STREAM sales (item TEXT NOT NULL, price DECIMAL(9,2), pieces INTEGER, day DATE, paid BOOLEAN) KEY (item) WITH (partitions = 2);
CREATE MATERIALIZED VIEW sums STORED AS document AS
SELECT item, sum(price) AS a, sum(pieces) AS b, count(price) AS c, avg(price) AS d, min(day) AS e, max(price) AS f, bool_or(paid) AS g, count(*) FILTER (WHERE paid) AS h
FROM sales GROUP BY item;
CREATE MATERIALIZED VIEW few STORED AS document AS SELECT item, count(*) AS n FROM sales WHERE pieces > 2 GROUP BY item HAVING count(*) > 2;
CREATE MATERIALIZED VIEW by_day STORED AS document AS SELECT day, paid, sum(price * pieces) AS worth FROM sales GROUP BY day, paid;
CREATE MATERIALIZED VIEW rough STORED AS document AS SELECT item, avg(CAST(price AS DOUBLE PRECISION)) AS mean FROM sales GROUP BY item;
CREATE MATERIALIZED VIEW newest STORED AS document KEY (item) AS SELECT item, price FROM sales;
CREATE MATERIALIZED VIEW all_days STORED AS document AS SELECT item, array_agg(day) AS days FROM sales GROUP BY item;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_foreseen_of_a_row_is_what_folding_makes_of_it() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::open(folder.path());
    scratch.define(SHOP).await;
    let mut unforeseen: Vec<String> = Vec::new();
    let mut compared = 0;
    for step in 0..40_i64 {
        let rows: Vec<String> = (0..1 + step % 3)
            .map(|row| {
                let number = step * 3 + row;
                let price = if number % 7 == 0 {
                    "NULL".to_owned()
                } else {
                    format!("{}.{:02}", number * 13 % 90, number % 100)
                };
                format!(
                    "('item {}', {price}, {}, DATE '2025-11-{:02}', {})",
                    number % 2,
                    number % 5,
                    1 + number * 11 % 28,
                    ["true", "false", "NULL"][(number % 3) as usize]
                )
            })
            .collect();
        let values = format!("VALUES {}", rows.join(", "));
        let rows = rows_of(&scratch, "sales", &values).await;
        let mut foreseen = Vec::new();
        for view in scratch.engine.views().all() {
            let Some(touched) = view.touched_by_each("sales", &rows).filter(|_| view.is_foreseeable()) else {
                unforeseen.push(view.definition().name.clone());
                continue;
            };
            let mut keys: Vec<_> = touched.iter().flatten().cloned().collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let kept = view
                    .kept(std::slice::from_ref(&key))
                    .expect("it is read")
                    .expect("it is in memory");
                let mut value = kept.values.into_iter().next().flatten();
                // Row by row: as if each were decided on by itself.
                for row in (0..rows.num_rows()).filter(|row| touched[*row].contains(&key)) {
                    let foreseen = view.foresee("sales", &key, value.as_deref(), &rows.slice(row, 1));
                    value = foreseen.expect("it is foreseen");
                }
                foreseen.push((Arc::clone(&view), key, value));
            }
        }
        insert(&scratch, &format!("sales {values}")).await;
        let position = scratch.log.position("sales").expect("the stream is there");
        for (view, key, expected) in foreseen {
            let waited = view.wait_for(&position, Duration::from_secs(60)).await;
            waited.expect("the view gets there");
            let kept = view
                .kept(std::slice::from_ref(&key))
                .expect("it is read")
                .expect("it is in memory");
            // Before the state stands how many events the row took since its last snapshot.
            let state = |value: &Option<Vec<u8>>| value.as_ref().map(|value| value[4..].to_vec());
            assert_eq!(
                state(&kept.values[0]),
                state(&expected),
                "{} {step}",
                view.definition().name
            );
            compared += 1;
        }
    }
    unforeseen.sort();
    unforeseen.dedup();
    assert_eq!(unforeseen, ["all_days", "newest", "rough"]);
    assert!(compared > 120, "{compared}");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_view_cannot_take_hides_none_of_the_others() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = Scratch::open(folder.path());
    scratch
        .define(
            "CREATE STREAM rated (account TEXT NOT NULL, amount BIGINT NOT NULL, rate BIGINT NOT NULL) KEY (account) WITH (partitions = 1);
            CREATE MATERIALIZED VIEW worth STORED AS document AS SELECT account, sum(amount / rate) AS total FROM rated GROUP BY account;
            CREATE COMMAND earn (account TEXT, amount BIGINT, rate BIGINT) INTO rated AS SELECT account, amount, rate;
            CREATE COMMAND spend (account TEXT, amount BIGINT)
            REQUIRE (SELECT total FROM worth w WHERE w.account = spend.account) >= amount ELSE 'not enough' CODE 'not_enough'
            INTO rated AS SELECT account, -amount AS amount, 1 AS rate;",
        )
        .await;
    for (command, arguments) in [
        ("earn", r#"{"account":"zoe","amount":1,"rate":1}"#),
        ("spend", r#"{"account":"zoe","amount":1}"#),
    ] {
        let _ = scratch.call(command, arguments, None).await;
    }
    let scratch = Arc::new(scratch);
    for round in 0..5 {
        let account = format!("ann{round}");
        let earned = scratch
            .call(
                "earn",
                &format!(r#"{{"account":"{account}","amount":1000,"rate":1}}"#),
                None,
            )
            .await;
        assert!(earned.is_ok());
        let spend = || ("spend", format!(r#"{{"account":"{account}","amount":900}}"#));
        let nothing = ("earn", format!(r#"{{"account":"{account}","amount":5,"rate":0}}"#));
        let calls = vec![spend(), nothing, spend(), spend(), spend()];
        assert_eq!(at_once(&scratch, calls).await, counts(&[("not_enough", 3), ("ok", 2)]));
        let left = scratch
            .rows(&format!("SELECT total FROM worth WHERE account = '{account}'"))
            .await;
        assert_eq!(left, "100");
    }
}

/// One of the engine's functions looks for an overflow in programs that are not optimized, as tests are, and panics there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_which_the_program_panics_is_told_so_and_the_others_are_decided() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder).await;
    for command in ["seek", "seek_among"] {
        let (fine, unlucky) = (r#"{"start":1}"#, format!(r#"{{"start":{}}}"#, i64::MIN));
        let mut mixed = times(30, command, fine);
        mixed.extend(times(3, command, &unlucky));
        mixed.extend(times(30, command, fine));
        let expected = counts(&[("internal", 3), ("ok", 60)]);
        assert_eq!(at_once(&scratch, mixed).await, expected, "{command}");
        let alone = scratch.call(command, &unlucky, None).await.map(|_| ());
        assert_eq!(
            alone.map_err(|error| error.code().to_owned()),
            Err("internal".to_owned())
        );
        assert_eq!(at_once(&scratch, times(1, command, fine)).await, counts(&[("ok", 1)]));
    }
}
