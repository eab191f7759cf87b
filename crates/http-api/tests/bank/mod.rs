//! A bank: what several files of requests are made to.

use headwater_sql::Session;
use headwater_sql::parse::parse;

use crate::door::Door;

pub const JSON: &str = "Content-Type: application/json";

/// Streams, views and a command. They are defined past the door: that may take longer than a request may.
pub async fn bank(door: &Door) {
    let definitions = [
        "CREATE STREAM transactions (account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL) KEY (account) WITH (partitions = 2)",
        "CREATE STREAM notes WITH (partitions = 2)",
        "CREATE MATERIALIZED VIEW balances STORED AS document AS SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries FROM transactions GROUP BY account",
        "CREATE MATERIALIZED VIEW by_kind STORED AS document AS SELECT account, kind, count(*) AS entries FROM transactions GROUP BY account, kind",
        "CREATE VIEW rich AS SELECT * FROM balances WHERE balance > 50",
        "CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2)) INTO transactions REQUIRE amount > 0 ELSE 'the amount must be positive' REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds' AS SELECT account, 'withdrawal' AS kind, amount",
    ];
    let script = parse(&definitions.join(";\n"), "bank.sql").expect("the definitions parse");
    let applied = door.engine.apply(&Session::default(), &script).await;
    applied.expect("the definitions are applied");
}

/// A deposit as JSON.
pub fn deposit(account: &str, amount: &str) -> String {
    format!("{{\"account\":\"{account}\",\"kind\":\"deposit\",\"amount\":{amount}}}")
}
