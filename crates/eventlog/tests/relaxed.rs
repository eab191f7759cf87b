//! Relaxed durability: acknowledged before the flush, flushed before long, and never shown to a reader before that.

mod making;

use std::path::Path;
use std::time::{Duration, Instant};

use headwater_eventlog::{EventLog, PartitionOffsets, StreamSettings};
use headwater_host::simulated::Simulation;
use making::{append, part, small, values};

const DIR: &str = "/data";

fn open(machine: &Simulation) -> EventLog {
    let (log, recovery) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    log
}

/// A log with a relaxed stream `r` and a flushed stream `f`.
fn log_with_both(machine: &Simulation, flush_ms: &str) -> EventLog {
    let log = open(machine);
    let relaxed = StreamSettings::of_pairs([("durability", "relaxed"), ("flush_ms", flush_ms)]).unwrap();
    log.create_stream("r", 1, relaxed).unwrap();
    log.create_stream("f", 1, StreamSettings::default()).unwrap();
    log
}

/// The high watermark and the end of the relaxed stream.
fn ends(log: &EventLog) -> (u64, u64) {
    let PartitionOffsets {
        high_watermark, end, ..
    } = log.offsets("r", 0).unwrap();
    (high_watermark, end)
}

/// The power goes, and comes back; what is left of both streams.
fn after_power_cut(machine: &Simulation, log: EventLog) -> (Vec<String>, Vec<String>) {
    machine.disk.cut_power();
    drop(log);
    machine.disk.restart();
    let log = open(machine);
    let read = |stream: &str| values(&log, stream, 0);
    (read("r"), read("f"))
}

#[test]
fn acknowledged_in_memory_and_not_shown_before_it_is_flushed() {
    let machine = Simulation::new(1);
    let log = log_with_both(&machine, "60000");
    for number in 0..3 {
        let appended = log.append_blocking(append(vec![part("r", 0, &["x"])])).unwrap();
        assert_eq!(appended.base_offsets, [number]);
    }
    assert_eq!(ends(&log), (0, 3));
    assert_eq!(values(&log, "r", 0), Vec::<String>::new());
    // The bargain: a power cut takes back what was acknowledged, and the log is sound all the same.
    assert_eq!(after_power_cut(&machine, log), (vec![], vec![]));
}

#[test]
fn a_flushed_append_takes_along_what_waits() {
    let machine = Simulation::new(2);
    let log = log_with_both(&machine, "60000");
    log.append_blocking(append(vec![part("r", 0, &["x"])])).unwrap();
    log.append_blocking(append(vec![part("f", 0, &["y"])])).unwrap();
    assert_eq!(ends(&log), (1, 1));
    assert_eq!(
        after_power_cut(&machine, log),
        (vec!["x".to_owned()], vec!["y".to_owned()])
    );
}

#[test]
fn an_append_to_both_kinds_of_streams_waits_for_the_flush() {
    let machine = Simulation::new(3);
    let log = log_with_both(&machine, "60000");
    log.append_blocking(append(vec![part("r", 0, &["x"]), part("f", 0, &["y"])]))
        .unwrap();
    assert_eq!(ends(&log), (1, 1));
    assert_eq!(
        after_power_cut(&machine, log),
        (vec!["x".to_owned()], vec!["y".to_owned()])
    );
}

#[test]
fn what_nobody_waits_for_is_flushed_after_its_time() {
    let machine = Simulation::new(4);
    let log = log_with_both(&machine, "20");
    let begun = Instant::now();
    log.append_blocking(append(vec![part("r", 0, &["x"])])).unwrap();
    log.append_blocking(append(vec![part("r", 0, &["y"])])).unwrap();
    while ends(&log) != (2, 2) {
        assert!(begun.elapsed() < Duration::from_secs(120), "it is never flushed");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(20),
        "it did not wait for company"
    );
    let left = after_power_cut(&machine, log);
    assert_eq!(left, (vec!["x".to_owned(), "y".to_owned()], vec![]));
}

#[test]
fn who_waits_for_it_has_it_flushed_at_once() {
    let machine = Simulation::new(6);
    let log = log_with_both(&machine, "60000");
    log.append_blocking(append(vec![part("r", 0, &["x"])])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let begun = Instant::now();
    // What nobody has appended, and what is not there, is not waited for.
    runtime.block_on(log.flushed(&"nothing/0@7;r/0@9,1@1".parse().unwrap()));
    assert_eq!(ends(&log), (1, 1));
    // Where nothing waits nothing is hastened: the next one waits for company as ever.
    log.hasten(&"r/0@1".parse().unwrap());
    log.append_blocking(append(vec![part("r", 0, &["y"])])).unwrap();
    assert_eq!(ends(&log), (1, 2));
    log.hasten(&"r/0@2".parse().unwrap());
    while ends(&log) != (2, 2) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for company");
}

#[test]
fn closing_loses_nothing() {
    let machine = Simulation::new(5);
    let log = log_with_both(&machine, "60000");
    log.append_blocking(append(vec![part("r", 0, &["x"])])).unwrap();
    log.close();
    assert_eq!(after_power_cut(&machine, log), (vec!["x".to_owned()], vec![]));
}
