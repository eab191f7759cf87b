//! Reads everything that a log's folder holds, changes nothing, and says what is wrong.
//!
//! Nothing is believed: the marker, both copies of the checkpoint, every frame of the journal that counts, every batch of every segment with its events, every entry
//! beside them. What a crash leaves (a torn newest frame, bytes past what counts) is no damage: the next start puts it in order.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use headwater_host::{Disk, Host, OpenMode};
use headwater_records::Batch;

use crate::error::OpenError;
use crate::files::{DiskError, absence};
use crate::keep::image::{Image, StreamImage};
use crate::keep::segment::Segment;
use crate::keep::segment::format::{
    ABORTED_ENTRY_BYTES, Seal, aborted_path, batches_path, decode_aborted, index_path, partition_dir, segment_paths,
    streams_dir,
};
use crate::keep::segment::walk::{Beside, Piece, Walk};
use crate::mend::damage::Damage;
use crate::open::folder::{self, Claim, Marker};
use crate::open::recovery::{Described, describe};

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Everything that is wrong.
    pub damage: Vec<Damage>,
    /// What is there and belongs to nothing that counts: left alone.
    pub strange: Vec<PathBuf>,
    /// Every stream, by name.
    pub streams: Vec<StreamVerified>,
    /// Frames of the journal that are in no segment yet, and their batches.
    pub frames: u64,
    /// See `frames`.
    pub journal_batches: u64,
    /// Bytes of a torn newest frame: a write that was under way when the power went; never acknowledged.
    pub tail_bytes: u64,
}

/// What a stream's segments hold.
#[derive(Debug, Clone, Default)]
pub struct StreamVerified {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: u32,
    /// Events that are whole.
    pub events: u64,
    /// Batches that are whole.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damaged places.
    pub damaged: usize,
}

/// How far a reading has got.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Bytes of batches read.
    pub bytes: u64,
    /// Bytes of batches that there should be.
    pub of: u64,
}

impl StreamVerified {
    fn count(&mut self, batch: &Batch) {
        self.batches += 1;
        self.bytes += batch.bytes().len() as u64;
        if !batch.is_control() {
            self.events += u64::from(batch.event_count());
        }
    }
}

impl Progress {
    /// Nothing read yet of what these segments hold.
    pub(crate) fn of(checkpoint: &Image, image: &Image) -> Progress {
        let kept = |(id, _): &(&u128, &StreamImage)| image.streams.contains_key(*id);
        let streams = checkpoint.streams.iter().filter(kept);
        let segments =
            streams.flat_map(|(_, stream)| stream.partitions.iter().flat_map(|partition| &partition.segments));
        Progress {
            bytes: 0,
            of: segments.map(|segment| segment.bytes).sum(),
        }
    }
}

/// Reads a log that no program has open. `None` where there is no log.
pub fn verify(host: &Host, dir: &Path, mut progress: impl FnMut(Progress)) -> Result<Option<Verified>, OpenError> {
    let disk = host.disk.as_ref();
    if !disk.exists(dir).map_err(|source| DiskError::new(dir, source))? {
        return Ok(None);
    }
    let _claim = Claim::take(disk, dir)?;
    let mut verified = Verified::default();
    match folder::marker(disk, dir)? {
        Marker::Nothing => return Ok(None),
        Marker::Log => {}
        Marker::Damaged(what) => verified.damage.push(Damage::of(&folder::marker_path(dir), what)),
    }
    let described = describe(disk, dir)?;
    verified.damage.extend(described.mended.iter().cloned());
    verified.damage.extend(described.damage.iter().cloned());
    verified.frames = described.frames.len() as u64;
    verified.journal_batches = described.batches().count() as u64;
    verified.tail_bytes = described.tail_bytes;
    let mut reading = Progress::of(&described.checkpoint, &described.image);
    for (id, stream) in &described.image.streams {
        let mut found = StreamVerified {
            name: stream.name.to_string(),
            partitions: stream.partitions.len() as u32,
            ..StreamVerified::default()
        };
        // What counts of its segments the checkpoint says; a stream that is new since then has none.
        let before = described.checkpoint.streams.get(id).map(|before| &before.partitions);
        for (number, partition) in stream.partitions.iter().enumerate() {
            let mut reader = PartitionVerifier {
                disk,
                folder: partition_dir(dir, *id, number as u32),
                seal: Seal::of(*id, number as u32),
                name: format!("{}/{number}", stream.name),
                principals: described.image.principals.len(),
                appended_at_us: i64::MIN,
                found: &mut found,
                damage: Vec::new(),
            };
            let segments = before.and_then(|before| before.get(number));
            let segments = segments.map_or(&[][..], |before| &before.segments);
            for segment in segments.iter().filter(|segment| segment.end > partition.start) {
                let so_far = reading.bytes;
                reader.segment(segment, |bytes| {
                    reading.bytes = so_far + bytes;
                    progress(reading);
                })?;
                reader.aborted(segment)?;
            }
            let mut damage = reader.damage;
            found.damaged += damage.len();
            verified.damage.append(&mut damage);
        }
        for entry in described.batches().filter(|entry| entry.stream == *id) {
            found.count(&entry.batch);
        }
        verified.streams.push(found);
    }
    verified.strange = strange(disk, dir, &described)?;
    verified.streams.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Some(verified))
}

