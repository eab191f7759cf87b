//! Views with KEY: the newest row of each key, tombstones, moments, commands' boundary.

mod scratch;

use bytes::Bytes;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event};
use headwater_views::ViewStatus;
use scratch::{Scratch, check};

const APPLICATION: &str = "CREATE STREAM changes (id BIGINT NOT NULL, name TEXT NOT NULL, city TEXT, at DATE) KEY (id) TIME (at) WITH (partitions = 3);
    CREATE STREAM free WITH (partitions = 2);
    CREATE MATERIALIZED VIEW customers STORED AS document KEY (id) AS SELECT id, name, upper(city) AS city FROM changes;
    CREATE MATERIALIZED VIEW berlin STORED AS document KEY (id) AS SELECT name, id FROM changes WHERE city = 'Berlin';
    CREATE MATERIALIZED VIEW cities STORED AS document KEY (city) AS SELECT city, name FROM changes;
    CREATE MATERIALIZED VIEW ids STORED AS document KEY (id) AS SELECT id FROM changes;
    CREATE MATERIALIZED VIEW newest STORED AS document KEY (_key) AS SELECT _key, value->>'n' AS n FROM free";

/// Appends to a partition: key and value, either of which may be none.
fn append(scratch: &Scratch, stream: &str, partition: u32, key: Option<&str>, value: Option<&str>) {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let event = Event {
        key: key.map(bytes),
        value: value.map(bytes),
        ..Event::default()
    };
    let part = Part {
        stream: stream.to_owned(),
        partition,
        batch: Batch::encode(&[event], Compression::None, None),
    };
    let append = Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    scratch.log.append_blocking(append).expect("a durable append");
}

async fn filled(scratch: &mut Scratch) {
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE MATERIALIZED VIEW");
    // Not by partition: the order is that of appending, whichever partition a client chose.
    for (partition, key, value) in [
        (2, "1", Some(r#"{"id":1,"name":"Ann","city":"Berlin"}"#)),
        (0, "1", Some(r#"{"id":1,"name":"Anna","city":"Paris"}"#)),
        (1, "2", Some(r#"{"id":2,"name":"Bob","city":"Berlin"}"#)),
        (1, "3", Some(r#"{"id":3,"name":"Eve"}"#)),
        (0, "3", None),
        (2, "4", Some(r#"{"id":4,"name":"Dan"}"#)),
        (0, "4", None),
        (1, "4", Some(r#"{"id":4,"name":"Dana"}"#)),
        (1, "no number", None),
    ] {
        append(scratch, "changes", partition, Some(key), value);
    }
    for (partition, key, value) in [
        (1, "a", Some(r#"{"n":1}"#)),
        (0, "a", Some(r#"{"n":2}"#)),
        (1, "b", Some(r#"{"n":3}"#)),
        (0, "b", None),
    ] {
        append(scratch, "free", partition, Some(key), value);
    }
}

/// Everything that is in the log now is waited for.
async fn caught_up(scratch: &Scratch, view: &str) -> ViewStatus {
    let view = scratch.engine.views().get(view).expect("a running view");
    for stream in view.streams() {
        let end = scratch.log.position(stream).expect("a stream");
        view.wait_for(&end, std::time::Duration::from_secs(120))
            .await
            .expect("it gets there");
    }
    view.status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_row_of_each_key_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let cases: &[(&str, &str)] = &[
        (
            "SELECT * FROM customers ORDER BY id",
            "1|Anna|PARIS\n2|Bob|BERLIN\n4|Dana|NULL",
        ),
        ("SELECT name FROM customers WHERE id = 4", "Dana"),
        ("SELECT name FROM customers WHERE id = 3", ""),
        // The newest of the rows that WHERE lets through: that Ann moved away is no event of Berlin.
        ("SELECT * FROM berlin ORDER BY id", "Ann|1\nBob|2"),
        (
            "SELECT * FROM cities ORDER BY city",
            "Berlin|Bob\nParis|Anna\nNULL|Dana",
        ),
        ("SELECT id FROM ids ORDER BY id", "1\n2\n4"),
        ("SELECT * FROM newest ORDER BY 1", "a|2"),
        ("EXPLAIN SELECT name FROM customers WHERE id = 4", "~keys=1 of (id)"),
        (
            "SELECT count(*) FROM customers FOR SYSTEM_TIME AS OF POSITION 'changes/0@0,1@0,2@0'",
            "0",
        ),
        (
            "SELECT id, name FROM customers FOR SYSTEM_TIME AS OF POSITION 'changes/0@1,1@2,2@1' ORDER BY id",
            "1|Anna\n2|Bob\n3|Eve",
        ),
        (
            "SELECT id, name FROM customers FOR SYSTEM_TIME AS OF POSITION 'changes/0@0,1@2,2@2' WHERE id IN (1, 3) ORDER BY id",
            "1|Ann\n3|Eve",
        ),
        (
            "SELECT id FROM customers FOR SYSTEM_TIME AS OF POSITION 'changes/0@3,1@2,2@2' ORDER BY id",
            "1\n2",
        ),
    ];
    for view in ["customers", "berlin", "cities", "ids", "newest"] {
        caught_up(&scratch, view).await;
    }
    check(&mut scratch, cases).await;
    assert_eq!(
        caught_up(&scratch, "customers").await.rows,
        3,
        "deleted rows do not count"
    );
    let parked = "SELECT stream, partition, \"offset\", reason FROM _headwater.parked ORDER BY 1, 2, 3";
    let parked_said = scratch.run(parked, &[]).await;
    let said: Vec<&str> = parked_said.lines().collect();
    // Those that a view of another key cannot follow, and the one whose key is no key.
    assert_eq!(said.len(), 3, "{parked_said}");
    assert!(
        said[0].contains("the view 'cities' cannot tell which row it deletes"),
        "{parked_said}"
    );
    assert!(said[2].contains("no number"), "{parked_said}");
    scratch.close();

    // Once more from what is on the disk, and an older event than the tombstone's changes nothing.
    let mut scratch = Scratch::open(folder.path());
    for view in ["customers", "berlin", "cities", "ids", "newest"] {
        caught_up(&scratch, view).await;
    }
    check(&mut scratch, cases).await;
    append(
        &scratch,
        "changes",
        0,
        Some("3"),
        Some(r#"{"id":3,"name":"Eve","city":"Rome"}"#),
    );
    caught_up(&scratch, "customers").await;
    check(
        &mut scratch,
        &[
            ("SELECT * FROM customers WHERE id = 3", "3|Eve|ROME"),
            ("SELECT count(*) FROM customers", "4"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_key_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let view = |key: &str, query: &str| format!("CREATE MATERIALIZED VIEW v STORED AS document KEY ({key}) AS {query}");
    let cases = [
        (
            view("id", "SELECT name FROM changes"),
            "~KEY (id), which its query does not select,",
        ),
        (view("id, id", "SELECT id FROM changes"), "~'id' is named twice"),
        (
            view("id", "SELECT id, count(*) FROM changes GROUP BY id"),
            "~KEY of a query with GROUP BY, or of a view,",
        ),
        (
            view("id", "SELECT id, name FROM customers"),
            "~KEY of a query with GROUP BY, or of a view,",
        ),
        (view("id", "SELECT id, random() AS r FROM changes"), "~random()"),
        (view("id", "SELECT id FROM changes LIMIT 3"), "~LIMIT"),
    ];
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(text, expected)| (text.as_str(), *expected))
        .collect();
    check(&mut scratch, &cases).await;
    scratch.close();
}
