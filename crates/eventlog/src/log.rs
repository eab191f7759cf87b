//! The open log: the one type the rest of the program holds.

use std::path::Path;
use std::sync::{Arc, Weak};

use headwater_host::Host;
use headwater_records::Position;
use tokio::sync::{oneshot, watch};

use crate::append::awaited::Awaited;
use crate::append::checks::Checks;
use crate::append::journal::format::Entry;
use crate::append::sequencer::Waiting;
use crate::append::turnstile::pass;
use crate::append::{Append, AppendError, Appended};
use crate::entities::check::asked;
use crate::entities::terms::Terms;
use crate::error::{OpenError, ReadError, StreamError};
use crate::keep::behind::Ending;
use crate::keep::segment::format::partition_dir;
use crate::keep::segment::writer::missing;
use crate::limits::PRODUCER_ID_BLOCK;
use crate::mend::damage::Damage;
use crate::open::recovery;
use crate::open::start::start;
use crate::options::LogOptions;
use crate::read::PartitionReader;
use crate::read::damaged::DamagedPlace;
use crate::read::stored::StoredBatch;
use crate::read::stretch::Stretch;
use crate::read::watching::Watch;
use crate::shared::Shared;
use crate::streams::transactions::Aborted;
use crate::tend;
use crate::tend::folded::Folded;
use crate::threads::Threads;
use crate::told::{Full, LogMetrics, PartitionOffsets, ProducerInfo, Recovery, StreamInfo, Tended};
use crate::wait::{block_on, may_wait};

/// The log. Clones share it; when the last one goes, its threads end (without a checkpoint: [`EventLog::close`] writes one).
#[derive(Clone)]
pub struct EventLog {
    pub(crate) shared: Arc<Shared>,
    pub(crate) threads: Arc<Threads>,
}

/// Resolves when the append is durable, or was refused.
pub type AppendOutcome = oneshot::Receiver<Result<Appended, AppendError>>;

impl EventLog {
    /// Opens the log in `dir`, creating it where there is none; recovers what a crash left.
    ///
    /// Where the journal is damaged below its durable end the log opens for reading alone: [`Recovery::damage`] and
    /// [`EventLog::stopped`] say so.
    pub fn open(host: Host, dir: &Path, options: LogOptions) -> Result<(EventLog, Recovery), OpenError> {
        let recovered = recovery::recover(&host, dir, &options)?;
        let report = recovered.report.clone();
        let threads = start(host, dir, options, recovered)?;
        let log = EventLog {
            shared: threads.shared.clone(),
            threads: Arc::new(threads),
        };
        log.shared.index_all();
        Ok((log, report))
    }

    /// Does now what is done every [`LogOptions::tend_every`]: deletes what is beyond its stream's retention, compacts what it is time
    /// to, and removes files that nothing names any more. Blocks on the disk.
    pub fn tend(&self) -> Tended {
        tend::round(&self.shared)
    }

    /// From now on this is asked before events go: by retention, compaction or a deletion.
    pub fn before_events_go(&self, folded: Weak<dyn Folded>) {
        self.shared.folded.add(folded);
    }

    /// Watches partitions, named by stream id and number; those that do not exist never have news.
    pub fn watch(&self, keys: Vec<(u128, u32)>) -> Watch {
        self.shared.watchers.watch(keys)
    }

    /// Every stream, by name.
    pub fn streams(&self) -> Vec<StreamInfo> {
        self.shared
            .streams
            .read()
            .by_name
            .values()
            .map(|stream| stream.info())
            .collect()
    }

    /// One stream, by its id.
    pub fn stream_by_id(&self, id: u128) -> Option<StreamInfo> {
        let found = self.shared.streams.read().by_id.get(&id).cloned();
        found.map(|stream| stream.info())
    }

    /// One stream.
    pub fn stream(&self, name: &str) -> Option<StreamInfo> {
        self.shared.stream(name).map(|stream| stream.info())
    }

    /// Hands an append to the sequencer, which checks it, looks at the condition and assigns the offsets before this returns.
    /// The outcome resolves after the flush; a refusal resolves at once, but for that by a condition, which waits until what is in the way is durable. Waits (async) while too many bytes are pending.
    pub async fn submit(&self, append: Append) -> AppendOutcome {
        let turnstiles = self.turnstiles(&append);
        let _passed = pass(turnstiles).await;
        self.submit_held(append, false).await.0
    }

    /// [`EventLog::submit`], by somebody who waits for the outcome at once: where nobody else appends, waiting for it is writing and flushing it.
    pub async fn submit_awaited(&self, append: Append) -> Awaited {
        let turnstiles = self.turnstiles(&append);
        let _passed = pass(turnstiles).await;
        let (outcome, leads) = self.submit_held(append, may_wait()).await;
        Awaited::new(self, outcome, leads)
    }

