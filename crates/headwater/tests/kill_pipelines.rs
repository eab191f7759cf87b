//! kill -9, again and again, while events go through two pipelines in a chain, the first of which joins a view, and through the changes of a view:
//! each event has one result at the end.

mod program;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use program::Program;
use tokio::sync::mpsc;
use tokio_postgres::NoTls;

const KILLS: usize = 5;
/// How long everything may take to have come through in the end.
const THROUGH_MAX: Duration = Duration::from_secs(90);

const APPLICATION: &str = "
CREATE STREAM names (id BIGINT NOT NULL, name TEXT NOT NULL) KEY (id);
CREATE MATERIALIZED VIEW named AS SELECT id, max(name) AS name FROM names GROUP BY id;
CREATE STREAM visits (number BIGINT NOT NULL, id BIGINT NOT NULL) WITH (partitions = 3);
CREATE STREAM greeted KEY (id) AS SELECT v.number, v.id, n.name FROM visits v LEFT JOIN named n ON n.id = v.id;
CREATE STREAM halves WITH (partitions = 2) AS SELECT number, name, 100 / (number % 10) AS share FROM greeted WHERE number % 2 = 0;
CREATE MATERIALIZED VIEW visited AS SELECT id, count(*) AS visits FROM visits GROUP BY id;
CREATE STREAM steps KEY (id) AS SELECT id, visits FROM CHANGES OF visited;
CREATE MATERIALIZED VIEW by_name AS SELECT name, count(*) AS visits FROM greeted GROUP BY name;
";

/// Appends visits, some with an INSERT each, until the program is gone; `done` hears of every answer. How many were answered for, and how many sent.
async fn load(postgres: SocketAddr, from: u64, done: mpsc::Sender<()>) -> u64 {
    let config = format!("host=127.0.0.1 port={} user=test dbname=test", postgres.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("the door is open");
    let connection = tokio::spawn(connection);
    let mut number = from;
    loop {
        let rows: Vec<String> = (number..number + 7)
            .map(|number| format!("({number}, {})", number % 5))
            .collect();
        number += 7;
        let answer = client
            .simple_query(&format!("INSERT INTO visits VALUES {}", rows.join(", ")))
            .await;
        if answer.is_err() || done.send(()).await.is_err() {
            break;
        }
    }
    drop(client);
    // The program was killed: how the connection ended says nothing.
    let _ = connection.await;
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_neither_lose_nor_double_a_result() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), APPLICATION);
    let data = folder.path().join("data");
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .subsec_nanos();
    let mut program = Program::start(&application, &data);
    let doors = program.doors();
    let names = "INSERT INTO names VALUES (0, 'zoe'), (1, 'ann'), (2, 'bob'), (3, 'cid')";
    program.sql(names).await.expect("names are appended");
    let mut number = 0;
    for kill in 0..KILLS {
        let (done, mut answered) = mpsc::channel(1);
        let loading = tokio::spawn(load(doors[1], number, done));
        for _ in 0..20 + (u64::from(nanos) + kill as u64 * 17) % 40 {
            answered.recv().await.expect("the program answers");
        }
        program.kill();
        while answered.recv().await.is_some() {}
        number = loading.await.expect("the load ends");
        program = Program::start_at(&application, &data, doors);
    }
    let until = Instant::now() + THROUGH_MAX;
    let lag = "SHOW PIPELINES";
    while program
        .sql(lag)
        .await
        .expect("it answers")
        .iter()
        .any(|row| row[4].as_deref() != Some("0") || row[2].as_deref() != Some("running"))
    {
        assert!(Instant::now() < until, "{:?}", program.sql(lag).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let one = |rows: Vec<Vec<Option<String>>>| rows[0].iter().flatten().cloned().collect::<Vec<String>>();
    let count = async |question: &str| one(program.sql(question).await.expect("an answer"));
    let visits = count("SELECT count(*), count(DISTINCT number), sum(number) FROM visits").await;
    assert_eq!(visits[0], visits[1], "each INSERT was sent once");
    assert_eq!(
        visits,
        count("SELECT count(*), count(DISTINCT number), sum(number) FROM greeted").await
    );
    let halves = count(
        "SELECT count(*), count(DISTINCT number), sum(number) FROM visits WHERE number % 2 = 0 AND number % 10 <> 0",
    )
    .await;
    assert_eq!(
        halves,
        count("SELECT count(*), count(DISTINCT number), sum(number) FROM halves").await
    );
    let tens = count("SELECT count(*) FROM visits WHERE number % 10 = 0").await;
    assert_eq!(
        tens,
        count("SELECT count(*) FROM _headwater.parked WHERE reader = 'halves'").await
    );
    assert_eq!(
        ["0"].as_slice(),
        count("SELECT count(*) FROM greeted WHERE id < 4 AND name IS NULL").await
    );
    assert_eq!(
        ["0"].as_slice(),
        count("SELECT count(*) FROM greeted WHERE id = 4 AND name IS NOT NULL").await
    );
    // Each visit is one step of its row: 1, 2, 3, … and none of them twice.
    let steps = "SELECT id, count(*) AS visits FROM steps GROUP BY id HAVING count(*) = count(DISTINCT visits) AND count(*) = max(visits) ORDER BY id";
    let stepped = program.sql(steps).await.expect("an answer");
    let visited = program
        .sql("SELECT id, count(*) AS visits FROM visits GROUP BY id ORDER BY id")
        .await;
    assert_eq!(stepped, visited.expect("an answer"));
    let summed = count("SELECT sum(visits) FROM by_name").await;
    assert_eq!(summed[0], visits[0], "a view over the results has each once");
}
