//! Batches from a history into another log, at their offsets, with their times and principals.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use headwater_eventlog::{AppendOutcome, EventLog, Part, PrefixBatch};
use headwater_host::simulated::SimulatedClock;
use headwater_http_api::history::HistoryHead;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::{Builder, Runtime};

use super::source::History;
use crate::announce::say;
use crate::exit::{Exit, Failure, OrExit};

/// How many batches may be on their way to the disk: enough for full groups.
const UNDER_WAY_MAX: usize = 1_000;
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);
/// Who stands beside the gaps of what is no longer kept.
const PRINCIPAL: &str = "headwater";

/// What was copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Copied {
    /// Streams.
    pub streams: usize,
    /// Events.
    pub events: u64,
}

/// A batch that was handed over: where it has to land, and the outcome.
struct UnderWay {
    base: u64,
    place: String,
    outcome: AppendOutcome,
}

/// Copies a whole history into an empty log, whose clock this is.
pub fn all(history: &mut History, into: &EventLog, clock: &SimulatedClock) -> Result<Copied, Failure> {
    let runtime = Builder::new_current_thread().build().or_exit(Exit::Failed)?;
    for (id, name, partitions, settings) in history.streams()? {
        into.restore_stream(id, name, partitions, settings)
            .or_exit(Exit::Failed)?;
    }
    let mut copied = Copied {
        streams: history.head.streams.len(),
        events: 0,
    };
    let mut progress = Progress::new(history.head.events)?;
    let mut under_way: VecDeque<UnderWay> = VecDeque::new();
    while let Some(batch) = history.next_batch()? {
        let span = batch.stored.batch.next_offset() - batch.stored.batch.base_offset();
        copied.events += u64::from(batch.stored.batch.event_count());
        under_way.push_back(hand_over(&runtime, into, clock, batch));
        if under_way.len() >= UNDER_WAY_MAX {
            landed(&runtime, under_way.pop_front())?;
        }
        progress.add(span);
    }
    while let Some(one) = under_way.pop_front() {
        landed(&runtime, Some(one))?;
    }
    progress.finish();
    bounds(&runtime, &history.head, into)?;
    Ok(copied)
}

fn hand_over(runtime: &Runtime, into: &EventLog, clock: &SimulatedClock, batch: PrefixBatch) -> UnderWay {
    let PrefixBatch {
        stream,
        partition,
        stored,
    } = batch;
    clock.set(stored.appended_at_us);
    let base = stored.batch.base_offset();
    let place = format!("{stream}/{partition}@{base}");
    let part = Part {
        stream,
        partition,
        batch: stored.batch,
    };
    UnderWay {
        base,
        place,
        outcome: runtime.block_on(into.restore(part, &stored.principal)),
    }
}

fn landed(runtime: &Runtime, one: Option<UnderWay>) -> Result<(), Failure> {
    let Some(UnderWay { base, place, outcome }) = one else {
        return Ok(());
    };
    let appended = runtime.block_on(outcome).or_exit(Exit::Failed)?.or_exit(Exit::Failed)?;
    match appended.base_offsets.first() {
        Some(landed) if *landed == base => Ok(()),
        other => Err(Failure::new(
            Exit::Failed,
            format!("{place} was copied to the offset {other:?}: this is a bug"),
        )),
    }
}

/// What lies below a start, behind the last batch, or was compacted, is no more in the copy than it was in the log.
fn bounds(runtime: &Runtime, head: &HistoryHead, into: &EventLog) -> Result<(), Failure> {
    for partition in &head.partitions {
        let (stream, number) = (partition.stream.as_str(), partition.partition);
        let end = partition.end.max(partition.start.min(partition.end));
        runtime.block_on(into.restore_end(stream, number, end, PRINCIPAL));
        let start = partition.start.min(end);
        if start > 0 {
            wait_for(into, stream, number, start);
            into.delete_records(stream, number, start).or_exit(Exit::Failed)?;
        }
        let compacted = partition.compacted.min(end);
        if compacted > 0 {
            into.restore_compacted(stream, number, compacted, partition.compacted_at_us)
                .or_exit(Exit::Failed)?;
        }
    }
    Ok(())
}

/// Until what was handed over last is durable.
fn wait_for(log: &EventLog, stream: &str, partition: u32, next: u64) {
    let reached = || {
        log.offsets(stream, partition)
            .is_none_or(|offsets| offsets.high_watermark >= next)
    };
    while !reached() && log.stopped().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How far the copy is: a bar on a terminal, lines elsewhere.
struct Progress {
    bar: ProgressBar,
    lines: bool,
    said: Instant,
}

impl Progress {
    fn new(events: u64) -> Result<Progress, Failure> {
        let style = "{bar:40} {human_pos} of {human_len} events, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(style).or_exit(Exit::Failed)?;
        let lines = !io::stderr().is_terminal();
        let bar = ProgressBar::new(events).with_style(style);
        if lines {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Ok(Progress {
            bar,
            lines,
            said: Instant::now(),
        })
    }

    fn add(&mut self, events: u64) {
        self.bar.inc(events);
        if self.lines && self.said.elapsed() >= LINE {
            self.said = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            say(&format!("copied {} of {} events", HumanCount(done), HumanCount(all)));
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
