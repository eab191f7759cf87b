//! Views of several streams: UNION ALL into groups and into KEY, with positions over all of them.

mod scratch;

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
