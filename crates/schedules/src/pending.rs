//! What waits: the fold of the schedules' records, in memory.
//!
//! A name is remembered by 128 bits of a hash that is keyed anew with every start: no client can choose two names that are taken for one.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::ops::Bound;

/// When a schedule is due (microseconds since 1970), and the offset of its record. Ordered as they are appended.
pub type Place = (i64, u64);

/// Everything that waits.
#[derive(Default)]
pub(crate) struct Pending {
    by_name: HashMap<u128, Place>,
    by_due: BTreeSet<Place>,
    hashes: [RandomState; 2],
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Puts a schedule in the place of the one of its name, if there is one.
    pub(crate) fn put(&mut self, name: &str, place: Place) {
        let before = self.by_name.insert(self.hash(name), place);
        if let Some(before) = before {
            self.by_due.remove(&before);
        }
        self.by_due.insert(place);
    }

    /// Takes a schedule out, if it is there.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(place) = self.by_name.remove(&self.hash(name)) {
            self.by_due.remove(&place);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Place> {
        self.by_name.get(&self.hash(name)).copied()
    }

    /// The first that are due at this time, in the order in which they are appended.
    pub(crate) fn due(&self, now_us: i64, most: usize) -> Vec<Place> {
        self.by_due.range(..=(now_us, u64::MAX)).take(most).copied().collect()
    }

    /// When the first is due.
    pub(crate) fn next_us(&self) -> Option<i64> {
        self.by_due.first().map(|(due_us, _)| *due_us)
    }

    /// Some of them in the order in which they are due, after this one.
    pub(crate) fn after(&self, place: Option<Place>, most: usize) -> Vec<Place> {
        let from = place.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_due
            .range((from, Bound::Unbounded))
            .take(most)
            .copied()
            .collect()
    }

    fn hash(&self, name: &str) -> u128 {
        let [high, low] = &self.hashes;
        u128::from(high.hash_one(name)) << 64 | u128::from(low.hash_one(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One thing that happens to what waits.
    enum Step {
        Put(&'static str, i64, u64),
        Remove(&'static str),
    }
    use Step::{Put, Remove};

    fn check(steps: &[Step], now_us: i64, most: usize, expected: &[Place]) {
        let mut pending = Pending::default();
        for step in steps {
            match step {
                Put(name, due_us, offset) => pending.put(name, (*due_us, *offset)),
                Remove(name) => pending.remove(name),
            }
        }
        assert_eq!(pending.due(now_us, most), expected);
        assert_eq!(pending.by_name.len(), pending.by_due.len());
    }

    #[test]
    fn what_is_due_comes_in_the_order_of_its_moments() {
        check(&[], 0, 9, &[]);
        check(&[Put("a", 10, 0)], 9, 9, &[]);
        check(&[Put("a", 10, 0)], 10, 9, &[(10, 0)]);
        check(
            &[Put("a", 30, 0), Put("b", 10, 1), Put("c", 20, 2), Put("d", 10, 3)],
            20,
            9,
            &[(10, 1), (10, 3), (20, 2)],
        );
        check(
            &[Put("a", 1, 0), Put("b", 1, 1), Put("c", 1, 2)],
            1,
            2,
            &[(1, 0), (1, 1)],
        );
        check(
            &[Put("a", i64::MIN, 0), Put("b", i64::MAX, 1)],
            i64::MAX - 1,
            9,
            &[(i64::MIN, 0)],
        );
    }

    #[test]
    fn the_last_record_of_a_name_counts() {
        check(&[Put("a", 1, 0), Remove("a")], 9, 9, &[]);
        check(&[Put("a", 1, 0), Remove("b")], 9, 9, &[(1, 0)]);
        check(&[Put("a", 1, 0), Put("a", 5, 1)], 9, 9, &[(5, 1)]);
        check(&[Put("a", 1, 0), Remove("a"), Put("a", 1, 2)], 9, 9, &[(1, 2)]);
        check(&[Remove("a"), Remove("a")], 9, 9, &[]);
    }
}
