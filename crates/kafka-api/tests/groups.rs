//! Groups with a real client, librdkafka: both protocols, every assignor, and restarts of the broker in between.

mod door;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use door::Door;
use headwater_kafka_api::KafkaOptions;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

const PATIENCE: Duration = Duration::from_secs(120);

/// Counts how often the consumer is given partitions.
#[derive(Clone, Default)]
struct Assignments(Arc<AtomicUsize>);

impl ClientContext for Assignments {}

impl ConsumerContext for Assignments {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A member of a group, and how often it was given partitions.
struct Reader {
    consumer: StreamConsumer<Assignments>,
    assignments: Assignments,
}

impl Reader {
    fn new(address: SocketAddr, group: &str, settings: &[(&str, &str)]) -> Reader {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", address.to_string())
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("topic.metadata.refresh.interval.ms", "500")
            .set("reconnect.backoff.max.ms", "200");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let assignments = Assignments::default();
        let consumer = config.create_with_context(assignments.clone()).unwrap();
        Reader { consumer, assignments }
    }

    fn subscribed(self, topics: &[&str]) -> Reader {
        self.consumer.subscribe(topics).unwrap();
        self
    }

    fn partitions(&self) -> BTreeSet<(String, i32)> {
        let assigned = self.consumer.assignment().unwrap();
        let place = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            (element.topic().to_owned(), element.partition())
        };
        assigned.elements().iter().map(place).collect()
    }

    fn times_assigned(&self) -> usize {
        self.assignments.0.load(Ordering::Relaxed)
    }

    async fn next(&self) -> String {
        let message = tokio::time::timeout(PATIENCE, async {
            loop {
                // While the broker restarts the client reports that it is not there.
                if let Ok(message) = self.consumer.recv().await {
                    return message.detach();
                }
            }
        });
        let message = message.await.expect("messages keep coming");
        String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
    }
}

