//! The checkpoint: the image on the disk, in two copies, each replaced whole and atomically. The table stands in docs/format.md.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use headwater_host::{Disk, OpenMode};

use crate::append::producers::{ProducedBatch, ProducerState};
use crate::codec::{Decoder, put_settings, put_text, take_settings};
use crate::error::OpenError;
use crate::files::{DiskError, absence, read_whole, write_atomically};
use crate::keep::image::{Image, PartitionImage, StreamImage};
use crate::keep::segment::Segment;
use crate::mend::damage::Damage;

const MAGIC: u32 = u32::from_le_bytes(*b"HWC1");

/// Stands for the first offset of a transaction where none is open; no batch begins there.
const NOT_OPEN: u64 = u64::MAX;

/// The two copies, in the order in which they are written: a byte that goes bad, or a file that goes missing, costs nothing.
const COPIES: [&str; 2] = ["checkpoint", "checkpoint.copy"];

/// The newest checkpoint that is whole, and what is wrong with the other copy.
pub(crate) struct Read {
    pub(crate) image: Image,
    pub(crate) damage: Vec<Damage>,
    /// Whether the copies differ: a crash came between the two, or one is damaged. Both are to be written before the journal goes on.
    pub(crate) is_uneven: bool,
}

/// Replaces both copies; durable when this returns. Each is replaced whole, so that at every moment at least one of them is there.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, image: &Image) -> Result<(), DiskError> {
    let bytes = encode(image);
    for name in COPIES {
        write_atomically(disk, dir, name, &bytes)?;
    }
    Ok(())
}

/// Reads the newest checkpoint back.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Read, OpenError> {
    let mut images: Vec<Image> = Vec::new();
    let mut damage: Vec<Damage> = Vec::new();
    for name in COPIES {
        let path = dir.join(name);
        match read_copy(disk, &path) {
            Ok(image) => images.push(image),
            Err(what) => damage.push(Damage::of(&path, what)),
        }
    }
    // A crash between the two leaves one that is older: the journal still holds what it lacks.
    let is_uneven = images.len() < 2 || images[0].next_sequence != images[1].next_sequence;
    match images.into_iter().max_by_key(|image| image.next_sequence) {
        Some(image) => Ok(Read {
            image,
            damage,
            is_uneven,
        }),
        None => Err(neither(dir, &damage)),
    }
}

/// No copy is left. The streams' names and settings, and which bytes of their files count, stood there alone: a repair would have to guess them.
fn neither(dir: &Path, damage: &[Damage]) -> OpenError {
    let copies: Vec<String> = COPIES
        .iter()
        .zip(damage)
        .map(|(name, damage)| format!("{name}: {}", damage.what))
        .collect();
    OpenError::Damaged {
        path: dir.join(COPIES[0]).display().to_string(),
        what: format!(
            "neither copy of the checkpoint can be read ({}); nothing else says where the events stand, and nothing was changed: restore one of the \
             two files, or the whole folder, from a copy (`headwater log repair` cannot make them anew), then let `headwater log verify` read it",
            copies.join("; ")
        ),
    }
}

/// One copy, or what is wrong with it; that the disk cannot read it is no worse than that it is missing.
fn read_copy(disk: &dyn Disk, path: &Path) -> Result<Image, String> {
    let opened = disk.open(path, OpenMode::Read);
    let file = opened.map_err(|source| absence(&source).map_or_else(|| source.to_string(), str::to_owned))?;
    let bytes = read_whole(file.as_ref(), path).map_err(|error| error.source.to_string())?;
    decode(Bytes::from(bytes))
}

