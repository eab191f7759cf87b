//! Rows traced back through pipelines to the first streams, and the rows that those found on the way.

mod scratch;
mod waiting;

use bytes::Bytes;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event, Header};
use headwater_sql::limits::ORIGINS_DEPTH_MAX;
use headwater_views::{FROM_HEADER, PRINCIPAL};
use scratch::{Scratch, check};
use waiting::until;

const APPLICATION: &str = "
    CREATE STREAM product_changes (id TEXT NOT NULL, title TEXT) KEY (id) WITH (partitions = 2);
    CREATE MATERIALIZED VIEW products STORED AS document KEY (id) AS SELECT id, title FROM product_changes;
    CREATE STREAM ratings (item TEXT NOT NULL, stars BIGINT NOT NULL) KEY (item) WITH (partitions = 2);
    CREATE STREAM enriched KEY (item) AS SELECT r.item, r.stars, p.title FROM ratings r LEFT JOIN products p ON p.id = r.item;
    CREATE STREAM good KEY (item) AS SELECT item, title, stars FROM enriched WHERE stars > 3;
    CREATE MATERIALIZED VIEW fans STORED AS document AS SELECT item, count(*) AS fans, max(title) AS title FROM good GROUP BY item;
    CREATE MATERIALIZED VIEW averages STORED AS document AS SELECT item, sum(stars) AS stars FROM ratings GROUP BY item;
    CREATE STREAM many AS SELECT item, stars FROM CHANGES OF averages WHERE stars > 5;
    CREATE MATERIALIZED VIEW crowned STORED AS document KEY (item) AS SELECT item, stars FROM many;";

