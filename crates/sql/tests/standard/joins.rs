//! The column of `USING` and `NATURAL`, as PostgreSQL answers.

use crate::scratch::{Scratch, check};
use crate::{bank, folder};

/// Three tables whose ids are `1, 2`, `2, 3` and `1, 3, 4`: streams, materialized views and plain ones.
async fn tables(scratch: &mut Scratch) {
    for (name, column, ids) in [("a", "x", "12"), ("b", "y", "23"), ("c", "z", "134")] {
        let rows: Vec<String> = ids.chars().map(|id| format!("('{id}', '{name}{id}')")).collect();
        let text = format!(
            "CREATE STREAM e{name} (id TEXT NOT NULL, {column} TEXT) KEY (id) WITH (partitions = 1);
             CREATE MATERIALIZED VIEW v{name} KEY (id) AS SELECT id, {column} FROM e{name};
             CREATE VIEW p{name} AS SELECT * FROM v{name};
             INSERT INTO e{name} VALUES {}",
            rows.join(", ")
        );
        let done = scratch.run(&text, &[]).await;
        assert!(done.starts_with("INSERT"), "{done}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_sorted_by_what_an_outer_join_makes_null() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM x (id INTEGER, g TEXT)", "CREATE STREAM"),
            ("CREATE STREAM y (id INTEGER, g TEXT, n INTEGER)", "CREATE STREAM"),
            ("INSERT INTO x VALUES (1, 'x'), (2, 'x'), (3, 'x')", "INSERT 0 3"),
            ("INSERT INTO y VALUES (1, 'x', NULL), (2, 'x', 5)", "INSERT 0 2"),
            (
                "SELECT x.id, y.g FROM x LEFT JOIN y ON y.id = x.id AND y.g = 'x' ORDER BY y.g DESC, x.id LIMIT 1",
                "3|NULL",
            ),
            (
                "SELECT x.id, v.g FROM x LEFT JOIN (SELECT * FROM y WHERE g = 'x') v ON v.id = x.id ORDER BY v.g NULLS FIRST, x.id LIMIT 2",
                "3|NULL\n1|x",
            ),
            (
                "SELECT x.id, row_number() OVER (ORDER BY v.g DESC, x.id) AS r, rank() OVER (ORDER BY v.g) FROM x LEFT JOIN (SELECT * FROM y WHERE g = 'x') v ON v.id = x.id ORDER BY r",
                "3|1|3\n1|2|1\n2|3|1",
            ),
            (
                "SELECT x.id, y.g FROM y RIGHT JOIN x ON y.id = x.id AND y.g = 'x' ORDER BY y.g DESC, x.id LIMIT 1",
                "3|NULL",
            ),
            (
                "SELECT DISTINCT ON (v.g) v.g, x.id FROM x LEFT JOIN (SELECT * FROM y WHERE g = 'x') v ON v.id = x.id ORDER BY v.g DESC, x.id DESC",
                "NULL|3\nx|2",
            ),
            (
                "SELECT x.id, v.g FROM x LEFT JOIN (SELECT * FROM y WHERE g = 'x') v ON v.id = x.id ORDER BY v.g || 'z' DESC, x.id DESC LIMIT 2",
                "3|NULL\n2|x",
            ),
            (
                "SELECT id, count(*) FROM x LEFT JOIN y USING (id) GROUP BY id ORDER BY id DESC LIMIT 1",
                "3|1",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_column_that_joins_is_one() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    tables(&mut scratch).await;
    const ALL: &str = "1|a1|NULL\n2|a2|b2\n3|NULL|b3";
    const CHAIN: &str = "1|a1|NULL|c1\n2|a2|b2|NULL\n3|NULL|b3|c3\n4|NULL|NULL|c4";
    for (a, b, c) in [("va", "vb", "vc"), ("ea", "eb", "ec"), ("pa", "pb", "pc")] {
        let asked = [
            ("SELECT id, x, y FROM A FULL JOIN B USING (id) ORDER BY id", ALL),
            ("SELECT * FROM A FULL JOIN B USING (id) ORDER BY id", ALL),
            ("SELECT * FROM A NATURAL FULL JOIN B ORDER BY 1", ALL),
            ("SELECT * FROM A FULL OUTER JOIN B USING (id) ORDER BY lower(id)", ALL),
            (
                "SELECT id, x, y FROM A RIGHT JOIN B USING (id) ORDER BY id",
                "2|a2|b2\n3|NULL|b3",
            ),
            ("SELECT * FROM A NATURAL RIGHT JOIN B ORDER BY id", "2|a2|b2\n3|NULL|b3"),
            (
                "SELECT * FROM A LEFT JOIN B USING (id) ORDER BY id",
                "1|a1|NULL\n2|a2|b2",
            ),
            ("SELECT * FROM A JOIN B USING (id)", "2|a2|b2"),
            ("SELECT * FROM A NATURAL JOIN B", "2|a2|b2"),
            (
                "SELECT A.id, B.id, id FROM A FULL JOIN B USING (id) ORDER BY 3",
                "1|NULL|1\n2|2|2\nNULL|3|3",
            ),
            (
                "SELECT A.*, B.* FROM A FULL JOIN B USING (id) ORDER BY id",
                "1|a1|NULL|NULL\n2|a2|2|b2\nNULL|NULL|3|b3",
            ),
            (
                "SELECT x FROM A FULL JOIN B USING (id) ORDER BY id DESC",
                "NULL\na2\na1",
            ),
            (
                "SELECT id || '!' FROM A FULL JOIN B USING (id) ORDER BY 1",
                "1!\n2!\n3!",
            ),
            ("SELECT id FROM A FULL JOIN B USING (id) WHERE id = '3'", "3"),
            ("SELECT id FROM A RIGHT JOIN B USING (id) WHERE id > '2'", "3"),
            (
                "SELECT count(DISTINCT id), max(id), count(*) FROM A FULL JOIN B USING (id)",
                "3|3|3",
            ),
            (
                "SELECT id, count(*) FROM A FULL JOIN B USING (id) GROUP BY id ORDER BY id",
                "1|1\n2|1\n3|1",
            ),
            (
                "SELECT id FROM A FULL JOIN B USING (id) GROUP BY id HAVING id <> '2' ORDER BY id",
                "1\n3",
            ),
            (
                "SELECT DISTINCT id FROM A FULL JOIN B USING (id) ORDER BY id",
                "1\n2\n3",
            ),
            (
                "SELECT id, row_number() OVER (ORDER BY id DESC) FROM A FULL JOIN B USING (id) ORDER BY id",
                "1|3\n2|2\n3|1",
            ),
            (
                "SELECT CASE WHEN id IS NULL THEN 'none' ELSE id END FROM A FULL JOIN B USING (id) ORDER BY 1",
                "1\n2\n3",
            ),
            (
                "SELECT id FROM (SELECT * FROM A FULL JOIN B USING (id)) t WHERE id = '3'",
                "3",
            ),
            (
                "WITH t AS (SELECT * FROM A FULL JOIN B USING (id)) SELECT id, y FROM t WHERE x IS NULL",
                "3|b3",
            ),
            (
                "SELECT id FROM A FULL JOIN B USING (id) UNION SELECT '9' ORDER BY id",
                "1\n2\n3\n9",
            ),
            (
                "SELECT l.id, id, r.id FROM A l FULL JOIN B r USING (id) ORDER BY 2",
                "1|1|NULL\n2|2|2\nNULL|3|3",
            ),
            (
                "SELECT * FROM A FULL JOIN B USING (id) FULL JOIN C USING (id) ORDER BY id",
                CHAIN,
            ),
            (
                "SELECT id, x, y, z FROM A NATURAL FULL JOIN B NATURAL FULL JOIN C ORDER BY id",
                CHAIN,
            ),
            (
                "SELECT id, x, z FROM A JOIN B USING (id) LEFT JOIN C USING (id) WHERE id = '2'",
                "2|a2|NULL",
            ),
            (
                "SELECT id FROM A RIGHT JOIN B USING (id) RIGHT JOIN C USING (id) WHERE id = '4'",
                "4",
            ),
            (
                "SELECT id, w FROM A FULL JOIN (VALUES ('3', 'w3')) AS w(id, w) USING (id) ORDER BY id",
                "1|NULL\n2|NULL\n3|w3",
            ),
            (
                "SELECT * FROM (VALUES (1, 'k1'), (2, 'k2')) AS l(n, k) FULL JOIN (VALUES ('k2', true)) AS r(k, t) USING (k) ORDER BY k",
                "k1|1|NULL\nk2|2|true",
            ),
            (
                "SELECT id FROM A FULL JOIN B USING (id) WHERE EXISTS (SELECT 1 FROM C WHERE C.id = coalesce(A.id, B.id)) ORDER BY id",
                "1\n3",
            ),
            // A query in it has its own columns first.
            (
                "SELECT id, (SELECT max(z) FROM C WHERE C.id = A.id) FROM A JOIN B USING (id)",
                "2|NULL",
            ),
            (
                "SELECT count(*) FROM A FULL JOIN B USING (id) WHERE EXISTS (SELECT 1 FROM C WHERE id = '1')",
                "3",
            ),
            (
                "SELECT id FROM A FULL JOIN B USING (id) WHERE EXISTS (SELECT 1 FROM A o WHERE id = '1' AND o.x = 'a1') ORDER BY id",
                "1\n2\n3",
            ),
            // Queries and joins in brackets without a name
            (
                "SELECT * FROM A JOIN (SELECT id, y AS why FROM B) USING (id)",
                "2|a2|b2",
            ),
            (
                "SELECT * FROM (SELECT id, x FROM A) FULL JOIN (SELECT id, y FROM B) USING (id) ORDER BY id",
                ALL,
            ),
            ("SELECT * FROM A JOIN (B JOIN C USING (id)) USING (id)", ""),
            (
                "SELECT * FROM A LEFT JOIN (B FULL JOIN C USING (id)) USING (id) ORDER BY id",
                "1|a1|NULL|c1\n2|a2|b2|NULL",
            ),
            ("SELECT id FROM A SEMI JOIN B USING (id)", "2"),
            ("SELECT id FROM A ANTI JOIN B USING (id)", "1"),
        ];
        let named = |question: &str| {
            let words = question.split_inclusive(|sign: char| !sign.is_alphanumeric());
            let word = |word: &str| match word.trim_end_matches(|sign: char| !sign.is_alphanumeric()) {
                "A" => word.replacen('A', a, 1),
                "B" => word.replacen('B', b, 1),
                "C" => word.replacen('C', c, 1),
                _ => word.to_owned(),
            };
            words.map(word).collect::<String>()
        };
        let asked: Vec<(String, &str)> = asked.iter().map(|(question, rows)| (named(question), *rows)).collect();
        let asked: Vec<(&str, &str)> = asked
            .iter()
            .map(|(question, rows)| (question.as_str(), *rows))
            .collect();
        check(&mut scratch, &asked).await;
    }
    check(
        &mut scratch,
        &[
            (
                "CREATE VIEW j AS SELECT * FROM va FULL JOIN vb USING (id)",
                "CREATE VIEW",
            ),
            ("SELECT * FROM j WHERE id >= '2' ORDER BY id", "2|a2|b2\n3|NULL|b3"),
            (
                "CREATE STREAM pieces (n BIGINT); INSERT INTO pieces VALUES (1), (3), (9)",
                "INSERT 0 3",
            ),
            (
                "SELECT ea.id FROM ea FULL JOIN eb USING (id) WHERE EXISTS (SELECT 1 FROM pieces WHERE n::text = id) ORDER BY 1",
                "1\nNULL",
            ),
            (
                "CREATE STREAM k KEY (id) AS SELECT id, y FROM ea LEFT JOIN vb USING (id)",
                "CREATE STREAM",
            ),
        ],
    )
    .await;
    scratch.close();
}
