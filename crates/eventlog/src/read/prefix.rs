//! The history up to a moment, read in the order in which it was appended, so that another log can be given the same.
//!
//! Invariants
//! - The cut is consistent: of everything that was appended at one moment, all streams have it or none has, but where a position says otherwise
//!   of its own partitions. A batch is never cut: its bytes stay as they are.
//! - What is undecided (beyond a last stable offset) is not part of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use headwater_records::Position;

use crate::error::ReadError;
use crate::log::EventLog;
use crate::read::stored::StoredBatch;
use crate::told::{PartitionOffsets, StreamInfo};

/// How much of one partition is read at once: every partition holds so much while all are merged.
const READ_BYTES: usize = 64 * 1024;

/// Up to where history is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    /// What had been appended by then, microseconds since 1970.
    Time(i64),
    /// What is below the position in the partitions that it names, and in all others what had been appended when the last of that was.
    Position(Position),
}

/// What becomes of a stream that no longer has all that it had at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// There is no history of that moment.
    Refused,
    /// It is left out.
    LeftOut,
    /// What is left of it is taken.
    WithGaps,
}

/// A history up to a moment, being read.
pub struct Prefix {
    log: EventLog,
    moment_us: i64,
    streams: Vec<StreamInfo>,
    left_out: Vec<String>,
    with_gaps: Vec<String>,
    partitions: Vec<Source>,
    /// The partitions that have more, by when their next batch was appended.
    next: BinaryHeap<Reverse<(i64, usize)>>,
}

/// One batch of a history.
pub struct PrefixBatch {
    /// Its stream.
    pub stream: String,
    /// Its partition.
    pub partition: u32,
    /// Itself, with when and by whom it was appended.
    pub stored: StoredBatch,
}

/// What a partition held, beside its batches.
#[derive(Debug, Clone)]
pub struct PrefixPartition {
    /// Its stream.
    pub stream: String,
    /// Its number.
    pub partition: u32,
    /// Where it ends.
    pub end: u64,
    /// Where what is kept begins, and up to where it was compacted.
    pub offsets: PartitionOffsets,
    /// When the last event that compaction may have taken was appended, microseconds since 1970.
    pub compacted_at_us: i64,
}

/// Where the reading of one partition stands.
struct Source {
    partition: PrefixPartition,
    next: u64,
    waiting: VecDeque<StoredBatch>,
}

impl EventLog {
    /// Begins to read the history up to a moment. [`ReadError::Expired`] where a stream no longer has it all, unless `lacking` says something else of it.
    pub fn prefix(&self, until: &Until, lacking: impl Fn(&str) -> Lacking) -> Result<Prefix, ReadError> {
        let moment_us = match until {
            Until::Time(moment_us) => *moment_us,
            Until::Position(position) => self.appended_below(position)?,
        };
        let mut prefix = Prefix {
            log: self.clone(),
            moment_us,
            streams: Vec::new(),
            left_out: Vec::new(),
            with_gaps: Vec::new(),
            partitions: Vec::new(),
            next: BinaryHeap::new(),
        };
        for info in self.streams() {
            let ends = match self.position_at(&info.name, moment_us) {
                Ok(ends) => ends,
                Err(error @ ReadError::Expired { .. }) => {
                    let left = match lacking(&info.name) {
                        Lacking::Refused => return Err(error),
                        Lacking::LeftOut => None,
                        Lacking::WithGaps => self.left_at(&info.name, moment_us)?,
                    };
                    let Some(left) = left else {
                        prefix.left_out.push(info.name);
                        continue;
                    };
                    prefix.with_gaps.push(info.name.clone());
                    left
                }
                Err(error) => return Err(error),
            };
            // Where there was nothing yet there may have been no stream.
            if ends.iter().any(|(_, _, end)| end > 0) {
                prefix.add(&info, &ends, until)?;
            }
        }
        Ok(prefix)
    }

