//! What a turn reads of a stream, and which views take it.
//!
//! ```text
//! partition 0   0 ··············a,b··········c·············· end       a and b are read for, up to c; from there on all three share
//! partition 1   0 ··a,b,c··································· end       all three are read for
//! ```
//!
//! Invariants
//! - Of each partition those are read for that are furthest behind, up to where the next of them stand: from there on they share what is read and
//!   decoded. So a stream is read once for views that are built together, and for one that comes to another's building, once from where they meet.
//! - Of a view that is far behind the partition that was read up to the earliest moment is read next: so it passes about the moments that the log had, and
//!   the states of rows that are kept on the way are of use to those who ask for such a moment. None is starved.
//! - A turn ends where the stream ended when it began, or at its bound. Where partitions end is one moment of the log: a view that is up to date shows no
//!   event without those of other partitions that were appended before it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use headwater_eventlog::{EventLog, ReadError, StoredBatch};
use headwater_records::Position;

use crate::follow::lag;
use crate::follow::side_by_side::cores;
use crate::follow::swelling::Swelling;
use crate::limits::UP_TO_DATE_EVENTS;
use crate::{View, ViewError};

/// How much is read of one partition at once: what is still in the processor's cache when it is decoded.
const READ_BYTES: usize = 1024 * 1024;

/// So few bytes of events are folded in less time than it takes to begin a thread, give it its share and wait for its end, for each step of a slice.
const FEW_BYTES: usize = 64 * 1024;

/// What a turn reads of a stream: slices, one after another, from where the views stand to where the stream ended when it began.
pub(crate) struct Course<'a> {
    log: &'a EventLog,
    stream: &'a str,
    views: &'a [Arc<View>],
    /// Where each view stands in each partition, with what was read for it.
    stands: Vec<Vec<u64>>,
    /// Where each partition ends.
    ends: Vec<u64>,
    /// Partitions that are not at their ends, as far as is known, by the moments up to which they were read.
    left: BTreeSet<(i64, u32)>,
    /// How many bytes of events were read so far,
    pub bytes: usize,
    /// and how many events those came to, with those that are no longer kept.
    pub events: u64,
    /// Whether the views stood at several places when it began.
    pub is_spread: bool,
}

/// What is decoded, and folded, together.
#[derive(Default)]
pub(crate) struct Slice {
    /// In the order in which they are to be folded.
    pub stretches: Vec<Stretch>,
    /// What their events take, about.
    bytes: usize,
}

impl Slice {
    /// How many threads are worth it for what is in it.
    pub fn threads(&self) -> usize {
        threads_for(self.bytes)
    }

    /// What it was read from.
    pub fn batches(&self) -> impl Iterator<Item = &StoredBatch> {
        self.stretches.iter().flat_map(|stretch| &stretch.batches)
    }
}

/// How many threads are worth it for so many bytes of events: a few are folded sooner than another thread is there.
fn threads_for(bytes: usize) -> usize {
    if bytes < FEW_BYTES { 1 } else { cores() }
}

/// A stretch of one partition.
pub(crate) struct Stretch {
    pub partition: u32,
    /// Where those stand that take it,
    pub stands: u64,
    /// where what is still kept of it begins,
    pub from: u64,
    /// and where they will stand.
    pub upto: u64,
    /// How many events compaction took out in between.
    pub thinned: u64,
    pub batches: Vec<StoredBatch>,
    /// Who takes it, by their places among the views of the turn.
    pub takers: Vec<usize>,
}

/// Why nothing could be read, or what was read could not be parked, and for whom.
pub(crate) struct Unreadable {
    pub why: ViewError,
    /// By their places among the views of the turn.
    pub takers: Vec<usize>,
}

impl Stretch {
    /// How many events went before they were folded.
    pub(crate) fn lacks(&self) -> u64 {
        self.from.min(self.upto) - self.stands
    }
}

impl Slice {
    /// Whether a view takes any of it.
    pub(crate) fn is_for(&self, place: usize) -> bool {
        self.stretches.iter().any(|stretch| stretch.takers.contains(&place))
    }

    /// What concerns all that take any of it.
    pub(crate) fn unreadable(&self, why: ViewError) -> Unreadable {
        let takers: BTreeSet<usize> = self
            .stretches
            .iter()
            .flat_map(|stretch| stretch.takers.clone())
            .collect();
        Unreadable {
            why,
            takers: takers.into_iter().collect(),
        }
    }
}

