//! Transactions in the log: what counts is seen once it is decided, whole and in all partitions at once; what was taken back is not seen,
//! also after restarts and out of segments.

#[expect(dead_code, reason = "other tests use all of it")]
mod making;

use headwater_eventlog::{AppendError, EventLog, LogOptions, Part, StreamSettings};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event, Marker, Producer};
use making::{append, part, small};

/// A part of a transaction: producer, epoch and sequence, partition, value.
fn written(id: i64, epoch: i16, base_sequence: i32, partition: u32, value: &str) -> Part {
    let event = Event {
        value: Some(value.to_owned().into()),
        ..Event::default()
    };
    let producer = Producer {
        id,
        epoch,
        base_sequence,
    };
    Part {
        stream: "s".to_owned(),
        partition,
        batch: Batch::encode_transactional(&[event], Compression::None, producer),
    }
}

fn marker(kind: Marker, id: i64, epoch: i16, partition: u32) -> Part {
    Part {
        stream: "s".to_owned(),
        partition,
        batch: Batch::encode_marker(kind, id, epoch, 0),
    }
}

fn put(log: &EventLog, parts: Vec<Part>) {
    log.append_blocking(append(parts)).unwrap();
}

/// The values that count in a partition, with their offsets, and up to where they were read.
fn read(log: &EventLog, partition: u32) -> (Vec<(u64, String)>, u64) {
    let mut found: Vec<(u64, String)> = Vec::new();
    let mut at = 0;
    loop {
        let batches = log.read("s", partition, at, 300).unwrap();
        for stored in &batches {
            for (offset, event) in stored.batch.events().unwrap() {
                let value = String::from_utf8(event.value.unwrap().to_vec()).unwrap();
                found.push((offset, value));
            }
            at = stored.batch.next_offset();
        }
        if batches.is_empty() {
            return (found, at);
        }
    }
}

fn check(log: &EventLog, partition: u32, expected: &[(u64, &str)], stable: u64) {
    let (found, at) = read(log, partition);
    let found: Vec<(u64, &str)> = found.iter().map(|(offset, value)| (*offset, value.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(at, stable);
    assert_eq!(log.offsets("s", partition).unwrap().stable, stable);
    assert_eq!(log.position("s").unwrap().get("s", partition), stable);
}

fn open(dir: &std::path::Path, options: LogOptions) -> EventLog {
    let (log, recovery) = EventLog::open(Host::real(), dir, options).unwrap();
    assert!(recovery.damage.is_empty(), "{:?}", recovery.damage);
    log
}

#[test]
fn a_transaction_is_seen_whole_once_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), LogOptions::default());
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    put(&log, vec![part("s", 0, &["before"])]);
    put(&log, vec![written(7, 0, 0, 0, "a"), written(7, 0, 0, 1, "b")]);
    put(&log, vec![part("s", 0, &["after"])]);
    check(&log, 0, &[(0, "before")], 1);
    check(&log, 1, &[], 0);
    let raw = log.read_stored("s", 0, 0, u64::MAX, 1 << 20).unwrap();
    assert_eq!(raw.len(), 3);
    put(
        &log,
        vec![marker(Marker::Committed, 7, 0, 0), marker(Marker::Committed, 7, 0, 1)],
    );
    check(&log, 0, &[(0, "before"), (1, "a"), (2, "after")], 4);
    check(&log, 1, &[(0, "b")], 2);
    assert_eq!(log.aborted("s", 0, 0, 4).unwrap(), []);
}

#[test]
fn what_was_taken_back_is_not_seen_from_memory_journal_or_segments() {
    for (options, clean) in [
        (LogOptions::default(), false),
        (LogOptions::default(), true),
        (small(), false),
        (small(), true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path(), options.clone());
        log.create_stream("s", 1, StreamSettings::default()).unwrap();
        let mut expected: Vec<(u64, String)> = Vec::new();
        let (mut offset, mut sequence) = (0, 0);
        // Two producers between each other; 7 is taken back, 8 counts, every third time the log is opened anew in the middle.
        for round in 0..30 {
            let padding = "x".repeat(50 * (round % 5));
            put(
                &log,
                vec![written(7, 0, sequence, 0, &format!("{round} lost {padding}"))],
            );
            put(
                &log,
                vec![written(8, 0, sequence, 0, &format!("{round} kept {padding}"))],
            );
            expected.push((offset + 1, format!("{round} kept {padding}")));
            if round % 3 == 0 {
                if clean {
                    log.close();
                }
                drop(log);
                log = open(dir.path(), options.clone());
                assert_eq!(log.offsets("s", 0).unwrap().stable, offset);
            }
            let ended = [marker(Marker::Committed, 8, 0, 0), marker(Marker::Aborted, 7, 0, 0)];
            put(&log, ended.to_vec());
            offset += 4;
            sequence += 1;
        }
        for reopened in [false, true] {
            if reopened {
                drop(log);
                log = open(dir.path(), options.clone());
            }
            let (found, at) = read(&log, 0);
            assert_eq!((found, at), (expected.clone(), offset));
            let ranges = log.aborted("s", 0, 40, 44).unwrap();
            let seen: Vec<(i64, u64, u64)> = ranges
                .iter()
                .map(|range| (range.producer_id, range.first, range.marker))
                .collect();
            assert_eq!(seen, [(7, 40, 43)]);
        }
    }
}

