//! Appends: limits, order, time, conditions, idempotent producers, groups.

mod making;

use std::path::Path;

use headwater_eventlog::{
    Append, AppendError, Condition, EventLog, Guard, LogOptions, Part, ReadError, StreamError, StreamSettings,
};
use headwater_host::simulated::Simulation;
use headwater_host::{Disk, Host};
use headwater_records::{Batch, Position, Producer};
use making::{append, batch, part, small, values};

fn open(machine: &Simulation) -> EventLog {
    EventLog::open(machine.host(), Path::new("/data"), small()).unwrap().0
}

#[test]
fn names_and_partitions_have_limits() {
    let machine = Simulation::new(1);
    let log = open(&machine);
    let check = |name: &str, partitions: u32, expected: &str| {
        let found = match log.create_stream(name, partitions, StreamSettings::default()) {
            Ok(info) => format!("{}:{}", info.name.len(), info.partitions),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{name} {partitions}: {found}");
    };
    check("a.B_c-9", 1, "7:1");
    check("", 1, "is empty");
    check(".", 1, "is a folder's");
    check("..", 1, "is a folder's");
    check("...", 1, "3:1");
    check("a/b", 1, "other characters");
    check("ü", 1, "other characters");
    check(&"n".repeat(249), 1, "249:1");
    check(&"n".repeat(250), 1, "longer than 249");
    check("p", 0, "1 to 10000 partitions");
    check("p", 10_001, "1 to 10000 partitions");
    check("p", 10_000, "1:10000");
    check("p", 1, "exists already");
    assert_eq!(log.streams().len(), 4);
    let id = log.stream("p").unwrap().id;
    assert_eq!(
        (id >> 76 & 0xf, id >> 62 & 0x3),
        (4, 2),
        "the layout of a version 4 UUID"
    );
    log.drop_stream("p").unwrap();
    assert!(matches!(log.drop_stream("p"), Err(StreamError::Unknown(_))));
    assert_ne!(log.create_stream("p", 1, StreamSettings::default()).unwrap().id, id);
}

#[test]
fn sizes_have_limits() {
    let machine = Simulation::new(2);
    let log = open(&machine);
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    let sized = |bytes: usize| {
        let empty = batch(&[""], 0, None).bytes().len();
        // The value's length and the event's take one byte more each from 64 on.
        let made = batch(&["x".repeat(bytes - empty - 2).as_str()], 0, None);
        assert_eq!(made.bytes().len(), bytes);
        Part {
            stream: "s".to_owned(),
            partition: 0,
            batch: made,
        }
    };
    log.append_blocking(append(vec![sized(8 * 1024)])).unwrap();
    let error = log.append_blocking(append(vec![sized(8 * 1024 + 1)])).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { bytes: 8193, max: 8192 }));
    // All parts together must fit into one journal file: 40 bytes of header, 39 a batch, 7 + 5 for alice.
    let room = 64 * 1024 - 40 - 12 - 8 * 39;
    let mut parts: Vec<Part> = (0..7).map(|_| sized(8 * 1024)).collect();
    parts.push(sized(room - 7 * 8 * 1024));
    log.append_blocking(append(parts.clone())).unwrap();
    parts[7] = sized(room - 7 * 8 * 1024 + 1);
    assert!(matches!(
        log.append_blocking(append(parts)),
        Err(AppendError::TooLarge { .. })
    ));
    assert_eq!(log.offsets("s", 0).unwrap().end, 9);
    for unknown in [part("s", 1, &["x"]), part("t", 0, &["x"])] {
        assert!(matches!(
            log.append_blocking(append(vec![unknown])),
            Err(AppendError::Unknown { .. })
        ));
    }
}

#[test]
fn reading_outside_is_an_error_and_inside_gives_whole_batches() {
    let machine = Simulation::new(3);
    let log = open(&machine);
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    for _ in 0..3 {
        log.append_blocking(append(vec![part("s", 0, &["1", "2"])])).unwrap();
    }
    for restarted in [false, true] {
        let log = if restarted { open(&machine) } else { log.clone() };
        let check = |from: u64, bytes_max: usize, expected: &[u64]| {
            let found: Vec<u64> = log
                .read("s", 0, from, bytes_max)
                .unwrap()
                .iter()
                .map(|stored| stored.batch.base_offset())
                .collect();
            assert_eq!(found, expected, "from {from}, {bytes_max} bytes");
        };
        let length = log.read("s", 0, 0, 0).unwrap()[0].batch.bytes().len();
        check(0, 0, &[0]);
        check(1, 2 * length - 1, &[0]);
        check(1, 2 * length, &[0, 2]);
        check(3, usize::MAX, &[2, 4]);
        check(6, usize::MAX, &[]);
        assert!(matches!(
            log.read("s", 0, 7, 1),
            Err(ReadError::OutOfRange { end: 6, .. })
        ));
        assert!(matches!(log.read("s", 1, 0, 1), Err(ReadError::Unknown { .. })));
        if !restarted {
            // The next one opens the same folder.
            machine.disk.cut_power();
            machine.disk.restart();
        }
    }
}

