//! Reads batches back from segments; every batch's CRC is checked on the way.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use headwater_host::{Disk, File, OpenMode};
use headwater_records::Batch;

use super::extent::Segment;
use crate::append::gather::filler_bytes_max;
use crate::files::{DiskError, Files, absence};
use crate::keep::segment::format::{
    ABORTED_ENTRY_BYTES, INDEX_ENTRY_BYTES, IndexEntry, Seal, aborted_path, batches_path, decode_aborted, index_path,
    partition_dir, stream_dir,
};
use crate::limits::{INDEX_READ_ENTRIES, INDEX_READ_ENTRIES_FIRST};
use crate::streams::transactions::Aborted;

/// Reads segments; shared by all readers.
pub(crate) struct SegmentReader {
    dir: PathBuf,
    files: Files,
}

/// Why a segment was not read.
pub(crate) enum SegmentError {
    /// The bytes are not what was written.
    Damaged(String),
    /// The disk refused.
    Disk(String),
    /// The disk refused for what may be had again.
    Short(String),
}

impl From<DiskError> for SegmentError {
    fn from(error: DiskError) -> SegmentError {
        match error.is_shortage() {
            true => SegmentError::Short(error.to_string()),
            false => SegmentError::Disk(error.to_string()),
        }
    }
}

/// One file of a segment.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

/// The index of a segment.
struct Index {
    opened: Opened,
    seal: Seal,
}

/// Where a partition's segment stands.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) stream: u128,
    pub(crate) partition: u32,
    pub(crate) segment: Segment,
}

impl Place {
    fn seal(&self) -> Seal {
        Seal::of(self.stream, self.partition)
    }
}

impl SegmentReader {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> SegmentReader {
        SegmentReader {
            dir: dir.to_owned(),
            files: Files::new(disk, OpenMode::Read),
        }
    }

    /// Closes the files of a dropped stream.
    pub(crate) fn forget(&self, stream: u128) {
        self.files.forget(&stream_dir(&self.dir, stream));
    }

    /// Closes a file that was removed.
    pub(crate) fn forget_file(&self, path: &Path) {
        self.files.forget(path);
    }

    /// Whole batches from the one that holds `from`, or the next after it, on: at least one where the segment has one, then as many as fit in
    /// `bytes_max`. Stops before a damaged batch that is not the first.
    pub(crate) fn read(
        &self,
        place: &Place,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<(IndexEntry, Batch)>, SegmentError> {
        let entries = self.entries(place, from, bytes_max)?;
        let (Some(first), Some(last)) = (entries.first().copied(), entries.last()) else {
            // Compaction left nothing from here on.
            return Ok(Vec::new());
        };
        let path = self.batches_path(place);
        let bytes = (last.place + u64::from(last.length)).saturating_sub(first.place);
        let range = Bytes::from(self.open(&path)?.bytes(first.place, bytes as usize)?);
        let mut batches: Vec<(IndexEntry, Batch)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let rest = entry.place.checked_sub(first.place).map(|skipped| skipped as usize);
            let mut rest = rest.and_then(|skipped| range.get(skipped..).map(|_| range.slice(skipped..)));
            match take_batch(rest.get_or_insert_default(), &entry) {
                Ok(batch) => batches.push((entry, batch)),
                Err(_) if !batches.is_empty() => break,
                Err(what) => {
                    return Err(SegmentError::Damaged(format!(
                        "{} at byte {}: {what}",
                        path.display(),
                        entry.place
                    )));
                }
            }
        }
        Ok(batches)
    }

    /// What the index says of the batches that [`SegmentReader::read`] gives. Stops before a damaged entry that is not the first.
    pub(crate) fn entries(&self, place: &Place, from: u64, bytes_max: usize) -> Result<Vec<IndexEntry>, SegmentError> {
        let mut number = self.find(place, from)?;
        let mut wanted: Vec<IndexEntry> = Vec::new();
        let mut bytes = 0;
        let mut count = INDEX_READ_ENTRIES_FIRST;
        while number < place.segment.entries && count <= INDEX_READ_ENTRIES {
            let entries = match self.index(place, number, count) {
                Ok(entries) => entries,
                Err(_) if !wanted.is_empty() => break,
                Err(error) => return Err(error),
            };
            number += entries.len() as u64;
            count *= 4;
            for entry in entries {
                let fits = bytes + entry.length as usize <= bytes_max;
                if wanted.last().is_some_and(|last| !fits || !follows(&entry, last)) {
                    return Ok(wanted);
                }
                bytes += entry.length as usize;
                wanted.push(entry);
            }
        }
        Ok(wanted)
    }

