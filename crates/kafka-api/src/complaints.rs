//! What is written down of clients that break the rules: so many lines in a while, and then how many there would have been.
//!
//! Whoever can reach the door can break a rule as often as they like; the log's reader is to learn of it, and its disk not to fill up.

use std::time::Instant;

use parking_lot::Mutex;

use crate::limits::{COMPLAINTS_MAX, COMPLAINTS_WINDOW};

/// Says whether there is a line for one more complaint. One for the whole door.
#[derive(Default)]
pub(crate) struct Complaints(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the first line of this while was written.
    since: Option<Instant>,
    written: u32,
    unwritten: u64,
}

impl Complaints {
    /// Writes a line, or does not: `line` is told how many were not written since the last one.
    pub(crate) fn line(&self, line: impl FnOnce(u64)) {
        // Written without the lock: whoever takes the lines may be slow.
        if let Some(unwritten) = self.take(Instant::now()) {
            line(unwritten);
        }
    }

    fn take(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        let is_new = |since: Instant| now.duration_since(since) >= COMPLAINTS_WINDOW;
        if state.since.is_none_or(is_new) {
            state.since = Some(now);
            state.written = 0;
        }
        if state.written == COMPLAINTS_MAX {
            state.unwritten += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_are_bounded_and_what_was_not_written_is_counted() {
        let complaints = Complaints::default();
        let began = Instant::now();
        let check = |after: Duration, expected: Option<u64>| {
            assert_eq!(complaints.take(began + after), expected, "{after:?}");
        };
        for _ in 0..COMPLAINTS_MAX {
            check(Duration::ZERO, Some(0));
        }
        check(Duration::ZERO, None);
        check(COMPLAINTS_WINDOW - Duration::from_nanos(1), None);
        check(COMPLAINTS_WINDOW, Some(2));
        for _ in 1..COMPLAINTS_MAX {
            check(COMPLAINTS_WINDOW, Some(0));
        }
        check(COMPLAINTS_WINDOW, None);
    }
}
