//! Stores that did not come out of the log that they are opened over: the log was restored from a copy, or lost its end.

use std::path::Path;

use headwater_catalog::{ColumnType, SearchField, SearchKind, Shape};
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_views::{ViewError, ViewSpec};

use crate::ground::{Ground, LAZY};

const COLUMNS: [(&str, ColumnType, bool); 2] = [("k", ColumnType::Text, false), ("n", ColumnType::BigInt, true)];
const QUERY: &str = "SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => std::fs::copy(&from, &to).map(|_| ()).expect("a copy"),
        }
    }
}

/// Lets a log go, does something in its folder, and opens it again.
fn meanwhile(ground: Ground, change: impl FnOnce(&Path)) -> Ground {
    let Ground {
        dir,
        log,
        catalog,
        runtime,
    } = ground;
    log.close();
    drop((catalog, log));
    change(dir.path());
    let (log, _) = EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default()).expect("the log opens");
    let catalog = headwater_catalog::Catalog::open(log.clone()).expect("the catalog opens");
    Ground {
        dir,
        log,
        catalog,
        runtime,
    }
}

fn restore(dir: &Path) {
    std::fs::remove_dir_all(dir.join("log")).expect("the log goes");
    copy(&dir.join("copy"), &dir.join("log"));
}

fn spec(ground: &Ground, shape: Shape) -> ViewSpec {
    let mut spec = ground.spec("v", QUERY);
    spec.definition.shape = Some(shape);
    spec
}

