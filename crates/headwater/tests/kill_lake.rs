//! kill -9, again and again, while two columnar views are written: each event is in the one once, and in the sums of the other.

mod program;

use std::time::Duration;

use program::Program;

const KILLS: u64 = 6;
const INSERTS: i64 = 12;

const APPLICATION: &str = "
CREATE STREAM purchases (n BIGINT NOT NULL, store TEXT NOT NULL) WITH (partitions = 3);
CREATE MATERIALIZED VIEW history STORED AS columnar PARTITIONED BY (store) WITH (every = '20 ms') AS SELECT n, store FROM purchases;
CREATE MATERIALIZED VIEW sums STORED AS columnar WITH (every = '20 ms') AS SELECT store, count(*) AS entries, sum(n) AS total FROM purchases GROUP BY store;
";

/// Whenever the program is killed: between a file and its commit, between a commit and what is known of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_in_the_tables_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let application = folder.path().join("app.sql");
    std::fs::write(&application, APPLICATION).expect("the application is written");
    let data = folder.path().join("data");
    let mut next = 0_i64;
    for kill in 0..KILLS {
        let program = Program::start(&application, &data);
        for _ in 0..INSERTS {
            let rows: Vec<String> = (next..next + 10).map(|n| format!("({n}, 'store {}')", n % 3)).collect();
            let insert = format!("INSERT INTO purchases VALUES {}", rows.join(", "));
            program.sql(&insert).await.expect("an insert");
            next += 10;
            tokio::time::sleep(Duration::from_millis(kill * 3)).await;
        }
        program.kill();
    }
    let program = Program::start(&application, &data);
    let history = program
        .sql("SELECT count(*), count(DISTINCT n), sum(n) FROM history")
        .await;
    let expected = vec![
        [next, next, next * (next - 1) / 2]
            .map(|number| Some(number.to_string()))
            .to_vec(),
    ];
    assert_eq!(history.expect("rows"), expected);
    let sums = program.sql("SELECT sum(entries), sum(total) FROM sums").await;
    let expected = vec![
        [next, next * (next - 1) / 2]
            .map(|number| Some(number.to_string()))
            .to_vec(),
    ];
    assert_eq!(sums.expect("rows"), expected);
    let stored = std::fs::read_dir(data.join("views").join("history")).expect("the view's folder");
    assert_eq!(stored.count(), 1, "one version of the view has one folder");
}
