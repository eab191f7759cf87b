//! Rows go into the table while they are read, and small files become large ones.

use std::time::Duration;

use headwater_catalog::Shape;
use headwater_lake::DeltaLakes;

use crate::ground::{Ground, HISTORY, columnar, totals_of};

#[test]
fn every_row_is_read_once_while_rows_move_into_the_table() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground
        .start(&views, "history", HISTORY, columnar(&["third"]))
        .expect("a view");
    let (mut count, mut seen_in_table, mut seen_waiting) = (0, false, false);
    ground.until("rows were at both places", || {
        ground.append(count..count + 25);
        count += 25;
        ground.folded(&view);
        let (rows, totals) = ground.totals(&view);
        assert_eq!(totals, totals_of(count), "as of {}", rows.position);
        seen_waiting |= !rows.waiting.is_empty();
        let waiting: usize = rows.waiting.iter().map(|batch| batch.num_rows()).sum();
        seen_in_table |= (waiting as i64) < count;
        count >= 1_000 && seen_in_table && seen_waiting
    });
    ground.committed(&view);
    let (rows, totals) = ground.totals(&view);
    assert_eq!((rows.waiting.len(), totals), (0, totals_of(count)));
    let rows = view.lake_rows().expect("rows");
    let one = ground.ask(&rows, "SELECT k, n, third FROM t WHERE n = 17");
    assert_eq!(one, ["k7 17 2"]);
    let thirds = ground.ask(&rows, "SELECT third, count(*) FROM t GROUP BY third ORDER BY third");
    assert_eq!(
        thirds,
        [0, 1, 2].map(|third| format!("{third} {}", (count + 2 - third) / 3))
    );
    assert_eq!(view.status().rows as i64, count);
    assert!(view.status().store_bytes > 0);
}

#[test]
fn what_is_not_in_a_row_is_not_in_the_table_and_does_not_stop_it() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let query = "SELECT n, 100 / (n - 3) AS part FROM s WHERE n % 2 = 1";
    let view = ground.start(&views, "parts", query, columnar(&[])).expect("a view");
    ground.append(0..10);
    ground.committed(&view);
    let rows = view.lake_rows().expect("rows");
    let parts = ground.ask(&rows, "SELECT n, part FROM t ORDER BY n");
    assert_eq!(parts, ["1 -50", "5 50", "7 25", "9 16"], "3 is parked");
    assert_eq!((view.status().parked, view.status().rows), (1, 4));
}

/// Delta writes the empty text as NULL where it makes a folder: an event with it is parked, so that nothing is another value later.
#[test]
fn the_empty_text_makes_no_partition() {
    const PART: &str = "CASE WHEN n % 3 = 0 THEN '' WHEN n % 3 = 1 THEN NULL ELSE 'two' END";
    let by_event = format!("SELECT n, {PART} AS part FROM s");
    let grouped = format!("SELECT {PART} AS part, count(*) AS n FROM s GROUP BY {PART}");
    for (query, expected) in [(by_event, ["3", "3"]), (grouped, ["1", "1"])] {
        let ground = Ground::new();
        let views = ground.views(DeltaLakes::start().expect("threads"));
        let view = ground
            .start(&views, "parts", &query, columnar(&["part"]))
            .expect("a view");
        ground.append(0..9);
        ground.folded(&view);
        ground.until("the table has all rows", || {
            let rows = ground.read_table(&view);
            ground.ask(&rows, "SELECT count(*) FROM t GROUP BY part ORDER BY part") == expected
        });
        let rows = ground.read_table(&view);
        assert_eq!(
            ground.ask(&rows, "SELECT count(*) FROM t WHERE part = ''"),
            ["0"],
            "{query}"
        );
        assert_eq!(view.status().parked, 3, "{query}");
    }
}

#[test]
fn small_files_become_large_ones_and_readers_go_on() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
    let mut before = None;
    for number in 0..45 {
        ground.append(number..number + 1);
        ground.committed(&view);
        if number == 20 {
            before = Some(view.lake_rows().expect("rows"));
        }
    }
    let files = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder).expect("the table's folder").flatten();
        entries
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "parquet"))
            .count()
    };
    let folder = ground.table_folder("history");
    ground.until("small files are joined", || {
        let explained = ground
            .ask(
                &view.lake_rows().expect("rows"),
                "EXPLAIN FORMAT INDENT SELECT n FROM t",
            )
            .join("\n");
        explained.matches(".parquet").count() < 32
    });
    assert!(files(&folder) > 32, "the old files stay for those who read them");
    let (_, totals) = ground.totals(&view);
    assert_eq!(totals, totals_of(45));
    let before = before.expect("rows as of an earlier version");
    assert_eq!(ground.ask(&before, "SELECT count(*), sum(n) FROM t"), ["21 210"]);
    let checkpoint = folder.join("_delta_log").join("_last_checkpoint");
    assert!(
        checkpoint.exists(),
        "the table's state is written down whole now and then"
    );
}

/// A folder's name has an end: one event with a text that is too long does not keep the others out of the table.
#[test]
fn a_text_that_is_too_long_makes_no_partition() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let query = "SELECT n, CASE WHEN n = 3 THEN repeat('x', 300) ELSE 'short' END AS part FROM s";
    let view = ground
        .start(&views, "parts", query, columnar(&["part"]))
        .expect("a view");
    ground.append(0..9);
    ground.committed(&view);
    let rows = ground.read_table(&view);
    assert_eq!(
        ground.ask(&rows, "SELECT count(*), count(DISTINCT part) FROM t"),
        ["8 1"]
    );
    assert_eq!(view.status().parked, 1);
}

/// A file that was written and never named goes; what somebody else put below the location stays, however old it is.
#[test]
fn only_the_table_s_own_files_are_cleaned_up() {
    let ground = Ground::new();
    let place = tempfile::tempdir().expect("a folder");
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let shape = Shape::Columnar {
        partitioned_by: Vec::new(),
        location: Some(place.path().to_str().expect("UTF-8").to_owned()),
    };
    let view = ground.start(&views, "history", HISTORY, shape).expect("a view");
    ground.append(0..1);
    ground.committed(&view);
    let old = |name: &str| {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let file = std::fs::File::create(&path).expect("a file");
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(30 * 24 * 3600);
        file.set_modified(long_ago).expect("a time");
        path
    };
    let unnamed = old("part-00000-6f1b4f0e-94c5-4f57-8ccb-0f6d2f0d8a11-c000.snappy.parquet");
    let others = [
        "report.txt",
        "sub/photo.jpg",
        "orders/part-00000-6f1b4f0e-94c5-4f57-8ccb-0f6d2f0d8a11-c000.snappy.parquet",
    ];
    let others = others.map(old);
    let mut number = 1;
    while unnamed.exists() {
        assert!(number < 500, "the table is cleaned up after some commits");
        ground.append(number..number + 1);
        ground.committed(&view);
        number += 1;
    }
    assert!(others.iter().all(|file| file.exists()), "{others:?}");
    assert_eq!(ground.totals(&view).1, totals_of(number));
}
