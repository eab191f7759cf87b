//! A real transactional client, librdkafka, against the door: commit, abort, fence, time out, consume-process-produce, and all of it over a
//! restart.

mod door;

use std::time::Duration;

use door::Door;
use headwater_kafka_api::KafkaOptions;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;

const PATIENCE: Duration = Duration::from_secs(120);

fn config(door: &Door) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", door.address.to_string());
    config
}

/// A producer that has taken its transactional id.
fn transactional(door: &Door, id: &str, timeout_ms: u32) -> FutureProducer {
    let mut config = config(door);
    config
        .set("transactional.id", id)
        .set("transaction.timeout.ms", timeout_ms.to_string())
        .set("message.timeout.ms", timeout_ms.to_string());
    let producer: FutureProducer = config.create().unwrap();
    tokio::task::block_in_place(|| producer.init_transactions(PATIENCE)).unwrap();
    producer
}

fn blocking<T>(run: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(run)
}

async fn send(producer: &FutureProducer, topic: &str, partition: i32, value: &str) -> Result<i64, KafkaError> {
    let record = FutureRecord::<str, str>::to(topic).partition(partition).payload(value);
    let sent = producer.send(record, Timeout::After(PATIENCE)).await;
    sent.map(|delivery| delivery.offset).map_err(|(error, _)| error)
}

async fn topic(door: &Door, name: &str, partitions: u32) {
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> = config(door).create().unwrap();
    let topic = rdkafka::admin::NewTopic::new(
        name,
        partitions.cast_signed(),
        rdkafka::admin::TopicReplication::Fixed(1),
    );
    let created = admin
        .create_topics(&[topic], &rdkafka::admin::AdminOptions::new())
        .await;
    created.unwrap().remove(0).unwrap();
}

fn consumer(door: &Door, group: &str, isolation: &str) -> StreamConsumer {
    let mut config = config(door);
    config
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation);
    config.create().unwrap()
}

