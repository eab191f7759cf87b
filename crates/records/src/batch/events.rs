//! Reading the events of a batch.
//!
//! ```text
//! event:  length varint | attributes i8 | timestamp delta varint | offset delta varint
//!         key length varint (-1: none) | key | value length varint (-1: none) | value
//!         header count varint | each: name length varint | name | value length varint (-1: none) | value
//! ```
//!
//! Invariants
//! - The offset deltas of a batch's events ascend, and the last is at most the batch's own; anything else is malformed. As a batch that a
//!   writer sends holds as many events as offsets, theirs are 0, 1, 2, …; where compaction took some out, there are gaps.
//! - No length is believed before the bytes it speaks of are there.

use bytes::Bytes;

use super::{Batch, BatchError, varint};
use crate::limits::{BATCH_HEADER_BYTES, BATCH_INFLATED_BYTES_MAX};
use crate::{Event, Header};

const CUT: BatchError = BatchError::Malformed("an event is cut short");

/// The events of one batch, decompressed and not yet decoded.
#[derive(Debug, Clone)]
pub struct Events {
    pub(super) plain: Bytes,
    pub(super) event_count: u32,
    pub(super) base_offset: u64,
    last_offset_delta: u32,
    timestamp_ms_base: i64,
    /// Set where the batch's events all carry the moment of their append.
    timestamp_ms_all: Option<i64>,
}

/// One event, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSlice<'a> {
    /// The event's offset.
    pub offset: u64,
    /// The writer's clock, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    header_count: u32,
    headers: &'a [u8],
}

/// The events of a batch, one after another. Ends after the first fault.
pub struct EventsIter<'a> {
    events: &'a Events,
    pub(super) rest: &'a [u8],
    taken: u32,
    /// The least offset delta that the next event may have.
    delta_least: u32,
}

impl Events {
    pub(super) fn open(batch: &Batch) -> Result<Events, BatchError> {
        let plain = if batch.is_control() || batch.event_count() == 0 {
            Bytes::new()
        } else {
            let packed = batch.bytes.slice(BATCH_HEADER_BYTES..);
            batch.compression().expand(packed, BATCH_INFLATED_BYTES_MAX)?
        };
        Ok(Events {
            plain,
            event_count: if batch.is_control() { 0 } else { batch.event_count() },
            base_offset: batch.base_offset(),
            last_offset_delta: batch.last_offset_delta,
            timestamp_ms_base: batch.timestamp_ms_base(),
            timestamp_ms_all: batch.is_append_time().then(|| batch.timestamp_ms_max()),
        })
    }

