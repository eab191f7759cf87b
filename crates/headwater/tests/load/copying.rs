//! Consume, transform, produce: copies one topic into another, exactly once, its positions in the same transactions.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::transactional::{self, Outcome, Transactional};
use super::{PATIENCE, Place, Row, Stage};

/// The most events in one transaction.
const EVENTS_MAX: usize = 1_000;

/// Copies until it is told to stop and has caught up. Whatever goes wrong, it starts again from what it committed.
pub fn copy(stage: &Stage, from: &str, to: &str) {
    let mut until: Option<Instant> = None;
    loop {
        let producer = transactional::start(stage, "copier");
        let reader = stage.consumer("copiers", "read_committed");
        reader.subscribe(&[from]).expect("librdkafka takes the subscription");
        loop {
            match (stage.stopped(), until) {
                (true, None) => until = Some(Instant::now() + PATIENCE * 3),
                (true, Some(until)) if Instant::now() > until => {
                    panic!("{from} is not copied to its end: {:?} behind", behind(&reader));
                }
                _ => {}
            }
            let (events, ended) = poll(&reader);
            if !events.is_empty() && transact(stage, &producer, &reader, from, to, &events) != Outcome::Committed {
                break;
            }
            if stage.stopped() && events.is_empty() && ended {
                return;
            }
        }
    }
}

/// What comes within a moment, and whether it was all there is for this member.
fn poll(reader: &rdkafka::consumer::BaseConsumer) -> (Vec<(Place, String)>, bool) {
    let mut events: Vec<(Place, String)> = Vec::new();
    let mut ended: HashSet<i32> = HashSet::new();
    let until = Instant::now() + Duration::from_millis(300);
    while events.len() < EVENTS_MAX && Instant::now() < until {
        match reader.poll(Duration::from_millis(50)) {
            Some(Ok(message)) => {
                ended.remove(&message.partition());
                let value = Row::of(&message).value.expect("a value");
                events.push(((message.partition(), message.offset()), value));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(_)) | None => {}
        }
    }
    let caught_up = behind(reader) == Some(0);
    (events, caught_up)
}

/// How many offsets this member's positions are behind the ends of its partitions; `None`: it has none, or they are not known now.
fn behind(reader: &rdkafka::consumer::BaseConsumer) -> Option<i64> {
    let positions = reader.position().ok()?;
    if positions.count() == 0 {
        return None;
    }
    let mut behind = 0;
    for place in positions.elements() {
        let (start, end) = reader
            .fetch_watermarks(place.topic(), place.partition(), Duration::from_secs(5))
            .ok()?;
        behind += match place.offset() {
            Offset::Offset(offset) => end - offset,
            // Nothing was read yet since this member came: it may have been committed by the one before.
            _ => match committed(reader, place.topic(), place.partition())? {
                Offset::Offset(offset) => end - offset,
                _ => end - start,
            },
        };
    }
    Some(behind)
}

fn committed(reader: &rdkafka::consumer::BaseConsumer, topic: &str, partition: i32) -> Option<Offset> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let found = reader.committed_offsets(list, Duration::from_secs(5)).ok()?;
    Some(found.elements()[0].offset())
}

fn transact(
    stage: &Stage,
    producer: &Transactional,
    reader: &rdkafka::consumer::BaseConsumer,
    from: &str,
    to: &str,
    events: &[(Place, String)],
) -> Outcome {
    if let Err(error) = producer.begin_transaction() {
        println!("copier: {error}");
        return Outcome::Unknown;
    }
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for ((partition, offset), value) in events {
        let record = BaseRecord::<(), String>::to(to).payload(value).partition(*partition);
        if producer.send(record).is_err() {
            return transactional::end(stage, producer, true);
        }
        ends.insert(*partition, offset + 1);
    }
    let mut positions = TopicPartitionList::new();
    for (partition, end) in ends {
        positions
            .add_partition_offset(from, partition, Offset::Offset(end))
            .expect("an offset");
    }
    let Some(member) = reader.group_metadata() else {
        return transactional::end(stage, producer, true);
    };
    loop {
        stage.expect_in_time("a transaction's positions");
        match producer.send_offsets_to_transaction(&positions, &member, PATIENCE) {
            Ok(()) => return transactional::end(stage, producer, false),
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            Err(error) => {
                println!("copier: {error}");
                return transactional::end(stage, producer, true);
            }
        }
    }
}

/// Each partition of the copy holds what the original holds: everything, once, in order.
pub fn check(original: &BTreeMap<Place, Row>, copy: &BTreeMap<Place, Row>) {
    let values = |rows: &BTreeMap<Place, Row>| {
        let mut values: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for ((partition, _), row) in rows {
            values
                .entry(*partition)
                .or_default()
                .push(row.value.clone().expect("a value"));
        }
        values
    };
    let (original, copy) = (values(original), values(copy));
    for (partition, values) in &original {
        let copied = copy.get(partition).map_or(&[][..], Vec::as_slice);
        let differs = values.iter().zip(copied).position(|(one, other)| one != other);
        assert_eq!(differs, None, "partition {partition} of the copy differs");
        assert_eq!(
            copied.len(),
            values.len(),
            "partition {partition} of the copy is as long"
        );
    }
}
