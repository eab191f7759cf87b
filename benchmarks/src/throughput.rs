//! Records per second and what one costs the broker, over sizes of records and batches and numbers of partitions, acks=all.

use std::time::Duration;

use crate::brokers::{Broker, Kind, Programs};
use crate::client::{Connection, Load, Producer};
use crate::machine::{self, Spent, Watch};

/// What stays unanswered of one producer at most, in requests: enough that the broker never waits for the client.
const IN_FLIGHT: usize = 64;

/// Just-in-time compilers have had their turn after so long.
const WARM_UP: Duration = Duration::from_secs(8);

/// A broker that has many partitions to make files for is left alone for so long before it is measured.
const SETTLING: Duration = Duration::from_secs(5);

/// What was deleted is gone after so long, also of a broker that does so behind.
const DELETING: Duration = Duration::from_secs(2);

/// From so many partitions on that is so.
const PARTITIONS_MANY: u32 = 100;

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    event_bytes: usize,
    pub batch_bytes: usize,
    pub partitions: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    events: u64,
    spent: Spent,
}

/// Every kind of load; those over as many partitions stand together, as they share a topic.
pub const CELLS: [Cell; 12] = cells();

const fn cells() -> [Cell; 12] {
    let (events, batches, partitions) = ([100, 1024], [16 * 1024, 256 * 1024], [1, 16, 1000]);
    let mut cells = [Cell {
        event_bytes: 0,
        batch_bytes: 0,
        partitions: 0,
    }; 12];
    let mut index = 0;
    while index < cells.len() {
        cells[index] = Cell {
            event_bytes: events[index / 2 % 2],
            batch_bytes: batches[index % 2],
            partitions: partitions[index / 4],
        };
        index += 1;
    }
    cells
}

/// Measures every cell on every broker, one broker after another, and prints a table.
pub fn run(programs: &Programs, kinds: &[Kind], time: Duration, only: Option<&str>) -> anyhow::Result<()> {
    let cells: Vec<Cell> = CELLS
        .into_iter()
        .filter(|cell| only.is_none_or(|only| cell.name() == only))
        .collect();
    print_head();
    for kind in programs.there(kinds) {
        let broker = programs.start(kind)?;
        warm_up(&broker, kind)?;
        measure_all(&broker, kind, &cells, time)?;
    }
    Ok(())
}

/// Prints the head of the table that [`measure_all`] prints the rows of.
pub fn print_head() {
    println!(
        "| broker | record, batch, partitions | records/s | MB/s | broker µs a record | client µs a record | busy |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
}

/// Gives just-in-time compilers their turn.
pub fn warm_up(broker: &Broker, kind: Kind) -> anyhow::Result<()> {
    if kind != Kind::Headwater {
        let mut producer = CELLS[4].producer(broker, "warm-up")?;
        measure(broker, &mut producer, WARM_UP)?;
    }
    Ok(())
}

/// Measures cells on one broker and prints a row for each.
pub fn measure_all(broker: &Broker, kind: Kind, cells: &[Cell], time: Duration) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(cells.len());
    for group in cells.chunk_by(|one, other| one.partitions == other.partitions) {
        let Some(partitions) = group.first().map(|cell| cell.partitions) else {
            continue;
        };
        let topic = format!("t-{partitions}");
        for (number, cell) in group.iter().enumerate() {
            let mut producer = cell.producer(broker, &topic)?;
            if number == 0 && partitions >= PARTITIONS_MANY {
                std::thread::sleep(SETTLING);
            }
            measure(broker, &mut producer, time / 5)?;
            let outcome = measure(broker, &mut producer, time)?;
            println!("| {} | {} | {} |", kind.name(), cell.name(), outcome.columns(cell));
            outcomes.push(outcome);
        }
        // What was written makes room for what comes, and the disk is not busy with it any more when that is measured.
        Connection::open(broker.address)?.delete_topic(&topic)?;
        std::thread::sleep(DELETING);
        machine::flush(broker.folder())?;
    }
    Ok(outcomes)
}

impl Cell {
    pub fn name(&self) -> String {
        let (record, batch) = (size(self.event_bytes), size(self.batch_bytes));
        format!("{record}, {batch}, {}", self.partitions)
    }

    fn producer(&self, broker: &Broker, topic: &str) -> anyhow::Result<Producer> {
        let mut connection = Connection::open(broker.address)?;
        connection.create_topic(topic, self.partitions)?;
        let load = Load {
            topic: topic.to_owned(),
            partitions: self.partitions,
            events: self.batch_bytes / self.event_bytes,
            event_bytes: self.event_bytes,
            in_flight: IN_FLIGHT,
        };
        load.open(connection)
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        _ => format!("{} KiB", bytes / 1024),
    }
}

/// Runs one load for a while.
fn measure(broker: &Broker, producer: &mut Producer, time: Duration) -> anyhow::Result<Outcome> {
    let watch = Watch::begin(broker.process())?;
    let mut events: u64 = 0;
    while watch.elapsed() < time {
        events += producer.turn()?.0 as u64;
    }
    let spent = watch.end()?;
    producer.drain()?;
    Ok(Outcome { events, spent })
}

impl Outcome {
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.spent.wall.as_secs_f64()
    }

    pub fn broker_us(&self) -> f64 {
        self.spent.broker.as_secs_f64() * 1e6 / self.events.max(1) as f64
    }

    fn columns(&self, cell: &Cell) -> String {
        let client_us = self.spent.client.as_secs_f64() * 1e6 / self.events.max(1) as f64;
        let megabytes = self.rate() * cell.event_bytes as f64 / 1e6;
        let busy = self.spent.busy * 100.0;
        format!(
            "{:.0} | {megabytes:.0} | {:.3} | {client_us:.3} | {busy:.0} %",
            self.rate(),
            self.broker_us()
        )
    }
}
