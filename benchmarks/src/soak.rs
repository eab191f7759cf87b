//! A steady load for a long time with retention on: memory, open files and latency stay flat, and a chart shows it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::brokers::{Kind, Programs};
use crate::chart::{self, Series};
use crate::client::{Connection, Load};
use crate::figures::Figures;
use crate::latency::at_pace;

/// Each partition keeps so many bytes, in segments of a quarter of that.
const RETENTION_BYTES: u64 = 64 * 1024 * 1024;
const PARTITIONS: u32 = 16;
const SAMPLE: Duration = Duration::from_secs(5);

/// Measures the top rate, then loads with a quarter of it and draws `chart`.
pub fn run(programs: &Programs, time: Duration, chart: &Path) -> anyhow::Result<()> {
    let broker = programs.start(Kind::Headwater)?;
    let mut connection = Connection::open(broker.address)?;
    let (retention, segment) = (RETENTION_BYTES.to_string(), (RETENTION_BYTES / 4).to_string());
    let configs = [
        ("retention.bytes", retention.as_str()),
        ("segment.bytes", segment.as_str()),
    ];
    connection.create_topic_with("soak", PARTITIONS, &configs)?;
    let load = Load {
        topic: "soak".to_owned(),
        partitions: PARTITIONS,
        events: 16,
        event_bytes: 1024,
        in_flight: 64,
    };
    let mut producer = load.open(connection)?;
    let begun = Instant::now();
    let mut turns: u32 = 0;
    while begun.elapsed() < Duration::from_secs(5) {
        producer.turn()?;
        turns += 1;
    }
    producer.drain()?;
    let pace = begun.elapsed() / turns * 4;
    let mut memory = Series::new("resident memory, MiB");
    let mut files = Series::new("open files");
    let mut disk = Series::new("data folder, MiB");
    let mut latency = Series::new("p99 of a batch's acknowledgement, ms");
    let mut recent: Vec<Duration> = Vec::new();
    let begun = Instant::now();
    let mut sampled = begun;
    let process = broker.process();
    at_pace(&mut producer, pace, time, |one| {
        recent.push(one);
        if sampled.elapsed() >= SAMPLE {
            let at = begun.elapsed();
            let figures = Figures::of(std::mem::take(&mut recent), sampled.elapsed());
            latency.push(at, figures.p99.as_secs_f64() * 1e3);
            memory.push(at, process.resident_kib()? as f64 / 1024.0);
            files.push(at, process.open_files()? as f64);
            disk.push(at, folder_bytes(broker.folder())? as f64 / 1024.0 / 1024.0);
            sampled = Instant::now();
        }
        Ok(())
    })?;
    let rate = 16.0 / pace.as_secs_f64();
    println!(
        "soak: {rate:.0} records/s of 1 KiB for {} s, {} MiB kept of each of 16 partitions",
        time.as_secs(),
        RETENTION_BYTES >> 20
    );
    let all = [memory, files, disk, latency];
    for series in &all {
        println!("  {}", series.summary());
    }
    std::fs::write(chart, chart::svg(&all))?;
    println!("  drawn into {}", chart.display());
    Ok(())
}

fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        // A segment may go while it is looked at.
        let Ok(entry) = entry else { continue };
        let Ok(about) = entry.metadata() else { continue };
        bytes += if about.is_dir() {
            folder_bytes(&entry.path()).unwrap_or(0)
        } else {
            about.len()
        };
    }
    Ok(bytes)
}
