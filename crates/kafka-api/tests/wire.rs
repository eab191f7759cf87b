//! What no well-behaved client sends, byte by byte over a socket: broken batches, hostile lengths and counts, versions from the future.

mod door;
mod raw;

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use door::Door;
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event, Producer};
use raw::{answer, ask, connect, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const CORRUPT_MESSAGE: i16 = 2;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_RECORD: i16 = 87;

async fn assert_closed(socket: &mut TcpStream, what: &str) {
    let mut rest = [0; 16];
    let read = tokio::time::timeout(Duration::from_secs(120), socket.read(&mut rest))
        .await
        .expect(what);
    assert!(matches!(read, Ok(0) | Err(_)), "{what}: {read:?}");
}

/// A Produce request of version 3, for one partition.
fn produce(topic: &str, acks: i16, records: &[u8]) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_i16(-1);
    body.put_i16(acks);
    body.put_i32(1_000);
    body.put_i32(1);
    body.put_i16(topic.len() as i16);
    body.put_slice(topic.as_bytes());
    body.put_i32(1);
    body.put_i32(0);
    body.put_i32(records.len() as i32);
    body.put_slice(records);
    frame(PRODUCE, 3, &body)
}

/// A Fetch request of version 4, for one partition.
fn fetch(topic: &str, offset: i64, wait_ms: i32, bytes_min: i32, bytes_max: i32) -> Vec<u8> {
    let mut body = BytesMut::new();
    for field in [-1, wait_ms, bytes_min, bytes_max] {
        body.put_i32(field);
    }
    body.put_i8(0);
    body.put_i32(1);
    body.put_i16(topic.len() as i16);
    body.put_slice(topic.as_bytes());
    body.put_i32(1);
    body.put_i32(0);
    body.put_i64(offset);
    body.put_i32(bytes_max);
    frame(FETCH, 4, &body)
}

/// The error code, the high watermark and the batches in a Fetch answer of version 4 about one partition of `topic`.
fn fetched(answer: &[u8], topic: &str) -> (i16, i64, Vec<Batch>) {
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let code = i16::from_be_bytes([answer[at], answer[at + 1]]);
    let high_watermark = i64::from_be_bytes(answer[at + 2..at + 10].try_into().unwrap());
    let mut records = Bytes::copy_from_slice(&answer[at + 26..]);
    let mut batches: Vec<Batch> = Vec::new();
    while !records.is_empty() {
        batches.push(Batch::take(&mut records).unwrap());
    }
    (code, high_watermark, batches)
}

/// A Metadata request of version 1, which creates the topic.
fn metadata(topic: &str) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_i32(1);
    body.put_i16(topic.len() as i16);
    body.put_slice(topic.as_bytes());
    frame(METADATA, 1, &body)
}

/// The error code and the base offset in a Produce answer of version 3 about one partition of `topic`.
fn landed(answer: &[u8], topic: &str) -> (i16, i64) {
    let at = 4 + 2 + topic.len() + 4 + 4;
    let code = i16::from_be_bytes([answer[at], answer[at + 1]]);
    let offset = i64::from_be_bytes(answer[at + 2..at + 10].try_into().unwrap());
    (code, offset)
}

fn batch(values: &[&'static str], producer: Option<Producer>) -> Bytes {
    let event = |value: &&'static str| Event {
        value: Some(Bytes::from(*value)),
        timestamp_ms: 1_000,
        ..Event::default()
    };
    let events: Vec<Event> = values.iter().map(event).collect();
    Batch::encode(&events, Compression::None, producer).bytes().clone()
}

/// With the CRC made right again.
fn forge(batch: &[u8], at: usize, field: &[u8]) -> Vec<u8> {
    let mut forged = batch.to_vec();
    forged[at..at + field.len()].copy_from_slice(field);
    let crc = crc32c::crc32c(&forged[21..]);
    forged[17..21].copy_from_slice(&crc.to_be_bytes());
    forged
}