/// Everything that a consumer is shown of a partition, and the position where it ends.
async fn seen(door: &Door, topic: &str, partition: i32, isolation: &str) -> Vec<String> {
    let consumer = consumer(door, "looking", isolation);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, partition, Offset::Beginning)
        .unwrap();
    consumer.assign(&assignment).unwrap();
    let mut values: Vec<String> = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, consumer.recv())
            .await
            .expect("an answer")
        {
            Ok(message) => values.push(message.payload_view::<str>().unwrap().unwrap().to_owned()),
            Err(KafkaError::PartitionEOF(_)) => return values,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn check(door: &Door, topic: &str, partition: i32, committed: &[&str], all: &[&str]) {
    assert_eq!(seen(door, topic, partition, "read_committed").await, committed);
    assert_eq!(seen(door, topic, partition, "read_uncommitted").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    topic(&door, "t", 2).await;
    let producer = transactional(&door, "orders-1", 30_000);
    producer.begin_transaction().unwrap();
    send(&producer, "t", 0, "a").await.unwrap();
    send(&producer, "t", 1, "b").await.unwrap();
    check(&door, "t", 0, &[], &["a"]).await;
    blocking(|| producer.commit_transaction(PATIENCE)).unwrap();
    check(&door, "t", 0, &["a"], &["a"]).await;
    producer.begin_transaction().unwrap();
    send(&producer, "t", 0, "c").await.unwrap();
    blocking(|| producer.abort_transaction(PATIENCE)).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, "t", 0, "d").await.unwrap();
    blocking(|| producer.commit_transaction(PATIENCE)).unwrap();
    check(&door, "t", 0, &["a", "d"], &["a", "c", "d"]).await;
    check(&door, "t", 1, &["b"], &["b"]).await;
    let offsets = door.log.offsets("t", 0).unwrap();
    assert_eq!((offsets.stable, offsets.high_watermark), (6, 6));
    drop(producer);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_id_over_aborts_and_fences_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    topic(&door, "t", 1).await;
    let old = transactional(&door, "orders-1", 30_000);
    old.begin_transaction().unwrap();
    send(&old, "t", 0, "old").await.unwrap();
    let new = transactional(&door, "orders-1", 30_000);
    check(&door, "t", 0, &[], &["old"]).await;
    let error = blocking(|| old.commit_transaction(PATIENCE)).unwrap_err();
    let KafkaError::Transaction(error) = error else {
        panic!("{error}")
    };
    assert!(error.is_fatal(), "{error}");
    new.begin_transaction().unwrap();
    send(&new, "t", 0, "new").await.unwrap();
    blocking(|| new.commit_transaction(PATIENCE)).unwrap();
    check(&door, "t", 0, &["new"], &["old", "new"]).await;
    drop((old, new));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_aborted() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    topic(&door, "t", 1).await;
    let producer = transactional(&door, "slow", 20_000);
    producer.begin_transaction().unwrap();
    send(&producer, "t", 0, "late").await.unwrap();
    let mut commits = door.log.commits();
    let aborted = async {
        while door.log.offsets("t", 0).unwrap().stable < 2 {
            commits.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, aborted).await.unwrap();
    check(&door, "t", 0, &[], &["late"]).await;
    assert!(blocking(|| producer.commit_transaction(PATIENCE)).is_err());
    drop(producer);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_timeout_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    for (timeout_ms, allowed) in [(900_000, true), (900_001, false)] {
        let mut config = config(&door);
        config
            .set("transactional.id", "long")
            .set("transaction.timeout.ms", timeout_ms.to_string());
        let producer: FutureProducer = config.create().unwrap();
        let taken = blocking(|| producer.init_transactions(PATIENCE));
        assert_eq!(taken.is_ok(), allowed, "{timeout_ms}: {taken:?}");
    }
    door.close().await;
}

/// The offset that a group has committed for partition 0 of a topic, as a reader of stable offsets sees it.
fn committed(consumer: &StreamConsumer, topic: &str, patience: Duration) -> Result<Offset, KafkaError> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, 0);
    let found = blocking(|| consumer.committed_offsets(asked, patience))?;
    Ok(found.elements()[0].offset())
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_count_with_the_transaction_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut door = Door::open(folder.path(), KafkaOptions::default()).await;
    topic(&door, "in", 1).await;
    topic(&door, "out", 1).await;
    let plain: FutureProducer = config(&door).create().unwrap();
    for value in ["1", "2", "3"] {
        send(&plain, "in", 0, value).await.unwrap();
    }
    for (round, commits) in [(0, false), (1, true), (2, true)] {
        if round == 2 {
            door.close().await;
            door = Door::open(folder.path(), KafkaOptions::default()).await;
        }
        let expected = match round {
            2 => Offset::Offset(1),
            _ => Offset::Invalid,
        };
        let reader = consumer(&door, "copy", "read_committed");
        reader.subscribe(&["in"]).unwrap();
        let message = loop {
            match tokio::time::timeout(PATIENCE, reader.recv()).await.expect("a message") {
                Ok(message) => break message.detach(),
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(committed(&reader, "in", PATIENCE).unwrap(), expected, "round {round}");
        let producer = transactional(&door, "copy", 30_000);
        producer.begin_transaction().unwrap();
        let value = message.payload_view::<str>().unwrap().unwrap();
        send(&producer, "out", 0, value).await.unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("in", 0, Offset::Offset(message.offset() + 1))
            .unwrap();
        let group = reader.group_metadata().unwrap();
        blocking(|| producer.send_offsets_to_transaction(&offsets, &group, PATIENCE)).unwrap();
        // Until it ended, nobody can know what is committed.
        assert!(
            committed(&reader, "in", Duration::from_secs(3)).is_err(),
            "round {round}"
        );
        match commits {
            true => blocking(|| producer.commit_transaction(PATIENCE)).unwrap(),
            false => blocking(|| producer.abort_transaction(PATIENCE)).unwrap(),
        }
        reader.unsubscribe();
        drop((reader, producer));
    }
    check(&door, "out", 0, &["1", "2"], &["1", "1", "2"]).await;
    drop(plain);
    door.close().await;
}

/// More offsets than one transaction takes are no end of the producer: it aborts, and commits fewer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_too_many_offsets_aborts_and_goes_on() {
    const PARTITIONS: i32 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    topic(&door, "in", PARTITIONS as u32).await;
    let reader = consumer(&door, "copy", "read_committed");
    let group = reader.group_metadata().unwrap();
    let producer = transactional(&door, "copy", 60_000);
    for (count, fits) in [(PARTITIONS, false), (PARTITIONS / 4, true)] {
        producer.begin_transaction().unwrap();
        let mut offsets = TopicPartitionList::new();
        for partition in 0..count {
            offsets
                .add_partition_offset("in", partition, Offset::Offset(7))
                .unwrap();
        }
        match blocking(|| producer.send_offsets_to_transaction(&offsets, &group, PATIENCE)) {
            Ok(()) => {
                assert!(fits, "{count} fit");
                blocking(|| producer.commit_transaction(PATIENCE)).unwrap();
            }
            Err(KafkaError::Transaction(error)) => {
                assert!(
                    !fits && error.txn_requires_abort() && !error.is_fatal(),
                    "{count}: {error}"
                );
                blocking(|| producer.abort_transaction(PATIENCE)).unwrap();
            }
            Err(error) => panic!("{count}: {error}"),
        }
    }
    drop((producer, reader));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    topic(&door, "t", 1).await;
    let address = door.address;
    let producer = transactional(&door, "orders-1", 60_000);
    producer.begin_transaction().unwrap();
    send(&producer, "t", 0, "before").await.unwrap();
    door.close().await;
    let door = Door::open_at(address, folder.path(), KafkaOptions::default()).await;
    check(&door, "t", 0, &[], &["before"]).await;
    send(&producer, "t", 0, "after").await.unwrap();
    blocking(|| producer.commit_transaction(PATIENCE)).unwrap();
    check(&door, "t", 0, &["before", "after"], &["before", "after"]).await;
    drop(producer);
    door.close().await;
}
