//! A stretch: whole batches of one partition, one after another, for whoever passes their bytes on. How many bytes they are is known at once;
//! what stands in segments is read only as it is taken, a chunk at a time.
//!
//! Invariants
//! - No byte of a batch is given before the batch's CRC was checked, now or when it was read before (`passing.rs`).
//! - A stretch holds in memory what was in memory already, and nothing else.
//! - A batch that cannot be read when its turn comes ends its stretch with an error, after which its bytes are missing. It is a suspect from then
//!   on: no stretch promises its bytes before they were read.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ReadError;
use crate::keep::segment::format::IndexEntry;
use crate::keep::segment::reader::{Opened, Place, SegmentError, take_batch};
use crate::limits::{CHUNK_BYTES, READ_AHEAD_BYTES, STRETCH_FILES_MAX, SUSPECTS_MAX};
use crate::read::PartitionReader;
use crate::read::chunks::{Chunk, Chunks};
use crate::read::passing::{Checked, Passage};
use crate::shared::Shared;
use crate::streams::Partition;

/// Whole batches of one partition, one after another.
pub struct Stretch {
    pieces: VecDeque<Piece>,
    bytes: usize,
    bytes_in_memory: usize,
    next_offset: u64,
}

/// What taking from a stretch gives.
#[derive(Debug)]
pub enum Taken {
    /// The next bytes.
    Bytes(Bytes),
    /// The next bytes are on the disk and have to be waited for.
    OnDisk,
    /// Everything was taken.
    End,
}

/// Bytes that the disk may begin to read, because their turn comes soon.
pub struct ReadAhead {
    batches: Opened,
    place: u64,
    bytes: u64,
}

enum Piece {
    Memory(Bytes),
    Stored(Box<Stored>),
}

/// Batches of one segment that are not read yet.
struct Stored {
    shared: Arc<Shared>,
    stream: Arc<str>,
    partition: Arc<Partition>,
    place: Place,
    entries: VecDeque<IndexEntry>,
    /// What of them is being passed on, and how many of them that are.
    passage: Option<(Passage, usize)>,
    /// Whether the file cannot be passed on.
    is_only_read: bool,
    /// Whether the disk was asked already to read ahead.
    is_asked: bool,
    /// Where there was room for it; else the file is opened for each chunk.
    held: Option<(Opened, OwnedSemaphorePermit)>,
}

/// What all stretches of a log share.
pub(crate) struct Stretches {
    chunks: Arc<Chunks>,
    files: Arc<Semaphore>,
    suspects: Mutex<BTreeSet<Suspect>>,
    checked: Checked,
}

/// A batch, by stream, partition, segment (its base and generation) and place in it.
type Suspect = (u128, u32, u64, u32, u64);

impl Default for Stretches {
    fn default() -> Stretches {
        Stretches {
            chunks: Arc::default(),
            files: Arc::new(Semaphore::new(STRETCH_FILES_MAX)),
            suspects: Mutex::default(),
            checked: Checked::default(),
        }
    }
}

impl Stretch {
    fn from(offset: u64) -> Stretch {
        Stretch {
            pieces: VecDeque::new(),
            bytes: 0,
            bytes_in_memory: 0,
            next_offset: offset,
        }
    }

    /// The bytes of all its batches, before anything was taken.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many of those are in memory already.
    pub fn bytes_in_memory(&self) -> usize {
        self.bytes_in_memory
    }

    /// The offset after its last batch.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The next bytes, waiting for the disk.
    pub fn take(&mut self) -> Result<Taken, ReadError> {
        self.take_chunk(true)
    }

    /// The next bytes, where the disk need not be waited for.
    pub fn take_cached(&mut self) -> Result<Taken, ReadError> {
        self.take_chunk(false)
    }

    /// What the disk may begin to read of it while others are read; once, and nothing where it begins in memory.
    pub fn read_ahead(&mut self) -> Option<ReadAhead> {
        match self.pieces.front_mut() {
            Some(Piece::Stored(stored)) => stored.read_ahead(),
            _ => None,
        }
    }

