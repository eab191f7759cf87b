//! Commits of transactions that have not ended: until they do, a reader that asks for stable positions has to wait.

use std::collections::{BTreeMap, HashMap};

use super::commit::Place;

/// Which positions open transactions are about to set, by group and partition and by producer.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_producer: HashMap<i64, Vec<(String, Place)>>,
    /// How many producers hold a place; two may, one after the other.
    by_group: HashMap<String, BTreeMap<Place, usize>>,
}

impl Pending {
    /// A producer's transaction is going to set these positions.
    pub(super) fn hold(&mut self, producer_id: i64, group: &str, places: impl IntoIterator<Item = Place>) {
        let held = self.by_producer.entry(producer_id).or_default();
        for place in places {
            let key = (group.to_owned(), place);
            if held.contains(&key) {
                continue;
            }
            let of_group = self.by_group.entry(key.0.clone()).or_default();
            *of_group.entry(key.1.clone()).or_insert(0) += 1;
            held.push(key);
        }
    }

    /// The producer's transaction has ended.
    pub(super) fn release(&mut self, producer_id: i64) {
        for (group, place) in self.by_producer.remove(&producer_id).unwrap_or_default() {
            let Some(places) = self.by_group.get_mut(&group) else {
                continue;
            };
            if let Some(count) = places.get_mut(&place) {
                *count -= 1;
                if *count == 0 {
                    places.remove(&place);
                }
            }
            if places.is_empty() {
                self.by_group.remove(&group);
            }
        }
    }

    pub(super) fn holds(&self, group: &str, place: &Place) -> bool {
        let places = self.by_group.get(group);
        places.is_some_and(|places| places.contains_key(place))
    }

    pub(super) fn holds_any(&self, group: &str) -> bool {
        self.by_group.contains_key(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_when_all_who_held_it_have_ended() {
        let place = |partition| ("s".to_owned(), partition);
        let mut pending = Pending::default();
        pending.hold(1, "g", [place(0), place(1)]);
        pending.hold(1, "g", [place(0)]);
        pending.hold(2, "g", [place(0)]);
        let check = |pending: &Pending, expected: [bool; 3]| {
            let held = [0, 1, 2].map(|partition| pending.holds("g", &place(partition)));
            assert_eq!(held, expected);
        };
        check(&pending, [true, true, false]);
        pending.release(1);
        check(&pending, [true, false, false]);
        pending.release(2);
        pending.release(2);
        check(&pending, [false, false, false]);
        assert!(!pending.holds_any("g"));
    }
}
