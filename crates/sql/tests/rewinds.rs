//! Rows as they were, one by one and all together: both ways give the same, at any position.

mod scratch;

use std::time::{Duration, Instant};

use headwater_records::Position;
use scratch::{Scratch, check};

const EVENTS: usize = 60;

/// A view with one row that took half of the events, and many that took a few; a second one without GROUP BY.
async fn filled(scratch: &mut Scratch) {
    let application = "CREATE STREAM s (k TEXT NOT NULL, n BIGINT NOT NULL) KEY (k) WITH (partitions = 3);
         CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
         CREATE MATERIALIZED VIEW everything STORED AS document AS SELECT count(*) AS events, max(n) AS most FROM s;
         CREATE MATERIALIZED VIEW lengths STORED AS document AS SELECT length(k) AS length, count(*) AS events FROM s GROUP BY length(k);";
    assert_eq!(scratch.run(application, &[]).await, "CREATE MATERIALIZED VIEW");
    for n in 0..EVENTS {
        let k = if n % 2 == 0 {
            "hot".to_owned()
        } else {
            format!("k{}", n % 7)
        };
        let answer = scratch.run(&format!("INSERT INTO s VALUES ('{k}', {n})"), &[]).await;
        assert_eq!(answer, "INSERT 0 1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_by_its_key_is_what_all_rows_say_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let end = scratch.log.position("s").expect("the stream");
    for hundredth in [0, 1, 20, 33, 50, 77, 99, 100] {
        let upto: Vec<String> = (0..3)
            .map(|partition| format!("{partition}@{}", end.get("s", partition) * hundredth / 100))
            .collect();
        let at = format!("FOR SYSTEM_TIME AS OF POSITION 's/{}'", upto.join(","));
        for k in ["hot", "k1", "k3", "nobody"] {
            let by_key = scratch
                .run(&format!("SELECT k, total, events FROM sums {at} WHERE k = '{k}'"), &[])
                .await;
            let of_all = scratch
                .run(
                    &format!("SELECT k, total, events FROM sums {at} WHERE k || '' = '{k}'"),
                    &[],
                )
                .await;
            assert_eq!(by_key, of_all, "{k} {at}");
            let counted = scratch
                .run(&format!("SELECT count(*) FROM s {at} WHERE k = '{k}'"), &[])
                .await;
            let events = by_key
                .rsplit('|')
                .next()
                .filter(|events| !events.is_empty())
                .unwrap_or("0");
            assert_eq!(events, counted, "{k} {at}");
        }
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_says_how_it_goes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    // What is seen once has been folded: snapshots are there.
    assert_eq!(scratch.run("SELECT events FROM sums WHERE k = 'hot'", &[]).await, "30");
    let now = "FOR SYSTEM_TIME AS OF now()";
    check(
        &mut scratch,
        &[
            (&format!("EXPLAIN SELECT total FROM sums {now} WHERE k = 'hot'"), "~rows=1, from snapshots=1"),
            (&format!("EXPLAIN SELECT total FROM sums {now} WHERE k IN ('hot', 'k1', 'nobody')"), "~rows=3"),
            (&format!("EXPLAIN SELECT total FROM sums {now} WHERE total > 5"), "~AggregateExec"),
            (&format!("SELECT count(*) FROM sums {now} WHERE total > 200"), "1"),
            (&format!("SELECT sum(events) FROM sums {now} WHERE k IN ('hot', 'k1', 'nobody')"), "35"),
            (&format!("SELECT events, most FROM everything {now}"), "60|59"),
            (&format!("EXPLAIN SELECT events FROM everything {now}"), "~rows=1, from snapshots=1"),
            (&format!("SELECT events FROM lengths {now} WHERE length = 3"), "30"),
            (&format!("SELECT a.k, b.events FROM sums {now} AS a JOIN sums AS b ON a.k = b.k WHERE a.k = 'hot' AND b.k = 'hot'"), "hot|30"),
        ],
    )
    .await;
    scratch.close();
}

/// Rows of a view whose events no index finds: several of them are made of what one is made of, and so is a rewind over several streams bounded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_for_a_rewind_is_counted_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM s (k TEXT NOT NULL, n BIGINT NOT NULL) WITH (partitions = 1);
         CREATE STREAM t (k TEXT NOT NULL, n BIGINT NOT NULL) WITH (partitions = 1);
         CREATE MATERIALIZED VIEW sums STORED AS memory AS SELECT k, sum(n) AS total FROM s GROUP BY k;
         CREATE MATERIALIZED VIEW newest STORED AS memory KEY (k) AS SELECT k, n FROM s;
         CREATE MATERIALIZED VIEW together STORED AS memory AS
           SELECT k, sum(n) AS total FROM (SELECT k, n FROM s UNION ALL SELECT k, n FROM t) AS moved GROUP BY k;
         INSERT INTO s SELECT 'k' || (value % 3), value FROM generate_series(1, 6000);
         INSERT INTO t SELECT 'k' || (value % 3), value FROM generate_series(1, 4000);";
    assert_eq!(scratch.run(application, &[]).await, "INSERT 0 4000");
    let now = "FOR SYSTEM_TIME AS OF now()";
    let two = format!("SELECT k, total FROM sums {now} WHERE k IN ('k1', 'k2') ORDER BY k");
    let of_both = format!("SELECT total FROM together {now} WHERE k = 'k1'");
    let all_of_both = format!("SELECT count(*) FROM together {now}");
    let followed = "SELECT count(*) FROM lineage('together', 'k1')";
    check(
        &mut scratch,
        &[
            (
                &format!("EXPLAIN SELECT total FROM sums {now} WHERE k = 'k1'"),
                "~RewoundRows",
            ),
            // Each of them would read the whole stream.
            (&format!("EXPLAIN {two}"), "~AggregateExec"),
            (&two, "k1|5999000\nk2|6001000"),
            // The tombstones of a stream stand among its events.
            (&format!("SELECT n FROM newest {now} WHERE k = 'k1'"), "5998"),
            (&of_both, "8667667"),
            (&all_of_both, "3"),
            (followed, "3334"),
            ("INSERT INTO t VALUES ('k0', 1)", "INSERT 0 1"),
            // 10,001 events of two streams, each of which has fewer than the 10,000 that may be.
            (
                &of_both,
                "~54000: to tell what 'together' was, 10001 events would be read, more than the 10000 that may be",
            ),
            (&all_of_both, "~10001 events would be read"),
            (followed, "~10001 events would be read"),
            (&two, "k1|5999000\nk2|6001000"),
        ],
    )
    .await;
    scratch.close();
}

/// Where each of the partitions of a stream stands after so many hundredths of its events.
fn hundredths(end: &Position, hundredth: u64) -> String {
    let upto = (0..3).map(|partition| format!("{partition}@{}", end.get("s", partition) * hundredth / 100));
    format!(
        "FOR SYSTEM_TIME AS OF POSITION 's/{}'",
        upto.collect::<Vec<String>>().join(",")
    )
}

/// Appends some events, and waits for the next checkpoint of a view: where it stands.
async fn checkpointed(scratch: &mut Scratch, view: &str, first: usize) -> Position {
    let end = |scratch: &Scratch| scratch.log.position("s").expect("the stream");
    let newest = |scratch: &Scratch, view: &str| {
        let running = scratch.engine.views().get(view).expect("the view runs");
        let checkpoint = running.checkpoint(&end(scratch));
        checkpoint.map(|checkpoint| checkpoint.position().clone())
    };
    let before = newest(scratch, view);
    for n in first..first + 20 {
        let k = n * 7 % 5;
        let answer = scratch
            .run(&format!("INSERT INTO s VALUES ('k{k}', {n}), (NULL, 1)"), &[])
            .await;
        assert_eq!(answer, "INSERT 0 2");
    }
    let begun = Instant::now();
    loop {
        match newest(scratch, view) {
            Some(position) if Some(&position) != before.as_ref() => return position,
            _ => assert!(begun.elapsed() < Duration::from_secs(120), "a checkpoint is written"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All rows at positions before, at and behind checkpoints are what the query gives; some of them begin at one.
async fn all_rows_at_positions(scratch: &mut Scratch, positions: &[u64]) {
    let end = scratch.log.position("s").expect("the stream");
    let mut from_checkpoints = 0;
    for hundredth in positions {
        let at = hundredths(&end, *hundredth);
        for (view, columns, query) in [
            (
                "sums",
                "k, total, events",
                "SELECT k, sum(n), count(*) FROM s {at} GROUP BY k",
            ),
            (
                "found",
                "k, total, events",
                "SELECT k, sum(n), count(*) FROM s {at} GROUP BY k",
            ),
            (
                "newest",
                "k, n",
                "SELECT k, max(n) FROM s {at} WHERE k IS NOT NULL GROUP BY k",
            ),
        ] {
            let query = query.replace("{at}", &at);
            let expected = scratch.run(&format!("{query} ORDER BY 1"), &[]).await;
            let rows = format!("SELECT {columns} FROM {view} {at} ORDER BY k");
            assert_eq!(scratch.run(&rows, &[]).await, expected, "{view} {at}");
            let some = format!("SELECT k FROM {view} {at} WHERE k || '' > 'k2' ORDER BY k");
            let expected: Vec<&str> = expected
                .lines()
                .filter_map(|row| row.split('|').next())
                .filter(|k| *k > "k2")
                .collect();
            assert_eq!(scratch.run(&some, &[]).await, expected.join("\n"), "{view} {at}");
            let plan = scratch.run(&format!("EXPLAIN {rows}"), &[]).await;
            from_checkpoints += usize::from(plan.contains("from checkpoint=s/"));
        }
    }
    assert!(from_checkpoints > positions.len(), "{from_checkpoints}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rows_begin_at_the_nearest_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM s (k TEXT, n BIGINT NOT NULL) WITH (partitions = 3);
         CREATE MATERIALIZED VIEW sums STORED AS document WITH (checkpoints = '30') AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
         CREATE MATERIALIZED VIEW found STORED AS search (k KEYWORD) WITH (checkpoints = '30') AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
         CREATE MATERIALIZED VIEW newest STORED AS document KEY (k) WITH (checkpoints = '30') AS SELECT k, n FROM s WHERE k IS NOT NULL;";
    assert_eq!(scratch.run(application, &[]).await, "CREATE MATERIALIZED VIEW");
    for round in 0..3 {
        for (number, view) in ["sums", "found", "newest"].into_iter().enumerate() {
            checkpointed(&mut scratch, view, 20 * (3 * round + number)).await;
        }
    }
    let everywhere = [0, 10, 33, 50, 60, 77, 90, 99, 100];
    all_rows_at_positions(&mut scratch, &everywhere).await;
    scratch.close();

    let mut scratch = Scratch::open(folder.path());
    all_rows_at_positions(&mut scratch, &everywhere).await;
    // What is behind a checkpoint is enough.
    let kept = checkpointed(&mut scratch, "sums", 1_000).await;
    let now = "FOR SYSTEM_TIME AS OF now()";
    let sums = "SELECT k, total, events FROM sums";
    checkpointed(&mut scratch, "sums", 2_000).await;
    let expected = scratch.run(&format!("{sums} {now} ORDER BY k"), &[]).await;
    for partition in 0..3 {
        let upto = kept.get("s", partition);
        scratch.log.delete_records("s", partition, upto).expect("old events go");
    }
    let at = format!("FOR SYSTEM_TIME AS OF POSITION '{kept}'");
    check(
        &mut scratch,
        &[
            (&format!("{sums} {now} ORDER BY k"), expected.as_str()),
            (&format!("{sums} ORDER BY k"), expected.as_str()),
            (&format!("EXPLAIN {sums} {at}"), &format!("~from checkpoint={kept}")),
            // Without checkpoints nothing tells it.
            (
                "CREATE OR REPLACE MATERIALIZED VIEW sums STORED AS document WITH (checkpoints = 'none') AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k",
                "~",
            ),
            ("INSERT INTO s VALUES ('k0', 0)", "INSERT 0 1"),
        ],
    )
    .await;
    let begun = Instant::now();
    while !scratch.run(&format!("{sums} {now}"), &[]).await.starts_with("72000") {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "they go with the next commit"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check(
        &mut scratch,
        &[(
            "CREATE MATERIALIZED VIEW v STORED AS document WITH (checkpoints = '9') AS SELECT count(*) AS events FROM s",
            "~the setting 'checkpoints'",
        )],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_replaces_null_is_rewound() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM s (k TEXT, n BIGINT NOT NULL);
         CREATE MATERIALIZED VIEW v AS SELECT coalesce(k, '-') AS c, count(n) FILTER (WHERE k IS NOT NULL) AS events FROM s GROUP BY 1;";
    assert_eq!(scratch.run(application, &[]).await, "CREATE MATERIALIZED VIEW");
    let answer = scratch
        .run("INSERT INTO s VALUES ('a', 1), (NULL, 2), ('a', 3)", &[])
        .await;
    assert_eq!(answer, "INSERT 0 3");
    for at in [
        "",
        "FOR SYSTEM_TIME AS OF now()",
        "FOR SYSTEM_TIME AS OF POSITION 's/0@3'",
    ] {
        let rows = scratch
            .run(&format!("SELECT c, events FROM v {at} ORDER BY c"), &[])
            .await;
        assert_eq!(rows, "-|0\na|2", "{at}");
    }
    scratch.close();
}
