//! What would be passed over without a word is refused, and what is taken is what was sent.

use serde_json::{Value, json};

use crate::bank::{JSON, bank, deposit};
use crate::door::{Door, check};

/// What `curl -d` says of a body.
const CURL: &str = "Content-Type: application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_has_one_thing_at_least_and_a_tail_no_limit() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    door.request("POST", "/streams/transactions/events", &[JSON], &deposit("a", "1"))
        .await;
    for path in [
        "/streams/transactions/events",
        "/streams/transactions/entities/a",
        "/events",
        "/views/balances",
        "/views/balances/lineage/a",
        "/schedules",
    ] {
        for limit in ["0", "x", "", "1000000"] {
            let path = format!("{path}?limit={limit}");
            let refused = (400, "parameter_out_of_range", "which is no number from 1 to");
            check(&door, "GET", &path, &[], "", refused).await;
        }
    }
    let tail = ["Accept: text/event-stream"];
    let refused = (400, "parameter_out_of_range", "a tail has no end");
    check(&door, "GET", "/streams/transactions/events?limit=1", &tail, "", refused).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_nothing_takes_are_refused() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    for (method, path, body) in [
        ("GET", "/streams?limit=1", ""),
        ("GET", "/views?limit=1", ""),
        ("GET", "/commands?limit=1", ""),
        ("POST", "/sql?limit=1", "SELECT 1"),
    ] {
        check(&door, method, path, &[], body, (400, "unknown_parameter", "'limit'")).await;
    }
    let question = json!({"sql": "SELECT account FROM balances WHERE account = $1", "parameters": ["a", "b"]});
    let refused = (400, "statement", "1 parameter(s), and 2 values were given");
    check(&door, "POST", "/sql", &[JSON], &question.to_string(), refused).await;
    let twice = r#"{"account":"a","amount":1,"amount":2}"#;
    let refused = (400, "invalid_argument", "there twice");
    check(&door, "POST", "/commands/withdraw", &[JSON], twice, refused).await;
    let refused = (400, "no_index", "has no index to search");
    check(&door, "GET", "/views/balances/search?q=x", &[], "", refused).await;
    for (position, why) in [
        ("nowhere/0@1", "the stream 'nowhere', which is not there"),
        ("transactions/2@1", "'transactions' has 2 partition(s)"),
        ("transactions", "is no position"),
    ] {
        let after = format!("Headwater-After: {position}");
        for (method, path, body) in [
            ("GET", "/views/balances/a", ""),
            ("POST", "/sql", "SELECT * FROM balances"),
        ] {
            check(&door, method, path, &[&after], body, (400, "malformed_position", why)).await;
        }
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_parameters_of_a_statement_and_json_needs_no_name() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let lines: Vec<String> = ["a", "b", "c"].map(|account| deposit(account, "1")).to_vec();
    let lines = lines.join("\n");
    let ndjson = "Content-Type: application/x-ndjson";
    let path = "/streams/transactions/events";
    let appended = door.request("POST", path, &[ndjson], &lines).await;
    let after = format!(
        "Headwater-After: {}",
        appended.header("headwater-position").expect("a position")
    );
    let sql = "SELECT account FROM balances WHERE account = ANY($1) ORDER BY account";
    for (accounts, expected) in [
        (json!(["c", "a", null, "x"]), json!([["a"], ["c"]])),
        (json!([]), json!([])),
    ] {
        let question = json!({"sql": sql, "parameters": [accounts]}).to_string();
        for kind in [JSON, CURL] {
            let answer = door.request("POST", "/sql", &[kind, &after], &question).await;
            assert_eq!(answer.json()["rows"], expected, "{answer:?}");
        }
    }
    let question = json!({"sql": "SELECT account FROM balances WHERE entries = $1", "parameters": [[1]]});
    let refused = (400, "statement", "'[1]' is no BIGINT");
    check(&door, "POST", "/sql", &[JSON], &question.to_string(), refused).await;
    door.close().await;
}

