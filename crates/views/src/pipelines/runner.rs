//! One pipeline's thread: takes the events of its source in turns, and appends what comes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use hashbrown::HashMap;
use headwater_eventlog::{AppendError, EventLog, ReadError, StoredBatch};
use headwater_records::{Address, Position};
use tokio::time::Instant;

use super::changes::Changes;
use super::flow::Flow;
use super::limits::{APPEND_BYTES, DECODE_EVENTS, NOTE_EVERY, READ_BYTES, RETRY, SLICE_EVENTS};
use super::positions::{Positions, Reached};
use super::results::{Waiting, append};
use super::shared::{FLUSH_AND_STOP, RUN, Shared};
use super::slice::{Made, Making, offset_of};
use super::spec::PipelineSpec;
use super::trouble::Trouble;
use crate::decode::{Decoded, Parked, StreamDecoder, portions};
use crate::follow::decoded::value_at;
use crate::follow::parking;
use crate::view::ViewByName;
use crate::{View, ViewError};

/// Why a turn ended before its end.
pub(super) enum Halt {
    /// It is to stop.
    Stopping,
    /// What was asked of it cannot be done; it goes on.
    Refused(String),
    /// It cannot go on.
    Failed(String),
    /// It need not: what it makes is not wanted any more.
    Gone(String),
}

/// What a pipeline reads, and how.
pub(super) enum Source {
    /// The events of a stream.
    Stream {
        name: String,
        decoder: Box<StreamDecoder>,
        /// The columns that are decoded.
        projection: Vec<usize>,
    },
    /// The changes of a view.
    Changes(Box<Changes>),
}

impl Source {
    /// The streams whose events are taken.
    pub(super) fn streams(&self) -> Vec<&str> {
        match self {
            Source::Stream { name, .. } => vec![name],
            Source::Changes(changes) => changes.streams().collect(),
        }
    }

    fn decode(&self, stream: &str, partition: u32, portion: &[StoredBatch], from: u64) -> Result<Decoded, ArrowError> {
        match self {
            Source::Stream {
                decoder, projection, ..
            } => Ok(decoder.decode(partition, portion, from, u64::MAX, Some(projection))),
            // What does not fit its stream's columns is parked by the view itself: nothing changes.
            Source::Changes(changes) => Ok(Decoded {
                rows: changes.decode(stream, partition, portion, from)?,
                parked: Vec::new(),
            }),
        }
    }
}

/// The thread's own.
pub(super) struct Runner {
    pub log: EventLog,
    pub spec: PipelineSpec,
    pub flow: Flow,
    pub source: Source,
    pub stream_id: u128,
    pub views: ViewByName,
    pub positions: Arc<Positions>,
    pub shared: Arc<Shared>,
    /// Up to where events were taken; what came of them may wait.
    pub reached: Reached,
    pub waiting: Waiting,
    /// What was noted last in the stream of positions, and when.
    pub noted: Position,
    pub noted_at: Instant,
    /// Whether the result of a row that is gone is a tombstone.
    pub has_tombstones: bool,
    /// The partition that the next turn begins with, so that none is starved.
    pub first_partition: u32,
}

impl Runner {
    /// Takes events until it is told to stop.
    pub(super) async fn run(mut self) {
        let pipeline = &self.spec.stream.name.clone();
        let why = match self.turns().await {
            Ok(()) | Err(Halt::Stopping) => return,
            Err(Halt::Failed(why) | Halt::Refused(why)) => {
                tracing::error!(pipeline, "the pipeline stopped: {why}");
                why
            }
            Err(Halt::Gone(why)) => {
                tracing::info!(pipeline, "the pipeline ended: {why}");
                why
            }
        };
        self.shared.status.lock().stopped = Some(why);
    }

