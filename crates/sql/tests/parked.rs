//! Parked events after what kept them out was mended: tried again, each taken once.

mod scratch;

use bytes::Bytes;
use headwater_catalog::{ColumnType, SchemaChange};
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event};
use scratch::{Scratch, check};

/// Appends values as a Kafka client would, whatever the stream's columns say.
async fn append(scratch: &Scratch, stream: &str, values: &[&str]) {
    let event = |value: &&str| Event {
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..Event::default()
    };
    let events: Vec<Event> = values.iter().map(event).collect();
    let append = Append {
        parts: vec![Part {
            stream: stream.to_owned(),
            partition: 0,
            batch: Batch::encode(&events, Compression::None, None),
        }],
        principal: "kafka".to_owned(),
        condition: None,
    };
    scratch.log.append(append).await.expect("it is appended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_appends_late_what_it_can_take_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM raw WITH (partitions = 1)", "CREATE STREAM"),
            (
                "CREATE STREAM shares AS SELECT CAST(value->>'n' AS INTEGER) AS n, 100 / CAST(value->>'n' AS INTEGER) AS share FROM raw",
                "CREATE STREAM",
            ),
            (r#"INSERT INTO raw VALUES ('{"n": 4}'), ('{"n": 0}'), ('{"n": "x"}'), ('{"n": 5}')"#, "INSERT 0 4"),
            ("SELECT n, share FROM shares", "4|25\n5|20"),
            ("CALL replay_parked('shares')", "shares|0|2|nothing fits that did not"),
            (
                "CREATE OR REPLACE STREAM shares AS SELECT CAST(value->>'n' AS INTEGER) AS n, \
                 CASE WHEN value->>'n' = '0' THEN 0 ELSE 100 / CAST(value->>'n' AS INTEGER) END AS share FROM raw",
                "CREATE STREAM",
            ),
            ("SELECT n, share FROM shares", "4|25\n5|20"),
            ("CALL replay_parked('shares')", "shares|1|1|their results were appended behind the others"),
            ("SELECT n, share, _headers FROM shares WHERE n = 0", r#"0|0|{"headwater-from":"raw/0@1"}"#),
            ("CALL replay_parked('shares')", "shares|0|1|nothing fits that did not"),
            ("SELECT count(*) FROM shares", "3"),
            (
                "SELECT \"offset\", state FROM _headwater.parked WHERE reader = 'shares' ORDER BY _offset",
                "1|parked\n2|parked\n1|replayed",
            ),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CALL replay_parked('shares')", "shares|0|1|nothing fits that did not"),
            ("SELECT count(*) FROM shares", "3"),
            ("SHOW PIPELINES", "~|4|3|1"),
            (
                "CALL replay_parked('raw')",
                "~'raw' is a stream, and views and pipelines are what parks events",
            ),
            ("CALL replay_parked('nothing')", "~there is no stream or view 'nothing'"),
            (
                "CALL replay_parked(5)",
                "~replay_parked takes the name of a view or pipeline",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_has_what_fits_now_in_its_rows_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM s (k TEXT NOT NULL, n INTEGER NOT NULL) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS events FROM s GROUP BY k",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO s VALUES ('a', 1)", "INSERT 0 1"),
        ],
    )
    .await;
    append(
        &scratch,
        "s",
        &[r#"{"k":"a","n":3000000000}"#, r#"{"k":"a","n":"many"}"#],
    )
    .await;
    check(
        &mut scratch,
        &[
            ("INSERT INTO s VALUES ('a', 1)", "INSERT 0 1"),
            ("SELECT events FROM counts", "2"),
            ("CALL replay_parked('counts')", "counts|0|2|nothing fits that did not"),
        ],
    )
    .await;
    // A column that the view does not read becomes wider, and nobody says that events were parked for it.
    let wider = SchemaChange::Widen {
        column: "n".to_owned(),
        to: ColumnType::BigInt,
    };
    let catalog = scratch.engine.catalog().clone();
    let altered = catalog.alter_schema("s", vec![wider], "ALTER", false, "ann");
    altered.await.expect("it is altered");
    drop(catalog);
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, &[("SELECT events FROM counts", "2")]).await;
    let replayed = scratch.run("CALL replay_parked('counts')", &[]).await;
    assert!(
        replayed.starts_with("counts|1|1|the view 'counts' is built anew"),
        "{replayed}"
    );
    check(
        &mut scratch,
        &[
            ("SELECT events FROM counts", "3"),
            ("CALL replay_parked('counts')", "counts|0|1|nothing fits that did not"),
            ("SELECT events FROM counts", "3"),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, &[("SELECT events FROM counts", "3")]).await;
    scratch.close();
}

/// What a pipeline notes or parks would be its own next event, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn no_pipeline_feeds_itself_by_what_it_notes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM s (n INTEGER) WITH (partitions = 1)", "CREATE STREAM"),
            ("CREATE STREAM shares AS SELECT 10 / n AS share FROM s", "CREATE STREAM"),
            (
                "CREATE STREAM looped AS SELECT value FROM _headwater.pipelines WHERE false",
                "~42P17: ",
            ),
            (
                "CREATE STREAM looped AS SELECT 10 / (\"offset\" - \"offset\") AS x FROM _headwater.parked",
                "CREATE STREAM",
            ),
            (
                "CREATE STREAM told AS SELECT stream, reader, \"offset\" AS at FROM _headwater.parked",
                "CREATE STREAM",
            ),
            (
                "CREATE STREAM behind AS SELECT 10 / (at - at) AS x FROM told",
                "CREATE STREAM",
            ),
            ("INSERT INTO s VALUES (1), (0), (2), (0)", "INSERT 0 4"),
            ("SELECT share FROM shares ORDER BY share", "5\n10"),
        ],
    )
    .await;
    // Both have taken what there is, and parked it, and nothing comes of that.
    let begun = std::time::Instant::now();
    let is_taken = |pipelines: &str| {
        let parked = |name: &str| {
            pipelines
                .lines()
                .find(|line| line.starts_with(name))
                .is_some_and(|line| line.ends_with("|2|0|2"))
        };
        parked("looped|") && parked("behind|")
    };
    while !is_taken(&scratch.run("SHOW PIPELINES", &[]).await) {
        let now = scratch.run("SHOW PIPELINES", &[]).await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{now}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(is_taken(&scratch.run("SHOW PIPELINES", &[]).await));
    check(
        &mut scratch,
        &[
            ("SELECT reader, \"offset\" FROM _headwater.parked", "shares|1\nshares|3"),
            (
                "SELECT stream, reader, at FROM told ORDER BY at",
                "s|shares|1\ns|shares|3",
            ),
        ],
    )
    .await;
    scratch.close();
}
