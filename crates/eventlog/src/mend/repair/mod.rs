//! Goes on without what is lost: cuts out what is damaged, derives anew what can be derived, and leaves everything that is whole as it is.
//!
//! Before a file is changed it is copied whole to a side folder and flushed there, so that nothing is ever thrown away. What counts is switched over by
//! one checkpoint at the end; a repair that is broken off before is simply begun again.
//!
//! Offsets that are lost are stood for by batches without events, so that every reader goes on behind them and no offset is given out twice.
//! What an index entry alone knows (when a batch was appended, and by whom) cannot be derived: a batch whose entry is lost gets the largest timestamp of its
//! writer, no earlier than the batch before it and no later than the one behind it, and the principal `?`.

mod settle;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_host::{Disk, Host, OpenMode};
use headwater_records::Batch;

use crate::append::journal::reader::made;
use crate::append::journal::writer::{JournalFile, journal_path};
use crate::entities::run::list::entities_dir;
use crate::error::OpenError;
use crate::files::DiskError;
use crate::keep::image::{Image, PartitionImage};
use crate::keep::segment::Segment;
use crate::keep::segment::format::{
    IndexEntry, Seal, aborted_path, batches_path, encode_aborted, index_path, partition_dir,
};
use crate::keep::segment::walk::{Beside, Piece, Walk};
use crate::keep::segment::writer::SegmentWriter;
use crate::limits::FIRST_JOURNAL_BYTES;
use crate::mend::damage::Damage;
use crate::mend::verify::{Progress, verify_segment};
use crate::open::folder::{self, Claim, Marker};
use crate::open::recovery::{Described, describe};
use crate::options::LogOptions;
use crate::read::taken_back::TakenBack;
use settle::settle;

/// The name of a principal that nobody knows any more.
const UNKNOWN: &str = "?";

/// How much of a file is copied at a time.
const COPY_BYTES: usize = 1024 * 1024;

/// What a repair did.
#[derive(Debug, Clone, Default)]
pub struct Repaired {
    /// What was wrong, and is not any more.
    pub damage: Vec<Damage>,
    /// Where the files that were changed stand as they were.
    pub copies: Vec<PathBuf>,
}

/// Repairs a log that no program has open; `side` is a folder that is not there yet. `None` where there is no log.
pub fn repair(
    host: &Host,
    dir: &Path,
    side: &Path,
    options: &LogOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Option<Repaired>, OpenError> {
    let disk = host.disk.as_ref();
    if !disk.exists(dir).map_err(|source| DiskError::new(dir, source))? {
        return Ok(None);
    }
    let _claim = Claim::take(disk, dir)?;
    let marker = folder::marker(disk, dir)?;
    if matches!(marker, Marker::Nothing) {
        return Ok(None);
    }
    let mut repair = Repair {
        disk,
        dir,
        side,
        done: Repaired::default(),
    };
    let described = describe(disk, dir)?;
    if let Marker::Damaged(what) = marker {
        let path = folder::marker_path(dir);
        repair.copy(&path)?;
        repair.done.damage.push(Damage::of(&path, what));
        folder::write_marker(disk, dir)?;
    }
    for damage in &described.mended {
        repair.copy(&damage.path)?;
    }
    if !described.damage.is_empty() {
        for file in &described.journal_files {
            repair.copy(&journal_path(dir, file.number))?;
        }
        for path in &described.strangers {
            repair.copy(path)?;
            remove(disk, path)?;
        }
    }
    let image = repair.segments(&described, &mut progress)?;
    repair.done.damage.extend(described.mended.iter().cloned());
    repair.done.damage.extend(described.damage.iter().cloned());
    if !repair.done.damage.is_empty() {
        // Entity indexes are of the log as it was; they are built again.
        let indexes = entities_dir(dir);
        match disk.remove_dir_all(&indexes) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(DiskError::new(&indexes, source).into());
            }
            _ => {}
        }
        let known = image.journal_files.clone();
        let key = image.key;
        let made = usize::from(made(&described.journal_files)).max(known.len()).max(1);
        let segments = SegmentWriter::new(host.disk.clone(), dir);
        settle(
            disk,
            dir,
            segments,
            image,
            described.batches().cloned().collect(),
            options.segment_bytes,
        )?;
        for number in 0..made {
            let first = FIRST_JOURNAL_BYTES.min(options.journal_bytes);
            let length = known.get(number).copied().filter(|length| *length > 0);
            JournalFile::prepare(disk, dir, key, number as u16, length.unwrap_or(first))?;
        }
    }
    Ok(Some(repair.done))
}

