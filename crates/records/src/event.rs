//! One immutable record, and where it stands.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

/// One record of a stream, as its writer sent it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// What the event is about; decides the partition where a door chooses one. `None`: spread.
    pub key: Option<Bytes>,
    /// The payload; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Name and value pairs, in the writer's order; names may repeat.
    pub headers: Vec<Header>,
    /// The writer's clock, milliseconds since 1970-01-01 UTC. Never used to order events.
    pub timestamp_ms: i64,
}

impl Event {
    /// How many bytes its writer gave it: key, value and headers.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|header| header.name.len() + header.value.as_ref().map_or(0, Bytes::len));
        let parts = [&self.key, &self.value].into_iter().flatten().map(Bytes::len);
        parts.chain(headers).sum()
    }
}

/// One header of an [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// The header's value; Kafka allows none.
    pub value: Option<Bytes>,
}

/// Where an event stands: printed `transactions/2@17`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The stream's name.
    pub stream: String,
    /// The partition within the stream, from 0.
    pub partition: u32,
    /// The offset within the partition, dense from 0.
    pub offset: u64,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.stream, self.partition, self.offset)
    }
}

/// Where an event stands in its stream, printed `2@17`: also the version of the entity whose last event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// The partition, from 0.
    pub partition: u32,
    /// The offset within the partition.
    pub offset: u64,
}

impl Version {
    /// The address of the event in a stream.
    pub fn of(self, stream: &str) -> Address {
        Address {
            stream: stream.to_owned(),
            partition: self.partition,
            offset: self.offset,
        }
    }
}

impl Address {
    /// The same within its stream.
    pub fn version(&self) -> Version {
        Version {
            partition: self.partition,
            offset: self.offset,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no version: write it as partition@offset, for example 2@17")]
pub struct VersionError(String);

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Version, VersionError> {
        let refuse = || VersionError(text.chars().take(64).collect());
        // Digits alone: `parse` would take a sign too.
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (partition, offset) = text
            .split_once('@')
            .filter(|(partition, offset)| is_number(partition) && is_number(offset))
            .ok_or_else(refuse)?;
        Ok(Version {
            partition: partition.parse().map_err(|_| refuse())?,
            offset: offset.parse().map_err(|_| refuse())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_printed_and_read() {
        let check = |text: &str, expected: Option<(u32, u64)>| {
            let found = text.parse::<Version>().ok();
            assert_eq!(found.map(|found| (found.partition, found.offset)), expected, "{text}");
            if let Some(found) = found {
                assert_eq!(found.to_string(), text);
            }
        };
        check("2@17", Some((2, 17)));
        check("0@18446744073709551615", Some((0, u64::MAX)));
        check("0@18446744073709551616", None);
        check("4294967296@0", None);
        for text in ["", "@", "2@", "@17", "2", "-2@17", "+2@17", "2@ 17", "s/2@17", "2@17@"] {
            check(text, None);
        }
    }
}
