//! kill -9, again and again, while events are scheduled, cancelled and due: what was promised is appended once, what was cancelled never.
//!
//! A few kills in every run of the tests; `HEADWATER_KILLS=50 cargo test -p headwater --test kill_schedules -- --nocapture` for more.

mod program;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use program::dice::{Dice, kills};
use program::{Program, as_config};
use tokio::sync::mpsc;
use tokio_postgres::{NoTls, SimpleQueryMessage};

const KILLS: u64 = 6;
/// How long everything that waits may take to be appended in the end.
const DUE_MAX: Duration = Duration::from_secs(90);

const APPLICATION: &str = "
CREATE STREAM reminders (number BIGINT NOT NULL) KEY (number) WITH (partitions = 3);
CREATE STREAM ticks (at TIMESTAMPTZ NOT NULL) WITH (partitions = 1);
CREATE SCHEDULE every_second EVERY '1 second' INTO ticks AS SELECT tick AS at;
";

/// What is known of a schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    /// Asked for, and the answer never came.
    Asked,
    Made,
    /// To be cancelled, and the answer never came.
    Cancelling,
    Cancelled,
    /// To be cancelled, and it did not wait any more.
    Gone,
}

/// Schedules and cancels, one statement after another, until the program is gone. `done` hears of every answer.
async fn load(postgres: SocketAddr, known: &mut BTreeMap<u64, Known>, random: &mut Dice, done: mpsc::Sender<()>) {
    let (client, connection) = tokio_postgres::connect(&as_config(postgres), NoTls)
        .await
        .expect("the door is open");
    let connection = tokio::spawn(connection);
    loop {
        let number = known.len() as u64;
        let (number, statement) = match random.below(4) {
            0 if number > 0 => {
                let number = random.below(number);
                (number, format!("CANCEL 'number {number}'"))
            }
            _ => {
                let after_ms = random.below(1_500);
                let statement = format!(
                    "INSERT INTO reminders AFTER INTERVAL '{after_ms} milliseconds' NAMED 'number {number}' VALUES ({number})"
                );
                (number, statement)
            }
        };
        let before = known.get(&number).copied();
        let answer = client.simple_query(&statement).await;
        let rows = answer.as_ref().map(|messages| match messages.first() {
            Some(SimpleQueryMessage::CommandComplete(rows)) => *rows,
            _ => panic!("{statement} answers with a tag"),
        });
        let now = match (before, rows) {
            (None, Ok(_)) => Known::Made,
            (None, Err(_)) => Known::Asked,
            (Some(Known::Made | Known::Asked | Known::Cancelling), Ok(1)) => Known::Cancelled,
            (Some(Known::Made), Ok(_)) => Known::Gone,
            (Some(Known::Made | Known::Asked), Err(_)) => Known::Cancelling,
            (Some(before), _) => before,
        };
        known.insert(number, now);
        if answer.is_err() || done.send(()).await.is_err() {
            break;
        }
    }
    drop(client);
    // The program was killed: how the connection ended says nothing.
    let _ = connection.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_neither_lose_nor_double_what_was_promised() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), APPLICATION);
    let data = folder.path().join("data");
    let (mut random, kills) = (Dice::new(), kills(KILLS));
    let mut known: BTreeMap<u64, Known> = BTreeMap::new();
    let mut program = Program::start(&application, &data);
    let doors = program.doors();
    for _ in 0..kills {
        let answers = 30 + random.below(60);
        let (done, mut answered) = mpsc::channel(1);
        let mut seed = Dice::of(random.below(u64::MAX));
        let mut before = std::mem::take(&mut known);
        let loading = tokio::spawn(async move {
            load(doors[1], &mut before, &mut seed, done).await;
            before
        });
        for _ in 0..answers {
            answered.recv().await.expect("the program answers");
        }
        program.kill();
        // Those that were on the way when it died.
        while answered.recv().await.is_some() {}
        known = loading.await.expect("the load ends");
        program = Program::start_at(&application, &data, doors);
    }

    let until = Instant::now() + DUE_MAX;
    while program
        .request("GET", "/schedules?limit=1", &[], b"")
        .1
        .contains("\"schedule\":")
    {
        assert!(Instant::now() < until, "something that was due still waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seconds =
        "SELECT count(*), count(DISTINCT at), 1 + date_part('epoch', max(at)) - date_part('epoch', min(at)) FROM ticks";
    let ticks = program.sql(seconds).await.expect("the stream answers").remove(0);
    let ticks: Vec<f64> = ticks
        .iter()
        .flatten()
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert!(ticks.len() == 3 && ticks[0] > 1.0, "seconds pass: {ticks:?}");
    assert!(
        ticks.iter().all(|number| (number - ticks[0]).abs() < 0.5),
        "each second has one tick: {ticks:?}"
    );
    let rows = program
        .sql("SELECT number, count(*) FROM reminders GROUP BY number")
        .await;
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for row in rows.expect("the stream answers") {
        let [number, count] = [0, 1].map(|column| row[column].as_deref().expect("a value"));
        times.insert(number.parse().expect("a number"), count.parse().expect("a count"));
    }
    for (number, known) in &known {
        let times = times.get(number).copied().unwrap_or(0);
        let expected = match known {
            Known::Made | Known::Gone => 1..=1,
            Known::Cancelled => 0..=0,
            Known::Asked | Known::Cancelling => 0..=1,
        };
        assert!(
            expected.contains(&times),
            "number {number} is {known:?} and there {times} times"
        );
    }
    let made = known.values().filter(|known| **known == Known::Made).count();
    let cancelled = known.values().filter(|known| **known == Known::Cancelled).count();
    assert!(
        made as u64 > kills && cancelled > 0,
        "{made} were made and stayed, {cancelled} were cancelled"
    );
}

/// A program that stood still (a laptop that slept, a virtual machine that was moved) missed what was due meanwhile, as one that was down did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_stood_still_passes_over_what_it_missed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ticks = "CREATE STREAM ticks (missed TEXT, at TIMESTAMPTZ NOT NULL) WITH (partitions = 1);".to_owned();
    let schedules = ["ALL", "LAST", "NONE"].map(|missed| {
        format!("CREATE SCHEDULE {missed} EVERY '1 second' CATCH UP {missed} INTO ticks AS SELECT '{missed}' AS missed, tick AS at;")
    });
    let application = program::application(folder.path(), &(ticks + &schedules.concat()));
    let program = Program::start(&application, &folder.path().join("data"));
    let until = Instant::now() + DUE_MAX;
    loop {
        let begun = program.sql("SELECT count(DISTINCT missed) FROM ticks").await;
        if begun.expect("the stream answers")[0][0].as_deref() == Some("3") {
            break;
        }
        assert!(Instant::now() < until, "schedules begin");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    program.stand_still(Duration::from_secs(8));
    // The longest time between two ticks says which were passed over.
    let gaps = "SELECT max(date_part('epoch', at) - date_part('epoch', before)) FROM (SELECT missed, at, lag(at) OVER (PARTITION BY missed ORDER BY at) AS before FROM ticks)";
    for (missed, gap) in [("ALL", 0.0..2.0), ("LAST", 5.0..30.0), ("NONE", 5.0..30.0)] {
        let until = Instant::now() + DUE_MAX;
        loop {
            let rows = program.sql(&format!("{gaps} WHERE missed = '{missed}'")).await;
            let found = rows.expect("the stream answers").remove(0).remove(0);
            let found: f64 = found.map_or(0.0, |gap| gap.parse().expect("a number"));
            if found > 0.0 && gap.contains(&found) {
                break;
            }
            assert!(
                Instant::now() < until,
                "{missed}: {found} seconds between two ticks at most"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
