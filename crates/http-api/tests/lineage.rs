//! `GET /views/{view}/lineage/{key}` and `/origins/{key}` over real pieces, page by page.

#[expect(dead_code, reason = "other tests use all of it")]
mod door;

use door::{Door, check};
use serde_json::{Value, json};

/// The door, whose pages have at most so many bytes, and a header that waits for everything that was appended.
async fn opened(page_bytes_max: usize) -> (Door, String) {
    let door = Door::open(|options| options.page_bytes_max = page_bytes_max).await;
    for statement in [
        "CREATE STREAM s (k TEXT NOT NULL, n BIGINT NOT NULL) KEY (k) WITH (partitions = 3)",
        "CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k",
        "CREATE MATERIALIZED VIEW everything STORED AS document AS SELECT count(*) AS events FROM s",
        "CREATE STREAM doubled KEY (k) AS SELECT k, n * 2 AS n FROM s",
        "CREATE MATERIALIZED VIEW doubles STORED AS document AS SELECT k, sum(n) AS total FROM doubled GROUP BY k",
    ] {
        door.sql(statement).await;
    }
    let mut after = String::new();
    for n in 1..=7 {
        let answer = door
            .sql(&format!("INSERT INTO s VALUES ('a/b', {n}), ('lineage', {n})"))
            .await;
        after = format!(
            "Headwater-After: {}",
            answer.header("headwater-position").unwrap_or_default()
        );
    }
    (door, after)
}

/// A column of all pages from an address on, and how many pages there were.
async fn read(door: &Door, after: &str, address: &str, column: &str) -> (Vec<Value>, usize) {
    let mut address = address.to_owned();
    let mut values: Vec<Value> = Vec::new();
    let mut pages = 0;
    loop {
        let answer = door.request("GET", &address, &[after], "").await;
        assert_eq!(answer.status, 200, "{address}: {answer:?}");
        let page = answer.json();
        pages += 1;
        values.extend(
            page["rows"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|row| row[column].clone()),
        );
        match page["next"].as_str() {
            Some(next) => address = next.to_owned(),
            None => return (values, pages),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lineage_is_read_page_by_page() {
    let (door, after) = opened(1 << 20).await;
    let sums: Vec<Value> = [1, 3, 6, 10, 15, 21, 28].map(Value::from).to_vec();
    for (limit, pages) in [(100, 1), (7, 1), (3, 3), (1, 7)] {
        for key in ["a%2Fb", "%6Cineage"] {
            let address = format!("/views/sums/lineage/{key}?limit={limit}");
            assert_eq!(
                read(&door, &after, &address, "total").await,
                (sums.clone(), pages),
                "{address}"
            );
        }
        let (events, _) = read(
            &door,
            &after,
            &format!("/views/everything/lineage?limit={limit}"),
            "events",
        )
        .await;
        assert_eq!(events, Vec::from_iter((1..=14).map(Value::from)), "limit={limit}");
    }
    // The events of a page with what they were made of count once each.
    let (depths, pages) = read(&door, &after, "/views/doubles/origins/a%2Fb?limit=3", "depth").await;
    assert_eq!(
        (depths, pages),
        ([0, 1].repeat(7).into_iter().map(Value::from).collect(), 3)
    );
    // A row whose key is the word is a row as any other.
    let answer = door.request("GET", "/views/sums/lineage", &[&after], "").await;
    assert_eq!(answer.json(), json!({"k": "lineage", "total": 28, "events": 7}));
    for (path, expected) in [
        ("/views/sums/lineage/a/b", (400, "statement", "2 value(s) are given")),
        (
            "/views/sums/lineage/a?after=s%2F0@99",
            (400, "statement", "beyond the end"),
        ),
        (
            "/views/sums/lineage/a?limit=10001",
            (400, "parameter_out_of_range", "limit"),
        ),
        (
            "/views/nothing/lineage/a",
            (404, "unknown_view", "there is no view 'nothing'"),
        ),
    ] {
        check(&door, "GET", path, &[], "", expected).await;
    }
    let described = door.request("GET", "/openapi.json", &[], "").await.json();
    let lineage = &described["paths"]["/views/sums/lineage/{k}"]["get"]["operationId"];
    assert_eq!(lineage, "lineage_of_sums");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_ends_with_the_event_that_fills_it() {
    // A row takes some 200 bytes, and so does what stands before the first.
    for (bytes_max, lineage, origins) in [(0, 7..8, 7..8), (1 << 10, 2..4, 3..8), (1 << 20, 1..2, 1..2)] {
        let (door, after) = opened(bytes_max).await;
        for limit in [100, 7] {
            let address = format!("/views/sums/lineage/a%2Fb?limit={limit}");
            let (totals, pages) = read(&door, &after, &address, "total").await;
            assert_eq!(totals, [1, 3, 6, 10, 15, 21, 28].map(Value::from), "{bytes_max}");
            assert!(lineage.contains(&pages), "{bytes_max}: {pages} pages");
            // An event and what it was made of are on one page.
            let address = format!("/views/doubles/origins/a%2Fb?limit={limit}");
            let (depths, pages) = read(&door, &after, &address, "depth").await;
            assert_eq!(
                depths,
                Vec::from_iter([0, 1].repeat(7).into_iter().map(Value::from)),
                "{bytes_max}"
            );
            assert!(origins.contains(&pages), "{bytes_max}: {pages} pages");
        }
        door.close().await;
    }
}
