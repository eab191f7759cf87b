//! The bytes of a journal frame; the table stands in docs/format.md.
//!
//! Invariants
//! - A frame is valid only where it was written: its header names the file and the place, and its CRC-32C is seeded with the
//!   log's own random key, so that no event's payload can pass for a frame.
//! - Its sequence number is never used again, so that an old frame of a recycled file is told from a new one.

use std::sync::Arc;

use bytes::Bytes;
use headwater_host::{AlignedBytes, BLOCK_BYTES};
use headwater_records::Batch;
use headwater_records::limits::{BATCH_CRC_COVERS_FROM, PARTITIONS_MAX};

use crate::codec::{Decoder, put_settings, put_text, take_settings};
use crate::limits::{DIRECT_BYTES_MIN, FRAME_ALIGN};
use crate::streams::settings::StreamSettings;

const MAGIC: u32 = u32::from_le_bytes(*b"HWJ1");
const VERSION: u16 = 1;

/// The bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 40;

const KIND_BATCH: u8 = 1;
const KIND_PRINCIPAL: u8 = 2;
const KIND_STREAM_CREATED: u8 = 3;
const KIND_STREAM_DROPPED: u8 = 4;
const KIND_PRODUCER_IDS: u8 = 5;
const KIND_PARTITIONS_ADDED: u8 = 6;
const KIND_STREAM_ALTERED: u8 = 7;
const KIND_START_MOVED: u8 = 8;

/// What a batch takes in a frame beside its own bytes and the filler before it.
pub(crate) const BATCH_ENTRY_BYTES: usize = 1 + 16 + 4 + 8 + 4 + 4 + 2;

/// What a batch of so many bytes takes in a frame at most.
pub(crate) fn batch_entry_bytes(batch_bytes: usize) -> usize {
    let filler = if batch_bytes >= DIRECT_BYTES_MIN {
        BLOCK_BYTES
    } else {
        0
    };
    BATCH_ENTRY_BYTES + filler + batch_bytes
}

/// What an entry about a stream or about producer ids takes at most, beside a stream's settings: names of streams are bounded.
const DEFINITION_BYTES: usize = 512;

/// What an entry that is no batch takes, roughly.
pub(crate) fn definition_bytes(entry: &Entry) -> usize {
    let settings = match entry {
        Entry::StreamCreated { settings, .. } | Entry::StreamAltered { settings, .. } => settings,
        _ => return DEFINITION_BYTES,
    };
    let pairs = settings.pairs();
    let pairs = pairs.iter().map(|(name, value)| 4 + name.len() + value.len());
    DEFINITION_BYTES + pairs.sum::<usize>()
}

/// What the name of a principal takes.
pub(crate) fn principal_entry_bytes(name: &str) -> usize {
    1 + 4 + 2 + name.len()
}

/// The most bytes of entries that fit into a frame of a file of this length.
pub(crate) fn payload_bytes_max(file_bytes: u64) -> usize {
    ((file_bytes / FRAME_ALIGN * FRAME_ALIGN) as usize).saturating_sub(HEADER_BYTES)
}

/// One fact of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A batch was appended.
    Batch(BatchEntry),
    /// From here on the number stands for this principal.
    Principal { number: u32, name: Arc<str> },
    /// A stream was created.
    StreamCreated {
        id: u128,
        name: Arc<str>,
        partitions: u32,
        settings: Arc<StreamSettings>,
    },
    /// A stream was dropped.
    StreamDropped { id: u128 },
    /// A stream has so many partitions from here on; no fewer than before.
    PartitionsAdded { id: u128, partitions: u32 },
    /// Producer ids below `next` may have been given out.
    ProducerIds { next: i64 },
    /// A stream has other settings from here on.
    StreamAltered { id: u128, settings: Arc<StreamSettings> },
    /// The events of a partition below `start` are gone; the last of them was appended at this moment.
    StartMoved {
        stream: u128,
        partition: u32,
        start: u64,
        appended_at_us: i64,
    },
}

