//! The partitions of one session, in the order in which they are answered.
//!
//! Invariants
//! - A place in `entries` stays that of its partition for as long as the partition is listed; `order` holds each place in use exactly once.
//! - Nothing here takes longer than the list and the request are long.
//! - A topic stands here as long as one of its partitions does.

use std::collections::HashMap;

use super::partition::{Told, TopicKey, Wanted};

#[derive(Default)]
pub(super) struct Listing {
    topics: Vec<TopicSlot>,
    topic_numbers: HashMap<TopicKey, u32>,
    topics_free: Vec<u32>,
    entries: Vec<Option<Entry>>,
    entries_free: Vec<u32>,
    places: HashMap<(u32, i32), u32>,
    order: Vec<u32>,
}

struct TopicSlot {
    key: TopicKey,
    partitions: u32,
}

struct Entry {
    wanted: Wanted,
    /// `None`: the client must be told of it whatever there is.
    told: Option<Told>,
}

impl Listing {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Lists a partition, or changes what is wanted of it; its place.
    pub(super) fn put(&mut self, topic: &TopicKey, wanted: Wanted) -> u32 {
        let number = self.topic_number(topic);
        let wanted = Wanted {
            topic: number,
            ..wanted
        };
        let key = (number, wanted.partition);
        if let Some(place) = self.places.get(&key).copied() {
            if let Some(Some(entry)) = self.entries.get_mut(place as usize) {
                entry.wanted = wanted;
            }
            return place;
        }
        let entry = Some(Entry { wanted, told: None });
        let place = match self.entries_free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        self.places.insert(key, place);
        self.order.push(place);
        self.topics[number as usize].partitions += 1;
        place
    }

    /// Strikes a partition; one that is not listed is no error. [`Listing::sweep`] follows the last of them.
    pub(super) fn forget(&mut self, topic: &TopicKey, partition: i32) {
        let Some(number) = self.topic_numbers.get(topic).copied() else {
            return;
        };
        let Some(place) = self.places.remove(&(number, partition)) else {
            return;
        };
        self.entries[place as usize] = None;
        let slot = &mut self.topics[number as usize];
        slot.partitions -= 1;
        if slot.partitions == 0 {
            self.topic_numbers.remove(topic);
            self.topics_free.push(number);
        }
    }

    /// Frees the places of what was struck: once for all of them, so that many cost no more than the list is long.
    pub(super) fn sweep(&mut self) {
        let (entries, free) = (&self.entries, &mut self.entries_free);
        self.order.retain(|place| {
            let is_listed = entries.get(*place as usize).is_some_and(Option::is_some);
            if !is_listed {
                free.push(*place);
            }
            is_listed
        });
    }

    /// The topics, what is wanted in order, and the places of that.
    pub(super) fn plan(&self) -> (Vec<TopicKey>, Vec<Wanted>, Vec<u32>) {
        let topics = self.topics.iter().map(|slot| slot.key.clone()).collect();
        let entry = |place: &u32| self.entries.get(*place as usize).and_then(Option::as_ref);
        let wanted = self.order.iter().filter_map(entry).map(|entry| entry.wanted);
        (topics, wanted.collect(), self.order.clone())
    }

    /// Notes what the client is told of everything.
    pub(super) fn note(&mut self, places: &[u32], told: &[Option<Told>]) {
        for (place, told) in places.iter().zip(told) {
            if let Some(Some(entry)) = self.entries.get_mut(*place as usize) {
                entry.told = told.filter(|told| !told.failed);
            }
        }
        self.move_to_end(places, told);
    }

    /// Notes what the client is told, and strikes from `told` what is no news.
    pub(super) fn tell(&mut self, places: &[u32], told: &mut [Option<Told>]) {
        for (place, told) in places.iter().zip(told.iter_mut()) {
            let Some(Some(entry)) = self.entries.get_mut(*place as usize) else {
                continue;
            };
            let same =
                |new: &Told, old: &Told| new.high_watermark == old.high_watermark && new.log_start == old.log_start;
            let is_news = match (told.as_ref(), &entry.told) {
                (Some(new), Some(old)) => new.failed || new.records || !same(new, old),
                _ => true,
            };
            entry.told = told.filter(|told| !told.failed);
            if !is_news {
                *told = None;
            }
        }
        self.move_to_end(places, told);
    }

    /// Partitions whose events were sent are read after the others next time.
    fn move_to_end(&mut self, places: &[u32], told: &[Option<Told>]) {
        let sent = |told: &Option<Told>| told.is_some_and(|told| told.records);
        if !told.iter().any(sent) {
            return;
        }
        let mut order: Vec<u32> = Vec::with_capacity(self.order.len());
        let mut last: Vec<u32> = Vec::new();
        for (place, told) in places.iter().zip(told) {
            match sent(told) {
                true => last.push(*place),
                false => order.push(*place),
            }
        }
        order.append(&mut last);
        // A place that was named twice counts once.
        let mut seen = vec![false; self.entries.len()];
        order.retain(|place| !std::mem::replace(&mut seen[*place as usize], true));
        self.order = order;
    }

    fn topic_number(&mut self, topic: &TopicKey) -> u32 {
        if let Some(number) = self.topic_numbers.get(topic) {
            return *number;
        }
        let slot = TopicSlot {
            key: topic.clone(),
            partitions: 0,
        };
        let number = match self.topics_free.pop() {
            Some(number) => {
                self.topics[number as usize] = slot;
                number
            }
            None => {
                self.topics.push(slot);
                self.topics.len() as u32 - 1
            }
        };
        self.topic_numbers.insert(topic.clone(), number);
        number
    }
}
