//! Schedules on a simulated clock: what is due is appended, in order, once, over restarts; what is cancelled is not.

mod machine;

use bytes::Bytes;
use headwater_catalog::PARKED_STREAM;
use headwater_eventlog::EventLog;
use headwater_host::simulated::Simulation;
use headwater_records::Event;
use headwater_schedules::{Schedule, ScheduleError, Schedules, SchedulesOptions};
use machine::{appended, open_log, schedule};

/// Opens log and schedules.
fn open(machine: &Simulation) -> (EventLog, Schedules) {
    let log = open_log(machine).unwrap();
    let schedules = Schedules::open(log.clone(), SchedulesOptions::default()).unwrap();
    (log, schedules)
}

#[tokio::test]
async fn events_are_appended_when_they_are_due_and_not_before() {
    let machine = Simulation::new(1);
    let (log, schedules) = open(&machine);
    schedules.make(&[schedule("a", 1_000)], "ann").await.unwrap();
    machine.clock.set(999);
    assert_eq!(schedules.append_all_due().await.unwrap(), 0);
    assert!(appended(&log, "s").is_empty());
    machine.clock.set(1_000);
    assert_eq!(schedules.append_all_due().await.unwrap(), 1);
    assert_eq!(schedules.append_all_due().await.unwrap(), 0);
    assert_eq!(appended(&log, "s"), ["a"]);
    assert_eq!(schedules.pending(), 0);
    let stored = (0..2).flat_map(|partition| log.read("s", partition, 0, 1).unwrap());
    let stored: Vec<_> = stored.collect();
    assert_eq!(stored[0].principal.as_ref(), "ann");
    let (_, event) = stored[0].batch.events().unwrap().remove(0);
    assert_eq!(event.value.as_deref(), Some(b"\"a\"".as_slice()));
    assert_eq!(event.timestamp_ms, 1);
    // The name is free again.
    schedules.make(&[schedule("a", 0)], "ann").await.unwrap();
    assert_eq!(schedules.append_all_due().await.unwrap(), 1);
    assert_eq!(appended(&log, "s"), ["a", "a"]);
}

#[tokio::test]
async fn late_ones_are_appended_at_start_in_the_order_of_their_moments() {
    let machine = Simulation::new(2);
    {
        let (_, schedules) = open(&machine);
        let made = [
            ("c", 3_000),
            ("a", 1_000),
            ("far", 253_402_200_000_000_000),
            ("b", 2_000),
            ("a2", 1_000),
        ];
        for (name, due_us) in made {
            schedules.make(&[schedule(name, due_us)], "ann").await.unwrap();
        }
        assert!(schedules.cancel("b", "ann").await.unwrap());
    }
    machine.disk.cut_power();
    machine.disk.restart();
    machine.clock.set(10_000);
    let (log, schedules) = open(&machine);
    assert_eq!(schedules.pending(), 4);
    assert_eq!(schedules.append_all_due().await.unwrap(), 3);
    assert_eq!(appended(&log, "s"), ["a", "a2", "c"]);
    assert_eq!(schedules.next_us(), Some(253_402_200_000_000_000));
    drop((log, schedules));
    machine.disk.cut_power();
    machine.disk.restart();
    // Nothing of it is done again.
    let (log, schedules) = open(&machine);
    assert_eq!(schedules.append_all_due().await.unwrap(), 0);
    assert_eq!(appended(&log, "s"), ["a", "a2", "c"]);
    assert_eq!(schedules.pending(), 1);
}