/// Lets the readers take part in their group until `holds`.
async fn until(what: &str, readers: &[&Reader], mut holds: impl FnMut() -> bool) {
    let settled = async {
        while !holds() {
            for reader in readers {
                let _ = tokio::time::timeout(Duration::from_millis(20), reader.consumer.recv()).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect(what);
}

/// Lets the readers take part until for many heartbeats nobody was given anything.
async fn at_rest(readers: &[&Reader]) {
    let times = || -> Vec<usize> { readers.iter().map(|reader| reader.times_assigned()).collect() };
    let mut last = (times(), Instant::now());
    until("they come to rest", readers, || {
        if times() != last.0 {
            last = (times(), Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(4)
    })
    .await;
}

/// Whether the readers have the topic's partitions between them, each about as many.
fn share(readers: &[&Reader], topic: &str, partitions: usize) -> bool {
    let shares: Vec<BTreeSet<(String, i32)>> = readers.iter().map(|reader| reader.partitions()).collect();
    let whole: BTreeSet<&(String, i32)> = shares.iter().flatten().filter(|(name, _)| name == topic).collect();
    let sizes = shares.iter().map(BTreeSet::len);
    let spread = sizes.clone().max().unwrap_or(0) - sizes.clone().min().unwrap_or(0);
    whole.len() == partitions && sizes.sum::<usize>() == partitions && spread <= 1
}

fn options() -> KafkaOptions {
    KafkaOptions {
        default_partitions: 4,
        group_consumer_heartbeat: Duration::from_millis(200),
        ..KafkaOptions::default()
    }
}

async fn create(door: &Door, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", door.address.to_string())
        .create()
        .unwrap();
    let topic = NewTopic::new(topic, 4, TopicReplication::Fixed(1));
    admin.create_topics(&[topic], &AdminOptions::new()).await.unwrap()[0]
        .as_ref()
        .unwrap();
}

async fn send(door: &Door, topic: &str, value: &str) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", door.address.to_string())
        .create()
        .unwrap();
    for partition in 0..4 {
        let record = FutureRecord::<str, str>::to(topic).partition(partition).payload(value);
        producer.send(record, Timeout::After(PATIENCE)).await.unwrap();
    }
}

async fn reopen(door: Door, folder: &Path) -> Door {
    let address = door.address;
    door.close().await;
    Door::open_at(address, folder, options()).await
}

/// Two members share, the broker restarts and they go on without being assigned anew, one leaves and the other gets all.
async fn share_restart_and_leave(settings: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), options()).await;
    create(&door, "shared").await;
    let one = Reader::new(door.address, "team", settings).subscribed(&["shared"]);
    until("one has all", &[&one], || share(&[&one], "shared", 4)).await;
    let two = Reader::new(door.address, "team", settings).subscribed(&["shared"]);
    until("two share", &[&one, &two], || share(&[&one, &two], "shared", 4)).await;
    // The last round of a cooperative rebalance gives nothing new, and may still be on its way.
    at_rest(&[&one, &two]).await;
    let before = [&one, &two].map(|reader| (reader.times_assigned(), reader.partitions()));

    let door = reopen(door, folder.path()).await;
    at_rest(&[&one, &two]).await;
    let after = [&one, &two].map(|reader| (reader.times_assigned(), reader.partitions()));
    assert_eq!(before, after, "{settings:?}");
    send(&door, "shared", "after").await;
    for reader in [&one, &two, &one, &two] {
        assert_eq!(reader.next().await, "after");
    }
    for reader in [&one, &two] {
        reader.consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    }
    drop(two);
    until("one has all again", &[&one], || share(&[&one], "shared", 4)).await;
    drop(one);

    let door = reopen(door, folder.path()).await;
    send(&door, "shared", "last").await;
    let again = Reader::new(door.address, "team", settings).subscribed(&["shared"]);
    for _ in 0..4 {
        assert_eq!(again.next().await, "last", "what was committed does not come again");
    }
    drop(again);
    door.close().await;
}

const CLASSIC: [(&str, &str); 2] = [("heartbeat.interval.ms", "300"), ("session.timeout.ms", "30000")];

#[tokio::test(flavor = "multi_thread")]
async fn classic_range() {
    let strategy = [("partition.assignment.strategy", "range")];
    share_restart_and_leave(&[CLASSIC.as_slice(), &strategy].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classic_round_robin() {
    let strategy = [("partition.assignment.strategy", "roundrobin")];
    share_restart_and_leave(&[CLASSIC.as_slice(), &strategy].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classic_cooperative_sticky() {
    let strategy = [("partition.assignment.strategy", "cooperative-sticky")];
    share_restart_and_leave(&[CLASSIC.as_slice(), &strategy].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_uniform() {
    share_restart_and_leave(&[("group.protocol", "consumer"), ("group.remote.assignor", "uniform")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_range() {
    share_restart_and_leave(&[("group.protocol", "consumer"), ("group.remote.assignor", "range")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_comes_back_without_a_rebalance() {
    for protocol in ["classic", "consumer"] {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::open(folder.path(), options()).await;
        create(&door, "shared").await;
        let reader = |instance| {
            let settings = [("group.protocol", protocol), ("group.instance.id", instance)];
            Reader::new(door.address, "team", &settings).subscribed(&["shared"])
        };
        let (one, two) = (reader("one"), reader("two"));
        until("two share", &[&one, &two], || share(&[&one, &two], "shared", 4)).await;
        let (assigned, of_two) = (one.times_assigned(), two.partitions());
        drop(two);
        let two = reader("two");
        until("two is back", &[&one, &two], || two.partitions() == of_two).await;
        assert_eq!(one.times_assigned(), assigned, "{protocol}");
        drop((one, two));
        door.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_finds_topics_that_come_later() {
    for protocol in ["classic", "consumer"] {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::open(folder.path(), options()).await;
        create(&door, "orders-1").await;
        create(&door, "bills").await;
        let reader = Reader::new(door.address, "team", &[("group.protocol", protocol)]).subscribed(&["^orders-.*"]);
        until("the first is found", &[&reader], || share(&[&reader], "orders-1", 4)).await;
        create(&door, "orders-2").await;
        until("the second is found", &[&reader], || reader.partitions().len() == 8).await;
        let names: BTreeSet<String> = reader.partitions().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, BTreeSet::from(["orders-1".to_owned(), "orders-2".to_owned()]));
        drop(reader);
        door.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_members_takes_either_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let mut door = Door::open(folder.path(), options()).await;
    create(&door, "shared").await;
    for (round, protocol) in ["classic", "consumer", "classic"].into_iter().enumerate() {
        let value = format!("round {round}");
        send(&door, "shared", &value).await;
        let reader = Reader::new(door.address, "team", &[("group.protocol", protocol)]).subscribed(&["shared"]);
        for _ in 0..4 {
            assert_eq!(reader.next().await, value);
        }
        reader.consumer.commit_consumer_state(CommitMode::Sync).unwrap();
        drop(reader);
        door = reopen(door, folder.path()).await;
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_changes_its_protocol_while_it_runs() {
    for strategy in ["range", "cooperative-sticky"] {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::open(folder.path(), options()).await;
        create(&door, "shared").await;
        let settings = [CLASSIC.as_slice(), &[("partition.assignment.strategy", strategy)]].concat();
        let classic = || Reader::new(door.address, "team", &settings).subscribed(&["shared"]);
        let modern = || Reader::new(door.address, "team", &[("group.protocol", "consumer")]).subscribed(&["shared"]);
        let (one, two) = (classic(), classic());
        until("two share", &[&one, &two], || share(&[&one, &two], "shared", 4)).await;
        let three = modern();
        let all = [&one, &two, &three];
        until("three share", &all, || share(&all, "shared", 4)).await;
        drop(three);
        until("two share again", &[&one, &two], || share(&[&one, &two], "shared", 4)).await;
        let three = modern();
        drop(one);
        until("one of each shares", &[&two, &three], || {
            share(&[&two, &three], "shared", 4)
        })
        .await;
        send(&door, "shared", strategy).await;
        for reader in [&two, &three, &two, &three] {
            assert_eq!(reader.next().await, strategy);
        }
        drop(two);
        until("the last one has all", &[&three], || share(&[&three], "shared", 4)).await;
        drop(three);
        door.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_forgotten_when_their_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let soon = KafkaOptions {
        offsets_retention: Duration::from_secs(2),
        offsets_check_interval: Duration::from_millis(200),
        ..options()
    };
    let door = Door::open(folder.path(), soon).await;
    create(&door, "shared").await;
    send(&door, "shared", "x").await;
    let reader = Reader::new(door.address, "team", &[]).subscribed(&["shared"]);
    for _ in 0..4 {
        reader.next().await;
    }
    reader.consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    at_rest(&[&reader]).await;
    let kept_now = ["_headwater.groups", "_headwater.offsets"].map(|stream| kept(&door, stream));
    assert_eq!(kept_now, [2, 4], "the group and its member, and four positions");
    drop(reader);
    let forgotten = async {
        while kept(&door, "_headwater.groups") + kept(&door, "_headwater.offsets") > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten)
        .await
        .expect("the group is forgotten");
    door.close().await;
}

/// How many keys of one of the door's own streams have a value.
fn kept(door: &Door, stream: &str) -> usize {
    let mut values: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
    let mut next = 0;
    loop {
        let batches = door.log.read(stream, 0, next, 1 << 20).unwrap();
        let Some(last) = batches.last() else {
            return values.values().filter(|is_there| **is_there).count();
        };
        next = last.batch.next_offset();
        for (_, event) in batches.iter().flat_map(|stored| stored.batch.events().unwrap()) {
            values.insert(event.key.unwrap().to_vec(), event.value.is_some());
        }
    }
}
