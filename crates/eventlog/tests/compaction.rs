//! Compaction against a naive model: whatever is written, taken back, deleted, closed and cut off, a key's newest value stays, nothing is
//! invented, and what is superseded goes in the end.
//!
//! The checker is itself checked: it must find what was deleted behind its back.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_eventlog::{Append, EventLog, LogOptions, Part, StreamSettings};
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Event, Marker, Producer};

const STEPS: u64 = 70;
const WRITER: i64 = 7;

fn options() -> LogOptions {
    LogOptions {
        batch_bytes_max: 4096,
        journal_bytes: 48 * 1024,
        segment_bytes: 1024,
        pending_bytes_max: 64 * 1024,
        tend_every: std::time::Duration::from_secs(3600),
        // So few that most rounds take several passes.
        compaction_keys_max: 4,
        ..LogOptions::default()
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Counts,
    Open,
    TakenBack,
}

/// One offset as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    key: Option<String>,
    value: Option<String>,
    fate: Fate,
    in_transaction: bool,
    is_marker: bool,
}

/// Everything that was asked of one partition.
#[derive(Default)]
struct Model {
    written: Vec<Written>,
    /// How many offsets were acknowledged.
    acknowledged: u64,
    start: u64,
    /// Offsets below were asked to be deleted, without an answer.
    start_maybe: u64,
    sequence: i32,
    /// Whether events without a key may come: not once the stream is compacted.
    keyless: bool,
    /// How many segments compaction wrote.
    compacted: u64,
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

fn open(machine: &Simulation) -> Result<EventLog, String> {
    let opened = EventLog::open(machine.host(), Path::new("/data"), options());
    let (log, recovery) = opened.map_err(|error| error.to_string())?;
    match recovery.damage.is_empty() {
        true => Ok(log),
        false => Err(format!("damage: {:?}", recovery.damage)),
    }
}

fn settings(seed: u64) -> StreamSettings {
    let lag = (seed % 3 * 1_500).to_string();
    StreamSettings::of_pairs([
        ("cleanup", "compact"),
        ("dirty_ratio_min", "0"),
        ("tombstone_ms", "2000"),
        ("segment_ms", "1000"),
        ("compaction_lag_ms_min", &lag),
    ])
    .unwrap()
}

fn put(log: &EventLog, batch: Batch) -> Result<u64, String> {
    let append = Append {
        parts: vec![Part {
            stream: "s".to_owned(),
            partition: 0,
            batch,
        }],
        principal: "alice".to_owned(),
        condition: None,
    };
    let appended = log.append_blocking(append).map_err(|error| error.to_string())?;
    Ok(appended.base_offsets[0])
}

impl Model {
    fn events(&mut self, random: &mut Random, fate: Fate) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for _ in 0..1 + random.below(3) {
            let key = (!self.keyless || random.below(3) > 0).then(|| format!("k{}", random.below(6)));
            let value = (random.below(7) > 0)
                .then(|| format!("{}/{}", self.written.len(), "x".repeat(random.below(150) as usize)));
            events.push(Event {
                key: key.clone().map(Into::into),
                value: value.clone().map(Into::into),
                headers: Vec::new(),
                timestamp_ms: 1_000,
            });
            self.written.push(Written {
                key,
                value,
                fate,
                in_transaction: fate == Fate::Open,
                is_marker: false,
            });
        }
        events
    }

    fn is_open(&self) -> bool {
        self.written.iter().any(|written| written.fate == Fate::Open)
    }

    fn append(&mut self, log: &EventLog, random: &mut Random) -> Result<(), String> {
        let compression = [Compression::None, Compression::Zstd, Compression::Lz4][random.below(3) as usize];
        let base = self.written.len() as u64;
        let events = self.events(random, Fate::Counts);
        let found = put(log, Batch::encode(&events, compression, None))?;
        assert_eq!(found, base);
        self.acknowledged = self.written.len() as u64;
        Ok(())
    }

    fn transact(&mut self, log: &EventLog, random: &mut Random) -> Result<(), String> {
        let base_sequence = self.sequence;
        if !self.is_open() || random.below(2) == 0 {
            let events = self.events(random, Fate::Open);
            self.sequence += events.len() as i32;
            let producer = Producer {
                id: WRITER,
                epoch: 0,
                base_sequence,
            };
            put(log, Batch::encode_transactional(&events, Compression::None, producer))?;
            self.acknowledged = self.written.len() as u64;
            return Ok(());
        }
        let marker = [Marker::Committed, Marker::Aborted][random.below(2) as usize];
        self.end(log, marker)
    }

