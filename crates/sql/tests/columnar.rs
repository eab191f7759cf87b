//! Views that are tables of column files, in statements: what they may be, what is read of them, and what they were.

#[expect(dead_code, reason = "other tests use all of it")]
mod scratch;
mod waiting;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_lake::DeltaLakes;
use scratch::{Scratch, check};
use waiting::until;

fn opened(folder: &Path) -> Scratch {
    Scratch::open_over(folder, |views| {
        views.with_lakes(Arc::new(DeltaLakes::start().expect("threads")))
    })
}

const APPLICATION: &str =
    "CREATE STREAM purchases (store TEXT NOT NULL, item TEXT, amount DECIMAL(18,2) NOT NULL, day DATE NOT NULL);
     CREATE MATERIALIZED VIEW history STORED AS columnar PARTITIONED BY (day) WITH (every = '50 ms') AS
     SELECT *, amount * 2 AS doubled FROM purchases WHERE amount > 0;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_columnar_view_is_a_table_like_any_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = opened(folder.path());
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
    check(
        &mut scratch,
        &[
            ("SELECT count(*), sum(amount) FROM history", "0|NULL"),
            (
                "INSERT INTO purchases VALUES ('north', 'scarf', 10.50, '2025-11-23'), ('south', NULL, 4.25, '2025-11-24'), ('south', 'hat', -1, '2025-11-24')",
                "INSERT 0 3",
            ),
            ("SELECT store, item, amount, day, doubled FROM history ORDER BY amount", "south|NULL|4.25|2025-11-24|8.50\nnorth|scarf|10.50|2025-11-23|21.00"),
            ("SELECT a.store, b.store FROM history a JOIN history b ON a.amount < b.amount", "south|north"),
            ("SELECT count(*) FROM history h JOIN purchases p ON p.store = h.store", "3"),
            ("SELECT * FROM lineage('history')", "~one row for each event"),
            (
                "CREATE MATERIALIZED VIEW archive STORED AS columnar PARTITIONED BY (appended) AS
                 SELECT _partition, _offset, _appended_at, *, date_trunc('day', _appended_at) AS appended FROM purchases",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT count(*), count(DISTINCT _partition * 1000 + _offset), sum(amount) FROM archive WHERE appended > '2020-01-01'", "3|3|13.75"),
            (
                "CREATE MATERIALIZED VIEW latest STORED AS columnar KEY (store) AS SELECT store, item, amount FROM purchases",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT count(*) FROM latest", "2"),
            (
                "CREATE MATERIALIZED VIEW sales STORED AS columnar AS SELECT store, sum(amount) AS total FROM purchases GROUP BY store",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT store, total FROM sales ORDER BY store", "north|10.50\nsouth|3.25"),
            ("CREATE MATERIALIZED VIEW again STORED AS document AS SELECT * FROM purchases", "~a query without GROUP BY"),
            (
                "CREATE MATERIALIZED VIEW again STORED AS columnar PARTITIONED BY (month) AS SELECT * FROM purchases",
                "~PARTITIONED BY (month), which is no column of the view",
            ),
            (
                "CREATE MATERIALIZED VIEW again STORED AS columnar LOCATION 'elsewhere' AS SELECT * FROM purchases",
                "~write the absolute path of a folder, or s3://bucket/prefix",
            ),
            (
                "CREATE MATERIALIZED VIEW again STORED AS columnar WITH (keep_versions = '59 seconds') AS SELECT * FROM purchases",
                "~keep versions for 1 minute or longer",
            ),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = opened(folder.path());
    check(
        &mut scratch,
        &[
            ("SELECT count(*), sum(doubled) FROM history", "2|29.50"),
            ("DROP MATERIALIZED VIEW history", "DROP MATERIALIZED VIEW"),
            ("SELECT * FROM history", "~there is no stream or view 'history'"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_files_that_matter_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = opened(folder.path());
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
    for day in 1..=5 {
        let insert = format!("INSERT INTO purchases VALUES ('north', 'scarf', {day}, '2025-11-0{day}')");
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
    }
    scratch.close();
    let mut scratch = opened(folder.path());
    let files = |plan: &str| plan.matches(".parquet").count();
    // What waited in memory when it was closed is folded again, and is in files a moment later.
    let begun = Instant::now();
    let all = loop {
        let all = scratch.run("EXPLAIN SELECT sum(amount) FROM history", &[]).await;
        if files(&all) == 5 || begun.elapsed() > Duration::from_secs(60) {
            break all;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(files(&all), 5, "{all}");
    for (filter, expected) in [
        ("day = '2025-11-03'", 1),
        ("day > '2025-11-03'", 2),
        ("amount BETWEEN 3 AND 4", 2),
    ] {
        let plan = scratch
            .run(&format!("EXPLAIN SELECT sum(doubled) FROM history WHERE {filter}"), &[])
            .await;
        assert_eq!(files(&plan), expected, "{filter}: {plan}");
        assert!(
            !plan.contains("item"),
            "a column that nobody asks for is not read: {plan}"
        );
    }
    assert_eq!(
        scratch
            .run("SELECT sum(doubled) FROM history WHERE amount BETWEEN 3 AND 4", &[])
            .await,
        "14.00"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_columnar_view_is_rewound_like_any_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = opened(folder.path());
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
    for n in 1..=20 {
        let insert = format!("INSERT INTO purchases VALUES ('north', 'scarf', {n}, '2025-11-01')");
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
    }
    let end = scratch.log.position("purchases").expect("the stream");
    for hundredth in [0, 10, 50, 90, 100] {
        let upto: Vec<String> = (0..2)
            .map(|partition| format!("{partition}@{}", end.get("purchases", partition) * hundredth / 100))
            .collect();
        let at = format!("FOR SYSTEM_TIME AS OF POSITION 'purchases/{}'", upto.join(","));
        let of_view = scratch
            .run(&format!("SELECT count(*), sum(doubled) FROM history {at}"), &[])
            .await;
        let of_stream = scratch
            .run(&format!("SELECT count(*), sum(amount * 2) FROM purchases {at}"), &[])
            .await;
        assert_eq!(of_view, of_stream, "{at}");
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elements_of_arrays_are_rows_of_a_table_and_arrays_are_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = opened(folder.path());
    let application = "CREATE STREAM orders;
        CREATE MATERIALIZED VIEW lines STORED AS columnar WITH (every = '50 ms') AS
        SELECT who, line->>'sku' AS sku, CAST(line->>'pieces' AS BIGINT) AS pieces
        FROM (SELECT value->>'who' AS who, unnest(json_get_array(value, 'lines')) AS line FROM orders) AS l;
        CREATE MATERIALIZED VIEW sold STORED AS columnar WITH (every = '50 ms') AS
        SELECT line->>'sku' AS sku, sum(CAST(line->>'pieces' AS BIGINT)) AS pieces
        FROM (SELECT unnest(json_get_array(value, 'lines')) AS line FROM orders) AS l GROUP BY line->>'sku';
        CREATE MATERIALIZED VIEW tagged STORED AS columnar WITH (every = '50 ms') AS
        SELECT value->>'who' AS who, string_to_array(value->>'tags', ',') AS tags FROM orders";
    assert_eq!(scratch.run(application, &[]).await, "CREATE MATERIALIZED VIEW");
    let mut first = None;
    for order in [
        r#"{"who": "ann", "tags": "new,red", "lines": [{"sku": "scarf", "pieces": 2}, {"sku": "hat", "pieces": 1}, {"sku": "scarf", "pieces": 3}]}"#,
        r#"{"who": "bob", "lines": []}"#,
        r#"{"who": "dan", "tags": "red", "lines": [{"sku": "hat", "pieces": 7}]}"#,
    ] {
        let insert = format!("INSERT INTO orders (value) VALUES ('{order}')");
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
        first.get_or_insert(scratch.log.position("orders").expect("the stream"));
    }
    let first = first.expect("the position behind the first order");
    let at = |question: &str| format!("{question} FOR SYSTEM_TIME AS OF POSITION '{first}'");
    // What waits in memory, and after a start what is in files: the same.
    for _ in 0..2 {
        check(
            &mut scratch,
            &[
                (
                    "SELECT who, sku, pieces FROM lines ORDER BY who, sku, pieces",
                    "ann|hat|1\nann|scarf|2\nann|scarf|3\ndan|hat|7",
                ),
                ("SELECT sku, pieces FROM sold ORDER BY sku", "hat|8\nscarf|5"),
                (
                    "SELECT who, unnest(tags) AS tag FROM tagged ORDER BY who, tag",
                    "ann|new\nann|red\ndan|red",
                ),
                (&at("SELECT count(*), sum(pieces) FROM lines"), "3|6"),
                (&at("SELECT sum(pieces) FROM sold"), "6"),
                (
                    "SELECT l.who, t.tag FROM lines AS l JOIN (SELECT who, unnest(tags) AS tag FROM tagged) AS t ON t.who = l.who WHERE l.pieces = 7",
                    "dan|red",
                ),
            ],
        )
        .await;
        scratch.close();
        scratch = opened(folder.path());
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_with_another_table_is_refused_and_nothing_is_defined() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = tempfile::tempdir().expect("a folder");
    let location = place.path().join("lake");
    let view = |name: &str| {
        let location = location.display();
        format!(
            "CREATE MATERIALIZED VIEW {name} STORED AS columnar LOCATION '{location}' AS SELECT store, amount FROM purchases"
        )
    };
    let mut scratch = opened(folder.path());
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
    assert_eq!(scratch.run(&view("one"), &[]).await, "CREATE MATERIALIZED VIEW");
    let refused = scratch.run(&view("two"), &[]).await;
    assert!(
        refused.starts_with("42P17: ") && refused.contains("where the table of headwater/one/"),
        "{refused}"
    );
    check(
        &mut scratch,
        &[("SELECT * FROM two", "~there is no stream or view 'two'")],
    )
    .await;
    // The same view again is its own.
    let again = view("one").replacen("CREATE", "CREATE OR REPLACE", 1);
    assert_eq!(scratch.run(&again, &[]).await, "CREATE MATERIALIZED VIEW");
    scratch.close();

    // What a start finds to be another's is not started, and says so.
    let log = location.join("_delta_log");
    std::fs::remove_dir_all(&log).expect("no table");
    std::fs::write(location.join("report.txt"), "x").expect("a file of another's");
    let mut scratch = opened(folder.path());
    let views = scratch.run("SHOW VIEWS", &[]).await;
    let one = views.lines().find(|line| line.starts_with("one|")).unwrap_or_default();
    assert!(
        one.starts_with("one|columnar|did not start|NULL|") && one.contains("where files lie that are no table's"),
        "{views}"
    );
    check(&mut scratch, &[("SELECT * FROM one", "~58000: ")]).await;
    check(
        &mut scratch,
        &[("SELECT * FROM one", "~the view 'one' did not start: ")],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_table_is_gone_is_dropped_and_created_again() {
    for restarts in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let place = tempfile::tempdir().expect("a folder");
        let location = place.path().join("lake");
        let create = format!(
            "CREATE MATERIALIZED VIEW one STORED AS columnar LOCATION '{}' WITH (every = '20 ms') AS SELECT store, amount FROM purchases",
            location.display()
        );
        let insert = "INSERT INTO purchases (store, amount, day) VALUES ('a', 1.00, '2025-11-23')";
        let mut scratch = opened(folder.path());
        assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
        assert_eq!(scratch.run(&create, &[]).await, "CREATE MATERIALIZED VIEW");
        assert_eq!(scratch.run(insert, &[]).await, "INSERT 0 1");
        let begun = Instant::now();
        let (mut is_going, mut is_gone) = (false, false);
        let why = "is not there any more, and nothing is written in its place";
        loop {
            let views = scratch.run("SHOW VIEWS", &[]).await;
            if views.contains(why) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it stops: {views}");
            is_going |= location.join("_delta_log/00000000000000000001.json").exists();
            if is_going && location.exists() {
                // The table may be written just now: what comes while it goes, or right behind it, goes with the next try.
                is_gone |= std::fs::remove_dir_all(&location).is_ok();
            }
            if is_gone {
                assert_eq!(scratch.run(insert, &[]).await, "INSERT 0 1");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // A commit that was under way while the folder went may have left a file there, which is no table.
        let _ = std::fs::remove_dir_all(&location);
        if restarts {
            scratch.close();
            scratch = opened(folder.path());
            assert!(scratch.run("SHOW VIEWS", &[]).await.contains(why));
        }
        check(
            &mut scratch,
            &[
                ("SELECT count(*) FROM one", "~58000: "),
                ("DROP MATERIALIZED VIEW one", "DROP MATERIALIZED VIEW"),
                (&create, "CREATE MATERIALIZED VIEW"),
                (
                    "SELECT (SELECT count(*) FROM one) = (SELECT count(*) FROM purchases)",
                    "true",
                ),
            ],
        )
        .await;
        scratch.close();
    }
}

/// Its stream has none of the events any more; the rows that show when and where theirs were tell every moment, others those at which a version stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_rewound_to_before_the_first_event_that_its_stream_keeps() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = opened(folder.path());
    let defined = "CREATE STREAM clicks (page TEXT NOT NULL, n BIGINT) WITH (partitions = 2);
         CREATE MATERIALIZED VIEW archive STORED AS columnar WITH (every = '20 ms') AS
         SELECT _partition, _offset, _appended_at, * FROM clicks WHERE n <> 3;
         CREATE MATERIALIZED VIEW bare STORED AS columnar WITH (every = '20 ms') AS SELECT page, n FROM clicks WHERE n <> 3";
    assert_eq!(scratch.run(defined, &[]).await, "CREATE MATERIALIZED VIEW");
    // What is asked for, and how many events there were.
    let mut moments: Vec<(String, i64)> = Vec::new();
    let mut version: Option<String> = None;
    for n in 0..10 {
        let now = scratch.run("SELECT now()", &[]).await;
        moments.push((format!("FOR SYSTEM_TIME AS OF TIMESTAMPTZ '{now}'"), n));
        let end = scratch.log.position("clicks").expect("the stream");
        if n > 0 {
            moments.push((format!("FOR SYSTEM_TIME AS OF POSITION '{end}'"), n));
        }
        let insert = format!("INSERT INTO clicks VALUES ('/', {n})");
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
        if n == 5 {
            let end = scratch.log.position("clicks").expect("the stream");
            let at = format!("FOR SYSTEM_TIME AS OF POSITION '{end}'");
            let explain = format!("EXPLAIN SELECT n FROM bare {at}");
            until("a version of the table stands there", async || {
                !scratch.run(&explain, &[]).await.contains("RewoundEvents")
            })
            .await;
            version = Some(at);
        }
    }
    let sum = |events: i64| (0..events).filter(|n| *n != 3).sum::<i64>();
    let expected = |events: i64| match events {
        0 => "0|NULL".to_owned(),
        events => format!("{}|{}", events - i64::from(events > 3), sum(events)),
    };
    for is_gone in [false, true] {
        for (at, events) in &moments {
            let question = format!("SELECT count(*), sum(n) FROM archive {at}");
            let found = scratch.run(&question, &[]).await;
            assert_eq!(found, expected(*events), "{question}, the events gone: {is_gone}");
        }
        let version = version.clone().expect("a position");
        let found = scratch
            .run(&format!("SELECT count(*), sum(n) FROM bare {version}"), &[])
            .await;
        assert_eq!(found, expected(6), "the events gone: {is_gone}");
        if !is_gone {
            let log = scratch.log.clone();
            let end = log.position("clicks").expect("the stream");
            for partition in 0..2 {
                log.delete_records("clicks", partition, end.get("clicks", partition))
                    .expect("old events go");
            }
        }
    }
    // A moment in the middle of a file.
    let (at, _) = moments
        .iter()
        .rev()
        .find(|(at, events)| at.contains("TIMESTAMPTZ") && *events == 3)
        .expect("a moment");
    let moment = at.trim_start_matches("FOR SYSTEM_TIME AS OF ");
    // No version of a table ever stood where the other partition had the first event.
    let first_in_0 = moments
        .iter()
        .any(|(at, events)| *events == 1 && at.contains("clicks/0@1"));
    let never = if first_in_0 { "clicks/0@0,1@1" } else { "clicks/0@1,1@0" };
    check(
        &mut scratch,
        &[
            (
                &format!("SELECT sum(n) FROM archive WHERE _appended_at <= {moment}"),
                "3",
            ),
            (
                &format!("SELECT sum(n) FROM archive WHERE _appended_at > {moment}"),
                "39",
            ),
            (&format!("SELECT sum(n) FROM archive {at} WHERE n > 1"), "2"),
            (
                &format!("SELECT sum(n) FROM bare {at}"),
                "~let 'bare' select _appended_at, too",
            ),
            (
                &format!("SELECT sum(n) FROM bare FOR SYSTEM_TIME AS OF POSITION '{never}'"),
                "~72000: ",
            ),
            ("SELECT count(*) FROM archive FOR SYSTEM_TIME AS OF now()", "9"),
        ],
    )
    .await;
    // What was made of what was left does not know what was there before.
    let late =
        "CREATE MATERIALIZED VIEW late STORED AS columnar AS SELECT _partition, _offset, _appended_at, n FROM clicks";
    assert_eq!(scratch.run(late, &[]).await, "CREATE MATERIALIZED VIEW");
    check(
        &mut scratch,
        &[(
            &format!("SELECT sum(n) FROM late {at}"),
            "~is without 10 events that were no longer kept",
        )],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_rewound_by_business_time_without_its_streams_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = opened(folder.path());
    let defined = "CREATE STREAM visits (page TEXT NOT NULL, n BIGINT, day DATE) TIME (day) WITH (partitions = 1);
         CREATE MATERIALIZED VIEW archive STORED AS columnar WITH (every = '20 ms') AS SELECT _partition, _offset, _appended_at, page, n, day AS on_day FROM visits;
         CREATE MATERIALIZED VIEW timeless STORED AS columnar WITH (every = '20 ms') AS SELECT page, n FROM visits;
         INSERT INTO visits VALUES ('/', 1, DATE '2024-01-01'), ('/', 2, DATE '2024-01-03'), ('/', 4, DATE '2024-01-02'), ('/', 8, NULL)";
    assert_eq!(scratch.run(defined, &[]).await, "INSERT 0 4");
    let first = "FOR SYSTEM_TIME AS OF POSITION 'visits/0@2'";
    let day = "FOR BUSINESS_TIME AS OF DATE '2024-01-02'";
    let both = format!("SELECT sum(n) FROM archive {first} {day}");
    let by_day = format!("SELECT sum(n) FROM archive {day}");
    for is_gone in [false, true] {
        let last = if is_gone { "13" } else { "5" };
        check(&mut scratch, &[(&by_day, last), (&both, "1")]).await;
        if !is_gone {
            scratch.log.delete_records("visits", 0, 4).expect("old events go");
            let later = "INSERT INTO visits VALUES ('/', 8, DATE '2024-01-01'), ('/', 16, DATE '2024-01-09')";
            assert_eq!(scratch.run(later, &[]).await, "INSERT 0 2");
        }
    }
    check(
        &mut scratch,
        &[
            (&format!("SELECT sum(n) FROM archive {day} WHERE n > 4"), "8"),
            (&format!("SELECT sum(n) FROM timeless {day}"), "~72000: "),
            (
                "SELECT * FROM lineage('archive', 'visits/0@1')",
                "~there is no event at visits/0@1 any more; its row is all that is left of it",
            ),
        ],
    )
    .await;
    scratch.close();
}

/// Each way of asking whether a row's value is among others' is answered, however few rows fall into one partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_looked_for_among_the_rows_of_a_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = opened(folder.path());
    let defined = "CREATE STREAM a (k INTEGER, t TEXT) WITH (partitions = 2);
         CREATE STREAM c0 (n INTEGER, t TEXT) WITH (partitions = 2);
         CREATE MATERIALIZED VIEW c STORED AS columnar AS SELECT n, t FROM c0;
         CREATE MATERIALIZED VIEW d STORED AS document AS SELECT n, t, count(*) AS times FROM c0 GROUP BY n, t";
    assert_eq!(scratch.run(defined, &[]).await, "CREATE MATERIALIZED VIEW");
    for round in 0..6 {
        let value = |number: i32, of: i32, as_written: fn(i32) -> String| match number % of {
            0 => "NULL".to_owned(),
            number => as_written(number),
        };
        let number = |number: i32| number.to_string();
        let text = |number: i32| format!("'t{number}'");
        let rows = |count: i32| {
            let row = |at: i32| {
                let (first, second) = ((at * 7 + round * 3) % 5, (at * 5 + round) % 4);
                format!("({}, {})", value(first, 5, number), value(second, 4, text))
            };
            (0..count).map(row).collect::<Vec<String>>().join(", ")
        };
        for (stream, count) in [("a", 1 + round % 3), ("c0", 12)] {
            let inserted = scratch
                .run(&format!("INSERT INTO {stream} VALUES {}", rows(count)), &[])
                .await;
            assert_eq!(inserted, format!("INSERT 0 {count}"));
        }
        for asked in ["a.t NOT IN", "a.t IN"] {
            let question = |view: &str| {
                format!(
                    "SELECT a.k, a.t, {asked} (SELECT v.t FROM {view} v WHERE v.n = a.k) AS found FROM a ORDER BY k, t, found"
                )
            };
            let expected = scratch.run(&question("d"), &[]).await;
            assert_eq!(
                scratch.run(&question("c"), &[]).await,
                expected,
                "{asked}, round {round}"
            );
        }
    }
    scratch.close();
}
