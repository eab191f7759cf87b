//! Reads one segment from its first byte to its last, whatever stands there: every batch that is whole, with the index entry that belongs to it,
//! and every hole between them.
//!
//! Nothing is believed: a batch is found by its own bytes (length, magic, CRC-32C), an index entry by its CRC-32C, and the two belong together only
//! where they say the same. A whole entry that speaks of another batch at the same offsets says that the one which stands there is foreign: it is a hole.
//! Memory stays bounded by the largest batch and a block of the index.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use headwater_host::{BLOCK_BYTES, Disk, File, OpenMode};
use headwater_records::Batch;
use headwater_records::limits::BATCH_HEADER_BYTES;

use super::extent::Segment;
use crate::append::gather::filler_bytes_max;
use crate::files::{DiskError, absence};
use crate::keep::segment::format::{INDEX_ENTRY_BYTES, IndexEntry, Seal, batches_path, index_path};
use crate::limits::INDEX_READ_ENTRIES;

/// How much of a file is looked through at once for the next batch behind a hole.
const SEARCH_BYTES: usize = 1024 * 1024;

/// What stands in a segment, in order.
pub(crate) enum Piece {
    /// A whole batch, and its index entry, where that is whole and says the same.
    Batch { place: u64, batch: Batch, entry: Beside },
    /// Bytes that are no batch of this segment.
    Hole { from: u64, what: String },
}

/// What the index says of a batch.
pub(crate) enum Beside {
    /// The same as the batch itself, and when it was appended and by whom.
    Agrees(IndexEntry),
    /// Another place: its facts are the batch's all the same. A repair that was broken off leaves this.
    Elsewhere(IndexEntry),
    /// Nothing that could be the batch's.
    Nothing(String),
}

/// A walk through a segment's two files.
pub(crate) struct Walk {
    segment: Segment,
    batches_path: PathBuf,
    batches: Opened,
    /// Bytes of batches that are there: at most as many as count.
    length: u64,
    at: u64,
    next_offset: u64,
    entries: Entries,
    /// What stands behind the hole that was given last.
    ahead: Option<Piece>,
}

/// What the next bytes are.
enum Step {
    Piece(Piece),
    /// A whole batch of another segment.
    Foreign {
        from: u64,
        what: String,
    },
    End,
}

/// What the index says of a batch that is whole.
enum Said {
    Own(Beside),
    Foreign(String),
}

/// A file, or why there is none.
type Opened = Result<Box<dyn File>, &'static str>;

/// The index, read forward.
struct Entries {
    seal: Seal,
    path: PathBuf,
    file: Opened,
    /// Whole entries that are there: at most as many as count.
    count: u64,
    read: u64,
    block: VecDeque<(u64, Option<IndexEntry>)>,
    damaged: Vec<u64>,
}

impl Walk {
    pub(crate) fn begin(
        disk: &dyn Disk,
        partition_dir: &Path,
        seal: Seal,
        segment: Segment,
    ) -> Result<Walk, DiskError> {
        let path = batches_path(partition_dir, &segment);
        let (batches, length) = open(disk, &path)?;
        let entries_path = index_path(partition_dir, &segment);
        let (file, entries_length) = open(disk, &entries_path)?;
        Ok(Walk {
            segment,
            batches_path: path,
            batches,
            length: length.min(segment.bytes),
            at: 0,
            next_offset: segment.base,
            ahead: None,
            entries: Entries {
                seal,
                path: entries_path,
                file,
                count: (entries_length / INDEX_ENTRY_BYTES as u64).min(segment.entries),
                read: 0,
                block: VecDeque::new(),
                damaged: Vec::new(),
            },
        })
    }

    /// Bytes looked at so far.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The index entries that are not what was written, by their place in the file; complete after the last piece.
    pub(crate) fn damaged_entries(&self) -> &[u64] {
        &self.entries.damaged
    }

