//! What concerns the partitions of a stream as a whole: adding some, and how much the disk holds of each.

use std::path::Path;
use std::sync::Arc;

use headwater_records::limits::PARTITIONS_MAX;

use crate::append::journal::format::Entry;
use crate::error::StreamError;
use crate::limits::PARTITIONS_ALL_MAX;
use crate::log::EventLog;
use crate::told::StreamInfo;

impl EventLog {
    /// Gives a stream so many partitions, which must be more than it has; durable when this returns. The events that are there stay where they
    /// are, so that from here on a key may lie in another partition than before.
    pub fn add_partitions(&self, name: &str, partitions: u32) -> Result<StreamInfo, StreamError> {
        let _one_at_a_time = self.shared.definitions.lock();
        let stream = self
            .shared
            .stream(name)
            .ok_or_else(|| StreamError::Unknown(name.to_owned()))?;
        let there = stream.partitions.len() as u32;
        if partitions <= there || partitions > PARTITIONS_MAX {
            return Err(StreamError::Invalid(format!(
                "stream '{name}' has {there} partition(s) and can get up to {PARTITIONS_MAX}, {partitions} were asked for: \
                 choose a number between"
            )));
        }
        self.room_for(partitions - there)?;
        let entry = Entry::PartitionsAdded {
            id: stream.id,
            partitions,
        };
        self.write_entries(vec![entry], || true)?;
        let grown = Arc::new(stream.grown(partitions));
        let info = grown.info();
        self.shared.streams.write().add(grown);
        self.shared.streams_changed();
        Ok(info)
    }

    /// Whether the log can hold so many partitions more: any client may ask for them, and each takes memory.
    pub fn room_for(&self, partitions: u32) -> Result<(), StreamError> {
        let streams = self.shared.streams.read();
        let there: usize = streams.by_name.values().map(|stream| stream.partitions.len()).sum();
        match there + partitions as usize <= PARTITIONS_ALL_MAX {
            true => Ok(()),
            false => Err(StreamError::Invalid(format!(
                "the log holds {there} partitions, and {PARTITIONS_ALL_MAX} at most: drop streams, or ask for fewer than {partitions} more"
            ))),
        }
    }

    /// The bytes of a partition's batches, in segments and on their way there.
    pub fn partition_bytes(&self, stream: &str, partition: u32) -> Option<u64> {
        let partition = self.shared.stream(stream)?.partition(partition)?.clone();
        // Locked in the writer's order: what leaves the tail is in a segment by then, and what is in both counts once.
        let tail = partition.tail.lock();
        let segments = partition.segments.lock();
        let written = segments.last().map_or(0, |segment| segment.end);
        let waiting = tail
            .batches
            .iter()
            .filter(|stored| stored.batch.base_offset() >= written);
        let waiting: u64 = waiting.map(|stored| stored.batch.bytes().len() as u64).sum();
        Some(waiting + segments.iter().map(|segment| segment.bytes).sum::<u64>())
    }

    /// The folder of the log.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }
}