/// A batch with what the log keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchEntry {
    pub(crate) stream: u128,
    pub(crate) partition: u32,
    pub(crate) appended_at_us: i64,
    pub(crate) principal: u32,
    pub(crate) batch: Batch,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) file: u16,
    pub(crate) sequence: u64,
    pub(crate) place: u64,
    pub(crate) payload_bytes: u32,
    pub(crate) entries: u32,
    pub(crate) payload_crc: u32,
}

impl Header {
    /// Where the frame after this one begins.
    pub(crate) fn next_place(&self) -> u64 {
        self.place + frame_bytes(self.payload_bytes as usize)
    }

    pub(crate) fn encode(&self, key: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.file.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.place.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.entries.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = header_crc(key, &bytes[..36]);
        bytes[36..40].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header that stands in `bytes`, where it is one of this log.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], key: u64) -> Option<Header> {
        let mut fields = Decoder::new(Bytes::copy_from_slice(bytes));
        let (magic, version, file) = (fields.u32()?, fields.u16()?, fields.u16()?);
        let (sequence, place) = (fields.u64()?, fields.u64()?);
        let (payload_bytes, entries, payload_crc, crc) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        let valid = magic == MAGIC && version == VERSION && crc == header_crc(key, &bytes[..36]);
        valid.then_some(Header {
            file,
            sequence,
            place,
            payload_bytes,
            entries,
            payload_crc,
        })
    }
}

fn header_crc(key: u64, header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&key.to_le_bytes()), header)
}

const MARK_MAGIC: u32 = u32::from_le_bytes(*b"HWJ0");

/// The bytes of a mark.
const MARK_BYTES: usize = 10;

/// What stands where there is no frame in a file that is the journal's: at the beginning of a new one, and where a torn frame was. So a file that was
/// made is never all zeros.
pub(crate) fn mark(key: u64, file: u16) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[0..4].copy_from_slice(&MARK_MAGIC.to_le_bytes());
    bytes[4..6].copy_from_slice(&file.to_le_bytes());
    let crc = header_crc(key, &bytes[..6]);
    bytes[6..10].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Whether bytes begin as a frame or a mark does: also where one is torn over the other.
pub(crate) fn begins_as_journal(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HWJ")
}

/// Whether bytes look like the beginning of a frame, valid or not.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_le_bytes())
}

/// The bytes a frame takes in the file, with header and padding.
pub(crate) fn frame_bytes(payload_bytes: usize) -> u64 {
    ((payload_bytes + HEADER_BYTES) as u64).next_multiple_of(FRAME_ALIGN)
}

/// Writes everything of a batch's entry that stands before the batch.
pub(crate) fn encode_batch_head(into: &mut AlignedBytes, entry: &BatchEntry, filler_bytes: u16) {
    into.push(KIND_BATCH);
    into.extend_from_slice(&entry.stream.to_le_bytes());
    into.extend_from_slice(&entry.partition.to_le_bytes());
    into.extend_from_slice(&entry.appended_at_us.to_le_bytes());
    into.extend_from_slice(&entry.principal.to_le_bytes());
    into.extend_from_slice(&(entry.batch.bytes().len() as u32).to_le_bytes());
    into.extend_from_slice(&filler_bytes.to_le_bytes());
    into.resize(into.len() + usize::from(filler_bytes));
}

/// Writes an entry; of a batch everything that stands before filler and batch.
pub(crate) fn encode_entry(into: &mut AlignedBytes, entry: &Entry) {
    match entry {
        Entry::Batch(entry) => encode_batch_head(into, entry, 0),
        Entry::Principal { number, name } => {
            into.push(KIND_PRINCIPAL);
            into.extend_from_slice(&number.to_le_bytes());
            put_text(into, name);
        }
        Entry::StreamCreated {
            id,
            name,
            partitions,
            settings,
        } => {
            into.push(KIND_STREAM_CREATED);
            into.extend_from_slice(&id.to_le_bytes());
            into.extend_from_slice(&partitions.to_le_bytes());
            put_text(into, name);
            put_settings(into, settings);
        }
        Entry::StreamDropped { id } => {
            into.push(KIND_STREAM_DROPPED);
            into.extend_from_slice(&id.to_le_bytes());
        }
        Entry::PartitionsAdded { id, partitions } => {
            into.push(KIND_PARTITIONS_ADDED);
            into.extend_from_slice(&id.to_le_bytes());
            into.extend_from_slice(&partitions.to_le_bytes());
        }
        Entry::ProducerIds { next } => {
            into.push(KIND_PRODUCER_IDS);
            into.extend_from_slice(&next.to_le_bytes());
        }
        Entry::StreamAltered { id, settings } => {
            into.push(KIND_STREAM_ALTERED);
            into.extend_from_slice(&id.to_le_bytes());
            put_settings(into, settings);
        }
        Entry::StartMoved {
            stream,
            partition,
            start,
            appended_at_us,
        } => {
            into.push(KIND_START_MOVED);
            into.extend_from_slice(&stream.to_le_bytes());
            into.extend_from_slice(&partition.to_le_bytes());
            into.extend_from_slice(&start.to_le_bytes());
            into.extend_from_slice(&appended_at_us.to_le_bytes());
        }
    }
}

