//! What an entity is, and how its events are read: pages from both ends, their versions, its key in every form, whoever wrote it.

use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event};
use serde_json::{Value, json};

use crate::LINES;
use crate::door::{Door, check};
use crate::ground::{JSON, amount, etag, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_is_read_in_pages_from_both_ends() {
    let door = open().await;
    for number in 0..5 {
        let body = format!("{}\n{}", amount("ann", &number.to_string()), amount("bob", "9"));
        let answer = door.request("POST", "/streams/accounts/events", &[LINES], &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // Of several entities there is no one version.
        assert_eq!(answer.header("etag"), None);
    }
    for (order, expected) in [("asc", [0, 1, 2, 3, 4]), ("desc", [4, 3, 2, 1, 0])] {
        let mut found: Vec<i64> = Vec::new();
        let mut next = Some(format!("/streams/accounts/entities/ann?order={order}&limit=2"));
        let mut pages = 0;
        while let Some(address) = next {
            let page = door.get(&address).await;
            assert_eq!(page.status, 200, "{address}: {page:?}");
            let json = page.json();
            found.extend(
                json["events"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|event| event["value"]["amount"].as_i64()),
            );
            next = json["next"].as_str().map(str::to_owned);
            let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
            assert_eq!(page.header("link"), link.as_deref());
            pages += 1;
        }
        assert_eq!((found.as_slice(), pages), (expected.as_slice(), 3), "{order}");
    }
    let read = door.get("/streams/accounts/entities/ann").await;
    let known = format!("If-None-Match: {}", etag(&read));
    let fresh = door
        .request("GET", "/streams/accounts/entities/ann", &[&known], "")
        .await;
    assert_eq!(
        (fresh.status, fresh.body.as_str(), etag(&fresh)),
        (304, "", etag(&read))
    );
    let head = door.request("HEAD", "/streams/accounts/entities/ann", &[], "").await;
    assert_eq!((head.status, head.body.as_str(), etag(&head)), (200, "", etag(&read)));
    for (query, code) in [
        ("from=x", "malformed_version"),
        ("from=7@0", "unknown_partition"),
        ("from=0@99", "position_beyond_end"),
        ("order=up", "parameter_out_of_range"),
        ("limit=10001", "parameter_out_of_range"),
        ("after=1", "unknown_parameter"),
    ] {
        let path = format!("/streams/accounts/entities/ann?{query}");
        check(&door, "GET", &path, &[], "", (400, code, "")).await;
    }
    check(
        &door,
        "GET",
        "/streams/nowhere/entities/a",
        &[],
        "",
        (404, "unknown_stream", ""),
    )
    .await;
    check(
        &door,
        "GET",
        "/streams/plain/entities/a",
        &[],
        "",
        (400, "not_indexed", "ALTER STREAM"),
    )
    .await;
    door.close().await;
}

/// Whoever takes one page for the whole history, or a page that was read before the newest event came, finds the rest in the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_has_the_version_that_it_goes_to() {
    let door = open().await;
    let entity = "/streams/accounts/entities/ann";
    for number in 0..5 {
        let answer = door
            .request("POST", entity, &[JSON], &amount("ann", &number.to_string()))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let whole = door.get(entity).await;
    let newest = etag(&whole).to_owned();
    let version = |place: usize| {
        let event = &whole.json()["events"][place];
        format!("{}@{}", event["partition"], event["offset"])
    };
    for (query, reaches) in [
        ("limit=2".to_owned(), 1),
        (format!("limit=2&from={}", version(1)), 3),
        (format!("limit=2&from={}", version(3)), 4),
        (format!("from={}", version(4)), 4),
        ("limit=5".to_owned(), 4),
        // The newest alone is what is asked for, and all of them are.
        ("order=desc&limit=1".to_owned(), 4),
        ("order=desc".to_owned(), 4),
        ("order=desc&limit=2".to_owned(), 3),
        (format!("order=desc&limit=2&from={}", version(3)), 1),
        (format!("order=desc&limit=2&from={}", version(1)), 0),
        (format!("order=desc&from={}", version(0)), 0),
    ] {
        let page = door.get(&format!("{entity}?{query}")).await;
        assert_eq!(etag(&page), format!("\"{}\"", version(reaches)), "{query}: {page:?}");
        assert_eq!(page.json()["version"], newest.trim_matches('"'), "{query}: {page:?}");
        if reaches < 4 {
            let expects = format!("If-Match: {}", etag(&page));
            let refused = (412, "condition_failed", "");
            check(&door, "POST", entity, &[JSON, &expects], &amount("ann", "9"), refused).await;
        }
    }
    // A page is new as long as events come behind it, even if its own are the same.
    let first = format!("{entity}?limit=2");
    let page = door.get(&first).await;
    let known = format!("If-None-Match: {}", etag(&page));
    assert_eq!(door.request("GET", &first, &[&known], "").await.status, 200);
    let known = format!("If-None-Match: {newest}");
    assert_eq!(door.request("GET", &first, &[&known], "").await.status, 304);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_bytes_and_stand_in_the_address() {
    let door = open().await;
    for (path, headers, body, expected) in [
        (
            "/streams/notes/entities/a%2Fb%20%C3%A9",
            vec![JSON, "If-None-Match: *"],
            "1",
            (200, "", ""),
        ),
        (
            "/streams/notes/entities/a%2Fb%20%C3%A9",
            vec![JSON, "If-None-Match: *"],
            "1",
            (412, "condition_failed", "a/b é"),
        ),
        (
            "/streams/notes/entities/k?envelope=true",
            vec![JSON],
            "{\"value\":1,\"key\":\"k\"}",
            (200, "", ""),
        ),
        (
            "/streams/notes/entities/k?envelope=true",
            vec![JSON],
            "{\"value\":1,\"key\":\"j\"}",
            (400, "other_key", "'j'"),
        ),
        (
            "/streams/notes/entities/k",
            vec![JSON, "Headwater-Key: k"],
            "1",
            (400, "other_key", "in the address"),
        ),
        (
            "/streams/accounts/entities/ann",
            vec![JSON],
            "{\"account\":\"bob\"}",
            (400, "other_key", "'bob'"),
        ),
        (
            "/streams/pairs/entities/%5B%22x%22,1%5D",
            vec![JSON, "If-None-Match: *"],
            "{\"a\":\"x\",\"b\":1}",
            (200, "", ""),
        ),
        (
            "/streams/pairs/entities/%5B%22x%22,1%5D",
            vec![JSON],
            "{\"a\":\"x\",\"b\":2}",
            (400, "other_key", ""),
        ),
        (
            "/streams/notes/events?key=k",
            vec![JSON, "If-Match: \"none\""],
            "1",
            (412, "condition_failed", ""),
        ),
        (
            "/streams/notes/events",
            vec![JSON, "If-Match: \"none\""],
            "1",
            (400, "not_one_entity", "no key"),
        ),
    ] {
        check(&door, "POST", path, &headers, body, expected).await;
    }
    let pair = door.get("/streams/pairs/entities/%5B%22x%22,1%5D").await;
    assert_eq!(pair.json()["events"].as_array().map(Vec::len), Some(1), "{pair:?}");
    door.close().await;
}

/// An event of an account as a Kafka client may write it.
fn produce(door: &Door, key: Option<&str>, value: &str) {
    let event = Event {
        key: key.map(|key| key.to_owned().into()),
        value: Some(value.to_owned().into()),
        ..Event::default()
    };
    let append = Append {
        parts: vec![Part {
            stream: "accounts".to_owned(),
            partition: 0,
            batch: Batch::encode(&[event], Compression::None, None),
        }],
        principal: "kafka".to_owned(),
        condition: None,
    };
    door.engine.log().append_blocking(append).expect("it is appended");
}

/// A Kafka client may give any key, or none: what the columns of `KEY` say is the entity all the same, for whoever reads it and for whoever expects a version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_is_found_by_its_columns_too() {
    let door = open().await;
    let (events, entity) = ("/streams/accounts/events", "/streams/accounts/entities/ann");
    let first = door.request("POST", events, &[JSON], &amount("ann", "100")).await;
    let expects = format!("If-Match: {}", etag(&first));
    let none_of = json!({"none_of": [{"stream": "accounts", "key": "ann"}]});
    let after = |position: &Value| json!({"after": position, "none_of": none_of["none_of"]});
    let position = first.json()["position"].clone();
    for (key, withdrawn) in [(None, "-90"), (Some("x"), "-1")] {
        produce(&door, key, &amount("ann", withdrawn));
        // Who read before it decides again.
        let late = door
            .request("POST", events, &[JSON, &expects], &amount("ann", "-90"))
            .await;
        assert_eq!(late.status, 412, "{key:?}: {late:?}");
        assert!(late.body.contains(&amount("ann", withdrawn)), "{key:?}: {late:?}");
        for condition in [none_of.clone(), after(&position)] {
            let body = json!({"events": [{"stream": "notes", "value": 1}], "condition": condition}).to_string();
            let refused = door.request("POST", "/events", &[JSON], &body).await;
            assert_eq!(refused.status, 412, "{key:?}: {refused:?}");
        }
        let insert = format!(
            "INSERT INTO accounts VALUES ('ann', 1) IF VERSION = '{}'",
            etag(&first).trim_matches('"')
        );
        let refused = door
            .request("POST", "/sql", &["Content-Type: text/plain"], &insert)
            .await;
        assert_eq!(refused.status, 412, "{key:?}: {refused:?}");
    }
    // It is read whole, from both ends, and found by a query; its version is that of the last.
    for (order, expected) in [("asc", [100_i64, -90, -1]), ("desc", [-1, -90, 100])] {
        for limit in [1, 2, 100, 101] {
            let mut found: Vec<i64> = Vec::new();
            let mut next = Some(format!("{entity}?order={order}&limit={limit}"));
            while let Some(address) = next {
                let page = door.get(&address).await.json();
                let page_events = page["events"].as_array().cloned().unwrap_or_default();
                found.extend(page_events.iter().filter_map(|event| event["value"]["amount"].as_i64()));
                next = page["next"].as_str().map(str::to_owned);
            }
            assert_eq!(found, expected, "{order} {limit}");
        }
    }
    let query = json!({"query": [{"stream": "accounts", "key": "ann"}]}).to_string();
    let found = door.request("POST", "/events/query", &[JSON], &query).await.json();
    assert_eq!(found["events"].as_array().map(Vec::len), Some(3), "{found}");
    let read = door.get(entity).await;
    let expects = format!("If-Match: {}", etag(&read));
    let second = door
        .request("POST", events, &[JSON, &expects], &amount("ann", "1"))
        .await;
    assert_eq!(second.status, 200, "{second:?}");
    // Whose own key says so is of the entity of that key as well.
    let other = door.get("/streams/accounts/entities/x").await.json();
    assert_eq!(other["events"].as_array().map(Vec::len), Some(1), "{other}");
    door.close().await;
}

/// Upcasters make rows: who reads events gets them as they were written, and is told which schema that was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_say_which_schema_they_were_written_with() {
    let door = open().await;
    let (events, entity) = ("/streams/accounts/events", "/streams/accounts/entities/ann");
    let first = door.request("POST", events, &[JSON], &amount("ann", "1")).await;
    assert_eq!(first.status, 200, "{first:?}");
    let before = door.get(entity).await.json();
    assert_eq!(before["events"][0].get("schema_version"), None, "{before}");
    door.sql("ALTER STREAM accounts ADD COLUMN teller TEXT").await;
    let second = door.request("POST", events, &[JSON], &amount("ann", "2")).await;
    assert_eq!(second.status, 200, "{second:?}");
    let query = json!({"query": [{"stream": "accounts", "key": "ann"}]}).to_string();
    let condition = json!({"none_of": [{"stream": "accounts", "key": "ann"}]});
    let append = json!({"events": [{"stream": "notes", "value": 1}], "condition": condition}).to_string();
    for (what, answer, member) in [
        ("a page", door.get(entity).await, "events"),
        (
            "a longer page",
            door.get(&format!("{entity}?limit=101")).await,
            "events",
        ),
        ("the stream", door.get(events).await, "events"),
        (
            "a query",
            door.request("POST", "/events/query", &[JSON], &query).await,
            "events",
        ),
        (
            "what came",
            door.request("POST", "/events", &[JSON], &append).await,
            "came",
        ),
    ] {
        let json = answer.json();
        let found = json[member].as_array().cloned().unwrap_or_default();
        let versions: Vec<&Value> = found.iter().map(|event| &event["schema_version"]).collect();
        assert_eq!(versions, [1, 2], "{what}: {json}");
    }
    // What was read may be written again.
    let read = door.get(entity).await.json()["events"][0].to_string();
    let again = door
        .request("POST", &format!("{events}?envelope=true"), &[JSON], &read)
        .await;
    assert_eq!(again.status, 200, "{again:?}");
    door.close().await;
}
