//! `GET /views/{view}/search` over real pieces.

#[expect(dead_code, reason = "other tests use all of it")]
mod door;

use door::{Door, check};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_found_with_facets_and_what_is_wrong_is_said() {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM products (item TEXT NOT NULL, title TEXT, category TEXT) KEY (item)",
        "CREATE MATERIALIZED VIEW found STORED AS search (title TEXT 'english', category KEYWORD) AS SELECT item, max(title) AS title, max(category) AS category FROM products GROUP BY item",
        "CREATE MATERIALIZED VIEW counts STORED AS document AS SELECT item, count(*) AS events FROM products GROUP BY item",
    ] {
        door.sql(statement).await;
    }
    let body = "{\"item\":\"a\",\"title\":\"Red scarf\",\"category\":\"Scarves\"}\n{\"item\":\"b\",\"title\":\"Blue scarfs\",\"category\":\"Scarves\"}\n\
                {\"item\":\"search\",\"title\":\"Red <shoes>\",\"category\":\"Shoes\"}";
    let lines = "Content-Type: application/x-ndjson";
    let appended = door.request("POST", "/streams/products/events", &[lines], body).await;
    let after = format!(
        "Headwater-After: {}",
        appended.json()["position"].as_str().unwrap_or_default()
    );
    let headers = [after.as_str()];
    let answer = door
        .request("GET", "/views/found/search?q=red&facet=category&limit=5", &headers, "")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = answer.json();
    assert_eq!(found["found"], 2);
    let mut items: Vec<&str> = found["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["item"].as_str())
        .collect();
    items.sort_unstable();
    assert_eq!(items, ["a", "search"]);
    assert_eq!(
        found["facets"],
        json!({"category": [{"value": "Scarves", "count": 1}, {"value": "Shoes", "count": 1}]})
    );
    assert_eq!(answer.header("headwater-position"), found["position"].as_str());
    let answer = door.request("GET", "/views/found/search?q=shoe", &headers, "").await;
    assert_eq!(answer.json()["rows"][0]["snippet"], "Red &lt;<b>shoes</b>&gt;");
    let answer = door
        .request("GET", "/views/found/search?q=scarf&offset=1&limit=1", &headers, "")
        .await;
    assert_eq!(
        (
            answer.json()["found"].as_u64(),
            answer.json()["rows"].as_array().map(Vec::len)
        ),
        (Some(2), Some(1))
    );
    // Of a view that is not searched it is a key as any other.
    let answer = door.request("GET", "/views/counts/search", &headers, "").await;
    assert_eq!(answer.json(), json!({"item": "search", "events": 1}));
    for (path, expected) in [
        ("/views/found/search", (400, "malformed_query", "?q=")),
        ("/views/found/search?q=(red", (400, "malformed_query", "is not closed")),
        (
            "/views/found/search?q=red&operator=xor",
            (400, "malformed_query", "no operator"),
        ),
        (
            "/views/found/search?q=red&facet=title",
            (400, "unknown_field", "these are category"),
        ),
        (
            "/views/found/search?q=red&snippet=category",
            (400, "unknown_field", "these are title"),
        ),
        (
            "/views/found/search?q=red&limit=1001",
            (400, "parameter_out_of_range", "limit"),
        ),
        ("/views/nowhere/search?q=red", (404, "unknown_view", "nowhere")),
    ] {
        check(&door, "GET", path, &headers, "", expected).await;
    }
    let described = door.request("GET", "/openapi.json", &[], "").await.json();
    assert_eq!(
        described["paths"]["/views/found/search"]["get"]["operationId"],
        "search_found"
    );
    assert!(described["paths"]["/views/counts/search"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_sees_what_a_pipeline_made_of_what_was_written() {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM products (item TEXT NOT NULL, title TEXT) KEY (item)",
        "CREATE STREAM renamed AS SELECT item, upper(title) AS title FROM products",
        "CREATE MATERIALIZED VIEW found STORED AS search (title TEXT) AS SELECT item, max(title) AS title FROM renamed GROUP BY item",
    ] {
        door.sql(statement).await;
    }
    for number in 0..20 {
        let body = format!("{{\"item\":\"i{number}\",\"title\":\"scarf\"}}");
        let json = ["Content-Type: application/json"];
        let appended = door.request("POST", "/streams/products/events", &json, &body).await;
        let position = appended.header("headwater-position").expect("a position");
        let after = format!("Headwater-After: {position}");
        let found = door
            .request("GET", "/views/found/search?q=scarf", &[&after], "")
            .await
            .json();
        assert_eq!(found["found"], number + 1, "{found}");
    }
    door.close().await;
}