/// What means something at another address, or is there twice, is not passed over: whoever sends it counts on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_and_parameters_are_heeded_or_refused() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let append = "/streams/notes/events";
    let events = r#"{"events":[{"stream":"notes","value":1}]}"#;
    let insert = "INSERT INTO notes (value) VALUES ('1')";
    let withdraw = r#"{"account":"a","amount":1}"#;
    let key = "Idempotency-Key: k";
    let later = "Headwater-Append-After: 1 day";
    for (path, body, headers, code) in [
        ("/events", events, vec![later], "unknown_header"),
        ("/events", events, vec!["Headwater-Key: a"], "unknown_header"),
        ("/events", events, vec![key, key], "repeated_header"),
        ("/commands/withdraw", withdraw, vec![later], "unknown_header"),
        (
            "/commands/withdraw",
            withdraw,
            vec!["If-Match: \"none\""],
            "unknown_header",
        ),
        (
            "/commands/withdraw",
            withdraw,
            vec!["If-None-Match: *"],
            "unknown_header",
        ),
        ("/commands/withdraw", withdraw, vec![key, key], "repeated_header"),
        (
            "/commands/withdraw?dry_run=false&dry_run=true",
            withdraw,
            vec![],
            "repeated_parameter",
        ),
        ("/sql", insert, vec![key], "unknown_header"),
        ("/sql", insert, vec!["If-Match: \"0@0\""], "unknown_header"),
        ("/sql", insert, vec![later], "unknown_header"),
        ("/sql", "SELECT 1", vec!["Headwater-Aftr: notes/0@1"], "unknown_header"),
        (
            "/events/query",
            r#"{"query":[{}]}"#,
            vec!["If-Match: \"0@0\""],
            "unknown_header",
        ),
        (append, "1", vec![key, key], "repeated_header"),
        (append, "1", vec![later, later], "repeated_header"),
        (
            append,
            "1",
            vec!["If-Match: \"none\"", "If-Match: \"none\""],
            "repeated_header",
        ),
        ("/streams/notes/events?key=a&key=b", "1", vec![], "repeated_parameter"),
    ] {
        let headers: Vec<&str> = headers.into_iter().chain((path != "/sql").then_some(JSON)).collect();
        check(&door, "POST", path, &headers, body, (400, code, "")).await;
    }
    for (method, path, header, code) in [
        ("DELETE", "/schedules/late", "If-Match: \"0@0\"", "unknown_header"),
        (
            "GET",
            "/views/balances/a",
            "Headwater-Aftr: transactions/0@1",
            "unknown_header",
        ),
        (
            "GET",
            "/views/balances",
            "Headwater-Position: transactions/0@1",
            "unknown_header",
        ),
        (
            "GET",
            "/events?stream=notes&stream=transactions",
            "",
            "repeated_parameter",
        ),
        (
            "GET",
            "/events?stream=notes&after=notes/0@0&after=notes/0@1",
            "",
            "repeated_parameter",
        ),
    ] {
        let headers: Vec<&str> = Some(header).filter(|header| !header.is_empty()).into_iter().collect();
        check(&door, method, path, &headers, "", (400, code, "")).await;
    }
    assert_eq!(door.get(append).await.json()["events"], json!([]));
    for (path, header) in [
        (append, "Headwater-After: notes/0@0"),
        (append, "Headwater-Header-Trace: x"),
        ("/events", "Headwater-After: notes/0@0"),
    ] {
        let body = if path == append { "1" } else { events };
        check(&door, "POST", path, &[JSON, header], body, (200, "", "")).await;
    }
    let listed = door
        .get("/events?stream=transactions&kind=deposit&kind=withdrawal")
        .await;
    assert_eq!(listed.status, 400, "{listed:?}");
    assert_eq!(listed.json()["code"], "no_facets");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_says_what_it_means() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let path = "/streams/notes/events";
    for header in [
        "Headwater-Appendafter: 1 day",
        "Headwater-Header-: x",
        "Headwater-Header: x",
    ] {
        let headers = [JSON, header];
        check(
            &door,
            "POST",
            path,
            &headers,
            "1",
            (400, "unknown_header", "headwater-append-after"),
        )
        .await;
    }
    let both = [JSON, "Headwater-Key: a"];
    let keyed = "/streams/notes/events?key=b";
    check(&door, "POST", keyed, &both, "1", (400, "other_key", "send one of them")).await;
    for body in ["", " \n"] {
        check(&door, "POST", path, &[JSON], body, (400, "no_event", "no event")).await;
    }
    assert_eq!(door.get(path).await.json()["events"], json!([]));
    let same = door.request("POST", "/streams/notes/events?key=a", &both, "1").await;
    assert_eq!(same.status, 200, "{same:?}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_without_a_time_has_none() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    // The program's own definitions are such.
    let page = door.get("/streams/_headwater.catalog/events?limit=1").await.json();
    assert_eq!(page["events"][0]["timestamp"], Value::Null, "{page}");
    door.close().await;
}
