//! Lists of what was taken back that are damaged: they are worked out anew from the batches, and where these do not tell, nothing that was taken back is shown.

#[expect(dead_code, reason = "other tests use all of it")]
mod making;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headwater_eventlog::{EventLog, LogOptions, Part, ReadError, StoredBatch, StreamSettings, verify};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event, Marker, Producer};
use making::{append, small};

const ENTRY_BYTES: usize = 40;
const ROUNDS: i32 = 40;

fn open(dir: &Path, options: LogOptions) -> EventLog {
    EventLog::open(Host::real(), dir, options).unwrap().0
}

fn put(log: &EventLog, batch: Batch) {
    let part = Part {
        stream: "s".to_owned(),
        partition: 0,
        batch,
    };
    log.append_blocking(append(vec![part])).unwrap();
}

/// A log of many segments: in each round a transaction that is taken back around one that counts; one that is taken back is open from the first event to
/// the last. Gives what counts, by offset.
fn fill(dir: &Path) -> Vec<u64> {
    let log = open(dir, small());
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    let written = |id: i64, base_sequence: i32| {
        let event = Event {
            value: Some("x".repeat(300).into()),
            ..Event::default()
        };
        let producer = Producer {
            id,
            epoch: 0,
            base_sequence,
        };
        put(&log, Batch::encode_transactional(&[event], Compression::None, producer));
    };
    let ended = |kind: Marker, id: i64| put(&log, Batch::encode_marker(kind, id, 0, 0));
    let mut counts: Vec<u64> = Vec::new();
    written(9, 0);
    for round in 0..ROUNDS {
        written(7, round);
        counts.push(log.offsets("s", 0).unwrap().high_watermark);
        written(8, round);
        ended(Marker::Committed, 8);
        ended(Marker::Aborted, 7);
    }
    ended(Marker::Aborted, 9);
    log.close();
    counts
}

/// The files of the segments with this ending, in their order.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let stream = fs::read_dir(dir.join("streams")).unwrap().next().unwrap().unwrap();
    let entries = fs::read_dir(stream.path().join("0")).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == ending));
    found.sort();
    found
}

fn spoil(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

/// One read; where it has to wait, again until it need not.
fn read(log: &EventLog, at: u64) -> Result<Vec<StoredBatch>, ReadError> {
    let begun = Instant::now();
    loop {
        match log.read("s", 0, at, 1 << 10) {
            Err(ReadError::Short { why, .. }) if begun.elapsed() < Duration::from_secs(120) => {
                assert!(why.contains("worked out anew"), "{why}");
                std::thread::sleep(Duration::from_millis(1));
            }
            read => return read,
        }
    }
}

/// The offsets of the events that count.
fn counting(log: &EventLog) -> Result<Vec<u64>, ReadError> {
    let mut found: Vec<u64> = Vec::new();
    let mut at = 0;
    loop {
        let batches = read(log, at)?;
        let Some(last) = batches.last() else { return Ok(found) };
        at = last.batch.next_offset();
        for stored in &batches {
            found.extend(stored.batch.events().unwrap().iter().map(|(offset, _)| *offset));
        }
    }
}

#[test]
fn a_damaged_list_is_worked_out_anew_and_written_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let counts = fill(dir.path());
    let lists = files(dir.path(), "aborted");
    assert!(lists.len() > 5 && files(dir.path(), "batches").len() > lists.len() / 2);
    let whole: Vec<Vec<u8>> = lists.iter().map(|list| fs::read(list).unwrap()).collect();
    let check = |damage: &dyn Fn(), segment: usize| {
        damage();
        let log = open(dir.path(), small());
        // From the end too: no list but the damaged one need be met first.
        assert_eq!(counting(&log).unwrap(), counts, "list {segment}");
        assert_eq!(log.damaged(), []);
        log.close();
        drop(log);
        let found: Vec<Vec<u8>> = lists.iter().map(|list| fs::read(list).unwrap()).collect();
        assert!(found == whole, "list {segment} is not what it was");
        let verified = verify(&Host::real(), dir.path(), |_| {}).unwrap().unwrap();
        assert!(verified.damage.is_empty(), "{:?}", verified.damage);
    };
    for (segment, list) in lists.iter().enumerate() {
        for entry in 0..whole[segment].len() / ENTRY_BYTES {
            check(&|| spoil(list, entry * ENTRY_BYTES + 12), segment);
        }
    }
    check(&|| fs::remove_file(&lists[2]).unwrap(), 2);
    check(&|| fs::write(&lists[3], &whole[3][..ENTRY_BYTES - 1]).unwrap(), 3);
    check(&|| lists.iter().for_each(|list| fs::write(list, b"").unwrap()), 0);
}

#[test]
fn where_the_batches_do_not_tell_nothing_is_read_and_the_damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let list = files(dir.path(), "aborted").pop().unwrap();
    spoil(&list, 12);
    spoil(&files(dir.path(), "batches")[0], 100);
    let before = fs::read(&list).unwrap();
    let log = open(dir.path(), small());
    // The long transaction was taken back in the last segment: of everything before it nobody knows whether it counts.
    let behind = log.offsets("s", 0).unwrap().stable;
    for at in 0..behind - 8 {
        let error = read(&log, at).unwrap_err();
        assert!(matches!(error, ReadError::Damaged { .. }), "{at}: {error}");
    }
    let damaged = log.damaged();
    let says = |words: &str| damaged.iter().any(|place| place.what.contains(words));
    assert!(
        says(".aborted") && says("do not tell what was taken back"),
        "{damaged:?}"
    );
    assert!(damaged.iter().all(|place| place.stream == "s" && place.partition == 0));
    log.close();
    assert!(fs::read(&list).unwrap() == before, "nothing is guessed");
}

#[test]
fn what_was_met_is_told_until_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    spoil(&files(dir.path(), "batches")[1], 100);
    let log = open(dir.path(), small());
    assert_eq!(log.damaged(), [], "a start reads no batches");
    let all = |from: u64| log.read_stored("s", 0, from, u64::MAX, 1 << 20);
    let at = all(0).unwrap().last().unwrap().batch.next_offset();
    for _ in 0..3 {
        assert!(matches!(all(at), Err(ReadError::Damaged { .. })));
    }
    let damaged = log.damaged();
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert_eq!((damaged[0].stream.as_str(), damaged[0].offset), ("s", at));
    assert!(damaged[0].what.contains("CRC"), "{}", damaged[0].what);
    log.delete_records("s", 0, at + 1).unwrap();
    assert_eq!(log.damaged(), [], "its events are not kept any more");
}
