//! Passing stored batches on from their file into a socket, without a look at them: what was read and checked once since the log was opened need not be copied here
//! and checked again for each of its readers.
//!
//! A disk that changes what it holds between two readings of a batch would be noticed by the reader's own check of the CRC, and by whatever folds
//! it: those always read and check.
//!
//! Invariants
//! - What is passed on was checked, as it stood in the same segment, since the log was opened.
//! - It is in memory, as far as a look at some of its pages can say: the socket's thread waits for no disk.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;

use parking_lot::Mutex;

use crate::keep::segment::reader::{Opened, Place};
use crate::limits::{CHECKED_MAX, PASS_BYTES_MIN, PASS_LOOK_BYTES};

/// A segment: its stream, partition, base and generation.
type SegmentKey = (u128, u32, u64, u32);

/// What of segments was checked: where it begins, and where it ends.
#[derive(Default)]
pub(crate) struct Checked {
    stretches: Mutex<BTreeMap<(SegmentKey, u64), u64>>,
}

/// Bytes of a file that are being passed on.
pub(crate) struct Passage {
    batches: Opened,
    begin: u64,
    at: u64,
    left: usize,
}

fn key(place: &Place) -> SegmentKey {
    let segment = &place.segment;
    (place.stream, place.partition, segment.base, segment.generation)
}

impl Checked {
    /// These bytes were checked.
    pub(crate) fn add(&self, place: &Place, begin: u64, end: u64) {
        let key = key(place);
        let mut stretches = self.stretches.lock();
        if stretches.len() >= CHECKED_MAX {
            stretches.clear();
        }
        let (mut begin, mut end) = (begin, end);
        // Those that it touches become one with it.
        while let Some((&(of, from), &to)) = stretches.range(..=(key, end)).next_back() {
            if of != key || to < begin {
                break;
            }
            (begin, end) = (begin.min(from), end.max(to));
            stretches.remove(&(key, from));
        }
        stretches.insert((key, begin), end);
    }

    /// Whether these bytes were checked.
    pub(crate) fn covers(&self, place: &Place, begin: u64, end: u64) -> bool {
        let key = key(place);
        let stretches = self.stretches.lock();
        let before = stretches.range(..=(key, begin)).next_back();
        before.is_some_and(|(&(of, _), &to)| of == key && end <= to)
    }
}

impl Passage {
    /// Bytes to be passed on; `None` where they are few, or a look at them says that they are not in memory.
    pub(crate) fn new(batches: Opened, at: u64, bytes: usize) -> Option<Passage> {
        if bytes < PASS_BYTES_MIN {
            return None;
        }
        let last = at + bytes as u64 - 1;
        let mut looks = (at..last).step_by(PASS_LOOK_BYTES).chain([last]);
        let is_there = looks.all(|at| batches.file.read_cached_at(&mut [0], at).unwrap_or(false));
        is_there.then_some(Passage {
            batches,
            begin: at,
            at,
            left: bytes,
        })
    }

    /// Whether everything went.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Passes on what the socket takes; how many bytes. `None` where that cannot be done, and nothing went.
    pub(crate) fn go_on(&mut self, to: BorrowedFd<'_>) -> io::Result<Option<usize>> {
        match self.batches.file.pass_on(to, self.at, self.left)? {
            None if self.at == self.begin => Ok(None),
            None | Some(0) => {
                let path = self.batches.path.display();
                let why = format!("{path} cannot be passed on from byte {} on, as it was before", self.at);
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
            }
            Some(passed) => {
                self.at += passed as u64;
                self.left -= passed;
                Ok(Some(passed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::segment::Segment;

    #[test]
    fn what_was_checked_is_known_by_its_segment_and_bytes() {
        let place = |partition: u32, base: u64| Place {
            stream: 1,
            partition,
            segment: Segment::new(base, 0),
        };
        let checked = Checked::default();
        for (partition, begin, end) in [(0, 100, 200), (0, 400, 500), (1, 0, 1_000), (0, 200, 300)] {
            checked.add(&place(partition, 7), begin, end);
        }
        let check = |at: &Place, begin: u64, end: u64, expected: bool| {
            assert_eq!(checked.covers(at, begin, end), expected, "{begin}..{end}");
        };
        let here = place(0, 7);
        check(&here, 100, 300, true);
        check(&here, 150, 250, true);
        check(&here, 99, 300, false);
        check(&here, 100, 301, false);
        check(&here, 300, 400, false);
        check(&here, 100, 500, false);
        check(&here, 400, 500, true);
        check(&place(0, 8), 100, 200, false);
        check(&place(2, 7), 100, 200, false);
        check(&place(1, 7), 0, 1_000, true);
        checked.add(&here, 250, 450);
        check(&here, 100, 500, true);
        assert_eq!(checked.stretches.lock().len(), 2);
    }

    #[test]
    fn so_much_is_remembered_and_no_more() {
        let checked = Checked::default();
        let place = Place {
            stream: 1,
            partition: 0,
            segment: Segment::new(0, 0),
        };
        for number in 0..=CHECKED_MAX as u64 {
            checked.add(&place, number * 10, number * 10 + 5);
        }
        assert!(checked.covers(&place, CHECKED_MAX as u64 * 10, CHECKED_MAX as u64 * 10 + 5));
        assert!(!checked.covers(&place, 0, 5), "all that came before was forgotten");
        assert_eq!(checked.stretches.lock().len(), 1);
    }
}
