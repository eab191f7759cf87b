//! Records per second and what one costs the broker, over sizes of records and batches and numbers of partitions, acks=all.

use std::collections::HashMap;
use std::time::Duration;

use crate::brokers::{Broker, Kind, Programs};
use crate::client::{Connection, Load};
use crate::machine::{Spent, Watch};

/// What stays unanswered of one producer at most, in requests: enough that the broker never waits for the client.
const IN_FLIGHT: usize = 64;

/// Just-in-time compilers have had their turn after so long.
const WARM_UP: Duration = Duration::from_secs(8);

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Cell {
    event_bytes: usize,
    batch_bytes: usize,
    partitions: u32,
}

/// What came of it.
struct Outcome {
    events: u64,
    spent: Spent,
}

const CELLS: [Cell; 12] = cells();

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
            event_bytes: events[index / 6],
            batch_bytes: batches[index / 3 % 2],
            partitions: partitions[index % 3],
        };
        index += 1;
    }
    cells
}

/// Measures every cell on every broker, one broker after another, and prints a table.
pub fn run(programs: &Programs, kinds: &[Kind], time: Duration, only: Option<&str>) -> anyhow::Result<()> {
    let mut outcomes: HashMap<(Kind, Cell), Outcome> = HashMap::new();
    let cells: Vec<Cell> = CELLS
        .into_iter()
        .filter(|cell| only.is_none_or(|only| cell.name() == only))
        .collect();
    let kinds = programs.there(kinds);
    println!(
        "| broker | record, batch, partitions | records/s | MB/s | broker µs a record | client µs a record | busy |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for kind in &kinds {
        let broker = programs.start(*kind)?;
        if *kind != Kind::Headwater {
            measure(&broker, &CELLS[1], WARM_UP, "warm-up")?;
        }
        for cell in &cells {
            let outcome = measure(&broker, cell, time, &cell.topic())?;
            println!("| {} | {} | {} |", kind.name(), cell.name(), outcome.columns(cell));
            outcomes.insert((*kind, *cell), outcome);
        }
    }
    compare(&cells, &outcomes);
    Ok(())
}

impl Cell {
    fn name(&self) -> String {
        let (record, batch) = (size(self.event_bytes), size(self.batch_bytes));
        format!("{record}, {batch}, {}", self.partitions)
    }

    fn topic(&self) -> String {
        format!("t-{}-{}-{}", self.event_bytes, self.batch_bytes, self.partitions)
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        _ => format!("{} KiB", bytes / 1024),
    }
}

/// Runs one load for a while, and before that for a fifth of it without counting.
fn measure(broker: &Broker, cell: &Cell, time: Duration, topic: &str) -> anyhow::Result<Outcome> {
    let mut connection = Connection::open(broker.address)?;
    connection.create_topic(topic, cell.partitions)?;
    let load = Load {
        topic: topic.to_owned(),
        partitions: cell.partitions,
        events: cell.batch_bytes / cell.event_bytes,
        event_bytes: cell.event_bytes,
        in_flight: IN_FLIGHT,
    };
    let mut producer = load.open(connection)?;
    let warming = Watch::begin(broker.process())?;
    while warming.elapsed() < time / 5 {
        producer.turn()?;
    }
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
    fn rate(&self) -> f64 {
        self.events as f64 / self.spent.wall.as_secs_f64()
    }

    fn broker_us(&self) -> f64 {
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

/// Headwater's ratios to its peers, beside their goals.
fn compare(cells: &[Cell], outcomes: &HashMap<(Kind, Cell), Outcome>) {
    println!();
    println!(
        "| record, batch, partitions | rate × Kafka (goal) | processor time × Kafka (goal) | rate × flushed Kafka (goal) |"
    );
    println!("| --- | --- | --- | --- |");
    for cell in cells {
        let Some(ours) = outcomes.get(&(Kind::Headwater, *cell)) else {
            continue;
        };
        let peer = |kind| outcomes.get(&(kind, *cell));
        let ratio = |kind, of: fn(&Outcome) -> f64| {
            peer(kind).map_or("–".to_owned(), |peer| format!("{:.2}", of(ours) / of(peer)))
        };
        let (time_goal, flushed_goal) = match (cell.batch_bytes, cell.partitions) {
            (_, 1000) if cell.batch_bytes < 100_000 => ("0.50", "20"),
            (_, 1000) => ("0.33", "20"),
            (..100_000, _) => ("0.50", "5"),
            _ => ("0.33", "1.3"),
        };
        println!(
            "| {} | {} (1.00) | {} ({time_goal}) | {} ({flushed_goal}) |",
            cell.name(),
            ratio(Kind::Kafka, Outcome::rate),
            ratio(Kind::Kafka, Outcome::broker_us),
            ratio(Kind::KafkaFlushed, Outcome::rate),
        );
    }
}
