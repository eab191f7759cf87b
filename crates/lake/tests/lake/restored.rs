//! Tables that did not come out of the log that they are opened over: it was restored from a copy.

use std::path::Path;

use headwater_catalog::{Catalog, Shape};
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_lake::DeltaLakes;
use headwater_views::ViewError;

use crate::ground::{Ground, HISTORY, columnar, totals_of};
use crate::opening::at;

const MERGED: &str = "SELECT n % 3 AS third, count(*) AS events FROM s GROUP BY n % 3";

fn lakes() -> DeltaLakes {
    DeltaLakes::start().expect("threads")
}

pub fn copy(from: &Path, to: &Path) {
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
pub fn meanwhile(ground: Ground, change: impl FnOnce(&Path)) -> Ground {
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
    let catalog = Catalog::open(log.clone()).expect("the catalog opens");
    Ground {
        dir,
        log,
        catalog,
        runtime,
    }
}

/// A view whose table has 150 events, over a log that was taken back to 50 of them.
fn ahead(query: &str, shape: &Shape) -> Ground {
    let ground = Ground::new();
    // So that its folder stays when the catalog is taken back.
    ground.spec("history", query, shape.clone(), Default::default());
    ground.append(0..50);
    let ground = meanwhile(ground, |dir| copy(&dir.join("log"), &dir.join("copy")));
    ground.append(50..150);
    let views = ground.views(lakes());
    let view = ground.start(&views, "history", query, shape.clone()).expect("a view");
    ground.folded(&view);
    views.close();
    drop((view, views));
    meanwhile(ground, |dir| {
        std::fs::remove_dir_all(dir.join("log")).expect("the log goes");
        copy(&dir.join("copy"), &dir.join("log"));
    })
}

#[test]
fn an_own_table_ahead_of_a_restored_log_is_made_anew() {
    let ground = ahead(HISTORY, &columnar(&[]));
    let views = ground.views(lakes());
    let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
    ground.append(50..70);
    ground.committed(&view);
    assert_eq!(ground.totals(&view).1, totals_of(70));
    let why = view.status().made_anew.expect("it says so");
    assert!(why.contains("below 75, and the log ends at 25 there"), "{why}");
}

#[test]
fn a_table_at_a_location_ahead_of_a_restored_log_stops() {
    for query in [HISTORY, MERGED] {
        let place = tempfile::tempdir().expect("a folder");
        let ground = ahead(query, &at(place.path()));
        let versions = || {
            std::fs::read_dir(place.path().join("_delta_log"))
                .expect("the table")
                .count()
        };
        let before = versions();
        let views = ground.views(lakes());
        let started = ground.start(&views, "history", query, at(place.path()));
        let Err(ViewError::Stopped { why, .. }) = started.map(|_| ()) else {
            panic!("it stops: {query}");
        };
        assert!(why.contains("give the view a LOCATION of its own"), "{why}");
        assert_eq!(versions(), before, "nothing is written");
    }
}

/// A copy of the whole ground in another folder, whose log is open too.
fn copied(ground: &Ground, from: &Path) -> Ground {
    let fresh = Ground::new();
    meanwhile(fresh, |dir| {
        for name in ["log", "views"] {
            std::fs::remove_dir_all(dir.join(name)).ok();
            copy(&from.join(name), &dir.join(name));
        }
        assert_ne!(dir, ground.dir.path());
    })
}

/// A program with a table of fifty events, and a copy of its data folder.
fn twins(query: &str, place: &Path) -> (Ground, Ground) {
    let ground = Ground::new();
    ground.append(0..50);
    let views = ground.views(lakes());
    let view = ground.start(&views, "history", query, at(place)).expect("a view");
    ground.folded(&view);
    views.close();
    drop((view, views));
    let copies = tempfile::tempdir().expect("a folder");
    let ground = meanwhile(ground, |dir| {
        for name in ["log", "views"] {
            copy(&dir.join(name), &copies.path().join(name));
        }
    });
    let twin = copied(&ground, copies.path());
    (ground, twin)
}

#[test]
fn a_copy_does_not_go_on_top_of_commits_that_it_did_not_make() {
    for query in [HISTORY, MERGED] {
        let place = tempfile::tempdir().expect("a folder");
        let (ground, twin) = twins(query, place.path());
        let commits = || {
            std::fs::read_dir(place.path().join("_delta_log"))
                .expect("the table")
                .count()
        };
        let views = ground.views(lakes());
        let view = ground
            .start(&views, "history", query, at(place.path()))
            .expect("a view");
        ground.append(50..60);
        ground.folded(&view);
        let before = commits();
        ground.until("a commit", || commits() > before);
        let staging = twin.views(lakes());
        let started = twin.start(&staging, "history", query, at(place.path()));
        let Err(ViewError::Stopped { why, .. }) = started.map(|_| ()) else {
            panic!("it stops: {query}");
        };
        assert!(why.contains("did not make"), "{why}");
        ground.append(60..70);
        ground.folded(&view);
        assert_eq!(view.stopped(), None);
    }
}

#[test]
fn the_second_of_two_writers_stops() {
    let place = tempfile::tempdir().expect("a folder");
    let (ground, twin) = twins(HISTORY, place.path());
    let (views, staging) = (ground.views(lakes()), twin.views(lakes()));
    let view = ground
        .start(&views, "history", HISTORY, at(place.path()))
        .expect("a view");
    let other = twin
        .start(&staging, "history", HISTORY, at(place.path()))
        .expect("a view");
    ground.append(50..60);
    ground.committed(&view);
    twin.append(1_000..1_010);
    twin.until("it stops", || other.stopped().is_some());
    let why = other.stopped().unwrap_or_default();
    assert!(why.contains("did not make"), "{why}");
    ground.append(60..70);
    ground.committed(&view);
    assert_eq!(view.stopped(), None);
    assert_eq!(
        ground.totals(&view).1,
        totals_of(70),
        "none of the other's rows are there"
    );
}

/// A commit as another program makes it: it takes a file away, or joins files and changes no row.
fn commit_as_another(place: &Path, operation: &str, changes: bool) {
    let log = place.join("_delta_log");
    let commits = || -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(&log)
            .expect("the table")
            .flatten()
            .map(|entry| entry.path());
        let is_commit = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "json");
        let mut commits: Vec<_> = entries.filter(is_commit).collect();
        commits.sort();
        commits
    };
    let mut text = format!(
        r#"{{"commitInfo":{{"timestamp":1700000000000,"operation":"{operation}","operationParameters":{{}}}}}}"#
    );
    let added = commits().iter().rev().find_map(|commit| {
        let text = std::fs::read_to_string(commit).expect("a commit");
        let at = text.find(r#"{"add":{"path":""#)? + r#"{"add":{"path":""#.len();
        Some(text[at..].split('"').next()?.to_owned())
    });
    if changes {
        let path = added.expect("a file of the table");
        text += &format!(
            "\n{{\"remove\":{{\"path\":\"{path}\",\"dataChange\":true,\"deletionTimestamp\":1700000000000}}}}"
        );
    }
    let next = log.join(format!("{:020}.json", commits().len()));
    let mut file = std::fs::File::create_new(next).expect("nobody commits meanwhile");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("a commit");
}

