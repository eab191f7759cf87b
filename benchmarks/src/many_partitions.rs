//! Ten thousand partitions in one process: what each costs idle, an append to all of them in turn, one consumer over all of them.

use std::time::{Duration, Instant};

use crate::brokers::{Kind, Programs};
use crate::client::{Connection, FetchRequest, Load};

/// Creates the topic on every broker in turn and prints a table.
pub fn run(programs: &Programs, kinds: &[Kind], partitions: u32) -> anyhow::Result<()> {
    println!(
        "| broker | created in ms | KiB a partition idle | an append to each, a second | after it KiB each | open files | one consumer over all ms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for kind in programs.there(kinds) {
        let broker = programs.start(kind)?;
        let before = broker.process().resident_kib()?;
        let each_kib = |now: u64| now.saturating_sub(before) as f64 / f64::from(partitions);
        let mut connection = Connection::open(broker.address)?;
        let begun = Instant::now();
        connection.create_topic("many", partitions)?;
        let load = Load {
            topic: "many".to_owned(),
            partitions,
            events: 1,
            event_bytes: 100,
            in_flight: 64,
        };
        let mut producer = load.open(connection)?;
        let created = begun.elapsed();
        std::thread::sleep(Duration::from_secs(2));
        let idle = each_kib(broker.process().resident_kib()?);
        let begun = Instant::now();
        for _ in 0..partitions {
            producer.turn()?;
        }
        producer.drain()?;
        let appended = begun.elapsed();
        let begun = Instant::now();
        let mut connection = Connection::open(broker.address)?;
        let mut fetch = FetchRequest::new("many", partitions);
        let mut read = 0;
        // What made sure that the topic is ready stands there too.
        while read < u64::from(partitions) {
            read += fetch.fetch(&mut connection)?.events;
        }
        let consumed = begun.elapsed();
        std::thread::sleep(Duration::from_secs(2));
        println!(
            "| {} | {:.0} | {idle:.1} | {:.0} | {:.1} | {} | {:.0} |",
            kind.name(),
            created.as_secs_f64() * 1e3,
            f64::from(partitions) / appended.as_secs_f64(),
            each_kib(broker.process().resident_kib()?),
            broker.process().open_files()?,
            consumed.as_secs_f64() * 1e3,
        );
    }
    Ok(())
}
