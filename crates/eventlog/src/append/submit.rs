//! What an append goes through on its way to its place: each part held against its stream, prepared for the entity index, and all of it through the sequencer,
//! as often as that asks for something that memory does not hold.

use headwater_records::{Batch, Position};

use super::journal::format::{batch_entry_bytes, principal_entry_bytes};
use super::sequencer::{Older, Prepared, Sequenced, Waiting};
use super::{Append, AppendError, Part};
use crate::entities::check::ask;
use crate::log::EventLog;
use crate::read::PartitionReader;
use crate::shared::Shared;

impl EventLog {
    /// Whether every part is what its stream takes; the bytes an append takes in a frame.
    pub(crate) fn check_parts(&self, append: &Append) -> Result<usize, AppendError> {
        let mut bytes = principal_entry_bytes(&append.principal);
        for part in &append.parts {
            let stream = self.shared.stream(&part.stream);
            let (is_compacted, max) = stream.map_or((false, None), |stream| {
                let settings = stream.settings.read();
                (settings.cleanup().compact, settings.batch_bytes_max)
            });
            if is_compacted && !has_keys(&part.batch) {
                return Err(AppendError::Keyless {
                    stream: part.stream.clone(),
                });
            }
            let length = part.batch.bytes().len();
            let max = max.map_or(self.shared.options.batch_bytes_max, |max| max as usize);
            if length > max {
                return Err(AppendError::TooLarge { bytes: length, max });
            }
            bytes += batch_entry_bytes(length);
        }
        let max = self.shared.append_bytes_max;
        if bytes > max {
            return Err(AppendError::TooLarge { bytes, max });
        }
        Ok(bytes)
    }

    /// What each part puts into its stream's entity index.
    pub(crate) fn prepare(&self, parts: &[Part]) -> Vec<Option<Prepared>> {
        let prepare = |part: &Part| {
            let index = self.shared.stream(&part.stream)?.index.get()?;
            let terms = index.terms.of_batch(&part.batch);
            Some(Prepared { index, terms })
        };
        parts.iter().map(prepare).collect()
    }

    /// Takes an append through the sequencer, reading from the disk what its condition speaks of and memory no longer holds. Whether its group is left to
    /// whoever appends.
    pub(crate) fn sequence(&self, mut waiting: Waiting) -> bool {
        let is_idempotent = waiting.parts.iter().any(|part| part.batch.producer().is_some());
        loop {
            // A retry is answered before its condition is looked at; nothing else can be one.
            if !is_idempotent && waiting.checks.is_open() {
                ask(&mut waiting.checks, &self.shared);
            }
            let permits = waiting.permits;
            let now_us = self.shared.host.clock.now_us();
            match self
                .shared
                .sequencer
                .submit(waiting, now_us, |name| self.shared.stream(name))
            {
                Sequenced::Taken => return false,
                Sequenced::Leads => return true,
                Sequenced::Refused(reply, error) => {
                    self.shared.pending.add_permits(permits as usize);
                    let _ = reply.send(Err(error));
                    return false;
                }
                Sequenced::NeedsPreparing(again) => {
                    waiting = *again;
                    waiting.prepared = self.prepare(&waiting.parts);
                }
                Sequenced::NeedsAsking(again) => {
                    waiting = *again;
                    ask(&mut waiting.checks, &self.shared);
                }
                Sequenced::NeedsOlder(again, older) => {
                    waiting = *again;
                    if let Err(error) = look_at_older(&self.shared, &mut waiting, older) {
                        self.shared.pending.add_permits(permits as usize);
                        let _ = waiting.reply.send(Err(error));
                        return false;
                    }
                }
            }
        }
    }
}

/// Shows a guard durable batches that are no longer in memory, without any lock.
fn look_at_older(shared: &Shared, waiting: &mut Waiting, older: Older) -> Result<(), AppendError> {
    let Older {
        guard,
        partition,
        stream,
        from,
    } = older;
    let condition = &mut waiting.checks.guards[guard];
    let end = partition.high_watermark();
    let reader = PartitionReader {
        shared,
        partition,
        stream: &stream,
    };
    let number = reader.partition.number;
    let mut at = from;
    let mut conflict = false;
    while at < end && !conflict {
        for stored in reader.read(at, end, 1024 * 1024)? {
            at = stored.batch.next_offset();
            conflict = conflict || condition.conflicts(reader.stream, number, &stored.batch);
        }
    }
    waiting.looked_at[guard].advance(reader.stream, number, at);
    if conflict {
        let mut ends = Position::new();
        for (name, number, _) in condition.after().iter() {
            let partition = reader
                .shared
                .stream(name)
                .and_then(|stream| stream.partition(number).cloned());
            ends.set(name, number, partition.map_or(0, |partition| partition.tail.lock().end));
        }
        return Err(AppendError::Conflict { end: ends });
    }
    Ok(())
}

/// Whether every event has a key. What cannot be read is for its reader to say.
fn has_keys(batch: &Batch) -> bool {
    let Ok(events) = batch.open() else { return true };
    events.iter().flatten().all(|event| event.key.is_some())
}
