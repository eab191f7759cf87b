//! Events into batches for their partitions, in the order they came.

use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_eventlog::{Appended, Part};
use headwater_records::{Address, Batch, BatchError, Compression, Event, Position, partition_of};

use crate::limits::{BATCH_BYTES_TARGET, EVENT_OVERHEAD_BYTES, HEADER_OVERHEAD_BYTES};

/// Events of one stream, packed: what one append takes.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The batches.
    pub parts: Vec<Part>,
    /// For each event in order: its part and its place in the part's batch.
    places: Vec<(usize, u64)>,
}

/// Packs events. Those with a key go where the key belongs, the others all to partition `spread` modulo the number of partitions.
pub fn pack(stream: &str, partitions: u32, events: Vec<Event>, spread: u32) -> Packed {
    pack_within(BATCH_BYTES_TARGET, stream, partitions, events, spread)
}

/// The same into batches of at most about so many bytes, of which each takes one event at least.
pub(crate) fn pack_within(
    batch_bytes: usize,
    stream: &str,
    partitions: u32,
    events: Vec<Event>,
    spread: u32,
) -> Packed {
    let mut packed = Packed {
        parts: Vec::new(),
        places: vec![(0, 0); events.len()],
    };
    let mut lanes: BTreeMap<u32, Lane> = BTreeMap::new();
    for (index, event) in events.into_iter().enumerate() {
        let partition = match &event.key {
            Some(key) => partition_of(key, partitions),
            None => spread.checked_rem(partitions).unwrap_or(0),
        };
        let lane = lanes.entry(partition).or_default();
        let bytes = EVENT_OVERHEAD_BYTES + HEADER_OVERHEAD_BYTES * event.headers.len() + event.bytes();
        if !lane.events.is_empty() && lane.bytes + bytes > batch_bytes {
            packed.close(stream, partition, std::mem::take(lane));
        }
        lane.bytes += bytes;
        lane.events.push(event);
        lane.indexes.push(index);
    }
    for (partition, lane) in lanes {
        packed.close(stream, partition, lane);
    }
    packed
}

/// What waits for one partition.
#[derive(Default)]
struct Lane {
    events: Vec<Event>,
    indexes: Vec<usize>,
    bytes: usize,
}

impl Packed {
    fn close(&mut self, stream: &str, partition: u32, lane: Lane) {
        if lane.events.is_empty() {
            return;
        }
        for (place, index) in lane.indexes.iter().enumerate() {
            self.places[*index] = (self.parts.len(), place as u64);
        }
        let batch = Batch::encode(&lane.events, Compression::None, None);
        self.parts.push(Part {
            stream: stream.to_owned(),
            partition,
            batch,
        });
    }

    /// For each event in order: its part and its place in the part's batch.
    pub fn places(&self) -> &[(usize, u64)] {
        &self.places
    }

    /// Of an event, by its place in the order they were packed, the stream and the partition.
    pub fn home(&self, index: usize) -> Option<(&str, u32)> {
        let (part, _) = self.places.get(index)?;
        let part = self.parts.get(*part)?;
        Some((&part.stream, part.partition))
    }

    /// The same of all events, in order.
    pub fn homes(&self) -> impl Iterator<Item = (&str, u32)> {
        (0..self.places.len()).filter_map(|index| self.home(index))
    }

    /// The values of the events, in the order they were packed.
    pub fn values(&self) -> Result<Vec<Bytes>, BatchError> {
        let mut by_part: Vec<Vec<Bytes>> = Vec::new();
        for part in &self.parts {
            let events = part.batch.events()?;
            by_part.push(
                events
                    .into_iter()
                    .map(|(_, event)| event.value.unwrap_or_default())
                    .collect(),
            );
        }
        let value = |(part, place): &(usize, u64)| {
            by_part
                .get(*part)
                .and_then(|values| values.get(*place as usize))
                .cloned()
        };
        Ok(self.places.iter().filter_map(value).collect())
    }

    /// Where the events landed, in the order they were packed. `first_part` is the place of the first of these parts in the append.
    pub fn addresses(&self, appended: &Appended, first_part: usize) -> Vec<Address> {
        let mut addresses: Vec<Address> = Vec::new();
        for (part, place) in &self.places {
            let Some(at) = self.parts.get(*part) else { continue };
            let base = appended.base_offsets.get(first_part + part).copied().unwrap_or(0);
            addresses.push(Address {
                stream: at.stream.clone(),
                partition: at.partition,
                offset: base + place,
            });
        }
        addresses
    }
}

/// The position just after these events.
pub(crate) fn position_after(addresses: &[Address]) -> Position {
    let mut position = Position::new();
    for address in addresses {
        position.advance(&address.stream, address.partition, address.offset + 1);
    }
    position
}

#[cfg(test)]
mod tests {
    use headwater_records::Header;

    use super::*;

    fn event(key: Option<&str>, value_bytes: usize) -> Event {
        Event {
            key: key.map(|key| Bytes::from(key.to_owned())),
            value: Some(Bytes::from(vec![b'x'; value_bytes])),
            ..Event::default()
        }
    }

    #[test]
    fn headers_count_in_a_batch() {
        let header = |_| Header {
            name: "n".repeat(100),
            value: Some(Bytes::from(vec![b'x'; 900])),
        };
        let event = |_| Event {
            headers: (0..10).map(header).collect(),
            ..event(None, 1)
        };
        let packed = pack("s", 1, (0..1_000).map(event).collect(), 0);
        for part in &packed.parts {
            assert!(
                part.batch.bytes().len() <= BATCH_BYTES_TARGET,
                "{}",
                part.batch.bytes().len()
            );
        }
        assert!(packed.parts.len() > 10, "{}", packed.parts.len());
    }

    #[test]
    fn every_event_is_found_again_where_it_landed() {
        let big = BATCH_BYTES_TARGET / 2;
        let events = vec![
            event(Some("foobar"), 1),
            event(None, big),
            event(Some("foobar"), 2),
            event(None, big),
            event(None, 3),
        ];
        let packed = pack("s", 4, events, 7);
        let mut base_offsets: Vec<u64> = Vec::new();
        let mut next: BTreeMap<u32, u64> = BTreeMap::new();
        for part in &packed.parts {
            let next = next.entry(part.partition).or_insert(100);
            base_offsets.push(*next);
            *next += u64::from(part.batch.event_count());
        }
        // Another append's part comes first.
        base_offsets.insert(0, 9);
        let appended = Appended {
            base_offsets,
            appended_at_us: 0,
            duplicate: false,
        };
        let addresses: Vec<String> = packed.addresses(&appended, 1).iter().map(Address::to_string).collect();
        let keyed = partition_of(b"foobar", 4);
        assert_eq!(addresses[0], format!("s/{keyed}@100"));
        assert_eq!(addresses[2], format!("s/{keyed}@101"));
        assert_eq!(addresses[1], "s/3@100");
        assert_eq!(addresses[3], "s/3@101", "a batch was full, the offsets go on");
        assert_eq!(addresses[4], "s/3@102");
        assert!(packed.parts.len() >= 3, "{}", packed.parts.len());
    }
}
