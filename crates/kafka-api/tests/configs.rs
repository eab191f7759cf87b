//! Configurations of topics with a real client, librdkafka, and byte by byte: created, described with their sources, altered whole and one by
//! one, and the same settings on the other side; records deleted; what is compacted takes no record without a key.

mod door;
mod raw;

use bytes::{Buf, BufMut, BytesMut};
use door::Door;
use headwater_catalog::{Column, ColumnType, CreateMode, StreamDefinition};
use headwater_eventlog::{Cleanup, StreamSettings};
use headwater_kafka_api::KafkaOptions;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

fn config(door: &Door) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", door.address.to_string());
    config
}

fn admin(door: &Door) -> AdminClient<DefaultClientContext> {
    config(door).create().unwrap()
}

async fn create(door: &Door, name: &str, configs: &[(&str, &str)]) -> Result<String, (String, RDKafkaErrorCode)> {
    let mut topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    for (name, value) in configs {
        topic = topic.set(name, value);
    }
    let created = admin(door).create_topics(&[topic], &AdminOptions::new()).await.unwrap();
    created.into_iter().next().unwrap()
}

async fn describe(door: &Door, resource: ResourceSpecifier<'_>) -> ConfigResource {
    let described = admin(door)
        .describe_configs(&[resource], &AdminOptions::new())
        .await
        .unwrap();
    described.into_iter().next().unwrap().unwrap()
}

async fn check(door: &Door, topic: &str, name: &str, value: &str, source: ConfigSource) {
    let described = describe(door, ResourceSpecifier::Topic(topic)).await;
    let entry = described.get(name).unwrap_or_else(|| panic!("{name} is described"));
    assert_eq!(
        (entry.value.as_deref(), &entry.source),
        (Some(value), &source),
        "{name}"
    );
}