    async fn turns(&mut self) -> Result<(), Halt> {
        if let Source::Changes(changes) = &self.source {
            let is_stopping = || self.shared.mode.load(Ordering::Acquire) != RUN;
            changes
                .catch_up(&self.log, &self.reached.position, is_stopping)
                .map_err(Halt::Failed)?;
            self.go_on().await?;
        }
        loop {
            self.answer().await?;
            let watch = self.log.watch(self.source_partitions());
            let took = self.turn().await?;
            let is_due = self.noted_at.elapsed() >= NOTE_EVERY;
            match self.waiting.is_empty() && !(is_due && self.is_ahead()) {
                // Nothing came of what was taken since: whoever waits for it need not wait for the note.
                true => {
                    self.shared.reached(&self.reached);
                    self.keep_rows()?;
                }
                false => self.append().await?,
            }
            if took {
                continue;
            }
            let note = async {
                match (self.is_ahead(), self.are_rows_ahead()) {
                    (true, _) => tokio::time::sleep_until(self.noted_at + NOTE_EVERY).await,
                    (false, true) => tokio::time::sleep(NOTE_EVERY).await,
                    (false, false) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = watch.news() => {}
                () = note => {}
                () = self.shared.wake.notified() => {}
            }
            self.go_on().await?;
        }
    }

    /// Does what others asked for between the turns.
    async fn answer(&mut self) -> Result<(), Halt> {
        let asked = std::mem::take(&mut *self.shared.replays.lock());
        for answer in asked {
            let replayed = match self.replay().await {
                Ok(replayed) => Ok(replayed),
                Err(Halt::Refused(why)) => Err(why),
                Err(halt) => return Err(halt),
            };
            // Who asked may be gone.
            let _ = answer.send(replayed);
        }
        Ok(())
    }

    /// Ends the turns where that is wanted, noting up to where everything was taken.
    pub(super) async fn go_on(&mut self) -> Result<(), Halt> {
        match self.shared.mode.load(Ordering::Acquire) {
            RUN => return Ok(()),
            FLUSH_AND_STOP if self.is_ahead() => self.append().await?,
            FLUSH_AND_STOP => self.keep_rows()?,
            _ => {}
        }
        Err(Halt::Stopping)
    }

    /// Whether more was taken than is noted.
    fn is_ahead(&self) -> bool {
        self.noted != self.reached.position
    }

    fn source_partitions(&self) -> Vec<(u128, u32)> {
        let found = self
            .source
            .streams()
            .into_iter()
            .filter_map(|name| self.log.stream(name));
        found
            .flat_map(|info| (0..info.partitions).map(move |partition| (info.id, partition)))
            .collect()
    }

    /// Takes some of what is new in every partition. `true`: there was something.
    async fn turn(&mut self) -> Result<bool, Halt> {
        let is_gone = |stream: &&str| self.log.stream(stream).is_none();
        if let Some(gone) = self.source.streams().into_iter().find(is_gone) {
            return Err(Halt::Failed(format!("there is no stream '{gone}' any more")));
        }
        let source = match &self.source {
            Source::Stream { name, .. } => name.clone(),
            Source::Changes(_) => return self.turn_in_order().await,
        };
        let partitions = self.log.stream(&source).map_or(0, |info| info.partitions);
        let mut took = false;
        for step in 0..partitions {
            let partition = (self.first_partition + step) % partitions;
            took |= self.partition(&source, partition).await?;
            self.go_on().await?;
        }
        self.first_partition = (self.first_partition + 1) % partitions.max(1);
        Ok(took)
    }

    async fn partition(&mut self, source: &str, partition: u32) -> Result<bool, Halt> {
        let Some(kept) = self.log.offsets(source, partition) else {
            return Ok(false);
        };
        let from = self.begin(source, partition, kept.start);
        let batches = match self.log.read(source, partition, from, READ_BYTES) {
            Ok(batches) => batches,
            // Deleted meanwhile: the next turn begins where the stream does then.
            Err(ReadError::OutOfRange { .. }) => return Ok(true),
            Err(error @ ReadError::Short { .. }) => {
                self.wait(&error.to_string()).await?;
                return Ok(true);
            }
            Err(error) => return Err(Halt::Failed(error.to_string())),
        };
        if batches.is_empty() {
            // Nothing is left up to where everything is decided.
            let took = from < kept.stable;
            if took {
                self.reached.position.set(source, partition, kept.stable);
            }
            return Ok(took);
        }
        self.views_have_folded().await?;
        for portion in portions(&batches, DECODE_EVENTS) {
            self.portion(source, partition, portion, from).await?;
        }
        Ok(true)
    }

    /// Where it goes on in a partition that begins at `start`: what went before it was taken is passed by, and said.
    pub(super) fn begin(&mut self, source: &str, partition: u32, start: u64) -> u64 {
        let stands = self.reached.position.get(source, partition);
        if stands < start {
            tracing::warn!(
                pipeline = self.spec.stream.name,
                "offsets {stands}..{start} of {source}/{partition} are no longer kept: nothing was made of them"
            );
            self.reached.lacking += start - stands;
            self.reached.position.set(source, partition, start);
        }
        stands.max(start)
    }

    /// Takes the events of some batches, a slice at a time; where enough waits, it is appended.
    pub(super) async fn portion(
        &mut self,
        source: &str,
        partition: u32,
        portion: &[StoredBatch],
        from: u64,
    ) -> Result<(), Halt> {
        let decoded = self.source.decode(source, partition, portion, from);
        let decoded = decoded.map_err(|error| Halt::Failed(error.to_string()))?;
        let end = portion.last().map_or(from, |stored| stored.batch.next_offset());
        let keys = self.keys_of(portion);
        let mut misfits = decoded.parked.into_iter().peekable();
        let mut at = 0;
        loop {
            let slice = decoded.rows.slice(at, SLICE_EVENTS.min(decoded.rows.num_rows() - at));
            at += slice.num_rows();
            let is_last = at == decoded.rows.num_rows();
            let upto = if is_last { end } else { offset_of(&decoded.rows, at) };
            let (taken, unmade) = match &self.source {
                Source::Stream { .. } => (slice.clone(), Vec::new()),
                Source::Changes(changes) => {
                    let told = changes.take(&slice, source, partition, upto);
                    let told = told.map_err(|error| Halt::Failed(error.to_string()))?;
                    (told.changes, told.unmade)
                }
            };
            let mut made = self.made((source, partition), &keys, &taken).await?;
            made.unfit.extend(unmade);
            self.reached.events += slice.num_rows() as u64;
            self.reached.results += made.results.len() as u64;
            for event in made.results {
                self.waiting.result(partition, event);
            }
            for (offset, why) in made.unfit {
                let parked = Parked {
                    address: Address {
                        stream: source.to_owned(),
                        partition,
                        offset,
                    },
                    reason: format!("the pipeline '{}' cannot take it: {why}", self.spec.stream.name),
                    value: value_at(portion, offset),
                };
                self.park(parked);
            }
            while let Some(parked) = misfits.next_if(|parked| parked.address.offset < upto) {
                self.reached.events += 1;
                self.park(parked);
            }
            self.reached.position.set(source, partition, upto);
            if self.waiting.bytes() >= APPEND_BYTES {
                self.append().await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The keys of events, by their offsets, where results keep them: where the stream says nothing of its key.
    pub(super) fn keys_of(&self, portion: &[StoredBatch]) -> HashMap<u64, Bytes> {
        let mut keys = HashMap::new();
        if self.spec.stream.key.is_empty() {
            for stored in portion {
                // What cannot be read was parked when it was decoded.
                let _ = stored.batch.for_each_event(|offset, event| {
                    keys.extend(event.key.map(|key| (offset, key)));
                });
            }
        }
        keys
    }

    fn park(&mut self, parked: Parked) {
        if self.reached.parked == 0 {
            tracing::warn!(
                pipeline = self.spec.stream.name,
                "the first event that is parked is {}: {}",
                parked.address,
                parking::one_line(&parked.reason)
            );
        }
        self.reached.parked += 1;
        if self.spec.records_parked {
            self.waiting.park(parked);
        }
    }

    /// What comes of a slice of a source partition; tried again for as long as a view keeps it waiting.
    pub(super) async fn made(
        &mut self,
        (source, partition): (&str, u32),
        keys: &HashMap<u64, Bytes>,
        slice: &RecordBatch,
    ) -> Result<Made, Halt> {
        loop {
            let making = Making {
                flow: &self.flow,
                views: &self.views,
                encoder: self.spec.encoder.as_ref(),
                source,
                partition,
                keys,
                batch_bytes_max: self.batch_bytes_max(),
                has_tombstones: self.has_tombstones,
            };
            let mut made = Made::default();
            match making.take(slice, &mut made) {
                Ok(()) => return Ok(made),
                Err(Trouble::Wait(why)) => self.wait(&why).await?,
                Err(Trouble::Pipeline(why) | Trouble::Event(why)) => return Err(Halt::Failed(why)),
            }
        }
    }

    /// The largest batch that the log takes for the stream.
    fn batch_bytes_max(&self) -> usize {
        let info = self.log.stream(&self.spec.stream.name);
        let own = info.and_then(|info| info.settings.batch_bytes_max);
        own.map_or(self.log.options().batch_bytes_max, |own| own as usize)
    }

    /// Waits until the joined views have folded everything that is in the log now.
    pub(super) async fn views_have_folded(&mut self) -> Result<(), Halt> {
        let names: Vec<String> = self.flow.views().map(str::to_owned).collect();
        for name in names {
            let Some(wanted) = (self.views)(&name).map(|view| self.end_of(&view)) else {
                // It is looked for again when it is asked.
                continue;
            };
            loop {
                let Some(view) = (self.views)(&name) else { break };
                let folded = view.wait_for(&wanted, RETRY);
                match tokio::select! {
                    folded = folded => folded,
                    () = self.shared.stopping() => return self.go_on().await,
                } {
                    Ok(()) => break,
                    Err(ViewError::Late { .. }) => self.wait(&format!("the view '{name}' is not as far yet")).await?,
                    Err(error) => self.wait(&error.to_string()).await?,
                }
            }
        }
        self.shared.status.lock().waiting = None;
        Ok(())
    }

    /// The end of the streams that a view reads.
    fn end_of(&self, view: &View) -> Position {
        let mut end = Position::new();
        for stream in view.streams() {
            if let Some(position) = self.log.position(stream) {
                end.advance_all(&position);
            }
        }
        end
    }

    /// Waits a moment, saying for what.
    pub(super) async fn wait(&mut self, why: &str) -> Result<(), Halt> {
        self.shared.status.lock().waiting = Some(why.to_owned());
        tokio::select! {
            () = tokio::time::sleep(RETRY) => Ok(()),
            () = self.shared.stopping() => self.go_on().await,
        }
    }

    /// Appends what waits, and the position behind it, in one step. While the disk is full it is tried again and again.
    pub(super) async fn append(&mut self) -> Result<(), Halt> {
        self.has_its_stream()?;
        let now_us = self.log.now_us();
        let parts = self.waiting.parts(&self.spec, self.stream_id, &self.reached, now_us);
        loop {
            match self.log.append(append(&parts)).await {
                Ok(_) => break,
                Err(AppendError::Full { why }) => {
                    self.shared.status.lock().waiting = Some(why);
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        // What was not appended is made again from the position that was.
                        () = self.shared.stopping() => return Err(Halt::Stopping),
                    }
                }
                Err(error) => {
                    // It may have been deleted just now.
                    self.has_its_stream()?;
                    return Err(Halt::Failed(error.to_string()));
                }
            }
        }
        self.noted_at = Instant::now();
        self.noted = self.reached.position.clone();
        self.positions.remember(self.stream_id, &self.reached);
        self.shared.reached(&self.reached);
        self.keep_rows()
    }

    /// Writes the rows of a fold, where that is due.
    fn keep_rows(&self) -> Result<(), Halt> {
        match &self.source {
            // Everything that came of the rows is durable: they may be, too.
            Source::Changes(changes) if !self.is_ahead() => {
                let kept = changes.keep_bounds(self.shared.mode.load(Ordering::Acquire) == FLUSH_AND_STOP);
                kept.map_err(|error| Halt::Failed(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn are_rows_ahead(&self) -> bool {
        matches!(&self.source, Source::Changes(changes) if changes.is_ahead())
    }

    /// Ends with its stream, also where that was deleted past it (by a Kafka client): another one of its name is none of its.
    fn has_its_stream(&self) -> Result<(), Halt> {
        let name = &self.spec.stream.name;
        match self.log.stream(name).is_some_and(|info| info.id == self.stream_id) {
            true => Ok(()),
            false => Err(Halt::Gone(format!("its stream '{name}' was deleted"))),
        }
    }
}
