//! Both sides of each limit of a request: its head, its body, its time.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::door::{Door, check};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_heads_are_bounded() {
    let door = Door::open(|options| options.body_bytes_max = 100).await;
    let text = "Content-Type: text/plain";
    let fits = format!("SELECT 1{}", " ".repeat(92));
    assert_eq!(door.request("POST", "/sql", &[text], &fits).await.status, 200);
    check(
        &door,
        "POST",
        "/sql",
        &[text],
        &format!("{fits} "),
        (413, "too_large", "100"),
    )
    .await;
    let chunked = format!(
        "POST /sql HTTP/1.1\r\nHost: localhost\r\n{text}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{fits} \r\n0\r\n\r\n"
    );
    assert_eq!(door.send(chunked.as_bytes()).await.status, 413);
    let lies = "POST /sql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999999\r\n\r\n";
    assert_eq!(door.send(lies.as_bytes()).await.status, 413);
    let many: String = (0..200).map(|number| format!("x{number}: y\r\n")).collect();
    let answer = door
        .send(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes())
        .await;
    assert_eq!(answer.status, 431);
    let with_head = |bytes: usize| {
        let head = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: \r\n\r\n";
        head.replace("x: ", &format!("x: {}", "y".repeat(bytes - head.len())))
    };
    let limit = 64 * 1024;
    for (bytes, status) in [(limit, 200), (limit + 1, 431), (100_000, 431), (200_000, 431)] {
        let answer = door.send(with_head(bytes).as_bytes()).await;
        assert_eq!(answer.status, status, "a head of {bytes} bytes");
    }
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET /%zz HTTP/9.9\r\n\r\n",
    ] {
        door.send(bytes).await;
    }
    assert_eq!(door.get("/health").await.status, 200);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_takes_too_long_and_a_head_that_never_ends_are_given_up() {
    let door = Door::open(|options| options.request_max = Duration::from_millis(700)).await;
    let long = "SELECT count(*) FROM generate_series(1, 10000000000) WHERE value % 7 = 8";
    let text = "Content-Type: text/plain";
    check(&door, "POST", "/sql", &[text], long, (504, "late", "")).await;
    door.close().await;
    let door = Door::open(|options| options.head_max = Duration::from_millis(300)).await;
    let head = door.send(b"GET / HTTP/1.1\r\nHost: te");
    let given_up = tokio::time::timeout(Duration::from_secs(120), head).await;
    assert!(given_up.is_ok(), "the door waits for the rest of a head");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_without_an_end_ends_with_its_client() {
    let door = Door::open(|_| {}).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let wait_for = async |what: &str, holds: &dyn Fn(usize) -> bool| {
        let waited = async {
            while !holds(metrics.num_alive_tasks()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(120), waited).await;
        waited.unwrap_or_else(|_| panic!("{what}: {} tasks, {before} before", metrics.num_alive_tasks()));
    };
    let endless = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    let mut client = door.connect().await;
    let request = format!(
        "POST /sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{endless}",
        endless.len()
    );
    client.write_all(request.as_bytes()).await.expect("it is sent");
    // The connection, the question, and who works out its rows.
    wait_for("asked", &|tasks| tasks > before + 2).await;
    drop(client);
    wait_for("ended", &|tasks| tasks <= before).await;
    door.close().await;
}
