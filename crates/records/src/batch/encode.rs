//! Writing a batch.

use bytes::Bytes;

use super::header::{LENGTH_COUNTS_FROM, MAGIC, seal};
use super::{Compression, Producer, varint};
use crate::Event;
use crate::limits::BATCH_HEADER_BYTES;

/// The events as one batch at offset 0, with the writer's timestamps.
pub(super) fn batch(events: &[Event], compression: Compression, producer: Option<Producer>, attributes: i16) -> Bytes {
    let first = events.first().expect("a batch holds at least one event");
    let timestamp_ms_max = events.iter().map(|event| event.timestamp_ms).max();
    let mut plain: Vec<u8> = Vec::with_capacity(events.iter().map(size_hint).sum());
    for (index, event) in events.iter().enumerate() {
        put_event(&mut plain, event, index, first.timestamp_ms);
    }
    let packed = compression.compress(plain);
    let length = BATCH_HEADER_BYTES - LENGTH_COUNTS_FROM + packed.len();
    let length = i32::try_from(length).expect("a batch is smaller than 2 GiB");
    let last_offset_delta = i32::try_from(events.len() - 1).expect("a batch holds fewer than 2^31 events");
    let producer = producer.unwrap_or(Producer {
        id: -1,
        epoch: -1,
        base_sequence: -1,
    });

    let mut out: Vec<u8> = Vec::with_capacity(BATCH_HEADER_BYTES + packed.len());
    out.extend_from_slice(&0_i64.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    // The only leader epoch there is.
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.push(MAGIC.cast_unsigned());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(compression.attributes() | attributes).to_be_bytes());
    out.extend_from_slice(&last_offset_delta.to_be_bytes());
    out.extend_from_slice(&first.timestamp_ms.to_be_bytes());
    out.extend_from_slice(&timestamp_ms_max.unwrap_or(first.timestamp_ms).to_be_bytes());
    out.extend_from_slice(&producer.id.to_be_bytes());
    out.extend_from_slice(&producer.epoch.to_be_bytes());
    out.extend_from_slice(&producer.base_sequence.to_be_bytes());
    out.extend_from_slice(&(last_offset_delta + 1).to_be_bytes());
    out.extend_from_slice(&packed);
    seal(&mut out);
    Bytes::from(out)
}

/// How many bytes a batch of this event alone takes, not compressed.
pub(super) fn bytes_alone(event: &Event) -> usize {
    let size = size(event, 0, 0);
    BATCH_HEADER_BYTES + varint::size(size as i64) + size
}

fn put_event(out: &mut Vec<u8>, event: &Event, index: usize, timestamp_ms_base: i64) {
    // Readers add with wrap-around too, so every pair of timestamps has a difference.
    let timestamp_delta = event.timestamp_ms.wrapping_sub(timestamp_ms_base);
    varint::put(out, size(event, index, timestamp_delta) as i64);
    out.push(0);
    varint::put(out, timestamp_delta);
    varint::put(out, index as i64);
    put_optional(out, event.key.as_deref());
    put_optional(out, event.value.as_deref());
    varint::put(out, event.headers.len() as i64);
    for header in &event.headers {
        put_optional(out, Some(header.name.as_bytes()));
        put_optional(out, header.value.as_deref());
    }
}

/// What an event takes behind its length.
fn size(event: &Event, index: usize, timestamp_delta: i64) -> usize {
    let mut size = 1 + varint::size(timestamp_delta) + varint::size(index as i64);
    size += optional_size(event.key.as_deref()) + optional_size(event.value.as_deref());
    size += varint::size(event.headers.len() as i64);
    for header in &event.headers {
        size += optional_size(Some(header.name.as_bytes())) + optional_size(header.value.as_deref());
    }
    size
}

fn optional_size(part: Option<&[u8]>) -> usize {
    match part {
        Some(part) => varint::size(part.len() as i64) + part.len(),
        None => 1,
    }
}

fn put_optional(out: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        Some(part) => {
            varint::put(out, part.len() as i64);
            out.extend_from_slice(part);
        }
        None => varint::put(out, -1),
    }
}

fn size_hint(event: &Event) -> usize {
    let part = |part: &Option<Bytes>| part.as_ref().map_or(0, |part| part.len());
    let headers: usize = event
        .headers
        .iter()
        .map(|header| header.name.len() + part(&header.value) + 4)
        .sum();
    part(&event.key) + part(&event.value) + headers + 24
}
