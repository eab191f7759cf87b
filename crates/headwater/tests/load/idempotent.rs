//! An idempotent producer: everything it sends is acknowledged in the end, and is there once, in order, at the place that was told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::{PATIENCE, Place, Row, Stage};

/// What was acknowledged, where.
#[derive(Clone, Default)]
pub struct Acknowledged(Arc<Mutex<HashMap<Place, Row>>>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // A panic here would cross C: what is wrong is found by the check, as something that is missing.
        let Ok(message) = result else { return };
        if let Ok(mut places) = self.0.lock() {
            places.insert((message.partition(), message.offset()), Row::of(message));
        }
    }
}

/// What one producer sent and was told.
pub struct Written {
    pub sent: u64,
    pub acknowledged: HashMap<Place, Row>,
}

/// Sends events, made by `event` from their number, at an even pace.
pub fn write(stage: &Stage, topic: &str, partitions: i32, event: impl Fn(u64) -> (String, Option<String>)) -> Written {
    let acknowledged = Acknowledged::default();
    let producer: ThreadedProducer<Acknowledged> = stage
        .producer(&[("enable.idempotence", "true"), ("linger.ms", "2")])
        .create_with_context(acknowledged.clone())
        .expect("librdkafka starts");
    let mut sent: u64 = 0;
    while !stage.stopped() {
        let (key, value) = event(sent);
        // A key stays in one partition.
        let partition = key.bytes().map(i32::from).sum::<i32>() % partitions;
        let mut record = BaseRecord::to(topic).key(&key).partition(partition);
        if let Some(value) = &value {
            record = record.payload(value);
        }
        match producer.send(record) {
            Ok(()) => sent += 1,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                thread::sleep(Duration::from_millis(20));
            }
            Err((error, _)) => panic!("{topic}: {error}"),
        }
        // Some thousand in a second: the copier keeps up with that, in a debug build too.
        if sent.is_multiple_of(10) {
            thread::sleep(Duration::from_millis(10));
        }
    }
    producer
        .flush(PATIENCE * 2)
        .expect("everything is acknowledged in the end");
    let acknowledged = std::mem::take(&mut *acknowledged.0.lock().expect("no delivery panics"));
    Written { sent, acknowledged }
}

/// `name/number`, by one of ten keys.
pub fn numbered(name: &str) -> impl Fn(u64) -> (String, Option<String>) {
    let name = name.to_owned();
    move |number| (format!("{name}{}", number % 10), Some(format!("{name}/{number}")))
}

/// Everything that was acknowledged is where it was said to be, and nothing else is there; each producer's events are in order.
pub fn check(topic: &str, written: &[Written], rows: &BTreeMap<Place, Row>) {
    let mut acknowledged: HashMap<Place, &Row> = HashMap::new();
    for producer in written {
        assert_eq!(
            producer.acknowledged.len() as u64,
            producer.sent,
            "{topic}: every event has a place of its own"
        );
        acknowledged.extend(producer.acknowledged.iter().map(|(place, row)| (*place, row)));
    }
    for (place, row) in &acknowledged {
        assert_eq!(
            rows.get(place),
            Some(*row),
            "{topic}: what was acknowledged at {place:?}"
        );
    }
    let mut seen: HashSet<&str> = HashSet::new();
    let mut last: HashMap<(i32, &str), u64> = HashMap::new();
    for ((partition, offset), row) in rows {
        assert!(
            acknowledged.contains_key(&(*partition, *offset)),
            "{topic}: {row:?} at {partition}@{offset} was never acknowledged"
        );
        let value = row.value.as_deref().expect("a value");
        assert!(seen.insert(value), "{topic}: {value} is there twice");
        let (name, number) = value.split_once('/').expect("a name and a number");
        let number: u64 = number.parse().expect("a number");
        let before = last.insert((*partition, name), number);
        assert!(
            before.is_none_or(|before| before < number),
            "{topic}: {value} comes after {before:?}"
        );
    }
}