    /// What is wrong with the two files as a whole.
    pub(crate) fn missing(&self) -> [Option<(PathBuf, String)>; 2] {
        let short = |path: &Path, opened: &Opened, found: u64, counted: u64| match opened {
            _ if found >= counted => None,
            Err(what) => Some((path.to_owned(), (*what).to_owned())),
            Ok(_) => Some((
                path.to_owned(),
                format!("it ends at byte {found}, {counted} bytes were durable"),
            )),
        };
        let entry = INDEX_ENTRY_BYTES as u64;
        [
            short(&self.batches_path, &self.batches, self.length, self.segment.bytes),
            short(
                &self.entries.path,
                &self.entries.file,
                self.entries.count * entry,
                self.segment.entries * entry,
            ),
        ]
    }

    /// The next piece; `None` at the end. Foreign batches one after another are one hole.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, DiskError> {
        if let Some(piece) = self.ahead.take() {
            return Ok(Some(piece));
        }
        let mut hole: Option<Piece> = None;
        loop {
            let piece = match self.step()? {
                Step::Foreign { from, what } => {
                    hole.get_or_insert(Piece::Hole { from, what });
                    continue;
                }
                Step::Piece(piece) => Some(piece),
                Step::End => None,
            };
            return Ok(match hole {
                Some(hole) => {
                    self.ahead = piece;
                    Some(hole)
                }
                None => piece,
            });
        }
    }

    fn step(&mut self) -> Result<Step, DiskError> {
        if self.at >= self.length {
            if self.at < self.segment.bytes {
                let hole = Piece::Hole {
                    from: self.at,
                    what: self
                        .batches
                        .as_ref()
                        .err()
                        .unwrap_or(&"the file ends before")
                        .to_string(),
                };
                self.at = self.segment.bytes;
                return Ok(Step::Piece(hole));
            }
            self.entries.rest()?;
            return Ok(Step::End);
        }
        match self.batch_at(self.at)? {
            Ok(batch) => {
                let place = self.at;
                self.at += batch.bytes().len() as u64;
                Ok(match self.entries.of(&batch, place)? {
                    Said::Own(entry) => {
                        self.next_offset = batch.next_offset();
                        Step::Piece(Piece::Batch { place, batch, entry })
                    }
                    Said::Foreign(what) => Step::Foreign { from: place, what },
                })
            }
            Err(what) => {
                let from = self.at;
                if let Some(behind) = self.behind_filler(from)? {
                    self.at = behind;
                    return self.step();
                }
                self.at = self.search(from + 1)?;
                Ok(Step::Piece(Piece::Hole { from, what }))
            }
        }
    }

    /// The batch that begins at a place, or what is there instead.
    fn batch_at(&self, at: u64) -> Result<Result<Batch, String>, DiskError> {
        let left = self.length - at;
        if left < BATCH_HEADER_BYTES as u64 {
            return Ok(Err(format!("{left} bytes are no batch")));
        }
        let head = self.bytes(at, BATCH_HEADER_BYTES)?;
        let Some(length) = stated_bytes(&head).filter(|length| *length <= left) else {
            return Ok(Err(
                "what stands there is no batch that fits into the segment".to_owned()
            ));
        };
        let mut bytes = Bytes::from(self.bytes(at, length as usize)?);
        let batch = match Batch::take_stored(&mut bytes) {
            Ok(batch) => batch,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let (base, next) = (batch.base_offset(), batch.next_offset());
        if base < self.next_offset || next > self.segment.end {
            return Ok(Err(format!(
                "a batch of offsets {base}..{next} stands where {}..{} are",
                self.next_offset, self.segment.end
            )));
        }
        Ok(Ok(batch))
    }

    /// Where the batch begins that stands behind filler; the end of what counts where nothing but filler stands before it. Zeros where offsets are
    /// missing are no filler.
    fn behind_filler(&self, from: u64) -> Result<Option<u64>, DiskError> {
        let filler_max = filler_bytes_max(from) as usize;
        let length = (self.length - from).min((filler_max + BATCH_HEADER_BYTES) as u64) as usize;
        let bytes = self.bytes(from, length)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        // A batch may itself begin with zeros.
        for filler in 1..=zeros.min(filler_max) {
            let place = from + filler as u64;
            let head = bytes.get(filler..filler + BATCH_HEADER_BYTES);
            let fits = head
                .and_then(stated_bytes)
                .is_some_and(|stated| stated <= self.length - place);
            if fits
                && self
                    .batch_at(place)?
                    .is_ok_and(|batch| batch.base_offset() == self.next_offset)
            {
                return Ok(Some(place));
            }
        }
        let is_whole = self.next_offset == self.segment.end;
        let is_rest = is_whole && zeros < BLOCK_BYTES && from + zeros as u64 == self.length;
        Ok(is_rest.then_some(self.length))
    }

    /// Where the next batch begins, from a place on; the end of what counts where there is none.
    fn search(&self, from: u64) -> Result<u64, DiskError> {
        let mut at = from;
        while at + BATCH_HEADER_BYTES as u64 <= self.length {
            let length = (self.length - at).min(SEARCH_BYTES as u64) as usize;
            let bytes = self.bytes(at, length)?;
            for (index, head) in bytes.windows(BATCH_HEADER_BYTES).enumerate() {
                let place = at + index as u64;
                let fits = stated_bytes(head).is_some_and(|stated| stated <= self.length - place);
                if fits && self.batch_at(place)?.is_ok() {
                    return Ok(place);
                }
            }
            at += (length - BATCH_HEADER_BYTES + 1) as u64;
        }
        Ok(self.segment.bytes.min(self.length))
    }

    fn bytes(&self, at: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let Ok(file) = &self.batches else {
            return Ok(vec![0; length]);
        };
        file.read_at(at, length)
            .map_err(|source| DiskError::new(&self.batches_path, source))
    }
}