    /// Whether the next bytes are passed on by [`Stretch::pass_on`], or else are to be taken. What was begun to be passed on is passed on to its end.
    pub fn is_passed_on(&mut self) -> bool {
        match self.pieces.front_mut() {
            Some(Piece::Stored(stored)) => stored.begin_passage(),
            _ => false,
        }
    }

    /// Passes on the next bytes into a socket, as many as it takes: how many went, or an error of kind `WouldBlock`. `None`: they are to be taken.
    pub fn pass_on(&mut self, to: BorrowedFd<'_>) -> io::Result<Option<usize>> {
        let Some(Piece::Stored(stored)) = self.pieces.front_mut() else {
            return Ok(None);
        };
        let passed = stored.pass_on(to)?;
        if stored.entries.is_empty() {
            self.pieces.pop_front();
        }
        Ok(passed)
    }

    fn take_chunk(&mut self, waits: bool) -> Result<Taken, ReadError> {
        let Some(stored) = self.pieces.front_mut() else {
            return Ok(Taken::End);
        };
        let chunk = match stored {
            Piece::Memory(bytes) => std::mem::take(bytes),
            Piece::Stored(stored) => match stored.take_chunk(waits)? {
                Some(chunk) if stored.entries.is_empty() => chunk,
                Some(chunk) => return Ok(Taken::Bytes(chunk)),
                None => return Ok(Taken::OnDisk),
            },
        };
        self.pieces.pop_front();
        Ok(Taken::Bytes(chunk))
    }

    /// Whether a batch belongs into it still: the first always does, further ones as long as all fit in `bytes_max`.
    fn takes(&self, length: usize, bytes_max: usize) -> bool {
        self.bytes == 0 || self.bytes + length <= bytes_max
    }

    fn add_memory(&mut self, bytes: &Bytes, next_offset: u64) {
        self.bytes += bytes.len();
        self.bytes_in_memory += bytes.len();
        self.next_offset = next_offset;
        self.pieces.push_back(Piece::Memory(bytes.clone()));
    }
}

impl Stored {
    /// The next chunk; `None` where that would have to be waited for, and nobody does.
    fn take_chunk(&mut self, waits: bool) -> Result<Option<Bytes>, ReadError> {
        let (count, bytes) = next_chunk(&self.entries);
        let Some(first) = self.entries.front().copied() else {
            return Ok(Some(Bytes::new()));
        };
        let shared = self.shared.clone();
        let mut chunk = shared.stretches.chunks.lend(bytes);
        let read = self.batches().and_then(|batches| match waits {
            false => batches.read_cached(&mut chunk, first.place),
            true => {
                // All of it is asked for first, so that the disk has more to do than this chunk.
                if let Some(ahead) = self.read_ahead() {
                    ahead.ask();
                }
                batches.read(&mut chunk, first.place).map(|()| true)
            }
        });
        match read {
            Ok(true) => self.check(chunk, count).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(self.suspect(&first, error)),
        }
    }

    /// What the disk may begin to read, unless it was asked before.
    fn read_ahead(&mut self) -> Option<ReadAhead> {
        let place = self.entries.front().filter(|_| !self.is_asked)?.place;
        let bytes = self.entries.iter().map(|entry| u64::from(entry.length));
        let bytes = bytes.sum::<u64>().min(READ_AHEAD_BYTES);
        self.is_asked = true;
        Some(ReadAhead {
            batches: self.batches().ok()?,
            place,
            bytes,
        })
    }

    /// Whether the next chunk is being passed on, or can be.
    fn begin_passage(&mut self) -> bool {
        if self.passage.is_some() {
            return true;
        }
        let (count, bytes) = next_chunk(&self.entries);
        let begin = self.entries.front().map_or(0, |first| first.place);
        let is_checked = || {
            let checked = &self.shared.stretches.checked;
            checked.covers(&self.place, begin, begin + bytes as u64)
        };
        if self.is_only_read || !is_checked() {
            return false;
        }
        let passage = self.batches().ok();
        let passage = passage.and_then(|batches| Passage::new(batches, begin, bytes));
        self.passage = passage.map(|passage| (passage, count));
        self.passage.is_some()
    }

