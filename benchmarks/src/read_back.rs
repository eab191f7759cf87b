//! Reading back what was written: from the disk, and again from memory.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::brokers::{Broker, Kind, Programs};
use crate::client::{Connection, FetchRequest, Load};
use crate::machine::{self, Spent, Watch};

const EVENT_BYTES: usize = 1024;
const BATCH_EVENTS: usize = 256;
const PARTITIONS: u32 = 16;

/// MiB a second of what was read, where it could be.
pub struct ReadBack {
    /// From the disk.
    pub cold: Option<f64>,
    /// From the page cache, as what was just read.
    pub warm: f64,
    /// Once more.
    pub again: f64,
}

/// Writes so many MiB to every broker in turn, reads them cold and warm, and prints a table.
pub fn run(programs: &Programs, kinds: &[Kind], mebibytes: u64) -> anyhow::Result<()> {
    print_head();
    for kind in programs.there(kinds) {
        let broker = programs.start(kind)?;
        measure(&broker, kind, mebibytes)?;
    }
    Ok(())
}

/// Prints the head of the table that [`measure`] prints the rows of.
pub fn print_head() {
    println!("| broker | reading | MiB/s | broker µs a record | busy |");
    println!("| --- | --- | --- | --- | --- |");
}

/// Writes so many MiB to one broker, reads them cold and warm, and prints the rows.
pub fn measure(broker: &Broker, kind: Kind, mebibytes: u64) -> anyhow::Result<ReadBack> {
    let batches = mebibytes * 1024 * 1024 / (EVENT_BYTES * BATCH_EVENTS) as u64;
    fill(broker, batches)?;
    // The broker writes segments behind.
    std::thread::sleep(Duration::from_secs(2));
    let row = |what: &str| -> anyhow::Result<f64> {
        let (rate, spent) = read(broker, batches * BATCH_EVENTS as u64)?;
        let each_us = spent.broker.as_secs_f64() * 1e6 / (batches * BATCH_EVENTS as u64) as f64;
        let busy = spent.busy * 100.0;
        println!("| {} | {what} | {rate:.0} | {each_us:.3} | {busy:.0} % |", kind.name());
        Ok(rate)
    };
    let cold = match machine::drop_page_cache(broker.folder())? {
        true => Some(row("cold")?),
        false => {
            println!(
                "| {} | cold | SKIPPED: the page cache may not be emptied here | | |",
                kind.name()
            );
            None
        }
    };
    Ok(ReadBack {
        cold,
        warm: row("warm")?,
        again: row("warm again")?,
    })
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

/// Reads everything once: MiB a second, and what was spent.
fn read(broker: &Broker, events: u64) -> anyhow::Result<(f64, Spent)> {
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
    Ok((rate, spent))
}