/// The entries of a frame, where its payload is whole. What the CRC of a batch covers, the frame's does not.
pub(crate) fn decode_payload(header: &Header, payload: Bytes) -> Result<Vec<Entry>, String> {
    let mut rest = Decoder::new(payload.clone());
    let mut entries: Vec<Entry> = Vec::new();
    let mut computed = 0;
    while !rest.is_empty() {
        let begin = payload.len() - rest.len();
        let entry = decode_entry(&mut rest)?;
        let mut end = payload.len() - rest.len();
        if let Entry::Batch(entry) = &entry {
            end -= entry.batch.bytes().len() - BATCH_CRC_COVERS_FROM;
        }
        computed = crc32c::crc32c_append(computed, &payload[begin..end]);
        entries.push(entry);
    }
    if computed != header.payload_crc {
        return Err(format!(
            "the CRC-32C of the frame is {computed:08x}, its header says {:08x}",
            header.payload_crc
        ));
    }
    if entries.len() != header.entries as usize {
        return Err(format!("{} entries where {} are named", entries.len(), header.entries));
    }
    Ok(entries)
}

fn decode_entry(rest: &mut Decoder) -> Result<Entry, String> {
    let kind = rest.u8().ok_or("an entry without a kind")?;
    let short = || format!("an entry of kind {kind} is cut short");
    match kind {
        KIND_BATCH => {
            let stream = rest.u128().ok_or_else(short)?;
            let partition = rest.u32().ok_or_else(short)?;
            let appended_at_us = rest.i64().ok_or_else(short)?;
            let principal = rest.u32().ok_or_else(short)?;
            let length = rest.u32().ok_or_else(short)?;
            let filler_bytes = rest.u16().ok_or_else(short)?;
            rest.take(usize::from(filler_bytes)).ok_or_else(short)?;
            let mut bytes = rest.take(length as usize).ok_or_else(short)?;
            let batch = Batch::take_stored(&mut bytes).map_err(|error| error.to_string())?;
            if !bytes.is_empty() {
                return Err("a batch that is shorter than its entry says".to_owned());
            }
            Ok(Entry::Batch(BatchEntry {
                stream,
                partition,
                appended_at_us,
                principal,
                batch,
            }))
        }
        KIND_PRINCIPAL => Ok(Entry::Principal {
            number: rest.u32().ok_or_else(short)?,
            name: rest.text().ok_or_else(short)?.into(),
        }),
        KIND_STREAM_CREATED => Ok(Entry::StreamCreated {
            id: rest.u128().ok_or_else(short)?,
            partitions: partitions(rest).ok_or_else(short)?,
            name: rest.text().ok_or_else(short)?.into(),
            settings: Arc::new(take_settings(rest)?),
        }),
        KIND_STREAM_DROPPED => Ok(Entry::StreamDropped {
            id: rest.u128().ok_or_else(short)?,
        }),
        KIND_PARTITIONS_ADDED => Ok(Entry::PartitionsAdded {
            id: rest.u128().ok_or_else(short)?,
            partitions: partitions(rest).ok_or_else(short)?,
        }),
        KIND_PRODUCER_IDS => Ok(Entry::ProducerIds {
            next: rest.i64().ok_or_else(short)?,
        }),
        KIND_STREAM_ALTERED => Ok(Entry::StreamAltered {
            id: rest.u128().ok_or_else(short)?,
            settings: Arc::new(take_settings(rest)?),
        }),
        KIND_START_MOVED => Ok(Entry::StartMoved {
            stream: rest.u128().ok_or_else(short)?,
            partition: rest.u32().ok_or_else(short)?,
            start: rest.u64().ok_or_else(short)?,
            appended_at_us: rest.i64().ok_or_else(short)?,
        }),
        other => Err(format!("an entry of unknown kind {other}")),
    }
}

