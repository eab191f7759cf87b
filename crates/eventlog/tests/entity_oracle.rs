//! The entity index against a scan of the log: random appends, transactions, deletions, compaction, added partitions, indexes switched off and on,
//! restarts; with so little memory that runs are written and joined all the time.

#[expect(dead_code, reason = "other tests use all of it")]
mod making;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use headwater_eventlog::{
    Append, AppendError, Boundary, Condition, Direction, EntityVersion, EventFacets, EventLog, Facets, Part, QueryItem,
    SeenEvent, StreamSettings,
};
use headwater_host::simulated::{Random, Simulation};
use headwater_records::{Batch, Compression, Event, Marker, Position, Producer, Version};
use making::{append, small};

const KEYS: usize = 7;

/// `kind|tag|tag|…` in the value; a tag `key:…` is the key that the columns make.
struct Words;

impl Facets for Words {
    fn fingerprint(&self) -> u64 {
        1
    }

    fn of(&self, event: &Event) -> EventFacets {
        let value = event.value.clone().unwrap_or_default();
        let text = String::from_utf8_lossy(&value).into_owned();
        let mut words = text.split('|').map(str::to_owned);
        let kind = words.next().filter(|kind| !kind.is_empty());
        let (made, tags): (Vec<String>, Vec<String>) = words.partition(|word| word.starts_with("key:"));
        let made = made.iter().filter_map(|word| word.strip_prefix("key:"));
        EventFacets {
            kind,
            tags,
            keys: made
                .filter(|made| event.key.as_deref() != Some(made.as_bytes()))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// One event as a scan finds it, in the order of appending.
type Scanned = BTreeMap<(i64, u32, u64), Event>;

struct World {
    machine: Simulation,
    log: Option<EventLog>,
    random: Random,
    /// The next sequence of each partition, and the partitions of the open transaction.
    sequences: BTreeMap<u32, i32>,
    open: Vec<u32>,
    epoch: i16,
    appended: usize,
    /// How many pages memory alone gave.
    in_memory: usize,
}

fn open(machine: &Simulation) -> EventLog {
    let log = EventLog::open(machine.host(), Path::new("/data"), small()).unwrap().0;
    if log.stream("s").is_some() {
        log.set_facets("s", Some(Arc::new(Words))).unwrap();
    }
    log
}

impl World {
    fn new(seed: u64) -> World {
        let machine = Simulation::new(seed);
        let log = open(&machine);
        let mut settings = vec![("entities", "indexed"), ("segment_bytes", "1024")];
        if seed % 2 == 1 {
            settings.extend([("cleanup", "compact"), ("dirty_ratio_min", "0"), ("tombstone_ms", "0")]);
        }
        log.create_stream("s", 2, StreamSettings::of_pairs(settings).unwrap())
            .unwrap();
        log.set_facets("s", Some(Arc::new(Words))).unwrap();
        World {
            machine,
            log: Some(log),
            random: Random::new(seed),
            sequences: BTreeMap::new(),
            open: Vec::new(),
            epoch: 0,
            appended: 0,
            in_memory: 0,
        }
    }

    fn partitions(&self) -> u32 {
        self.log().stream("s").unwrap().partitions
    }

    fn event(&mut self) -> Event {
        let key = self.random.below(KEYS);
        let mut tags = format!("t:{}|u:{}", self.random.below(3), self.random.below(11));
        if self.random.below(3) == 0 {
            tags.push_str(&format!("|key:k{}", self.random.below(KEYS)));
        }
        Event {
            key: Some(Bytes::from(format!("k{key}"))),
            value: (self.random.below(9) > 0).then(|| Bytes::from(format!("kind{}|{tags}", self.random.below(3)))),
            ..Event::default()
        }
    }

    fn batch(&mut self, partition: u32, transactional: bool) -> Part {
        // Few or many: both are found in, and kept opened, in ways of their own.
        let count = match self.random.below(8) {
            0 => 9 + self.random.below(9),
            _ => 1 + self.random.below(4),
        };
        let events: Vec<Event> = (0..count).map(|_| self.event()).collect();
        self.appended += count;
        let batch = if transactional {
            let next = self.sequences.entry(partition).or_default();
            let producer = Producer {
                id: 7,
                epoch: self.epoch,
                base_sequence: *next,
            };
            *next += count as i32;
            Batch::encode_transactional(&events, Compression::None, producer)
        } else {
            // What is compressed is opened in a way of its own, too.
            let compression = match self.random.below(4) {
                0 => Compression::Lz4,
                _ => Compression::None,
            };
            Batch::encode(&events, compression, None)
        };
        Part {
            stream: "s".to_owned(),
            partition,
            batch,
        }
    }

    fn append(&mut self) {
        self.machine.clock.advance(self.random.below(3_000) as i64);
        let mut parts: Vec<Part> = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let partition = self.random.below(self.partitions() as usize) as u32;
            let transactional = self.random.below(4) == 0;
            if transactional && !self.open.contains(&partition) {
                self.open.push(partition);
            }
            parts.push(self.batch(partition, transactional));
        }
        self.log().append_blocking(append(parts)).unwrap();
    }

    fn end_transaction(&mut self) {
        let marker = if self.random.coin() {
            Marker::Aborted
        } else {
            Marker::Committed
        };
        let parts = std::mem::take(&mut self.open).into_iter().map(|partition| Part {
            stream: "s".to_owned(),
            partition,
            batch: Batch::encode_marker(marker, 7, self.epoch, 0),
        });
        let parts: Vec<Part> = parts.collect();
        if !parts.is_empty() {
            self.log().append_blocking(append(parts)).unwrap();
            self.sequences.clear();
            self.epoch += 1;
        }
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0 => self.restart(true),
            1 => self.restart(false),
            2 => {
                let partition = self.random.below(self.partitions() as usize) as u32;
                let offsets = self.log().offsets("s", partition).unwrap();
                let before = offsets.start + (offsets.stable - offsets.start) / 4;
                self.log().delete_records("s", partition, before).unwrap();
            }
            3 => {
                self.end_transaction();
                self.log().tend();
            }
            4 if self.partitions() < 4 => {
                self.log().add_partitions("s", self.partitions() + 1).unwrap();
            }
            5 => {
                for value in ["none", "indexed"] {
                    self.log()
                        .alter_stream("s", |settings| settings.set("entities", Some(value)))
                        .unwrap();
                }
            }
            6..10 => self.end_transaction(),
            _ => self.append(),
        }
    }

    fn restart(&mut self, clean: bool) {
        if clean {
            self.log().close();
        }
        self.machine.disk.cut_power();
        // Its threads end before the machine is there again.
        self.log = None;
        self.machine.disk.restart();
        self.log = Some(open(&self.machine));
    }

    fn log(&self) -> &EventLog {
        self.log.as_ref().unwrap()
    }

    /// Everything that counts, as a scan finds it.
    fn scan(&self) -> Scanned {
        let mut scanned = Scanned::new();
        for partition in 0..self.partitions() {
            let offsets = self.log().offsets("s", partition).unwrap();
            let mut at = offsets.start;
            while at < offsets.stable {
                let batches = self.log().read("s", partition, at, 1 << 20).unwrap();
                if batches.is_empty() {
                    break;
                }
                for stored in batches {
                    for (offset, event) in stored.batch.events().unwrap() {
                        if offset >= at && offset < offsets.stable {
                            scanned.insert((stored.appended_at_us, partition, offset), event);
                        }
                    }
                    at = stored.batch.next_offset();
                }
            }
        }
        scanned
    }

    /// What the index says of every key and of some queries is what a scan says.
    fn check(&mut self) {
        let scanned = self.scan();
        for key in 0..=KEYS {
            let key = format!("k{key}");
            let expected: Vec<Version> = versions(&scanned, |event| is_of(event, &key));
            for direction in [Direction::Forward, Direction::Backward] {
                let mut expected = expected.clone();
                if direction == Direction::Backward {
                    expected.reverse();
                }
                // Some pages have more events than are looked for side by side.
                let limit = match self.random.below(4) {
                    0 => 30 + self.random.below(60),
                    _ => 1 + self.random.below(5),
                };
                // First, so that whatever the disk says is not in memory because it was asked.
                let log = self.log();
                let mut seen: Vec<(Version, i64, String, Option<Bytes>)> = Vec::new();
                let note = |event: &SeenEvent<'_>| {
                    let version = Version {
                        partition: event.partition,
                        offset: event.event.offset,
                    };
                    let value = event.event.value.map(Bytes::copy_from_slice);
                    seen.push((version, event.appended_at_us, event.principal.to_owned(), value));
                };
                let in_memory = log
                    .entity_in_memory("s", key.as_bytes(), limit, direction, note)
                    .unwrap();
                let page = log.entity("s", key.as_bytes(), None, limit, direction).unwrap();
                let newest = match direction {
                    Direction::Forward => expected.last(),
                    Direction::Backward => expected.first(),
                };
                assert_eq!(page.version.as_ref(), newest, "{key} {direction:?}");
                if let Some(in_memory) = in_memory {
                    assert_eq!(
                        (in_memory.version, in_memory.next),
                        (page.version, page.next),
                        "{key} {direction:?}"
                    );
                    let shown = page.events.iter().map(|found| {
                        let principal = found.principal.to_string();
                        let value = found.event.value.clone();
                        (found.address.version(), found.appended_at_us, principal, value)
                    });
                    assert_eq!(seen, shown.collect::<Vec<_>>(), "{key} {direction:?}");
                    self.in_memory += 1;
                }
                assert_eq!(self.entity(&key, direction, limit), expected, "{key} {direction:?}");
            }
        }
        for _ in 0..4 {
            let query: Vec<QueryItem> = (0..1 + self.random.below(2)).map(|_| self.item()).collect();
            let expected = versions(&scanned, |event| query.iter().any(|item| matches(item, event)));
            let limit = 1 + self.random.below(20);
            let found = self.matching(&query, limit);
            let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            assert_eq!(differs, None, "{query:?}");
            assert_eq!(found.len(), expected.len(), "{query:?}");
            self.check_boundary(&query, &scanned);
        }
        if self.open.is_empty() {
            self.check_version(&scanned);
        }
    }