#[test]
fn append_time_never_goes_back_and_finds_positions() {
    let machine = Simulation::new(4);
    let log = open(&machine);
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    let mut appended: Vec<i64> = Vec::new();
    for (number, now_us) in [100, 50, 200, 200, 300].into_iter().enumerate() {
        machine.clock.set(now_us);
        // Large enough that each gets a segment of its own.
        let large = "x".repeat(3000);
        let number = number as i64;
        let timed = |partition, timestamp_ms| Part {
            stream: "s".to_owned(),
            partition,
            batch: batch(&[&large, "y"], timestamp_ms, None),
        };
        let outcome = log
            .append_blocking(append(vec![timed(0, number * 10), timed(1, 100 - number * 10)]))
            .unwrap();
        appended.push(outcome.appended_at_us);
    }
    assert_eq!(appended, [100, 101, 200, 201, 300]);
    for closed in [false, true] {
        let log = if closed { open(&machine) } else { log.clone() };
        let check_time = |at: i64, expected: u64| {
            assert_eq!(
                log.position_at("s", at).unwrap().to_string(),
                format!("s/0@{expected},1@{expected}"),
                "at {at}"
            );
        };
        check_time(i64::MIN, 0);
        check_time(99, 0);
        check_time(100, 2);
        check_time(101, 4);
        check_time(199, 4);
        check_time(200, 6);
        check_time(201, 8);
        check_time(299, 8);
        check_time(300, 10);
        check_time(i64::MAX, 10);
        assert!(matches!(log.position_at("t", 0), Err(ReadError::Unknown { .. })));
        let check_timestamp = |partition: u32, timestamp_ms: i64, expected: Option<(u64, i64)>| {
            assert_eq!(
                log.offset_for_timestamp("s", partition, timestamp_ms).unwrap(),
                expected,
                "{timestamp_ms}"
            );
        };
        check_timestamp(0, -1, Some((0, 0)));
        check_timestamp(0, 1, Some((1, 1)));
        check_timestamp(0, 2, Some((2, 10)));
        check_timestamp(0, 41, Some((9, 41)));
        check_timestamp(0, 42, None);
        check_timestamp(1, 61, Some((0, 100)));
        check_timestamp(1, 101, Some((1, 101)));
        check_timestamp(1, 102, None);
        if !closed {
            log.close();
            machine.disk.cut_power();
            machine.disk.restart();
        }
    }
}

