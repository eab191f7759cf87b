//! Start, and memory: idle, and after a load was written and read.

use std::time::Duration;

use crate::brokers::{Broker, Kind, Programs};
use crate::client::{Connection, FetchRequest, Load, ProduceRequest, batch};
use crate::machine::now_ms;

const LOAD_BYTES: u64 = 3_000_000_000;

/// Starts every broker in turn, so many times, loads the last one, and prints a table.
pub fn run(programs: &Programs, kinds: &[Kind], runs: usize) -> anyhow::Result<()> {
    println!(
        "| broker | start to first acknowledged produce, ms | idle MiB | MiB after 3 GB written and read | open files |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for kind in programs.there(kinds) {
        let mut starts: Vec<Duration> = Vec::new();
        let mut last: Option<Broker> = None;
        for _ in 0..runs.max(1) {
            drop(last.take());
            let (broker, started) = start(programs, kind)?;
            starts.push(started);
            last = Some(broker);
        }
        starts.sort_unstable();
        let Some(broker) = last else { continue };
        std::thread::sleep(Duration::from_secs(3));
        let idle = mebibytes(&broker)?;
        load(&broker)?;
        std::thread::sleep(Duration::from_secs(3));
        println!(
            "| {} | {:.0} | {idle:.0} | {:.0} | {} |",
            kind.name(),
            starts[starts.len() / 2].as_secs_f64() * 1e3,
            mebibytes(&broker)?,
            broker.process().open_files()?,
        );
    }
    Ok(())
}

/// Starts a broker on an empty folder, and says how long it took to the first acknowledged produce.
pub fn start(programs: &Programs, kind: Kind) -> anyhow::Result<(Broker, Duration)> {
    let broker = programs.spawn(kind)?;
    broker.wait()?;
    let request = ProduceRequest::new("ready", 0, &batch(1, 100, now_ms()));
    Connection::open(broker.address)?.produce_when_ready(&request)?;
    let started = broker.started.elapsed();
    Ok((broker, started))
}

/// Its resident memory.
pub fn mebibytes(broker: &Broker) -> anyhow::Result<f64> {
    Ok(broker.process().resident_kib()? as f64 / 1024.0)
}

/// Writes small and large batches to few and many partitions, and reads everything.
fn load(broker: &Broker) -> anyhow::Result<()> {
    for (topic, events, partitions) in [("few", 256, 16), ("many", 16, 100)] {
        let mut connection = Connection::open(broker.address)?;
        connection.create_topic(topic, partitions)?;
        let load = Load {
            topic: topic.to_owned(),
            partitions,
            events,
            event_bytes: 1024,
            in_flight: 16,
        };
        let mut producer = load.open(connection)?;
        let mut written: u64 = 0;
        while written < LOAD_BYTES / 2 / 1024 {
            written += producer.turn()?.0 as u64;
        }
        producer.drain()?;
        let mut connection = Connection::open(broker.address)?;
        let mut fetch = FetchRequest::new(topic, partitions);
        let mut read = 0;
        while read < written {
            read += fetch.fetch(&mut connection)?.events;
        }
    }
    Ok(())
}