impl Entries {
    /// What the entries at a batch's offsets say of it. They come in the order of their offsets.
    fn of(&mut self, batch: &Batch, place: u64) -> Result<Said, DiskError> {
        let (base, next) = (batch.base_offset(), batch.next_offset());
        while !self.block.is_empty() || self.fill()? {
            match self.block.front().copied() {
                Some((at, None)) => {
                    self.damaged.push(at);
                    self.block.pop_front();
                }
                // It belongs to a batch that is not whole.
                Some((_, Some(entry))) if entry.next <= base => {
                    self.block.pop_front();
                }
                Some((_, Some(entry))) if entry.is_of(batch) => {
                    self.block.pop_front();
                    return Ok(Said::Own(match entry.place == place {
                        true => Beside::Agrees(entry),
                        false => Beside::Elsewhere(IndexEntry { place, ..entry }),
                    }));
                }
                // It may be of a batch that comes yet.
                Some((_, Some(entry))) if entry.base < next => {
                    return Ok(Said::Foreign(format!(
                        "the batch of offsets {base}..{next} is not the one that was written: the index has offsets {}..{} there, with another CRC-32C",
                        entry.base, entry.next
                    )));
                }
                _ => break,
            }
        }
        Ok(Said::Own(Beside::Nothing("the index has no entry for it".to_owned())))
    }