    /// [`EventLog::submit`] past whoever holds the streams; with whether the group is left to whoever appends, which it is only where it `leads`.
    pub(crate) async fn submit_held(&self, append: Append, leads: bool) -> (AppendOutcome, bool) {
        if let Some(why) = self.shared.room.refusal() {
            // At once: what waits at the door while the disk is full may wait long.
            let (reply, outcome) = oneshot::channel();
            let _ = reply.send(Err(AppendError::Full { why }));
            return (outcome, false);
        }
        self.admit(append, leads).await
    }

    /// [`EventLog::submit_held`], whether or not there is room on the disk.
    async fn admit(&self, append: Append, leads: bool) -> (AppendOutcome, bool) {
        let (reply, outcome) = oneshot::channel();
        let bytes = match self.check_parts(&append) {
            Ok(bytes) => bytes,
            Err(error) => {
                let _ = reply.send(Err(error));
                return (outcome, false);
            }
        };
        let permits = bytes.min(self.shared.options.pending_bytes_max) as u32;
        if let Ok(permit) = self.shared.pending.acquire_many(permits).await {
            permit.forget();
        }
        let Append {
            parts,
            principal,
            condition,
        } = append;
        let checks = Checks::of(condition);
        for stream in asked(&checks, &self.shared) {
            if let Some(index) = stream.index.get() {
                // So that asking does not wait. Why an index does not answer is said when it is asked.
                let _ = index.ready(&stream).await;
            }
        }
        // A closed semaphore means that the log stopped; the sequencer says why.
        let leads = self.sequence(Waiting {
            prepared: self.prepare(&parts),
            looked_at: vec![Position::new(); checks.guards.len()],
            parts,
            principal,
            checks,
            permits,
            reply,
            restored: false,
            leads,
        });
        (outcome, leads)
    }

