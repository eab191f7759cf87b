//! Runs that become one: which, and how.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::entities::run::blocks::{BlockError, Reading};
use crate::entities::run::format::Entry;
use crate::entities::run::reader::{Place, Run};
use crate::entities::run::writer::RunWriter;
use crate::limits::{RUN_POSTINGS_LEAST, RUNS_OF_A_SIZE};

/// The runs that are to become one: as many of about one size as there may be. A size is four times the one below.
pub(crate) fn choose(runs: &[Arc<Run>]) -> Vec<Arc<Run>> {
    let size = |run: &Run| (run.postings / RUN_POSTINGS_LEAST).max(1).ilog2() / 2;
    let mut sizes: Vec<u32> = runs.iter().map(|run| size(run)).collect();
    sizes.sort_unstable();
    let full = sizes
        .windows(RUNS_OF_A_SIZE)
        .find(|window| window.first() == window.last())
        .and_then(|window| window.first().copied());
    let Some(full) = full else { return Vec::new() };
    // What is smaller goes along.
    runs.iter().filter(|run| size(run) <= full).cloned().collect()
}

/// Writes the entries of runs into one, but for those that need not stay. `go_on` is asked now and then; says whether it came to the end.
pub(crate) fn merge(
    blocks: Reading<'_>,
    runs: &[Arc<Run>],
    writer: &mut RunWriter,
    mut stays: impl FnMut(&Entry) -> bool,
    mut go_on: impl FnMut() -> bool,
) -> Result<bool, BlockError> {
    let mut places: Vec<Option<Place>> = Vec::with_capacity(runs.len());
    let mut heads = BinaryHeap::new();
    for (number, run) in runs.iter().enumerate() {
        let mut place = run.begin(blocks)?;
        if let Some(place) = &mut place
            && let Some(entry) = run.next(blocks, place)?
        {
            heads.push(Reverse((entry.key(), number, Head(entry))));
        }
        places.push(place);
    }
    let mut passed: u64 = 0;
    while let Some(Reverse((_, number, Head(entry)))) = heads.pop() {
        passed += 1;
        if passed.is_multiple_of(RUN_POSTINGS_LEAST) && !go_on() {
            return Ok(false);
        }
        if stays(&entry) {
            writer.put(&entry).map_err(BlockError::Disk)?;
        }
        if let Some(place) = &mut places[number]
            && let Some(entry) = runs[number].next(blocks, place)?
        {
            heads.push(Reverse((entry.key(), number, Head(entry))));
        }
    }
    Ok(true)
}

/// An entry that takes no part in the comparison of heads.
struct Head(Entry);

impl PartialEq for Head {
    fn eq(&self, _: &Head) -> bool {
        true
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, _: &Head) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn runs_of_a_size_become_one() {
        let check = |postings: &[u64], expected: &[u64]| {
            let runs: Vec<Arc<Run>> = postings
                .iter()
                .enumerate()
                .map(|(number, postings)| {
                    let postings = postings * RUN_POSTINGS_LEAST;
                    Arc::new(Run::new(PathBuf::new(), number as u64, 1, postings))
                })
                .collect();
            let found: Vec<u64> = choose(&runs)
                .iter()
                .map(|run| run.postings / RUN_POSTINGS_LEAST)
                .collect();
            assert_eq!(found, expected, "{postings:?}");
        };
        check(&[], &[]);
        check(&[1, 1, 1], &[]);
        check(&[1, 1, 0, 1], &[1, 1, 0, 1]);
        check(&[16, 4, 1, 1, 1, 1], &[1, 1, 1, 1]);
        check(&[16, 4, 5, 7, 15, 1], &[4, 5, 7, 15, 1]);
        check(&[64, 16, 4, 1], &[]);
    }
}
