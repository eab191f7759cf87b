//! Tombstones: events without a value delete the row of their key.

mod door;
mod ground;

use door::{Door, check};
use ground::{JSON, amount, etag, open};

/// Appends; the position of what was appended.
async fn appended(door: &Door, append: (&str, &[&str], &str)) -> String {
    let (path, headers, body) = append;
    let headers: Vec<&str> = headers.iter().copied().chain([JSON]).collect();
    let appended = door.request("POST", path, &headers, body).await;
    assert_eq!(appended.status, 200, "{appended:?}");
    appended.json()["position"].as_str().expect("a position").to_owned()
}

/// What `GET` of a row says once its view has seen the position.
async fn row_at(door: &Door, position: &str, row: &str) -> u16 {
    let after = format!("Headwater-After: {position}");
    door.request("GET", row, &[&after], "").await.status
}

/// Appends, and what `GET` of a row says once its view has seen it.
async fn row_after(door: &Door, append: (&str, &[&str], &str), row: &str) -> u16 {
    let position = appended(door, append).await;
    row_at(door, &position, row).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_deletes_the_row_of_its_key() {
    let door = open().await;
    door.sql(
        "CREATE MATERIALIZED VIEW newest STORED AS document KEY (account) AS SELECT account, amount FROM accounts",
    )
    .await;
    door.sql("CREATE MATERIALIZED VIEW both STORED AS document KEY (a, b) AS SELECT a, b FROM pairs")
        .await;
    let (events, row) = ("/streams/accounts/events?envelope=true", "/views/newest/ann");
    let ann = amount("ann", "1.50");
    assert_eq!(
        row_after(&door, ("/streams/accounts/events", &[], &ann), row).await,
        200
    );
    let gone = r#"{"key":"ann","value":null,"tombstone":true,"headers":[{"name":"why","value":"moved"}]}"#;
    assert_eq!(
        row_after(&door, (events, &["Idempotency-Key: t1"], gone), row).await,
        404
    );
    assert_eq!(
        row_after(&door, ("/streams/accounts/events", &[], &ann), row).await,
        200
    );
    // Sent again, it is not appended again.
    assert_eq!(
        row_after(&door, (events, &["Idempotency-Key: t1"], gone), row).await,
        200
    );
    let other = r#"{"value":{"account":"ann"}}"#;
    let reused = (422, "idempotency_key_reused", "");
    check(&door, "POST", events, &[JSON, "Idempotency-Key: t1"], other, reused).await;

    // At the entity's own address, which names the key, if nothing came since.
    let entity = "/streams/accounts/entities/ann";
    let version = etag(&door.get(entity).await).to_owned();
    let path = format!("{entity}?envelope=true");
    let unchanged = format!("If-Match: {version}");
    let append = (path.as_str(), &[unchanged.as_str()][..], r#"{"tombstone":true}"#);
    assert_eq!(row_after(&door, append, row).await, 404);
    check(
        &door,
        "POST",
        &path,
        &[JSON, &unchanged],
        r#"{"tombstone":true}"#,
        (412, "condition_failed", ""),
    )
    .await;

    // A key of several columns, in one step with events of another stream.
    let pair =
        r#"{"events":[{"stream":"pairs","value":{"a":"x","b":1}},{"stream":"accounts","value":{"account":"ann"}}]}"#;
    assert_eq!(row_after(&door, ("/events", &[], pair), "/views/both/x/1").await, 200);
    let both = r#"{"events":[{"stream":"pairs","key":"[\"x\", 1]","tombstone":true},{"stream":"accounts","key":"ann","tombstone":true}]}"#;
    let position = appended(&door, ("/events", &[], both)).await;
    assert_eq!(row_at(&door, &position, "/views/both/x/1").await, 404);
    assert_eq!(row_at(&door, &position, row).await, 404);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_that_deletes_nothing_is_refused() {
    let door = open().await;
    let path = "/streams/pairs/events?envelope=true";
    for (body, why) in [
        (r#"{"tombstone":true}"#, "has none"),
        (r#"{"key":"x","tombstone":true}"#, "no JSON array of 2 values"),
        (r#"{"key":"[\"x\",\"y\"]","tombstone":true}"#, "b"),
        (
            r#"{"key":"[\"x\",1]","value":{"a":"x"},"tombstone":true}"#,
            "has no value",
        ),
        (r#"{"key":"[\"x\",1]"}"#, "says \\\"tombstone\\\": true"),
    ] {
        check(&door, "POST", path, &[JSON], body, (422, "unfit", why)).await;
    }
    let nowhere = r#"{"events":[{"key":"x","tombstone":true}]}"#;
    check(
        &door,
        "POST",
        "/events",
        &[JSON],
        nowhere,
        (400, "malformed_append", "names no stream"),
    )
    .await;
    door.close().await;
}
