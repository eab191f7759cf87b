//! No text panics, recurses without bound or takes longer than in proportion to its length.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::parse::limits::{BRACKETS_MAX, DEPTH_MAX, SET_OPERATIONS_MAX, TEXT_BYTES_MAX};

/// Long for a debug build on a busy machine, and far from what work that multiplies takes.
const PARSE_MAX: Duration = Duration::from_secs(20);

/// Reads a text on a thread with the stack of a runtime's worker, walks over what came of it, and expects the SQLSTATE (empty: it is read).
fn check_bounded(text: String, expected: &str) {
    let what: String = text.chars().take(60).collect();
    let started = Instant::now();
    let thread = std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(move || match parse(&text, "") {
            Ok(statements) => {
                let copy = statements.clone();
                (copy.iter().map(rendered).map(|text| text.len()).sum::<usize>(), "")
            }
            Err(error) => (error.to_string().len(), error.state.0),
        });
    let (length, state) = thread.expect("a thread starts").join().expect("it does not panic");
    assert!(length > 0);
    assert_eq!(state, expected, "{what}…");
    assert!(started.elapsed() < PARSE_MAX, "{what}… took {:?}", started.elapsed());
}

#[test]
fn a_text_has_a_longest_length() {
    let padded = |bytes: usize| format!("SELECT 1{}", " ".repeat(bytes - 8));
    check_bounded(padded(TEXT_BYTES_MAX), "");
    check_bounded(padded(TEXT_BYTES_MAX + 1), "54000");
}

#[test]
fn a_long_list_is_read() {
    let rows: Vec<String> = (0..50_000).map(|row| format!("({row}, 'text')")).collect();
    check_bounded(format!("INSERT INTO t VALUES {}", rows.join(",")), "");
    let columns: Vec<String> = (0..20_000).map(|column| format!("c{column} INT")).collect();
    check_bounded(format!("SELECT {}", columns.join(",").replace(" INT", "")), "");
    check_bounded("SELECT 1;".repeat(20_000), "");
}

#[test]
fn operators_in_a_row_have_a_bound() {
    let chain = |terms: usize| format!("SELECT {}", vec!["a"; terms].join(" + "));
    check_bounded(chain(DEPTH_MAX + 1), "");
    check_bounded(chain(DEPTH_MAX + 2), "54001");
    let compared = |terms: usize| format!("SELECT 1 WHERE {}", vec!["a + 1 = 2"; terms].join(" OR "));
    check_bounded(compared(DEPTH_MAX - 1), "");
    check_bounded(compared(DEPTH_MAX), "54001");
    let cases = |count: usize| format!("SELECT CASE {} END", "WHEN a = 1 AND b THEN 2 ".repeat(count));
    check_bounded(cases(10_000), "");
    let joins = |count: usize| {
        format!(
            "SELECT 1 FROM a {}",
            "LEFT OUTER JOIN b ON a.x = b.x AND a.y = b.y ".repeat(count)
        )
    };
    check_bounded(joins(300), "");
    let inside = |sum: &str| format!("SELECT {}1{}", format!("({sum}").repeat(20), ")".repeat(20));
    check_bounded(inside("1 + 2 + 3 + 4 + "), "");
    check_bounded(inside("1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + "), "54001");
    check_bounded(format!("SELECT a{}", " IS DISTINCT FROM b".repeat(500)), "54001");
    check_bounded(format!("SELECT a{}", "::timestamp with time zone".repeat(500)), "54001");
    check_bounded(format!("SELECT 1{}", " + CASE WHEN a THEN b END".repeat(500)), "54001");
    check_bounded(
        format!("SELECT 1{}", " + f(a) WITHIN GROUP (ORDER BY b)".repeat(500)),
        "54001",
    );
    check_bounded(format!("SELECT {}", vec!["a = 1"; 100_000].join(" OR ")), "54001");
    check_bounded(format!("SELECT a{}", "::int".repeat(50_000)), "54001");
    check_bounded(format!("SELECT a{}", "[1]".repeat(50_000)), "54001");
    check_bounded(format!("SELECT {}1", "- ".repeat(DEPTH_MAX)), "54001");
    check_bounded(format!("SELECT {}1", "- ".repeat(100)), "54001");
    check_bounded(format!("SELECT {}1", "- ".repeat(40)), "");
    check_bounded(format!("SELECT {}a", "NOT ".repeat(500)), "54001");
    check_bounded(format!("SELECT {}'1 day'", "INTERVAL ".repeat(500)), "42601");
    check_bounded(format!("SELECT {}'1'", "INTERVAL YEAR ".repeat(50_000)), "42601");
    check_bounded(format!("SELECT {}'1'", "INTERVAL YEAR ".repeat(100)), "42601");
    check_bounded(format!("SELECT CAST(a AS {})", "ARRAY<".repeat(50_000)), "42601");
    check_bounded(format!("SELECT CAST(a AS {})", "ARRAY<".repeat(100)), "42601");
}

#[test]
fn queries_put_together_have_a_bound() {
    let unions = |queries: usize| vec!["SELECT 1, 2"; queries].join(" UNION ALL ");
    check_bounded(unions(SET_OPERATIONS_MAX + 1), "");
    check_bounded(unions(SET_OPERATIONS_MAX + 2), "54001");
}

