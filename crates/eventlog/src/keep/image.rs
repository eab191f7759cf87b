//! The durable state of the log as a fold over journal entries: what a checkpoint holds.
//!
//! The keeper folds every group that is durable, recovery folds what the journal holds after the checkpoint: the same function.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::append::journal::format::Entry;
use crate::append::journal::writer::{JournalFile, SPARE};
use crate::append::producers::Producers;
use crate::keep::segment::Segment;
use crate::limits::{FRAME_ALIGN, PRINCIPALS_MISSING_MAX};
use crate::streams::settings::StreamSettings;
use crate::streams::transactions::{Aborted, Turn};

/// A boundary in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The first offset behind it.
    pub(crate) offset: u64,
    /// When the last event below it was appended.
    pub(crate) appended_at_us: i64,
}

impl Edge {
    pub(crate) fn advance(&mut self, to: Edge) {
        self.offset = self.offset.max(to.offset);
        self.appended_at_us = self.appended_at_us.max(to.appended_at_us);
    }
}

/// Everything below `next_sequence`, folded.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Random, rolled when the log is created; seeds the CRC of frame headers.
    pub(crate) key: u64,
    /// The first journal frame that is not folded in.
    pub(crate) next_sequence: u64,
    /// When the last batch was appended.
    pub(crate) appended_at_us: i64,
    /// The first producer id that was never given out.
    pub(crate) next_producer_id: i64,
    /// With how many bytes each journal file was made, by number; 0: not known.
    pub(crate) journal_files: Vec<u64>,
    /// Principals by number.
    pub(crate) principals: Vec<Arc<str>>,
    pub(crate) streams: BTreeMap<u128, StreamImage>,
    pub(crate) producers: Producers,
    /// What was taken back, by partition, and stands beside no segment yet; in no checkpoint.
    pub(crate) aborted: BTreeMap<(u128, u32), Vec<Aborted>>,
}

/// One stream in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamImage {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Arc<StreamSettings>,
    pub(crate) partitions: Vec<PartitionImage>,
}

/// One partition in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionImage {
    /// The first offset that is kept.
    pub(crate) start: u64,
    /// When the last event below `start` was appended.
    pub(crate) expired_at_us: i64,
    /// The first offset that compaction has not come by.
    pub(crate) compacted: u64,
    /// When the last event below `compacted` was appended.
    pub(crate) compacted_at_us: i64,
    /// The offset after the last event folded in.
    pub(crate) end: u64,
    /// Where the events stand; the keeper sees to it that they reach `end` before a checkpoint is written.
    pub(crate) segments: Vec<Segment>,
}

impl Default for PartitionImage {
    fn default() -> PartitionImage {
        PartitionImage {
            start: 0,
            expired_at_us: i64::MIN,
            compacted: 0,
            compacted_at_us: i64::MIN,
            end: 0,
            segments: Vec::new(),
        }
    }
}

impl PartitionImage {
    /// Where what is kept begins.
    pub(crate) fn start_edge(&self) -> Edge {
        Edge {
            offset: self.start,
            appended_at_us: self.expired_at_us,
        }
    }

    /// Up to where compaction took superseded events out.
    pub(crate) fn compacted_edge(&self) -> Edge {
        Edge {
            offset: self.compacted,
            appended_at_us: self.compacted_at_us,
        }
    }

    /// Up to where events stand in segments.
    pub(crate) fn written(&self) -> u64 {
        self.segments.last().map_or(self.start, |segment| segment.end)
    }

    /// Takes out the segments that lie below the start.
    pub(crate) fn prune(&mut self) -> Vec<Segment> {
        let gone = self.segments.partition_point(|segment| segment.end <= self.start);
        self.segments.drain(..gone).collect()
    }
}

impl Image {
    /// A log without streams.
    pub(crate) fn empty(key: u64) -> Image {
        Image {
            key,
            next_sequence: 1,
            appended_at_us: i64::MIN,
            next_producer_id: 0,
            journal_files: Vec::new(),
            principals: Vec::new(),
            streams: BTreeMap::new(),
            producers: Producers::default(),
            aborted: BTreeMap::new(),
        }
    }

