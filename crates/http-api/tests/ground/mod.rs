//! Streams with and without an entity index: what appends under conditions are made to.

use crate::door::{Answer, Door};

pub const JSON: &str = "Content-Type: application/json";

/// Accounts with a key; seats with a key, a kind and tags; a stream without an index.
pub async fn open() -> Door {
    let door = Door::open(|_| {}).await;
    for statement in [
        "CREATE STREAM accounts (account TEXT NOT NULL, amount DECIMAL(18,2)) KEY (account) WITH (partitions = 2)",
        "CREATE STREAM seats (course TEXT, student TEXT, kind TEXT) KEY (course) KIND (kind) TAGS (course, student) WITH (partitions = 3)",
        "CREATE STREAM pairs (a TEXT, b INTEGER) KEY (a, b)",
        "CREATE STREAM notes WITH (entities = 'indexed')",
        "CREATE STREAM plain",
    ] {
        door.sql(statement).await;
    }
    door
}

/// An event of an account as JSON.
pub fn amount(account: &str, amount: &str) -> String {
    format!("{{\"account\":\"{account}\",\"amount\":{amount}}}")
}

/// The ETag of an answer.
pub fn etag(answer: &Answer) -> &str {
    answer.header("etag").unwrap_or_else(|| panic!("no ETag: {answer:?}"))
}
