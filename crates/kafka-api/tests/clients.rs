//! A real client, librdkafka, against the door: create, produce, fetch, groups, and all of it again after a restart.

mod door;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use door::Door;
use headwater_kafka_api::KafkaOptions;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;

const PATIENCE: Duration = Duration::from_secs(120);

fn config(door: &Door) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", door.address.to_string());
    config
}

fn producer(door: &Door, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = config(door);
    config.set("message.timeout.ms", "10000");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

fn consumer(door: &Door, group: &str) -> StreamConsumer {
    let mut config = config(door);
    config
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    config.create().unwrap()
}

async fn send(producer: &FutureProducer, topic: &str, partition: i32, value: &str) -> Result<i64, KafkaError> {
    let record = FutureRecord::<str, str>::to(topic)
        .partition(partition)
        .key("k")
        .payload(value);
    let sent = producer.send(record, Timeout::After(PATIENCE)).await;
    sent.map(|delivery| delivery.offset).map_err(|(error, _)| error)
}

/// The next messages: partition, offset, value.
async fn receive(consumer: &StreamConsumer, count: usize) -> Vec<(i32, i64, String)> {
    let mut received: Vec<(i32, i64, String)> = Vec::new();
    while received.len() < count {
        let message = tokio::time::timeout(PATIENCE, consumer.recv())
            .await
            .expect("messages keep coming")
            .unwrap();
        let value = message.payload_view::<str>().unwrap().unwrap().to_owned();
        received.push((message.partition(), message.offset(), value));
    }
    received
}

async fn admin_create(door: &Door, topic: NewTopic<'_>) -> Result<String, (String, RDKafkaErrorCode)> {
    let admin: AdminClient<DefaultClientContext> = config(door).create().unwrap();
    let created = admin.create_topics(&[topic], &AdminOptions::new()).await.unwrap();
    created.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_and_every_acks_is_kept_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let mut offset = 0;
    let mut expected: Vec<(i32, i64, String)> = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["0", "1", "all"] {
            let producer = producer(
                &door,
                &[("compression.codec", codec), ("acks", acks), ("linger.ms", "20")],
            );
            let values: Vec<String> = (0..50)
                .map(|n| format!("{codec} {acks} {n} {}", "text ".repeat(20)))
                .collect();
            let sends = values.iter().map(|value| send(&producer, "codecs", 0, value));
            for (sent, value) in futures_join(sends).await.into_iter().zip(values) {
                let landed = sent.unwrap();
                // Without an acknowledgement the client does not learn the offset.
                assert!(
                    acks == "0" || landed == offset,
                    "{codec} {acks}: {landed}, expected {offset}"
                );
                expected.push((0, offset, value));
                offset += 1;
            }
            // What is not acknowledged may still be on its way.
            wait_for_end(&door, "codecs", offset).await;
        }
    }
    let consumer = consumer(&door, "codecs");
    consumer.subscribe(&["codecs"]).unwrap();
    assert_eq!(receive(&consumer, expected.len()).await, expected);
    assert_eq!(door.broker.metrics().events_in, 750);
    drop(consumer);
    door.close().await;
}

async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<T> = Vec::new();
    // All are polled at once, so that they can share batches.
    let mut results: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, result) in pinned.iter_mut().zip(&mut results) {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    done.extend(results.into_iter().flatten());
    done
}

