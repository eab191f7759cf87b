//! Opening: the lock, the format marker, the checkpoint, and what the journal holds after it.
//!
//! An open writes no event: what the journal holds is flushed where it stands, so that nothing is shown to a reader that another power cut
//! could take back, the torn newest frame is wiped, and the journal goes on behind the last whole one. What stands in no segment yet is the keeper's to
//! write, as it is of every durable group. So an open needs no room on the disk. A damaged journal is left as it is: the log then opens for
//! reading alone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use headwater_host::{Disk, Host};

use crate::append::journal::format::{BatchEntry, Entry};
use crate::append::journal::reader::{self, FoundFile, Frame};
use crate::append::journal::writer::{JournalFile, SPARE, journal_dir, spare_path};
use crate::error::OpenError;
use crate::files::DiskError;
use crate::keep::checkpoint;
use crate::keep::image::Image;
use crate::keep::segment::format::streams_dir;
use crate::limits::FIRST_JOURNAL_BYTES;
use crate::mend::damage::Damage;
use crate::open::folder::{self, Claim, Marker};
use crate::options::LogOptions;
use crate::told::Recovery;

/// What the disk held.
pub(crate) struct Recovered {
    pub(crate) claim: Claim,
    pub(crate) described: Described,
    pub(crate) report: Recovery,
    /// The journal, ready to go on; an error says why nothing may be written.
    pub(crate) journal: Result<Journal, String>,
}

/// The journal's files as they were found.
pub(crate) struct Journal {
    pub(crate) files: Vec<(JournalFile, FoundFile)>,
    /// How many of those that go round were made.
    pub(crate) made: u16,
    /// Where it goes on: behind the last frame; `None` where there is none that counts.
    pub(crate) end: Option<(u16, u64)>,
}

/// The state that a folder's checkpoint and journal describe, before anything is put in order.
pub(crate) struct Described {
    /// The checkpoint with the journal folded in.
    pub(crate) image: Image,
    /// The streams as the checkpoint alone has them: what counts of their segments.
    pub(crate) checkpoint: Image,
    /// The frames of the journal that no checkpoint covers.
    pub(crate) frames: Vec<Frame>,
    pub(crate) journal_files: Vec<FoundFile>,
    /// Files among them that are none.
    pub(crate) strangers: Vec<PathBuf>,
    /// Where the last frame ends, and where torn ones begin: file and place.
    pub(crate) end: Option<(u16, u64)>,
    pub(crate) torn: Vec<(u16, u64)>,
    /// Bytes of the journal that count, and bytes of its torn end.
    pub(crate) journal_bytes: u64,
    pub(crate) tail_bytes: u64,
    /// Whether both copies of the checkpoint are to be written before the journal goes on.
    pub(crate) is_uneven: bool,
    /// Damage that costs nothing, because what it hit stands elsewhere too.
    pub(crate) mended: Vec<Damage>,
    /// What is missing from the journal.
    pub(crate) damage: Vec<Damage>,
}

/// Opens the folder and makes durable what it holds.
pub(crate) fn recover(host: &Host, dir: &Path, options: &LogOptions) -> Result<Recovered, OpenError> {
    let disk = host.disk.as_ref();
    disk.create_dir_all(dir).map_err(|source| DiskError::new(dir, source))?;
    let claim = Claim::take(disk, dir)?;
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
    let mut described = describe(disk, dir)?;
    let report = Recovery {
        journal_bytes: described.journal_bytes,
        batches_replayed: described.batches().count() as u64,
        tail_bytes_cut: described.tail_bytes,
        clock_behind_us: (described.image.appended_at_us)
            .saturating_sub(host.clock.now_us())
            .max(0),
        mended: described.mended.iter().map(Damage::to_string).collect(),
        damage: described.damage.iter().map(Damage::to_string).collect(),
    };
    let journal = match report.damage.first() {
        None => Ok(prepare(disk, dir, options, &mut described)?),
        Some(what) => Err(format!(
            "the journal is not as it was left, and nothing is written, so that nothing more is lost: {what}"
        )),
    };
    Ok(Recovered {
        claim,
        described,
        report,
        journal,
    })
}

