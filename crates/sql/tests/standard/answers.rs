//! Values, sets of groups and comparisons, as PostgreSQL answers them: a question and its rows.

use super::check_as;
use crate::scratch::check;
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_have_the_answers_of_postgresql() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let subtotals = "(VALUES (0, 1), (0, 2), (0, 1), (1, 3)) AS t(a, b)";
    let cube = format!("SELECT a, b, count(*) FROM {subtotals} WHERE a = 0 GROUP BY CUBE (a, b) ORDER BY 1, 2");
    let rollup =
        format!("SELECT a, b, count(*) FROM {subtotals} WHERE a = 0 GROUP BY ROLLUP (a, b) ORDER BY a DESC, b LIMIT 1");
    check(
        &mut scratch,
        &[
            // What a condition fixes is not fixed in a subtotal.
            (&cube, "0|1|2\n0|2|1\n0|NULL|3\nNULL|1|2\nNULL|2|1\nNULL|NULL|3"),
            (&rollup, "NULL|NULL|3"),
            (
                "SELECT kind, count(*) FROM transactions WHERE kind = 'deposit' GROUP BY ROLLUP (kind) ORDER BY kind NULLS FIRST",
                "NULL|2\ndeposit|2",
            ),
            // Arrays
            (
                "SELECT array_remove(ARRAY[1,2,1], 1), array_replace(ARRAY[1,2,1], 1, 9), array_remove(ARRAY['a','b'], 'c')",
                "[2]|[9, 2, 9]|[a, b]",
            ),
            // Rounding
            (
                "SELECT round(2.5::double precision), round(3.5::double precision), round(-2.5::double precision), round(2.5), round(2.5::real)",
                "2.0|4.0|-2.0|3|2.0",
            ),
            (
                "SELECT round(f), count(*) FROM (VALUES (0.5::double precision), (1.5::double precision), (2.5::double precision)) AS t(f) GROUP BY round(f) ORDER BY round(f)",
                "0.0|1\n2.0|2",
            ),
            (
                "SELECT round(f), count(*) FROM (VALUES (0.5::double precision), (1.5::double precision)) AS t(f) GROUP BY ROLLUP (round(f)) ORDER BY 1",
                "0.0|1\n2.0|1\nNULL|2",
            ),
            (
                "SELECT at::text, count(*) FROM (VALUES (TIMESTAMP '2024-01-01 00:00:00')) AS t(at) GROUP BY ROLLUP (at::text) ORDER BY 1",
                "2024-01-01 00:00:00|1\nNULL|1",
            ),
            // In ORDER BY a name is what is shown, and in an aggregate there a column
            ("SELECT -amount AS amount FROM transactions ORDER BY amount", "-100.00\n-50.50\n-30.00"),
            ("SELECT account, -max(amount) AS amount FROM transactions GROUP BY account ORDER BY abs(amount)", "bob|-50.50\nann|-100.00"),
            ("SELECT -amount AS less FROM transactions ORDER BY less + 0", "-100.00\n-50.50\n-30.00"),
            ("SELECT account, -sum(amount) AS amount FROM transactions GROUP BY account ORDER BY sum(amount)", "bob|-50.50\nann|-130.00"),
            // A number in a set of groups is a place
            (
                "SELECT kind, count(*) FROM transactions GROUP BY ROLLUP (1) ORDER BY 1",
                "deposit|2\nwithdrawal|1\nNULL|3",
            ),
            (
                "SELECT account AS a, kind, count(*) FROM transactions GROUP BY GROUPING SETS ((1), (2)) ORDER BY 1, 2",
                "ann|NULL|2\nbob|NULL|1\nNULL|deposit|2\nNULL|withdrawal|1",
            ),
            // Nothing is known of NULL, also beside a constant
            ("SELECT count(*) FROM transactions WHERE 't9' NOT IN (SELECT teller FROM transactions)", "0"),
            ("SELECT count(*) FROM transactions WHERE NOT ('t9' IN (SELECT teller FROM transactions))", "0"),
            ("SELECT count(*) FROM transactions WHERE NULL::text NOT IN (SELECT account FROM transactions)", "0"),
            ("SELECT count(*) FROM transactions WHERE 'eve' NOT IN (SELECT account FROM transactions)", "3"),
            ("SELECT count(*) FROM transactions WHERE 'ann' NOT IN (SELECT account FROM transactions)", "0"),
            // A value beside a cast of it
            (
                "SELECT min(t) AS a1, min(t::date) AS a2, max(f), max(f::int), count(DISTINCT t), count(DISTINCT t::date) FROM (VALUES (TIMESTAMP '2024-01-02 03:04:05', 1.5::double precision), (TIMESTAMP '2024-01-02 06:00:00', 2.5)) AS v(t, f)",
                "2024-01-02T03:04:05|2024-01-02|2.5|2|2|1",
            ),
            (
                "SELECT t, t::date AS d, count(*) FROM (VALUES (TIMESTAMP '2024-01-02 03:04:05'), (TIMESTAMP '2024-01-02 06:00:00')) AS v(t) GROUP BY 1, 2 ORDER BY 1",
                "2024-01-02T03:04:05|2024-01-02|1\n2024-01-02T06:00:00|2024-01-02|1",
            ),
            (
                "SELECT d, d::int AS i, d::text AS t, count(*) FROM (VALUES (1.50), (2.50)) AS v(d) GROUP BY d, d::int, v.d::text ORDER BY 1",
                "1.50|2|1.50|1\n2.50|3|2.50|1",
            ),
            (
                "SELECT k, sum(f::int) AS s FROM (VALUES ('a', 1.4), ('a', 1.4), ('b', 1.0)) AS v(k, f) GROUP BY k HAVING sum(f) > 2 ORDER BY max(f::int)",
                "a|2",
            ),
            (
                "SELECT sum(f::int) OVER () AS i, sum(f) OVER () AS s, rank() OVER (ORDER BY f::int) FROM (VALUES (1.4), (1.3)) AS v(f)",
                "2|2.7|1\n2|2.7|1",
            ),
            (
                "SELECT n, n::text, count(*) FROM (VALUES (1), (2)) AS v(n) GROUP BY ROLLUP (n, n::text) ORDER BY 1, 2",
                "1|1|1\n1|NULL|1\n2|2|1\n2|NULL|1\nNULL|NULL|2",
            ),
            (
                "SELECT d, d::float8, count(*) FROM (VALUES (1.5), (2.5)) AS v(d) GROUP BY ROLLUP (d, d::float8) ORDER BY 1, 2",
                "1.5|1.5|1\n1.5|NULL|1\n2.5|2.5|1\n2.5|NULL|1\nNULL|NULL|2",
            ),
            (
                "SELECT max(j->>'n'), sum((j->>'n')::int), max((j->'n')::text) FROM (VALUES ('{\"n\": 9}'), ('{\"n\": 10}')) AS v(j)",
                "9|19|9",
            ),
            ("SELECT max(x), max(x::date) FROM (VALUES ('2024-01-02')) AS v(x) UNION ALL SELECT min(x), max(x::date) FROM (VALUES ('2024-01-01')) AS v(x) ORDER BY 1", "2024-01-01|2024-01-01\n2024-01-02|2024-01-02"),
            // A condition of columns, which is called what it was written as
            (
                "SELECT count(*) FILTER (WHERE i + j >= i), sum(i) FILTER (WHERE i * j > i), bool_or(j IN (SELECT 1)) FROM (VALUES (1, 2), (2, NULL), (3, 1)) AS v(i, j)",
                "2|1|true",
            ),
            (
                "SELECT i, sum(j) FILTER (WHERE i + j >= i) OVER (), j > ALL (ARRAY[1, i - 1]) FROM (VALUES (1, 2), (2, NULL)) AS v(i, j) ORDER BY i",
                "1|2|true\n2|2|NULL",
            ),
            // Places of the SELECT list, twice the same, and parts of several columns
            (
                "SELECT 2 AS c, t, count(*) FROM (VALUES ('x'), ('y'), ('y')) AS v(t) GROUP BY ROLLUP (2, t) ORDER BY t",
                "2|x|1\n2|x|1\n2|y|2\n2|y|2\n2|NULL|3",
            ),
            (
                "SELECT t, count(*) FROM (VALUES ('x'), ('y')) AS v(t) GROUP BY CUBE (t, t) ORDER BY t",
                "x|1\nx|1\nx|1\ny|1\ny|1\ny|1\nNULL|2",
            ),
            (
                "SELECT a, b, c, sum(n) FROM (VALUES (1, 2, 3, 10), (1, 2, 4, 20)) AS v(a, b, c, n) GROUP BY ROLLUP ((a, b), c) ORDER BY a, c",
                "1|2|3|10\n1|2|4|20\n1|2|NULL|30\nNULL|NULL|NULL|30",
            ),
            (
                "SELECT a, b, sum(n) FROM (VALUES (1, 2, 10), (1, 3, 20)) AS v(a, b, n) GROUP BY a, ROLLUP (a, b) ORDER BY b",
                "1|2|10\n1|3|20\n1|NULL|30\n1|NULL|30",
            ),
            (
                "SELECT a, b, sum(n) FROM (VALUES (1, 2, 10), (1, 3, 20)) AS v(a, b, n) GROUP BY GROUPING SETS (ROLLUP (1, b), CUBE (a), (b)) ORDER BY 1, 2",
                "1|2|10\n1|3|20\n1|NULL|30\n1|NULL|30\nNULL|2|10\nNULL|3|20\nNULL|NULL|30\nNULL|NULL|30",
            ),
            (
                "SELECT ((n + 1)::int)::text AS t, count(*) FROM (VALUES (1), (2)) AS v(n) GROUP BY CUBE (((n + 1)::int)::text) ORDER BY 1",
                "2|1\n3|1\nNULL|2",
            ),
            (
                "SELECT n, count(*) FROM (VALUES (1), (2)) AS v(n) GROUP BY GROUPING SETS ((n), ((n) + 0), ()) ORDER BY 1, 2",
                "1|1\n2|1\nNULL|1\nNULL|1\nNULL|2",
            ),
            (
                "SELECT n IN (SELECT 1) AS e, n, count(*) FROM (VALUES (1), (2)) AS v(n) GROUP BY ROLLUP (n IN (SELECT 1), n) ORDER BY 1, 2",
                "false|2|1\nfalse|NULL|1\ntrue|1|1\ntrue|NULL|1\nNULL|NULL|2",
            ),
            (
                "SELECT (SELECT max(x) FROM (VALUES (5), (7)) AS w(x) WHERE x > n) AS e, n, count(*) FROM (VALUES (1), (6)) AS v(n) GROUP BY GROUPING SETS (((SELECT max(x) FROM (VALUES (5), (7)) AS w(x) WHERE x > n), n), ((SELECT max(x) FROM (VALUES (5), (7)) AS w(x) WHERE x > n))) ORDER BY n",
                "7|1|1\n7|6|1\n7|NULL|2",
            ),
            // What is passed over stands in the brackets, too
            (
                "SELECT n, last_value(m IGNORE NULLS) OVER (ORDER BY n) FROM (VALUES (1, 5), (2, NULL)) AS v(n, m) ORDER BY n",
                "1|5\n2|5",
            ),
            // As many digits as are left
            (
                "SELECT trunc(d, 1)::text, trunc(d)::text, trunc(d, 5)::text, trunc(d, -1)::text, trunc(0.99, 1)::text, trunc(d, 1) + d FROM (VALUES (-13.14::numeric(10,2))) AS v(d)",
                "-13.1|-13|-13.14|-10|0.9|-26.24",
            ),
            // Values in an order
            (
                "SELECT percentile_cont(ARRAY[0.25, 0.5]) WITHIN GROUP (ORDER BY x), percentile_disc('{0.5,1}') WITHIN GROUP (ORDER BY x DESC) FROM (VALUES (1.0::float8), (2.0), (3.0)) AS v(x)",
                "[1.5, 2.0]|[2.0, 1.0]",
            ),
            (
                "SELECT rank(3) WITHIN GROUP (ORDER BY x), dense_rank(3) WITHIN GROUP (ORDER BY x), rank(3) WITHIN GROUP (ORDER BY x DESC), percent_rank(3) WITHIN GROUP (ORDER BY x), cume_dist(3) WITHIN GROUP (ORDER BY x), rank(3) WITHIN GROUP (ORDER BY x) FILTER (WHERE x > 1) FROM (VALUES (1), (1), (3), (4)) AS v(x)",
                "3|2|2|0.5|0.8|1",
            ),
            ("SELECT percent_rank(3) WITHIN GROUP (ORDER BY x) FROM (VALUES (1)) AS v(x) WHERE x > 1", "0.0"),
            (
                "SELECT pg_typeof(array_length(ARRAY[1, 2], 1)), pg_typeof(cardinality(ARRAY[1])), array_length(ARRAY[1, 2], 1)",
                "integer|integer|2",
            ),
            (
                "SELECT trim(LEADING FROM '  a '), trim(TRAILING FROM ' a  '), trim(FROM ' a '), trim(BOTH FROM ' a '), trim(LEADING 'x' FROM 'xax')",
                "a | a|a|a|ax",
            ),
            // A line is found through what does not change
            (
                "SELECT regr_r2(y, x), regr_r2(x, y), regr_r2(y, y) FROM (VALUES (2.5, 1), (2.5, 2), (2.5, 3)) AS t(y, x)",
                "1.0|NULL|NULL",
            ),
            ("SELECT regr_r2(y, x) FROM (VALUES (1, 1), (2, 2), (3, 4)) AS t(y, x)", "0.9642857142857145"),
            // A text is no number
            ("SELECT count(*) FROM transactions WHERE account = 7", "~42883: line 1, column 41: operator does not exist: TEXT = BIGINT"),
            ("SELECT count(*) FROM transactions WHERE 7 < account", "~42883: line 1, column 45: operator does not exist: BIGINT < TEXT"),
            ("SELECT count(*) FROM transactions WHERE account IN ('7', 7)", "~42883: "),
            ("SELECT count(*) FROM transactions WHERE account BETWEEN 1 AND 2", "~42883: "),
            ("SELECT count(*) FROM transactions WHERE account IN (SELECT amount FROM transactions)", "~42883: "),
            ("SELECT count(*) FROM transactions a JOIN transactions b ON a.account = b.amount", "~42883: "),
            ("SELECT coalesce(account, 8) FROM transactions", "~42804: line 1, column 17: COALESCE types TEXT and BIGINT cannot be matched"),
            ("SELECT CASE WHEN true THEN account ELSE 1 END FROM transactions", "~42804: line 1, column 28: CASE types TEXT and BIGINT cannot be matched"),
            ("SELECT CASE account WHEN 1 THEN 2 END FROM transactions", "~42883: "),
            ("SELECT nullif(account, 1) FROM transactions", "~42883: "),
            ("SELECT count(*) FROM transactions WHERE account = '7' OR amount = '7' OR '7' = 8 OR account || 1 = 'x1' OR account = NULL", "0"),
            (
                "CREATE MATERIALIZED VIEW texts AS SELECT account, count(*) AS n FROM transactions WHERE account > 1 GROUP BY account",
                "~42883: ",
            ),
            // Lengths
            (
                "SELECT rpad(k, n, 'x'), lpad(k, n, 'x'), length(rpad(k, n)), length(lpad(k, n)) FROM (VALUES ('a', 3), ('b', -1), ('c', 0), ('d', -2147483648), ('e', NULL)) AS t(k, n) ORDER BY k",
                "axx|xxa|3|3\n||0|0\n||0|0\n||0|0\nNULL|NULL|NULL|NULL",
            ),
            ("SELECT rpad('abc', -1), lpad('abc', -1, 'x'), rpad('abc', 2), lpad('abc', NULL)", "||ab|NULL"),
            (
                "SELECT 'abcdef'::varchar(3), 'abcdef'::char(2), 'é€x'::varchar(2), 'a'::varchar(3), 'abc'::varchar, NULL::varchar(3)",
                "abc|ab|é€|a|abc|NULL",
            ),
            (
                "SELECT count(*) FROM transactions WHERE account::varchar(1) = 'a'",
                "2",
            ),
            (
                "SELECT account::varchar(1) AS initial, count(*) FROM transactions GROUP BY account::varchar(1) ORDER BY 1",
                "a|2\nb|1",
            ),
            (
                "SELECT TIMESTAMP '2024-01-01 10:11:12.678'::timestamp(0), TIMESTAMP '2024-01-01 10:11:12.645'::timestamp(2), TIMESTAMPTZ '2024-01-01 23:59:59.5+00'::timestamptz(0)",
                "2024-01-01T10:11:13|2024-01-01T10:11:12.650|2024-01-02T00:00:00Z",
            ),
            // Values with a type and without
            (
                "SELECT d + INTERVAL '1 day' FROM (VALUES (DATE '2024-01-01'), ('2024-01-02')) AS t(d) ORDER BY d",
                "2024-01-02\n2024-01-03",
            ),
            (
                "INSERT INTO transactions VALUES ('eve', 'deposit', 1, NULL, '2024-01-01'), ('eve', 'deposit', 2, NULL, DATE '2024-01-02')",
                "INSERT 0 2",
            ),
            ("SELECT max(booked) FROM transactions WHERE account = 'eve'", "2024-01-02"),
            ("VALUES (DATE '2024-01-01'), ('today?')", "~22007"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn averages_and_deviations_of_exact_numbers_are_exact() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let of = |aggregates: &str, values: &str| format!("SELECT {aggregates} FROM (VALUES {values}) AS t(x)");
    let large = of("avg(x)", "(9223372036854775807), (9223372036854775807)");
    let thirds = of(
        "avg(x), avg(DISTINCT x), avg(x) FILTER (WHERE x > 1)",
        "(1), (1), (2), (NULL)",
    );
    let decimals = of("avg(x)", "(CAST(0.01 AS DECIMAL(12,2))), (0.01), (0.02)");
    let widest = of(
        "avg(x)",
        "(CAST('999999999999999999999999999999999999.99' AS DECIMAL(38,2))), (CAST('999999999999999999999999999999999999.98' AS DECIMAL(38,2)))",
    );
    let nothing = of("avg(x), stddev(x), var_pop(x)", "(CAST(NULL AS INTEGER))");
    let floats = of("avg(x)", "(1.5::double precision), (2.0::double precision)");
    let close = of(
        "var_pop(x), stddev_pop(x), var_samp(x), stddev_pop(DISTINCT x)",
        "(CAST(1000000000.10 AS DECIMAL(12,2))), (1000000000.20)",
    );
    let frame = "SELECT x, avg(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), stddev_pop(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) \
                 FROM (VALUES (1), (2), (4)) AS t(x) ORDER BY x";
    check(
        &mut scratch,
        &[
            (&large, "9223372036854775807.0000000000000000"),
            (&thirds, "1.3333333333333333|1.5000000000000000|2.0000000000000000"),
            (&decimals, "0.0133333333333333"),
            (&widest, "999999999999999999999999999999999999.9850000000000000"),
            (&nothing, "NULL|NULL|NULL"),
            (&floats, "1.75"),
            (&close, "0.0025|0.05|0.005|0.05"),
            (frame, "1|1.0000000000000000|0.0\n2|1.5000000000000000|0.5\n4|3.0000000000000000|1.0"),
            (
                "SELECT account, avg(amount), avg(amount) * avg(amount) FROM transactions GROUP BY account ORDER BY account",
                "ann|65.0000000000000000|4225.00000000000000000000000000000000\nbob|50.5000000000000000|2550.25000000000000000000000000000000",
            ),
            (
                "CREATE MATERIALIZED VIEW means STORED AS document AS SELECT account, avg(amount) AS mean, stddev_pop(amount) AS spread FROM transactions GROUP BY account",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "SELECT * FROM means ORDER BY account",
                "ann|65.0000000000000000|35.0\nbob|50.5000000000000000|0.0",
            ),
            (
                "SELECT * FROM means FOR SYSTEM_TIME AS OF now() WHERE mean > 60 AND spread > 1",
                "ann|65.0000000000000000|35.0",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_are_compared_with_the_bytes_that_a_text_writes() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM files (b BYTEA NOT NULL, name TEXT) KEY (b)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW newest STORED AS document KEY (b) AS SELECT b, name FROM files",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "INSERT INTO files VALUES ('\\x00ff', 'two'), ('abc', 'three')",
                "INSERT 0 2",
            ),
        ],
    )
    .await;
    for table in ["files", "newest"] {
        let cases = [
            ("b = '\\x00ff'", "two"),
            ("'abc' = b", "three"),
            ("b IN ('\\x00ff', '\\x616263')", "three\ntwo"),
            ("b BETWEEN '\\x61' AND '\\x62'", "three"),
            ("b <> '\\x00ff'", "three"),
            ("b = '\\x0'", "~22P02"),
        ];
        let asked = |condition: &str| format!("SELECT name FROM {table} WHERE {condition} ORDER BY name");
        check_as(&mut scratch, asked, &cases).await;
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_looked_for_in_queries_that_read_what_is_around_them() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let tables = "(VALUES (1, 10, 'x'), (2, 20, 'x'), (3, NULL, 'y')) AS t(a, b, k)";
    let others = "(VALUES (1, 10, 'x'), (2, 20, 'y'), (3, 30, 'y')) AS u(a, b, k)";
    let question = |condition: &str| {
        format!("SELECT t.a FROM {tables} WHERE {condition} ORDER BY t.a").replace("FROM u", &format!("FROM {others}"))
    };
    let cases = [
        ("(t.a, t.b) IN (SELECT u.a, u.b FROM u WHERE u.k = t.k)", "1"),
        ("(a, b) IN (SELECT u.a, u.b FROM u WHERE u.k = t.k)", "1"),
        ("(t.a, t.b) NOT IN (SELECT u.a, u.b FROM u WHERE u.k = t.k)", "2"),
        ("NOT ((t.a, t.b) IN (SELECT u.a, u.b FROM u WHERE u.k = t.k))", "2"),
        ("(t.a, t.b) IN (SELECT u.a, u.b + 0 FROM u WHERE u.k <> t.k)", "2"),
        ("(t.a, 20) IN (SELECT a, b FROM u WHERE u.k < t.k OR t.a = 2)", "2"),
    ];
    check_as(&mut scratch, question, &cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_names_that_repeat_the_last_one_counts() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                r#"INSERT INTO loose VALUES ('{"a": 1, "a": 2, "b": {"c": [1, {"d": "x", "d": "y"}]}}'), ('{"a": 3}')"#,
                "INSERT 0 2",
            ),
            ("SELECT value->>'a' FROM loose ORDER BY 1", "2\n3"),
            ("SELECT (value->'a')::int + 1 FROM loose ORDER BY 1", "3\n4"),
            ("SELECT value->'b'->'c'->1->>'d', value#>>'{b,c,1,d}' FROM loose WHERE value->>'a' = '2'", "y|y"),
            ("SELECT json_length(value) FROM loose ORDER BY 1", "1\n2"),
            (
                "CREATE MATERIALIZED VIEW by_a STORED AS document AS SELECT value->>'a' AS a, count(*) AS n FROM loose GROUP BY value->>'a'",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT * FROM by_a ORDER BY a", "2|1\n3|1"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_in_a_list_with_a_null_is_not_known() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT 1 = ANY (ARRAY[2, NULL]), NOT 1 = ANY (ARRAY[2, NULL]), 1 = ANY (ARRAY[1, NULL]), 1 = ANY (ARRAY[2]), 1 = ANY ('{2,NULL}'::int[])",
                "NULL|NULL|true|false|NULL",
            ),
            (
                "SELECT n, n = ANY (list) FROM (VALUES (1, ARRAY[1, NULL]), (2, ARRAY[1, NULL]), (3, ARRAY[1, 2]), (4, NULL)) AS t(n, list) ORDER BY n",
                "1|true\n2|NULL\n3|false\n4|NULL",
            ),
            (
                "SELECT n FROM (VALUES (1, ARRAY[1, NULL]), (2, ARRAY[1, NULL]), (3, ARRAY[1, 2])) AS t(n, list) WHERE NOT n = ANY (list)",
                "3",
            ),
            ("SELECT account FROM balances WHERE account = ANY (ARRAY['bob', NULL])", "bob"),
            (
                "SELECT 2 > ANY (ARRAY[5, NULL]), 7 > ANY (ARRAY[5, NULL]), 2 > ANY (ARRAY[5]), 2 <= ANY (ARRAY[NULL]::int[]), 5 <> ANY (ARRAY[5, NULL])",
                "NULL|true|false|NULL|NULL",
            ),
            (
                "SELECT n FROM (VALUES (0), (2), (6), (NULL)) AS t(n) WHERE NOT n > ANY (ARRAY[5, NULL]) OR n < ANY (ARRAY[1, NULL]) ORDER BY n",
                "0",
            ),
            (
                "SELECT n, n >= ANY (list) FROM (VALUES (1, ARRAY[1, NULL]), (2, ARRAY[3, NULL]), (3, ARRAY[4]), (4, NULL), (NULL, ARRAY[]::int[])) AS t(n, list) ORDER BY n",
                "1|true\n2|NULL\n3|false\n4|NULL\nNULL|false",
            ),
            ("SELECT ARRAY[1, 2] && ARRAY[2, 3], ARRAY[1] && ARRAY[2]", "true|false"),
            // A sign right behind an operator is the number's.
            ("SELECT 1>-1, 1<-1, 1=-1, 1<>-1, 1>=-1, 1<=+1, 1!=-1, 2*-1, 4/-2, 5 - -1, 2+-1", "true|false|false|true|true|true|true|-2|-2|6|1"),
            ("SELECT account FROM balances WHERE balance>-1 AND balance<>-1 ORDER BY account", "ann\nbob"),
            ("SELECT n FROM (VALUES (-5), (5)) AS t(n) WHERE n>-\n6 AND n<=-5", "-5"),
            ("SELECT count(*) FROM transactions WHERE teller ISNULL", "1"),
            ("SELECT count(*) FROM transactions WHERE teller NOTNULL AND booked ISNULL = false", "2"),
            ("SELECT 1 + NULL ISNULL, NOT 1 ISNULL", "true|true"),
            ("SELECT mod(7, 3), mod(-7, 2 + 1), div(7, 2), div(-7.5, 2) = -3, ~5, every(n > 0) FROM (VALUES (1), (2)) AS t(n)", "1|-1|3|true|-6|true"),
            ("SELECT generate_series(1, 3)", "1\n2\n3"),
            ("SELECT account, generate_series(1, 2) FROM balances ORDER BY 1, 2", "ann|1\nann|2\nbob|1\nbob|2"),
            ("SELECT count(*) FROM transactions TABLESAMPLE BERNOULLI (10)", "~0A000: line 1, column 1: TABLESAMPLE is not there"),
            ("SELECT 7 / row_number() OVER (), rank() OVER (ORDER BY 1) / 2, ntile(2) OVER () / 2", "7|0|0"),
            ("SELECT account, row_number() OVER (ORDER BY account DESC) AS place FROM balances ORDER BY row_number() OVER (ORDER BY account DESC)", "bob|1\nann|2"),
            ("SELECT clock_timestamp() = now(), localtimestamp = now()::timestamp, gen_random_uuid() IS NULL", "true|true|false"),
            ("SELECT x FROM (VALUES (1e308), (0.5), (-1)) AS t(x) ORDER BY x", "-1.0\n0.5\n1e308"),
            ("SELECT x FROM (VALUES (0.1), (1.5::double precision)) AS t(x) ORDER BY x", "0.1\n1.5"),
        ],
    )
    .await;
    scratch.close();
}