    fn end(&mut self, log: &EventLog, marker: Marker) -> Result<(), String> {
        let fate = if marker == Marker::Committed {
            Fate::Counts
        } else {
            Fate::TakenBack
        };
        for written in self.written.iter_mut().filter(|written| written.fate == Fate::Open) {
            written.fate = fate;
        }
        self.written.push(Written {
            key: None,
            value: None,
            fate,
            in_transaction: true,
            is_marker: true,
        });
        put(log, Batch::encode_marker(marker, WRITER, 0, 1_000))?;
        self.acknowledged = self.written.len() as u64;
        Ok(())
    }

    /// Forgets what the log did not take before the power went; answers nothing had.
    fn forget_beyond(&mut self, end: u64) {
        let lost_marker = self.written.get(end as usize).is_some_and(|written| written.is_marker);
        self.written.truncate(end as usize);
        if lost_marker {
            // The transaction that it would have ended is open again: from its first event after the last marker on.
            let last = self.written.iter().rposition(|written| written.is_marker);
            let from = last.map_or(0, |last| last + 1);
            for written in self.written[from..].iter_mut().filter(|written| written.in_transaction) {
                written.fate = Fate::Open;
            }
        }
    }
}

/// What a reader of what counts sees, by offset.
fn read_all(log: &EventLog, start: u64) -> Result<BTreeMap<u64, Event>, String> {
    let mut all: BTreeMap<u64, Event> = BTreeMap::new();
    let mut at = start;
    loop {
        let batches = log.read("s", 0, at, 900).map_err(|error| error.to_string())?;
        let Some(last) = batches.last() else { return Ok(all) };
        for stored in &batches {
            if stored.principal.as_ref() != "alice" {
                return Err(format!("{} wrote at {at}", stored.principal));
            }
            for (offset, event) in stored.batch.events().map_err(|error| error.to_string())? {
                if offset >= at && all.insert(offset, event).is_some() {
                    return Err(format!("offset {offset} came twice"));
                }
            }
        }
        at = last.batch.next_offset();
    }
}

/// Compares what is there with what was written.
fn check(log: &EventLog, model: &Model) -> Result<(), String> {
    let offsets = log.offsets("s", 0).ok_or("no offsets")?;
    if offsets.end != model.written.len() as u64 || offsets.high_watermark != offsets.end {
        return Err(format!("{offsets:?}, {} offsets written", model.written.len()));
    }
    if offsets.end < model.acknowledged {
        return Err(format!("{offsets:?}, {} offsets were acknowledged", model.acknowledged));
    }
    if offsets.start != model.start && offsets.start != model.start_maybe {
        return Err(format!("{offsets:?}, it should start at {}", model.start));
    }
    let all = read_all(log, offsets.start)?;
    let text = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    for (offset, event) in &all {
        let written = &model.written[*offset as usize];
        if written.fate != Fate::Counts || written.key != text(&event.key) || written.value != text(&event.value) {
            return Err(format!("offset {offset} reads {event:?}, written was {written:?}"));
        }
    }
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for (offset, written) in model.written.iter().enumerate() {
        let counts = written.fate == Fate::Counts && !written.is_marker && (offset as u64) < offsets.stable;
        match &written.key {
            Some(key) if counts => {
                newest.insert(key, offset as u64);
            }
            None if counts && offset as u64 >= offsets.start && !all.contains_key(&(offset as u64)) => {
                return Err(format!("offset {offset} without a key is lost"));
            }
            _ => {}
        }
    }
    for (key, offset) in newest {
        if offset < offsets.start || all.contains_key(&offset) {
            continue;
        }
        let older = all
            .iter()
            .find(|(_, event)| event.key.as_deref() == Some(key.as_bytes()));
        if model.written[offset as usize].value.is_some() || older.is_some() {
            return Err(format!(
                "the newest event of {key}, at {offset}, is lost; there is {older:?}"
            ));
        }
    }
    for offset in offsets.start..offsets.end {
        let batches = log
            .read_stored("s", 0, offset, u64::MAX, 1)
            .map_err(|error| error.to_string())?;
        if batches
            .first()
            .is_none_or(|stored| stored.batch.next_offset() <= offset)
        {
            return Err(format!("reading from {offset} leads to {batches:?}"));
        }
    }
    Ok(())
}

