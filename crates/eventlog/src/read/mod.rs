//! Reading: from memory what is there, from segments the rest, never above the high watermark.

pub(crate) mod chunks;
pub(crate) mod damaged;
pub(crate) mod passing;
pub(crate) mod prefix;
pub(crate) mod stored;
pub(crate) mod stretch;
pub(crate) mod taken_back;
pub(crate) mod watching;

use std::sync::Arc;

use headwater_records::Batch;

use crate::error::ReadError;
use crate::keep::segment::Segment;
use crate::keep::segment::format::IndexEntry;
use crate::keep::segment::reader::{Place, SegmentError};
use crate::limits::INDEX_READ_ENTRIES;
use crate::read::stored::StoredBatch;
use crate::shared::Shared;
use crate::streams::Partition;
use crate::streams::transactions::Aborted;

/// One partition, by name, as its readers see it.
pub(crate) struct PartitionReader<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) partition: Arc<Partition>,
    pub(crate) stream: &'a str,
}

impl<'a> PartitionReader<'a> {
    pub(crate) fn new(shared: &'a Shared, stream: &'a str, number: u32) -> Result<PartitionReader<'a>, ReadError> {
        let partition = shared
            .stream(stream)
            .and_then(|stream| stream.partition(number).cloned());
        let partition = partition.ok_or_else(|| ReadError::Unknown {
            stream: stream.to_owned(),
            partition: number,
        })?;
        Ok(PartitionReader {
            shared,
            partition,
            stream,
        })
    }

    /// [`PartitionReader::read`] for those who see only what counts: what was taken back comes without its events.
    pub(crate) fn read_committed(&self, from: u64, end: u64, bytes_max: usize) -> Result<Vec<StoredBatch>, ReadError> {
        let found = self.read(from, end, bytes_max)?;
        self.without_taken_back(found)
    }

    /// The batch that holds an offset, or the next after it, where there is one below the end; without its events where it was taken back.
    pub(crate) fn read_one(&self, at: u64, end: u64) -> Result<Option<StoredBatch>, ReadError> {
        let mut found = self.read_some(at, end, 0)?.unwrap_or_default();
        found.truncate(1);
        Ok(self.without_taken_back(found)?.pop())
    }

    fn without_taken_back(&self, mut found: Vec<StoredBatch>) -> Result<Vec<StoredBatch>, ReadError> {
        let is_part = |stored: &StoredBatch| stored.batch.is_transactional() && !stored.batch.is_control();
        let (Some(first), Some(last)) = (
            found.iter().find(|stored| is_part(stored)),
            found.iter().rfind(|stored| is_part(stored)),
        ) else {
            return Ok(found);
        };
        let aborted = self.aborted(first.batch.base_offset(), last.batch.next_offset())?;
        for stored in found.iter_mut().filter(|stored| is_part(stored)) {
            let offset = stored.batch.base_offset();
            let producer = stored.batch.producer();
            let holds = |range: &Aborted| producer.is_some_and(|producer| range.holds(producer.id, offset));
            if aborted.iter().any(holds) {
                stored.batch = stored.batch.without_events();
            }
        }
        Ok(found)
    }

    /// The ranges taken back that reach into these offsets, by marker.
    pub(crate) fn aborted(&self, from: u64, to: u64) -> Result<Vec<Aborted>, ReadError> {
        // Memory first: what leaves it meanwhile is beside a segment by then.
        let mut found = self.partition.transactions.aborted(from, to);
        found.extend(self.settled(|segments| self.aborted_in(segments, from, to))?);
        found.sort_unstable_by_key(|range| range.marker);
        found.dedup();
        Ok(found)
    }

    fn aborted_in(&self, segments: &[Segment], from: u64, to: u64) -> Result<Vec<Aborted>, ReadError> {
        let mut found: Vec<Aborted> = Vec::new();
        let first = segments.partition_point(|segment| segment.end <= from);
        for segment in segments.iter().skip(first).filter(|segment| segment.aborted > 0) {
            let read = self.shared.reader.aborted(&self.place(*segment), from, to);
            let (ranges, go_on) = read.map_err(|error| self.list_error(segment, error))?;
            found.extend(ranges);
            if !go_on {
                break;
            }
        }
        Ok(found)
    }

    /// Looks at the segments as they stand, and again where others took their place meanwhile and the look failed.
    pub(crate) fn settled<T>(&self, look: impl Fn(&[Segment]) -> Result<T, ReadError>) -> Result<T, ReadError> {
        loop {
            let segments = self.partition.segments.lock().clone();
            match look(&segments) {
                Err(_) if *self.partition.segments.lock() != segments => {}
                outcome => return outcome.inspect_err(|error| self.met(error)),
            }
        }
    }

    /// Batches of one segment from the one that holds an offset, or the next after it, on.
    pub(crate) fn read_segment(
        &self,
        segment: &Segment,
        at: u64,
        bytes_max: usize,
    ) -> Result<Vec<(IndexEntry, Batch)>, ReadError> {
        let read = self.shared.reader.read(&self.place(*segment), at, bytes_max);
        read.map_err(|error| self.error(at, error))
    }

    /// The ranges taken back whose markers are in one segment.
    pub(crate) fn aborted_of(&self, segment: &Segment) -> Result<Vec<Aborted>, ReadError> {
        let place = self.place(*segment);
        let mut ranges: Vec<Aborted> = Vec::new();
        while (ranges.len() as u64) < segment.aborted {
            let more = self
                .shared
                .reader
                .aborted_entries(&place, ranges.len() as u64, INDEX_READ_ENTRIES);
            ranges.extend(more.map_err(|error| self.list_error(segment, error))?);
        }
        Ok(ranges)
    }

    /// The entry of the batch that holds an offset, where the segment still has it.
    pub(crate) fn entry_of(&self, segment: &Segment, offset: u64) -> Result<Option<IndexEntry>, ReadError> {
        let place = self.place(*segment);
        let number = self
            .shared
            .reader
            .search(&place, |entry| entry.next <= offset)
            .map_err(|error| self.error(offset, error))?;
        let entry = self.index(&place, number, 1)?.first().copied();
        Ok(entry.filter(|entry| entry.base <= offset))
    }

    /// Whether `from` is kept, and at most `end`.
    pub(crate) fn check_range(&self, from: u64, end: u64) -> Result<(), ReadError> {
        let start = self.partition.start().offset;
        match (start..=end).contains(&from) {
            true => Ok(()),
            false => Err(ReadError::OutOfRange {
                stream: self.stream.to_owned(),
                partition: self.partition.number,
                offset: from,
                start,
                end,
            }),
        }
    }

    /// Whole batches from the one that holds `from` on: at least one, then as many as fit in `bytes_max`; all below `end`.
    pub(crate) fn read(&self, from: u64, end: u64, bytes_max: usize) -> Result<Vec<StoredBatch>, ReadError> {
        let mut found: Vec<StoredBatch> = Vec::new();
        let mut bytes = 0;
        let mut at = from;
        while at < end {
            let more = match self.read_some(at, end, bytes_max.saturating_sub(bytes)) {
                Ok(Some(more)) => more,
                Ok(None) => break,
                // What stands before the damage is given first; the next read says what is wrong.
                Err(_) if !found.is_empty() => break,
                Err(error) => return Err(error),
            };
            for stored in more {
                let length = stored.batch.bytes().len();
                let beyond = stored.batch.base_offset() >= end;
                if beyond || (!found.is_empty() && bytes + length > bytes_max) {
                    return Ok(found);
                }
                bytes += length;
                at = stored.batch.next_offset();
                found.push(stored);
            }
        }
        Ok(found)
    }

    /// The batches from one place, memory or one segment; at least one, `None` where compaction left none below the end.
    fn read_some(&self, at: u64, end: u64, bytes_max: usize) -> Result<Option<Vec<StoredBatch>>, ReadError> {
        let mut at = at;
        while at < end {
            let recent = self.read_recent(at, end, bytes_max);
            if !recent.is_empty() {
                return Ok(Some(recent));
            }
            let (behind, batches) = self.settled(|segments| {
                let segment = self.segment_of(segments, at)?;
                Ok((segment.end, self.read_segment(segment, at, bytes_max)?))
            })?;
            if !batches.is_empty() {
                return self.stored(batches).map(Some);
            }
            at = behind;
        }
        Ok(None)
    }

    /// The batches in memory, from the one that holds an offset on.
    pub(crate) fn read_recent(&self, at: u64, end: u64, bytes_max: usize) -> Vec<StoredBatch> {
        let mut recent: Vec<StoredBatch> = Vec::new();
        let mut bytes = 0;
        for stored in self.partition.tail.lock().from(at) {
            let length = stored.batch.bytes().len();
            // A gap in memory is what a damaged journal lacks.
            let gap = recent
                .last()
                .is_some_and(|last| last.batch.next_offset() != stored.batch.base_offset());
            if gap || stored.batch.next_offset() > end || (!recent.is_empty() && bytes + length > bytes_max) {
                break;
            }
            bytes += length;
            recent.push(stored.clone());
        }
        recent
    }

    /// The batch in memory that holds an offset, where there is one below the end.
    pub(crate) fn recent_at(&self, at: u64, end: u64) -> Option<StoredBatch> {
        let tail = self.partition.tail.lock();
        let stored = tail.from(at).next();
        stored.filter(|stored| stored.batch.next_offset() <= end).cloned()
    }

    /// Batches with what is kept beside them.
    fn stored(&self, batches: Vec<(IndexEntry, Batch)>) -> Result<Vec<StoredBatch>, ReadError> {
        let principals = self.shared.principals.read();
        let mut stored: Vec<StoredBatch> = Vec::with_capacity(batches.len());
        for (entry, batch) in batches {
            let principal = principals.get(entry.principal as usize).cloned();
            let principal = principal.ok_or_else(|| {
                let what = format!("the name of principal {} is not known", entry.principal);
                let error = self.damaged(entry.base, what);
                self.met(&error);
                error
            })?;
            stored.push(StoredBatch {
                batch,
                appended_at_us: entry.appended_at_us,
                principal,
            });
        }
        Ok(stored)
    }

    /// Whether everything is kept that had been appended by a moment, or [`ReadError::Expired`].
    pub(crate) fn check_complete(&self, appended_at_us: i64) -> Result<(), ReadError> {
        let start = self.partition.start().appended_at_us;
        let expired_at_us = start.max(self.partition.compacted().appended_at_us);
        if appended_at_us < expired_at_us {
            return Err(ReadError::Expired {
                stream: self.stream.to_owned(),
                partition: self.partition.number,
                asked_us: appended_at_us,
                expired_at_us,
            });
        }
        Ok(())
    }

    /// The offset after the last event that is kept of those appended at or before a moment, at most `end`.
    pub(crate) fn end_at(&self, appended_at_us: i64, end: u64) -> Result<u64, ReadError> {
        // Memory first: what leaves it meanwhile is in a segment by then.
        let tail = self.partition.tail.lock();
        let later = tail
            .batches
            .partition_point(|stored| stored.appended_at_us <= appended_at_us);
        let next = tail
            .batches
            .get(later)
            .map_or(tail.end, |stored| stored.batch.base_offset());
        drop(tail);
        if later > 0 {
            return Ok(next.min(end));
        }
        self.settled(|segments| {
            // The first segment whose last batch came later holds the moment, where there is one.
            let first = segments.partition_point(|segment| segment.appended_at_us_last <= appended_at_us);
            for segment in &segments[first..] {
                let place = self.place(*segment);
                let number = self
                    .shared
                    .reader
                    .search(&place, |entry| entry.appended_at_us <= appended_at_us)
                    .map_err(|error| self.error(segment.base, error))?;
                if let Some(later) = self.index(&place, number, 1)?.first() {
                    return Ok(later.base.min(end));
                }
            }
            Ok(next.min(end))
        })
    }

    /// When the last event below an offset was appended, where there is one.
    pub(crate) fn appended_before(&self, offset: u64) -> Result<Option<i64>, ReadError> {
        let tail = self.partition.tail.lock();
        let later = tail
            .batches
            .partition_point(|stored| stored.batch.base_offset() < offset);
        let last = later.checked_sub(1).and_then(|index| tail.batches.get(index));
        if let Some(stored) = last {
            return Ok(Some(stored.appended_at_us));
        }
        drop(tail);
        self.settled(|segments| {
            let below = segments.iter().rev().filter(|segment| segment.base < offset);
            for segment in below {
                let place = self.place(*segment);
                let number = self
                    .shared
                    .reader
                    .search(&place, |entry| entry.base < offset)
                    .map_err(|error| self.error(segment.base, error))?;
                if let Some(last) = number.checked_sub(1) {
                    let entry = self.index(&place, last, 1)?;
                    return Ok(entry.first().map(|entry| entry.appended_at_us));
                }
            }
            Ok(None)
        })
    }

    /// The first event below `end` whose timestamp is at or after a moment.
    pub(crate) fn first_since(&self, timestamp_ms: i64, end: u64) -> Result<Option<(u64, i64)>, ReadError> {
        let (found, written) = self.settled(|segments| self.first_since_in(segments, timestamp_ms, end))?;
        if found.is_some() {
            return Ok(found);
        }
        let mut at = written;
        while at < end {
            let batches = self.read(at, end, 1024 * 1024)?;
            for stored in &batches {
                at = stored.batch.next_offset();
                if stored.batch.timestamp_ms_max() >= timestamp_ms
                    && let Some(event) = self.look_into(stored.batch.base_offset(), end, timestamp_ms)?
                {
                    return Ok(Some(event));
                }
            }
            if batches.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// The same in segments alone, and where they end.
    fn first_since_in(
        &self,
        segments: &[Segment],
        timestamp_ms: i64,
        end: u64,
    ) -> Result<(Option<(u64, i64)>, u64), ReadError> {
        let start = self.partition.start().offset;
        let mut written = start;
        for segment in segments {
            written = segment.end.max(start);
            if segment.end <= start || segment.timestamp_ms_max < timestamp_ms {
                continue;
            }
            let place = self.place(*segment);
            let mut number = 0;
            while number < segment.entries {
                let entries = self.index(&place, number, u64::MAX)?;
                number += entries.len() as u64;
                for entry in entries
                    .into_iter()
                    .filter(|entry| entry.next > start && entry.timestamp_ms_max >= timestamp_ms)
                {
                    let found = self.look_into(entry.base.max(start), end, timestamp_ms)?;
                    if found.is_some() {
                        return Ok((found, written));
                    }
                }
            }
        }
        Ok((None, written))
    }

    /// The first event of one batch whose timestamp is at or after a moment. Of a batch that cannot be opened it is the first, whichever it is: a
    /// reader who begins there misses nothing.
    fn look_into(&self, base: u64, end: u64, timestamp_ms: i64) -> Result<Option<(u64, i64)>, ReadError> {
        let start = self.partition.start().offset;
        for stored in self.read(base, end, 0)? {
            let whole = (stored.batch.base_offset().max(start), stored.batch.timestamp_ms_max());
            let Ok(events) = stored.batch.open() else {
                return Ok(Some(whole));
            };
            for event in events.iter() {
                let Ok(event) = event else { return Ok(Some(whole)) };
                if event.offset >= start && event.timestamp_ms >= timestamp_ms {
                    return Ok(Some((event.offset, event.timestamp_ms)));
                }
            }
        }
        Ok(None)
    }

    fn index(&self, place: &Place, first: u64, count: u64) -> Result<Vec<IndexEntry>, ReadError> {
        let count = count.min(crate::limits::INDEX_READ_ENTRIES);
        self.shared
            .reader
            .index(place, first, count)
            .map_err(|error| self.error(place.segment.base, error))
    }

    pub(crate) fn segment_of<'s>(&self, segments: &'s [Segment], offset: u64) -> Result<&'s Segment, ReadError> {
        let index = segments.partition_point(|segment| segment.end <= offset);
        match segments.get(index) {
            Some(segment) if segment.base <= offset => Ok(segment),
            _ => Err(self.damaged(offset, "the journal frame that held it was damaged".to_owned())),
        }
    }

    pub(crate) fn place(&self, segment: Segment) -> Place {
        Place {
            stream: self.partition.stream,
            partition: self.partition.number,
            segment,
        }
    }

    /// Notes damage, where it is none that a deletion makes whose files are just going.
    fn met(&self, error: &ReadError) {
        let there = self.shared.stream(self.stream);
        let is_kept = there.is_some_and(|stream| stream.id == self.partition.stream);
        if is_kept && !matches!(error, ReadError::Damaged { offset, .. } if *offset < self.partition.start().offset) {
            self.shared.damaged.meet(self, error);
        }
    }

    /// A list of what was taken back that is damaged is made anew, which takes a moment, unless that was tried and the batches do not tell.
    fn list_error(&self, segment: &Segment, error: SegmentError) -> ReadError {
        let offset = segment.base.max(self.partition.start().offset);
        let SegmentError::Damaged(what) = error else {
            return self.error(offset, error);
        };
        match self.shared.lists.want(self, segment) {
            Ok(()) => self.error(
                offset,
                SegmentError::Short(format!("{what}; what was taken back is being worked out anew")),
            ),
            Err(why) => self.damaged(offset, format!("{what}; {why}")),
        }
    }

    fn damaged(&self, offset: u64, what: String) -> ReadError {
        ReadError::Damaged {
            stream: self.stream.to_owned(),
            partition: self.partition.number,
            offset,
            what,
        }
    }

    pub(crate) fn error(&self, offset: u64, error: SegmentError) -> ReadError {
        match error {
            SegmentError::Damaged(what) => self.damaged(offset, what),
            SegmentError::Disk(why) => ReadError::Disk {
                stream: self.stream.to_owned(),
                partition: self.partition.number,
                why,
            },
            SegmentError::Short(why) => ReadError::Short {
                stream: self.stream.to_owned(),
                partition: self.partition.number,
                why,
            },
        }
    }
}
