//! kill -9 at any moment while views of every shape are built anew: after each start the version before is asked, whole, until the new one takes its place,
//! and in the end each view is what its query gives over the stream.
//!
//! A few kills in every run of the tests; `HEADWATER_KILLS=50 cargo test -p headwater --test kill_rebuild -- --nocapture` for more, `HEADWATER_SEED` for the
//! same moments.

mod program;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use program::dice::{Dice, kills};
use program::{Program, as_config};
use tokio_postgres::NoTls;

const KILLS: u64 = 4;
const EVENTS: u64 = 12_000;
/// How long everything may take to be built in the end.
const BUILT_MAX: Duration = Duration::from_secs(120);

const APPLICATION: &str = "
CREATE STREAM s (n BIGINT NOT NULL, k TEXT NOT NULL, other TEXT NOT NULL, words TEXT) KEY (k) WITH (partitions = 3);
CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
CREATE MATERIALIZED VIEW newest STORED AS document KEY (k) AS SELECT k, n FROM s;
CREATE MATERIALIZED VIEW lists STORED AS document AS SELECT k, array_agg(n) AS numbers, count(DISTINCT other) AS others FROM s GROUP BY k;
CREATE MATERIALIZED VIEW found STORED AS search (words TEXT) AS SELECT k, max(words) AS words FROM s GROUP BY k;
CREATE MATERIALIZED VIEW edges STORED AS graph (SOURCE k, DESTINATION other) AS SELECT k, other, count(*) AS times FROM s GROUP BY k, other;
CREATE MATERIALIZED VIEW history STORED AS columnar WITH (every = '50 ms') AS SELECT n, k FROM s;
CREATE MATERIALIZED VIEW merged STORED AS columnar WITH (every = '50 ms') AS SELECT other, sum(n) AS total FROM s GROUP BY other;
CREATE MATERIALIZED VIEW image STORED AS memory AS SELECT other, count(*) AS events FROM s GROUP BY other;
";

/// The views; what is asked of each, and what gives the same over the stream. The last is in memory alone, and not there right after a start.
const VIEWS: [(&str, &str, &str); 8] = [
    (
        "sums",
        "SELECT count(*), sum(total), sum(events) FROM sums",
        "SELECT count(DISTINCT k), sum(n), count(*) FROM s",
    ),
    (
        "newest",
        "SELECT count(*), sum(n) FROM newest",
        "SELECT count(*), sum(n) FROM (SELECT k, max(n) AS n FROM s GROUP BY k) AS m",
    ),
    (
        "lists",
        "SELECT count(e), sum(e), (SELECT sum(others) FROM lists) FROM (SELECT unnest(numbers) AS e FROM lists) AS elements",
        "SELECT count(*), sum(n), (SELECT sum(others) FROM (SELECT count(DISTINCT other) AS others FROM s GROUP BY k) AS g) FROM s",
    ),
    (
        "found",
        "SELECT count(*) FROM search('found', 'word7')",
        "SELECT count(DISTINCT k) FROM s WHERE words = 'word7'",
    ),
    (
        "edges",
        "SELECT count(*), sum(times) FROM edges",
        "SELECT count(DISTINCT k || ' ' || other), count(*) FROM s",
    ),
    (
        "history",
        "SELECT count(*), sum(n) FROM history",
        "SELECT count(*), sum(n) FROM s",
    ),
    (
        "merged",
        "SELECT count(*), sum(total) FROM merged",
        "SELECT count(DISTINCT other), sum(n) FROM s",
    ),
    (
        "image",
        "SELECT count(*), sum(events) FROM image",
        "SELECT count(DISTINCT other), count(*) FROM s",
    ),
];

async fn append(program: &Program, from: u64, upto: u64) {
    let row = |n: u64| format!("({n}, 'key {}', 'other {}', 'word{}')", n % 613, n % 97, n % 613 % 10);
    for first in (from..upto).step_by(1_000) {
        let rows: Vec<String> = (first..upto.min(first + 1_000)).map(row).collect();
        let insert = format!("INSERT INTO s VALUES {}", rows.join(", "));
        program.sql(&insert).await.expect("events are appended");
    }
}

/// What is asked of the first so many views is what the stream gives: at once where nothing was appended since the program started, else soon.
async fn check(program: &Program, views: usize, when: &str, is_at_once: bool) {
    for (view, question, over_stream) in &VIEWS[..views] {
        let begun = Instant::now();
        loop {
            let found = program.sql(question).await;
            let found = found.unwrap_or_else(|error| panic!("{view}, {when}: {error:?}"));
            let expected = program.sql(over_stream).await.expect("the stream answers");
            if is_at_once || begun.elapsed() > BUILT_MAX {
                assert_eq!(found, expected, "{view}, {when}");
            }
            if found == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Has every view built anew, and is gone when the program is.
async fn rebuild(postgres: SocketAddr) {
    let Ok((client, connection)) = tokio_postgres::connect(&as_config(postgres), NoTls).await else {
        return;
    };
    let connection = tokio::spawn(connection);
    for (view, ..) in VIEWS {
        if client
            .simple_query(&format!("ALTER MATERIALIZED VIEW {view} REBUILD"))
            .await
            .is_err()
        {
            break;
        }
    }
    drop(client);
    // The program was killed: how the connection ended says nothing.
    let _ = connection.await;
}

async fn all_built(program: &Program) {
    let begun = Instant::now();
    loop {
        let shown = program.sql("SHOW VIEWS").await.expect("it answers");
        if shown.iter().all(|row| row[2].as_deref() == Some("running")) {
            return;
        }
        assert!(begun.elapsed() < BUILT_MAX, "{shown:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_while_views_are_built_anew() {
    let kills = kills(KILLS);
    let mut dice = Dice::new();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), APPLICATION);
    let data = folder.path().join("data");
    let mut program = Program::start(&application, &data);
    let doors = program.doors();
    append(&program, 0, EVENTS).await;
    all_built(&program).await;
    check(&program, VIEWS.len(), "before", false).await;
    let mut next = EVENTS;
    for kill in 0..kills {
        let rebuilding = tokio::spawn(rebuild(doors[1]));
        tokio::time::sleep(Duration::from_millis(dice.below(1_500))).await;
        program.kill();
        rebuilding.await.expect("it ends");
        program = Program::start_at(&application, &data, doors);
        check(&program, VIEWS.len() - 1, &format!("after kill {kill}"), true).await;
        append(&program, next, next + 100).await;
        next += 100;
        if kill % 2 == 1 {
            all_built(&program).await;
            check(&program, VIEWS.len(), &format!("built after kill {kill}"), false).await;
        }
    }
    all_built(&program).await;
    check(&program, VIEWS.len(), "in the end", false).await;
    for (view, ..) in VIEWS {
        let versions = || std::fs::read_dir(data.join("views").join(view)).map_or(0, Iterator::count);
        let begun = Instant::now();
        while versions() > 1 {
            assert!(begun.elapsed() < BUILT_MAX, "{view} has {} folders", versions());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
