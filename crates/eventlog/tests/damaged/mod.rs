//! A log with something of everything in it, ways to damage it, and what is left of it.

use std::path::{Path, PathBuf};

use headwater_eventlog::{EventLog, LogOptions, Part, StoredBatch, StreamSettings, Verified, repair, verify};
use headwater_host::simulated::Simulation;
use headwater_host::{Disk, OpenMode};
use headwater_records::{Batch, Compression, Event, Marker, Producer};

use crate::making::{append, part, small};

pub const DIR: &str = "/data/log";
pub const SIDE: &str = "/data/side";

/// What is in the log of every test: four partitions' worth of segments, two principals, a transaction that was taken back.
pub fn filled(seed: u64) -> Simulation {
    let (machine, log) = filled_with(seed, small());
    log.close();
    machine
}

/// The same of a log that was not closed. One file of its journal takes it all, so that no checkpoint covers any of it.
pub fn left_open(seed: u64) -> Simulation {
    let options = LogOptions {
        journal_bytes: 1024 * 1024,
        ..small()
    };
    filled_with(seed, options).0
}

fn filled_with(seed: u64, options: LogOptions) -> (Simulation, EventLog) {
    let machine = Simulation::new(seed);
    machine.clock.set(1_000_000);
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), options).unwrap();
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    for number in 0..8 {
        machine.clock.advance(1_000);
        let mut append = append(vec![part("s", 0, &[&value(number)])]);
        append.principal = if number % 2 == 0 { "alice" } else { "bob" }.to_owned();
        log.append_blocking(append).unwrap();
    }
    let producer = Producer {
        id: 7,
        epoch: 0,
        base_sequence: 0,
    };
    let event = Event {
        value: Some("taken back".into()),
        ..Event::default()
    };
    for batch in [
        Batch::encode_transactional(&[event], Compression::None, producer),
        Batch::encode_marker(Marker::Aborted, 7, 0, 0),
    ] {
        let stream = "s".to_owned();
        let part = Part {
            stream,
            partition: 1,
            batch,
        };
        log.append_blocking(append(vec![part])).unwrap();
    }
    (machine, log)
}

pub fn value(number: usize) -> String {
    format!("{number}:{}", "x".repeat(1_000))
}

pub fn verified(machine: &Simulation) -> Verified {
    let before = machine.disk.operations();
    let verified = verify(&machine.host(), Path::new(DIR), |_| {}).unwrap().unwrap();
    assert_eq!(machine.disk.operations(), before, "a verification changes nothing");
    verified
}

pub fn mend(machine: &Simulation) -> Vec<PathBuf> {
    let options = small();
    let repaired = repair(&machine.host(), Path::new(DIR), Path::new(SIDE), &options, |_| {});
    repaired.unwrap().unwrap().copies
}

/// What partition 0 holds: offset, value, principal, append time; what is lost has no value.
pub fn read(machine: &Simulation) -> Vec<(u64, Option<String>, String, i64)> {
    let (log, recovery) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    let mut read = Vec::new();
    let mut at = 0;
    loop {
        let batches: Vec<StoredBatch> = log.read("s", 0, at, 1 << 20).unwrap();
        if batches.is_empty() {
            assert_eq!(at, log.offsets("s", 0).unwrap().end);
            return read;
        }
        for stored in batches {
            assert_eq!(stored.batch.base_offset(), at, "offsets are dense");
            let value = match stored.batch.is_control() {
                true => None,
                false => {
                    let (_, event) = stored.batch.events().unwrap().remove(0);
                    Some(String::from_utf8(event.value.unwrap().to_vec()).unwrap())
                }
            };
            for offset in at..stored.batch.next_offset() {
                read.push((
                    offset,
                    value.clone(),
                    stored.principal.to_string(),
                    stored.appended_at_us,
                ));
            }
            at = stored.batch.next_offset();
        }
    }
}

/// What partition 0 is without these offsets.
pub fn expected(lost: &[u64]) -> Vec<Option<String>> {
    (0..8)
        .map(|number| (!lost.contains(&number)).then(|| value(number as usize)))
        .collect()
}

/// Damages a log, which is named in these words, losing these offsets of partition 0; a repair goes on without them, and keeps copies of what it changed.
pub fn check(seed: u64, damage: impl Fn(&Simulation), words: &[&str], lost: &[u64]) {
    let machine = filled(seed);
    assert_eq!(verified(&machine).damage, [], "whole before");
    damage(&machine);
    let found = verified(&machine);
    let said: Vec<String> = found.damage.iter().map(ToString::to_string).collect();
    let said = said.join("\n");
    assert!(!said.is_empty(), "the damage is not found");
    for word in words {
        assert!(said.contains(word), "{word} is not in:\n{said}");
    }
    let loses = found.damage.iter().any(|damage| damage.lost.contains("offsets"));
    assert_eq!(loses, !lost.is_empty(), "{said}");
    let copies = mend(&machine);
    assert!(copies.iter().all(|copy| copy.starts_with(SIDE)), "{copies:?}");
    assert_eq!(verified(&machine).damage, [], "whole again");
    let read = read(&machine);
    let values: Vec<Option<String>> = read.iter().map(|(_, value, ..)| value.clone()).collect();
    assert_eq!(values, expected(lost));
    // Append times never go back, and the log goes on where it was.
    assert!(read.is_sorted_by_key(|(.., at)| *at));
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    let next = log.append_blocking(append(vec![part("s", 0, &["next"])])).unwrap();
    assert_eq!(next.base_offsets, [8]);
    assert_eq!(
        log.aborted("s", 1, 0, 2).unwrap().len(),
        1,
        "what was taken back is known"
    );
}

/// The file of partition 0's second segment with this ending: it holds offsets 3 to 5.
pub fn file(machine: &Simulation, partition: u32, number: usize, ending: &str) -> PathBuf {
    let streams = machine.disk.list(&Path::new(DIR).join("streams")).unwrap();
    let files = machine.disk.list(&streams[0].join(partition.to_string())).unwrap();
    let mut files = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == ending));
    files.nth(number).unwrap()
}

/// Changes one byte of a file.
pub fn spoil(machine: &Simulation, path: &Path, at: u64) {
    let file = machine.disk.open(path, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
    file.sync_data().unwrap();
}

pub fn cut(machine: &Simulation, path: &Path, length: u64) {
    let file = machine.disk.open(path, OpenMode::ReadWrite).unwrap();
    file.set_len(length).unwrap();
    file.sync_data().unwrap();
}

pub fn remove(machine: &Simulation, path: &Path) {
    machine.disk.remove_file(path).unwrap();
}

/// The first place of some bytes in a file.
pub fn find(machine: &Simulation, path: &Path, wanted: &[u8]) -> u64 {
    let file = machine.disk.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap() as u64
}
