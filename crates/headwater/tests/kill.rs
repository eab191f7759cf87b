//! kill -9, ten times, while an idempotent librdkafka producer loads the real ledger: nothing lost, nothing doubled.
//!
//! `HEADWATER_KILLS=50 cargo test -p headwater --test kill -- --nocapture` for more.

mod program;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use program::dice::{Dice, kills};
use program::{LEDGER_SQL, Program};
use rdkafka::producer::{FutureProducer, FutureRecord};

const KILLS: u64 = 10;

/// Where to kill: one moment in each part of the load.
fn moments(entries: usize) -> Vec<usize> {
    let (mut dice, kills) = (Dice::new(), kills(KILLS));
    let part = entries as u64 / kills;
    (0..kills)
        .map(|kill| (kill * part + dice.below(part)) as usize)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_lose_and_double_nothing() {
    let Some(entries) = program::ledger() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let data = folder.path().join("data");
    let mut program = Program::start(&application, &data);
    let doors = program.doors();
    let producer: FutureProducer = program
        .client()
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .set("batch.num.messages", "100")
        .set("message.timeout.ms", "120000")
        .set("retry.backoff.ms", "20")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .create()
        .expect("librdkafka starts");

    let moments = moments(entries.len());
    let mut next_kill = 0;
    let mut waiting = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let record = FutureRecord::to("ledger").key(&entry.account).payload(&entry.json);
        waiting.push(
            producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .expect("the queue has room"),
        );
        if index % 100 == 99 {
            // Lets batches go out, so that a kill finds some acknowledged, some on the way and some not sent.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        if moments.get(next_kill) == Some(&index) {
            next_kill += 1;
            program.kill();
            program = Program::start_at(&application, &data, doors);
        }
    }
    assert_eq!(next_kill, moments.len());

    let mut acknowledged: HashMap<(i32, i64), u64> = HashMap::new();
    for (delivery, entry) in waiting.into_iter().zip(&entries) {
        let delivery = delivery
            .await
            .expect("librdkafka answers")
            .expect("the entry is acknowledged in the end");
        let before = acknowledged.insert((delivery.partition, delivery.offset), entry.seq);
        assert_eq!(before, None, "an offset is acknowledged once");
    }

    let rows = program
        .sql("SELECT _partition, _offset, seq FROM ledger")
        .await
        .expect("the stream answers");
    assert_eq!(rows.len(), entries.len(), "every entry once");
    let mut seen: HashSet<u64> = HashSet::new();
    for row in &rows {
        let [partition, offset, seq] = [0, 1, 2].map(|column| row[column].as_deref().expect("a value"));
        let address = (
            partition.parse().expect("a partition"),
            offset.parse().expect("an offset"),
        );
        let seq: u64 = seq.parse().expect("a number");
        assert!(seen.insert(seq), "entry {seq} is there twice");
        assert_eq!(
            acknowledged.get(&address),
            Some(&seq),
            "what was acknowledged at {address:?} is there"
        );
    }

    let fold = "SELECT account, sum(amount), count(*) FROM ledger GROUP BY account ORDER BY account";
    let from_stream = program.sql(fold).await.expect("the stream answers");
    let view = "SELECT account, balance, entries FROM balances ORDER BY account";
    for _ in 0..1_800 {
        if program.sql(view).await.expect("the view answers") == from_stream {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the view does not equal its query over the stream after three minutes");
}
