//! Opening: the lock, the format marker, the checkpoint, and what the journal holds after it.
//!
//! After a recovery everything that was found stands in flushed segments under a new checkpoint and the journal is empty, so that
//! nothing is shown to a reader that another power cut could take back. Only a damaged journal is left as it is: the log then opens
//! for reading alone.

use std::collections::HashMap;
use std::path::Path;

use headwater_host::{Disk, File, Host, OpenMode};

use crate::checkpoint::{self, CheckpointError};
use crate::files::{DiskError, read_whole, write_atomically};
use crate::image::Image;
use crate::journal::format::{BatchEntry, Entry};
use crate::journal::reader::{self, Found};
use crate::journal::writer::journal_dir;
use crate::room::reserve_path;
use crate::segment::format::{
    ABORTED_ENTRY_BYTES, INDEX_ENTRY_BYTES, aborted_path, batches_path, index_path, partition_dir, streams_dir,
};
use crate::segment::writer::{SegmentWriter, by_partition};
use crate::types::{LogOptions, OpenError, Recovery};

/// The newest format this program knows; it is also the one it writes.
const FORMAT: u32 = 1;

const FORMAT_PREFIX: &str = "headwater log, format ";

/// What the disk held.
pub(crate) struct Recovered {
    pub(crate) lock: Box<dyn File>,
    pub(crate) image: Image,
    pub(crate) segments: SegmentWriter,
    pub(crate) report: Recovery,
    /// The numbers of the journal's files.
    pub(crate) journal_files: Vec<u16>,
    /// Batches that are in memory only, because nothing is written where the journal is damaged.
    pub(crate) unwritten: Vec<BatchEntry>,
    /// Why nothing may be written, where that is so.
    pub(crate) journal_damage: Option<String>,
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> OpenError {
        OpenError::Disk {
            path: error.path.display().to_string(),
            source: error.source,
        }
    }
}

/// Opens the folder and brings it into order.
pub(crate) fn recover(host: &Host, dir: &Path, options: &LogOptions) -> Result<Recovered, OpenError> {
    let disk = host.disk.as_ref();
    let lock = lock(disk, dir)?;
    let mut image = if check_format(disk, dir)? {
        load(disk, dir)?
    } else {
        create(host, dir)?
    };
    let mut report = Recovery::default();
    check_segments(disk, dir, &image, &mut report)?;
    let found = reader::read(disk, dir, image.key, image.next_sequence)?;
    report.journal_bytes = found.bytes;
    report.tail_bytes_cut = found.tail_bytes_cut;
    let journal_files = found.files.clone();
    let segments = SegmentWriter::new(host.disk.clone(), dir, options.segment_bytes);
    let mut recovered = Recovered {
        lock,
        image: Image::empty(0),
        segments,
        report,
        journal_files,
        unwritten: Vec::new(),
        journal_damage: None,
    };
    let replayed = found.frames.len();
    let torn = found.tail_bytes_cut > 0;
    let sound = recovered.report.damage.len();
    recovered.unwritten = replay(&mut image, found, &mut recovered.report);
    recovered.journal_damage = recovered.report.damage.get(sound).map(|what| {
        format!(
            "acknowledged events are missing from the journal ({what}); nothing is written so that nothing more is lost: \
             restore {} from a copy",
            journal_dir(dir).display()
        )
    });
    if recovered.journal_damage.is_none() {
        if replayed > 0 || torn {
            // The torn frame may still be there: its number is not used again.
            image.next_sequence += 1;
            give_back_reserve(disk, dir)?;
            write_replayed(&mut recovered, &mut image)?;
            checkpoint::write(disk, dir, &image)?;
        }
        remove_dropped(disk, dir, &image)?;
    }
    recovered.image = image;
    Ok(recovered)
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn File>, OpenError> {
    let failed = |source| DiskError::new(dir, source);
    disk.create_dir_all(dir).map_err(failed)?;
    let path = dir.join("LOCK");
    let lock = disk
        .open(&path, OpenMode::ReadWrite)
        .map_err(|source| DiskError::new(&path, source))?;
    if lock.try_lock().map_err(|source| DiskError::new(&path, source))? {
        Ok(lock)
    } else {
        Err(OpenError::InUse(dir.display().to_string()))
    }
}

/// Whether there is a log, of a format that can be read.
fn check_format(disk: &dyn Disk, dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join("FORMAT");
    let failed = |source| DiskError::new(&path, source);
    if !disk.exists(&path).map_err(failed)? {
        return Ok(false);
    }
    let file = disk.open(&path, OpenMode::Read).map_err(failed)?;
    let bytes = read_whole(file.as_ref(), &path)?;
    let text = String::from_utf8_lossy(&bytes);
    let found = text
        .strip_prefix(FORMAT_PREFIX)
        .and_then(|rest| rest.trim_end().parse::<u32>().ok());
    match found {
        Some(found) if found > FORMAT => Err(OpenError::Newer {
            path: dir.display().to_string(),
            found,
            known: FORMAT,
        }),
        Some(_) => Ok(true),
        None => Err(OpenError::Damaged {
            path: path.display().to_string(),
            what: "it does not say which format the folder has: restore it from a copy, or name another folder"
                .to_owned(),
        }),
    }
}

/// Creates an empty log. The format marker comes last: without it the folder holds no log.
fn create(host: &Host, dir: &Path) -> Result<Image, OpenError> {
    let disk = host.disk.as_ref();
    for folder in [journal_dir(dir), streams_dir(dir)] {
        disk.create_dir_all(&folder)
            .map_err(|source| DiskError::new(&folder, source))?;
    }
    for path in disk
        .list(&journal_dir(dir))
        .map_err(|source| DiskError::new(dir, source))?
    {
        // A crash during the first start left it; nothing was ever acknowledged from it.
        disk.remove_file(&path)
            .map_err(|source| DiskError::new(&path, source))?;
    }
    let image = Image::empty(host.dice.roll());
    checkpoint::write(disk, dir, &image)?;
    write_atomically(disk, dir, "FORMAT", format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes())?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk.sync_dir(parent).map_err(|source| DiskError::new(parent, source))?;
    }
    Ok(image)
}

