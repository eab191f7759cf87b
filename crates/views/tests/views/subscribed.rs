//! Rows with lists are told whole to who follows a view, a few at once.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use headwater_records::Position;
use headwater_views::limits::SUBSCRIPTION_LONG_ROWS;
use headwater_views::{ListsShown, Subscription, View, ViewError, ViewOptions, Views};

use crate::ground::{EAGER, Ground, LAZY, assert_same, printed};
use crate::wide;

const QUERY: &str = "SELECT k, count(*) AS n, array_agg(v) AS list, count(DISTINCT t) AS ts FROM s GROUP BY k";
/// The same with the order of events in plain SQL.
const IN_BATCH: &str = "SELECT k, count(*) AS n, array_agg(v ORDER BY _appended_at, _partition, _offset) AS list, count(DISTINCT t) AS ts FROM s GROUP BY k";

/// Everything that there is to be told: how many rows at once, and the rows.
fn told(following: &mut Subscription) -> (Vec<usize>, Vec<RecordBatch>, Position) {
    let (mut at_once, mut rows) = (Vec::new(), Vec::new());
    loop {
        let told = following
            .tell()
            .expect("it is told")
            .expect("there is something to tell");
        assert_eq!(told.gone.num_rows(), 0);
        at_once.push(told.rows.num_rows());
        rows.push(told.rows);
        if told.is_whole {
            assert!(following.tell().expect("it is told").is_none(), "that is all");
            return (at_once, rows, told.position);
        }
    }
}

/// An event for each of so many rows.
fn append(ground: &Ground, view: &View, rows: usize, v: i64) {
    for partition in 0..2 {
        let own = (0..rows).filter(|row| row % 2 == partition);
        let values: Vec<String> = own
            .map(|row| format!(r#"{{"k":"k{row}","t":"t{v}","v":{v}}}"#))
            .collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        ground.append(partition as u32, &values);
    }
    ground.catch_up(view);
}

fn start(ground: &Ground, options: &ViewOptions) -> (Views, Arc<View>) {
    ground.define("lists");
    let views = ground.views(options);
    let view = views.start(wide::spec(ground, "lists", QUERY)).expect("it starts");
    (views, view)
}

/// So many rows at the beginning, and all of them again when they changed.
fn check(options: &ViewOptions, rows: usize, beginning: &[usize], change: &[usize]) {
    let ground = wide::ground();
    let (views, view) = start(&ground, options);
    append(&ground, &view, rows, 1);
    append(&ground, &view, rows, 2);
    let mut following = views.subscribe(&view, None, None).expect("it can be followed");
    let (at_once, first, position) = told(&mut following);
    assert_eq!(at_once, beginning, "{rows} rows");
    assert_same(&printed(&first), &ground.in_batch(IN_BATCH), "the beginning");
    append(&ground, &view, rows, 3);
    let mut resumed = views
        .subscribe(&view, None, Some(position))
        .expect("it can be followed");
    for following in [&mut following, &mut resumed] {
        let (at_once, changed, position) = told(following);
        assert_eq!(at_once, change, "{rows} rows");
        assert_eq!(position, ground.end());
        assert_same(
            &printed(&changed),
            &ground.in_batch(IN_BATCH),
            "what changed, with its whole lists",
        );
    }
}

#[test]
fn rows_with_lists_are_told_a_few_at_once() {
    const MOST: usize = SUBSCRIPTION_LONG_ROWS;
    for options in [LAZY, EAGER] {
        check(&options, MOST - 1, &[MOST - 1], &[MOST - 1]);
        // Whether that was all is known when the next are asked for.
        check(&options, MOST, &[MOST, 0], &[MOST]);
        check(&options, MOST + 1, &[MOST, 1], &[MOST, 1]);
    }
}

/// Shows so many elements of lists at once.
fn showing(elements_max: u64) -> ViewOptions {
    ViewOptions {
        lists_shown: ListsShown {
            elements_max,
            ..ListsShown::DEFAULT
        },
        ..EAGER
    }
}

#[test]
fn rows_whose_lists_are_too_long_together_are_told_one_after_another() {
    // Lists of two at the beginning, of three when they changed.
    check(&showing(6), 3, &[3], &[1, 2]);
    check(&showing(6), 7, &[3, 2, 2], &[1, 1, 2, 1, 2]);
    check(&showing(3), 3, &[1, 1, 1], &[1, 1, 1]);
}

#[test]
fn a_row_that_is_too_long_alone_is_not_told() {
    let ground = wide::ground();
    let (views, view) = start(&ground, &showing(2));
    append(&ground, &view, 2, 1);
    let position = ground.end();
    for v in 2..4 {
        append(&ground, &view, 2, v);
    }
    for from in [None, Some(position)] {
        let mut following = views.subscribe(&view, None, from).expect("it can be followed");
        let Err(ViewError::Asked(why)) = following.tell() else {
            panic!("three elements are too many");
        };
        assert!(why.contains("the row (k0) of the view 'lists' cannot be told"), "{why}");
        assert!(why.contains("subscribe to a view without that list"), "{why}");
    }
}
