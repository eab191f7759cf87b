//! The events of one key, by the stream's entity index: the same rows as a scan gives.

mod scratch;

use headwater_eventlog::{Append, EventLog, Part};
use headwater_records::{Batch, Compression, Event};
use scratch::{Scratch, check};

/// An event as any writer may place it: with whichever key, in whichever partition.
fn place(log: &EventLog, partition: u32, key: &[u8], value: &str) {
    let event = Event {
        key: Some(key.to_vec().into()),
        value: Some(value.to_owned().into()),
        ..Event::default()
    };
    let append = Append {
        parts: vec![Part {
            stream: "moves".to_owned(),
            partition,
            batch: Batch::encode(&[event], Compression::None, None),
        }],
        principal: "kafka".to_owned(),
        condition: None,
    };
    log.append_blocking(append).expect("it is appended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_key_are_those_of_a_scan() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    let made = scratch
        .run(
            "CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT) KEY (account) WITH (partitions = 3);
             INSERT INTO moves VALUES ('ann', 1), ('bob', 2), ('ann', 3), ('eve', 4)",
            &[],
        )
        .await;
    assert_eq!(made, "INSERT 0 4");
    let log = scratch.log.clone();
    for partition in 0..3 {
        place(
            &log,
            partition,
            b"ann",
            &format!(r#"{{"account":"ann","amount":{}}}"#, 10 + partition),
        );
        // Of another account than its key says, one that fits no column, and one whose key is no text.
        place(&log, partition, b"ann", r#"{"account":"bob","amount":99}"#);
        place(&log, partition, b"ann", r#"{"account":"ann","amount":"much"}"#);
        place(&log, partition, b"\xff\x01", r#"{"account":"ann","amount":7}"#);
    }
    let written = log.position("moves").expect("the stream is there");
    let wheres = [
        "_key = 'ann'",
        "'ann' = _key",
        "_key IN ('ann', 'eve', 'nobody')",
        "_key = 'ann' OR _key = 'bob'",
        "_key = 'nobody'",
        "_key = '\\xff01'",
        "_key = NULL",
        "_key = 'ann' AND amount > 10",
        "_key = 'ann' AND _partition = 1",
    ];
    let ats = [
        String::new(),
        format!("FOR SYSTEM_TIME AS OF POSITION '{written}'"),
        "FOR SYSTEM_TIME AS OF POSITION 'moves/0@2,1@1'".to_owned(),
    ];
    for at in &ats {
        for wanted in wheres {
            let question = |column: &str| {
                let wanted = wanted.replace("_key", column);
                format!(
                    "SELECT account, amount, _key, _partition, _offset FROM moves {at} WHERE {wanted} ORDER BY _partition, _offset"
                )
            };
            let found = scratch.run(&question("_key"), &[]).await;
            // What is worked out is not looked up.
            let scanned = scratch.run(&question("concat(_key, '')"), &[]).await;
            let scanned = if wanted == "_key = NULL" {
                String::new()
            } else {
                scanned
            };
            assert_eq!(found, scanned, "{wanted} {at}");
        }
    }
    check(
        &mut scratch,
        &[
            ("SELECT count(*) FROM moves WHERE _key = 'ann'", "8"),
            (
                "EXPLAIN SELECT * FROM moves WHERE _key = 'ann'",
                "~EntityScan: stream=moves, keys=['ann']",
            ),
            (
                "EXPLAIN SELECT * FROM moves WHERE _key IN ('b', 'a')",
                "~keys=['a', 'b']",
            ),
            ("EXPLAIN SELECT * FROM moves WHERE _key = '\\xff01'", "~StreamScan"),
            ("EXPLAIN SELECT * FROM moves WHERE _key > 'ann'", "~StreamScan"),
            ("ALTER STREAM moves SET (entities = 'none')", "ALTER STREAM"),
            ("EXPLAIN SELECT * FROM moves WHERE _key = 'ann'", "~StreamScan"),
            ("SELECT count(*) FROM moves WHERE _key = 'ann'", "8"),
            ("ALTER STREAM moves SET (entities = 'indexed')", "ALTER STREAM"),
            ("SELECT count(*) FROM moves WHERE _key = 'ann'", "8"),
        ],
    )
    .await;
    scratch.close();
}
