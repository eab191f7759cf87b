//! The real ledger: every entry of a bank's book goes in by librdkafka, and every balance comes out as the bank printed it.
//!
//! The oracle is the bank's own running balance after each entry. It rounded interest, so that sums drift by up to 0.80: 1.00 is the tolerance.

mod program;

use std::collections::HashMap;
use std::time::Duration;

use program::{Entry, LEDGER_SQL, Program};
use rdkafka::producer::{FutureProducer, FutureRecord};

const ENTRIES: usize = 46_997;
const ACCOUNTS: usize = 1_229;
const TOLERANCE: f64 = 1.00;

/// The balance the bank printed last for each account, of the entries that `keep` keeps.
fn printed(entries: &[Entry], keep: impl Fn(&Entry) -> bool) -> HashMap<String, f64> {
    let mut balances: HashMap<String, f64> = HashMap::new();
    for entry in entries.iter().filter(|entry| keep(entry)) {
        balances.insert(entry.account.clone(), entry.balance_printed);
    }
    balances
}

fn assert_balances(way: &str, rows: &[Vec<Option<String>>], expected: &HashMap<String, f64>) {
    assert_eq!(rows.len(), expected.len(), "{way}: as many accounts as the bank has");
    for row in rows {
        let account = row[0].as_deref().expect("an account");
        let balance: f64 = row[1].as_deref().expect("a balance").parse().expect("a number");
        let printed = expected
            .get(account)
            .unwrap_or_else(|| panic!("{way}: the bank knows no account {account}"));
        assert!(
            (balance - printed).abs() <= TOLERANCE,
            "{way}: account {account} is {balance}, the bank printed {printed}"
        );
    }
}

async fn produce(program: &Program, entries: &[Entry]) {
    let producer: FutureProducer = program
        .client()
        .set("linger.ms", "5")
        .create()
        .expect("librdkafka starts");
    let mut waiting = Vec::new();
    for entry in entries {
        let record = FutureRecord::to("ledger").key(&entry.account).payload(&entry.json);
        waiting.push(
            producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .expect("the queue has room"),
        );
    }
    for delivery in waiting {
        delivery
            .await
            .expect("librdkafka answers")
            .expect("the entry is acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_balance_is_the_one_the_bank_printed() {
    let Some(entries) = program::ledger() else { return };
    assert_eq!(entries.len(), ENTRIES);
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let program = Program::start(&application, &folder.path().join("data"));
    produce(&program, &entries).await;

    let expected = printed(&entries, |_| true);
    assert_eq!(expected.len(), ACCOUNTS);
    wait_until_folded(&program).await;

    let rows = program
        .sql("SELECT account, balance FROM balances")
        .await
        .expect("the view answers");
    assert_balances("view through PostgreSQL", &rows, &expected);

    let rows = program
        .sql("SELECT account, sum(amount) AS balance FROM ledger GROUP BY account")
        .await
        .expect("the stream answers");
    assert_balances("the same SELECT over the stream", &rows, &expected);

    let mut by_key: Vec<Vec<Option<String>>> = Vec::new();
    for account in expected.keys() {
        let (status, body) = program.request("GET", &format!("/views/balances/{account}"), &[], b"");
        assert_eq!(status, 200, "{body}");
        let row: serde_json::Value = serde_json::from_str(&body).expect("a row is JSON");
        let balance = row["balance"].to_string();
        by_key.push(vec![Some(account.clone()), Some(balance.trim_matches('"').to_owned())]);
    }
    assert_balances("view through HTTP by key", &by_key, &expected);

    let of_1993 = printed(&entries, |entry| entry.date.starts_with("1993"));
    let rows = program
        .sql("SELECT account, balance FROM balances FOR BUSINESS_TIME AS OF DATE '1993-12-31'")
        .await
        .expect("the rewind answers");
    assert_balances("the end of 1993", &rows, &of_1993);

    let before_any = program
        .sql("SELECT account, balance FROM balances FOR SYSTEM_TIME AS OF TIMESTAMP '2000-01-01 00:00:00'")
        .await
        .expect("the rewind answers");
    assert_eq!(before_any.len(), 0, "nothing had been appended in the year 2000");
}

async fn wait_until_folded(program: &Program) {
    for _ in 0..1_800 {
        if program.number("SELECT coalesce(sum(entries), 0) FROM balances").await == ENTRIES as i64 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the view did not fold {ENTRIES} entries within three minutes");
}
