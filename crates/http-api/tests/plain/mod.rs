//! Plain requests are read without hyper: what is answered is what hyper would have answered, byte for byte, however they come.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bank::{JSON, bank, deposit};
use crate::door::Door;

/// Not answered before hyper: a connection that begins with it is hyper's.
const BY_HYPER: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The end of the answer to it.
const ALIVE: &str = "{\"status\":\"live\"}";

/// The last request of a connection.
const LAST: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

const ROW: &str = "GET /views/balances/a HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// After so many requests a client is alone.
const ALONE_AFTER: usize = 8;

/// The longest body that the door takes.
const BODY_MAX: usize = 100_000;

/// A request with a body.
fn post(path: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn get(path: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// An append that has the same answer whenever it is made.
fn append(key: &str) -> String {
    let key = format!("Idempotency-Key: {key}");
    post("/streams/transactions/events", &[JSON, &key], &deposit("b", "1"))
}

/// Everything that is answered, without the dates.
async fn answered(mut stream: TcpStream) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    // The door may close with bytes unread, which tears the connection down.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines = text
        .split_inclusive("\r\n")
        .map(|line| match line.starts_with("date: ") {
            true => "date: then\r\n",
            false => line,
        });
    lines.collect()
}

/// What is answered to bytes that come in such pieces.
async fn in_pieces(door: &Door, pieces: impl Iterator<Item = &[u8]>) -> String {
    let mut stream = door.connect().await;
    stream.set_nodelay(true).expect("pieces go by themselves");
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    answered(stream).await
}

/// A connection whose client was alone just now, most likely is so still, and so many bytes of whose answers were read.
async fn alone(door: &Door) -> TcpStream {
    let mut stream = door.connect().await;
    stream.set_nodelay(true).expect("requests go by themselves");
    let mut answer = [0; 4096];
    for _ in 0..ALONE_AFTER + 2 {
        stream.write_all(ROW.as_bytes()).await.expect("it is sent");
        let read = stream.read(&mut answer).await.expect("an answer");
        assert!(answer[..read].ends_with(b"}"), "it comes in one piece");
    }
    stream
}

/// How often a client got a thread for itself.
async fn times_alone(door: &Door) -> u64 {
    let metrics = door.request("GET", "/metrics", &[], "").await.body;
    let lines = metrics.lines();
    let count = lines
        .filter_map(|line| line.strip_prefix("headwater_http_alone_total "))
        .next();
    count.and_then(|count| count.parse().ok()).expect("it is counted")
}

/// What hyper answers to the same bytes.
async fn by_hyper(door: &Door, bytes: &[u8]) -> String {
    let both = in_pieces(door, [BY_HYPER.as_bytes(), bytes].into_iter()).await;
    let first = both
        .find(ALIVE)
        .unwrap_or_else(|| panic!("{both:?} begins with {ALIVE}"))
        + ALIVE.len();
    both[first..].to_owned()
}

async fn open() -> Door {
    let door = Door::open(|options| {
        options.body_bytes_max = BODY_MAX;
        // However slow the machine is, a client that waits for its answers is taken for one that has nothing else to do.
        options.soon_max = Duration::from_secs(600);
    })
    .await;
    bank(&door).await;
    let path = "/streams/transactions/events";
    for account in ["a", "a", "b"] {
        door.request("POST", path, &[JSON], &deposit(account, "1.50")).await;
    }
    // Answers that are given again from here on.
    in_pieces(&door, [append("k1"), LAST.to_owned()].iter().map(String::as_bytes)).await;
    let withdrawal = post(
        "/commands/withdraw",
        &[JSON, "Idempotency-Key: k2"],
        "{\"account\":\"a\",\"amount\":1}",
    );
    let answer = in_pieces(&door, [withdrawal.as_str(), LAST].into_iter().map(str::as_bytes)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let end = door.request("GET", "/streams", &[], "").await.json();
    let after = format!(
        "Headwater-After: {}",
        end["streams"][1]["position"].as_str().expect("a position")
    );
    assert_eq!(
        door.request("GET", "/views/balances/a", &[&after], "").await.status,
        200
    );
    door
}

/// Requests one after another in one connection, and how many of them are answered.
fn requests() -> Vec<(Vec<String>, usize)> {
    let big = |bytes: usize| post("/streams/notes/events", &[JSON], &"x".repeat(bytes));
    let withdraw = |headers: &[&str], amount: &str| {
        let body = format!("{{\"account\":\"a\",\"amount\":{amount}}}");
        post("/commands/withdraw", headers, &body)
    };
    let many = |headers: usize| get("/views/balances/a", &vec!["X: y"; headers]);
    let chunked = format!(
        "{}Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        "POST /streams/notes/events HTTP/1.1\r\nHost: localhost\r\n"
    );
    let one = |request: String| (vec![request], 1);
    let last = |request: String| (vec![request], 0);
    vec![
        one(ROW.to_owned()),
        one(get("/views/balances/nobody", &[])),
        one(get(
            "/views/nowhere/a",
            &["Accept: */*", "accept-encoding: gzip", "User-Agent: t"],
        )),
        one(get("/views/balances/a/b", &["Connection: keep-alive"])),
        one(get("/views/balances/%ff", &[])),
        one(get("/views//a", &[])),
        one(get("/views/balances/a?x=1", &[])),
        one(get("/views/balances/a", &["Headwater-Wait-Ms: 5000"])),
        one(get("/views/balances", &[])),
        one(get("/streams/transactions/entities/a", &[])),
        one(get("/streams/transactions/entities/a?limit=1", &[])),
        one(get("/streams/transactions/entities/a", &["If-None-Match: *"])),
        one(get("/streams/transactions/entities/nobody", &[])),
        one(get("/streams/nowhere/entities/a", &[])),
        one(get("/nowhere", &[])),
        one(append("k1")),
        one(withdraw(&[JSON, "Idempotency-Key: k2"], "1")),
        one(withdraw(&[JSON], "1000")),
        one(withdraw(&[JSON], "\"x\"")),
        one(withdraw(&["Content-Type: text/csv"], "1")),
        one(withdraw(&[JSON, "Origin: http://evil.example"], "1")),
        one(post("/commands/nothing", &[], "")),
        one(post("/streams/notes/events", &[JSON], "")),
        one(post("/streams/nowhere/events", &[JSON], "1")),
        one(post("/sql", &["Content-Type: text/plain"], "SELECT 1")),
        one(big(64 * 1024)),
        one(big(64 * 1024 + 1)),
        one(big(BODY_MAX)),
        one(chunked.clone()),
        one(many(30)),
        one(many(90)),
        one(ROW.replace("GET", "HEAD")),
        one(ROW.replace("GET", "OPTIONS")),
        one(ROW.replace("GET", "DELETE")),
        one(ROW.replace("/views", "http://localhost/views")),
        one(ROW.replace("\r\n", "\n")),
        one(format!("\r\n{ROW}")),
        one(ROW.replace("Host: localhost", "Content-Length: 0")),
        one(format!("{}12345", ROW.replace("Host: localhost", "Content-Length: 5"))),
        one(withdraw(&[JSON, "Content-Length: 29"], "1000")),
        // The connection ends with these.
        last(big(BODY_MAX + 1)),
        last(withdraw(&[JSON, "Expect: 100-continue"], "1000")),
        last(ROW.replace("Host: localhost", "Connection: close")),
        last(ROW.replace("HTTP/1.1", "HTTP/1.0")),
        last(ROW.replace("HTTP/1.1", "HTTP/3.1")),
        last(many(101)),
        last(get("/views/balances/a", &[&format!("X: {}", "y".repeat(9_000))])),
        last(get("/views/balances/a", &[&format!("X: {}", "y".repeat(70_000))])),
        last(get(&format!("/views/balances/{}", "y".repeat(10_000)), &[])),
        last(ROW.replace("Host: localhost", "Host : localhost")),
        last(ROW.replace("Host: localhost", "Host: localhost\r\n u")),
        last(ROW.replace("Host: localhost", "Host: \0")),
        last(ROW.replace("Host: localhost", "Ho st: localhost")),
        last(ROW.replace("/views/", "/vi ews/")),
        last(withdraw(&[JSON, "Content-Length: 5"], "1000")),
        last(withdraw(&[JSON, "Content-Length: +29"], "1000")),
        last(withdraw(&[JSON, "Transfer-Encoding: gzip"], "1000")),
        last("\u{16}\u{3}\u{1}\u{2}\0".repeat(10)),
        last("nonsense\r\n\r\n".to_owned()),
        // Several, that come together.
        (
            vec![ROW.to_owned(), append("k1"), ROW.to_owned(), withdraw(&[JSON], "1000")],
            4,
        ),
        (
            vec![append("k1"), append("k1"), BY_HYPER.to_owned(), ROW.to_owned(), chunked],
            5,
        ),
        (vec![ROW.to_owned(), "GARBAGE\r\n\r\n".to_owned(), ROW.to_owned()], 0),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_is_what_hyper_answers() {
    let door = open().await;
    for (requests, answers) in requests() {
        let mut bytes = requests.concat();
        bytes.push_str(LAST);
        let shown = &bytes[..bytes.len().min(300)];
        let expected = by_hyper(&door, bytes.as_bytes()).await;
        let found = in_pieces(&door, [bytes.as_bytes()].into_iter()).await;
        assert_eq!(found, expected, "{shown:?}");
        if answers > 0 {
            assert_eq!(found.matches("HTTP/1.1 ").count(), answers + 1, "{shown:?}: {found:?}");
        }
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_alone_is_answered_as_any_other() {
    let door = open().await;
    let cases = requests();
    let count = cases.len() as u64;
    for (requests, _) in cases {
        let mut bytes = requests.concat();
        bytes.push_str(LAST);
        let shown = &bytes[..bytes.len().min(300)];
        let expected = by_hyper(&door, bytes.as_bytes()).await;
        let mut stream = alone(&door).await;
        let _ = stream.write_all(bytes.as_bytes()).await;
        assert_eq!(answered(stream).await, expected, "{shown:?}");
    }
    let times = times_alone(&door).await;
    assert!(times >= count, "{times} of {count} clients had a thread for themselves");
    // Requests come one by one, in two pieces with or without a pause, or the client goes away meanwhile.
    for at in [1, ROW.len() / 2, ROW.len() - 1, ROW.len()] {
        for pause_ms in [0, 20] {
            let mut stream = alone(&door).await;
            for piece in [&ROW.as_bytes()[..at], &ROW.as_bytes()[at..], LAST.as_bytes()] {
                stream.write_all(piece).await.expect("it is sent");
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
            let found = answered(stream).await;
            assert_eq!(found.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{at}: {found}");
        }
    }
    drop(alone(&door).await);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_longer_alone_shares_and_who_must_wait_waits_like_others() {
    let door = open().await;
    let (mut one, mut other) = (alone(&door).await, alone(&door).await);
    let mut answer = [0; 4096];
    for _ in 0..3 * ALONE_AFTER {
        for stream in [&mut one, &mut other] {
            stream.write_all(ROW.as_bytes()).await.expect("it is sent");
            let read = stream.read(&mut answer).await.expect("an answer");
            assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
    }
    // It waits for an event that is not there yet, and others are answered meanwhile.
    let position = door.request("GET", "/streams", &[], "").await.json();
    let position = position["streams"][1]["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    let (before, offset) = position.rsplit_once('@').expect("an offset");
    let next = offset.parse::<u64>().expect("a number") + 1;
    let after = [
        format!("Headwater-After: {before}@{next}"),
        "Headwater-Wait-Ms: 60000".to_owned(),
    ];
    let waits = get("/views/balances/b", &after.each_ref().map(String::as_str));
    let mut waiting = alone(&door).await;
    waiting.write_all(waits.as_bytes()).await.expect("it is sent");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(door.request("GET", "/views/balances/a", &[], "").await.status, 200);
    for account in ["b", "a", "c", "d", "e"] {
        let body = deposit(account, "1.00");
        door.request("POST", "/streams/transactions/events", &[JSON], &body)
            .await;
    }
    waiting.write_all(LAST.as_bytes()).await.expect("it is sent");
    let found = answered(waiting).await;
    assert_eq!(found.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{found}");
    // Nor is the program's end waited for.
    let idle = alone(&door).await;
    door.close().await;
    assert_eq!(answered(idle).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_may_come_in_any_pieces() {
    let door = open().await;
    let entity = get("/streams/transactions/entities/a", &[]);
    let bytes = [ROW, &append("k1"), &entity, LAST].concat();
    let bytes = bytes.as_bytes();
    let expected = by_hyper(&door, bytes).await;
    assert_eq!(expected.matches("HTTP/1.1 200 OK\r\n").count(), 4, "{expected}");
    for at in 0..=bytes.len() {
        let (before, behind) = bytes.split_at(at);
        assert_eq!(
            in_pieces(&door, [before, behind].into_iter()).await,
            expected,
            "in two at {at}"
        );
    }
    for bytes_each in [1, 7, 64] {
        assert_eq!(
            in_pieces(&door, bytes.chunks(bytes_each)).await,
            expected,
            "each of {bytes_each}"
        );
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_byte_is_another_one_it_is_answered_alike() {
    let door = open().await;
    let row = get("/views/balances/a", &["Connection: keep-alive"]);
    let nowhere = post("/streams/nowhere/events", &[], "12345");
    for request in [row, nowhere] {
        for at in 0..request.len() {
            for byte in [&b""[..], b"\0", b"\n", b" ", b":", b"9", b"\xe9", b"\r\n"] {
                let mut bytes = request.clone().into_bytes();
                bytes.splice(at..=at, byte.iter().copied());
                // Twice, as a body that has become longer may take one of them.
                bytes.extend_from_slice(LAST.repeat(2).as_bytes());
                let expected = by_hyper(&door, &bytes).await;
                let found = in_pieces(&door, [bytes.as_slice()].into_iter()).await;
                assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_is_waited_for() {
    const REQUESTS: usize = 20_000;
    let door = open().await;
    let (mut reader, mut writer) = alone(&door).await.into_split();
    let writing = tokio::spawn(async move {
        for _ in 0..REQUESTS / 100 {
            writer.write_all(ROW.repeat(100).as_bytes()).await.expect("it is sent");
        }
        writer.write_all(LAST.as_bytes()).await.expect("it is sent");
        writer
    });
    // Until the door cannot write any more, most likely.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut answer: Vec<u8> = Vec::new();
    reader.read_to_end(&mut answer).await.expect("the answers are read");
    let found = String::from_utf8_lossy(&answer).matches("{\"account\":\"a\",").count();
    assert_eq!(found, REQUESTS);
    writing.await.expect("all was sent");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_late_is_left_and_who_is_idle_when_the_program_ends() {
    let door = Door::open(|options| {
        options.head_max = Duration::from_secs(2);
        options.request_max = Duration::from_secs(5);
    })
    .await;
    bank(&door).await;
    let late = |bytes: &'static str| {
        let opening = in_pieces(&door, [bytes.as_bytes()].into_iter());
        async {
            tokio::time::timeout(Duration::from_secs(60), opening)
                .await
                .expect("it is given up")
        }
    };
    assert_eq!(late("").await, "");
    assert_eq!(late("GET /views/bal").await, "");
    let found = late(ROW).await;
    assert!(found.starts_with("HTTP/1.1 404 Not Found\r\n"), "{found}");
    let found = late("POST /commands/withdraw HTTP/1.1\r\nContent-Length: 100\r\n\r\n{").await;
    assert!(found.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{found}");
    door.close().await;

    let door = Door::open(|_| {}).await;
    let mut idle = door.connect().await;
    idle.write_all(ROW.as_bytes()).await.expect("it is sent");
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 404");
    door.close().await;
    let rest = answered(idle).await;
    assert!(rest.ends_with("}"), "{rest}");
}
