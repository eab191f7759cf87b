//! What a question asks of a view's keys is read from the view and nothing else, and the answer is the same as by reading everything.

mod scratch;

use scratch::{Scratch, check};

/// A view whose key has two columns, with NULLs in both; the same in memory; and one with a float for its key.
async fn filled(scratch: &mut Scratch) {
    let application = "CREATE STREAM s (k TEXT, n BIGINT, x DOUBLE PRECISION, d DECIMAL(10,2));
         CREATE MATERIALIZED VIEW v STORED AS document AS SELECT k, n, count(*) AS events, sum(d) AS total FROM s GROUP BY k, n;
         CREATE MATERIALIZED VIEW m STORED AS memory AS SELECT k, n, count(*) AS events, sum(d) AS total FROM s GROUP BY k, n;
         CREATE MATERIALIZED VIEW f STORED AS document AS SELECT x, count(*) AS events FROM s GROUP BY x;
         CREATE MATERIALIZED VIEW flags STORED AS document AS SELECT n > 0 AS b, n, count(*) AS events FROM s GROUP BY n > 0, n;
         CREATE MATERIALIZED VIEW frequent STORED AS document AS SELECT k, n, count(*) AS events FROM s GROUP BY k, n HAVING count(*) > 2;";
    assert_eq!(scratch.run(application, &[]).await, "CREATE MATERIALIZED VIEW");
    let texts = ["'a'", "'ab'", "'abc'", "'b'", "''", "NULL", "'ä'", "'A'"];
    let mut rows: Vec<String> = Vec::new();
    for at in 0..240_usize {
        let n = match at % 9 {
            0 => "NULL".to_owned(),
            _ => format!("{}", (at * 13) as i64 % 17 - 8),
        };
        let x = ["0.0", "-0.0", "1.5", "NULL", "-2.5"][at % 5];
        rows.push(format!("({}, {n}, {x}, {}.25)", texts[at % texts.len()], at % 50));
    }
    let answer = scratch
        .run(&format!("INSERT INTO s VALUES {}", rows.join(", ")), &[])
        .await;
    assert_eq!(answer, "INSERT 0 240");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_by_keys_is_what_the_filter_lets_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let filters = [
        "k = 'a'",
        "k > 'a' AND k <= 'abc'",
        "k < 'ab'",
        "k >= 'b'",
        "k BETWEEN 'A' AND 'ab'",
        "k LIKE 'ab%'",
        "k LIKE 'a%' AND n > 0",
        "k LIKE 'a_%'",
        "k IN ('a', 'b', 'nobody')",
        "k IN ('a', 'b') AND n BETWEEN -3 AND 3",
        "k IN ('a', 'b') AND n < 0 AND n < -5",
        "k = 'ab' AND n IS NULL",
        "k IS NULL",
        "k IS NOT NULL",
        "k IS NULL AND n >= 0",
        "k = 'a' AND n IS NOT NULL",
        "k > 'b' AND k < 'a'",
        "k = 'a' AND k = 'b'",
        "k = 'a' AND events > 1",
        "n > 3",
        "k NOT LIKE 'a%'",
        "k = NULL",
        "'ab' <= k",
        "(k, n) > ('ab', 0)",
        "(k, n) >= ('ab', 3)",
        "(k, n) < ('ab', 0)",
        "(k, n) <= ('ab', 3)",
        "(k, n) > ('ab', NULL)",
        "(k, n) > ('', -8) AND (k, n) <= ('abc', 2)",
        "(k, n) > ('a', 2) AND k <= 'ab'",
        "(k, n) > ('a', 2) AND (k, n) >= ('a', 5) AND events > 1",
        "k = 'ab' AND (k, n) > ('ab', 1)",
        "(n, k) > (1, 'a')",
        "NOT (k, n) > ('ab', 0)",
    ];
    for view in ["v", "m", "frequent"] {
        for filter in filters {
            let by_keys = scratch
                .run(
                    &format!("SELECT k, n, events FROM {view} WHERE {filter} ORDER BY events, k, n"),
                    &[],
                )
                .await;
            // No filter and no order goes through a LIMIT.
            let of_all = format!(
                "SELECT k, n, events FROM (SELECT * FROM {view} LIMIT 1000000) AS t WHERE {filter} ORDER BY events, k, n"
            );
            assert_eq!(by_keys, scratch.run(&of_all, &[]).await, "{view}: {filter}");
        }
        for order in [
            "k, n",
            "k DESC, n DESC",
            "k",
            "k DESC",
            "k, n DESC",
            "k NULLS FIRST, n",
            "k, n, events DESC",
        ] {
            for page in ["", "LIMIT 5", "LIMIT 7 OFFSET 11"] {
                for filter in [
                    "true",
                    "k = 'a'",
                    "k IN ('ab', 'a')",
                    "k >= 'a'",
                    "k >= 'a' AND events > 1",
                    "(k, n) > ('a', 2)",
                    "(k, n) <= ('abc', 2)",
                ] {
                    // Only what the order decides is compared.
                    let shown = order.replace(" DESC", "").replace(" NULLS FIRST", "");
                    let ask = |from: &str| format!("SELECT {shown} FROM {from} WHERE {filter} ORDER BY {order} {page}");
                    let by_keys = scratch.run(&ask(view), &[]).await;
                    let of_all = scratch
                        .run(&ask(&format!("(SELECT * FROM {view} LIMIT 1000000) AS t")), &[])
                        .await;
                    assert_eq!(by_keys, of_all, "{}", ask(view));
                }
            }
        }
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_conditions_on_one_column_of_a_key_are_all_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let conditions = [
        "= 'b'",
        "IN ('ab', 'a')",
        "> 'a'",
        "<= 'ab'",
        "BETWEEN 'a' AND 'b'",
        "LIKE 'ab%'",
        "IS NULL",
        "IS NOT NULL",
        "< ''",
    ];
    for (at, one) in conditions.iter().enumerate() {
        for other in &conditions[at + 1..] {
            for more in ["", " AND n = 3", " AND n > 0 AND n IN (3, 5, NULL)"] {
                let ask = |from: &str| {
                    format!("SELECT k, n, events FROM {from} WHERE k {one} AND k {other}{more} ORDER BY events, k, n")
                };
                let of_all = scratch.run(&ask("(SELECT * FROM v LIMIT 1000000) AS t"), &[]).await;
                assert_eq!(scratch.run(&ask("v"), &[]).await, of_all, "{}", ask("v"));
            }
        }
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_that_is_written_otherwise_on_its_way_is_asked_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    for filter in [
        "k IN ('a', NULL)",
        "k IN (NULL)",
        "k IN ('nobody', NULL)",
        "k IN ('a', NULL) AND events > 1",
        "k = 'a' AND n IN (1, NULL)",
        "k = 'a' AND n IN (1, NULL) OR k = 'b'",
        "k LIKE 'a%' AND k IN ('a', 'ab', NULL)",
        "k LIKE 'a'",
        "k BETWEEN 'a' AND 'a'",
        "NOT k <> 'a'",
        "k = 'a' IS TRUE",
    ] {
        for view in ["v", "m"] {
            let ask = |from: &str| format!("SELECT events FROM {from} WHERE {filter} ORDER BY events");
            let of_all = scratch
                .run(&ask(&format!("(SELECT * FROM {view} LIMIT 1000000) AS t")), &[])
                .await;
            assert_eq!(scratch.run(&ask(view), &[]).await, of_all, "{}", ask(view));
            let rewound = ask(&format!("{view} FOR SYSTEM_TIME AS OF now()"));
            assert_eq!(scratch.run(&rewound, &[]).await, of_all, "{rewound}");
        }
    }
    for filter in [
        "b IN (true, false) AND n > 3",
        "b IN (true) AND n IN (1, 2)",
        "b AND n > 3",
        "NOT b AND n < -3",
        "b IS TRUE AND n > 3",
        "b IS NOT TRUE",
        "b = true AND b = false",
        "b IN (true, NULL)",
        "b IS NULL",
    ] {
        let ask = |from: &str| format!("SELECT b, n, events FROM {from} WHERE {filter} ORDER BY n, events");
        let of_all = scratch.run(&ask("(SELECT * FROM flags LIMIT 1000000) AS t"), &[]).await;
        assert_eq!(scratch.run(&ask("flags"), &[]).await, of_all, "{}", ask("flags"));
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_says_what_it_reads_of_a_view() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    check(
        &mut scratch,
        &[
            ("EXPLAIN SELECT k FROM v WHERE k = 'a' AND n = 1", "~ViewScan: view=v, stored as=document, keys=1 of (k, n)"),
            ("EXPLAIN SELECT events FROM v WHERE k = 'a'", "~range=k = a, columns=[events]"),
            ("EXPLAIN SELECT events FROM v WHERE k > 'a' AND k <= 'b'", "~range=k > a AND k <= b, columns=[events]"),
            ("EXPLAIN SELECT events FROM m WHERE k LIKE 'ab%'", "~view=m, stored as=memory, range="),
            ("EXPLAIN SELECT events FROM v WHERE n > 1", "~rows=all"),
            ("EXPLAIN SELECT k FROM v ORDER BY k LIMIT 20", "CooperativeExec\n  ViewScan: view=v, stored as=document, rows=all, in order of (k, n), limit=20, columns=[k]"),
            ("EXPLAIN SELECT k FROM v ORDER BY k DESC, n DESC LIMIT 20", "~in reverse order of (k, n), limit=20"),
            ("EXPLAIN SELECT n FROM v WHERE k = 'a' ORDER BY n LIMIT 3", "~range=k = a, in order of (k, n), limit=3"),
            ("EXPLAIN SELECT n FROM v WHERE k = 'a' ORDER BY n NULLS FIRST LIMIT 3", "~SortExec"),
            ("EXPLAIN SELECT k FROM v ORDER BY n LIMIT 3", "~SortExec"),
            ("EXPLAIN SELECT k FROM v LIMIT 3", "~rows=all, limit=3"),
            ("EXPLAIN SELECT k FROM v WHERE events > 1 ORDER BY k LIMIT 3", "~rows=all"),
            ("EXPLAIN SELECT events FROM f WHERE x < 1.0", "~rows=all"),
            // Two mentions are one read, at one position.
            ("SELECT count(*) FROM v AS one JOIN v AS two ON one.n = two.n WHERE one.k = 'a' AND one.n = 1 AND two.k > 'A' AND two.k < 'ab'", "1"),
            ("SELECT (SELECT k FROM v ORDER BY k LIMIT 1), (SELECT k FROM v ORDER BY k DESC NULLS LAST LIMIT 1)", "|ä"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_behind_a_row_is_a_range_of_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    check(
        &mut scratch,
        &[
            (
                "EXPLAIN SELECT k, n FROM v WHERE (k, n) > ('ab', 0) ORDER BY k, n LIMIT 3",
                "~ViewScan: view=v, stored as=document, range=k > ab OR k = ab AND n > 0, in order of (k, n), limit=3",
            ),
            (
                "EXPLAIN SELECT k, n FROM v WHERE (k, n) <= ('ab', 0) ORDER BY k DESC, n DESC LIMIT 3",
                "~in reverse order of (k, n), limit=3",
            ),
            (
                "EXPLAIN SELECT k, n FROM v WHERE k = 'ab' AND n > 0 ORDER BY n LIMIT 3",
                "~range=k = ab AND n > 0",
            ),
            ("EXPLAIN SELECT k, n FROM v WHERE (n, k) > (1, 'a')", "~rows=all"),
        ],
    )
    .await;
    // Page by page, each row comes once.
    let mut rows: Vec<String> = Vec::new();
    let mut behind = "k >= ''".to_owned();
    loop {
        let page = format!("SELECT k, n FROM v WHERE {behind} AND n IS NOT NULL ORDER BY k, n LIMIT 7");
        let page = scratch.run(&page, &[]).await;
        let Some(last) = page.lines().last() else { break };
        let (k, n) = last.split_once('|').expect("two columns");
        behind = format!("(k, n) > ('{k}', {n})");
        rows.extend(page.lines().map(str::to_owned));
    }
    let all = scratch
        .run(
            "SELECT k, n FROM v WHERE k IS NOT NULL AND n IS NOT NULL ORDER BY k, n",
            &[],
        )
        .await;
    assert_eq!(rows.join("\n"), all);
    scratch.close();
}
