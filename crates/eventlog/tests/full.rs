//! A full disk refuses what is new, loses nothing, and is forgotten when there is room again.

#[expect(dead_code, reason = "other tests use all of it")]
mod making;
mod waiting;

use std::path::Path;

use headwater_eventlog::{AppendError, EventLog, StreamSettings};
use headwater_host::Disk;
use headwater_host::simulated::{Fault, Simulation};
use making::{append, part, small, values_from};
use waiting::until;

const DIR: &str = "/data";

fn open(machine: &Simulation) -> EventLog {
    let (log, recovery) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    log
}

fn value(number: usize) -> String {
    format!("{number}:{}", "x".repeat(1_000))
}

/// Appends until the log refuses; says how many were taken. What was refused is nowhere in the log.
fn fill(log: &EventLog, stream: &str, from: usize) -> usize {
    for number in from..10_000 {
        match log.append_blocking(append(vec![part(stream, 0, &[&value(number)])])) {
            Ok(appended) => assert_eq!(appended.base_offsets, [number as u64]),
            Err(AppendError::Full { why }) => {
                assert!(
                    why.contains("/data/") && why.contains("No space left on device"),
                    "{why}"
                );
                return number;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk did not fill up");
}

/// [`fill`] until the log stays full: it may find room once more, when what is behind has come to rest. A round of the tender ends after the keeper
/// has tried everything that is owed.
fn fill_up(log: &EventLog, stream: &str, from: usize) -> usize {
    let mut taken = from;
    loop {
        taken = fill(log, stream, taken);
        log.tend();
        if log.full().is_some() {
            assert_eq!(log.stopped(), None);
            return taken;
        }
    }
}

/// [`fill_up`] until more than so many were taken: the room comes bit by bit.
fn fill_more(log: &EventLog, stream: &str, from: usize, more: usize) -> usize {
    let mut taken = from;
    until("there is room for more", || {
        taken = fill_up(log, stream, taken);
        taken > from + more
    });
    taken
}

fn check(log: &EventLog, stream: &str, count: usize) {
    check_from(log, stream, 0, count);
}

fn check_from(log: &EventLog, stream: &str, from: usize, count: usize) {
    let expected: Vec<String> = (from..count).map(value).collect();
    assert!(
        values_from(log, stream, 0, from as u64).unwrap() == expected,
        "{stream} does not hold its {count} events"
    );
}

#[test]
fn a_full_disk_refuses_appends_and_takes_them_again_when_there_is_room() {
    let machine = Simulation::new(1);
    let log = open(&machine);
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    log.tend();
    machine.disk.limit_space(Some(machine.disk.used_bytes() + 600 * 1024));
    let taken = fill_up(&log, "s", 0);
    assert!(taken > 100, "{taken}");
    check(&log, "s", taken);
    let full = log.full().expect("it says so");
    assert!(full.why.contains(DIR), "{full:?}");
    let since_us = full.since_us;
    machine.clock.advance(5_000_000);
    assert_eq!(log.full().map(|full| full.since_us), Some(since_us));
    assert!(since_us < log.now_us(), "{since_us}");
    // Nothing changes as long as there is no room.
    log.tend();
    assert_eq!(fill(&log, "s", taken), taken);
    machine.disk.limit_space(Some(machine.disk.used_bytes() + 400 * 1024));
    let more = fill_more(&log, "s", taken, 50);
    check(&log, "s", more);
    // A power cut while it is full loses nothing, and a start needs no more room than there is.
    machine.disk.cut_power();
    drop(log);
    machine.disk.restart();
    let log = open(&machine);
    check(&log, "s", more);
    machine.disk.limit_space(None);
    until("there is room", || log.full().is_none());
    assert_eq!(
        log.append_blocking(append(vec![part("s", 0, &[&value(more)])]))
            .unwrap()
            .base_offsets,
        [more as u64]
    );
    log.close();
    drop(log);
    check(&open(&machine), "s", more + 1);
}

#[test]
fn a_start_needs_no_room_however_far_behind_the_segments_are() {
    let machine = Simulation::new(6);
    let log = open(&machine);
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    log.create_stream("t", 1, StreamSettings::default()).unwrap();
    let first = fill_some(&log, 40);
    log.delete_records("s", 0, 7).unwrap();
    // Somebody else takes also what the log gives back: nothing of it comes to rest any more.
    machine.disk.limit_space(Some(0));
    let taken = fill_up(&log, "s", first);
    for frees in [false, true] {
        machine.disk.cut_power();
        machine.disk.restart();
        let (log, recovery) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert!(recovery.batches_replayed > 0);
        check_from(&log, "s", 7, taken);
        log.tend();
        assert_eq!(fill(&log, "s", taken), taken);
        if frees {
            // What leads to room is taken, and stays so.
            log.drop_stream("t").unwrap();
            assert_eq!(log.delete_records("s", 0, 9).unwrap(), 9);
        }
    }
    drop(log);
    machine.disk.cut_power();
    machine.disk.restart();
    let log = open(&machine);
    assert!(log.stream("t").is_none());
    check_from(&log, "s", 9, taken);
    machine.disk.limit_space(None);
    until("there is room", || log.full().is_none());
    let event = append(vec![part("s", 0, &[&value(taken)])]);
    assert_eq!(log.append_blocking(event).unwrap().base_offsets, [taken as u64]);
    log.close();
    drop(log);
    check_from(&open(&machine), "s", 9, taken + 1);
}

#[test]
fn what_leads_to_room_does_not_wait_for_a_journal_file() {
    let machine = Simulation::new(7);
    let log = open(&machine);
    for stream in ["s", "old", "short"] {
        log.create_stream(stream, 1, StreamSettings::default()).unwrap();
    }
    for stream in ["old", "short"] {
        for number in 0..100 {
            let event = append(vec![part(stream, 0, &[&value(number)])]);
            log.append_blocking(event).unwrap();
        }
    }
    machine.disk.limit_space(Some(0));
    let taken = fill_up(&log, "s", 0);
    // The journal's file is full and there is no other; each of these is durable when it returns.
    log.drop_stream("old").unwrap();
    assert_eq!(log.delete_records("short", 0, 90).unwrap(), 90);
    log.alter_stream("short", |settings| settings.set("retention_ms", Some("1")))
        .unwrap();
    machine.disk.cut_power();
    drop(log);
    machine.disk.restart();
    let log = open(&machine);
    assert!(log.stream("old").is_none());
    assert_eq!(log.offsets("short", 0).unwrap().start, 90);
    check(&log, "s", taken);
}

#[test]
fn events_that_are_deleted_make_room_on_a_full_disk() {
    let machine = Simulation::new(8);
    let log = open(&machine);
    for stream in ["s", "old"] {
        log.create_stream(stream, 1, StreamSettings::default()).unwrap();
    }
    for number in 0..300 {
        let event = append(vec![part("old", 0, &[&value(number)])]);
        log.append_blocking(event).unwrap();
    }
    log.tend();
    machine.disk.limit_space(Some(machine.disk.used_bytes()));
    let taken = fill_up(&log, "s", 0);
    log.delete_records("old", 0, 290).unwrap();
    let more = fill_more(&log, "s", taken, 50);
    check(&log, "s", more);
}

#[test]
fn a_dropped_stream_makes_room_on_a_full_disk() {
    let machine = Simulation::new(2);
    let log = open(&machine);
    log.create_stream("old", 1, StreamSettings::default()).unwrap();
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    for number in 0..300 {
        log.append_blocking(append(vec![part("old", 0, &[&value(number)])]))
            .unwrap();
    }
    log.tend();
    machine.disk.limit_space(Some(machine.disk.used_bytes() + 300 * 1024));
    let taken = fill_up(&log, "s", 0);
    log.drop_stream("old").unwrap();
    let more = fill_more(&log, "s", taken, 100);
    check(&log, "s", more);
    machine.disk.cut_power();
    drop(log);
    machine.disk.restart();
    let log = open(&machine);
    assert!(log.stream("old").is_none());
    check(&log, "s", more);
}

#[test]
fn a_log_that_is_closed_while_the_disk_is_full_ends_and_loses_nothing() {
    let machine = Simulation::new(3);
    let log = open(&machine);
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    machine.disk.limit_space(Some(machine.disk.used_bytes() + 200 * 1024));
    let taken = fill(&log, "s", 0);
    log.close();
    drop(log);
    let log = open(&machine);
    check(&log, "s", taken);
}

#[test]
fn a_frame_that_did_not_fit_is_written_when_there_is_room() {
    let machine = Simulation::new(4);
    let log = open(&machine);
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    machine.disk.fail_writes(Some(Fault::Full));
    let waiting = {
        let log = log.clone();
        std::thread::spawn(move || log.append_blocking(append(vec![part("s", 0, &[&value(0)])])))
    };
    until("the disk is full", || log.full().is_some());
    assert!(matches!(
        log.append_blocking(append(vec![part("s", 0, &[&value(1)])])),
        Err(AppendError::Full { .. })
    ));
    assert!(!waiting.is_finished());
    machine.disk.fail_writes(None);
    assert_eq!(waiting.join().unwrap().unwrap().base_offsets, [0]);
    until("there is room", || log.full().is_none());
    check(&log, "s", 1);
    // Closed in the middle of it, the frame is none: it was never acknowledged.
    // Nothing else is to be written then: what does not fit is this frame.
    log.tend();
    machine.disk.fail_writes(Some(Fault::Full));
    let waiting = {
        let log = log.clone();
        std::thread::spawn(move || log.append_blocking(append(vec![part("s", 0, &[&value(1)])])))
    };
    until("the disk is full", || log.full().is_some());
    log.close();
    assert!(matches!(waiting.join().unwrap(), Err(AppendError::Stopped { .. })));
    drop(log);
    machine.disk.fail_writes(None);
    check(&open(&machine), "s", 1);
}

#[test]
fn the_reserve_is_laid_aside_once_and_counts_for_nothing() {
    let machine = Simulation::new(5);
    let log = open(&machine);
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    fill_some(&log, 3);
    drop(log);
    let reserve = Path::new(DIR).join("reserve");
    assert!(machine.disk.exists(&reserve).unwrap());
    machine.disk.remove_file(&reserve).unwrap();
    let log = open(&machine);
    check(&log, "s", 3);
    assert!(machine.disk.exists(&reserve).unwrap());
}

fn fill_some(log: &EventLog, count: usize) -> usize {
    for number in 0..count {
        log.append_blocking(append(vec![part("s", 0, &[&value(number)])]))
            .unwrap();
    }
    count
}
