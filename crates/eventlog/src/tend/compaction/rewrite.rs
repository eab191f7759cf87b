//! A run of segments written into one, as a new generation of files: without what is superseded, flushed, and not yet in anybody's list.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_host::{File, OpenMode};
use headwater_records::{Batch, EventSlice, Retained};

use crate::files::DiskError;
use crate::keep::segment::Segment;
use crate::keep::segment::format::{IndexEntry, Seal, encode_aborted, partition_dir, segment_paths};
use crate::read::PartitionReader;
use crate::tend::compaction::keys::Keys;
use crate::tend::compaction::pass::{PassError, READ_BYTES, read_chunk};

/// What stays and what goes.
pub(crate) struct Rules<'a> {
    pub(crate) keys: &'a Keys,
    /// What lies at or above stays as it is.
    pub(crate) to: u64,
    pub(crate) now_us: i64,
    /// How long tombstones and markers stay after the first pass that met them.
    pub(crate) tombstone_ms: u64,
    /// The batch that ends here, or later, stays whole.
    pub(crate) whole_from: u64,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays as it is.
    Stays,
    /// It stays as it is, and from now on it is counted how long.
    Marked,
    /// Some of it stays; the flag says whether from now on it is counted how long.
    Less(Batch, bool),
    /// Nothing of it stays.
    Goes,
}

impl Rules<'_> {
    /// What becomes of a batch.
    pub(crate) fn fate(&self, entry: &IndexEntry, batch: &Batch, taken_back: bool) -> Fate {
        if entry.next > self.to || entry.next >= self.whole_from {
            return Fate::Stays;
        }
        if taken_back {
            return Fate::Goes;
        }
        let is_over = self.is_over(entry);
        if batch.is_control() {
            return match (entry.compacted_at_s, is_over) {
                (0, _) => Fate::Marked,
                (_, true) => Fate::Goes,
                (_, false) => Fate::Stays,
            };
        }
        let mut tombstones = false;
        let stays = |event: &EventSlice<'_>| {
            let Some(key) = event.key else { return true };
            let is_tombstone = event.value.is_none();
            let goes = self.keys.supersede(key, event.offset) || (is_tombstone && is_over);
            tombstones |= !goes && is_tombstone;
            !goes
        };
        // A batch that cannot be read stays: nobody can say which keys are in it.
        let Ok(retained) = batch.retain(stays) else {
            return Fate::Stays;
        };
        let marked = tombstones && entry.compacted_at_s == 0;
        match retained {
            Retained::All if marked => Fate::Marked,
            Retained::All => Fate::Stays,
            Retained::Some(batch) => Fate::Less(batch, marked),
            Retained::None => Fate::Goes,
        }
    }

    /// Whether the time of a tombstone or marker is over.
    fn is_over(&self, entry: &IndexEntry) -> bool {
        let since_ms = self.now_us / 1000 - i64::from(entry.compacted_at_s) * 1000;
        entry.compacted_at_s > 0 && since_ms >= i64::try_from(self.tombstone_ms).unwrap_or(i64::MAX)
    }

    fn now_s(&self) -> u32 {
        u32::try_from(self.now_us / 1_000_000).unwrap_or(u32::MAX).max(1)
    }
}

/// What writing a run anew gave.
pub(crate) enum Rewritten {
    /// Nothing would change.
    Same,
    /// This segment takes the place of the run.
    Anew(Segment),
}

/// A segment being written.
pub(crate) struct Rewrite {
    seal: Seal,
    segment: Segment,
    paths: [PathBuf; 3],
    files: [Arc<dyn File>; 3],
    written: [u64; 3],
    buffers: [Vec<u8>; 3],
    changed: bool,
}

impl Rewrite {
    /// Writes a run anew. What is left of an attempt that fails is removed, or swept up after the next start.
    pub(crate) fn run(
        reader: &PartitionReader<'_>,
        old: &[Segment],
        rules: &Rules<'_>,
    ) -> Result<Rewritten, PassError> {
        let mut rewrite = Rewrite::begin(reader, old)?;
        let done = rewrite.copy(reader, old, rules);
        let kept = matches!(done, Ok(true));
        if !kept {
            for path in &rewrite.paths {
                let _ = reader.shared.host.disk.remove_file(path);
            }
        }
        match done? {
            true => Ok(Rewritten::Anew(rewrite.segment)),
            false => Ok(Rewritten::Same),
        }
    }

