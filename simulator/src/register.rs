//! Append-if-last as its clients see it: they read versions, append on the condition that nothing came since, are outrun, and the power goes in between. What they
//! saw of each key must be what one register could have shown them ([`crate::history`]).
//!
//! Unlike [`crate::judge`] this does not look at where events stand, but for who was never answered: whether that happened at all.

use std::collections::HashMap;

use headwater_eventlog::{
    Append, AppendError, AppendOutcome, Condition, Direction, Entities, EntityVersion, EventLog, Part, StreamSettings,
};
use headwater_host::simulated::{Random, Simulation};
use headwater_records::{Batch, Compression, Event, Version};
use tokio::runtime::Runtime;

use crate::bug::Bug;
use crate::history::{ACTS_MAX, Act, Operation, is_linearizable};
use crate::life;

const STREAM: &str = "register";
const KEYS: usize = 2;
const LIVES: usize = 3;
/// How many acts a life has, where the power does not go before.
const STEPS: usize = 40;
/// The operations of the disk in a life, roughly.
const OPERATIONS: usize = 120;
/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// One trial: everything in it follows from the seed, but for when the log's own threads run.
#[derive(Debug, Clone, Copy)]
pub struct RegisterTrial {
    /// Makes the acts and the disk's dice.
    pub seed: u64,
    /// What is wrong, where something is to be found: [`Bug::CheckedEarly`] or [`Bug::IndexBehind`].
    pub bug: Option<Bug>,
}

/// What was seen in a trial in which nothing was wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Appends that came through.
    pub appended: usize,
    /// Those of them on a condition.
    pub conditional: usize,
    /// Appends that were refused because something came since.
    pub outrun: usize,
    /// Appends that are in the log, and nobody was told.
    pub untold: usize,
}

/// The clients of a trial, and what they saw.
struct Clients<'a> {
    runtime: &'a Runtime,
    random: Random,
    bug: Option<Bug>,
    /// Grows with every call and every answer.
    now: u64,
    /// Of each key what was seen, and the version that was told last.
    seen: [Vec<Operation>; KEYS],
    told: [Option<Version>; KEYS],
    waiting: Vec<(Asked, AppendOutcome)>,
    unanswered: Vec<Asked>,
    appends: usize,
}

/// An append that was asked for.
struct Asked {
    key: usize,
    called: u64,
    /// The version that it depends on, where it does.
    expected: Option<Option<Version>>,
    name: String,
}

impl RegisterTrial {
    /// Runs the trial on a runtime that only waits. The error says what cannot have happened.
    pub fn run(self, runtime: &Runtime) -> Result<Seen, String> {
        let machine = Simulation::new(self.seed);
        let mut clients = Clients {
            runtime,
            random: Random::new(self.seed),
            bug: self.bug,
            now: 0,
            seen: Default::default(),
            told: Default::default(),
            waiting: Vec::new(),
            unanswered: Vec::new(),
            appends: 0,
        };
        for _ in 0..LIVES {
            let log = life::open(&machine)?;
            if log.stream(STREAM).is_none() {
                let settings = StreamSettings {
                    entities: Some(Entities::Indexed),
                    ..StreamSettings::default()
                };
                let made = log.create_stream(STREAM, KEYS as u32, settings);
                made.map_err(|error| error.to_string())?;
            }
            let cut = machine.disk.operations() + 1 + clients.random.below(OPERATIONS) as u64;
            machine.disk.cut_power_at(cut);
            let lived = clients.live(&machine, &log);
            drop(log);
            if !machine.disk.is_off() {
                lived?;
            }
            machine.disk.cut_power();
            machine.disk.restart();
        }
        clients.judge(&life::open(&machine)?)
    }
}