/// A view, folded and stored, of `before` events, of which the log is then copied, and of `after` more.
fn ahead(shape: &Shape, before: usize, after: usize) -> Ground {
    let ground = Ground::new(Some(&COLUMNS), 1);
    ground.define("v");
    ground.append(0, &vec![r#"{"k":"a","n":1}"#; before]);
    let ground = meanwhile(ground, |dir| copy(&dir.join("log"), &dir.join("copy")));
    for _ in 0..after {
        ground.append(0, &[r#"{"k":"z","n":1}"#]);
    }
    let views = ground.views(&LAZY);
    let view = views.start(spec(&ground, shape.clone())).expect("it starts");
    ground.catch_up(&view);
    views.close();
    drop((view, views));
    ground
}

fn shapes() -> [Shape; 2] {
    let by_key = SearchField {
        name: "k".to_owned(),
        kind: SearchKind::Keyword,
    };
    [Shape::Document, Shape::Search(vec![by_key])]
}

#[test]
fn a_view_ahead_of_a_restored_log_is_made_anew() {
    for shape in shapes() {
        let ground = meanwhile(ahead(&shape, 5, 10), restore);
        let views = ground.views(&LAZY);
        let view = views.start(spec(&ground, shape.clone())).expect("it starts");
        assert_eq!(ground.rows(&view), ground.in_batch(QUERY));
        let why = view.status().made_anew.expect("it says so");
        assert!(why.contains("s/0 below 15, and the log ends at 5 there"), "{why}");
        ground.append(0, &[r#"{"k":"new","n":7}"#]);
        assert_eq!(ground.rows(&view), ["a | 5 | 5", "new | 7 | 1"]);
        views.close();
        drop((view, views));
        let views = ground.views(&LAZY);
        let view = views.start(spec(&ground, shape)).expect("it starts");
        assert_eq!((view.events_folded(), view.status().made_anew), (0, None), "once");
    }
}

#[test]
fn a_restored_log_that_went_on_past_the_view_is_another_history() {
    for shape in shapes() {
        let ground = meanwhile(ahead(&shape, 5, 10), restore);
        for _ in 0..20 {
            ground.append(0, &[r#"{"k":"q","n":1}"#]);
        }
        let views = ground.views(&LAZY);
        let view = views.start(spec(&ground, shape)).expect("it starts");
        assert_eq!(ground.rows(&view), ["a | 5 | 5", "q | 20 | 20"]);
        let why = view.status().made_anew.expect("it says so");
        assert!(why.contains("s/0, below 15, is not the one"), "{why}");
    }
}

#[test]
fn a_log_that_lost_its_newest_frame_takes_the_view_back_with_it() {
    let ground = Ground::new(Some(&COLUMNS), 1);
    ground.define("v");
    for n in 0..9 {
        ground.append(0, &[format!(r#"{{"k":"a","n":{n}}}"#).as_str()]);
    }
    let views = ground.views(&LAZY);
    let view = views.start(ground.spec("v", QUERY)).expect("it starts");
    ground.append(0, &[r#"{"k":"lost-later","n":1}"#]);
    ground.catch_up(&view);
    views.close();
    drop((view, views));
    let Ground {
        dir,
        log,
        catalog,
        runtime,
    } = ground;
    // A copy of a log that runs is one that was killed.
    copy(&dir.path().join("log"), &dir.path().join("killed"));
    log.close();
    drop((catalog, log));
    std::fs::remove_dir_all(dir.path().join("log")).expect("the log goes");
    std::fs::rename(dir.path().join("killed"), dir.path().join("log")).expect("the other takes its place");
    let journal = dir.path().join("log").join("journal");
    let mut is_hit = false;
    for entry in std::fs::read_dir(journal).expect("the journal").flatten() {
        let mut bytes = std::fs::read(entry.path()).expect("a journal file");
        let sought = b"lost-later";
        if let Some(at) = bytes.windows(sought.len()).position(|window| window == sought) {
            bytes[at] ^= 1;
            std::fs::write(entry.path(), bytes).expect("the file is changed");
            is_hit = true;
        }
    }
    assert!(is_hit, "the newest frame is in the journal");
    let (log, _) = EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default()).expect("the log opens");
    let catalog = headwater_catalog::Catalog::open(log.clone()).expect("the catalog opens");
    let ground = Ground {
        dir,
        log,
        catalog,
        runtime,
    };
    assert_eq!(ground.end().get("s", 0), 9, "the torn frame is cut off");
    let views = ground.views(&LAZY);
    let view = views.start(ground.spec("v", QUERY)).expect("it starts");
    ground.append(0, &[r#"{"k":"b","n":5}"#]);
    assert_eq!(ground.rows(&view), ["a | 36 | 9", "b | 5 | 1"]);
}

#[test]
fn rows_that_cannot_be_made_again_are_not_thrown_away() {
    let ground = meanwhile(ahead(&Shape::Document, 5, 10), restore);
    ground.log.delete_records("s", 0, 3).expect("a start that moves");
    let views = ground.views(&LAZY);
    let refused = views.start(ground.spec("v", QUERY));
    let Err(ViewError::Stopped { why, .. }) = refused else {
        panic!("it stops");
    };
    assert!(why.contains("no longer keep all events"), "{why}");
    // Built anew, where that is asked for.
    let mut anew = ground.spec("v", QUERY);
    anew.definition.version = 2;
    let view = views.begin(anew, Some(ground.spec("v", QUERY))).expect("it starts");
    assert_eq!(ground.rows(&view), ["a | 2 | 2"]);
}

#[test]
fn events_that_went_since_are_no_other_history() {
    let ground = ahead(&Shape::Document, 5, 10);
    ground.append(0, &[r#"{"k":"q","n":1}"#]);
    ground.log.delete_records("s", 0, 16).expect("a start that moves");
    ground.append(0, &[r#"{"k":"r","n":1}"#]);
    let ground = meanwhile(ground, |_| ());
    let views = ground.views(&LAZY);
    let view = views.start(ground.spec("v", QUERY)).expect("it starts");
    assert_eq!(ground.rows(&view), ["a | 5 | 5", "r | 1 | 1", "z | 10 | 10"]);
    assert_eq!((view.status().made_anew, view.status().lacking), (None, 1));
}
