//! A history on its way from a running program to another: what `GET /history` answers and `headwater replay --from` reads.
//!
//! ```text
//! frame: length u32 | kind u8 | body                                   numbers little-endian; the length counts kind and body
//!   1 head    JSON, [`HistoryHead`]                                    once, first
//!   2 batch   partition u32 | appended at i64 | principal length u16 | principal | batch
//!   3 end     nothing                                                  once, last: without it something is missing
//!   4 broken  a text: why the rest does not come
//! ```
//!
//! The partition of a batch is its place in the head's list. Batches come in the order of appending.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use headwater_eventlog::{Prefix, PrefixPartition, SETTING_NAMES, StoredBatch};
use headwater_records::Batch;
use serde::{Deserialize, Serialize};

const KIND_HEAD: u8 = 1;
const KIND_BATCH: u8 = 2;
const KIND_END: u8 = 3;
const KIND_BROKEN: u8 = 4;

/// The longest frame that is read: more than the largest batch, and than the head of the most partitions that a log has.
const FRAME_BYTES_MAX: u32 = 512 * 1024 * 1024;

/// What a history is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryHead {
    /// The moment of the cut, microseconds since 1970.
    pub moment_us: i64,
    /// How many offsets there are.
    pub events: u64,
    /// Streams that had something by then, and no longer have it all: they do not come.
    pub left_out: Vec<String>,
    /// Streams that come with what is left of what they had by then.
    pub with_gaps: Vec<String>,
    /// Every stream that there is now.
    pub existing: Vec<String>,
    /// The streams that come.
    pub streams: Vec<HistoryStream>,
    /// Their partitions.
    pub partitions: Vec<HistoryPartition>,
}

/// A stream of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryStream {
    /// The name.
    pub name: String,
    /// Its number, in hexadecimal digits.
    pub id: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// What was set of it, by the settings' names.
    pub settings: BTreeMap<String, String>,
}

/// A partition of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPartition {
    /// Its stream.
    pub stream: String,
    /// Its number.
    pub partition: u32,
    /// Where what is kept begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Up to where it was compacted.
    pub compacted: u64,
    /// When the last event that compaction may have taken was appended, microseconds since 1970.
    pub compacted_at_us: i64,
}

/// A part of a history.
#[derive(Debug, Clone, PartialEq)]
pub enum HistoryFrame {
    /// What it is of.
    Head(HistoryHead),
    /// A batch of a partition, by its place in the head's list.
    Batch(u32, StoredBatch),
    /// Everything came.
    End,
    /// Why the rest does not come.
    Broken(String),
}

impl HistoryHead {
    /// Of what is about to be read, among these streams that there are.
    pub fn of(prefix: &Prefix, existing: Vec<String>) -> HistoryHead {
        let streams = prefix.streams().iter().map(|info| {
            let set = |name: &&str| Some(((*name).to_owned(), info.settings.get(name)?));
            HistoryStream {
                name: info.name.clone(),
                id: format!("{:032x}", info.id),
                partitions: info.partitions,
                settings: SETTING_NAMES.iter().filter_map(set).collect(),
            }
        });
        let partition = |partition: &PrefixPartition| HistoryPartition {
            stream: partition.stream.clone(),
            partition: partition.partition,
            start: partition.offsets.start,
            end: partition.end,
            compacted: partition.offsets.compacted,
            compacted_at_us: partition.compacted_at_us,
        };
        HistoryHead {
            moment_us: prefix.moment_us(),
            events: prefix.events(),
            left_out: prefix.left_out().to_vec(),
            with_gaps: prefix.with_gaps().to_vec(),
            existing,
            streams: streams.collect(),
            partitions: prefix.partitions().map(partition).collect(),
        }
    }
}

