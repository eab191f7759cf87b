//! Finds what the journal holds after a checkpoint.
//!
//! One flush is under way at a time and it holds one frame, so that a crash can tear only the newest frame. A bad frame before a
//! good one was durable once: that is damage, and it is told apart from the torn tail here.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use headwater_host::{Disk, File, OpenMode};

use crate::append::journal::format::{Entry, HEADER_BYTES, Header, begins_as_journal, decode_payload, has_magic, mark};
use crate::append::journal::writer::{SPARE, journal_dir, journal_number, journal_path};
use crate::files::{DiskError, absence};
use crate::limits::FRAME_ALIGN;
use crate::mend::damage::Damage;

/// What the journal holds after a checkpoint.
#[derive(Default)]
pub(crate) struct Found {
    /// The frames in order of their sequence.
    pub(crate) frames: Vec<Frame>,
    /// Bytes of frames read.
    pub(crate) bytes: u64,
    /// Bytes of the torn newest frame.
    pub(crate) tail_bytes_cut: u64,
    /// Frames that were durable and cannot be read any more.
    pub(crate) damage: Vec<Damage>,
    /// Every journal file there is.
    pub(crate) files: Vec<FoundFile>,
    /// Files that have the name of one, and are none.
    pub(crate) strangers: Vec<PathBuf>,
    /// Where the newest good frame ends: the file and the place in it.
    pub(crate) end: Option<(u16, u64)>,
    /// Where torn frames begin, and what only looks like a frame: files and places.
    pub(crate) torn: Vec<(u16, u64)>,
}

/// One journal file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundFile {
    pub(crate) number: u16,
    /// The last good frame in it that no checkpoint covers.
    pub(crate) last_sequence: Option<u64>,
}

/// One good frame.
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    pub(crate) entries: Vec<Entry>,
    /// Its bytes in the file.
    pub(crate) bytes: u64,
}

impl FoundFile {
    fn new(number: u16) -> FoundFile {
        FoundFile {
            number,
            last_sequence: None,
        }
    }
}

impl Found {
    /// What has this path has the name of a journal file alone; `replaces` where one stood there.
    fn is_no_journal(&mut self, path: PathBuf, replaces: bool) {
        let what = "it has the name of a journal file, and nothing in it is of this log";
        let damage = Damage::of(&path, what);
        self.damage.push(match replaces {
            true => damage.losing(WHAT_WAS_IN_IT),
            false => Damage {
                remedy: TAKE_AWAY,
                ..damage
            },
        });
        self.strangers.push(path);
    }
}

/// What is to be done about a file that is none of the journal's.
const TAKE_AWAY: &str = "move it out of the folder; if nobody put it there, restore the folder from a copy";

struct Candidate {
    header: Header,
    path: PathBuf,
    entries: Result<Vec<Entry>, String>,
}

/// Reads every frame from `next_sequence` on. Every file was made with the length that is `known` of it, 0: nothing is known.
pub(crate) fn read(
    disk: &dyn Disk,
    dir: &Path,
    key: u64,
    next_sequence: u64,
    known: &[u64],
) -> Result<Found, DiskError> {
    let mut found = Found::default();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut strange: Vec<u16> = Vec::new();
    let folder = journal_dir(dir);
    for path in disk.list(&folder).map_err(|source| DiskError::new(&folder, source))? {
        let Some(number) = journal_number(&path) else { continue };
        let file = match disk.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(source) => match absence(&source) {
                Some(what) => {
                    found.damage.push(Damage::of(&path, what));
                    found.strangers.push(path);
                    continue;
                }
                None => return Err(DiskError::new(&path, source)),
            },
        };
        let scanned = scan(file.as_ref(), number, &path, key, next_sequence);
        let Scanned {
            mut frames,
            torn,
            holds,
            length,
            begins_as_ours,
        } = scanned.map_err(|source| DiskError::new(&path, source))?;
        found.tail_bytes_cut += torn.len() as u64 * FRAME_ALIGN;
        found.torn.extend(torn.into_iter().map(|place| (number, place)));
        candidates.append(&mut frames);
        let made_with = known.get(usize::from(number)).copied().unwrap_or(0);
        let lacks = match holds {
            Holds::Pages | Holds::Other => None,
            _ if length < made_with => Some(format!("it ends at byte {length}, and was made with {made_with} bytes")),
            Holds::Nothing if made_with > 0 => Some("it is all zeros, which it never was".to_owned()),
            Holds::Frames | Holds::Nothing => None,
        };
        if let Some(what) = lacks {
            found.damage.push(Damage::of(&path, what).losing(WHAT_WAS_IN_IT));
            found.files.push(FoundFile::new(number));
            continue;
        }
        match holds {
            _ if number == SPARE => found.files.push(FoundFile::new(number)),
            Holds::Frames | Holds::Nothing => found.files.push(FoundFile::new(number)),
            // Torn over a mark or another frame it would begin as one of them.
            Holds::Pages if made_with == 0 || begins_as_ours => strange.push(number),
            Holds::Pages | Holds::Other => found.is_no_journal(path, made_with > 0),
        }
    }
    strange.sort_unstable();
    for number in strange {
        // The first frame of the file that was made last may be torn, and one among the others may be damaged.
        if number <= made(&found.files) {
            found.files.push(FoundFile::new(number));
            continue;
        }
        found.is_no_journal(journal_path(dir, number), false);
    }
    for number in missing_files(&found.files, next_sequence, known) {
        let path = journal_path(dir, number);
        if found.strangers.contains(&path) {
            continue;
        }
        let missing = Damage::of(&path, "it is missing");
        found.damage.push(missing.losing(WHAT_WAS_IN_IT));
    }
    candidates.sort_by_key(|candidate| candidate.header.sequence);
    judge(candidates, next_sequence, &mut found);
    Ok(found)
}