    fn begin(reader: &PartitionReader<'_>, old: &[Segment]) -> Result<Rewrite, PassError> {
        let (Some(first), Some(last)) = (old.first(), old.last()) else {
            return Err(PassError::Failed("there is no segment to write anew".to_owned()));
        };
        let generation = old.iter().map(|segment| segment.generation).max().unwrap_or(0) + 1;
        let mut segment = Segment::new(first.base, generation);
        segment.closed = true;
        segment.end = last.end;
        for old in old {
            segment.appended_at_us_first = segment.appended_at_us_first.min(old.appended_at_us_first);
            segment.appended_at_us_last = segment.appended_at_us_last.max(old.appended_at_us_last);
        }
        let folder = partition_dir(&reader.shared.dir, reader.partition.stream, reader.partition.number);
        let paths = segment_paths(&folder, &segment);
        let mut files: Vec<Arc<dyn File>> = Vec::with_capacity(paths.len());
        for path in &paths {
            let opened = reader.shared.host.disk.open(path, OpenMode::ReadWrite);
            let file = opened.and_then(|file| file.set_len(0).map(|()| file));
            files.push(Arc::from(file.map_err(|source| failed(DiskError::new(path, source)))?));
        }
        let files = <[Arc<dyn File>; 3]>::try_from(files).map_err(|_| PassError::BrokenOff)?;
        Ok(Rewrite {
            seal: Seal::of(reader.partition.stream, reader.partition.number),
            segment,
            paths,
            files,
            written: [0; 3],
            buffers: Default::default(),
            // Several that become one change in any case.
            changed: old.len() > 1,
        })
    }

    /// Copies what stays, and flushes it; whether that changed anything.
    fn copy(&mut self, reader: &PartitionReader<'_>, old: &[Segment], rules: &Rules<'_>) -> Result<bool, PassError> {
        for segment in old {
            let mut at = segment.base;
            while at < segment.end {
                let chunk = read_chunk(reader, segment, at)?;
                let Some((last, _, _)) = chunk.last() else { break };
                at = last.next;
                for (entry, batch, taken_back) in &chunk {
                    self.take(entry, batch, rules.fate(entry, batch, *taken_back), rules);
                }
                self.write(READ_BYTES)?;
            }
            self.take_ranges(reader, segment, rules)?;
        }
        if !self.changed {
            return Ok(false);
        }
        self.write(0)?;
        for (file, path) in self.files.iter().zip(&self.paths) {
            file.sync_data()
                .map_err(|source| failed(DiskError::new(path, source)))?;
        }
        if let Some(folder) = self.paths[0].parent() {
            let synced = reader.shared.host.disk.sync_dir(folder);
            synced.map_err(|source| failed(DiskError::new(folder, source)))?;
        }
        Ok(true)
    }

    fn take(&mut self, entry: &IndexEntry, batch: &Batch, fate: Fate, rules: &Rules<'_>) {
        self.changed |= fate != Fate::Stays;
        let (batch, marked) = match &fate {
            Fate::Goes => return,
            Fate::Stays => (batch, false),
            Fate::Marked => (batch, true),
            Fate::Less(less, marked) => (less, *marked),
        };
        let kept = IndexEntry {
            place: self.segment.bytes,
            timestamp_ms_max: batch.timestamp_ms_max(),
            length: batch.bytes().len() as u32,
            compacted_at_s: if marked { rules.now_s() } else { entry.compacted_at_s },
            batch_crc: batch.crc(),
            ..*entry
        };
        self.buffers[0].extend_from_slice(batch.bytes());
        kept.encode(self.seal, &mut self.buffers[1]);
        self.segment.bytes += batch.bytes().len() as u64;
        self.segment.entries += 1;
        self.segment.timestamp_ms_max = self.segment.timestamp_ms_max.max(kept.timestamp_ms_max);
    }

    /// Takes over the ranges taken back of one segment, but for those whose marker went.
    fn take_ranges(
        &mut self,
        reader: &PartitionReader<'_>,
        segment: &Segment,
        rules: &Rules<'_>,
    ) -> Result<(), PassError> {
        let failed = |error: crate::error::ReadError| PassError::Failed(error.to_string());
        for range in reader.aborted_of(segment).map_err(failed)? {
            let marker = reader.entry_of(segment, range.marker).map_err(failed)?;
            let goes = marker.is_none_or(|marker| {
                let is_below = marker.next <= rules.to && marker.next < rules.whole_from;
                is_below && rules.is_over(&marker)
            });
            if !goes {
                encode_aborted(&range, self.seal, &mut self.buffers[2]);
                self.segment.aborted += 1;
            }
        }
        Ok(())
    }

    /// Writes out buffers of at least so many bytes.
    fn write(&mut self, least: usize) -> Result<(), PassError> {
        for number in 0..self.buffers.len() {
            let buffer = &mut self.buffers[number];
            if buffer.is_empty() || buffer.len() < least {
                continue;
            }
            let done = self.files[number].write_all_at(buffer, self.written[number]);
            done.map_err(|source| failed(DiskError::new(&self.paths[number], source)))?;
            self.written[number] += buffer.len() as u64;
            buffer.clear();
        }
        Ok(())
    }
}

fn failed(error: DiskError) -> PassError {
    PassError::Failed(error.to_string())
}
