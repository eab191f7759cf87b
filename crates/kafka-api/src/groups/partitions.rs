//! Sets of partitions, by topic id.

use std::collections::{BTreeMap, BTreeSet};

use headwater_records::limits::PARTITIONS_MAX;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Partitions of several topics; a topic without any is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partitions(BTreeMap<u128, BTreeSet<u32>>);

impl Partitions {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    pub(crate) fn contains(&self, topic: u128, partition: u32) -> bool {
        self.0
            .get(&topic)
            .is_some_and(|partitions| partitions.contains(&partition))
    }

    pub(crate) fn insert(&mut self, topic: u128, partition: u32) {
        self.0.entry(topic).or_default().insert(partition);
    }

    pub(crate) fn by_topic(&self) -> impl Iterator<Item = (u128, &BTreeSet<u32>)> {
        self.0.iter().map(|(topic, partitions)| (*topic, partitions))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u128, u32)> + '_ {
        self.by_topic()
            .flat_map(|(topic, partitions)| partitions.iter().map(move |partition| (topic, *partition)))
    }

    /// Those for which `keep` holds.
    pub(crate) fn filter(&self, mut keep: impl FnMut(u128, u32) -> bool) -> Partitions {
        self.iter()
            .filter(|(topic, partition)| keep(*topic, *partition))
            .collect()
    }

    /// Whether every partition is also in `other`.
    pub(crate) fn is_within(&self, other: &Partitions) -> bool {
        self.iter().all(|(topic, partition)| other.contains(topic, partition))
    }
}

impl FromIterator<(u128, u32)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (u128, u32)>>(partitions: I) -> Partitions {
        let mut made = Partitions::default();
        for (topic, partition) in partitions {
            made.insert(topic, partition);
        }
        made
    }
}

/// Written as `{"8a3…":"0-3,7"}`: with runs, as members often have many partitions in a row.
impl Serialize for Partitions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let topics = self.0.iter();
        serializer.collect_map(topics.map(|(topic, partitions)| (format!("{topic:032x}"), write_runs(partitions))))
    }
}

impl<'de> Deserialize<'de> for Partitions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Partitions, D::Error> {
        let by_topic: BTreeMap<String, String> = BTreeMap::deserialize(deserializer)?;
        let mut read = Partitions::default();
        for (topic, runs) in by_topic {
            let topic = u128::from_str_radix(&topic, 16).map_err(serde::de::Error::custom)?;
            let partitions = read_runs(&runs).ok_or_else(|| serde::de::Error::custom("these are no partitions"))?;
            read.0.insert(topic, partitions);
        }
        Ok(read)
    }
}

fn write_runs(partitions: &BTreeSet<u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for partition in partitions {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *partition => *last = *partition,
            _ => runs.push((*partition, *partition)),
        }
    }
    let run = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

fn read_runs(runs: &str) -> Option<BTreeSet<u32>> {
    let mut partitions: BTreeSet<u32> = BTreeSet::new();
    for run in runs.split(',') {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= PARTITIONS_MAX {
            return None;
        }
        partitions.extend(first..=last);
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_written_short_and_read_back() {
        let check = |partitions: &[u32], expected: &str| {
            let partitions: BTreeSet<u32> = partitions.iter().copied().collect();
            assert_eq!(write_runs(&partitions), expected);
            assert_eq!(read_runs(expected), Some(partitions));
        };
        check(&[0], "0");
        check(&[0, 1, 2], "0-2");
        check(&[0, 1, 3, 5, 6, 9_999], "0-1,3,5-6,9999");
        for wrong in ["", "a", "1-", "0-4294967295"] {
            assert_eq!(read_runs(wrong), None, "{wrong}");
        }
    }
}
