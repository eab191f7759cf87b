//! Entities and conditions: versions, boundaries, what counts, what is refused.

#[expect(dead_code, reason = "other tests use all of it")]
mod making;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use headwater_eventlog::{
    Append, AppendError, Boundary, Condition, Direction, EntityVersion, EventFacets, EventLog, Facets, Part,
    QueryError, QueryItem, StreamSettings,
};
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Event, Marker, Position, Producer, Version};
use making::{append, small};

/// `kind|tag|tag|…` in the value.
struct Words;

impl Facets for Words {
    fn fingerprint(&self) -> u64 {
        1
    }

    fn of(&self, event: &Event) -> EventFacets {
        let value = event.value.clone().unwrap_or_default();
        let text = String::from_utf8(value.to_vec()).unwrap();
        let mut words = text.split('|').map(str::to_owned);
        EventFacets {
            kind: words.next().filter(|kind| !kind.is_empty()),
            tags: words.collect(),
            keys: Vec::new(),
        }
    }
}

fn open(machine: &Simulation) -> EventLog {
    let log = EventLog::open(machine.host(), Path::new("/data"), small()).unwrap().0;
    for info in log.streams() {
        if info.name == "s" {
            log.set_facets("s", Some(Arc::new(Words))).unwrap();
        }
    }
    log
}

fn indexed() -> StreamSettings {
    StreamSettings::of_pairs([("entities", "indexed")]).unwrap()
}

/// A log with a stream `s` of two partitions whose events have kinds and tags.
fn with_stream(machine: &Simulation) -> EventLog {
    let log = open(machine);
    log.create_stream("s", 2, indexed()).unwrap();
    log.set_facets("s", Some(Arc::new(Words))).unwrap();
    log
}

fn event(key: &str, value: &str) -> Event {
    Event {
        key: Some(Bytes::from(key.to_owned())),
        value: Some(Bytes::from(value.to_owned())),
        ..Event::default()
    }
}

/// Events written as `key=value`.
fn part(partition: u32, events: &[&str]) -> Part {
    let events = events.iter().map(|text| {
        let (key, value) = text.split_once('=').unwrap();
        event(key, value)
    });
    let events: Vec<Event> = events.collect();
    Part {
        stream: "s".to_owned(),
        partition,
        batch: Batch::encode(&events, Compression::None, None),
    }
}

fn on(condition: Condition, part: Part) -> Append {
    Append {
        condition: Some(condition),
        ..append(vec![part])
    }
}

