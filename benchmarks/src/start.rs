//! Idle memory, and the time from start to the first acknowledged produce on an empty folder.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::produce::{self, BANK_SQL, Producer};
use crate::program::Program;

/// Starts `runs` times on an empty folder and prints the median; the memory is that of the last one, idle for two seconds.
pub async fn run(program: &Path, scratch: &Path, runs: usize) -> anyhow::Result<()> {
    let request = produce::request("transactions", 0, &[produce::deposit(1, 100)]);
    let mut times: Vec<Duration> = Vec::new();
    let mut resident_kib = 0;
    for run in 0..runs {
        let folder = tempfile::tempdir_in(scratch)?;
        let begun = Instant::now();
        let running = Program::spawn(program, folder.path(), BANK_SQL)?;
        running.wait_for(running.kafka).await?;
        Producer::connect(running.kafka).await?.send(&request).await?;
        times.push(begun.elapsed());
        if run + 1 == runs {
            tokio::time::sleep(Duration::from_secs(2)).await;
            resident_kib = running.process().resident_kib()?;
        }
    }
    times.sort_unstable();
    let [Some(first), Some(median), Some(last)] = [times.first(), times.get(runs / 2), times.last()] else {
        anyhow::bail!("--runs must be at least 1")
    };
    println!(
        "start to first acknowledged produce            median {:.0} ms   min {:.0}   max {:.0}   ({runs} runs; goal 150)",
        median.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3,
        last.as_secs_f64() * 1e3
    );
    println!(
        "idle memory (VmRSS), one stream, one view      {:.1} MiB   (goal 60)",
        resident_kib as f64 / 1024.0
    );
    Ok(())
}
