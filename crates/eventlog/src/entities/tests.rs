//! What memory says of entities by itself: where a look ends, and what is kept for the next one.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Event, Marker, Producer};

use crate::append::{Append, Part};
use crate::entities::cursor::{FIRST, LAST};
use crate::entities::desk::Desk;
use crate::entities::index::{Cut, EntityIndex};
use crate::entities::opened::{OpenBatch, OpenBatches};
use crate::entities::query::{Direction, QueryItem};
use crate::entities::reach::Reach;
use crate::entities::run::reader::Run;
use crate::entities::search::{Bounds, Search};
use crate::entities::terms::{BatchTerms, Terms};
use crate::limits::EVENTS_FEW;
use crate::log::EventLog;
use crate::options::LogOptions;
use crate::read::stored::StoredBatch;
use crate::streams::Partition;
use crate::streams::settings::StreamSettings;

/// A log with the indexed stream `s` of one partition.
fn log() -> EventLog {
    let options = LogOptions {
        batch_bytes_max: 8 * 1024,
        journal_bytes: 64 * 1024,
        segment_bytes: 4 * 1024,
        pending_bytes_max: 64 * 1024,
        ..LogOptions::default()
    };
    let (log, _) = EventLog::open(Simulation::new(1).host(), Path::new("/data"), options).expect("the log opens");
    let settings = StreamSettings::of_pairs([("entities", "indexed")]).expect("settings");
    log.create_stream("s", 1, settings).expect("a stream");
    log
}

/// So many events of one entity.
fn events(count: u32) -> Vec<Event> {
    let event = Event {
        key: Some(Bytes::from_static(b"a")),
        value: Some(Bytes::from_static(b"0123456789")),
        ..Event::default()
    };
    vec![event; count as usize]
}

fn plain(count: u32) -> Batch {
    Batch::encode(&events(count), Compression::None, None)
}

fn append(log: &EventLog, batch: Batch) {
    let part = Part {
        stream: "s".to_owned(),
        partition: 0,
        batch,
    };
    let append = Append {
        parts: vec![part],
        principal: "alice".to_owned(),
        condition: None,
    };
    log.append_blocking(append).expect("it is appended");
}

/// How many events of the entity a look finds, and whether it missed something.
fn look(log: &EventLog, reach: &Reach, direction: Direction) -> (usize, bool) {
    let item = QueryItem {
        key: Some(Bytes::from_static(b"a")),
        ..QueryItem::default()
    };
    let sought = log.shared.sought("s", &item).expect("the index answers");
    let bounds = Arc::new(Bounds::below(log.shared.stable_ends(&sought.stream)));
    let mut search = Search::new(direction, reach);
    let begin = match direction {
        Direction::Forward => FIRST,
        Direction::Backward => LAST,
    };
    search.add(&log.shared, &sought, &bounds, begin, 100);
    let mut found = 0;
    while search.next().expect("it is read").is_some() {
        found += 1;
    }
    (found, reach.has_missed())
}

#[test]
fn a_look_into_memory_opens_what_is_opened_at_once_and_ends_where_it_misses_something() {
    let check = |batches: Vec<Batch>, forward: (usize, bool), backward: (usize, bool)| {
        let log = log();
        let all: u32 = batches.iter().map(Batch::event_count).sum();
        batches.into_iter().for_each(|batch| append(&log, batch));
        for (direction, expected) in [(Direction::Forward, forward), (Direction::Backward, backward)] {
            assert_eq!(look(&log, &Reach::memory(), direction), expected, "{direction:?}");
        }
        for direction in [Direction::Forward, Direction::Backward] {
            assert_eq!(look(&log, &Reach::disk(), direction), (all as usize, false));
            // What took its time once is there from then on.
            assert_eq!(look(&log, &Reach::memory(), direction), (all as usize, false));
        }
    };
    let compressed = || Batch::encode(&events(1), Compression::Lz4, None);
    let many = || plain(EVENTS_FEW + 1);
    check(vec![plain(1), plain(2)], (3, false), (3, false));
    check(
        vec![plain(EVENTS_FEW)],
        (EVENTS_FEW as usize, false),
        (EVENTS_FEW as usize, false),
    );
    check(vec![many(), plain(1)], (0, true), (1, true));
    check(vec![plain(1), compressed(), plain(2)], (1, true), (2, true));
}