/// `kind,kind/tag,tag/key`, each part may be missing.
fn item(text: &str) -> QueryItem {
    let mut parts = text.split('/');
    let list = |part: Option<&str>| -> Vec<String> {
        let words = part.unwrap_or_default().split(',').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    QueryItem {
        stream: Some("s".to_owned()),
        kinds: list(parts.next()),
        tags: list(parts.next()),
        key: parts.next().map(|key| Bytes::from(key.to_owned())),
        own_key: None,
    }
}

fn boundary(after: Option<&str>, items: &[&str]) -> Condition {
    Condition::Boundary(Boundary {
        after: after.map(|after| after.parse().unwrap()),
        none_of: items.iter().map(|text| item(text)).collect(),
    })
}

fn version(text: &str) -> Option<Version> {
    (text != "none").then(|| text.parse().unwrap())
}

/// What became of an append: where it landed, or why it did not.
fn said(outcome: Result<headwater_eventlog::Appended, AppendError>) -> String {
    match outcome {
        Ok(appended) => format!("ok {:?}", appended.base_offsets),
        Err(AppendError::ConditionFailed(failed)) => {
            let came: Vec<String> = failed.came.iter().map(ToString::to_string).collect();
            let version = failed.version.map_or("none".to_owned(), |version| version.to_string());
            format!("came {} now {version} end {}", came.join(" "), failed.end)
        }
        Err(AppendError::Condition(error)) => error.code().to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The addresses and values of one entity, and its version.
fn entity(log: &EventLog, key: &str, direction: Direction) -> String {
    let mut all: Vec<String> = Vec::new();
    let mut from: Option<Version> = None;
    loop {
        let page = log.entity("s", key.as_bytes(), from, 2, direction).unwrap();
        for found in &page.events {
            let value = found.event.value.clone().unwrap_or_default();
            let value = String::from_utf8(value.to_vec()).unwrap();
            all.push(format!("{}={value}", found.address.version()));
        }
        from = page.next;
        if from.is_none() {
            let version = page.version.map_or("none".to_owned(), |version| version.to_string());
            return format!("{} | {version}", all.join(" "));
        }
    }
}

#[test]
fn an_entity_has_its_events_in_the_order_of_appending_and_a_version() {
    let machine = Simulation::new(1);
    let mut log = with_stream(&machine);
    for (partition, events) in [
        (0, &["a=1", "b=2"][..]),
        (1, &["a=3"]),
        (0, &["b=4", "a=5"]),
        (1, &["b=6"]),
    ] {
        log.append_blocking(append(vec![part(partition, events)])).unwrap();
    }
    for restarted in [false, true] {
        if restarted {
            drop(log);
            log = open(&machine);
        }
        let check = |key: &str, forward: &str, backward: &str| {
            assert_eq!(entity(&log, key, Direction::Forward), forward);
            assert_eq!(entity(&log, key, Direction::Backward), backward);
        };
        check("a", "0@0=1 1@0=3 0@3=5 | 0@3", "0@3=5 1@0=3 0@0=1 | 0@3");
        check("b", "0@1=2 0@2=4 1@1=6 | 1@1", "1@1=6 0@2=4 0@1=2 | 1@1");
        check("c", " | none", " | none");
        let page = log.entity("s", b"a", version("0@0"), 9, Direction::Forward).unwrap();
        assert_eq!(page.events.len(), 2);
        let page = log.entity("s", b"a", version("1@0"), 9, Direction::Backward).unwrap();
        assert_eq!(page.events.len(), 1);
        let refused = |key: &[u8], from: &str| {
            log.entity("s", key, version(from), 9, Direction::Forward)
                .unwrap_err()
                .code()
        };
        assert_eq!(refused(b"a", "0@4"), "position_beyond_end");
        assert_eq!(refused(b"a", "2@0"), "unknown_partition");
    }
}

#[test]
fn an_append_may_depend_on_the_version_of_an_entity() {
    let machine = Simulation::new(2);
    let log = with_stream(&machine);
    let check = |key: &str, expected: &str, partition: u32, event: &str, outcome: &str| {
        let entity = EntityVersion {
            stream: "s".to_owned(),
            key: Bytes::from(key.to_owned()),
            version: version(expected),
        };
        let found = log.append_blocking(on(Condition::Entity(entity), part(partition, &[event])));
        assert_eq!(said(found), outcome, "{key} at {expected}");
    };
    check("a", "none", 0, "a=1", "ok [0]");
    check("a", "none", 0, "a=1", "came s/0@0 now 0@0 end s/0@1,1@0");
    check("b", "none", 0, "b=1", "ok [1]");
    check("a", "0@0", 1, "a=2", "ok [0]");
    check("a", "0@0", 1, "a=2", "came s/1@0 now 1@0 end s/0@2,1@1");
    check("a", "0@1", 1, "a=2", "came s/1@0 now 1@0 end s/0@2,1@1");
    check("a", "1@0", 0, "b=3", "ok [2]");
    check("b", "0@1", 0, "b=4", "came s/0@2 now 0@2 end s/0@3,1@1");
    check("c", "0@1", 0, "c=4", "came  now none end s/0@3,1@1");
    check("a", "1@1", 0, "a=3", "position_beyond_end");
    check("a", "2@0", 0, "a=3", "unknown_partition");
}

#[test]
fn an_append_may_depend_on_a_boundary() {
    let machine = Simulation::new(3);
    let mut log = with_stream(&machine);
    log.append_blocking(append(vec![part(0, &["k=open|course:1", "k=join|course:1|student:7"])]))
        .unwrap();
    log.append_blocking(append(vec![part(
        1,
        &["l=join|course:2|student:7", "l=leave|course:2"],
    )]))
    .unwrap();
    for restarted in [false, true] {
        if restarted {
            drop(log);
            log = open(&machine);
        }
        let check = |after: Option<&str>, items: &[&str], outcome: &str| {
            // Two conditions together: the last one always fails, so that nothing is appended.
            let fails = Condition::Entity(EntityVersion::none("s", "k"));
            let both = Condition::All(vec![boundary(after, items), fails]);
            let found = said(log.append_blocking(on(both, part(0, &["x=x"]))));
            let expected = match outcome {
                "holds" => "came s/0@0 s/0@1 now 0@1 end s/0@2,1@2".to_owned(),
                other => other.to_owned(),
            };
            assert_eq!(found, expected, "{after:?} {items:?}");
        };
        let at = |came: &str| format!("came {came} now none end s/0@2,1@2");
        check(None, &["join"], &at("s/0@1 s/1@0"));
        check(None, &["/student:7"], &at("s/0@1 s/1@0"));
        check(None, &["/course:1,student:7"], &at("s/0@1"));
        check(None, &["open,leave/course:2"], &at("s/1@1"));
        check(None, &["//l"], &at("s/1@0 s/1@1"));
        check(None, &["join//k"], &at("s/0@1"));
        check(None, &["join//k", "/course:2"], &at("s/0@1 s/1@0 s/1@1"));
        check(None, &[""], &at("s/0@0 s/0@1 s/1@0 s/1@1"));
        check(None, &["leave/course:1"], "holds");
        check(None, &["close"], "holds");
        check(None, &["/course:1,course:2"], "holds");
        check(None, &[], "holds");
        check(Some("s/0@1"), &["/course:1"], &at("s/0@1"));
        check(Some("s/0@2"), &["/course:1"], "holds");
        check(Some("s/0@2"), &["/student:7"], &at("s/1@0"));
        check(Some("s/0@2,1@2"), &[""], "holds");
        check(Some("s/0@2,1@1"), &[""], &at("s/1@1"));
        check(Some("s/0@3"), &["/course:1"], "position_beyond_end");
        check(Some("s/2@0"), &["/course:1"], "unknown_partition");
        check(Some("t/0@0"), &["/course:1"], "unknown_stream");
    }
}

#[test]
fn what_matches_is_read_in_order_and_the_position_goes_on() {
    let machine = Simulation::new(4);
    let log = with_stream(&machine);
    for number in 0..10 {
        let event = format!("k{}=n|even:{}", number % 3, number % 2);
        log.append_blocking(append(vec![part(number % 2, &[&event])])).unwrap();
    }
    let check = |items: &[&str], limit: usize, expected: &[&str]| {
        let query: Vec<QueryItem> = items.iter().map(|text| item(text)).collect();
        let mut after: Option<Position> = None;
        let mut found: Vec<String> = Vec::new();
        loop {
            let page = log.matching(&query, after.as_ref(), limit).unwrap();
            assert!(page.events.len() <= limit);
            found.extend(page.events.iter().map(|event| event.address.version().to_string()));
            // What was read is the boundary of a decision.
            let condition = Condition::Boundary(Boundary {
                after: Some(page.position.clone()),
                none_of: query.clone(),
            });
            let outcome = log.append_blocking(Append {
                condition: Some(condition),
                ..append(Vec::new())
            });
            assert_eq!(outcome.is_ok(), !page.more, "{items:?} {limit} at {}", page.position);
            after = Some(page.position);
            if !page.more {
                break;
            }
        }
        assert_eq!(found, expected, "{items:?} {limit}");
    };
    for limit in [1, 2, 3, 100] {
        check(&["/even:1"], limit, &["1@0", "1@1", "1@2", "1@3", "1@4"]);
        check(&["//k0"], limit, &["0@0", "1@1", "0@3", "1@4"]);
        check(&["/even:1/k0", "//k1"], limit, &["1@0", "1@1", "0@2", "1@3", "1@4"]);
        check(
            &["n"],
            limit,
            &["0@0", "1@0", "0@1", "1@1", "0@2", "1@2", "0@3", "1@3", "0@4", "1@4"],
        );
        check(
            &[""],
            limit,
            &["0@0", "1@0", "0@1", "1@1", "0@2", "1@2", "0@3", "1@3", "0@4", "1@4"],
        );
        check(&["other"], limit, &[]);
    }
}

fn produced(partition: u32, sequence: i32, events: &[&str], transactional: bool) -> Part {
    let producer = Producer {
        id: 7,
        epoch: 0,
        base_sequence: sequence,
    };
    let mut made = part(partition, events);
    let events: Vec<Event> = made
        .batch
        .events()
        .unwrap()
        .into_iter()
        .map(|(_, event)| event)
        .collect();
    made.batch = match transactional {
        true => Batch::encode_transactional(&events, Compression::None, producer),
        false => Batch::encode(&events, Compression::None, Some(producer)),
    };
    made
}

#[test]
fn a_retry_is_answered_before_its_condition_is_looked_at() {
    let machine = Simulation::new(5);
    let log = with_stream(&machine);
    let once = || {
        on(
            Condition::Entity(EntityVersion::none("s", "a")),
            produced(0, 0, &["a=1"], false),
        )
    };
    assert_eq!(said(log.append_blocking(once())), "ok [0]");
    let again = log.append_blocking(once()).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.base_offsets, [0]);
    let other = on(
        Condition::Entity(EntityVersion::none("s", "a")),
        produced(0, 1, &["a=2"], false),
    );
    assert_eq!(said(log.append_blocking(other)), "came s/0@0 now 0@0 end s/0@1,1@0");
    let other = on(
        Condition::Entity(EntityVersion::at("s", "a", version("0@0").unwrap())),
        produced(0, 1, &["a=2"], false),
    );
    assert_eq!(said(log.append_blocking(other)), "ok [1]");
}

#[test]
fn an_open_transaction_is_in_the_way_and_what_was_taken_back_is_not() {
    for marker in [Marker::Aborted, Marker::Committed] {
        let machine = Simulation::new(6);
        let mut log = with_stream(&machine);
        log.append_blocking(append(vec![produced(0, 0, &["a=1|t:1"], true)]))
            .unwrap();
        let try_both = |log: &EventLog| {
            let entity = on(Condition::Entity(EntityVersion::none("s", "a")), part(1, &["a=2"]));
            let by_tag = on(boundary(None, &["/t:1"]), part(1, &["b=2"]));
            [entity, by_tag].map(|append| said(log.append_blocking(append)))
        };
        for restarted in [false, true] {
            if restarted {
                drop(log);
                log = open(&machine);
            }
            assert_eq!(
                try_both(&log),
                ["came s/0@0 now 0@0 end s/0@1,1@0", "came s/0@0 now none end s/0@1,1@0"]
            );
            // Nobody sees it yet.
            assert_eq!(entity(&log, "a", Direction::Forward), " | none");
        }
        let ends = Part {
            stream: "s".to_owned(),
            partition: 0,
            batch: Batch::encode_marker(marker, 7, 0, 0),
        };
        log.append_blocking(append(vec![ends])).unwrap();
        let (seen, outcomes) = match marker {
            Marker::Aborted => (" | none", ["ok [0]", "ok [1]"]),
            Marker::Committed => (
                "0@0=1|t:1 | 0@0",
                ["came s/0@0 now 0@0 end s/0@2,1@0", "came s/0@0 now none end s/0@2,1@0"],
            ),
        };
        for restarted in [false, true] {
            if restarted {
                drop(log);
                log = open(&machine);
            }
            assert_eq!(entity(&log, "a", Direction::Forward), seen);
        }
        assert_eq!(try_both(&log), outcomes);
    }
}

#[test]
fn an_index_can_be_switched_on_and_off() {
    let machine = Simulation::new(7);
    let log = open(&machine);
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    log.append_blocking(append(vec![part(0, &["a=1"])])).unwrap();
    let try_it = || {
        let outcome = log.append_blocking(on(Condition::Entity(EntityVersion::none("s", "a")), part(0, &["b=1"])));
        said(outcome)
    };
    let set = |value: &str| {
        log.alter_stream("s", |settings| settings.set("entities", Some(value)))
            .unwrap()
    };
    assert_eq!(try_it(), "not_indexed");
    set("indexed");
    assert_eq!(try_it(), "came s/0@0 now 0@0 end s/0@1,1@0");
    let kinds = said(log.append_blocking(on(boundary(None, &["kind"]), part(0, &["b=1"]))));
    assert_eq!(kinds, "no_facets");
    set("none");
    assert_eq!(try_it(), "not_indexed");
    assert!(matches!(
        log.entity("s", b"a", None, 1, Direction::Forward),
        Err(QueryError::NotIndexed { .. })
    ));
}

/// A log of so many single events, the keys going round, in segments and an index on the disk.
fn filled(machine: &Simulation, events: usize) -> EventLog {
    let log = with_stream(machine);
    for number in 0..events {
        let event = format!("k{}=n|even:{}", number % 10, number % 2);
        log.append_blocking(append(vec![part(number as u32 % 2, &[&event])]))
            .unwrap();
    }
    log.close();
    log
}

fn files(machine: &Simulation, suffix: &str) -> Vec<std::path::PathBuf> {
    let disk = &machine.host().disk;
    let folders = disk.list(Path::new("/data/entities")).unwrap_or_default();
    let files = folders.iter().flat_map(|folder| disk.list(folder).unwrap_or_default());
    files.filter(|path| path.to_string_lossy().ends_with(suffix)).collect()
}

#[test]
fn an_index_that_is_missing_or_damaged_is_built_again() {
    let check = |harm: &dyn Fn(&Simulation)| {
        let machine = Simulation::new(8);
        drop(filled(&machine, 300));
        assert!(!files(&machine, ".run").is_empty() && files(&machine, "runs.list").len() == 1);
        harm(&machine);
        let log = open(&machine);
        // The first who meets the damage is told; whoever asks then waits for the index that is built again.
        let first = log.entity("s", b"k3", None, 100, Direction::Forward);
        let page = first.or_else(|_| log.entity("s", b"k3", None, 100, Direction::Forward));
        let page = page.unwrap();
        assert_eq!(page.events.len(), 30);
        assert_eq!(
            page.version,
            Some(Version {
                partition: 1,
                offset: 146
            })
        );
    };
    check(&|_| {});
    check(&|machine| {
        machine.host().disk.remove_dir_all(Path::new("/data/entities")).unwrap();
    });
    check(&|machine| {
        for path in files(machine, ".run") {
            machine.host().disk.remove_file(&path).unwrap();
        }
    });
    for suffix in [".run", "runs.list"] {
        check(&|machine| {
            for path in files(machine, suffix) {
                let file = machine
                    .host()
                    .disk
                    .open(&path, headwater_host::OpenMode::ReadWrite)
                    .unwrap();
                file.write_all_at(b"something else", 8).unwrap();
            }
        });
        check(&|machine| {
            for path in files(machine, suffix) {
                let file = machine
                    .host()
                    .disk
                    .open(&path, headwater_host::OpenMode::ReadWrite)
                    .unwrap();
                file.set_len(10).unwrap();
            }
        });
    }
}

#[test]
fn a_start_reads_only_what_the_index_lacks() {
    let machine = Simulation::new(9);
    drop(filled(&machine, 200));
    // Segments that cannot be read would be missed by whoever reads the log again.
    let folder = Path::new("/data/streams");
    let disk = machine.host().disk.clone();
    let mut batches: Vec<std::path::PathBuf> = Vec::new();
    for stream in disk.list(folder).unwrap() {
        for partition in disk.list(&stream).unwrap() {
            batches.extend(
                disk.list(&partition)
                    .unwrap()
                    .into_iter()
                    .filter(|path| path.to_string_lossy().ends_with(".batches")),
            );
        }
    }
    assert!(!batches.is_empty());
    for path in &batches {
        disk.rename(path, &path.with_extension("away")).unwrap();
    }
    let log = open(&machine);
    let at = |key: &str| {
        on(
            Condition::Entity(EntityVersion::none("s", key.to_owned())),
            part(0, &["new=1"]),
        )
    };
    // Nobody has this key, which the index alone says.
    log.append_blocking(at("new")).unwrap();
    for path in &batches {
        disk.rename(&path.with_extension("away"), path).unwrap();
    }
    assert_eq!(
        said(log.append_blocking(at("new"))),
        "came s/0@100 now 0@100 end s/0@101,1@100"
    );
}

#[test]
fn who_is_refused_finds_what_came_in_between() {
    let machine = Simulation::new(31);
    let log = open(&machine);
    // Acknowledged from memory, and flushed in a minute unless somebody waits for it.
    let settings = [
        ("entities", "indexed"),
        ("durability", "relaxed"),
        ("flush_ms", "60000"),
    ];
    log.create_stream("s", 1, StreamSettings::of_pairs(settings).unwrap())
        .unwrap();
    log.append_blocking(append(vec![part(0, &["a=1"])])).unwrap();
    assert_eq!(log.offsets("s", 0).unwrap().high_watermark, 0, "it is not durable yet");
    let refused = log.append_blocking(on(Condition::Entity(EntityVersion::none("s", "a")), part(0, &["a=2"])));
    assert_eq!(said(refused), "came s/0@0 now 0@0 end s/0@1");
    assert_eq!(log.offsets("s", 0).unwrap().high_watermark, 1, "what refused it is");
    assert_eq!(entity(&log, "a", Direction::Forward), "0@0=1 | 0@0");
}
