//! One pass over a partition: what is new goes into the table, the segments up to there are written anew.

use crate::keep::behind::{Replacement, Task};
use crate::keep::segment::Segment;
use crate::keep::segment::format::IndexEntry;
use crate::read::PartitionReader;
use crate::streams::settings::StreamSettings;
use crate::streams::transactions::Aborted;
use crate::tend::compaction::keys::Keys;
use crate::tend::compaction::plan::{dirty_end, runs};
use crate::tend::compaction::rewrite::{Rewrite, Rewritten, Rules};
use headwater_records::Batch;

/// How much of a segment is read at once.
pub(crate) const READ_BYTES: usize = 1 << 20;

/// Why a pass did not come to its end. What it had put in place by then stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    /// The program ends, or the stream changed meanwhile.
    #[error("it was broken off")]
    BrokenOff,
    /// What is there cannot be read or written.
    #[error("{0}")]
    Failed(String),
}

/// Compacts a partition as far as it is time to; says how many segments were written anew.
pub(crate) fn compact(reader: &PartitionReader<'_>, settings: &StreamSettings) -> Result<u64, PassError> {
    let mut written = 0;
    loop {
        let partition = &reader.partition;
        let segments = partition.segments.lock().clone();
        let compacted = partition.compacted().offset;
        let now_us = reader.shared.host.clock.now_us();
        let Some(end) = dirty_end(&segments, compacted, partition.stable(), settings, now_us) else {
            return Ok(written);
        };
        let mut keys = Keys::new(reader.shared.options.compaction_keys_max);
        let noted = note_keys(reader, &segments, compacted, end, &mut keys)?;
        let rules = Rules {
            keys: &keys,
            to: noted.to,
            now_us,
            tombstone_ms: settings.tombstone_ms(),
            whole_from: reader.partition.tail.lock().end,
        };
        let folded = reader.shared.folded.write(reader.stream, partition.number, noted.to);
        folded.map_err(PassError::Failed)?;
        written += write_anew(reader, settings, &segments, &rules, &noted)?;
    }
}

/// How far a pass came.
struct Noted {
    /// What lies below is in the table, or was compacted before.
    to: u64,
    /// When the last event below was appended.
    appended_at_us: i64,
}

/// Notes the keys of what is new up to `end`, or up to where the table is full.
fn note_keys(
    reader: &PartitionReader<'_>,
    segments: &[Segment],
    from: u64,
    end: u64,
    keys: &mut Keys,
) -> Result<Noted, PassError> {
    let mut noted = Noted {
        to: end,
        appended_at_us: i64::MIN,
    };
    let dirty = segments
        .iter()
        .filter(|segment| segment.end > from && segment.base < end);
    for segment in dirty {
        let mut at = segment.base.max(from);
        while at < segment.end {
            let chunk = read_chunk(reader, segment, at)?;
            let Some((last, _, _)) = chunk.last() else { break };
            at = last.next;
            for (entry, batch, taken_back) in &chunk {
                if !taken_back && !note_batch(batch, keys) {
                    if noted.appended_at_us == i64::MIN {
                        return Err(PassError::Failed(format!(
                            "the batch at offset {} alone holds more than the {} keys that are compared at once",
                            entry.base, reader.shared.options.compaction_keys_max
                        )));
                    }
                    noted.to = entry.base;
                    return Ok(noted);
                }
                noted.appended_at_us = noted.appended_at_us.max(entry.appended_at_us);
            }
        }
    }
    Ok(noted)
}

/// `false` where the table is full. A batch that cannot be read to its end is left as it is, and supersedes nothing.
fn note_batch(batch: &Batch, keys: &mut Keys) -> bool {
    let Ok(events) = batch.open().and_then(|events| batch.check_events().map(|()| events)) else {
        return true;
    };
    events
        .iter()
        .flatten()
        .all(|event| event.key.is_none_or(|key| keys.note(key, event.offset)))
}

/// Some batches of one segment, each with whether it was taken back. Looks whether the program ends.
pub(crate) fn read_chunk(
    reader: &PartitionReader<'_>,
    segment: &Segment,
    at: u64,
) -> Result<Vec<(IndexEntry, Batch, bool)>, PassError> {
    if reader.shared.tending.is_stopping() {
        return Err(PassError::BrokenOff);
    }
    let failed = |error: crate::error::ReadError| PassError::Failed(error.to_string());
    let batches = reader.read_segment(segment, at, READ_BYTES).map_err(failed)?;
    let is_part = |batch: &Batch| batch.is_transactional() && !batch.is_control();
    let aborted: Vec<Aborted> = match (batches.first(), batches.last()) {
        (Some((first, _)), Some((last, _))) if batches.iter().any(|(_, batch)| is_part(batch)) => {
            reader.aborted(first.base, last.next).map_err(failed)?
        }
        _ => Vec::new(),
    };
    let with_fate = batches.into_iter().map(|(entry, batch)| {
        let producer = batch.producer().filter(|_| is_part(&batch));
        let taken_back =
            producer.is_some_and(|producer| aborted.iter().any(|range| range.holds(producer.id, entry.base)));
        (entry, batch, taken_back)
    });
    Ok(with_fate.collect())
}

/// Writes every segment that begins below `rules.to` anew, run by run, and has the keeper put them in place in that order.
fn write_anew(
    reader: &PartitionReader<'_>,
    settings: &StreamSettings,
    segments: &[Segment],
    rules: &Rules<'_>,
    noted: &Noted,
) -> Result<u64, PassError> {
    let concerned = segments.partition_point(|segment| segment.base < rules.to);
    let segment_bytes = settings.segment_bytes.unwrap_or(reader.shared.options.segment_bytes);
    let runs = runs(&segments[..concerned], segment_bytes);
    let mut written = 0;
    for (number, run) in runs.iter().enumerate() {
        let old = &segments[run.clone()];
        let is_last = number + 1 == runs.len();
        let new = match Rewrite::run(reader, old, rules)? {
            Rewritten::Same => old.to_vec(),
            Rewritten::Anew(segment) => {
                written += 1;
                vec![segment]
            }
        };
        let replacement = Replacement {
            stream: reader.partition.stream,
            partition: reader.partition.number,
            old: old.to_vec(),
            new,
            compacted: is_last.then_some((noted.to, noted.appended_at_us)),
        };
        if !reader.shared.behind.ask(Task::Replace(Box::new(replacement))) {
            return Err(PassError::BrokenOff);
        }
    }
    Ok(written)
}
