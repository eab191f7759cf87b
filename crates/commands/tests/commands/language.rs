//! What the language of commands says: parameters, LETs, refusals with codes and values, explanations, and what is refused when it is defined.

use crate::scratch::{Scratch, line, session};
use headwater_commands::Arguments;

const DEFINITIONS: &str = "
CREATE STREAM transactions (account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, note TEXT)
KEY (account) WITH (partitions = 2);
CREATE STREAM kinds (
  t TEXT, i INTEGER, b BIGINT, d DECIMAL(10,3), r REAL, f DOUBLE PRECISION, o BOOLEAN, y DATE, s TIMESTAMP, z TIMESTAMPTZ, x BYTEA, j JSON
) WITH (partitions = 1);
CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries
FROM transactions GROUP BY account;
CREATE COMMAND deposit (account TEXT NOT NULL, amount DECIMAL(18,2) DEFAULT 10 CHECK (amount > 0) CHECK (amount < 1000), note TEXT DEFAULT 'by ' || 'hand')
INTO transactions AS SELECT account, 'deposit' AS kind, amount, note;
CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2))
LET balance = (SELECT balance FROM balances b WHERE b.account = withdraw.account)
REQUIRE balance IS NOT NULL ELSE 'there is no account {account}' CODE 'unknown_account'
LET rest = balance - amount
REQUIRE rest >= 0 ELSE 'insufficient funds: {balance} of {amount} {{EUR}}' CODE 'insufficient_funds'
INTO transactions AS SELECT account, 'withdrawal' AS kind, amount, 'leaves ' || rest AS note;
CREATE COMMAND every_kind (
  t TEXT DEFAULT 'text', i INTEGER DEFAULT 1, b BIGINT DEFAULT 2, d DECIMAL(10,3) DEFAULT 0.125, r REAL DEFAULT 1.5, f DOUBLE PRECISION DEFAULT 2.5,
  o BOOLEAN DEFAULT true, y DATE DEFAULT DATE '2025-12-31', s TIMESTAMP DEFAULT TIMESTAMP '2025-12-31 23:59:59', z TIMESTAMPTZ DEFAULT '2025-12-31T23:59:59Z',
  x BYTEA DEFAULT '\\x00ff', j JSON DEFAULT '{\"a\": [1]}')
INTO kinds AS SELECT t, i, b, d, r, f, o, y, s, z, x, j;
CREATE COMMAND all_of ()
LET balance = (SELECT balance FROM balances)
INTO transactions AS SELECT 'all' AS account, 'deposit' AS kind, balance AS amount;
CREATE COMMAND boast ()
REQUIRE (SELECT sum(balance) FROM balances) > 1000000 ELSE 'not rich'
INTO kinds AS SELECT 'rich' AS t;
CREATE COMMAND divide (a INTEGER, b INTEGER)
REQUIRE a / b > 0 ELSE 'no'
INTO kinds AS SELECT a * 2 AS i;
";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

async fn scratch(folder: &tempfile::TempDir) -> Scratch {
    let scratch = Scratch::open(folder.path());
    scratch.define(DEFINITIONS).await;
    scratch
}

