//! Planted bugs: with each of them the checker must object. One that it does not see would hide a real one.
//!
//! Some are in the machine: a flush that is not done is what a log does that forgets it. Some are in what is read: the log's bytes are right, and the
//! reading is made wrong as a log with that bug would make it.

use std::io;
use std::path::{Path, PathBuf};

use headwater_eventlog::StreamSettings;
use headwater_host::Disk;
use headwater_host::simulated::{Random, SimulatedDisk};

use crate::depends::fall_behind;
use crate::reading::{EventRead, PartitionRead, Reading, StreamRead};
use crate::world::{is_tombstone, key};

/// A bug planted into a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Frames of the journal are not flushed.
    JournalNotFlushed,
    /// Segments are not flushed before the checkpoint that counts on them.
    SegmentsNotFlushed,
    /// The checkpoint is not flushed before it takes its name.
    CheckpointNotFlushed,
    /// The names of files are not flushed.
    NamesNotFlushed,
    /// Appends are acknowledged when they are taken, not when they are flushed.
    AcknowledgedEarly,
    /// The last events of a partition are lost.
    TailLost,
    /// Events in the middle are lost, and those behind them move up.
    MiddleLost,
    /// A batch is there twice.
    Doubled,
    /// Two batches changed places.
    Swapped,
    /// An event that nobody asked for.
    Invented,
    /// An event's bytes are another's.
    Altered,
    /// Of an append with several parts one is missing at the end of its partition.
    HalfDone,
    /// Events are somebody else's.
    OtherPrincipal,
    /// The append time goes back.
    TimeWentBack,
    /// Events of a transaction that was taken back, or is open, are read as committed.
    UncommittedRead,
    /// Events that count are not read as committed.
    CommittedHidden,
    /// A stream is lost.
    StreamLost,
    /// A stream is another one of the same name.
    StreamReplaced,
    /// A stream's settings are forgotten.
    SettingsForgotten,
    /// Events that were deleted are there again.
    StartWentBack,
    /// Compaction drops the newest value of a key.
    NewestDropped,
    /// Compaction drops the tombstone that is the newest event of its key before its time is over.
    TombstoneDropped,
    /// Compaction removes the files it replaced before a checkpoint names the new ones.
    ReplacedRemovedEarly,
    /// Conditions are looked at before the append is sequenced, and not in the same step.
    CheckedEarly,
    /// An entity index lacks the last event of a key or a tag.
    IndexBehind,
}

impl Bug {
    /// Every kind.
    pub const ALL: [Bug; 25] = [
        Bug::JournalNotFlushed,
        Bug::SegmentsNotFlushed,
        Bug::CheckpointNotFlushed,
        Bug::NamesNotFlushed,
        Bug::AcknowledgedEarly,
        Bug::TailLost,
        Bug::MiddleLost,
        Bug::Doubled,
        Bug::Swapped,
        Bug::Invented,
        Bug::Altered,
        Bug::HalfDone,
        Bug::OtherPrincipal,
        Bug::TimeWentBack,
        Bug::UncommittedRead,
        Bug::CommittedHidden,
        Bug::StreamLost,
        Bug::StreamReplaced,
        Bug::SettingsForgotten,
        Bug::StartWentBack,
        Bug::NewestDropped,
        Bug::TombstoneDropped,
        Bug::ReplacedRemovedEarly,
        Bug::CheckedEarly,
        Bug::IndexBehind,
    ];

    /// Whether it is in the machine or in the client, where it is in play from the beginning.
    pub(crate) fn is_always_in_play(self) -> bool {
        matches!(
            self,
            Bug::JournalNotFlushed
                | Bug::SegmentsNotFlushed
                | Bug::CheckpointNotFlushed
                | Bug::NamesNotFlushed
                | Bug::AcknowledgedEarly
                | Bug::ReplacedRemovedEarly
                | Bug::CheckedEarly
        )
    }

