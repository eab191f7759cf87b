//! Pages of events: the bound in bytes, and an entity's page, which is answered before the router where memory has it. Pages of rows whose keys hold NULL, and the empty text.

use serde_json::{Value, json};

use crate::bank::{JSON, bank, deposit};
use crate::door::{Answer, Door, check};

/// The bank, with so many deposits to one account, and pages of at most so many bytes.
async fn opened(deposits: usize, bytes_max: usize) -> Door {
    let door = Door::open(|options| options.page_bytes_max = bytes_max).await;
    bank(&door).await;
    let body: Vec<String> = (0..deposits)
        .map(|number| deposit("ann", &number.to_string()))
        .collect();
    let lines = "Content-Type: application/x-ndjson";
    let path = "/streams/transactions/events";
    let answer = door.request("POST", path, &[lines], &body.join("\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    door
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_events_ends_early_where_it_is_full() {
    // An event takes some 250 bytes, and the first is on the page whatever it takes.
    for (bytes_max, expected) in [(0, 1..2), (1, 1..2), (1_000, 3..6), (1 << 20, 20..21)] {
        let door = opened(20, bytes_max).await;
        let mut address = "/streams/transactions/events?limit=20".to_owned();
        let first = door.get(&address).await.json();
        let count = first["events"].as_array().map_or(0, Vec::len);
        assert!(expected.contains(&count), "{bytes_max}: {first}");
        // What is not on it is on the next ones.
        let mut amounts: Vec<Value> = Vec::new();
        while amounts.len() < 20 {
            let page = door.get(&address).await.json();
            let events = page["events"].as_array().expect("events");
            assert!(!events.is_empty(), "{bytes_max}: {page}");
            amounts.extend(events.iter().map(|event| event["value"]["amount"].clone()));
            let next = page["next"].as_str().expect("a position");
            address = format!("/streams/transactions/events?limit=20&from={next}");
        }
        assert_eq!(amounts, Vec::from_iter((0..20).map(Value::from)), "{bytes_max}");
        door.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_rows_ends_early_where_it_is_full() {
    // A row takes 44 bytes, and 45 with a comma before it; the first is on the page whatever it takes.
    for (bytes_max, expected) in [(0, 1), (88, 1), (89, 2), (898, 19), (899, 20)] {
        let door = Door::open(|options| options.page_bytes_max = bytes_max).await;
        bank(&door).await;
        let body: Vec<String> = (0..20).map(|number| deposit(&format!("a{number:02}"), "1")).collect();
        let lines = "Content-Type: application/x-ndjson";
        let appended = door
            .request("POST", "/streams/transactions/events", &[lines], &body.join("\n"))
            .await;
        let after = format!(
            "Headwater-After: {}",
            appended.header("headwater-position").expect("a position")
        );
        let mut found: Vec<Value> = Vec::new();
        let mut sizes: Vec<usize> = Vec::new();
        let mut next = Value::from("/views/balances?limit=20");
        while let Some(address) = next.as_str() {
            let page = door.request("GET", address, &[&after], "").await.json();
            let rows = page["rows"].as_array().expect("rows");
            sizes.push(rows.len());
            found.extend(rows.iter().map(|row| row["account"].clone()));
            next = page["next"].clone();
        }
        assert_eq!(sizes.first(), Some(&expected), "{bytes_max}");
        let accounts = (0..20).map(|number| Value::from(format!("a{number:02}")));
        assert_eq!(found, Vec::from_iter(accounts), "{bytes_max}: {sizes:?}");
        door.close().await;
    }
}

/// Everything of an answer but when it was given.
fn shown(answer: &Answer) -> (u16, Vec<String>, String) {
    let lines = answer.head.lines().skip(1).map(str::to_owned);
    let mut headers: Vec<String> = lines.filter(|line| !line.starts_with("date: ")).collect();
    headers.sort_unstable();
    (answer.status, headers, answer.body.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_is_answered_alike_before_the_router_and_behind_it() {
    let door = opened(5, 1 << 20).await;
    let etag = door.get("/streams/transactions/entities/ann").await;
    let known = format!("If-None-Match: {}", etag.header("etag").expect("an ETag"));
    let plain: &[&str] = &[];
    // More than 100 events are not looked up before the router: behind it the same is read from the disk.
    for (path, query, headers, status) in [
        ("/streams/transactions/entities/ann", "", plain, 200),
        ("/streams/transactions/entities/ann", "order=desc&", plain, 200),
        ("/streams/transactions/entities/an%6E", "", plain, 200),
        ("/streams/transactions/entities/nobody", "", plain, 200),
        ("/streams/transactions/entities/%ff", "", plain, 200),
        ("/streams/transactions/entities/ann", "", &[&known], 304),
        (
            "/streams/transactions/entities/ann",
            "",
            &["If-None-Match: \"0@0\""],
            200,
        ),
        (
            "/streams/transactions/entities/ann",
            "",
            &["If-None-Match: *", "If-None-Match: *"],
            400,
        ),
        (
            "/streams/transactions/entities/ann",
            "",
            &["If-None-Match: \u{e9}"],
            200,
        ),
        ("/streams/transactions/entities/ann", "order=up&", plain, 400),
        ("/streams/transactions/entities/ann", "limits=1&", plain, 400),
        ("/streams/transactions/entities/ann", "from=x&", plain, 400),
        ("/streams/transactions/entities/", "", plain, 400),
        ("/streams/transactions/entities/;empty", "", plain, 200),
        ("/streams/transactions/entities", "", plain, 404),
        ("/streams/transactions/entities/ann/", "", plain, 404),
        ("/streams/nowhere/entities/ann", "", plain, 404),
        ("/streams/%ff/entities/ann", "", plain, 400),
        ("/streams/notes/entities/ann", "", plain, 400),
    ] {
        let at_once = door
            .request("GET", &format!("{path}?{query}limit=100"), headers, "")
            .await;
        let routed = door
            .request("GET", &format!("{path}?{query}limit=101"), headers, "")
            .await;
        assert_eq!(shown(&at_once), shown(&routed), "{path}?{query} {headers:?}");
        assert_eq!(at_once.status, status, "{path}?{query}: {at_once:?}");
    }
    // A HEAD goes through the router: the same but for the body.
    let path = "/streams/transactions/entities/ann";
    let (status, headers, body) = shown(&door.get(path).await);
    let head = shown(&door.request("HEAD", path, &[], "").await);
    assert_eq!(head, (status, headers, String::new()));
    assert!(!body.is_empty());
    // Page by page it is the same as at once.
    let whole = door.get(&format!("{path}?limit=101")).await.json();
    for limit in [1, 2, 4, 5] {
        let mut events: Vec<Value> = Vec::new();
        let mut next = Some(format!("{path}?limit={limit}"));
        while let Some(address) = next {
            let page = door.get(&address).await.json();
            assert_eq!(page["version"], whole["version"], "{address}");
            events.extend(page["events"].as_array().into_iter().flatten().cloned());
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(whole["events"], Value::from(events), "limit={limit}");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_null_in_their_keys_have_addresses_and_pages() {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM t (a TEXT, b INTEGER, c TEXT)",
        "CREATE MATERIALIZED VIEW v STORED AS document AS SELECT a, b, c, count(*) AS n FROM t GROUP BY a, b, c",
    ] {
        door.sql(statement).await;
    }
    let rows = "('x', NULL, ''), ('x', 1, NULL), ('x', 1, ';null'), (NULL, NULL, NULL), ('y', 2, 'k'), ('y', NULL, 'k'), ('x', NULL, '')";
    let appended = door.sql(&format!("INSERT INTO t VALUES {rows}")).await;
    let after = appended.header("headwater-position").expect("a position");
    let after = format!("Headwater-After: {after}");
    let whole = door.request("GET", "/views/v", &[&after], "").await.json();
    assert_eq!(whole["rows"].as_array().map(Vec::len), Some(6), "{whole}");
    for limit in 1..=6 {
        let mut address = Some(format!("/views/v?limit={limit}"));
        let mut rows: Vec<Value> = Vec::new();
        while let Some(next) = address.filter(|_| rows.len() <= 6) {
            let page = door.get(&next).await.json();
            rows.extend(page["rows"].as_array().into_iter().flatten().cloned());
            address = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(Value::from(rows), whole["rows"], "limit={limit}");
    }
    for (key, n) in [
        ("x/;null/;empty", Some(2)),
        ("x/1/;null", Some(1)),
        ("x/1/%3Bnull", Some(1)),
        (";null/;null/;null", Some(1)),
        ("y/2/;null", None),
    ] {
        let row = door.get(&format!("/views/v/{key}")).await;
        assert_eq!(
            (row.status, row.json()["n"].as_i64()),
            (if n.is_some() { 200 } else { 404 }, n),
            "{key}: {row:?}"
        );
    }
    let lineage = door.get("/views/v/lineage/x/;null/;empty").await.json();
    assert_eq!(lineage["rows"].as_array().map(Vec::len), Some(2), "{lineage}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_the_empty_text_has_an_address() {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM t (a TEXT NOT NULL, n INTEGER) KEY (a)",
        "CREATE MATERIALIZED VIEW v STORED AS document AS SELECT a, sum(n) AS n FROM t GROUP BY a",
    ] {
        door.sql(statement).await;
    }
    let put = async |address: &str, condition: &str, a: &str, n: u32| {
        let body = format!("{{\"a\":\"{a}\",\"n\":{n}}}");
        door.request("POST", address, &[JSON, condition], &body).await
    };
    let entity = "/streams/t/entities/;empty";
    let first = put(entity, "If-None-Match: *", "", 1).await;
    assert_eq!(first.status, 200, "{first:?}");
    let version = format!("If-Match: {}", first.header("etag").expect("a version"));
    assert_eq!(put("/streams/t/events", &version, "", 2).await.status, 200);
    assert_eq!(put(entity, &version, "", 3).await.status, 412);
    let text = put("/streams/t/entities/%3Bempty", "If-None-Match: *", ";empty", 5).await;
    assert_eq!(text.status, 200, "{text:?}");
    let read = door.get(entity).await.json();
    assert_eq!(read["key"], "", "{read}");
    assert_eq!(read["events"].as_array().map(Vec::len), Some(2), "{read}");
    let next = door.get(&format!("{entity}?limit=1")).await.json();
    let next = door.get(next["next"].as_str().expect("another page")).await.json();
    assert_eq!(next["events"][0]["value"]["n"], 2, "{next}");

    let after = format!(
        "Headwater-After: {}",
        text.header("headwater-position").expect("a position")
    );
    let page = door.request("GET", "/views/v?limit=1", &[&after], "").await.json();
    assert_eq!(page["rows"][0], json!({"a": "", "n": 3}), "{page}");
    let next = door.get(page["next"].as_str().expect("another page")).await.json();
    assert_eq!(next["rows"][0], json!({"a": ";empty", "n": 5}), "{next}");
    for (address, a) in [("/views/v/;empty", ""), ("/views/v/%3Bempty", ";empty")] {
        assert_eq!(door.get(address).await.json()["a"], a, "{address}");
    }
    let lineage = door.get("/views/v/lineage/;empty?limit=1").await.json();
    let next = door.get(lineage["next"].as_str().expect("another page")).await.json();
    assert_eq!(next["rows"].as_array().map(Vec::len), Some(1), "{next}");
    for (method, address) in [
        ("GET", "/views/v/"),
        ("GET", "/views/v/lineage/"),
        ("GET", "/streams/t/entities/"),
        ("POST", "/streams/t/entities/"),
    ] {
        check(
            &door,
            method,
            address,
            &[JSON],
            "",
            (400, "malformed_key", "written ;empty"),
        )
        .await;
    }
    door.close().await;
}
