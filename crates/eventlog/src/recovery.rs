//! Opening: the lock, the format marker, the checkpoint, and what the journal holds after it.
//!
//! After a recovery everything that was found stands in flushed segments under a new checkpoint and the journal is empty, so that
//! nothing is shown to a reader that another power cut could take back. Only a damaged journal is left as it is: the log then opens
//! for reading alone.

use std::collections::HashMap;
use std::path::Path;

use headwater_host::{Disk, File, Host};

use crate::checkpoint;
use crate::damage::Damage;
use crate::files::DiskError;
use crate::folder::{self, Marker};
use crate::image::Image;
use crate::journal::format::{BatchEntry, Entry};
use crate::journal::reader;
use crate::journal::writer::journal_dir;
use crate::room::reserve_path;
use crate::segment::cut::Cut;
use crate::segment::format::streams_dir;
use crate::segment::writer::{SegmentWriter, by_partition};
use crate::types::{LogOptions, OpenError, Recovery};

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

/// The state that a folder's checkpoint and journal describe, before anything is put in order.
pub(crate) struct Described {
    /// The checkpoint with the journal folded in.
    pub(crate) image: Image,
    /// The streams as the checkpoint alone has them: what counts of their segments.
    pub(crate) checkpoint: Image,
    /// The batches that are in no segment yet.
    pub(crate) batches: Vec<BatchEntry>,
    /// The numbers of the journal's files.
    pub(crate) journal_files: Vec<u16>,
    /// Bytes and frames of the journal that count, and bytes of its torn end.
    pub(crate) journal_bytes: u64,
    pub(crate) frames: u64,
    pub(crate) tail_bytes: u64,
    /// Whether both copies of the checkpoint are to be written before the journal goes on.
    pub(crate) is_uneven: bool,
    /// Damage that costs nothing, because what it hit stands elsewhere too.
    pub(crate) mended: Vec<Damage>,
    /// What is missing from the journal.
    pub(crate) damage: Vec<Damage>,
}

/// Opens the folder and brings it into order.
pub(crate) fn recover(host: &Host, dir: &Path, options: &LogOptions) -> Result<Recovered, OpenError> {
    let disk = host.disk.as_ref();
    disk.create_dir_all(dir).map_err(|source| DiskError::new(dir, source))?;
    let lock = folder::lock(disk, dir)?;
    match folder::marker(disk, dir)? {
        Marker::Log => {}
        Marker::Nothing => folder::create(host, dir)?,
        Marker::Damaged(what) => {
            return Err(OpenError::Damaged {
                path: folder::marker_path(dir).display().to_string(),
                what: format!(
                    "{what}: restore it from a copy, let `headwater log repair` write it, or name another folder"
                ),
            });
        }
    }
    let described = describe(disk, dir)?;
    let mut report = Recovery {
        journal_bytes: described.journal_bytes,
        batches_replayed: described.batches.len() as u64,
        tail_bytes_cut: described.tail_bytes,
        clock_behind_us: (described.image.appended_at_us)
            .saturating_sub(host.clock.now_us())
            .max(0),
        mended: described.mended.iter().map(Damage::to_string).collect(),
        damage: described.damage.iter().map(Damage::to_string).collect(),
    };
    let mut image = described.image;
    let mut segments = SegmentWriter::new(host.disk.clone(), dir);
    let mut unwritten = described.batches;
    let journal_damage = report.damage.first().map(|what| {
        format!(
            "acknowledged events are missing from the journal ({what}); nothing is written so that nothing more is lost: \
             restore {} from a copy, or let `headwater log repair` go on without them",
            journal_dir(dir).display()
        )
    });
    if journal_damage.is_none() {
        if described.frames > 0 || described.tail_bytes > 0 || described.is_uneven {
            // The torn frame may still be there: its number is not used again.
            image.next_sequence += 1;
            give_back_reserve(disk, dir)?;
            write_replayed(
                &mut segments,
                &mut image,
                std::mem::take(&mut unwritten),
                options.segment_bytes,
            )?;
            report
                .damage
                .extend(segments.take_damage().iter().map(Damage::to_string));
            checkpoint::write(disk, dir, &image)?;
        }
        remove_dropped(disk, dir, &image)?;
    }
    Ok(Recovered {
        lock,
        image,
        segments,
        report,
        journal_files: described.journal_files,
        unwritten,
        journal_damage,
    })
}

/// What the checkpoint and the journal say. How much is read does not grow with the log: no segment is looked at.
pub(crate) fn describe(disk: &dyn Disk, dir: &Path) -> Result<Described, OpenError> {
    let read = checkpoint::read(disk, dir)?;
    let mut image = read.image.clone();
    let found = reader::read(disk, dir, image.key, image.next_sequence)?;
    let mut damage = found.damage;
    let frames = found.frames.len() as u64;
    let mut batches: Vec<BatchEntry> = Vec::new();
    for frame in found.frames {
        for entry in frame.entries {
            if let Err(lost) = image.apply(&entry) {
                let what = format!("what stood before frame {} is missing", frame.sequence);
                damage.push(Damage::of(&journal_dir(dir), what).losing(lost));
            }
            if let Entry::Batch(batch) = entry {
                batches.push(batch);
            }
        }
        image.next_sequence = frame.sequence + 1;
    }
    Ok(Described {
        image,
        checkpoint: read.image,
        batches,
        journal_files: found.files,
        journal_bytes: found.bytes,
        frames,
        tail_bytes: found.tail_bytes_cut,
        is_uneven: read.is_uneven,
        mended: read.damage,
        damage,
    })
}

/// What is replayed may need its room.
fn give_back_reserve(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    let path = reserve_path(dir);
    match disk.remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(DiskError::new(&path, source).into()),
        _ => Ok(()),
    }
}

pub(crate) fn write_replayed(
    segments: &mut SegmentWriter,
    image: &mut Image,
    unwritten: Vec<BatchEntry>,
    segment_bytes: u64,
) -> Result<(), OpenError> {
    for ((stream, number), entries) in by_partition(unwritten.iter()) {
        // Batches of a stream that was dropped later need no segment.
        let Some(found) = image.streams.get_mut(&stream) else {
            continue;
        };
        let cut = Cut::of(&found.settings, segment_bytes);
        let Some(partition) = found.partitions.get_mut(number as usize) else {
            continue;
        };
        let aborted = image.aborted.remove(&(stream, number)).unwrap_or_default();
        segments.write(stream, number, &entries, &aborted, cut, &mut partition.segments)?;
    }
    // The files of what is below a start are swept up later, as every file that no segment has.
    image.prune();
    segments.sync()?;
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
