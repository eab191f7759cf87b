//! Writes durable batches into segments, without a flush, and flushes what is dirty when a checkpoint asks for it.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use headwater_host::{Disk, OpenMode};

use super::extent::Segment;
use crate::append::gather::{filler_bytes, padding_bytes};
use crate::append::journal::format::BatchEntry;
use crate::files::{DiskError, Files, absence};
use crate::keep::segment::cut::Cut;
use crate::keep::segment::format::{
    ABORTED_ENTRY_BYTES, INDEX_ENTRY_BYTES, IndexEntry, Seal, aborted_path, batches_path, encode_aborted, index_path,
    partition_dir, streams_dir,
};
use crate::keep::segment::run::{RunWriter, Target};
use crate::limits::SYNC_EACH_MAX;
use crate::mend::damage::Damage;
use crate::streams::transactions::Aborted;

/// The one writer of segments.
pub(crate) struct SegmentWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    files: Files,
    /// Files written since the last flush.
    dirty: BTreeSet<PathBuf>,
    /// Partitions whose last segment was looked at since the log was opened: nothing is put behind what is missing.
    looked_at: HashSet<(u128, u32)>,
    damage: Vec<Damage>,
    /// Folders with new entries since the last flush.
    dirty_dirs: BTreeSet<PathBuf>,
    runs: RunWriter,
    index: Vec<u8>,
    aborted: Vec<u8>,
}

impl SegmentWriter {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> SegmentWriter {
        SegmentWriter {
            files: Files::new(disk.clone(), OpenMode::ReadWrite),
            runs: RunWriter::new(disk.clone()),
            disk,
            dir: dir.to_owned(),
            dirty: BTreeSet::new(),
            looked_at: HashSet::new(),
            damage: Vec::new(),
            dirty_dirs: BTreeSet::new(),
            index: Vec::new(),
            aborted: Vec::new(),
        }
    }

    /// Puts batches of one partition, in order and without gaps, after what `segments` holds, and brings that up to date.
    /// `aborted` are the ranges taken back whose markers are among the batches, in their order.
    pub(crate) fn write(
        &mut self,
        stream: u128,
        partition: u32,
        entries: &[&BatchEntry],
        aborted: &[Aborted],
        cut: Cut,
        segments: &mut Vec<Segment>,
    ) -> Result<(), DiskError> {
        let dir = partition_dir(&self.dir, stream, partition);
        if !self.looked_at.contains(&(stream, partition))
            && let (Some(segment), Some(first)) = (segments.last().copied(), entries.first())
        {
            let missing = missing(self.disk.as_ref(), &dir, &segment)?;
            if !missing.is_empty() {
                self.damage.extend(missing);
                self.begin_segment(&dir, first.batch.base_offset(), segments)?;
            }
        }
        self.looked_at.insert((stream, partition));
        let mut rest = entries;
        while let Some(first) = rest.first() {
            if segments.last().is_none_or(|segment| cut.is_full(segment, first)) {
                self.begin_segment(&dir, first.batch.base_offset(), segments)?;
            }
            let Some(segment) = segments.last_mut() else { break };
            let taken = self.write_run(&dir, Seal::of(stream, partition), rest, aborted, cut, segment)?;
            rest = &rest[taken..];
        }
        Ok(())
    }

    fn begin_segment(&mut self, dir: &Path, base: u64, segments: &mut Vec<Segment>) -> Result<(), DiskError> {
        if segments.is_empty() {
            self.disk
                .create_dir_all(dir)
                .map_err(|source| DiskError::new(dir, source))?;
            for folder in dir.ancestors() {
                self.dirty_dirs.insert(folder.to_owned());
                if folder == streams_dir(&self.dir) {
                    break;
                }
            }
        }
        self.dirty_dirs.insert(dir.to_owned());
        segments.push(Segment::new(base, 0));
        Ok(())
    }

