//! Long questions: they end when their client cancels, goes or has no more time for them, and say how far they are.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::door::Door;
use crate::{check, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_ends_when_its_client_cancels_or_its_time_is_up() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    let long = "SELECT count(*) FROM generate_series(1, 10000000000) WHERE value % 7 = 8";
    let cancel = client.cancel_token();
    let canceling = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel_query(tokio_postgres::NoTls).await
    });
    let began = Instant::now();
    check(&client, long, &["57014"]).await;
    canceling.await.unwrap().expect("the cancel is sent");
    check(&client, "SELECT 1", &["1", "(1)"]).await;
    check(&client, "SET statement_timeout = 200", &["(0)"]).await;
    check(&client, long, &["57014"]).await;
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_ends_with_its_client_or_its_time_though_it_has_no_end() {
    let endless = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    let questions = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let questions = questions.expect("a runtime for questions");
    let metrics = questions.metrics();
    let wait_for = async |is_asked: bool| {
        let waited = async {
            while (metrics.num_alive_tasks() > 0) != is_asked {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(120), waited).await;
        waited.unwrap_or_else(|_| panic!("asked: {is_asked}, tasks: {}", metrics.num_alive_tasks()));
    };
    let door = Door::open(|options| options.questions = questions.handle().clone()).await;
    let startup = b"\0\0\0\x12\0\x03\0\0user\0ann\0\0";
    for goodbye in [&b""[..], &b"X\0\0\0\x04"[..]] {
        let mut stream = TcpStream::connect(("127.0.0.1", door.port)).await.expect("it connects");
        stream.write_all(startup).await.expect("it is sent");
        let length = u32::try_from(endless.len() + 5).expect("it is short");
        let query = [b"Q", &length.to_be_bytes()[..], endless.as_bytes(), b"\0"].concat();
        stream.write_all(&query).await.expect("it is sent");
        wait_for(true).await;
        stream.write_all(goodbye).await.expect("it is sent");
        drop(stream);
        wait_for(false).await;
    }
    let (client, _) = door.client().await;
    check(&client, "SET statement_timeout = 200", &["(0)"]).await;
    check(&client, endless, &["57014"]).await;
    wait_for(false).await;
    door.close().await;
    questions.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_wants_to_know_is_told_how_far_its_question_is() {
    let door = Door::open(|_| {}).await;
    let (client, notices) = door.client().await;
    check(&client, "CREATE STREAM s (n BIGINT) WITH (partitions = 1)", &["(0)"]).await;
    check(
        &client,
        "INSERT INTO s SELECT value FROM generate_series(1, 300000)",
        &["(300000)"],
    )
    .await;
    check(&client, "SET headwater.progress = on", &["(0)"]).await;
    // Each batch of events that is read is compared with many numbers: the rest waits to be read.
    let slow =
        "SELECT count(*) FROM generate_series(1, 100000) AS g(value) CROSS JOIN s WHERE g.value % 1000003 + s.n < 0";
    let cancel = client.cancel_token();
    let asked = tokio::spawn(async move {
        let answer = run(&client, slow).await;
        (client, answer)
    });
    let told = async {
        while !notices
            .lock()
            .unwrap()
            .contains(&("NOTICE".to_owned(), "HW001".to_owned()))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), told)
        .await
        .expect("it is told");
    cancel
        .cancel_query(tokio_postgres::NoTls)
        .await
        .expect("the cancel is sent");
    let (client, answer) = asked.await.expect("the question ends");
    assert_eq!(answer, ["57014"]);
    check(&client, "SELECT count(*) FROM s", &["300000", "(1)"]).await;
    door.close().await;
}