fn load(disk: &dyn Disk, dir: &Path) -> Result<Image, OpenError> {
    checkpoint::read(disk, dir).map_err(|error| {
        let what = match error {
            CheckpointError::Disk(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                "it is missing".to_owned()
            }
            CheckpointError::Disk(error) => return error.into(),
            CheckpointError::Damaged(what) => what,
        };
        OpenError::Damaged {
            path: checkpoint::path(dir).display().to_string(),
            what: format!("{what}; nothing else says where the events stand: restore the folder from a copy"),
        }
    })
}

/// Looks whether every segment is as long as the checkpoint says.
fn check_segments(disk: &dyn Disk, dir: &Path, image: &Image, report: &mut Recovery) -> Result<(), OpenError> {
    for (id, stream) in &image.streams {
        for (number, partition) in stream.partitions.iter().enumerate() {
            let folder = partition_dir(dir, *id, number as u32);
            for segment in &partition.segments {
                let index_bytes = segment.entries * INDEX_ENTRY_BYTES as u64;
                let aborted_bytes = segment.aborted * ABORTED_ENTRY_BYTES as u64;
                let expected = [
                    (batches_path(&folder, segment.base), segment.bytes),
                    (index_path(&folder, segment.base), index_bytes),
                    (aborted_path(&folder, segment.base), aborted_bytes),
                ];
                for (path, bytes) in expected.into_iter().filter(|(_, bytes)| *bytes > 0) {
                    let found = match disk.open(&path, OpenMode::Read).and_then(|file| file.len()) {
                        Ok(found) => Some(found),
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                        Err(source) => return Err(DiskError::new(&path, source).into()),
                    };
                    if found.is_none_or(|found| found < bytes) {
                        let found = found.map_or("is missing".to_owned(), |found| format!("has {found} bytes"));
                        report.damage.push(format!(
                            "{} {found}, {bytes} were durable: events of {}/{number} from offset {} on cannot all be read",
                            path.display(),
                            stream.name,
                            segment.base
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Folds the frames into the image; gives back the batches, which are in no segment yet.
fn replay(image: &mut Image, found: Found, report: &mut Recovery) -> Vec<BatchEntry> {
    report.damage.extend(found.damage);
    let mut batches: Vec<BatchEntry> = Vec::new();
    for frame in found.frames {
        for entry in frame.entries {
            if let Err(what) = image.apply(&entry) {
                report
                    .damage
                    .push(format!("frame {} of the journal: {what}", frame.sequence));
            }
            if let Entry::Batch(batch) = entry {
                batches.push(batch);
            }
        }
        image.next_sequence = frame.sequence + 1;
    }
    report.batches_replayed = batches.len() as u64;
    batches
}

/// What is replayed may need its room.
fn give_back_reserve(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    let path = reserve_path(dir);
    match disk.remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(DiskError::new(&path, source).into()),
        _ => Ok(()),
    }
}

fn write_replayed(recovered: &mut Recovered, image: &mut Image) -> Result<(), OpenError> {
    let unwritten = std::mem::take(&mut recovered.unwritten);
    for ((stream, number), entries) in by_partition(unwritten.iter()) {
        let partition = image
            .streams
            .get_mut(&stream)
            .and_then(|stream| stream.partitions.get_mut(number as usize));
        // Batches of a stream that was dropped later need no segment.
        let Some(partition) = partition else { continue };
        let aborted = image.aborted.remove(&(stream, number)).unwrap_or_default();
        recovered
            .segments
            .write(stream, number, &entries, &aborted, &mut partition.segments)?;
    }
    recovered.segments.sync()?;
    Ok(())
}

/// Removes folders of streams that are no more: a crash came between the checkpoint and the removal.
fn remove_dropped(disk: &dyn Disk, dir: &Path, image: &Image) -> Result<(), OpenError> {
    let folder = streams_dir(dir);
    let known: HashMap<String, ()> = image.streams.keys().map(|id| (format!("{id:032x}"), ())).collect();
    for path in disk.list(&folder).map_err(|source| DiskError::new(&folder, source))? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() == 32 && !known.contains_key(name) {
            disk.remove_dir_all(&path)
                .map_err(|source| DiskError::new(&path, source))?;
        }
    }
    Ok(())
}
