//! The last step of a repair: what the journal holds goes into segments, and one checkpoint counts on everything.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use headwater_host::Disk;
use headwater_records::Batch;

use super::UNKNOWN;
use crate::append::journal::format::BatchEntry;
use crate::error::OpenError;
use crate::keep::checkpoint;
use crate::keep::image::Image;
use crate::keep::segment::Segment;
use crate::keep::segment::cut::Cut;
use crate::keep::segment::writer::SegmentWriter;

/// Writes what the journal holds into segments, and the checkpoint that counts on everything.
pub(super) fn settle(
    disk: &dyn Disk,
    dir: &Path,
    mut segments: SegmentWriter,
    mut image: Image,
    batches: Vec<BatchEntry>,
    segment_bytes: u64,
) -> Result<(), OpenError> {
    image.next_sequence += 1;
    let numbered = batches.iter().map(|batch| batch.principal as usize + 1).max();
    while image.principals.len() < numbered.unwrap_or(0) {
        image.principals.push(Arc::from(UNKNOWN));
    }
    let batches = without_gaps(&image, batches);
    write_batches(&mut segments, &mut image, batches, segment_bytes)?;
    checkpoint::write(disk, dir, &image)?;
    Ok(())
}

/// The journal's batches, with what stands for those that are missing from it.
fn without_gaps(image: &Image, batches: Vec<BatchEntry>) -> Vec<BatchEntry> {
    let mut ends: HashMap<(u128, u32), u64> = HashMap::new();
    let mut all: Vec<BatchEntry> = Vec::with_capacity(batches.len());
    for entry in batches {
        let segments = image
            .streams
            .get(&entry.stream)
            .and_then(|stream| stream.partitions.get(entry.partition as usize))
            .map(|partition| partition.segments.as_slice());
        let end = ends.entry((entry.stream, entry.partition)).or_insert_with(|| {
            let last = segments.and_then(<[Segment]>::last);
            last.map_or(0, |segment| segment.end)
        });
        while *end < entry.batch.base_offset() {
            let batch = Batch::encode_lost(*end, entry.batch.base_offset());
            *end = batch.next_offset();
            all.push(BatchEntry { batch, ..entry.clone() });
        }
        *end = entry.batch.next_offset();
        all.push(entry);
    }
    all
}

/// Writes batches into segments, and flushes those.
fn write_batches(
    segments: &mut SegmentWriter,
    image: &mut Image,
    unwritten: Vec<BatchEntry>,
    segment_bytes: u64,
) -> Result<(), OpenError> {
    // The files of what is below a start may be gone already; those that are left are swept up later.
    image.prune();
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
    image.prune();
    segments.sync()?;
    Ok(())
}

/// Batches by partition, each in order.
fn by_partition<'a>(entries: impl Iterator<Item = &'a BatchEntry>) -> BTreeMap<(u128, u32), Vec<&'a BatchEntry>> {
    let mut sorted: BTreeMap<(u128, u32), Vec<&BatchEntry>> = BTreeMap::new();
    for entry in entries {
        sorted.entry((entry.stream, entry.partition)).or_default().push(entry);
    }
    sorted
}
