//! `GET /views/{view}` and `GET /views/{view}/{key}` of rows that have lists.

#[expect(dead_code, reason = "other tests use all of it")]
mod door;

use door::{Door, check};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_shown_whole_or_a_page_of_each_and_what_is_too_much_is_refused() {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM ratings (item TEXT NOT NULL, stars BIGINT NOT NULL) KEY (item)",
        "CREATE MATERIALIZED VIEW rated STORED AS document AS SELECT item, count(*) AS ratings, array_agg(stars) AS entries FROM ratings GROUP BY item",
    ] {
        door.sql(statement).await;
    }
    let lines = "Content-Type: application/x-ndjson";
    let mut events: Vec<String> = (1..=5)
        .map(|stars| format!("{{\"item\":\"a\",\"stars\":{stars}}}"))
        .collect();
    events.extend((0..10_001).map(|stars| format!("{{\"item\":\"long\",\"stars\":{stars}}}")));
    let appended = door
        .request("POST", "/streams/ratings/events", &[lines], &events.join("\n"))
        .await;
    let position = appended.json()["position"].as_str().unwrap_or_default().to_owned();
    let after = format!("Headwater-After: {position}");
    let headers = [after.as_str()];
    let row = |path: &'static str| door.request("GET", path, &headers, "");
    let a = row("/views/rated/a").await;
    assert_eq!(
        a.json(),
        json!({"item": "a", "ratings": 5, "entries": [1, 2, 3, 4, 5]}),
        "{a:?}"
    );
    assert_eq!(row("/views/rated/a?entries=2:3").await.json()["entries"], json!([2, 3]));
    assert_eq!(
        row("/views/rated/a?entries=-2:-1").await.json()["entries"],
        json!([4, 5])
    );
    assert_eq!(row("/views/rated/a?entries=9:12").await.json()["entries"], json!([]));
    let newest = row("/views/rated/long?entries=-3:-1").await.json();
    assert_eq!(
        newest,
        json!({"item": "long", "ratings": 10_001, "entries": [9_998, 9_999, 10_000]})
    );
    let page = row("/views/rated?entries=1:2&limit=1").await.json();
    assert_eq!(page["rows"], json!([{"item": "a", "ratings": 5, "entries": [1, 2]}]));
    assert_eq!(page["next"], json!("/views/rated?limit=1&after=a&entries=1:2"));
    let most = row("/views/rated/long?entries=2:10001").await.json();
    assert_eq!(most["entries"].as_array().map(Vec::len), Some(10_000));
    check(
        &door,
        "GET",
        "/views/rated/long",
        &headers,
        "",
        (422, "too_many_elements", "ask for a page of each (entries=1:100)"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/rated",
        &headers,
        "",
        (422, "too_many_elements", "have 10006 elements"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/rated/a?entries=2",
        &headers,
        "",
        (400, "malformed_page", "no page of a list"),
    )
    .await;
    check(
        &door,
        "GET",
        "/views/rated/a?stars=1:2",
        &headers,
        "",
        (400, "unknown_parameter", "there is: entries"),
    )
    .await;
    door.close().await;
}
