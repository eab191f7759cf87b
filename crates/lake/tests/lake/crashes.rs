//! Exactly once: over ends without a word, and over storage that fails before or after it did what it was asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater_lake::DeltaLakes;

use crate::flaky::{Flaky, Trouble};
use crate::ground::{Ground, HISTORY, columnar, totals_of};

#[test]
fn rows_are_in_the_table_once_whenever_the_program_ends() {
    let ground = Ground::new();
    let mut appended = 0;
    let mut resumed = 0;
    for round in 0..12_u64 {
        let views = ground.views(DeltaLakes::start().expect("threads"));
        let view = ground
            .start(&views, "history", HISTORY, columnar(&["third"]))
            .expect("a view");
        for _ in 0..3 {
            ground.append(appended..appended + 20);
            appended += 20;
            std::thread::sleep(Duration::from_millis(7 * (round % 4)));
        }
        ground.folded(&view);
        assert_eq!(ground.totals(&view).1, totals_of(appended), "round {round}");
        resumed += u64::from(view.events_folded() < appended as u64);
        // Dropped and not closed: what waits is lost.
        drop(view);
        drop(views);
    }
    assert!(resumed > 6, "the table said where to go on in {resumed} of 12 rounds");
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground
        .start(&views, "history", HISTORY, columnar(&["third"]))
        .expect("a view");
    ground.committed(&view);
    assert_eq!(ground.totals(&view).1, totals_of(appended));
}

#[test]
fn what_is_closed_is_in_the_table() {
    let ground = Ground::new();
    {
        let views = ground.views(DeltaLakes::start().expect("threads"));
        let settings = headwater_catalog::ViewSettings {
            every_ms: Some(3_600_000),
            ..Default::default()
        };
        let view = views
            .start(ground.spec("history", HISTORY, columnar(&[]), settings))
            .expect("a view");
        ground.append(0..100);
        ground.folded(&view);
        views.close();
    }
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
    ground.folded(&view);
    assert_eq!(view.events_folded(), 0);
    assert_eq!(ground.totals(&view).1, totals_of(100));
}

#[test]
fn rows_are_in_the_table_once_whatever_its_storage_does() {
    for every in [2, 3, 5, 7] {
        let trouble = Arc::new(Trouble::default());
        let ground = Ground::new();
        let views = ground.views(DeltaLakes::over(Flaky::over(&trouble)).expect("threads"));
        let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
        trouble.every.store(every, Ordering::Relaxed);
        let mut appended = 0;
        while appended < 100 || trouble.failures.load(Ordering::Relaxed) < 3 {
            assert!(appended < 10_000, "one of {every} writes fails, and few did");
            ground.append(appended..appended + 10);
            appended += 10;
            ground.folded(&view);
            assert_eq!(
                ground.totals(&view).1,
                totals_of(appended),
                "one of {every} writes fails"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        trouble.every.store(0, Ordering::Relaxed);
        ground.committed(&view);
        assert_eq!(
            ground.totals(&view).1,
            totals_of(appended),
            "one of {every} writes failed"
        );
        drop((view, views));
        let views = ground.views(DeltaLakes::start().expect("threads"));
        let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
        ground.folded(&view);
        assert_eq!((ground.totals(&view).1, view.events_folded()), (totals_of(appended), 0));
    }
}

#[test]
fn storage_that_is_gone_is_seen_and_the_view_goes_on() {
    let trouble = Arc::new(Trouble::default());
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::over(Flaky::over(&trouble)).expect("threads"));
    let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
    ground.append(0..10);
    ground.committed(&view);
    assert_eq!(view.status().held_up, None);
    trouble.every.store(1, Ordering::Relaxed);
    ground.append(10..20);
    ground.folded(&view);
    ground.until("it is held up", || view.held_up().is_some());
    let status = view.status();
    let why = status.held_up.expect("it is held up");
    assert!(
        why.contains("is tried again") && why.contains("the cable was pulled"),
        "{why}"
    );
    assert_eq!(
        (ground.totals(&view).1, status.stopped),
        (totals_of(20), None),
        "it is read all the same"
    );
    trouble.every.store(0, Ordering::Relaxed);
    ground.committed(&view);
    ground.until("it is held up no more", || view.held_up().is_none());
    assert_eq!(ground.totals(&view).1, totals_of(20));
}
