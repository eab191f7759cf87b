//! Views of several streams: UNION ALL into groups and into KEY, with positions over all of them.

mod scratch;

use datafusion::common::ScalarValue;
use scratch::{Scratch, check};

const APPLICATION: &str =
    "CREATE STREAM paid (account TEXT NOT NULL, amount BIGINT NOT NULL) KEY (account) WITH (partitions = 2);
    CREATE STREAM spent (who TEXT NOT NULL, cents BIGINT NOT NULL) KEY (who) WITH (partitions = 3);
    CREATE MATERIALIZED VIEW balances STORED AS document AS
      SELECT account, sum(amount) AS balance, count(*) AS entries
      FROM (SELECT account, amount FROM paid UNION ALL SELECT who, -cents FROM spent) AS moved GROUP BY account;
    CREATE MATERIALIZED VIEW latest STORED AS document KEY (account) AS
      SELECT account, 'paid' AS what, amount FROM paid UNION ALL SELECT who, 'spent', cents FROM spent WHERE cents > 5";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_of_two_streams_is_exact_over_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
    for statement in [
        "INSERT INTO paid VALUES ('ann', 100)",
        "INSERT INTO spent VALUES ('ann', 30)",
        "INSERT INTO spent VALUES ('bob', 5)",
        "INSERT INTO paid VALUES ('bob', 7)",
        "INSERT INTO spent VALUES ('ann', 3)",
    ] {
        assert_eq!(scratch.run(statement, &[]).await, "INSERT 0 1");
    }
    let cases: &[(&str, &str)] = &[
        ("SELECT * FROM balances ORDER BY account", "ann|67|3\nbob|2|2"),
        ("SELECT balance FROM balances WHERE account = 'ann'", "67"),
        ("SELECT * FROM latest ORDER BY account", "ann|spent|30\nbob|paid|7"),
        (
            "SELECT * FROM balances FOR SYSTEM_TIME AS OF POSITION 'paid/0@0,1@0;spent/0@0,1@0,2@0'",
            "",
        ),
        ("SELECT sum(balance) FROM balances FOR SYSTEM_TIME AS OF now()", "69"),
        (
            "SELECT * FROM balances FOR SYSTEM_TIME AS OF POSITION 'paid/0@0,1@0'",
            "~says nothing about the stream 'spent'",
        ),
        ("DROP STREAM spent", "~2BP01"),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT account, count(*) FROM paid GROUP BY account UNION ALL SELECT who, count(*) FROM spent GROUP BY who",
            "~UNION ALL of queries with GROUP BY cannot be kept up to date event by event",
        ),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT account, count(*) AS n FROM (SELECT account FROM paid UNION SELECT who FROM spent) AS u GROUP BY account",
            "~42P17",
        ),
    ];
    check(&mut scratch, cases).await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, cases).await;
    scratch.close();
}

/// A view keeps them so; asked over the streams' partitions one after the other they would be others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_and_last_values_and_lists_of_events_are_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let query = "SELECT k, first_value(n) AS f, last_value(n) AS l, array_agg(n) AS a, last_value(n) FILTER (WHERE n < 9) AS small FROM s GROUP BY k";
    let defined = format!(
        "CREATE STREAM s (k TEXT, n BIGINT) WITH (partitions = 3);
         CREATE STREAM t (n BIGINT) WITH (partitions = 2);
         CREATE MATERIALIZED VIEW v AS {query}"
    );
    assert_eq!(scratch.run(&defined, &[]).await, "CREATE MATERIALIZED VIEW");
    for n in 1..=12 {
        let insert = format!("INSERT INTO s VALUES ('x', {n}); INSERT INTO t VALUES ({})", n * 10);
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
    }
    let rows = "x|1|12|[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]|8";
    check(
        &mut scratch,
        &[
            ("SELECT k, f, l, a, small FROM v", rows),
            (query, rows),
            ("SELECT last_value(n) FROM s", "12"),
            (
                "SELECT (SELECT last_value(n) FROM s WHERE k = o.k AND n < 6) FROM (VALUES ('x')) AS o(k)",
                "5",
            ),
            (
                "SELECT last_value(m) FROM (SELECT n * 2 AS m FROM s WHERE n <> 12) AS doubled",
                "22",
            ),
            (
                "SELECT array_agg(n) FROM (SELECT n FROM s WHERE n < 4 UNION ALL SELECT n FROM t WHERE n < 40) AS both",
                "[1, 10, 2, 20, 3, 30]",
            ),
            (
                "SELECT array_agg(u) FROM (SELECT unnest(ARRAY[n, -n]) AS u FROM s WHERE n < 3) AS each",
                "[1, -1, 2, -2]",
            ),
            (
                "SELECT array_agg(e), last_value(e) FROM s CROSS JOIN UNNEST(ARRAY[s.n, -s.n]) AS u(e) WHERE n < 5",
                "[1, -1, 2, -2, 3, -3, 4, -4]|-4",
            ),
            ("CREATE VIEW few AS SELECT * FROM s WHERE n < 6", "CREATE VIEW"),
            ("SELECT last_value(n) FROM few", "5"),
            // What says its own order has that.
            (
                "SELECT last_value(n ORDER BY n DESC), array_agg(n ORDER BY n DESC) FROM s WHERE n < 4",
                "1|[3, 2, 1]",
            ),
            ("SELECT last_value(n) FROM s WHERE n > 100", "NULL"),
            ("SELECT array_agg(n) FROM s WHERE n > 100", "NULL"),
            (
                "SELECT last_value(n), first_value(n) FROM s FOR SYSTEM_TIME AS OF POSITION 's/0@1,1@1,2@1'",
                "3|1",
            ),
        ],
    )
    .await;
    let below = [ScalarValue::from(7_i64)];
    let lasts = scratch.run("SELECT k, last_value(n) FROM s WHERE n < $1 GROUP BY k", &below);
    assert_eq!(lasts.await, "x|6");
    scratch.close();
}