/// No event with this value after a position.
struct NoneWith {
    after: Position,
    value: &'static str,
    looked_at: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Guard for NoneWith {
    fn after(&self) -> &Position {
        &self.after
    }

    fn conflicts(&mut self, _: &str, _: u32, batch: &Batch) -> bool {
        self.looked_at.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let events = batch.events().unwrap();
        events
            .iter()
            .any(|(_, event)| event.value.as_deref() == Some(self.value.as_bytes()))
    }
}

fn conditional(after: &str, value: &'static str) -> (Append, std::sync::Arc<std::sync::atomic::AtomicU64>) {
    let looked_at: std::sync::Arc<std::sync::atomic::AtomicU64> = std::sync::Arc::default();
    let condition = NoneWith {
        after: after.parse().unwrap(),
        value,
        looked_at: looked_at.clone(),
    };
    let mut append = append(vec![part("s", 1, &["taken"])]);
    append.condition = Some(Condition::Guard(Box::new(condition)));
    (append, looked_at)
}

#[test]
fn conditions_see_every_batch_after_their_position_in_memory_and_on_the_disk() {
    for restarted in [false, true] {
        let machine = Simulation::new(5);
        let mut log = open(&machine);
        log.create_stream("s", 2, StreamSettings::default()).unwrap();
        for value in ["a", "b", "c"] {
            log.append_blocking(append(vec![part("s", 0, &[value])])).unwrap();
        }
        if restarted {
            drop(log);
            log = open(&machine);
        }
        let check = |after: &str, value: &'static str, expected: Result<u64, &str>| {
            let (append, looked_at) = conditional(after, value);
            let found = log.append_blocking(append);
            let looked_at = looked_at.load(std::sync::atomic::Ordering::SeqCst);
            match (found, expected) {
                (Ok(_), Ok(expected)) => assert_eq!(looked_at, expected, "{after} {value}"),
                (Err(AppendError::Conflict { end }), Err(expected)) => assert_eq!(end.to_string(), expected),
                (found, expected) => panic!("{after} {value}: {found:?}, expected {expected:?}"),
            }
        };
        check("s/0@0", "z", Ok(3));
        check("s/0@0", "a", Err("s/0@3"));
        check("s/0@1", "a", Ok(2));
        check("s/0@3", "c", Ok(0));
        check("s/0@2,1@0", "c", Err("s/0@3,1@3"));
        check("s/1@0", "taken", Err("s/1@3"));
        let (unknown, _) = conditional("s/2@0", "z");
        assert!(matches!(
            log.append_blocking(unknown),
            Err(AppendError::Unknown { partition: 2, .. })
        ));
        assert_eq!(values(&log, "s", 1).len(), 3);
    }
}

#[test]
fn of_many_conditional_appends_at_once_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = EventLog::open(Host::real(), dir.path(), LogOptions::default()).unwrap();
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| log.append_blocking(conditional("s/1@0", "taken").0).is_ok()))
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!(taken, 1);
    assert_eq!(values(&log, "s", 1), ["taken"]);
}

fn produced(partition: u32, epoch: i16, base_sequence: i32, values: &[&str]) -> Part {
    let producer = Producer {
        id: 7,
        epoch,
        base_sequence,
    };
    Part {
        stream: "s".to_owned(),
        partition,
        batch: batch(values, 0, Some(producer)),
    }
}

#[test]
fn a_retry_is_answered_as_the_first_time_also_after_a_restart() {
    let machine = Simulation::new(6);
    let mut log = open(&machine);
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    machine.clock.set(100);
    let first = log
        .append_blocking(append(vec![produced(0, 0, 0, &["a", "b"])]))
        .unwrap();
    machine.clock.set(200);
    log.append_blocking(append(vec![produced(0, 0, 2, &["c"])])).unwrap();
    for round in 0..3 {
        let again = log
            .append_blocking(append(vec![produced(0, 0, 0, &["a", "b"])]))
            .unwrap();
        assert_eq!(
            (again.base_offsets, again.appended_at_us, again.duplicate),
            (vec![0], first.appended_at_us, true)
        );
        // A retry is known before its condition is looked at, which its own first time would fail.
        let (mut conditioned, _) = conditional("s/0@0", "a");
        conditioned.parts = vec![produced(0, 0, 0, &["a", "b"])];
        assert!(log.append_blocking(conditioned).unwrap().duplicate);
        let gap = log
            .append_blocking(append(vec![produced(0, 0, 4, &["e"])]))
            .unwrap_err();
        assert!(matches!(
            gap,
            AppendError::OutOfSequence {
                got: 4,
                expected: 3,
                ..
            }
        ));
        // A gap in one part refuses all parts.
        let half = log.append_blocking(append(vec![produced(1, 0, 0, &["x"]), produced(0, 0, 9, &["y"])]));
        assert!(half.is_err());
        assert_eq!(log.offsets("s", 1).unwrap().end, 0);
        assert_eq!(values(&log, "s", 0), ["a", "b", "c"]);
        if round == 1 {
            log.close();
        }
        drop(log);
        log = open(&machine);
    }
    let both = append(vec![
        produced(0, 1, 0, &["d"]),
        produced(0, 1, 1, &["e"]),
        produced(0, 1, 0, &["d"]),
    ]);
    let both = log.append_blocking(both).unwrap();
    assert_eq!((both.base_offsets, both.duplicate), (vec![3, 4, 3], false));
    let old = log
        .append_blocking(append(vec![produced(0, 0, 3, &["f"])]))
        .unwrap_err();
    assert!(matches!(
        old,
        AppendError::Fenced {
            epoch: 0,
            current: 1,
            ..
        }
    ));
    assert_eq!(values(&log, "s", 0), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_thousand_partitions_share_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = EventLog::open(Host::real(), dir.path(), LogOptions::default()).unwrap();
    log.create_stream("s", 1000, StreamSettings::default()).unwrap();
    let before = log.metrics();
    let parts = (0..1000).map(|partition| part("s", partition, &["v"])).collect();
    log.append_blocking(append(parts)).unwrap();
    let after = log.metrics();
    assert_eq!(
        (after.commits - before.commits, after.events - before.events),
        (1, 1000)
    );
    assert!(after.flush_us >= after.flush_us_max && after.flush_us_max > 0);
    log.close();
    drop(log);
    let (log, _) = EventLog::open(Host::real(), dir.path(), LogOptions::default()).unwrap();
    for partition in 0..1000 {
        assert_eq!(values(&log, "s", partition), ["v"]);
    }
}

#[test]
fn many_writers_share_flushes_and_wait_at_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions {
        pending_bytes_max: 1000,
        tend_every: std::time::Duration::from_secs(3600),
        compaction_keys_max: 1_000,
        ..LogOptions::default()
    };
    let (log, _) = EventLog::open(Host::real(), dir.path(), options).unwrap();
    log.create_stream("s", 4, StreamSettings::default()).unwrap();
    let before = log.metrics().commits;
    let commits = log.commits();
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let log = &log;
            scope.spawn(move || {
                for _ in 0..20 {
                    log.append_blocking(append(vec![part("s", writer % 4, &["v"])]))
                        .unwrap();
                }
            });
        }
    });
    let appended: usize = (0..4).map(|partition| values(&log, "s", partition).len()).sum();
    assert_eq!(appended, 320);
    assert!(log.metrics().commits - before < 320, "no two appends shared a flush");
    assert!(commits.has_changed().unwrap());
}

