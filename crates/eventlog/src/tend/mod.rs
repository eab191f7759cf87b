//! What is done to old events every so often, on a thread of its own: retention, compaction, and files that nothing names any more. Lists of what was
//! taken back that are damaged are made anew here too.
//!
//! A round never stops the log: what fails in one partition is said and tried again in the next round.

pub(crate) mod compaction;
pub(crate) mod expire;
pub(crate) mod folded;
pub(crate) mod tending;

use std::sync::Arc;

use crate::error::StreamError;
use crate::keep::behind::Task;
use crate::keep::segment::cut::Cut;
use crate::limits::SWEEP_PAUSE;
use crate::read::PartitionReader;
use crate::read::taken_back;
use crate::shared::Shared;
use crate::streams::Stream;
use crate::streams::settings::StreamSettings;
use crate::tend::compaction::pass::{PassError, compact};
use crate::tend::expire::new_start;
use crate::told::Tended;

impl Shared {
    pub(crate) fn is_ending(&self) -> bool {
        self.sequencer.stopped().is_some() || self.tending.is_stopping()
    }
}

/// Runs rounds until the log closes.
pub(crate) fn run(shared: &Arc<Shared>) {
    loop {
        let is_asked = shared.tending.pause_unless_asked(shared.options.tend_every);
        if shared.tending.is_stopping() {
            return;
        }
        match is_asked {
            true => taken_back::make_anew(shared),
            false => drop(round(shared)),
        }
    }
}

/// One round.
pub(crate) fn round(shared: &Arc<Shared>) -> Tended {
    let mut tended = Tended::default();
    if let Err(error) = shared.claim.check(shared.host.disk.as_ref()) {
        shared.stop(&error.to_string());
        return tended;
    }
    taken_back::make_anew(shared);
    let mut swept = shared.tending.round.lock();
    *swept = *swept || sweep(shared);
    let streams: Vec<Arc<Stream>> = shared.streams.read().by_id.values().cloned().collect();
    for stream in streams {
        let settings = stream.settings.read().clone();
        if !settings.cleanup().compact && settings.retention_ms().is_none() && settings.retention_bytes().is_none() {
            continue;
        }
        for partition in &stream.partitions {
            if shared.is_ending() {
                return tended;
            }
            let reader = PartitionReader {
                shared,
                partition: partition.clone(),
                stream: &stream.name,
            };
            tend_partition(&reader, &settings, *swept, &mut tended);
        }
    }
    shared.behind.ask(Task::Remove);
    if tended != Tended::default() {
        // Entity indexes may be rid of what is gone.
        shared.desk.ring();
    }
    tended
}

/// Removes files that no segment has; whether none is left. A keeper whose disk is full refuses.
fn sweep(shared: &Shared) -> bool {
    while !shared.is_ending() {
        if shared.behind.ask(Task::Sweep) {
            return shared.behind.ask(Task::Remove);
        }
        if shared.room.refusal().is_some() {
            return false;
        }
        shared.tending.pause(SWEEP_PAUSE);
    }
    false
}

/// Nothing is written anew where files may be left behind: one of them may have the name that a new one gets, and be removed under it.
fn tend_partition(reader: &PartitionReader<'_>, settings: &StreamSettings, swept: bool, tended: &mut Tended) {
    let (stream, number) = (reader.stream, reader.partition.number);
    if settings.cleanup().delete {
        match expire(reader, settings) {
            Ok(moved) => tended.starts_moved += u64::from(moved),
            // Dropped meanwhile, or the log stopped and has said why.
            Err(StreamError::Unknown(_) | StreamError::Stopped(_)) => {}
            Err(error) => tracing::warn!("events of {stream}/{number} beyond the retention stay for now: {error}"),
        }
    }
    if settings.cleanup().compact && swept {
        close_old(reader, settings);
        match compact(reader, settings) {
            Ok(segments) => tended.segments_compacted += segments,
            Err(PassError::BrokenOff) => {}
            Err(PassError::Failed(why)) => tracing::warn!("{stream}/{number} was not compacted: {why}"),
        }
    }
}

fn expire(reader: &PartitionReader<'_>, settings: &StreamSettings) -> Result<bool, StreamError> {
    let partition = &reader.partition;
    let segments = partition.segments.lock().clone();
    let now_us = reader.shared.host.clock.now_us();
    match new_start(&segments, settings, partition.stable(), now_us) {
        Some(start) if start > partition.start().offset => {
            tracing::info!(
                stream = reader.stream,
                partition = partition.number,
                start,
                "events beyond the retention are deleted"
            );
            reader.shared.move_start(reader, start).map(|()| true)
        }
        _ => Ok(false),
    }
}

/// Closes the segment that is being written where it was begun long ago, so that it can be compacted though nobody writes any more.
fn close_old(reader: &PartitionReader<'_>, settings: &StreamSettings) {
    let last = reader.partition.segments.lock().last().copied();
    let now_us = reader.shared.host.clock.now_us();
    let cut = Cut::of(settings, reader.shared.options.segment_bytes);
    if let Some(last) = last.filter(|last| !last.closed && cut.is_old(last, now_us)) {
        reader.shared.behind.ask(Task::Close {
            stream: reader.partition.stream,
            partition: reader.partition.number,
            base: last.base,
        });
    }
}