    /// [`EventLog::submit`], and waits for the outcome.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.submit_awaited(append).await.await
    }

    /// [`EventLog::append`] for a few bytes that lead to room on the disk, such as that a stream is dropped: taken also while the disk is full.
    pub async fn append_freeing(&self, append: Append) -> Result<Appended, AppendError> {
        let turnstiles = self.turnstiles(&append);
        let _passed = pass(turnstiles).await;
        let (outcome, _) = self.admit(append, false).await;
        self.outcome(outcome.await)
    }

    /// [`EventLog::append`] for threads outside of a runtime.
    pub fn append_blocking(&self, append: Append) -> Result<Appended, AppendError> {
        block_on(self.append(append))
    }

    /// Whole batches from the one that holds `from` on, below the last stable offset: at least one where there is one, then as many as fit
    /// in `bytes_max`. Empty at the last stable offset. The events are those that count: the batches of a transaction that was taken
    /// back, and the marker of its end, come without events, so that readers go on behind them.
    pub fn read(
        &self,
        stream: &str,
        partition: u32,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, ReadError> {
        let reader = PartitionReader::new(&self.shared, stream, partition)?;
        let end = reader.partition.stable();
        reader.check_range(from, end)?;
        reader
            .read_committed(from, end, bytes_max)
            .map_err(|error| self.unless_gone(&reader, from, error))
    }

    /// Batches as they stand in the log, those of transactions that are open or were taken back too, from the one that holds `from` on: below
    /// `end` and the high watermark, at least one where there is one, then as many as fit in `bytes_max`.
    pub fn read_stored(
        &self,
        stream: &str,
        partition: u32,
        from: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, ReadError> {
        let reader = PartitionReader::new(&self.shared, stream, partition)?;
        let end = end.min(reader.partition.high_watermark());
        reader.check_range(from, end)?;
        reader
            .read(from, end, bytes_max)
            .map_err(|error| self.unless_gone(&reader, from, error))
    }

    /// What [`EventLog::read_stored`] gives, for whoever passes the bytes on: what is not in memory is read as it is taken.
    pub fn stretch(
        &self,
        stream: &str,
        partition: u32,
        from: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Stretch, ReadError> {
        let reader = PartitionReader::new(&self.shared, stream, partition)?;
        let end = end.min(reader.partition.high_watermark());
        reader.check_range(from, end)?;
        reader
            .stretch(&self.shared, from, end, bytes_max)
            .map_err(|error| self.unless_gone(&reader, from, error))
    }

    /// The transactions that were taken back and reach into these offsets, in the order in which they ended.
    pub fn aborted(&self, stream: &str, partition: u32, from: u64, to: u64) -> Result<Vec<Aborted>, ReadError> {
        let reader = PartitionReader::new(&self.shared, stream, partition)?;
        reader
            .aborted(from, to)
            .map_err(|error| self.unless_gone(&reader, from, error))
    }

    /// What is known of the producers of a partition, by id; `None` where there is no such partition.
    pub fn producers(&self, stream: &str, partition: u32) -> Option<Vec<ProducerInfo>> {
        let partition = self.shared.stream(stream)?.partition(partition)?.clone();
        Some(self.shared.sequencer.producers(partition.stream, partition.number))
    }

    /// Whether anything is known of a producer in a partition: a batch, or the end of a transaction.
    pub fn knows_producer(&self, producer_id: i64, stream_id: u128, partition: u32) -> bool {
        self.shared.sequencer.knows(producer_id, stream_id, partition)
    }

    /// The offsets of a partition.
    pub fn offsets(&self, stream: &str, partition: u32) -> Option<PartitionOffsets> {
        Some(self.shared.stream(stream)?.partition(partition)?.offsets())
    }

    /// The offsets of all partitions of a stream, in the order of their numbers; none where there is no such stream.
    pub fn all_offsets(&self, stream: &str) -> Vec<PartitionOffsets> {
        let found = self.shared.stream(stream);
        let partitions = found.iter().flat_map(|stream| &stream.partitions);
        partitions.map(|partition| partition.offsets()).collect()
    }

    /// The last stable offset of every partition of a stream: no event below is undecided. `None` where there is no such stream.
    pub fn position(&self, stream: &str) -> Option<Position> {
        let found = self.shared.stream(stream)?;
        let mut position = Position::new();
        let _still = self.shared.watermarks.read();
        for partition in &found.partitions {
            position.set(stream, partition.number, partition.stable());
        }
        Some(position)
    }

    /// The same of several streams, as of one moment: what comes to any of them later was appended later. Those that are no streams are not named.
    pub fn position_of_all<'a>(&self, streams: impl IntoIterator<Item = &'a str>) -> Position {
        let found: Vec<_> = streams
            .into_iter()
            .filter_map(|stream| self.shared.stream(stream))
            .collect();
        let mut position = Position::new();
        let _still = self.shared.watermarks.read();
        for stream in &found {
            for partition in &stream.partitions {
                position.set(&stream.name, partition.number, partition.stable());
            }
        }
        position
    }

    /// Where what is kept of a stream begins, of the partitions that have lost their first events: empty where none has, and where there is no such stream.
    pub fn gone_before(&self, stream: &str) -> Position {
        let mut position = Position::new();
        for partition in self.shared.stream(stream).iter().flat_map(|stream| &stream.partitions) {
            let start = partition.start().offset;
            if start > 0 {
                position.set(stream, partition.number, start);
            }
        }
        position
    }

    /// The position of a stream that holds exactly the events appended at or before the moment (microseconds since 1970), where they are stable.
    /// [`ReadError::Expired`] where events appended after the moment are no longer kept.
    pub fn position_at(&self, stream: &str, appended_at_us: i64) -> Result<Position, ReadError> {
        for partition in self.shared.stream(stream).iter().flat_map(|stream| &stream.partitions) {
            PartitionReader::new(&self.shared, stream, partition.number)?.check_complete(appended_at_us)?;
        }
        self.kept_position_at(stream, appended_at_us)
    }

    /// The same where only some of these events are kept: behind the last of them.
    pub(crate) fn kept_position_at(&self, stream: &str, appended_at_us: i64) -> Result<Position, ReadError> {
        let ends = self.position(stream).ok_or_else(|| ReadError::Unknown {
            stream: stream.to_owned(),
            partition: 0,
        })?;
        let mut position = Position::new();
        for (name, number, end) in ends.iter() {
            let reader = PartitionReader::new(&self.shared, name, number)?;
            position.set(name, number, reader.end_at(appended_at_us, end)?);
        }
        Ok(position)
    }

    /// When the last event below an offset of a partition was appended, microseconds since 1970; `None` where none is kept.
    pub fn appended_before(&self, stream: &str, partition: u32, offset: u64) -> Result<Option<i64>, ReadError> {
        PartitionReader::new(&self.shared, stream, partition)?.appended_before(offset)
    }

    /// Whether the event that was appended at this moment is, or was, the last one below an offset of a partition: it is there, or was among those that
    /// went.
    pub fn may_follow(
        &self,
        stream: &str,
        partition: u32,
        offset: u64,
        appended_at_us: i64,
    ) -> Result<bool, ReadError> {
        let reader = PartitionReader::new(&self.shared, stream, partition)?;
        let last = reader.appended_before(offset)?;
        let (start, compacted) = (reader.partition.start(), reader.partition.compacted());
        let gone_until_us = start.appended_at_us.max(compacted.appended_at_us);
        Ok(match last {
            Some(last) if last == appended_at_us => true,
            // None of those that are left came later than one that went.
            last => appended_at_us <= gone_until_us && last.is_none_or(|last| last < appended_at_us),
        })
    }

    /// The first event whose writer's timestamp is at or after `timestamp_ms`: its offset and timestamp (Kafka's ListOffsets by time).
    pub fn offset_for_timestamp(
        &self,
        stream: &str,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<Option<(u64, i64)>, ReadError> {
        let reader = PartitionReader::new(&self.shared, stream, partition)?;
        let end = reader.partition.high_watermark();
        reader.first_since(timestamp_ms, end)
    }

    /// A number that grows with every group commit and every change of the set of streams: wait for it to change, then look.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.shared.commits.subscribe()
    }

    /// The first producer id not given out yet; ids are never given out twice, also not over restarts.
    pub fn new_producer_id(&self) -> Result<i64, StreamError> {
        let mut ids = self.shared.producer_ids.lock();
        if ids.next >= ids.reserved {
            let next = ids.reserved.saturating_add(PRODUCER_ID_BLOCK);
            self.write_entries(vec![Entry::ProducerIds { next }], || true)?;
            ids.next = ids.reserved;
            ids.reserved = next;
        }
        let id = ids.next;
        ids.next += 1;
        Ok(id)
    }

    /// A number that no other log has: not one that events were replayed into either. A copy of the folder has the same.
    pub fn identity(&self) -> u64 {
        Terms::new(self.shared.term_key, None).identity()
    }

    /// How the log is laid out and bounded.
    pub fn options(&self) -> &LogOptions {
        &self.shared.options
    }

    /// The host's clock, microseconds since 1970: what writers without a clock of their own put on their events.
    pub fn now_us(&self) -> i64 {
        self.shared.host.clock.now_us()
    }

    /// By how much the clock is behind the last append, in microseconds: append times never go back, so they stand still until it has caught up.
    pub fn clock_behind_us(&self) -> i64 {
        let mut behind_us = 0;
        self.shared
            .sequencer
            .between(|appended_at_us| behind_us = appended_at_us.saturating_sub(self.now_us()));
        behind_us.max(0)
    }

    /// Looks whether every segment is there and as long as it must be: a few system calls each, nothing is read. A start does not wait for this.
    pub fn survey(&self) -> Vec<Damage> {
        let mut found: Vec<Damage> = Vec::new();
        let streams: Vec<_> = self.shared.streams.read().by_id.values().cloned().collect();
        for partition in streams.iter().flat_map(|stream| &stream.partitions) {
            let dir = partition_dir(&self.shared.dir, partition.stream, partition.number);
            let segments = partition.segments.lock().clone();
            for segment in segments {
                let missing = missing(self.shared.host.disk.as_ref(), &dir, &segment);
                let still = || {
                    self.shared
                        .streams
                        .read()
                        .find(partition.stream, partition.number)
                        .is_some()
                };
                let kept = segment.end > partition.start().offset;
                match missing {
                    Ok(missing) if !missing.is_empty() && still() && kept => found.extend(missing),
                    Ok(_) => {}
                    Err(error) => tracing::warn!("a segment was not looked at: {error}"),
                }
            }
        }
        found
    }

    /// The damage that readers met since the start, of events that are still kept.
    pub fn damaged(&self) -> Vec<DamagedPlace> {
        self.shared.damaged.all(&self.shared)
    }

    /// Why appends are refused although the log goes on: the disk is full.
    pub fn full(&self) -> Option<Full> {
        self.shared.room.full()
    }

    /// Why the log stopped writing, where it did.
    pub fn stopped(&self) -> Option<String> {
        self.shared.sequencer.stopped()
    }

    /// What the log counts.
    pub fn metrics(&self) -> LogMetrics {
        self.shared.counters.read()
    }

    /// Flushes what waits, writes a checkpoint and stops writing. Later appends are refused.
    pub fn close(&self) {
        self.threads.end(Ending::Checkpoint);
    }

    /// A reader that a drop or a deletion overtook is told so, not that files are missing.
    fn unless_gone(&self, reader: &PartitionReader<'_>, from: u64, error: ReadError) -> ReadError {
        match self.shared.stream(reader.stream) {
            Some(stream) if stream.id == reader.partition.stream => {
                let end = reader.partition.high_watermark();
                reader.check_range(from, end).err().unwrap_or(error)
            }
            _ => ReadError::Unknown {
                stream: reader.stream.to_owned(),
                partition: reader.partition.number,
            },
        }
    }

    /// [`Shared::write_entries`]
    pub(crate) fn write_entries(&self, entries: Vec<Entry>, still: impl FnOnce() -> bool) -> Result<bool, StreamError> {
        self.shared.write_entries(entries, still)
    }

    pub(crate) fn outcome(
        &self,
        outcome: Result<Result<Appended, AppendError>, oneshot::error::RecvError>,
    ) -> Result<Appended, AppendError> {
        self.shared.outcome(outcome)
    }
}