/// IncrementalAlterConfigs of one topic: operation, name, value. The error code of the answer, and its message.
async fn alter(door: &Door, topic: &str, validate_only: bool, changes: &[(i8, &str, Option<&str>)]) -> (i16, String) {
    let mut body = BytesMut::new();
    let text = |body: &mut BytesMut, text: &str| {
        body.put_i16(text.len() as i16);
        body.put_slice(text.as_bytes());
    };
    body.put_i32(1);
    body.put_i8(2);
    text(&mut body, topic);
    body.put_i32(changes.len() as i32);
    for (operation, name, value) in changes {
        text(&mut body, name);
        body.put_i8(*operation);
        match value {
            Some(value) => text(&mut body, value),
            None => body.put_i16(-1),
        }
    }
    body.put_i8(i8::from(validate_only));
    let mut socket = raw::connect(door).await;
    let answer = raw::ask(&mut socket, &raw::frame(44, 0, &body)).await;
    let mut answer = answer.as_slice();
    assert_eq!((answer.get_i32(), answer.get_i32()), (0, 1));
    let code = answer.get_i16();
    let length = answer.get_i16().max(0) as usize;
    (code, String::from_utf8_lossy(&answer[..length]).into_owned())
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_with_configurations_and_describes_them() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let configs = [
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "60000"),
        ("min.insync.replicas", "2"),
        ("segment.bytes", "1048576"),
    ];
    create(&door, "made", &configs).await.unwrap();
    let settings = door.log.stream("made").unwrap().settings;
    let both = Cleanup {
        delete: true,
        compact: true,
    };
    assert_eq!((settings.cleanup(), settings.retention_ms()), (both, Some(60_000)));
    for (name, value) in configs {
        check(&door, "made", name, value, ConfigSource::DynamicTopic).await;
    }
    check(&door, "made", "delete.retention.ms", "86400000", ConfigSource::Default).await;
    check(&door, "made", "max.message.bytes", "1048588", ConfigSource::Default).await;
    check(&door, "made", "headwater.durability", "flushed", ConfigSource::Default).await;
    for (name, value) in [
        ("cleanup.policy", "squeeze"),
        ("retention.ms", "soon"),
        ("segment.bytes", "10"),
        ("remote.storage.enable", "true"),
        ("message.format.version", "2.8"),
        ("max.message.bytes", "2147483647"),
    ] {
        let refused = create(&door, "refused", &[(name, value)]).await;
        assert_eq!(
            refused,
            Err(("refused".to_owned(), RDKafkaErrorCode::InvalidConfig)),
            "{name}"
        );
    }
    let broker = describe(&door, ResourceSpecifier::Broker(1)).await;
    assert_eq!(broker.get("log.retention.ms").unwrap().value.as_deref(), Some("-1"));
    let partitions = broker.get("num.partitions").unwrap();
    assert!(partitions.is_read_only && matches!(partitions.source, ConfigSource::Default));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_are_altered_whole_and_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    create(&door, "t", &[("flush.ms", "7")]).await.unwrap();
    let whole = AlterConfig::new(ResourceSpecifier::Topic("t")).set("retention.bytes", "5000");
    let altered = admin(&door)
        .alter_configs(&[whole], &AdminOptions::new())
        .await
        .unwrap();
    assert!(altered[0].is_ok());
    check(&door, "t", "retention.bytes", "5000", ConfigSource::DynamicTopic).await;
    check(&door, "t", "flush.ms", "9223372036854775807", ConfigSource::Default).await;

    assert_eq!(
        alter(&door, "t", false, &[(SET, "retention.ms", Some("-1"))]).await.0,
        0
    );
    check(&door, "t", "retention.ms", "-1", ConfigSource::DynamicTopic).await;
    check(&door, "t", "retention.bytes", "5000", ConfigSource::DynamicTopic).await;
    assert_eq!(alter(&door, "t", false, &[(DELETE, "retention.ms", None)]).await.0, 0);
    check(&door, "t", "retention.ms", "-1", ConfigSource::Default).await;
    assert_eq!(
        alter(&door, "t", false, &[(APPEND, "cleanup.policy", Some("compact"))])
            .await
            .0,
        0
    );
    check(
        &door,
        "t",
        "cleanup.policy",
        "compact,delete",
        ConfigSource::DynamicTopic,
    )
    .await;
    assert_eq!(
        alter(&door, "t", false, &[(SUBTRACT, "cleanup.policy", Some("delete"))])
            .await
            .0,
        0
    );
    check(&door, "t", "cleanup.policy", "compact", ConfigSource::DynamicTopic).await;

    // Only looked at.
    assert_eq!(alter(&door, "t", true, &[(SET, "retention.ms", Some("9"))]).await.0, 0);
    check(&door, "t", "retention.ms", "-1", ConfigSource::Default).await;
    // All or none.
    let (code, why) = alter(
        &door,
        "t",
        false,
        &[(SET, "retention.ms", Some("9")), (SET, "colour", Some("red"))],
    )
    .await;
    assert_eq!(
        (code, why.as_str()),
        (INVALID_CONFIG, "Unknown topic config name: colour")
    );
    check(&door, "t", "retention.ms", "-1", ConfigSource::Default).await;
    assert_eq!(alter(&door, "t", false, &[(DELETE, "colour", None)]).await.0, 0);
    let (code, why) = alter(&door, "t", false, &[(SET, "max.message.bytes", Some("2147483647"))]).await;
    assert_eq!(code, INVALID_CONFIG);
    assert!(why.contains("max.message.bytes cannot be '2147483647'"), "{why}");
    let twice = [(SET, "retention.ms", Some("9")), (DELETE, "retention.ms", None)];
    assert_eq!(alter(&door, "t", false, &twice).await.0, INVALID_REQUEST);
    assert_eq!(
        alter(&door, "t", false, &[(APPEND, "retention.ms", Some("9"))]).await.0,
        INVALID_CONFIG
    );
    assert_eq!(alter(&door, "absent", false, &[]).await.0, 3);
    assert_eq!(alter(&door, "_headwater.catalog", false, &[]).await.0, 29);

    door.close().await;
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    check(&door, "t", "cleanup.policy", "compact", ConfigSource::DynamicTopic).await;
    check(&door, "t", "retention.bytes", "5000", ConfigSource::DynamicTopic).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_knows_nothing_of_the_index_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let definition = StreamDefinition {
        name: "keyed".to_owned(),
        columns: Some(vec![Column::new("k", ColumnType::Text, true)]),
        key: vec!["k".to_owned()],
        partitions: 1,
        statement: "CREATE STREAM keyed".to_owned(),
        ..StreamDefinition::default()
    };
    let settings = StreamSettings {
        entities: definition.entities_default(),
        ..StreamSettings::default()
    };
    let defined = door
        .catalog
        .define_stream(definition, settings, CreateMode::Create, false, "ann");
    defined.await.unwrap();
    let own = [("headwater.entities", "indexed"), ("headwater.durability", "relaxed")];
    create(&door, "plain", &own).await.unwrap();
    for topic in ["keyed", "plain"] {
        let whole = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("retention.bytes", "5000");
        let altered = admin(&door).alter_configs(&[whole], &AdminOptions::new()).await;
        assert!(altered.unwrap()[0].is_ok());
        let settings = door.log.stream(topic).unwrap().settings;
        assert!(settings.is_indexed(), "{topic}");
        assert_eq!(settings.retention_bytes(), Some(5_000), "{topic}");
        assert_eq!(settings.relaxed, (topic == "plain").then_some(true));
    }
    // What is deleted goes back to what follows from the definition.
    for (topic, is_indexed) in [("keyed", true), ("plain", false)] {
        let deleted = alter(&door, topic, false, &[(DELETE, "headwater.entities", None)]).await;
        assert_eq!(deleted.0, 0, "{topic}");
        assert_eq!(
            door.log.stream(topic).unwrap().settings.is_indexed(),
            is_indexed,
            "{topic}"
        );
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_deleted_from_the_front() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    create(&door, "t", &[]).await.unwrap();
    let producer: FutureProducer = config(&door).create().unwrap();
    for number in 0..10 {
        let value = number.to_string();
        let record = FutureRecord::<str, str>::to("t").key("k").payload(&value);
        producer.send(record, Timeout::After(PATIENCE)).await.unwrap();
    }
    let delete = async |offset: Offset| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, offset).unwrap();
        let deleted = admin(&door).delete_records(&list, &AdminOptions::new()).await.unwrap();
        let found = deleted.find_partition("t", 0).unwrap();
        (found.offset(), found.error().is_ok())
    };
    assert_eq!(delete(Offset::Offset(4)).await, (Offset::Offset(4), true));
    assert_eq!(delete(Offset::Offset(2)).await, (Offset::Offset(4), true));
    assert!(!delete(Offset::Offset(11)).await.1);
    let consumer: BaseConsumer = config(&door).set("group.id", "g").create().unwrap();
    let watermarks = tokio::task::spawn_blocking(move || consumer.fetch_watermarks("t", 0, PATIENCE).unwrap());
    assert_eq!(watermarks.await.unwrap(), (4, 10));
    assert_eq!(delete(Offset::End).await, (Offset::Offset(10), true));
    assert_eq!(door.log.offsets("t", 0).unwrap().start, 10);
    drop(producer);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_takes_no_record_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    create(&door, "t", &[("cleanup.policy", "compact")]).await.unwrap();
    let producer: FutureProducer = config(&door).create().unwrap();
    let keyless = FutureRecord::<str, str>::to("t").payload("v");
    let (error, _) = producer.send(keyless, Timeout::After(PATIENCE)).await.unwrap_err();
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::InvalidRecord));
    let keyed = FutureRecord::<str, str>::to("t").key("k").payload("v");
    assert_eq!(producer.send(keyed, Timeout::After(PATIENCE)).await.unwrap().offset, 0);
    drop(producer);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_was_started_with_holds_for_topics_that_say_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = KafkaOptions::default();
    options.set("message.max.bytes=10000").unwrap();
    options.set("log.cleanup.policy=compact").unwrap();
    let door = Door::open(folder.path(), options).await;
    create(&door, "plain", &[]).await.unwrap();
    create(
        &door,
        "own",
        &[("max.message.bytes", "50000"), ("cleanup.policy", "delete")],
    )
    .await
    .unwrap();
    check(&door, "plain", "max.message.bytes", "10000", ConfigSource::StaticBroker).await;
    check(&door, "plain", "cleanup.policy", "compact", ConfigSource::StaticBroker).await;
    check(&door, "own", "max.message.bytes", "50000", ConfigSource::DynamicTopic).await;
    let broker = describe(&door, ResourceSpecifier::Broker(1)).await;
    assert_eq!(broker.get("message.max.bytes").unwrap().value.as_deref(), Some("10000"));
    for (name, is_set) in [("message.max.bytes", true), ("log.retention.ms", false)] {
        let found = broker.get(name).unwrap();
        assert_eq!(matches!(found.source, ConfigSource::StaticBroker), is_set, "{name}");
    }
    let producer: FutureProducer = config(&door).create().unwrap();
    let too_large = RDKafkaErrorCode::MessageSizeTooLarge;
    let refused = async |topic: &str, bytes: usize| {
        let payload = vec![b'x'; bytes];
        let record = FutureRecord::to(topic).key("k").payload(&payload);
        let sent = producer.send(record, Timeout::After(PATIENCE)).await;
        sent.err().and_then(|(error, _)| error.rdkafka_error_code())
    };
    assert_eq!(refused("plain", 9_000).await, None);
    assert_eq!(refused("plain", 10_000).await, Some(too_large));
    assert_eq!(refused("own", 49_000).await, None);
    assert_eq!(refused("own", 50_000).await, Some(too_large));
    // What is set of a topic and taken back is again as the broker was started.
    const DELETE: i8 = 1;
    let altered = alter(&door, "own", false, &[(DELETE, "max.message.bytes", None)]).await;
    assert_eq!(altered.0, 0, "{altered:?}");
    check(&door, "own", "max.message.bytes", "10000", ConfigSource::StaticBroker).await;
    door.close().await;
}
