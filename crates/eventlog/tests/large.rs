//! Large batches, which are written from where they stand in memory, among small ones: they are kept through power cuts at every operation, and what
//! stands between them on the disk is never taken for damage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_eventlog::{Append, EventLog, LogOptions, Part, StreamSettings, verify};
use headwater_host::OpenMode;
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Event};

const PARTITIONS: u32 = 2;

/// The bytes of the values that are appended one after another.
const SIZES: [usize; 14] = [
    10, 70_000, 90_001, 300, 65_536, 5_000, 20, 130_000, 64_000, 70_000, 1, 200_000, 66_000, 4_096,
];

fn options() -> LogOptions {
    LogOptions {
        batch_bytes_max: 256 * 1024,
        journal_bytes: 512 * 1024,
        segment_bytes: 300 * 1024,
        ..LogOptions::default()
    }
}

/// What the append of this number holds.
fn value(number: usize) -> Vec<u8> {
    (0..SIZES[number]).map(|at| (at * 31 + number * 7 + 1) as u8).collect()
}

fn open(machine: &Simulation) -> Option<EventLog> {
    let (log, recovery) = EventLog::open(machine.host(), Path::new("/data"), options()).ok()?;
    assert!(recovery.damage.is_empty(), "{:?}", recovery.damage);
    Some(log)
}

/// Appends everything, or until the power is gone; gives the numbers that were acknowledged, by partition.
fn run(machine: &Simulation) -> BTreeMap<u32, Vec<usize>> {
    let mut acknowledged: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let Some(log) = open(machine) else { return acknowledged };
    if log.create_stream("s", PARTITIONS, StreamSettings::default()).is_err() {
        return acknowledged;
    }
    for number in 0..SIZES.len() {
        let partition = (number % 3 / 2) as u32;
        let event = Event {
            key: Some(number.to_string().into()),
            value: Some(value(number).into()),
            ..Event::default()
        };
        let part = Part {
            stream: "s".to_owned(),
            partition,
            batch: Batch::encode(&[event], Compression::None, None),
        };
        let append = Append {
            parts: vec![part],
            principal: "ann".to_owned(),
            condition: None,
        };
        if log.append_blocking(append).is_err() {
            return acknowledged;
        }
        acknowledged.entry(partition).or_default().push(number);
    }
    log.close();
    acknowledged
}

/// The numbers that a partition holds, every value being what was appended.
fn held(log: &EventLog, partition: u32) -> Vec<usize> {
    let mut numbers: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Ok(batches) = log.read("s", partition, at, 1 << 20) {
        let Some(last) = batches.last() else { break };
        at = last.batch.next_offset();
        for stored in &batches {
            for (_, event) in stored.batch.events().unwrap() {
                let key = event.key.unwrap();
                let number: usize = std::str::from_utf8(&key).unwrap().parse().unwrap();
                assert!(event.value.unwrap() == value(number), "number {number}");
                numbers.push(number);
            }
        }
    }
    numbers
}

/// Cuts the power at one operation, and looks at what is there after it: through the log, and with nobody's help.
fn check(cut_at: Option<u64>) -> u64 {
    let machine = Simulation::new(cut_at.unwrap_or(0) + 1);
    if let Some(operation) = cut_at {
        machine.disk.cut_power_at(operation);
    }
    let acknowledged = run(&machine);
    let operations = machine.disk.operations();
    machine.disk.cut_power();
    machine.disk.restart();
    // What the journal writes into segments at the next start may stand there already.
    if let Some(verified) = verify(&machine.host(), Path::new("/data"), |_| {}).unwrap() {
        assert!(verified.strange.is_empty(), "cut at {cut_at:?}: {:?}", verified.strange);
    }
    let log = open(&machine).unwrap();
    for (partition, numbers) in &acknowledged {
        let held = held(&log, *partition);
        assert!(held.starts_with(numbers), "cut at {cut_at:?}: {held:?} of {numbers:?}");
        assert!(
            held.len() <= numbers.len() + 1,
            "cut at {cut_at:?}: {held:?} of {numbers:?}"
        );
    }
    log.close();
    drop(log);
    let verified = verify(&machine.host(), Path::new("/data"), |_| {}).unwrap().unwrap();
    assert!(verified.damage.is_empty(), "cut at {cut_at:?}: {:?}", verified.damage);
    operations
}

