//! Appends that depend on what their client read: an entity's version, or that nothing with a tag came since. And what the log's index says of keys and tags.
//!
//! Invariants
//! - No append stands in the log behind an event that counts and that its condition excludes, at whatever position.
//! - The index of a stream says what a scan of it says.

use std::collections::BTreeMap;

use headwater_eventlog::{
    Boundary, Condition, Direction, EntityVersion, EventFacets, EventLog, Facets, QueryError, QueryItem,
};
use headwater_records::{Event, Position, Version};

use crate::reading::{PartitionRead, Reading, StreamRead};
use crate::workload::KEYS;
use crate::world::{Fate, World, key};

/// How many tags there are.
const TAGS: usize = 3;

/// How many events are asked for at once: few, so that pages begin and end in the middle.
const PAGE_EVENTS: usize = 7;

/// What an append depends on, as its client read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Depends {
    /// The stream, as an index into the world's.
    pub(crate) stream: usize,
    on: On,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum On {
    /// The last event of the key is this one.
    Entity { key: String, version: Option<Version> },
    /// No event has the tag from the position on.
    Tag { tag: String, after: Position },
}

/// What a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The version of the entity with the key of this number.
    Key(usize),
    /// Everything with the tag of this number.
    Tag(usize),
}

impl Look {
    /// One of all.
    pub(crate) fn nth(number: usize) -> Look {
        match number % (KEYS + TAGS) {
            key if key < KEYS => Look::Key(key),
            tag => Look::Tag(tag - KEYS),
        }
    }

    /// How many there are.
    pub(crate) const COUNT: usize = KEYS + TAGS;

    fn item(self, stream: &str) -> QueryItem {
        let mut item = QueryItem {
            stream: Some(stream.to_owned()),
            ..QueryItem::default()
        };
        match self {
            Look::Key(key) => item.key = Some(format!("k{key}").into()),
            Look::Tag(tag) => item.tags.push(format!("t{tag}")),
        }
        item
    }

    fn holds(self, value: &str) -> bool {
        match self {
            Look::Key(number) => key(value) == Some(format!("k{number}").as_str()),
            Look::Tag(tag) => tag_of(value) == format!("t{tag}"),
        }
    }
}

/// The names of events say what they are about.
pub(crate) struct Names;

impl Facets for Names {
    fn fingerprint(&self) -> u64 {
        1
    }

    fn of(&self, event: &Event) -> EventFacets {
        let header = event.headers.first().and_then(|header| header.value.as_deref());
        let name = event.value.as_deref().or(header).unwrap_or_default();
        EventFacets {
            kind: None,
            tags: vec![tag_of(&String::from_utf8_lossy(name))],
            keys: Vec::new(),
        }
    }
}

/// The tag of an event: its append's number says it.
fn tag_of(value: &str) -> String {
    let append = value.split('/').next().and_then(|number| number.parse::<usize>().ok());
    format!("t{}", append.unwrap_or(0) % TAGS)
}

impl Depends {
    /// What a client reads now.
    pub(crate) fn read(log: &EventLog, stream: usize, name: &str, look: Look) -> Result<Depends, QueryError> {
        let on = match look {
            Look::Key(number) => {
                let key = format!("k{number}");
                let page = log.entity(name, key.as_bytes(), None, 1, Direction::Backward)?;
                On::Entity {
                    key,
                    version: page.version,
                }
            }
            Look::Tag(number) => {
                let query = [look.item(name)];
                let mut after: Option<Position> = None;
                loop {
                    let page = log.matching(&query, after.as_ref(), PAGE_EVENTS)?;
                    after = Some(page.position);
                    if !page.more {
                        break;
                    }
                }
                On::Tag {
                    tag: format!("t{number}"),
                    after: after.unwrap_or_default(),
                }
            }
        };
        Ok(Depends { stream, on })
    }

    /// As the log takes it.
    pub(crate) fn condition(&self, name: &str) -> Condition {
        match &self.on {
            On::Entity { key, version } => Condition::Entity(EntityVersion {
                stream: name.to_owned(),
                key: key.clone().into(),
                version: *version,
            }),
            On::Tag { tag, after } => Condition::Boundary(Boundary {
                after: Some(after.clone()),
                none_of: vec![QueryItem {
                    stream: Some(name.to_owned()),
                    tags: vec![tag.clone()],
                    ..QueryItem::default()
                }],
            }),
        }
    }

