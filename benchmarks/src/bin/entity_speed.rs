//! What entities cost: so many keys of so many events each, then how many entities a second are read, a page in the middle of a long one, and how many
//! appends a second depend on a version.
//!
//!     cargo run --release -p headwater-benchmarks --bin entity_speed -- FOLDER KEYS EVENTS BATCH

use std::path::Path;
use std::time::{Duration, Instant};

use headwater_benchmarks as _;
use headwater_eventlog::{
    Append, Condition, Direction, Entities, EntityVersion, EventLog, LogOptions, Part, StreamSettings,
};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event, Version, partition_of};

const PARTITIONS: u32 = 4;
const LONG: &str = "long";
const TIME: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let (Some(folder), Some(keys), Some(events), Some(batch)) = (arguments.get(1), number(2), number(3), number(4))
    else {
        eprintln!("entity_speed FOLDER KEYS EVENTS BATCH: so many keys, events of each, and events in a batch");
        return;
    };
    let (log, _) = EventLog::open(Host::real(), Path::new(folder), LogOptions::default()).expect("the log opens");
    if log.stream("s").is_none() {
        fill(&log, keys, events, batch as usize);
    }
    let began = Instant::now();
    let page = entity(&log, "k0", None, 1);
    println!("the index answers after {:.2} s", began.elapsed().as_secs_f64());
    assert!(page > 0 || keys == 0);
    let read = rate(|round| entity(&log, &format!("k{}", round * 7_919 % keys), None, 100));
    println!("{read:.0} entities a second are read, of {events} events");
    let at_hand = rate(|round| {
        let key = format!("k{}", round * 7_919 % keys);
        let mut seen = 0;
        let page = log.entity_in_memory("s", key.as_bytes(), 100, Direction::Forward, |_| seen += 1);
        page.expect("it is read").map_or(0, |_| seen)
    });
    println!("{at_hand:.0} a second where memory alone is asked");
    let newest = rate(|_| {
        let page = log.entity("s", LONG.as_bytes(), None, 20, Direction::Backward);
        page.expect("it is read").events.len()
    });
    println!("{newest:.0} pages a second of the last 20 events of the long one");
    let middle = log
        .entity("s", LONG.as_bytes(), None, 1_000, Direction::Forward)
        .expect("it is read");
    let middle = middle.next.or(middle.version);
    println!(
        "{:.0} pages a second of 20 events in the middle of a long one",
        rate(|_| entity(&log, LONG, middle, 20))
    );
    let mut version: Option<Version> = log
        .entity("s", b"one", None, 1, Direction::Backward)
        .expect("it is read")
        .version;
    let appended = rate(|_| {
        let entity = EntityVersion {
            stream: "s".to_owned(),
            key: "one".into(),
            version,
        };
        let append = Append {
            condition: Some(Condition::Entity(entity)),
            ..of(0, &[event("one")])
        };
        let offset = log.append_blocking(append).expect("it is appended").base_offsets[0];
        version = Some(Version { partition: 0, offset });
        1
    });
    println!("{appended:.0} appends a second, each on the version before, one client");
    memory();
    let began = Instant::now();
    log.close();
    println!("closed in {:.2} s", began.elapsed().as_secs_f64());
}

fn fill(log: &EventLog, keys: u64, events: u64, batch_events: usize) {
    let settings = StreamSettings {
        entities: Some(Entities::Indexed),
        ..StreamSettings::default()
    };
    log.create_stream("s", PARTITIONS, settings).expect("it is created");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let began = Instant::now();
    let mut under_way = Vec::new();
    let mut waiting: Vec<Vec<Event>> = vec![Vec::new(); PARTITIONS as usize];
    for number in 0..keys * events {
        let key = format!("k{}", number % keys);
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        let batch = &mut waiting[partition as usize];
        batch.push(event(&key));
        if batch.len() == batch_events {
            let batch = std::mem::take(batch);
            under_way.push(runtime.block_on(log.submit(of(partition, &batch))));
        }
        if under_way.len() == 1_000 {
            for outcome in under_way.drain(..) {
                runtime
                    .block_on(outcome)
                    .expect("it is answered")
                    .expect("it is appended");
            }
        }
        if number.is_multiple_of((keys * events / 100).max(1)) {
            log.append_blocking(of(0, &vec![event(LONG); 1_000]))
                .expect("it is appended");
        }
    }
    for (partition, batch) in (0..).zip(waiting) {
        if !batch.is_empty() {
            log.append_blocking(of(partition, &batch)).expect("it is appended");
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{} events in {took:.1} s, {:.0} a second",
        keys * events,
        (keys * events) as f64 / took
    );
    memory();
}

fn event(key: &str) -> Event {
    Event {
        key: Some(key.to_owned().into()),
        value: Some(vec![b'x'; 100].into()),
        ..Event::default()
    }
}

fn of(partition: u32, events: &[Event]) -> Append {
    Append {
        parts: vec![Part {
            stream: "s".to_owned(),
            partition,
            batch: Batch::encode(events, Compression::None, None),
        }],
        principal: "speed".to_owned(),
        condition: None,
    }
}

fn entity(log: &EventLog, key: &str, from: Option<Version>, limit: usize) -> usize {
    let page = log.entity("s", key.as_bytes(), from, limit, Direction::Forward);
    page.expect("it is read").events.len()
}

fn rate(mut act: impl FnMut(u64) -> usize) -> f64 {
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < TIME {
        act(rounds);
        rounds += 1;
    }
    rounds as f64 / began.elapsed().as_secs_f64()
}

/// What the process takes of memory, where the system says so.
fn memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
    {
        println!("{line}");
    }
}
