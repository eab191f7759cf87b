//! As even as the subscriptions allow, and what a member had it keeps where that is even.
//!
//! First everybody keeps what he had and may still read, up to his share; then what is free goes to whoever has least; then
//! partitions wander from who has more to who has less, until no single one could make it more even.

use std::collections::BTreeMap;

use super::subscriber::Subscribers;
use crate::groups::partitions::Partitions;

/// Members and topics by their place in the order of ids.
struct Board<'a> {
    ids: Vec<&'a String>,
    topics: Vec<(u128, u32)>,
    /// For each topic: who may read it.
    readers: Vec<Vec<usize>>,
    /// For each topic and partition: who reads it.
    owners: Vec<Vec<Option<usize>>>,
    loads: Vec<usize>,
}

pub(super) fn assign(subscribers: &Subscribers, topics: &BTreeMap<u128, u32>) -> BTreeMap<String, Partitions> {
    let mut board = Board::new(subscribers, topics);
    let alike = board.readers.iter().all(|readers| readers.len() == subscribers.len());
    board.keep(subscribers, alike);
    board.fill();
    if !alike {
        board.even_out();
    }
    board.read_off()
}

impl<'a> Board<'a> {
    fn new(subscribers: &'a Subscribers, topics: &BTreeMap<u128, u32>) -> Board<'a> {
        let mut board = Board {
            ids: subscribers.keys().collect(),
            topics: Vec::new(),
            readers: Vec::new(),
            owners: Vec::new(),
            loads: vec![0; subscribers.len()],
        };
        for (topic, partitions) in topics {
            let reads = |(_, subscriber): &(usize, &super::Subscriber)| subscriber.topics.contains(topic);
            let readers: Vec<usize> = subscribers
                .values()
                .enumerate()
                .filter(reads)
                .map(|(index, _)| index)
                .collect();
            if !readers.is_empty() {
                board.topics.push((*topic, *partitions));
                board.readers.push(readers);
                board.owners.push(vec![None; *partitions as usize]);
            }
        }
        board
    }

    /// Everybody keeps what he had; where all read the same, up to an even share, of which the larger ones go to who had most.
    fn keep(&mut self, subscribers: &Subscribers, alike: bool) {
        let total: usize = self.owners.iter().map(Vec::len).sum();
        let (least, mut larger) = match self.ids.len() {
            0 => return,
            count if alike => (total / count, total % count),
            _ => (usize::MAX, 0),
        };
        let mut order: Vec<usize> = (0..self.ids.len()).collect();
        order.sort_by_key(|member| std::cmp::Reverse(subscribers[self.ids[*member]].before.len()));
        for member in order {
            let subscriber = &subscribers[self.ids[member]];
            let mut share = least;
            for (topic_id, partition) in subscriber.before.iter() {
                let Ok(topic) = self.topics.binary_search_by_key(&topic_id, |(id, _)| *id) else {
                    continue;
                };
                let partition = partition as usize;
                let free = self.owners[topic].get(partition).is_some_and(Option::is_none);
                if !free || !subscriber.topics.contains(&topic_id) {
                    continue;
                }
                if self.loads[member] == share {
                    if share > least || larger == 0 {
                        break;
                    }
                    larger -= 1;
                    share += 1;
                }
                self.owners[topic][partition] = Some(member);
                self.loads[member] += 1;
            }
        }
    }

    /// What is free goes to whoever has least of those who may read it; the topics with the fewest readers first.
    fn fill(&mut self) {
        let mut order: Vec<usize> = (0..self.topics.len()).collect();
        order.sort_by_key(|topic| self.readers[*topic].len());
        for topic in order {
            for partition in 0..self.owners[topic].len() {
                if self.owners[topic][partition].is_none()
                    && let Some(member) = self.least_loaded(topic)
                {
                    self.owners[topic][partition] = Some(member);
                    self.loads[member] += 1;
                }
            }
        }
    }

    /// Every move makes the sum of the squared loads smaller: this ends.
    fn even_out(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for topic in 0..self.topics.len() {
                for partition in 0..self.owners[topic].len() {
                    let (Some(owner), Some(least)) = (self.owners[topic][partition], self.least_loaded(topic)) else {
                        continue;
                    };
                    if self.loads[owner] > self.loads[least] + 1 {
                        self.owners[topic][partition] = Some(least);
                        self.loads[owner] -= 1;
                        self.loads[least] += 1;
                        moved = true;
                    }
                }
            }
        }
    }

    fn least_loaded(&self, topic: usize) -> Option<usize> {
        self.readers[topic]
            .iter()
            .copied()
            .min_by_key(|member| self.loads[*member])
    }

    fn read_off(self) -> BTreeMap<String, Partitions> {
        let mut assigned: Vec<Partitions> = vec![Partitions::default(); self.ids.len()];
        for ((topic, _), owners) in self.topics.iter().zip(&self.owners) {
            for (partition, owner) in (0_u32..).zip(owners) {
                if let Some(member) = owner {
                    assigned[*member].insert(*topic, partition);
                }
            }
        }
        self.ids.into_iter().cloned().zip(assigned).collect()
    }
}