    fn pass_on(&mut self, to: BorrowedFd<'_>) -> io::Result<Option<usize>> {
        let Some((passage, count)) = &mut self.passage else {
            return Ok(None);
        };
        let passed = passage.go_on(to)?;
        if passed.is_none() {
            self.is_only_read = true;
            self.passage = None;
        } else if passage.is_over() {
            self.entries.drain(..*count);
            self.passage = None;
        }
        Ok(passed)
    }

    /// Checks every batch of a chunk that was read.
    fn check(&mut self, chunk: Chunk, count: usize) -> Result<Bytes, ReadError> {
        let begin = self.entries.front().map_or(0, |first| first.place);
        let bytes = chunk.freeze();
        let mut rest = bytes.clone();
        for _ in 0..count {
            let Some(entry) = self.entries.pop_front() else { break };
            if let Err(what) = take_batch(&mut rest, &entry) {
                let path = self
                    .batches()
                    .map_or_else(|_| String::new(), |batches| batches.path.display().to_string());
                let what = format!("{path} at byte {}: {what}", entry.place);
                return Err(self.suspect(&entry, SegmentError::Damaged(what)));
            }
        }
        let end = begin + bytes.len() as u64;
        self.shared.stretches.checked.add(&self.place, begin, end);
        Ok(bytes)
    }

    fn batches(&self) -> Result<Opened, SegmentError> {
        match &self.held {
            Some((batches, _)) => Ok(batches.clone()),
            None => self.shared.reader.batches(&self.place),
        }
    }

    fn suspect(&self, entry: &IndexEntry, error: SegmentError) -> ReadError {
        self.shared.stretches.add_suspect(suspect(&self.place, entry));
        let reader = PartitionReader {
            shared: &self.shared,
            partition: self.partition.clone(),
            stream: &self.stream,
        };
        reader.error(entry.base, error)
    }
}

impl ReadAhead {
    /// How many bytes that are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Asks the disk; does not wait for what it reads.
    pub fn ask(&self) {
        self.batches.file.will_read(self.place, self.bytes);
    }
}

/// How many batches make the next chunk, and their bytes: they stand one after another, and only one alone may be larger than a chunk.
fn next_chunk(entries: &VecDeque<IndexEntry>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    let begin = entries.front().map_or(0, |entry| entry.place);
    for entry in entries {
        let length = entry.length as usize;
        if count > 0 && (bytes + length > CHUNK_BYTES || entry.place != begin + bytes as u64) {
            break;
        }
        bytes += length;
        count += 1;
    }
    (count, bytes)
}

fn suspect(place: &Place, entry: &IndexEntry) -> Suspect {
    let segment = &place.segment;
    (
        place.stream,
        place.partition,
        segment.base,
        segment.generation,
        entry.place,
    )
}

impl Stretches {
    fn add_suspect(&self, suspect: Suspect) {
        let mut suspects = self.suspects.lock();
        if suspects.len() >= SUSPECTS_MAX {
            suspects.pop_first();
        }
        suspects.insert(suspect);
    }
}

