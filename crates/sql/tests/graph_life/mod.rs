//! A graph over time: as it was, while the views below it are built anew, lose edges, and are opened again.

use bytes::Bytes;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event};

use crate::filled;
use crate::scratch::{Scratch, check};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_is_asked_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let moment = scratch.run("SELECT max(_appended_at) FROM follows", &[]).await;
    let position = scratch.run("SELECT 'follows/' || string_agg(p || '@' || n, ',') FROM (SELECT _partition AS p, max(_offset) + 1 AS n FROM follows GROUP BY 1)", &[]).await;
    scratch.run("INSERT INTO follows VALUES ('c1', 'c4')", &[]).await;
    scratch
        .run("INSERT INTO signups VALUES ('c5', 'Eva', 'Bonn')", &[])
        .await;
    let pattern = "GRAPH_TABLE (shop MATCH (a WHERE a.id = 'c1')-[IS follows]->(b) COLUMNS (b.id AS b))";
    let people = "GRAPH_TABLE (shop MATCH (a IS customer) COLUMNS (a.id))";
    check(
        &mut scratch,
        &[
            (&format!("SELECT * FROM {pattern} ORDER BY b"), "c2\nc4"),
            (
                &format!("SELECT * FROM {pattern} FOR SYSTEM_TIME AS OF TIMESTAMP '{moment}'"),
                "c2",
            ),
            (
                &format!("SELECT g.b FROM {pattern} AS g FOR SYSTEM_TIME AS OF TIMESTAMP '{moment}'"),
                "c2",
            ),
            (
                &format!("SELECT count(*) FROM {pattern} FOR SYSTEM_TIME AS OF POSITION '{position}'"),
                "~the position says nothing about the stream 'products', which 'shop' reads",
            ),
            (
                &format!("SELECT count(*) FROM {people} FOR SYSTEM_TIME AS OF TIMESTAMP '{moment}'"),
                "4",
            ),
            (&format!("SELECT count(*) FROM {people}"), "5"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_follows_a_view_that_is_built_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let question =
        "SELECT i FROM GRAPH_TABLE (shop MATCH (a WHERE a.id = 'c1')-[IS bought]->(i) COLUMNS (i.id AS i)) ORDER BY i";
    let cases: &[(&str, &str)] = &[
        (question, "i1\ni2"),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW bought STORED AS graph (SOURCE customer, DESTINATION item) AS
               SELECT item, customer, count(*) AS times, sum(price) AS paid FROM purchases WHERE price > 9 GROUP BY item, customer",
            "CREATE MATERIALIZED VIEW",
        ),
        (question, "i1"),
        // Stored otherwise, the same edges are read whole.
        (
            "CREATE OR REPLACE MATERIALIZED VIEW bought STORED AS document AS
               SELECT item, customer, count(*) AS times, sum(price) AS paid FROM purchases WHERE price > 9 GROUP BY item, customer",
            "CREATE MATERIALIZED VIEW",
        ),
        (question, "i1"),
        (&format!("EXPLAIN {question}"), "~read whole=[bought]"),
    ];
    check(&mut scratch, cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_was_deleted_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM friendships (a TEXT, b TEXT, since BIGINT) KEY (a, b) WITH (partitions = 1);
        CREATE MATERIALIZED VIEW friends STORED AS graph (SOURCE a, DESTINATION b) KEY (a, b) AS SELECT a, b, since FROM friendships;
        CREATE PROPERTY GRAPH circle EDGE TABLES (friends SOURCE person DESTINATION person);
        INSERT INTO friendships VALUES ('ann', 'bob', 1), ('ann', 'cid', 2), ('bob', 'cid', 3), ('ann', 'bob', 4)";
    assert_eq!(scratch.run(application, &[]).await, "INSERT 0 4");
    let of_ann = "SELECT * FROM GRAPH_TABLE (circle MATCH (x WHERE x.id = 'ann')-[e]->(y) COLUMNS (y.id AS y, e.since AS since)) ORDER BY y";
    let to_cid =
        "SELECT * FROM GRAPH_TABLE (circle MATCH (x)-[]->(y WHERE y.id = 'cid') COLUMNS (x.id AS x)) ORDER BY x";
    check(&mut scratch, &[(of_ann, "bob|4\ncid|2"), (to_cid, "ann\nbob")]).await;
    let tombstone = Event {
        key: Some(Bytes::from_static(br#"["ann","cid"]"#)),
        ..Event::default()
    };
    let part = Part {
        stream: "friendships".to_owned(),
        partition: 0,
        batch: Batch::encode(&[tombstone], Compression::None, None),
    };
    let append = Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    scratch.log.append_blocking(append).expect("a durable append");
    scratch
        .run("INSERT INTO friendships VALUES ('dan', 'cid', 5)", &[])
        .await;
    let cases: &[(&str, &str)] = &[
        (of_ann, "bob|4"),
        (to_cid, "bob\ndan"),
        (
            "SELECT count(*) FROM GRAPH_TABLE (circle MATCH (x) COLUMNS (x.id))",
            "4",
        ),
        ("SELECT sum(triangles) FROM triangle_count('circle')", "0"),
    ];
    check(&mut scratch, cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_are_found_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let question =
        "SELECT * FROM GRAPH_TABLE (shop MATCH (a IS customer WHERE a.id = 'c1')-[e IS bought]->(i)<-[IS bought]-(b)
        WHERE b.id <> a.id COLUMNS (b.id AS also, e.times AS times)) ORDER BY also";
    {
        let mut scratch = Scratch::open(folder.path());
        filled(&mut scratch).await;
        check(&mut scratch, &[(question, "c2|2\nc3|1")]).await;
        scratch.run("INSERT INTO purchases VALUES ('c4', 'i1', 1)", &[]).await;
        // Not closed: what was not flushed is folded again.
        scratch.log.close();
    }
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, &[(question, "c2|2\nc3|1\nc4|2")]).await;
    scratch.close();
}