const WHAT_WAS_IN_IT: &str = "what was in it and in no segment yet";

/// The numbers of files that were made and are not there. They are made one after another, and the first before the first frame is written;
/// that the last one made is missing cannot be told where it is not known yet.
fn missing_files(files: &[FoundFile], next_sequence: u64, known: &[u64]) -> Vec<u16> {
    let made = made(files).max(u16::from(next_sequence > 1)).max(known.len() as u16);
    let is_there = |number: &u16| files.iter().any(|file| file.number == *number);
    (0..made).filter(|number| !is_there(number)).collect()
}

/// How many files of those that go round were made.
pub(crate) fn made(files: &[FoundFile]) -> u16 {
    let round = files.iter().filter(|file| file.number != SPARE);
    round.map(|file| file.number + 1).max().unwrap_or(0)
}

/// What one file holds.
#[derive(Default)]
struct Scanned {
    /// Every frame from a sequence on.
    frames: Vec<Candidate>,
    /// Where pages begin that only look like one.
    torn: Vec<u64>,
    holds: Holds,
    length: u64,
    begins_as_ours: bool,
}

/// What a file holds.
#[derive(Default)]
enum Holds {
    /// Frames of this log's and this file's.
    Frames,
    /// Zeros, or no byte at all.
    #[default]
    Nothing,
    /// Something else, in whole pages: a torn frame may be among it.
    Pages,
    /// Something else, and not even of a length that journal files have.
    Other,
}

/// Reads a file.
fn scan(file: &dyn File, number: u16, path: &Path, key: u64, next_sequence: u64) -> std::io::Result<Scanned> {
    let length = file.len()?;
    let mut scanned = Scanned {
        length,
        ..Scanned::default()
    };
    let no_frame = mark(key, number);
    let Scanned {
        frames,
        torn,
        begins_as_ours,
        ..
    } = &mut scanned;
    let (mut is_ours, mut is_empty) = (false, true);
    let mut place = 0;
    while place + HEADER_BYTES as u64 <= length {
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, place)?;
        if place == 0 {
            *begins_as_ours = begins_as_journal(&bytes);
        }
        let header = Header::decode(&bytes, key)
            .filter(|header| header.file == number && header.place == place && header.next_place() <= length);
        let Some(header) = header else {
            if has_magic(&bytes) && frames.last().is_some_and(|frame| frame.header.next_place() == place) {
                torn.push(place);
            }
            is_ours |= bytes.starts_with(&no_frame);
            is_empty &= bytes.iter().all(|byte| *byte == 0);
            place += FRAME_ALIGN;
            continue;
        };
        is_ours = true;
        if header.sequence < next_sequence {
            place = header.next_place();
            continue;
        }
        let payload = file.read_at(place + HEADER_BYTES as u64, header.payload_bytes as usize)?;
        let entries = decode_payload(&header, Bytes::from(payload));
        // The length of a torn frame cannot be relied on to lead to the next one.
        place = if entries.is_ok() {
            header.next_place()
        } else {
            place + FRAME_ALIGN
        };
        frames.push(Candidate {
            header,
            path: path.to_owned(),
            entries,
        });
    }
    // What is shorter than a frame's head was not looked at.
    is_empty &= length >= HEADER_BYTES as u64 || length == 0;
    scanned.holds = match (is_ours, is_empty) {
        (true, _) => Holds::Frames,
        (_, true) => Holds::Nothing,
        _ if length.is_multiple_of(FRAME_ALIGN) => Holds::Pages,
        _ => Holds::Other,
    };
    Ok(scanned)
}

/// Decides what is the log, what is the torn tail and what is damage.
fn judge(candidates: Vec<Candidate>, next_sequence: u64, found: &mut Found) {
    let newest_good = candidates
        .iter()
        .rev()
        .find(|candidate| candidate.entries.is_ok())
        .map_or(0, |candidate| candidate.header.sequence);
    let mut expected = next_sequence;
    for candidate in candidates {
        let Header {
            sequence, place, file, ..
        } = candidate.header;
        let bytes = candidate.header.next_place() - place;
        if sequence > newest_good {
            found.tail_bytes_cut += bytes;
            found.torn.push((file, place));
            continue;
        }
        found.end = Some((file, candidate.header.next_place()));
        for found in found.files.iter_mut().filter(|found| found.number == file) {
            found.last_sequence = Some(sequence);
        }
        if sequence > expected {
            let what =
                format!("frames {expected}..{sequence} of the journal are missing before it: they were acknowledged");
            found
                .damage
                .push(Damage::of(&candidate.path, what).at(place).losing("what was in them"));
        }
        expected = sequence + 1;
        found.bytes += bytes;
        match candidate.entries {
            Ok(entries) => found.frames.push(Frame {
                sequence,
                entries,
                bytes,
            }),
            Err(what) => {
                let what = format!("frame {sequence} was acknowledged and cannot be read: {what}");
                found
                    .damage
                    .push(Damage::of(&candidate.path, what).at(place).losing("what was in it"));
            }
        }
    }
}