    /// Every event in order, borrowed.
    pub fn iter(&self) -> EventsIter<'_> {
        EventsIter {
            events: self,
            rest: &self.plain,
            taken: 0,
            delta_least: 0,
        }
    }

    /// An event of this batch to keep: key, value and header values share the batch's memory.
    pub fn event(&self, slice: &EventSlice<'_>) -> Result<Event, BatchError> {
        let mut headers: Vec<Header> = Vec::new();
        slice.for_each_header(|name, value| {
            headers.push(Header {
                name: name.to_owned(),
                value: value.map(|value| self.keep(value)),
            });
        })?;
        Ok(Event {
            key: slice.key.map(|key| self.keep(key)),
            value: slice.value.map(|value| self.keep(value)),
            headers,
            timestamp_ms: slice.timestamp_ms,
        })
    }

    /// Hands every event to `keep`, and gives back the bytes of those that stay, how many, and the largest timestamp among them.
    pub(super) fn retain(
        &self,
        mut keep: impl FnMut(&EventSlice<'_>) -> bool,
    ) -> Result<(Vec<u8>, u32, i64), BatchError> {
        let mut kept: Vec<u8> = Vec::new();
        let (mut count, mut timestamp_ms_max) = (0, i64::MIN);
        let mut events = self.iter();
        loop {
            let before = events.rest;
            let Some(slice) = events.next() else { break };
            let slice = slice?;
            if keep(&slice) {
                kept.extend_from_slice(&before[..before.len() - events.rest.len()]);
                count += 1;
                timestamp_ms_max = timestamp_ms_max.max(slice.timestamp_ms);
            }
        }
        Ok((kept, count, timestamp_ms_max))
    }

    fn keep(&self, part: &[u8]) -> Bytes {
        self.plain.slice_ref(part)
    }

    /// The event at the beginning of `rest`, which is taken off it.
    #[inline]
    pub(super) fn decode<'a>(&self, rest: &mut &'a [u8], delta_least: u32) -> Result<EventSlice<'a>, BatchError> {
        let length = varint::take_i32(rest)?;
        let length = usize::try_from(length).map_err(|_| BatchError::Malformed("an event's length is negative"))?;
        let (mut event, after) = rest.split_at_checked(length).ok_or(CUT)?;
        let (_attributes, fields) = event.split_first().ok_or(CUT)?;
        event = fields;
        let timestamp_delta = varint::take_i64(&mut event)?;
        let offset_delta = varint::take_i32(&mut event)?;
        let offset_delta = u32::try_from(offset_delta)
            .ok()
            .filter(|delta| (delta_least..=self.last_offset_delta).contains(delta))
            .ok_or(BatchError::Malformed("its offset deltas do not ascend up to the last"))?;
        let key = take_optional(&mut event)?;
        let value = take_optional(&mut event)?;
        let header_count = varint::take_i32(&mut event)?;
        // A header takes two bytes at least.
        let header_count = u32::try_from(header_count)
            .ok()
            .filter(|count| *count as usize <= event.len() / 2)
            .ok_or(BatchError::Malformed(
                "an event states more headers than its bytes can hold",
            ))?;
        if header_count == 0 && !event.is_empty() {
            return Err(BatchError::Malformed("an event is followed by bytes of no field"));
        }
        *rest = after;
        Ok(EventSlice {
            offset: self.base_offset + u64::from(offset_delta),
            timestamp_ms: match self.timestamp_ms_all {
                Some(timestamp_ms) => timestamp_ms,
                None => self.timestamp_ms_base.wrapping_add(timestamp_delta),
            },
            key,
            value,
            header_count,
            headers: event,
        })
    }
}

impl<'a> Iterator for EventsIter<'a> {
    type Item = Result<EventSlice<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.taken == self.events.event_count {
            let left = !self.rest.is_empty();
            self.rest = &[];
            return left.then_some(Err(BatchError::Malformed("its last event is followed by more bytes")));
        }
        let decoded = self.events.decode(&mut self.rest, self.delta_least);
        match &decoded {
            Ok(slice) => {
                self.taken += 1;
                self.delta_least = (slice.offset - self.events.base_offset) as u32 + 1;
            }
            Err(_) => {
                self.taken = self.events.event_count;
                self.rest = &[];
            }
        }
        Some(decoded)
    }
}

impl<'a> EventSlice<'a> {
    /// How many headers the event has.
    #[inline]
    pub fn header_count(&self) -> u32 {
        self.header_count
    }

    /// Hands every header to `each`, in the writer's order: its name and its value.
    pub fn for_each_header(&self, mut each: impl FnMut(&'a str, Option<&'a [u8]>)) -> Result<(), BatchError> {
        let mut rest = self.headers;
        for _ in 0..self.header_count {
            let name = take_optional(&mut rest)?.ok_or(BatchError::Malformed("a header has no name"))?;
            let name = std::str::from_utf8(name)
                .map_err(|_| BatchError::Malformed("a header's name is no UTF-8: send names as text"))?;
            each(name, take_optional(&mut rest)?);
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(BatchError::Malformed("an event is followed by bytes of no field"))
        }
    }

    /// Whether the headers can be read.
    #[inline]
    pub fn check_headers(&self) -> Result<(), BatchError> {
        self.for_each_header(|_, _| ())
    }
}

/// Bytes with their length before them; -1 says that there are none, which is not the same as empty.
#[inline]
fn take_optional<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
    let length = varint::take_i32(rest)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| BatchError::Malformed("a length inside is negative"))?;
    let (part, after) = rest.split_at_checked(length).ok_or(CUT)?;
    *rest = after;
    Ok(Some(part))
}
