//! How long it takes to make many schedules, to fold them at a start, and to append them once they are due: `pending FOLDER COUNT`.
//!
//! What memory they take is for the operating system to say: `/usr/bin/time -v`.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use headwater_benchmarks as _;
use headwater_eventlog::{EventLog, LogOptions, StreamSettings};
use headwater_host::Host;
use headwater_records::Event;
use headwater_schedules::{Schedule, Schedules, SchedulesOptions};

/// How many are made in one step.
const TOGETHER: usize = 1_000;

fn schedule(number: usize, due_us: i64) -> Schedule {
    Schedule {
        name: format!("reminder {number}"),
        due_us,
        stream: "reminders".to_owned(),
        events: vec![Event {
            key: Some(Bytes::from(number.to_string())),
            value: Some(Bytes::from(format!(
                "{{\"customer\":{number},\"what\":\"pay the invoice\"}}"
            ))),
            headers: Vec::new(),
            timestamp_ms: -1,
        }],
    }
}

fn open(folder: &Path) -> Result<(EventLog, Schedules), Box<dyn std::error::Error>> {
    let (log, _) = EventLog::open(Host::real(), folder, LogOptions::default())?;
    if log.stream("reminders").is_none() {
        log.create_stream("reminders", 4, StreamSettings::default())?;
    }
    let schedules = Schedules::open(log.clone(), SchedulesOptions::default())?;
    Ok((log, schedules))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("say where: pending FOLDER COUNT")?;
    let count: usize = arguments.next().ok_or("say how many: pending FOLDER COUNT")?.parse()?;
    let folder = Path::new(&folder);
    let (log, schedules) = open(folder)?;
    // Due when all of them are made, each at a moment of its own.
    let due_us = schedules.now_us() + 3_600_000_000;
    let began = Instant::now();
    for first in (0..count).step_by(TOGETHER) {
        let made: Vec<Schedule> = (first..count.min(first + TOGETHER))
            .map(|number| schedule(number, due_us + (number * 7_919 % count) as i64))
            .collect();
        schedules.make(&made, "example").await?;
    }
    println!("made     {count} in {:.1} s", began.elapsed().as_secs_f64());
    drop(schedules);
    log.close();
    drop(log);
    let began = Instant::now();
    let (log, schedules) = open(folder)?;
    println!(
        "folded   {} in {:.1} s, with the start of the log",
        schedules.pending(),
        began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    let listed = schedules.list(None, 1_000)?;
    println!("listed   {} in {:.3} s", listed.len(), began.elapsed().as_secs_f64());
    log.close();
    Ok(())
}
