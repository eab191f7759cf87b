//! What views of every shape were: rows at positions and moments, all of them and one by one, against the query over the events below, and against lineage.

mod history_ground;
mod scratch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use headwater_records::Position;
use headwater_sql::parse::parse;
use headwater_sql::{Outcome, Progress, Session};
use history_ground::{Appended, Ground, Moment, below};
use scratch::{Scratch, check};

const APPLICATION: &str = "
    CREATE STREAM s (k TEXT NOT NULL, n BIGINT NOT NULL, day DATE) KEY (k) TIME (day) WITH (partitions = 3);
    CREATE STREAM t (who TEXT NOT NULL, n BIGINT NOT NULL, day DATE) KEY (who) TIME (day) WITH (partitions = 2);
    CREATE MATERIALIZED VIEW on_disk STORED AS document AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
    CREATE MATERIALIZED VIEW in_memory STORED AS memory AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
    CREATE MATERIALIZED VIEW found STORED AS search (k KEYWORD) AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
    CREATE MATERIALIZED VIEW edges STORED AS graph (SOURCE k, DESTINATION digit) AS SELECT k, CAST(n % 3 AS TEXT) AS digit, count(*) AS times FROM s GROUP BY k, CAST(n % 3 AS TEXT);
    CREATE MATERIALIZED VIEW merged STORED AS columnar WITH (every = '20 ms') AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
    CREATE MATERIALIZED VIEW per_event STORED AS columnar WITH (every = '20 ms') AS SELECT k, n, n * 2 AS doubled FROM s WHERE n <> 7;
    CREATE MATERIALIZED VIEW everything STORED AS document AS SELECT count(*) AS events, max(n) AS most FROM s;
    CREATE MATERIALIZED VIEW newest STORED AS document KEY (k) AS SELECT k, n, day FROM s;
    CREATE MATERIALIZED VIEW newest_found STORED AS search (k KEYWORD) KEY (k) AS SELECT k, n, day FROM s;
    CREATE MATERIALIZED VIEW together STORED AS document AS
      SELECT k, sum(n) AS total, count(*) AS events FROM (SELECT k, n FROM s UNION ALL SELECT who, -n FROM t) AS moved GROUP BY k;
    CREATE MATERIALIZED VIEW latest STORED AS document KEY (k) AS
      SELECT k, 's' AS stream, n FROM s UNION ALL SELECT who, 't' AS stream, n FROM t;
    CREATE PROPERTY GRAPH shop EDGE TABLES (edges SOURCE people DESTINATION digits);";

