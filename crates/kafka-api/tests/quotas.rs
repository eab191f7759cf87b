//! Client quotas over a socket: set, described, kept over a restart, and kept to.

mod door;
mod raw;

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use door::Door;
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event};
use raw::{ask, connect, frame};
use tokio::net::TcpStream;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const DESCRIBE_CLIENT_QUOTAS: i16 = 48;
const ALTER_CLIENT_QUOTAS: i16 = 49;

const INVALID_REQUEST: i16 = 42;

fn put_text(body: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => {
            body.put_i16(text.len() as i16);
            body.put_slice(text.as_bytes());
        }
        None => body.put_i16(-1),
    }
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::try_from(bytes.get_i16()).ok()?;
    Some(String::from_utf8(bytes.split_to(length).to_vec()).unwrap())
}

/// Sets a quota, or takes it away; the error code.
async fn alter(socket: &mut TcpStream, entity: &[(&str, Option<&str>)], name: &str, value: Option<f64>) -> i16 {
    let mut body = BytesMut::new();
    body.put_i32(1);
    body.put_i32(entity.len() as i32);
    for (kind, name) in entity {
        put_text(&mut body, Some(kind));
        put_text(&mut body, *name);
    }
    body.put_i32(1);
    put_text(&mut body, Some(name));
    body.put_f64(value.unwrap_or_default());
    body.put_u8(u8::from(value.is_none()));
    body.put_u8(0);
    let mut answer = Bytes::from(ask(socket, &frame(ALTER_CLIENT_QUOTAS, 0, &body)).await);
    assert_eq!((answer.get_i32(), answer.get_i32()), (0, 1));
    answer.get_i16()
}

/// Whom a quota is for: kinds and names.
type Entity = Vec<(String, Option<String>)>;

/// Every quota: entity, name, value.
async fn describe(socket: &mut TcpStream) -> Vec<(Entity, String, f64)> {
    let mut answer = Bytes::from(ask(socket, &frame(DESCRIBE_CLIENT_QUOTAS, 0, &[0, 0, 0, 0, 0])).await);
    answer.advance(4);
    assert_eq!((answer.get_i16(), take_text(&mut answer)), (0, None));
    let mut quotas: Vec<(Entity, String, f64)> = Vec::new();
    for _ in 0..answer.get_i32() {
        let mut entity: Entity = Vec::new();
        for _ in 0..answer.get_i32() {
            let kind = take_text(&mut answer).unwrap();
            entity.push((kind, take_text(&mut answer)));
        }
        for _ in 0..answer.get_i32() {
            let name = take_text(&mut answer).unwrap();
            quotas.push((entity.clone(), name, answer.get_f64()));
        }
    }
    quotas
}

fn batch(bytes: usize) -> Bytes {
    let event = Event {
        value: Some(Bytes::from(vec![b'x'; bytes])),
        ..Event::default()
    };
    Batch::encode(&[event], Compression::None, None).bytes().clone()
}

/// A frame of another client than the one of all the tests.
fn of_client(id: u8, mut frame: Vec<u8>) -> Vec<u8> {
    frame[14] = id;
    frame
}

/// Writes to `t/0`; the throttle time.
async fn produce(socket: &mut TcpStream, client: u8, records: &[u8]) -> i32 {
    let mut body = BytesMut::new();
    body.put_i16(-1);
    body.put_i16(-1);
    body.put_i32(1_000);
    body.put_i32(1);
    put_text(&mut body, Some("t"));
    body.put_i32(1);
    body.put_i32(0);
    body.put_i32(records.len() as i32);
    body.put_slice(records);
    let answer = ask(socket, &of_client(client, frame(PRODUCE, 3, &body))).await;
    i32::from_be_bytes(*answer.last_chunk().unwrap())
}