    /// The ranges taken back whose markers are in this segment and that reach into these offsets. The flag says whether later segments may
    /// hold more of them.
    pub(crate) fn aborted(&self, place: &Place, from: u64, to: u64) -> Result<(Vec<Aborted>, bool), SegmentError> {
        let count = place.segment.aborted;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let range = self.aborted_entries(place, middle, 1)?;
            if range.first().is_some_and(|range| range.marker < from) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut found: Vec<Aborted> = Vec::new();
        while low < count {
            let ranges = self.aborted_entries(place, low, INDEX_READ_ENTRIES)?;
            low += ranges.len() as u64;
            for range in ranges {
                if range.first < to {
                    found.push(range);
                }
                if range.stable >= to {
                    return Ok((found, false));
                }
            }
        }
        Ok((found, true))
    }

    /// At most `count` entries about what was taken back, from number `first` on.
    pub(crate) fn aborted_entries(&self, place: &Place, first: u64, count: u64) -> Result<Vec<Aborted>, SegmentError> {
        let count = count.min(place.segment.aborted.saturating_sub(first)) as usize;
        let folder = partition_dir(&self.dir, place.stream, place.partition);
        let path = aborted_path(&folder, &place.segment);
        let at = first * ABORTED_ENTRY_BYTES as u64;
        let mut bytes = Bytes::from(self.open(&path)?.bytes(at, count * ABORTED_ENTRY_BYTES)?);
        let mut ranges: Vec<Aborted> = Vec::with_capacity(count);
        for number in 0..count {
            let range = decode_aborted(place.seal(), &bytes.split_to(ABORTED_ENTRY_BYTES)).ok_or_else(|| {
                let at = at + (number * ABORTED_ENTRY_BYTES) as u64;
                SegmentError::Damaged(format!(
                    "the entry at byte {at} of {} is not what was written",
                    path.display()
                ))
            })?;
            ranges.push(range);
        }
        Ok(ranges)
    }

    /// The number of the index entry that holds an offset, or of the next one. Most batches of a segment hold about as many events, so that it stands
    /// about where its offset stands among the segment's: there it is looked for first, and from there in growing steps.
    fn find(&self, place: &Place, offset: u64) -> Result<u64, SegmentError> {
        let Segment { base, end, entries, .. } = place.segment;
        let (mut low, mut high) = (0, entries);
        if low == high {
            return Ok(low);
        }
        let index = self.open_index(place)?;
        let among = u128::from(offset.saturating_sub(base)) * u128::from(entries);
        let guess = among / u128::from(end.saturating_sub(base).max(1));
        let mut at = u64::try_from(guess).unwrap_or(u64::MAX).min(entries - 1);
        let mut step = 1;
        while low < high {
            let entry = index.entries(at, 1)?.first().copied();
            let Some(entry) = entry else { break };
            if (entry.base..entry.next).contains(&offset) {
                return Ok(at);
            }
            let is_before = entry.next <= offset;
            if is_before {
                low = at + 1;
            } else {
                high = at;
            }
            // Onwards in growing steps, until the answer lies between two that were looked at; then in halves.
            at = if is_before && high == entries {
                low.saturating_add(step).min(high.saturating_sub(1))
            } else if !is_before && low == 0 {
                high.saturating_sub(step)
            } else {
                low + (high - low) / 2
            };
            step *= 4;
        }
        Ok(low)
    }

