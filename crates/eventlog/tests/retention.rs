//! Retention while running: what is beyond goes, with its files; what is kept stays readable; settings take effect when they change.

mod making;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use headwater_eventlog::{EventLog, Folded, ReadError, StreamError, StreamSettings};
use headwater_host::simulated::Simulation;
use headwater_host::{Disk, Host};
use making::{append, part, small, values, values_from};

const SECOND_US: i64 = 1_000_000;

fn open(host: Host) -> EventLog {
    let (log, recovery) = EventLog::open(host, Path::new("/data"), small()).unwrap();
    assert!(recovery.damage.is_empty(), "{:?}", recovery.damage);
    log
}

fn machine() -> Simulation {
    let machine = Simulation::new(7);
    machine.clock.set(1_700_000_000 * SECOND_US);
    machine
}

/// Twenty events of 1,000 bytes, a second apart; gives them back.
fn write(machine: &Simulation, log: &EventLog) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for number in 0..20 {
        machine.clock.advance(SECOND_US);
        let value = format!("{number:01000}");
        log.append_blocking(append(vec![part("s", 0, &[&value])])).unwrap();
        values.push(value);
    }
    values
}

/// The files of batches that the partition has.
fn files(machine: &Simulation, log: &EventLog) -> usize {
    let folder = format!("/data/streams/{:032x}/0", log.stream("s").unwrap().id);
    let found: Vec<PathBuf> = machine.disk.list(Path::new(&folder)).unwrap_or_default();
    found
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "batches"))
        .count()
}

/// The log opened again, with everything in segments: what has not come there yet is no segment that could go.
fn settled(machine: &Simulation, log: EventLog) -> EventLog {
    log.close();
    drop(log);
    open(machine.host())
}

/// Runs with these settings, and looks at the start, the files left and what is read, now and after a loss of power.
fn check(settings: &[(&str, &str)], wait_s: i64, start: u64, files_left: usize) {
    let machine = machine();
    let log = open(machine.host());
    let read = StreamSettings::of_pairs(settings.iter().copied()).unwrap();
    log.create_stream("s", 1, read).unwrap();
    let values = write(&machine, &log);
    machine.clock.advance(wait_s * SECOND_US);
    let log = settled(&machine, log);
    log.tend();
    let look = |log: &EventLog| {
        let offsets = log.offsets("s", 0).unwrap();
        assert_eq!((offsets.start, offsets.high_watermark), (start, 20), "{settings:?}");
        assert_eq!(
            values_from(log, "s", 0, start).unwrap(),
            values[start as usize..],
            "{settings:?}"
        );
        assert_eq!(files(&machine, log), files_left, "{settings:?}");
        if start > 0 {
            let below = log.read("s", 0, start - 1, 1);
            assert!(
                matches!(below, Err(ReadError::OutOfRange { .. })),
                "{settings:?}: {below:?}"
            );
        }
    };
    look(&log);
    drop(log);
    machine.disk.cut_power();
    machine.disk.restart();
    let log = open(machine.host());
    log.tend();
    look(&log);
    let more = log.append_blocking(append(vec![part("s", 0, &["more"])])).unwrap();
    assert_eq!(more.base_offsets, [20]);
}

#[test]
fn what_is_beyond_the_retention_goes() {
    // Three events a segment of 4 KiB: seven segments, the last of two events.
    check(&[], 0, 0, 7);
    check(&[("retention_ms", "forever")], 1_000_000, 0, 7);
    check(&[("retention_ms", "100000"), ("segment_ms", "3600000")], 85, 3, 6);
    check(&[("retention_ms", "1000")], 1_000, 20, 0);
    check(&[("retention_bytes", "8000"), ("segment_bytes", "4096")], 0, 12, 3);
    check(&[("cleanup", "none"), ("retention_ms", "1000")], 1_000, 0, 20);
    check(
        &[
            ("cleanup", "compact"),
            ("retention_ms", "1000"),
            ("segment_ms", "3600000"),
            ("compaction_lag_ms_min", "3600000"),
        ],
        0,
        0,
        7,
    );
}

#[test]
fn a_changed_retention_takes_effect() {
    let machine = machine();
    let log = open(machine.host());
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    write(&machine, &log);
    machine.clock.advance(100 * SECOND_US);
    let log = settled(&machine, log);
    log.tend();
    assert_eq!(values(&log, "s", 0).len(), 20);
    log.alter_stream("s", |settings| settings.set("retention_ms", Some("110000")))
        .unwrap();
    log.tend();
    assert_eq!(log.offsets("s", 0).unwrap().start, 9);
    log.alter_stream("s", |settings| settings.set("retention_ms", None))
        .unwrap();
    machine.clock.advance(100 * SECOND_US);
    log.tend();
    assert_eq!(log.offsets("s", 0).unwrap().start, 9);
}

#[test]
fn a_reader_that_a_deletion_overtakes_is_told_where_the_stream_begins() {
    let machine = machine();
    let log = open(machine.host());
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    write(&machine, &log);
    let reader = {
        let log = log.clone();
        std::thread::spawn(move || {
            loop {
                match log.read("s", 0, 4, 1) {
                    Ok(batches) => assert_eq!(batches[0].batch.base_offset(), 4),
                    Err(error) => return error,
                }
            }
        })
    };
    assert_eq!(log.delete_records("s", 0, 15).unwrap(), 15);
    log.tend();
    let error = reader.join().unwrap();
    assert!(matches!(error, ReadError::OutOfRange { start: 15, .. }), "{error}");
}

/// Something that is made of the events, and can or cannot be written.
struct Made {
    can_be_written: AtomicBool,
}

impl Folded for Made {
    fn write(&self, stream: &str, partition: u32, below: u64) -> Result<(), String> {
        assert_eq!((stream, partition), ("s", 0));
        assert!(below > 0);
        match self.can_be_written.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("the bucket is away".to_owned()),
        }
    }
}

#[test]
fn events_stay_until_what_was_made_of_them_is_written() {
    let machine = machine();
    let log = open(machine.host());
    let read = StreamSettings::of_pairs([("retention_ms", "1000"), ("segment_bytes", "4096")]).unwrap();
    log.create_stream("s", 1, read).unwrap();
    write(&machine, &log);
    let log = settled(&machine, log);
    let made = Arc::new(Made {
        can_be_written: AtomicBool::new(false),
    });
    let asked: Weak<dyn Folded> = Arc::<Made>::downgrade(&made);
    log.before_events_go(asked);
    machine.clock.advance(60 * SECOND_US);
    let start = || log.offsets("s", 0).unwrap().start;
    log.tend();
    assert_eq!(start(), 0);
    let refused = log.delete_records("s", 0, 3);
    assert!(matches!(refused, Err(StreamError::Needed(why)) if why == "the bucket is away"));
    assert_eq!(start(), 0);

    made.can_be_written.store(true, Ordering::Relaxed);
    assert_eq!(log.delete_records("s", 0, 3).unwrap(), 3);
    made.can_be_written.store(false, Ordering::Relaxed);
    drop(made);
    // Nobody is there any more who made anything of them.
    log.tend();
    assert_eq!(start(), 20);
}
