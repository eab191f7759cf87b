//! A stream that was altered a thousand times: what is written grows with what changes, and a restart knows every version.

use std::path::Path;

use headwater_catalog::{
    CATALOG_STREAM, Catalog, Column, ColumnType, CreateMode, Defined, Definition, SchemaChange, StreamDefinition,
    Upcasting,
};
use headwater_eventlog::{Append, EventLog, LogOptions, Part};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event};

const ALTERATIONS: u32 = 1_000;

fn open(folder: &Path) -> (EventLog, Catalog) {
    let options = LogOptions {
        journal_bytes: 4 << 20,
        segment_bytes: 4 << 20,
        tend_every: std::time::Duration::from_secs(3600),
        ..LogOptions::default()
    };
    let (log, _) = EventLog::open(Host::real(), folder, options).expect("the log opens");
    let catalog = Catalog::open(log.clone()).expect("the catalog opens");
    (log, catalog)
}

fn column(name: &str) -> Column {
    Column {
        default: Some("\"x\"".to_owned()),
        ..Column::new(name, ColumnType::Text, true)
    }
}

/// Mostly columns that come; now and then one that is renamed, one that goes, and an upcaster.
fn change(number: u32) -> SchemaChange {
    match number % 10 {
        7 => SchemaChange::Rename {
            from: format!("c{}", number - 1),
            to: format!("renamed{number}"),
        },
        8 => SchemaChange::Drop {
            column: format!("c{}", number - 3),
            if_exists: false,
        },
        // Set on a version that has ended, whose columns are those that count.
        9 => SchemaChange::Upcast(Upcasting {
            from: number / 2 + 1,
            query: format!("SELECT * FROM s -- {number}"),
            columns: None,
        }),
        _ => SchemaChange::Add {
            column: column(&format!("c{number}")),
            if_not_exists: false,
        },
    }
}

/// One event into `s`, so that each version ends at an offset of its own.
async fn append(log: &EventLog) {
    let event = Event {
        key: None,
        value: Some("{}".into()),
        headers: Vec::new(),
        timestamp_ms: 0,
    };
    let part = Part {
        stream: "s".to_owned(),
        partition: 0,
        batch: Batch::encode(&[event], Compression::None, None),
    };
    let append = Append {
        parts: vec![part],
        principal: String::new(),
        condition: None,
    };
    log.append(append).await.expect("appended");
}

/// The bytes of the events of definitions, one after another.
fn written(log: &EventLog) -> Vec<usize> {
    let end = log.offsets(CATALOG_STREAM, 0).expect("it is there").high_watermark;
    let mut bytes: Vec<usize> = Vec::new();
    while (bytes.len() as u64) < end {
        for stored in log
            .read(CATALOG_STREAM, 0, bytes.len() as u64, 1 << 20)
            .expect("it reads")
        {
            bytes.push(stored.batch.bytes().len());
        }
    }
    bytes
}

#[test]
fn a_stream_is_altered_a_thousand_times_and_each_of_its_versions_is_known_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime starts");
    let (log, catalog) = open(folder.path());
    let stream = StreamDefinition {
        columns: Some(vec![Column::new("k", ColumnType::Text, false)]),
        key: vec!["k".to_owned()],
        statement: "CREATE STREAM s …".to_owned(),
        ..StreamDefinition::schema_free("s", 1)
    };
    let expected: Vec<StreamDefinition> = runtime.block_on(async {
        let defined = catalog
            .define(Definition::Stream(stream), CreateMode::Create, "ann")
            .await;
        assert_eq!(defined.expect("taken"), Defined::Created);
        let mut expected: Vec<StreamDefinition> = Vec::new();
        for number in 0..ALTERATIONS {
            append(&log).await;
            let altered = catalog
                .alter_schema("s", vec![change(number)], &format!("ALTER {number}"), false, "ann")
                .await;
            assert_eq!(altered.expect("taken"), Defined::Replaced, "{number}");
            if number % 50 == 49 {
                expected.push(catalog.stream("s").expect("it is there").as_ref().clone());
            }
        }
        expected
    });
    let last = expected.last().expect("the last one");
    assert_eq!(last.version(), ALTERATIONS * 9 / 10 + 1);
    let bytes = written(&log);
    assert_eq!(bytes.len() as u32, ALTERATIONS + 1);
    let longest = bytes.iter().max().expect("some");
    assert!(*longest < 600, "an alteration is written in {longest} bytes");
    drop(catalog);
    log.close();
    drop(log);

    let (log, catalog) = open(folder.path());
    let found = catalog.stream("s").expect("it is there");
    assert_eq!(found.as_ref(), last);
    // What a version was when it was the newest it still is.
    for then in &expected {
        let version = then.version();
        assert_eq!(found.columns_of(version), then.columns.as_deref(), "version {version}");
        let offset = found
            .earlier
            .get(version as usize - 1)
            .map_or(u64::from(ALTERATIONS), |ended| ended.until[0]);
        assert_eq!(found.version_at(0, offset.saturating_sub(1)), version, "at {offset}");
    }
    log.close();
}
