//! Durable appends per second with 1 and with 64 clients, against the disk's own flushes in the same run.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::Figures;
use crate::produce::{self, BANK_SQL, Producer};
use crate::program::Program;

const CLIENTS: [usize; 2] = [1, 64];
const FLUSH_BYTES: usize = 4096;
const FLUSH_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Measures the disk, the program, and the disk again: two figures of the disk show how steady it was.
pub async fn run(program: &Path, scratch: &Path, seconds: u64) -> anyhow::Result<()> {
    let time = Duration::from_secs(seconds);
    let folder = tempfile::tempdir_in(scratch)?;
    let before = flushes(folder.path(), time)?;
    before.print("disk: fdatasync of 4 KiB, preallocated, before", None);
    for clients in CLIENTS {
        let folder = tempfile::tempdir_in(scratch)?;
        let running = Program::spawn(program, folder.path(), BANK_SQL)?;
        running.wait_for(running.kafka).await?;
        let figures = appends(&running, clients, time).await?;
        figures.print(
            &format!("durable appends, {clients} client(s)"),
            Some(("the disk's flushes", before.rate)),
        );
    }
    let after = flushes(folder.path(), time)?;
    after.print(
        "disk: fdatasync of 4 KiB, preallocated, after",
        Some(("before", before.rate)),
    );
    Ok(())
}

/// What the disk does alone: one block, one flush, again.
fn flushes(folder: &Path, time: Duration) -> anyhow::Result<Figures> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(folder.join("flushes"))?;
    let block = vec![7u8; FLUSH_BYTES];
    let zeros = vec![0u8; 1024 * 1024];
    for at in (0..FLUSH_FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    let mut latencies = Vec::new();
    let begun = Instant::now();
    let mut at = 0;
    while begun.elapsed() < time {
        let one = Instant::now();
        file.write_all_at(&block, at)?;
        file.sync_data()?;
        latencies.push(one.elapsed());
        at = (at + FLUSH_BYTES as u64) % FLUSH_FILE_BYTES;
    }
    Ok(Figures::of(latencies, begun.elapsed()))
}

/// Each client sends one event, waits for its acknowledgement, and sends the next.
async fn appends(running: &Program, clients: usize, time: Duration) -> anyhow::Result<Figures> {
    let mut tasks = Vec::new();
    let begun = Instant::now();
    for client in 0..clients {
        let mut producer = Producer::connect(running.kafka).await?;
        let request = produce::request(
            "transactions",
            (client % 4) as i32,
            &[produce::deposit(client as u64, 100)],
        );
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < time {
                let one = Instant::now();
                producer.send(&request).await?;
                latencies.push(one.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(Figures::of(latencies, begun.elapsed()))
}