fn encode(image: &Image) -> Vec<u8> {
    let mut into: Vec<u8> = Vec::new();
    into.extend_from_slice(&MAGIC.to_le_bytes());
    into.extend_from_slice(&image.key.to_le_bytes());
    into.extend_from_slice(&image.next_sequence.to_le_bytes());
    into.extend_from_slice(&image.appended_at_us.to_le_bytes());
    into.extend_from_slice(&image.next_producer_id.to_le_bytes());
    into.extend_from_slice(&(image.journal_files.len() as u16).to_le_bytes());
    for bytes in &image.journal_files {
        into.extend_from_slice(&bytes.to_le_bytes());
    }
    into.extend_from_slice(&(image.principals.len() as u32).to_le_bytes());
    for name in &image.principals {
        put_text(&mut into, name);
    }
    into.extend_from_slice(&(image.streams.len() as u32).to_le_bytes());
    for (id, stream) in &image.streams {
        into.extend_from_slice(&id.to_le_bytes());
        put_text(&mut into, &stream.name);
        put_settings(&mut into, &stream.settings);
        into.extend_from_slice(&(stream.partitions.len() as u32).to_le_bytes());
        for partition in &stream.partitions {
            into.extend_from_slice(&partition.start.to_le_bytes());
            into.extend_from_slice(&partition.expired_at_us.to_le_bytes());
            into.extend_from_slice(&partition.compacted.to_le_bytes());
            into.extend_from_slice(&partition.compacted_at_us.to_le_bytes());
            into.extend_from_slice(&partition.end.to_le_bytes());
            into.extend_from_slice(&(partition.segments.len() as u32).to_le_bytes());
            for segment in &partition.segments {
                encode_segment(&mut into, segment);
            }
        }
    }
    into.extend_from_slice(&(image.producers.len() as u32).to_le_bytes());
    for ((producer, stream, partition), state) in image.producers.iter() {
        into.extend_from_slice(&producer.to_le_bytes());
        into.extend_from_slice(&stream.to_le_bytes());
        into.extend_from_slice(&partition.to_le_bytes());
        into.extend_from_slice(&state.epoch.to_le_bytes());
        into.extend_from_slice(&state.heard_at_us.to_le_bytes());
        into.extend_from_slice(&state.open_since.unwrap_or(NOT_OPEN).to_le_bytes());
        into.push(state.batches.len() as u8);
        for batch in &state.batches {
            into.extend_from_slice(&batch.base_sequence.to_le_bytes());
            into.extend_from_slice(&batch.last_sequence.to_le_bytes());
            into.extend_from_slice(&batch.base_offset.to_le_bytes());
            into.extend_from_slice(&batch.appended_at_us.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(&into);
    into.extend_from_slice(&crc.to_le_bytes());
    into
}

fn encode_segment(into: &mut Vec<u8>, segment: &Segment) {
    for number in [segment.base, segment.end, segment.bytes, segment.entries] {
        into.extend_from_slice(&number.to_le_bytes());
    }
    into.extend_from_slice(&segment.generation.to_le_bytes());
    into.push(u8::from(segment.closed));
    into.extend_from_slice(&segment.appended_at_us_first.to_le_bytes());
    into.extend_from_slice(&segment.appended_at_us_last.to_le_bytes());
    into.extend_from_slice(&segment.timestamp_ms_max.to_le_bytes());
    into.extend_from_slice(&segment.aborted.to_le_bytes());
}

pub(crate) fn decode(mut bytes: Bytes) -> Result<Image, String> {
    if bytes.len() < 8 {
        return Err(format!("it has only {} bytes", bytes.len()));
    }
    let stated = bytes.split_off(bytes.len() - 4);
    let computed = crc32c::crc32c(&bytes);
    if stated.as_ref() != computed.to_le_bytes() {
        return Err("its CRC-32C does not match its bytes".to_owned());
    }
    let mut rest = Decoder::new(bytes);
    if rest.u32() != Some(MAGIC) {
        return Err("it does not begin as a checkpoint".to_owned());
    }
    decode_image(&mut rest).ok_or_else(|| "it is cut short".to_owned())
}

fn decode_image(rest: &mut Decoder) -> Option<Image> {
    let mut image = Image::empty(rest.u64()?);
    image.next_sequence = rest.u64()?;
    image.appended_at_us = rest.i64()?;
    image.next_producer_id = rest.i64()?;
    for _ in 0..rest.u16()? {
        image.journal_files.push(rest.u64()?);
    }
    for _ in 0..rest.u32()? {
        image.principals.push(Arc::from(rest.text()?));
    }
    for _ in 0..rest.u32()? {
        let id = rest.u128()?;
        let name = Arc::from(rest.text()?);
        let settings = Arc::new(take_settings(rest).ok()?);
        let mut partitions: Vec<PartitionImage> = Vec::new();
        for _ in 0..rest.u32()? {
            let start = rest.u64()?;
            let expired_at_us = rest.i64()?;
            let compacted = rest.u64()?;
            let compacted_at_us = rest.i64()?;
            let end = rest.u64()?;
            let mut segments: Vec<Segment> = Vec::new();
            for _ in 0..rest.u32()? {
                segments.push(decode_segment(rest)?);
            }
            partitions.push(PartitionImage {
                start,
                expired_at_us,
                compacted,
                compacted_at_us,
                end,
                segments,
            });
        }
        let stream = StreamImage {
            name,
            settings,
            partitions,
        };
        image.streams.insert(id, stream);
    }
    for _ in 0..rest.u32()? {
        let key = (rest.i64()?, rest.u128()?, rest.u32()?);
        let epoch = rest.i16()?;
        let heard_at_us = rest.i64()?;
        let open_since = Some(rest.u64()?).filter(|first| *first != NOT_OPEN);
        let mut batches: VecDeque<ProducedBatch> = VecDeque::new();
        for _ in 0..rest.u8()? {
            batches.push_back(ProducedBatch {
                base_sequence: rest.i32()?,
                last_sequence: rest.i32()?,
                base_offset: rest.u64()?,
                appended_at_us: rest.i64()?,
            });
        }
        let state = ProducerState {
            epoch,
            batches,
            open_since,
            heard_at_us,
        };
        image.producers.set(key, state);
    }
    rest.is_empty().then_some(image)
}

fn decode_segment(rest: &mut Decoder) -> Option<Segment> {
    Some(Segment {
        base: rest.u64()?,
        end: rest.u64()?,
        bytes: rest.u64()?,
        entries: rest.u64()?,
        generation: rest.u32()?,
        closed: rest.u8()? != 0,
        appended_at_us_first: rest.i64()?,
        appended_at_us_last: rest.i64()?,
        timestamp_ms_max: rest.i64()?,
        aborted: rest.u64()?,
    })
}

#[cfg(test)]
mod tests {
    use headwater_records::{Batch, Compression, Event, Producer};

    use super::*;
    use crate::streams::settings::StreamSettings;

    fn image() -> Image {
        let mut image = Image::empty(7);
        image.next_sequence = 12;
        image.appended_at_us = -3;
        image.next_producer_id = 1000;
        image.journal_files = vec![4096, 0];
        image.principals = vec![Arc::from("alice"), Arc::from("bob")];
        let segment = Segment {
            base: 0,
            end: 5,
            bytes: 400,
            entries: 2,
            generation: 3,
            closed: true,
            appended_at_us_first: -5,
            appended_at_us_last: -3,
            timestamp_ms_max: 9,
            aborted: 1,
        };
        let full = PartitionImage {
            start: 2,
            expired_at_us: -4,
            compacted: 3,
            compacted_at_us: -3,
            end: 5,
            segments: vec![segment],
        };
        let stream = StreamImage {
            name: Arc::from("s"),
            settings: Arc::new(StreamSettings::of_pairs([("cleanup", "compact"), ("label.a", "b")]).unwrap()),
            partitions: vec![full, PartitionImage::default()],
        };
        image.streams.insert(1 << 90, stream);
        let producer = Producer {
            id: 3,
            epoch: 1,
            base_sequence: 4,
        };
        for (partition, batch) in [
            (0, Batch::encode(&[Event::default()], Compression::None, Some(producer))),
            (
                1,
                Batch::encode_transactional(&[Event::default()], Compression::None, producer),
            ),
        ] {
            image.producers.record(1 << 90, partition, &batch.at(3), -3);
        }
        image
    }

    #[test]
    fn an_image_comes_back() {
        let image = image();
        let bytes = encode(&image);
        let back = decode(Bytes::from(bytes.clone())).unwrap();
        assert_eq!(back.streams, image.streams);
        assert_eq!(back.principals, image.principals);
        assert_eq!(back.journal_files, image.journal_files);
        for partition in [0, 1] {
            let key = (3, 1 << 90, partition);
            assert_eq!(back.producers.get(&key), image.producers.get(&key));
        }
        assert_eq!(back.producers.open_in(1 << 90, 1).collect::<Vec<_>>(), [(3, 3)]);
        assert_eq!(back.producers.open_count(), 1);
        assert_eq!(encode(&back).len(), bytes.len());
    }

    #[test]
    fn changed_and_cut_checkpoints_are_refused() {
        let bytes = encode(&image());
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(Bytes::from(changed)).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode(Bytes::from(bytes[..length].to_vec())).is_err(), "{length} bytes");
        }
    }
}