    /// Where a stream ended at a moment, of whose events then some are gone; `None` where all are.
    fn left_at(&self, stream: &str, moment_us: i64) -> Result<Option<Position>, ReadError> {
        let ends = self.kept_position_at(stream, moment_us)?;
        let has_some = |(name, number, end): (&str, u32, u64)| {
            let offsets = self.offsets(name, number).unwrap_or_default();
            end > offsets.start
        };
        let is_left = ends.iter().any(has_some);
        Ok(is_left.then_some(ends))
    }

    /// When the last event below a position was appended.
    fn appended_below(&self, position: &Position) -> Result<i64, ReadError> {
        let mut moment_us = i64::MIN;
        for (stream, partition, next) in position.iter() {
            let Some(last) = next.checked_sub(1) else { continue };
            let batches = self.read_stored(stream, partition, last, next, 1)?;
            let found = batches.first().filter(|stored| stored.batch.base_offset() <= last);
            let Some(found) = found else {
                let offsets = self.offsets(stream, partition).unwrap_or_default();
                return Err(ReadError::OutOfRange {
                    stream: stream.to_owned(),
                    partition,
                    offset: last,
                    start: offsets.start.max(offsets.compacted),
                    end: offsets.high_watermark,
                });
            };
            moment_us = moment_us.max(found.appended_at_us);
        }
        Ok(moment_us)
    }
}

impl Prefix {
    /// The moment of the cut, microseconds since 1970.
    pub fn moment_us(&self) -> i64 {
        self.moment_us
    }

    /// The streams that had something by then.
    pub fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    /// The streams that are left out since they no longer have it all, or anything.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The streams that come with what is left of them.
    pub fn with_gaps(&self) -> &[String] {
        &self.with_gaps
    }

    /// The partitions of the streams.
    pub fn partitions(&self) -> impl Iterator<Item = &PrefixPartition> {
        self.partitions.iter().map(|source| &source.partition)
    }

    /// How many offsets there are to be read.
    pub fn events(&self) -> u64 {
        let span = |partition: &PrefixPartition| partition.end.saturating_sub(partition.offsets.start);
        self.partitions().map(span).sum()
    }

    /// The next batch in the order of appending.
    pub fn next_batch(&mut self) -> Result<Option<PrefixBatch>, ReadError> {
        let Some(Reverse((_, index))) = self.next.pop() else {
            return Ok(None);
        };
        let source = &mut self.partitions[index];
        let stored = source.waiting.pop_front();
        let stream = source.partition.stream.clone();
        let partition = source.partition.partition;
        self.queue(index)?;
        Ok(stored.map(|stored| PrefixBatch {
            stream,
            partition,
            stored,
        }))
    }

    fn add(&mut self, info: &StreamInfo, ends: &Position, until: &Until) -> Result<(), ReadError> {
        for (name, number, end) in ends.iter() {
            let named = match until {
                Until::Position(position) => position
                    .iter()
                    .find(|(stream, partition, _)| (*stream, *partition) == (name, number)),
                Until::Time(_) => None,
            };
            let end = named.map_or(end, |(_, _, next)| next.min(end));
            let offsets = self.log.offsets(name, number).unwrap_or_default();
            self.partitions.push(Source {
                partition: PrefixPartition {
                    stream: name.to_owned(),
                    partition: number,
                    end,
                    offsets,
                    compacted_at_us: self.log.compacted_at_us(name, number),
                },
                next: offsets.start,
                waiting: VecDeque::new(),
            });
            self.queue(self.partitions.len() - 1)?;
        }
        self.streams.push(info.clone());
        Ok(())
    }

    /// Puts a partition's next batch into the queue, reading on where none waits.
    fn queue(&mut self, index: usize) -> Result<(), ReadError> {
        let Source {
            partition,
            next,
            waiting,
        } = &mut self.partitions[index];
        if waiting.is_empty() && *next < partition.end {
            let read =
                self.log
                    .read_stored(&partition.stream, partition.partition, *next, partition.end, READ_BYTES)?;
            *next = read.last().map_or(partition.end, |last| last.batch.next_offset());
            let end = partition.end;
            waiting.extend(read.into_iter().filter(|stored| stored.batch.base_offset() < end));
        }
        if let Some(first) = waiting.front() {
            self.next.push(Reverse((first.appended_at_us, index)));
        }
        Ok(())
    }
}