#[tokio::test]
async fn a_clock_that_goes_back_repeats_nothing_and_what_waits_waits_longer() {
    let machine = Simulation::new(3);
    let (log, schedules) = open(&machine);
    machine.clock.set(5_000);
    schedules
        .make(&[schedule("a", 6_000), schedule("b", 7_000)], "ann")
        .await
        .unwrap();
    machine.clock.set(6_500);
    assert_eq!(schedules.append_all_due().await.unwrap(), 1);
    machine.clock.set(1_000);
    assert_eq!(schedules.append_all_due().await.unwrap(), 0);
    machine.clock.set(6_999);
    assert_eq!(schedules.append_all_due().await.unwrap(), 0);
    machine.clock.set(7_000);
    assert_eq!(schedules.append_all_due().await.unwrap(), 1);
    assert_eq!(appended(&log, "s"), ["a", "b"]);
}

#[tokio::test]
async fn thousands_due_at_once_are_appended_in_bounded_steps() {
    const COUNT: usize = 3_000;
    let machine = Simulation::new(4);
    let (log, schedules) = open(&machine);
    // Made in an order that is not that of their moments.
    let at = |number: usize| (number * 7_919 % COUNT) as i64;
    let made: Vec<Schedule> = (0..COUNT)
        .map(|number| schedule(&format!("{:05}", at(number)), at(number)))
        .collect();
    for some in made.chunks(500) {
        schedules.make(some, "ann").await.unwrap();
    }
    machine.clock.set(COUNT as i64);
    let first = schedules.append_due().await.unwrap();
    assert!((1..COUNT).contains(&first), "{first} in one step");
    schedules.append_all_due().await.unwrap();
    let expected: Vec<String> = (0..COUNT).map(|number| format!("{number:05}")).collect();
    assert_eq!(appended(&log, "s"), expected);
}

#[tokio::test]
async fn a_name_is_taken_while_its_schedule_waits() {
    let machine = Simulation::new(5);
    let (log, schedules) = open(&machine);
    schedules.make(&[schedule("a", 10)], "ann").await.unwrap();
    let again = schedules.make(&[schedule("b", 10), schedule("a", 20)], "ann").await;
    assert!(matches!(again, Err(ScheduleError::Exists(name)) if name == "a"));
    let twice = schedules.make(&[schedule("c", 10), schedule("c", 20)], "ann").await;
    assert!(matches!(twice, Err(ScheduleError::Twice(name)) if name == "c"));
    assert_eq!(schedules.pending(), 1, "all or none");
    assert!(schedules.get("b").unwrap().is_none());
    let there = schedules.get("a").unwrap().unwrap();
    assert_eq!((there.schedule, there.principal.as_str()), (schedule("a", 10), "ann"));
    // In the place of one that the same changes cancel it may come: a clock wound up anew.
    let changes = schedules.changes(&[schedule("a", 30)], &["a".to_owned()]).unwrap();
    assert_eq!(changes.cancelled(), ["a"]);
    assert_eq!(changes.records().len(), 2);
    assert!(!schedules.cancel("nobody", "ann").await.unwrap());
    assert!(schedules.cancel("a", "ann").await.unwrap());
    assert!(!schedules.cancel("a", "ann").await.unwrap());
    machine.clock.set(100);
    assert_eq!(schedules.append_all_due().await.unwrap(), 0);
    assert!(appended(&log, "s").is_empty());
}

#[tokio::test]
async fn as_many_wait_as_are_allowed() {
    let machine = Simulation::new(6);
    let log = open_log(&machine).unwrap();
    let schedules = Schedules::open(log, SchedulesOptions { pending_max: 3 }).unwrap();
    schedules
        .make(&[schedule("a", 10), schedule("b", 10)], "ann")
        .await
        .unwrap();
    let more = [schedule("c", 10), schedule("d", 10)];
    assert!(matches!(
        schedules.make(&more, "ann").await,
        Err(ScheduleError::Full(2))
    ));
    schedules.make(&more[..1], "ann").await.unwrap();
    assert!(matches!(
        schedules.make(&more[1..], "ann").await,
        Err(ScheduleError::Full(3))
    ));
    assert!(
        schedules.cancel("a", "ann").await.unwrap(),
        "what is full can be emptied"
    );
    schedules.make(&more[1..], "ann").await.unwrap();
}