    /// An event that came before the append at this moment, although the condition excludes it.
    fn broken_by(&self, name: &str, stream: &StreamRead, appended_at_us: i64) -> Option<String> {
        for (place, value) in counted(stream) {
            let (at_us, partition, offset) = place;
            if at_us >= appended_at_us {
                break;
            }
            let is_in_the_way = match &self.on {
                On::Entity { key: wanted, version } => {
                    key(value) == Some(wanted.as_str())
                        && version.is_none_or(|version| is_behind(stream, place, version))
                }
                On::Tag { tag, after } => tag_of(value) == *tag && offset >= after.get(name, partition),
            };
            if is_in_the_way {
                return Some(format!("{name}/{partition}@{offset}"));
            }
        }
        None
    }
}

/// Whether an event came after a version, which may be gone by now: then only events of its own partition are sure to.
fn is_behind(stream: &StreamRead, (at_us, partition, offset): Place, version: Version) -> bool {
    let there = stream.partitions.get(version.partition as usize);
    let known = there.and_then(|partition| {
        let mut events = partition.events.iter();
        events.find(|event| event.offset == version.offset)
    });
    match known {
        Some(known) => (at_us, partition, offset) > (known.appended_at_us, version.partition, version.offset),
        None => partition == version.partition && offset > version.offset,
    }
}

/// A place in the order of appending: moment, partition, offset.
type Place = (i64, u32, u64);

/// The events that count, in the order of appending.
fn counted(stream: &StreamRead) -> BTreeMap<Place, &str> {
    let mut counted: BTreeMap<Place, &str> = BTreeMap::new();
    for (number, partition) in (0..).zip(&stream.partitions) {
        let PartitionRead { events, committed, .. } = partition;
        let moments: BTreeMap<u64, i64> = events
            .iter()
            .map(|event| (event.offset, event.appended_at_us))
            .collect();
        for (offset, value) in committed {
            let at_us = moments.get(offset).copied().unwrap_or_default();
            counted.insert((at_us, number, *offset), value);
        }
    }
    counted
}

/// What the index of a stream says of every key and tag, in the order of [`Look::nth`].
pub(crate) fn read_index(log: &EventLog, name: &str) -> Result<Vec<Vec<Version>>, String> {
    let mut said: Vec<Vec<Version>> = Vec::new();
    for number in 0..Look::COUNT {
        let query = [Look::nth(number).item(name)];
        let mut found: Vec<Version> = Vec::new();
        let mut after: Option<Position> = None;
        loop {
            let page = log.matching(&query, after.as_ref(), PAGE_EVENTS);
            let page = page.map_err(|error| format!("the index of {name} does not answer: {error}"))?;
            found.extend(page.events.iter().map(|event| event.address.version()));
            if !page.more {
                break;
            }
            after = Some(page.position);
        }
        said.push(found);
    }
    Ok(said)
}

/// Judges conditions and indexes.
pub(crate) fn judge(world: &World, reading: &Reading) -> Result<(), String> {
    for (name, stream) in &reading.streams {
        let Some(index) = &stream.index else { continue };
        let counted = counted(stream);
        for (number, said) in index.iter().enumerate() {
            let look = Look::nth(number);
            let scanned = counted.iter().filter(|(_, value)| look.holds(value));
            let scanned: Vec<Version> = scanned
                .map(|((_, partition, offset), _)| Version {
                    partition: *partition,
                    offset: *offset,
                })
                .collect();
            if *said != scanned {
                let without = |all: &[Version], others: &[Version]| {
                    let alone = all.iter().filter(|version| !others.contains(version));
                    alone.map(Version::to_string).collect::<Vec<String>>().join(", ")
                };
                return Err(format!(
                    "the index of {name} has {} events of {look:?}, a scan finds {}: {} are in the index alone, {} in the scan alone",
                    said.len(),
                    scanned.len(),
                    without(said, &scanned),
                    without(&scanned, said)
                ));
            }
        }
    }
    let live = world.live();
    for (number, append) in world.appends.iter().enumerate() {
        let (Fate::Done, Some(depends), Some(landed)) = (append.fate, &append.depends, &append.landed) else {
            continue;
        };
        if !live.contains(&depends.stream) {
            continue;
        }
        let name = &world.streams[depends.stream].name;
        let stream = reading.streams.get(name);
        let broken = stream.and_then(|stream| depends.broken_by(name, stream, landed.appended_at_us));
        if let Some(what) = broken {
            return Err(format!(
                "append {number} depends on {depends:?}, and stands behind {what}"
            ));
        }
    }
    Ok(())
}

/// Makes the index of one stream lack the last event that it should have; `false` where no stream offers that.
pub(crate) fn fall_behind(reading: &mut Reading) -> bool {
    let indexes = reading.streams.values_mut().filter_map(|stream| stream.index.as_mut());
    let mut found = indexes.flatten().filter(|found| !found.is_empty());
    found.next().and_then(Vec::pop).is_some()
}
