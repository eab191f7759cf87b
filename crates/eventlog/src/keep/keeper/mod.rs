//! The keeper thread: writes durable batches into segments, checkpoints when a journal file is full, and hands journal files round.
//!
//! Invariant: a checkpoint is written only when every batch below its sequence stands in a flushed segment; what does not fit on a full disk is owed
//! until there is room, and the journal keeps it meanwhile. It alone changes the image; what compaction and retention want of it comes as a task.

mod tasks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use crate::append::journal::format::{BatchEntry, Entry};
use crate::append::journal::writer::{JournalFile, SPARE};
use crate::append::room::Writing;
use crate::files::DiskError;
use crate::keep::behind::{DurableGroup, Ending};
use crate::keep::checkpoint;
use crate::keep::image::Image;
use crate::keep::segment::cut::Cut;
use crate::keep::segment::format::stream_dir;
use crate::keep::segment::writer::SegmentWriter;
use crate::limits::{RECENT_BATCH_OVERHEAD, RECENT_BYTES_MAX};
use crate::shared::Shared;
use crate::streams::Partition;

/// The keeper's own state.
pub(crate) struct Keeper {
    image: Image,
    segments: SegmentWriter,
    owed: Owed,
    /// Files of segments that are no more; they go once no checkpoint speaks of them.
    replaced: Vec<tasks::Replaced>,
    /// Up to which partition the folders were looked through for files that no segment has.
    swept: Option<(u128, u32)>,
    recent: Recent,
}

/// What is to be done still; where the disk is full it stays.
#[derive(Default)]
struct Owed {
    /// A journal file that is to be made.
    file: Option<u16>,
    /// Durable batches that stand in no segment yet, by partition, each in order.
    batches: BTreeMap<(u128, u32), Vec<BatchEntry>>,
    /// Bytes of those, roughly.
    bytes: usize,
    /// Partitions whose start moved: what lies below it and is not yet written goes once it is.
    moved: BTreeSet<(u128, u32)>,
    checkpoint: bool,
}

/// Batches in memory that stand in segments too, oldest first.
#[derive(Default)]
struct Recent {
    batches: VecDeque<(Arc<Partition>, u64, usize)>,
    bytes: usize,
}

impl Keeper {
    /// Goes on from a checkpoint; what came after it is handed over as every group is. Writes another one at once where that is asked for.
    pub(crate) fn new(checkpoint: Image, segments: SegmentWriter, again: bool) -> Keeper {
        Keeper {
            image: checkpoint,
            segments,
            owed: Owed {
                checkpoint: again,
                ..Owed::default()
            },
            replaced: Vec::new(),
            swept: None,
            recent: Recent::default(),
        }
    }

    /// Runs until it is told to end, or fails, which stops the log.
    pub(crate) fn run(mut self, shared: &Arc<Shared>) {
        let mut stuck = shared.room.refusal().is_some();
        loop {
            let work = shared.behind.next_work(self.owed.bytes, stuck);
            if work.ending == Some(Ending::AtOnce) {
                return;
            }
            self.owed.file = work.make_file.or(self.owed.file);
            self.owed.checkpoint |= work.checkpoint || work.ending.is_some();
            self.take(shared, work.groups);
            // Once a checkpoint: what it names is written by path.
            let is_ours = match self.owed.checkpoint {
                true => shared.claim.check(shared.host.disk.as_ref()),
                false => Ok(()),
            };
            let done = is_ours
                .and_then(|()| self.work_off(shared))
                .and_then(|()| self.do_tasks(shared, work.tasks));
            match done {
                Ok(()) => shared.room.suffices(Writing::Behind),
                Err(error) if error.is_shortage() => {}
                Err(error) => {
                    shared.stop(&error.to_string());
                    return;
                }
            }
            stuck = shared.room.refusal().is_some();
            if work.ending.is_some() {
                return;
            }
        }
    }

    /// Folds durable groups into the image; what is to be written of them is owed from here on.
    fn take(&mut self, shared: &Arc<Shared>, groups: Vec<DurableGroup>) {
        for group in groups {
            self.owed.bytes += group.bytes;
            for entry in group.entries {
                if let Err(what) = self.image.apply(&entry) {
                    // Entries come from our own sequencer, in its order.
                    debug_assert!(false, "{what}");
                }
                match entry {
                    Entry::Batch(batch) => {
                        let key = (batch.stream, batch.partition);
                        self.owed.batches.entry(key).or_default().push(batch);
                    }
                    Entry::Principal { name, .. } => shared.principals.write().push(name),
                    Entry::StreamDropped { id } => self.remove(shared, id),
                    Entry::StartMoved { stream, partition, .. } => {
                        self.prune(shared, stream, partition);
                        self.owed.moved.insert((stream, partition));
                    }
                    _ => {}
                }
            }
            self.image.next_sequence = group.sequence + 1;
        }
    }

