//! A point in the history of one or several streams.
//!
//! A position holds, for each partition it knows, the *next* offset: everything below is in, everything
//! at or above is not. A partition it does not name stands at 0. Printed `transactions/0@42,1@17`;
//! several streams are joined with `;`.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

/// For each partition of each stream, the next offset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    streams: BTreeMap<String, BTreeMap<u32, u64>>,
}

impl Position {
    /// The beginning of everything.
    pub fn new() -> Position {
        Position::default()
    }

    /// The next offset of a partition; 0 where the position does not name it.
    pub fn get(&self, stream: &str, partition: u32) -> u64 {
        self.streams
            .get(stream)
            .and_then(|partitions| partitions.get(&partition))
            .copied()
            .unwrap_or(0)
    }

    /// Whether the position names the stream at all.
    pub fn names(&self, stream: &str) -> bool {
        self.streams.contains_key(stream)
    }

    /// Sets the next offset of a partition.
    pub fn set(&mut self, stream: &str, partition: u32, next_offset: u64) {
        match self.streams.get_mut(stream) {
            Some(partitions) => {
                partitions.insert(partition, next_offset);
            }
            None => {
                self.streams
                    .insert(stream.to_owned(), BTreeMap::from([(partition, next_offset)]));
            }
        }
    }

    /// Moves a partition forward to `next_offset`; never back.
    pub fn advance(&mut self, stream: &str, partition: u32, next_offset: u64) {
        if next_offset > self.get(stream, partition) || !self.names(stream) {
            self.set(stream, partition, next_offset);
        }
    }

    /// Moves every partition of `other` forward in this position.
    pub fn advance_all(&mut self, other: &Position) {
        for (stream, partition, next_offset) in other.iter() {
            self.advance(stream, partition, next_offset);
        }
    }

    /// Whether this position is at or past `other` in every partition that `other` names.
    pub fn covers(&self, other: &Position) -> bool {
        other
            .iter()
            .all(|(stream, partition, next_offset)| self.get(stream, partition) >= next_offset)
    }

    /// Every partition named, in order: stream, partition, next offset.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32, u64)> {
        self.streams.iter().flat_map(|(stream, partitions)| {
            partitions
                .iter()
                .map(move |(partition, next_offset)| (stream.as_str(), *partition, *next_offset))
        })
    }

    /// The names of the streams, in order.
    pub fn streams(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str)
    }

    /// The part of the position that speaks of one stream.
    pub fn of(&self, stream: &str) -> Position {
        let mut part = Position::new();
        if let Some(partitions) = self.streams.get(stream) {
            part.streams.insert(stream.to_owned(), partitions.clone());
        }
        part
    }

    /// Names the streams no more that are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.streams.retain(|stream, _| keep(stream));
    }

    /// Whether no partition is named.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (stream, partitions)) in self.streams.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{stream}/")?;
            for (index, (partition, next_offset)) in partitions.iter().enumerate() {
                let separator = if index == 0 { "" } else { "," };
                write!(f, "{separator}{partition}@{next_offset}")?;
            }
        }
        Ok(())
    }
}

/// A text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no position: {why}; write it as stream/partition@offset,partition@offset, for example transactions/0@42,1@17"
)]
pub struct PositionError {
    text: String,
    why: &'static str,
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Position, PositionError> {
        let refuse = |why| PositionError {
            text: text.chars().take(200).collect(),
            why,
        };
        let mut position = Position::new();
        let mut named: HashSet<(&str, u32)> = HashSet::new();
        if text.trim().is_empty() {
            return Ok(position);
        }
        for part in text.split(';') {
            let (stream, partitions) = part.trim().rsplit_once('/').ok_or_else(|| refuse("there is no '/'"))?;
            if stream.is_empty() {
                return Err(refuse("the stream's name is empty"));
            }
            for item in partitions.split(',') {
                let (partition, offset) = item.trim().split_once('@').ok_or_else(|| refuse("there is no '@'"))?;
                let partition: u32 = partition.parse().map_err(|_| refuse("a partition is no number"))?;
                let offset: u64 = offset.parse().map_err(|_| refuse("an offset is no number"))?;
                if !named.insert((stream, partition)) {
                    return Err(refuse("a partition is named twice"));
                }
                position.set(stream, partition, offset);
            }
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let printed = text.parse::<Position>().map(|position| position.to_string());
        match (printed, expected) {
            (Ok(printed), Ok(expected)) => assert_eq!(printed, expected),
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
            (printed, expected) => panic!("{text}: {printed:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn text_round_trips_and_says_what_is_wrong() {
        check("transactions/0@42,1@17", Ok("transactions/0@42,1@17"));
        check("b/1@2; a/0@1", Ok("a/0@1;b/1@2"));
        check("", Ok(""));
        check("transactions", Err("no '/'"));
        check("t/0@1,0@2", Err("a partition is named twice"));
        check("t/0@1; u/0@1; t/0@1", Err("a partition is named twice"));
        check("/0@1", Err("name is empty"));
        check("t/0", Err("no '@'"));
        check("t/x@1", Err("partition is no number"));
        check("t/0@-1", Err("offset is no number"));
    }

    #[test]
    fn covers_looks_only_at_what_the_other_names() {
        let here: Position = "t/0@5,1@3".parse().unwrap();
        assert!(here.covers(&"t/0@5".parse().unwrap()));
        assert!(!here.covers(&"t/0@5,1@4".parse().unwrap()));
        assert!(!here.covers(&"u/0@1".parse().unwrap()));
        assert!(here.covers(&Position::new()));
    }
}