/// Calls in order: command, arguments, the code of what comes of it (`ok` where it was done), and a part of what is said or appended.
async fn check(scratch: &Scratch, cases: &[(&str, &str, &str, &str)]) {
    let mut wrong: Vec<String> = Vec::new();
    for (command, arguments, code, part) in cases {
        let outcome = scratch.call(command, arguments, None).await;
        let came = (
            outcome.as_ref().err().map_or("ok", |error| error.code()),
            line(&outcome),
        );
        if came.0 != *code || !came.1.contains(part) {
            wrong.push(format!(
                "{command} {arguments}\n  expected {code}: {part}\n  came     {}: {}",
                came.0, came.1
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_have_defaults_and_checks() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    check(
        &scratch,
        &[
            ("deposit", r#"{"account":"ann"}"#, "ok", r#""amount":10.00,"note":"by hand""#),
            ("deposit", r#"{"account":"ann","note":null}"#, "ok", r#""amount":10.00}"#),
            ("deposit", r#"{"amount":1}"#, "missing_argument", "\"account\" of 'deposit' is missing"),
            ("deposit", r#"{"account":null}"#, "null_argument", "may not be NULL"),
            ("deposit", r#"{"account":"ann","amount":0}"#, "check_failed", "amount > 0"),
            ("deposit", r#"{"account":"ann","amount":1000}"#, "check_failed", "amount < 1000"),
            // NULL passes a check, as in a table; the stream wants a value.
            ("deposit", r#"{"account":"ann","amount":null}"#, "missing_value", "amount"),
            ("deposit", r#"{"account":"ann","amount":"1x"}"#, "invalid_argument", "amount"),
            ("deposit", r#"{"account":"ann","amout":1}"#, "unknown_argument", "amout"),
            ("deposit", "[]", "invalid_arguments", "no JSON object"),
            ("nothing", "{}", "unknown_command", "nothing"),
            (
                "every_kind",
                "{}",
                "ok",
                r#"{"t":"text","i":1,"b":2,"d":0.125,"r":1.5,"f":2.5,"o":true,"y":"2025-12-31","s":"2025-12-31T23:59:59","z":"2025-12-31T23:59:59Z","x":"AP8=","j":{"a": [1]}}"#,
            ),
            (
                "every_kind",
                r#"{"t":"","i":"-7","b":9007199254740993,"d":"1.5","r":0,"f":1e300,"o":false,"y":"2024-02-29","s":"2024-02-29T00:00:00.000001","z":"2024-02-29T01:00:00+01:00","x":"AA==","j":[null]}"#,
                "ok",
                r#"{"t":"","i":-7,"b":9007199254740993,"d":1.500,"r":0.0,"f":1e300,"o":false,"y":"2024-02-29","s":"2024-02-29T00:00:00.000001","z":"2024-02-29T00:00:00Z","x":"AA==","j":[null]}"#,
            ),
            (
                "every_kind",
                r#"{"t":null,"i":null,"b":null,"d":null,"r":null,"f":null,"o":null,"y":null,"s":null,"z":null,"x":null,"j":null}"#,
                "ok",
                "kinds {}",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_let_is_one_value_for_checks_events_and_texts() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    check(
        &scratch,
        &[
            (
                "withdraw",
                r#"{"account":"ann","amount":1}"#,
                "unknown_account",
                "refused: there is no account ann",
            ),
            ("all_of", "{}", "missing_value", "amount"),
            ("deposit", r#"{"account":"ann","amount":50}"#, "ok", ""),
            (
                "withdraw",
                r#"{"account":"ann","amount":50.01}"#,
                "insufficient_funds",
                "refused: insufficient funds: 50.00 of 50.01 {EUR}",
            ),
            (
                "withdraw",
                r#"{"account":"ann","amount":20}"#,
                "ok",
                r#""amount":20.00,"note":"leaves 30.00""#,
            ),
            (
                "all_of",
                "{}",
                "ok",
                r#"{"account":"all","kind":"deposit","amount":30.00}"#,
            ),
            (
                "all_of",
                "{}",
                "several_rows",
                "LET balance is one value, and its query found 2 rows",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_worked_out_appends_nothing() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    check(
        &scratch,
        &[
            ("divide", r#"{"a":1,"b":0}"#, "division_by_zero", "division by zero"),
            ("divide", r#"{"a":1,"b":null}"#, "refused", "no"),
            ("divide", r#"{"a":2147483647,"b":1}"#, "out_of_range", ""),
            ("divide", r#"{"a":3,"b":1}"#, "ok", r#"kinds {"i":6}"#),
        ],
    )
    .await;
    assert_eq!(scratch.rows("SELECT count(*) FROM kinds").await, "1");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_are_checked_when_they_are_made() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    let mut wrong: Vec<String> = Vec::new();
    for (definition, said) in [
        (
            "(a TEXT DEFAULT 1 / 0) INTO kinds AS SELECT a AS t",
            "0A000: line 1, column 23: ",
        ),
        (
            "(a INTEGER DEFAULT 'x') INTO kinds AS SELECT a AS i",
            "22P02: line 1, column 23: 'x' is no INTEGER",
        ),
        (
            "(a INTEGER NOT NULL DEFAULT NULL) INTO kinds AS SELECT a AS i",
            "its default is NULL",
        ),
        ("(a INTEGER DEFAULT random()) INTO kinds AS SELECT a AS i", "0A000: "),
        (
            "(a INTEGER CHECK (a + 1)) INTO kinds AS SELECT a AS i",
            "CHECK needs a condition",
        ),
        (
            "(a INTEGER CHECK ((SELECT count(*) FROM balances) > a)) INTO kinds AS SELECT a AS i",
            "a CHECK looks at the arguments alone",
        ),
        (
            "() LET a = (SELECT account, balance FROM balances) INTO kinds AS SELECT a AS t",
            "gives 2 columns",
        ),
        (
            "() LET a = (SELECT x FROM balances) INTO kinds AS SELECT a AS t",
            "42703: ",
        ),
        (
            "() LET a = (SELECT x FROM nowhere) INTO kinds AS SELECT a AS t",
            "42P01: ",
        ),
        (
            "(a TEXT) LET a = 1 INTO kinds AS SELECT a AS t",
            "42701: line 1, column 35: 'a' is the name of another",
        ),
        (
            "() REQUIRE b ELSE 'no' LET b = true INTO kinds AS SELECT 1 AS i",
            "42703: ",
        ),
        (
            "() REQUIRE true ELSE '{b}' LET b = true INTO kinds AS SELECT 1 AS i",
            "42703: line 1, column 43: there is no parameter and no LET 'b'",
        ),
        (
            "() REQUIRE true ELSE 'x' CODE 'a b' INTO kinds AS SELECT 1 AS i",
            "a refusal's code has",
        ),
        (
            "() REQUIRE true ELSE 'x' CODE 'check_failed' INTO kinds AS SELECT 1 AS i",
            "'check_failed' is what the program says of its own",
        ),
        ("() REQUIRE 1 ELSE 'x' INTO kinds AS SELECT 1 AS i", "42804: "),
        ("() INTO nowhere AS SELECT 1 AS i", "42P01: "),
        // The column would be compared with itself.
        (
            "(account TEXT) REQUIRE EXISTS (SELECT 1 FROM balances b WHERE b.account = account) ELSE 'no' INTO kinds AS SELECT account AS t",
            "42702: line 1, column 96: column reference \"account\" is ambiguous",
        ),
        (
            "() LET balance = 1 REQUIRE EXISTS (SELECT 1 FROM balances WHERE balance > 0) ELSE 'no' INTO kinds AS SELECT 1 AS i",
            "42702: ",
        ),
        (
            "(account TEXT) INTO transactions AS SELECT account, 'deposit' AS kind",
            "23502: line 1, column 42: the column 'amount' of the stream 'transactions' may not be NULL",
        ),
        (
            "(a TEXT DEFAULT (SELECT max(account) FROM balances)) INTO kinds AS SELECT a AS t",
            "0A000: line 1, column 23: a query is no constant",
        ),
        // No text that could be compared so.
        (
            "(a INTEGER) REQUIRE a > 'b' ELSE 'no' INTO kinds AS SELECT a AS i",
            "22P02: line 1, column 34: ",
        ),
        (
            "(a DATE) REQUIRE a IN ('2024-01-01', '2024-13-01') ELSE 'no' INTO kinds AS SELECT a AS y",
            "2024-13-01",
        ),
        (
            "(a BOOLEAN) REQUIRE CASE WHEN a THEN 1 = 'one' ELSE true END ELSE 'no' INTO kinds AS SELECT a AS o",
            "22P02: ",
        ),
        (
            "() REQUIRE (SELECT count(*) FROM balances WHERE balance > 'much') > 0 ELSE 'no' INTO kinds AS SELECT 1 AS i",
            "22P02: ",
        ),
        ("(a INTEGER CHECK (a <> 'x')) INTO kinds AS SELECT a AS i", "22P02: "),
        ("(a INTEGER) INTO kinds AS SELECT a + 'x' AS i", "22P02: "),
        ("(a TEXT) INTO kinds AS SELECT 'x' AS i, a AS t", "'x' is no INTEGER"),
        (
            "(a TEXT) INTO transactions AS VALUES (a, 'deposit', 1), (a, 'deposit', 'much')",
            "'much' is no DECIMAL(18,2)",
        ),
        ("(a BOOLEAN) INTO kinds AS SELECT a AS y", "42804: "),
        // In order it would go into 't'.
        (
            "(a TEXT) INTO kinds AS SELECT a AS tt",
            "42703: line 1, column 57: the stream 'kinds' has no column 'tt'",
        ),
        (
            "(a TEXT) INTO kinds AS SELECT a AS t UNION ALL SELECT a AS u",
            "CREATE COMMAND",
        ),
        (
            "(account TEXT) INTO transactions AS SELECT account, 'deposit' AS kind, NULL AS amount",
            "23502: line 1, column 42: the column 'amount' of the stream 'transactions' may not be NULL",
        ),
        (
            "(a TEXT) INTO kinds AFTER 'never' AS SELECT a AS t",
            "22P02: line 1, column 42: never is no span of time",
        ),
        (
            "(a TEXT) INTO kinds AT 'tomorrow or so' AS SELECT a AS t",
            "22P02: line 1, column 42: tomorrow or so is no moment in time",
        ),
    ] {
        let text = format!("CREATE COMMAND fresh {definition}");
        let came = scratch.rows(&text).await;
        if !came.contains(said) {
            wrong.push(format!("{text}\n  expected {said}\n  came     {came}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_says_what_was_read_and_who_said_no() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    scratch
        .call("deposit", r#"{"account":"ann","amount":50}"#, None)
        .await
        .expect("a deposit");
    let partition = if scratch.rows("SELECT _partition FROM transactions").await == "0" {
        0
    } else {
        1
    };
    let at = if partition == 0 {
        "transactions/0@1,1@0"
    } else {
        "transactions/0@0,1@1"
    };
    let stood = format!("transactions/{partition}@1");
    let early = scratch.rows("EXPLAIN CALL deposit('O''Neil', 5)").await;
    assert!(
        early.starts_with("CALL deposit(account => 'O''Neil', amount => 5.00, note => 'by hand')"),
        "{early}"
    );
    let refused = scratch
        .rows("EXPLAIN CALL withdraw(amount => 60, account => 'ann')")
        .await;
    assert_eq!(
        refused,
        format!(
            r#"CALL withdraw(account => 'ann', amount => 60.00)
decided at {at}

  read     balances: 1 row(s) of key ["ann"], at {stood}
             {{"account":"ann","balance":50.00,"entries":1}}
  LET      balance = 50.00   -- (SELECT balance FROM balances b WHERE b.account = withdraw.account)
  REQUIRE  balance IS NOT NULL                                          yes
  LET      rest = -10.00   -- balance - amount
  REQUIRE  rest >= 0                                                    NO

refused (insufficient_funds): insufficient funds: 50.00 of 60.00 {{EUR}}"#
        )
    );
    let appended = scratch.rows("EXPLAIN CALL withdraw('ann', 20)").await;
    let event = r#"{"account":"ann","kind":"withdrawal","amount":20.00,"note":"leaves 30.00"}"#;
    assert!(
        appended.ends_with(&format!(
            "would append 1 event(s)\n  transactions/{partition} key \"ann\": {event}"
        )),
        "{appended}"
    );
    let unknown = scratch.rows("EXPLAIN CALL withdraw('bob', 20)").await;
    assert!(
        unknown.contains(r#"read     balances: 0 row(s) of key ["bob"]"#),
        "{unknown}"
    );
    assert!(
        unknown.contains("REQUIRE  rest >= 0                                                    not asked any more"),
        "{unknown}"
    );
    let json = scratch.rows("EXPLAIN (FORMAT JSON) CALL withdraw('ann', 60)").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    assert_eq!(json["outcome"]["code"], "insufficient_funds");
    assert_eq!(json["steps"][0]["keys"], serde_json::json!([["ann"]]));
    assert_eq!(
        json["steps"][4],
        serde_json::json!({"step": "require", "condition": "rest >= 0", "asked": true, "holds": false})
    );
    let failed = scratch.rows("EXPLAIN CALL divide(1, 0)").await;
    assert!(failed.contains("failed (division_by_zero)"), "{failed}");
    assert_eq!(
        scratch.rows("SELECT count(*) FROM transactions").await,
        "1",
        "nothing was appended"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_says_what_would_be_appended_and_appends_nothing() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    scratch
        .call("deposit", r#"{"account":"ann","amount":50}"#, None)
        .await
        .expect("a deposit");
    let session = session();
    let trial = |arguments: &'static str| {
        let arguments = Arguments::Json(arguments.into());
        scratch.commands.try_out(&session, "withdraw", arguments)
    };
    let (events, position) = trial(r#"{"account":"ann","amount":20}"#)
        .await
        .expect("it would be done");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].key.as_deref(), Some("ann"));
    assert!(position.to_string().contains("@1"), "{position}");
    let refused = trial(r#"{"account":"ann","amount":60}"#)
        .await
        .expect_err("it would be refused");
    assert_eq!(refused.code(), "insufficient_funds");
    assert_eq!(scratch.rows("SELECT count(*) FROM transactions").await, "1");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_ends_as_it_began() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    let hold = scratch.log.hold(&["transactions".to_owned()]).await;
    let mut calling = Box::pin(scratch.call("deposit", r#"{"account":"ann","amount":5}"#, None));
    // From its first step on it is under way; it cannot end while the stream is held.
    assert!(futures::future::poll_immediate(&mut calling).await.is_none());
    let replaced = "CREATE OR REPLACE COMMAND deposit (account TEXT) INTO transactions AS SELECT account, 'gift' AS kind, 1 AS amount";
    assert_eq!(scratch.rows(replaced).await, "CREATE COMMAND");
    drop(hold);
    let old = line(&calling.await);
    assert!(
        old.contains(r#""kind":"deposit","amount":5.00,"note":"by hand""#),
        "{old}"
    );
    let new = line(&scratch.call("deposit", r#"{"account":"ann"}"#, None).await);
    assert!(new.contains(r#""kind":"gift","amount":1.00"#), "{new}");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_shows_each_read_once_and_says_how_much_it_leaves_out() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    let rows = "SELECT 'account ' || value, 'deposit', 1, NULL FROM generate_series(1, 23)";
    let inserted = scratch.rows(&format!("INSERT INTO transactions {rows}")).await;
    assert!(inserted.starts_with("INSERT"), "{inserted}");
    assert_eq!(scratch.rows("SELECT count(*) FROM balances").await, "23");
    let explained = scratch.rows("EXPLAIN CALL boast()").await;
    assert_eq!(explained.matches("  read     ").count(), 1, "{explained}");
    assert!(
        explained.contains("balances: 23 row(s) of the whole view"),
        "{explained}"
    );
    assert_eq!(explained.matches("{\"account\"").count(), 20, "{explained}");
    assert!(explained.contains("\n             … and 3 more\n"), "{explained}");
    scratch.close();
}

/// Between two looks at the clock time passes: a decision looks once, so that what was checked is what the event says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_has_one_now() {
    let folder = folder();
    let scratch = Scratch::open(folder.path());
    scratch
        .define(
            "CREATE STREAM moments (a TIMESTAMPTZ, b TIMESTAMPTZ, c TIMESTAMPTZ) WITH (partitions = 1);
             CREATE COMMAND look (a TIMESTAMPTZ DEFAULT now() CHECK (a = now()))
             LET b = now()
             REQUIRE look.a = b AND b = now() ELSE 'the clock moved'
             INTO moments AS SELECT a, b, now() AS c;
             CREATE COMMAND look_about (a TIMESTAMPTZ DEFAULT now())
             LET b = (SELECT now() FROM moments LIMIT 1)
             REQUIRE look_about.a = b AND (SELECT count(*) FROM moments m WHERE m.a < now()) > 0 ELSE 'the clock moved'
             INTO moments AS SELECT a, b, now() AS c;",
        )
        .await;
    for _ in 0..20 {
        for command in ["look", "look_about"] {
            let outcome = scratch.call(command, "{}", None).await;
            assert!(outcome.is_ok(), "{command}: {}", line(&outcome));
        }
    }
    let differ = "SELECT count(*), count(*) FILTER (WHERE a IS DISTINCT FROM b OR b IS DISTINCT FROM c) FROM moments";
    assert_eq!(scratch.rows(differ).await, "40|0");
    scratch.close();
}

/// The types of parameters are known in the elements of an array, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elements_of_arrays_are_worked_out_of_parameters() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    scratch
        .define(
            "CREATE COMMAND look (n INTEGER, d DECIMAL(10,2) DEFAULT 1.5, t TEXT DEFAULT 'x')
             LET is_there = n = ANY (ARRAY[1, n * abs(n)])
             LET all_of = ARRAY[1, n * coalesce(abs(n), n), n * 2.5, n + d]::text
             LET inner_ones = ARRAY[ARRAY[n, 1], ARRAY[abs(n), n / 2]]::text
             REQUIRE t LIKE ANY (ARRAY[t || '%', 'nothing']) ELSE 'no'
             INTO kinds AS SELECT n AS i, is_there AS o, all_of || ' ' || inner_ones AS t;",
        )
        .await;
    check(
        &scratch,
        &[
            (
                "look",
                r#"{"n":-1}"#,
                "ok",
                r#"{"t":"[1.00, -1.00, -2.50, 0.50] [[-1, 1], [1, 0]]","i":-1,"o":true}"#,
            ),
            ("look", r#"{"n":1}"#, "ok", r#""o":true"#),
            ("look", r#"{"n":null}"#, "ok", r#"{"t":"[1.00, , , ] [[, 1], [, ]]"}"#),
        ],
    )
    .await;
    scratch.close();
}

/// Each LET is an expression of its own, however many stand one behind the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_lets_is_no_deep_expression() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    let lets: Vec<String> = (1..100)
        .map(|number| format!("LET v{number} = v{} + 1", number - 1))
        .collect();
    let chain = format!(
        "CREATE COMMAND chain (v0 BIGINT) {} INTO kinds AS SELECT v99 AS b",
        lets.join(" ")
    );
    assert_eq!(scratch.rows(&chain).await, "CREATE COMMAND");
    check(&scratch, &[("chain", r#"{"v0":1}"#, "ok", r#""b":100"#)]).await;
    let sum = vec!["1"; 202].join(" + ");
    let deep = scratch
        .rows(&format!(
            "CREATE COMMAND deep () LET a = {sum} INTO kinds AS SELECT a AS b"
        ))
        .await;
    assert!(deep.contains("more than 200 operators in a row"), "{deep}");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_that_asks_for_rows_is_false_where_there_are_none() {
    let folder = folder();
    let scratch = scratch(&folder).await;
    scratch
        .define(
            "CREATE COMMAND known (who TEXT) REQUIRE EXISTS (SELECT 1 FROM balances b WHERE b.account = who) ELSE 'no' INTO kinds AS SELECT who AS t;
             CREATE COMMAND seen (who TEXT) REQUIRE who IN (SELECT t.account FROM transactions t WHERE t.account = who) ELSE 'no' INTO kinds AS SELECT who AS t;
             CREATE COMMAND listed (who TEXT CHECK (who IN (SELECT w.w FROM (VALUES ('ann'), ('bob')) AS w(w)))) INTO kinds AS SELECT who AS t;",
        )
        .await;
    for call in ["known('ann')", "seen('ann')"] {
        let explained = scratch.rows(&format!("EXPLAIN CALL {call}")).await;
        assert!(explained.contains(" NO\n"), "{call}: {explained}");
    }
    check(
        &scratch,
        &[
            ("listed", r#"{"who":"ann"}"#, "ok", r#""t":"ann""#),
            ("listed", r#"{"who":"eve"}"#, "check_failed", "who"),
        ],
    )
    .await;
    scratch.close();
}