    /// A journal file stands there, durable. The spare may be missing.
    pub(crate) fn note_journal(&mut self, file: &JournalFile) {
        let number = usize::from(file.number);
        if file.number != SPARE && file.length >= FRAME_ALIGN {
            let files = self.journal_files.len().max(number + 1);
            self.journal_files.resize(files, 0);
            self.journal_files[number] = file.length;
        }
    }

    /// Takes out of every partition the segments that lie below its start.
    pub(crate) fn prune(&mut self) {
        for stream in self.streams.values_mut() {
            for partition in &mut stream.partitions {
                partition.prune();
            }
        }
    }

    /// Folds one entry in. An error says that entries before it are missing.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::Batch(entry) => {
                let batch = &entry.batch;
                let base = batch.base_offset();
                self.appended_at_us = self.appended_at_us.max(entry.appended_at_us);
                let partition = self
                    .streams
                    .get_mut(&entry.stream)
                    .and_then(|stream| stream.partitions.get_mut(entry.partition as usize))
                    .ok_or_else(|| format!("a batch for an unknown stream {:032x}", entry.stream))?;
                let before = partition.end;
                partition.end = before.max(batch.next_offset());
                let turn = self
                    .producers
                    .record(entry.stream, entry.partition, batch, entry.appended_at_us);
                if let Some(Turn::Ends { aborted: true, range }) = turn {
                    let here = (entry.stream, entry.partition);
                    self.aborted.entry(here).or_default().push(range);
                }
                if base != before {
                    let stream = entry.stream;
                    return Err(format!(
                        "offsets {before}..{base} of partition {} of stream {stream:032x} are missing",
                        entry.partition
                    ));
                }
                if entry.principal as usize >= self.principals.len() {
                    return Err(format!("the name of principal {} is missing", entry.principal));
                }
            }
            Entry::Principal { number, name } => {
                let known = self.principals.len();
                if (*number as usize) < known {
                    return Err(format!("principal {number} is named again"));
                }
                if *number as usize - known > PRINCIPALS_MISSING_MAX {
                    return Err(format!("principal {number} is named where {known} is the next number"));
                }
                // Names that are missing keep their numbers, so that the later ones are right.
                while self.principals.len() < *number as usize {
                    self.principals.push(Arc::from("?"));
                }
                self.principals.push(name.clone());
                if known != *number as usize {
                    return Err(format!("the name of principal {known} is missing"));
                }
            }
            Entry::StreamCreated {
                id,
                name,
                partitions,
                settings,
            } => {
                let stream = StreamImage {
                    name: name.clone(),
                    settings: settings.clone(),
                    partitions: vec![PartitionImage::default(); *partitions as usize],
                };
                self.streams.insert(*id, stream);
            }
            Entry::PartitionsAdded { id, partitions } => {
                let stream = self
                    .streams
                    .get_mut(id)
                    .ok_or_else(|| format!("partitions of an unknown stream {id:032x}"))?;
                let partitions = stream.partitions.len().max(*partitions as usize);
                stream.partitions.resize(partitions, PartitionImage::default());
            }
            Entry::StreamDropped { id } => {
                self.streams.remove(id);
                self.producers.forget_stream(*id);
            }
            Entry::ProducerIds { next } => self.next_producer_id = self.next_producer_id.max(*next),
            Entry::StreamAltered { id, settings } => {
                let stream = self.streams.get_mut(id);
                let stream = stream.ok_or_else(|| format!("settings of an unknown stream {id:032x}"))?;
                stream.settings = settings.clone();
            }
            Entry::StartMoved {
                stream,
                partition,
                start,
                appended_at_us,
            } => {
                let found = self
                    .streams
                    .get_mut(stream)
                    .and_then(|stream| stream.partitions.get_mut(*partition as usize))
                    .ok_or_else(|| format!("the start of an unknown stream {stream:032x}"))?;
                found.start = found.start.max(*start);
                found.expired_at_us = found.expired_at_us.max(*appended_at_us);
            }
        }
        Ok(())
    }
}
