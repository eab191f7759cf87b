//! kill -9, again and again, while services send appends and calls of a command with idempotency keys, each until it is answered and some once
//! more: everything took effect once, and whoever asked again got the first answer.
//!
//! A few kills in every run of the tests; `HEADWATER_KILLS=50 cargo test -p headwater --test kill_keys -- --nocapture` for more.

mod program;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use program::Program;
use program::dice::kills;
use serde_json::Value;

const KILLS: u64 = 5;
const SENDERS: u64 = 4;
/// How many answers come between two kills.
const ANSWERS: u64 = 60;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(90);

const APPLICATION: &str = "
CREATE STREAM notes (number BIGINT NOT NULL, how TEXT NOT NULL) KEY (number) WITH (partitions = 3);
CREATE MATERIALIZED VIEW numbers STORED AS document AS SELECT number, count(*) AS times FROM notes GROUP BY number;
CREATE COMMAND note (number BIGINT NOT NULL)
REQUIRE NOT EXISTS (SELECT 1 FROM numbers n WHERE n.number = note.number) ELSE 'it is noted already'
INTO notes AS SELECT number, 'command' AS how;
";

/// Where an event stands: partition and offset.
type Place = (u64, u64);

/// What all senders share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answers: AtomicU64,
    repeated: AtomicU64,
}

/// One request on a connection of its own; `None` where the program went before it answered.
fn ask(http: SocketAddr, path: &str, key: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(http).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

/// Sends it until it is answered: where its event stands, and whether that is said to be a repetition.
fn insist(http: SocketAddr, path: &str, key: &str, body: &str) -> (Place, bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask(http, path, key, body) {
            Some((200, answer)) => {
                let event = &answer["events"][0];
                let number = |name: &str| event[name].as_u64().expect("an address");
                let repeated = answer["repeated"].as_bool().expect("it says so");
                return ((number("partition"), number("offset")), repeated);
            }
            // A view that catches up after a start, for example: asked again, as the answer says.
            Some((503, _)) | None => {}
            Some((status, answer)) => panic!("{path} {key}: {status} {answer}"),
        }
        assert!(Instant::now() < until, "{path} {key} is not answered");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends number after number, by either way; where each stands.
fn send(http: SocketAddr, sender: u64, shared: &Shared) -> BTreeMap<u64, Place> {
    let mut places: BTreeMap<u64, Place> = BTreeMap::new();
    let mut number = sender;
    while !shared.stop.load(Ordering::Relaxed) {
        let (path, body) = match number % 8 < SENDERS {
            true => ("/commands/note", format!("{{\"number\": {number}}}")),
            false => (
                "/streams/notes/events",
                format!("{{\"number\": {number}, \"how\": \"append\"}}"),
            ),
        };
        let key = format!("number {number}");
        let (place, repeated) = insist(http, path, &key, &body);
        shared.repeated.fetch_add(u64::from(repeated), Ordering::Relaxed);
        if number.is_multiple_of(3) {
            let again = insist(http, path, &key, &body);
            assert_eq!(again, (place, true), "{path} {key}: the first answer, told as such");
        }
        places.insert(number, place);
        shared.answers.fetch_add(1, Ordering::Relaxed);
        number += SENDERS;
    }
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_over_kills_takes_effect_once() {
    let kills = kills(KILLS);
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), APPLICATION);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    let doors = program.doors();
    let shared = Shared::default();
    let (program, places) = std::thread::scope(|scope| {
        let mut program = program;
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let shared = &shared;
                scope.spawn(move || send(doors[2], sender, shared))
            })
            .collect();
        for kill in 1..=kills {
            let until = Instant::now() + PATIENCE;
            while shared.answers.load(Ordering::Relaxed) < kill * ANSWERS {
                assert!(Instant::now() < until, "answers come");
                std::thread::sleep(Duration::from_millis(5));
            }
            program.kill();
            program = Program::start_at(&application, &data, doors);
        }
        shared.stop.store(true, Ordering::Relaxed);
        let sent = senders.into_iter().map(|sender| sender.join().expect("a sender ends"));
        (program, sent.flatten().collect::<BTreeMap<u64, Place>>())
    });
    let rows = program
        .sql("SELECT number, _partition, _offset FROM notes ORDER BY number")
        .await;
    let mut found: Vec<(u64, Place)> = Vec::new();
    for row in rows.expect("the stream answers") {
        let [number, partition, offset] = [0, 1, 2].map(|column| {
            row[column]
                .as_deref()
                .expect("a value")
                .parse::<u64>()
                .expect("a number")
        });
        found.push((number, (partition, offset)));
    }
    let expected: Vec<(u64, Place)> = places.into_iter().collect();
    assert!(expected.len() as u64 > kills * ANSWERS, "{} were sent", expected.len());
    assert_eq!(found, expected, "each is there once, where its sender was told");
    let repeated = shared.repeated.load(Ordering::Relaxed);
    println!(
        "{} sent, {repeated} of them answered when they were sent again after a kill",
        expected.len()
    );
}
