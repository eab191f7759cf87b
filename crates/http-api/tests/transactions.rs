//! A Kafka producer's transaction as a service and a question see it: nothing of it while it is open, all of it once it is committed, nothing ever
//! where it was taken back.

#[expect(dead_code, reason = "other tests use all of it")]
mod door;

use door::Door;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event, Marker, Producer};
use serde_json::json;

/// An event worth so much, alone or, with a sequence, as part of a transaction.
fn worth(amount: i64, base_sequence: Option<i32>) -> Batch {
    let event = Event {
        value: Some(json!({"account": "a", "amount": amount}).to_string().into()),
        ..Event::default()
    };
    match base_sequence {
        None => Batch::encode(&[event], Compression::None, None),
        Some(base_sequence) => {
            let producer = Producer {
                id: 7,
                epoch: 0,
                base_sequence,
            };
            Batch::encode_transactional(&[event], Compression::None, producer)
        }
    }
}

async fn append(door: &Door, batch: Batch) {
    let part = Part {
        stream: "ledger".to_owned(),
        partition: 0,
        batch,
    };
    let append = Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    door.engine.log().append(append).await.expect("it is appended");
}

/// The amounts that each way of asking shows.
async fn check(door: &Door, amounts: &[i64]) {
    let sum: i64 = amounts.iter().sum();
    let page = door.get("/streams/ledger/events").await.json();
    let events = page["events"].as_array().expect("events");
    let read: Vec<i64> = events
        .iter()
        .filter_map(|event| event["value"]["amount"].as_i64())
        .collect();
    assert_eq!(read, amounts, "{page}");
    for question in [
        "SELECT sum(amount), count(*) FROM ledger",
        "SELECT total, events FROM totals",
    ] {
        let answer = door.sql(question).await.json();
        let expected = json!([[sum.to_string(), amounts.len().to_string()]]);
        let texts = |row: &serde_json::Value| -> Vec<String> {
            let values = row.as_array().into_iter().flatten();
            values
                .map(|value| value.to_string().trim_matches('"').to_owned())
                .collect()
        };
        let rows: Vec<Vec<String>> = answer["rows"].as_array().into_iter().flatten().map(texts).collect();
        assert_eq!(json!(rows), expected, "{question}: {answer}");
    }
    let row = door.get("/views/totals/a").await.body;
    assert!(row.contains(&sum.to_string()), "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_is_not_seen_and_what_was_taken_back_never() {
    let door = Door::open(|_| {}).await;
    door.sql("CREATE STREAM ledger (account TEXT NOT NULL, amount BIGINT NOT NULL) WITH (partitions = 1)")
        .await;
    door.sql("CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total, count(*) AS events FROM ledger GROUP BY account").await;
    append(&door, worth(1, None)).await;
    append(&door, worth(1_000, Some(0))).await;
    // What comes behind an open transaction waits for it: the order of a partition is one for all.
    append(&door, worth(2, None)).await;
    check(&door, &[1]).await;
    append(&door, Batch::encode_marker(Marker::Aborted, 7, 0, 0)).await;
    check(&door, &[1, 2]).await;
    append(&door, worth(40, Some(1))).await;
    check(&door, &[1, 2]).await;
    append(&door, Batch::encode_marker(Marker::Committed, 7, 0, 0)).await;
    check(&door, &[1, 2, 40]).await;
    door.close().await;
}
