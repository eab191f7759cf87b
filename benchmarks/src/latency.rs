//! How long one record takes: alone, from end to end beside others, and while the broker is half loaded.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::brokers::{Broker, Kind, Programs};
use crate::client::{Connection, FetchRequest, Load, Producer};
use crate::figures::Figures;
use crate::machine::{Spent, Watch};

const EVENT_BYTES: usize = 100;

/// Between two records sent, 1,000 a second.
const PACE: Duration = Duration::from_millis(1);

/// The load that half of is taken: 1 KiB records in batches of 16 KiB over 16 partitions.
const HALF_LOAD: (usize, usize, u32) = (1024, 16, 16);

/// How long records take.
pub struct Latencies {
    /// One record at a time.
    pub alone: Figures,
    /// 1,000 records a second, from the sender to a reader at the end.
    pub end_to_end: Figures,
    /// A batch at half of what the broker can take of them.
    pub half_load: Figures,
}

/// Measures every broker in turn and prints a table.
pub fn run(programs: &Programs, kinds: &[Kind], time: Duration) -> anyhow::Result<()> {
    print_head();
    for kind in programs.there(kinds) {
        let broker = programs.start(kind)?;
        measure(&broker, kind, time)?;
    }
    Ok(())
}

/// Prints the head of the table that [`measure`] prints the rows of.
pub fn print_head() {
    println!("| broker | what | a second | p50 ms | p99 ms | broker µs each | busy |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
}

/// Measures one broker, and prints a row for each figure.
pub fn measure(broker: &Broker, kind: Kind, time: Duration) -> anyhow::Result<Latencies> {
    // Just-in-time compilers have their turn.
    one_at_a_time(broker, "warm-up", time)?;
    let row = |what: &str, measured: &dyn Fn() -> anyhow::Result<Figures>| -> anyhow::Result<Figures> {
        let watch = Watch::begin(broker.process())?;
        let figures = measured()?;
        print(kind, what, &figures, &watch.end()?);
        Ok(figures)
    };
    Ok(Latencies {
        alone: row("one record at a time, 100 B", &|| one_at_a_time(broker, "alone", time))?,
        end_to_end: row("end to end at 1,000 a second", &|| end_to_end(broker, time))?,
        half_load: row("a batch of 16 KiB at half load", &|| half_load(broker, time))?,
    })
}

fn print(kind: Kind, what: &str, figures: &Figures, spent: &Spent) {
    let count = figures.rate * spent.wall.as_secs_f64();
    println!(
        "| {} | {what} | {:.0} | {:.3} | {:.3} | {:.0} | {:.0} % |",
        kind.name(),
        figures.rate,
        figures.p50.as_secs_f64() * 1e3,
        figures.p99.as_secs_f64() * 1e3,
        spent.broker.as_secs_f64() * 1e6 / count,
        spent.busy * 100.0,
    );
}

fn open(broker: &Broker, topic: &str, load: (usize, usize, u32), in_flight: usize) -> anyhow::Result<Producer> {
    let (event_bytes, events, partitions) = load;
    let mut connection = Connection::open(broker.address)?;
    connection.create_topic(topic, partitions)?;
    let load = Load {
        topic: topic.to_owned(),
        partitions,
        events,
        event_bytes,
        in_flight,
    };
    load.open(connection)
}

fn one_at_a_time(broker: &Broker, topic: &str, time: Duration) -> anyhow::Result<Figures> {
    let mut producer = open(broker, topic, (EVENT_BYTES, 1, 1), 1)?;
    let mut latencies: Vec<Duration> = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        latencies.push(producer.turn()?.1);
    }
    Ok(Figures::of(latencies, begun.elapsed()))
}

/// A producer at a steady pace and a consumer that waits at the end; from the moment before sending to the moment after receiving.
fn end_to_end(broker: &Broker, time: Duration) -> anyhow::Result<Figures> {
    let mut producer = open(broker, "end-to-end", (EVENT_BYTES, 1, 1), usize::MAX)?;
    let mut fetch = FetchRequest::new("end-to-end", 1);
    let mut connection = Connection::open(broker.address)?;
    // What made sure that the topic is ready is not measured.
    fetch.fetch(&mut connection)?;
    let sent: Mutex<Vec<Instant>> = Mutex::default();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let producing = scope.spawn(|| -> anyhow::Result<()> {
            let begun = Instant::now();
            for number in 0.. {
                let due = begun + PACE * number;
                if due.duration_since(begun) >= time {
                    break;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                sent.lock().expect("nobody panics with it").push(Instant::now());
                producer.send()?;
                while producer.in_flight() > 8 {
                    producer.take()?;
                }
            }
            producer.drain()?;
            ended.store(true, Ordering::Release);
            Ok(())
        });
        let begun = Instant::now();
        let mut latencies: Vec<Duration> = Vec::new();
        loop {
            let last = ended.load(Ordering::Acquire);
            let fetched = fetch.fetch(&mut connection)?;
            let sent = sent.lock().expect("nobody panics with it");
            for _ in 0..fetched.events {
                latencies.push(sent[latencies.len()].elapsed());
            }
            if last && latencies.len() == sent.len() {
                break;
            }
        }
        producing.join().expect("the producer does not panic")?;
        Ok(Figures::of(latencies, begun.elapsed()))
    })
}

/// Sends at half the rate that the broker reached a moment before.
fn half_load(broker: &Broker, time: Duration) -> anyhow::Result<Figures> {
    let mut producer = open(broker, "half-load", HALF_LOAD, 64)?;
    let mut turns: u32 = 0;
    let begun = Instant::now();
    while begun.elapsed() < time {
        producer.turn()?;
        turns += 1;
    }
    producer.drain()?;
    let pace = begun.elapsed() / turns * 2;
    at_pace(&mut producer, pace, time, |_| Ok(()))
}

/// Sends one request after each `pace`, whatever the answers do, and gives their latencies; `each` sees every one.
pub fn at_pace(
    producer: &mut Producer,
    pace: Duration,
    time: Duration,
    mut each: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<Figures> {
    let mut latencies: Vec<Duration> = Vec::new();
    let begun = Instant::now();
    let mut due = begun;
    while begun.elapsed() < time {
        if due <= Instant::now() {
            producer.send()?;
            due += pace;
            continue;
        }
        if producer.in_flight() == 0 {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        } else if producer.has_answer(due)? {
            let latency = producer.take()?.1;
            latencies.push(latency);
            each(latency)?;
        }
    }
    producer.drain()?;
    Ok(Figures::of(latencies, begun.elapsed()))
}
