//! Numbers: exact, or an error.

use crate::scratch::check;
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_do_not_wrap() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM large (k TEXT, b BIGINT, i INT, f DOUBLE PRECISION)", "CREATE STREAM"),
            (
                "CREATE MATERIALIZED VIEW sums AS SELECT k, sum(b) AS b, sum(b) FILTER (WHERE i > 1) AS some FROM large GROUP BY k",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "INSERT INTO large VALUES ('a', 9223372036854775807, 2147483647, 1.5), ('a', 9223372036854775807, 2147483647, 1.5)",
                "INSERT 0 2",
            ),
            ("SELECT sum(b), sum(i), sum(f), sum(b + 0) - 1 FROM large", "18446744073709551614|4294967294|3.0|18446744073709551613"),
            ("SELECT * FROM sums", "a|18446744073709551614|18446744073709551614"),
            ("SELECT count(DISTINCT k), sum(b) FROM large", "1|18446744073709551614"),
            ("SELECT k, count(DISTINCT b), sum(b) FROM large GROUP BY k", "a|1|18446744073709551614"),
            ("SELECT sum(NULL), sum(DISTINCT b) FROM large", "NULL|9223372036854775807"),
            ("SELECT sum(b) OVER () FROM large LIMIT 1", "18446744073709551614"),
            ("SELECT sum(k) FROM large", "~42883: line 1, column 8: function sum(TEXT) does not exist"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_leave_their_range_are_errors() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let out_of_range = "~22003";
    check(
        &mut scratch,
        &[
            ("SELECT 9223372036854775806 + 1, -9223372036854775807 - 1", "9223372036854775807|-9223372036854775808"),
            ("SELECT 9223372036854775807 + 1", out_of_range),
            ("SELECT -9223372036854775807 - 2", out_of_range),
            ("SELECT 4611686018427387904 * 2", out_of_range),
            ("SELECT CAST(2147483647 AS INT) + CAST(1 AS INT)", out_of_range),
            ("SELECT x + 1 FROM (VALUES (1), (9223372036854775807)) AS t(x)", out_of_range),
            ("SELECT count(*) FROM transactions WHERE _offset + 9223372036854775807 > 0", out_of_range),
            ("SELECT CASE WHEN x > 1 THEN 0 ELSE x + 1 END FROM (VALUES (1), (9223372036854775807)) AS t(x)", "2\n0"),
            ("SELECT CAST('99999999999999999999999999999999999998' AS DECIMAL(38)) + 1", "99999999999999999999999999999999999999"),
            ("SELECT CAST('99999999999999999999999999999999999999' AS DECIMAL(38)) + 1", out_of_range),
            ("SELECT CAST('99999999999999999999999999999999999999' AS DECIMAL(38)) * 1.5", out_of_range),
            ("SELECT CAST('99999999999999999999999999999999999999' AS DECIMAL(38)) / 0.5", out_of_range),
            (
                "SELECT sum(x) FROM (VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38))), (CAST('99999999999999999999999999999999999999' AS DECIMAL(38)))) AS t(x)",
                "199999999999999999999999999999999999998",
            ),
            ("SELECT NULL + 1, 7 - NULL, 2 * 3.5, DATE '2025-01-31' + INTERVAL '1 day'", "NULL|NULL|7.0|2025-02-01"),
            (
                "CREATE MATERIALIZED VIEW doubled AS SELECT teller, sum(_offset * 2 + 1) AS odd, count(*) + 1 AS more FROM transactions GROUP BY teller",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT sum(more) FROM doubled", "6"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_of_every_whole_number_are_kept_as_they_are_declared() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM counted (id TEXT NOT NULL, small INTEGER, large BIGINT)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT id, sum(small) AS s, sum(large) AS l \
                 FROM counted GROUP BY id",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "INSERT INTO counted VALUES ('a', 2147483647, 9223372036854775807), ('a', 2147483647, 1)",
                "INSERT 0 2",
            ),
            ("SELECT s, l FROM sums WHERE id = 'a'", "4294967294|9223372036854775808"),
            ("SELECT s FROM sums FOR SYSTEM_TIME AS OF now()", "4294967294"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_reads_otherwise_than_the_engine_is_read_as_postgres_does() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT false IS NOT DISTINCT FROM true AND false", "false"),
            (
                "SELECT 1 IS NOT DISTINCT FROM 1 AND false, 1 IS DISTINCT FROM 2 OR false",
                "false|true",
            ),
            (
                "SELECT 3 IS DISTINCT FROM 1 + 2, NULL IS NOT DISTINCT FROM NULL AND true, 1 IS NULL",
                "false|true|false",
            ),
            (
                "SELECT CAST(2.5 AS INTEGER), CAST(3.5 AS BIGINT), CAST(-2.5 AS INTEGER), CAST(2.49 AS INTEGER), CAST(NULL AS INTEGER)",
                "3|4|-3|2|NULL",
            ),
            (
                "SELECT CAST(CAST(2.5 AS DOUBLE PRECISION) AS INTEGER), CAST(CAST(-3.7 AS REAL) AS BIGINT), TRY_CAST(1.5 AS INTEGER)",
                "2|-4|2",
            ),
            ("SELECT CAST(x AS INTEGER) FROM (VALUES (0.5), (1.5), (-0.4)) AS t(x)", "1\n2\n0"),
            ("SELECT CAST(amount AS INTEGER), count(*) FROM transactions GROUP BY CAST(amount AS INTEGER) ORDER BY 1 LIMIT 0", ""),
            ("SELECT CAST(2147483647.5 AS INTEGER)", "~22003"),
            ("SELECT -2 ^ 2, 2 ^ -1, - 2 ^ 2 ^ 2, -2 + 3 ^ 2, -2 * 3", "4.0|0.5|16.0|7.0|-6"),
            ("SELECT '\\x00ff'::bytea = BYTEA '\\x00FF', length('ab'::bytea), '\\x'::bytea = ''::bytea", "true|2|true"),
            ("SELECT 1e300::double precision, 1e-300 < 1, 1e300 > 1e299, 1e3 + 1", "1e300|true|true|1001"),
            (
                "SELECT count(*) FROM transactions FOR SYSTEM_TIME AS OF POSITION 'transactions/0@1,0@2'",
                "~a partition is named twice",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_last_and_listed_values_may_be_worked_out_of_decimals() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM prices (item TEXT, price DECIMAL(18,2))", "CREATE STREAM"),
            (
                "CREATE MATERIALIZED VIEW doubled STORED AS document AS
                 SELECT item, first_value(price * 2) AS first, last_value(100 - price) AS left, array_agg(price + 1) AS more, max(price * 2) AS most,
                        array_agg(price) FILTER (WHERE price > 1.5) AS higher, last_value(item) FILTER (WHERE length(item) < 3) AS short
                 FROM prices GROUP BY item",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "INSERT INTO prices VALUES ('a', 1.50), ('a', 3.25), ('a', NULL), ('a', 2.00)",
                "INSERT 0 4",
            ),
            ("SELECT * FROM doubled", "a|3.00|98.00|[2.50, 4.25, , 3.00]|6.50|[3.25, 2.00]|a"),
            (
                "SELECT first, left FROM doubled FOR SYSTEM_TIME AS OF now() WHERE first + 0 > 1",
                "3.00|98.00",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decimals_are_divided_to_sixteen_digits_and_rounded() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT 2.0 / 3.0, -2.0 / 3.0, 1.00 / 8, 10 / 4.0",
                "0.6666666666666667|-0.6666666666666667|0.1250000000000000|2.5000000000000000",
            ),
            ("SELECT round(1e2 / 7, 2), round(2.0 / 3.0, 5)", "14.29|0.66667"),
            (
                "SELECT CAST(3.14 AS DECIMAL(12,2)) / 3, 7 / CAST(2 AS DECIMAL(12,2))",
                "1.0466666666666667|3.5000000000000000",
            ),
            (
                "SELECT CAST('99999999999999999999999999999999.99' AS DECIMAL(38,2)) / 3",
                "33333333333333333333333333333333.330000",
            ),
            (
                "SELECT CAST('999999999999999999999999999999999999.99' AS DECIMAL(38,2)) / 3",
                "~22003",
            ),
            ("SELECT 1.5 / 0", "~22012"),
            (
                "SELECT 1.5 / NULL, NULL / 1.5, 7 / 2, 7.0::double precision / 2",
                "NULL|NULL|3|3.5",
            ),
            ("SELECT sum(amount) / count(*) FROM transactions", "60.166666666667"),
        ],
    )
    .await;
    scratch.close();
}