/// Makes durable what was found, and the journal ready to go on. Needs no room on the disk, but where the log is new.
fn prepare(disk: &dyn Disk, dir: &Path, options: &LogOptions, described: &mut Described) -> Result<Journal, OpenError> {
    let key = described.image.key;
    let mut files: Vec<(JournalFile, FoundFile)> = Vec::new();
    for found in &described.journal_files {
        files.push((JournalFile::prepare(disk, dir, key, found.number, 0)?, *found));
    }
    if reader::made(&described.journal_files) == 0 {
        let found = FoundFile {
            number: 0,
            last_sequence: None,
        };
        let length = FIRST_JOURNAL_BYTES.min(options.journal_bytes);
        files.push((JournalFile::prepare(disk, dir, key, 0, length)?, found));
    }
    if disk
        .exists(&spare_path(dir))
        .map_err(|source| DiskError::new(dir, source))?
    {
        let found = FoundFile {
            number: SPARE,
            last_sequence: None,
        };
        files.push((JournalFile::lay_aside(disk, dir, 0)?, found));
    }
    for (file, found) in &mut files {
        let torn = described.torn.iter().filter(|(number, _)| *number == file.number);
        let places: Vec<u64> = torn.map(|(_, place)| *place).collect();
        for place in &places {
            file.wipe(key, *place)?;
        }
        if found.last_sequence.is_some() || !places.is_empty() {
            file.sync()?;
        } else if let Err(error) = file.rename(disk, dir, false)
            && !error.is_shortage()
        {
            return Err(error.into());
        }
    }
    let known = described.checkpoint.journal_files.clone();
    for (file, _) in &files {
        described.checkpoint.note_journal(file);
    }
    // Before anything is appended, so that it is known in which files that is looked for.
    if described.is_uneven || described.checkpoint.journal_files != known {
        match checkpoint::write(disk, dir, &described.checkpoint) {
            // What is there is enough until the keeper writes the next.
            Err(error) if error.is_shortage() => tracing::warn!("the checkpoint was not written anew: {error}"),
            written => written?,
        }
    }
    remove_dropped(disk, dir, &described.image)?;
    Ok(Journal {
        made: reader::made(&described.journal_files).max(1),
        files,
        end: described.end,
    })
}

impl Described {
    /// The batches that are in no segment yet.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &BatchEntry> {
        let entries = self.frames.iter().flat_map(|frame| &frame.entries);
        entries.filter_map(|entry| match entry {
            Entry::Batch(batch) => Some(batch),
            _ => None,
        })
    }
}

/// What the checkpoint and the journal say. How much is read does not grow with the log: no segment is looked at.
pub(crate) fn describe(disk: &dyn Disk, dir: &Path) -> Result<Described, OpenError> {
    let read = checkpoint::read(disk, dir)?;
    let mut image = read.image.clone();
    let found = reader::read(disk, dir, image.key, image.next_sequence, &image.journal_files)?;
    let mut damage = found.damage;
    for frame in &found.frames {
        for entry in &frame.entries {
            if let Err(lost) = image.apply(entry) {
                let what = format!("what stood before frame {} is missing", frame.sequence);
                damage.push(Damage::of(&journal_dir(dir), what).losing(lost));
            }
        }
        image.next_sequence = frame.sequence + 1;
    }
    Ok(Described {
        image,
        checkpoint: read.image,
        frames: found.frames,
        journal_files: found.files,
        strangers: found.strangers,
        end: found.end,
        torn: found.torn,
        journal_bytes: found.bytes,
        tail_bytes: found.tail_bytes_cut,
        is_uneven: read.is_uneven,
        mended: read.damage,
        damage,
    })
}

/// Removes folders of streams that are no more: a crash came between the checkpoint and the removal.
fn remove_dropped(disk: &dyn Disk, dir: &Path, image: &Image) -> Result<(), OpenError> {
    let folder = streams_dir(dir);
    let known: HashSet<String> = image.streams.keys().map(|id| format!("{id:032x}")).collect();
    for path in disk.list(&folder).map_err(|source| DiskError::new(&folder, source))? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() == 32 && !known.contains(name) {
            disk.remove_dir_all(&path)
                .map_err(|source| DiskError::new(&path, source))?;
        }
    }
    Ok(())
}
