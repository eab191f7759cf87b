//! Cursors of SQL: declared, fetched from and closed, by texts of statements and by prepared ones.

use crate::check;
use crate::door::Door;

const NUMBERS: &str = "SELECT i FROM generate_series(1, 5) AS t(i)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_fetched_some_at_a_time() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, &format!("DECLARE c CURSOR FOR {NUMBERS}"), &["25P01"]).await;
    check(&client, "FETCH 1 FROM c", &["34000"]).await;
    check(&client, "BEGIN", &["(0)"]).await;
    check(&client, &format!("DECLARE c NO SCROLL CURSOR FOR {NUMBERS}"), &["(0)"]).await;
    check(&client, "FETCH 2 FROM c", &["1", "2", "(2)"]).await;
    check(&client, "SELECT 7", &["7", "(1)"]).await;
    check(&client, "FETCH c", &["3", "(1)"]).await;
    check(&client, "FETCH FORWARD ALL FROM c", &["4", "5", "(2)"]).await;
    check(&client, "FETCH 1 FROM c", &["(0)"]).await;
    check(&client, "CLOSE c", &["(0)"]).await;
    check(&client, &format!("DECLARE c CURSOR FOR {NUMBERS}"), &["(0)"]).await;
    check(&client, "COMMIT", &["(0)"]).await;
    check(&client, "FETCH 1 FROM c", &["34000"]).await;
    // One that is held outlives the block, and goes when the session lets it go.
    check(&client, &format!("DECLARE h CURSOR WITH HOLD FOR {NUMBERS}"), &["(0)"]).await;
    check(
        &client,
        &format!("DECLARE h CURSOR WITH HOLD FOR {NUMBERS}"),
        &["42P03"],
    )
    .await;
    check(&client, "FETCH 3 FROM h", &["1", "2", "3", "(3)"]).await;
    check(&client, "FETCH BACKWARD 1 FROM h", &["0A000"]).await;
    check(&client, "CLOSE ALL", &["(0)"]).await;
    check(&client, "FETCH 1 FROM h", &["34000"]).await;
    check(&client, "DECLARE e CURSOR WITH HOLD FOR SELECT nothing", &["42703"]).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_have_parameters_and_rows_of_either_format() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    client.batch_execute("BEGIN").await.expect("a block opens");
    let declare =
        "DECLARE c CURSOR FOR SELECT i, 'x' || i AS t FROM generate_series(1, 100) AS t(i) WHERE i > $1::bigint";
    client.execute(declare, &[&90_i64]).await.expect("it is declared");
    // Prepared statements ask for binary rows.
    let mut sum = 0;
    for (rows, expected) in [("4", 4), ("100", 6), ("1", 0)] {
        let rows = client
            .query(&format!("FETCH FORWARD {rows} FROM c"), &[])
            .await
            .expect("rows come");
        assert_eq!(rows.len(), expected);
        for row in rows {
            let (number, text): (i64, &str) = (row.get(0), row.get(1));
            assert_eq!(text, format!("x{number}"));
            sum += number;
        }
    }
    assert_eq!(sum, (91..=100).sum::<i64>());
    client.batch_execute("CLOSE c; COMMIT").await.expect("the block ends");
    let unknown = client.query("FETCH 1 FROM c", &[]).await.expect_err("it is closed");
    assert_eq!(unknown.code().map(|code| code.code()), Some("34000"));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_are_bounded_as_portals_are() {
    let door = Door::open(|options| options.prepared_max = 2).await;
    let (client, _) = door.client().await;
    check(&client, "BEGIN", &["(0)"]).await;
    check(&client, "DECLARE a CURSOR FOR SELECT 1", &["(0)"]).await;
    check(&client, "DECLARE b CURSOR FOR SELECT 1", &["(0)"]).await;
    check(&client, "DECLARE c CURSOR FOR SELECT 1", &["54000"]).await;
    door.close().await;
}
