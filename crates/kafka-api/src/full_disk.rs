//! A log on a machine whose disk can be filled, for tests of what is refused then.

use std::path::Path;
use std::time::Duration;

use headwater_eventlog::{Append, AppendError, EventLog, LogOptions, StreamSettings};
use headwater_host::simulated::Simulation;
use headwater_records::Event;

use crate::own_streams::part;

const FILLER: &str = "filler";

/// Opens the log of a machine.
pub(crate) fn open(machine: &Simulation) -> EventLog {
    let options = LogOptions {
        journal_bytes: 64 * 1024,
        segment_bytes: 64 * 1024,
        ..LogOptions::default()
    };
    let (log, _) = EventLog::open(machine.host(), Path::new("/data"), options).unwrap();
    // It is there after a restart.
    let _ = log.create_stream(FILLER, 1, StreamSettings::default());
    log
}

/// Appends until the log refuses, and what is behind has come to rest.
pub(crate) fn fill(machine: &Simulation, log: &EventLog) {
    log.tend();
    machine.disk.limit_space(Some(machine.disk.used_bytes() + 300 * 1024));
    let event = Event {
        value: Some(vec![0; 1_000].into()),
        ..Event::default()
    };
    loop {
        let append = Append {
            parts: vec![part(FILLER, std::slice::from_ref(&event))],
            principal: "ann".to_owned(),
            condition: None,
        };
        match log.append_blocking(append) {
            Ok(_) => {}
            Err(AppendError::Full { .. }) => {
                log.tend();
                if log.full().is_some() {
                    return;
                }
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Makes room, and waits until the log has seen it.
pub(crate) async fn make_room(machine: &Simulation, log: &EventLog) {
    machine.disk.limit_space(None);
    while log.full().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