/// What is wrong with one segment.
pub(crate) fn verify_segment(
    disk: &dyn Disk,
    folder: &Path,
    seal: Seal,
    name: &str,
    segment: &Segment,
    principals: usize,
    progress: impl FnMut(u64),
) -> Result<Vec<Damage>, DiskError> {
    let mut found = StreamVerified::default();
    let mut reader = PartitionVerifier {
        disk,
        folder: folder.to_owned(),
        seal,
        name: name.to_owned(),
        principals,
        appended_at_us: i64::MIN,
        found: &mut found,
        damage: Vec::new(),
    };
    reader.segment(segment, progress)?;
    reader.aborted(segment)?;
    Ok(reader.damage)
}

/// Reads one partition's segments.
struct PartitionVerifier<'a> {
    disk: &'a dyn Disk,
    folder: PathBuf,
    seal: Seal,
    /// The stream and the number, for people.
    name: String,
    /// How many principals have a name.
    principals: usize,
    /// When the last batch was appended.
    appended_at_us: i64,
    found: &'a mut StreamVerified,
    damage: Vec<Damage>,
}

impl PartitionVerifier<'_> {
    fn segment(&mut self, segment: &Segment, mut progress: impl FnMut(u64)) -> Result<(), DiskError> {
        let mut walk = Walk::begin(self.disk, &self.folder, self.seal, *segment)?;
        let batches = batches_path(&self.folder, segment);
        let index = index_path(&self.folder, segment);
        let mut next = segment.base;
        // Offsets before a hole are known, those behind it when the next batch is found.
        let mut holes: Vec<(u64, String)> = Vec::new();
        while let Some(piece) = walk.next()? {
            match piece {
                Piece::Hole { from, what, .. } => holes.push((from, what)),
                Piece::Batch { place, batch, entry } => {
                    self.lost(&batches, &mut holes, next, batch.base_offset());
                    next = batch.next_offset();
                    self.found.count(&batch);
                    if let Err(error) = batch.check_events() {
                        let lost = format!("events of {}", self.offsets(batch.base_offset(), next));
                        self.damage
                            .push(Damage::of(&batches, error.to_string()).at(place).losing(lost));
                    }
                    self.beside(&index, place, &entry, batch.base_offset(), next);
                }
            }
            progress(walk.at());
        }
        self.lost(&batches, &mut holes, next, segment.end);
        for at in walk.damaged_entries() {
            self.damage
                .push(Damage::of(&index, "the entry is not what was written").at(*at));
        }
        for (path, what) in walk.missing().into_iter().flatten() {
            if path == index {
                self.damage.push(Damage::of(&path, what));
            }
        }
        Ok(())
    }

    /// Names what stood in holes between two offsets.
    fn lost(&mut self, path: &Path, holes: &mut Vec<(u64, String)>, from: u64, to: u64) {
        for (at, what) in holes.drain(..) {
            let lost = match from < to {
                true => self.offsets(from, to),
                false => String::new(),
            };
            self.damage.push(Damage::of(path, what).at(at).losing(lost));
        }
    }

    /// The index entry of a batch, held against it and its neighbours.
    fn beside(&mut self, index: &Path, place: u64, entry: &Beside, base: u64, next: u64) {
        let offsets = self.offsets(base, next);
        let what = match entry {
            Beside::Nothing(what) => {
                let lost = format!("when {offsets} were appended, and by whom");
                let what = format!("the batch at byte {place}: {what}");
                self.damage.push(Damage::of(index, what).losing(lost));
                return;
            }
            Beside::Elsewhere(_) => format!("the entry of {offsets} names another place than byte {place}"),
            Beside::Agrees(entry) if entry.appended_at_us < self.appended_at_us => {
                format!("{offsets} are said to have been appended before those before them")
            }
            Beside::Agrees(entry) if entry.principal as usize >= self.principals => {
                format!(
                    "{offsets} are said to be of principal {}, who has no name",
                    entry.principal
                )
            }
            Beside::Agrees(entry) => {
                self.appended_at_us = entry.appended_at_us;
                return;
            }
        };
        self.damage.push(Damage::of(index, what));
    }

    /// The ranges that were taken back, by themselves: their order and their place.
    fn aborted(&mut self, segment: &Segment) -> Result<(), DiskError> {
        if segment.aborted == 0 {
            return Ok(());
        }
        let path = aborted_path(&self.folder, segment);
        let bytes = (segment.aborted * ABORTED_ENTRY_BYTES as u64) as usize;
        let mut bytes = match read_up_to(self.disk, &path, bytes)? {
            Ok(bytes) => bytes,
            Err(what) => {
                self.damage.push(Damage::of(&path, what));
                return Ok(());
            }
        };
        let mut before = segment.base;
        for number in 0..segment.aborted {
            let at = number * ABORTED_ENTRY_BYTES as u64;
            if bytes.len() < ABORTED_ENTRY_BYTES {
                self.damage
                    .push(Damage::of(&path, "it ends before its last entry").at(at));
                break;
            }
            let range = decode_aborted(self.seal, &bytes.split_to(ABORTED_ENTRY_BYTES));
            match range.filter(|range| (before..segment.end).contains(&range.marker)) {
                Some(range) => before = range.marker + 1,
                None => self
                    .damage
                    .push(Damage::of(&path, "the entry is not what was written").at(at)),
            }
        }
        Ok(())
    }

    fn offsets(&self, from: u64, to: u64) -> String {
        format!("offsets {from}..{to} of {}", self.name)
    }
}

