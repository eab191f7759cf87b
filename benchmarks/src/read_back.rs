//! Reading back what was written: from the disk, and again from memory.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::brokers::{Broker, Kind, Programs};
use crate::client::{Connection, FetchRequest, Load};
use crate::machine::{self, Watch};

const EVENT_BYTES: usize = 1024;
const BATCH_EVENTS: usize = 256;
const PARTITIONS: u32 = 16;

/// Writes so many MiB to every broker in turn, reads them cold and warm, and prints a table.
pub fn run(programs: &Programs, kinds: &[Kind], mebibytes: u64) -> anyhow::Result<()> {
    println!("| broker | reading | MiB/s | broker µs a record |");
    println!("| --- | --- | --- | --- |");
    for kind in programs.there(kinds) {
        let broker = programs.start(kind)?;
        let batches = mebibytes * 1024 * 1024 / (EVENT_BYTES * BATCH_EVENTS) as u64;
        fill(&broker, batches)?;
        // The broker writes segments behind.
        std::thread::sleep(Duration::from_secs(2));
        let cold = machine::drop_page_cache(broker.folder())?;
        for (what, there) in [("cold", cold), ("warm", true), ("warm again", true)] {
            if !there {
                println!(
                    "| {} | {what} | SKIPPED: the page cache may not be emptied here | |",
                    kind.name()
                );
                continue;
            }
            let (rate, each_us) = read(&broker, batches * BATCH_EVENTS as u64)?;
            println!("| {} | {what} | {rate:.0} | {each_us:.3} |", kind.name());
        }
    }
    Ok(())
}

fn fill(broker: &Broker, batches: u64) -> anyhow::Result<()> {
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
    for _ in 0..batches {
        producer.turn()?;
    }
    producer.drain()
}

/// Reads everything once: MiB a second, and the broker's processor time for a record.
fn read(broker: &Broker, events: u64) -> anyhow::Result<(f64, f64)> {
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
    let spent = watch.end()?;
    let rate = bytes as f64 / 1024.0 / 1024.0 / begun.elapsed().as_secs_f64();
    Ok((rate, spent.broker.as_secs_f64() * 1e6 / read as f64))
}