/// Reads `t/0` from its beginning; the throttle time.
async fn fetch(socket: &mut TcpStream, client: u8) -> i32 {
    let mut body = BytesMut::new();
    for field in [-1, 0, 1, 1 << 20] {
        body.put_i32(field);
    }
    body.put_i8(0);
    body.put_i32(1);
    put_text(&mut body, Some("t"));
    body.put_i32(1);
    body.put_i32(0);
    body.put_i64(0);
    body.put_i32(1 << 20);
    let answer = ask(socket, &of_client(client, frame(FETCH, 4, &body))).await;
    i32::from_be_bytes(*answer.first_chunk().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_described_as_they_were_set_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    let client = [("client-id", Some("billing"))];
    let both = [("user", None), ("client-id", Some("billing"))];
    assert_eq!(alter(&mut socket, &client, "producer_byte_rate", Some(1e6)).await, 0);
    assert_eq!(alter(&mut socket, &client, "consumer_byte_rate", Some(12.0)).await, 0);
    assert_eq!(alter(&mut socket, &both, "consumer_byte_rate", Some(2e6)).await, 0);
    assert_eq!(alter(&mut socket, &client, "producer_byte_rate", None).await, 0);
    for (entity, name, value) in [
        (&client[..], "producer_byte_rate", Some(0.0)),
        (&client[..], "producer_byte_rate", Some(1.5)),
        (&client[..], "producer_byte_rate", Some(f64::NAN)),
        (&client[..], "misspelt", Some(1.0)),
        (&client[..], "request_percentage", Some(1.0)),
        (&client[..], "controller_mutation_rate", Some(1.0)),
        (&[("ip", None)][..], "connection_creation_rate", Some(1.0)),
        (&[("planet", None)][..], "producer_byte_rate", Some(1.0)),
        (&[("client-id", Some(""))][..], "producer_byte_rate", Some(1.0)),
        (&[("ip", None), ("user", None)][..], "producer_byte_rate", Some(1.0)),
        (&[][..], "producer_byte_rate", Some(1.0)),
    ] {
        assert_eq!(
            alter(&mut socket, entity, name, value).await,
            INVALID_REQUEST,
            "{entity:?} {name} {value:?}"
        );
    }
    // Taking away what cannot be there is fine.
    assert_eq!(alter(&mut socket, &client, "request_percentage", None).await, 0);
    let part = |kind: &str, name: Option<&str>| (kind.to_owned(), name.map(str::to_owned));
    let expected = [
        (
            vec![part("client-id", Some("billing"))],
            "consumer_byte_rate".to_owned(),
            12.0,
        ),
        (
            vec![part("client-id", Some("billing")), part("user", None)],
            "consumer_byte_rate".to_owned(),
            2e6,
        ),
    ];
    assert_eq!(describe(&mut socket).await, expected);
    drop(socket);
    door.close().await;
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    assert_eq!(describe(&mut socket).await, expected);
    drop(socket);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_over_a_quota_is_told_and_not_heard_for_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let log = door.log.clone();
    let created =
        tokio::task::spawn_blocking(move || log.create_stream("t", 1, headwater_eventlog::StreamSettings::default()))
            .await;
    created.unwrap().unwrap();
    let mut socket = connect(&door).await;
    // Each client has 10,000 bytes in ten seconds, and then a millisecond a byte.
    let any = [("client-id", None)];
    for name in ["producer_byte_rate", "consumer_byte_rate"] {
        assert_eq!(alter(&mut socket, &any, name, Some(1_000.0)).await, 0);
    }
    let half = batch(6_000);
    let over_ms = 2 * half.len() as i32 - 10_000;
    let silence = Duration::from_millis(over_ms as u64);
    for writes in [true, false] {
        // Where the machine was too late for the answer that comes before the silence, the next client tries.
        let mut clients = b'a'..=b'z';
        loop {
            let client = clients.next().expect("the answer itself comes at once");
            let mut throttled_ms = async || match writes {
                true => produce(&mut socket, client, &half).await,
                false => fetch(&mut socket, client).await,
            };
            // One answer is kept within what ten seconds allow, so that only the second is over.
            let first = Instant::now();
            assert_eq!(throttled_ms().await, 0);
            let second = Instant::now();
            let told_ms = throttled_ms().await;
            let in_time = first.elapsed() < silence;
            // The next request waits in the socket.
            describe(&mut socket).await;
            if in_time {
                assert_eq!(told_ms, over_ms);
                assert!(second.elapsed() >= silence, "{:?}", second.elapsed());
                break;
            }
        }
    }
    // A quota that was taken away is not kept to.
    assert_eq!(alter(&mut socket, &any, "producer_byte_rate", None).await, 0);
    for _ in 0..2 {
        assert_eq!(produce(&mut socket, b'a', &half).await, 0);
    }
    drop(socket);
    door.close().await;
}