    /// Plants the bug into the machine, where it is one of the machine's.
    pub(crate) fn plant(self, disk: &SimulatedDisk) {
        let is_lie: Option<fn(&Path) -> bool> = match self {
            Bug::JournalNotFlushed => Some(|path| is_in(path, "journal") && !is_folder(path)),
            Bug::SegmentsNotFlushed => Some(|path| is_in(path, "streams") && !is_folder(path)),
            Bug::CheckpointNotFlushed => Some(|path| named(path).starts_with("checkpoint")),
            Bug::NamesNotFlushed => Some(is_folder),
            _ => None,
        };
        disk.let_flushes_lie(is_lie);
    }

    /// Makes a reading wrong; `false` where this one offers no place for it.
    pub(crate) fn misread(self, reading: &mut Reading, random: &mut Random) -> bool {
        if self == Bug::IndexBehind {
            return fall_behind(reading);
        }
        if !self.is_always_in_play() {
            // So that it is not the index that gives the bug away.
            reading.streams.values_mut().for_each(|stream| stream.index = None);
        }
        match self {
            _ if self.is_always_in_play() => false,
            Bug::StreamLost => {
                let name = reading.streams.keys().next().cloned();
                name.is_some_and(|name| reading.streams.remove(&name).is_some())
            }
            Bug::StreamReplaced => {
                let stream = reading.streams.values_mut().next();
                stream.map(|stream| stream.id ^= 1).is_some()
            }
            Bug::SettingsForgotten => {
                let mut streams = reading.streams.values_mut();
                let stream = streams.find(|stream| stream.settings != StreamSettings::default());
                stream
                    .map(|stream| stream.settings = StreamSettings::default())
                    .is_some()
            }
            Bug::StartWentBack => {
                let mut partitions = reading.streams.values_mut().flat_map(|stream| &mut stream.partitions);
                let partition = partitions.find(|partition| partition.start > 0);
                partition.map(|partition| partition.start -= 1).is_some()
            }
            Bug::NewestDropped | Bug::TombstoneDropped => {
                let mut streams = reading.streams.values_mut();
                let compacted = |stream: &&mut StreamRead| stream.settings.cleanup().compact;
                let partitions = streams
                    .by_ref()
                    .filter(compacted)
                    .flat_map(|stream| &mut stream.partitions);
                // Where compaction was at work: elsewhere any gap gives the bug away.
                let drops = |partition: &mut PartitionRead| drop_newest(partition, self == Bug::TombstoneDropped);
                partitions.filter(|partition| !partition.is_dense()).any(drops)
            }
            _ => {
                let mut partitions: Vec<&mut PartitionRead> = Vec::new();
                for stream in reading.streams.values_mut() {
                    partitions.extend(
                        stream
                            .partitions
                            .iter_mut()
                            .filter(|partition| partition.events.len() >= 4 && partition.is_dense()),
                    );
                }
                if partitions.is_empty() {
                    return false;
                }
                let chosen = random.below(partitions.len());
                self.misread_partition(partitions[chosen], random)
            }
        }
    }

    fn misread_partition(self, partition: &mut PartitionRead, random: &mut Random) -> bool {
        let uncommitted = partition.events.iter().find(|event| {
            matches!(event.transaction, Some((_, None)))
                && !partition.committed.iter().any(|(offset, _)| *offset == event.offset)
        });
        let uncommitted = uncommitted.map(|event| (event.offset, event.value.clone()));
        let events = &mut partition.events;
        let at = random.below(events.len());
        let mut batches = batches(events);
        match self {
            Bug::UncommittedRead => {
                partition.committed.extend(uncommitted.clone());
                partition.committed.sort();
                return uncommitted.is_some();
            }
            Bug::CommittedHidden => return partition.committed.pop().is_some(),
            Bug::TailLost => batches.truncate(batches.len() - 1),
            Bug::MiddleLost if batches.len() >= 2 => {
                batches.remove(random.below(batches.len() - 1));
            }
            Bug::Doubled => {
                let again = batches[random.below(batches.len())].clone();
                batches.push(again);
            }
            Bug::Swapped if batches.len() >= 2 => {
                let first = random.below(batches.len() - 1);
                batches.swap(first, first + 1);
            }
            Bug::Invented => {
                let invented = EventRead {
                    value: "1000000/0/0/".to_owned(),
                    ..events[at].clone()
                };
                batches.push(vec![invented]);
            }
            Bug::HalfDone => {
                // A part that is not its append's first, and stands last in its partition.
                let last = batches.pop().unwrap_or_default();
                if last
                    .first()
                    .is_none_or(|event| event.value.split('/').nth(1) == Some("0"))
                {
                    return false;
                }
            }
            Bug::Altered => events[at].value.push('y'),
            Bug::OtherPrincipal => events[at].principal.push('x'),
            Bug::TimeWentBack => {
                let moment = events[at].appended_at_us;
                for event in events.iter_mut().filter(|event| event.appended_at_us == moment) {
                    event.appended_at_us -= 1_000_000_000;
                }
            }
            _ => return false,
        }
        if !matches!(self, Bug::Altered | Bug::OtherPrincipal | Bug::TimeWentBack) {
            renumber(partition, batches);
        }
        // What is committed follows from what stands there, so that it is not what gives the bug away.
        (partition.stable, partition.committed) = partition.decided(&[]);
        true
    }
}

