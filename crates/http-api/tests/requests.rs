//! Requests over real pieces: the resources, what is refused, and both sides of limits. Tails, commands and more have files of their own beside this.

mod bank;
mod bounds;
mod door;
mod hosts;
mod packed;
mod pages;
mod plain;
mod schedules;
mod strict;
mod tails;

use bank::{JSON, bank, deposit};
use door::{Door, check};
use serde_json::{Value, json};

const LINES: &str = "Content-Type: application/x-ndjson";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_in_all_or_none_and_come_out_in_order() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let path = "/streams/transactions/events";
    let body = format!("{}\n\n{}\n", deposit("a", "1.50"), deposit("b", "2"));
    let answer = door
        .request("POST", path, &[LINES, "Headwater-Header-Trace: t1"], &body)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["events"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer.header("headwater-position"), answer.json()["position"].as_str());
    let bad = format!("{}\n{}", deposit("c", "1"), deposit("d", "\"lots\""));
    check(&door, "POST", path, &[LINES], &bad, (422, "unfit", "\"line\":2")).await;
    check(
        &door,
        "POST",
        path,
        &[JSON],
        &deposit("e", "1.005"),
        (422, "unfit", "amount"),
    )
    .await;
    check(
        &door,
        "POST",
        path,
        &[JSON],
        "{\"account\":\"e\",\"kind\":\"deposit\"}",
        (422, "unfit", "amount"),
    )
    .await;
    check(&door, "POST", path, &[JSON], "no json", (422, "unfit", "line 1")).await;
    check(
        &door,
        "POST",
        path,
        &[JSON, "Headwater-Key: x"],
        &deposit("e", "1"),
        (400, "key_is_made", "made of its columns"),
    )
    .await;
    check(&door, "POST", path, &[LINES], "\n\n", (400, "no_event", "no event")).await;
    check(
        &door,
        "POST",
        path,
        &["Content-Type: image/png"],
        "x",
        (415, "unsupported_media_type", ""),
    )
    .await;
    check(
        &door,
        "POST",
        path,
        &[JSON, "Origin: http://evil.example"],
        &deposit("e", "1"),
        (403, "cross_site", ""),
    )
    .await;
    check(
        &door,
        "POST",
        "/streams/nowhere/events",
        &[JSON],
        "1",
        (404, "unknown_stream", ""),
    )
    .await;
    check(
        &door,
        "POST",
        "/streams/_headwater.catalog/events",
        &[JSON],
        "{}",
        (403, "not_allowed", ""),
    )
    .await;

    let page = door.get(path).await.json();
    let events = page["events"].as_array().expect("events");
    let seen: Vec<(&str, &str)> = events
        .iter()
        .map(|event| {
            (
                event["key"].as_str().unwrap(),
                event["headers"][0]["value"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen.len(), 2, "{page}");
    assert!(seen.contains(&("a", "t1")) && seen.contains(&("b", "t1")), "{page}");
    assert_eq!(events[0]["principal"], "anonymous");
    // One page after the other gives the same.
    let mut from = "beginning".to_owned();
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..3 {
        let page = door.get(&format!("{path}?limit=1&from={from}")).await.json();
        keys.extend(
            page["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["key"].as_str().unwrap().to_owned()),
        );
        from = page["next"].as_str().unwrap().to_owned();
    }
    assert_eq!(
        keys,
        seen.iter().map(|(key, _)| (*key).to_owned()).collect::<Vec<String>>()
    );
    assert_eq!(door.get(&format!("{path}?from=end")).await.json()["events"], json!([]));
    for (query, code, why) in [
        ("from=transactions/0@99", "position_beyond_end", "beyond the end"),
        ("from=notes/0@0", "malformed_position", "speaks of the stream"),
        ("from=nonsense", "malformed_position", "is no position"),
        ("from=transactions/7@0", "unknown_partition", "partition(s)"),
        ("partition=2", "unknown_partition", "partition(s)"),
        ("limit=10001", "parameter_out_of_range", "no number from 1 to 10000"),
        ("limit=0", "parameter_out_of_range", "no number from 1 to 10000"),
        ("form=beginning", "unknown_parameter", "no query parameter"),
    ] {
        check(&door, "GET", &format!("{path}?{query}"), &[], "", (400, code, why)).await;
    }
    // What is gone is told of by every position that names it, also the first; the beginning is where the stream begins now.
    let (log, partition) = (door.engine.log().clone(), events[0]["partition"].as_u64().unwrap());
    let deleted = tokio::task::spawn_blocking(move || log.delete_records("transactions", partition as u32, 1));
    assert_eq!(deleted.await.unwrap().unwrap(), 1);
    let streams = door.get("/streams").await.json();
    let mut listed = streams["streams"].as_array().into_iter().flatten();
    let stream = listed
        .find(|stream| stream["name"] == "transactions")
        .expect("the stream");
    assert_eq!(stream["events"], seen.len() - 1, "{stream}");
    let start = format!("{partition}@1");
    assert!(
        stream["start"].as_str().is_some_and(|text| text.contains(&start)),
        "{stream}"
    );
    let gone = format!("{path}?from=transactions/{partition}@0");
    check(&door, "GET", &gone, &[], "", (416, "out_of_range", "")).await;
    for from in [
        "beginning",
        &format!("transactions/{}@0", 1 - partition),
        &format!("transactions/{partition}@1"),
    ] {
        let page = door.get(&format!("{path}?from={from}")).await.json();
        let left = page["events"].as_array().expect("events");
        assert_eq!(left.len(), seen.len() - 1, "{from}: {page}");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schema_free_streams_take_any_json_with_a_key_beside_it() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let path = "/streams/notes/events";
    for (query, headers, body, key) in [
        ("", vec![JSON, "Headwater-Key: k1"], "{\"a\": 1}", json!("k1")),
        ("?key=k%202", vec![JSON], "[1.50]", json!("k 2")),
        ("?partition=1", vec![JSON], "\"x\"", Value::Null),
        (
            "?envelope=true",
            vec![JSON],
            "{\"key\":\"k3\",\"value\":1,\"headers\":[{\"name\":\"h\",\"value\":\"v\"}],\"timestamp\":\"2025-01-01T00:00:00Z\"}",
            json!("k3"),
        ),
    ] {
        let answer = door.request("POST", &format!("{path}{query}"), &headers, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let place = &answer.json()["events"][0];
        let (partition, offset) = (&place["partition"], &place["offset"]);
        if query == "?partition=1" {
            assert_eq!(partition, 1);
        }
        let page = door
            .get(&format!(
                "{path}?partition={partition}&from=notes/{partition}@{offset}&limit=1"
            ))
            .await
            .json();
        assert_eq!(page["events"][0]["key"], key, "{page}");
        if query == "?envelope=true" {
            assert_eq!(page["events"][0]["timestamp"], "2025-01-01T00:00:00Z");
            assert_eq!(page["events"][0]["headers"], json!([{"name": "h", "value": "v"}]));
        }
    }
    check(&door, "POST", path, &[JSON], "no json", (422, "unfit", "no JSON")).await;
    check(
        &door,
        "POST",
        &format!("{path}?partition=2"),
        &[JSON],
        "1",
        (400, "unknown_partition", "partition(s)"),
    )
    .await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_read_by_its_key_as_of_a_position() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let body: Vec<String> = (0..25)
        .map(|number| deposit(&format!("a/{number:02}"), "0.10"))
        .collect();
    let appended = door
        .request("POST", "/streams/transactions/events", &[LINES], &body.join("\n"))
        .await;
    let after = format!(
        "Headwater-After: {}",
        appended.header("headwater-position").expect("a position")
    );
    let row = door.request("GET", "/views/balances/a%2F07", &[&after], "").await;
    assert_eq!(
        (row.status, row.body.as_str()),
        (200, "{\"account\":\"a/07\",\"balance\":0.10,\"entries\":1}")
    );
    assert!(
        row.header("headwater-position")
            .is_some_and(|position| position.starts_with("transactions/"))
    );
    let two = door
        .request("GET", "/views/by_kind/a%2F07/deposit", &[&after], "")
        .await;
    assert_eq!(two.json(), json!({"account": "a/07", "kind": "deposit", "entries": 1}));
    let head = door.request("HEAD", "/views/balances/a%2F07", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    // Who says how long a wait may be is answered by the router, who says nothing at once: the same.
    for (path, status) in [
        ("/views/balances/a%2F07", 200),
        ("/views/by_kind/a%2F07/deposit", 200),
        ("/views/balances/nobody", 404),
        ("/views/balances/", 400),
        ("/views/balances/a/b", 400),
        ("/views/balances/%ff", 400),
        ("/views/nowhere/x", 404),
        ("/views/rich/x", 404),
        ("/views//x", 404),
        ("/views/balances/%73earch", 404),
    ] {
        let shown = |answer: door::Answer| {
            let header = |name: &str| answer.header(name).map(str::to_owned);
            let headers = ["content-type", "headwater-position"].map(header);
            (answer.status, headers, answer.body)
        };
        let at_once = shown(door.get(path).await);
        let routed = shown(door.request("GET", path, &["Headwater-Wait-Ms: 5000"], "").await);
        assert_eq!(at_once, routed, "{path}");
        assert_eq!(at_once.0, status, "{path}: {at_once:?}");
    }

    check(
        &door,
        "GET",
        "/views/balances/nobody",
        &[],
        "",
        (404, "no_such_row", "no row"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/nowhere/x",
        &[],
        "",
        (404, "unknown_view", "GET /views"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/rich/x",
        &[],
        "",
        (404, "unknown_view", "plain view"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/transactions/x",
        &[],
        "",
        (404, "unknown_view", "is a stream"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/balances/a/b",
        &[],
        "",
        (400, "malformed_key", "1 column(s) and 2"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/balances/%ff",
        &[],
        "",
        (400, "bad_request", "UTF-8"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/balances/x",
        &["Headwater-After: x"],
        "",
        (400, "malformed_position", "no position"),
    )
    .await;
    let late = ["Headwater-After: transactions/0@1000000", "Headwater-Wait-Ms: 50"];
    check(
        &door,
        "GET",
        "/views/balances/x",
        &late,
        "",
        (504, "late", "did not reach"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/balances/x",
        &["Headwater-Wait-Ms: soon"],
        "",
        (400, "bad_request", "milliseconds"),
    )
    .await;

    let mut accounts: Vec<String> = Vec::new();
    let mut next = Some("/views/balances?limit=10".to_owned());
    while let Some(address) = next {
        let page = door.get(&address).await.json();
        accounts.extend(
            page["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["account"].as_str().unwrap().to_owned()),
        );
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(
        accounts,
        (0..25).map(|number| format!("a/{number:02}")).collect::<Vec<String>>()
    );
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_answer_with_rows_or_say_what_is_wrong() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let done = door
        .sql("INSERT INTO transactions VALUES ('a', 'deposit', 1.50), ('b', 'deposit', 60)")
        .await;
    assert_eq!(done.json()["tag"], "INSERT 0 2");
    let after = format!(
        "Headwater-After: {}",
        done.header("headwater-position").expect("a position")
    );
    for (accept, expected) in [
        (
            "application/json",
            "{\"columns\":[{\"name\":\"account\",\"type\":\"TEXT\"},{\"name\":\"balance\",\"type\":\"DECIMAL(28,2)\"}],\"rows\":[[\"a\",1.50],[\"b\",60.00]]}",
        ),
        (
            "application/x-ndjson",
            "{\"account\":\"a\",\"balance\":1.50}\n{\"account\":\"b\",\"balance\":60.00}\n",
        ),
        ("text/csv", "account,balance\r\na,1.50\r\nb,60.00\r\n"),
    ] {
        let accept = format!("Accept: {accept}");
        let headers = ["Content-Type: text/plain", &accept, &after];
        let answer = door
            .request(
                "POST",
                "/sql",
                &headers,
                "SELECT account, balance FROM balances ORDER BY account",
            )
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{accept}");
    }
    let question =
        json!({"sql": "SELECT account FROM rich WHERE balance >= $1 AND account <> $2", "parameters": [60, "a"]})
            .to_string();
    assert_eq!(
        door.request("POST", "/sql", &[JSON], &question).await.json()["rows"],
        json!([["b"]])
    );
    for (body, status, name, part) in [
        ("SELECT\n amout FROM transactions", 400, "statement", "\"line\":2"),
        ("SELECT 1; SELECT 2", 400, "bad_request", "several"),
        (" ", 400, "no_statement", "no statement"),
        ("DELETE FROM transactions", 400, "statement", "append-only"),
        (
            "INSERT INTO transactions (account) VALUES ('x')",
            422,
            "unfit",
            "NOT NULL",
        ),
        ("CALL withdraw('a', 100)", 422, "refused", "insufficient funds"),
        (
            "SELECT 1 / (balance - balance) FROM balances",
            400,
            "statement",
            "22012",
        ),
    ] {
        check(
            &door,
            "POST",
            "/sql",
            &["Content-Type: text/plain"],
            body,
            (status, name, part),
        )
        .await;
    }
    check(
        &door,
        "POST",
        "/sql",
        &[JSON],
        "{\"query\":\"SELECT 1\"}",
        (400, "bad_request", "no question"),
    )
    .await;
    check(
        &door,
        "POST",
        "/sql",
        &["Content-Type: text/html"],
        "SELECT 1",
        (415, "unsupported_media_type", ""),
    )
    .await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_can_be_seen() {
    let door = Door::open(|_| {}).await;
    bank(&door).await;
    let document = door.get("/openapi.json").await.json();
    for path in [
        "/streams/transactions/events",
        "/views/balances",
        "/views/balances/{account}",
        "/views/by_kind/{account}/{kind}",
        "/views/balances/changes",
        "/commands/withdraw",
        "/sql",
        "/subjects/{subject}/versions/{version}",
        "/config/{subject}",
    ] {
        assert!(document["paths"][path].is_object(), "{path}: {document}");
    }
    let named = |path: &str, method: &str| -> Vec<String> {
        let parameters = document["paths"][path][method]["parameters"].as_array().cloned();
        let names = parameters.unwrap_or_default().into_iter();
        names
            .map(|parameter| parameter["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(named("/schedules", "get"), ["limit", "after"]);
    for (path, method) in [
        ("/sql", "post"),
        ("/views/balances", "get"),
        ("/views/balances/{account}", "get"),
    ] {
        let names = named(path, method);
        assert!(
            names.ends_with(&["Headwater-After".to_owned(), "Headwater-Wait-Ms".to_owned()]),
            "{path}: {names:?}"
        );
    }
    let arguments =
        &document["paths"]["/commands/withdraw"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(arguments["required"], json!(["account", "amount"]));
    assert_eq!(door.get("/health").await.json()["status"], "ready");
    assert_eq!(door.get("/health/live").await.status, 200);
    let metrics = door.get("/metrics").await.body;
    assert!(
        metrics.contains("headwater_view_lag_events{view=\"balances\"} "),
        "{metrics}"
    );
    assert!(door.get("/").await.body.contains("<title>Headwater</title>"));
    for (path, member) in [("/streams", "streams"), ("/views", "views"), ("/commands", "commands")] {
        assert!(
            door.get(path).await.json()[member]
                .as_array()
                .is_some_and(|list| !list.is_empty()),
            "{path}"
        );
    }
    // What flows where: from commands into streams, from streams by pipelines into others.
    door.sql("CREATE STREAM large KEY (account) AS SELECT account, amount FROM transactions WHERE amount > 1000")
        .await;
    let streams = door.get("/streams").await.json();
    let of = |name: &str| {
        let mut listed = streams["streams"].as_array().into_iter().flatten();
        listed.find(|stream| stream["name"] == name).cloned()
    };
    let large = of("large").expect("the pipeline's stream");
    assert_eq!(large["pipeline"]["sources"], json!(["transactions"]), "{large}");
    assert_eq!(large["pipeline"]["status"]["parked"], 0, "{large}");
    assert_eq!(of("transactions").expect("the stream")["pipeline"], Value::Null);
    let commands = door.get("/commands").await.json();
    let mut listed = commands["commands"].as_array().into_iter().flatten();
    let withdraw = listed.find(|command| command["name"] == "withdraw");
    assert_eq!(withdraw.expect("the command")["into"], json!(["transactions"]));
    check(&door, "GET", "/nowhere", &[], "", (404, "not_found", "openapi")).await;
    check(&door, "DELETE", "/sql", &[], "", (405, "method_not_allowed", "")).await;
    let options = door.request("OPTIONS", "/sql", &[], "").await;
    assert_eq!((options.status, options.header("allow")), (204, Some("POST")));
    door.close().await;
}