struct Repair<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    side: &'a Path,
    done: Repaired,
}

/// A partition under repair.
struct Partition<'a> {
    folder: &'a Path,
    id: u128,
    number: u32,
    name: String,
    unknown: u32,
}

impl Partition<'_> {
    fn seal(&self) -> Seal {
        Seal::of(self.id, self.number)
    }
}

impl Repair<'_> {
    /// Mends every segment that is damaged; the image that counts on what is left of them.
    fn segments(&mut self, described: &Described, progress: &mut impl FnMut(Progress)) -> Result<Image, OpenError> {
        let mut image = described.image.clone();
        let principals = image.principals.len();
        let known = image.principals.iter().position(|name| name.as_ref() == UNKNOWN);
        let unknown = known.unwrap_or(principals) as u32;
        let mut reading = Progress::of(&described.checkpoint, &described.image);
        let mut needs_unknown = false;
        for (id, stream) in &mut image.streams {
            let Some(before) = described.checkpoint.streams.get(id) else {
                continue;
            };
            for (number, partition) in stream.partitions.iter_mut().enumerate() {
                let Some(before) = before.partitions.get(number) else {
                    continue;
                };
                let folder = partition_dir(self.dir, *id, number as u32);
                let here = Partition {
                    folder: &folder,
                    id: *id,
                    number: number as u32,
                    name: format!("{}/{number}", stream.name),
                    unknown,
                };
                needs_unknown |= self.partition(&here, before, partition, principals, &mut reading, progress)?;
            }
        }
        if needs_unknown && known.is_none() {
            image.principals.push(Arc::from(UNKNOWN));
        }
        Ok(image)
    }

    /// Says whether a batch got the principal that nobody knows.
    fn partition(
        &mut self,
        here: &Partition<'_>,
        before: &PartitionImage,
        partition: &mut PartitionImage,
        principals: usize,
        reading: &mut Progress,
        progress: &mut impl FnMut(Progress),
    ) -> Result<bool, OpenError> {
        let mut needs_unknown = false;
        let mut kept: Vec<Segment> = Vec::new();
        let mut unsure: BTreeSet<u64> = BTreeSet::new();
        let mut moment = before.expired_at_us;
        for segment in &before.segments {
            if segment.end <= partition.start {
                kept.push(*segment);
                continue;
            }
            let damage = verify_segment(
                self.disk,
                here.folder,
                here.seal(),
                &here.name,
                segment,
                principals,
                |bytes| {
                    progress(Progress {
                        bytes: reading.bytes + bytes,
                        ..*reading
                    });
                },
            )?;
            reading.bytes += segment.bytes;
            if damage.is_empty() {
                moment = segment.appended_at_us_last;
                kept.push(*segment);
                continue;
            }
            self.done.damage.extend(damage);
            let mended = self.mend(here, segment, principals, moment, &mut needs_unknown)?;
            moment = mended.appended_at_us_last;
            unsure.insert(mended.base);
            kept.push(mended);
        }
        if !unsure.is_empty() {
            self.derive_aborted(here, &mut kept, &unsure)?;
            let folder = here.folder;
            self.disk
                .sync_dir(folder)
                .map_err(|source| DiskError::in_flush(folder, source))?;
        }
        partition.segments = kept;
        Ok(needs_unknown)
    }

    /// Writes a segment anew from its whole batches; what is lost between them is stood for by batches without events.
    fn mend(
        &mut self,
        here: &Partition<'_>,
        segment: &Segment,
        principals: usize,
        moment: i64,
        needs_unknown: &mut bool,
    ) -> Result<Segment, OpenError> {
        for path in files(here.folder, segment) {
            self.copy(&path)?;
        }
        let mut anew = Anew::begin(self.disk, here, segment, principals, moment)?;
        let mut walk = Walk::begin(self.disk, here.folder, here.seal(), *segment)?;
        while let Some(piece) = walk.next()? {
            if let Piece::Batch { batch, entry, .. } = piece {
                anew.lost(batch.base_offset())?;
                let facts = match entry {
                    Beside::Agrees(entry) | Beside::Elsewhere(entry) => Some(entry),
                    Beside::Nothing(_) => None,
                };
                anew.batch(&batch, facts)?;
            }
        }
        anew.lost(segment.end)?;
        *needs_unknown |= anew.needs_unknown;
        Ok(anew.end()?)
    }

    /// Works out what was taken back from the batches, from the partition's first on, and writes it beside the segments that were mended.
    fn derive_aborted(
        &mut self,
        here: &Partition<'_>,
        segments: &mut [Segment],
        unsure: &BTreeSet<u64>,
    ) -> Result<(), OpenError> {
        let mut anew = TakenBack::begin(self.disk, here.folder, here.id, here.number);
        for segment in segments {
            let ranges = anew.next(segment)?.ranges;
            if !unsure.contains(&segment.base) {
                continue;
            }
            let path = aborted_path(here.folder, segment);
            let mut bytes: Vec<u8> = Vec::new();
            for range in &ranges {
                encode_aborted(range, here.seal(), &mut bytes);
            }
            segment.aborted = ranges.len() as u64;
            match bytes.is_empty() {
                true => remove(self.disk, &path)?,
                false => {
                    let mut draft = Draft::begin(self.disk, &path)?;
                    draft.write(&bytes)?;
                    draft.end(true)?;
                }
            }
        }
        Ok(())
    }

    /// Copies a file to the side folder, where it is there; a folder that stands in its place is moved. Flushed when this returns.
    fn copy(&mut self, path: &Path) -> Result<(), OpenError> {
        let failed = |source| DiskError::new(path, source);
        let from = match self.disk.open(path, OpenMode::Read) {
            Ok(from) => Some(from),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => None,
            Err(source) => return Err(failed(source).into()),
        };
        let copy = self.side.join(path.strip_prefix(self.dir).unwrap_or(path));
        let folder = copy.parent().unwrap_or(self.side);
        self.disk
            .create_dir_all(folder)
            .map_err(|source| DiskError::new(folder, source))?;
        let failed_copy = |source| DiskError::new(&copy, source);
        let Some(from) = from else {
            self.disk.rename(path, &copy).map_err(failed)?;
            self.disk
                .sync_dir(folder)
                .map_err(|source| DiskError::in_flush(folder, source))?;
            self.done.copies.push(copy);
            return Ok(());
        };
        let into = self.disk.open(&copy, OpenMode::CreateNew).map_err(failed_copy)?;
        let length = from.len().map_err(failed)?;
        let mut at = 0;
        while at < length {
            let bytes = from
                .read_at(at, COPY_BYTES.min((length - at) as usize))
                .map_err(failed)?;
            into.write_all_at(&bytes, at).map_err(failed_copy)?;
            at += bytes.len() as u64;
        }
        into.sync_data().map_err(|source| DiskError::in_flush(&copy, source))?;
        for folder in folder.ancestors() {
            self.disk
                .sync_dir(folder)
                .map_err(|source| DiskError::in_flush(folder, source))?;
            if Some(folder) == self.side.parent() {
                break;
            }
        }
        self.done.copies.push(copy);
        Ok(())
    }
}