impl HistoryFrame {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body: Vec<u8> = Vec::new();
        let kind = match self {
            HistoryFrame::Head(head) => {
                // Names, numbers and texts: nothing in it that JSON could not say.
                body = serde_json::to_vec(head).unwrap_or_default();
                KIND_HEAD
            }
            HistoryFrame::Batch(partition, stored) => {
                body.extend_from_slice(&partition.to_le_bytes());
                body.extend_from_slice(&stored.appended_at_us.to_le_bytes());
                body.extend_from_slice(&(stored.principal.len() as u16).to_le_bytes());
                body.extend_from_slice(stored.principal.as_bytes());
                body.extend_from_slice(stored.batch.bytes());
                KIND_BATCH
            }
            HistoryFrame::End => KIND_END,
            HistoryFrame::Broken(why) => {
                body.extend_from_slice(why.as_bytes());
                KIND_BROKEN
            }
        };
        let mut bytes: Vec<u8> = Vec::with_capacity(5 + body.len());
        bytes.extend_from_slice(&(body.len() as u32 + 1).to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads the next one. Memory grows with the bytes that come, never by the length stated.
    pub fn read(reader: &mut impl Read) -> io::Result<HistoryFrame> {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == 0 || length > FRAME_BYTES_MAX {
            return Err(malformed("a frame's length cannot be"));
        }
        let mut body: Vec<u8> = Vec::new();
        reader.take(u64::from(length)).read_to_end(&mut body)?;
        if body.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut body = Bytes::from(body);
        let kind = body.split_to(1)[0];
        match kind {
            KIND_HEAD => serde_json::from_slice(&body)
                .map(HistoryFrame::Head)
                .map_err(|error| malformed(&format!("its head: {error}"))),
            KIND_BATCH => batch(body).ok_or_else(|| malformed("a batch is cut short")),
            KIND_END => Ok(HistoryFrame::End),
            KIND_BROKEN => Ok(HistoryFrame::Broken(String::from_utf8_lossy(&body).into_owned())),
            other => Err(malformed(&format!("a frame of the unknown kind {other}"))),
        }
    }
}

fn batch(mut body: Bytes) -> Option<HistoryFrame> {
    let mut take = |count: usize| (body.len() >= count).then(|| body.split_to(count));
    let partition = u32::from_le_bytes(take(4)?.as_ref().try_into().ok()?);
    let appended_at_us = i64::from_le_bytes(take(8)?.as_ref().try_into().ok()?);
    let length = u16::from_le_bytes(take(2)?.as_ref().try_into().ok()?);
    let principal = take(usize::from(length))?;
    let principal: Arc<str> = Arc::from(std::str::from_utf8(&principal).ok()?);
    let batch = Batch::take_stored(&mut body).ok()?;
    let stored = StoredBatch {
        batch,
        appended_at_us,
        principal,
    };
    body.is_empty().then_some(HistoryFrame::Batch(partition, stored))
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no history: {why}"))
}

#[cfg(test)]
mod tests {
    use headwater_records::{Compression, Event};

    use super::*;

    fn frames() -> Vec<HistoryFrame> {
        let head = HistoryHead {
            moment_us: 5,
            events: 2,
            left_out: vec!["_headwater.groups".to_owned()],
            with_gaps: vec!["s".to_owned()],
            existing: vec!["s".to_owned()],
            streams: vec![HistoryStream {
                id: "7".to_owned(),
                name: "s".to_owned(),
                partitions: 1,
                settings: BTreeMap::from([("retention_ms".to_owned(), "7".to_owned())]),
            }],
            partitions: vec![HistoryPartition {
                stream: "s".to_owned(),
                partition: 0,
                start: 1,
                end: 3,
                compacted: 0,
                compacted_at_us: i64::MIN,
            }],
        };
        let stored = StoredBatch {
            batch: Batch::encode(&[Event::default(), Event::default()], Compression::Zstd, None).at(1),
            appended_at_us: -7,
            principal: Arc::from("änn"),
        };
        vec![
            HistoryFrame::Head(head),
            HistoryFrame::Batch(0, stored),
            HistoryFrame::Broken("why".to_owned()),
            HistoryFrame::End,
        ]
    }

    #[test]
    fn a_history_comes_back() {
        let bytes: Vec<u8> = frames().iter().flat_map(HistoryFrame::to_bytes).collect();
        let mut rest = bytes.as_slice();
        for frame in frames() {
            assert_eq!(HistoryFrame::read(&mut rest).unwrap(), frame);
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_cut_short_or_something_else_is_an_error() {
        for frame in frames() {
            let bytes = frame.to_bytes();
            for length in 0..bytes.len() {
                assert!(HistoryFrame::read(&mut &bytes[..length]).is_err(), "{frame:?} {length}");
            }
        }
        for bytes in [
            &[0, 0, 0, 0][..],
            &[1, 0, 0, 0, 9],
            &[255, 255, 255, 255, 2],
            b"HTTP/1.1 200 OK\r\n",
        ] {
            assert!(HistoryFrame::read(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
        let mut longer = frames()[1].to_bytes();
        longer.push(0);
        longer[0] += 1;
        assert!(
            HistoryFrame::read(&mut longer.as_slice()).is_err(),
            "something stands behind the batch"
        );
    }
}