    fn entity(&self, key: &str, direction: Direction, limit: usize) -> Vec<Version> {
        let mut found: Vec<Version> = Vec::new();
        let mut from: Option<Version> = None;
        loop {
            let page = self.log().entity("s", key.as_bytes(), from, limit, direction).unwrap();
            found.extend(page.events.iter().map(|event| event.address.version()));
            from = page.next;
            if from.is_none() {
                return found;
            }
        }
    }

    fn matching(&self, query: &[QueryItem], limit: usize) -> Vec<Version> {
        let mut found: Vec<Version> = Vec::new();
        let mut after: Option<Position> = None;
        loop {
            let page = self.log().matching(query, after.as_ref(), limit).unwrap();
            found.extend(page.events.iter().map(|event| event.address.version()));
            if !page.more {
                return found;
            }
            after = Some(page.position);
        }
    }

    fn item(&mut self) -> QueryItem {
        let mut item = QueryItem {
            stream: self.random.coin().then(|| "s".to_owned()),
            ..QueryItem::default()
        };
        if self.random.coin() {
            item.tags.push(format!("t:{}", self.random.below(4)));
        }
        if self.random.coin() {
            item.tags.push(format!("u:{}", self.random.below(12)));
        }
        if self.random.below(3) == 0 {
            item.key = Some(Bytes::from(format!("k{}", self.random.below(KEYS))));
        }
        if self.random.below(4) == 0 {
            item.own_key = Some(Bytes::from(format!("k{}", self.random.below(KEYS))));
        }
        for kind in 0..4 {
            if self.random.below(4) == 0 {
                item.kinds.push(format!("kind{kind}"));
            }
        }
        item
    }

