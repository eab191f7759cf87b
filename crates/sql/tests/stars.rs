//! `*` in a definition means the columns that were there when it was made, also when others come, or come in another order, and after a restart.

mod scratch;

use scratch::{Scratch, check};

const RATINGS: &str = "
CREATE STREAM ratings (item TEXT NOT NULL, stars INTEGER NOT NULL) KEY (item) WITH (partitions = 1);
CREATE STREAM product_events (item TEXT NOT NULL, title TEXT, category TEXT) KEY (item) WITH (partitions = 1);
CREATE MATERIALIZED VIEW products KEY (item) AS SELECT item, title, category FROM product_events;
CREATE STREAM enriched KEY (item) AS SELECT r.*, p.title, p.category FROM ratings r LEFT JOIN products p ON p.item = r.item;
CREATE STREAM marked AS SELECT o.*, 1 AS one FROM ratings o;
CREATE STREAM plainly AS SELECT * FROM ratings;
CREATE MATERIALIZED VIEW best KEY (item) AS SELECT * FROM ratings;
CREATE STREAM told AS SELECT v.*, 'end' AS e FROM CHANGES OF best v;
INSERT INTO product_events VALUES ('p1', 'Scarf', 'Clothes');
INSERT INTO ratings VALUES ('p1', 5);
";

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_added_goes_into_no_other_column_of_a_pipeline() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(scratch.run(RATINGS, &[]).await, "INSERT 0 1");
    let alter = "ALTER STREAM ratings ADD COLUMN comment TEXT";
    check(
        &mut scratch,
        &[
            (alter, "ALTER STREAM"),
            ("INSERT INTO ratings VALUES ('p1', 4, 'I like it')", "INSERT 0 1"),
        ],
    )
    .await;
    let two: &[(&str, &str)] = &[
        (
            "SELECT * FROM enriched ORDER BY _offset",
            "p1|5|Scarf|Clothes\np1|4|Scarf|Clothes",
        ),
        ("SELECT * FROM marked ORDER BY _offset", "p1|5|1\np1|4|1"),
        ("SELECT * FROM plainly ORDER BY _offset", "p1|5\np1|4"),
        ("SELECT * FROM best", "p1|4"),
        ("SELECT * FROM told ORDER BY _offset", "p1|5|end\np1|4|end"),
    ];
    check(&mut scratch, two).await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, two).await;
    check(
        &mut scratch,
        &[
            ("INSERT INTO ratings VALUES ('p1', 3, 'worn out')", "INSERT 0 1"),
            ("SELECT * FROM enriched WHERE stars = 3", "p1|3|Scarf|Clothes"),
            ("SELECT * FROM marked WHERE stars = 3", "p1|3|1"),
            ("SELECT * FROM told WHERE stars = 3", "p1|3|end"),
            ("SELECT * FROM best", "p1|3"),
            ("SELECT count(*) FROM _headwater.parked", "0"),
            // What it was written with is what it is read by, too.
            ("ALTER STREAM ratings DROP COLUMN stars", "~2BP01"),
            ("ALTER STREAM ratings RENAME COLUMN stars TO points", "~2BP01"),
            ("ALTER STREAM ratings DROP COLUMN comment", "ALTER STREAM"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_a_view_that_come_in_another_order_stay_where_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let define = "
        CREATE STREAM src (id TEXT NOT NULL, x TEXT, y TEXT) KEY (id) WITH (partitions = 1);
        CREATE MATERIALIZED VIEW v AS SELECT id, max(x) AS x, max(y) AS y FROM src GROUP BY id;
        CREATE STREAM ch AS SELECT * FROM CHANGES OF v;
        CREATE STREAM pj AS SELECT w.*, 'q' AS q FROM src s JOIN v w ON w.id = s.id;
        CREATE VIEW both_of_them AS SELECT * FROM v UNION ALL SELECT * FROM src;
        INSERT INTO src VALUES ('1', 'ax', 'ay')";
    assert_eq!(scratch.run(define, &[]).await, "INSERT 0 1");
    let other = "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT id, count(*) AS n, max(y) AS y, max(x) AS x FROM src GROUP BY id";
    check(
        &mut scratch,
        &[
            ("SELECT * FROM pj", "1|ax|ay|q"),
            (other, "CREATE MATERIALIZED VIEW"),
            ("SELECT * FROM v", "1|1|ay|ax"),
            ("INSERT INTO src VALUES ('1', 'bx', 'by')", "INSERT 0 1"),
            ("SELECT id, x, y FROM ch ORDER BY _offset", "1|ax|ay\n1|bx|by"),
            ("SELECT id, x, y, q FROM pj ORDER BY _offset", "1|ax|ay|q\n1|bx|by|q"),
            ("SELECT x, y FROM both_of_them ORDER BY x", "ax|ay\nbx|by\nbx|by"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_say_star_go_on_when_a_column_is_added() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let define = "
        CREATE STREAM a (id TEXT NOT NULL, n INTEGER) KEY (id) WITH (partitions = 1);
        CREATE STREAM b (id TEXT NOT NULL, n INTEGER) KEY (id) WITH (partitions = 1);
        CREATE MATERIALIZED VIEW u KEY (id) AS SELECT * FROM a UNION ALL SELECT * FROM b;
        CREATE VIEW plain AS SELECT * FROM a UNION ALL SELECT * FROM b;
        CREATE VIEW crossed AS SELECT * FROM a, (SELECT count(*) AS k FROM b) AS c;
        CREATE VIEW named AS SELECT id, n AS m FROM b;
        CREATE VIEW beside AS SELECT * FROM a JOIN named USING (id);
        CREATE VIEW inside AS WITH w AS (SELECT * FROM a) SELECT * FROM w WHERE EXISTS (SELECT * FROM b WHERE b.id = w.id);
        CREATE VIEW upon AS SELECT * FROM plain;
        CREATE STREAM c (id TEXT NOT NULL, w TEXT, k INTEGER) KEY (id) WITH (partitions = 1);
        CREATE VIEW natural AS SELECT id, n, k FROM a NATURAL JOIN c AS d WHERE k > 0;
        CREATE VIEW naturally AS SELECT * FROM a NATURAL LEFT JOIN c;
        INSERT INTO c VALUES ('x', 'other', 7);
        INSERT INTO a VALUES ('x', 1); INSERT INTO b VALUES ('x', 2)";
    assert_eq!(scratch.run(define, &[]).await, "INSERT 0 1");
    let asked: &[(&str, &str)] = &[
        ("SELECT * FROM plain ORDER BY n", "x|1\nx|2"),
        ("SELECT * FROM upon ORDER BY n", "x|1\nx|2"),
        ("SELECT * FROM crossed", "x|1|1"),
        ("SELECT * FROM beside", "x|1|2"),
        ("SELECT * FROM inside", "x|1"),
        ("SELECT * FROM natural", "x|1|7"),
        ("SELECT * FROM naturally", "x|1|other|7"),
        ("SELECT count(*) FROM u", "1"),
    ];
    check(&mut scratch, asked).await;
    check(
        &mut scratch,
        &[("ALTER STREAM a ADD COLUMN w TEXT DEFAULT 'W'", "ALTER STREAM")],
    )
    .await;
    let keeps = |name: &&&str| {
        scratch
            .notices
            .iter()
            .any(|notice| notice.contains(&format!("'{name}' keeps the columns")))
    };
    let told: Vec<&&str> = [
        "u",
        "plain",
        "crossed",
        "named",
        "beside",
        "inside",
        "upon",
        "natural",
        "naturally",
    ]
    .iter()
    .filter(keeps)
    .collect();
    // What reads another definition means what that shows.
    assert_eq!(
        told,
        [
            &"u",
            &"plain",
            &"crossed",
            &"beside",
            &"inside",
            &"natural",
            &"naturally"
        ],
        "{:?}",
        scratch.notices
    );
    check(&mut scratch, asked).await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, asked).await;
    check(
        &mut scratch,
        &[
            ("INSERT INTO a VALUES ('y', 3, 'W')", "INSERT 0 1"),
            ("SELECT * FROM u ORDER BY id", "x|2\ny|3"),
            (
                "CREATE VIEW lost AS SELECT * FROM a JOIN (SELECT id FROM b) AS c USING (id)",
                "~0A000",
            ),
            // Another text takes what is there now.
            ("CREATE OR REPLACE VIEW plain AS SELECT * FROM a", "CREATE VIEW"),
            ("SELECT * FROM plain ORDER BY n", "x|1|W\ny|3|W"),
            ("SELECT * FROM upon ORDER BY n", "x|1\ny|3"),
            // Nobody reads it but those who were made since.
            ("ALTER STREAM b ADD COLUMN w TEXT", "ALTER STREAM"),
            ("ALTER STREAM b DROP COLUMN w", "ALTER STREAM"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_read_by_who_asks_for_it_and_not_by_who_has_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let define = "
        CREATE STREAM o (id TEXT NOT NULL, cents INTEGER, q INTEGER, note TEXT, tag TEXT) KEY (id) WITH (partitions = 1);
        CREATE STREAM other (id TEXT NOT NULL, note TEXT) KEY (id) WITH (partitions = 1);
        CREATE STREAM p KEY (id) AS SELECT id, q AS cents FROM o;
        CREATE MATERIALIZED VIEW w KEY (id) AS SELECT id, q AS note FROM o;
        CREATE VIEW beside AS SELECT o.id, r.note FROM o JOIN other AS r ON r.id = o.id;
        CREATE VIEW fk AS SELECT tag FROM o;
        CREATE VIEW natural_one AS SELECT n FROM (SELECT 1 AS n, id AS tag FROM other) AS x NATURAL JOIN fk;
        CREATE MATERIALIZED VIEW k AS SELECT id, count(*) AS n FROM o GROUP BY id;
        INSERT INTO o VALUES ('a', 1, 2, 'x', 't')";
    assert_eq!(scratch.run(define, &[]).await, "INSERT 0 1");
    check(
        &mut scratch,
        &[
            ("ALTER STREAM o DROP COLUMN q", "~2BP01"),
            (
                "CREATE OR REPLACE VIEW fk AS SELECT tag AS other_name FROM o",
                "~which view 'natural_one' reads",
            ),
            ("ALTER STREAM o RENAME COLUMN note TO remark", "ALTER STREAM"),
            ("ALTER STREAM other DROP COLUMN note", "~which view 'beside' reads"),
            (
                "CREATE VIEW steps AS SELECT cents FROM lineage('k', 'a')",
                "CREATE VIEW",
            ),
            ("ALTER STREAM o DROP COLUMN cents", "~which view 'steps' reads"),
            ("DROP VIEW steps", "DROP VIEW"),
            ("ALTER STREAM o DROP COLUMN cents", "ALTER STREAM"),
            ("SELECT cents FROM p", "2"),
            ("SELECT note FROM w", "2"),
        ],
    )
    .await;
}
