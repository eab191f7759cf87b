//! What a materialized view may not contain: refused with the part named and the way out.

use headwater_catalog::ColumnType;

use crate::ground::{Ground, LAZY};

#[test]
fn what_cannot_be_kept_event_by_event_is_refused() {
    let ground = Ground::new(
        Some(&[
            ("a", ColumnType::Text, true),
            ("b", ColumnType::BigInt, true),
            ("d", ColumnType::Double, true),
        ]),
        1,
    );
    let views = ground.views(&LAZY);
    let check = |query: &str, part: &str| {
        let error = views.check(&ground.spec("v", query)).expect_err(query).to_string();
        let expected = format!("{part} cannot be kept up to date event by event: ");
        assert!(error.starts_with(&expected), "{query}: {error}");
        assert!(error.len() > expected.len() + 20, "it says what to do: {error}");
        let started = views
            .start(ground.spec("v", query))
            .err()
            .map(|error| error.to_string());
        assert_eq!(started, Some(error), "{query}");
    };
    check("SELECT a, b FROM s", "a query without GROUP BY");
    check("SELECT DISTINCT a FROM s", "DISTINCT");
    check("SELECT a, count(*) FROM s GROUP BY a ORDER BY a", "ORDER BY");
    check("SELECT a, count(*) FROM s GROUP BY a LIMIT 3", "LIMIT");
    check(
        "SELECT l.a, count(*) FROM s l JOIN s r ON l.a = r.a GROUP BY l.a",
        "a join",
    );
    check(
        "SELECT a, count(*) FROM s GROUP BY a UNION ALL SELECT a, count(*) FROM s GROUP BY a",
        "UNION ALL of queries with GROUP BY",
    );
    check(
        "SELECT a, count(*) FROM s WHERE b > (SELECT avg(b) FROM s) GROUP BY a",
        "a subquery",
    );
    check(
        "SELECT a, count(*) FROM s WHERE a IN (SELECT a FROM s) GROUP BY a",
        "a subquery",
    );
    check(
        "SELECT max(c) FROM (SELECT a, count(*) AS c FROM s GROUP BY a)",
        "an aggregate of an aggregate",
    );
    check(
        "SELECT a, sum(count(*)) OVER () FROM s GROUP BY a",
        "a window function (OVER …)",
    );
    check(
        "SELECT a, sum(DISTINCT b) FROM s GROUP BY a",
        "sum(DISTINCT …), which would have to know every value again when it is read,",
    );
    check(
        "SELECT a, array_agg(b) FROM s GROUP BY a",
        "array_agg(…), whose state does not merge,",
    );
    check(
        "SELECT a, median(b) FROM s GROUP BY a",
        "median(…), whose state does not merge,",
    );
    check(
        "SELECT a, first_value(b ORDER BY d) FROM s GROUP BY a",
        "first_value(… ORDER BY …)",
    );
    check(
        "SELECT a, sum(d + random()) FROM s GROUP BY a",
        "random(), which does not follow from the events,",
    );
    check(
        "SELECT a, count(*) FROM s WHERE _timestamp < now() GROUP BY a",
        "now(), which does not follow from the events,",
    );
    check(
        "SELECT a, count(*), now() FROM s GROUP BY a",
        "now(), which does not follow from the events,",
    );
    check(
        "SELECT a, b, count(*) FROM s GROUP BY ROLLUP (a, b)",
        "GROUPING SETS, ROLLUP or CUBE",
    );
    check("SELECT count(*) FROM (VALUES (1))", "a query that reads no stream");
    assert!(views.all().is_empty());
}
