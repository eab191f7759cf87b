//! Views whose disk is full wait for room and go on by themselves; one that stopped for good is asked in its next version.

use std::sync::Arc;
use std::time::Duration;

use headwater_catalog::{ColumnType, PARKED_STREAM};
use headwater_eventlog::{Append, AppendError, EventLog, LogOptions, Part, StreamSettings};
use headwater_host::simulated::{Fault, Simulation};
use headwater_records::{Batch, Compression, Event};
use headwater_views::{Selection, View, ViewError};

use crate::ground::{EAGER, Ground, LAZY, printed, until};
use crate::oracle::shelf::Shelf;

const COLUMNS: [(&str, ColumnType, bool); 2] = [("k", ColumnType::Text, true), ("n", ColumnType::BigInt, true)];
const SUMS: &str = "SELECT k, sum(n) AS total FROM s GROUP BY k";

fn rows(view: &View) -> Vec<String> {
    printed(&view.read(&Selection::All).expect("rows").batches)
}

#[test]
fn a_view_waits_for_room_and_goes_on() {
    for options in [EAGER, LAZY] {
        let ground = Ground::new(Some(&COLUMNS), 2);
        let shelf = Arc::new(Shelf::new(None));
        let views = ground.views(&options).with_stores(Arc::clone(&shelf) as _);
        ground.define("v");
        let view = views.start(ground.spec("v", SUMS)).expect("it starts");
        ground.append(0, &[r#"{"k":"a","n":1}"#]);
        ground.catch_up(&view);
        // Whoever may read the store finds the row there.
        drop(view.reader().expect("a reader"));
        shelf.fill(true);
        ground.append(0, &[r#"{"k":"a","n":2}"#]);
        ground.catch_up(&view);
        if options.flush_ms > 0 {
            // Where nothing is committed of itself, a reader that needs a commit is refused, and holds the view up.
            assert!(matches!(view.reader(), Err(ViewError::Full(_))));
        }
        until("it is held up", || view.held_up().is_some());
        assert_eq!(
            (view.stopped(), rows(&view)),
            (None, vec!["a | 3".to_owned()]),
            "it is read"
        );
        let at = view.position();
        ground.append(1, &[r#"{"k":"b","n":4}"#]);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(view.position(), at, "it stands still");
        shelf.fill(false);
        ground.catch_up(&view);
        assert_eq!(rows(&view), ground.in_batch(SUMS));
        assert_eq!(view.held_up(), None);
        views.close();
        drop((view, views));
        let views = ground.views(&options).with_stores(Arc::clone(&shelf) as _);
        let view = views.start(ground.spec("v", SUMS)).expect("it starts");
        assert_eq!(ground.rows(&view), ground.in_batch(SUMS));
    }
}

#[test]
fn who_asks_for_a_view_that_stopped_waits_for_the_version_that_is_built_in_its_place() {
    let ground = Ground::new(Some(&COLUMNS), 1);
    let shelf = Arc::new(Shelf::new(None));
    let views = ground.views(&EAGER).with_stores(Arc::clone(&shelf) as _);
    ground.define("v");
    let first = views.start(ground.spec("v", SUMS)).expect("it starts");
    shelf.fail_after(0);
    ground.append(0, &[r#"{"k":"a","n":1}"#]);
    until("it stopped", || first.stopped().is_some());
    assert!(
        Arc::ptr_eq(&views.get("v").expect("the view"), &first),
        "there is no other"
    );
    shelf.mend();
    let held = views.pause("s").expect("it is followed");
    let mut spec = ground.spec("v", SUMS);
    spec.definition.version = 2;
    let second = views.begin(spec, None).expect("it begins");
    let asked = views.get("v").expect("the view");
    assert!(Arc::ptr_eq(&asked, &second), "before it is built");
    assert!(matches!(asked.read(&Selection::All), Err(ViewError::Building { .. })));
    assert_eq!(views.rebuilding("v"), None);
    drop(held);
    assert_eq!(ground.rows(&asked), ground.in_batch(SUMS));
    views.close();
}

/// Fills the disk of a log until it takes nothing.
fn fill(log: &EventLog, machine: &Simulation) {
    log.create_stream("filler", 1, StreamSettings::default())
        .expect("a stream");
    log.tend();
    machine.disk.limit_space(Some(machine.disk.used_bytes() + 200 * 1024));
    while log.full().is_none() {
        let event = Event {
            value: Some("x".repeat(1_000).into()),
            ..Event::default()
        };
        let append = Append {
            parts: vec![Part {
                stream: "filler".to_owned(),
                partition: 0,
                batch: Batch::encode(&[event], Compression::None, None),
            }],
            principal: "ann".to_owned(),
            condition: None,
        };
        match log.append_blocking(append) {
            Ok(_) => {}
            Err(AppendError::Full { .. }) => {
                log.tend();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_view_for_which_no_file_of_the_log_can_be_opened_waits_and_goes_on() {
    let machine = Simulation::new(1);
    let options = LogOptions {
        segment_bytes: 64 * 1024,
        tend_every: Duration::from_secs(3600),
        ..LogOptions::default()
    };
    let (log, _) = EventLog::open(machine.host(), "/log".as_ref(), options).expect("a new log");
    let dir = tempfile::tempdir().expect("a folder");
    let ground = Ground::over(dir, log, Some(&COLUMNS), 1);
    ground.define("v");
    // More than the log has in memory of what came last.
    for number in 0..200 {
        ground.append(0, &[&format!(r#"{{"k":"a",{}"n":{number}}}"#, " ".repeat(100_000))]);
    }
    ground.log.tend();
    let views = ground.views(&EAGER);
    machine.disk.fail_opens(Some(Fault::OpenFiles));
    let view = views.start(ground.spec("v", SUMS)).expect("it starts");
    until("it is held up", || view.held_up().is_some());
    let why = view.held_up().expect("it is held up");
    assert!(why.contains("no more files can be opened"), "{why}");
    assert_eq!(view.stopped(), None);
    machine.disk.fail_opens(None);
    ground.catch_up(&view);
    assert_eq!(rows(&view), ground.in_batch(SUMS));
    until("nothing holds it up", || view.held_up().is_none());
}

#[test]
fn a_view_that_cannot_park_an_event_waits_for_room_in_the_log_and_goes_on() {
    // What does not fit the stream's columns, and what the view's query cannot take.
    for unfit in ["no json", r#"{"k":"a","n":0}"#] {
        let machine = Simulation::new(1);
        let options = LogOptions {
            journal_bytes: 64 * 1024,
            segment_bytes: 4 * 1024,
            tend_every: Duration::from_secs(3600),
            ..LogOptions::default()
        };
        let (log, _) = EventLog::open(machine.host(), "/log".as_ref(), options).expect("a new log");
        let dir = tempfile::tempdir().expect("a folder");
        let ground = Ground::over(dir, log, Some(&COLUMNS), 1);
        ground.define("v");
        ground.append(0, &[r#"{"k":"a","n":1}"#, unfit, r#"{"k":"a","n":2}"#]);
        fill(&ground.log, &machine);
        let views = ground.views(&LAZY);
        let query = "SELECT k, sum(10 / n) AS total FROM s GROUP BY k";
        let view = views.start(ground.spec("v", query)).expect("it starts");
        until("it is held up", || view.held_up().is_some());
        let why = view.held_up().expect("it is held up");
        assert!(why.contains("events that do not fit could not be recorded"), "{why}");
        std::thread::sleep(Duration::from_millis(1_500));
        assert_eq!(view.stopped(), None);
        assert_eq!(view.position().get("s", 0), 0, "nothing is passed by unsaid");
        machine.disk.limit_space(None);
        ground.catch_up(&view);
        assert_eq!(rows(&view), ["a | 15"]);
        until("nothing holds it up", || view.held_up().is_none());
        assert_eq!(
            ground.log.position(PARKED_STREAM).map(|end| end.get(PARKED_STREAM, 0)),
            Some(1)
        );
    }
}