/// The views with a row for each key, and the query over the streams that gives the same; `{s}` and `{t}` stand for the streams as of then.
const GROUPED: [(&str, &str, &str); 6] = [
    (
        "on_disk",
        "k, total, events",
        "SELECT k, sum(n), count(*) FROM s {s} GROUP BY k",
    ),
    (
        "in_memory",
        "k, total, events",
        "SELECT k, sum(n), count(*) FROM s {s} GROUP BY k",
    ),
    (
        "found",
        "k, total, events",
        "SELECT k, sum(n), count(*) FROM s {s} GROUP BY k",
    ),
    (
        "merged",
        "k, total, events",
        "SELECT k, sum(n), count(*) FROM s {s} GROUP BY k",
    ),
    (
        "edges",
        "k, digit, times",
        "SELECT k, CAST(n % 3 AS TEXT), count(*) FROM s {s} GROUP BY k, CAST(n % 3 AS TEXT)",
    ),
    (
        "together",
        "k, total, events",
        "SELECT k, sum(n), count(*) FROM (SELECT k, n FROM s {s} UNION ALL SELECT who, -n FROM t {t}) AS moved GROUP BY k",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_every_shape_are_what_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ground = Ground::open(folder.path(), Vec::new());
    assert_eq!(ground.scratch.run(APPLICATION, &[]).await, "CREATE PROPERTY GRAPH");
    let mut moments: Vec<Moment> = vec![ground.moment(&Position::new(), true)];
    for number in 0..60 {
        ground.append(number);
        if number % 30 == 29 {
            ground.caught_up().await;
            moments.push(ground.moment(&ground.end(), true));
        }
        if number == 40 {
            moments.push(ground.now().await);
        }
    }
    // Anywhere: what is below was not appended before the rest.
    let end = ground.end();
    for hundredth in [17, 83] {
        let mut anywhere = Position::new();
        for (stream, partition, offset) in end.iter() {
            let share = (hundredth + 31 * u64::from(partition)) % 100;
            anywhere.set(stream, partition, offset * share / 100);
        }
        moments.push(ground.moment(&anywhere, false));
    }
    for moment in &moments {
        compare(&mut ground, moment).await;
    }
    ground.scratch.close();

    // Once more from what is on the disk.
    let events = ground.events;
    let mut ground = Ground::open(folder.path(), events);
    ground.caught_up().await;
    for moment in moments.iter().step_by(3) {
        compare(&mut ground, moment).await;
    }
    business(&mut ground).await;
    ground.scratch.close();
}

async fn compare(ground: &mut Ground, moment: &Moment) {
    let Moment {
        of_s, of_t, of_both, ..
    } = moment;
    for (view, columns, batch) in GROUPED {
        let at = if view == "together" { of_both } else { of_s };
        let batch = batch.replace("{s}", of_s).replace("{t}", of_t);
        let expected = ground.sorted(&batch).await;
        let all = ground.sorted(&format!("SELECT {columns} FROM {view} {at}")).await;
        assert_eq!(all, expected, "{view} {at}");
        by_key(ground, view, columns, at, &expected).await;
        if moment.is_cut {
            let keys: BTreeSet<String> = expected
                .iter()
                .filter_map(|row| row.split('|').next())
                .map(str::to_owned)
                .collect();
            for key in keys.iter().filter(|_| view != "edges") {
                last_step(ground, view, key, "total, events", moment, &expected).await;
            }
        }
    }
    let each = ground
        .sorted(&format!("SELECT k, n, doubled FROM per_event {of_s}"))
        .await;
    assert_eq!(
        each,
        ground
            .sorted(&format!("SELECT k, n, n * 2 FROM s {of_s} WHERE n <> 7"))
            .await,
        "per_event {of_s}"
    );
    let everything = ground
        .sorted(&format!("SELECT events, most FROM everything {of_s}"))
        .await;
    assert_eq!(
        everything,
        ground.sorted(&format!("SELECT count(*), max(n) FROM s {of_s}")).await,
        "{of_s}"
    );
    let hits = ground
        .sorted(&format!("SELECT k, total, events FROM search('found', '*') {of_s}"))
        .await;
    assert_eq!(
        hits,
        ground
            .sorted(&format!("SELECT k, total, events FROM found {of_s}"))
            .await,
        "search {of_s}"
    );
    let pattern =
        "GRAPH_TABLE (shop MATCH (a)-[e IS edges]->(b) COLUMNS (e.k AS k, e.digit AS digit, e.times AS times))";
    let matches = ground
        .sorted(&format!("SELECT k, digit, times FROM {pattern} {of_s}"))
        .await;
    assert_eq!(
        matches,
        ground
            .sorted(&format!("SELECT k, digit, times FROM edges {of_s}"))
            .await,
        "{of_s}"
    );
    let joined =
        format!("SELECT a.k, a.total, b.events FROM on_disk {of_s} AS a JOIN in_memory {of_s} AS b ON a.k = b.k");
    assert_eq!(
        ground.sorted(&joined).await,
        ground
            .sorted(&format!("SELECT k, total, events FROM on_disk {of_s}"))
            .await
    );
    if moment.position == Position::new() && !moment.is_cut {
        return;
    }
    let below = below(&moment.position);
    let newest = ground.newest(&["s"], &below, |event, n, day| {
        format!("{}|{n}|2025-01-{day:02}", event.key)
    });
    let latest = ground.newest(&["s", "t"], &below, |event, n, _| {
        format!("{}|{}|{n}", event.key, event.stream)
    });
    for (view, columns, at, expected) in [
        ("newest", "k, n, day", of_s, &newest),
        ("newest_found", "k, n, day", of_s, &newest),
        ("latest", "k, stream, n", of_both, &latest),
    ] {
        let all = ground.sorted(&format!("SELECT {columns} FROM {view} {at}")).await;
        assert_eq!(&all, expected, "{view} {at}");
        by_key(ground, view, columns, at, expected).await;
        if moment.is_cut {
            let row = if view == "latest" {
                "stream, n_after"
            } else {
                "n_after, day_after"
            };
            for key in ["k0", "k1", "k2", "k3"] {
                last_step(ground, view, key, row, moment, expected).await;
            }
        }
    }
}

/// Each row asked for by its key is what all rows say of it.
async fn by_key(ground: &mut Ground, view: &str, columns: &str, at: &str, expected: &[String]) {
    for key in ["k0", "k1", "k2", "k3", "nobody"] {
        let found = ground
            .sorted(&format!("SELECT {columns} FROM {view} {at} WHERE k = '{key}'"))
            .await;
        let own: Vec<&String> = expected
            .iter()
            .filter(|row| row.split('|').next() == Some(key))
            .collect();
        assert_eq!(found.iter().collect::<Vec<&String>>(), own, "{view} {at}: {key}");
    }
}

/// The row after the last event below the moment is the row as of then.
async fn last_step(ground: &mut Ground, view: &str, key: &str, row: &str, moment: &Moment, expected: &[String]) {
    let steps = format!("SELECT _stream, _partition, _offset, {row} FROM lineage('{view}', '{key}')");
    let steps = ground.scratch.run(&steps, &[]).await;
    let mut last: Option<String> = None;
    for step in steps.lines() {
        let parts: Vec<&str> = step.splitn(4, '|').collect();
        let [stream, partition, offset, row] = parts.as_slice() else {
            panic!("{view}: {steps}");
        };
        let (partition, offset): (u32, u64) = (
            partition.parse().expect("a partition"),
            offset.parse().expect("an offset"),
        );
        if offset < moment.position.get(stream, partition) {
            let is_gone = row.split('|').all(|value| value == "NULL");
            last = (!is_gone).then(|| format!("{key}|{row}"));
        }
    }
    let own = expected.iter().find(|row| row.split('|').next() == Some(key)).cloned();
    assert_eq!(last, own, "{view}: {key} {}\n{steps}", moment.of_both);
}

/// What was true by a day, by the column TIME; a tombstone counts from its writer's timestamp.
async fn business(ground: &mut Ground) {
    for day in [1, 8, 15, 31] {
        let at = format!("FOR BUSINESS_TIME AS OF DATE '2025-01-{day:02}'");
        for (view, columns, batch) in GROUPED {
            let batch = batch.replace("{s}", &at).replace("{t}", &at);
            let expected = ground.sorted(&batch).await;
            assert_eq!(
                ground.sorted(&format!("SELECT {columns} FROM {view} {at}")).await,
                expected,
                "{view} {at}"
            );
            by_key(ground, view, columns, &at, &expected).await;
        }
        let each = ground.sorted(&format!("SELECT k, n FROM per_event {at}")).await;
        assert_eq!(
            each,
            ground.sorted(&format!("SELECT k, n FROM s {at} WHERE n <> 7")).await,
            "per_event {at}"
        );
        let holds = |event: &Appended| event.row.map_or(event.written_on, |(_, day)| day) <= day;
        let newest = ground.newest(&["s"], holds, |event, n, day| {
            format!("{}|{n}|2025-01-{day:02}", event.key)
        });
        for view in ["newest", "newest_found"] {
            assert_eq!(
                ground.sorted(&format!("SELECT k, n, day FROM {view} {at}")).await,
                newest,
                "{view} {at}"
            );
        }
        let latest = ground.newest(&["s", "t"], holds, |event, n, _| {
            format!("{}|{}|{n}", event.key, event.stream)
        });
        assert_eq!(
            ground.sorted(&format!("SELECT k, stream, n FROM latest {at}")).await,
            latest,
            "{at}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewind_begins_where_something_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ground = Ground::open(folder.path(), Vec::new());
    assert_eq!(ground.scratch.run(APPLICATION, &[]).await, "CREATE PROPERTY GRAPH");
    for number in 0..60 {
        ground.append(number);
    }
    ground.caught_up().await;
    let now = "FOR SYSTEM_TIME AS OF now()";
    let scratch = &mut ground.scratch;
    check(
        scratch,
        &[
            (
                &format!("EXPLAIN SELECT n FROM newest {now} WHERE k = 'k0'"),
                "~from snapshots=1",
            ),
            (
                &format!("EXPLAIN SELECT total FROM together {now} WHERE k = 'k0'"),
                "~from snapshots=1",
            ),
            (
                &format!("EXPLAIN SELECT n FROM latest {now} WHERE k IN ('k0', 'k1')"),
                "~rows=2, from snapshots=2",
            ),
            (
                "EXPLAIN SELECT * FROM lineage('newest', 'k0', after => now())",
                "~from snapshot=",
            ),
            (
                "EXPLAIN SELECT * FROM lineage('newest', 'k0')",
                "~LineageScan: view=newest, row=(k0)",
            ),
        ],
    )
    .await;
    let from_version = format!("EXPLAIN SELECT sum(n) FROM per_event {now}");
    let begun = std::time::Instant::now();
    while !scratch.run(&from_version, &[]).await.contains(".parquet") {
        assert!(begun.elapsed() < Duration::from_secs(120), "the table is written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ground.scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_rewound_though_its_events_are_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ground = Ground::open(folder.path(), Vec::new());
    assert_eq!(ground.scratch.run(APPLICATION, &[]).await, "CREATE PROPERTY GRAPH");
    for number in 0..30 {
        ground.append(number);
    }
    ground.caught_up().await;
    // An event that is a row: with it the table is committed as of the end of every partition.
    ground.append(32);
    ground.caught_up().await;
    let moment = ground.moment(&ground.end(), true);
    let question = format!("SELECT k, n FROM per_event {}", moment.of_s);
    let expected = ground.sorted(&question).await;
    // Once its table has all of it, the stream's events may go.
    let explain = format!("EXPLAIN {question}");
    let begun = std::time::Instant::now();
    loop {
        let plan = ground.scratch.run(&explain, &[]).await;
        if plan.contains(".parquet") && !plan.contains("RewoundEvents") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{plan}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in 30..40 {
        ground.append(number);
    }
    for partition in 0..3 {
        let upto = moment.position.get("s", partition);
        ground
            .scratch
            .log
            .delete_records("s", partition, upto)
            .expect("old events go");
    }
    assert_eq!(ground.sorted(&question).await, expected);
    let apart = moment.position.get("s", 0) - 1;
    let later = ground.moment(&ground.end(), true);
    let rows = ground
        .sorted(&format!("SELECT k, n FROM per_event {}", later.of_s))
        .await;
    assert!(rows.len() > expected.len(), "what came since is made of its events");
    for (question, says) in [
        (format!("SELECT * FROM on_disk {}", later.of_s), "72000"),
        // A position that the stream never stood at, so that no version of the table does.
        (
            format!("SELECT * FROM per_event FOR SYSTEM_TIME AS OF POSITION 's/0@{apart},1@0,2@0'"),
            "72000",
        ),
        ("SELECT * FROM lineage('on_disk', 'k0')".to_owned(), "72000"),
    ] {
        let answer = ground.scratch.run(&question, &[]).await;
        assert!(answer.starts_with(says), "{question}: {answer}");
    }
    ground.scratch.close();
}

/// Runs a question to its end: the events that it read and was to read, or the state of its error.
async fn counted(scratch: &Scratch, question: &str) -> Result<(u64, u64), String> {
    let statement = parse(question, "").expect("it parses").remove(0);
    let progress: Arc<Progress> = Arc::default();
    let session = Session {
        progress: Some(Arc::clone(&progress)),
        ..scratch.session()
    };
    let outcome = scratch.engine.execute(&session, &statement, &[]).await;
    let Outcome::Rows { rows, .. } = outcome.map_err(|error| error.state.0.to_owned())? else {
        return Err("no rows".to_owned());
    };
    let rows = rows.try_collect::<Vec<_>>().await;
    rows.map(|_| progress.events()).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_way_back_is_counted_and_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ground = Ground::open(folder.path(), Vec::new());
    assert_eq!(ground.scratch.run(APPLICATION, &[]).await, "CREATE PROPERTY GRAPH");
    let unindexed = "ALTER STREAM s SET (entities = 'none')";
    assert_eq!(ground.scratch.run(unindexed, &[]).await, "ALTER STREAM");
    // The scratch engine reads no more than 10,000 events for one view.
    for (events, expected) in [(10_000, Ok((10_000, 10_000))), (1, Err("54000".to_owned()))] {
        let rows = "SELECT 'k' || (value % 5), value, NULL FROM generate_series(1, ";
        let insert = format!("INSERT INTO s {rows}{events})");
        assert_eq!(ground.scratch.run(&insert, &[]).await, format!("INSERT 0 {events}"));
        for question in [
            "SELECT count(*) FROM on_disk FOR SYSTEM_TIME AS OF now()",
            "SELECT count(*) FROM on_disk FOR BUSINESS_TIME AS OF DATE '2030-01-01'",
            "SELECT count(*) FROM in_memory FOR SYSTEM_TIME AS OF now() WHERE k = 'k1'",
            // Each of them by itself would be made of all events: what was planned for that is not counted.
            "SELECT count(*) FROM in_memory FOR SYSTEM_TIME AS OF now() WHERE k IN ('k1', 'k2')",
            "SELECT count(*) FROM lineage('on_disk', 'k1')",
            "SELECT count(*) FROM search('found', '*') FOR SYSTEM_TIME AS OF now()",
        ] {
            assert_eq!(counted(&ground.scratch, question).await, expected, "{question}");
        }
        // What a snapshot is near enough to is not that far.
        ground.caught_up().await;
        let near = "SELECT total FROM on_disk FOR SYSTEM_TIME AS OF now() WHERE k = 'k1'";
        let (read, total) = counted(&ground.scratch, near).await.expect("it is near");
        assert!(read == total && total < 10_000, "{read} of {total}");
    }
    ground.scratch.close();
}

/// An event that a view cannot take is in none of its rows, whenever these are asked for: it ends no rewind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewind_leaves_out_what_the_view_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM pay (id TEXT NOT NULL, t TEXT, day DATE) KEY (id) TIME (day) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT id, sum(CAST(t AS INTEGER)) AS s FROM pay GROUP BY id",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE MATERIALIZED VIEW shares STORED AS document AS SELECT id, count(*) AS n FROM pay \
                 WHERE t <> '0' AND t <> 'x' AND 100 / CAST(t AS INTEGER) > 20 GROUP BY id",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE MATERIALIZED VIEW lists STORED AS memory AS SELECT id, array_agg(CAST(t AS INTEGER)) AS l FROM pay GROUP BY id",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "INSERT INTO pay VALUES ('a','1','2024-01-01'),('b','2','2024-01-01'),('a','0','2024-01-02'),('c','x','2024-01-02')",
                "INSERT 0 4",
            ),
            ("INSERT INTO pay VALUES ('b','3','2024-01-04')", "INSERT 0 1"),
        ],
    )
    .await;
    for (when, sums, shares, lists) in [
        ("", "a|1\nb|5", "a|1\nb|2", "a|[1, 0]\nb|[2, 3]"),
        (
            "FOR SYSTEM_TIME AS OF now()",
            "a|1\nb|5",
            "a|1\nb|2",
            "a|[1, 0]\nb|[2, 3]",
        ),
        (
            "FOR SYSTEM_TIME AS OF POSITION 'pay/0@4'",
            "a|1\nb|2",
            "a|1\nb|1",
            "a|[1, 0]\nb|[2]",
        ),
        ("FOR SYSTEM_TIME AS OF POSITION 'pay/0@1'", "a|1", "a|1", "a|[1]"),
        (
            "FOR BUSINESS_TIME AS OF DATE '2024-01-03'",
            "a|1\nb|2",
            "a|1\nb|1",
            "a|[1, 0]\nb|[2]",
        ),
    ] {
        check(
            &mut scratch,
            &[
                (&format!("SELECT * FROM sums {when} ORDER BY id"), sums),
                (&format!("SELECT s FROM sums {when} WHERE s < 2"), "1"),
                (&format!("SELECT * FROM shares {when} ORDER BY id"), shares),
                (&format!("SELECT * FROM lists {when} ORDER BY id"), lists),
            ],
        )
        .await;
    }
    scratch.close();
}
