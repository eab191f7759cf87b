//! Records that are to be appended later, over a socket and by a real client: promised once, over restarts, and appended when they are due.

mod door;
mod produced;
mod raw;

use std::time::Duration;

use bytes::Bytes;
use door::Door;
use headwater_catalog::{CreateMode, StreamDefinition};
use headwater_eventlog::{Entities, StreamSettings};
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event, Header, Producer};
use produced::produce;
use raw::connect;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header as ClientHeader, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::Timeout;
use tempfile::TempDir;
use tokio::net::TcpStream;

const INVALID_RECORD: i16 = 87;
const PATIENCE: Duration = Duration::from_secs(60);
const AT: &str = "headwater-append-at";
const AFTER: &str = "headwater-append-after";
const NAME: &str = "headwater-schedule";

/// A topic `t` of one partition.
async fn open(entities: Entities) -> (TempDir, Door, TcpStream) {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let definition = StreamDefinition {
        name: "t".to_owned(),
        partitions: 1,
        ..StreamDefinition::default()
    };
    let settings = StreamSettings {
        entities: Some(entities),
        ..StreamSettings::default()
    };
    let defined = door
        .catalog
        .define_stream(definition, settings, CreateMode::Create, false, "ann");
    defined.await.unwrap();
    let socket = connect(&door).await;
    (folder, door, socket)
}

/// A record: its value, its headers.
type Record<'a> = (&'a str, &'a [(&'a str, &'a str)]);

fn batch(records: &[Record<'_>], producer: Option<Producer>) -> Batch {
    let header = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        value: Some(Bytes::from((*value).to_owned())),
    };
    let event = |(value, headers): &Record<'_>| Event {
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::from((*value).to_owned())),
        headers: headers.iter().map(header).collect(),
        timestamp_ms: 1_000,
    };
    let events: Vec<Event> = records.iter().map(event).collect();
    // Compressed or not, a header is found.
    let compression = [Compression::None, Compression::Lz4][records.len() % 2];
    Batch::encode(&events, compression, producer)
}

/// Sends a batch; the offset of its first record, or the record at fault and how its error begins.
async fn check(socket: &mut TcpStream, batch: &Batch, expected: Result<i64, (i32, &str)>) {
    let told = produce(socket, batch).await;
    match expected {
        Ok(offset) => assert_eq!((told.code, told.base_offset), (0, offset), "{told:?}"),
        Err((record, why)) => {
            assert_eq!((told.code, told.events.len()), (INVALID_RECORD, 1), "{told:?}");
            assert_eq!(told.events[0].0, record, "{told:?}");
            assert!(told.events[0].1.starts_with(why), "{told:?}");
        }
    }
}

/// What stands in the topic: offset and event.
fn events(door: &Door) -> Vec<(u64, Event)> {
    let batches = door.log.read("t", 0, 0, 1 << 20).unwrap();
    batches
        .iter()
        .flat_map(|stored| stored.batch.events().unwrap())
        .collect()
}

