//! The oracle of patterns: over random graphs, with edges that come and go and restarts in between, a pattern gives what joins of the views give.

mod scratch;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use scratch::{Scratch, check};

/// An edge takes up to two events and is gone with the third: HAVING lets it go.
const APPLICATION: &str = "CREATE STREAM people (id TEXT, age BIGINT) KEY (id);
    CREATE STREAM links (a TEXT, b TEXT, kind BIGINT) KEY (a);
    CREATE MATERIALIZED VIEW v STORED AS document AS SELECT id, max(age) AS age FROM people GROUP BY id;
    CREATE MATERIALIZED VIEW e STORED AS graph (SOURCE a, DESTINATION b) AS
      SELECT b, a, kind, count(*) AS n FROM links GROUP BY b, a, kind HAVING count(*) < 3;
    CREATE PROPERTY GRAPH g VERTEX TABLES (v KEY (id)) EDGE TABLES (e SOURCE KEY (a) REFERENCES v DESTINATION KEY (b) REFERENCES v)";

/// A pattern, and the same by joins of `ve`, the edges both of whose ends are vertices.
const QUESTIONS: [(&str, &str); 9] = [
    (
        "MATCH (x)-[e]->(y) COLUMNS (x.id AS x, e.kind AS kind, e.n AS n, y.age AS age)",
        "SELECT e.a, e.kind, e.n, y.age FROM ve e JOIN v y ON y.id = e.b",
    ),
    (
        "MATCH (x)-[e]->(y)<-[f]-(z) WHERE x.id <> z.id AND e.n + f.n > 2 COLUMNS (x.id AS x, y.id AS y, z.id AS z)",
        "SELECT e.a, e.b, f.a FROM ve e JOIN ve f ON e.b = f.b WHERE e.a <> f.a AND e.n + f.n > 2",
    ),
    (
        "MATCH (x WHERE x.id IN ('p1', 'p2', 'p7'))-[e]-(y) COLUMNS (x.id AS x, y.id AS y, e.kind AS kind)",
        "SELECT x.id, y.id, e.kind FROM v x JOIN ve e ON x.id = e.a OR x.id = e.b JOIN v y ON (x.id = e.a AND y.id = e.b) OR (x.id = e.b AND y.id = e.a)
           WHERE x.id IN ('p1', 'p2', 'p7')",
    ),
    (
        "MATCH (x)-[]->(y)-[]->(z)-[]->(x) WHERE y.age >= x.age COLUMNS (x.id AS x, y.id AS y, z.id AS z)",
        "SELECT e.a, f.a, h.a FROM ve e JOIN ve f ON f.a = e.b JOIN ve h ON h.a = f.b AND h.b = e.a JOIN v x ON x.id = e.a JOIN v y ON y.id = e.b WHERE y.age >= x.age",
    ),
    (
        "MATCH (x WHERE x.id = 'p3')-[e]->{1,3}(y) COLUMNS (y.id AS y, count(e) AS edges, sum(e.n) AS n)",
        "SELECT b, 1, n FROM ve WHERE a = 'p3' UNION ALL SELECT f.b, 2, e.n + f.n FROM ve e JOIN ve f ON f.a = e.b WHERE e.a = 'p3'
           UNION ALL SELECT h.b, 3, e.n + f.n + h.n FROM ve e JOIN ve f ON f.a = e.b JOIN ve h ON h.a = f.b WHERE e.a = 'p3'",
    ),
    (
        "MATCH (x)-[e WHERE e.kind = 1]->{2}(y WHERE y.id = 'p2') COLUMNS (x.id AS x)",
        "SELECT e.a FROM ve e JOIN ve f ON f.a = e.b WHERE e.kind = 1 AND f.kind = 1 AND f.b = 'p2'",
    ),
    (
        "MATCH TRAIL (x WHERE x.id = 'p1')-[]-{2}(y) COLUMNS (y.id AS y)",
        "SELECT CASE WHEN f.b = m THEN f.a ELSE f.b END FROM (SELECT a, b, kind, CASE WHEN a = 'p1' THEN b ELSE a END AS m FROM ve WHERE a = 'p1' OR b = 'p1') e
           JOIN ve f ON (f.a = m OR f.b = m) AND NOT (e.a = f.a AND e.b = f.b AND e.kind IS NOT DISTINCT FROM f.kind)",
    ),
    (
        "MATCH p = ANY SHORTEST (x WHERE x.id = 'p4')-[]->{1,4}(y) COLUMNS (y.id AS y, path_length(p) AS length)",
        "SELECT y, min(length) FROM (SELECT b AS y, 1 AS length FROM ve WHERE a = 'p4' UNION ALL SELECT f.b, 2 FROM ve e JOIN ve f ON f.a = e.b WHERE e.a = 'p4'
           UNION ALL SELECT h.b, 3 FROM ve e JOIN ve f ON f.a = e.b JOIN ve h ON h.a = f.b WHERE e.a = 'p4'
           UNION ALL SELECT i.b, 4 FROM ve e JOIN ve f ON f.a = e.b JOIN ve h ON h.a = f.b JOIN ve i ON i.a = h.b WHERE e.a = 'p4') GROUP BY y",
    ),
    (
        "MATCH (x)-[]->(y), (z WHERE z.age > 50) COLUMNS (x.id AS x, z.id AS z)",
        "SELECT e.a, z.id FROM ve e, v z WHERE z.age > 50",
    ),
];

