//! A view's changes by server-sent events: all rows, then what changes, resumed from where a reader lost them.

#[expect(dead_code, reason = "other tests use all of it")]
mod door;

use std::time::Duration;

use door::Door;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Reads what comes until a text is in it.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut came = String::new();
    let mut buffer = [0; 4096];
    while !came.contains(text) {
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer));
        let length = read
            .await
            .unwrap_or_else(|_| panic!("{text} comes: {came}"))
            .expect("bytes");
        assert!(length > 0, "the answer ended before {text}: {came}");
        came.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    came
}

async fn follow(door: &Door, path: &str, last_event_id: &str, after: &str) -> TcpStream {
    let mut stream = door.connect().await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nlast-event-id: {last_event_id}\r\nheadwater-after: {after}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_their_changes_are_told_as_they_come() {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM s (k TEXT NOT NULL, n INTEGER NOT NULL) KEY (k) WITH (partitions = 1)",
        "CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS total FROM s GROUP BY k HAVING sum(n) <> 0",
        "INSERT INTO s VALUES ('a', 1), ('changes', 2)",
    ] {
        door.sql(statement).await;
    }
    let mut all = follow(&door, "/views/v/changes", "", "s/0@2").await;
    let came = until(&mut all, "event: position").await;
    assert!(came.contains("content-type: text/event-stream"), "{came}");
    for line in [
        r#"event: upsert"#,
        r#"data: {"k":"a","total":1}"#,
        r#"data: {"k":"changes","total":2}"#,
    ] {
        assert!(came.contains(line), "{line} in {came}");
    }
    door.sql("INSERT INTO s VALUES ('a', -1), ('b', 5)").await;
    let came = until(&mut all, r#"data: {"position":"s/0@4"}"#).await;
    for line in [
        "event: delete\ndata: {\"k\":\"a\"}\n",
        "event: upsert\ndata: {\"k\":\"b\",\"total\":5}\n",
        "~s/0@4\n",
    ] {
        assert!(came.contains(line), "{line} in {came}");
    }
    let id = |came: &str| {
        let line = came.lines().rfind(|line| line.starts_with("id: ")).expect("an id");
        line["id: ".len()..].to_owned()
    };
    let last = id(&came);
    drop(all);
    door.sql("INSERT INTO s VALUES ('b', 5)").await;
    let mut resumed = follow(&door, "/views/v/changes", &last, "s/0@5").await;
    let came = until(&mut resumed, "event: position").await;
    assert!(
        came.contains(r#"data: {"k":"b","total":10}"#) && !came.contains("changes\",\"total"),
        "{came}"
    );
    let mut some = follow(&door, "/views/v/changes?where=total%20%3E%205", "", "s/0@5").await;
    let came = until(&mut some, "event: position").await;
    assert!(
        came.contains(r#"{"k":"b","total":10}"#) && !came.contains("total\":2}"),
        "{came}"
    );

    // Whoever was told of another version is told everything anew.
    for query in [
        "SELECT k, sum(n) * 100 AS total FROM s GROUP BY k HAVING sum(n) <> 0",
        "SELECT k, sum(n) * 100 AS total, max(n) AS most FROM s GROUP BY k HAVING sum(n) <> 0",
    ] {
        door.sql(&format!("CREATE OR REPLACE MATERIALIZED VIEW v AS {query}"))
            .await;
        let mut replaced = follow(&door, "/views/v/changes", &last, "s/0@5").await;
        let came = until(&mut replaced, "event: position").await;
        for line in [
            "event: reset\n",
            r#"{"k":"b","total":1000"#,
            r#"{"k":"changes","total":200"#,
        ] {
            assert!(came.contains(line), "{line} in {came}");
        }
        drop(replaced);
        let mut again = follow(&door, "/views/v/changes", &id(&came), "s/0@5").await;
        door.sql("INSERT INTO s VALUES ('z', 1), ('z', -1)").await;
        let came = until(&mut again, "event: position").await;
        assert!(
            !came.contains("event: reset") && !came.contains("total\":200"),
            "{came}"
        );
    }
    door.sql("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, sum(n) AS total FROM s GROUP BY k HAVING sum(n) <> 0")
        .await;

    // The row of that key has an address of its own.
    let row = door.get("/views/v/%63hanges").await;
    assert_eq!((row.status, row.json()["total"].as_i64()), (200, Some(2)), "{row:?}");
    for (path, status, why) in [
        ("/views/nothing/changes", 404, "there is no view 'nothing'"),
        ("/views/v/changes?where=nothing%20%3D%201", 400, "nothing"),
        ("/views/v/changes?where=total%20%3E%205%20ORDER%20BY%201", 400, "ORDER"),
        (
            "/views/v/changes?where=total%20%3E%205;%20DROP%20STREAM%20s",
            400,
            "behind the condition",
        ),
        (
            "/views/v/changes?where=total%20%3E%205%20FROM%20POSITION%20'end'",
            400,
            "behind the condition",
        ),
        ("/views/v/changes?from=x", 400, "is no position"),
    ] {
        let answer = door.get(path).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(why), "{answer:?}");
    }
    let endless = door
        .request("POST", "/sql", &["Content-Type: text/plain"], "SUBSCRIBE TO v")
        .await;
    assert_eq!(endless.status, 400);
    assert!(endless.body.contains("GET /views/v/changes"), "{endless:?}");
}

/// Who was away while the events of the stream came to be read as other rows is told all of them, as one who stayed is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_was_away_while_a_view_was_built_anew_begins_anew() {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM s (k TEXT NOT NULL, cents BIGINT) KEY (k) WITH (partitions = 1)",
        "CREATE MATERIALIZED VIEW v AS SELECT k, sum(cents) AS c FROM s GROUP BY k",
        "INSERT INTO s VALUES ('a', 1), ('b', 2)",
    ] {
        door.sql(statement).await;
    }
    let mut before = follow(&door, "/views/v/changes", "", "s/0@2").await;
    let came = until(&mut before, "event: position").await + &until(&mut before, "\n\n").await;
    let id = came.lines().filter_map(|line| line.strip_prefix("id: ")).next_back();
    let id = id.expect("an id").to_owned();
    drop(before);
    door.sql(
        "ALTER STREAM s UPCAST FROM VERSION 1 TO (k TEXT NOT NULL, cents BIGINT) AS SELECT k, cents * 10 AS cents",
    )
    .await;
    let mut after = follow(&door, "/views/v/changes", &id, "s/0@2").await;
    let came = until(&mut after, r#"{"k":"b","c":20}"#).await;
    assert!(came.contains("event: reset"), "{came}");
    door.close().await;
}