fn values(door: &Door) -> Vec<(u64, String)> {
    let text = |event: Event| String::from_utf8(event.value.unwrap().to_vec()).unwrap();
    events(door)
        .into_iter()
        .map(|(offset, event)| (offset, text(event)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_leaves_its_offset_empty_and_outlives_a_restart() {
    let (folder, door, mut socket) = open(Entities::Indexed).await;
    let mixed: [Record<'_>; 3] = [
        ("one", &[]),
        ("waits", &[(AFTER, "1 hour"), (NAME, "x")]),
        ("three", &[]),
    ];
    check(&mut socket, &batch(&mixed, None), Ok(0)).await;
    let overdue: [Record<'_>; 1] = [("overdue", &[(AT, "2020-01-01T00:00:00Z"), ("trace", "7")])];
    check(&mut socket, &batch(&overdue, None), Ok(3)).await;
    check(&mut socket, &batch(&[("five", &[])], None), Ok(4)).await;
    let expected = [(0, "one"), (2, "three"), (4, "five")].map(|(offset, value)| (offset, value.to_owned()));
    assert_eq!(values(&door), expected);
    assert_eq!(door.schedules.pending(), 2);
    drop(socket);
    door.close().await;

    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    assert_eq!((values(&door), door.schedules.pending()), (expected.to_vec(), 2));
    assert_eq!(door.schedules.append_all_due().await.unwrap(), 1);
    let (offset, event) = events(&door).pop().unwrap();
    assert_eq!((offset, event.value.as_deref()), (5, Some(&b"overdue"[..])));
    assert_eq!(
        event.timestamp_ms, 1_577_836_800_000,
        "it has the moment at which it was due"
    );
    let names: Vec<&str> = event.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(names, ["trace", NAME, "headwater-due"]);
    let waiting = door.schedules.get("x").unwrap().expect("it waits still");
    assert_eq!(waiting.principal, "anonymous");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_promises_nothing_again() {
    let (_folder, door, mut socket) = open(Entities::Indexed).await;
    let id = door.log.new_producer_id().unwrap();
    let from = |base_sequence: i32| Producer {
        id,
        epoch: 0,
        base_sequence,
    };
    let named: [Record<'_>; 1] = [("named", &[(AFTER, "1 hour"), (NAME, "n")])];
    let nameless: [Record<'_>; 2] = [("nameless", &[(AFTER, "1 hour")]), ("now", &[])];
    for _ in 0..2 {
        check(&mut socket, &batch(&named, Some(from(0))), Ok(0)).await;
    }
    for _ in 0..2 {
        check(&mut socket, &batch(&nameless, Some(from(1))), Ok(1)).await;
    }
    assert_eq!(door.schedules.pending(), 2);
    let taken = "schedule_exists: a schedule 'n' waits already";
    check(&mut socket, &batch(&named, Some(from(3))), Err((0, taken))).await;
    check(&mut socket, &batch(&named, None), Err((0, taken))).await;
    // The sequence did not move: what follows has its number.
    check(&mut socket, &batch(&[("next", &[])], Some(from(3))), Ok(3)).await;
    assert_eq!(values(&door), [(2, "now".to_owned()), (3, "next".to_owned())]);
    assert_eq!(door.schedules.pending(), 2);
    drop(socket);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_may_depend_on_what_came_before_and_is_refused_with_its_record() {
    let (_folder, door, mut socket) = open(Entities::Indexed).await;
    let version = "headwater-if-version";
    let later = batch(&[("later", &[(version, "none"), (AFTER, "1 hour")])], None);
    // What waits is no event yet: the entity has none.
    for offset in 0..2 {
        check(&mut socket, &later, Ok(offset)).await;
    }
    check(&mut socket, &batch(&[("now", &[])], None), Ok(2)).await;
    check(&mut socket, &later, Err((0, "condition_failed: "))).await;
    let twice: [Record<'_>; 2] = [
        ("a", &[(AFTER, "1 s"), (NAME, "n")]),
        ("b", &[(AFTER, "1 s"), (NAME, "n")]),
    ];
    check(&mut socket, &batch(&twice, None), Err((1, "schedule_exists: "))).await;
    let soon: [Record<'_>; 2] = [("a", &[]), ("b", &[(AT, "soon")])];
    check(
        &mut socket,
        &batch(&soon, None),
        Err((1, "malformed_schedule: headwater-append-at is 'soon'")),
    )
    .await;
    let nameless: [Record<'_>; 1] = [("b", &[(AFTER, "1 s"), (NAME, "")])];
    check(
        &mut socket,
        &batch(&nameless, None),
        Err((0, "malformed_schedule: the name of a schedule")),
    )
    .await;
    assert_eq!((values(&door).len(), door.schedules.pending()), (1, 2));
    drop(socket);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_an_index_takes_them_for_headers_like_any_others() {
    let (_folder, door, mut socket) = open(Entities::None).await;
    check(&mut socket, &batch(&[("now", &[(AFTER, "1 hour")])], None), Ok(0)).await;
    assert_eq!((values(&door).len(), door.schedules.pending()), (1, 0));
    drop(socket);
    door.close().await;
}

async fn send(producer: &FutureProducer, value: &str, after: &str) -> Result<i64, KafkaError> {
    let header = ClientHeader {
        key: AFTER,
        value: Some(after),
    };
    let record = FutureRecord::to("t")
        .key("k")
        .payload(value)
        .headers(OwnedHeaders::new().insert(header));
    let sent = producer.send(record, Timeout::After(PATIENCE)).await;
    sent.map(|delivery| delivery.offset).map_err(|(error, _)| error)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_sends_and_receives_what_is_due() {
    let (_folder, door, socket) = open(Entities::Indexed).await;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", door.address.to_string());
    let producer: FutureProducer = config.clone().set("enable.idempotence", "true").create().unwrap();
    send(&producer, "in a while", "1 hour").await.unwrap();
    send(&producer, "at once", "1 ms").await.unwrap();
    let malformed = send(&producer, "never", "a while").await;
    let refused = KafkaError::MessageProduction(RDKafkaErrorCode::InvalidRecord);
    assert_eq!(malformed, Err(refused.clone()));
    let appending = tokio::spawn(door.schedules.clone().run());
    let consumer: StreamConsumer = config
        .clone()
        .set("group.id", "g")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let message = tokio::time::timeout(PATIENCE, consumer.recv()).await.unwrap().unwrap();
    assert_eq!(message.payload(), Some(&b"at once"[..]));
    let headers = message.headers().expect("it says where it comes from");
    let names: Vec<&str> = headers.iter().map(|header| header.key).collect();
    assert_eq!(names, [NAME, "headwater-due"]);
    drop(message);

    let transactional: FutureProducer = config.set("transactional.id", "x").create().unwrap();
    tokio::task::block_in_place(|| {
        transactional.init_transactions(PATIENCE).unwrap();
        transactional.begin_transaction().unwrap();
    });
    assert_eq!(send(&transactional, "taken back?", "1 hour").await, Err(refused));
    assert_eq!(door.schedules.pending(), 1);
    appending.abort();
    // It ends where it waits next.
    let _ = appending.await;
    drop((producer, transactional, consumer, socket));
    door.close().await;
}