/// A number of partitions; none that no stream may have, because memory is taken for each.
fn partitions(rest: &mut Decoder) -> Option<u32> {
    rest.u32().filter(|partitions| *partitions <= PARTITIONS_MAX)
}

#[cfg(test)]
mod tests {
    use headwater_records::{Compression, Event};

    use super::*;
    use crate::append::journal::frame::Frame;

    fn entries() -> Vec<Entry> {
        let event = Event {
            value: Some(Bytes::from_static(b"v")),
            ..Event::default()
        };
        let name: Arc<str> = Arc::from("s");
        let settings = StreamSettings::of_pairs([("retention_ms", "1000"), ("label.a", "b")]);
        let settings = Arc::new(settings.unwrap());
        vec![
            Entry::StreamCreated {
                id: 1 << 100,
                name: name.clone(),
                partitions: 3,
                settings: settings.clone(),
            },
            Entry::Principal { number: 0, name },
            Entry::Batch(BatchEntry {
                stream: 1 << 100,
                partition: 2,
                appended_at_us: -1,
                principal: 0,
                batch: Batch::encode(&[event], Compression::None, None).at(41),
            }),
            Entry::PartitionsAdded {
                id: 1 << 100,
                partitions: 5,
            },
            Entry::ProducerIds { next: 1000 },
            Entry::StreamAltered { id: 1 << 100, settings },
            Entry::StartMoved {
                stream: 1 << 100,
                partition: 2,
                start: 40,
                appended_at_us: -2,
            },
            Entry::StreamDropped { id: 1 << 100 },
        ]
    }

    fn frame(key: u64, file: u16, sequence: u64, place: u64) -> Vec<u8> {
        let mut frame = Frame::default();
        let bytes = frame.lay_out(entries().iter());
        let whole = frame.seal(key, file, sequence, place).concat();
        assert_eq!(bytes, whole.len() as u64);
        whole
    }

    fn header(frame: &[u8], key: u64) -> Option<Header> {
        Header::decode(frame[..HEADER_BYTES].try_into().unwrap(), key)
    }

    #[test]
    fn a_frame_comes_back() {
        let frame = frame(7, 1, 99, 8192);
        let header = header(&frame, 7).unwrap();
        assert_eq!((header.file, header.sequence, header.place), (1, 99, 8192));
        assert_eq!(header.next_place(), 8192 + 4096);
        let end = HEADER_BYTES + header.payload_bytes as usize;
        let payload = Bytes::copy_from_slice(&frame[HEADER_BYTES..end]);
        assert_eq!(decode_payload(&header, payload).unwrap(), entries());
        assert!(frame[end..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn every_changed_bit_and_another_logs_key_are_seen() {
        let frame = frame(7, 1, 99, 8192);
        let good = header(&frame, 7).unwrap();
        assert_eq!(header(&frame, 8), None);
        let end = HEADER_BYTES + good.payload_bytes as usize;
        for bit in 0..end * 8 {
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let payload = Bytes::copy_from_slice(&changed[HEADER_BYTES..end]);
            let seen = header(&changed, 7).is_none_or(|header| decode_payload(&header, payload).is_err());
            assert!(seen, "bit {bit}");
        }
    }

    #[test]
    fn what_fits_into_a_file_fits_exactly() {
        for file_bytes in [4096, 4097, 8191, 8192, 64 * 1024] {
            let most = payload_bytes_max(file_bytes);
            assert!(frame_bytes(most) <= file_bytes, "{file_bytes}");
            assert!(frame_bytes(most + 1) > file_bytes, "{file_bytes}");
        }
        assert_eq!(payload_bytes_max(4095), 0);
    }
}