async fn wait_for_end(door: &Door, topic: &str, end: i64) {
    let began = Instant::now();
    loop {
        let offsets = door.log.offsets(topic, 0);
        if offsets.is_some_and(|offsets| offsets.high_watermark == end as u64) {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{topic} ends at {offsets:?}, expected {end}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_back_as_it_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let producer = producer(&door, &[]);
    let header = |key: &'static str, value: Option<&'static str>| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("a", Some("1")))
        .insert(header("a", None));
    let record = FutureRecord::to("whole")
        .key("key")
        .payload("value")
        .timestamp(1_234_567)
        .headers(headers);
    producer.send(record, Timeout::After(PATIENCE)).await.unwrap();
    let tombstone = FutureRecord::<str, str>::to("whole").key("key");
    producer.send(tombstone, Timeout::After(PATIENCE)).await.unwrap();

    let consumer = consumer(&door, "whole");
    consumer.subscribe(&["whole"]).unwrap();
    let message = tokio::time::timeout(PATIENCE, consumer.recv()).await.unwrap().unwrap();
    assert_eq!(
        (message.key(), message.payload()),
        (Some(b"key".as_slice()), Some(b"value".as_slice()))
    );
    assert_eq!(message.timestamp(), rdkafka::Timestamp::CreateTime(1_234_567));
    let headers = message.headers().unwrap();
    assert_eq!(
        (headers.count(), headers.get(0).value, headers.get(1).value),
        (2, Some(b"1".as_slice()), None)
    );
    let message = tokio::time::timeout(PATIENCE, consumer.recv()).await.unwrap().unwrap();
    assert_eq!(message.payload(), None);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        default_partitions: 3,
        ..KafkaOptions::default()
    };
    let door = Door::open(folder.path(), options.clone()).await;
    let idempotent = producer(&door, &[("enable.idempotence", "true")]);
    for number in 0..30 {
        send(&idempotent, "orders", number % 3, &format!("v{number}"))
            .await
            .unwrap();
    }
    let reader = consumer(&door, "billing");
    reader.subscribe(&["orders"]).unwrap();
    let first: BTreeSet<(i32, i64, String)> = receive(&reader, 12).await.into_iter().collect();
    let mut positions = TopicPartitionList::new();
    for partition in 0..3 {
        let read = first
            .iter()
            .filter(|(of, ..)| *of == partition)
            .map(|(_, offset, _)| offset + 1)
            .max();
        if let Some(next) = read {
            positions
                .add_partition_offset("orders", partition, Offset::Offset(next))
                .unwrap();
        }
    }
    reader.commit(&positions, CommitMode::Sync).unwrap();
    drop(reader);
    drop(idempotent);
    door.close().await;

    let door = Door::open(folder.path(), options).await;
    let again = consumer(&door, "billing");
    again.subscribe(&["orders"]).unwrap();
    let rest: BTreeSet<(i32, i64, String)> = receive(&again, 18).await.into_iter().collect();
    assert!(
        rest.is_disjoint(&first),
        "an event came twice: {rest:?} after {first:?}"
    );
    let values: BTreeSet<String> = first.iter().chain(&rest).map(|(_, _, value)| value.clone()).collect();
    assert_eq!(values, (0..30).map(|number| format!("v{number}")).collect());
    // Another group starts at the beginning.
    let other = consumer(&door, "shipping");
    other.subscribe(&["orders"]).unwrap();
    assert_eq!(receive(&other, 30).await.len(), 30);
    drop((again, other));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        default_partitions: 4,
        ..KafkaOptions::default()
    };
    let door = Door::open(folder.path(), options).await;
    let producer = producer(&door, &[]);
    for number in 0..40 {
        send(&producer, "shared", number % 4, &format!("v{number}"))
            .await
            .unwrap();
    }
    let (one, two) = (consumer(&door, "team"), consumer(&door, "team"));
    one.subscribe(&["shared"]).unwrap();
    two.subscribe(&["shared"]).unwrap();
    let assigned = |consumer: &StreamConsumer| consumer.assignment().unwrap().count();
    let shared = async {
        // Receiving is what lets a client take part in the group.
        loop {
            tokio::select! {
                _ = one.recv() => {}
                _ = two.recv() => {}
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
            if assigned(&one) == 2 && assigned(&two) == 2 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, shared).await.expect("the group settles");
    drop((one, two));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_by_end_by_beginning_and_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let producer = producer(&door, &[]);
    for timestamp in [1_000, 3_000, 2_000, 5_000] {
        let record = FutureRecord::<str, str>::to("times")
            .partition(0)
            .payload("x")
            .timestamp(timestamp);
        producer.send(record, Timeout::After(PATIENCE)).await.unwrap();
    }
    let consumer = consumer(&door, "times");
    assert_eq!(consumer.fetch_watermarks("times", 0, PATIENCE).unwrap(), (0, 4));
    let check = |timestamp: i64, expected: Offset| {
        let mut asked = TopicPartitionList::new();
        asked
            .add_partition_offset("times", 0, Offset::Offset(timestamp))
            .unwrap();
        let found = consumer.offsets_for_times(asked, PATIENCE).unwrap();
        assert_eq!(found.elements()[0].offset(), expected, "{timestamp}");
    };
    check(0, Offset::Offset(0));
    check(1_000, Offset::Offset(0));
    check(1_001, Offset::Offset(1));
    check(3_001, Offset::Offset(3));
    check(5_000, Offset::Offset(3));
    check(5_001, Offset::End);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_described_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let created = admin_create(&door, NewTopic::new("made", 5, TopicReplication::Fixed(1))).await;
    assert_eq!(created, Ok("made".to_owned()));
    let definition = door.catalog.stream("made").unwrap();
    assert_eq!((definition.partitions, definition.columns.is_none()), (5, true));
    let refused = |topic: &str, code| Err((topic.to_owned(), code));
    let again = admin_create(&door, NewTopic::new("made", 5, TopicReplication::Fixed(1))).await;
    assert_eq!(again, refused("made", RDKafkaErrorCode::TopicAlreadyExists));
    let three = admin_create(&door, NewTopic::new("three", 1, TopicReplication::Fixed(3))).await;
    assert_eq!(three, refused("three", RDKafkaErrorCode::InvalidReplicationFactor));
    let many = admin_create(&door, NewTopic::new("many", 10_001, TopicReplication::Fixed(1))).await;
    assert_eq!(many, refused("many", RDKafkaErrorCode::InvalidPartitions));
    let ours = admin_create(&door, NewTopic::new("_headwater.mine", 1, TopicReplication::Fixed(1))).await;
    assert_eq!(ours, refused("_headwater.mine", RDKafkaErrorCode::InvalidTopic));
    let remote = NewTopic::new("remote", 1, TopicReplication::Fixed(1)).set("remote.storage.enable", "true");
    assert_eq!(
        admin_create(&door, remote).await,
        refused("remote", RDKafkaErrorCode::InvalidConfig)
    );

    let admin: AdminClient<DefaultClientContext> = config(&door).create().unwrap();
    let only_checked = AdminOptions::new().validate_only(true);
    let checked = admin
        .create_topics(&[NewTopic::new("maybe", 1, TopicReplication::Fixed(1))], &only_checked)
        .await;
    assert_eq!(checked.unwrap(), [Ok("maybe".to_owned())]);
    assert!(door.log.stream("maybe").is_none());
    let described = admin
        .describe_configs(&[ResourceSpecifier::Topic("made")], &AdminOptions::new())
        .await
        .unwrap();
    let described = described.into_iter().next().unwrap().unwrap();
    assert_eq!(described.get("retention.ms").unwrap().value.as_deref(), Some("-1"));
    let deleted = admin
        .delete_topics(&["made", "absent"], &AdminOptions::new())
        .await
        .unwrap();
    let unknown = refused("absent", RDKafkaErrorCode::UnknownTopicOrPartition);
    assert_eq!(deleted, [Ok("made".to_owned()), unknown]);
    assert!(door.log.stream("made").is_none() && door.catalog.stream("made").is_none());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        auto_create: false,
        ..KafkaOptions::default()
    };
    let door = Door::open(folder.path(), options).await;
    let producer = producer(
        &door,
        &[("message.max.bytes", "5000000"), ("message.timeout.ms", "3000")],
    );
    let code = |sent: Result<i64, KafkaError>| sent.unwrap_err().rdkafka_error_code();
    let internal = send(&producer, "_headwater.offsets", 0, "x").await;
    assert_eq!(code(internal), Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    let absent = send(&producer, "absent", 0, "x").await;
    assert!(matches!(
        code(absent),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::MessageTimedOut
        )
    ));
    assert_eq!(
        admin_create(&door, NewTopic::new("large", 1, TopicReplication::Fixed(1)))
            .await
            .unwrap(),
        "large"
    );
    let large = send(&producer, "large", 0, &"x".repeat(2_000_000)).await;
    assert_eq!(code(large), Some(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(send(&producer, "large", 0, "small").await.unwrap(), 0);
    drop(producer);
    door.close().await;
}