/// The files of a segment.
fn files(folder: &Path, segment: &Segment) -> [PathBuf; 3] {
    [
        batches_path(folder, segment),
        index_path(folder, segment),
        aborted_path(folder, segment),
    ]
}

/// A segment that is written anew.
struct Anew<'a> {
    here: &'a Partition<'a>,
    before: Segment,
    principals: usize,
    grown: Segment,
    batches: Draft<'a>,
    index: Draft<'a>,
    /// When the batch before the segment was appended.
    earliest: i64,
    entries: Vec<IndexEntry>,
    /// How many of them, at the end, have a moment that nothing bounds from above yet.
    guessed: usize,
    has_holes: bool,
    needs_unknown: bool,
}

impl<'a> Anew<'a> {
    fn begin(
        disk: &'a dyn Disk,
        here: &'a Partition<'a>,
        segment: &Segment,
        principals: usize,
        moment: i64,
    ) -> Result<Anew<'a>, DiskError> {
        let [batches, index, _] = files(here.folder, segment);
        Ok(Anew {
            here,
            before: *segment,
            principals,
            grown: Segment {
                end: segment.base,
                bytes: 0,
                entries: 0,
                appended_at_us_last: moment,
                timestamp_ms_max: i64::MIN,
                ..*segment
            },
            batches: Draft::begin(disk, &batches)?,
            index: Draft::begin(disk, &index)?,
            earliest: moment,
            entries: Vec::new(),
            guessed: 0,
            has_holes: false,
            needs_unknown: false,
        })
    }

    /// Stands for what is lost up to an offset.
    fn lost(&mut self, to: u64) -> Result<(), DiskError> {
        while self.grown.end < to {
            self.has_holes = true;
            let filler = Batch::encode_lost(self.grown.end, to);
            self.batch(&filler, None)?;
        }
        Ok(())
    }

    /// Adds a batch, with what its index entry knew of it.
    fn batch(&mut self, batch: &Batch, facts: Option<IndexEntry>) -> Result<(), DiskError> {
        let known = facts.filter(|entry| (entry.principal as usize) < self.principals);
        self.needs_unknown |= known.is_none();
        let appended_at_us = match facts {
            Some(entry) => self.known_moment(entry.appended_at_us),
            None => self.guessed_moment(batch.timestamp_ms_max()),
        };
        let entry = IndexEntry {
            base: batch.base_offset(),
            next: batch.next_offset(),
            place: self.grown.bytes,
            appended_at_us,
            timestamp_ms_max: batch.timestamp_ms_max(),
            length: batch.bytes().len() as u32,
            principal: known.map_or(self.here.unknown, |entry| entry.principal),
            compacted_at_s: facts.map_or(0, |entry| entry.compacted_at_s),
            batch_crc: batch.crc(),
        };
        self.entries.push(entry);
        self.batches.write(batch.bytes())?;
        self.grown.end = entry.next;
        self.grown.bytes += u64::from(entry.length);
        self.grown.entries += 1;
        self.grown.appended_at_us_last = entry.appended_at_us;
        self.grown.timestamp_ms_max = self.grown.timestamp_ms_max.max(entry.timestamp_ms_max);
        Ok(())
    }

    /// A batch's own moment: what stands before it was appended no later.
    fn known_moment(&mut self, moment: i64) -> i64 {
        let guessed = self.entries.len() - self.guessed..;
        let known = self.entries[..guessed.start].last();
        let moment = moment.max(known.map_or(self.earliest, |entry| entry.appended_at_us));
        for entry in &mut self.entries[guessed] {
            entry.appended_at_us = entry.appended_at_us.min(moment);
        }
        self.guessed = 0;
        moment
    }

    /// The moment of a batch whose own is lost: its writer's clock is the next best, between the batches beside it and within what the checkpoint says of
    /// the segment.
    fn guessed_moment(&mut self, timestamp_ms: i64) -> i64 {
        self.guessed += 1;
        let latest = self.before.appended_at_us_last;
        let earliest = self
            .grown
            .appended_at_us_last
            .max(self.before.appended_at_us_first.min(latest));
        timestamp_ms.saturating_mul(1_000).min(latest).max(earliest)
    }

    fn end(mut self) -> Result<Segment, DiskError> {
        let mut entries: Vec<u8> = Vec::new();
        for entry in &self.entries {
            entry.encode(self.here.seal(), &mut entries);
        }
        self.index.write(&entries)?;
        // Batches that are all whole stay the file that they are.
        let is_same = !self.has_holes && self.grown.bytes == self.before.bytes;
        self.batches.end(!is_same)?;
        self.index.end(true)?;
        Ok(self.grown)
    }
}

