//! The writer thread: takes the open group whole, writes one frame, flushes once, moves the high watermarks, answers, and wakes whoever reads on.
//! Those who wait for an answer come first: their clients wait too.
//!
//! Invariant: after a failed write or flush it never writes again, but for a write that did not fit on a full disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::behind::DurableGroup;
use crate::files::DiskError;
use crate::journal::format::Entry;
use crate::journal::writer::JournalWriter;
use crate::room::Writing;
use crate::sequencer::Pending;
use crate::shared::Shared;
use crate::streams::Partition;

/// Runs until the log closes or stops.
pub(crate) fn run(shared: &Arc<Shared>, mut journal: JournalWriter) {
    while let Some(mut group) = shared.sequencer.next_group() {
        let entries: Vec<Entry> = group
            .iter_mut()
            .flat_map(|pending| std::mem::take(&mut pending.entries))
            .collect();
        if !entries.is_empty()
            && let Err(why) = write(shared, &mut journal, &entries)
        {
            shared.stop(&why);
            for pending in group {
                pending.refuse(&why);
            }
            return;
        }
        publish(shared, &group);
        count(shared, &entries);
        let is_durable = !entries.is_empty();
        if is_durable {
            let durable = DurableGroup {
                sequence: journal.last_sequence(),
                entries,
                bytes: group.iter().map(|pending| pending.bytes).sum(),
            };
            shared.behind.put(durable, journal.is_half_full());
        }
        let moved = answer(shared, group);
        tell(shared, moved);
        if is_durable {
            shared.behind.wait_for_segments();
        }
    }
}

fn write(shared: &Arc<Shared>, journal: &mut JournalWriter, entries: &[Entry]) -> Result<(), String> {
    let frame_bytes = journal.lay_out(entries.iter());
    if !journal.fits(frame_bytes) {
        let last_sequence = journal.last_sequence();
        shared
            .behind
            .turn(frame_bytes, last_sequence, |next| journal.turn_to(next))?;
        patiently(shared, || journal.begin_file(shared.host.disk.as_ref(), &shared.dir))?;
    }
    // Nothing of the frame counts before its flush.
    patiently(shared, || journal.write())?;
    let began_us = shared.host.clock.now_us();
    journal.sync().map_err(|error| error.to_string())?;
    let took_us = shared
        .host
        .clock
        .now_us()
        .saturating_sub(began_us)
        .max(0)
        .unsigned_abs();
    shared.counters.flush_us.fetch_add(took_us, Ordering::Relaxed);
    shared.counters.flush_us_max.fetch_max(took_us, Ordering::Relaxed);
    Ok(())
}

/// Does something to the journal, where the disk is full as soon as there is room.
fn patiently(shared: &Shared, mut act: impl FnMut() -> Result<(), DiskError>) -> Result<(), String> {
    loop {
        match act() {
            Ok(()) => {
                shared.room.suffices(Writing::Journal);
                return Ok(());
            }
            Err(error) if error.is_full() => {
                let again = shared.room.ran_out(Writing::Journal, &error);
                if !again && !shared.behind.wait_for_room() {
                    return Err(error.to_string());
                }
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Moves the high watermarks, all in one step.
fn publish(shared: &Arc<Shared>, group: &[Pending]) {
    let _moving = shared.watermarks.write();
    for pending in group {
        // What is open must be known before its events can be seen.
        for (partition, turn) in &pending.turns {
            partition.transactions.turn(*turn);
        }
        for (partition, next_offset) in &pending.watermarks {
            partition.set_high_watermark(*next_offset);
        }
    }
}

/// Answers everybody; gives back where something moved.
fn answer(shared: &Arc<Shared>, group: Vec<Pending>) -> Vec<(Arc<Partition>, u64)> {
    let mut permits = 0;
    let mut moved: Vec<(Arc<Partition>, u64)> = Vec::new();
    for mut pending in group {
        permits += pending.permits as usize;
        moved.append(&mut pending.watermarks);
        pending.acknowledge();
    }
    shared.pending.add_permits(permits);
    moved
}

/// Wakes who watches.
fn tell(shared: &Arc<Shared>, moved: Vec<(Arc<Partition>, u64)>) {
    shared.commits.send_modify(|commits| *commits += 1);
    let moved = moved.iter();
    shared
        .watchers
        .tell(moved.map(|(partition, _)| (partition.stream, partition.number)));
}

fn count(shared: &Arc<Shared>, entries: &[Entry]) {
    let (mut events, mut bytes) = (0, 0);
    for entry in entries {
        if let Entry::Batch(entry) = entry {
            events += entry.batch.next_offset() - entry.batch.base_offset();
            bytes += entry.batch.bytes().len() as u64;
        }
    }
    shared.counters.events.fetch_add(events, Ordering::Relaxed);
    shared.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
    shared
        .counters
        .commits
        .fetch_add(u64::from(!entries.is_empty()), Ordering::Relaxed);
}