#[test]
fn brackets_have_a_bound() {
    let nested = |open: &str, heart: &str, close: &str, depth: usize| {
        format!("{}{heart}{}", open.repeat(depth), close.repeat(depth))
    };
    check_bounded(format!("SELECT {}", nested("(", "1", ")", 20)), "");
    check_bounded(format!("SELECT {}", nested("(", "1", ")", BRACKETS_MAX)), "");
    check_bounded(format!("SELECT {}", nested("(", "1", ")", BRACKETS_MAX + 1)), "54001");
    check_bounded(format!("SELECT {}", "(".repeat(500_000)), "54001");
    check_bounded(format!("SELECT {}", nested("[", "1", "]", 100_000)), "54001");
    check_bounded(nested("SELECT * FROM (", "SELECT 1", ") x", 10), "");
    check_bounded(format!("CREATE STREAM s {}", "(".repeat(500_000)), "54001");
    check_bounded(format!("SELECT {}", nested("CASE WHEN ", "1", " END", 10_000)), "54001");
    check_bounded(format!("SELECT {}", nested("CASE WHEN ", "1", " THEN 1 END", 30)), "");
}

#[test]
fn readings_in_readings_do_not_multiply() {
    let broken = |open: &str, heart: &str, close: &str, depth: usize| {
        format!("SELECT {}{heart}{}", open.repeat(depth), close.repeat(depth))
    };
    for depth in [8, 16, 24, 40] {
        for open in [
            "CAST(",
            "TRIM(",
            "EXTRACT(",
            "SUBSTRING(",
            "FLOOR(",
            "POSITION(",
            "OVERLAY(",
            "CONVERT(",
            "f(a => ",
        ] {
            let error = parse(&broken(open, "1 2 3", ")", depth), "").expect_err("it has a fault");
            assert!(["42601", "54001"].contains(&error.state.0), "{open} {depth}: {error}");
        }
    }
    for (open, close) in [
        ("* FROM (SELECT ", ")"),
        ("* FROM ((SELECT ", "))"),
        ("* FROM (((SELECT ", ")))"),
        ("FROM ((((SELECT ", "))))"),
    ] {
        for depth in [4, 8, 11] {
            let started = Instant::now();
            let error = parse(&broken(open, "1 2 3", close, depth), "").expect_err("it has a fault");
            assert!(["42601", "54001"].contains(&error.state.0), "{open} {depth}: {error}");
            assert!(
                started.elapsed() < PARSE_MAX,
                "{open} {depth} took {:?}",
                started.elapsed()
            );
        }
    }
}

/// Tokens that statements are made of, and some that they are not.
fn token() -> impl Strategy<Value = String> {
    let words = "SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT WITH AS VALUES TABLE CREATE OR REPLACE IF NOT EXISTS STREAM MATERIALIZED \
                 VIEW COMMAND STORED document KEY TIME INTO REQUIRE ELSE CASE WHEN THEN END CALL INSERT EXPLAIN ANALYZE SHOW DESCRIBE DROP \
                 SET FOR SYSTEM_TIME BUSINESS_TIME OF TIMESTAMP DATE POSITION INTERVAL CAST EXTRACT TRIM SUBSTRING ARRAY JOIN LEFT ON USING \
                 UNION ALL INTERSECT EXCEPT AND IS NULL IN BETWEEN LIKE LATERAL UNNEST OVER PARTITION ROWS FILTER WITHIN INT TEXT DECIMAL \
                 DOUBLE PRECISION TEXT JSON a b balances partitions format retention GRAPH_TABLE MATCH PIVOT JSON_TABLE COLUMNS NESTED PATH";
    let marks = "( ( ( ) ) ) , , . ; + - * / = < > <> :: -> ->> => := [ ] { } ' \" $$ $1 $tag$ 'text' \"Quoted\" E'\\n' U&'\\0041' X'1F' B'01' \
                 N'n' 1 42 1.5 1e9 .5 99999999999999999999 -- /* */ \\ @ # % ^ & | ~ ! ? : é 漢 _";
    let all: Vec<String> = words
        .split_whitespace()
        .chain(marks.split(' '))
        .map(str::to_owned)
        .collect();
    prop_oneof![
        9 => proptest::sample::select(all),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_soup_of_tokens_is_read_or_refused(
        start in prop_oneof![
            Just(String::new()),
            proptest::sample::select(vec![
                "SELECT ", "SELECT * FROM ", "CREATE STREAM s (", "CREATE MATERIALIZED VIEW v STORED AS document AS ",
                "CREATE COMMAND c (a TEXT) INTO s REQUIRE ", "INSERT INTO s ", "CALL c(", "EXPLAIN ", "SELECT * FROM t FOR SYSTEM_TIME AS OF ",
            ]).prop_map(str::to_owned),
        ],
        tokens in proptest::collection::vec(token(), 0..40),
    ) {
        let text = format!("{start}{}", tokens.join(" "));
        match parse(&text, "x.sql") {
            Ok(statements) => for parsed in statements {
                prop_assert!(text.contains(&parsed.text));
                let _ = rendered_lossy(&parsed);
            },
            Err(error) => {
                let place = error.at.clone();
                prop_assert!(place.is_some_and(|place| place.line >= 1 && place.column >= 1), "{error}");
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&text, "");
    }
}

/// Walks over all of a statement.
fn rendered_lossy(parsed: &Parsed) -> usize {
    format!("{:?}", parsed.statement).len()
}