    /// Writes as many batches as fit into the segment with one write a file; at least one.
    fn write_run(
        &mut self,
        dir: &Path,
        seal: Seal,
        entries: &[&BatchEntry],
        aborted: &[Aborted],
        cut: Cut,
        segment: &mut Segment,
    ) -> Result<usize, DiskError> {
        self.index.clear();
        let mut grown = *segment;
        let mut run: Vec<(u64, &Bytes)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let batch = &entry.batch;
            let length = batch.bytes().len();
            if cut.is_full(&grown, entry) {
                break;
            }
            let place = grown.bytes + filler_bytes(grown.bytes, batch.bytes()) as u64;
            let index_entry = IndexEntry {
                base: batch.base_offset(),
                next: batch.next_offset(),
                place,
                appended_at_us: entry.appended_at_us,
                timestamp_ms_max: batch.timestamp_ms_max(),
                length: length as u32,
                principal: entry.principal,
                compacted_at_s: 0,
                batch_crc: batch.crc(),
            };
            index_entry.encode(seal, &mut self.index);
            grown.end = index_entry.next;
            grown.bytes = place + length as u64;
            grown.entries += 1;
            grown.appended_at_us_first = grown.appended_at_us_first.min(entry.appended_at_us);
            grown.appended_at_us_last = entry.appended_at_us;
            grown.timestamp_ms_max = grown.timestamp_ms_max.max(index_entry.timestamp_ms_max);
            run.push((place, batch.bytes()));
        }
        let taken = run.len();
        if let Some((_, last)) = run.last() {
            grown.bytes += padding_bytes(grown.bytes, last);
        }
        self.aborted.clear();
        for range in aborted
            .iter()
            .filter(|range| (segment.end..grown.end).contains(&range.marker))
        {
            encode_aborted(range, seal, &mut self.aborted);
            grown.aborted += 1;
        }
        let index_place = segment.entries * INDEX_ENTRY_BYTES as u64;
        let aborted_place = segment.aborted * ABORTED_ENTRY_BYTES as u64;
        if segment.aborted == 0 && grown.aborted > 0 {
            self.dirty_dirs.insert(dir.to_owned());
        }
        let path = batches_path(dir, segment);
        let target = Target {
            through: &self.files,
            path: &path,
            end: segment.bytes,
        };
        let bytes = grown.bytes - segment.bytes;
        self.runs.write(&target, bytes, run.into_iter())?;
        self.dirty.insert(path);
        let index = (index_path(dir, segment), &self.index, index_place);
        let aborted =
            (grown.aborted > segment.aborted).then(|| (aborted_path(dir, segment), &self.aborted, aborted_place));
        for (path, bytes, place) in [Some(index), aborted].into_iter().flatten() {
            let file = self.files.get(&path)?;
            file.write_all_at(bytes, place)
                .map_err(|source| DiskError::new(&path, source))?;
            self.dirty.insert(path);
        }
        *segment = grown;
        Ok(taken)
    }

    /// What was found missing of segments that were to be written on; they were left as they are.
    pub(crate) fn take_damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        if self.dirty.len() + self.dirty_dirs.len() > SYNC_EACH_MAX {
            self.disk
                .sync_all(&self.dir)
                .map_err(|source| DiskError::in_flush(&self.dir, source))?;
            self.dirty.clear();
            self.dirty_dirs.clear();
        }
        // Each stays dirty until it is flushed: where no file can be opened, it is gone on with later.
        while let Some(path) = self.dirty.first().cloned() {
            self.files
                .get(&path)?
                .sync_data()
                .map_err(|source| DiskError::in_flush(&path, source))?;
            self.dirty.remove(&path);
        }
        while let Some(dir) = self.dirty_dirs.first().cloned() {
            self.disk
                .sync_dir(&dir)
                .map_err(|source| DiskError::in_flush(&dir, source))?;
            self.dirty_dirs.remove(&dir);
        }
        self.index = Vec::new();
        Ok(())
    }

    /// Forgets a file that was removed.
    pub(crate) fn forget_file(&mut self, path: &Path) {
        self.files.forget(path);
        self.runs.forget(path);
        self.dirty.remove(path);
    }

    /// Forgets what was written below the folder of a dropped stream.
    pub(crate) fn forget(&mut self, stream_dir: &Path) {
        self.files.forget(stream_dir);
        self.runs.forget(stream_dir);
        self.dirty.retain(|path| !path.starts_with(stream_dir));
        self.dirty_dirs.retain(|path| !path.starts_with(stream_dir));
    }
}

/// What of a segment's files is missing or shorter than what counts of it.
pub(crate) fn missing(disk: &dyn Disk, partition_dir: &Path, segment: &Segment) -> Result<Vec<Damage>, DiskError> {
    let counted = [
        (batches_path(partition_dir, segment), segment.bytes),
        (
            index_path(partition_dir, segment),
            segment.entries * INDEX_ENTRY_BYTES as u64,
        ),
        (
            aborted_path(partition_dir, segment),
            segment.aborted * ABORTED_ENTRY_BYTES as u64,
        ),
    ];
    let mut missing: Vec<Damage> = Vec::new();
    for (path, bytes) in counted.into_iter().filter(|(_, bytes)| *bytes > 0) {
        let what = match disk.open(&path, OpenMode::Read).and_then(|file| file.len()) {
            Ok(found) if found >= bytes => continue,
            Ok(found) => format!("it ends at byte {found}, {bytes} bytes were durable"),
            Err(source) => match absence(&source) {
                Some(what) => what.to_owned(),
                None => return Err(DiskError::new(&path, source)),
            },
        };
        let lost = format!("what it held of offsets {}..{}", segment.base, segment.end);
        missing.push(Damage::of(&path, what).losing(lost));
    }
    Ok(missing)
}
