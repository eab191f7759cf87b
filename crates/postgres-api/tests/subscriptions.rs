//! SUBSCRIBE over the wire: rows flow until the client has enough.

#[expect(dead_code, reason = "other tests use all of it")]
mod door;

use std::time::Duration;

use door::Door;
use futures::{StreamExt, pin_mut};
use tokio_postgres::SimpleQueryMessage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_flow_until_they_are_canceled() {
    let door = Door::open(|_| {}).await;
    let (writer, _) = door.client().await;
    let (reader, _) = door.client().await;
    let definitions = "CREATE STREAM s (k TEXT NOT NULL, n INTEGER NOT NULL) KEY (k) WITH (partitions = 1);
         CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS total FROM s GROUP BY k;
         INSERT INTO s VALUES ('a', 1)";
    writer.simple_query(definitions).await.expect("it is defined");
    reader
        .simple_query("SET statement_timeout = '4s'")
        .await
        .expect("it is set");
    let rows = reader.simple_query_raw("SUBSCRIBE TO v").await.expect("it begins");
    pin_mut!(rows);
    let mut told: Vec<String> = Vec::new();
    for n in 2..6 {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(60), rows.next());
            let message = next
                .await
                .expect("something is told")
                .expect("there is more")
                .expect("a row");
            if let SimpleQueryMessage::Row(row) = message {
                if row.get("_change") == Some("position") {
                    // The view may not have folded yet what was appended.
                    match told.len() + 1 < n {
                        true => continue,
                        false => break,
                    }
                }
                told.push(format!(
                    "{}={}",
                    row.get("k").unwrap_or(""),
                    row.get("total").unwrap_or("")
                ));
            }
        }
        // The reader's time limit for statements passes meanwhile.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        writer
            .simple_query(&format!("INSERT INTO s VALUES ('a', {n})"))
            .await
            .expect("it is appended");
    }
    assert_eq!(told, ["a=1", "a=3", "a=6", "a=10"]);
    let cancel = reader.cancel_token();
    cancel.cancel_query(tokio_postgres::NoTls).await.expect("it is told");
    let error = loop {
        match tokio::time::timeout(Duration::from_secs(60), rows.next())
            .await
            .expect("it ends")
        {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("it ends with an error"),
        }
    };
    assert_eq!(error.code().map(|code| code.code()), Some("57014"));

    // With parameters and a limit of rows at once: a portal.
    let (mut paged, _) = door.client().await;
    let statement = paged
        .prepare("SUBSCRIBE TO v WHERE k = 'a'")
        .await
        .expect("it is prepared");
    assert_eq!(
        statement
            .columns()
            .iter()
            .map(|column| column.name())
            .collect::<Vec<_>>(),
        ["_position", "_change", "k", "total"]
    );
    let transaction = paged.transaction().await.expect("a block");
    let portal = transaction.bind(&statement, &[]).await.expect("it is bound");
    let first = transaction.query_portal(&portal, 1).await.expect("a row");
    assert_eq!(
        (
            first.len(),
            first[0].get::<_, &str>("_change"),
            first[0].get::<_, &str>("k")
        ),
        (1, "upsert", "a")
    );
    let second = transaction.query_portal(&portal, 1).await.expect("a row");
    assert_eq!(second[0].get::<_, &str>("_change"), "position");
}
