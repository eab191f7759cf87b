//! The next thing to ask of the log, from the dice.

use headwater_eventlog::{Cleanup, Entities, Keep, StreamSettings};
use headwater_host::simulated::Random;
use headwater_records::{Marker, Producer};

use crate::depends::Look;
use crate::world::{AppendAsked, ENDS_MAX, Fate, Kind, PartAsked, World};

/// Names of streams; a dropped one's is used again.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// So few keys that most events are superseded before long.
pub(crate) const KEYS: usize = 5;

/// One step of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask for an append, whose number this is, and do not wait.
    Append(usize),
    /// Create a stream.
    Create {
        name: String,
        partitions: u32,
        settings: StreamSettings,
    },
    /// Drop a stream.
    Drop(usize),
    /// Read what a later append is to depend on.
    Look(usize, Look),
    /// Change a stream's settings.
    Alter(usize, StreamSettings),
    /// Delete a share, in hundredths, of a partition's events.
    Delete(usize, u32, u64),
    /// Expire, compact and clean up.
    Tend,
    /// Take a producer id, for transactions or for retries alone.
    ProducerId(bool),
    /// The clock jumps, forward or back.
    Clock(i64),
    /// The disk has room for so many bytes more, or for any number.
    Room(Option<u64>),
    /// Close the log and open it again.
    Close,
    /// The program is killed and started again; the machine goes on.
    Kill,
}

/// The next step. What is to be appended is written into the world.
pub(crate) fn next(world: &mut World, random: &mut Random, full: bool) -> Step {
    let live = world.live();
    if live.len() < 2 {
        return create(world, random);
    }
    if let Some(transaction) = &world.transaction {
        let is_over = transaction.is_doomed || transaction.touched.len() >= 5;
        if (is_over || !transaction.touched.is_empty() && random.below(8) == 0)
            && let Some(index) = end(world, random, &live)
        {
            return Step::Append(index);
        }
    }
    match random.below(100) {
        0..2 if live.len() < NAMES.len() => create(world, random),
        2..4 => Step::Drop(live[random.below(live.len())]),
        20 | 21 => Step::Alter(live[random.below(live.len())], settings(random)),
        33..39 => Step::Look(live[random.below(live.len())], Look::nth(random.below(Look::COUNT))),
        22..25 => {
            let stream = live[random.below(live.len())];
            let partition = random.below(world.streams[stream].partitions as usize) as u32;
            Step::Delete(stream, partition, random.below(101) as u64)
        }
        25..33 => Step::Tend,
        4..7 => Step::ProducerId(random.coin()),
        7..10 => Step::Clock(random.below(20_000_000) as i64 - 10_000_000),
        10 => Step::Close,
        11 => Step::Kill,
        12..14 if full => Step::Room(Some(random.below(30_000) as u64)),
        14..20 if full => Step::Room(None),
        _ => Step::Append(append(world, random, &live)),
    }
}

fn create(world: &World, random: &mut Random) -> Step {
    let live = world.live();
    let taken = |name: &&&str| live.iter().any(|index| world.streams[*index].name == **name);
    let free: Vec<&&str> = NAMES.iter().filter(|name| !taken(name)).collect();
    Step::Create {
        name: free[random.below(free.len())].to_string(),
        partitions: 1 + random.below(3) as u32,
        settings: settings(random),
    }
}

/// Settings under which a short life compacts and loses old segments.
fn settings(random: &mut Random) -> StreamSettings {
    let cleanup = match random.below(4) {
        0 => None,
        1 | 2 => Some(Cleanup {
            delete: true,
            compact: true,
        }),
        _ => Some(Cleanup {
            delete: false,
            compact: true,
        }),
    };
    StreamSettings {
        cleanup,
        retention_ms: (random.below(3) == 0).then(|| Keep::AtMost(random.below(2_000) as u64)),
        retention_bytes: random.coin().then(|| Keep::AtMost(random.below(3_000) as u64)),
        segment_ms: random.coin().then(|| 1 + random.below(20) as u64),
        compaction_lag_ms_min: random.coin().then(|| random.below(20) as u64),
        dirty_ratio_min: random.coin().then_some(0),
        segment_bytes: random.coin().then(|| 1_024 + random.below(4_000) as u64),
        entities: random.coin().then_some(Entities::Indexed),
        tombstone_ms: random.coin().then(|| random.below(8_000) as u64),
        ..StreamSettings::default()
    }
}

