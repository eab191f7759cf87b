//! kill -9, again and again, at random moments, while events come into views of every shape, through pipelines and their chains, and while a view
//! is being replaced: afterwards each view is its query over the stream, each event is in every table and in every pipeline's stream once.
//!
//! What commits is kept busy: patterns over the graph commit its edges and its vertices, searches the index, tables are written every few
//! milliseconds, and so are checkpoints: what views were is their query over the events below, whichever of those a kill left.
//!
//! A few kills in every run of the tests; `HEADWATER_KILLS=50 cargo test -p headwater --test kill_views -- --nocapture` for more.

mod program;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use program::dice::{Dice, kills};
use program::{Program, as_config};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

const KILLS: u64 = 6;
/// How long everything may take to have come through in the end.
const THROUGH_MAX: Duration = Duration::from_secs(120);

const APPLICATION: &str = "
CREATE STREAM names (id BIGINT NOT NULL, name TEXT NOT NULL) KEY (id);
CREATE MATERIALIZED VIEW named AS SELECT id, max(name) AS name FROM names GROUP BY id;
CREATE STREAM visits (number BIGINT NOT NULL, id BIGINT NOT NULL, place TEXT) WITH (partitions = 3);

CREATE MATERIALIZED VIEW visited STORED AS document WITH (checkpoints = '200') AS SELECT id, count(*) AS visits, sum(number) AS numbers FROM visits GROUP BY id;
CREATE MATERIALIZED VIEW newest STORED AS document KEY (id) WITH (checkpoints = '150') AS SELECT id, number, place FROM visits;
CREATE MATERIALIZED VIEW both STORED AS document AS
  SELECT id, count(*) AS events FROM (SELECT id FROM visits UNION ALL SELECT id FROM names) AS every GROUP BY id;
CREATE MATERIALIZED VIEW places STORED AS search (place KEYWORD, visits NUMBER) WITH (freshness = '10 ms', checkpoints = '100') AS
  SELECT place, count(*) AS visits, sum(number) AS numbers FROM visits GROUP BY place;
CREATE MATERIALIZED VIEW went STORED AS graph (SOURCE id, DESTINATION place) WITH (checkpoints = '100') AS
  SELECT place, id, count(*) AS times, sum(number) AS numbers FROM visits GROUP BY place, id;
CREATE PROPERTY GRAPH walks VERTEX TABLES (visited KEY (id), places KEY (place))
  EDGE TABLES (went SOURCE KEY (id) REFERENCES visited DESTINATION KEY (place) REFERENCES places);
CREATE MATERIALIZED VIEW hours STORED AS memory WITH (checkpoints = '100') AS SELECT number % 24 AS hour, count(*) AS visits, sum(number) AS numbers FROM visits GROUP BY number % 24;
CREATE MATERIALIZED VIEW archive STORED AS columnar PARTITIONED BY (place) WITH (every = '20 ms') AS SELECT number, id, place FROM visits;
CREATE MATERIALIZED VIEW sums STORED AS columnar WITH (every = '20 ms', checkpoints = '100') AS
  SELECT place, count(*) AS visits, sum(number) AS numbers FROM visits GROUP BY place;

CREATE STREAM greeted KEY (id) AS SELECT v.number, v.id, n.name FROM visits v LEFT JOIN named n ON n.id = v.id;
CREATE STREAM halves WITH (partitions = 2) AS SELECT number, name, 100 / (number % 10) AS share FROM greeted WHERE number % 2 = 0;
CREATE STREAM steps KEY (id) AS SELECT id, visits FROM CHANGES OF visited;
CREATE STREAM turns KEY (id) AS SELECT id, events, _offset AS at FROM CHANGES OF both;
CREATE MATERIALIZED VIEW by_name AS SELECT name, count(*) AS visits FROM greeted GROUP BY name;
";

