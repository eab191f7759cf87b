//! The bytes of answers that wait to be sent, on all connections together.
//!
//! A reader that is slow, or does not read at all, keeps its answers in memory. The more there is of that, the smaller the next answers
//! are, so that memory is bounded and nobody who reads is shut out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that wait.
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    bytes_max: usize,
}

/// Bytes that wait until this is dropped.
pub(crate) struct Held {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Backlog {
    pub(crate) fn new(bytes_max: usize) -> Backlog {
        Backlog {
            bytes: AtomicUsize::new(0),
            bytes_max,
        }
    }

    /// How many bytes one more large answer may have: a quarter of the room that is left. 0: none for now.
    pub(crate) fn share(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.load(Ordering::Acquire)) / 4
    }

    pub(crate) fn hold(self: &Arc<Backlog>, bytes: usize) -> Held {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        Held {
            backlog: Arc::clone(self),
            bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.backlog.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_waits_the_less_is_given_and_what_was_sent_counts_no_more() {
        let backlog = Arc::new(Backlog::new(400));
        assert_eq!(backlog.share(), 100);
        let first = backlog.hold(200);
        assert_eq!(backlog.share(), 50);
        let second = backlog.hold(300);
        assert_eq!(backlog.share(), 0);
        drop(first);
        assert_eq!(backlog.share(), 25);
        drop(second);
        assert_eq!(backlog.share(), 100);
    }
}
