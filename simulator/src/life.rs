//! One life of the log: it is open and is asked, until it is closed or killed, or the power goes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use headwater_eventlog::{AppendError, AppendOutcome, EventLog, LogOptions, StreamError, StreamSettings};
use headwater_host::Clock;
use headwater_host::simulated::{Random, Simulation};
use tokio::runtime::Runtime;

use crate::depends::{Depends, Names};
use crate::workload::{self, Step};
use crate::world::{Fate, ProducerAsked, StreamAsked, TransactionAsked, World};

/// How many batches are on their way at most: an idempotent producer may have five.
const BATCHES_IN_FLIGHT: usize = 5;

/// Small files, so that a short life goes round them several times.
fn options() -> LogOptions {
    LogOptions {
        batch_bytes_max: 8 * 1024,
        journal_bytes: 48 * 1024,
        segment_bytes: 2 * 1024,
        pending_bytes_max: 64 * 1024,
        tend_every: std::time::Duration::from_secs(3600),
        compaction_keys_max: 1_000,
        // Few postings, so that runs are written and joined.
        entity_memory_bytes: 32 * 1024,
        ..LogOptions::default()
    }
}

/// Opens the log; a loss of power is never taken for damage.
pub(crate) fn open(machine: &Simulation) -> Result<EventLog, String> {
    let opened = EventLog::open(machine.host(), Path::new("/data"), options());
    let (log, recovery) = opened.map_err(|error| format!("the log does not open: {error}"))?;
    for info in log.streams() {
        say_facets(&log, &info.name)?;
    }
    match recovery.damage.first() {
        None => Ok(log),
        Some(damage) => Err(format!("the log opens damaged: {damage}")),
    }
}

/// Says what the events of a stream are about.
fn say_facets(log: &EventLog, stream: &str) -> Result<(), String> {
    log.set_facets(stream, Some(Arc::new(Names)))
        .map_err(|error| error.to_string())
}

/// An open log on its machine, and what is on its way.
pub(crate) struct Life<'a> {
    machine: &'a Simulation,
    world: &'a mut World,
    random: &'a mut Random,
    runtime: &'a Runtime,
    log: EventLog,
    waiting: Vec<(usize, AppendOutcome)>,
    /// Whether the disk fills up now and then.
    is_short_of_room: bool,
    /// Appends are written down as acknowledged when they are taken: a planted bug.
    believes_early: bool,
}