#[test]
fn the_journal_goes_round_in_its_files() {
    let machine = Simulation::new(8);
    let log = open(&machine);
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    let mut expected: Vec<String> = Vec::new();
    for number in 0..300 {
        let value = number.to_string();
        log.append_blocking(append(vec![part("s", 0, &[&value])])).unwrap();
        expected.push(value);
    }
    drop(log);
    let mut files = machine.disk.list(Path::new("/data/journal")).unwrap();
    // The file laid aside for a full disk may be there already, and holds no part of the journal.
    files.retain(|file| !file.ends_with("spare"));
    assert!((2..=3).contains(&files.len()), "{files:?}");
    let (log, recovery) = EventLog::open(machine.host(), Path::new("/data"), small()).unwrap();
    // None, where the last checkpoint was written after the last append.
    assert!(recovery.batches_replayed <= 3 * 16, "{recovery:?}");
    assert_eq!(values(&log, "s", 0), expected);
}

#[test]
fn an_append_that_needs_a_larger_journal_file_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = EventLog::open(Host::real(), dir.path(), LogOptions::default()).unwrap();
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    let large = "x".repeat(1_000_000);
    let parts = (0..6).map(|_| part("s", 0, &[&large])).collect();
    log.append_blocking(append(parts)).unwrap();
    drop(log);
    let (log, recovery) = EventLog::open(Host::real(), dir.path(), LogOptions::default()).unwrap();
    // None, where a checkpoint was written after the append.
    assert!([0, 6].contains(&recovery.batches_replayed), "{recovery:?}");
    assert_eq!(values(&log, "s", 0).len(), 6);
}

#[test]
fn a_held_stream_takes_only_the_holders_append() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let machine = Simulation::new(3);
    let log = open(&machine);
    log.create_stream("held", 1, StreamSettings::default()).unwrap();
    log.create_stream("free", 1, StreamSettings::default()).unwrap();
    runtime.block_on(async {
        let soon = std::time::Duration::from_millis(50);
        let hold = log
            .hold(&["held".to_owned(), "held".to_owned(), "nowhere".to_owned()])
            .await;
        let (other, held) = (log.clone(), append(vec![part("held", 0, &["other"])]));
        let mut waiting = tokio::spawn(async move { other.append(held).await });
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "others wait");
        log.append(append(vec![part("free", 0, &["x"])]))
            .await
            .expect("other streams go on");
        let appended = hold
            .append(append(vec![part("held", 0, &["holder"])]))
            .await
            .expect("the holder appends");
        assert_eq!(appended.base_offsets, [0]);
        let appended = waiting.await.unwrap().expect("the hold is over");
        assert_eq!(appended.base_offsets, [1]);
    });
}
