//! A moment in which no file can be opened stops nothing for good: what needs one waits, nothing is lost, and it goes on by itself.

mod making;
mod waiting;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_eventlog::{AppendError, EventLog, StreamSettings};
use headwater_host::simulated::{Fault, Simulation};
use making::{append, part, small, values};
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

/// Appends one event to each of some streams, until the log refuses or it is enough; how many rounds were taken whole, and how many streams of the next.
fn fill(log: &EventLog, streams: &[String], from: usize, is_enough: &AtomicBool) -> (usize, usize) {
    for number in from..10_000 {
        for (place, stream) in streams.iter().enumerate() {
            if is_enough.load(Ordering::Acquire) {
                return (number, place);
            }
            match log.append_blocking(append(vec![part(stream, 0, &[&value(number)])])) {
                Ok(appended) => assert_eq!(appended.base_offsets, [number as u64]),
                Err(AppendError::Full { why }) => {
                    assert!(
                        why.contains("/data/") && why.contains("no more files can be opened"),
                        "{why}"
                    );
                    return (number, place);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    panic!("no file was wanted");
}

fn check(log: &EventLog, streams: &[String], rounds: usize, more: usize) {
    for (place, stream) in streams.iter().enumerate() {
        let count = rounds + usize::from(place < more);
        let expected: Vec<String> = (0..count).map(value).collect();
        assert!(
            values(log, stream, 0) == expected,
            "{stream} does not hold its {count} events"
        );
    }
}

/// For each seed a moment somewhere else: so many events are there before it, in so many partitions that their files were not open, or were.
#[test]
fn what_needs_a_file_waits_until_one_can_be_opened() {
    for seed in 1..=12 {
        let machine = Simulation::new(seed);
        let log = open(&machine);
        let streams: Vec<String> = (0..seed % 4 + 1).map(|number| format!("s{number}")).collect();
        for stream in &streams {
            log.create_stream(stream, 1, StreamSettings::default()).unwrap();
        }
        let before = (seed * 7 % 40) as usize;
        for number in 0..before {
            for stream in &streams {
                log.append_blocking(append(vec![part(stream, 0, &[&value(number)])]))
                    .unwrap();
            }
        }
        machine.disk.fail_opens(Some(Fault::OpenFiles));
        // The look whether the folder is ours still opens nothing.
        log.tend();
        assert_eq!(log.stopped(), None, "seed {seed}");
        // What the writer has in hand is not refused: it waits.
        let is_enough = AtomicBool::new(false);
        let (rounds, more) = std::thread::scope(|scope| {
            let filling = scope.spawn(|| fill(&log, &streams, before, &is_enough));
            until("a file is wanted", || log.full().is_some());
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(log.stopped(), None, "seed {seed}");
            is_enough.store(true, Ordering::Release);
            machine.disk.fail_opens(None);
            filling.join().unwrap()
        });
        until("files can be opened", || log.full().is_none());
        check(&log, &streams, rounds, more);
        let event = append(vec![part(&streams[more], 0, &[&value(rounds)])]);
        assert_eq!(log.append_blocking(event).unwrap().base_offsets, [rounds as u64]);
        // The checkpoint that was owed speaks of nothing that was not flushed.
        log.tend();
        machine.disk.cut_power();
        drop(log);
        machine.disk.restart();
        let log = open(&machine);
        check(&log, &streams, rounds, more + 1);
        log.close();
    }
}
