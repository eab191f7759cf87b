//! A stream's settings by SQL, and what questions, views and rewinds say of events that are no longer kept.

mod scratch;

use std::time::{Duration, Instant};

use headwater_eventlog::Cleanup;
use scratch::{Scratch, check};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_given_altered_taken_back_and_described() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM s (a TEXT NOT NULL) KEY (a) WITH (partitions = 2, retention = '7 days', cleanup = 'compact,delete', durability = 'relaxed', flush_ms = 20)",
                "CREATE STREAM",
            ),
            ("DESCRIBE s", "~a|TEXT|no|key\nschema version|1||schema\nformat|json||setting\npartitions|2||setting\ncleanup|compact,delete||setting\nretention_ms|604800000||setting"),
            ("DESCRIBE s", "~retention_bytes|forever||setting, default"),
            ("DESCRIBE s", "~durability|relaxed||setting\nflush_ms|20||setting"),
            ("ALTER STREAM s SET (retention = 0, retention_bytes = '1 GiB')", "ALTER STREAM"),
            ("DESCRIBE s", "~retention_ms|forever||setting\nretention_bytes|1073741824||setting"),
            ("ALTER STREAM s RESET (retention, cleanup)", "ALTER STREAM"),
            ("DESCRIBE s", "~cleanup|delete||setting, default\nretention_ms|forever||setting, default"),
            ("ALTER STREAM s SET (entities = 'none')", "ALTER STREAM"),
            ("DESCRIBE s", "~entities|none||setting"),
            // A stream with a key is indexed where nothing is said.
            ("ALTER STREAM s RESET (entities)", "ALTER STREAM"),
            ("DESCRIBE s", "~entities|indexed||setting"),
            ("ALTER STREAM s SET (durability = 'flushed')", "~flush_ms is 20 and durability is not 'relaxed'"),
            ("ALTER STREAM s SET (colour = 'red')", "~42601: line 1, column 21: 'colour' is no setting"),
            ("ALTER STREAM s SET (compaction_lag_ms_min = 9, compaction_lag_ms_max = 8)", "~42P17"),
            ("ALTER STREAM nothing SET (retention = 0)", "~42P01"),
            ("ALTER STREAM \"_headwater.catalog\" SET (retention = '1 ms')", "~42501"),
            ("ALTER TABLE s SET (retention = 0)", "~0A000"),
            // What a new definition does not name stays; what it names is set.
            (
                "CREATE OR REPLACE STREAM s (a TEXT NOT NULL, b TEXT) KEY (a) WITH (retention = '1 day')",
                "CREATE STREAM",
            ),
            ("DESCRIBE s", "~retention_ms|86400000||setting\nretention_bytes|1073741824||setting"),
            ("CREATE STREAM loose WITH (cleanup = 'compact')", "CREATE STREAM"),
            ("INSERT INTO loose VALUES ('{}')", "~an event without a key cannot be appended"),
        ],
    )
    .await;
    let settings = scratch.log.stream("loose").expect("it is there").settings;
    assert_eq!(
        settings.cleanup(),
        Cleanup {
            delete: false,
            compact: true
        }
    );
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, &[("DESCRIBE s", "~retention_ms|86400000||setting")]).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_is_told_and_not_guessed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM s (a TEXT NOT NULL, n BIGINT NOT NULL) KEY (a) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW before STORED AS document AS SELECT a, sum(n) AS n FROM s GROUP BY a",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO s VALUES ('x', 1)", "INSERT 0 1"),
            ("INSERT INTO s VALUES ('x', 10)", "INSERT 0 1"),
            ("INSERT INTO s VALUES ('x', 100)", "INSERT 0 1"),
            ("SELECT n FROM before", "111"),
        ],
    )
    .await;
    let log = scratch.log.clone();
    let deleted = tokio::task::spawn_blocking(move || log.delete_records("s", 0, 2));
    assert_eq!(deleted.await.expect("it ran").expect("it is done"), 2);
    check(
        &mut scratch,
        &[
            ("SELECT n FROM before", "111"),
            ("SELECT sum(n) FROM s", "100"),
            (
                "CREATE MATERIALIZED VIEW later STORED AS document AS SELECT a, sum(n) AS n FROM s GROUP BY a",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT n FROM later", "100"),
            (
                "SHOW VIEWS",
                "~later|document|running, without 2 events that were no longer kept|s/0@3",
            ),
            ("SHOW VIEWS", "~before|document|running|s/0@3"),
            ("SELECT n FROM before FOR SYSTEM_TIME AS OF POSITION 's/0@1'", "~72000"),
            (
                "SELECT n FROM before FOR SYSTEM_TIME AS OF POSITION 's/0@1'",
                "~s/0@1 lies before the first event that is kept",
            ),
            (
                "SELECT n FROM before FOR SYSTEM_TIME AS OF TIMESTAMP '2000-01-01 00:00:00'",
                "~72000",
            ),
            // A moment at which events are left, but not those that its rows came from.
            ("SELECT n FROM before FOR SYSTEM_TIME AS OF POSITION 's/0@3'", "~72000"),
            ("SELECT n FROM before FOR SYSTEM_TIME AS OF now()", "~72000"),
            ("SELECT n FROM s FOR SYSTEM_TIME AS OF POSITION 's/0@3'", "100"),
            (
                "SELECT n FROM s FOR SYSTEM_TIME AS OF POSITION 's/0@1'",
                "~the earliest position is s/0@2",
            ),
            ("INSERT INTO s VALUES ('x', 1000)", "INSERT 0 1"),
            ("SELECT n FROM before", "1111"),
            ("SELECT n FROM later", "1100"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_built_anew_says_what_compaction_took_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM c (a TEXT NOT NULL, n BIGINT NOT NULL) KEY (a) WITH (partitions = 1, cleanup = 'compact', segment_ms = 1, dirty_ratio_min = 0, \
                 compaction_lag_ms_min = 0)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW sums STORED AS document WITH (may_lose_events = 'true') AS SELECT a, sum(n) AS n FROM c GROUP BY a",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE MATERIALIZED VIEW newest STORED AS document KEY (a) AS SELECT a, n FROM c",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE MATERIALIZED VIEW small STORED AS document KEY (a) WITH (may_lose_events = 'true') AS SELECT a, n FROM c WHERE n < 50",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO c VALUES ('x', 1)", "INSERT 0 1"),
            ("INSERT INTO c VALUES ('x', 10)", "INSERT 0 1"),
            ("INSERT INTO c VALUES ('x', 100)", "INSERT 0 1"),
            ("SELECT n FROM sums", "111"),
            ("SELECT n FROM small", "10"),
        ],
    )
    .await;
    compact(&scratch, "c", 3).await;
    let rebuild = |view: &str| format!("ALTER MATERIALIZED VIEW {view} REBUILD");
    let replace = "CREATE OR REPLACE MATERIALIZED VIEW sums STORED AS document WITH (may_lose_events = 'true') AS SELECT a, sum(n) AS n, count(*) AS c FROM c GROUP BY a";
    for (statement, view, rows, lacks) in [
        (rebuild("sums"), "sums", "x|100", true),
        (replace.to_owned(), "sums", "x|100|1", true),
        (rebuild("small"), "small", "", true),
        (rebuild("newest"), "newest", "x|100", false),
    ] {
        scratch.run(&statement, &[]).await;
        let said =
            format!("the view '{view}' is built anew without the events of c/0 below 3 that compaction took out");
        assert_eq!(
            scratch.notices.contains(&said),
            lacks,
            "{statement}: {:?}",
            scratch.notices
        );
        let state = if lacks {
            "running, without 2 events that were no longer kept"
        } else {
            "running"
        };
        let shown = format!("~{view}|document|{state}|c/0@3");
        check(
            &mut scratch,
            &[(&format!("SELECT * FROM {view}"), rows), ("SHOW VIEWS", &shown)],
        )
        .await;
    }
    scratch.close();
}

