//! Writing: takes the open group whole, writes one frame, flushes once, moves the high watermarks, answers, and wakes whoever reads on.
//! Those who wait for an answer come first: their clients wait too.
//!
//! The writer thread does that, or an append that is alone (`sequencer/hand.rs`): whoever has a group in hand has the journal too.
//!
//! Invariant: after a failed write or flush nobody ever writes again, but for a write that did not fit on a full disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::append::journal::format::Entry;
use crate::append::journal::writer::JournalWriter;
use crate::append::room::Writing;
use crate::append::sequencer::{InHand, Pending};
use crate::files::DiskError;
use crate::keep::behind::DurableGroup;
use crate::shared::Shared;
use crate::streams::Partition;
use crate::wait::aside;

/// Runs until the log closes or stops.
pub(crate) fn run(shared: &Arc<Shared>) {
    while let Some(hand) = shared.sequencer.next_group() {
        write_group(shared, hand);
    }
}

/// Writes the group that was left to an append that is alone.
pub(crate) fn write_left(shared: &Arc<Shared>) {
    write_group(shared, shared.sequencer.group_left());
}

/// That the log stops where writing breaks off: what has come to the disk only recovery may judge.
struct Unbroken<'a>(&'a Shared);

impl Drop for Unbroken<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("writing it panicked");
        }
    }
}

fn write_group(shared: &Arc<Shared>, mut hand: InHand<'_>) {
    // Dropped before the hand: nobody has a group after that.
    let _unbroken = Unbroken(shared);
    let mut group = std::mem::take(&mut hand.group);
    let entries: Vec<Entry> = group
        .iter_mut()
        .flat_map(|pending| std::mem::take(&mut pending.entries))
        .collect();
    let is_durable = !entries.is_empty();
    let mut journal = shared.journal.lock();
    let mut durable: Option<(DurableGroup, bool)> = None;
    let mut flush_us = 0;
    if let Some(journal) = journal.as_mut().filter(|_| is_durable) {
        match write(shared, journal, &entries) {
            Ok(took_us) => flush_us = took_us,
            Err(why) => {
                shared.stop(&why);
                group.into_iter().for_each(|pending| pending.refuse(&why));
                return;
            }
        }
        let written = DurableGroup {
            sequence: journal.last_sequence(),
            bytes: group.iter().map(|pending| pending.bytes).sum(),
            entries,
        };
        durable = Some((written, journal.is_half_full()));
    }
    hand.flushed(flush_us);
    publish(shared, &group);
    if let Some((group, is_half_full)) = durable {
        count(shared, &group.entries);
        shared.behind.put(group, is_half_full);
    }
    let moved = answer(shared, group);
    tell(shared, moved);
    if is_durable && shared.behind.is_too_much() {
        aside(|| shared.behind.wait_for_segments());
    }
}

/// Writes entries as a frame; how long its flush took, microseconds.
fn write(shared: &Arc<Shared>, journal: &mut JournalWriter, entries: &[Entry]) -> Result<u64, String> {
    let frame_bytes = journal.lay_out(entries.iter());
    if !journal.fits(frame_bytes) {
        let last_sequence = journal.last_sequence();
        aside(|| {
            let behind = &shared.behind;
            behind.turn(frame_bytes, last_sequence, |next| journal.turn_to(next))
        })?;
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
    Ok(took_us)
}

/// Does something to the journal, where the disk is full as soon as there is room.
fn patiently(shared: &Shared, mut act: impl FnMut() -> Result<(), DiskError>) -> Result<(), String> {
    loop {
        match act() {
            Ok(()) => {
                shared.room.suffices(Writing::Journal);
                return Ok(());
            }
            Err(error) if error.is_shortage() => {
                let again = shared.room.ran_out(Writing::Journal, &error);
                if !again && !aside(|| shared.behind.wait_for_room()) {
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
    shared.counters.commits.fetch_add(1, Ordering::Relaxed);
}