impl<'a> Course<'a> {
    /// A course for these views. `reached`: when the last event was appended that was read of each partition, in the turns before it; `was_cut`: whether
    /// the turn before left some.
    pub(crate) fn begin(
        log: &'a EventLog,
        stream: &'a str,
        views: &'a [Arc<View>],
        reached: &mut Vec<i64>,
        was_cut: bool,
    ) -> Result<Course<'a>, Unreadable> {
        let Some(ends) = log.position(stream) else {
            let why = ViewError::Failed(format!("there is no stream '{stream}' any more"));
            let takers = (0..views.len()).collect();
            return Err(Unreadable { why, takers });
        };
        let ends: Vec<u64> = ends.iter().map(|(_, _, end)| end).collect();
        let partitions = ends.len() as u32;
        let stands: Vec<Vec<u64>> = views.iter().map(|view| stands(stream, view, partitions)).collect();
        reached.resize(ends.len(), 0);
        let is_far = was_cut || stands.iter().any(|of_view| left_of(of_view, &ends) > UP_TO_DATE_EVENTS);
        let left = reached.iter().map(|reached| if is_far { *reached } else { 0 });
        let left = left.zip(0..).collect();
        Ok(Course {
            log,
            stream,
            views,
            is_spread: stands.iter().any(|of_view| Some(of_view) != stands.first()),
            stands,
            ends,
            left,
            bytes: 0,
            events: 0,
        })
    }

    /// The next slice, of so many bytes at most or a little more; an empty one at the end of the course.
    pub(crate) fn next(
        &mut self,
        reached: &mut [i64],
        swelling: &Swelling,
        bytes_max: usize,
    ) -> Result<Slice, Unreadable> {
        let mut slice = Slice::default();
        while slice.bytes < bytes_max
            && let Some((before, partition)) = self.left.pop_first()
        {
            // One that has no more has none in this turn.
            let Some(stretch) = self.stretch(partition, swelling.to_read(READ_BYTES))? else {
                continue;
            };
            let last = stretch.batches.last().map_or(before, |last| last.appended_at_us);
            self.left.insert((last, partition));
            reached[partition as usize] = last;
            slice.bytes += swelling.bytes_of(&stretch.batches);
            slice.stretches.push(stretch);
        }
        self.bytes += slice.bytes;
        Ok(slice)
    }

    /// The next stretch of a partition, where there is one.
    fn stretch(&mut self, partition: u32, bytes_max: usize) -> Result<Option<Stretch>, Unreadable> {
        let at = partition as usize;
        let of_partition: Vec<u64> = self.stands.iter().map(|of_view| of_view[at]).collect();
        let decoder = |place: usize| self.views[place].decoder(self.stream);
        let read_alike = |one, other| decoder(one) == decoder(other);
        let Some(whose) = whose_turn(&of_partition, self.ends[at], read_alike) else {
            return Ok(None);
        };
        let stretch = read(self.log, self.stream, partition, whose, bytes_max)?;
        if let Some(stretch) = &stretch {
            for taker in &stretch.takers {
                self.stands[*taker][at] = stretch.upto;
            }
            self.events += stretch.upto - stretch.stands;
        }
        Ok(stretch)
    }
}

/// Who is read for next in a partition, from where, and up to where.
#[derive(Debug, PartialEq, Eq)]
struct Whose {
    takers: Vec<usize>,
    stands: u64,
    bound: u64,
}

/// Those that are furthest behind, up to where others stand, or to the end. Only those go together that read alike. `None`: all stand at the end.
fn whose_turn(stands: &[u64], end: u64, read_alike: impl Fn(usize, usize) -> bool) -> Option<Whose> {
    let lowest = *stands.iter().min()?;
    if lowest >= end {
        return None;
    }
    let mut takers: Vec<usize> = Vec::new();
    for (place, _) in stands.iter().enumerate().filter(|(_, stands)| **stands == lowest) {
        if takers.first().is_none_or(|first| read_alike(*first, place)) {
            takers.push(place);
        }
    }
    let others = stands.iter().filter(|stands| **stands > lowest).min();
    Some(Whose {
        takers,
        stands: lowest,
        bound: others.map_or(end, |others| end.min(*others)),
    })
}