#[test]
fn a_term_has_no_postings_where_one_of_its_runs_is_missed() {
    let disk = Simulation::new(2).host().disk;
    let run = Run::new("/nowhere".into(), 1, 1, 1);
    let terms = Terms::new(0, None);
    let term = terms.of_key(b"a");
    let desk = Arc::new(Desk::new(disk, 1 << 20));
    let index = EntityIndex::new(
        terms,
        "s".into(),
        desk,
        (Vec::new(), vec![Arc::new(run)]),
        Cut::default(),
    );
    let batch = BatchTerms {
        terms: vec![(0, 0, term)],
        transactional: false,
    };
    index.put(0, 0, 1, 1, &batch);
    let reach = Reach::memory();
    let found = index.take(&reach, term, FIRST, Direction::Forward, 10);
    assert_eq!(found.map_err(|error| error.to_string()), Ok(Vec::new()));
    assert!(reach.has_missed());
}

/// Every batch of the stream, and its partition.
fn stored(log: &EventLog) -> (Arc<Partition>, Vec<Arc<OpenBatch>>) {
    let stream = log.shared.stream("s").expect("the stream");
    let partition = stream.partition(0).expect("its partition").clone();
    let end = partition.tail.lock().end;
    let mut batches: Vec<Arc<OpenBatch>> = Vec::new();
    let mut at = 0;
    while at < end {
        let read: Vec<StoredBatch> = log.read_stored("s", 0, at, end, 0).expect("it is read");
        for stored in read {
            at = stored.batch.next_offset();
            batches.push(Arc::new(OpenBatch::new(stored)));
        }
    }
    (partition, batches)
}

#[test]
fn what_is_kept_opened_is_what_was_used_last() {
    let log = log();
    (0..5).for_each(|_| append(&log, plain(10)));
    let (partition, batches) = stored(&log);
    let bytes = batches[0].bytes();
    // `+1` keeps the batch with this number, `1` asks for it: is it there?
    let check = |bytes_max: usize, steps: &str, expected: &str| {
        let opened = OpenBatches::new(bytes_max);
        let mut found = String::new();
        for step in steps.split(' ') {
            let number: usize = step.trim_start_matches('+').parse().expect("a number");
            if step.starts_with('+') {
                opened.keep(&partition, &batches[number]);
                continue;
            }
            // Any of its offsets finds it.
            for offset in [number * 10, number * 10 + 9] {
                let held = opened.get(&partition, offset as u64);
                let held = held.map(|held| Arc::ptr_eq(&held, &batches[number]));
                found.push_str(held.map_or("-", |same| if same { "y" } else { "n" }));
            }
        }
        assert_eq!(found, expected, "{bytes_max} of {bytes}: {steps}");
    };
    // One is kept where it takes half of the room, and no more.
    check(2 * bytes, "+0 0", "yy");
    check(2 * bytes - 2, "+0 0", "--");
    // Two in either table: the third makes the first two the older ones, the fifth forgets whoever was not used since.
    let room = 4 * bytes;
    check(room, "+0 +1 0 1", "yyyy");
    check(room, "+0 +1 +2 0 1 2", "yyyyyy");
    check(room, "+0 +1 +2 +3 +4 0 1 2 3 4", "----yyyyyy");
    check(room, "+0 +1 +2 0 +3 1 0", "yy--yy");
    // The same once more takes no more room.
    check(room, "+0 +0 +0 +1 0 1", "yyyy");
}

#[test]
fn what_may_change_and_what_is_gone_is_not_kept_opened() {
    let log = log();
    append(&log, plain(10));
    let producer = Producer {
        id: 7,
        epoch: 0,
        base_sequence: 0,
    };
    append(
        &log,
        Batch::encode_transactional(&events(10), Compression::None, producer),
    );
    append(&log, Batch::encode_marker(Marker::Committed, 7, 0, 0));
    let (partition, batches) = stored(&log);
    let opened = OpenBatches::new(1 << 20);
    batches.iter().for_each(|batch| opened.keep(&partition, batch));
    let is_there = |offset: u64| opened.get(&partition, offset).is_some();
    assert_eq!([0, 9, 10, 19].map(is_there), [true, true, false, false]);
    log.delete_records("s", 0, 5).expect("it is deleted");
    assert_eq!([0, 4, 5, 9].map(is_there), [false, false, true, true]);
}
