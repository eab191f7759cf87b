//! Records that depend on what came before them, over a socket and by a real client: taken, refused record by record, repeated, taken back.

mod door;
mod produced;
mod raw;

use std::time::Duration;

use bytes::Bytes;
use door::Door;
use headwater_catalog::{Column, ColumnType, CreateMode, Format, StreamDefinition};
use headwater_eventlog::{Entities, StreamSettings};
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event, Header, Producer};
use produced::{Told, produce};
use raw::connect;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header as ClientHeader, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::Timeout;
use tempfile::TempDir;
use tokio::net::TcpStream;

const INVALID_RECORD: i16 = 87;
const PATIENCE: Duration = Duration::from_secs(120);

/// A topic `t` of one partition, with key, kind and tags.
async fn open(entities: Entities) -> (TempDir, Door, TcpStream) {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let column = |name: &str| Column::new(name, ColumnType::Text, true);
    let definition = StreamDefinition {
        name: "t".to_owned(),
        columns: Some(vec![column("course"), column("kind")]),
        key: vec!["course".to_owned()],
        kind: Some("kind".to_owned()),
        tags: vec!["course".to_owned()],
        time: None,
        partitions: 1,
        format: Format::Json,
        statement: "CREATE STREAM t".to_owned(),
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

/// One record for each course, with the headers of the last.
fn batch(courses: &[&str], headers: &[(&str, &str)], compression: Compression, producer: Option<Producer>) -> Batch {
    let header = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        value: Some(Bytes::from((*value).to_owned())),
    };
    let event = |(index, course): (usize, &&str)| Event {
        key: Some(Bytes::from((*course).to_owned())),
        value: Some(Bytes::from(format!("{{\"course\":\"{course}\",\"kind\":\"taken\"}}"))),
        headers: match index + 1 == courses.len() {
            true => headers.iter().map(header).collect(),
            false => Vec::new(),
        },
        timestamp_ms: 1_000,
    };
    let events: Vec<Event> = courses.iter().enumerate().map(event).collect();
    Batch::encode(&events, compression, producer)
}

/// Sends a record, or several of which the last depends on something; the offset of the first, or the record at fault and how its error begins.
async fn check(socket: &mut TcpStream, courses: &[&str], headers: &[(&str, &str)], expected: Result<i64, (i32, &str)>) {
    // Compressed or not, a condition is found.
    let compression = [Compression::None, Compression::Lz4][headers.len() % 2];
    let told: Told = produce(socket, &batch(courses, headers, compression, None)).await;
    match expected {
        Ok(offset) => assert_eq!(
            (told.code, told.base_offset),
            (0, offset),
            "{courses:?} {headers:?}: {told:?}"
        ),
        Err((record, why)) => {
            assert_eq!(
                (told.code, told.events.len()),
                (INVALID_RECORD, 1),
                "{courses:?} {headers:?}: {told:?}"
            );
            assert_eq!(told.events[0].0, record, "{told:?}");
            assert!(told.events[0].1.starts_with(why), "{courses:?} {headers:?}: {told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_depends_on_its_entity_or_on_a_boundary() {
    let (_folder, door, mut socket) = open(Entities::Indexed).await;
    let version = "headwater-if-version";
    check(&mut socket, &["a"], &[(version, "none")], Ok(0)).await;
    check(
        &mut socket,
        &["a"],
        &[(version, "none")],
        Err((0, "condition_failed: the version of 'a' in 't' is 0@0")),
    )
    .await;
    check(&mut socket, &["b", "a"], &[(version, "0@0")], Ok(1)).await;
    // What anybody else writes counts.
    check(&mut socket, &["a"], &[], Ok(3)).await;
    check(
        &mut socket,
        &["b", "a"],
        &[(version, "0@2")],
        Err((1, "condition_failed: the version of 'a'")),
    )
    .await;
    check(
        &mut socket,
        &["a", "a"],
        &[(version, "0@3")],
        Err((1, "condition_failed: an earlier record")),
    )
    .await;
    check(&mut socket, &["a"], &[(version, "0@3")], Ok(4)).await;
    let condition = "headwater-condition";
    let no_more_of_b = r#"{"after":"t/0@5","none_of":[{"stream":"t","kinds":["taken"],"tags":["course:b"]}]}"#;
    check(&mut socket, &["a", "c"], &[(condition, no_more_of_b)], Ok(5)).await;
    check(&mut socket, &["b"], &[(condition, no_more_of_b), ("trace", "1")], Ok(7)).await;
    let failed = "condition_failed: events came that the condition excludes";
    check(&mut socket, &["c"], &[(condition, no_more_of_b)], Err((0, failed))).await;
    // Of several conditions the record is named whose condition fails.
    let all = r#"[{"stream":"t","key":"x","version":"none"},{"none_of":[{"key":"b"}]}]"#;
    check(&mut socket, &["c", "x"], &[(condition, all)], Err((1, failed))).await;
    for (name, value, why) in [
        (version, "7", "malformed_version"),
        (version, "0@99", "position_beyond_end"),
        (version, "7@0", "unknown_partition"),
        (condition, "{}", "malformed_condition"),
        (condition, r#"{"none_of":[{"stream":"nowhere"}]}"#, "unknown_stream"),
    ] {
        let told = produce(&mut socket, &batch(&["c"], &[(name, value)], Compression::None, None)).await;
        assert_eq!(told.code, INVALID_RECORD, "{told:?}");
        assert!(
            told.message.as_deref().is_some_and(|message| message.contains(why)),
            "{told:?}"
        );
    }
    assert_eq!(
        door.log.offsets("t", 0).unwrap().end,
        8,
        "nothing of what was refused is there"
    );
    drop(socket);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_an_idempotent_producer_gets_its_first_answer() {
    let (_folder, door, mut socket) = open(Entities::Indexed).await;
    let producer = Producer {
        id: door.log.new_producer_id().unwrap(),
        epoch: 0,
        base_sequence: 0,
    };
    let headers = [("headwater-if-version", "none")];
    let sent = batch(&["a"], &headers, Compression::None, Some(producer));
    for _ in 0..2 {
        let told = produce(&mut socket, &sent).await;
        assert_eq!((told.code, told.base_offset), (0, 0), "{told:?}");
    }
    let next = Producer {
        base_sequence: 1,
        ..producer
    };
    let told = produce(&mut socket, &batch(&["a"], &headers, Compression::None, Some(next))).await;
    assert_eq!(told.code, INVALID_RECORD, "{told:?}");
    // The sequence did not move: what follows has its number.
    let told = produce(&mut socket, &batch(&["b"], &headers, Compression::None, Some(next))).await;
    assert_eq!((told.code, told.base_offset), (0, 1), "{told:?}");
    drop(socket);
    door.close().await;
}

/// Whoever switched the index off is told, and not let through unasked; what needs no index is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_about_something_without_its_index_refuses_what_depends_on_it() {
    let (_folder, door, mut socket) = open(Entities::None).await;
    check(&mut socket, &["a"], &[("trace", "1")], Ok(0)).await;
    let version = [("headwater-if-version", "none")];
    check(
        &mut socket,
        &["b", "a"],
        &version,
        Err((1, "not_indexed: stream 't' has no entity index")),
    )
    .await;
    let boundary = [
        ("headwater-condition", r#"{"none_of":[{"tags":["course:a"]}]}"#),
        ("trace", "1"),
    ];
    check(
        &mut socket,
        &["a"],
        &boundary,
        Err((0, "not_indexed: no stream that has an entity index declares TAGS")),
    )
    .await;
    check(&mut socket, &["a"], &[("headwater-append-after", "1 hour")], Ok(1)).await;
    assert_eq!(door.schedules.pending(), 1);
    drop(socket);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_topic_takes_conditions_for_headers_like_any_others() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let plain = StreamDefinition::schema_free("t", 1);
    let defined = door
        .catalog
        .define_stream(plain, StreamSettings::default(), CreateMode::Create, false, "ann");
    defined.await.unwrap();
    let mut socket = connect(&door).await;
    check(&mut socket, &["a"], &[("headwater-if-version", "7@7")], Ok(0)).await;
    drop(socket);
    door.close().await;
}

fn client(door: &Door, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", door.address.to_string());
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

async fn send(producer: &FutureProducer, course: &str, version: &str) -> Result<i64, KafkaError> {
    let header = ClientHeader {
        key: "headwater-if-version",
        value: Some(version),
    };
    let payload = format!("{{\"course\":\"{course}\",\"kind\":\"taken\"}}");
    let record = FutureRecord::to("t")
        .key(course)
        .payload(&payload)
        .headers(OwnedHeaders::new().insert(header));
    let sent = producer.send(record, Timeout::After(PATIENCE)).await;
    sent.map(|delivery| delivery.offset).map_err(|(error, _)| error)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_is_told_and_goes_on() {
    let (_folder, door, socket) = open(Entities::Indexed).await;
    let refused = KafkaError::MessageProduction(RDKafkaErrorCode::InvalidRecord);
    for settings in [
        &[("compression.type", "zstd")][..],
        &[("enable.idempotence", "true")],
        &[("compression.type", "gzip"), ("enable.idempotence", "true")],
    ] {
        let producer = client(&door, settings);
        let course = format!("{settings:?}");
        let first = send(&producer, &course, "none").await.unwrap();
        assert_eq!(
            send(&producer, &course, "none").await,
            Err(refused.clone()),
            "{settings:?}"
        );
        let second = send(&producer, &course, &format!("0@{first}")).await.unwrap();
        assert!(second > first);
    }
    // In a transaction its own earlier events count; what was taken back does not.
    let producer = client(
        &door,
        &[("transactional.id", "seats"), ("transaction.timeout.ms", "30000")],
    );
    let blocking = |step: &dyn Fn() -> Result<(), KafkaError>| tokio::task::block_in_place(step).unwrap();
    blocking(&|| producer.init_transactions(PATIENCE));
    blocking(&|| producer.begin_transaction());
    let first = send(&producer, "x", "none").await.unwrap();
    send(&producer, "x", &format!("0@{first}")).await.unwrap();
    blocking(&|| producer.abort_transaction(PATIENCE));
    blocking(&|| producer.begin_transaction());
    let first = send(&producer, "x", "none").await.unwrap();
    blocking(&|| producer.commit_transaction(PATIENCE));
    let other = client(&door, &[]);
    assert_eq!(send(&other, "x", "none").await, Err(refused));
    send(&other, "x", &format!("0@{first}")).await.unwrap();
    drop((producer, other, socket));
    door.close().await;
}