/// Has a stream's first partition compacted up to an offset.
async fn compact(scratch: &Scratch, stream: &str, upto: u64) {
    let begun = Instant::now();
    while scratch
        .log
        .offsets(stream, 0)
        .is_none_or(|offsets| offsets.compacted < upto)
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "it was not compacted");
        let log = scratch.log.clone();
        tokio::task::spawn_blocking(move || log.tend()).await.expect("it ran");
    }
}

/// What a session wrote to a relaxed stream it sees at once, in the stream and in what is made of it: whoever waits does not wait for company.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_sees_what_it_wrote_to_a_relaxed_stream() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    let begun = Instant::now();
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM r (n INTEGER) WITH (durability = 'relaxed', flush_ms = 60000)",
                "CREATE STREAM",
            ),
            (
                "CREATE STREAM twice WITH (durability = 'relaxed', flush_ms = 60000) AS SELECT 2 * n AS n FROM r",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM r",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO r VALUES (1)", "INSERT 0 1"),
            ("SELECT count(*) FROM r", "1"),
            ("INSERT INTO r VALUES (2)", "INSERT 0 1"),
            ("SELECT c FROM v", "2"),
            ("INSERT INTO r VALUES (3)", "INSERT 0 1"),
            ("SELECT sum(n) FROM twice", "12"),
        ],
    )
    .await;
    assert!(begun.elapsed() < Duration::from_secs(50), "it waited for company");
    scratch.close();
}