    /// An append without events depends on a boundary from a position on: it fails where a scan finds something behind it.
    fn check_boundary(&mut self, query: &[QueryItem], scanned: &Scanned) {
        let mut after = Position::new();
        for partition in 0..self.partitions() {
            let offsets = self.log().offsets("s", partition).unwrap();
            let kept_from = offsets.start.max(offsets.compacted);
            let span = offsets.stable.saturating_sub(kept_from) as usize;
            after.set("s", partition, kept_from + self.random.below(span + 1) as u64);
        }
        let is_behind = |(_, partition, offset): &(i64, u32, u64)| *offset >= after.get("s", *partition);
        let behind: Scanned = scanned
            .iter()
            .filter(|(place, _)| is_behind(place))
            .map(|(place, event)| (*place, event.clone()))
            .collect();
        let expected = versions(&behind, |event| query.iter().any(|item| matches(item, event)));
        let boundary = Condition::Boundary(Boundary {
            after: Some(after.clone()),
            none_of: query.to_vec(),
        });
        let outcome = self.log().append_blocking(Append {
            condition: Some(boundary),
            ..append(Vec::new())
        });
        match outcome {
            Ok(_) => assert!(expected.is_empty(), "{query:?} after {after}: {expected:?}"),
            // Events of a transaction that is open may be in the way, which a scan does not see.
            Err(AppendError::ConditionFailed(failed)) if self.open.is_empty() => {
                let came: Vec<Version> = failed.came.iter().map(|address| address.version()).collect();
                assert_eq!(came, expected[..expected.len().min(100)], "{query:?} after {after}");
            }
            Err(AppendError::ConditionFailed(_)) => {}
            Err(error) => panic!("{query:?} after {after}: {error}"),
        }
    }