async fn open(options: KafkaOptions) -> (tempfile::TempDir, Door) {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), options).await;
    (folder, door)
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_batches_are_named_and_nothing_of_them_is_kept() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    ask(&mut socket, &metadata("t")).await;
    let good = batch(&["one", "two"], None);
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let check = async |socket: &mut TcpStream, records: &[u8], expected: (i16, i64)| {
        assert_eq!(landed(&ask(socket, &produce("t", -1, records)).await, "t"), expected);
    };
    check(&mut socket, &flipped, (CORRUPT_MESSAGE, -1)).await;
    check(&mut socket, &good[..good.len() - 1], (CORRUPT_MESSAGE, -1)).await;
    check(&mut socket, &[], (INVALID_RECORD, -1)).await;
    check(
        &mut socket,
        &[good.clone(), good.clone()].concat(),
        (INVALID_RECORD, -1),
    )
    .await;
    // Counts that contradict each other, a control batch.
    check(
        &mut socket,
        &forge(&good, 57, &3_i32.to_be_bytes()),
        (INVALID_RECORD, -1),
    )
    .await;
    check(
        &mut socket,
        &forge(&good, 21, &0x20_i16.to_be_bytes()),
        (INVALID_RECORD, -1),
    )
    .await;
    assert_eq!(door.log.offsets("t", 0).unwrap().end, 0);
    check(&mut socket, &good, (0, 0)).await;
    check(&mut socket, &good, (0, 2)).await;
    // What stands inside is the writer's affair and its readers': an event that ends in the middle is kept as it came.
    check(&mut socket, &forge(&good, 61, &[0x7e]), (0, 4)).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_producers_retries_gaps_and_old_epochs() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    ask(&mut socket, &metadata("t")).await;
    let id = door.log.new_producer_id().unwrap();
    let writes = |epoch: i16, base_sequence: i32| {
        batch(
            &["a", "b"],
            Some(Producer {
                id,
                epoch,
                base_sequence,
            }),
        )
    };
    let check = async |socket: &mut TcpStream, records: Bytes, expected: (i16, i64)| {
        assert_eq!(landed(&ask(socket, &produce("t", -1, &records)).await, "t"), expected);
    };
    check(&mut socket, writes(0, 0), (0, 0)).await;
    check(&mut socket, writes(0, 2), (0, 2)).await;
    check(&mut socket, writes(0, 0), (0, 0)).await;
    check(&mut socket, writes(0, 2), (0, 2)).await;
    check(&mut socket, writes(0, 6), (OUT_OF_ORDER_SEQUENCE_NUMBER, -1)).await;
    check(&mut socket, writes(1, 0), (0, 4)).await;
    check(&mut socket, writes(0, 4), (INVALID_PRODUCER_EPOCH, -1)).await;
    assert_eq!(door.log.offsets("t", 0).unwrap().end, 6);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    ask(&mut socket, &metadata("t")).await;
    let one = batch(&["x"], None);
    let mut requests: Vec<u8> = Vec::new();
    for _ in 0..100 {
        requests.extend(produce("t", -1, &one));
        requests.extend(produce("t", 0, &one));
    }
    requests.extend(metadata("t"));
    socket.write_all(&requests).await.unwrap();
    for number in 0..100 {
        assert_eq!(landed(&answer(&mut socket).await, "t"), (0, 2 * number));
    }
    let metadata = String::from_utf8_lossy(&answer(&mut socket).await).into_owned();
    assert!(metadata.contains(&door.address.ip().to_string()), "{metadata}");
    assert_eq!(door.log.offsets("t", 0).unwrap().high_watermark, 200);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_acknowledgements_an_error_closes_the_connection() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    socket
        .write_all(&produce("absent", 0, &batch(&["x"], None)))
        .await
        .unwrap();
    assert_closed(&mut socket, "acks=0 to a topic that is not there").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_frames_close_only_their_own_connection() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let count = |api_key: i16, version: i16, body: &[u8]| frame(api_key, version, body);
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("a frame of 2 GiB", i32::MAX.to_be_bytes().to_vec()),
        ("a negative frame", (-1_i32).to_be_bytes().to_vec()),
        ("an empty frame", 0_i32.to_be_bytes().to_vec()),
        (
            "a request of another protocol",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("two billion topics", count(METADATA, 1, &[0x7f, 0xff, 0xff, 0xff])),
        (
            "two billion topics, compact",
            count(METADATA, 9, &[0, 0xff, 0xff, 0xff, 0xff, 0x07]),
        ),
        ("a count below -1", count(METADATA, 1, &[0x80, 0, 0, 0])),
        ("a string beyond the end", count(METADATA, 1, &[0, 0, 0, 1, 0x7f, 0xff])),
        (
            "two billion tags",
            count(API_VERSIONS, 3, &[0xff, 0xff, 0xff, 0xff, 0x07]),
        ),
        ("an API that is not there", count(999, 0, &[])),
        ("a version that is not there", count(METADATA, 99, &[])),
        (
            "a client id beyond the end",
            [&[0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 77][..], &[0x7f, 0xff]].concat(),
        ),
    ];
    let mut healthy = connect(&door).await;
    for (what, bytes) in &hostile {
        let mut socket = connect(&door).await;
        socket.write_all(bytes).await.unwrap();
        assert_closed(&mut socket, what).await;
        assert!(!ask(&mut healthy, &metadata("t")).await.is_empty(), "{what}");
    }
    assert_eq!(door.broker.metrics().refused, hostile.len() as u64);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_on_both_sides_of_the_configured_limit() {
    let options = KafkaOptions {
        frame_bytes_max: 1_000,
        ..KafkaOptions::default()
    };
    let (_folder, door) = open(options).await;
    let sized = |bytes: usize| {
        let records = vec![0; bytes - produce("t", -1, &[]).len() + 4];
        produce("t", -1, &records)
    };
    let mut socket = connect(&door).await;
    assert!(!ask(&mut socket, &sized(1_000)).await.is_empty());
    socket.write_all(&sized(1_001)).await.unwrap();
    assert_closed(&mut socket, "a frame above the limit").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_on_both_sides_of_the_limit() {
    let options = KafkaOptions {
        connections_max: 2,
        ..KafkaOptions::default()
    };
    let (_folder, door) = open(options).await;
    let (mut one, mut two) = (connect(&door).await, connect(&door).await);
    ask(&mut one, &metadata("t")).await;
    ask(&mut two, &metadata("t")).await;
    let mut three = connect(&door).await;
    assert_closed(&mut three, "a connection above the limit").await;
    drop(one);
    for attempt in 0.. {
        let mut again = connect(&door).await;
        again.write_all(&metadata("t")).await.unwrap();
        let mut byte = [0];
        if matches!(again.read(&mut byte).await, Ok(1)) {
            break;
        }
        assert!(
            attempt < 6_000,
            "the place of a closed connection is not given out again"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_api_versions_from_the_future_is_answered_in_version_0() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    let versions = ask(&mut socket, &frame(API_VERSIONS, 99, &[1, 1, 0])).await;
    assert_eq!(versions[..2], UNSUPPORTED_VERSION.to_be_bytes());
    let count = i32::from_be_bytes(versions[2..6].try_into().unwrap()) as usize;
    assert_eq!(versions.len(), 6 + 6 * count);
    let ranges: Vec<[i16; 3]> = versions[6..]
        .chunks(6)
        .map(|line| [0, 2, 4].map(|at| i16::from_be_bytes([line[at], line[at + 1]])))
        .collect();
    assert!(ranges.contains(&[API_VERSIONS, 0, 5]) && ranges.contains(&[PRODUCE, 0, 13]));
    let known = ask(&mut socket, &frame(API_VERSIONS, 0, &[])).await;
    assert_eq!(known[..2], [0, 0]);
    assert_eq!(known[2..], versions[2..]);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_log_is_a_storage_error() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    ask(&mut socket, &metadata("t")).await;
    let log = door.log.clone();
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();
    let refused = ask(&mut socket, &produce("t", -1, &batch(&["x"], None))).await;
    assert_eq!(landed(&refused, "t"), (56, -1));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_begins_with_the_batch_that_holds_the_offset() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    ask(&mut socket, &metadata("t")).await;
    let three = batch(&["a", "b", "c"], None);
    for _ in 0..3 {
        ask(&mut socket, &produce("t", -1, &three)).await;
    }
    let one = three.len() as i32;
    let check = async |socket: &mut TcpStream, offset: i64, bytes_max: i32, expected: (i16, &[u64])| {
        let answer = ask(socket, &fetch("t", offset, 0, 1, bytes_max)).await;
        let (code, high_watermark, batches) = fetched(&answer, "t");
        let bases: Vec<u64> = batches.iter().map(Batch::base_offset).collect();
        assert_eq!(
            (code, high_watermark, bases.as_slice()),
            (expected.0, 9, expected.1),
            "{offset} {bytes_max}"
        );
    };
    check(&mut socket, 0, 100_000, (0, &[0, 3, 6])).await;
    check(&mut socket, 4, 100_000, (0, &[3, 6])).await;
    check(&mut socket, 8, 100_000, (0, &[6])).await;
    check(&mut socket, 9, 100_000, (0, &[])).await;
    check(&mut socket, 10, 100_000, (OFFSET_OUT_OF_RANGE, &[])).await;
    check(&mut socket, -1, 100_000, (OFFSET_OUT_OF_RANGE, &[])).await;
    // One batch comes whatever the limit, a second only where it fits.
    check(&mut socket, 0, 1, (0, &[0])).await;
    check(&mut socket, 0, 2 * one - 1, (0, &[0])).await;
    check(&mut socket, 0, 2 * one, (0, &[0, 3])).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_for_events_and_not_longer_than_it_says() {
    let (_folder, door) = open(KafkaOptions::default()).await;
    let (mut writer, mut reader) = (connect(&door).await, connect(&door).await);
    ask(&mut writer, &metadata("t")).await;
    let began = std::time::Instant::now();
    let (_, _, nothing) = fetched(&ask(&mut reader, &fetch("t", 0, 300, 1, 100_000)).await, "t");
    let waited = began.elapsed();
    assert!(nothing.is_empty() && waited >= Duration::from_millis(300), "{waited:?}");

    let one = batch(&["x"], None);
    let two_batches = 2 * one.len() as i32;
    reader
        .write_all(&fetch("t", 0, 60_000, two_batches, 100_000))
        .await
        .unwrap();
    for _ in 0..2 {
        // The reader asked for more than the first brings.
        let early = tokio::time::timeout(Duration::from_millis(200), reader.peek(&mut [0])).await;
        assert!(early.is_err(), "answered before there was enough");
        ask(&mut writer, &produce("t", -1, &one)).await;
    }
    let (code, high_watermark, batches) = fetched(&answer(&mut reader).await, "t");
    assert_eq!((code, high_watermark, batches.len()), (0, 2, 2));
    door.close().await;
}
