//! Rows that cannot be worked out from what their view keeps of them, such as `10 / sum(n)` where the sum is 0: whoever asks for one is told which it
//! is and why; everything else goes on, without it, until it can be worked out again.

mod scratch;

use scratch::{Scratch, check};

const VIEWS: &[(&str, &str)] = &[
    (
        "CREATE STREAM s (k TEXT, n INTEGER) WITH (partitions = 1)",
        "CREATE STREAM",
    ),
    (
        "CREATE MATERIALIZED VIEW shares AS SELECT k, 10 / CAST(sum(n) AS INTEGER) AS share FROM s GROUP BY k",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW found STORED AS search (k KEYWORD, share NUMBER) WITH (freshness = '10 ms') AS
         SELECT k, 10 / CAST(sum(n) AS INTEGER) AS share FROM s GROUP BY k",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE MATERIALIZED VIEW image STORED AS memory AS SELECT k, sum(n) AS total FROM s GROUP BY k HAVING 10 / CAST(sum(n) AS INTEGER) > 1",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE STREAM moves WITH (partitions = 1) AS
         SELECT k, share, _change AS what, _before['share'] AS was FROM CHANGES OF shares",
        "CREATE STREAM",
    ),
    ("INSERT INTO s VALUES ('x', 2), ('y', 5)", "INSERT 0 2"),
    ("INSERT INTO s VALUES ('y', -5), ('z', 1)", "INSERT 0 2"),
];

const DIVISION: &str = "22012: the row (y) of the view 'shares' cannot be worked out: division by zero; \
                        guard it with nullif(divisor, 0)";

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_row_is_told_and_the_others_are_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, VIEWS).await;
    check(
        &mut scratch,
        &[
            ("SELECT * FROM shares", DIVISION),
            ("SELECT share FROM shares WHERE k = 'y'", DIVISION),
            ("SELECT share FROM shares WHERE k = 'x'", "5"),
            ("SELECT k, share FROM shares WHERE k > 'y'", "z|10"),
            (
                "SELECT * FROM found",
                "~22012: the row (y) of the view 'found' cannot be worked out",
            ),
            (
                "SELECT * FROM image",
                "~22012: the row (y) of the view 'image' cannot be worked out",
            ),
            ("SELECT total FROM image WHERE k = 'x'", "2"),
            ("SELECT * FROM shares FOR SYSTEM_TIME AS OF now()", DIVISION),
            (
                "SELECT k, share FROM shares FOR SYSTEM_TIME AS OF POSITION 's/0@2' ORDER BY k",
                "x|5\ny|2",
            ),
            // Its lineage says which event it was.
            ("SELECT n, share FROM lineage('shares', 'y')", "5|2\n-5|NULL"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_without_the_row_until_it_can_be_worked_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, VIEWS).await;
    let all = "SELECT k, share FROM search('found', '*') ORDER BY k";
    check(
        &mut scratch,
        &[
            (all, "x|5\nz|10"),
            (
                "SHOW VIEWS",
                "~running; 1 row is left out: the row (y) of the view 'found' cannot be worked out: division by zero",
            ),
            ("INSERT INTO s VALUES ('y', 1), ('x', -2)", "INSERT 0 2"),
            (all, "y|10\nz|10"),
            (
                "SHOW VIEWS",
                "~running; 1 row is left out: the row (x) of the view 'found' cannot be worked out: division by zero",
            ),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (all, "y|10\nz|10"),
            ("INSERT INTO s VALUES ('x', 5)", "INSERT 0 1"),
            (all, "x|2\ny|10\nz|10"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_it_is_parked_and_the_next_one_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, VIEWS).await;
    let moves = "SELECT k, what, was, share FROM moves ORDER BY _offset";
    check(
        &mut scratch,
        &[
            (moves, "x|insert|NULL|5\ny|insert|NULL|2\nz|insert|NULL|10"),
            (
                "SELECT stream, \"offset\", reader, reason FROM _headwater.parked",
                "s|2|moves|the pipeline 'moves' cannot take it: the row (y) of the view 'shares' cannot be worked out: division by zero",
            ),
            ("SHOW PIPELINES", "~|4|3|1"),
            ("INSERT INTO s VALUES ('y', 2), ('z', 1)", "INSERT 0 2"),
            (
                moves,
                "x|insert|NULL|5\ny|insert|NULL|2\nz|insert|NULL|10\ny|update|NULL|5\nz|update|10|5",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_finds_the_row_is_parked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, VIEWS).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM asked (k TEXT) WITH (partitions = 1)", "CREATE STREAM"),
            (
                "CREATE STREAM answered AS SELECT a.k, h.share FROM asked a LEFT JOIN shares h ON h.k = a.k",
                "CREATE STREAM",
            ),
            ("INSERT INTO asked VALUES ('x'), ('y'), ('z')", "INSERT 0 3"),
            ("SELECT k, share FROM answered ORDER BY k", "x|5\nz|10"),
            (
                "SELECT \"offset\", reason FROM _headwater.parked WHERE reader = 'answered'",
                "1|the pipeline 'answered' cannot take it: the row (y) of the view 'shares' cannot be worked out: division by zero",
            ),
        ],
    )
    .await;
    scratch.close();
}

/// One of the engine's functions looks for an overflow in programs that are not optimized, as tests are, and panics there.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_over_which_a_function_panics_is_parked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let found = "CAST(array_position(ARRAY[1, 2], 1, n) AS INTEGER)";
    let view = format!("CREATE MATERIALIZED VIEW v AS SELECT k, max({found}) AS place FROM s GROUP BY k");
    let table = format!("CREATE MATERIALIZED VIEW t STORED AS columnar AS SELECT k, {found} AS place FROM s");
    let pipeline = format!("CREATE STREAM p AS SELECT k, {found} AS place FROM s");
    let why = "cannot take it: the program broke off over it, which is a fault of the program: attempt to subtract with overflow";
    let parked = format!("1|NULL|the view 'v' {why}\n1|p|the pipeline 'p' {why}");
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM s (k TEXT, n BIGINT) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (&view, "CREATE MATERIALIZED VIEW"),
            (&pipeline, "CREATE STREAM"),
            (
                "INSERT INTO s VALUES ('a', 1), ('b', -9223372036854775808), ('c', 2)",
                "INSERT 0 3",
            ),
            ("SELECT k, place FROM v ORDER BY k", "a|1\nc|NULL"),
            ("SELECT k, place FROM p ORDER BY k", "a|1\nc|NULL"),
            (
                "SELECT \"offset\", reader, reason FROM _headwater.parked ORDER BY reader NULLS FIRST",
                &parked,
            ),
            (
                "SELECT k, place FROM v FOR SYSTEM_TIME AS OF now() ORDER BY k",
                "a|1\nc|NULL",
            ),
            (
                "SELECT k, place FROM v FOR SYSTEM_TIME AS OF now() WHERE k = 'c'",
                "c|NULL",
            ),
            ("SELECT place FROM lineage('v', 'a')", "1"),
            // One that is built of what is there.
            (&table, "CREATE MATERIALIZED VIEW"),
            ("SELECT k, place FROM t ORDER BY k", "a|1\nc|NULL"),
            ("SHOW PIPELINES", "~|3|2|1"),
        ],
    )
    .await;
    scratch.close();
}
