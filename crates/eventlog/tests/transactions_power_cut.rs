//! Transactions on a disk that loses power at every operation: each one counts whole or not at all, in all partitions, and what was answered is so.
//!
//! The checker is itself checked: given what stands in the log instead of what counts, it must find transactions that are not whole.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_eventlog::{Append, EventLog, LogOptions, Part, StreamSettings};
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Event, Marker, Producer};

const PARTITIONS: u32 = 3;
const ROUNDS: u64 = 14;
const WRITERS: i64 = 3;

fn options() -> LogOptions {
    LogOptions {
        batch_bytes_max: 4096,
        journal_bytes: 32 * 1024,
        segment_bytes: 1024,
        ..LogOptions::default()
    }
}

/// A small generator, so that a seed gives the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// One transaction: what it wrote that was answered, and how its end was answered.
#[derive(Default)]
struct Transaction {
    answered: Vec<(u32, String)>,
    asked: Vec<(u32, String)>,
    /// How it was to end, once that was asked for, and whether that was answered.
    end: Option<(Marker, bool)>,
}

fn append(parts: Vec<Part>) -> Append {
    Append {
        parts,
        principal: "writer".to_owned(),
        condition: None,
    }
}

fn open(machine: &Simulation) -> Result<EventLog, String> {
    let (log, recovery) =
        EventLog::open(machine.host(), Path::new("/data"), options()).map_err(|error| error.to_string())?;
    match recovery.damage.is_empty() {
        true => Ok(log),
        false => Err(format!("damage: {:?}", recovery.damage)),
    }
}

/// Three writers, each with one transaction after another, until all is done or the power is gone.
fn run(machine: &Simulation, seed: u64) -> Vec<Transaction> {
    let mut transactions: Vec<Transaction> = Vec::new();
    let Ok(log) = open(machine) else {
        return transactions;
    };
    for (name, partitions) in [("s", PARTITIONS), ("ends", 1)] {
        if log.create_stream(name, partitions, StreamSettings::default()).is_err() {
            return transactions;
        }
    }
    let mut random = Random(seed);
    let mut sequences: BTreeMap<(i64, u32), i32> = BTreeMap::new();
    // For each writer the number of its open transaction.
    let mut open: BTreeMap<i64, usize> = BTreeMap::new();
    for _ in 0..ROUNDS * WRITERS as u64 {
        let writer = random.below(WRITERS as u64) as i64;
        let number = *open.entry(writer).or_insert_with(|| {
            transactions.push(Transaction::default());
            transactions.len() - 1
        });
        let transaction = &mut transactions[number];
        if random.below(3) > 0 || transaction.answered.is_empty() {
            let partition = random.below(u64::from(PARTITIONS)) as u32;
            let value = format!(
                "{number}/{}/{}",
                transaction.asked.len(),
                "x".repeat(random.below(200) as usize)
            );
            let sequence = sequences.entry((writer, partition)).or_default();
            let written = log.append_blocking(append(vec![event(writer, partition, *sequence, &value)]));
            *sequence += 1;
            transaction.asked.push((partition, value.clone()));
            if written.is_err() {
                break;
            }
            transaction.answered.push((partition, value));
        } else {
            let marker = if random.below(2) == 0 {
                Marker::Committed
            } else {
                Marker::Aborted
            };
            transaction.end = Some((marker, false));
            if log
                .append_blocking(append(ending(writer, number, transaction, marker)))
                .is_err()
            {
                break;
            }
            transaction.end = Some((marker, true));
            open.remove(&writer);
        }
        if machine.disk.is_off() {
            break;
        }
    }
    if seed.is_multiple_of(2) {
        log.close();
    }
    transactions
}

fn event(writer: i64, partition: u32, base_sequence: i32, value: &str) -> Part {
    let event = Event {
        value: Some(value.to_owned().into()),
        ..Event::default()
    };
    let producer = Producer {
        id: writer,
        epoch: 0,
        base_sequence,
    };
    Part {
        stream: "s".to_owned(),
        partition,
        batch: Batch::encode_transactional(&[event], Compression::None, producer),
    }
}

/// A marker in every partition written to, and beside them an event that says the same.
fn ending(writer: i64, number: usize, transaction: &Transaction, marker: Marker) -> Vec<Part> {
    let said = Event {
        value: Some(format!("{number} {marker:?}").into()),
        ..Event::default()
    };
    let mut parts = vec![Part {
        stream: "ends".to_owned(),
        partition: 0,
        batch: Batch::encode(&[said], Compression::None, None),
    }];
    let mut partitions: Vec<u32> = transaction.answered.iter().map(|(partition, _)| *partition).collect();
    partitions.sort_unstable();
    partitions.dedup();
    for partition in partitions {
        parts.push(Part {
            stream: "s".to_owned(),
            partition,
            batch: Batch::encode_marker(marker, writer, 0, 0),
        });
    }
    parts
}

