//! What was taken back, worked out from the batches: where the list that says it beside a segment is not what was written.
//!
//! Readers of committed events need that list, also for the segments before it, and it says nothing that the batches do not say. Who meets a damaged one
//! asks for it and is told to wait; the thread that tends the log reads the partition's batches up to there and writes the wrong entries in their places.
//!
//! Nothing is guessed: where a batch is not whole, or what the batches say is not what the rest of the list says, the list stays damaged, and who reads
//! committed events gets no further. What was taken back is never shown.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_host::{Disk, OpenMode};
use headwater_records::{Batch, Marker};
use parking_lot::Mutex;

use crate::append::producers::Producers;
use crate::files::DiskError;
use crate::keep::segment::Segment;
use crate::keep::segment::format::{
    ABORTED_ENTRY_BYTES, Seal, aborted_path, decode_aborted, encode_aborted, partition_dir,
};
use crate::keep::segment::walk::{Piece, Walk};
use crate::limits::ABORTED_LISTS_MAX;
use crate::mend::verify::read_up_to;
use crate::read::PartitionReader;
use crate::shared::Shared;
use crate::streams::transactions::{Aborted, Turn};

/// Which segment a list stands beside: stream, partition, base and generation.
type ListKey = (u128, u32, u64, u32);

/// The lists that are damaged.
#[derive(Default)]
pub(crate) struct Lists {
    damaged: Mutex<BTreeMap<ListKey, State>>,
}

#[derive(Clone, PartialEq)]
enum State {
    /// It is to be made anew.
    Wanted,
    /// The batches do not tell what it held, or it cannot be written; why.
    Lost(String),
}

impl Lists {
    /// Asks for a list to be made anew; or why that is in vain.
    pub(crate) fn want(&self, reader: &PartitionReader<'_>, segment: &Segment) -> Result<(), String> {
        let shared = reader.shared;
        if shared.is_ending() {
            return Err("what was taken back is not worked out anew, as the log does not write".to_owned());
        }
        let key = (
            reader.partition.stream,
            reader.partition.number,
            segment.base,
            segment.generation,
        );
        let mut damaged = self.damaged.lock();
        match damaged.get(&key) {
            Some(State::Lost(why)) => return Err(why.clone()),
            Some(State::Wanted) => return Ok(()),
            // Those that are asked for still come, once others are done.
            None if damaged.len() >= ABORTED_LISTS_MAX => {}
            None => {
                damaged.insert(key, State::Wanted);
            }
        }
        drop(damaged);
        shared.tending.ask();
        Ok(())
    }

    fn set(&self, key: ListKey, state: Option<State>) {
        let mut damaged = self.damaged.lock();
        match state {
            Some(state) => damaged.insert(key, state),
            None => damaged.remove(&key),
        };
    }
}

/// Makes the lists anew that somebody asked for.
pub(crate) fn make_anew(shared: &Shared) {
    let _no_round = shared.tending.round.lock();
    let damaged = shared.lists.damaged.lock().clone();
    for key in damaged
        .into_iter()
        .filter(|(_, state)| *state == State::Wanted)
        .map(|(key, _)| key)
    {
        if shared.is_ending() {
            return;
        }
        let (stream, number, base, generation) = key;
        let found = shared.streams.read().find(stream, number).cloned();
        let segments = found
            .as_ref()
            .map_or_else(Vec::new, |partition| partition.segments.lock().clone());
        let is_it = |segment: &Segment| (segment.base, segment.generation) == (base, generation);
        let (Some(partition), Some(last)) = (found, segments.iter().position(is_it)) else {
            // It was dropped, or written anew.
            shared.lists.set(key, None);
            continue;
        };
        let disk = shared.host.disk.as_ref();
        let folder = partition_dir(&shared.dir, stream, number);
        let start = partition.start().offset;
        let kept = segments[..=last].iter().filter(|segment| segment.end > start);
        let path = aborted_path(&folder, &segments[last]);
        let written = write_anew(disk, &folder, (stream, number), kept);
        let now = partition.segments.lock().clone();
        let is_there = |of: &Segment| {
            now.iter()
                .any(|now| (now.base, now.generation) == (of.base, of.generation))
        };
        match written {
            // Perhaps a file went that was just being read.
            Ok(Err(_)) if !segments[..=last].iter().all(is_there) => shared.tending.ask(),
            Ok(Ok(entries)) => {
                shared.reader.forget_file(&path);
                shared.lists.set(key, None);
                if entries > 0 {
                    tracing::warn!(
                        "{}: {entries} entries were not what was written; they were worked out anew from the batches, and nothing is lost",
                        path.display()
                    );
                }
            }
            Ok(Err(why)) => shared.lists.set(key, Some(State::Lost(why))),
            // It stays wanted.
            Err(error) if error.is_shortage() => {
                tracing::warn!("what was taken back is not worked out anew for now: {error}");
            }
            Err(error) => shared.lists.set(key, Some(State::Lost(error.to_string()))),
        }
    }
}

