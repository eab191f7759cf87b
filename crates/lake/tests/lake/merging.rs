//! Views with GROUP BY: the rows that changed are merged into the table, whenever and however the program ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_catalog::Shape;
use headwater_lake::DeltaLakes;
use headwater_views::{Selection, View};

use crate::flaky::{Flaky, Trouble};
use crate::ground::{Ground, columnar, printed};

const SUMS: &str = "SELECT k, k = 'k1' AS is_one, count(*) AS entries, sum(n) AS total FROM s GROUP BY k";

/// The rows of a view, and those of its table.
fn both(ground: &Ground, view: &View) -> (Vec<String>, Vec<String>) {
    let mut rows = printed(&view.read(&Selection::All).expect("rows").batches);
    rows.sort();
    let table = ground.read_table(view);
    let mut merged = ground.ask(&table, "SELECT * FROM t");
    merged.sort();
    (rows, merged)
}

fn until_merged(ground: &Ground, view: &View) {
    ground.folded(view);
    ground.until("the table is merged", || {
        let (rows, merged) = both(ground, view);
        rows == merged
    });
}

#[test]
fn changed_rows_take_the_place_of_those_before() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let sums = ground.start(&views, "sums", SUMS, columnar(&["is_one"]));
    let sums = sums.expect("a view");
    // One of its keys is NULL.
    let some = "SELECT nullif(k, 'k3') AS k, count(*) AS entries FROM s GROUP BY nullif(k, 'k3')";
    let some = ground.start(&views, "some", some, columnar(&[])).expect("a view");
    for step in 0..12 {
        ground.append(step * 7..(step + 1) * 7);
        until_merged(&ground, &sums);
        until_merged(&ground, &some);
    }
    assert_eq!([&sums, &some].map(|view| both(&ground, view).0.len()), [10, 10]);
}

/// A folder's name has all but letters, digits and a few signs of a value percent-encoded: a merge finds its files none the less.
#[test]
fn a_merge_finds_the_files_of_any_value() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let mut values = [
        "plain",
        "~x",
        "a.b",
        "United Kingdom",
        "ü",
        "日本",
        "a/b",
        "+",
        ":",
        "%",
        "%20",
        "=",
        "''",
        "\"",
        "&",
        ",",
        "#",
        "?",
        "[",
        "]",
        "(",
        ")",
        "\\",
        "\t",
    ]
    .iter();
    let mut part = "CASE n % 24 ".to_owned();
    for (number, value) in values.by_ref().enumerate() {
        part += &format!("WHEN {number} THEN 'x{value}y' ");
    }
    part += "END";
    let moment = "date_trunc('hour', to_timestamp(n * 3601))";
    let day = "CAST(to_timestamp(n * 90000) AS DATE)";
    for (name, part) in [("texts", part.as_str()), ("moments", moment), ("days", day)] {
        let query = format!("SELECT {part} AS part, n % 24 AS d, count(*) AS entries FROM s GROUP BY {part}, n % 24");
        for location in [None, Some(ground.dir.path().join(format!("a lake/{name} ü")))] {
            let shape = Shape::Columnar {
                partitioned_by: vec!["part".to_owned()],
                location: location.as_ref().map(|place| place.display().to_string()),
            };
            let name = format!("{name}{}", if location.is_some() { "_there" } else { "" });
            ground.start(&views, &name, &query, shape).expect("a view");
        }
    }
    // Each value once, then each once more.
    for step in 0..3 {
        ground.append(step * 24..(step + 1) * 24);
        for name in ["texts", "texts_there", "moments", "moments_there", "days", "days_there"] {
            until_merged(&ground, &views.get(name).expect("the view"));
        }
    }
    for name in ["texts", "texts_there"] {
        let table = ground.read_table(&views.get(name).expect("the view"));
        let entries = ground.ask(&table, "SELECT count(*), sum(entries), min(entries) FROM t");
        assert_eq!(entries, ["24 72 3"], "{name}");
    }
}

#[test]
fn what_shows_no_key_is_written_whole() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    for (name, query) in [
        ("everything", "SELECT count(*) AS entries, max(n) AS most FROM s"),
        ("hidden", "SELECT sum(n) AS total FROM s GROUP BY k"),
        ("some", "SELECT k, sum(n) AS total FROM s GROUP BY k HAVING sum(n) < 40"),
    ] {
        let view = ground.start(&views, name, query, columnar(&[])).expect("a view");
        until_merged(&ground, &view);
    }
    for step in 0..6 {
        ground.append(step * 5..(step + 1) * 5);
        for name in ["everything", "hidden", "some"] {
            until_merged(&ground, &views.get(name).expect("the view"));
        }
    }
}

#[test]
fn a_row_that_cannot_be_worked_out_is_left_out_until_it_can() {
    let ground = Ground::new();
    let query = "SELECT k, 100 / (sum(n) - 5) AS share FROM s GROUP BY k";
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground.start(&views, "shares", query, columnar(&[])).expect("a view");
    let rows = |view: &View| ground.ask(&ground.read_table(view), "SELECT k, share FROM t ORDER BY k");
    // Of k5 the sum is 5.
    ground.append(4..7);
    ground.folded(&view);
    ground.until("the others are merged", || rows(&view) == ["k4 -100", "k6 100"]);
    ground.until("that is said", || view.status().left_out.is_some());
    let said = view.status().left_out.expect("a row is left out");
    assert_eq!(
        said,
        "1 row is left out: the row (k5) of the view 'shares' cannot be worked out: division by zero"
    );
    assert_eq!(view.held_up(), None);
    ground.append(15..16);
    ground.folded(&view);
    ground.until("it is there again", || rows(&view) == ["k4 -100", "k5 6", "k6 100"]);
    assert_eq!(view.status().left_out, None);
    // An end without a close: the table is written anew, as a whole.
    drop((view, views));
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground.start(&views, "shares", query, columnar(&[])).expect("a view");
    // Of k2 the sum is 2, of k3 it is 3: then 5.
    ground.append(2..4);
    ground.folded(&view);
    let first = ["k2 -33", "k3 -50", "k4 -100", "k5 6", "k6 100"];
    ground.until("everything is merged", || rows(&view) == first);
}

#[test]
fn a_merge_is_whole_whenever_the_program_ends_and_whatever_its_storage_does() {
    let ground = Ground::new();
    let trouble = Arc::new(Trouble::default());
    for round in 0..8_i64 {
        let views = ground.views(DeltaLakes::over(Flaky::over(&trouble)).expect("threads"));
        trouble.every.store(0, Ordering::Relaxed);
        let view = ground.start(&views, "sums", SUMS, columnar(&[])).expect("a view");
        trouble.every.store(2 + round as u64 % 4, Ordering::Relaxed);
        for step in 0..4 {
            let first = (round * 4 + step) * 3;
            ground.append(first..first + 3);
            std::thread::sleep(std::time::Duration::from_millis(6 * (round as u64 % 4)));
        }
        ground.folded(&view);
        match round % 2 {
            0 => drop((view, views)),
            _ => {
                drop(view);
                views.close();
            }
        }
    }
    assert!(trouble.failures.load(Ordering::Relaxed) > 0);
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground.start(&views, "sums", SUMS, columnar(&[])).expect("a view");
    until_merged(&ground, &view);
    let total = ground.ask(&ground.read_table(&view), "SELECT sum(entries), sum(total) FROM t");
    assert_eq!(total, [format!("96 {}", 96 * 95 / 2)]);
}