/// Reads a stretch. `None`: what was to be read was deleted just now; the next turn begins where the stream does then.
fn read(
    log: &EventLog,
    stream: &str,
    partition: u32,
    whose: Whose,
    bytes_max: usize,
) -> Result<Option<Stretch>, Unreadable> {
    let Whose { takers, stands, bound } = whose;
    let Some(kept) = log.offsets(stream, partition) else {
        return Ok(None);
    };
    // What a view had not folded before it went, it lacks.
    let from = stands.max(kept.start);
    let mut batches = match log.read(stream, partition, from, bytes_max) {
        Ok(batches) => batches,
        Err(ReadError::OutOfRange { .. }) => return Ok(None),
        Err(error) => {
            let why = match error {
                ReadError::Short { .. } => ViewError::Full(error.to_string()),
                error => ViewError::Failed(error.to_string()),
            };
            return Err(Unreadable { why, takers });
        }
    };
    batches.retain(|stored| stored.batch.base_offset() < bound);
    // Where nothing is left up to there, the views stand there.
    let upto = batches.last().map_or(bound, |last| last.batch.next_offset());
    // Asked for again: what was taken out before it was read lies below what it says now.
    let compacted = log.offsets(stream, partition).map_or(0, |offsets| offsets.compacted);
    Ok(Some(Stretch {
        thinned: thinned(from..upto.min(compacted), &batches),
        partition,
        stands,
        from,
        upto,
        batches,
        takers,
    }))
}

/// How many offsets of a range that was compacted have no event. Markers and what transactions took back are among them, as nobody can tell any more.
fn thinned(offsets: Range<u64>, batches: &[StoredBatch]) -> u64 {
    let left = batches.iter().map(|stored| {
        let own = stored.batch.next_offset().min(offsets.end);
        let own = own.saturating_sub(stored.batch.base_offset().max(offsets.start));
        own.min(u64::from(stored.batch.event_count()))
    });
    offsets.end.saturating_sub(offsets.start).saturating_sub(left.sum())
}

/// How many offsets there are from where a view stands to the ends.
fn left_of(stands: &[u64], ends: &[u64]) -> u64 {
    let left = stands.iter().zip(ends).map(|(stands, end)| end.saturating_sub(*stands));
    left.sum()
}

/// Where a view stands in each partition.
fn stands(stream: &str, view: &View, partitions: u32) -> Vec<u64> {
    let position = view.position.borrow();
    (0..partitions)
        .map(|partition| position.get(stream, partition))
        .collect()
}

/// How many events a view has not folded that are kept, up to a position.
pub(crate) fn behind(stream: &str, view: &View, end: &Position, log: &EventLog) -> u64 {
    let position = view.position.borrow();
    let of_partition = |partition: u32, end: u64| {
        let left = position.get(stream, partition)..end;
        lag::events_in(lag::kept(log, stream, partition, left))
    };
    end.of(stream)
        .iter()
        .map(|(_, partition, end)| of_partition(partition, end))
        .sum()
}

/// Those that are far behind the others.
pub(crate) fn stragglers(stream: &str, views: Vec<Arc<View>>, log: &EventLog) -> Vec<Arc<View>> {
    let mut front = Position::new();
    for view in &views {
        front.advance_all(&view.position.borrow().of(stream));
    }
    let is_far = |view: &Arc<View>| behind(stream, view, &front, log) > UP_TO_DATE_EVENTS;
    views.into_iter().filter(is_far).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_events_take_one_thread() {
        for (bytes, threads) in [(0, 1), (FEW_BYTES - 1, 1), (FEW_BYTES, cores())] {
            assert_eq!(threads_for(bytes), threads, "{bytes}");
        }
    }

    #[test]
    fn those_behind_go_first_and_meet_the_others() {
        let check = |stands: &[u64], end: u64, expected: Option<(&[usize], u64, u64)>| {
            let expected = expected.map(|(takers, stands, bound)| Whose {
                takers: takers.to_vec(),
                stands,
                bound,
            });
            // The last one reads otherwise.
            let read_alike = |one, other| one != 3 && other != 3;
            assert_eq!(whose_turn(stands, end, read_alike), expected, "{stands:?}");
        };
        check(&[], 9, None);
        check(&[9, 9], 9, None);
        check(&[10, 9], 9, None);
        check(&[4, 4], 9, Some((&[0, 1], 4, 9)));
        check(&[4, 7, 4], 9, Some((&[0, 2], 4, 7)));
        check(&[4, 12, 12], 9, Some((&[0], 4, 9)));
        check(&[4, 5, 4, 4], 9, Some((&[0, 2], 4, 5)));
        check(&[5, 5, 5, 4], 9, Some((&[3], 4, 5)));
    }
}