#[test]
fn a_table_whose_rows_another_program_changed_stops() {
    for restarts in [false, true] {
        let place = tempfile::tempdir().expect("a folder");
        let ground = Ground::new();
        let views = ground.views(lakes());
        let view = ground
            .start(&views, "history", HISTORY, at(place.path()))
            .expect("a view");
        ground.append(0..50);
        ground.committed(&view);
        commit_as_another(place.path(), "OPTIMIZE", false);
        ground.append(50..60);
        ground.committed(&view);
        assert_eq!(view.stopped(), None, "no row was changed");
        commit_as_another(place.path(), "RESTORE", true);
        let why = match restarts {
            false => {
                ground.append(60..70);
                ground.until("it stops", || view.stopped().is_some());
                view.stopped().expect("it stopped")
            }
            true => {
                views.close();
                drop((view, views));
                let views = ground.views(lakes());
                let started = ground.start(&views, "history", HISTORY, at(place.path()));
                let Err(ViewError::Stopped { why, .. }) = started.map(|_| ()) else {
                    panic!("it stops");
                };
                why
            }
        };
        assert!(why.contains("was changed by somebody else (RESTORE, version"), "{why}");
    }
}

#[test]
fn a_table_that_is_gone_stops_its_view_and_is_not_made_anew_unasked() {
    for query in [HISTORY, MERGED] {
        let place = tempfile::tempdir().expect("a folder");
        let ground = Ground::new();
        let views = ground.views(lakes());
        let view = ground
            .start(&views, "history", query, at(place.path()))
            .expect("a view");
        ground.append(0..50);
        ground.folded(&view);
        ground.until("the table has its rows", || {
            view.lake_source().is_some() && place.path().join("_delta_log").join(format!("{:020}.json", 1)).exists()
        });
        for entry in std::fs::read_dir(place.path()).expect("the place").flatten() {
            let gone = match entry.path().is_dir() {
                true => std::fs::remove_dir_all(entry.path()),
                false => std::fs::remove_file(entry.path()),
            };
            gone.expect("it goes");
        }
        ground.append(50..60);
        ground.until("it stops", || view.stopped().is_some());
        let expected = "is not there any more, and nothing is written in its place";
        let why = view.stopped().expect("it stopped");
        assert!(why.contains(expected), "{why}");
        views.close();
        drop((view, views));
        let views = ground.views(lakes());
        let started = ground.start(&views, "history", query, at(place.path()));
        let Err(ViewError::Stopped { why, .. }) = started.map(|_| ()) else {
            panic!("it does not start: {query}");
        };
        assert!(why.contains(expected), "{why}");
        assert!(!place.path().join("_delta_log").exists(), "nothing is written");
        // The way out.
        views.remove("history");
        let view = ground
            .start(&views, "history", query, at(place.path()))
            .expect("a view");
        ground.append(60..70);
        ground.folded(&view);
        assert_eq!(view.stopped(), None);
    }
}