    /// The number of the first index entry for which `before` does not hold; it holds for a prefix of the entries.
    pub(crate) fn search(&self, place: &Place, before: impl Fn(&IndexEntry) -> bool) -> Result<u64, SegmentError> {
        let (mut low, mut high) = (0, place.segment.entries);
        if low == high {
            return Ok(low);
        }
        let index = self.open_index(place)?;
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = index.entries(middle, 1)?;
            if entry.first().is_some_and(&before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// At most `count` index entries from number `first` on.
    pub(crate) fn index(&self, place: &Place, first: u64, count: u64) -> Result<Vec<IndexEntry>, SegmentError> {
        let count = count.min(place.segment.entries.saturating_sub(first));
        match count {
            0 => Ok(Vec::new()),
            count => self.open_index(place)?.entries(first, count),
        }
    }

    /// The file of a segment's batches.
    pub(crate) fn batches(&self, place: &Place) -> Result<Opened, SegmentError> {
        self.open(&self.batches_path(place))
    }

    fn open(&self, path: &Path) -> Result<Opened, SegmentError> {
        match self.files.get(path) {
            Ok(file) => Ok(Opened {
                path: path.to_owned(),
                file,
            }),
            Err(error) => match absence(&error.source) {
                Some(what) => Err(SegmentError::Damaged(format!("{}: {what}", path.display()))),
                None => Err(error.into()),
            },
        }
    }

    fn batches_path(&self, place: &Place) -> PathBuf {
        batches_path(&partition_dir(&self.dir, place.stream, place.partition), &place.segment)
    }

    fn open_index(&self, place: &Place) -> Result<Index, SegmentError> {
        let path = index_path(&partition_dir(&self.dir, place.stream, place.partition), &place.segment);
        Ok(Index {
            opened: self.open(&path)?,
            seal: place.seal(),
        })
    }
}

impl Opened {
    fn bytes(&self, at: u64, length: usize) -> Result<Vec<u8>, SegmentError> {
        let end = at + length as u64;
        self.file.read_at(at, length).map_err(|source| self.error(source, end))
    }

    /// Fills `into` from a place.
    pub(crate) fn read(&self, into: &mut [u8], at: u64) -> Result<(), SegmentError> {
        let end = at + into.len() as u64;
        self.file
            .read_exact_at(into, at)
            .map_err(|source| self.error(source, end))
    }

    /// [`Opened::read`] where the disk need not be waited for; `false` where it must be.
    pub(crate) fn read_cached(&self, into: &mut [u8], at: u64) -> Result<bool, SegmentError> {
        let end = at + into.len() as u64;
        self.file
            .read_cached_at(into, at)
            .map_err(|source| self.error(source, end))
    }

    fn error(&self, source: io::Error, end: u64) -> SegmentError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                SegmentError::Damaged(format!("{} ends before byte {end}", self.path.display()))
            }
            _ => DiskError::new(&self.path, source).into(),
        }
    }
}

impl Index {
    /// So many entries, from number `first` on.
    fn entries(&self, first: u64, count: u64) -> Result<Vec<IndexEntry>, SegmentError> {
        let at = first * INDEX_ENTRY_BYTES as u64;
        let mut bytes = Bytes::from(self.opened.bytes(at, count as usize * INDEX_ENTRY_BYTES)?);
        let mut entries: Vec<IndexEntry> = Vec::with_capacity(count as usize);
        for number in 0..count {
            match IndexEntry::decode(self.seal, &bytes.split_to(INDEX_ENTRY_BYTES)) {
                Some(entry) => entries.push(entry),
                // What stands before the damage can still be read.
                None if number > 0 => break,
                None => {
                    return Err(SegmentError::Damaged(format!(
                        "the entry at byte {at} of {} is not what was written",
                        self.opened.path.display()
                    )));
                }
            }
        }
        Ok(entries)
    }
}

/// Whether a batch stands right behind another, filler between them or not.
fn follows(entry: &IndexEntry, before: &IndexEntry) -> bool {
    let end = before.place.saturating_add(u64::from(before.length));
    let filler = entry.place.checked_sub(end);
    filler.is_some_and(|filler| filler <= filler_bytes_max(end))
}

/// Takes the batch of an entry off a range of a segment, where it is that.
pub(crate) fn take_batch(range: &mut Bytes, entry: &IndexEntry) -> Result<Batch, String> {
    let length = entry.length as usize;
    if range.len() < length {
        return Err("the batches are not contiguous".to_owned());
    }
    let mut bytes = range.split_to(length);
    let batch = Batch::take_stored(&mut bytes).map_err(|error| error.to_string())?;
    if !entry.is_of(&batch) {
        return Err("the batch is not the one that its index entry speaks of".to_owned());
    }
    Ok(batch)
}