/// A question, and one over the stream that has the same answer.
const SAME: [(&str, &str); 17] = [
    (
        "SELECT id, visits, numbers FROM visited",
        "SELECT id, count(*), sum(number) FROM visits GROUP BY id",
    ),
    (
        "SELECT id, number, place FROM newest",
        "SELECT id, number, place FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS nth \
         FROM visits) AS v WHERE nth = 1",
    ),
    (
        "SELECT id, events FROM both",
        "SELECT id, count(*) FROM (SELECT id FROM visits UNION ALL SELECT id FROM names) AS every GROUP BY id",
    ),
    (
        "SELECT place, visits, numbers FROM places",
        "SELECT place, count(*), sum(number) FROM visits GROUP BY place",
    ),
    (
        "SELECT place, visits, numbers FROM search('places', '*')",
        "SELECT place, count(*), sum(number) FROM visits GROUP BY place",
    ),
    (
        "SELECT place, visits FROM search('places', 'place:p1 OR visits:>20')",
        "SELECT place, count(*) FROM visits GROUP BY place HAVING place = 'p1' OR count(*) > 20",
    ),
    (
        "SELECT place, id, times, numbers FROM went",
        "SELECT place, id, count(*), sum(number) FROM visits GROUP BY place, id",
    ),
    (
        "SELECT id, times, place FROM GRAPH_TABLE (walks MATCH (x)-[w]->(y) COLUMNS (x.id AS id, w.times AS times, y.place AS place))",
        "SELECT id, count(*), place FROM visits WHERE place IS NOT NULL GROUP BY id, place",
    ),
    (
        "SELECT id, times FROM GRAPH_TABLE (walks MATCH (x)-[w]->(y WHERE y.place = 'p1') COLUMNS (x.id AS id, w.times AS times))",
        "SELECT id, count(*) FROM visits WHERE place = 'p1' GROUP BY id",
    ),
    (
        "SELECT hour, visits, numbers FROM hours",
        "SELECT number % 24, count(*), sum(number) FROM visits GROUP BY number % 24",
    ),
    (
        "SELECT number, id, place FROM archive",
        "SELECT number, id, place FROM visits",
    ),
    (
        "SELECT place, visits, numbers FROM sums",
        "SELECT place, count(*), sum(number) FROM visits GROUP BY place",
    ),
    (
        "SELECT number, id, name FROM greeted",
        "SELECT v.number, v.id, n.name FROM visits v LEFT JOIN named n ON n.id = v.id",
    ),
    (
        "SELECT number, name, share FROM halves",
        "SELECT v.number, n.name, 100 / (v.number % 10) FROM (SELECT * FROM visits WHERE number % 2 = 0 AND number % 10 <> 0) v \
         LEFT JOIN named n ON n.id = v.id",
    ),
    // Each visit is one step of its row: 1, 2, 3, … and none of them twice.
    (
        "SELECT id, count(*), count(DISTINCT visits), max(visits) FROM steps GROUP BY id",
        "SELECT id, count(*), count(*), count(*) FROM visits GROUP BY id",
    ),
    // So is each event of two streams, in the order of both.
    (
        "SELECT id, events, at FROM turns",
        "SELECT id, row_number() OVER (PARTITION BY id ORDER BY _appended_at, stream, _partition, _offset), _offset FROM \
         (SELECT id, _appended_at, 'names' AS stream, _partition, _offset FROM names \
         UNION ALL SELECT id, _appended_at, 'visits', _partition, _offset FROM visits) AS every",
    ),
    (
        "SELECT name, visits FROM by_name",
        "SELECT n.name, count(*) FROM visits v LEFT JOIN named n ON n.id = v.id GROUP BY n.name",
    ),
];

/// Of those the views that keep checkpoints of all of their rows.
const REWOUND: [&str; 6] = ["visited", "newest", "places", "went", "hours", "sums"];

/// A view that becomes now this and now that, and what it is then.
const CHANGING: [(&str, &str); 2] = [
    (
        "STORED AS document AS SELECT place, sum(number) AS numbers FROM visits GROUP BY place",
        "SELECT place, sum(number) FROM visits GROUP BY place",
    ),
    (
        "STORED AS search (place KEYWORD) AS SELECT place, id, count(*) AS visits FROM visits GROUP BY place, id",
        "SELECT place, id, count(*) FROM visits GROUP BY place, id",
    ),
];

