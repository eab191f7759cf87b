//! Reading back what was written: from the disk, and again from memory.
//!
//! One reading of half a second says little: a neighbour, or the disk, is in it. So all brokers are filled first and left to settle, then read in turn, round
//! after round, and the median of the rounds is what counts.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::brokers::{Broker, Kind, Programs};
use crate::client::{Connection, FetchRequest, Load};
use crate::machine::{self, Spent, Watch};

const EVENT_BYTES: usize = 1024;
const BATCH_EVENTS: usize = 256;
const PARTITIONS: u32 = 16;

/// What was written is on the disk, and nothing is done behind, after so long.
const SETTLING: Duration = Duration::from_secs(5);

/// How what was written is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// From the disk.
    Cold,
    /// From the page cache, as what was just read.
    Warm,
    /// Once more.
    Again,
}

/// What the rounds gave of one broker.
pub struct ReadBack {
    pub kind: Kind,
    rounds: Vec<(Reading, Outcome)>,
}

/// One reading of everything.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    mebibytes_a_second: f64,
    broker_us: f64,
    busy: f64,
}

/// Writes so many MiB to every broker, reads them back in turn, and prints each round and the medians.
pub fn run(programs: &Programs, kinds: &[Kind], mebibytes: u64, rounds: usize) -> anyhow::Result<Vec<ReadBack>> {
    let mut brokers: Vec<(Broker, ReadBack)> = Vec::new();
    for kind in programs.there(kinds) {
        let broker = programs.start(kind)?;
        fill(&broker, mebibytes)?;
        let rounds = Vec::new();
        brokers.push((broker, ReadBack { kind, rounds }));
    }
    std::thread::sleep(SETTLING);
    println!("| broker | reading | MiB/s | broker µs a record | busy |");
    println!("| --- | --- | --- | --- | --- |");
    for _ in 0..rounds.max(1) {
        for (broker, read_back) in &mut brokers {
            if machine::drop_page_cache(broker.folder())? {
                read_back.add(broker, Reading::Cold, mebibytes)?;
            }
            read_back.add(broker, Reading::Warm, mebibytes)?;
            read_back.add(broker, Reading::Again, mebibytes)?;
        }
    }
    let all: Vec<ReadBack> = brokers.into_iter().map(|(_, read_back)| read_back).collect();
    for read_back in &all {
        for reading in Reading::ALL {
            match read_back.median(reading) {
                Some(median) => median.print(read_back.kind, &format!("{}, median", reading.name())),
                None => println!(
                    "| {} | {} | SKIPPED: the page cache may not be emptied here | | |",
                    read_back.kind.name(),
                    reading.name()
                ),
            }
        }
    }
    Ok(all)
}

/// Writes so many MiB to one broker and reads them once, for what that leaves in its memory.
pub fn fill_and_read(broker: &Broker, mebibytes: u64) -> anyhow::Result<()> {
    fill(broker, mebibytes)?;
    read(broker, mebibytes).map(|_| ())
}

impl Reading {
    /// In the order in which they are done.
    pub const ALL: [Reading; 3] = [Reading::Cold, Reading::Warm, Reading::Again];

    pub fn name(self) -> &'static str {
        match self {
            Reading::Cold => "cold",
            Reading::Warm => "warm",
            Reading::Again => "warm again",
        }
    }
}

impl ReadBack {
    /// The median rate, MiB a second, where it could be measured.
    pub fn rate(&self, reading: Reading) -> Option<f64> {
        self.median(reading).map(|median| median.mebibytes_a_second)
    }

    fn add(&mut self, broker: &Broker, reading: Reading, mebibytes: u64) -> anyhow::Result<()> {
        let outcome = read(broker, mebibytes)?;
        outcome.print(self.kind, reading.name());
        self.rounds.push((reading, outcome));
        Ok(())
    }

    /// The round whose rate is the median.
    fn median(&self, reading: Reading) -> Option<Outcome> {
        let these = self.rounds.iter().filter(|(of, _)| *of == reading);
        let mut outcomes: Vec<Outcome> = these.map(|(_, outcome)| *outcome).collect();
        outcomes.sort_by(|one, other| one.mebibytes_a_second.total_cmp(&other.mebibytes_a_second));
        outcomes.get(outcomes.len() / 2).copied()
    }
}

impl Outcome {
    fn print(&self, kind: Kind, what: &str) {
        println!(
            "| {} | {what} | {:.0} | {:.3} | {:.0} % |",
            kind.name(),
            self.mebibytes_a_second,
            self.broker_us,
            self.busy * 100.0
        );
    }
}

fn batches(mebibytes: u64) -> u64 {
    mebibytes * 1024 * 1024 / (EVENT_BYTES * BATCH_EVENTS) as u64
}

fn fill(broker: &Broker, mebibytes: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(broker.address)?;
    connection.create_topic("read-back", PARTITIONS)?;
    let load = Load {
        topic: "read-back".to_owned(),
        partitions: PARTITIONS,
        events: BATCH_EVENTS,
        event_bytes: EVENT_BYTES,
        in_flight: 16,
    };
    let mut producer = load.open(connection)?;
    for _ in 0..batches(mebibytes) {
        producer.turn()?;
    }
    producer.drain()
}

/// Reads everything once.
fn read(broker: &Broker, mebibytes: u64) -> anyhow::Result<Outcome> {
    let events = batches(mebibytes) * BATCH_EVENTS as u64;
    let mut connection = Connection::open(broker.address)?;
    let mut fetch = FetchRequest::new("read-back", PARTITIONS);
    let watch = Watch::begin(broker.process())?;
    let begun = Instant::now();
    let (mut read, mut bytes) = (0, 0);
    while read < events {
        let fetched = fetch.fetch(&mut connection)?;
        ensure!(fetched.events > 0, "{read} of {events} events came, then nothing more");
        read += fetched.events;
        bytes += fetched.bytes;
    }
    let wall = begun.elapsed();
    let Spent { broker, busy, .. } = watch.end()?;
    Ok(Outcome {
        mebibytes_a_second: bytes as f64 / 1024.0 / 1024.0 / wall.as_secs_f64(),
        broker_us: broker.as_secs_f64() * 1e6 / events as f64,
        busy,
    })
}
