//! Making a stream's index: from one step of the sequencer on everything is put, and what stood there before is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::entities::facets::Facets;
use crate::entities::index::{Cut, EntityIndex};
use crate::entities::terms::Terms;
use crate::log::EventLog;
use crate::read::PartitionReader;
use crate::shared::Shared;
use crate::streams::Stream;
use crate::types::{ReadError, StreamError};
use crate::wait::block_on;

/// How much of the log is read at once.
const READ_BYTES: usize = 1 << 20;

impl EventLog {
    /// Says what the events of a stream are about beside their keys; `None`: nothing. Not kept over a restart: say it after each open, before
    /// anybody asks. Blocks until the index is built.
    pub fn set_facets(&self, stream: &str, facets: Option<Arc<dyn Facets>>) -> Result<(), StreamError> {
        let _one_at_a_time = self.shared.definitions.lock();
        let found = self.shared.stream(stream);
        let found = found.ok_or_else(|| StreamError::Unknown(stream.to_owned()))?;
        *found.index.facets.lock() = facets;
        self.shared
            .index_anew(&found)
            .map_err(|error| StreamError::Invalid(error.to_string()))
    }
}

impl Shared {
    /// Makes the index of a stream as its settings say now.
    pub(crate) fn index_anew(&self, stream: &Arc<Stream>) -> Result<(), ReadError> {
        let is_indexed = stream.settings.read().is_indexed();
        let mut index: Option<Arc<EntityIndex>> = None;
        let mut ends: Vec<u64> = Vec::new();
        self.sequencer.between(|appended_at_us| {
            ends = self.sequenced_ends(stream);
            if is_indexed {
                let facets = stream.index.facets.lock().clone();
                let cut = Cut {
                    ends: ends.clone(),
                    appended_at_us,
                };
                index = Some(Arc::new(EntityIndex::new(Terms::new(self.term_key, facets), cut)));
            }
            stream.index.set(index.clone());
            self.indexes.fetch_add(1, Ordering::Relaxed);
        });
        let Some(index) = index else { return Ok(()) };
        for (partition, end) in stream.partitions.iter().zip(ends) {
            let reader = PartitionReader {
                shared: self,
                partition: partition.clone(),
                stream: &stream.name,
            };
            self.read_older(&reader, &index, end)?;
        }
        index.is_built();
        Ok(())
    }

    /// Makes the indexes of all streams that have one, when the log was opened.
    pub(crate) fn index_all(&self) {
        let streams: Vec<Arc<Stream>> = self.streams.read().by_id.values().cloned().collect();
        for stream in streams {
            if let Err(error) = self.index_anew(&stream) {
                tracing::error!("the entity index of {} is not there: {error}", stream.name);
            }
        }
    }

    /// Gives a stream that nobody appends to yet its index.
    pub(crate) fn index_new(&self, stream: &Stream) {
        if stream.settings.read().is_indexed() {
            let index = EntityIndex::new(Terms::new(self.term_key, None), Cut::default());
            index.is_built();
            stream.index.set(Some(Arc::new(index)));
            self.indexes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read_older(&self, reader: &PartitionReader<'_>, index: &EntityIndex, end: u64) -> Result<(), ReadError> {
        let mut commits = self.commits.subscribe();
        while reader.partition.high_watermark() < end && self.sequencer.stopped().is_none() {
            let _ = block_on(commits.changed());
        }
        let end = end.min(reader.partition.high_watermark());
        let mut at = reader.partition.start().offset;
        while at < end {
            let batches = reader.read(at, end, READ_BYTES)?;
            if batches.is_empty() {
                break;
            }
            for stored in batches {
                let terms = index.terms.of_batch(&stored.batch);
                let base = stored.batch.base_offset();
                index.put_older(reader.partition.number, base, stored.appended_at_us, &terms);
                at = stored.batch.next_offset();
            }
        }
        Ok(())
    }
}
