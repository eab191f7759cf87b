//! Tails of a stream by server-sent events.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bank::{JSON, bank, deposit};
use crate::door::Door;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_hears_what_comes_resumes_and_ends_with_the_program() {
    let door = Door::open(|options| options.heartbeat = Duration::from_millis(100)).await;
    bank(&door).await;
    let path = "/streams/transactions/events";
    door.request("POST", path, &[JSON], &deposit("a", "1")).await;
    let mut tail = tailed(&door, path, "").await;
    let heard = read_until(&mut tail, "\"key\":\"a\"").await;
    let id = heard
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .expect("an id")
        .to_owned();
    read_until(&mut tail, ": still here").await;
    door.request("POST", path, &[JSON], &deposit("b", "1")).await;
    read_until(&mut tail, "\"key\":\"b\"").await;
    // Who comes back with the id of the last event hears only what came after it.
    let mut again = tailed(&door, path, &format!("Last-Event-ID: {id}\r\n")).await;
    let heard = read_until(&mut again, "\"key\":\"b\"").await;
    assert!(!heard.contains("\"key\":\"a\""), "{heard}");
    let began = Instant::now();
    door.close().await;
    let mut rest = Vec::new();
    tail.read_to_end(&mut rest).await.expect("the tail ends");
    // It did not wait for its listener.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_reads_what_comes_as_the_stream_is_read_by_then() {
    let door = Door::open(|_| {}).await;
    door.sql("CREATE STREAM prices (item TEXT NOT NULL, price INTEGER) WITH (format = 'csv', partitions = 1)")
        .await;
    let mut tail = tailed(&door, "/streams/prices/events", "").await;
    door.sql("INSERT INTO prices VALUES ('apple', 3)").await;
    read_until(&mut tail, "\"item\":\"apple\"").await;
    door.sql("ALTER STREAM prices ADD COLUMN note TEXT").await;
    door.sql("INSERT INTO prices VALUES ('pear', 4, 'ripe')").await;
    read_until(&mut tail, "\"note\":\"ripe\"").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_ends_with_its_stream() {
    let door = Door::open(|options| options.heartbeat = Duration::from_millis(100)).await;
    door.sql("CREATE STREAM prices (item TEXT NOT NULL)").await;
    let mut tail = tailed(&door, "/streams/prices/events", "").await;
    read_until(&mut tail, ": still here").await;
    door.sql("DROP STREAM prices").await;
    door.sql("CREATE STREAM prices (item TEXT NOT NULL)").await;
    door.sql("INSERT INTO prices VALUES ('apple')").await;
    let heard = read_until(&mut tail, "event: problem").await;
    assert!(!heard.contains("apple"), "{heard}");
    door.close().await;
}

/// A position of thousands of partitions is longer than clients take in a head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_thousands_of_partitions_is_read() {
    let door = Door::open(|_| {}).await;
    door.sql("CREATE STREAM wide (n INTEGER) WITH (partitions = 2000)")
        .await;
    door.sql("INSERT INTO wide SELECT n FROM generate_series(1, 2500) AS g(n)")
        .await;
    let page = door.get("/streams/wide/events?limit=2500").await;
    let (events, next) = (&page.json()["events"], &page.json()["next"]);
    assert_eq!(events.as_array().map(Vec::len), Some(2_500));
    let mut numbers: Vec<i64> = events
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["value"]["n"].as_i64())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=2_500).collect::<Vec<i64>>());
    assert!(next.as_str().is_some_and(|next| next.len() > 10_000), "{next}");
    assert_eq!(page.header("headwater-position"), None);
    let one = door.get("/streams/wide/events?partition=7").await;
    assert_eq!(one.header("headwater-position"), one.json()["next"].as_str());
    let mut tail = tailed(&door, "/streams/wide/events", "").await;
    let heard = read_until(&mut tail, "\nid: ").await;
    assert!(heard.matches("\ndata: ").count() > 100, "one id for many events");
    door.close().await;
}

/// Begins a tail, with more lines of its head.
async fn tailed(door: &Door, path: &str, extra: &str) -> TcpStream {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{extra}\r\n");
    let mut tail = door.connect().await;
    tail.write_all(request.as_bytes()).await.expect("it is sent");
    tail
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut heard = String::new();
    let mut buffer = [0; 4096];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    while !heard.contains(wanted) {
        let read = tokio::time::timeout_at(deadline, stream.read(&mut buffer)).await;
        let read = read
            .unwrap_or_else(|_| panic!("'{wanted}' did not come; heard: {heard}"))
            .expect("the stream is read");
        assert!(read > 0, "the stream ended; heard: {heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    heard
}