/// A file that takes another's name once it is whole.
struct Draft<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    draft: PathBuf,
    file: Box<dyn headwater_host::File>,
    at: u64,
}

impl<'a> Draft<'a> {
    fn begin(disk: &'a dyn Disk, path: &Path) -> Result<Draft<'a>, DiskError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = PathBuf::from(draft);
        if let Some(folder) = path.parent() {
            disk.create_dir_all(folder)
                .map_err(|source| DiskError::new(folder, source))?;
        }
        let failed = |source| DiskError::new(&draft, source);
        let file = disk.open(&draft, OpenMode::ReadWrite).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        Ok(Draft {
            disk,
            path: path.to_owned(),
            file,
            at: 0,
            draft,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.file
            .write_all_at(bytes, self.at)
            .map_err(|source| DiskError::new(&self.draft, source))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Takes the name, or goes away.
    fn end(self, takes_the_name: bool) -> Result<(), DiskError> {
        if !takes_the_name {
            return remove(self.disk, &self.draft);
        }
        self.file
            .sync_data()
            .map_err(|source| DiskError::in_flush(&self.draft, source))?;
        self.disk
            .rename(&self.draft, &self.path)
            .map_err(|source| DiskError::new(&self.path, source))
    }
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(DiskError::new(path, source)),
        _ => Ok(()),
    }
}