/// Removes the files of segments that compaction wrote anew, whether a checkpoint names the new ones or not.
pub(crate) fn remove_replaced(disk: &SimulatedDisk) -> io::Result<()> {
    let mut folders = vec![Path::new("/data/streams").to_owned()];
    while let Some(folder) = folders.pop() {
        if !disk.exists(&folder)? {
            continue;
        }
        let names = disk.list(&folder)?;
        for path in &names {
            let Some((stem, kind)) = named(path).split_once('.') else {
                folders.push(path.clone());
                continue;
            };
            let of = |stem: &str| {
                let (base, generation) = stem.split_once('-').unwrap_or((stem, "0"));
                (base.to_owned(), generation.parse().unwrap_or(0_u32))
            };
            let (base, generation) = of(stem);
            let replaces = |other: &PathBuf| {
                let other = named(other).split_once('.').filter(|(_, other)| *other == kind);
                other
                    .map(|(stem, _)| of(stem))
                    .is_some_and(|(other, newer)| other == base && newer > generation)
            };
            if names.iter().any(replaces) {
                disk.remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// Takes the newest committed value of a key, or the tombstone that is the newest, out of a partition; `false` where it has none.
fn drop_newest(partition: &mut PartitionRead, tombstones: bool) -> bool {
    let mut newest = partition
        .committed
        .iter()
        .rev()
        .filter(|(_, value)| is_tombstone(value) == tombstones);
    let newest = newest.find(|(offset, value)| {
        let mut newer = partition.committed.iter().filter(|(other, _)| other > offset);
        newer.all(|(_, other)| key(other) != key(value))
    });
    let Some(offset) = newest.map(|(offset, _)| *offset) else {
        return false;
    };
    partition.events.retain(|event| event.offset != offset);
    partition.committed.retain(|(other, _)| *other != offset);
    true
}

/// Events of one batch each; a value names its append and its part.
fn batches(events: &[EventRead]) -> Vec<Vec<EventRead>> {
    let of = |event: &EventRead| {
        let mut fields = event.value.split('/');
        (fields.next().map(str::to_owned), fields.next().map(str::to_owned))
    };
    events
        .chunk_by(|one, next| of(one) == of(next))
        .map(<[EventRead]>::to_vec)
        .collect()
}

/// Puts batches one behind another, as a log would that does not know better.
fn renumber(partition: &mut PartitionRead, batches: Vec<Vec<EventRead>>) {
    partition.events = batches.into_iter().flatten().collect();
    for (offset, event) in (partition.start..).zip(&mut partition.events) {
        event.offset = offset;
    }
    partition.high_watermark = partition.start + partition.events.len() as u64;
    partition.end = partition.high_watermark;
}

fn is_in(path: &Path, folder: &str) -> bool {
    path.components().any(|component| component.as_os_str() == folder)
}

fn named(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Folders of the log: files have another kind of name.
fn is_folder(path: &Path) -> bool {
    let name = named(path);
    let is_journal_file = path.parent().is_some_and(|parent| named(parent) == "journal");
    !is_journal_file && !name.contains('.') && !["LOCK", "FORMAT", "checkpoint", "reserve"].contains(&name)
}
