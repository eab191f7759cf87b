//! The keys of answered calls: each for its time, and no more than there is room for. No clock and no log: both are told.

use std::collections::{HashMap, VecDeque};

/// The keys that are remembered.
pub(super) struct Keys {
    ttl_us: i64,
    keys_max: usize,
    /// By the hash of command and key: of a hundred million keys, two have the same with a chance of one in 10^22.
    entries: HashMap<u128, Entry>,
    /// The same, in the order in which they were answered.
    by_age: VecDeque<(i64, u128)>,
}

/// One answered call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The hash of its arguments.
    pub arguments: u128,
    /// Where the event stands that remembers it.
    pub offset: u64,
    /// When it was answered.
    pub appended_at_us: i64,
}

impl Keys {
    pub(super) fn new(ttl_us: i64, keys_max: usize) -> Keys {
        Keys {
            ttl_us,
            keys_max,
            entries: HashMap::new(),
            by_age: VecDeque::new(),
        }
    }

    /// The moment before which nothing is remembered.
    pub(super) fn oldest_us(&self, now_us: i64) -> i64 {
        now_us.saturating_sub(self.ttl_us)
    }

    /// Remembers a call.
    pub(super) fn remember(&mut self, name: u128, entry: Entry) {
        self.by_age.push_back((entry.appended_at_us, name));
        self.entries.insert(name, entry);
    }

    /// What is remembered of a call; what has had its time is forgotten on the way.
    pub(super) fn find(&mut self, name: u128, now_us: i64) -> Option<Entry> {
        let oldest_us = self.oldest_us(now_us);
        while let Some((then_us, old)) = self.by_age.front().copied()
            && then_us < oldest_us
        {
            self.by_age.pop_front();
            // The same key may have been used again after its time.
            if self
                .entries
                .get(&old)
                .is_some_and(|entry| entry.appended_at_us == then_us)
            {
                self.entries.remove(&old);
            }
        }
        self.entries.get(&name).copied()
    }

    /// Whether there is no room for another one.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.keys_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(appended_at_us: i64) -> Entry {
        Entry {
            arguments: 7,
            offset: 0,
            appended_at_us,
        }
    }

    #[test]
    fn a_key_has_its_whole_time_and_no_more() {
        let mut keys = Keys::new(100, 3);
        keys.remember(1, entry(1_000));
        for (now_us, known) in [(1_000, true), (1_100, true), (1_101, false)] {
            assert_eq!(keys.find(1, now_us).is_some(), known, "{now_us}");
        }
        keys.remember(1, entry(1_150));
        keys.remember(2, entry(1_160));
        assert_eq!(keys.find(1, 1_250), Some(entry(1_150)));
        assert_eq!(keys.find(1, 1_251), None);
        assert_eq!(keys.find(2, 1_251), Some(entry(1_160)));
    }

    #[test]
    fn there_is_room_for_so_many_until_the_oldest_had_their_time() {
        let mut keys = Keys::new(100, 2);
        keys.remember(1, entry(0));
        assert!(!keys.is_full());
        keys.remember(2, entry(50));
        assert!(keys.is_full());
        assert_eq!(keys.find(3, 100), None);
        assert!(keys.is_full(), "all of them are in their time");
        assert_eq!(keys.find(3, 101), None);
        assert!(!keys.is_full());
    }
}
