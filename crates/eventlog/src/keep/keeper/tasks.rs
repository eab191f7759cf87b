//! What leaves the image, and the disk after it: segments below a start, segments that compaction wrote anew, files that no segment has.
//!
//! Invariants
//! - A file is removed only after a checkpoint that no longer names it; a crash before that finds it as it was, a crash after it leaves
//!   a file that no segment has, which is swept up when the log is open again. What lies below a start goes at once: that the start moved is in the
//!   journal, and on a full disk its room is needed for the checkpoint.
//! - A replacement counts only where the segments it takes the place of stand as they stood when it was written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Keeper;
use crate::files::DiskError;
use crate::keep::behind::{Asked, Replacement, Task};
use crate::keep::image::PartitionImage;
use crate::keep::segment::Segment;
use crate::keep::segment::format::{partition_dir, segment_paths};
use crate::limits::SWEEP_PARTITIONS;
use crate::shared::Shared;

/// A file that waits for its removal, and the partition it is of.
pub(super) type Replaced = (u128, u32, PathBuf);

impl Keeper {
    pub(super) fn do_tasks(&mut self, shared: &Arc<Shared>, tasks: Vec<Asked>) -> Result<(), DiskError> {
        for Asked { task, done } in tasks {
            let outcome = match task {
                Task::Close {
                    stream,
                    partition,
                    base,
                } => self.close_segment(shared, stream, partition, base),
                Task::Replace(replacement) => self.replace(shared, *replacement),
                Task::Sweep => self.sweep(shared),
                Task::Remove => {
                    self.owed.checkpoint |= !self.replaced.is_empty();
                    self.work_off(shared)?;
                    true
                }
            };
            // Whoever asked may have gone.
            let _ = done.send(outcome);
        }
        Ok(())
    }

    /// Takes out of a partition the segments that lie below its start.
    pub(super) fn prune(&mut self, shared: &Arc<Shared>, stream: u128, partition: u32) {
        let Some(image) = self.partition(stream, partition) else {
            return;
        };
        let gone = image.prune();
        self.publish(shared, stream, partition);
        let folder = partition_dir(&shared.dir, stream, partition);
        for path in gone.iter().flat_map(|segment| segment_paths(&folder, segment)) {
            self.remove_file(shared, &path);
        }
    }

    fn close_segment(&mut self, shared: &Arc<Shared>, stream: u128, partition: u32, base: u64) -> bool {
        let last = self
            .partition(stream, partition)
            .and_then(|image| image.segments.last_mut())
            .filter(|segment| segment.base == base);
        let Some(last) = last else { return false };
        last.closed = true;
        self.publish(shared, stream, partition);
        true
    }

    fn replace(&mut self, shared: &Arc<Shared>, replacement: Replacement) -> bool {
        let Replacement {
            stream,
            partition,
            old,
            new,
            compacted,
        } = replacement;
        let Some(image) = self.partition(stream, partition) else {
            // The stream was dropped, and its folder goes with it.
            return false;
        };
        let first = match old.first() {
            Some(first) => image
                .segments
                .iter()
                .position(|segment| segment == first)
                .filter(|stands| image.segments.get(*stands..*stands + old.len()) == Some(&old[..])),
            None => Some(0),
        };
        let Some(first) = first else {
            self.drop_files(shared, stream, partition, &new);
            return false;
        };
        let gone: Vec<Segment> = old.iter().filter(|old| !new.contains(old)).copied().collect();
        image.segments.splice(first..first + old.len(), new);
        if let Some((compacted, compacted_at_us)) = compacted {
            image.compacted = image.compacted.max(compacted);
            image.compacted_at_us = image.compacted_at_us.max(compacted_at_us);
        }
        self.publish(shared, stream, partition);
        self.drop_files(shared, stream, partition, &gone);
        true
    }

    /// Looks through some folders more; whether all were looked through.
    fn sweep(&mut self, shared: &Arc<Shared>) -> bool {
        let disk = shared.host.disk.as_ref();
        let mut left: Vec<Replaced> = Vec::new();
        let mut looked = 0;
        for (id, stream) in &self.image.streams {
            for (number, partition) in stream.partitions.iter().enumerate() {
                let place = (*id, number as u32);
                if self.swept.is_some_and(|swept| place <= swept) {
                    continue;
                }
                if looked == SWEEP_PARTITIONS {
                    self.replaced.append(&mut left);
                    return false;
                }
                looked += 1;
                self.swept = Some(place);
                let folder = partition_dir(&shared.dir, place.0, place.1);
                // A partition without events has no folder.
                let Ok(found) = disk.list(&folder) else { continue };
                let known: BTreeSet<PathBuf> = partition
                    .segments
                    .iter()
                    .flat_map(|segment| segment_paths(&folder, segment))
                    .collect();
                let unknown = found.into_iter().filter(|path| !known.contains(path));
                left.extend(unknown.map(|path| (place.0, place.1, path)));
            }
        }
        self.replaced.append(&mut left);
        true
    }

    /// Removes the files that the checkpoint just written no longer names. One that cannot be removed is swept up after the next start.
    pub(super) fn remove_replaced(&mut self, shared: &Arc<Shared>) {
        for (stream, partition, path) in std::mem::take(&mut self.replaced) {
            let folder = partition_dir(&shared.dir, stream, partition);
            let image = self.partition(stream, partition);
            // A new segment may have got the name of what was swept up.
            let is_used = |image: &mut PartitionImage| {
                let mut segments = image.segments.iter();
                segments.any(|segment| segment_paths(&folder, segment).contains(&path))
            };
            if image.is_some_and(is_used) {
                continue;
            }
            self.remove_file(shared, &path);
        }
    }

    fn remove_file(&mut self, shared: &Arc<Shared>, path: &Path) {
        self.segments.forget_file(path);
        shared.reader.forget_file(path);
        match shared.host.disk.remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(
                    "{} is not needed any more and could not be removed: {error}",
                    path.display()
                );
            }
            _ => {}
        }
    }

    fn partition(&mut self, stream: u128, partition: u32) -> Option<&mut PartitionImage> {
        let stream = self.image.streams.get_mut(&stream)?;
        stream.partitions.get_mut(partition as usize)
    }

    /// Shows readers what the image has.
    fn publish(&mut self, shared: &Arc<Shared>, stream: u128, number: u32) {
        let shown = shared.streams.read().find(stream, number).cloned();
        let (Some(partition), Some(image)) = (shown, self.partition(stream, number)) else {
            return;
        };
        partition.show(image);
    }

    fn drop_files(&mut self, shared: &Arc<Shared>, stream: u128, partition: u32, segments: &[Segment]) {
        let folder = partition_dir(&shared.dir, stream, partition);
        for segment in segments {
            let paths = segment_paths(&folder, segment);
            self.replaced.extend(paths.map(|path| (stream, partition, path)));
        }
    }
}