    /// An append depends on the version of an entity.
    fn check_version(&mut self, scanned: &Scanned) {
        let key = format!("k{}", self.random.below(KEYS));
        let versions = versions(scanned, |event| is_of(event, &key));
        let now = versions.last().copied();
        let stale = versions.iter().rev().nth(1).copied();
        for (version, holds) in [(stale, stale == now), (now, true)] {
            let condition = Condition::Entity(EntityVersion {
                stream: "s".to_owned(),
                key: Bytes::from(key.clone()),
                version,
            });
            let outcome = self.log().append_blocking(Append {
                condition: Some(condition),
                ..append(Vec::new())
            });
            match outcome {
                Ok(_) => assert!(holds, "{key} at {version:?}, now {now:?}"),
                Err(AppendError::ConditionFailed(failed)) => {
                    assert!(!holds, "{key} at {version:?}, now {now:?}");
                    assert_eq!(failed.version, now);
                }
                Err(error) => panic!("{key} at {version:?}: {error}"),
            }
        }
    }
}

fn versions(scanned: &Scanned, matches: impl Fn(&Event) -> bool) -> Vec<Version> {
    let found = scanned.iter().filter(|(_, event)| matches(event));
    found
        .map(|((_, partition, offset), _)| Version {
            partition: *partition,
            offset: *offset,
        })
        .collect()
}

/// Whether an event is of an entity: its own key says so, or its columns do.
fn is_of(event: &Event, key: &str) -> bool {
    event.key.as_deref() == Some(key.as_bytes()) || Words.of(event).keys.iter().any(|made| made == key)
}

fn matches(item: &QueryItem, event: &Event) -> bool {
    let facets = Words.of(event);
    let of_kind = item.kinds.is_empty() || facets.kind.is_some_and(|kind| item.kinds.contains(&kind));
    let key = item.key.as_ref().map(|key| String::from_utf8_lossy(key));
    let of_key = key.is_none_or(|key| is_of(event, &key));
    let has_own = item.own_key.is_none() || item.own_key == event.key;
    of_kind && of_key && has_own && item.tags.iter().all(|tag| facets.tags.contains(tag))
}

#[test]
fn an_index_says_what_a_scan_says() {
    let mut in_memory = 0;
    for seed in 0..12 {
        let mut world = World::new(seed);
        for step in 0..120 {
            world.step();
            if step % 12 == 11 {
                world.check();
            }
        }
        world.end_transaction();
        world.restart(seed.is_multiple_of(3));
        world.check();
        assert!(world.appended > 300, "{}", world.appended);
        in_memory += world.in_memory;
    }
    assert!(in_memory > 100, "{in_memory} pages came from memory alone");
}