/// A client of a program that will be killed, and the task that keeps its connection.
async fn connect(postgres: SocketAddr) -> (Client, JoinHandle<()>) {
    let (client, connection) = tokio_postgres::connect(&as_config(postgres), NoTls)
        .await
        .expect("the door is open");
    // How the connection ends says nothing: the program was killed.
    let connection = tokio::spawn(async { drop(connection.await) });
    (client, connection)
}

/// Appends visits, some with an INSERT each, until the program is gone. The first numbers of those that were answered, and the next number.
async fn append(postgres: SocketAddr, from: u64) -> (Vec<u64>, u64) {
    let (client, connection) = connect(postgres).await;
    let (mut answered, mut number) = (Vec::new(), from);
    loop {
        let visit = |number: u64| match number % 11 {
            0 => format!("({number}, {}, NULL)", number % 5),
            place => format!("({number}, {}, 'p{}')", number % 5, place % 4),
        };
        let visits: Vec<String> = (number..number + 7).map(visit).collect();
        let insert = format!("INSERT INTO visits VALUES {}", visits.join(", "));
        let is_answered = client.simple_query(&insert).await.is_ok();
        answered.extend(is_answered.then_some(number));
        number += 7;
        if !is_answered {
            break;
        }
    }
    drop(client);
    connection.await.expect("the connection's task ends");
    (answered, number)
}

/// Says something again and again, until the program is gone.
async fn again(postgres: SocketAddr, say: impl Fn(u64) -> String) {
    let (client, connection) = connect(postgres).await;
    let mut count = 0;
    while client.simple_query(&say(count)).await.is_ok() {
        count += 1;
    }
    drop(client);
    connection.await.expect("the connection's task ends");
}

fn change(count: u64) -> String {
    let (definition, _) = CHANGING[(count % 2) as usize];
    format!("CREATE OR REPLACE MATERIALIZED VIEW changing {definition}")
}

const NAMES: [&str; 4] = ["zoe", "ann", "bob", "cid"];

/// Says the name of somebody, who has it already after the first round.
fn name(count: u64) -> String {
    let id = count % NAMES.len() as u64;
    format!("INSERT INTO names VALUES ({id}, '{}')", NAMES[id as usize])
}

fn look(count: u64) -> String {
    match count % 2 {
        0 => "SELECT count(*) FROM GRAPH_TABLE (walks MATCH (x)-[w]->(y) COLUMNS (w.times AS times))".to_owned(),
        _ => "SELECT count(*) FROM search('places', 'visits:>3')".to_owned(),
    }
}

type Lines = Vec<Vec<Option<String>>>;

async fn sorted(program: &Program, question: &str) -> Lines {
    let asked = program.sql(question).await;
    let mut rows = asked.unwrap_or_else(|error| panic!("{question}: {error:?}"));
    rows.sort();
    rows
}