/// Writes, takes back, deletes, compacts and opens anew until all is done or the power is gone.
fn run(machine: &Simulation, seed: u64, model: &mut Model) -> Result<(), String> {
    let mut log = open(machine)?;
    log.create_stream("s", 1, StreamSettings::default())
        .map_err(|error| error.to_string())?;
    let mut random = Random(seed);
    model.keyless = true;
    for _ in 0..5 {
        model.append(&log, &mut random)?;
    }
    model.keyless = false;
    let altered = log.alter_stream("s", |there| {
        *there = settings(seed);
        Ok(())
    });
    altered.map_err(|error| error.to_string())?;
    let refused = put(&log, Batch::encode(&[Event::default()], Compression::None, None));
    assert!(refused.is_err(), "{refused:?}");
    for _ in 0..STEPS {
        machine.clock.advance(random.below(400_000) as i64);
        match random.below(100) {
            0..60 => model.append(&log, &mut random)?,
            60..75 => model.transact(&log, &mut random)?,
            75..90 => {
                machine.clock.advance(random.below(3_000_000) as i64);
                model.compacted += log.tend().segments_compacted;
            }
            90..95 => {
                let before = random.below(model.written.len() as u64 + 1);
                model.start_maybe = model.start.max(before);
                model.start = log.delete_records("s", 0, before).map_err(|error| error.to_string())?;
                model.start_maybe = model.start;
            }
            number => {
                if number % 2 == 0 {
                    log.close();
                }
                drop(log);
                log = open(machine)?;
            }
        }
        if machine.disk.is_off() {
            return Err("the power is gone".to_owned());
        }
        check(&log, model)?;
    }
    if seed.is_multiple_of(2) {
        log.close();
    }
    Ok(())
}

fn machine(seed: u64) -> Simulation {
    let machine = Simulation::new(seed);
    machine.clock.set(1_700_000_000_000_000);
    machine
}

#[test]
fn what_is_superseded_goes_and_nothing_else() {
    for seed in 1..=30 {
        let machine = machine(seed);
        let mut model = Model::default();
        run(&machine, seed, &mut model).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        let log = open(&machine).unwrap();
        if model.is_open() {
            model.end(&log, Marker::Aborted).unwrap();
        }
        for _ in 0..4 {
            machine.clock.advance(3_600_000_000);
            model.compacted += log.tend().segments_compacted;
            check(&log, &model).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        }
        let all = read_all(&log, model.start).unwrap();
        let last = log
            .read_stored("s", 0, model.written.len() as u64 - 1, u64::MAX, 1)
            .unwrap();
        let whole_from = last[0].batch.base_offset();
        let mut keys: Vec<Option<bytes::Bytes>> = Vec::new();
        for (_, event) in all.range(..whole_from) {
            keys.push(event.key.clone());
        }
        let there = keys.iter().flatten().count();
        keys.sort();
        keys.dedup();
        assert_eq!(
            there,
            keys.iter().flatten().count(),
            "seed {seed}: a key is there twice"
        );
        assert!(model.compacted > 0, "seed {seed}: nothing was compacted");
    }
}

/// Opens what a cut left, compacts, cuts again and opens again.
fn recover(machine: &Simulation, model: &mut Model) -> Result<(), String> {
    for round in 0..2 {
        let log = open(machine)?;
        let Some(offsets) = log.offsets("s", 0) else { break };
        if round == 0 {
            model.forget_beyond(offsets.end);
        }
        check(&log, model)?;
        (model.start, model.start_maybe) = (offsets.start, offsets.start);
        machine.clock.advance(5_000_000);
        log.tend();
        log.tend();
        check(&log, model)?;
        drop(log);
        machine.disk.cut_power();
        machine.disk.restart();
    }
    Ok(())
}

#[test]
fn the_newest_value_stays_wherever_the_power_is_cut() {
    let mut cuts = 0;
    for seed in 1..=6_u64 {
        for cut in (seed..).step_by(13) {
            let machine = machine(seed.wrapping_mul(1_000_003).wrapping_add(cut));
            machine.disk.cut_power_at(cut);
            let mut model = Model::default();
            let outcome = run(&machine, seed, &mut model);
            if !machine.disk.is_off() {
                outcome.unwrap_or_else(|what| panic!("seed {seed}: {what}"));
                break;
            }
            cuts += 1;
            machine.disk.restart();
            recover(&machine, &mut model).unwrap_or_else(|what| panic!("seed {seed}, cut at operation {cut}: {what}"));
        }
    }
    assert!(cuts > 100, "only {cuts} operations were cut");
}

#[test]
fn the_checker_finds_what_was_deleted_behind_its_back() {
    let machine = machine(1);
    let mut model = Model::default();
    run(&machine, 1, &mut model).unwrap();
    let log = open(&machine).unwrap();
    check(&log, &model).unwrap();
    let end = model.written.len() as u64;
    log.delete_records("s", 0, end).unwrap();
    model.start = end;
    check(&log, &model).unwrap();
    model.start = 0;
    model.start_maybe = 0;
    assert!(check(&log, &model).is_err());
}
