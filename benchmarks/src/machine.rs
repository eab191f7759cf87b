//! What the kernel counts: processor time, memory and open files of a process, how busy the machine was, and the page cache.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;

/// The kernel's clock ticks a second in `/proc`, the same on every Linux of today.
const TICKS_PER_SECOND: u64 = 100;

/// A process, by its number.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    id: u32,
}

impl Process {
    pub fn of(id: u32) -> Process {
        Process { id }
    }

    /// This program.
    pub fn this() -> Process {
        Process::of(std::process::id())
    }

    /// Processor time so far, user's and kernel's, of all threads.
    pub fn processor_time(self) -> anyhow::Result<Duration> {
        self.ticks(2)
    }

    /// The same with that of the processes that it started and that have ended.
    pub fn processor_time_with_children(self) -> anyhow::Result<Duration> {
        self.ticks(4)
    }

    /// The first of: user's time, kernel's time, user's and kernel's time of the children that have ended.
    fn ticks(self, numbers: usize) -> anyhow::Result<Duration> {
        let stat = self.read("stat")?;
        // The name before the last bracket may hold anything.
        let fields = stat.rsplit_once(')').context("/proc/PID/stat names the program")?.1;
        let mut ticks: u64 = 0;
        for field in fields.split_whitespace().skip(11).take(numbers) {
            ticks += field.parse::<u64>()?;
        }
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// Resident memory in KiB.
    pub fn resident_kib(self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number
            .context("the kernel tells VmRSS")?
            .parse()
            .context("VmRSS is a number")
    }

    /// How many files and sockets it has open.
    pub fn open_files(self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id))?.count())
    }

    fn read(self, what: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{what}", self.id);
        std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read: the process ended"))
    }
}

/// A stretch of time in which a broker works.
pub struct Watch {
    broker: Process,
    begun: Instant,
    broker_before: Duration,
    client_before: Duration,
    busy_before: (u64, u64),
}

/// What was spent in it.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub wall: Duration,
    pub broker: Duration,
    pub client: Duration,
    /// The share of the machine's processors that did anything, 0 to 1.
    pub busy: f64,
}

impl Watch {
    pub fn begin(broker: Process) -> anyhow::Result<Watch> {
        Ok(Watch {
            broker,
            begun: Instant::now(),
            broker_before: broker.processor_time()?,
            client_before: Process::this().processor_time()?,
            busy_before: busy_ticks()?,
        })
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn end(self) -> anyhow::Result<Spent> {
        let (busy, total) = busy_ticks()?;
        let (busy_before, total_before) = self.busy_before;
        Ok(Spent {
            wall: self.begun.elapsed(),
            broker: self.broker.processor_time()?.saturating_sub(self.broker_before),
            client: Process::this().processor_time()?.saturating_sub(self.client_before),
            busy: (busy - busy_before) as f64 / (total - total_before).max(1) as f64,
        })
    }
}

/// Ticks of all processors that were not idle, and all ticks.
fn busy_ticks() -> anyhow::Result<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat has a first line")?;
    let mut ticks: Vec<u64> = Vec::new();
    for field in line.split_whitespace().skip(1).take(8) {
        ticks.push(field.parse()?);
    }
    let total: u64 = ticks.iter().sum();
    // Idle, and waiting for the disk.
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Ok((total - idle, total))
}

/// Writes everything to the disk that a folder is on; `false` where that is not to be had.
pub fn flush(on: &Path) -> anyhow::Result<bool> {
    Ok(std::process::Command::new("sync").arg("-f").arg(on).status()?.success())
}

/// Writes everything to the disk and empties the page cache; `false` where that is not allowed.
pub fn drop_page_cache(on: &Path) -> anyhow::Result<bool> {
    Ok(flush(on)? && std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok())
}

/// The time of day, milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