/// The first bytes of a file, fewer where it is shorter; or why there is none.
pub(crate) fn read_up_to(disk: &dyn Disk, path: &Path, bytes: usize) -> Result<Result<Bytes, &'static str>, DiskError> {
    let failed = |source| DiskError::new(path, source);
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(source) => return absence(&source).map_or_else(|| Err(failed(source)), |what| Ok(Err(what))),
    };
    let there = file.len().map_err(failed)?;
    let length = bytes.min(usize::try_from(there).unwrap_or(usize::MAX));
    let read = file.read_at(0, length).map_err(failed)?;
    Ok(Ok(Bytes::from(read)))
}

/// Files and folders below the streams that belong to nothing that a checkpoint or the journal names.
fn strange(disk: &dyn Disk, dir: &Path, described: &Described) -> Result<Vec<PathBuf>, DiskError> {
    let mut known: HashSet<PathBuf> = HashSet::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    for (id, stream) in described.checkpoint.streams.iter().chain(&described.image.streams) {
        for (number, partition) in stream.partitions.iter().enumerate() {
            let folder = partition_dir(dir, *id, number as u32);
            for segment in &partition.segments {
                known.extend(segment_paths(&folder, segment));
            }
            known.extend(folder.parent().map(Path::to_owned));
            if known.insert(folder.clone()) {
                folders.push(folder);
            }
        }
    }
    // Each batch of the journal may begin a segment, and is written into it anew at the next start.
    for entry in described.batches() {
        let folder = partition_dir(dir, entry.stream, entry.partition);
        known.extend(segment_paths(&folder, &Segment::new(entry.batch.base_offset(), 0)));
    }
    folders.extend(
        folders
            .clone()
            .iter()
            .filter_map(|folder| folder.parent().map(Path::to_owned)),
    );
    folders.push(streams_dir(dir));
    folders.sort();
    folders.dedup();
    let mut strange: Vec<PathBuf> = Vec::new();
    for folder in folders {
        match disk.list(&folder) {
            Ok(entries) => strange.extend(entries.into_iter().filter(|path| !known.contains(path))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(DiskError::new(&folder, source)),
        }
    }
    Ok(strange)
}
