//! The events that went into a row, each with the row after it.

mod scratch;

use datafusion::common::ScalarValue;
use scratch::{Scratch, check};

const APPLICATION: &str = "CREATE STREAM s (k TEXT, n BIGINT NOT NULL, total TEXT) KEY (k) WITH (partitions = 3);
    CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT k, sum(n) AS total, count(*) AS events FROM s WHERE n <> 0 GROUP BY k;
    CREATE MATERIALIZED VIEW large STORED AS document AS SELECT k, sum(n) AS sum FROM s GROUP BY k HAVING sum(n) > 5;
    CREATE MATERIALIZED VIEW everything STORED AS document AS SELECT count(*) AS events, max(n) AS most FROM s;
    CREATE MATERIALIZED VIEW lengths STORED AS document AS SELECT length(k) AS length, count(*) AS events FROM s GROUP BY length(k);
    CREATE MATERIALIZED VIEW pairs STORED AS document AS SELECT k, n % 2 AS odd, count(*) AS events FROM s GROUP BY k, n % 2;
    CREATE VIEW plain AS SELECT * FROM sums";

async fn filled(scratch: &mut Scratch) {
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE VIEW");
    for (k, n) in [
        ("'a'", 1),
        ("'bb'", 10),
        ("'a'", 0),
        ("'a'", 5),
        ("'cc'", 2),
        ("NULL", 7),
        ("'a'", -3),
    ] {
        let insert = format!("INSERT INTO s VALUES ({k}, {n}, 'x')");
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_of_a_row_comes_with_the_row_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let cases: &[(&str, &str)] = &[
        // The row's column that has an event's name is told apart; the key stands there once.
        (
            "SELECT k, n, total, total_after, events FROM lineage('sums', 'a')",
            "a|1|x|1|1\na|5|x|6|2\na|-3|x|3|3",
        ),
        ("SELECT n, events FROM lineage('sums', 'a') LIMIT 1", "1|1"),
        ("SELECT n, events FROM lineage('sums', 'a') LIMIT 1 OFFSET 1", "5|2"),
        ("SELECT n, events FROM lineage('sums', 'a') LIMIT 5 OFFSET 2", "-3|3"),
        (
            "SELECT n FROM lineage('sums', 'a') WHERE total_after > 2 ORDER BY n",
            "-3\n5",
        ),
        ("SELECT _principal FROM lineage('sums', 'a') LIMIT 1", "test"),
        ("SELECT count(*) FROM lineage('sums', 'nobody')", "0"),
        ("SELECT n, total_after FROM lineage('sums', NULL)", "7|7"),
        // There is no row yet while it is not more than five, and none any more after that.
        (
            "SELECT n, sum FROM lineage('large', 'a')",
            "1|NULL\n0|NULL\n5|6\n-3|NULL",
        ),
        (
            "SELECT k, n, events, most FROM lineage('everything')",
            "a|1|1|1\nbb|10|2|10\na|0|3|10\na|5|4|10\ncc|2|5|10\nNULL|7|6|10\na|-3|7|10",
        ),
        (
            "SELECT k, n, length, events FROM lineage('lengths', 2)",
            "bb|10|2|1\ncc|2|2|2",
        ),
        ("SELECT n, odd, events FROM lineage('pairs', 'a', 1)", "1|1|1\n5|1|2"),
        // Whatever order the question wants, the events are followed in theirs.
        (
            "SELECT n, events, most FROM lineage('everything') ORDER BY n",
            "-3|7|10\n0|3|10\n1|1|1\n2|5|10\n5|4|10\n7|6|10\n10|2|10",
        ),
        (
            "SELECT n, events FROM lineage('everything') ORDER BY k DESC NULLS LAST, events DESC LIMIT 2",
            "2|5\n10|2",
        ),
        (
            "SELECT n, total_after FROM lineage('sums', 'a') ORDER BY n DESC LIMIT 1",
            "5|6",
        ),
        // The address is that of the event.
        (
            "SELECT count(*) FROM lineage('sums', 'a') l JOIN s ON s._partition = l._partition AND s._offset = l._offset AND s.n = l.n",
            "3",
        ),
        // The last row is the row.
        (
            "SELECT l.total_after = v.total FROM lineage('sums', 'a') l, sums v WHERE v.k = 'a' ORDER BY l._appended_at DESC LIMIT 1",
            "true",
        ),
    ];
    check(&mut scratch, cases).await;
    let answer = scratch
        .run("SELECT n FROM lineage('sums', $1) LIMIT 1", &[ScalarValue::from("bb")])
        .await;
    assert_eq!(answer, "10");
    let plan = scratch
        .run("EXPLAIN SELECT n FROM lineage('sums', 'a') LIMIT 2 OFFSET 1", &[])
        .await;
    assert!(plan.contains("LineageScan: view=sums, row=(a), limit=3"), "{plan}");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_row_after_an_event_is_the_row_as_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let steps = scratch
        .run(
            "SELECT _appended_at, total_after, events FROM lineage('sums', 'a')",
            &[],
        )
        .await;
    assert_eq!(steps.lines().count(), 3);
    for step in steps.lines() {
        let (moment, row) = step.split_once('|').expect("a moment and a row");
        let question =
            format!("SELECT total, events FROM sums FOR SYSTEM_TIME AS OF TIMESTAMP '{moment}' WHERE k = 'a'");
        check(&mut scratch, &[(&question, row)]).await;
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lineage_goes_on_behind_any_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    for view in ["lineage('sums', 'a'", "lineage('everything'"] {
        let steps = format!("SELECT _stream, _partition, _offset, _appended_at, n, events FROM {view}");
        let all = scratch.run(&format!("{steps})"), &[]).await;
        let all: Vec<&str> = all.lines().collect();
        for (seen, step) in all.iter().enumerate() {
            let parts: Vec<&str> = step.split('|').collect();
            let (address, moment) = (format!("{}/{}@{}", parts[0], parts[1], parts[2]), parts[3]);
            let rest = all[seen + 1..].join("\n");
            let cases = [
                (format!("{steps}, after => '{address}')"), rest.as_str()),
                (format!("{steps}, after => TIMESTAMP '{moment}')"), rest.as_str()),
                (format!("{steps}, after => '{moment}')"), rest.as_str()),
                (
                    format!("{steps}, after => '{address}') LIMIT 1"),
                    all.get(seen + 1).copied().unwrap_or_default(),
                ),
            ];
            let cases: Vec<(&str, &str)> = cases
                .iter()
                .map(|(question, rest)| (question.as_str(), *rest))
                .collect();
            check(&mut scratch, &cases).await;
            let address = ScalarValue::from(address);
            let answer = scratch.run(&format!("{steps}, after => $1)"), &[address]).await;
            assert_eq!(answer, rest, "{step}");
        }
    }
    check(
        &mut scratch,
        &[
            (
                "SELECT n FROM lineage('sums', 'a', after => 's/0@99')",
                "~lies beyond the end of the stream",
            ),
            (
                "SELECT n FROM lineage('sums', 'a', after => 's/9@0')",
                "~has no partition 9",
            ),
            (
                "SELECT n FROM lineage('sums', 'a', after => 'other/0@0')",
                "~does not read the stream 'other'",
            ),
            (
                "SELECT n FROM lineage('sums', 'a', after => 'yesterday')",
                "~is no moment in time",
            ),
            (
                "SELECT n FROM lineage('sums', 'a', before => 's/0@0')",
                "~lineage() has no argument 'before'",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_lineage_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    for (question, says) in [
        ("SELECT * FROM lineage()", "begins with the name of a materialized view"),
        (
            "SELECT * FROM lineage(1)",
            "begins with the name of a materialized view",
        ),
        (
            "SELECT * FROM lineage('sums')",
            "a key of 1 column(s) (k), and 0 value(s) are given",
        ),
        ("SELECT * FROM lineage('sums', 'a', 'b')", "and 2 value(s) are given"),
        ("SELECT * FROM lineage('plain', 'a')", "'plain' is a plain view"),
        ("SELECT * FROM lineage('s', 'a')", "'s' is a stream"),
        ("SELECT * FROM lineage('summs', 'a')", "did you mean 'sums'?"),
        (
            "SELECT * FROM lineage('lengths', 'many')",
            "many is no key of 'lengths'",
        ),
        (
            "SELECT * FROM lineages('sums', 'a')",
            "there is no table function 'lineages'",
        ),
    ] {
        let answer = scratch.run(question, &[]).await;
        assert!(answer.contains(says), "{question}: {answer}\nexpected to hold\n{says}");
    }
    // A saved question over a lineage needs its view.
    assert_eq!(
        scratch
            .run("CREATE VIEW history AS SELECT n FROM lineage('sums', 'a')", &[])
            .await,
        "CREATE VIEW"
    );
    check(&mut scratch, &[("SELECT n FROM history", "1\n5\n-3")]).await;
    let answer = scratch
        .run("DROP VIEW history; DROP VIEW plain; DROP MATERIALIZED VIEW sums", &[])
        .await;
    assert!(answer.starts_with("DROP"), "{answer}");
    scratch.close();
}
