//! Commands over HTTP: decided once, tried out, explained, and not decided at all.

mod bank;
mod door;

use std::time::{Duration, Instant};

use bank::{JSON, bank, deposit};
use door::{Door, check};
use serde_json::{Value, json};

const PATH: &str = "/commands/withdraw";

/// A bank where BradA has 100.00.
async fn open() -> Door {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let path = "/streams/transactions/events";
    door.request("POST", path, &[JSON], &deposit("BradA", "100.00")).await;
    door
}

async fn events(door: &Door) -> usize {
    let answer = door.get("/streams/transactions/events").await.json();
    answer["events"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_appends_nothing_has_no_position_and_no_time() {
    let door = open().await;
    door.sql(
        "CREATE COMMAND settle (account TEXT) INTO transactions AS SELECT b.account, 'withdrawal' AS kind, b.balance AS amount \
         FROM balances b WHERE b.account = settle.account AND b.balance > 0",
    )
    .await;
    door.sql("CREATE STREAM says (text TEXT)").await;
    door.sql("CREATE COMMAND note (text TEXT) INTO says AS SELECT text WHERE text <> ''")
        .await;
    let nothing = json!({"events": [], "position": null, "appended_at": null, "repeated": false});
    let mut repeated = nothing.clone();
    repeated["repeated"] = json!(true);
    // Alone, and together with others.
    for command in ["settle", "note"] {
        let path = format!("/commands/{command}");
        let body = if command == "note" {
            r#"{"text":""}"#
        } else {
            r#"{"account":"nobody"}"#
        };
        let answer = door.request("POST", &path, &[JSON], body).await;
        assert_eq!(answer.json(), nothing, "{command}");
        assert_eq!(answer.header("headwater-position"), None, "{command}");
        for expected in [&nothing, &repeated] {
            let answer = door.request("POST", &path, &[JSON, "Idempotency-Key: k"], body).await;
            assert_eq!(answer.json(), *expected, "{command}");
        }
    }
    let tried = door
        .request("POST", "/commands/note?dry_run=true", &[JSON], r#"{"text":"x"}"#)
        .await
        .json();
    assert_eq!(tried["position"], Value::Null, "nothing is read: {tried}");
    let done = door
        .request("POST", "/commands/settle", &[JSON], r#"{"account":"BradA"}"#)
        .await
        .json();
    assert_eq!(done["events"].as_array().map(Vec::len), Some(1), "{done}");
    assert!(
        done["appended_at"]
            .as_str()
            .is_some_and(|moment| !moment.starts_with("1970")),
        "{done}"
    );
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_decides_once() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    door.request(
        "POST",
        "/streams/transactions/events",
        &[JSON],
        &deposit("BradA", "100.00"),
    )
    .await;
    let path = "/commands/withdraw";
    let arguments = "{\"account\":\"BradA\",\"amount\":20.10}";
    let first = door
        .request("POST", path, &[JSON, "Idempotency-Key: k"], arguments)
        .await;
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.body.contains("\"amount\":20.10"), "{first:?}");
    let again = door
        .request("POST", path, &[JSON, "Idempotency-Key: k"], arguments)
        .await;
    assert_eq!(
        (again.json()["events"].clone(), again.json()["repeated"].clone()),
        (first.json()["events"].clone(), json!(true))
    );
    let after = format!(
        "Headwater-After: {}",
        first.header("headwater-position").expect("a position")
    );
    let row = door.request("GET", "/views/balances/BradA", &[&after], "").await;
    assert!(row.body.contains("\"balance\":79.90"), "{row:?}");
    let other = "{\"account\":\"BradA\",\"amount\":1}";
    check(
        &door,
        "POST",
        path,
        &[JSON, "Idempotency-Key: k"],
        other,
        (
            422,
            "idempotency_key_reused",
            "urn:headwater:problem:idempotency-key-reused",
        ),
    )
    .await;
    check(
        &door,
        "POST",
        path,
        &[JSON],
        "{\"account\":\"BradA\",\"amount\":79.91}",
        (422, "refused", "\"detail\":\"insufficient funds\""),
    )
    .await;
    check(
        &door,
        "POST",
        path,
        &[JSON],
        "{\"account\":\"BradA\",\"amount\":-1}",
        (422, "refused", "positive"),
    )
    .await;
    check(
        &door,
        "POST",
        path,
        &[JSON],
        "{\"account\":\"BradA\"}",
        (400, "missing_argument", "\"parameter\":\"amount\""),
    )
    .await;
    check(
        &door,
        "POST",
        path,
        &[JSON],
        "{\"account\":\"BradA\",\"amount\":1,\"colour\":2}",
        (400, "unknown_argument", "\"parameter\":\"colour\""),
    )
    .await;
    check(
        &door,
        "POST",
        path,
        &[JSON],
        "{\"account\":\"BradA\",\"amount\":1.005}",
        (400, "invalid_argument", "\"parameter\":\"amount\""),
    )
    .await;
    check(&door, "POST", path, &[JSON], "[1]", (400, "invalid_arguments", "")).await;
    check(
        &door,
        "POST",
        "/commands/nothing",
        &[JSON],
        "{}",
        (404, "unknown_command", ""),
    )
    .await;
    for (length, status) in [(255, 200), (256, 400)] {
        let key = format!("Idempotency-Key: {}", "x".repeat(length));
        assert_eq!(
            door.request("POST", path, &[JSON, &key], other).await.status,
            status,
            "{length}"
        );
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_would_be_appended_and_appends_nothing() {
    let door = open().await;
    door.sql("CREATE STREAM reminders (account TEXT NOT NULL, amount DECIMAL(18,2)) KEY (account)")
        .await;
    door.sql(
        "CREATE COMMAND remind (account TEXT, amount DECIMAL(18,2)) INTO transactions AS SELECT account, 'reminder' AS kind, amount, \
         INTO reminders AT TIMESTAMP '2031-01-02 03:04:05' NAMED 'remind ' || account AS SELECT account, amount",
    )
    .await;
    let dry = format!("{PATH}?dry_run=true");
    let answer = door
        .request("POST", &dry, &[JSON], "{\"account\":\"BradA\",\"amount\":20.10}")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.body.contains("\"amount\":20.10"),
        "exact to the last digit: {answer:?}"
    );
    let said = answer.json();
    assert_eq!(said["dry_run"], true);
    let event = &said["events"][0];
    assert_eq!(
        (&event["stream"], &event["key"]),
        (&json!("transactions"), &json!("BradA"))
    );
    assert_eq!((event.get("due"), event.get("offset")), (None, None), "{event}");
    assert!(
        said["position"]
            .as_str()
            .is_some_and(|position| position.starts_with("transactions/"))
    );
    // The refusal that the call would have been, and its mistakes.
    for (arguments, expected) in [
        (
            "{\"account\":\"BradA\",\"amount\":100.01}",
            (422, "refused", "insufficient funds"),
        ),
        ("{\"account\":\"BradA\"}", (400, "missing_argument", "amount")),
    ] {
        check(&door, "POST", &dry, &[JSON], arguments, expected).await;
    }
    // What would come later says when, and by what it would be cancelled.
    let answer = door
        .request(
            "POST",
            "/commands/remind?dry_run=true",
            &[JSON],
            "{\"account\":\"BradA\",\"amount\":1}",
        )
        .await;
    let later = &answer.json()["events"][1];
    assert_eq!(
        (&later["stream"], &later["schedule"]),
        (&json!("reminders"), &json!("remind BradA")),
        "{answer:?}"
    );
    assert!(
        later["due"]
            .as_str()
            .is_some_and(|due| due.starts_with("2031-01-02T03:04:05")),
        "{later}"
    );
    check(
        &door,
        "POST",
        "/commands/withdraw?dry_run=perhaps",
        &[JSON],
        "{}",
        (400, "bad_request", "dry_run"),
    )
    .await;
    assert_eq!(events(&door).await, 1);
    assert!(door.get("/schedules").await.body.contains("\"pending\":0"));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_shows_the_whole_way_to_the_decision() {
    let door = open().await;
    let explain = format!("{PATH}?explain=true");
    let explained = async |amount: &str| -> Value {
        let arguments = format!("{{\"account\":\"BradA\",\"amount\":{amount}}}");
        let answer = door.request("POST", &explain, &[JSON], &arguments).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let said = explained("20.00").await;
    assert_eq!(said["outcome"]["outcome"], "append", "{said}");
    let said = explained("120.00").await;
    let outcome = json!({"outcome": "refused", "code": "refused", "detail": "insufficient funds"});
    assert_eq!(said["outcome"], outcome, "{said}");
    let steps = said["steps"].as_array().cloned().unwrap_or_default();
    let read = steps.iter().find(|step| step["step"] == "read").expect("a row is read");
    assert_eq!(
        (&read["view"], &read["keys"]),
        (&json!("balances"), &json!([["BradA"]]))
    );
    assert_eq!(read["rows"][0]["balance"], json!(100.00));
    let requires = steps.iter().filter(|step| step["step"] == "require");
    let held: Vec<&Value> = requires.map(|step| &step["holds"]).collect();
    assert_eq!(held, [&json!(true), &json!(false)]);
    // One that says no first leaves the others unasked.
    let said = explained("-1").await;
    assert_eq!(
        said["steps"]
            .as_array()
            .and_then(|steps| steps.last())
            .map(|step| &step["asked"]),
        Some(&json!(false))
    );
    assert_eq!(events(&door).await, 1);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_view_is_being_built_is_not_decided() {
    let door = open().await;
    let views = door.engine.views().clone();
    let paused = tokio::task::spawn_blocking(move || views.pause("transactions")).await;
    let paused = paused.expect("it is paused").expect("the stream is folded");
    door.sql("CREATE MATERIALIZED VIEW counted STORED AS document AS SELECT account, count(*) AS entries FROM transactions GROUP BY account")
        .await;
    door.sql(
        "CREATE COMMAND note (account TEXT) INTO transactions REQUIRE (SELECT entries FROM counted c WHERE c.account = note.account) > 0 \
         ELSE 'it is unknown' AS SELECT account, 'note' AS kind, 0 AS amount",
    )
    .await;
    let arguments = "{\"account\":\"BradA\"}";
    for path in ["/commands/note", "/commands/note?dry_run=true"] {
        let answer = door.request("POST", path, &[JSON], arguments).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (503, &json!("view_building")),
            "{answer:?}"
        );
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    assert_eq!(events(&door).await, 1);
    drop(paused);
    let until = Instant::now() + Duration::from_secs(60);
    while door.request("POST", "/commands/note", &[JSON], arguments).await.status != 200 {
        assert!(Instant::now() < until, "the view is built in the end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(events(&door).await, 2);
    door.close().await;
}

/// One of the engine's functions looks for an overflow in programs that are not optimized, as tests are, and panics there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_which_the_program_panics_is_a_fault_of_the_program() {
    let door = open().await;
    door.sql(
        "CREATE COMMAND seek (start BIGINT) REQUIRE array_position(ARRAY[1, 2], 1, start) = 1 ELSE 'nothing' \
         INTO transactions AS SELECT 'BradA' AS account, 'found' AS kind, 0 AS amount",
    )
    .await;
    let call = |start: i64| json!({ "start": start }).to_string();
    for path in ["/commands/seek", "/commands/seek?dry_run=true", "/commands/seek"] {
        let answer = door.request("POST", path, &[JSON], &call(i64::MIN)).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (500, &json!("internal")),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(events(&door).await, 1, "nothing is appended");
    let answer = door.request("POST", "/commands/seek", &[JSON], &call(1)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    door.close().await;
}
