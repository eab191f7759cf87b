//! Views stored as memory: nothing on the disk, nothing dropped, and a bound.

use datafusion::common::ScalarValue;
use headwater_catalog::{ColumnType, Shape};
use headwater_records::Position;
use headwater_views::{Selection, Subscription, ViewError, ViewSpec};

use crate::ground::{EAGER, Ground, LAZY, until};

const COLUMNS: [(&str, ColumnType, bool); 2] = [("k", ColumnType::Text, false), ("n", ColumnType::BigInt, true)];
const QUERY: &str = "SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k";

fn ground() -> Ground {
    let ground = Ground::new(Some(&COLUMNS), 2);
    ground.define("m");
    ground
}

fn spec(ground: &Ground, name: &str, memory_bytes: Option<u64>) -> ViewSpec {
    let mut spec = ground.spec(name, QUERY);
    spec.definition.shape = Some(Shape::Memory);
    spec.definition.settings.memory_bytes = memory_bytes;
    spec
}

fn append(ground: &Ground, from: u32, upto: u32) {
    let values: Vec<String> = (from..upto).map(|n| format!(r#"{{"k":"key {n}","n":{n}}}"#)).collect();
    ground.append(0, &values.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_memory_image_stays_whole_and_is_folded_again_at_a_start() {
    let ground = ground();
    append(&ground, 0, 500);
    // Twice: what was closed is not there any more.
    for _ in 0..2 {
        // Bounds that would drop every row of another view.
        let views = ground.views(&EAGER);
        let view = views.start(spec(&ground, "m", None)).expect("it starts");
        assert_eq!(ground.rows(&view), ground.in_batch(QUERY));
        append(&ground, 250, 750);
        assert_eq!(ground.rows(&view), ground.in_batch(QUERY));
        let status = view.status();
        assert_eq!(
            (view.events_folded(), status.store_bytes),
            (ground.end().get("s", 0), 0)
        );
        views.close();
        assert!(!ground.views_dir().join("m").exists(), "nothing is written");
    }
}

#[test]
fn over_its_bound_it_stops_and_no_other_view_does() {
    const BYTES_MAX: u64 = 40_000;
    let ground = ground();
    ground.define("other");
    let views = ground.views(&LAZY);
    let view = views.start(spec(&ground, "m", Some(BYTES_MAX))).expect("it starts");
    let other = views.start(ground.spec("other", QUERY)).expect("it starts");
    let mut upto = 0;
    until("the bound is near", || {
        append(&ground, upto, upto + 10);
        upto += 10;
        ground.catch_up(&view);
        view.status().resident_bytes >= BYTES_MAX - 2_000
    });
    assert_eq!(ground.rows(&view), ground.in_batch(QUERY), "just below the bound");
    append(&ground, upto, upto + 100);
    ground.catch_up(&other);
    until("it stops", || view.status().stopped.is_some());
    let status = view.status();
    let why = status.stopped.expect("it stopped");
    assert!(
        why.contains("and it may take 40000") && why.contains("WITH (memory"),
        "{why}"
    );
    assert_eq!((status.resident_bytes, status.rows), (0, 0), "its memory is given back");
    assert!(matches!(view.read(&Selection::All), Err(ViewError::Stopped { .. })));
    assert_eq!(ground.rows(&other), ground.in_batch(QUERY));

    // With more it is there again.
    views.start(spec(&ground, "m", Some(2 * BYTES_MAX))).expect("it starts");
    until("it goes on", || {
        views.get("m").expect("a view").status().stopped.is_none()
    });
    let larger = views.get("m").expect("a view");
    assert_eq!(ground.rows(&larger), ground.in_batch(QUERY));
}

/// What is read while a view stops is its rows as of one position, or that it stopped.
#[test]
fn a_view_that_stops_while_it_is_read_is_not_read_without_its_rows() {
    for _ in 0..10 {
        let ground = ground();
        append(&ground, 0, 1);
        let views = ground.views(&LAZY);
        let view = views.start(spec(&ground, "m", Some(20_000))).expect("it starts");
        ground.catch_up(&view);
        let key = view.key(&[ScalarValue::from("key 0")]).expect("a key");
        std::thread::scope(|scope| {
            let reader = || loop {
                let found = view.find(std::slice::from_ref(&key));
                let (Ok(found), Ok(rows)) = (found, view.read(&Selection::All)) else {
                    return view.stopped();
                };
                assert!(found.rows[0].is_some(), "as of {}", found.position);
                let count: usize = rows.batches.iter().map(|batch| batch.num_rows()).sum();
                assert_eq!(count as u64, rows.position.get("s", 0), "as of {}", rows.position);
            };
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            append(&ground, 1, 2_000);
            for reader in readers {
                assert!(reader.join().expect("no panic").is_some());
            }
        });
    }
}

/// Whether a subscription begins anew, how many rows it tells, and where they stand then.
fn told(following: &mut Subscription) -> (bool, usize, Option<Position>) {
    let (mut is_reset, mut rows, mut position) = (false, 0, None);
    while let Some(told) = following.tell().expect("it is told") {
        is_reset |= told.is_reset;
        rows += told.rows.num_rows();
        position = Some(told.position);
    }
    (is_reset, rows, position)
}

#[test]
fn who_follows_a_view_that_lost_events_at_a_start_begins_anew() {
    let ground = ground();
    append(&ground, 0, 10);
    let start = || {
        let views = ground.views(&LAZY);
        let view = views.start(spec(&ground, "m", None)).expect("it starts");
        ground.catch_up(&view);
        (views, view)
    };
    let (views, view) = start();
    let mut first = views.subscribe(&view, None, None).expect("it can be followed");
    let (is_reset, rows, position) = told(&mut first);
    let (before, position) = (first.history(), position.expect("a position"));
    assert_eq!((is_reset, rows), (false, 10));
    let from = |views: &headwater_views::Views, view, position: &Position| {
        let going_on = views.subscribe(view, None, Some(position.clone()));
        going_on.expect("it can be followed")
    };
    drop(first);
    views.close();

    // A start that loses nothing makes the same rows.
    let (views, view) = start();
    assert_eq!(told(&mut from(&views, &view, &position)), (false, 0, None));
    assert_eq!(
        told(&mut from(&views, &view, &position).told_of(before)),
        (false, 0, None)
    );
    views.close();

    ground.log.delete_records("s", 0, 8).expect("events are deleted");
    let (views, view) = start();
    assert_eq!(
        told(&mut from(&views, &view, &position)),
        (true, 2, Some(position.clone()))
    );
    let mut anew = from(&views, &view, &position).told_of(before);
    assert_eq!(told(&mut anew), (true, 2, Some(position.clone())));
    let after = anew.history();
    assert_ne!(before, after, "another history");
    // Who was told since goes on.
    assert_eq!(
        told(&mut from(&views, &view, &position).told_of(after)),
        (false, 0, None)
    );
    append(&ground, 20, 21);
    ground.catch_up(&view);
    let (is_reset, rows, position) = told(&mut anew);
    assert_eq!((is_reset, rows), (false, 1));
    let position = position.expect("a position");
    assert_eq!(told(&mut from(&views, &view, &position)), (false, 0, None));
    drop(anew);
    views.close();

    let (views, view) = start();
    assert_eq!(
        told(&mut from(&views, &view, &position).told_of(after)),
        (false, 0, None)
    );
    views.close();
}
