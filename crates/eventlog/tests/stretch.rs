//! Stretches: their bytes are those of the batches that a read gives, and damage never leaves the log as bytes.

mod cached;

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use headwater_eventlog::{Append, EventLog, LogOptions, Part, ReadError, StreamSettings, Stretch, Taken};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event};

const BATCHES: u64 = 12;

/// A log whose stream `s` has batches in a segment and, in memory, as many again.
fn log(folder: &Path, value_bytes: usize) -> EventLog {
    log_on(&Host::real(), folder, value_bytes)
}

fn log_on(host: &Host, folder: &Path, value_bytes: usize) -> EventLog {
    let open = || EventLog::open(host.clone(), folder, LogOptions::default()).unwrap().0;
    let log = open();
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    append(&log, 0..BATCHES, value_bytes);
    log.close();
    drop(log);
    let log = open();
    append(&log, BATCHES..2 * BATCHES, value_bytes);
    log
}

/// Appends batches of one event each.
fn append(log: &EventLog, numbers: std::ops::Range<u64>, value_bytes: usize) {
    for number in numbers {
        let event = Event {
            value: Some(vec![number as u8; value_bytes].into()),
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
        log.append_blocking(append).unwrap();
    }
}

/// Everything that a stretch gives, and how it ended.
fn take_all(mut stretch: Stretch, waits: bool) -> (Vec<u8>, Result<(), ReadError>) {
    let mut all: Vec<u8> = Vec::new();
    loop {
        let taken = match waits {
            true => stretch.take(),
            false => stretch.take_cached(),
        };
        match taken {
            Ok(Taken::Bytes(bytes)) => all.extend_from_slice(&bytes),
            Ok(Taken::End) => return (all, Ok(())),
            // What is not in memory is waited for.
            Ok(Taken::OnDisk) => match stretch.take() {
                Ok(Taken::Bytes(bytes)) => all.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            },
            Err(error) => return (all, Err(error)),
        }
    }
}

#[test]
fn a_stretch_has_the_bytes_of_the_batches_that_a_read_gives() {
    for value_bytes in [10, 100_000, 600_000] {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), value_bytes);
        let one = log.read_stored("s", 0, 0, u64::MAX, 0).unwrap()[0].batch.bytes().len();
        let check = |from: u64, end: u64, bytes_max: usize| {
            let batches = log.read_stored("s", 0, from, end, bytes_max).unwrap();
            let mut expected: Vec<u8> = Vec::new();
            for stored in &batches {
                expected.extend_from_slice(stored.batch.bytes());
            }
            let next = batches.last().map_or(from, |last| last.batch.next_offset());
            for waits in [true, false] {
                let stretch = log.stretch("s", 0, from, end, bytes_max).unwrap();
                assert_eq!(
                    (stretch.bytes(), stretch.next_offset()),
                    (expected.len(), next),
                    "{from} {bytes_max}"
                );
                assert!(stretch.bytes_in_memory() <= stretch.bytes());
                let (bytes, outcome) = take_all(stretch, waits);
                assert!(outcome.is_ok() && bytes == expected, "{from} {end} {bytes_max}");
            }
        };
        for from in [0, 1, BATCHES - 1, BATCHES, 2 * BATCHES - 1, 2 * BATCHES] {
            for bytes_max in [0, one - 1, one, 3 * one, 40 * one] {
                check(from, u64::MAX, bytes_max);
            }
            check(from, from + 1, 40 * one);
        }
        assert!(matches!(
            log.stretch("s", 0, 2 * BATCHES + 1, u64::MAX, 1),
            Err(ReadError::OutOfRange { .. })
        ));
        log.close();
    }
}

/// Everything that a stretch gives into a socket, and how much of it was passed on.
fn pass_all(mut stretch: Stretch) -> (Vec<u8>, usize) {
    let (to, mut from) = UnixStream::pair().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all: Vec<u8> = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    });
    let mut passed = 0;
    loop {
        while stretch.is_passed_on() {
            passed += stretch.pass_on(to.as_fd()).unwrap().unwrap();
        }
        match stretch.take().unwrap() {
            Taken::Bytes(bytes) => std::io::Write::write_all(&mut &to, &bytes).unwrap(),
            Taken::OnDisk => panic!("it was waited for"),
            Taken::End => break,
        }
    }
    drop(to);
    (reading.join().unwrap(), passed)
}