/// Waits until a question has the answer of another one.
async fn until_same(program: &Program, question: &str, other: &str, until: Instant) {
    let expected = sorted(program, other).await;
    loop {
        let found = sorted(program, question).await;
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < until,
            "{question}\nfound {found:?}\nexpected {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every view and every pipeline has come to what its query gives.
async fn compare(program: &Program) {
    let until = Instant::now() + THROUGH_MAX;
    for (question, other) in SAME {
        until_same(program, question, other, until).await;
    }
    let tens = program
        .number("SELECT count(*) FROM visits WHERE number % 10 = 0")
        .await;
    let parked = program.number("SELECT count(*) FROM _headwater.parked WHERE reader = 'halves'");
    assert_eq!(parked.await, tens, "who divides by zero is parked once");
    // Whichever of the two it was when the program was killed.
    let columns = program
        .number("SELECT count(*) FROM information_schema.columns WHERE table_name = 'changing'")
        .await;
    if let Some(at) = [2, 3].iter().position(|count| *count == columns) {
        until_same(program, "SELECT * FROM changing", CHANGING[at].1, until).await;
    }
}

/// All rows of views as they were after so many hundredths of the events are what their queries give over these: how many of them begin at a checkpoint.
async fn compare_rewound(program: &Program, hundredth: u64) -> usize {
    let ends = sorted(
        program,
        "SELECT _partition, 1 + max(_offset) FROM visits GROUP BY _partition",
    )
    .await;
    let number = |value: &Option<String>| value.as_deref().expect("a value").parse::<u64>().expect("a number");
    let ends = ends
        .iter()
        .map(|end| (number(&end[0]), number(&end[1]) * hundredth / 100));
    let ends: Vec<String> = ends.map(|(partition, next)| format!("{partition}@{next}")).collect();
    let at = format!("FOR SYSTEM_TIME AS OF POSITION 'visits/{}'", ends.join(","));
    let mut from_checkpoints = 0;
    for view in REWOUND {
        let from = format!("FROM {view}");
        let (question, other) = SAME
            .iter()
            .find(|(question, _)| question.ends_with(&from))
            .expect("one of those");
        let question = format!("{question} {at}");
        let other = other.replace("FROM visits", &format!("FROM visits {at}"));
        assert_eq!(
            sorted(program, &question).await,
            sorted(program, &other).await,
            "{question}"
        );
        let plan = sorted(program, &format!("EXPLAIN {question}")).await;
        from_checkpoints += usize::from(format!("{plan:?}").contains("from checkpoint="));
    }
    from_checkpoints
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_every_shape_are_their_queries_whenever_the_program_is_killed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), APPLICATION);
    let data = folder.path().join("data");
    let kills = kills(KILLS);
    let mut dice = Dice::new();
    let mut program = Program::start(&application, &data);
    let doors = program.doors();
    for count in 0..NAMES.len() as u64 {
        program.sql(&name(count)).await.expect("names are appended");
    }
    let (mut answered, mut number, mut from_checkpoints) = (Vec::new(), 0, 0);
    for kill in 1..=kills {
        let loading = tokio::spawn(append(doors[1], number));
        let naming = tokio::spawn(again(doors[1], name));
        let looking = tokio::spawn(again(doors[1], look));
        let first = dice.below(2);
        let changing = tokio::spawn(again(doors[1], move |count| change(count + first)));
        tokio::time::sleep(Duration::from_micros(100_000 + dice.below(900_000))).await;
        program.kill();
        let (of_this_life, next) = loading.await.expect("the load ends");
        answered.extend(of_this_life);
        number = next;
        naming.await.expect("the naming ends");
        looking.await.expect("the looking ends");
        changing.await.expect("the changing ends");
        program = Program::start_at(&application, &data, doors);
        if kill % 3 == 0 || kill == kills {
            compare(&program).await;
            for hundredth in [30, 60, 95] {
                from_checkpoints += compare_rewound(&program, hundredth).await;
            }
        }
    }
    // In a short run a kill may have come before each checkpoint.
    let until = Instant::now() + THROUGH_MAX;
    while from_checkpoints == 0 {
        assert!(Instant::now() < until, "no rewind begins at a checkpoint");
        let visits = format!(
            "SELECT value, value % 5, 'p1' FROM generate_series({number}, {})",
            number + 99
        );
        let more = program.sql(&format!("INSERT INTO visits {visits}")).await;
        more.expect("more visits are appended");
        number += 100;
        from_checkpoints += compare_rewound(&program, 95).await;
    }
    let numbers: HashSet<u64> = sorted(&program, "SELECT number FROM visits")
        .await
        .iter()
        .map(|row| row[0].as_deref().expect("a value").parse().expect("a number"))
        .collect();
    let lost: Vec<&u64> = answered.iter().filter(|first| !numbers.contains(first)).collect();
    assert!(
        lost.is_empty() && !answered.is_empty(),
        "answered for and not there: {lost:?}"
    );
    println!(
        "{kills} kills, {from_checkpoints} rewinds from a checkpoint on, {} visits, {} INSERTs answered",
        numbers.len(),
        answered.len()
    );
    for view in ["archive", "sums", "visited", "changing"] {
        let versions = std::fs::read_dir(data.join("views").join(view)).expect("the view's folder");
        assert_eq!(versions.count(), 1, "one version of {view} has one folder");
    }
}