/// Every value of a partition: those that count, or all that stand there.
fn values(log: &EventLog, stream: &str, partition: u32, all: bool) -> Result<Vec<String>, String> {
    let mut found: Vec<String> = Vec::new();
    let mut at = 0;
    loop {
        let batches = match all {
            false => log.read(stream, partition, at, 500),
            true => log.read_stored(stream, partition, at, u64::MAX, 500),
        };
        let batches = batches.map_err(|error| error.to_string())?;
        let Some(last) = batches.last() else {
            return Ok(found);
        };
        at = last.batch.next_offset();
        for stored in &batches {
            for (_, event) in stored.batch.events().map_err(|error| error.to_string())? {
                found.push(String::from_utf8_lossy(&event.value.unwrap_or_default()).into_owned());
            }
        }
    }
}

/// What counts, held against what was asked and answered. `all` plants a mistake: what stands there is taken for what counts.
fn check(log: &EventLog, transactions: &[Transaction], all: bool) -> Result<(), String> {
    if log.stream("ends").is_none() {
        return match transactions.is_empty() {
            true => Ok(()),
            false => Err("the streams are gone".to_owned()),
        };
    }
    let ends = values(log, "ends", 0, false)?;
    let mut counts: Vec<(u32, String)> = Vec::new();
    for partition in 0..PARTITIONS {
        let values = values(log, "s", partition, all)?;
        counts.extend(values.into_iter().map(|value| (partition, value)));
        let offsets = log.offsets("s", partition).ok_or("no offsets")?;
        if offsets.stable > offsets.high_watermark {
            return Err(format!("stable above the high watermark: {offsets:?}"));
        }
    }
    for (number, transaction) in transactions.iter().enumerate() {
        let said = |marker: Marker| ends.contains(&format!("{number} {marker:?}"));
        let (committed, aborted) = (said(Marker::Committed), said(Marker::Aborted));
        if let Some((marker, true)) = transaction.end
            && !said(marker)
        {
            return Err(format!("the end of transaction {number} was answered and is lost"));
        }
        if transaction.end.is_none() && (committed || aborted) {
            return Err(format!("transaction {number} ended, and nobody asked for it"));
        }
        for (partition, value) in &transaction.asked {
            let count = counts
                .iter()
                .filter(|(at, found)| at == partition && found == value)
                .count();
            // An open transaction may hold back a decided one in its partitions, never show half of it.
            let undecided_before = !committed;
            if count > 1 || (count == 1 && undecided_before) {
                return Err(format!(
                    "{value} counts {count} times in partition {partition}, committed: {committed}"
                ));
            }
        }
    }
    Ok(())
}

/// Ends what is open, after which everything committed must be there.
fn settle(log: &EventLog, transactions: &[Transaction]) -> Result<(), String> {
    if log.stream("ends").is_none() {
        return Ok(());
    }
    for partition in 0..PARTITIONS {
        let Some(producers) = log.producers("s", partition) else {
            return Ok(());
        };
        for producer in producers.into_iter().filter(|producer| producer.open_since.is_some()) {
            let marker = Part {
                stream: "s".to_owned(),
                partition,
                batch: Batch::encode_marker(Marker::Aborted, producer.id, 1, 0),
            };
            log.append_blocking(append(vec![marker]))
                .map_err(|error| error.to_string())?;
        }
        let offsets = log.offsets("s", partition).ok_or("no offsets")?;
        if offsets.stable != offsets.end {
            return Err(format!("after all ended: {offsets:?}"));
        }
    }
    let ends = values(log, "ends", 0, false)?;
    for (number, transaction) in transactions.iter().enumerate() {
        let committed = ends.contains(&format!("{number} {:?}", Marker::Committed));
        for (partition, value) in &transaction.answered {
            let counts = values(log, "s", *partition, false)?.contains(value);
            if counts != committed {
                return Err(format!(
                    "{value} counts: {counts}, its transaction was committed: {committed}"
                ));
            }
        }
    }
    Ok(())
}

/// One run with the power cut at operation `cut`; `Ok(false)` when the run ended before it.
fn cut_at(seed: u64, cut: u64, all: bool) -> Result<bool, String> {
    let machine = Simulation::new(seed.wrapping_mul(1_000_003).wrapping_add(cut));
    machine.clock.set(1_700_000_000_000_000);
    machine.disk.cut_power_at(cut);
    let transactions = run(&machine, seed);
    let was_cut = machine.disk.is_off();
    machine.disk.restart();
    let log = open(&machine)?;
    check(&log, &transactions, all)?;
    settle(&log, &transactions)?;
    drop(log);
    machine.disk.cut_power();
    machine.disk.restart();
    let log = open(&machine)?;
    check(&log, &transactions, all)?;
    settle(&log, &transactions)?;
    Ok(was_cut)
}

#[test]
fn every_transaction_is_whole_wherever_the_power_is_cut() {
    let mut cuts = 0;
    for seed in 1..=4 {
        for cut in 1.. {
            match cut_at(seed, cut, false) {
                Ok(true) => cuts += 1,
                Ok(false) => break,
                Err(what) => panic!("seed {seed}, cut at operation {cut}: {what}"),
            }
        }
    }
    assert!(cuts > 200, "only {cuts} operations were cut");
}

#[test]
fn the_checker_finds_transactions_that_are_not_whole() {
    let mut found = 0;
    for cut in (30..120).step_by(10) {
        found += usize::from(cut_at(1, cut, true).is_err());
    }
    assert!(found >= 5, "half transactions were found in {found} of 9 runs");
}
