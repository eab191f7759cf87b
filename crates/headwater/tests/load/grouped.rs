//! A member of a consumer group: what it committed is never taken back, and every event it read is there at the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use super::{Place, Row, Stage};

const EVENTS_A_COMMIT: usize = 100;

/// What a member saw.
pub type Seen = BTreeMap<Place, Row>;

/// Hears when partitions come and go.
#[derive(Clone, Default)]
struct Rebalances(Arc<AtomicBool>);

impl Rebalances {
    /// Whether there was one since this was asked.
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads and commits, counting how often it was told that its positions are kept. Asks between commits what is committed: never less than that.
pub fn read(stage: &Stage, topic: &str, group: &str, commits: &AtomicUsize) -> Seen {
    let rebalances = Rebalances::default();
    let reader = stage.consumer_with(rebalances.clone(), group, "read_uncommitted");
    reader.subscribe(&[topic]).expect("librdkafka takes the subscription");
    let mut seen = Seen::new();
    let mut kept: HashMap<i32, i64> = HashMap::new();
    let mut uncommitted: HashMap<i32, i64> = HashMap::new();
    let mut since = 0;
    while !stage.stopped() {
        let polled = reader.poll(Duration::from_millis(50));
        if rebalances.take() {
            // Whoever has the partitions now commits for them: what this member read before would take that back.
            uncommitted.clear();
            since = 0;
        }
        if let Some(Ok(message)) = polled {
            let place = (message.partition(), message.offset());
            let row = Row::of(&message);
            // After a rebalance events may come again: the same ones.
            if let Some(before) = seen.insert(place, row.clone()) {
                assert_eq!(before, row, "{topic} {place:?} has changed");
            }
            uncommitted.insert(place.0, place.1 + 1);
            since += 1;
        }
        if since >= EVENTS_A_COMMIT {
            never_back(&reader, topic, &kept);
            if commit(&reader, topic, &uncommitted) {
                commits.fetch_add(1, Ordering::Relaxed);
                kept.extend(&uncommitted);
            }
            uncommitted.clear();
            since = 0;
        }
    }
    // In the end the broker is there.
    while !never_back(&reader, topic, &kept) {
        stage.expect_in_time("who asks what is committed");
    }
    seen
}

/// Whether the broker took the positions.
fn commit(reader: &BaseConsumer<Rebalances>, topic: &str, positions: &HashMap<i32, i64>) -> bool {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .expect("an offset");
    }
    reader.commit(&list, CommitMode::Sync).is_ok()
}

/// Holds what is committed against what was kept; false where the broker cannot be asked now.
fn never_back(reader: &BaseConsumer<Rebalances>, topic: &str, kept: &HashMap<i32, i64>) -> bool {
    let mut list = TopicPartitionList::new();
    for partition in kept.keys() {
        list.add_partition(topic, *partition);
    }
    let Ok(found) = reader.committed_offsets(list, Duration::from_secs(10)) else {
        return false;
    };
    for place in found.elements() {
        let Offset::Offset(offset) = place.offset() else {
            panic!(
                "{topic}/{}: nothing is committed, and {:?} was",
                place.partition(),
                kept.get(&place.partition())
            );
        };
        let before = kept[&place.partition()];
        assert!(
            offset >= before,
            "{topic}/{}: {offset} is committed, and {before} was",
            place.partition()
        );
    }
    true
}

/// What was read is there at the end, with the same value.
pub fn check(topic: &str, seen: &Seen, rows: &BTreeMap<Place, Row>) {
    for (place, row) in seen {
        assert_eq!(rows.get(place), Some(row), "{topic}: what was read at {place:?}");
    }
}