#[test]
fn a_long_transaction_is_found_behind_many_short_ones() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    put(&log, vec![written(1, 0, 0, 0, "long")]);
    for sequence in 0..200 {
        put(&log, vec![written(2, 0, sequence, 0, "short")]);
        put(&log, vec![marker(Marker::Aborted, 2, 0, 0)]);
    }
    check(&log, 0, &[], 0);
    put(&log, vec![marker(Marker::Aborted, 1, 0, 0)]);
    put(&log, vec![part("s", 0, &["end"])]);
    check(&log, 0, &[(402, "end")], 403);
    let ranges = log.aborted("s", 0, 0, 1).unwrap();
    assert_eq!(ranges.iter().map(|range| range.producer_id).collect::<Vec<_>>(), [1]);
    log.close();
    drop(log);
    let log = open(dir.path(), small());
    check(&log, 0, &[(402, "end")], 403);
    assert_eq!(log.aborted("s", 0, 0, 1).unwrap(), ranges);
}

#[test]
fn an_end_with_a_newer_epoch_fences() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), LogOptions::default());
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    put(&log, vec![written(7, 3, 0, 0, "a")]);
    put(&log, vec![marker(Marker::Aborted, 7, 4, 0)]);
    let refused = |parts| log.append_blocking(append(parts)).unwrap_err();
    let late = refused(vec![written(7, 3, 1, 0, "late")]);
    assert!(matches!(late, AppendError::Fenced { current: 4, .. }), "{late}");
    put(&log, vec![written(7, 4, 0, 0, "b")]);
    let plain = Part {
        batch: making::batch(
            &["plain"],
            0,
            Some(Producer {
                id: 7,
                epoch: 4,
                base_sequence: 1,
            }),
        ),
        ..part("s", 0, &["x"])
    };
    let mixed = refused(vec![plain]);
    assert!(
        matches!(mixed, AppendError::OutsideTransaction { producer_id: 7 }),
        "{mixed}"
    );
    let producers = log.producers("s", 0).unwrap();
    assert_eq!(
        (producers[0].id, producers[0].epoch, producers[0].open_since),
        (7, 4, Some(2))
    );
    check(&log, 0, &[], 2);
}

#[test]
fn open_transactions_on_both_sides_of_the_limit() {
    // As many as half of the producers that are remembered, each counted in every partition it wrote to.
    const MAX: i64 = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), LogOptions::default());
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    for first in (0..MAX).step_by(1_000) {
        let parts = (first..first + 1_000).map(|number| written(number / 2, 0, 0, (number % 2) as u32, "x"));
        put(&log, parts.collect());
    }
    let one_more = || log.append_blocking(append(vec![written(MAX, 0, 0, 0, "x")]));
    let refused = one_more();
    assert!(
        matches!(&refused, Err(AppendError::TransactionsOpen { open }) if *open == MAX as usize),
        "{refused:?}"
    );
    // Those that are open go on, and one that ends makes room for another.
    put(&log, vec![written(0, 0, 1, 0, "x")]);
    put(&log, vec![marker(Marker::Committed, 0, 0, 0)]);
    assert!(one_more().is_ok());
    let refused = log.append_blocking(append(vec![written(MAX + 1, 0, 0, 0, "x")]));
    assert!(
        matches!(refused, Err(AppendError::TransactionsOpen { .. })),
        "{refused:?}"
    );
    // None of it is forgotten.
    drop(log);
    let log = open(folder.path(), LogOptions::default());
    let refused = log.append_blocking(append(vec![written(MAX + 1, 0, 0, 0, "x")]));
    assert!(
        matches!(refused, Err(AppendError::TransactionsOpen { .. })),
        "{refused:?}"
    );
}