impl PartitionReader<'_> {
    /// What [`PartitionReader::read`] gives, as a stretch.
    pub(crate) fn stretch(
        &self,
        shared: &Arc<Shared>,
        from: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Stretch, ReadError> {
        let mut stretch = Stretch::from(from);
        let mut at = from;
        while at < end {
            let before = at;
            for stored in self.read_recent(at, end, bytes_max.saturating_sub(stretch.bytes)) {
                if !stretch.takes(stored.batch.bytes().len(), bytes_max) {
                    return Ok(stretch);
                }
                at = stored.batch.next_offset();
                stretch.add_memory(stored.batch.bytes(), at);
            }
            if at > before {
                continue;
            }
            at = match self.add_stored(shared, &mut stretch, at, end, bytes_max) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                // What stands before the damage is given first; the next read says what is wrong.
                Err(_) if stretch.bytes > 0 => break,
                Err(error) => return Err(error),
            };
        }
        Ok(stretch)
    }

    /// Adds batches of the segment that holds `at`, and says where to go on; `None`: the stretch ends.
    fn add_stored(
        &self,
        shared: &Arc<Shared>,
        stretch: &mut Stretch,
        at: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Option<u64>, ReadError> {
        let left = bytes_max.saturating_sub(stretch.bytes);
        let (place, entries) = self.settled(|segments| {
            let place = self.place(*self.segment_of(segments, at)?);
            let entries = shared.reader.entries(&place, at, left);
            Ok((place, entries.map_err(|error| self.error(at, error))?))
        })?;
        let mut next = place.segment.end;
        let mut wanted: VecDeque<IndexEntry> = VecDeque::with_capacity(entries.len());
        let suspects = shared.stretches.suspects.lock();
        for entry in &entries {
            let length = entry.length as usize;
            let is_suspect = !suspects.is_empty() && suspects.contains(&suspect(&place, entry));
            if is_suspect && stretch.bytes == 0 {
                drop(suspects);
                return self.add_suspect(stretch, &place, entry, end).map(Some);
            }
            if is_suspect || entry.base >= end || !stretch.takes(length, bytes_max) {
                next = end;
                break;
            }
            stretch.bytes += length;
            stretch.next_offset = entry.next;
            wanted.push_back(*entry);
            next = entry.next;
        }
        drop(suspects);
        if !wanted.is_empty() {
            let permit = shared.stretches.files.clone().try_acquire_owned().ok();
            let held = permit.and_then(|permit| Some((shared.reader.batches(&place).ok()?, permit)));
            let stored = Stored {
                shared: shared.clone(),
                stream: Arc::from(self.stream),
                partition: self.partition.clone(),
                place,
                entries: wanted,
                passage: None,
                is_only_read: false,
                is_asked: false,
                held,
            };
            stretch.pieces.push_back(Piece::Stored(Box::new(stored)));
        }
        Ok((next < end).then_some(next))
    }

    /// Reads a batch before its bytes are promised. If that goes well it is none of the suspects any more.
    fn add_suspect(
        &self,
        stretch: &mut Stretch,
        place: &Place,
        entry: &IndexEntry,
        end: u64,
    ) -> Result<u64, ReadError> {
        let read = self.read(entry.base, end, 0)?;
        self.shared.stretches.suspects.lock().remove(&suspect(place, entry));
        for stored in &read {
            stretch.add_memory(stored.batch.bytes(), stored.batch.next_offset());
        }
        Ok(entry.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_what_stands_together_and_one_batch_at_least() {
        let entry = |place: usize, length: usize| IndexEntry {
            base: 0,
            next: 1,
            place: place as u64,
            appended_at_us: 0,
            timestamp_ms_max: 0,
            length: length as u32,
            principal: 0,
            compacted_at_s: 0,
            batch_crc: 0,
        };
        let check = |entries: &[(usize, usize)], expected: (usize, usize)| {
            let list = entries.iter().map(|(place, length)| entry(*place, *length)).collect();
            assert_eq!(next_chunk(&list), expected, "{entries:?}");
        };
        check(&[], (0, 0));
        check(&[(7, 100), (107, 50)], (2, 150));
        check(&[(7, 100), (108, 50)], (1, 100));
        check(&[(0, CHUNK_BYTES), (CHUNK_BYTES, 1)], (1, CHUNK_BYTES));
        check(&[(0, CHUNK_BYTES - 1), (CHUNK_BYTES - 1, 1)], (2, CHUNK_BYTES));
        check(&[(0, CHUNK_BYTES + 1), (CHUNK_BYTES + 1, 1)], (1, CHUNK_BYTES + 1));
    }
}
