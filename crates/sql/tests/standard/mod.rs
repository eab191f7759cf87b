//! What the standard and PostgreSQL say where the query engine means something else.

mod answers;
mod functions;
mod joins;
mod json;
mod moments;
mod quoted;
mod subqueries;

use crate::scratch::{Scratch, check};
use crate::{bank, folder};

/// Questions that are written shorter than they are asked, with their answers.
async fn check_as(scratch: &mut Scratch, asked: impl Fn(&str) -> String, cases: &[(&str, &str)]) {
    let asked: Vec<(String, &str)> = cases.iter().map(|(short, rows)| (asked(short), *rows)).collect();
    let asked: Vec<(&str, &str)> = asked
        .iter()
        .map(|(question, rows)| (question.as_str(), *rows))
        .collect();
    check(scratch, &asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_with_all_count_their_rows() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let ones = "(VALUES (1), (1), (1), (2), (NULL), (NULL)) AS a(n)";
    let twos = "(VALUES (1), (1), (2), (2), (NULL)) AS b(n)";
    let question = |operation: &str| {
        format!("SELECT n FROM (SELECT n FROM {ones} {operation} SELECT n FROM {twos}) AS s ORDER BY n")
    };
    let cases = [
        ("EXCEPT ALL", "1\nNULL"),
        ("EXCEPT", ""),
        ("INTERSECT ALL", "1\n1\n2\nNULL"),
        ("INTERSECT", "1\n2\nNULL"),
    ];
    check_as(&mut scratch, question, &cases).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT account FROM transactions EXCEPT ALL SELECT 'ann' ORDER BY account",
                "ann\nbob",
            ),
            (
                "SELECT count(*) FROM (SELECT account, kind FROM transactions EXCEPT ALL SELECT account, kind FROM transactions) AS s",
                "0",
            ),
            (
                "SELECT count(*) FROM balances WHERE account IN (SELECT account FROM transactions INTERSECT ALL SELECT account FROM transactions)",
                "2",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_compared_as_their_parts() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let table = "(VALUES (1, 1), (1, 2), (2, NULL), (NULL, 1)) AS t(a, b)";
    let where_ = |condition: &str| format!("SELECT a, b FROM {table} WHERE {condition} ORDER BY a, b");
    let cases = [
        ("(a, b) < (1, 2)", "1|1"),
        ("(a, b) <= (2, 5)", "1|1\n1|2"),
        ("(a, b) > (1, 1)", "1|2\n2|NULL"),
        ("(a, b) = (1, 2)", "1|2"),
        ("NOT ((a, b) = (1, 2))", "1|1\n2|NULL\nNULL|1"),
        ("(a, b) IN ((1, 1), (2, NULL))", "1|1"),
        ("(a, b) NOT IN ((1, 1), (3, 3))", "1|2\n2|NULL"),
        ("(a, b + 1) = (1, 2)", "1|1"),
        ("(a, b) IN (SELECT 1, x FROM (VALUES (2), (NULL)) AS u(x))", "1|2"),
        ("(a, b) NOT IN (SELECT 1, 2)", "1|1\n2|NULL\nNULL|1"),
        (
            "(a, b) NOT IN (SELECT 1, x FROM (VALUES (2), (NULL)) AS u(x))",
            "2|NULL",
        ),
    ];
    check_as(&mut scratch, where_, &cases).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT (1, NULL) = (2, NULL), (1, NULL) = (1, 1), (1, 2) < (1, NULL)",
                "false|NULL|NULL",
            ),
            (
                "SELECT (1, 2) = (1, 2, 3)",
                "~a row of 2 values is compared with one of 3",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_stand_side_by_side_are_asked_each_by_itself() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let table = "(VALUES ('a', 1, 1), ('B', 2, 1), ('c', 3, 3), (NULL, 4, 4)) AS t(k, n, m)";
    let where_ = |condition: &str| format!("SELECT n FROM {table} WHERE {condition} ORDER BY n");
    let cases = [
        ("k NOT IN ('a', NULL)", ""),
        ("k IN ('B', 'c') AND k NOT IN ('a', 'B')", "3"),
        // Whoever is not in a list that holds NULL may be in it.
        ("k IN ('B', 'c') AND k NOT IN ('a', NULL)", ""),
        ("k NOT IN ('a', NULL) AND k IN ('B', 'c')", ""),
        ("(k = 'B' OR k = 'c') AND k NOT IN ('a', NULL)", ""),
        ("n IN (2, 3, 4, 5) AND n NOT IN (7, 8, 9, NULL)", ""),
        ("(k IN ('B', 'c') AND k IN ('a', NULL)) IS NULL", "2\n3\n4"),
        // Columns that are called differently may be alike.
        ("n IN (m, 9) AND n IN (n, 10)", "1\n3\n4"),
        ("n IN (m, 7, 8, 9) AND n NOT IN (m, 7, 8, 9)", ""),
        // NULL is in no list, and out of none.
        (
            "k NOT IN ('a', 'B', 'c', 'd') OR k NOT IN ('e', 'f', 'g', 'h')",
            "1\n2\n3",
        ),
        (
            "NOT (k IN ('a', 'B', 'c', 'd') AND k IN ('e', 'f', 'g', 'h'))",
            "1\n2\n3",
        ),
        ("(k IN ('a', 'B', 'c', 'd') AND k IN ('e', 'f', 'g', 'h')) IS NULL", "4"),
    ];
    check_as(&mut scratch, where_, &cases).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE MATERIALIZED VIEW some STORED AS memory AS SELECT account, count(*) AS n FROM transactions WHERE kind IN ('deposit', 'withdrawal') AND kind NOT IN ('fee', NULL) GROUP BY account",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT count(*) FROM some", "0"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_and_hours_are_a_moment() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT DATE '2024-01-01' + INTERVAL '1 hour'", "2024-01-01T01:00:00"),
            ("SELECT DATE '2024-01-01' - INTERVAL '1 hour'", "2023-12-31T23:00:00"),
            ("SELECT INTERVAL '1 day 1 minute' + DATE '2024-01-01'", "2024-01-02T00:01:00"),
            ("SELECT DATE '2024-01-31' + INTERVAL '1 month', DATE '2024-01-31' + INTERVAL '2 days'", "2024-02-29|2024-02-02"),
            (
                "SELECT DATE '2024-01-01' + i FROM (VALUES (INTERVAL '1 day'), (INTERVAL '3 hours')) AS t(i) ORDER BY 1",
                "2024-01-01T03:00:00\n2024-01-02T00:00:00",
            ),
            (
                "SELECT count(*) FROM (VALUES (DATE '2024-02-29')) AS t(d) WHERE d + INTERVAL '1 hour' > TIMESTAMP '2024-02-29 00:30:00'",
                "1",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_and_intervals_read_as_text_as_they_are_shown() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT TIMESTAMP '2024-01-01 00:00:00'::text, TIMESTAMPTZ '2024-01-01 10:00:00.5+02'::text, INTERVAL '1 day 2 hours'::text",
                "2024-01-01 00:00:00|2024-01-01 08:00:00.5+00|1 day 02:00:00",
            ),
            ("SELECT 'at ' || TIMESTAMP '2024-01-01 00:00:00', DATE '2024-01-01'::text, NULL::timestamp::text", "at 2024-01-01 00:00:00|2024-01-01|NULL"),
            (
                "SELECT left(t::text, 10), count(*) FROM (VALUES (TIMESTAMP '2024-01-01 10:00:00'), (TIMESTAMP '2024-01-01 11:00:00'), (NULL)) AS v(t) WHERE t::text LIKE '2024-01-01 1%' GROUP BY left(t::text, 10)",
                "2024-01-01|2",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_guards_a_division_is_asked_first() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let table = "(VALUES (0, 'x'), (10, '7'), (50, '1')) AS t(n, k)";
    let one = |question: &str| question.replace("FROM t", &format!("FROM {table}"));
    let cases = [
        ("SELECT n FROM t WHERE n <> 0 AND 100 / n > 3", "10"),
        ("SELECT n FROM t WHERE n = 0 OR 100 / n > 3 ORDER BY n", "0\n10"),
        ("SELECT n <> 0 AND 100 / n > 3 FROM t ORDER BY n", "false\ntrue\nfalse"),
        ("SELECT n FROM t WHERE k ~ '^[0-9]+$' AND k::integer > 3", "10"),
        ("SELECT n FROM t WHERE NOT (n = 0 OR 100 / n > 3)", "50"),
        (
            "SELECT n FROM t WHERE n IS NOT NULL AND n <> 0 AND 1000.0 / n > 3 AND 100 % n = 0 ORDER BY n",
            "10\n50",
        ),
        ("SELECT sum(100 / n) FILTER (WHERE n <> 0), count(*) FROM t", "12|3"),
        ("SELECT n FROM t WHERE 100 / n > 3", "~22012"),
        ("SELECT n FROM t WHERE n < 100 AND 100 / n > 3", "~22012"),
    ];
    check_as(&mut scratch, one, &cases).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM s (g TEXT NOT NULL, n INTEGER) KEY (g)", "CREATE STREAM"),
            (
                "CREATE MATERIALIZED VIEW large AS SELECT g, count(*) AS c, sum(100 / n) FILTER (WHERE n <> 0) AS q FROM s GROUP BY g",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE MATERIALIZED VIEW some AS SELECT g, count(*) AS c FROM s WHERE n <> 0 AND 100 / n > 3 GROUP BY g",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO s VALUES ('a', 0), ('a', 10), ('a', 50), ('a', NULL)", "INSERT 0 4"),
            ("SELECT * FROM large", "a|4|12"),
            ("SELECT * FROM some", "a|1"),
            ("SELECT * FROM large FOR SYSTEM_TIME AS OF now()", "a|4|12"),
            ("SELECT * FROM some FOR SYSTEM_TIME AS OF now()", "a|1"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_of_truth_is_never_null_also_where_it_is_grouped() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let table = "(VALUES (true), (NULL), (false)) AS t(ok)";
    let asked = |question: &str| question.replace("FROM t", &format!("FROM {table}"));
    let cases = [
        (
            "SELECT DISTINCT (ok IS NOT FALSE) AS c FROM t ORDER BY c",
            "false\ntrue",
        ),
        ("SELECT max(c::int) FROM (SELECT ok IS TRUE AS c FROM t) AS q", "1"),
        (
            "SELECT ok IS UNKNOWN, count(*) FROM t GROUP BY 1 ORDER BY 1",
            "false|2\ntrue|1",
        ),
    ];
    check_as(&mut scratch, asked, &cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_on_one_side_of_a_join_stays_there() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM t (id INTEGER NOT NULL, n INTEGER, d INTEGER, ok BOOLEAN) KEY (id)", "CREATE STREAM"),
            ("CREATE STREAM u (k INTEGER NOT NULL, label TEXT) KEY (k)", "CREATE STREAM"),
            (
                "CREATE MATERIALIZED VIEW v STORED AS document AS SELECT id, max(n) AS n, max(d) AS d, bool_or(ok) AS ok FROM t GROUP BY id",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "INSERT INTO t VALUES (1, 2, 10, true), (2, NULL, NULL, true), (3, 1, 7, true), (4, 9, 8, false), (5, 1, 6, true)",
                "INSERT 0 5",
            ),
            ("INSERT INTO u VALUES (1, 'one'), (3, 'three')", "INSERT 0 2"),
        ],
    )
    .await;
    for table in ["t", "v"] {
        for (question, expected) in [
            // Those that no other names as its n.
            (
                "SELECT y.id FROM t x RIGHT JOIN t y ON x.n = y.id WHERE x.id IS NULL AND y.ok ORDER BY y.id",
                "3\n5",
            ),
            (
                "SELECT y.id, z.label FROM t x RIGHT JOIN t y ON x.n = y.id LEFT JOIN u z ON z.k = y.id WHERE x.id IS NULL AND y.ok ORDER BY y.id",
                "3|three\n5|NULL",
            ),
            (
                "SELECT y.d + 1, y.d + 1 > 3 FROM t x RIGHT JOIN t y ON x.n = y.id WHERE x.d IS NULL AND y.ok ORDER BY 1",
                "7|true\n8|true",
            ),
            (
                "SELECT y.id * 2 AS a, y.id * 2 > 3 AS b FROM t x RIGHT JOIN t y ON x.n = y.id WHERE coalesce(x.d, y.d) = 10 AND y.id <> 9 ORDER BY 1",
                "4|true",
            ),
            // NULL comes first where it goes down.
            (
                "SELECT x.id, y.d FROM t x JOIN t y ON x.n = y.id ORDER BY y.d DESC LIMIT 1",
                "1|NULL",
            ),
        ] {
            let question = question
                .replace("FROM t x", &format!("FROM {table} x"))
                .replace("JOIN t y", &format!("JOIN {table} y"));
            check(&mut scratch, &[(&question, expected)]).await;
        }
    }
    check(
        &mut scratch,
        &[
            (
                "SELECT ceil(0.01), floor(-0.01), ceil(0.5), round(0.99), ceil(CAST(0.99 AS DECIMAL(2,2)))",
                "1.00|-1.00|1.0|1|1.00",
            ),
            (
                "SELECT ARRAY(SELECT id FROM t WHERE id < 4 ORDER BY id DESC)",
                "[3, 2, 1]",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_cast_to_arrays_and_numbers_as_they_are_written() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT '{a,b}'::text[], cardinality('{a,b}'::text[]), '{1,2,NULL}'::int[]",
                "[a, b]|2|[1, 2, ]",
            ),
            (
                "SELECT count(*) FROM transactions WHERE account = ANY('{ann,eve}'::text[])",
                "2",
            ),
            (
                "SELECT account FROM balances WHERE account <> ALL('{ann,eve}'::text[])",
                "bob",
            ),
            ("SELECT unnest('{x,\"y z\"}'::text[])", "x\ny z"),
            ("SELECT ARRAY[1, 2]::text[], ARRAY['1', '2']::int[]", "[1, 2]|[1, 2]"),
            ("SELECT 'a,b'::text[]", "~22P02"),
            (
                "SELECT 0.123456789012345::numeric, '0.000000000001'::numeric, 123::numeric, 12.5::numeric(12,1)",
                "0.123456789012345|0.000000000001|123|12.5",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_on_json_give_json() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                r#"INSERT INTO loose VALUES ('{"a": 1, "b": ["x", {"c": 2.50}], "s": "t", "n": null}')"#,
                "INSERT 0 1",
            ),
            (
                "SELECT value->'a', value->'b', value->'s', value->>'s', value->'gone' FROM loose",
                r#"1|["x", {"c": 2.50}]|"t"|t|NULL"#,
            ),
            (
                "SELECT value->'b'->1->'c', value->'b'->>0, value#>'{b,1}', value#>>'{b,1,c}' FROM loose",
                r#"2.50|x|{"c": 2.50}|2.50"#,
            ),
            (
                "SELECT count(*) FROM loose WHERE value->'a' = '1' AND (value->'a')::int = 1",
                "1",
            ),
            ("SELECT value->'a', count(*) FROM loose GROUP BY value->'a'", "1|1"),
            (
                "SELECT (value->'b'->1->'c')::double precision + 1, (value->'s')::text FROM loose",
                r#"3.5|"t""#,
            ),
            ("SELECT value #> 'b' FROM loose", "~a path into JSON is not understood"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_on_constants_leaves_no_row_of_an_aggregate() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE VIEW figures AS SELECT 'events' AS what, count(*) AS c FROM transactions UNION ALL SELECT 'rows', count(*) FROM balances",
                "CREATE VIEW",
            ),
            ("SELECT * FROM figures WHERE what = 'rows'", "rows|2"),
            ("SELECT * FROM figures WHERE what = 'events'", "events|3"),
            ("SELECT * FROM (SELECT count(*) AS c, 'all' AS region FROM transactions) AS x WHERE region = 'north'", ""),
            ("SELECT * FROM (SELECT count(*) AS c, 'all' AS region FROM transactions) AS x WHERE region = 'all' AND c > 1", "3|all"),
            ("SELECT * FROM (SELECT count(*) AS c, 'all' AS region FROM transactions) AS x WHERE region = 'north' AND c > 1", ""),
            ("SELECT count(*) FROM (SELECT 1 AS d FROM (SELECT max(amount) FROM transactions) AS q) AS x WHERE d > 1", "0"),
            ("SELECT count(*) FROM (SELECT 1 AS d FROM transactions) AS x WHERE d > 1", "0"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_compared_as_what_they_are() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let table = "(VALUES (CAST(3.14 AS DECIMAL(12,2)), 1e10::double precision), (2.50, 9e18::double precision), (3.10, 3.3333333333333335::double precision)) AS t(d, f)";
    let asked = |question: &str| {
        let question = question.replace("FROM t", &format!("FROM {table}"));
        question.replace("AS t(d, f) AS a", "AS a(d, f)")
    };
    let cases = [
        (
            "SELECT round(d, 1) IN (3.1, 2.5), round(d, 1) = 3.1 FROM t ORDER BY d",
            "true|false\ntrue|true\ntrue|true",
        ),
        (
            "SELECT count(*) FROM t WHERE round(d, 1) >= 0.01 AND round(d, -1) < 9",
            "3",
        ),
        ("SELECT count(*) FROM t WHERE d::integer = 3", "3"),
        ("SELECT d FROM t WHERE d::numeric(10,1) = 3.1 ORDER BY d", "3.10\n3.14"),
        ("SELECT d FROM t WHERE d::integer <> 3 OR d::numeric(12,1) > 3.1", ""),
        ("SELECT greatest(round(d, 1), d) FROM t ORDER BY d", "2.50\n3.10\n3.14"),
        (
            "SELECT a.d FROM t AS a JOIN (SELECT d AS e FROM t) AS b ON round(a.d, 1) = b.e ORDER BY a.d",
            "2.50\n3.10\n3.14",
        ),
        (
            "SELECT f FROM t WHERE f BETWEEN 3.0 AND 4.0 OR f IN (1e10, 2.5) OR 9.5e18 < f ORDER BY f",
            "3.3333333333333335\n10000000000.0",
        ),
        (
            "SELECT count(*) FROM t WHERE f = 1e10 OR f = 9e18 OR f = 3.3333333333333335",
            "3",
        ),
        (
            "SELECT 9e18::double precision, 3.3333333333333335::double precision = 3.3333333333333335::double precision",
            "9e18|true",
        ),
    ];
    check_as(&mut scratch, asked, &cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_reach_as_far_as_columns() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let made = scratch
        .run(
            "CREATE STREAM terms (k TEXT NOT NULL, d DATE, t TIMESTAMP DEFAULT '9999-12-31', z TIMESTAMPTZ) KEY (k);\n\
             CREATE MATERIALIZED VIEW days STORED AS document AS SELECT date_bin(INTERVAL '1 day', t) AS day, count(*) AS n FROM terms\n\
                 WHERE t > '2300-01-01' GROUP BY date_bin(INTERVAL '1 day', t);\n\
             INSERT INTO terms VALUES ('a', '9999-12-31', '9999-12-31 23:59:59.999999', TIMESTAMPTZ '9999-12-31 00:00:00+00'),\n\
                 ('b', NULL, '0001-01-01 00:00:00', NULL)",
            &[],
        )
        .await;
    assert_eq!(made, "INSERT 0 2");
    check(
        &mut scratch,
        &[
            ("SELECT TIMESTAMP '2300-01-01', '9999-12-31'::timestamp", "2300-01-01T00:00:00|9999-12-31T00:00:00"),
            ("SELECT k, t, z FROM terms ORDER BY t DESC", "a|9999-12-31T23:59:59.999999|9999-12-31T00:00:00Z\nb|0001-01-01T00:00:00|NULL"),
            ("SELECT k FROM terms WHERE t > '2300-01-01'", "a"),
            ("SELECT k FROM terms WHERE t BETWEEN '0001-01-01' AND '1500-01-01' OR z IN ('9999-12-31')", "a\nb"),
            ("SELECT coalesce(z, TIMESTAMP '9999-12-30') FROM terms WHERE k = 'b'", "9999-12-30T00:00:00Z"),
            ("SELECT d::timestamp, t::timestamptz, t - INTERVAL '1 day' FROM terms WHERE k = 'a'", "9999-12-31T00:00:00|9999-12-31T23:59:59.999999Z|9999-12-30T23:59:59.999999"),
            ("SELECT date_bin(INTERVAL '1 day', t) FROM terms ORDER BY t", "0001-01-01T00:00:00\n9999-12-31T00:00:00"),
            ("SELECT date_bin(INTERVAL '7 days', TIMESTAMP '2024-01-05', TIMESTAMP '2024-01-03 12:00:00')", "2024-01-03T12:00:00"),
            ("SELECT date_bin(INTERVAL '1 month', TIMESTAMP '2024-02-29'), date_bin(INTERVAL '1 day', NULL::timestamp)", "2024-02-01T00:00:00|NULL"),
            ("SELECT date_bin(INTERVAL '1 month', t) FROM terms WHERE k = 'a'", "~out of range"),
            ("SELECT day, n FROM days", "9999-12-31T00:00:00|1"),
            (
                "SELECT date_trunc('day', t), extract(year FROM t), date_trunc('month', z) FROM terms WHERE k = 'a'",
                "9999-12-31T00:00:00|9999|9999-12-01T00:00:00Z",
            ),
            (
                "SELECT date_trunc('month', TIMESTAMP '2261-12-31 10:00:00'), extract(year FROM t) FROM terms WHERE k = 'a'",
                "2261-12-01T00:00:00|9999",
            ),
            ("SELECT count(*) FROM terms WHERE t < now()", "1"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_may_stand_beside_all_columns() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT *, b, a AS b FROM (VALUES (1, 2)) AS t(a, b)", "1|2|2|1"),
            (
                "SELECT b.account, b.*, count(*) OVER () AS account FROM balances AS b WHERE b.account = 'ann' ORDER BY account",
                "~ann|ann|",
            ),
            (
                "SELECT q.account FROM (SELECT _offset, * FROM transactions) AS q WHERE q._offset = 0",
                "~ann",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_one_in_the_end_are_of_one_type() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let made = scratch
        .run(
            "CREATE STREAM fd (k TEXT NOT NULL, f DOUBLE PRECISION, d DECIMAL(20,10), t DATE, o BOOLEAN) KEY (k);\n\
             CREATE MATERIALIZED VIEW fv STORED AS document AS SELECT k, sum(coalesce(f, 0.5)) AS s FROM fd GROUP BY k;\n\
             INSERT INTO fd VALUES ('a', 0.1, 0.1, '2024-05-01', true), ('b', 0.30000000000000004, 0.3, NULL, false), ('c', 1e-20, 0, NULL, NULL), ('e', 1e15, 5, NULL, true)",
            &[],
        )
        .await;
    assert_eq!(made, "INSERT 0 4");
    check(
        &mut scratch,
        &[
            ("SELECT coalesce(f, 0.0) FROM fd ORDER BY k", "0.1\n0.30000000000000004\n1e-20\n1000000000000000.0"),
            ("SELECT CASE WHEN d > 0 THEN f ELSE 0.0 END, greatest(f, 0.5), nullif(f, 0.1) FROM fd WHERE k < 'c' ORDER BY k", "0.1|0.5|NULL\n0.30000000000000004|0.5|0.30000000000000004"),
            ("SELECT CASE f WHEN 1e15 THEN 'y' END FROM fd WHERE k = 'e'", "y"),
            ("SELECT k FROM fd WHERE f IN (SELECT d FROM fd)", "a"),
            ("SELECT k FROM fd WHERE f NOT IN (SELECT d FROM fd) ORDER BY k", "b\nc\ne"),
            ("SELECT count(*) FROM (SELECT f FROM fd EXCEPT SELECT d FROM fd) AS q", "3"),
            ("SELECT count(*) FROM (SELECT f FROM fd INTERSECT SELECT d FROM fd) AS q", "1"),
            ("SELECT x FROM (SELECT d AS x FROM fd WHERE k = 'b' UNION ALL SELECT f FROM fd WHERE k = 'c') AS q ORDER BY x", "1e-20\n0.3"),
            ("SELECT k, s FROM fv WHERE s < 1e-10 OR s > 1e10 ORDER BY k", "c|1e-20\ne|1000000000000000.0"),
            ("SELECT CASE WHEN o THEN t ELSE '2024-01-01' END FROM fd WHERE k < 'c' ORDER BY k",
                "2024-05-01\n2024-01-01"),
            ("SELECT coalesce(k, 'x'), coalesce(NULL, 'x'), greatest(1, '2'), CASE WHEN true THEN 1.5 ELSE '2.25' END FROM fd WHERE k = 'a'", "a|x|2|1.50"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_with_an_exponent_are_appended_as_they_are() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let made = scratch
        .run("CREATE STREAM floats (k TEXT NOT NULL, d DOUBLE PRECISION, r REAL) KEY (k); INSERT INTO floats VALUES ('a', 1e30, 1e10), ('b', 9e18, 0.1); INSERT INTO floats VALUES ('c', 1e5, 0); INSERT INTO floats SELECT 'd', 5.46303877172078e-58, 0", &[])
        .await;
    assert_eq!(made, "INSERT 0 1");
    check(
        &mut scratch,
        &[
            ("SELECT count(*) FROM floats WHERE d = 1e30 OR d = 9e18", "2"),
            (
                "SELECT round(1e5), 3 * 1e5, -1e3, 1e5 / 7 > 14285",
                "100000|300000|-1000|true",
            ),
            ("SELECT count(*) FROM floats WHERE r = 0.1::real", "1"),
            (
                "SELECT d FROM floats WHERE k > 'b' ORDER BY k",
                "100000.0\n5.46303877172078e-58",
            ),
        ],
    )
    .await;
    scratch.close();
}