    /// Looks at the entries behind the last batch too.
    fn rest(&mut self) -> Result<(), DiskError> {
        loop {
            for (at, entry) in self.block.drain(..) {
                if entry.is_none() {
                    self.damaged.push(at);
                }
            }
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Reads the next block; `false` at the end.
    fn fill(&mut self) -> Result<bool, DiskError> {
        let Some(file) = self.file.as_ref().ok().filter(|_| self.read < self.count) else {
            return Ok(false);
        };
        let count = (self.count - self.read).min(INDEX_READ_ENTRIES);
        let begin = self.read * INDEX_ENTRY_BYTES as u64;
        let bytes = file
            .read_at(begin, count as usize * INDEX_ENTRY_BYTES)
            .map_err(|source| DiskError::new(&self.path, source))?;
        let mut bytes = Bytes::from(bytes);
        for number in 0..count {
            let entry = IndexEntry::decode(self.seal, &bytes.split_to(INDEX_ENTRY_BYTES));
            self.block.push_back((begin + number * INDEX_ENTRY_BYTES as u64, entry));
        }
        self.read += count;
        Ok(true)
    }
}

/// The length that a batch's header states; `None` where the bytes are no header.
fn stated_bytes(head: &[u8]) -> Option<u64> {
    let length = i32::from_be_bytes(head.get(8..12)?.try_into().ok()?);
    let magic = *head.get(16)?;
    let length = u64::try_from(length).ok()? + 12;
    (magic == 2 && length >= BATCH_HEADER_BYTES as u64).then_some(length)
}

/// A file and its length; 0 where there is none.
fn open(disk: &dyn Disk, path: &Path) -> Result<(Opened, u64), DiskError> {
    match disk.open(path, OpenMode::Read) {
        Ok(file) => {
            let length = file.len().map_err(|source| DiskError::new(path, source))?;
            Ok((Ok(file), length))
        }
        Err(source) => match absence(&source) {
            Some(what) => Ok((Err(what), 0)),
            None => Err(DiskError::new(path, source)),
        },
    }
}

#[cfg(test)]
mod tests {
    use headwater_host::simulated::Simulation;
    use headwater_records::{Compression, Event};

    use super::*;

    const FOLDER: &str = "/data";

    /// A batch of one event, a bit more than 64 KiB and no multiple of a block.
    fn batch(offset: u64) -> Batch {
        let event = Event {
            value: Some(vec![1; 66_000].into()),
            ..Event::default()
        };
        Batch::encode(&[event], Compression::None, None).at(offset)
    }

    /// How many holes a walk finds in a segment of these batches with so many zeros behind each.
    fn holes(batches: &[(Batch, u64)]) -> usize {
        let machine = Simulation::new(1);
        let disk = machine.host().disk;
        let (seal, mut segment) = (Seal::of(1, 0), Segment::new(0, 0));
        let (mut bytes, mut index) = (Vec::new(), Vec::new());
        for (batch, filler) in batches {
            let entry = IndexEntry {
                base: batch.base_offset(),
                next: batch.next_offset(),
                place: bytes.len() as u64,
                appended_at_us: 0,
                timestamp_ms_max: 0,
                length: batch.bytes().len() as u32,
                principal: 0,
                compacted_at_s: 0,
                batch_crc: batch.crc(),
            };
            entry.encode(seal, &mut index);
            segment.end = entry.next;
            segment.entries += 1;
            bytes.extend_from_slice(batch.bytes());
            bytes.resize(bytes.len() + *filler as usize, 0);
        }
        segment.bytes = bytes.len() as u64;
        let folder = Path::new(FOLDER);
        disk.create_dir_all(folder).unwrap();
        for (path, bytes) in [
            (batches_path(folder, &segment), bytes),
            (index_path(folder, &segment), index),
        ] {
            let file = disk.open(&path, OpenMode::ReadWrite).unwrap();
            file.write_all_at(&bytes, 0).unwrap();
        }
        let mut walk = Walk::begin(&*disk, folder, seal, segment).unwrap();
        let mut holes = 0;
        let mut next = 0;
        while let Some(piece) = walk.next().unwrap() {
            match piece {
                Piece::Hole { .. } => holes += 1,
                Piece::Batch { batch, .. } => {
                    assert_eq!(batch.base_offset(), next);
                    next = batch.next_offset();
                }
            }
        }
        assert_eq!(next, segment.end);
        holes
    }

    #[test]
    fn filler_ends_a_block_and_less_than_a_block_stands_before_the_next_batch() {
        let block = BLOCK_BYTES as u64;
        let rest = batch(0).bytes().len().next_multiple_of(BLOCK_BYTES) - batch(0).bytes().len();
        let rest = rest as u64;
        assert!((1..block).contains(&rest));
        let check = |filler: u64, expected: usize| {
            assert_eq!(holes(&[(batch(0), filler), (batch(1), 0)]), expected, "{filler}");
        };
        for filler in [0, 1, rest, rest + 1, block - 1, block, rest + block - 1] {
            check(filler, 0);
        }
        check(rest + block, 1);
        check(rest + 2 * block, 1);
        assert_eq!(holes(&[(batch(0), rest)]), 0);
        assert_eq!(holes(&[(batch(0), block)]), 1);
    }
}