/// Who writes an append.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Anyone,
    Idempotent,
    Transactional,
}

/// An append of one to three parts.
fn append(world: &mut World, random: &mut Random, live: &[usize]) -> usize {
    let index = world.appends.len();
    let writer = match random.below(4) {
        0 if world.producer.is_some() => Writer::Idempotent,
        1 | 2 if world.transaction.is_some() => Writer::Transactional,
        _ => Writer::Anyone,
    };
    let mut parts: Vec<PartAsked> = Vec::new();
    for part in 0..1 + random.below(3) {
        let stream = live[random.below(live.len())];
        let partition = random.below(world.streams[stream].partitions as usize) as u32;
        let events = 1 + random.below(3);
        // Now and then a batch that fills a segment.
        let padding = "x".repeat(match random.below(40) {
            0 => 1_500,
            _ => random.below(300),
        });
        let mut values: Vec<String> = Vec::new();
        for event in 0..events {
            let key = random.below(KEYS);
            let rest = match random.below(6) {
                0 => "tombstone",
                _ => &padding,
            };
            values.push(format!("{index}/{part}/{event}/k{key}/{rest}"));
        }
        parts.push(PartAsked {
            stream,
            partition,
            values,
            producer: sequence(world, writer, (stream, partition), events as i32),
            kind: match writer {
                Writer::Transactional => Kind::Transactional,
                Writer::Anyone | Writer::Idempotent => Kind::Plain,
            },
        });
    }
    let index = push(world, random, parts);
    let depends = world.noted.as_ref().filter(|depends| live.contains(&depends.stream));
    if writer == Writer::Anyone && depends.is_some() && random.coin() {
        world.appends[index].depends = world.noted.take();
    }
    index
}

/// The next sequence of the writer's producer in a partition.
fn sequence(world: &mut World, writer: Writer, here: (usize, u32), events: i32) -> Option<Producer> {
    let (id, epoch, sequences) = match writer {
        Writer::Anyone => return None,
        Writer::Idempotent => {
            let producer = world.producer.as_mut()?;
            (producer.id, 0, &mut producer.sequences)
        }
        Writer::Transactional => {
            let transaction = world.transaction.as_mut()?;
            transaction.touched.insert(here);
            (transaction.id, transaction.epoch, &mut transaction.sequences)
        }
    };
    let next = sequences.entry(here).or_default();
    let base_sequence = *next;
    *next += events;
    Some(Producer {
        id,
        epoch,
        base_sequence,
    })
}

/// The append that ends the transaction in all its partitions; `None` where it has none left.
fn end(world: &mut World, random: &mut Random, live: &[usize]) -> Option<usize> {
    let index = world.appends.len();
    let transaction = world.transaction.as_mut()?;
    // Whoever takes a transaction back in another's place raises the epoch first, so that nothing of it can follow.
    transaction.epoch += i16::from(transaction.is_doomed);
    let marker = match transaction.is_doomed || random.below(3) == 0 {
        true => Marker::Aborted,
        false => Marker::Committed,
    };
    let touched = std::mem::take(&mut transaction.touched);
    let touched = touched.into_iter().filter(|(stream, _)| live.contains(stream));
    let mut parts: Vec<PartAsked> = Vec::new();
    for (part, (stream, partition)) in touched.enumerate() {
        parts.push(PartAsked {
            stream,
            partition,
            values: vec![format!("{index}/{part}/end")],
            producer: Some(Producer {
                id: transaction.id,
                epoch: transaction.epoch,
                base_sequence: -1,
            }),
            kind: Kind::Ends(marker, (index * ENDS_MAX + part) as i64),
        });
    }
    transaction.is_doomed = false;
    transaction.epoch += 1;
    transaction.sequences.clear();
    (!parts.is_empty()).then(|| push(world, random, parts))
}

fn push(world: &mut World, random: &mut Random, parts: Vec<PartAsked>) -> usize {
    world.appends.push(AppendAsked {
        parts,
        principal: format!("principal-{}", random.below(4)),
        fate: Fate::Open,
        order: 0,
        landed: None,
        is_unanswered: true,
        clock_us: None,
        depends: None,
    });
    world.appends.len() - 1
}