impl Clients<'_> {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// Acts until it is enough, or the power goes: then the error says nothing.
    fn live(&mut self, machine: &Simulation, log: &EventLog) -> Result<(), String> {
        for _ in 0..STEPS {
            machine.clock.advance(self.random.below(2_000) as i64);
            let key = self.random.below(KEYS);
            let acts = self.seen[key].len() + self.waiting.len() + self.unanswered.len();
            if acts >= ACTS_MAX {
                break;
            }
            match self.random.below(5) {
                0 => self.read(log, key)?,
                1 => self.append(log, key, None)?,
                _ => self.append(log, key, Some(self.told[key]))?,
            }
            if self.random.below(3) == 0 {
                self.settle()?;
            }
        }
        self.settle()
    }

    /// Reads a version, as the index has it.
    fn version(&mut self, log: &EventLog, key: usize) -> Result<Option<Version>, String> {
        let page = log.entity(STREAM, name_of(key).as_bytes(), None, 2, Direction::Backward);
        let page = page.map_err(|error| error.to_string())?;
        // The bug: the last event is not in the index yet.
        let is_behind = self.bug == Some(Bug::IndexBehind) && self.random.below(4) == 0;
        Ok(match is_behind {
            true => page.events.get(1).map(|event| event.address.version()),
            false => page.version,
        })
    }

    fn read(&mut self, log: &EventLog, key: usize) -> Result<(), String> {
        let called = self.tick();
        let version = self.version(log, key)?;
        self.told[key] = version;
        self.note(key, called, Act::Read(version));
        Ok(())
    }

    fn append(&mut self, log: &EventLog, key: usize, expected: Option<Option<Version>>) -> Result<(), String> {
        let called = self.tick();
        let mut condition = expected.map(|version| {
            Condition::Entity(EntityVersion {
                stream: STREAM.to_owned(),
                key: name_of(key).into(),
                version,
            })
        });
        // The bug: who appends looks before, and the log does not look any more.
        if self.bug == Some(Bug::CheckedEarly)
            && let Some(expected) = expected
        {
            condition = None;
            let found = self.version(log, key)?;
            if found != expected {
                self.told[key] = found;
                self.note(key, called, Act::Outrun { expected, found });
                return Ok(());
            }
        }
        self.appends += 1;
        let name = format!("{}/{}", self.appends, name_of(key));
        let event = Event {
            key: Some(name_of(key).into()),
            value: Some(name.clone().into()),
            ..Event::default()
        };
        let append = Append {
            parts: vec![Part {
                stream: STREAM.to_owned(),
                partition: key as u32,
                batch: Batch::encode(&[event], Compression::None, None),
            }],
            principal: "client".to_owned(),
            condition,
        };
        let outcome = self.runtime.block_on(log.submit(append));
        let asked = Asked {
            key,
            called,
            expected,
            name,
        };
        self.waiting.push((asked, outcome));
        Ok(())
    }

    /// Waits for everything that is on its way.
    fn settle(&mut self) -> Result<(), String> {
        for (asked, outcome) in std::mem::take(&mut self.waiting) {
            match self.runtime.block_on(outcome) {
                Ok(Ok(appended)) => {
                    let version = Version {
                        partition: asked.key as u32,
                        offset: appended.base_offsets[0],
                    };
                    self.told[asked.key] = Some(version);
                    self.note(asked.key, asked.called, asked.appended(version));
                }
                Ok(Err(AppendError::ConditionFailed(failed))) => {
                    let (expected, found) = (asked.expected.flatten(), failed.version);
                    self.told[asked.key] = found;
                    self.note(asked.key, asked.called, Act::Outrun { expected, found });
                }
                // Nobody knows.
                Err(_) | Ok(Err(AppendError::Stopped { .. })) => self.unanswered.push(asked),
                Ok(Err(other)) => return Err(format!("append {} was refused: {other}", asked.name)),
            }
        }
        Ok(())
    }

    /// It was answered now.
    fn note(&mut self, key: usize, called: u64, act: Act) {
        let answered = self.tick();
        self.seen[key].push(Operation { called, answered, act });
    }

    /// Whether what was seen could have happened, with those that were not answered and are in the log.
    fn judge(mut self, log: &EventLog) -> Result<Seen, String> {
        let there = read_back(log)?;
        let mut seen = Seen::default();
        for asked in std::mem::take(&mut self.unanswered) {
            if let Some(version) = there.get(&asked.name) {
                seen.untold += 1;
                self.seen[asked.key].push(Operation {
                    called: asked.called,
                    answered: u64::MAX,
                    act: asked.appended(*version),
                });
            }
        }
        for (key, operations) in self.seen.iter().enumerate() {
            if !is_linearizable(operations) {
                return Err(format!(
                    "what was seen of {} cannot have happened one after another: {operations:?}",
                    name_of(key)
                ));
            }
            for operation in operations {
                seen.appended += usize::from(matches!(operation.act, Act::Appended(_) | Act::AppendedAfter(..)));
                seen.conditional += usize::from(matches!(operation.act, Act::AppendedAfter(..)));
                seen.outrun += usize::from(matches!(operation.act, Act::Outrun { .. }));
            }
        }
        Ok(seen)
    }
}

impl Asked {
    /// It landed there.
    fn appended(&self, at: Version) -> Act {
        match self.expected {
            Some(expected) => Act::AppendedAfter(expected, at),
            None => Act::Appended(at),
        }
    }
}

fn name_of(key: usize) -> String {
    format!("k{key}")
}

/// Where each append stands.
fn read_back(log: &EventLog) -> Result<HashMap<String, Version>, String> {
    let mut there: HashMap<String, Version> = HashMap::new();
    for partition in 0..KEYS as u32 {
        let mut next = 0;
        loop {
            let stored = log.read(STREAM, partition, next, READ_BYTES);
            let stored = stored.map_err(|error| error.to_string())?;
            let Some(last) = stored.last() else { break };
            next = last.batch.next_offset();
            for stored in &stored {
                for (offset, event) in stored.batch.events().map_err(|error| error.to_string())? {
                    let name = String::from_utf8_lossy(&event.value.unwrap_or_default()).into_owned();
                    there.insert(name, Version { partition, offset });
                }
            }
        }
    }
    Ok(there)
}
