//! The keeper thread: writes durable batches into segments, checkpoints when a journal file is full, and hands journal files round.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::behind::{DurableGroup, Ending};
use crate::checkpoint;
use crate::files::DiskError;
use crate::image::Image;
use crate::journal::format::{BatchEntry, Entry};
use crate::journal::writer::JournalFile;
use crate::limits::{RECENT_BATCH_OVERHEAD, RECENT_BYTES_MAX};
use crate::segment::format::stream_dir;
use crate::segment::writer::{SegmentWriter, by_partition};
use crate::shared::Shared;
use crate::streams::Partition;

/// The keeper's own state.
pub(crate) struct Keeper {
    image: Image,
    segments: SegmentWriter,
    /// Folders of dropped streams; they go once no checkpoint speaks of them.
    dropped: Vec<PathBuf>,
    recent: Recent,
}

/// Batches in memory that stand in segments too, oldest first.
#[derive(Default)]
struct Recent {
    batches: VecDeque<(Arc<Partition>, u64, usize)>,
    bytes: usize,
}

impl Keeper {
    pub(crate) fn new(image: Image, segments: SegmentWriter) -> Keeper {
        Keeper {
            image,
            segments,
            dropped: Vec::new(),
            recent: Recent::default(),
        }
    }

    /// Runs until it is told to end, or fails, which stops the log.
    pub(crate) fn run(mut self, shared: &Arc<Shared>) {
        loop {
            let work = shared.behind.next_work();
            if work.ending == Some(Ending::AtOnce) {
                return;
            }
            let mut done = self
                .make_file(shared, work.make_file)
                .and_then(|()| self.write_behind(shared, work.groups));
            if done.is_ok() && (work.checkpoint || work.ending.is_some()) {
                done = self.checkpoint(shared);
            }
            if let Err(error) = done {
                shared.stop(&error.to_string());
                return;
            }
            if work.ending.is_some() {
                return;
            }
        }
    }

    fn make_file(&self, shared: &Arc<Shared>, number: Option<u16>) -> Result<(), DiskError> {
        if let Some(number) = number {
            let length = shared.options.journal_bytes;
            shared.behind.add_free(JournalFile::prepare(
                shared.host.disk.as_ref(),
                &shared.dir,
                number,
                length,
            )?);
        }
        Ok(())
    }

    /// Folds groups into the image and writes their batches into segments.
    fn write_behind(&mut self, shared: &Arc<Shared>, groups: Vec<DurableGroup>) -> Result<(), DiskError> {
        for group in &groups {
            for entry in &group.entries {
                if let Err(what) = self.image.apply(entry) {
                    // Entries come from our own sequencer, in its order.
                    debug_assert!(false, "{what}");
                }
                match entry {
                    Entry::Principal { name, .. } => shared.principals.write().push(name.clone()),
                    Entry::StreamDropped { id } => {
                        let dir = stream_dir(&shared.dir, *id);
                        self.segments.forget(&dir);
                        self.dropped.push(dir);
                    }
                    _ => {}
                }
            }
            self.image.next_sequence = group.sequence + 1;
        }
        let batches = groups
            .iter()
            .flat_map(|group| &group.entries)
            .filter_map(|entry| match entry {
                Entry::Batch(batch) => Some(batch),
                _ => None,
            });
        for ((stream, partition), entries) in by_partition(batches) {
            self.write_partition(shared, stream, partition, &entries)?;
        }
        // What is left belongs to streams that were dropped.
        self.image.aborted.clear();
        self.recent.evict(RECENT_BYTES_MAX);
        Ok(())
    }

    fn write_partition(
        &mut self,
        shared: &Arc<Shared>,
        stream: u128,
        number: u32,
        entries: &[&BatchEntry],
    ) -> Result<(), DiskError> {
        let image = self
            .image
            .streams
            .get_mut(&stream)
            .and_then(|stream| stream.partitions.get_mut(number as usize));
        // A stream that was dropped meanwhile needs no segments.
        let Some(image) = image else { return Ok(()) };
        let before = image.segments.len().saturating_sub(1);
        let aborted = self.image.aborted.remove(&(stream, number)).unwrap_or_default();
        self.segments
            .write(stream, number, entries, &aborted, &mut image.segments)?;
        let partition = shared.streams.read().find(stream, number).cloned();
        let Some(partition) = partition else { return Ok(()) };
        let mut segments = partition.segments.lock();
        segments.truncate(before);
        segments.extend_from_slice(&image.segments[before..]);
        drop(segments);
        if let Some(last) = entries.last() {
            partition.transactions.evict_below(last.batch.next_offset());
        }
        for entry in entries {
            let bytes = entry.batch.bytes().len() + RECENT_BATCH_OVERHEAD;
            self.recent
                .batches
                .push_back((partition.clone(), entry.batch.next_offset(), bytes));
            self.recent.bytes += bytes;
        }
        Ok(())
    }

    /// Makes the segments durable and the journal up to here superfluous.
    fn checkpoint(&mut self, shared: &Arc<Shared>) -> Result<(), DiskError> {
        let disk = shared.host.disk.as_ref();
        self.segments.sync()?;
        checkpoint::write(disk, &shared.dir, &self.image)?;
        for dir in std::mem::take(&mut self.dropped) {
            if disk.exists(&dir).map_err(|source| DiskError::new(&dir, source))? {
                disk.remove_dir_all(&dir)
                    .map_err(|source| DiskError::new(&dir, source))?;
            }
        }
        for file in shared.behind.take_covered(self.image.next_sequence) {
            let length = shared.options.journal_bytes;
            shared
                .behind
                .add_free(JournalFile::prepare(disk, &shared.dir, file.number, length)?);
        }
        Ok(())
    }
}

impl Recent {
    fn evict(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some((partition, next_offset, bytes)) = self.batches.pop_front() else {
                break;
            };
            partition.tail.lock().evict_below(next_offset);
            self.bytes -= bytes;
        }
    }
}