#[test]
fn large_batches_among_small_ones_outlive_power_cuts() {
    let operations = check(None);
    assert!(operations > 50, "{operations}");
    for operation in (1..operations).step_by(2) {
        check(Some(operation));
    }
}

/// The segments' files below a folder of the machine, with what is in them.
fn segments(machine: &Simulation, folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let disk = machine.host().disk;
    let mut found: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for path in disk.list(folder).unwrap() {
        if path.extension().is_some_and(|extension| extension == "batches") {
            let file = disk.open(&path, OpenMode::Read).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            found.push((path, bytes));
        } else if path.extension().is_none() {
            found.extend(segments(machine, &path));
        }
    }
    found
}

#[test]
fn zeros_in_the_place_of_a_small_batch_are_no_filler() {
    let machine = Simulation::new(1);
    run(&machine);
    let log = open(&machine).unwrap();
    let mut small: Vec<Batch> = Vec::new();
    for partition in 0..PARTITIONS {
        let stored = log.read_stored("s", partition, 0, u64::MAX, usize::MAX).unwrap();
        let batches = stored.into_iter().map(|stored| stored.batch);
        small.extend(batches.filter(|batch| batch.bytes().len() < 4_000));
    }
    log.close();
    drop(log);
    assert!(small.len() > 3);
    let damage = || {
        let verified = verify(&machine.host(), Path::new("/data"), |_| {}).unwrap().unwrap();
        verified.damage.len()
    };
    assert_eq!(damage(), 0);
    for batch in &small {
        let stands = |(path, bytes): (PathBuf, Vec<u8>)| {
            let found = bytes
                .windows(batch.bytes().len())
                .position(|window| window == batch.bytes());
            found.map(|at| (path, at as u64))
        };
        let segments = segments(&machine, Path::new("/data/streams"));
        let (path, at) = segments.into_iter().find_map(stands).unwrap();
        let file = machine.host().disk.open(&path, OpenMode::ReadWrite).unwrap();
        file.write_all_at(&vec![0; batch.bytes().len()], at).unwrap();
        assert!(damage() > 0, "byte {at} of {}", path.display());
        file.write_all_at(batch.bytes(), at).unwrap();
        assert_eq!(damage(), 0);
    }
}

#[test]
fn what_ends_a_block_and_what_begins_a_batch_may_stand_one_behind_the_other() {
    let machine = Simulation::new(1);
    // They stay in memory, so that each stands at another place within a block.
    let mut appended: Vec<Batch> = Vec::new();
    for number in 0..40 {
        let log = open(&machine).unwrap();
        if number == 0 {
            log.create_stream("s", 1, StreamSettings::default()).unwrap();
        }
        let event = Event {
            value: Some(vec![1; 70_000 + 97 * number].into()),
            ..Event::default()
        };
        let batch = Batch::encode(&[event], Compression::None, None);
        appended.push(batch.clone());
        let part = Part {
            stream: "s".to_owned(),
            partition: 0,
            batch,
        };
        let append = Append {
            parts: vec![part],
            principal: "ann".to_owned(),
            condition: None,
        };
        log.append_blocking(append).unwrap();
        // What is written to the segments now ends with its block.
        log.close();
    }
    let segments = segments(&machine, Path::new("/data/streams"));
    let block_of_zeros =
        |(_, bytes): &(PathBuf, Vec<u8>)| bytes.windows(4_096).any(|window| window.iter().all(|byte| *byte == 0));
    assert!(
        segments.iter().any(block_of_zeros),
        "no batch stands behind a block of filler"
    );
    let verified = verify(&machine.host(), Path::new("/data"), |_| {}).unwrap().unwrap();
    assert!(verified.damage.is_empty(), "{:?}", verified.damage);
}
