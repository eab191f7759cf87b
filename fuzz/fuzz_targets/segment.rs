//! No bytes in a segment abort the process when the log is verified, repaired, opened and read; a repaired log is whole.
//!
//! The first byte chooses the file (batches or index) and the second a place in it; the rest is put there.

#![no_main]

use std::path::{Path, PathBuf};

use headwater_eventlog::{Append, EventLog, LogOptions, Part, StreamSettings, repair, verify};
use headwater_host::simulated::Simulation;
use headwater_host::{Disk, OpenMode};
use headwater_records::{Batch, Compression, Event};
use libfuzzer_sys::fuzz_target;

const DIR: &str = "/data/log";

/// A log with one segment of a few batches, closed.
fn filled() -> Simulation {
    let machine = Simulation::new(1);
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), options()).expect("an empty log opens");
    log.create_stream("s", 1, StreamSettings::default()).expect("a stream is created");
    for number in 0..4_u8 {
        let event = Event {
            value: Some(vec![number; 40].into()),
            ..Event::default()
        };
        let part = Part {
            stream: "s".to_owned(),
            partition: 0,
            batch: Batch::encode(&[event], Compression::None, None),
        };
        let append = Append {
            parts: vec![part],
            principal: "alice".to_owned(),
            condition: None,
        };
        log.append_blocking(append).expect("a batch is taken");
    }
    log.close();
    machine
}

fn options() -> LogOptions {
    LogOptions {
        journal_bytes: 64 * 1024,
        segment_bytes: 4 * 1024,
        ..LogOptions::default()
    }
}

fn file(machine: &Simulation, ending: &str) -> PathBuf {
    let streams = machine.disk.list(&Path::new(DIR).join("streams")).expect("a folder");
    let mut files = machine.disk.list(&streams[0].join("0")).expect("a folder").into_iter();
    files
        .find(|path| path.extension().is_some_and(|found| found == ending))
        .expect("a segment")
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, place, bytes @ ..] = bytes else { return };
    let machine = filled();
    let path = file(&machine, if choice % 2 == 0 { "batches" } else { "index" });
    let file = machine.disk.open(&path, OpenMode::ReadWrite).expect("the file is there");
    file.write_all_at(bytes, u64::from(*place)).expect("the disk takes everything");
    let dir = Path::new(DIR);
    verify(&machine.host(), dir, |_| {}).expect("a log is read");
    repair(&machine.host(), dir, Path::new("/side"), &options(), |_| {}).expect("a log is repaired");
    let left = verify(&machine.host(), dir, |_| {}).expect("a log is read").expect("a log");
    assert_eq!(left.damage, []);
    let (log, _) = EventLog::open(machine.host(), dir, options()).expect("a repaired log opens");
    let mut at = 0;
    while at < 4 {
        let read = log.read("s", 0, at, 1 << 20).expect("a repaired log is read");
        at = read.last().expect("offsets are dense").batch.next_offset();
    }
});