#[tokio::test]
async fn what_waits_is_listed_in_the_order_in_which_it_is_due() {
    let machine = Simulation::new(7);
    let (_, schedules) = open(&machine);
    for (name, due_us) in [("c", 30), ("a", 10), ("b", 20), ("d", 30)] {
        schedules.make(&[schedule(name, due_us)], "ann").await.unwrap();
    }
    let check = |after: Option<(i64, u64)>, most: usize, expected: &[&str]| {
        let listed = schedules.list(after, most).unwrap();
        let names: Vec<&str> = listed.iter().map(|waiting| waiting.schedule.name.as_str()).collect();
        assert_eq!(names, expected);
    };
    check(None, 9, &["a", "b", "c", "d"]);
    check(None, 2, &["a", "b"]);
    check(Some((20, 2)), 2, &["c", "d"]);
    check(Some((30, 0)), 2, &["d"]);
    check(Some((30, 3)), 2, &[]);
    // One that does not wait any more has a place all the same.
    check(Some((15, 9)), 1, &["b"]);
}

#[tokio::test]
async fn events_that_nothing_takes_are_parked_and_stop_nobody() {
    let machine = Simulation::new(8);
    let (log, schedules) = open(&machine);
    let gone = Schedule {
        stream: "gone".to_owned(),
        ..schedule("lost", 10)
    };
    let keyless = Schedule {
        stream: "compacted".to_owned(),
        events: vec![Event {
            value: Some(Bytes::from_static(b"1")),
            ..Event::default()
        }],
        ..schedule("keyless", 10)
    };
    let settings = headwater_eventlog::StreamSettings {
        cleanup: Some(headwater_eventlog::Cleanup {
            delete: false,
            compact: true,
        }),
        ..headwater_eventlog::StreamSettings::default()
    };
    log.create_stream("compacted", 1, settings).unwrap();
    schedules
        .make(&[schedule("a", 10), gone, keyless, schedule("b", 10)], "ann")
        .await
        .unwrap();
    machine.clock.set(10);
    schedules.append_all_due().await.unwrap();
    assert_eq!(appended(&log, "s"), ["a", "b"]);
    assert_eq!(schedules.pending(), 0);
    let reasons = parked(&log);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("'lost' was due") && reasons[0].contains("there is no stream 'gone'"));
    assert!(reasons[1].contains("'keyless' was due") && reasons[1].contains("without a key"));
}

fn parked(log: &EventLog) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for stored in log.read(PARKED_STREAM, 0, 0, 1 << 20).unwrap() {
        for (_, event) in stored.batch.events().unwrap() {
            values.push(String::from_utf8(event.value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_cancellation_and_an_append_one_happens() {
    const COUNT: usize = 400;
    let machine = Simulation::new(9);
    let (log, schedules) = open(&machine);
    let made: Vec<Schedule> = (0..COUNT).map(|number| schedule(&format!("{number}"), 10)).collect();
    schedules.make(&made, "ann").await.unwrap();
    machine.clock.set(10);
    let appending = tokio::spawn({
        let schedules = schedules.clone();
        async move { schedules.append_all_due().await }
    });
    let mut cancelling = Vec::new();
    for number in (0..COUNT).rev() {
        let schedules = schedules.clone();
        cancelling.push(tokio::spawn(async move {
            let name = format!("{number}");
            (schedules.cancel(&name, "bob").await.unwrap(), name)
        }));
    }
    appending.await.unwrap().unwrap();
    let there = appended(&log, "s");
    let mut cancelled = 0;
    for task in cancelling {
        let (is_cancelled, name) = task.await.unwrap();
        assert_ne!(is_cancelled, there.contains(&name), "{name}");
        cancelled += usize::from(is_cancelled);
    }
    assert_eq!(there.len() + cancelled, COUNT);
    assert_eq!(schedules.pending(), 0);
}
