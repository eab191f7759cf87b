//! Events of several partitions, of one stream or several, in the order in which they were appended: what one after another did to a row is told of in no other.
//!
//! ```text
//! partition 0   1 4 6 …           taken: 1 2 3 4, then 6
//! partition 1   2 3 7             7 waits for what partition 0 has behind 6
//! partition 2   (5) 8             of an open transaction: then 6 and what is behind it wait until that is decided
//! ```
//!
//! A batch has one moment, and a partition's moments ascend. All partitions are read up to where they stood at once: what comes later was appended
//! later. What was read and is not taken yet is read again.
//!
//! Invariant: when an event is taken, every event that is before it (by moment, stream, partition, offset) is taken, or was taken back.

use headwater_eventlog::{ReadError, StoredBatch};

use super::limits::{DECODE_EVENTS, ORDERED_READ_BYTES_MIN, READ_BYTES};
use super::runner::{Halt, Runner};
use crate::decode::portions;

/// What was read of a partition.
struct Read {
    stream: String,
    partition: u32,
    /// Where it begins: a batch may begin before it.
    from: u64,
    batches: Vec<StoredBatch>,
    /// The moment from which on the partition may have more that can be taken only later.
    more_from: Option<i64>,
    /// Whether that is undecided.
    is_undecided: bool,
}

/// What is known of the moments of a partition's batches.
struct Moments {
    moments: Vec<i64>,
    more_from: Option<i64>,
}

/// Which batches come next, one after another, as runs: of which read, and how many. Of those of one moment the earlier read comes first. Ends where somebody may have something earlier.
fn runs(reads: &[Moments]) -> Vec<(usize, usize)> {
    let mut heads = vec![0; reads.len()];
    let mut runs: Vec<(usize, usize)> = Vec::new();
    loop {
        let head = |at: usize| Some((*reads[at].moments.get(heads[at])?, at));
        let Some((moment, first)) = (0..reads.len()).filter_map(head).min() else {
            return runs;
        };
        let may_wait = |(at, read): (usize, &Moments)| {
            at == first || read.more_from.is_none_or(|more| (moment, first) < (more, at))
        };
        if !reads.iter().enumerate().all(may_wait) {
            return runs;
        }
        heads[first] += 1;
        match runs.last_mut() {
            Some((last, count)) if *last == first => *count += 1,
            _ => runs.push((first, 1)),
        }
    }
}

impl Runner {
    /// Takes some of what is new, in the order in which it was appended. `true`: there was something.
    pub(super) async fn turn_in_order(&mut self) -> Result<bool, Halt> {
        let ends = self.log.position_of_all(self.source.streams());
        let bytes_max = (READ_BYTES / ends.iter().count().max(1)).max(ORDERED_READ_BYTES_MIN);
        let mut reads: Vec<Read> = Vec::new();
        // By stream and partition.
        for (stream, partition, end) in ends.iter() {
            match self.read(stream, partition, end, bytes_max) {
                Ok(read) => reads.push(read),
                // Deleted meanwhile: the next turn begins where the stream does then.
                Err(ReadError::OutOfRange { .. }) => return Ok(true),
                Err(error @ ReadError::Short { .. }) => {
                    self.wait(&error.to_string()).await?;
                    return Ok(true);
                }
                Err(error) => return Err(Halt::Failed(error.to_string())),
            }
        }
        let moments = reads.iter().map(|read| Moments {
            moments: read.batches.iter().map(|stored| stored.appended_at_us).collect(),
            more_from: read.more_from,
        });
        let runs = runs(&moments.collect::<Vec<Moments>>());
        if runs.is_empty() {
            let undecided = reads.iter().find(|read| read.is_undecided);
            let is_held = reads.iter().any(|read| !read.batches.is_empty());
            self.shared.status.lock().waiting = undecided.filter(|_| is_held).map(|read| {
                let Read { stream, partition, .. } = read;
                format!("a transaction is open in {stream}/{partition}, and what was appended after its events is told after it ended")
            });
            return Ok(false);
        }
        self.views_have_folded().await?;
        for (at, count) in runs {
            let run: Vec<StoredBatch> = reads[at].batches.drain(..count).collect();
            let Read {
                stream,
                partition,
                from,
                ..
            } = &reads[at];
            for portion in portions(&run, DECODE_EVENTS) {
                self.portion(stream, *partition, portion, *from).await?;
            }
            self.go_on().await?;
        }
        Ok(true)
    }

    /// Reads some of a partition below an end.
    fn read(&mut self, stream: &str, partition: u32, end: u64, bytes_max: usize) -> Result<Read, ReadError> {
        let kept = self.log.offsets(stream, partition).unwrap_or_default();
        let from = self.begin(stream, partition, kept.start);
        let mut batches = match from < end {
            true => self.log.read(stream, partition, from, bytes_max)?,
            false => Vec::new(),
        };
        batches.retain(|stored| stored.batch.base_offset() < end);
        let mut read = Read {
            stream: stream.to_owned(),
            partition,
            from,
            more_from: None,
            is_undecided: false,
            batches,
        };
        match read.batches.last() {
            Some(last) if last.batch.next_offset() < end => read.more_from = Some(last.appended_at_us),
            None if from < end => self.reached.position.set(stream, partition, end),
            _ => {}
        }
        if read.more_from.is_none() && kept.high_watermark > end {
            let stored = self.log.read_stored(stream, partition, end, u64::MAX, 1)?;
            read.more_from = stored.first().map(|stored| stored.appended_at_us);
            read.is_undecided = kept.stable == end;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads, each the moments of its batches and from when on there may be more; then the runs.
    fn check(reads: &[(&[i64], Option<i64>)], expected: &[(usize, usize)]) {
        let moments = |(moments, more_from): &(&[i64], Option<i64>)| Moments {
            moments: moments.to_vec(),
            more_from: *more_from,
        };
        let reads: Vec<Moments> = reads.iter().map(moments).collect();
        assert_eq!(runs(&reads), expected);
    }

    #[test]
    fn the_earliest_comes_next_as_long_as_nothing_earlier_may_come() {
        check(&[], &[]);
        check(&[(&[], None), (&[], None)], &[]);
        check(&[(&[1, 2, 3], None)], &[(0, 3)]);
        check(&[(&[4, 5], None), (&[1, 2, 7], None)], &[(1, 2), (0, 2), (1, 1)]);
        // One append brought several partitions.
        check(&[(&[1, 1], None), (&[1, 1], None)], &[(0, 2), (1, 2)]);
        // The first has more behind what was read of it.
        check(&[(&[1, 4, 6], Some(6)), (&[2, 3, 7], None)], &[(0, 1), (1, 2), (0, 2)]);
        check(&[(&[1, 4], Some(4)), (&[4], None)], &[(0, 2)]);
        check(&[(&[4], None), (&[1, 4], Some(4))], &[(1, 1), (0, 1), (1, 1)]);
        // Nothing was read of what is undecided.
        check(&[(&[1, 4, 6], None), (&[], Some(5))], &[(0, 2)]);
        check(&[(&[], Some(1)), (&[1, 2], None)], &[]);
        check(&[(&[1, 2], None), (&[], Some(1))], &[(0, 1)]);
    }
}
