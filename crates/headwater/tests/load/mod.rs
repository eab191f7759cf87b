//! A mixed load of Kafka clients that goes on while the broker is killed, and the checks of what it left behind.
//!
//! Each file is one kind of client: a thread that runs until it is told to stop, and gives back what it was promised. Its check holds that against what is in the
//! topics at the end. Values say who wrote them and in which order, so that a loss, a repetition or a stranger is seen by content as well as by offset.

pub mod compacted;
pub mod copying;
pub mod grouped;
pub mod idempotent;
pub mod transactional;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// Where an event is: partition and offset.
pub type Place = (i32, i64);

/// How long one request may take: a start of the broker on a busy machine, and more.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long clients may take to finish what they began, once they are told to stop.
const FINISH_MAX: Duration = Duration::from_secs(180);

/// What every client of the load is given.
#[derive(Clone)]
pub struct Stage {
    client: ClientConfig,
    stopped_at: Arc<OnceLock<Instant>>,
}

/// Tells every client to finish when it is dropped, so that a test that fails ends.
pub struct Curtain<'a>(&'a Stage);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Stage {
    /// For clients of this broker.
    pub fn new(mut client: ClientConfig) -> Stage {
        for (name, value) in [
            ("retry.backoff.ms", "20"),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "200"),
            ("message.timeout.ms", "120000"),
            ("log_level", "2"),
        ] {
            client.set(name, value);
        }
        Stage {
            client,
            stopped_at: Arc::default(),
        }
    }

    /// Tells every client to finish what it began.
    pub fn stop(&self) {
        self.stopped_at.get_or_init(Instant::now);
    }

    /// Stops at the end of the scope, however that comes.
    pub fn curtain(&self) -> Curtain<'_> {
        Curtain(self)
    }

    fn stopped(&self) -> bool {
        self.stopped_at.get().is_some()
    }

    /// Fails where a client goes on long after it was told to stop: whoever tries again and again asks here.
    fn expect_in_time(&self, who: &str) {
        let late = self.stopped_at.get().is_some_and(|stop| stop.elapsed() > FINISH_MAX);
        assert!(!late, "{who} does not finish");
    }

    /// A producer's configuration with these settings.
    fn producer(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut client = self.client.clone();
        for (name, value) in settings {
            client.set(*name, *value);
        }
        client
    }

    /// A consumer that commits only when told.
    fn consumer(&self, group: &str, isolation: &str) -> BaseConsumer {
        self.consumer_with(DefaultConsumerContext, group, isolation)
    }

    /// The same, and somebody hears what happens to it.
    fn consumer_with<C: ConsumerContext>(&self, context: C, group: &str, isolation: &str) -> BaseConsumer<C> {
        self.client
            .clone()
            .set("group.id", group)
            .set("isolation.level", isolation)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("session.timeout.ms", "6000")
            .create_with_context(context)
            .expect("librdkafka starts")
    }

    /// Everything that a topic holds, by place.
    pub fn read(&self, topic: &str, isolation: &str) -> BTreeMap<Place, Row> {
        let reader = self.consumer("nobody", isolation);
        let partitions = from_the_start(&reader, topic);
        let mut rows: BTreeMap<Place, Row> = BTreeMap::new();
        let mut ended: HashSet<i32> = HashSet::new();
        let until = Instant::now() + PATIENCE * 2;
        while ended.len() < partitions {
            assert!(Instant::now() < until, "{topic} is not read to its end");
            match reader.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    let place = (message.partition(), message.offset());
                    let before = rows.insert(place, Row::of(&message));
                    assert!(before.is_none(), "{topic} {place:?} came twice");
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(_)) | None => {}
            }
        }
        rows
    }
}

/// Reads every partition of a topic from its start; how many there are.
fn from_the_start(reader: &BaseConsumer, topic: &str) -> usize {
    let metadata = reader
        .fetch_metadata(Some(topic), PATIENCE)
        .expect("the topic is known");
    let partitions = metadata.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::Beginning)
            .expect("an offset");
    }
    reader.assign(&list).expect("librdkafka takes the partitions");
    partitions
}

/// One event as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: Option<String>,
    pub value: Option<String>,
}

impl Row {
    fn of(message: &impl Message) -> Row {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Row {
            key: text(message.key()),
            value: text(message.payload()),
        }
    }
}

/// The next number of a sequence that looks random (xorshift64, Marsaglia 2003).
pub fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}