async fn filled(scratch: &mut Scratch) {
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
    for statement in [
        "INSERT INTO product_changes VALUES ('p1', 'Scarf')",
        "INSERT INTO ratings VALUES ('p1', 5)",
        "INSERT INTO ratings VALUES ('p2', 4)",
        "INSERT INTO ratings VALUES ('p1', 1)",
        "INSERT INTO product_changes VALUES ('p1', 'Red scarf')",
        "INSERT INTO ratings VALUES ('p1', 4)",
    ] {
        assert_eq!(scratch.run(statement, &[]).await, "INSERT 0 1");
        // What a pipeline finds is what is there when it comes to the event: each comes to its end before the next.
        assert!(!scratch.run("SELECT count(*) FROM fans", &[]).await.contains(':'));
        assert!(!scratch.run("SELECT count(*) FROM crowned", &[]).await.contains(':'));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_traced_back_to_the_first_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let cases: &[(&str, &str)] = &[
        (
            "SELECT step, depth, coalesce(_stream, view) AS what, key, value, note FROM origins('fans', 'p1') ORDER BY step, depth, what",
            r#"1|0|good|p1|{"item":"p1","title":"Scarf","stars":5}|NULL
1|1|enriched|p1|{"item":"p1","stars":5,"title":"Scarf"}|NULL
1|2|products|p1|{"id":"p1","title":"Scarf"}|NULL
1|2|ratings|p1|{"item":"p1","stars":5}|NULL
2|0|good|p1|{"item":"p1","title":"Red scarf","stars":4}|NULL
2|1|enriched|p1|{"item":"p1","stars":4,"title":"Red scarf"}|NULL
2|2|products|p1|{"id":"p1","title":"Red scarf"}|NULL
2|2|ratings|p1|{"item":"p1","stars":4}|NULL"#,
        ),
        // That nothing was found is told, too.
        (
            "SELECT depth, coalesce(_stream, view) AS what, key, value IS NULL AS nothing FROM origins('fans', 'p2') ORDER BY depth, what",
            "0|good|p2|false\n1|enriched|p2|false\n2|products|p2|true\n2|ratings|p2|false",
        ),
        ("SELECT count(*) FROM origins('fans', 'nobody')", "0"),
        // A view over a first stream comes of its events alone.
        (
            "SELECT step, depth, _stream, value FROM origins('averages', 'p2')",
            r#"1|0|ratings|{"item":"p2","stars":4}"#,
        ),
        // The changes of a view come of the events that changed it.
        (
            "SELECT step, depth, _stream, value FROM origins('crowned', 'p1')",
            r#"1|0|many|{"item":"p1","stars":6}
1|1|ratings|{"item":"p1","stars":1}
2|0|many|{"item":"p1","stars":10}
2|1|ratings|{"item":"p1","stars":4}"#,
        ),
        // The first events are there as their own stream has them.
        (
            "SELECT count(*) FROM origins('fans', 'p1') o JOIN ratings r ON r._partition = o._partition AND r._offset = o._offset \
             AND r._appended_at = o._appended_at AND r._principal = o._principal WHERE o._stream = 'ratings'",
            "2",
        ),
        (
            "SELECT step, value FROM origins('fans', 'p1') LIMIT 1",
            r#"1|{"item":"p1","title":"Scarf","stars":5}"#,
        ),
        (
            "EXPLAIN SELECT * FROM origins('fans', 'p1')",
            "~OriginsScan: through=[enriched, good], joined=[products]",
        ),
        (
            "SELECT * FROM origins('fans') FOR SYSTEM_TIME AS OF now()",
            "~origins shows every step of a row",
        ),
        ("SELECT * FROM origins('good', 'p1')", "~'good' is a stream"),
        ("SELECT * FROM origins('fans')", "~and 0 value(s) are given"),
    ];
    check(&mut scratch, cases).await;
    let first = scratch
        .run(
            "SELECT _stream, _partition, _offset FROM lineage('fans', 'p1') LIMIT 1",
            &[],
        )
        .await;
    let parts: Vec<&str> = first.split('|').collect();
    let after = format!(
        "SELECT count(*), min(depth) FROM origins('fans', 'p1', after => '{}/{}@{}')",
        parts[0], parts[1], parts[2]
    );
    check(&mut scratch, &[(&after, "4|0")]).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_writes_into_a_header_leads_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let partitions = scratch.log.stream("good").expect("the stream").partitions;
    for partition in 0..partitions {
        let event = Event {
            key: Some(Bytes::from_static(b"p3")),
            value: Some(Bytes::from_static(br#"{"item":"p3","title":"Forged","stars":5}"#)),
            headers: vec![Header {
                name: "headwater-from".to_owned(),
                value: Some(Bytes::from(format!("good/{partition}@0"))),
            }],
            ..Event::default()
        };
        let append = Append {
            parts: vec![Part {
                stream: "good".to_owned(),
                partition,
                batch: Batch::encode(&[event], Compression::None, None),
            }],
            principal: "mallory".to_owned(),
            condition: None,
        };
        scratch.log.append_blocking(append).expect("a durable append");
    }
    let expected = vec!["0|good|mallory"; partitions as usize].join("\n");
    check(
        &mut scratch,
        &[(
            "SELECT depth, _stream, _principal FROM origins('fans', 'p3')",
            expected.as_str(),
        )],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_another_version_of_a_view_tells_is_said_to_be_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let found = "SELECT value, note FROM origins('fans', 'p1') WHERE view = 'products' AND step = 1";
    let other = "CREATE OR REPLACE MATERIALIZED VIEW products STORED AS document KEY (id) AS SELECT id, upper(title) AS title FROM product_changes";
    check(
        &mut scratch,
        &[
            (found, r#"{"id":"p1","title":"Scarf"}|NULL"#),
            (other, "CREATE MATERIALIZED VIEW"),
        ],
    )
    .await;
    until("the new version takes its place", async || {
        let view = scratch.engine.views().get("products").expect("it runs");
        view.definition().version > 1
    })
    .await;
    check(
        &mut scratch,
        &[(
            found,
            r#"{"id":"p1","title":"SCARF"}|version 1 of the view 'products' was asked then, and this is what version 2 says of the row"#,
        )],
    )
    .await;
    // While its rows are not made of its stream as that is read now, nobody tells what it was.
    scratch.engine.views().freeze("products");
    let unknown = "~NULL|the view 'products' stands still";
    check(&mut scratch, &[(found, unknown)]).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_followed_back_so_far_and_no_further() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    // Each made of the one before it, and the first by a client.
    let first = scratch.log.offsets("good", 0).expect("a partition").high_watermark;
    for number in 0..=ORIGINS_DEPTH_MAX as u64 + 1 {
        let (principal, headers) = match number {
            0 => ("ann", Vec::new()),
            _ => {
                let from = format!("good/0@{}", first + number - 1);
                let header = Header {
                    name: FROM_HEADER.to_owned(),
                    value: Some(Bytes::from(from)),
                };
                (PRINCIPAL, vec![header])
            }
        };
        let event = Event {
            key: Some(Bytes::from_static(b"c")),
            value: Some(Bytes::from(format!(
                r#"{{"item":"c{number}","title":"Chain","stars":5}}"#
            ))),
            headers,
            ..Event::default()
        };
        let append = Append {
            parts: vec![Part {
                stream: "good".to_owned(),
                partition: 0,
                batch: Batch::encode(&[event], Compression::None, None),
            }],
            principal: principal.to_owned(),
            condition: None,
        };
        scratch.log.append_blocking(append).expect("a durable append");
    }
    let most = ORIGINS_DEPTH_MAX;
    let of = |number: usize| {
        format!("SELECT count(*), max(depth), count(note), max(note) FROM origins('fans', 'c{number}')")
    };
    check(
        &mut scratch,
        &[
            (&of(0), "1|0|0|NULL"),
            (&of(most), &format!("{}|{most}|0|NULL", most + 1)),
            (
                &of(most + 1),
                &format!(
                    "{}|{most}|1|it is not followed further back than {most} pipelines",
                    most + 1
                ),
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_in_a_row_that_was_found_is_a_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM scores (k TEXT NOT NULL, x BIGINT) KEY (k);
        CREATE MATERIALIZED VIEW lists STORED AS document AS SELECT k, array_agg(x) AS xs FROM scores GROUP BY k;
        CREATE STREAM calls (k TEXT NOT NULL) KEY (k);
        INSERT INTO scores VALUES ('a', 5), ('a', 20);
        SELECT * FROM lists;
        CREATE STREAM called KEY (k) AS SELECT c.k, l.xs[1] AS x FROM calls c LEFT JOIN lists l ON l.k = c.k;
        CREATE MATERIALIZED VIEW last_called STORED AS document KEY (k) AS SELECT k, x FROM called;
        INSERT INTO calls VALUES ('a')";
    assert_eq!(scratch.run(application, &[]).await, "INSERT 0 1");
    until("the call comes through", async || {
        !scratch.run("SELECT * FROM last_called", &[]).await.is_empty()
    })
    .await;
    check(
        &mut scratch,
        &[(
            "SELECT value FROM origins('last_called', 'a') WHERE view = 'lists'",
            r#"{"k":"a","xs":[5,20]}"#,
        )],
    )
    .await;
    scratch.close();
}
