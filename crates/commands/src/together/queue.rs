//! The calls that wait to be decided together: in the order in which they came, no more than there is room for, and one who comes by for them.
//!
//! Invariants
//! - Where somebody waits, somebody decides.
//! - Who was taken out does not wait any more: whoever gives up waiting learns whether it was.

use std::collections::VecDeque;

use crate::limits::{TOGETHER_BYTES_MAX, TOGETHER_MAX, WAITING_BYTES_MAX};

/// What waits.
pub(super) trait Waits {
    /// By what it is known.
    fn number(&self) -> u64;
    /// On whose behalf it appends: those of one principal are decided together.
    fn principal(&self) -> &str;
    /// Bytes that it holds, and those that it is going to make, roughly.
    fn bytes(&self) -> usize;
}

/// Calls that wait.
pub(super) struct Queue<C> {
    calls: VecDeque<C>,
    bytes: usize,
    calls_max: usize,
    /// Whether somebody is there who comes by.
    is_deciding: bool,
}

/// There is no room for another call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// How many wait.
    pub(super) calls: usize,
}

impl<C: Waits> Queue<C> {
    pub(super) fn new(calls_max: usize) -> Queue<C> {
        Queue {
            calls: VecDeque::new(),
            bytes: 0,
            calls_max,
            is_deciding: false,
        }
    }

    /// Begins to decide, where nobody does.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.is_deciding, true)
    }

    /// Puts a call in, where there is room.
    pub(super) fn put(&mut self, call: C) -> Result<(), Full> {
        if self.calls.len() >= self.calls_max || self.bytes + call.bytes() > WAITING_BYTES_MAX {
            return Err(Full {
                calls: self.calls.len(),
            });
        }
        self.put_again([call]);
        Ok(())
    }

    /// Puts calls in that were there before: nobody is turned away who was let in.
    pub(super) fn put_again(&mut self, calls: impl IntoIterator<Item = C>) {
        for call in calls {
            self.bytes += call.bytes();
            self.calls.push_back(call);
        }
    }

    /// Takes a call out that gives up; `false` where it is not there any more.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        // Whoever gives up has mostly waited for longest.
        let place = self.calls.iter().position(|call| call.number() == number);
        let left = place.and_then(|place| self.calls.remove(place));
        self.bytes -= left.as_ref().map_or(0, C::bytes);
        left.is_some()
    }

    /// The next calls to be decided together; `None` where nobody waits, and then nobody decides any more.
    pub(super) fn take(&mut self) -> Option<Vec<C>> {
        let Some(first) = self.calls.front() else {
            self.is_deciding = false;
            return None;
        };
        let mut bytes = 0;
        let together = self.calls.iter().enumerate().take(TOGETHER_MAX);
        let together = together.take_while(|(place, call)| {
            bytes += call.bytes();
            *place == 0 || (call.principal() == first.principal() && bytes <= TOGETHER_BYTES_MAX)
        });
        let count = together.count();
        let taken: Vec<C> = self.calls.drain(..count).collect();
        self.bytes -= taken.iter().map(C::bytes).sum::<usize>();
        Some(taken)
    }

    /// Whoever decided went away: nobody decides any more, and all who wait are given back.
    pub(super) fn end(&mut self) -> Vec<C> {
        self.is_deciding = false;
        self.bytes = 0;
        std::mem::take(&mut self.calls).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Call(u64, &'static str, usize);

    impl Waits for Call {
        fn number(&self) -> u64 {
            self.0
        }
        fn principal(&self) -> &str {
            self.1
        }
        fn bytes(&self) -> usize {
            self.2
        }
    }

    /// How many are decided together, time after time.
    fn batches(calls: &[(usize, &'static str, usize)]) -> Vec<usize> {
        let mut queue = Queue::new(usize::MAX);
        for (count, principal, bytes) in calls {
            queue.put_again((0..*count as u64).map(|number| Call(number, principal, *bytes)));
        }
        assert!(queue.begin());
        let batches = std::iter::from_fn(|| queue.take());
        let batches = batches.map(|taken| taken.len()).collect();
        assert_eq!(queue.bytes, 0);
        batches
    }

    #[test]
    fn calls_of_one_principal_are_taken_together_as_many_as_may() {
        const HALF: usize = TOGETHER_BYTES_MAX / 2;
        assert_eq!(batches(&[(TOGETHER_MAX, "ann", 1)]), [TOGETHER_MAX]);
        assert_eq!(batches(&[(TOGETHER_MAX + 1, "ann", 1)]), [TOGETHER_MAX, 1]);
        assert_eq!(batches(&[(2, "ann", 1), (1, "bob", 1), (3, "ann", 1)]), [2, 1, 3]);
        assert_eq!(batches(&[(2, "ann", HALF)]), [2]);
        assert_eq!(batches(&[(2, "ann", HALF + 1)]), [1, 1]);
        assert_eq!(batches(&[(1, "ann", 1), (1, "ann", TOGETHER_BYTES_MAX)]), [1, 1]);
        // Larger than all of it: by itself.
        assert_eq!(batches(&[(2, "ann", 2 * TOGETHER_BYTES_MAX), (2, "ann", 1)]), [1, 1, 2]);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut queue = Queue::new(2);
        assert_eq!(queue.put(Call(0, "ann", 1)), Ok(()));
        assert_eq!(queue.put(Call(1, "ann", WAITING_BYTES_MAX)), Err(Full { calls: 1 }));
        assert_eq!(queue.put(Call(2, "ann", WAITING_BYTES_MAX - 1)), Ok(()));
        assert_eq!(queue.put(Call(3, "ann", 0)), Err(Full { calls: 2 }));
        assert!(queue.leave(2), "it gives up");
        assert!(!queue.leave(2));
        assert_eq!(queue.put(Call(4, "ann", 1)), Ok(()));
        // Those that were there before are let in again.
        queue.put_again([Call(5, "ann", 1)]);
        assert_eq!(queue.take().map(|calls| calls.len()), Some(3));
    }

    #[test]
    fn one_decides_until_nobody_waits() {
        let mut queue = Queue::new(2);
        assert!(queue.begin() && !queue.begin());
        assert_eq!(queue.put(Call(0, "ann", 7)), Ok(()));
        assert_eq!(queue.take(), Some(vec![Call(0, "ann", 7)]));
        assert!(!queue.begin());
        assert_eq!(queue.take(), None);
        assert!(queue.begin());
        assert_eq!(queue.put(Call(1, "ann", 7)), Ok(()));
        assert_eq!(queue.end(), [Call(1, "ann", 7)]);
        assert!(queue.begin() && queue.bytes == 0);
    }
}