/// What happens to the graph.
#[derive(Debug, Clone)]
enum Change {
    People(Vec<(u8, i64)>),
    Links(Vec<(u8, u8, Option<i64>)>),
    Crash,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let people = prop::collection::vec((0_u8..9, 0_i64..100), 1..9).prop_map(Change::People);
    let link = (0_u8..11, 0_u8..11, prop::option::weighted(0.9, 0_i64..3));
    let links = prop::collection::vec(link, 1..40).prop_map(Change::Links);
    prop::collection::vec(prop_oneof![2 => people, 4 => links, 1 => Just(Change::Crash)], 2..6)
}

async fn change(scratch: &mut Scratch, change: &Change) {
    let (stream, rows): (&str, Vec<String>) = match change {
        Change::People(people) => {
            let rows = people.iter().map(|(id, age)| format!("('p{id}', {age})"));
            ("people", rows.collect())
        }
        Change::Links(links) => {
            let vertex = |id: u8| {
                if id == 10 {
                    "NULL".to_owned()
                } else {
                    format!("'p{id}'")
                }
            };
            let rows = links.iter().map(|(a, b, kind)| {
                let kind = kind.map_or("NULL".to_owned(), |kind| kind.to_string());
                format!("({}, {}, {kind})", vertex(*a), vertex(*b))
            });
            ("links", rows.collect())
        }
        Change::Crash => return,
    };
    let insert = format!("INSERT INTO {stream} VALUES {}", rows.join(", "));
    assert!(scratch.run(&insert, &[]).await.starts_with("INSERT 0 "));
}

async fn compare(scratch: &mut Scratch) {
    check(scratch, &[("SHOW PROPERTY GRAPHS", "g|v|e")]).await;
    for (pattern, joins) in QUESTIONS {
        let found = scratch
            .run(&format!("SELECT * FROM GRAPH_TABLE (g {pattern})"), &[])
            .await;
        let joins = format!("WITH ve AS (SELECT e.* FROM e JOIN v x ON x.id = e.a JOIN v y ON y.id = e.b) {joins}");
        let expected = scratch.run(&joins, &[]).await;
        let sorted = |answer: &str| {
            let mut lines: Vec<String> = answer.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&found), sorted(&expected), "{pattern}");
    }
}

#[test]
fn patterns_give_what_joins_give() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut runner = TestRunner::new(Config {
        cases: 8,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..Config::default()
    });
    let run = runner.run(&changes(), |changes| {
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let mut scratch = Scratch::open(folder.path());
            assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE PROPERTY GRAPH");
            for step in &changes {
                if matches!(step, Change::Crash) {
                    // What was not flushed is folded again.
                    scratch.log.close();
                    drop(scratch);
                    scratch = Scratch::open(folder.path());
                }
                change(&mut scratch, step).await;
            }
            compare(&mut scratch).await;
            scratch.close();
        });
        Ok(())
    });
    run.expect("patterns and joins agree");
}
