//! What a client is told where the query engine is what stumbles: PostgreSQL's states, words of SQL, the place, and nothing of how the engine is made.

use datafusion::common::ScalarValue;

use crate::scratch::{Scratch, check};
use crate::{bank, folder};

/// Names of the engine's types and kinds of errors, none of which anybody who asks in SQL should see.
const INTERNALS: [&str; 24] = [
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Float32",
    "Float64",
    "Utf8",
    "Boolean",
    "Date32",
    "Timestamp(",
    "Decimal128",
    "Decimal256",
    "Binary",
    "List(",
    "Interval(",
    "Struct(",
    "Field {",
    "Literal(",
    "Placeholder",
    "Arrow",
    "DataFusion",
    "rror: ",
    "Candidate functions",
    "{ id",
];

/// Statements with what is said to them; `~` in front: a part of it.
async fn check_said(scratch: &mut Scratch, cases: &[(&str, &str)]) {
    check(scratch, cases).await;
    for (statement, _) in cases {
        let said = scratch.run(statement, &[]).await;
        // What the statement says itself may be repeated.
        let found = INTERNALS
            .iter()
            .find(|name| said.contains(*name) && !statement.contains(*name));
        assert_eq!(found, None, "{statement}\n  {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_do_not_fit_are_told_as_postgres_tells_them() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check_said(
        &mut scratch,
        &[
            (
                "SELECT CAST(300000000000 AS INTEGER)",
                "22003: line 1, column 13: 300000000000 is out of range for type INTEGER; cast to a larger type first",
            ),
            (
                "SELECT '300000000000'::int",
                "22003: line 1, column 8: value \"300000000000\" is out of range for type INTEGER; cast to a larger type first",
            ),
            ("SELECT CAST(1e20 AS BIGINT)", "~22003: line 1, column 1: 100000000000000000000 is out of range for type BIGINT"),
            ("SELECT 1e20::double precision::bigint", "~22003: line 1, column 8: 1e20 is out of range for type BIGINT"),
            ("SELECT 'abc'::int", "22P02: line 1, column 8: invalid input syntax for type INTEGER: \"abc\""),
            ("SELECT 'abc'::decimal(10,2)", "22P02: line 1, column 8: invalid input syntax for type DECIMAL: \"abc\""),
            ("SELECT 'maybe'::boolean", "22P02: line 1, column 8: invalid input syntax for type BOOLEAN: \"maybe\""),
            ("SELECT 1 = 'a'", "22P02: line 1, column 12: invalid input syntax for type BIGINT: \"a\""),
            ("SELECT '2025-13-01'::date", "22008: line 1, column 8: date/time field value out of range: \"2025-13-01\"; write it as 2025-12-31"),
            ("SELECT 'noon'::date", "~22007: line 1, column 8: invalid input syntax for type DATE: \"noon\"; write it as 2025-12-31"),
            ("SELECT TIMESTAMP '2025-01-01 25:00:00'", "~22008"),
            ("SELECT TIME '25:00'", "~22008"),
            ("SELECT TIME 'noon'", "~22007: line 1, column 13: invalid input syntax for type TIME: \"noon\""),
            ("SELECT make_date(2024, 13, 1)", "~22008"),
            ("SELECT '1 day'::interval + TIMESTAMP '2025-01-01' AT TIME ZONE 'Mars/Phobos'", "~22023: time zone \"Mars/Phobos\" is not recognized"),
            ("SELECT extract(fortnight FROM now())", "~22023"),
            ("SELECT power(0, -1)", "~2201F"),
            ("SELECT power(-1, 0.5)", "~2201F"),
            ("SELECT ln(0)", "~2201E: cannot take logarithm of zero"),
            ("SELECT log(-1)", "~2201E: cannot take logarithm of a negative number"),
            ("SELECT exp(1000::double precision)", "~22003"),
            ("SELECT acos(2)", "~22003: input is out of range"),
            ("SELECT 1::double precision / 0", "~22012: division by zero"),
            ("SELECT 1e308::double precision * 10", "~22003"),
            ("SELECT sum(x / y) FROM (VALUES (1::double precision, 0::double precision), (1, 2)) AS t(x, y)", "~22012"),
            ("SELECT factorial(-1)", "~22003"),
            ("SELECT overlay('abc' placing 'x' from 0)", "~22011"),
            ("SELECT split_part('a,b', ',', 0)", "~22023"),
            ("SELECT decode('zz', 'hex')", "~22023"),
            ("SELECT encode('a'::bytea, 'nosuch')", "~22023"),
            ("SELECT ntile(0) OVER ()", "~22014"),
            ("SELECT 1 || 2", "~42883: line 1, column 1: operator does not exist: BIGINT || BIGINT"),
            ("SELECT now() = 'a'", "~22007: line 1, column 16: invalid input syntax for type TIMESTAMP: \"a\""),
            ("SELECT INTERVAL '1 nosuch'", "~22007: line 1, column 17: invalid input syntax for type INTERVAL: \"1 nosuch\""),
            ("SELECT CAST(99999999999 AS DECIMAL(5,2))", "~22003: line 1, column 1: numeric field overflow: 99999999999.00 is too large, 999.99 is the most"),
            ("SELECT '\\x0g'::bytea", "~22P02: invalid input syntax for type BYTEA: \"\\x0g\""),
            ("SELECT 9223372036854775807 + 1", "~22003: 9223372036854775807 + 1 is out of range"),
            ("SELECT 1.5 / 0", "~22012: division by zero"),
            ("SELECT sqrt(-1)", "~2201F: cannot take square root of a negative number"),
            ("SELECT substr('abc', 1, -1)", "~22011: negative substring length not allowed"),
            ("SELECT chr(-1)", "~54000: -1 is no character"),
            ("SELECT 'a' ~ '('", "2201B: line 1, column 1: invalid regular expression: unclosed group"),
            ("SELECT 1e999", "~22003: line 1, column 8: value overflows numeric format"),
            ("SELECT 1\nLIMIT 99999999999999999999", "~22003: line 2, column 7: LIMIT 99999999999999999999 is out of range"),
            ("SELECT 1 LIMIT 1.5", "~42804: line 1, column 16: LIMIT 1.5 is no number of rows"),
            ("SELECT 1 LIMIT 'a'", "~42804: line 1, column 1: LIMIT takes a whole number, not TEXT"),
            ("SELECT 1 LIMIT -1", "~2201W: line 1, column 1: LIMIT must not be negative"),
            ("SELECT 1 OFFSET -1", "~2201X: line 1, column 1: OFFSET must not be negative"),
            ("INSERT INTO transactions VALUES ('a', 'b', 1/0, NULL)", "~22012: line 1, column 1: division by zero"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_planner_refuses_is_told_in_words_of_sql() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check_said(
        &mut scratch,
        &[
            (
                "SELECT nosuch(1)",
                "42883: line 1, column 8: function nosuch does not exist",
            ),
            (
                "SELECT lenght('a')",
                "~42883: line 1, column 8: function lenght does not exist; did you mean length?",
            ),
            (
                "SELECT abs('a')",
                "~42883: line 1, column 8: function abs(TEXT) does not exist",
            ),
            (
                "SELECT sum(kind) FROM transactions",
                "~42883: line 1, column 8: function sum(TEXT) does not exist",
            ),
            (
                "SELECT avg(kind) FROM transactions",
                "~42883: line 1, column 8: function avg(TEXT) does not exist",
            ),
            (
                "SELECT max(kind, teller) FROM transactions",
                "~42883: line 1, column 8: function max(TEXT, TEXT) does not exist",
            ),
            (
                "SELECT array_length(1)",
                "~42883: line 1, column 8: function array_length(BIGINT) does not exist",
            ),
            (
                "SELECT true + 1",
                "~42883: line 1, column 1: operator does not exist: BOOLEAN + BIGINT",
            ),
            (
                "SELECT 1 AND true",
                "~42883: line 1, column 1: operator does not exist: BIGINT AND BOOLEAN",
            ),
            (
                "SELECT DATE '2025-01-01' * 2",
                "~42883: line 1, column 1: operator does not exist: DATE * BIGINT",
            ),
            (
                "SELECT 1 FROM transactions WHERE amount",
                "~42804: line 1, column 1: argument of WHERE must be type BOOLEAN, not type DECIMAL(18,2)",
            ),
            (
                "SELECT 1::nosuch",
                "~42704: line 1, column 11: type \"nosuch\" does not exist; the types are BOOLEAN",
            ),
            (
                "SELECT true::date",
                "~42846: line 1, column 1: cannot cast type BOOLEAN to DATE",
            ),
            (
                "SELECT account FROM transactions ORDER BY 5",
                "~42P10: line 1, column 1: ORDER BY position 5 is not in the select list; it has 1",
            ),
            (
                "SELECT account FROM transactions GROUP BY 5",
                "~42P10: line 1, column 1: GROUP BY position 5 is not in the select list; it has 1",
            ),
            (
                "SELECT kind FROM transactions GROUP BY account",
                "~42803: line 1, column 8: column \"transactions.kind\" must appear in the GROUP BY clause",
            ),
            (
                "SELECT (SELECT i FROM generate_series(1, 2) AS t(i))",
                "~21000: more than one row returned by a subquery",
            ),
            (
                "SELECT 1 WHERE 1 IN (SELECT 1, 2)",
                "~subquery has too many columns; let it select one",
            ),
            (
                "SELECT 1 FROM balances entries WHERE EXISTS (SELECT 1 FROM balances u WHERE u.account = entries.account)",
                "~42703: line 1, column 1: what stands before the point is a column of type BIGINT, which has no fields",
            ),
            (
                "VALUES (1), (2, 3)",
                "42601: line 1, column 1: VALUES lists must all be the same length",
            ),
            (
                "SELECT 1 UNION SELECT 1, 2",
                "42601: line 1, column 1: each UNION query must have the same number of columns",
            ),
            (
                "SELECT * FROM generate_series(1, 'a')",
                "~22P02: line 1, column 34: invalid input syntax for type BIGINT: \"a\"",
            ),
            (
                "SELECT * FROM generate_series(1, true)",
                "~42883: line 1, column 15: function generate_series(BIGINT, BOOLEAN) does not exist",
            ),
            (
                "SELECT * FROM generate_series(1, 9, 0)",
                "~22023: line 1, column 1: step size cannot equal zero",
            ),
            (
                "SELECT * FROM generate_series(1, stop => 9)",
                "~42883: line 1, column 34: generate_series() has no argument 'stop'; its arguments have no names",
            ),
        ],
    )
    .await;
    let series = "SELECT count(*) FROM generate_series(1, $1) AS g";
    for (value, expected) in [
        (ScalarValue::Int64(Some(7)), "7"),
        (ScalarValue::Int32(Some(3)), "3"),
        (ScalarValue::Utf8(Some("5".to_owned())), "5"),
    ] {
        assert_eq!(scratch.run(series, &[value]).await, expected);
    }
    scratch.close();
}
