//! Long questions: they end when their client cancels, goes or has no more time for them, and say how far they are.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::NoTls;

use crate::door::Door;
use crate::{check, run};

/// The runtime of a door's questions.
struct Questions(Runtime);

impl Questions {
    fn new() -> Questions {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Questions(runtime.expect("a runtime for questions"))
    }

    async fn door(&self) -> Door {
        Door::open(|options| options.questions = self.0.handle().clone()).await
    }

    /// Waits until something is asked there, or nothing.
    async fn wait_for(&self, is_asked: bool) {
        let metrics = self.0.metrics();
        let waited = async {
            while (metrics.num_alive_tasks() > 0) != is_asked {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(120), waited).await;
        waited.unwrap_or_else(|_| panic!("asked: {is_asked}, tasks: {}", metrics.num_alive_tasks()));
    }

    async fn close(self, door: Door) {
        door.close().await;
        self.0.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_ends_when_its_client_cancels_or_its_time_is_up() {
    let questions = Questions::new();
    let door = questions.door().await;
    let (client, _) = door.client().await;
    let long = "SELECT count(*) FROM generate_series(1, 10000000000) WHERE value % 7 = 8";
    let cancel = client.cancel_token();
    let canceling = async {
        questions.wait_for(true).await;
        cancel.cancel_query(NoTls).await.expect("the cancel is sent");
    };
    let began = Instant::now();
    tokio::join!(check(&client, long, &["57014"]), canceling);
    check(&client, "SELECT 1", &["1", "(1)"]).await;
    check(&client, "SET statement_timeout = 200", &["(0)"]).await;
    check(&client, long, &["57014"]).await;
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    questions.close(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_ends_with_its_client_or_its_time_though_it_has_no_end() {
    let endless = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    let questions = Questions::new();
    let door = questions.door().await;
    let startup = b"\0\0\0\x12\0\x03\0\0user\0ann\0\0";
    for goodbye in [&b""[..], &b"X\0\0\0\x04"[..]] {
        let mut stream = TcpStream::connect(("127.0.0.1", door.port)).await.expect("it connects");
        stream.write_all(startup).await.expect("it is sent");
        let length = u32::try_from(endless.len() + 5).expect("it is short");
        let query = [b"Q", &length.to_be_bytes()[..], endless.as_bytes(), b"\0"].concat();
        stream.write_all(&query).await.expect("it is sent");
        questions.wait_for(true).await;
        stream.write_all(goodbye).await.expect("it is sent");
        drop(stream);
        questions.wait_for(false).await;
    }
    let (client, _) = door.client().await;
    check(&client, "SET statement_timeout = 200", &["(0)"]).await;
    check(&client, endless, &["57014"]).await;
    questions.wait_for(false).await;
    questions.close(door).await;
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
    cancel.cancel_query(NoTls).await.expect("the cancel is sent");
    let (client, answer) = asked.await.expect("the question ends");
    assert_eq!(answer, ["57014"]);
    check(&client, "SELECT count(*) FROM s", &["300000", "(1)"]).await;
    door.close().await;
}
