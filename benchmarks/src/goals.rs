//! Every figure that has a goal, in one run: each broker is started once and measured in turn, then each goal has a line.

use std::time::Duration;

use crate::brokers::{Broker, Kind, Programs};
use crate::latency::Latencies;
use crate::read_back::{ReadBack, Reading};
use crate::throughput::{CELLS, Outcome};
use crate::{disk, footprint, latency, read_back, throughput};

const READ_BACK_MEBIBYTES: u64 = 512;

/// Rounds of reading back.
const READ_BACK_ROUNDS: usize = 5;

/// What was measured of one broker.
struct Measured {
    started: Duration,
    idle_mebibytes: f64,
    loaded_mebibytes: f64,
    latencies: Latencies,
    outcomes: Vec<Outcome>,
}

/// How a ratio is to be.
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// Measures the brokers in turn, `time` for each figure, and prints how Headwater stands to Kafka.
pub fn run(programs: &Programs, time: Duration) -> anyhow::Result<()> {
    let share = disk::run(programs, time)?;
    let ours = measure(programs, Kind::Headwater, time)?;
    let kinds = programs.there(&[Kind::Kafka, Kind::KafkaFlushed]);
    let mut peers: Vec<Measured> = Vec::new();
    for kind in kinds {
        peers.push(measure(programs, kind, time)?);
    }
    println!();
    println!("reading back:");
    let readings = read_back::run(programs, &Kind::ALL, READ_BACK_MEBIBYTES, READ_BACK_ROUNDS)?;
    println!();
    println!("| goal | Headwater | peer | ratio | goal | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    line(
        "large batches, share of what a plain loop writes and flushes",
        share,
        1.0,
        &Goal::AtLeast(0.8),
    );
    if let [kafka, flushed] = &peers[..] {
        compare(&ours, kafka, flushed);
    }
    compare_reading(&readings);
    Ok(())
}

fn measure(programs: &Programs, kind: Kind, time: Duration) -> anyhow::Result<Measured> {
    println!();
    println!("{}:", kind.name());
    let (broker, started) = footprint::start(programs, kind)?;
    std::thread::sleep(Duration::from_secs(2));
    let idle_mebibytes = footprint::mebibytes(&broker)?;
    let measured = loaded(&broker, kind, time)?;
    std::thread::sleep(Duration::from_secs(2));
    let loaded_mebibytes = footprint::mebibytes(&broker)?;
    println!(
        "started in {:.0} ms; {idle_mebibytes:.0} MiB idle, {loaded_mebibytes:.0} MiB after all of this",
        started.as_secs_f64() * 1e3
    );
    let (latencies, outcomes) = measured;
    Ok(Measured {
        started,
        idle_mebibytes,
        loaded_mebibytes,
        latencies,
        outcomes,
    })
}

fn loaded(broker: &Broker, kind: Kind, time: Duration) -> anyhow::Result<(Latencies, Vec<Outcome>)> {
    throughput::warm_up(broker, kind)?;
    latency::print_head();
    let latencies = latency::measure(broker, kind, time)?;
    throughput::print_head();
    let outcomes = throughput::measure_all(broker, kind, &CELLS, time)?;
    read_back::fill_and_read(broker, READ_BACK_MEBIBYTES)?;
    Ok((latencies, outcomes))
}

fn compare(ours: &Measured, kafka: &Measured, flushed: &Measured) {
    for (index, cell) in CELLS.iter().enumerate() {
        let [ours, kafka, flushed] = [ours, kafka, flushed].map(|measured| &measured.outcomes[index]);
        let (time_goal, flushed_goal) = match (cell.batch_bytes, cell.partitions) {
            (..100_000, 1000) => (0.5, 20.0),
            (_, 1000) => (1.0 / 3.0, 20.0),
            (..100_000, _) => (0.5, 5.0),
            _ => (1.0 / 3.0, 1.3),
        };
        let name = cell.name();
        let rate = format!("{name}: records/s beside Kafka");
        line(&rate, ours.rate(), kafka.rate(), &Goal::AtLeast(1.0));
        let time = format!("{name}: broker's µs a record beside Kafka");
        line(&time, ours.broker_us(), kafka.broker_us(), &Goal::AtMost(time_goal));
        let rate = format!("{name}: records/s beside flushed Kafka");
        line(&rate, ours.rate(), flushed.rate(), &Goal::AtLeast(flushed_goal));
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let [own, its, safe] = [ours, kafka, flushed].map(|measured| &measured.latencies);
    line(
        "one record at a time, a second, beside flushed Kafka",
        own.alone.rate,
        safe.alone.rate,
        &Goal::AtLeast(2.5),
    );
    line(
        "its p99, ms, beside flushed Kafka",
        ms(own.alone.p99),
        ms(safe.alone.p99),
        &Goal::AtMost(0.5),
    );
    line(
        "end to end at 1,000 a second, p99, ms, beside Kafka",
        ms(own.end_to_end.p99),
        ms(its.end_to_end.p99),
        &Goal::AtMost(1.0),
    );
    line(
        "a batch of 16 KiB at half load, p99, ms, beside Kafka",
        ms(own.half_load.p99),
        ms(its.half_load.p99),
        &Goal::AtMost(1.0),
    );
    line(
        "start to the first acknowledged produce, ms, beside Kafka",
        ms(ours.started),
        ms(kafka.started),
        &Goal::AtMost(0.05),
    );
    line(
        "idle memory, MiB, beside Kafka",
        ours.idle_mebibytes,
        kafka.idle_mebibytes,
        &Goal::AtMost(0.125),
    );
    line(
        "memory after all of this, MiB, beside Kafka",
        ours.loaded_mebibytes,
        kafka.loaded_mebibytes,
        &Goal::AtMost(0.1),
    );
}

fn compare_reading(readings: &[ReadBack]) {
    let of = |kind: Kind| readings.iter().find(|read_back| read_back.kind == kind);
    let (Some(ours), Some(kafka)) = (of(Kind::Headwater), of(Kind::Kafka)) else {
        return;
    };
    for reading in Reading::ALL {
        if let (Some(own), Some(its)) = (ours.rate(reading), kafka.rate(reading)) {
            let what = format!("reading back {}, MiB/s, beside Kafka", reading.name());
            line(&what, own, its, &Goal::AtLeast(1.0));
        }
    }
}

/// One goal: both figures, their ratio, and whether that is as it is to be.
fn line(what: &str, ours: f64, peer: f64, goal: &Goal) {
    let ratio = ours / peer;
    let (wanted, met) = match goal {
        Goal::AtLeast(least) => (format!("≥ {least:.2}"), ratio >= *least),
        Goal::AtMost(most) => (format!("≤ {most:.2}"), ratio <= *most),
    };
    let verdict = if met { "met" } else { "**missed**" };
    println!(
        "| {what} | {} | {} | {ratio:.2} | {wanted} | {verdict} |",
        significant(ours),
        significant(peer)
    );
}

/// Enough digits to compare by.
fn significant(figure: f64) -> String {
    match figure {
        ..10.0 => format!("{figure:.3}"),
        ..1000.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
