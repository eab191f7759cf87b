//! What would be lost were views built anew, and who says that it may be; views that stand still.

#[expect(dead_code, reason = "other tests use all of it")]
mod scratch;

use std::path::Path;
use std::sync::Arc;

use headwater_lake::DeltaLakes;
use scratch::{Scratch, check};

fn opened(folder: &Path) -> Scratch {
    Scratch::open_over(folder, |views| {
        views.with_lakes(Arc::new(DeltaLakes::start().expect("threads")))
    })
}

async fn forget(scratch: &Scratch, stream: &'static str, upto: u64) {
    let log = scratch.log.clone();
    let deleted = tokio::task::spawn_blocking(move || log.delete_records(stream, 0, upto));
    assert_eq!(deleted.await.expect("it ran").expect("it is done"), upto);
}

const CLICKS: &str = "
CREATE STREAM c (page TEXT NOT NULL, n INTEGER, note TEXT) KEY (page) WITH (partitions = 1);
CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT page, sum(n) AS s, count(*) AS k FROM c GROUP BY page;
CREATE MATERIALIZED VIEW archive STORED AS columnar WITH (every = '10 ms') AS SELECT _offset, page, n FROM c;
CREATE MATERIALIZED VIEW notes STORED AS document AS SELECT note, count(*) AS k FROM c GROUP BY note;
INSERT INTO c VALUES ('a', 1, 'x'), ('a', 2, 'x'), ('b', 3, 'y');
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_gone_are_lost_only_where_that_is_said() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = opened(folder.path());
    assert_eq!(scratch.run(CLICKS, &[]).await, "INSERT 0 3");
    let all = [
        ("SELECT page, s, k FROM sums ORDER BY page", "a|3|2\nb|3|1"),
        ("SELECT count(*) FROM archive", "3"),
        ("SELECT note, k FROM notes ORDER BY note", "x|2\ny|1"),
    ];
    check(&mut scratch, &all).await;
    forget(&scratch, "c", 2).await;
    let replace = "CREATE OR REPLACE MATERIALIZED VIEW sums STORED AS document AS SELECT page, max(n) AS s, count(*) AS k FROM c GROUP BY page";
    check(
        &mut scratch,
        &[
            (
                "ALTER STREAM c ALTER COLUMN n TYPE BIGINT",
                "~2BP01: line 1, column 1: the view 'archive' would be built anew without 2 events that went into its rows and are no longer kept (c/0 below 2); \
                 the view 'sums' would be built anew without 2 events",
            ),
            ("ALTER MATERIALIZED VIEW sums REBUILD", "~2BP01"),
            (
                "CREATE OR REPLACE VIEW sums AS SELECT page, sum(n) AS s, count(*) AS k FROM c GROUP BY page",
                "~2BP01: line 1, column 1: the view 'sums' would be without 2 events that went into its rows and are no longer kept",
            ),
            (replace, "~2BP01"),
            (replace, "~may_lose_events"),
            ("DESCRIBE c", "~n|INTEGER"),
        ],
    )
    .await;
    check(&mut scratch, &all).await;
    check(
        &mut scratch,
        &[
            // What loses nothing needs no word.
            ("ALTER STREAM c ALTER COLUMN note DROP NOT NULL", "ALTER STREAM"),
            (
                "CREATE OR REPLACE MATERIALIZED VIEW sums STORED AS document AS SELECT page, count(*) AS k, sum(n) AS s FROM c GROUP BY page",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE MATERIALIZED VIEW later STORED AS document AS SELECT page, count(*) AS k FROM c GROUP BY page",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT * FROM later", "b|1"),
            (
                "CREATE OR REPLACE MATERIALIZED VIEW later STORED AS document AS SELECT page, max(n) AS k FROM c GROUP BY page",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT * FROM later", "b|3"),
            (
                "CREATE OR REPLACE MATERIALIZED VIEW sums STORED AS document WITH (may_lose_events = 'true') AS SELECT page, sum(n) AS s, count(*) AS k FROM c GROUP BY page",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT page, s, k FROM sums ORDER BY page", "a|3|2\nb|3|1"),
            (
                "CREATE OR REPLACE MATERIALIZED VIEW archive STORED AS columnar WITH (every = '10 ms', may_lose_events = 'true') AS SELECT _offset, page, n FROM c",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT count(*) FROM archive", "3"),
            ("ALTER STREAM c ALTER COLUMN n TYPE BIGINT", "ALTER STREAM"),
            ("SELECT page, s, k FROM sums ORDER BY page", "b|3|1"),
            ("SELECT note, k FROM notes ORDER BY note", "x|2\ny|1"),
            ("ALTER MATERIALIZED VIEW sums REBUILD", "ALTER MATERIALIZED VIEW"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_stands_still_says_so_before_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let lake = tempfile::tempdir().expect("a folder");
    let view = |place: &str| {
        format!(
            "CREATE OR REPLACE MATERIALIZED VIEW t STORED AS columnar LOCATION '{}' WITH (every = '10 ms') AS SELECT page, n FROM c",
            lake.path().join(place).display()
        )
    };
    let mut scratch = opened(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM c (page TEXT NOT NULL, n INTEGER) KEY (page) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (&view("one"), "CREATE MATERIALIZED VIEW"),
            ("INSERT INTO c VALUES ('a', 1)", "INSERT 0 1"),
            ("SELECT count(*) FROM t", "1"),
            ("ALTER STREAM c ALTER COLUMN n TYPE BIGINT", "ALTER STREAM"),
            ("INSERT INTO c VALUES ('a', 2)", "INSERT 0 1"),
        ],
    )
    .await;
    let still = [
        ("SELECT count(*) FROM t", "~58000"),
        ("SELECT count(*) FROM t", "~a place of its own"),
        ("SHOW VIEWS", "~a place of its own"),
    ];
    check(&mut scratch, &still).await;
    scratch.close();
    let mut scratch = opened(folder.path());
    check(&mut scratch, &still[..1]).await;
    check(
        &mut scratch,
        &[
            (&view("two"), "CREATE MATERIALIZED VIEW"),
            ("SELECT count(*) FROM t", "2"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_once_what_was_made_of_them_is_written() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = opened(folder.path());
    assert_eq!(scratch.run(&CLICKS.replace("10 ms", "1 hour"), &[]).await, "INSERT 0 3");
    let all = [
        ("SELECT page, s, k FROM sums ORDER BY page", "a|3|2\nb|3|1"),
        ("SELECT count(*) FROM archive", "3"),
        ("SELECT note, k FROM notes ORDER BY note", "x|2\ny|1"),
    ];
    check(&mut scratch, &all).await;
    forget(&scratch, "c", 3).await;
    // Nobody closes the views: what is not written now never is.
    let log = scratch.log.clone();
    drop(scratch);
    log.close();
    drop(log);
    let mut scratch = opened(folder.path());
    check(&mut scratch, &all).await;
    scratch.close();
}
