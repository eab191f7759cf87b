//! What queries and boundaries speak of: values of columns, however they are written, in events that are kept.

mod door;
#[expect(dead_code, reason = "other tests use all of it")]
mod ground;

use door::check;
use ground::{JSON, open};
use serde_json::json;

/// A tag means the value of its column however it is written; what no event can have, or none that is indexed, would be a condition that always holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_and_tags_are_values_of_their_columns() {
    let door = open().await;
    door.sql("CREATE STREAM typed (n INTEGER, price DECIMAL(10,2), paid BOOLEAN, day DATE, step INTEGER) KIND (step) TAGS (n, price, paid, day)")
        .await;
    let event = r#"{"n":5,"price":1.5,"paid":true,"day":"2026-01-31","step":3}"#;
    let answer = door.request("POST", "/streams/typed/events", &[JSON], event).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let condition =
        |item: &str| format!(r#"{{"events":[{{"stream":"notes","value":1}}],"condition":{{"none_of":[{item}]}}}}"#);
    let tag = |tag: &str| format!(r#"{{"tags":["{tag}"]}}"#);
    for (item, status, code) in [
        (tag("n:5"), 412, "condition_failed"),
        (tag("n:5.0"), 412, "condition_failed"),
        (tag("price:1.5"), 412, "condition_failed"),
        (tag("price:1.500"), 412, "condition_failed"),
        (tag("paid:true"), 412, "condition_failed"),
        (tag("day:2026-01-31"), 412, "condition_failed"),
        (
            r#"{"stream":"typed","kinds":["3.0"]}"#.to_owned(),
            412,
            "condition_failed",
        ),
        (tag("n:6"), 200, ""),
        (r#"{"stream":"typed","kinds":["4"]}"#.to_owned(), 200, ""),
        (tag("n:five"), 400, "unfit_term"),
        (tag("price:1.505"), 400, "unfit_term"),
        (tag("paid:yes"), 400, "unfit_term"),
        (tag("day:31.1.2026"), 400, "unfit_term"),
        (r#"{"stream":"typed","kinds":["three"]}"#.to_owned(), 400, "unfit_term"),
    ] {
        check(&door, "POST", "/events", &[JSON], &condition(&item), (status, code, "")).await;
    }
    let found = door
        .request(
            "POST",
            "/events/query",
            &[JSON],
            r#"{"query":[{"tags":["price:1.5"]}]}"#,
        )
        .await;
    assert_eq!(found.json()["events"].as_array().map(Vec::len), Some(1), "{found:?}");
    // Without its index nobody finds what the stream has.
    door.sql("ALTER STREAM typed SET (entities = 'none')").await;
    door.sql("DROP STREAM seats").await;
    for (item, part) in [
        (tag("n:5"), "declares TAGS"),
        (r#"{"kinds":["3"]}"#.to_owned(), "declares KIND"),
    ] {
        check(
            &door,
            "POST",
            "/events",
            &[JSON],
            &condition(&item),
            (400, "not_indexed", part),
        )
        .await;
    }
    door.close().await;
}

/// A key means the values of its stream's columns however they are written; what they cannot have would be a condition that always holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_the_values_of_its_columns() {
    let door = open().await;
    door.sql("CREATE STREAM prices (price DECIMAL(9,2)) KEY (price)").await;
    door.sql("CREATE STREAM days (x INTEGER, d DECIMAL(9,2), day DATE) KEY (x, d, day)")
        .await;
    for (stream, event) in [
        ("prices", r#"{"price":1.5}"#),
        ("days", r#"{"x":1,"d":1.5,"day":"2024-01-05"}"#),
    ] {
        let path = format!("/streams/{stream}/events");
        check(&door, "POST", &path, &[JSON], event, (200, "", "")).await;
    }
    for (stream, key, status) in [
        ("prices", json!("1.5"), 412),
        ("prices", json!("1.50"), 412),
        ("prices", json!("1.6"), 200),
        ("prices", json!("abc"), 400),
        ("prices", json!("1.505"), 400),
        ("days", json!(r#"[1,1.5,"2024-01-05"]"#), 412),
        ("days", json!(r#"["1", "1.50", "2024-01-05"]"#), 412),
        ("days", json!(r#"[2,1.5,"2024-01-05"]"#), 200),
        ("days", json!("[1]"), 400),
        ("days", json!("x"), 400),
    ] {
        let code = match status {
            412 => "condition_failed",
            400 => "malformed_key",
            _ => "",
        };
        for condition in [
            json!({"stream": stream, "key": key, "version": "none"}),
            json!({"none_of": [{"stream": stream, "key": key}]}),
        ] {
            let append = json!({"events": [{"stream": "notes", "value": 1}], "condition": condition}).to_string();
            check(&door, "POST", "/events", &[JSON], &append, (status, code, "")).await;
        }
    }
    let append = r#"{"events":[{"stream":"notes","value":1}],"condition":{"none_of":[{"key":"1.5"}]}}"#;
    check(&door, "POST", "/events", &[JSON], append, (412, "condition_failed", "")).await;
    for path in [
        "/streams/prices/entities/1.5",
        "/streams/days/entities/[1,1.5,%222024-01-05%22]",
        "/events?stream=prices&key=1.5",
        "/events?key=1.5",
    ] {
        let page = door.get(path).await;
        assert_eq!(
            page.json()["events"].as_array().map(Vec::len),
            Some(1),
            "{path}: {page:?}"
        );
    }
    assert_eq!(door.get("/streams/prices/entities/1.5").await.json()["key"], "1.50");
    let again = (200, "", "");
    check(
        &door,
        "POST",
        "/streams/prices/entities/1.5",
        &[JSON],
        r#"{"price":"1.500"}"#,
        again,
    )
    .await;
    for (method, path) in [
        ("GET", "/streams/prices/entities/x"),
        ("POST", "/streams/prices/entities/x"),
        ("GET", "/streams/days/entities/1"),
        ("GET", "/events?stream=prices&key=x"),
    ] {
        let refused = (400, "malformed_key", "makes it of its columns");
        check(&door, method, path, &[JSON], r#"{"price":1}"#, refused).await;
    }
    // What a client of Kafka gave for a key is asked for by its bytes.
    let append = r#"{"events":[{"stream":"notes","value":1}],"condition":{"stream":"prices","key_base64":"eA==","version":"none"}}"#;
    check(&door, "POST", "/events", &[JSON], append, (200, "", "")).await;
    door.close().await;
}

/// Whoever reads on from where events are gone would miss them and not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_on_behind_events_that_are_gone_is_refused() {
    let door = open().await;
    door.sql("CREATE STREAM steps (id TEXT NOT NULL, n INTEGER) KEY (id) TAGS (n) WITH (partitions = 1)")
        .await;
    for number in 0..4 {
        let event = format!(r#"{{"id":"a","n":{number}}}"#);
        check(&door, "POST", "/streams/steps/events", &[JSON], &event, (200, "", "")).await;
    }
    let log = door.engine.log().clone();
    let deleted = tokio::task::spawn_blocking(move || log.delete_records("steps", 0, 2)).await;
    assert_eq!(deleted.expect("it ends").expect("events are deleted"), 2);
    let query = |after: &str| format!(r#"{{"query":[{{"stream":"steps"}}],"after":"{after}"}}"#);
    for (after, status, code) in [
        ("steps/0@0", 200, ""),
        ("steps/0@1", 416, "position_gone"),
        ("steps/0@2", 200, ""),
        ("steps/0@4", 200, ""),
    ] {
        check(
            &door,
            "POST",
            "/events/query",
            &[JSON],
            &query(after),
            (status, code, ""),
        )
        .await;
    }
    // Whoever begins at the first event that is kept is told that it is not the first.
    for (address, gone_before) in [
        ("/streams/steps/entities/a", json!("steps/0@2")),
        ("/streams/steps/entities/a?from=0@2&limit=1", json!("steps/0@2")),
        ("/streams/accounts/entities/ann", json!(null)),
        ("/events?stream=steps", json!("steps/0@2")),
        ("/events?stream=steps&limit=1", json!("steps/0@2")),
        ("/events?stream=accounts", json!(null)),
        ("/events?limit=1", json!("steps/0@2")),
    ] {
        let page = door.get(address).await;
        assert_eq!(page.json()["gone_before"], gone_before, "{address}: {page:?}");
    }
    for (from, status, code) in [
        ("", 200, ""),
        ("?from=0@0", 416, "position_gone"),
        ("?from=0@1", 200, ""),
        ("?from=0@3", 200, ""),
        ("?from=0@3&order=desc", 200, ""),
    ] {
        let path = format!("/streams/steps/entities/a{from}");
        check(&door, "GET", &path, &[], "", (status, code, "")).await;
    }
    door.close().await;
}