    /// Removes a dropped stream's folder at once: that it was dropped is durable, and on a full disk its room is needed.
    fn remove(&mut self, shared: &Arc<Shared>, stream: u128) {
        let dir = stream_dir(&shared.dir, stream);
        self.segments.forget(&dir);
        self.owed.batches.retain(|(owner, _), _| *owner != stream);
        match shared.host.disk.remove_dir_all(&dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let error = DiskError::new(&dir, source);
                tracing::warn!("a dropped stream's folder stays until the next start: {error}");
            }
            _ => {}
        }
    }

    /// Does what is owed. Where the disk is full, once more on the room that the reserve leaves.
    fn work_off(&mut self, shared: &Arc<Shared>) -> Result<(), DiskError> {
        loop {
            let done = self
                .make_file(shared)
                .and_then(|()| self.write_behind(shared))
                .and_then(|()| self.checkpoint(shared))
                .and_then(|()| lay_spare_aside(shared));
            match done {
                Err(error) if error.is_shortage() && shared.room.ran_out(Writing::Behind, &error) => {}
                done => return done,
            }
        }
    }

    fn make_file(&mut self, shared: &Arc<Shared>) -> Result<(), DiskError> {
        if let Some(number) = self.owed.file {
            let disk = shared.host.disk.as_ref();
            let length = shared.options.journal_bytes;
            let file = JournalFile::prepare(disk, &shared.dir, self.image.key, number, length)?;
            self.image.note_journal(&file);
            self.owed.checkpoint = true;
            shared.behind.add_free(file);
            self.owed.file = None;
        }
        Ok(())
    }

    /// Writes owed batches into segments.
    fn write_behind(&mut self, shared: &Arc<Shared>) -> Result<(), DiskError> {
        while let Some(((stream, partition), entries)) = self.owed.batches.pop_first() {
            let written = self.write_partition(shared, stream, partition, &entries);
            if let Err((error, done)) = written {
                let rest = entries.into_iter().skip(done).collect();
                self.owed.batches.insert((stream, partition), rest);
                return Err(error);
            }
        }
        for (stream, partition) in std::mem::take(&mut self.owed.moved) {
            self.prune(shared, stream, partition);
        }
        // What is left belongs to streams that were dropped.
        self.image.aborted.clear();
        self.owed.bytes = 0;
        self.recent.evict(RECENT_BYTES_MAX);
        Ok(())
    }

    /// Writes batches of one partition; an error says how many of them stand in segments all the same.
    fn write_partition(
        &mut self,
        shared: &Arc<Shared>,
        stream: u128,
        number: u32,
        entries: &[BatchEntry],
    ) -> Result<(), (DiskError, usize)> {
        // A stream that was dropped meanwhile needs no segments.
        let Some(found) = self.image.streams.get_mut(&stream) else {
            return Ok(());
        };
        let cut = Cut::of(&found.settings, shared.options.segment_bytes);
        let Some(image) = found.partitions.get_mut(number as usize) else {
            return Ok(());
        };
        let before = image.segments.len().saturating_sub(1);
        let wanted: Vec<&BatchEntry> = entries.iter().collect();
        let mut aborted = self.image.aborted.remove(&(stream, number)).unwrap_or_default();
        let written = self
            .segments
            .write(stream, number, &wanted, &aborted, cut, &mut image.segments);
        let end = image.segments.last().map_or(0, |segment| segment.end);
        aborted.retain(|range| range.marker >= end);
        if !aborted.is_empty() {
            self.image.aborted.insert((stream, number), aborted);
        }
        for damage in self.segments.take_damage() {
            tracing::error!("{damage}");
        }
        let done = entries.partition_point(|entry| entry.batch.next_offset() <= end);
        let partition = shared.streams.read().find(stream, number).cloned();
        if let Some(partition) = partition {
            let mut segments = partition.segments.lock();
            segments.truncate(before);
            segments.extend_from_slice(&image.segments[before..]);
            drop(segments);
            partition.transactions.evict_below(end);
            for entry in &entries[..done] {
                self.recent.add(&partition, entry);
            }
        }
        written.map_err(|error| (error, done))
    }

    /// Makes the segments durable and the journal up to here superfluous, where that is asked for.
    fn checkpoint(&mut self, shared: &Arc<Shared>) -> Result<(), DiskError> {
        if !self.owed.checkpoint {
            return Ok(());
        }
        let disk = shared.host.disk.as_ref();
        self.segments.sync()?;
        checkpoint::write(disk, &shared.dir, &self.image)?;
        self.owed.checkpoint = false;
        self.remove_replaced(shared);
        for mut file in shared.behind.take_covered(self.image.next_sequence) {
            let length = shared.options.journal_bytes;
            if file.number == SPARE {
                match file.rename(disk, &shared.dir, false) {
                    Err(error) if !error.is_shortage() => return Err(error),
                    _ => {}
                }
                shared.behind.add_free(file);
                continue;
            }
            match JournalFile::prepare(disk, &shared.dir, self.image.key, file.number, length) {
                Ok(grown) => {
                    self.image.note_journal(&grown);
                    shared.behind.add_free(grown);
                }
                // It goes round as long as it is: it grows when there is room.
                Err(error) if error.is_shortage() => shared.behind.add_free(file),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Sees to it that there is a journal file for when the disk is full.
pub(crate) fn lay_spare_aside(shared: &Shared) -> Result<(), DiskError> {
    if shared.behind.lacks_spare() {
        let disk = shared.host.disk.as_ref();
        let spare = JournalFile::lay_aside(disk, &shared.dir, shared.options.journal_bytes)?;
        shared.behind.add_free(spare);
    }
    Ok(())
}

impl Recent {
    fn add(&mut self, partition: &Arc<Partition>, entry: &BatchEntry) {
        let bytes = entry.batch.bytes().len() + RECENT_BATCH_OVERHEAD;
        self.batches
            .push_back((partition.clone(), entry.batch.next_offset(), bytes));
        self.bytes += bytes;
    }

    fn evict(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some((partition, next_offset, bytes)) = self.batches.pop_front() else {
                break;
            };
            let evicted = partition.tail.lock().evict_below(next_offset);
            drop(evicted);
            self.bytes -= bytes;
        }
    }
}
