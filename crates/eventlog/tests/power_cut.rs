//! The power is cut at every operation of a short run, also while recovering; nothing acknowledged is lost and nothing is invented.
//!
//! The checker is itself checked: on a disk whose flushes lie it must find a loss.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use headwater_eventlog::{Append, AppendOutcome, Appended, EventLog, LogOptions, Part, StreamSettings};
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Event, Producer};

const APPENDS: u64 = 45;
const STREAMS: [(&str, u32); 2] = [("a", 3), ("b", 2)];

/// Small files, so that a short run goes round them several times.
fn options() -> LogOptions {
    LogOptions {
        batch_bytes_max: 4096,
        journal_bytes: 48 * 1024,
        segment_bytes: 1024,
        pending_bytes_max: 64 * 1024,
    }
}

/// What was asked of the log, and what it answered.
#[derive(Default)]
struct Asked {
    appends: Vec<Asking>,
    streams: Vec<&'static str>,
    producer_id: Option<i64>,
    /// The next sequence of the idempotent producer in each partition.
    sequences: HashMap<(&'static str, u32), i32>,
}

struct Asking {
    /// Stream, partition, values.
    parts: Vec<(&'static str, u32, Vec<String>)>,
    producers: Vec<Option<Producer>>,
    principal: String,
    answer: Option<Appended>,
}

impl Asking {
    fn append(&self) -> Append {
        let mut parts: Vec<Part> = Vec::new();
        for ((stream, partition, values), producer) in self.parts.iter().zip(&self.producers) {
            let mut events: Vec<Event> = Vec::new();
            for value in values {
                events.push(Event {
                    value: Some(value.clone().into()),
                    timestamp_ms: 1_000,
                    ..Event::default()
                });
            }
            parts.push(Part {
                stream: stream.to_string(),
                partition: *partition,
                batch: Batch::encode(&events, Compression::None, *producer),
            });
        }
        Append {
            parts,
            principal: self.principal.clone(),
            condition: None,
        }
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn open(machine: &Simulation) -> Result<(EventLog, headwater_eventlog::Recovery), String> {
    EventLog::open(machine.host(), Path::new("/data"), options()).map_err(|error| error.to_string())
}

/// Opens the log; a loss of power is never taken for damage.
fn open_sound(machine: &Simulation) -> Result<EventLog, String> {
    let (log, recovery) = open(machine)?;
    if recovery.damage.is_empty() {
        Ok(log)
    } else {
        Err(format!("damage: {:?}", recovery.damage))
    }
}

/// Asks for streams and appends until all is done or the power is gone.
fn run(machine: &Simulation, seed: u64, asked: &mut Asked) {
    let Ok((log, _)) = open(machine) else { return };
    for (name, partitions) in STREAMS {
        if log.create_stream(name, partitions, StreamSettings::default()).is_err() {
            return;
        }
        asked.streams.push(name);
    }
    asked.producer_id = log.new_producer_id().ok();
    let mut random = Random(seed);
    let runtime = runtime();
    let mut waiting: Vec<(usize, AppendOutcome)> = Vec::new();
    for number in 0..APPENDS {
        machine.clock.advance(random.below(2_000) as i64 - 500);
        let asking = make(number, &mut random, asked);
        let outcome = runtime.block_on(log.submit(asking.append()));
        waiting.push((asked.appends.len(), outcome));
        asked.appends.push(asking);
        // Some share a flush; no more batches are in flight than an idempotent producer may have.
        let in_flight: usize = waiting.iter().map(|(index, _)| asked.appends[*index].parts.len()).sum();
        if in_flight > 2 || random.below(3) == 0 || number + 1 == APPENDS {
            for (index, outcome) in waiting.drain(..) {
                asked.appends[index].answer = runtime.block_on(outcome).ok().and_then(Result::ok);
            }
        }
        if machine.disk.is_off() {
            break;
        }
    }
    for (index, outcome) in waiting {
        asked.appends[index].answer = runtime.block_on(outcome).ok().and_then(Result::ok);
    }
    if seed.is_multiple_of(2) {
        log.close();
    }
}

/// One append: one to three parts, sometimes from an idempotent producer.
fn make(number: u64, random: &mut Random, asked: &mut Asked) -> Asking {
    let idempotent = asked.producer_id.filter(|_| random.below(2) == 0);
    let mut asking = Asking {
        parts: Vec::new(),
        producers: Vec::new(),
        principal: format!("principal-{}", random.below(4)),
        answer: None,
    };
    for part in 0..1 + random.below(3) {
        let (stream, partitions) = STREAMS[random.below(2) as usize];
        let partition = random.below(u64::from(partitions)) as u32;
        let events = 1 + random.below(3);
        let padding = "x".repeat(random.below(300) as usize);
        let values = (0..events)
            .map(|event| format!("{number}/{part}/{event}/{padding}"))
            .collect();
        asking.parts.push((stream, partition, values));
        asking.producers.push(idempotent.map(|id| {
            let sequence = asked.sequences.entry((stream, partition)).or_default();
            let base_sequence = *sequence;
            *sequence += events as i32;
            Producer {
                id,
                epoch: 0,
                base_sequence,
            }
        }));
    }
    asking
}

/// One event as it was read: its value, when it was appended, and by whom.
type Read = (String, i64, String);

fn read_all(log: &EventLog) -> Result<BTreeMap<(&'static str, u32), Vec<Read>>, String> {
    let mut all: BTreeMap<(&'static str, u32), Vec<Read>> = BTreeMap::new();
    for (name, partitions) in STREAMS {
        if log.stream(name).is_none() {
            continue;
        }
        for partition in 0..partitions {
            let events = all.entry((name, partition)).or_default();
            loop {
                let batches = log
                    .read(name, partition, events.len() as u64, 700)
                    .map_err(|error| error.to_string())?;
                if batches.is_empty() {
                    break;
                }
                for stored in batches {
                    for (offset, event) in stored.batch.events().map_err(|error| error.to_string())? {
                        if offset != events.len() as u64 {
                            return Err(format!("{name}/{partition}: offset {offset} follows {}", events.len()));
                        }
                        let value = String::from_utf8_lossy(&event.value.unwrap_or_default()).into_owned();
                        events.push((value, stored.appended_at_us, stored.principal.to_string()));
                    }
                }
            }
            let offsets = log.offsets(name, partition).ok_or("no offsets")?;
            if offsets.high_watermark != events.len() as u64 || offsets.end != offsets.high_watermark {
                return Err(format!("{name}/{partition}: {offsets:?}, {} events read", events.len()));
            }
        }
    }
    Ok(all)
}

/// Compares what is there with what was asked and answered.
fn check(log: &EventLog, asked: &Asked) -> Result<(), String> {
    for name in &asked.streams {
        log.stream(name).ok_or_else(|| format!("stream {name} is lost"))?;
    }
    let all = read_all(log)?;
    // For each append: how many of its events are there, and in each partition their order.
    let mut seen: Vec<usize> = vec![0; asked.appends.len()];
    for ((stream, partition), events) in &all {
        let mut last: Option<(usize, usize, usize)> = None;
        let mut last_at = i64::MIN;
        for (value, at, principal) in events {
            let numbers: Vec<usize> = value
                .splitn(4, '/')
                .take(3)
                .map(|text| text.parse().unwrap_or(usize::MAX))
                .collect();
            let place = (numbers[0], numbers[1], numbers[2]);
            let asking = asked
                .appends
                .get(place.0)
                .ok_or_else(|| format!("{value} was never appended"))?;
            let part = asking
                .parts
                .get(place.1)
                .filter(|part| part.0 == *stream && part.1 == *partition);
            let known = part
                .and_then(|part| part.2.get(place.2))
                .is_some_and(|known| known == value);
            if !known || *principal != asking.principal {
                return Err(format!(
                    "{stream}/{partition} holds {value} by {principal}, which was not appended there"
                ));
            }
            if last.is_some_and(|last| place <= last) {
                return Err(format!("{stream}/{partition}: {place:?} follows {last:?}"));
            }
            if *at < last_at {
                return Err(format!("{stream}/{partition}: the append time goes back at {value}"));
            }
            seen[place.0] += 1;
            (last, last_at) = (Some(place), *at);
        }
    }
    for (number, asking) in asked.appends.iter().enumerate() {
        let events: usize = asking.parts.iter().map(|part| part.2.len()).sum();
        if seen[number] != 0 && seen[number] != events {
            return Err(format!("append {number}: {} of {events} events", seen[number]));
        }
        let Some(answer) = &asking.answer else { continue };
        for ((stream, partition, values), base) in asking.parts.iter().zip(&answer.base_offsets) {
            for (offset, value) in values.iter().enumerate() {
                let found = all
                    .get(&(*stream, *partition))
                    .and_then(|events| events.get(*base as usize + offset));
                if !found.is_some_and(|found| found.0 == *value && found.1 == answer.appended_at_us) {
                    return Err(format!(
                        "append {number} was acknowledged at {stream}/{partition}@{base}; found {found:?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The idempotent producer sends again, in order, whatever was not answered.
fn retry(log: &EventLog, asked: &mut Asked) -> Result<(), String> {
    for index in 0..asked.appends.len() {
        let asking = &asked.appends[index];
        if asking.answer.is_some() || asking.producers.iter().any(Option::is_none) {
            continue;
        }
        let answer = log
            .append_blocking(asking.append())
            .map_err(|error| format!("retry of {index}: {error}"))?;
        asked.appends[index].answer = Some(answer);
    }
    Ok(())
}

/// One run with the power cut at operation `cut`; `Ok(false)` when the run ended before it.
fn cut_at(seed: u64, cut: u64, syncs_lie: bool) -> Result<bool, String> {
    let machine = Simulation::new(seed.wrapping_mul(1_000_003).wrapping_add(cut));
    machine.clock.set(1_700_000_000_000_000);
    machine
        .disk
        .let_flushes_lie(syncs_lie.then_some(|path| path.extension().is_some() || path.starts_with("/data/journal")));
    machine.disk.cut_power_at(cut);
    let mut asked = Asked::default();
    run(&machine, seed, &mut asked);
    let was_cut = machine.disk.is_off();
    machine.disk.restart();
    // Recovery is cut short too, and then runs to its end.
    machine.disk.cut_power_at(machine.disk.operations() + 1 + cut % 23);
    if let Ok((log, recovery)) = open(&machine) {
        drop(log);
        if !recovery.damage.is_empty() {
            return Err(format!("damage: {:?}", recovery.damage));
        }
    }
    machine.disk.restart();
    for round in 0..2 {
        let log = open_sound(&machine)?;
        check(&log, &asked).map_err(|what| format!("round {round}: {what}"))?;
        if round == 0 && asked.streams.len() == STREAMS.len() {
            let id = log.new_producer_id().map_err(|error| error.to_string())?;
            if asked.producer_id.is_some_and(|before| id <= before) {
                return Err(format!("producer id {id} was given out before"));
            }
            // What was not answered comes after what was, so the order of the appends is no longer that of the offsets.
            let unanswered = asked.appends.iter().filter(|asking| asking.answer.is_none()).count();
            retry(&log, &mut asked)?;
            exactly_once(&log, &asked)?;
            drop(log);
            if unanswered > 0 {
                let log = open_sound(&machine)?;
                exactly_once(&log, &asked)?;
                break;
            }
        }
        machine.disk.cut_power();
        machine.disk.restart();
    }
    Ok(was_cut)
}

/// Every event of an answered append is there once.
fn exactly_once(log: &EventLog, asked: &Asked) -> Result<(), String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (value, _, _) in read_all(log)?.into_values().flatten() {
        *counts.entry(value).or_default() += 1;
    }
    for asking in asked.appends.iter().filter(|asking| asking.answer.is_some()) {
        for value in asking.parts.iter().flat_map(|part| &part.2) {
            let count = counts.get(value).copied().unwrap_or(0);
            if count != 1 {
                return Err(format!("{value} is there {count} times"));
            }
        }
    }
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_is_cut() {
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
    assert!(cuts > 400, "only {cuts} operations were cut");
}

#[test]
fn the_checker_finds_a_disk_whose_flushes_lie() {
    let mut found = 0;
    for cut in (20..200).step_by(20) {
        found += usize::from(cut_at(1, cut, true).is_err());
    }
    assert!(found >= 5, "a loss was found in {found} of 9 runs");
}
