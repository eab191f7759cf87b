//! The frame of a fetch's answer: written here and not by the decoder's library, because the events are no bytes in memory yet.
//!
//! Source: `clients/src/main/resources/common/message/FetchResponse.json` of Apache Kafka, versions 4 to 18.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::fetch_response::PartitionData;

use super::super::reply::{Reply, RequestError};
use super::look::Answered;
use crate::outgoing::OutFrame;
use crate::sessions::TopicKey;

/// From this version on topics are named by their ids.
pub(super) const VERSION_TOPIC_IDS: i16 = 13;

const VERSION_LOG_START: i16 = 5;
const VERSION_SESSIONS: i16 = 7;
const VERSION_PREFERRED_REPLICA: i16 = 11;
/// From here on lengths and counts are varints, and structs end in tagged fields.
const VERSION_FLEXIBLE: i16 = 12;

/// The tagged field of an epoch that diverges, and the bytes of it: epoch, offset, no tagged fields.
const TAG_DIVERGING_EPOCH: u8 = 0;
const DIVERGING_EPOCH_BYTES: u8 = 4 + 8 + 1;

/// An answer.
#[derive(Default)]
pub(super) struct Response {
    pub(super) throttle_ms: i32,
    pub(super) error_code: i16,
    pub(super) session_id: i32,
    pub(super) topics: Vec<Topic>,
}

/// What it says of one topic.
pub(super) struct Topic {
    pub(super) key: TopicKey,
    pub(super) partitions: Vec<Answered>,
}

impl Response {
    /// The whole frame.
    pub(super) fn frame(self, reply: Reply) -> Result<OutFrame, RequestError> {
        let version = reply.version;
        let mut frame = OutFrame::from(reply.head()?);
        frame.put(|out| {
            out.put_i32(self.throttle_ms);
            if version >= VERSION_SESSIONS {
                out.put_i16(self.error_code);
                out.put_i32(self.session_id);
            }
            put_count(out, version, Some(self.topics.len()));
        });
        for topic in self.topics {
            frame.put(|out| {
                put_key(out, version, &topic.key);
                put_count(out, version, Some(topic.partitions.len()));
            });
            for partition in topic.partitions {
                let events_bytes = partition.bytes();
                frame.put(|out| {
                    put_partition(out, version, &partition.data);
                    put_length(out, version, events_bytes);
                });
                if let Some(events) = partition.events {
                    frame.add_stretch(events);
                }
                frame.put(|out| put_tags(out, version, &partition.data));
            }
            frame.put(|out| put_no_tags(out, version));
        }
        frame.put(|out| put_no_tags(out, version));
        frame.close().ok_or_else(|| reply.refuse("it is larger than 2 GiB"))
    }
}

fn put_key(out: &mut BytesMut, version: i16, key: &TopicKey) {
    match key {
        TopicKey::Id(id) if version >= VERSION_TOPIC_IDS => out.put_slice(id.as_bytes()),
        TopicKey::Id(_) => put_text(out, version, ""),
        TopicKey::Name(name) if version < VERSION_TOPIC_IDS => put_text(out, version, name),
        TopicKey::Name(_) => out.put_u128(0),
    }
}

/// Everything before the events.
fn put_partition(out: &mut BytesMut, version: i16, data: &PartitionData) {
    out.put_i32(data.partition_index);
    out.put_i16(data.error_code);
    out.put_i64(data.high_watermark);
    out.put_i64(data.last_stable_offset);
    if version >= VERSION_LOG_START {
        out.put_i64(data.log_start_offset);
    }
    put_count(out, version, data.aborted_transactions.as_ref().map(Vec::len));
    for aborted in data.aborted_transactions.iter().flatten() {
        out.put_i64(*aborted.producer_id);
        out.put_i64(aborted.first_offset);
        put_no_tags(out, version);
    }
    if version >= VERSION_PREFERRED_REPLICA {
        out.put_i32(*data.preferred_read_replica);
    }
}

/// A partition's tagged fields.
fn put_tags(out: &mut BytesMut, version: i16, data: &PartitionData) {
    let diverging = &data.diverging_epoch;
    if version < VERSION_FLEXIBLE || diverging.end_offset < 0 {
        return put_no_tags(out, version);
    }
    out.put_slice(&[1, TAG_DIVERGING_EPOCH, DIVERGING_EPOCH_BYTES]);
    out.put_i32(diverging.epoch);
    out.put_i64(diverging.end_offset);
    put_no_tags(out, version);
}

fn put_no_tags(out: &mut BytesMut, version: i16) {
    if version >= VERSION_FLEXIBLE {
        out.put_u8(0);
    }
}

fn put_text(out: &mut BytesMut, version: i16, text: &str) {
    match version >= VERSION_FLEXIBLE {
        true => put_varint(out, text.len() + 1),
        false => out.put_i16(text.len() as i16),
    }
    out.put_slice(text.as_bytes());
}

/// The length of bytes that follow, or the count of an array's elements.
fn put_length(out: &mut BytesMut, version: i16, length: usize) {
    put_count(out, version, Some(length));
}

/// The count of an array's elements; `None` where there is no array.
fn put_count(out: &mut BytesMut, version: i16, count: Option<usize>) {
    match version >= VERSION_FLEXIBLE {
        true => put_varint(out, count.map_or(0, |count| count + 1)),
        false => out.put_i32(count.map_or(-1, |count| count as i32)),
    }
}

fn put_varint(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests;