#[test]
fn what_was_checked_once_is_passed_on_whole() {
    for (value_bytes, is_passed_on) in [(10, false), (100_000, true), (600_000, true)] {
        let folder = tempfile::tempdir().unwrap();
        let log = log_on(&cached::host(), folder.path(), value_bytes);
        let stretch = |from: u64| log.stretch("s", 0, from, u64::MAX, usize::MAX).unwrap();
        let whole = take_all(stretch(3), true).0;
        let (bytes, passed) = pass_all(stretch(3));
        assert!(bytes == whole, "{value_bytes}");
        assert_eq!(passed > 0, is_passed_on, "{value_bytes}");
        assert!(passed <= whole.len() - stretch(3).bytes_in_memory());
        // What nobody read yet is read and checked first.
        let (bytes, passed_before) = pass_all(stretch(0));
        assert!(bytes.ends_with(&whole), "{value_bytes}");
        assert!(passed_before <= passed, "{value_bytes}: {passed_before}");
        log.close();
    }
}

/// The one file of batches below a folder.
fn batches_file(folder: &Path) -> PathBuf {
    let mut left: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        if path.extension().is_some_and(|extension| extension == "batches") {
            return path;
        }
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    panic!("there is a segment");
}

/// Changes one bit of a batch where it stands in a file; done twice nothing is changed.
fn change(path: &Path, batch: &[u8]) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let all = fs::read(path).unwrap();
    let head = &batch[..61];
    let at = all.windows(head.len()).position(|window| window == head).unwrap() + batch.len() / 2;
    file.write_all_at(&[all[at] ^ 1], at as u64).unwrap();
}

#[test]
fn what_is_damaged_is_not_given_and_not_promised_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 100_000);
    let mut batches: Vec<Vec<u8>> = Vec::new();
    for offset in 0..2 * BATCHES {
        batches.push(
            log.read_stored("s", 0, offset, u64::MAX, 0).unwrap()[0]
                .batch
                .bytes()
                .to_vec(),
        );
    }
    let path = batches_file(folder.path());
    let damaged: u64 = 7;
    let (before, behind) = (batches[..7].concat(), batches[8..].concat());
    change(&path, &batches[7]);
    let stretch = |from: u64| log.stretch("s", 0, from, u64::MAX, usize::MAX);

    // It is found when its turn comes: what was given before is right, and the end is an error with its offset.
    let promised = stretch(0).unwrap();
    assert_eq!(promised.bytes(), batches.concat().len());
    let (bytes, outcome) = take_all(promised, false);
    assert!(before.starts_with(&bytes));
    assert!(
        matches!(outcome, Err(ReadError::Damaged { offset, .. }) if offset == damaged),
        "{outcome:?}"
    );

    // From then on a stretch ends before it, and one that would begin with it is refused.
    let (bytes, outcome) = take_all(stretch(0).unwrap(), false);
    assert!(outcome.is_ok() && bytes == before);
    assert!(matches!(stretch(damaged), Err(ReadError::Damaged { offset, .. }) if offset == damaged));
    assert!(take_all(stretch(damaged + 1).unwrap(), true).0 == behind);

    // Until it can be read again.
    change(&path, &batches[7]);
    assert!(take_all(stretch(damaged).unwrap(), true).0 == batches[7..].concat());
    assert!(take_all(stretch(0).unwrap(), true).0 == batches.concat());
    log.close();
}

#[test]
fn what_is_deleted_meanwhile_is_given_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 100_000);
    let stretch = log.stretch("s", 0, 0, u64::MAX, usize::MAX).unwrap();
    let expected = stretch.bytes();
    log.drop_stream("s").unwrap();
    fs::remove_dir_all(folder.path().join("streams")).unwrap();
    let (bytes, outcome) = take_all(stretch, true);
    assert!(outcome.is_ok());
    assert_eq!(bytes.len(), expected);
    log.close();
}