/// Works out what the last of some segments' list holds, and writes the entries that are wrong: how many, or why the batches do not tell.
fn write_anew<'a>(
    disk: &dyn Disk,
    folder: &Path,
    (stream, number): (u128, u32),
    segments: impl Iterator<Item = &'a Segment>,
) -> Result<Result<usize, String>, DiskError> {
    let mut anew = TakenBack::begin(disk, folder, stream, number);
    let mut last: Option<(&Segment, InSegment)> = None;
    for segment in segments {
        let found = anew.next(segment)?;
        if let Some(at) = found.hole {
            let base = segment.base;
            return Ok(Err(format!(
                "the segment of offset {base} is damaged at byte {at}, so that the batches do not tell what was taken back"
            )));
        }
        last = Some((segment, found));
    }
    let Some((segment, found)) = last else {
        return Ok(Ok(0));
    };
    let Some(ranges) = found.listed(segment.aborted as usize) else {
        return Ok(Err(
            "the batches that are left do not tell what was taken back".to_owned()
        ));
    };
    let seal = Seal::of(stream, number);
    let path = aborted_path(folder, segment);
    let there = read_up_to(disk, &path, ranges.len() * ABORTED_ENTRY_BYTES)?;
    let is_new = there.is_err();
    let there = there.unwrap_or_default();
    let mut wrong: Vec<(u64, Aborted)> = Vec::new();
    for (index, range) in ranges.into_iter().enumerate() {
        let at = index * ABORTED_ENTRY_BYTES;
        let stands = there
            .get(at..at + ABORTED_ENTRY_BYTES)
            .map(|bytes| there.slice_ref(bytes));
        match stands.and_then(|bytes| decode_aborted(seal, &bytes)) {
            Some(stands) if (stands.producer_id, stands.marker) == (range.producer_id, range.marker) => {}
            Some(_) => return Ok(Err("what is left of the list is not what the batches say".to_owned())),
            None => wrong.push((at as u64, range)),
        }
    }
    if wrong.is_empty() {
        return Ok(Ok(0));
    }
    let failed = |source| DiskError::new(&path, source);
    let file = disk.open(&path, OpenMode::ReadWrite).map_err(failed)?;
    for (at, range) in &wrong {
        let mut bytes: Vec<u8> = Vec::with_capacity(ABORTED_ENTRY_BYTES);
        encode_aborted(range, seal, &mut bytes);
        file.write_all_at(&bytes, *at).map_err(failed)?;
    }
    file.sync_data().map_err(|source| DiskError::in_flush(&path, source))?;
    if is_new {
        disk.sync_dir(folder)
            .map_err(|source| DiskError::in_flush(folder, source))?;
    }
    Ok(Ok(wrong.len()))
}

/// Works out what was taken back, segment by segment from a partition's first on.
pub(crate) struct TakenBack<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    stream: u128,
    partition: u32,
    producers: Producers,
}

/// What the batches of one segment say.
pub(crate) struct InSegment {
    /// The ranges whose markers are in it.
    pub(crate) ranges: Vec<Aborted>,
    /// Markers of transactions none of whose events is left: whose, and where.
    alone: Vec<Aborted>,
    /// The first byte that is no whole batch.
    hole: Option<u64>,
}

impl<'a> TakenBack<'a> {
    pub(crate) fn begin(disk: &'a dyn Disk, folder: &'a Path, stream: u128, partition: u32) -> TakenBack<'a> {
        TakenBack {
            disk,
            folder,
            stream,
            partition,
            producers: Producers::default(),
        }
    }

    /// Reads the next segment.
    pub(crate) fn next(&mut self, segment: &Segment) -> Result<InSegment, DiskError> {
        let mut found = InSegment {
            ranges: Vec::new(),
            alone: Vec::new(),
            hole: None,
        };
        let mut walk = Walk::begin(self.disk, self.folder, Seal::of(self.stream, self.partition), *segment)?;
        while let Some(piece) = walk.next()? {
            match piece {
                Piece::Hole { from, .. } => {
                    found.hole.get_or_insert(from);
                }
                Piece::Batch { batch, .. } => match self.producers.record(self.stream, self.partition, &batch, 0) {
                    Some(Turn::Ends { aborted: true, range }) => found.ranges.push(range),
                    None => found.alone.extend(marker_alone(&batch)),
                    _ => {}
                },
            }
        }
        Ok(found)
    }
}

impl InSegment {
    /// So many ranges as are in the segment's list. The list may hold those of transactions all of whose events went since, or not.
    fn listed(mut self, count: usize) -> Option<Vec<Aborted>> {
        if self.ranges.len() < count {
            self.ranges.append(&mut self.alone);
            self.ranges.sort_unstable_by_key(|range| range.marker);
        }
        (self.ranges.len() == count).then_some(self.ranges)
    }
}

/// The range of a transaction that was taken back and none of whose events is left: it holds no offset of its producer, and what ended later may reach
/// anywhere.
fn marker_alone(batch: &Batch) -> Option<Aborted> {
    let producer = batch.producer().filter(|_| batch.marker() == Some(Marker::Aborted))?;
    let marker = batch.base_offset();
    Some(Aborted {
        producer_id: producer.id,
        first: marker.checked_sub(1)?,
        marker,
        stable: 0,
    })
}
