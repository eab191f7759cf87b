//! A simulated machine with the stream `s`, and what stands in it.

use std::path::Path;

use bytes::Bytes;
use headwater_catalog::PARKED_STREAM;
use headwater_eventlog::{EventLog, LogOptions, StreamSettings};
use headwater_host::simulated::Simulation;
use headwater_records::Event;
use headwater_schedules::{SCHEDULE_HEADER, Schedule};

/// Small files, as on a simulated disk they are memory.
pub fn options() -> LogOptions {
    LogOptions {
        journal_bytes: 1024 * 1024,
        segment_bytes: 256 * 1024,
        ..LogOptions::default()
    }
}

/// Opens the log of the machine, with the streams `s` (two partitions) and that of parked events.
pub fn open_log(machine: &Simulation) -> Result<EventLog, String> {
    let opened = EventLog::open(machine.host(), Path::new("/data"), options());
    let (log, recovery) = opened.map_err(|error| error.to_string())?;
    assert!(recovery.damage.is_empty(), "{:?}", recovery.damage);
    for (name, partitions) in [("s", 2), (PARKED_STREAM, 1)] {
        if log.stream(name).is_none() {
            log.create_stream(name, partitions, StreamSettings::default())
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(log)
}

/// A schedule of one event, whose value is the schedule's name.
pub fn schedule(name: &str, due_us: i64) -> Schedule {
    Schedule {
        name: name.to_owned(),
        due_us,
        stream: "s".to_owned(),
        events: vec![Event {
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from(format!("\"{name}\""))),
            headers: Vec::new(),
            timestamp_ms: -1,
        }],
    }
}

/// The names in the headers of a stream's events, in order.
pub fn appended(log: &EventLog, stream: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for partition in 0..log.stream(stream).map_or(0, |info| info.partitions) {
        let mut next = 0;
        loop {
            let batches = log.read(stream, partition, next, 1 << 20).unwrap();
            let Some(last) = batches.last() else { break };
            next = last.batch.next_offset();
            for stored in &batches {
                for (_, event) in stored.batch.events().unwrap() {
                    let header = event.headers.iter().find(|header| header.name == SCHEDULE_HEADER);
                    let name = header.and_then(|header| header.value.clone()).unwrap_or_default();
                    names.push(String::from_utf8(name.to_vec()).unwrap());
                }
            }
        }
    }
    names
}
