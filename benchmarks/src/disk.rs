//! Large batches against what the disk does for a plain loop that writes and flushes.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::brokers::{Kind, Programs};
use crate::client::{Connection, Load};

const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// Measures the disk, Headwater, and the disk again; gives Headwater's rate as a share of the disk's.
pub fn run(programs: &Programs, time: Duration) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir_in(&programs.scratch)?;
    let before = plain_loop(folder.path(), time)?;
    println!("a plain loop, 4 MiB written and flushed, a growing file: {before:.0} MB/s");
    let broker = programs.start(Kind::Headwater)?;
    let mut connection = Connection::open(broker.address)?;
    connection.create_topic("large", 16)?;
    let load = Load {
        topic: "large".to_owned(),
        partitions: 16,
        events: 256,
        event_bytes: 1024,
        in_flight: 64,
    };
    let mut producer = load.open(connection)?;
    let begun = Instant::now();
    let mut events: u64 = 0;
    while begun.elapsed() < time {
        events += producer.turn()?.0 as u64;
    }
    let ours = events as f64 * 1024.0 / 1e6 / begun.elapsed().as_secs_f64();
    drop(broker);
    let after = plain_loop(folder.path(), time)?;
    println!("Headwater, batches of 256 KiB over 16 partitions, acks=all: {ours:.0} MB/s");
    println!("the plain loop again: {after:.0} MB/s");
    let share = ours * 2.0 / (before + after);
    println!("ratio {share:.2} (goal 0.80)");
    Ok(share)
}

fn plain_loop(folder: &Path, time: Duration) -> anyhow::Result<f64> {
    let path = folder.join("plain");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let block: Vec<u8> = (0..BLOCK_BYTES).map(|at| (at * 31) as u8).collect();
    let begun = Instant::now();
    let mut written: u64 = 0;
    while begun.elapsed() < time {
        file.write_all_at(&block, written)?;
        file.sync_data()?;
        written += BLOCK_BYTES as u64;
    }
    let rate = written as f64 / 1e6 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