impl<'a> Life<'a> {
    pub(crate) fn new(
        machine: &'a Simulation,
        world: &'a mut World,
        random: &'a mut Random,
        runtime: &'a Runtime,
        log: EventLog,
    ) -> Life<'a> {
        Life {
            machine,
            world,
            random,
            runtime,
            log,
            waiting: Vec::new(),
            is_short_of_room: false,
            believes_early: false,
        }
    }

    pub(crate) fn short_of_room(self, is_short_of_room: bool) -> Life<'a> {
        Life {
            is_short_of_room,
            ..self
        }
    }

    pub(crate) fn believing_early(self, believes_early: bool) -> Life<'a> {
        Life { believes_early, ..self }
    }

    /// Takes up to so many steps. Says how many are left when the life ended before: the log was closed or killed. An error: the log broke its word,
    /// or the power went.
    pub(crate) fn live(mut self, steps: usize) -> Result<usize, String> {
        self.come_back()?;
        let mut left = steps;
        while left > 0 {
            left -= 1;
            self.machine.clock.advance(self.random.below(2_000) as i64);
            self.world.tick(self.machine.clock.now_us());
            let step = workload::next(self.world, self.random, self.is_short_of_room);
            if !matches!(step, Step::Append(_)) {
                self.world
                    .note(format!("{step:?} at operation {}", self.machine.disk.operations()));
            }
            if step == Step::Kill {
                break;
            }
            if step == Step::Close {
                self.settle()?;
                self.log.close();
                break;
            }
            self.take(step)?;
            self.look();
        }
        self.settle()?;
        Ok(left)
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        if let Step::Append(index) = step {
            self.submit(index);
            let batches = |(index, _): &(usize, AppendOutcome)| self.world.appends[*index].parts.len();
            let in_flight: usize = self.waiting.iter().map(batches).sum();
            // Some share a flush.
            if in_flight >= BATCHES_IN_FLIGHT - 3 || self.random.below(3) == 0 {
                self.settle()?;
            }
            return Ok(());
        }
        if let Step::Clock(by_us) = step {
            self.machine.clock.advance(by_us);
            self.world.tick(self.machine.clock.now_us());
            return Ok(());
        }
        self.settle()?;
        match step {
            Step::Create {
                name,
                partitions,
                settings,
            } => self.create(name, partitions, settings),
            Step::Drop(index) => self.drop_stream(index),
            Step::Look(index, look) => {
                let name = &self.world.streams[index].name;
                // A stream without an index has nothing to depend on.
                self.world.noted = Depends::read(&self.log, index, name, look).ok();
                Ok(())
            }
            Step::Alter(index, settings) => self.alter(index, settings),
            Step::Delete(index, partition, share) => self.delete(index, partition, share),
            Step::Tend => {
                self.tend();
                Ok(())
            }
            Step::ProducerId(transactional) => self.producer_id(transactional),
            Step::Room(bytes) => {
                let used = self.machine.disk.used_bytes();
                self.machine.disk.limit_space(bytes.map(|bytes| used + bytes));
                Ok(())
            }
            Step::Append(_) | Step::Clock(_) | Step::Close | Step::Kill => Ok(()),
        }
    }

    fn submit(&mut self, index: usize) {
        self.world.asked += 1;
        let order = self.world.asked;
        let append = self.world.append(index);
        let parts = self.world.appends[index].parts.iter().map(|part| {
            let stream = &self.world.streams[part.stream].name;
            format!("{stream}/{} {:?} {:?}", part.partition, part.kind, part.producer)
        });
        let parts: Vec<String> = parts.collect();
        self.world.note(format!("append {index} is asked for: {parts:?}"));
        let asked = &mut self.world.appends[index];
        if asked.fate != Fate::Done {
            asked.fate = Fate::Open;
            asked.order = order;
        }
        self.world.tick(self.machine.clock.now_us());
        let outcome = self.runtime.block_on(self.log.submit(append));
        self.waiting.push((index, outcome));
        if self.believes_early {
            self.world.appends[index].fate = Fate::Done;
        }
    }

    /// Waits for everything that is on its way.
    fn settle(&mut self) -> Result<(), String> {
        for (index, outcome) in std::mem::take(&mut self.waiting) {
            match self.runtime.block_on(outcome) {
                Ok(Ok(_)) if self.believes_early => {}
                Ok(Ok(answer)) => self.world.answered(index, &answer)?,
                // The log went away or stopped: nobody knows.
                Err(_) | Ok(Err(AppendError::Stopped { .. })) => {}
                Ok(Err(AppendError::Full { .. })) => self.refused(index),
                Ok(Err(AppendError::ConditionFailed(_) | AppendError::Condition(_))) if self.depends(index) => {
                    self.refused(index);
                }
                Ok(Err(AppendError::OutOfSequence { .. })) if self.follows_a_refused(index) => self.refused(index),
                Ok(Err(other)) => return Err(format!("append {index} was refused: {other}")),
            }
        }
        Ok(())
    }

    /// An append that the log refused is nowhere in it. Its producer cannot go on behind it: the idempotent one takes another id, as clients do, and
    /// a transaction is taken back.
    fn refused(&mut self, index: usize) {
        self.world.note(format!("append {index}: refused"));
        let asked = &mut self.world.appends[index];
        if asked.fate == Fate::Open {
            asked.fate = Fate::Undone;
        }
        asked.is_unanswered = false;
        if asked.is_transactional() {
            doom(&mut self.world.transaction, asked);
        } else if asked.is_idempotent() {
            self.world.producer = None;
        }
    }

    fn depends(&self, index: usize) -> bool {
        self.world.appends[index].depends.is_some()
    }

    /// Whether an append of its producer was refused just before.
    fn follows_a_refused(&self, index: usize) -> bool {
        let asked = &self.world.appends[index];
        match asked.is_transactional() {
            true => self
                .world
                .transaction
                .as_ref()
                .is_some_and(|transaction| transaction.is_doomed),
            false => self.world.producer.is_none(),
        }
    }

    fn create(&mut self, name: String, partitions: u32, settings: StreamSettings) -> Result<(), String> {
        self.world.streams.push(StreamAsked {
            name: name.clone(),
            partitions,
            id: None,
            created: Fate::Open,
            dropped: Fate::Undone,
            tombstone_ms_min: settings.tombstone_ms(),
            settings: settings.clone(),
            settings_open: None,
            starts: vec![(0, None); partitions as usize],
            is_expiring: false,
            was_compacted: false,
        });
        match self.log.create_stream(&name, partitions, settings) {
            Ok(info) => {
                if self.world.streams.iter().any(|stream| stream.id == Some(info.id)) {
                    return Err(format!("stream {name} has the id of another"));
                }
                if let Some(stream) = self.world.streams.last_mut() {
                    (stream.created, stream.id) = (Fate::Done, Some(info.id));
                }
                say_facets(&self.log, &name)
            }
            Err(StreamError::Stopped(why)) => Err(why),
            Err(other) => Err(format!("stream {name} was not created: {other}")),
        }
    }

    fn drop_stream(&mut self, index: usize) -> Result<(), String> {
        let stream = &mut self.world.streams[index];
        stream.dropped = Fate::Open;
        match self.log.drop_stream(&stream.name) {
            Ok(()) => {
                stream.dropped = Fate::Done;
                Ok(())
            }
            Err(StreamError::Stopped(why)) => Err(why),
            Err(other) => Err(format!("stream {} was not dropped: {other}", stream.name)),
        }
    }

    fn alter(&mut self, index: usize, settings: StreamSettings) -> Result<(), String> {
        let stream = &mut self.world.streams[index];
        stream.settings_open = Some(settings.clone());
        stream.keeps_tombstones(&settings);
        let change = |changed: &mut StreamSettings| {
            *changed = settings.clone();
            Ok(())
        };
        match self.log.alter_stream(&stream.name, change) {
            Ok(_) => {
                (stream.settings, stream.settings_open) = (settings.clone(), None);
                Ok(())
            }
            Err(error) => Err(format!("stream {} was not altered: {error}", stream.name)),
        }
    }

    /// Deletes a share, in hundredths, of what is decided in a partition.
    fn delete(&mut self, index: usize, partition: u32, share: u64) -> Result<(), String> {
        let stream = &mut self.world.streams[index];
        let Some(offsets) = self.log.offsets(&stream.name, partition) else {
            return Err(format!("{}/{partition} has no offsets", stream.name));
        };
        let before = offsets.start + (offsets.stable.saturating_sub(offsets.start)) * share / 100;
        stream.starts[partition as usize].1 = Some(before);
        match self.log.delete_records(&stream.name, partition, before) {
            Ok(start) if start == before => {
                stream.starts[partition as usize] = (before, None);
                Ok(())
            }
            Ok(start) => Err(format!(
                "{}/{partition} starts at {start} instead of {before}",
                stream.name
            )),
            Err(error) => Err(format!("{}/{partition} was not cut: {error}", stream.name)),
        }
    }

    /// Lets the log expire and compact; where its partitions start then is durable.
    fn tend(&mut self) {
        for index in self.world.live() {
            let stream = &mut self.world.streams[index];
            stream.is_expiring = stream.settings.cleanup().delete;
            stream.was_compacted |= stream.settings.cleanup().compact;
        }
        let tended = self.log.tend();
        self.world.note(format!("{tended:?}"));
        self.world.tended.segments_compacted += tended.segments_compacted;
        self.world.tended.starts_moved += tended.starts_moved;
        if self.machine.disk.is_off() {
            return;
        }
        for index in self.world.live() {
            let stream = &mut self.world.streams[index];
            stream.is_expiring = false;
            for (number, start) in (0..).zip(&mut stream.starts) {
                if let Some(offsets) = self.log.offsets(&stream.name, number) {
                    start.0 = start.0.max(offsets.start);
                }
            }
        }
    }

    fn producer_id(&mut self, transactional: bool) -> Result<(), String> {
        let id = match self.log.new_producer_id() {
            Ok(id) => id,
            Err(error) => return Err(format!("no producer id was given: {error}")),
        };
        if self.world.producer_id_max.is_some_and(|max| id <= max) {
            return Err(format!("producer id {id} was given out before"));
        }
        self.world.producer_id_max = Some(id);
        if !transactional {
            self.world.producer = Some(ProducerAsked {
                id,
                sequences: HashMap::new(),
            });
        } else if self.world.transaction.is_none() {
            self.world.transaction = Some(TransactionAsked {
                id,
                epoch: 0,
                sequences: HashMap::new(),
                touched: Default::default(),
                is_doomed: false,
            });
        }
        Ok(())
    }

    /// What clients do when the log is there again. The idempotent producer sends whatever was not answered again, in order, and it goes in once; the
    /// transaction that was open is taken back.
    fn come_back(&mut self) -> Result<(), String> {
        for index in 0..self.world.appends.len() {
            let asked = &mut self.world.appends[index];
            if !asked.is_unanswered {
                continue;
            }
            if asked.is_transactional() {
                asked.is_unanswered = false;
                doom(&mut self.world.transaction, &self.world.appends[index]);
            } else if self.may_retry(index) {
                self.submit(index);
                self.settle()?;
            } else {
                let was_idempotent = self.world.appends[index].is_idempotent();
                self.world.appends[index].is_unanswered = false;
                if was_idempotent {
                    self.world.producer = None;
                }
            }
        }
        if let Some(transaction) = &mut self.world.transaction {
            transaction.is_doomed = !transaction.touched.is_empty();
        }
        Ok(())
    }

    /// Whether an append is the idempotent producer's, and all its streams are still there.
    fn may_retry(&self, index: usize) -> bool {
        let live = self.world.live();
        let Some(producer) = &self.world.producer else {
            return false;
        };
        let asked = &self.world.appends[index];
        asked.is_idempotent()
            && asked.parts.iter().all(|part| {
                live.contains(&part.stream) && part.producer.is_some_and(|sequence| sequence.id == producer.id)
            })
    }

    /// A reader looks: what it sees is never taken back.
    fn look(&mut self) {
        for index in self.world.live() {
            let stream = &self.world.streams[index];
            for partition in 0..stream.partitions {
                if let Some(offsets) = self.log.offsets(&stream.name, partition) {
                    let seen = self.world.seen.entry((index, partition)).or_default();
                    *seen = offsets.high_watermark.max(*seen);
                }
            }
        }
    }
}

/// Something of the transaction was refused, or nobody knows: it is taken back, in every partition that it may have reached.
fn doom(transaction: &mut Option<TransactionAsked>, asked: &crate::world::AppendAsked) {
    let Some(transaction) = transaction else { return };
    for part in &asked.parts {
        transaction.touched.insert((part.stream, part.partition));
    }
    transaction.is_doomed = true;
}
